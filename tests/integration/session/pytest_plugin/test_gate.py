"""Recording and the gate under pytest: baselines, records to compare with, what blocks, and how it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.project import Project
from tests.support.records import save, stamp
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay

GOOD, BAD = '{"product": "boiler"}', "a boiler"
IDS = [f"case{number:02}" for number in range(20)]
GUARD = {"role": "guard", "margin": 0.4}
NARROW = {"role": "guard", "margin": 0.2}


def answers(wrong: int = 0, unit: str = "desk/triage") -> dict[str, str | None]:
    """Answers to all of IDS; the first `wrong` of them miss."""
    return {f"{unit}/{case}": BAD if number < wrong else GOOD for number, case in enumerate(IDS)}


def told(result: pytest.RunResult) -> str:
    """Everything a user reads, without the line breaks."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.fixture
def triage(project: Project) -> Project:
    """Twenty cases with a wide margin, and `base.json`: a record in which the first two miss."""
    project.unit(IDS)
    project.policy(triage=GUARD)
    project.replay(answers(wrong=2), "--tg-out=base.json")
    return project


def gate(project: Project, outputs: dict[str, str | None], *arguments: str) -> pytest.RunResult:
    return project.replay(outputs, "--tg-against=base.json", "--tg-out=record.json", *arguments)


# --- against a record


def test_no_change_passes_and_old_misses_are_expected(triage: Project) -> None:
    result = gate(triage, answers(wrong=2))
    assert result.ret == 0
    result.assert_outcomes(passed=20, xfailed=2)
    assert triage.record()["verdicts"]["desk/triage"]["verdict"] == "held"
    assert triage.record()["tasks"]["desk"]["decision"] == "release"
    gate(triage, answers(wrong=2), "--runxfail").assert_outcomes(passed=20, xfailed=2)


def test_a_fixed_case_passes_although_xfail_is_strict(triage: Project) -> None:
    result = gate(triage, answers(wrong=0))
    assert result.ret == 0
    result.assert_outcomes(passed=22)
    assert triage.record()["verdicts"]["desk/triage"]["fixed_cases"] == ["case00", "case01"]


def test_a_break_in_a_unit_that_holds_is_shown_and_passes(triage: Project) -> None:
    result = gate(triage, answers(wrong=3), "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_schema[[]desk/triage/case02[]] REGRESSED*"])
    assert "19 passed, 2 xfailed, 1 regressed" in told(result)


def test_a_regression_fails_its_breaks_its_unit_and_its_task(triage: Project) -> None:
    result = gate(triage, answers(wrong=17))
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=17, xfailed=2)
    assert "desk/triage: Regressed" in told(result)
    assert triage.record()["tasks"]["desk"]["decision"] == "block"


def test_a_regression_fails_where_its_unit_was_not_scored_whole(triage: Project) -> None:
    result = gate(triage, answers(wrong=3), "-k", "case02 or case00")
    assert result.ret == 1
    result.assert_outcomes(failed=1, xfailed=1, deselected=20)
    result.stdout.fnmatch_lines(["difference:", f"  before: {GOOD}", f"  now:    {BAD}"])


def critical_case(case: str) -> dict:
    """A case like those of `Project.unit`, critical if it is case02."""
    return {"id": case, "input": f"message {case}", "expect": {"product": "boiler"}, "critical": case == "case02"}


def test_a_critical_break_fails_by_itself(project: Project) -> None:
    cases = [critical_case(case) for case in IDS]
    project.unit(IDS, cases=cases)
    project.policy(triage=GUARD)
    project.replay(answers(wrong=2), "--tg-out=base.json")
    result = gate(project, answers(wrong=4))
    assert result.ret == 1
    # case02 is critical; case03 regressed beside it, in a unit that now blocks
    result.assert_outcomes(passed=16, failed=4, xfailed=2)
    assert "critical-regression" in [each["code"] for each in project.record()["verdicts"]["desk/triage"]["remarks"]]


