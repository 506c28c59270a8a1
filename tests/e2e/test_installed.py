"""The wheel, installed into an empty environment, beside a repository that has names of ours for itself.

It is built of a tree without symbolic links, as Windows checks it out and as a zip has it: text files in their place.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.paths import ROOT
from tests.support.units import write_outputs, write_unit
from tunegate.harness.begin.tour.walk import STOPS

FOLDERS = ("harness", "trainers", "suites")
SOURCES = (*FOLDERS, "src", "setup.py", "pyproject.toml", "README.md", "LICENSE")
CONFTEST = """
def pytest_addoption(parser):
    for name in ("--model", "--record", "--out"):
        parser.addoption(name, default="theirs")
"""
THEIR_TEST = """
import harness, suites, trainers
from harness.core import WHOSE


def test_packages_and_options_are_the_repository_s_own(request):
    assert [WHOSE, harness.WHOSE, trainers.WHOSE, suites.WHOSE] == ["theirs"] * 4
    assert [request.config.getoption(name) for name in ("--model", "--record", "--out")] == ["mine", "theirs", "theirs"]
    assert request.config.pluginmanager.has_plugin("tunegate.harness.session.pytest_plugin.plugin")


def test_ours_lies_beside():
    import tunegate

    assert tunegate.CheckKind.__module__ == "tunegate.harness.checks.base"
