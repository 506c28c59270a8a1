"""`pytest fixtures/`: which YAML is collected, what its tests are called, and that it is judged as in the suites."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.support.project import Project
from tests.support.units import SCHEMA, write_outputs, write_unit

GOOD, BAD = '{"product": "boiler"}', "a boiler"
IDS = ["a", "b", "c"]
ONE, TWO = "fixtures/desk/triage.yaml", "fixtures/desk/second.yaml"
WIDE = {"role": "guard", "margin": 0.99}


def answers(wrong: str = "", *units: str) -> dict[str, str | None]:
    units = units or ("triage", "second")
    return {f"desk/{unit}/{case}": BAD if case in wrong else GOOD for unit in units for case in IDS}


def told(result: pytest.RunResult) -> str:
    """Everything a user reads, without the line breaks."""
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def ids(result: pytest.RunResult) -> list[str]:
    """The node ids of a `--co -q` run."""
    return [line for line in result.outlines if "::" in line]


class Files:
    """A project with two units of three cases each, and pytest on its fixture files."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.path
        project.unit(IDS)
        project.unit(IDS, "second")
        project.policy(triage=WIDE, second=WIDE)
        self.answer(answers())

    def answer(self, outputs: dict[str, str | None]) -> None:
        write_outputs(self.path / "outputs.jsonl", outputs)

    def run(self, *arguments: str | Path) -> pytest.RunResult:
        return self.project.pytester.runpytest("--tg-model=replay:outputs.jsonl", *arguments)

    def collect(self, *arguments: str | Path) -> list[str]:
        result = self.project.pytester.runpytest("--co", "-q", *arguments)
        assert result.ret in (0, 5), told(result)
        return ids(result)

    def gate(self, *arguments: str | Path) -> pytest.RunResult:
        return self.run("--tg-against=base.json", "--tg-out=record.json", *arguments)

    def keep(self, *arguments: str | Path) -> None:
        """Make `base.json`, the record to compare with."""
        self.run("fixtures", "--tg-out=base.json", *arguments)

    def configure(self, text: str = "") -> None:
        file = self.path / "pyproject.toml"
        file.write_text(file.read_text() + f"\n[tool.tunegate]\n{text}\n")


@pytest.fixture
def files(project: Project) -> Files:
    return Files(project)


def cases(file: str, which: list[str] = IDS) -> list[str]:
    return [f"{file}::{case}" for case in which]


EVERY = [*cases(TWO), *cases(ONE)]
ENDS = [f"{TWO}::@gate", f"{ONE}::@gate", f"{ONE}::@decision"]
GATED = [*cases(TWO), f"{TWO}::@gate", *cases(ONE), f"{ONE}::@gate", f"{ONE}::@decision"]


# --- what is collected, and how it is called


NAMED: list[tuple[list[str], list[str]]] = [
    (["fixtures"], EVERY),
    (["./fixtures/../fixtures"], EVERY),
    (["fixtures/desk"], EVERY),
    ([ONE], cases(ONE)),
    ([f"{ONE}::b", TWO], [f"{ONE}::b", *cases(TWO)]),
    ([".", "fixtures"], EVERY),  # pytest takes the first for both
    ([], []),
    (["."], []),
    (["fixtures/desk/refs"], []),
    (["fixtures/desk/task.yaml"], []),
]


def test_what_the_command_line_names_is_collected(files: Files) -> None:
    for file in (files.path / "suites").glob("test_*.py"):
        file.unlink()
    for named, found in NAMED:
        assert files.collect(*named) == found, named


def test_every_id_that_is_shown_can_be_given_back(files: Files) -> None:
    files.keep()
    shown = ids(files.gate("fixtures", "--co", "-q"))
    assert shown == GATED
    for each in shown:
        assert ids(files.gate(each, "--co", "-q")) == [each]


def test_the_folder_from_within_is_named_by_a_dot(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files.path / "fixtures" / "desk")
    assert files.collect() == []
    assert files.collect(".") == EVERY
    assert files.collect("triage.yaml::a", "../desk/second.yaml") == [f"{ONE}::a", *cases(TWO)]


