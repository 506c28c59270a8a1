"""Runs without pytest of a model that answers: its baselines and releases."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import save, stamp
from tests.support.units import write_unit
from tests.unit.session.test_session import GOOD, IDS, answers, judged, options  # noqa: F401  (a fixture)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.history.ledger.evaluations import sealed_evaluations, unit_digests
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.ledger_git import REF
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.evaluation.record import Noise, Record
from tunegate.harness.models.local.continuous_batching import Batch
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.options.run import Options


@pytest.fixture
def local(options: Options, tiny_model: Path) -> Options:  # noqa: F811
    """The same task on the tiny model, its baseline recorded."""
    local = replace(options, model=str(tiny_model))
    judged(replace(local, record=True))
    return local


def baseline(options: Options, name: str) -> Path:  # noqa: F811
    [path] = options.baselines.glob(f"*/desk/{name}.json")
    return path


def release(options: Options, adapter: Path) -> Record:  # noqa: F811
    """Record an adapter as the last release of every unit, as `tunegate release` does."""
    record = judged(replace(options, adapters=(adapter,))).records[0]
    [task] = load_tasks(options.cases)
    save(options.baselines, record, task.units, released=True)
    return record


def test_recording_again_reuses_the_outputs_of_the_baseline(local: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    [task] = load_tasks(local.cases)
    made = judged(local).records[0]
    case = replace(made.cases["desk/triage/case00"], output=GOOD)  # only a reused output can say this
    save(local.baselines, replace(made, cases={**made.cases, "desk/triage/case00": case}), task.units)
    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))
    record = judged(replace(local, record=True)).records[0]
    assert record.cases["desk/triage/case00"].passed
    assert not record.cases["desk/triage/case01"].passed


def test_outputs_that_the_ledger_does_not_know_are_asked_for_again(
    local: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = baseline(local, "triage")
    before = path.read_text()
    data = json.loads(before)
    data["cases"]["case00"]["output"] = GOOD
    stamp(path, data)
    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))
    judged(replace(local, record=True))
    assert path.read_text() == before


def test_a_damaged_baseline_is_recorded_anew(local: Options) -> None:
    path = baseline(local, "triage")
    text = path.read_text()
    path.write_text("{")
    judged(replace(local, record=True))
    assert path.read_text() == text


def test_the_next_adapter_is_compared_with_the_last_release_too(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    release(local, make_adapter("released"))
    again = judged(replace(local, adapters=(make_adapter("released"),), against="baseline"))
    assert list(again.references[0]) == ["baseline"]  # nothing is compared with itself
    following = judged(replace(local, adapters=(make_adapter("next"),), against="baseline"))
    assert list(following.references[0]) == ["baseline", "last release"]


def test_a_release_that_was_asked_otherwise_must_be_renewed(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    released = make_adapter("released")
    release(local, released)
    write_unit(local.cases, IDS, "triage", check={"schema": {"minProperties": 1}})
    judged(replace(local, record=True))
    gate = replace(local, adapters=(make_adapter("next"),), against="baseline")
    with pytest.raises(
        Refused, match=r"desk/triage: the last release .* was evaluated with other checks, other references; renew it"
    ):
        judged(gate)
    with pytest.raises(Refused, match="only the released adapter may renew its files"):
        judged(replace(local, adapters=(make_adapter("next"),), record=True))
    judged(replace(local, adapters=(released,), record=True))
    assert judged(gate).records[0].verdicts.keys() == {"desk/triage", "desk/second"}


# --- what the ledger is told


def test_a_ledger_that_cannot_be_told_is_found_before_anybody_is_asked(
    local: Options, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = replace(local, adapters=(tiny_adapter,))
    judged(gate)
    shutil.move(local.baselines / "ledger", local.root / "ledger")
    (local.baselines / "ledger").write_text("no folder")
    monkeypatch.setattr(Local, "complete", lambda *_: pytest.fail("asked"))
    for run in (gate, replace(local, record=True, fresh=True)):
        with pytest.raises(CouldNotRun, match=r"ledger: expected a writable folder, found none"):
            judged(run)


def seal(options: Options) -> Options:  # noqa: F811
    write_unit(options.cases, IDS, "final", sealed=True)
    return replace(options, sealed=True, against="baseline")


def told(options: Options, *kinds: str) -> list[Event]:  # noqa: F811
    return read_ledger(options.baselines).of("desk", *kinds)


def test_an_opening_is_told_before_the_first_output(
    local: Options, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = replace(seal(local), adapters=(tiny_adapter,))
    asked = []

    def complete(self: Local, requests: Sequence[Request]) -> Iterator[Completion]:
        asked.append([list(event.cases) for event in told(local, "opened")])
        raise KeyboardInterrupt
        yield

    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))
    with monkeypatch.context() as patch:
        patch.setattr(Local, "complete", complete)
        with pytest.raises(KeyboardInterrupt):
            judged(gate)
    assert asked == [[["desk/final"]]]
    assert told(local, "run") == []
    session = judged(gate)
    assert len(told(local, "opened")) == 1  # the same adapter on the same cases is the same opening
    assert "evaluations of sealed cases are counted only in this clone (--tg-ledger-remote)" in session.notes


def test_only_adapters_open_sealed_cases(local: Options) -> None:
    with pytest.raises(
        Refused, match="--tg-sealed evaluates desk/final for a change, together with what is in service"
    ):
        judged(seal(local))
    judged(replace(local, sealed=True))
    assert told(local, "opened") == []


def test_nothing_is_recorded_of_what_the_base_answers_to_sealed_cases(local: Options) -> None:
    seal(local)
    with pytest.raises(Refused, match="--tg-record with --tg-sealed: nothing is recorded of desk/final, on which"):
        judged(replace(local, record=True, sealed=True))
    judged(replace(local, record=True, sealed=True), "triage")


def sealed_outputs(record: Record) -> list[str | None]:
    return [each.output for each in record.of_unit("desk/final").values()]


def test_base_and_last_release_are_asked_sealed_cases_beside_the_adapter(
    local: Options, make_adapter: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(make_adapter("released"), local.root / "adapter")
    release(local, folder)  # before there was a sealed unit
    gate = seal(local)
    session = judged(replace(gate, adapters=(make_adapter("next"),)))
    alone = [judged(replace(local, sealed=True, adapters=given)).records[0] for given in ((), (folder,))]
    assert [sealed_outputs(each) for each in session.references[0].values()] == [*map(sealed_outputs, alone)]
    assert session.records[0].verdicts.keys() == {"desk/triage", "desk/second", "desk/final"}
    assert list(local.baselines.glob("*/desk/final*.json")) == []
    assert "sealed: desk/final; evaluated beside the adapter: the baseline and the last release" in session.notes
    only = judged(replace(gate, adapters=(make_adapter("next"),)), "final")
    assert only.records[0].verdicts.keys() == {"desk/final"}

    shutil.rmtree(folder)
    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))  # which has no copy of it
    with pytest.raises(Refused, match=r"the last release, .*, has to run here, .* found neither; restore it"):
        judged(replace(gate, adapters=(make_adapter("next"),)))


def test_what_was_recorded_of_a_unit_before_it_was_sealed_counts_for_nothing(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    write_unit(local.cases, IDS, "second", sealed=True)
    gate = replace(local, sealed=True, against="baseline", adapters=(make_adapter("next"),))
    with pytest.raises(Refused, match=r"desk/second: sealed false -> true; if .*, delete .*second\.json: nothing is"):
        judged(gate)
    baseline(local, "second").unlink()
    assert "desk/second" in judged(gate).records[0].verdicts


def test_another_adapter_opens_again_and_so_does_a_part(local: Options, make_adapter: Callable[[str], Path]) -> None:
    gate = seal(local)
    for name, units in (("one", ()), ("two", ("final",))):
        judged(replace(gate, adapters=(make_adapter(name),)), *units)
    judged(replace(gate, adapters=(make_adapter("one"),)), "triage")  # nothing sealed is asked
    assert len(told(local, "opened")) == 2
    [unit] = [unit for task in load_tasks(gate.cases) for unit in task.units if unit.sealed]
    counts = sealed_evaluations(read_ledger(local.baselines), "desk")
    assert {counts[case] for case in unit_digests(unit)} == {2}


def test_a_run_of_an_adapter_is_told_once(local: Options, tiny_adapter: Path) -> None:
    gate = replace(local, adapters=(tiny_adapter,), against="baseline")
    judged(replace(local, against="baseline"))  # the base
    assert told(local, "run") == []
    [record] = judged(gate).records
    judged(gate)
    judged(gate, "triage")  # a part, answered before
    [event] = told(local, "run")
    assert event.subject["adapter"] == adapter_digest(tiny_adapter)
    assert event.record == json.loads(record.path.read_text())["digest"]
    assert event.cases.keys() == {"desk/triage", "desk/second"}


def test_a_look_at_a_part_is_a_look_whatever_it_is_compared_with(
    local: Options, make_adapter: Callable[[str], Path]
) -> None:
    judged(replace(local, adapters=(make_adapter("one"),)), "triage")
    [event] = told(local, "run")
    assert event.cases.keys() == {"desk/triage"}
    [record] = judged(replace(local, adapters=(make_adapter("two"),), against="baseline")).records
    assert record.sealed_evaluations["desk/triage"] == 2


def test_an_opening_is_pushed_before_the_first_output(
    local: Options, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = tmp_path / "remote.git"
    for folder, bare in ((remote, ["--bare"]), (local.root, [])):
        subprocess.run(["git", "init", "-q", *bare, folder], check=True)
    gate = replace(seal(local), adapters=(tiny_adapter,), ledger_remote=str(remote))
    listing = ["git", "-C", remote, "ls-tree", "--name-only", REF]

    def complete(self: Local, requests: Sequence[Request]) -> Iterator[Completion]:
        there = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        assert [event.digest + ".json" in there for event in told(local, "opened")] == [True]
        raise KeyboardInterrupt
        yield

    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "empty"))
    monkeypatch.setattr(Local, "complete", complete)
    with pytest.raises(KeyboardInterrupt):
        judged(gate)
    remote.rename(tmp_path / "gone")
    with pytest.raises(CouldNotRun, match="git ls-remote"):
        judged(gate)


# --- another base


def test_a_candidate_on_another_base_is_compared_with_what_is_served(
    local: Options, make_adapter: Callable[[str], Path], tmp_path: Path
) -> None:
    release(local, make_adapter("released"))
    perturbed(Path(local.model), tmp_path / "next")
    ours = replace(local, model=str(tmp_path / "next"))
    judged(replace(ours, record=True))
    session = judged(replace(ours, adapters=(make_adapter("candidate"),), against="baseline"))
    assert list(session.references[0]) == ["baseline", "last release"]
    [note] = [note for note in session.notes if note.startswith("the last release, adapter ")]
    assert "has another base than the candidate, on next-" in note


def perturbed(model: Path, to: Path) -> None:
    """A copy of a model with other weights."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, to)
    file = to / "model.safetensors"
    save_file({name: weight * 1.01 for name, weight in load_file(file).items()}, file, {"format": "pt"})


