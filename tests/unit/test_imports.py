"""What is imported where: every package has its layer in the contract, and heavy libraries wait inside functions.

The contract itself, that packages import only downwards, is import-linter's: `make lint`, and
tests/integration/test_imports.py.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.paths import ROOT

HEAVY = ["torch", "transformers", "peft", "trl", "sentence_transformers", "datasets", "sklearn", "scipy.stats"]


class Import(NamedTuple):
    module: str
    line: int
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING:`


def modules(package: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py"))


def imports(path: str) -> list[Import]:
    return list(_imports(ast.parse((ROOT / path).read_text("utf-8")), lazy=False, typing=False))


def _imports(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: write the whole name, from tunegate. on"
        yield Import(str(node.module), node.lineno, lazy, typing)
    lazy |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, lazy, typing)


def test_every_package_has_its_layer_in_the_contract():
    [downwards, *_] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name.strip() for layer in downwards["layers"] for name in layer.split("|")}
    packages = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    rooms = packages | {path.stem for path in (ROOT / "harness").glob("[!_]*.py")}

    assert {f"harness.{room}" for room in rooms} | {"__main__", "trainers"} == layers


@pytest.mark.parametrize("path", modules("harness") + modules("trainers"))
def test_our_own_modules_go_by_their_whole_name(path):
    assert [each for each in imports(path) if each.module.partition(".")[0] in {"harness", "trainers", "suites"}] == []


@pytest.mark.parametrize("path", modules("harness") + modules("trainers"))
def test_a_package_says_what_it_is_for(path):
    told = ast.get_docstring(ast.parse((ROOT / path).read_text("utf-8")))

    assert told
    assert re.match(r"`?[A-Z]", told)


def test_only_the_command_line_imports_trainers_and_only_when_it_needs_them():
    users = {
        (path, each.lazy)
        for path in modules("harness")
        for each in imports(path)
        if each.module.startswith("tunegate.trainers")
    }

    assert users <= {("harness/cli/training.py", True)}


@pytest.mark.parametrize("package", ["harness", "trainers", "suites"])
def test_nothing_of_ours_imports_tests_or_benchmarks(package):
    found = {each.module.partition(".")[0] for path in modules(package) for each in imports(path)}

    assert found & {"tests", "benchmarks"} == set()


@pytest.mark.parametrize("path", modules("harness"))
def test_heavy_libraries_are_imported_inside_functions(path):
    at_once = [each for each in imports(path) if not each.lazy and not each.typing]

    assert [(each.module, each.line) for each in at_once if each.module.partition(".")[0] in HEAVY] == []
