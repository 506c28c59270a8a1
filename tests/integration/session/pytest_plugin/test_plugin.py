"""The suites under pytest: what is collected, selected, judged and shown, and when nothing happens at all."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.project import Project
from tests.support.units import write_unit

GOOD, BAD = '{"product": "boiler"}', "a boiler"
IDS = ["a", "b", "c"]


def answers(ids: list[str], wrong: str = "", unit: str = "desk/triage") -> dict[str, str | None]:
    return {f"{unit}/{case}": BAD if case in wrong else GOOD for case in ids}


def told(result: pytest.RunResult) -> str:
    """Everything a user reads, without the line breaks."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def names(result: pytest.RunResult) -> list[str]:
    """The items of a `--co -q` run, without their files."""
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


def test_a_failed_case_is_a_failed_test_with_its_findings(project: Project) -> None:
    project.unit(IDS)
    result = project.replay(answers(IDS, wrong="b"))
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["desk/triage/b (fixtures/desk/triage.yaml:1)", "input:", "  message b"])
    result.stdout.fnmatch_lines(["output:", "  a boiler", "findings:", "*json.syntax*"])


def test_a_case_without_an_output_fails_as_unscored(project: Project) -> None:
    project.unit(IDS)
    result = project.replay(answers(IDS) | {"desk/triage/b": None})
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*(none: unscored)"])
    assert project.record(project.runs()[0])["units"]["desk/triage"]["unscored"] == 1


def test_every_run_keeps_a_record_and_out_names_another_place(project: Project) -> None:
    project.unit(IDS)
    project.replay(answers(IDS), "--tg-out=here/record.json")
    kept = project.record(project.runs()[0])
    assert kept == project.record("here/record.json")
    assert kept["partial"] is False
    assert kept["cases"]["desk/triage/a"]["output"] == GOOD


def test_collecting_generates_nothing_and_writes_nothing(project: Project) -> None:
    project.unit(IDS)
    result = project.run("--co", "-q", "--tg-model=/no/such/model", "--tg-record")
    assert result.ret == 0
    assert names(result) == [f"test_schema[desk/triage/{case}]" for case in IDS]
    assert {path.name for path in project.path.iterdir()} <= {"fixtures", "suites", "pyproject.toml", ".pytest_cache"}


def test_a_plan_generates_nothing(project: Project) -> None:
    project.unit(IDS)
    for plan in ("--setup-plan", "--setup-only"):
        assert project.run(plan, "--tg-model=/no/such/model").ret == 0


def test_one_case_is_a_partial_run_without_a_verdict(project: Project) -> None:
    project.unit(IDS)
    project.replay(answers(IDS), "--tg-out=base.json")
    result = project.replay(answers(IDS), "--tg-against=base.json", "-k", "desk/triage/b", "--tg-out=record.json")
    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["partial: desk/triage was not evaluated as a whole (1 of 3 cases): no verdict"])
    record = project.record()
    assert record["partial"] is True
    assert record["verdicts"] == record["tasks"] == {}
    assert list(record["cases"]) == ["desk/triage/b"]


def test_a_gate_selected_alone_scores_its_whole_unit(project: Project) -> None:
    project.unit(IDS)
    project.replay(answers(IDS), "--tg-out=base.json")
    result = project.replay(answers(IDS), "--tg-against=base.json", "-k", "gate and triage", "--tg-out=record.json")
    result.assert_outcomes(failed=1, deselected=4)  # three cases can hold nothing
    assert list(project.record()["verdicts"]) == ["desk/triage"]


def wording(project: Project, ids: list[str], task: str = "desk") -> dict[str, str | None]:
    """A vocabulary unit, and answers that meet it."""
    (project.fixtures / task / "refs").mkdir(parents=True, exist_ok=True)
    terms = project.fixtures / task / "refs" / "terms.yaml"
    boiler = {"id": "boiler", "preferred": "boiler", "banned": ["kettle"]}
    terms.write_text(json.dumps({"version": 1, "language": "en", "terms": [boiler]}))
    cases = [{"id": case, "input": "What heats it?", "expect": {"terms": ["boiler"]}} for case in ids]
    more = {"suite": "vocabulary", "check": {"terms": "refs/terms.yaml"}, "cases": cases}
    write_unit(project.fixtures, [], "wording", task, **more)
    return {f"{task}/wording/{case}": "The boiler does." for case in ids}


def test_the_decision_stands_in_the_last_collected_suite_of_its_task(project: Project) -> None:
    project.unit(IDS)
    outputs = answers(IDS) | wording(project, ["w"])
    project.replay(outputs, "--tg-out=base.json")
    both = names(project.replay(outputs, "--tg-against=base.json", "--co", "-q", "-k", "gate"))
    assert both == ["test_schema_gate[desk/triage]", "test_vocabulary_gate[desk/wording]", "test_vocabulary_gate[desk]"]


