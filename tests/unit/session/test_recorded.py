"""Outputs made elsewhere under a name: recorded as a baseline, and gated against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import LOCAL, record, save
from tests.support.units import write_unit
from tests.unit.session.test_session import BAD, GOOD, IDS, answers, judged, options  # noqa: F401  (a fixture)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.models.backends import REPLAY
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.prompts import requests

Supply = Callable[..., Options]


@pytest.fixture
def supply(options: Options) -> Supply:  # noqa: F811
    """Writes outputs with the digests of their requests; returns the options of a run on them."""

    def made(
        wrong: int = 0, file: str = "gpt.jsonl", rung: str = "as-is", keep: tuple[str, ...] = ("digest",)
    ) -> Options:
        given, lines = answers(wrong), []
        for each in requests([unit for task in load_tasks(options.cases) for unit in task.units], rung):
            line = {"case": each.key, "output": given[each.key], "digest": each.digest}
            lines.append({key: line[key] for key in ("case", "output", *keep)})
        (options.root / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return replace(options, model=f"replay:gpt={options.root / file}")

    return made


def files(options: Options) -> dict[str, str]:  # noqa: F811
    return {
        path.relative_to(options.baselines).as_posix(): path.read_text()
        for path in options.baselines.glob("*/desk/*.json")
    }


# --- recording


def test_outputs_are_recorded_under_their_name(supply: Supply) -> None:
    options = supply(wrong=3)  # noqa: F811
    session = judged(replace(options, record=True))
    assert sorted(files(options)) == ["replay-gpt/desk/second.json", "replay-gpt/desk/triage.json"]
    assert session.notes[0].startswith("desk/second: recorded 20 cases, mean 0.850 (")
    baseline = read_baseline(options.baselines / "replay-gpt/desk/triage.json", "desk/triage")
    assert baseline.subject == {"model": "replay-gpt", "rung": "as-is"}
    assert baseline.engine == {"backend": "replay"}
    assert baseline.results["case00"].output == BAD


def test_recording_again_changes_the_units_whose_outputs_changed(supply: Supply) -> None:
    options = supply()  # noqa: F811
    judged(replace(options, record=True))
    before = files(options)
    path = options.root / "gpt.jsonl"
    path.write_text(path.read_text().replace(GOOD.replace('"', '\\"'), BAD, 1))
    notes = judged(replace(options, record=True)).notes
    assert [note.split(" (")[0] for note in notes] == [
        "desk/second: updated: mean 1.000 -> 0.950", "desk/triage: unchanged",
        "desk: replay-gpt is in service from now on",
    ]  # fmt: skip
    assert files(options)["replay-gpt/desk/triage.json"] == before["replay-gpt/desk/triage.json"]


def test_outputs_without_digests_are_not_recorded(supply: Supply) -> None:
    options = supply(keep=())  # noqa: F811
    with pytest.raises(AuthoringError, match="found none on 20 lines") as caught:
        judged(replace(options, record=True))
    assert len(caught.value.problems) == 2  # one a unit
    assert files(options) == {}


def test_the_file_of_requests_stands_for_the_digests(supply: Supply) -> None:
    options = supply(file="requests.jsonl")  # noqa: F811
    asked = options.root / "requests.jsonl"
    judged(replace(supply(keep=()), record=True, requests=asked))
    assert len(files(options)) == 2


def test_answers_to_an_older_prompt_are_not_recorded(supply: Supply) -> None:
    options = supply()  # noqa: F811
    write_unit(options.cases, IDS, "triage", prompt={"system": "Be brief."})
    with pytest.raises(
        AuthoringError, match="current request of desk/triage, found that of another request on 20 lines"
    ):
        judged(replace(options, record=True))
    assert files(options) == {}


def test_a_rung_is_recorded_and_gated_as_itself(supply: Supply) -> None:
    few = replace(supply(rung="steps"), rung="steps")
    judged(replace(few, record=True))
    assert judged(replace(few, against="baseline")).records[0].rung == "steps"
    [other] = judged(replace(supply(), against="baseline")).records
    assert (other.rung, other.verdicts["desk/triage"].reference) == ("as-is", "baseline")
    with pytest.raises(AuthoringError, match="with --rung steps, found none on 20 lines"):
        judged(replace(supply(keep=()), rung="steps"))


# --- the gate


def test_they_are_gated_against_their_baseline(supply: Supply) -> None:
    judged(replace(supply(wrong=1), record=True))
    session = judged(replace(supply(wrong=15), against="baseline"))
    record = session.records[0]
    assert record.verdicts["desk/triage"].verdict == "regressed"
    assert record.verdicts["desk/triage"].reason.endswith("The outputs come from a file.")
    assert "The outputs come from a file: they can be compared, but not released." in record.tasks["desk"].reason
    assert record.is_supplied


def test_outputs_that_show_no_digest_are_gated_and_told(supply: Supply) -> None:
    judged(replace(supply(), record=True))
    assert judged(replace(supply(), against="baseline")).notes == []
    assert judged(replace(supply(keep=()), against="baseline")).notes == [
        "40 of 40 outputs carry no digest (tunegate prompts writes them): their prompts cannot be verified"
    ]


def target(options: Options, margin: float = 0.4) -> None:  # noqa: F811
    units = {"triage": {"role": "target", "margin": margin, "reason": "x"},
             "second": {"margin": 0.4, "role": "guard", "reason": "x"}}  # fmt: skip
    (options.cases / "desk" / "task.yaml").write_text(json.dumps({"version": 1, "units": units}))


def test_a_target_stays_a_target_against_their_baseline(supply: Supply) -> None:
    options = supply(wrong=15)  # noqa: F811
    target(options)
    judged(replace(options, record=True))
    same = judged(replace(options, against="baseline")).records[0]
    assert (same.tasks["desk"].decision, same.tasks["desk"].short) == ("block", ("desk/triage",))
    better = judged(replace(supply(wrong=1), against="baseline")).records[0]
    assert better.tasks["desk"].reason.startswith("Passed: desk/triage (25.0 % -> 95.0 %) improved")


def test_a_margin_that_was_raised_since_is_refused(supply: Supply) -> None:
    options = supply()  # noqa: F811
    target(options, margin=0.1)
    judged(replace(options, record=True))
    target(options, margin=0.45)
    with pytest.raises(Refused, match=r"looser than when the baseline was recorded:\n.*margin 0\.1 -> 0\.45"):
        judged(replace(options, against="baseline"))


def test_another_name_is_compared_with_what_is_in_service(supply: Supply) -> None:
    options = supply()  # noqa: F811
    judged(replace(options, record=True))
    [record] = judged(replace(options, model=options.model.replace("gpt=", "other="), against="baseline")).records
    assert record.verdicts["desk/triage"].verdict == "held"
    assert record.fingerprint["subject"]["model"] == "replay-other"


def test_a_generated_baseline_is_not_compared_with(supply: Supply) -> None:
    options = supply()  # noqa: F811
    tasks = load_tasks(options.cases)
    made = record(tasks, {"desk/triage": "1" * 20, "desk/second": "1" * 20})
    subject = LOCAL | {"model": "replay-gpt"}
    save(options.baselines, replace(made, fingerprint={**made.fingerprint, "subject": subject}), tasks[0].units)
    with pytest.raises(Refused, match="holds generated outputs, and this run has supplied ones"):
        judged(replace(options, against="baseline"))


# --- names


def test_a_name_is_what_names_a_folder() -> None:
    for model, name, file in [
        ("replay:gpt=out.jsonl", "gpt", "out.jsonl"),
        ("replay:gpt-4.1_mini=a/b.jsonl", "gpt-4.1_mini", "a/b.jsonl"),
        ("replay:gpt=a=b.jsonl", "gpt", "a=b.jsonl"),
        ("replay:out.jsonl", "", "out.jsonl"),
        ("replay:./a=b.jsonl", "", "./a=b.jsonl"),
        ("replay:runs/a=b.jsonl", "", "runs/a=b.jsonl"),
        (r"replay:C:\runs\a=b.jsonl", "", r"C:\runs\a=b.jsonl"),
        (r"replay:gpt=C:\runs\out.jsonl", "gpt", r"C:\runs\out.jsonl"),
        ("replay:..=out.jsonl", "", "..=out.jsonl"),
        ("replay:gpt.=out.jsonl", "", "gpt.=out.jsonl"),
        (f"replay:{'x' * 65}=out.jsonl", "", f"{'x' * 65}=out.jsonl"),
        ("replay:gpt=", "", "gpt="),
    ]:
        assert REPLAY.split(model) == (name, Path(file))


def test_what_cannot_be_is_refused() -> None:
    for more, said in [
        ({"model": "replay:x.jsonl", "record": True}, "a baseline of supplied outputs needs a name"),
        ({"model": "replay:x.jsonl", "against": "baseline"}, "or keep their record with --tg-out RECORD.json"),
        ({"model": "replay:gpt=x.jsonl", "adapters": (Path("a"),)}, "supplied outputs take no adapter"),
        ({"model": "replay:"}, "expected a file of outputs, found no file name"),
        ({"model": "replay:my/gpt=x.jsonl"}, "expected replay:NAME=FILE (NAME: letters, digits"),
        ({"model": "smollm2", "requests": Path("r.jsonl")}, "--tg-requests: expected --tg-model replay:FILE"),
    ]:
        with pytest.raises(Refused) as caught:
            Options(Path(), **more).check()
        assert said in str(caught.value)


def test_a_file_whose_name_reads_as_a_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.jsonl").write_text("")
    with pytest.raises(Refused, match=r"read as b\.jsonl named a; for the file a=b\.jsonl write replay:\./a=b\.jsonl"):
        Options(Path(), model="replay:a=b.jsonl").check()
    Options(Path(), model="replay:./a=b.jsonl").check()