def test_a_critical_case_that_flips_by_itself_fails_no_run(project: Project) -> None:
    project.unit(IDS, cases=[critical_case(case) for case in IDS])
    project.policy(triage=GUARD)
    project.replay(answers(wrong=2), "--tg-out=base.json")
    base = project.path / "base.json"
    noise = {"desk/triage": {"asked": 20, "other_outputs": 5, "flips": ["case02"]}}
    stamp(base, json.loads(base.read_text()) | {"noise": noise})
    result = gate(project, answers(wrong=3))
    assert result.ret == 0
    assert "not blocking, as the base's result flips on a re-run: case02." in told(result)


@pytest.mark.parametrize(("more", "verdict"), [({}, "regressed"), ({"unstable": True}, "held")])
def test_a_critical_case_that_fails_once_in_three_blocks_unless_it_is_declared_unstable(
    project: Project, more: dict[str, bool], verdict: str
) -> None:
    cases = [critical_case(case) for case in IDS]
    cases = [case | more if case.get("critical") else case for case in cases]
    project.unit(IDS, cases=cases, generate={"temperature": 0.7})
    project.policy(triage=GUARD)
    sampled = [{"case": key, "output": good, "repeat": each} for key, good in answers().items() for each in range(3)]
    arguments = ["--tg-model=replay:sampled.jsonl", "--tg-repeats=3"]
    file = project.path / "sampled.jsonl"
    file.write_text("\n".join(map(json.dumps, sampled)))
    assert project.run(*arguments, "--tg-out=base.json").ret == 0
    once = [dict(line, output=BAD) if (line["case"][-2:], line["repeat"]) == ("02", 1) else line for line in sampled]
    file.write_text("\n".join(map(json.dumps, once)))
    result = project.run(*arguments, "--tg-against=base.json", "--tg-out=record.json")
    result.assert_outcomes(**({"passed": 21, "failed": 1} if more else {"passed": 19, "failed": 3}))
    assert project.record()["verdicts"]["desk/triage"]["verdict"] == verdict


def test_a_mean_of_three_answers_is_not_compared_with_one(project: Project) -> None:
    project.unit(IDS, generate={"temperature": 0.7})
    project.policy(triage=GUARD)
    sampled = [{"case": key, "output": good, "repeat": each} for key, good in answers().items() for each in range(3)]
    (project.path / "sampled.jsonl").write_text("\n".join(map(json.dumps, sampled)))
    assert project.run("--tg-model=replay:sampled.jsonl", "--tg-repeats=3", "--tg-out=base.json").ret == 0
    result = project.replay(answers(), "--tg-against=base.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*desk/triage: the record holds 3 outputs per case, and this run 1; run with --tg-repeats=3*"]
    )


def test_an_unscored_case_fails_and_blocks(triage: Project) -> None:
    result = gate(triage, answers() | {"desk/triage/case00": None})  # it missed before: that is no excuse
    assert result.ret == 1
    result.assert_outcomes(passed=19, failed=3)
    remark, *_ = triage.record()["verdicts"]["desk/triage"]["remarks"]
    assert remark["code"] == "not-comparable"
    assert "the run has no score for 1 case (case00)" in remark["text"]


def test_inconclusive_can_be_a_warning_but_stays_a_block(triage: Project) -> None:
    triage.policy(triage=NARROW)
    outputs = answers(wrong=5)
    assert gate(triage, outputs).ret == 1
    assert triage.record()["verdicts"]["desk/triage"]["verdict"] == "inconclusive"
    warned = gate(triage, outputs, "--tg-inconclusive=warn")
    assert warned.ret == 0
    assert "3 regressed" in told(warned)
    assert triage.record()["tasks"]["desk"]["decision"] == "block"
    assert gate(triage, answers(wrong=17), "--tg-inconclusive=warn").ret == 1  # a regression is more than a warning