def test_a_whole_file_is_a_whole_verdict_and_no_decision(project: Project) -> None:
    project.unit(IDS)
    outputs = answers(IDS) | wording(project, ["w"])
    project.replay(outputs, "--tg-out=base.json")
    for selection in (["-k", "test_vocabulary"], ["--deselect=suites/test_schema.py"]):
        result = project.replay(outputs, "--tg-against=base.json", "--tg-out=record.json", *selection)
        record = project.record()
        assert list(record["verdicts"]) == ["desk/wording"]
        assert record["tasks"] == {}
        assert record["partial"] is True
        assert len(record["cases"]) == 1
        result.stdout.fnmatch_lines(["partial: desk/triage was not evaluated as a whole (0 of 3 cases): no verdict"])
    only = project.pytester.runpytest(
        "suites/test_vocabulary.py", "--tg-model=replay:outputs.jsonl", "--tg-against=base.json", "-v"
    )
    only.assert_outcomes(passed=1, failed=1, deselected=1)


def test_sealed_units_are_left_out_until_asked_for(project: Project) -> None:
    project.unit(IDS)
    project.unit(IDS, "last", sealed=True)
    outputs = answers(IDS) | answers(IDS, unit="desk/last")
    project.replay(outputs, "--tg-out=base.json").assert_outcomes(passed=3)
    assert project.record("base.json")["partial"] is False
    project.replay(outputs, "--tg-sealed", "--tg-out=base.json").assert_outcomes(passed=6)
    sealed = names(project.replay(outputs, "--tg-sealed", "--tg-against=base.json", "--co", "-q", "-k", "last"))
    assert sealed == ["test_schema_gate[desk/last]"]
    result = project.replay(outputs, "--tg-sealed", "--tg-against=base.json", "-k", "last", "--tg-out=record.json")
    result.assert_outcomes(
        failed=1, deselected=5
    )  # a sealed unit must be held like any other, which three cases cannot
    assert len(project.record()["cases"]) == 3


def test_maxfail_shortens_the_report_but_not_the_record(project: Project) -> None:
    project.unit(IDS)
    result = project.replay(answers(IDS, wrong="abc"), "-x", "--tg-out=record.json")
    result.assert_outcomes(failed=1)
    assert len(project.record()["cases"]) == 3
    assert project.record()["partial"] is False


def test_last_failed_repeats_what_failed_and_then_everything(project: Project) -> None:
    ids = [f"case{number}" for number in range(20)]
    project.unit(ids)
    project.unit(ids, "other")
    project.policy(triage={"role": "guard", "margin": 0.4}, other={"role": "guard", "margin": 0.4})
    outputs = answers(ids) | answers(ids, unit="desk/other")
    project.replay(outputs, "--tg-out=base.json")
    worse = outputs | dict.fromkeys([f"desk/triage/{case}" for case in ids[:15]], BAD)
    project.replay(worse, "--tg-against=base.json").assert_outcomes(passed=26, failed=17)

    again = project.replay(worse, "--tg-against=base.json", "--lf", "--tg-out=record.json")
    again.assert_outcomes(failed=17)
    assert project.record()["partial"] is False  # the decision asks for its whole task

    project.replay(outputs, "--tg-against=base.json", "--lf").assert_outcomes(passed=17)
    project.replay(outputs, "--tg-against=base.json", "--lf").assert_outcomes(passed=43)


def test_failed_first_changes_the_order_alone(project: Project) -> None:
    project.unit(IDS)
    project.replay(answers(IDS, wrong="c"))
    result = project.replay(answers(IDS, wrong="c"), "--ff", "-v")
    result.assert_outcomes(passed=2, failed=1)
    order = [line.split()[0].partition("::")[2] for line in result.outlines if "%]" in line]
    assert order == [f"test_schema[desk/triage/{case}]" for case in "cab"]


def test_junit_counts_as_the_terminal_does(project: Project) -> None:
    ids = [f"case{number}" for number in range(20)]
    project.unit(ids)
    project.policy(triage={"role": "guard", "margin": 0.4})
    project.replay(answers(ids) | {"desk/triage/case0": BAD}, "--tg-out=base.json")
    worse = answers(ids) | {"desk/triage/case0": BAD, "desk/triage/case1": BAD, "desk/triage/case2": None}
    project.replay(worse, "--tg-against=base.json", "--junitxml=junit.xml")
    suite = ElementTree.parse(project.path / "junit.xml").getroot()[0]  # noqa: S314  (our own file)
    assert {name: int(suite.get(name, 0)) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": 22, "failures": 4, "skipped": 1, "errors": 0
    }  # fmt: skip
    [missed] = suite.iter("skipped")
    assert (missed.get("type"), missed.get("message")) == ("pytest.xfail", "missed before, misses now")