def test_a_base_asked_twice_has_its_noise_in_the_baseline_and_keeps_it(local: Options) -> None:
    session = judged(replace(local, record=True, noise=True))
    noise = Noise(20, 0, ())  # a model of two layers repeats itself in every shape of batch
    assert session.records[0].noise == {"desk/second": noise, "desk/triage": noise}
    assert "desk/triage: run twice: none of 20 cases flips on a re-run; 0 outputs differ" in session.notes
    assert '"noise"' in baseline(local, "triage").read_text()

    again = judged(replace(local, record=True))  # the same answers: what was measured holds
    assert all("unchanged" in note for note in again.notes)
    with pytest.raises(Refused, match="greedy outputs do not vary: of 20 cases re-run none flipped"):
        judged(replace(local, repeats=2))


def test_greedy_repeats_are_asked_in_other_batches_and_each_is_kept(local: Options, monkeypatch) -> None:
    [task] = load_tasks(local.cases)
    made = judged(local).records[0]
    save(local.baselines, replace(made, noise={unit.key: Noise(20, 3, ("case00",)) for unit in task.units}), task.units)
    shapes: list[int] = []
    joined = Batch.join
    monkeypatch.setattr(Batch, "join", lambda self, rows, alike: shapes.append(len(rows)) or joined(self, rows, alike))

    record = judged(replace(local, record=True, repeats=2)).records[0]

    assert shapes[0] == 20  # the first answers are the baseline's; of the forty of the second repeat half fit
    assert {len(result.repeats) for result in record.cases.values()} == {2}
    assert record.noise["desk/triage"] == Noise(20, 0, ())  # what the two answers of each case show, without asking