def test_differences_between_the_subjects_are_told(triage: Project) -> None:
    gate(triage, answers(wrong=2)).stdout.no_fnmatch_line("*differs*")
    gate(triage, answers(wrong=3)).stdout.fnmatch_lines(["subject differs: file * -> *"])


def test_other_questions_and_other_cases_are_refused_by_name(triage: Project) -> None:
    triage.unit(IDS, check={"schema": {"minProperties": 1}})
    asked = gate(triage, answers())
    assert asked.ret == 4
    assert "desk/triage was evaluated with other checks, other references" in told(asked)
    triage.unit([*IDS[1:], "new"])
    renamed = gate(triage, {key: output for key, output in answers().items() if not key.endswith("case00")})
    assert renamed.ret == 4
    assert "desk/triage was evaluated with other cases (+new, -case00)" in told(renamed)
    assert len(triage.runs()) == 1


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_record_that_is_none_is_refused(triage: Project, text: str | None) -> None:
    (triage.path / "base.json").unlink()
    if text:
        (triage.path / "base.json").write_text(text)
    result = gate(triage, answers())
    assert result.ret == 4
    assert "expected a record" in told(result)


# --- the baseline of a model


@pytest.fixture
def recorded(project: Project, tiny_model: Path) -> Callable[..., pytest.RunResult]:
    """A project whose two units have a baseline of the tiny model; runs pytest on that model."""
    project.unit(IDS)
    project.unit(IDS, "second")
    project.policy(triage=GUARD, second=GUARD)

    def run(*arguments: str) -> pytest.RunResult:
        return project.run(f"--tg-model={tiny_model}", *arguments)

    result = run("--tg-record")
    assert result.ret == 0
    result.assert_outcomes(xfailed=40)
    return run


def baselines(project: Project) -> dict[str, str]:
    """The text of every baseline file, by its name."""
    return {path.name: path.read_text() for path in (project.path / "baselines").glob("*/desk/*.json")}


def test_recording_writes_a_file_a_unit(project: Project, recorded: Callable[..., pytest.RunResult]) -> None:
    files = baselines(project)
    assert sorted(files) == ["second.json", "triage.json"]
    again = recorded("--tg-record")
    again.stdout.fnmatch_lines(["desk/triage: unchanged (*"])
    assert baselines(project) == files


def test_a_model_equals_its_baseline(project: Project, recorded: Callable[..., pytest.RunResult]) -> None:
    result = recorded("--tg-against=baseline", "--tg-out=record.json")
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=40)
    verdicts = project.record()["verdicts"]
    assert {unit: verdict["verdict"] for unit, verdict in verdicts.items()} == {
        "desk/triage": "cannot fall", "desk/second": "cannot fall"
    }  # fmt: skip


def test_without_a_baseline_there_is_no_gate(project: Project, tiny_model: Path) -> None:
    project.unit(IDS)
    result = project.run(f"--tg-model={tiny_model}", "--tg-against=baseline")
    assert result.ret == 4
    assert "desk/triage: expected a baseline at baselines/tiny" in told(result)
    assert f"pytest fixtures/ --tg-record --tg-model={tiny_model}" in told(result)
    assert project.runs() == []


def test_a_new_file_asks_for_its_own_baseline_alone(
    project: Project, recorded: Callable[..., pytest.RunResult]
) -> None:
    project.unit(IDS, "third")
    result = recorded("--tg-against=baseline")
    assert result.ret == 4
    assert "desk/third: expected a baseline" in told(result)
    assert "desk/triage" not in told(result)
    assert recorded("--tg-record", "-k", "desk/third").ret == 0
    assert (
        recorded("--tg-against=baseline", "-k", "triage or second or third").ret == 1
    )  # 0.05 is too narrow for twenty


def test_a_changed_fixture_needs_a_new_baseline_of_its_unit(
    project: Project, recorded: Callable[..., pytest.RunResult]
) -> None:
    project.unit(IDS, check={"schema": {"minProperties": 1}})
    result = recorded("--tg-against=baseline")
    assert result.ret == 4
    assert "has other checks, other references; record it again" in told(result)
    assert "desk/second" not in told(result)