def test_junit_leads_from_a_suite_to_the_fixture_and_has_the_findings(project: Project) -> None:
    project.unit(IDS)
    file = project.path / "fixtures/desk/triage.yaml"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=1))
    line = next(number for number, each in enumerate(file.read_text().splitlines()) if '"id": "c"' in each)
    project.policy(triage={"role": "guard", "margin": 0.4})
    project.replay(answers(IDS), "--tg-out=base.json")
    project.replay(
        answers(IDS, wrong="c"), "--tg-against=base.json", "--junitxml=junit.xml", "-o", "junit_family=xunit1"
    )
    tests = {each.get("name"): each for each in ElementTree.parse(project.path / "junit.xml").iter("testcase")}  # noqa: S314
    failed = tests["test_schema[desk/triage/c]"]
    assert failed.get("classname") == "suites.test_schema"
    assert (failed.get("file"), failed.get("line")) == ("fixtures/desk/triage.yaml", str(line - 1))
    properties = [(each.get("name"), each.get("value")) for each in failed.iter("property")]
    assert properties[:3] == [("file", "fixtures/desk/triage.yaml"), ("line", str(line)), ("score", "0")]
    assert [name for name, _ in properties[3:]] == ["finding"]
    assert properties[3][1].startswith("json.syntax: ")
    gates = [test for name, test in tests.items() if "gate" in name]
    said = {each.get("name") for test in gates for each in test.iter("property")}
    assert said == {"verdict", "decision", "reason"}


def test_a_finding_leads_to_the_line_of_the_schema_and_the_record_holds_no_line(project: Project) -> None:
    project.unit(IDS)
    schema = project.path / "fixtures/desk/refs/product.schema.json"
    schema.write_text(json.dumps(json.loads(schema.read_text()), indent=1))
    line = next(number for number, each in enumerate(schema.read_text().splitlines(), start=1) if '"enum"' in each)
    outputs = answers(IDS) | {"desk/triage/c": '{"product": "tap"}'}
    result = project.replay(outputs, "--tg-out=record.json", "--junitxml=junit.xml")

    place = f"fixtures/desk/refs/product.schema.json:{line}"
    result.stdout.fnmatch_lines([f'  - schema.enum at product: should be one of *, is "tap" ({place})'])
    assert f"({place})" in (project.path / "junit.xml").read_text()
    sidecar = [json.loads(each) for each in (project.path / "record.cases.jsonl").read_text().splitlines()]
    assert [each.get("sources") for each in sidecar] == [None, None, [place, ""]]
    assert place not in (project.path / "record.json").read_text()


def test_collection_errors_elsewhere_stop_before_generating(project: Project) -> None:
    project.unit(IDS)
    (project.path / "suites" / "test_broken.py").write_text("import nothing_of_the_kind\n")
    assert project.replay(answers(IDS)).ret == pytest.ExitCode.INTERRUPTED
    assert project.runs() == []
    result = project.replay(answers(IDS), "--continue-on-collection-errors")
    result.assert_outcomes(passed=3, errors=1)


def test_an_unknown_suite_is_an_error_of_its_file(project: Project) -> None:
    project.unit(IDS)
    file = project.path / "suites" / "test_schema.py"
    file.write_text(file.read_text().replace('suite("schema")', 'suite("scheme")'))
    result = project.replay(answers(IDS))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    # with its parenthesis as it is, this file itself would count as a suite, which workers may not run
    result.stdout.fnmatch_lines(["*expected pytestmark = pytest.mark.suite[(]NAME), NAME one of *found 'scheme'"])


def test_a_suites_own_assertions_are_never_excused(project: Project) -> None:
    project.unit(IDS)
    file = project.path / "suites" / "test_schema.py"
    file.write_text(file.read_text().replace("tunegate_case.check()", "assert tunegate_case.id != 'desk/triage/b'"))
    project.replay(answers(IDS, wrong="b"), "--tg-out=base.json")
    result = project.replay(answers(IDS, wrong="b"), "--tg-against=base.json", "-k", "desk/triage/b")
    result.assert_outcomes(failed=1, deselected=4)


# --- refusals


def test_a_model_that_is_not_there_is_an_outage_and_leaves_no_record(project: Project) -> None:
    project.unit(IDS)
    result = project.run("--tg-model=./nowhere", "--tg-out=record.json")
    assert result.ret == 3
    assert "model './nowhere': expected one of smollm2" in told(result)
    assert "nothing there" in told(result)
    assert project.runs() == []
    assert not (project.path / "record.json").exists()


