"""Runs that ask anew: which of them goes on with whose answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.models import unfinished
from tunegate.harness.models.api import Completion
from tunegate.harness.models.cache import DAY, Run, Store, store_path
from tunegate.harness.models.unfinished import asking_anew

COMMAND, OTHER = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("TUNEGATE_CACHE", str(tmp_path))


@contextmanager
def asked(command: str = COMMAND, fresh: bool = False, notes: list[str] | None = None) -> Iterator[Run]:
    """A run that has an answer."""
    with asking_anew(command, fresh, [] if notes is None else notes) as run:
        with closing(Store(store_path())) as store:
            store.put("0" * 64, Completion("desk/triage/a", "here"), run.id)
            run.note(store)
        yield run


def stop(command: str = COMMAND, fresh: bool = False, by: Exception | None = None) -> str:
    """The id of a run that was stopped."""
    with pytest.raises(Exception, match="stopped"), asked(command, fresh) as run:
        raise by or CouldNotRun("stopped")
    return run.id


def test_a_run_that_was_stopped_is_gone_on_with_and_said_to_be():
    first, notes = stop(), []
    with asked(notes=notes) as again:
        assert again.id == first
    [note] = notes

    assert note.startswith("this run was stopped at or after ")
    with asked() as next_one:
        assert next_one.id != first, "the other one came to its end"


def test_an_answer_counts_in_its_own_run_alone():
    first = stop()
    with closing(Store(store_path())) as store:
        assert [store.get("0" * 64, run) is not None for run in (first, "", "another")] == [True, True, False]
        store.put("0" * 64, Completion("desk/triage/a", "there"))  # a recording, say
        assert store.get("0" * 64, first) is None


@pytest.mark.parametrize("why", ["a command with other options", "--fresh", "a day later", "another machine"])
def test_what_is_not_the_same_run_is_not_gone_on_with(why, monkeypatch):
    first = stop()
    if why == "a day later":
        now = unfinished.time.time()
        monkeypatch.setattr("tunegate.harness.models.cache.time.time", lambda: now + DAY + 1)
    if why == "another machine":
        monkeypatch.setattr(unfinished.platform, "node", lambda: "elsewhere")
    with asked(OTHER if why.startswith("a command") else COMMAND, fresh=why == "--fresh") as other:
        assert other.id != first


def test_a_clock_that_was_set_back_makes_no_run_of_tomorrow(monkeypatch):
    first = stop()
    now = unfinished.time.time()
    monkeypatch.setattr("tunegate.harness.models.cache.time.time", lambda: now - 3600)
    with asked() as other:
        assert other.id != first


def test_a_fresh_run_is_gone_on_with_by_nobody():
    first = stop(fresh=True)
    with asked() as other:
        assert other.id != first


def test_a_run_that_was_refused_is_not_gone_on_with():
    first = stop(by=Refused("stopped"))
    with asked() as other:
        assert other.id != first


def test_a_run_without_an_answer_leaves_nothing():
    with pytest.raises(CouldNotRun), asking_anew(COMMAND, False, []) as first:
        raise CouldNotRun("before anything was asked")
    notes: list[str] = []
    with asking_anew(COMMAND, False, notes) as other:
        assert (other.id != first.id, notes) == (True, [])


def test_the_same_command_beside_it_asks_for_itself():
    with asked() as first, asked() as beside:
        assert beside.id != first.id