"""


class Place(NamedTuple):
    """A repository, and the environment that its commands run in."""

    repository: Path
    programs: Path

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))}
        environment = clean | {"PATH": f"{self.programs}{os.pathsep}{clean['PATH']}"} | more
        return subprocess.run(
            command, cwd=self.repository, env=environment, capture_output=True, text=True, check=False
        )


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run pip for what needs no other package: it asks no index."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def build(source: Path, into: Path) -> Path:
    done = pip("wheel", "--wheel-dir", into, source)
    assert done.returncode == 0, done.stderr
    [path] = into.glob("*.whl")
    return path


def packaged(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("tunegate/")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in, for a build leaves folders behind; text files are where the links were."""
    home = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, home / name, symlinks=True, ignore=leave)
        else:
            shutil.copy(ROOT / name, home / name)
    for folder in FOLDERS:
        link = home / "src" / "tunegate" / folder
        link.unlink()
        link.write_text(f"../../{folder}")
    return home


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A repository with `harness`, `trainers`, `suites`, --model, --record and --out, and the wheel beside it."""
    home = tmp_path_factory.mktemp("host")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    programs = home / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-compile", wheel], check=True)
    repository = home / "repository"
    for package in ("harness", "trainers", "suites"):
        (repository / package).mkdir(parents=True)
        (repository / package / "__init__.py").write_text("WHOSE = 'theirs'\n")
    (repository / "harness" / "core.py").write_text("WHOSE = 'theirs'\n")
    (repository / "conftest.py").write_text(CONFTEST)
    (repository / "test_theirs.py").write_text(THEIR_TEST)
    return Place(repository, programs)


def test_the_wheel_holds_one_package_and_its_metadata(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tunegate"}
    assert {name.split("/")[1] for name in names if name.startswith("tunegate/") and name.count("/") > 1} == {
        "harness", "suites", "trainers",
    }  # fmt: skip
    data = ("py.typed", "harness/cases/fixture.schema.json", "harness/release/templates/model_card.md.j2")
    assert {f"tunegate/{name}" for name in data} <= set(names)


def test_the_wheel_of_a_tree_without_links_holds_every_file(wheel, tree):
    files = {path.relative_to(tree) for folder in FOLDERS for path in (tree / folder).rglob("*") if path.is_file()}
    ours = {path.as_posix() for path in files if path.parts[:2] != ("trainers", "recipes")}  # the demo's

    assert packaged(wheel) == {f"tunegate/{name}" for name in {*ours, "__init__.py", "__main__.py", "py.typed"}}


def test_a_source_distribution_builds_the_same_wheel(wheel, tree, tmp_path):
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=tree, check=True, capture_output=True)
    [source] = tmp_path.glob("*.tar.gz")

    assert packaged(build(source, tmp_path)) == packaged(wheel)


def test_an_editable_install_of_a_tree_without_links_finds_every_package(tree, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    found = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", found], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    Path(own, "libraries.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")

    done = pip("--python", python, "install", "--editable", tree)

    assert done.returncode == 0, done.stderr
    code = "from tunegate import harness, suites, trainers; print(harness.__file__, suites.__file__, trainers.__file__)"
    said = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert said.stdout.split() == [str(tree / each / "__init__.py") for each in ("harness", "suites", "trainers")]


def test_a_build_without_a_folder_fails_and_names_it(tree, tmp_path):
    for name in ("src", "trainers", "suites", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).symlink_to(tree / name)

    done = pip("wheel", "--wheel-dir", tmp_path, tmp_path)

    assert done.returncode != 0
    assert "expected the folders harness, trainers, suites beside setup.py, found no harness" in done.stderr
    assert list(tmp_path.glob("*.whl")) == []


@pytest.mark.parametrize("command", [("pytest",), ("python", "-m", "pytest")], ids=" ".join)
def test_a_repository_with_our_names_keeps_them(place, command):
    done = place.run(*command, "--model=mine", "-q")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_shipped_suites_run_there(place):
    write_unit(place.repository / "fixtures", ["a"])
    write_outputs(place.repository / "outputs.jsonl", {"desk/triage/a": '{"product": "boiler"}'})

    done = place.run(
        "pytest", "--pyargs", "tunegate.suites", "--tg-model=replay:outputs.jsonl", "--tg-out=record.json", "--out=x"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((place.repository / "record.json").read_text())["cases"]["desk/triage/a"]["passed"] is True


def test_fixture_files_run_there_without_a_suite(place):
    write_unit(place.repository / "fixtures", ["a", "b"])
    outputs = {"desk/triage/a": '{"product": "boiler"}', "desk/triage/b": "a boiler"}
    write_outputs(place.repository / "outputs.jsonl", outputs)
    model = "--tg-model=replay:outputs.jsonl"

    done = place.run("pytest", "fixtures/", model, "--tg-out=base.json", "-v", "--out=x")
    one = place.run("pytest", "fixtures/desk/triage.yaml::a", model)
    gated = place.run("pytest", "fixtures/", model, "--tg-against=base.json", "-v")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "fixtures/desk/triage.yaml::a PASSED" in done.stdout
    assert "fixtures/desk/triage.yaml::b FAILED" in done.stdout
    assert "1 passed in" in one.stdout, one.stdout + one.stderr
    assert gated.returncode == 1, gated.stdout + gated.stderr  # two cases can hold nothing
    assert "fixtures/desk/triage.yaml::b XFAIL" in gated.stdout
    assert "fixtures/desk/triage.yaml::@decision FAILED" in gated.stdout


def test_nothing_is_read_where_nothing_is_asked(place, tmp_path):
    strange = place._replace(repository=tmp_path)
    for folder in ("shop/fixtures/shop", "fixtures/shop"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "products.yaml").write_text("- model: shop.product\n  fields: {name: Kettle\n")
    (tmp_path / "test_shop.py").write_text("def test_shop(): pass\n")

    assert "1 passed" in strange.run("pytest").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".pytest_cache", "__pycache__", "fixtures", "shop", "test_shop.py",
    ]  # fmt: skip
    assert strange.run("pytest", "fixtures/").returncode == 4  # who names them, asks


def test_the_commands_run_there(place):
    write_unit(place.repository / "fixtures", ["a"])

    assert place.run("tunegate", "lint").returncode == 0
    assert place.run("python", "-m", "tunegate", "--version").stdout.startswith("tunegate 0.")


def test_a_missing_extra_is_one_line_and_exit_3(place):
    write_unit(place.repository / "fixtures", ["a"])

    done = place.run("pytest", "--pyargs", "tunegate.suites")

    assert done.returncode == 3, done.stdout + done.stderr
    assert "pip install 'tunegate[models]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_tour_shows_its_commands_a_release_and_a_block_without_torch(place, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")  # of the repository round it
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    done = place._replace(repository=tmp_path).run("tunegate", "tour", PYTEST_ADDOPTS="-k nothing")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 45  # of a processor; 15 are usual
    assert [stop.command for stop in STOPS if f"$ {' '.join(stop.command)}" not in done.stdout] == []
    good, bad = done.stdout.split("$ pytest")[1:]
    assert "ferry/desk: Improved: significantly better than the baseline" in good
    assert "ferry/questions: Held" in good
    never = "'today' is never right where true is expected: 0 of 61 cases, 49 in the baseline"
    assert f"ferry/desk: Regressed: {never}." in bad
    assert f"Blocked: ferry/desk regressed: {never}; in service 8.3 %, this change 58.9 %" in bad
    assert "What to do next" in bad
    assert (tmp_path / "tunegate-tour" / "baselines" / "replay-qwen2.5-coder-1.5b" / "ferry" / "desk.json").is_file()
    assert "No module named 'torch'" in place.run("python", "-c", "import torch").stderr


def test_a_task_begun_from_a_table_is_linted_and_green_at_once(place, tmp_path):
    lines = [f"Message number {n},{('billing', 'repairs', 'sales')[n % 3]}" for n in range(60)]
    (tmp_path / "mail.csv").write_text("\n".join(["text,team", *lines]))
    here = place._replace(repository=tmp_path)

    begun = here.run("tunegate", "init", "desk", "--from", "mail.csv", "--input", "text", "--expect", "team")
    linted, scored = here.run("tunegate", "lint", "--strict"), here.run("pytest")

    assert [each.returncode for each in (begun, linted, scored)] == [0, 0, 0], begun.stderr + scored.stdout
    assert "57 passed" in scored.stdout