def test_a_project_that_is_configured_needs_no_names(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.configure()
    assert files.collect("--ignore=suites") == EVERY
    monkeypatch.chdir(files.path / "fixtures")
    assert files.collect() == EVERY


def test_a_project_names_another_folder(files: Files) -> None:
    files.configure('cases = "evals/cases"')
    (files.path / "evals").mkdir()
    (files.path / "fixtures").rename(files.path / "evals" / "cases")
    write_unit(files.path / "fixtures", ["not", "ours"])
    there = [each.replace("fixtures", "evals/cases") for each in EVERY]
    assert files.collect("evals") == there
    assert files.collect("evals/cases/desk/triage.yaml::a") == ["evals/cases/desk/triage.yaml::a"]
    assert files.collect("fixtures") == []


def test_an_option_names_another_folder(files: Files) -> None:
    (files.path / "far" / "away").mkdir(parents=True)
    (files.path / "fixtures").rename(files.path / "far" / "away" / "cases")
    there = [each.replace("fixtures", "far/away/cases") for each in EVERY]
    assert files.collect("far/away/cases", "--tg-cases=suites/../far/away/cases") == there
    assert files.collect("far", "--tg-cases=far/away/cases") == there
    assert files.collect("far") == []


def test_paths_listed_for_plain_pytest_name_no_fixtures(files: Files) -> None:
    file = files.path / "pyproject.toml"
    file.write_text(file.read_text() + 'testpaths = ["fixtures"]\n')
    assert files.collect() == []
    files.configure()
    assert files.collect() == EVERY


def test_a_link_is_as_good_as_the_folder(files: Files) -> None:
    real = files.path / "data"
    (files.path / "fixtures").rename(real)
    (files.path / "fixtures").symlink_to(real, target_is_directory=True)
    assert files.collect("fixtures") == EVERY
    assert files.collect("data") == [each.replace("fixtures", "data") for each in EVERY]
    (real / "more").symlink_to(real / "desk", target_is_directory=True)
    assert files.collect("fixtures/more/triage.yaml") == cases("fixtures/more/triage.yaml")


def test_another_root_gives_other_ids_for_the_same_tests(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "pytest.ini").write_text("[pytest]\n")
    result = files.run(f"--rootdir={elsewhere}", "-c", elsewhere / "pytest.ini", "--tg-cases=fixtures", "fixtures")
    result.assert_outcomes(passed=6)
    result = files.run("--rootdir=fixtures", "fixtures")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "fixture files are fixtures/fixtures/<task>/*.yaml" in told(result)
    files.run("--rootdir=fixtures", "fixtures", "--tg-cases=fixtures").assert_outcomes(passed=6)


def test_what_is_no_fixture_file_has_no_tests(files: Files) -> None:
    write_unit(files.path / "fixtures", IDS, task="_drafts")
    (files.path / "fixtures" / "desk" / ".hidden.yaml").write_text("{")
    assert files.collect("fixtures") == EVERY
    assert files.collect(*(files.path / "fixtures").glob("*/*.yaml")) != []  # as a shell does, task.yaml included
    result = files.run("fixtures/desk/refs/product.schema.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_other_endings_are_fixture_files_too(files: Files) -> None:
    suffix = "YML"
    (files.path / TWO).rename(files.path / "fixtures" / "desk" / f"second.{suffix}")
    assert files.collect(f"fixtures/desk/second.{suffix}") == cases(f"fixtures/desk/second.{suffix}")


# --- whom it leaves alone


DJANGO = "- model: shop.product\n  pk: 1\n  fields: {name: Kettle\n"  # no YAML: whoever reads it, fails


def shop(pytester: pytest.Pytester) -> None:
    """A project with tests and fixtures of its own, of another kind."""
    (pytester.path / "pytest.ini").touch()
    for folder in ("shop/fixtures", "shop/fixtures/shop", "fixtures", "fixtures/shop"):
        (pytester.path / folder).mkdir(parents=True)
        (pytester.path / folder / "products.yaml").write_text(DJANGO)
    (pytester.path / "fixtures" / "test_theirs.py").write_text("def test_theirs(): pass\n")
    (pytester.path / "shop" / "test_shop.py").write_text("def test_shop(): pass\n")


def test_fixtures_of_others_are_not_read(pytester: pytest.Pytester) -> None:
    shop(pytester)
    for named in ([], ["."], ["shop"], ["shop/test_shop.py", "fixtures/test_theirs.py"]):
        result = pytester.runpytest(*named)
        assert result.ret == 0
        assert "tunegate" not in told(result).replace("tunegate-0", "")  # but for the list of plugins
    pytester.runpytest_subprocess("-n2").assert_outcomes(passed=2)  # workers are welcome


THEIRS = """
import pytest


class Theirs(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name="theirs")


class Item(pytest.Item):
    def runtest(self):
        assert self.path.exists()


def pytest_collect_file(file_path, parent):
    return Theirs.from_parent(parent, path=file_path) if file_path.suffix == ".yaml" else None
"""


def test_another_plugin_collects_its_yaml_beside_ours(files: Files) -> None:
    (files.path / "conftest.py").write_text(THEIRS)
    (files.path / "checks").mkdir()
    (files.path / "checks" / "one.yaml").write_text("theirs: 1")
    assert files.collect("checks") == ["checks/one.yaml::theirs"]
    result = files.run("checks", ONE)
    result.assert_outcomes(passed=5)  # theirs takes ours for its own, too: that is between them
    assert files.collect(f"{ONE}::theirs") == [f"{ONE}::theirs"]
    assert files.collect(f"{ONE}::a") == [f"{ONE}::a"]


def test_a_run_that_asks_for_us_and_finds_nothing_says_why(files: Files) -> None:
    (files.path / "fixtures").rename(files.path / "evals")
    result = files.run("evals")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "fixture files are fixtures/<task>/*.yaml; use --tg-cases DIR for another folder" in told(result)
    assert "tunegate:" not in told(files.project.pytester.runpytest("evals"))


def test_a_file_that_is_none_of_ours_is_not_found_and_says_why(files: Files) -> None:
    (files.path / "fixtures").rename(files.path / "evals")
    result = files.project.pytester.runpytest("evals/desk/triage.yaml::a")
    assert result.ret == 4
    assert "not found" in told(result)
    assert "fixture files are fixtures/<task>/*.yaml; use --tg-cases DIR for another folder" in told(result)


def test_a_gate_without_anything_to_compare_with_is_not_found_and_says_why(files: Files) -> None:
    result = files.run(f"{ONE}::@gate")
    assert result.ret == 4
    assert "gates and decisions exist only under --tg-against" in told(result)
    assert "tunegate:" not in told(files.project.pytester.runpytest(f"{ONE}::nope"))


# --- selection


def test_words_select(files: Files) -> None:
    for expression, found in {
        "b": [f"{TWO}::b", f"{ONE}::b"], "desk/triage": cases(ONE), "desk/triage/c": [f"{ONE}::c"],
        "triage.yaml": cases(ONE), "schema": EVERY, "desk and not second": cases(ONE), "voice": [],
    }.items():  # fmt: skip
        assert files.collect("fixtures", "-k", expression) == found, expression


def test_a_unit_is_selected_by_its_name_whatever_its_file_is_called(files: Files) -> None:
    (files.path / ONE).rename(files.path / "fixtures" / "desk" / "zzz.yaml")
    assert files.collect("fixtures", "-k", "desk/triage") == cases("fixtures/desk/zzz.yaml")


def test_the_marker_of_suites_selects(files: Files) -> None:
    (files.path / "test_plain.py").write_text("def test_plain(): pass\n")
    assert files.collect("fixtures", "test_plain.py", "-m", "suite") == EVERY
    assert files.collect("fixtures", "test_plain.py", "-m", "not suite") == ["test_plain.py::test_plain"]


def test_a_decision_selected_alone_scores_its_whole_task(files: Files) -> None:
    files.keep()
    files.gate(f"{ONE}::@decision").assert_outcomes(passed=1)
    record = files.project.record()
    assert record["tasks"]["desk"]["decision"] == "release"
    assert len(record["cases"]) == 6


def test_a_file_alone_is_a_verdict_and_no_decision(files: Files) -> None:
    files.keep()
    files.gate(ONE).assert_outcomes(passed=4, deselected=1)
    record = files.project.record()
    assert list(record["verdicts"]) == ["desk/triage"]
    assert record["tasks"] == {}
    files.gate(TWO).assert_outcomes(passed=4)


def test_a_unit_of_two_files_has_its_gate_in_the_last(files: Files) -> None:
    files.project.unit(["d", "e"], "third")
    third = files.path / "fixtures" / "desk" / "third.yaml"
    third.write_text(third.read_text().replace('"unit": "third"', '"unit": "second"'))
    files.answer(answers() | {"desk/second/d": GOOD, "desk/second/e": GOOD})
    files.keep()
    last = "fixtures/desk/third.yaml"
    found = ids(files.gate("fixtures", "--co", "-q"))
    assert found == [
        *cases(TWO), *cases(last, ["d", "e"]), f"{last}::@gate", *cases(ONE), f"{ONE}::@gate", f"{ONE}::@decision",
    ]  # fmt: skip

    result = files.gate(TWO)  # a part of the unit
    result.assert_outcomes(passed=3)
    assert files.project.record()["verdicts"] == {}
    assert "partial: desk/second was not evaluated as a whole (3 of 5 cases)" in told(result)

    files.gate(last).assert_outcomes(passed=3)  # its gate asks for the other part, too
    assert list(files.project.record()["verdicts"]) == ["desk/second"]
    assert len(files.project.record()["cases"]) == 5


def test_a_derived_unit_has_its_own_file(files: Files) -> None:
    derived = {"version": 1, "suite": "cost", "unit": "cost", "of": "triage"}
    (files.path / "fixtures" / "desk" / "cost.yaml").write_text(yaml.safe_dump(derived))
    policy = files.path / "fixtures" / "desk" / "task.yaml"
    prices = {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "reason": "a test"}
    policy.write_text(json.dumps(json.loads(policy.read_text()) | {"prices": prices}))
    lines = [{"case": key, "output": out, "tokens_in": 9, "tokens_out": 5} for key, out in answers().items()]
    (files.path / "outputs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    file = "fixtures/desk/cost.yaml"
    assert files.collect("fixtures") == [*cases(file), *EVERY]
    files.run(f"{file}::b", "--tg-out=record.json").assert_outcomes(passed=1)
    assert list(files.project.record()["cases"]) == ["desk/cost/b", "desk/triage/b"]  # what it is priced by


def test_sealed_files_have_no_tests_until_asked_for(files: Files) -> None:
    files.project.unit(IDS, "zlast", sealed=True)
    files.answer(answers("", "triage", "second", "zlast"))
    sealed = "fixtures/desk/zlast.yaml"
    assert files.collect("fixtures") == EVERY
    assert files.collect(sealed) == []
    assert files.collect("fixtures", "--tg-sealed") == [*EVERY, *cases(sealed)]
    files.keep("--tg-sealed")
    found = ids(files.gate("fixtures", "--tg-sealed", "--co", "-q"))
    assert found[-2:] == [f"{sealed}::@gate", f"{sealed}::@decision"]
    assert not set(cases(sealed)) & set(found)  # a failing one would show its text
    files.gate("fixtures").assert_outcomes(passed=9)


# --- what is shown


def pretty(files: Files) -> None:
    """The file as a person writes it, a case on a line of its own."""
    text = ["version: 1", "suite: schema", "unit: triage", f"check: {{schema: {json.dumps(SCHEMA)}}}", "cases:"]
    text += [f"  - {{id: {case}, input: message {case}, expect: {{product: boiler}}}}" for case in IDS]
    (files.path / ONE).write_text("\n".join(text))


def test_a_failure_is_its_findings_and_where_the_case_is_written(files: Files) -> None:
    pretty(files)
    files.answer(answers("b"))
    result = files.run(ONE, "-rA", "--durations=0", "-vv")
    result.stdout.fnmatch_lines([f"{ONE}::b FAILED*", "*_ desk/triage/b _*", f"desk/triage/b ({ONE}:7)"])
    result.stdout.fnmatch_lines(["*json.syntax*", f"PASSED {ONE}::a", f"FAILED {ONE}::b - *"])
    assert "Traceback" not in told(result)
    assert "yaml_files.py" not in told(result)


def test_junit_has_the_file_and_the_line(files: Files) -> None:
    pretty(files)
    files.keep()
    files.answer(answers("b", "triage") | answers("", "second"))
    files.project.policy(triage=WIDE | {"margin": 0.05}, second=WIDE)
    files.keep()
    files.answer(answers("bc", "triage") | answers("", "second"))
    files.gate(ONE, "--junitxml=junit.xml", "-o", "junit_family=xunit1")
    tests = {each.get("name"): each for each in ElementTree.parse(files.path / "junit.xml").getroot().iter("testcase")}  # noqa: S314  (our own file)
    assert set(tests) == {*IDS, "@gate"}
    assert {test.get("file") for test in tests.values()} == {ONE}
    assert {test.get("classname") for test in tests.values()} == {"fixtures.desk.triage.yaml"}
    # pytest counts from 0 here, for its own tests as well
    assert {name: test.get("line") for name, test in tests.items()} == {"a": "5", "b": "6", "c": "7", "@gate": "0"}
    properties = {each.get("name"): each.get("value") for each in tests["c"].iter("property")}  # from 1, in any format
    assert properties == {"file": ONE, "line": "8", "score": "0", "finding": properties["finding"]}
    assert properties["finding"].startswith("json.syntax: ")
    [missed] = tests["b"].iter("skipped")
    assert (missed.get("type"), missed.get("message")) == ("pytest.xfail", "missed before, misses now")
    [failed] = tests["c"].iter("failure")
    assert f"desk/triage/c ({ONE}:8)" in failed.get("message", "")


def test_a_decision_that_blocks_says_so(files: Files) -> None:
    files.keep()
    files.answer(answers("abc"))
    result = files.gate("fixtures")
    result.stdout.fnmatch_lines(["*_ @gate of desk/triage _*", "*_ @decision of desk _*", "desk: Blocked: *"])
    result.assert_outcomes(failed=9)


# --- beside suites


def test_what_suites_judge_too_runs_there_alone(files: Files) -> None:
    files.keep()
    result = files.gate("suites", "fixtures", "-v")
    result.assert_outcomes(passed=9, deselected=9)
    assert "9 tests of fixture files are in suites too, and run there: deselected" in told(result)
    assert f"{ONE}::" not in told(result)
    assert files.project.record()["partial"] is False


def test_what_suites_leave_out_runs_from_its_file(files: Files) -> None:
    files.keep()
    suite = "suites/test_schema.py::test_schema[desk/triage/b]"
    result = files.gate(suite, "fixtures", "-v")
    result.assert_outcomes(passed=9, deselected=1)
    assert f"{suite} PASSED" in told(result)
    assert f"{ONE}::a PASSED" in told(result)
    assert f"{ONE}::@decision PASSED" in told(result)
    only = files.gate("suites", "fixtures", "-k", "triage.yaml", "-v")  # what `-k` leaves is judged, wherever it stands
    only.assert_outcomes(passed=4, deselected=14)


def test_one_kind_in_a_suite_and_another_in_its_file(files: Files) -> None:
    (files.path / "fixtures" / "desk" / "refs" / "terms.yaml").write_text(
        json.dumps(
            {"version": 1, "language": "en", "terms": [{"id": "boiler", "preferred": "boiler", "banned": ["x"]}]}
        )
    )
    words = [{"id": "w", "input": "What heats it?", "expect": {"terms": ["boiler"]}}]
    more = {"suite": "vocabulary", "check": {"terms": "refs/terms.yaml"}, "cases": words}
    write_unit(files.path / "fixtures", [], "wording", **more)
    files.project.policy(triage=WIDE, second=WIDE, wording=WIDE)
    files.answer(answers() | {"desk/wording/w": "The boiler does."})
    files.keep()
    found = ids(files.gate("suites/test_schema.py", "fixtures", "--co", "-q"))
    assert [each.partition("::")[2] for each in found if "desk]" in each or "@" in each] == [
        "test_schema_gate[desk]", "@gate",
    ]  # fmt: skip
    assert found[-2:] == ["fixtures/desk/wording.yaml::w", "fixtures/desk/wording.yaml::@gate"]
    assert len(found) == len(set(found)) == 11
    files.gate("suites/test_schema.py", "fixtures").assert_outcomes(passed=11, deselected=9)
    assert files.project.record()["tasks"]["desk"]["decision"] == "release"


def test_the_shipped_suites_by_their_package_beside_files(files: Files) -> None:
    result = files.run("--pyargs", "tunegate.suites", "fixtures")
    result.assert_outcomes(passed=6, deselected=6)


# --- refusals


@pytest.mark.parametrize("named", [["fixtures"], [f"{TWO}::a"], ["suites", "fixtures"], ["fixtures", "--co"]], ids=str)
def test_all_mistakes_in_the_fixtures_are_told_once(files: Files, named: list[str]) -> None:
    files.project.unit(["a", "a"])
    files.project.unit(IDS, "second", promt={})
    result = files.run(*named)
    assert result.ret == 4
    assert told(result).count("2 mistakes to fix before anything can run") == 1
    assert told(result).count("'a' again") == 1
    assert "did you mean 'prompt'?" in told(result)
    assert "not found" not in told(result)


def test_a_file_beside_the_tasks_is_refused(files: Files) -> None:
    (files.path / ONE).rename(files.path / "fixtures" / "triage.yaml")
    for named in ("fixtures", "fixtures/triage.yaml"):
        result = files.run(named)
        assert result.ret == 4
        assert "move it to fixtures/<task>/triage.yaml" in told(result)


def test_the_folder_of_one_task_is_no_folder_of_fixtures(files: Files) -> None:
    result = files.run("fixtures/desk", "--tg-cases=fixtures/desk")
    assert result.ret == 4
    assert "expected a folder of tasks, found one task; name the folder above it" in told(result)


def test_a_setting_that_means_nothing_is_refused_where_fixtures_are_asked_for(files: Files) -> None:
    files.configure('modell = "x"')
    result = files.run("fixtures")
    assert result.ret == 4
    assert "did you mean 'model'?" in told(result)
    (files.path / "tests").mkdir()
    (files.path / "tests" / "test_plain.py").write_text("def test_plain(): pass\n")
    (files.path / "tests" / "data.yaml").write_text("{")
    files.project.pytester.runpytest("tests").assert_outcomes(passed=1)


def test_workers_are_refused_for_fixture_files(files: Files) -> None:
    for named in (["fixtures"], [f"{ONE}::a"], ["suites", TWO]):
        result = files.project.pytester.runpytest("-n2", *named)
        assert result.ret == 4
        assert "run them with -n0" in told(result)


def test_workers_are_refused_where_a_project_is_configured(files: Files) -> None:
    files.configure()
    for file in (files.path / "suites").glob("test_*.py"):
        file.unlink()
    assert files.project.pytester.runpytest("-n2").ret == 4
    assert files.project.pytester.runpytest("-n2", "suites").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert files.project.pytester.runpytest("-n2", "-o", "norecursedirs=fixtures").ret == 5


def test_workers_that_meet_a_fixture_file_score_nothing(files: Files) -> None:
    files.configure()
    # as if nothing led there, and a conftest that leads there all the same
    (files.path / "conftest.py").write_text(
        "def pytest_ignore_collect(collection_path):\n    return False if 'fix' in collection_path.name else None\n"
    )
    options = ["-n2", "-o", "norecursedirs=fix*", "--ignore=suites"]
    result = files.project.pytester.runpytest_subprocess(*options)
    assert result.ret not in (0, 3, 5)
    assert "run them with -n0" in told(result)
    assert files.project.runs() == []


def test_several_adapters_are_told_apart(files: Files, tiny_model: Path, make_adapter: Callable[[str], Path]) -> None:
    options = [f"--tg-model={tiny_model}", *(f"--tg-adapter={make_adapter(name)}" for name in ("tuned", "other"))]
    found = files.collect("fixtures", *options, "--tg-against=baseline")
    assert found[8:] == [
        *(f"{ONE}::{case}@{name}" for name in ("tuned", "other") for case in IDS),
        f"{ONE}::@gate@tuned", f"{ONE}::@decision@tuned", f"{ONE}::@gate@other", f"{ONE}::@decision@other",
    ]  # fmt: skip
    assert files.collect(f"{ONE}::b@other", *options) == [f"{ONE}::b@other"]


def test_what_pytest_keeps_for_its_failures_does_not_grow_with_the_cases(files: Files) -> None:
    files.answer(answers("abc"))
    (files.path / "conftest.py").write_text(
        "import pytest\n\n@pytest.hookimpl(trylast=True)\ndef pytest_terminal_summary(terminalreporter):\n"
        "    print('KEPT', len(terminalreporter.stats.get('', [])))\n"
    )
    (files.path / "test_own.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef tap():\n    yield\n    print('it drips')\n\n"
        "def test_fails(tap): assert False\n"
    )
    result = files.run("fixtures/", "test_own.py")

    assert "KEPT 1" in result.stdout.str()  # the teardown that printed, of two reports for each test
    assert result.stdout.str().count("it drips") == 1
