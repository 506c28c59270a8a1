"""A run without pytest: what is selected, judged, compared and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import stamp, training_record
from tests.support.units import write_outputs, write_unit
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.run_facts import RescoredUnit
from tunegate.harness.models.evaluation.sidecar import read_sidecar
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.settings import read_settings
from tunegate.harness.session.models import trained_tasks
from tunegate.harness.session.run import Session, record_units

GOOD, BAD = '{"product": "boiler"}', "a boiler"
IDS = [f"case{number:02}" for number in range(20)]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """A task with two units of twenty cases, and answers to all of them that pass."""
    for unit in ("triage", "second"):
        write_unit(tmp_path / "fixtures", IDS, unit)
    policy = {unit: {"role": "guard", "margin": 0.4, "reason": "a test"} for unit in ("triage", "second")}
    (tmp_path / "fixtures" / "desk" / "task.yaml").write_text(json.dumps({"version": 1, "units": policy}))
    outputs = write_outputs(tmp_path / "outputs.jsonl", answers())
    return Options(
        tmp_path, f"replay:{outputs}", cases=tmp_path / "fixtures", baselines=tmp_path / "baselines"
    )  # fmt: skip


def answers(wrong: int = 0) -> dict[str, str | None]:
    """Answers to both units; the first `wrong` of each miss."""
    return {
        f"desk/{unit}/{case}": BAD if number < wrong else GOOD
        for unit in ("second", "triage")
        for number, case in enumerate(IDS)
    }


def judged(options: Options, *units: str) -> Session:
    """A run that selected these units whole, or all."""
    session = Session(options)
    session.selection.select([], [unit for unit in session.selection.units() if not units or unit.name in units])
    session.execute(quiet())
    return session


def test_units_are_selected_by_suite_and_by_task(options: Options) -> None:
    session = Session(options)
    assert [unit.name for unit in session.selection.units("schema", "desk")] == ["second", "triage"]
    assert session.selection.units("voice") == session.selection.units(task="elsewhere") == []


def test_a_part_of_a_unit_makes_the_run_partial(options: Options) -> None:
    session = Session(options)
    second, triage = session.selection.units()
    session.selection.select(triage.cases[:3], [second])
    assert session.selection.partial == [triage]
    assert (session.selection.is_whole(second), session.selection.is_whole(triage)) == (True, False)
    session.execute(quiet())
    assert session.records[0].partial
    assert session.records[0].units["desk/triage"].n == 3


def test_the_contexts_of_a_run_are_those_of_its_sidecar_but_for_prompts(options: Options) -> None:
    session = judged(options)

    read = {key: replace(each, prompt=(), texts=()) for key, each in read_sidecar(session.records[0]).items()}
    assert len(read) == 2 * len(IDS)
    assert session.contexts == [read]


def test_a_unit_without_a_selected_case_makes_the_run_partial_too(options: Options) -> None:
    session = judged(options, "triage")
    assert [unit.key for unit in session.selection.partial] == ["desk/second"]
    assert list(session.records[0].units) == ["desk/triage"]
    assert not session.selection.is_decided(session.selection.tasks[0])


def test_every_run_is_kept_under_its_root(options: Options) -> None:
    for _ in range(2):
        judged(options)
    first, second = sorted((options.root / ".tunegate" / "runs").glob("*.json"))
    assert read_record(first).cases == read_record(second).cases


def test_a_comparison_gives_verdicts_to_whole_units_alone(options: Options) -> None:
    base = options.root / "base.json"
    judged(replace(options, out=base))
    session = Session(replace(options, against=str(base)))
    second, triage = session.selection.units()
    session.selection.select(triage.cases[:3], [second])
    session.execute(quiet())
    assert list(session.records[0].verdicts) == ["desk/second"]
    assert session.records[0].tasks == {}
    assert session.references[0]["record"].cases.keys() == answers().keys()


def test_a_refusal_comes_before_anything_is_written(options: Options) -> None:
    with pytest.raises(Refused, match="found nothing there"):
        judged(replace(options, against=str(options.root / "nothing.json"), out=options.root / "out.json"))
    assert not (options.root / "out.json").exists()
    assert not (options.root / ".tunegate").exists()


def test_units_with_unscored_cases_are_not_recorded(options: Options) -> None:
    write_outputs(options.root / "outputs.jsonl", answers() | {"desk/triage/case03": None})
    session = judged(options)
    seen = dict.fromkeys(("desk/triage", "desk/second"))
    lines = record_units(options, session.records[0], session.selection.selected, seen)
    assert [path.name for path in options.baselines.glob("*/desk/*.json")] == ["second.json"]
    assert any(
        line.startswith("desk/triage: NOT recorded, 1 of 20 cases are unscored: no output for ") for line in lines
    )


def test_several_adapters_share_a_folder_of_records() -> None:
    one, two = Path("one"), Path("two")
    assert Options(Path(), out=Path("out"), adapters=(one, two)).out_of(two) == Path("out/two.json")
    assert Options(Path(), out=Path("out"), adapters=(one,)).out_of(one) == Path("out")
    assert Options(Path(), adapters=(one, two)).out_of(one) is None


def test_all_that_is_wrong_with_options_is_said_at_once() -> None:
    with pytest.raises(Refused) as caught:
        Options(Path(), record=True, against="baseline", repeats=0).check()
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [("[tool", "expected TOML"), ("tool.tunegate = 3", "expected a table"), ("[tool.tunegate]\nmodle = 1", "'model'")],
)
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(Refused, match=found):
        read_settings(tmp_path)


def test_a_project_need_not_have_settings(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_settings(tmp_path) == {}


def test_an_adapter_is_held_to_the_task_it_was_trained_for(tmp_path: Path) -> None:
    assert trained_tasks(None, ["desk", "other"]) == ()
    assert trained_tasks(tmp_path, ["desk", "other"]) == ("desk", "other")  # made elsewhere: it does not say
    stamp(tmp_path / "training.json", training_record(task="desk"))
    assert trained_tasks(tmp_path, ["desk", "other"]) == ("desk",)
    stamp(tmp_path / "training.json", {})
    with pytest.raises(Refused, match=r"expected a training record, found .*'task' is a required property"):
        trained_tasks(tmp_path, ["desk"])


def test_a_raised_version_of_a_check_scores_the_reference_again(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = options.root / "base.json"
    judged(replace(options, out=base))
    old = CHECKS["schema"].version
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], version=old + 1))
    session = judged(replace(options, against=str(base)))
    assert session.references[0]["record"].questions["desk/triage"]["check version"] == str(old + 1)
    why = f"check version {old} -> {old + 1}"
    assert session.records[0].rescored["record"]["desk/triage"] == RescoredUnit(why, 20, ())
    assert f"desk/triage: the outputs of the record were scored again ({why}): 0 of 20 cases changed their score" in (
        session.notes
    )
    kept = read_record(max((options.root / ".tunegate" / "runs").glob("*.json")))
    assert kept.rescored == session.records[0].rescored


def test_a_forged_score_of_the_record_is_refused_before_anything_is_written(options: Options) -> None:
    base = options.root / "base.json"
    judged(replace(options, out=base))
    data = json.loads(base.read_text())
    data["cases"]["desk/triage/case03"] |= {"score": 0.0, "passed": False}
    stamp(base, data)
    with pytest.raises(Refused, match=r"desk/triage: the record \(.*case03 score stored as 0\.0, now 1\.0"):
        judged(replace(options, against=str(base), out=options.root / "out.json"))
    assert not (options.root / "out.json").exists()


def test_a_record_that_says_nothing_of_a_policy_is_refused(options: Options) -> None:
    base = options.root / "base.json"
    judged(replace(options, out=base))
    data = json.loads(base.read_text())
    del data["policies"]["desk/triage"]
    stamp(base, data)
    with pytest.raises(Refused, match="found no policies of desk/triage"):
        judged(replace(options, against=str(base)))


def test_nothing_can_be_asked_again_of_outputs_that_are_there() -> None:
    with pytest.raises(Refused, match="no model runs"):
        Options(Path(), "replay:gpt=out.jsonl", record=True, fresh=True).check()


@pytest.mark.parametrize(("changed", "said"), [
    ({"record": False}, "--tg-noise is stored with a baseline: use it with --tg-record"),
    ({"adapters": (Path("a"),)}, "--tg-noise with --tg-adapter: it runs the base twice"),
])  # fmt: skip
def test_noise_is_the_bases_and_kept_with_its_baseline(options: Options, changed: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Session(replace(options, model="smollm2", noise=True, **({"record": True} | changed)))  # type: ignore[arg-type]