def test_a_replayed_case_that_does_not_exist_is_refused(project: Project) -> None:
    project.unit(IDS)
    result = project.replay(answers(["a", "b", "z"]))
    assert result.ret == 4
    assert "outputs.jsonl:3: case: expected a case of the fixtures, found 'desk/triage/z'" in told(result)


MEANINGLESS: list[tuple[list[str], str]] = [
    (["--tg-record", "--tg-against=baseline"], "--tg-record writes the baseline that --tg-against compares with"),
    (["--tg-record", "--tg-adapter=x", "--tg-adapter=y"], "--tg-record with several --tg-adapter"),
    (["--tg-model=replay:x", "--tg-record"], "a baseline of supplied outputs needs a name: replay:NAME=FILE"),
    (["--tg-model=replay:x", "--tg-adapter=x"], "supplied outputs take no adapter"),
    (["--tg-requests=x"], "--tg-requests: expected --tg-model replay:FILE, found another model"),
    (["--tg-model=replay:x", "--tg-against=baseline"], "compare with --tg-against RECORD.json"),
    (["--tg-adapter=one/a", "--tg-adapter=two/a"], "expected folders of different names, found 2 named 'a'"),
    (["--tg-out=suites"], "--tg-out suites: expected a file for one record, found a folder"),
    (["--tg-adapter=x", "--tg-adapter=y", "--tg-out=pyproject.toml"], "a folder for several records, found a file"),
    (["--tg-repeats=0"], "--tg-repeats: expected a whole number from 1, found 0"),
    (["--tg-cases=elsewhere"], "give the one that holds them: --cases DIR (pytest: --tg-cases DIR)"),
]


def test_options_that_mean_nothing_are_refused(project: Project) -> None:
    project.unit(IDS)
    for options, reason in MEANINGLESS:
        result = project.run(*options)
        assert result.ret == 4
        assert reason in told(result)


# --- settings


def settings(project: Project, text: str) -> None:
    file = project.path / "pyproject.toml"
    file.write_text(file.read_text() + f"\n[tool.tunegate]\n{text}\n")


def test_settings_stand_in_for_options(project: Project) -> None:
    settings(project, 'model = "replay:outputs.jsonl"\ncases = "mine"')
    project.unit(IDS)
    project.fixtures.rename(project.path / "mine")
    project.replay(answers(IDS)).assert_outcomes(passed=3)
    assert project.run().ret == 0
    assert "model './nowhere'" in told(project.run("--tg-model=./nowhere"))  # the command line wins


def test_settings_that_mean_nothing_are_refused(project: Project) -> None:
    settings(project, 'modell = "x"')
    project.unit(IDS)
    result = project.replay(answers(IDS))
    assert result.ret == 4
    assert "[tool.tunegate] expected one of model, " in told(result)
    assert "found 'modell'; did you mean 'model'?" in told(result)


def test_a_project_without_configuration_is_where_one_stands(project: Project, tmp_path: Path) -> None:
    (project.path / "pyproject.toml").unlink()
    project.unit(IDS)
    far = tmp_path / "far" / "model"
    far.mkdir(parents=True)
    result = project.run("--tg-model", str(far))  # pytest takes this for a path of its own, and guesses another root
    assert "a folder without config.json" in told(result)


# --- workers


def test_workers_are_refused_for_the_suites(project: Project) -> None:
    project.unit(IDS)
    (project.path / "tests").mkdir()
    for options in ([], ["suites/test_schema.py::test_schema"], ["tests/", "--tg-record"], ["--tg-cases=fixtures"]):
        result = project.pytester.runpytest("-n2", *options)
        assert result.ret == 4
        assert "run them with -n0" in told(result)


def test_workers_that_meet_a_suite_score_nothing(project: Project) -> None:
    project.unit(IDS)
    (project.path / "far" / "away").mkdir(parents=True)
    (project.path / "suites").rename(project.path / "far" / "away" / "suites")
    result = project.pytester.runpytest_subprocess("-n2")
    assert result.ret not in (0, 3, 5)
    assert "run them with -n0" in told(result)
    assert project.runs() == []


# --- what is not imported


def test_the_plugin_is_idle_in_a_project_without_suites(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_idle():
            ours = {name for name in sys.modules if name.startswith("tunegate.") and name.count(".") > 2}
            light = ["core.errors", "core.reading", "core.escaping", "core.extras",
                     "core.crashes", "models.model_options", "models.options", "models.options.table",
                     "session.pytest_plugin", "session.pytest_plugin.errors", "session.pytest_plugin.plugin",
                     "session.pytest_plugin.stash"]
            assert ours == {f"tunegate.harness.{name}" for name in light}
            assert not {"torch", "scipy", "numpy", "yaml", "rich"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)
