"""Two runs at once ask for each output once; whoever is killed holds up nobody."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tunegate.harness.cases.model import Decoding
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.cache import Cached, Run, Store

CASES = 201
ASKED = [Request(f"desk/triage/{n}", (("user", f"It drips, {n}."),), Decoding(max_new_tokens=8)) for n in range(CASES)]
SUBJECT = {"model": "tiny-1", "base": "b", "adapter": None, "tokenizer": "t", "template": "c", "rung": "as-is"}
FORK = multiprocessing.get_context("fork")


class Noting:
    """A model that notes each request in a file; after so many it does something."""

    can = frozenset({"generate"})
    fingerprint = Fingerprint(SUBJECT, {"backend": "transformers"}, {"model": "tiny"})

    def __init__(self, log: Path, after: int = -1, act=lambda: None, silent: bool = False) -> None:
        self.log, self.after, self.act, self.silent = log, after, act, silent

    def complete(self, requests):
        for number, request in enumerate(requests):
            if number == self.after:
                self.act()
            with self.log.open("a") as stream:
                stream.write(f"{request.key}\n")
            yield Completion(request.key, None if self.silent else "x", 5, 2, 0.25, "stop", request.repeat)


def run(folder: Path, asked: list[Request] = ASKED, **model: object) -> list[Completion]:
    with closing(Store(folder / "generations.sqlite")) as store:
        return list(Cached(Noting(folder / "log", **model), store).complete(asked))


def in_another(folder: Path, asked: list[Request] = ASKED, **model: object):
    process = FORK.Process(target=run, args=(folder, asked), kwargs=model)
    process.start()
    return process


def noted(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def meanwhile(folder: Path, asked: list[Request] = ASKED, **model: object) -> list[object]:
    """Begin a run here, and another one in the middle of it; the second one's model is as told."""
    begun: list[object] = []
    run(folder, after=CASES // 2, act=lambda: begun.append(in_another(folder, asked, **model)))
    for each in begun:
        each.join()
    return begun


def test_two_runs_at_once_ask_for_each_output_once(tmp_path):
    [other] = meanwhile(tmp_path)
    assert other.exitcode == 0
    assert sorted(noted(tmp_path)) == sorted(request.key for request in ASKED)


def test_what_only_one_asks_for_waits_for_nobody(tmp_path):
    def act() -> None:
        other = in_another(tmp_path, further)
        other.join()  # it ends while the first run has its claims
        codes.append(other.exitcode)

    further, codes = [Request("desk/triage/more", (("user", "Why?"),), Decoding(max_new_tokens=8))], []
    run(tmp_path, after=9, act=act)

    assert codes == [0]


def test_a_killed_run_holds_up_nobody(tmp_path):
    killed = in_another(tmp_path, after=50, act=lambda: os.kill(os.getpid(), signal.SIGKILL))
    killed.join()
    assert killed.exitcode == -signal.SIGKILL

    assert len(run(tmp_path)) == CASES
    assert sorted(noted(tmp_path)) == sorted(request.key for request in ASKED)
    assert list((tmp_path / "claims").iterdir()) == []


def test_an_error_releases_what_was_claimed(tmp_path):
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, after=50, act=fail)

    assert len(run(tmp_path)) == CASES
    assert len(noted(tmp_path)) == CASES


def test_what_got_no_output_is_asked_for_by_the_next(tmp_path):
    run(tmp_path, silent=True)
    run(tmp_path)
    assert len(noted(tmp_path)) == 2 * CASES


def test_a_run_that_counts_only_its_own_outputs_shares_none(tmp_path):
    with closing(Store(tmp_path / "generations.sqlite")) as store:
        model = Noting(tmp_path / "log")
        list(Cached(model, store).complete(ASKED[:3]))
        list(Cached(model, store, run=Run("own")).complete(ASKED[:3]))

    assert len(noted(tmp_path)) == 6


def test_one_process_never_waits_for_itself(tmp_path):
    with closing(Store(tmp_path / "generations.sqlite")) as store:
        model = Noting(tmp_path / "log")
        first, second = (Cached(model, store).complete(ASKED[:2]) for _ in range(2))
        assert [each.output for each in (next(first), next(second))] == ["x", "x"]