def test_an_adapter_is_judged_against_the_baseline_and_never_recorded_as_one(
    project: Project, recorded: Callable[..., pytest.RunResult], make_adapter: Callable[[str], Path]
) -> None:
    adapter, files = make_adapter("tuned"), baselines(project)
    result = recorded(f"--tg-adapter={adapter}", "--tg-against=baseline", "--tg-out=record.json")
    assert project.record()["adapter"] == str(adapter)
    assert set(project.record()["verdicts"]) == {"desk/triage", "desk/second"}
    result.assert_outcomes(passed=2, failed=1, xfailed=40)  # it holds, but nothing shows what it was trained for
    refused = recorded(f"--tg-adapter={adapter}", "--tg-record")
    assert refused.ret == 4
    assert "only the released adapter may renew its files" in told(refused)
    assert baselines(project) == files


def test_an_adapter_that_is_not_there_is_never_the_base(
    recorded: Callable[..., pytest.RunResult], make_adapter: Callable[[str], Path], project: Project
) -> None:
    result = recorded(f"--tg-adapter={make_adapter('tuned')}", "--tg-adapter=missing", "--tg-out=records")
    assert result.ret == 4
    assert "adapter_config.json" in told(result)
    assert "no such folder" in told(result)
    result.stdout.no_fnmatch_line("Judging*")  # nor was the first one judged in vain
    assert not (project.path / "records").exists()
    assert len(project.runs()) == 1


def test_several_adapters_have_a_record_each(
    project: Project, recorded: Callable[..., pytest.RunResult], make_adapter: Callable[[str], Path]
) -> None:
    adapters = [f"--tg-adapter={make_adapter(name)}" for name in ("tuned", "other")]
    result = recorded(*adapters, "--tg-out=records", "-v")
    result.assert_outcomes(failed=80)
    result.stdout.fnmatch_lines(["*test_schema[[]desk/triage/case00@tuned[]] FAILED*", "*@other[]] FAILED*"])
    assert len(re.findall(r"Loading (?!\S+ on )", told(result))) == 1, "many adapters, one base"
    result.stdout.fnmatch_lines(
        ["*leaderboard*", "*tuned*0.0 %*", "*other*0.0 %*", "2 adapters of * MB in all on one*"]
    )
    tuned, other = project.record("records/tuned.json"), project.record("records/other.json")
    assert tuned["fingerprint"]["subject"]["adapter"] != other["fingerprint"]["subject"]["adapter"]
    assert tuned["cases"] != other["cases"]

    recorded(*adapters, "--tg-against=baseline", "--tg-out=gated")
    gated = [project.record(f"gated/{name}.json") for name in ("tuned", "other")]
    assert [each["sealed_evaluations"]["desk/triage"] for each in gated] == [1, 2]  # the second one was asked second


def test_what_only_the_last_release_could_do_is_a_break(
    project: Project, recorded: Callable[..., pytest.RunResult], make_adapter: Callable[[str], Path]
) -> None:
    [baseline] = (project.path / "baselines").glob("*/desk/triage.json")
    known, [task] = read_baseline(baseline, "desk/triage"), load_tasks(project.fixtures)
    keys = {f"desk/triage/{case}": each for case, each in known.results.items()}
    completions = {(key, 0): each.as_completion(key) for key, each in keys.items()}
    completions["desk/triage/case00", 0] = Completion("desk/triage/case00", GOOD)
    another = Fingerprint({**known.subject, "adapter": "another"}, known.engine, {"model": "tiny"})
    released = evaluate(task.units, Replay(completions, another), quiet())
    save(project.path / "baselines", replace(released, policies=task.policies), task.units, released=True)
    result = recorded(f"--tg-adapter={make_adapter('tuned')}", "--tg-against=baseline", "-v")
    result.stdout.fnmatch_lines(["*test_schema[[]desk/triage/case00[]] REGRESSED*", "*case01[]] XFAIL*"])
