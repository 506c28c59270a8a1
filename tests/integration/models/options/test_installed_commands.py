"""A command of an installed package: found by its name, with the project's settings and our exit codes."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gated import invoke
from tests.support.packages import installed

GREET = '''
from pathlib import Path
from typing import Annotated

import typer

from tunegate import Refused


def greet(
    name: Annotated[str, typer.Argument(help="Whom.")],
    cases: Annotated[Path, typer.Option("--cases")] = Path("fixtures"),
) -> None:
    """Greet somebody.

    At length.
    """
    if name == "nobody":
        raise Refused("NAME: expected somebody, found nobody")
    print(f"Hello, {name}, of {cases}")


def lint() -> None:
    print("planted")


A_VALUE = 5
'''


@pytest.fixture
def package(tmp_path_factory, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        yield lambda site=None, **entries: stack.enter_context(
            installed(site or tmp_path_factory.mktemp("site"), GREET, monkeypatch, commands=entries)
        )


def test_it_runs_with_the_settings_of_the_project(package):
    package(greet="tone_code:greet")
    Path("pyproject.toml").write_text('[tool.tunegate]\ncases = "evals"\n')

    done = invoke("greet", "Ada")
    assert (done.exit_code, done.stdout) == (0, "Hello, Ada, of evals\n")
    assert invoke("greet", "Ada", "--cases=tests").stdout == "Hello, Ada, of tests\n"


def test_its_help_is_in_our_form_and_its_errors_end_with_our_codes(package):
    package(greet="tone_code:greet")

    assert "Greet somebody." in invoke("greet", "--help").stdout
    assert "At length." not in invoke("greet", "-h").stdout
    done = invoke("greet", "nobody")
    assert (done.exit_code, done.stderr) == (4, "NAME: expected somebody, found nobody\n")
    assert invoke("greet").exit_code == 2


def test_the_help_of_all_commands_loads_none(package):
    package(greet="tone_code:greet")

    assert "greet" not in invoke("--help").stdout
    assert "tone_code" not in sys.modules


def test_ours_stay_what_they_are(package):
    package(lint="tone_code:lint")

    assert "planted" not in invoke("lint", "--help").stdout + invoke("lint").output
    assert "tone_code" not in sys.modules


def test_a_name_that_nobody_has_is_refused_as_before(package):
    package(greet="tone_code:greet")

    done = invoke("greeet")
    assert done.exit_code == 2
    assert "No such command 'greeet'" in done.output


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("tone_code:A_VALUE", "expected a function, found int"),
        ("tone_code:gone", "expected code that can be loaded, found AttributeError"),
        ("tone_gone:greet", "expected a Python module, found none; reinstall the package"),
    ],
)
def test_what_is_no_command_is_refused_with_its_entry_point(package, value, told):
    package(greet=value)

    done = invoke("greet")
    assert done.exit_code == 4
    assert done.stderr.startswith(f"entry point tunegate.commands: greet = {value}: {told}")


def test_a_checkout_gives_no_installed_function_a_name(package, tmp_path):
    package(tmp_path / "site", greet="shutil:rmtree")
    Path("precious").mkdir()

    assert "which a change of this checkout edits" in invoke("greet", "precious").stderr
    assert Path("precious").exists()


def test_code_of_the_checkout_is_not_run(package, tmp_path):
    package(tmp_path / "site", greet="tone_code:greet")

    done = invoke("greet", "Ada")
    assert done.exit_code == 4
    assert "which a change of this checkout edits; install a wheel of it" in done.stderr
    assert "tone_code" not in sys.modules
