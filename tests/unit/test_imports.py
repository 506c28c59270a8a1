"""What is imported where: every package has its layer in the contract, and heavy libraries wait inside functions.

The contract itself, that packages import only downwards, is import-linter's: `make lint`, and
tests/integration/test_imports.py.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.support.paths import ROOT
from tests.support.sources import trees

HEAVY = {"torch", "transformers", "peft", "trl", "sentence_transformers", "datasets", "sklearn", "scipy.stats"}


class Import(NamedTuple):
    path: str
    line: int
    module: str
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING:`

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@cache
def every_import() -> list[Import]:
    return [each for path, tree in trees().items() for each in _imports(tree, path, lazy=False, typing=False)]


def imports(*packages: str) -> list[Import]:
    return [each for each in every_import() if each.path.startswith(packages)]


def _imports(node: ast.AST, path: str, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(path, node.lineno, alias.name, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{path}:{node.lineno}: write the whole name, from tunegate. on"
        yield Import(path, node.lineno, str(node.module), lazy, typing)
    lazy |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, path, lazy, typing)


def rooms() -> set[str]:
    packages = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    return {f"harness.{room}" for room in packages | {path.stem for path in (ROOT / "harness").glob("[!_]*.py")}}


def contracts() -> list[dict[str, Any]]:
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"])


def test_every_package_has_its_layer_in_the_contract():
    [downwards, *_] = contracts()
    layers = {name.strip() for layer in downwards["layers"] for name in layer.split("|")}

    assert rooms() | {"__main__", "trainers"} == layers


def test_every_package_is_of_the_core_or_hangs_on_a_seam():
    [core] = [each for each in contracts() if each["type"] == "forbidden"]
    inside, outside = (
        {name.removeprefix("tunegate.") for name in core[f"{each}_modules"]} for each in ("source", "forbidden")
    )

    assert inside | outside >= rooms() - {"harness.models"}  # what of it opens a model is not of the core
    assert not inside & outside
    assert not any("ignore_imports" in each for each in contracts())


def test_our_own_modules_go_by_their_whole_name():
    assert [each for each in imports("harness/", "trainers/") if each.top in {"harness", "trainers", "suites"}] == []


def test_every_module_says_what_it_is_for():
    said = {path: ast.get_docstring(tree) or "" for path, tree in trees().items() if not path.startswith("suites/")}

    assert len(said) > 300
    assert [path for path, text in said.items() if not re.match(r"`?[A-Z]", text)] == []


def test_what_hangs_on_a_seam_is_named_in_its_rows_alone():
    users = {each.path for each in imports("harness/", "trainers/") if each.module == "tunegate.harness.core.parts"}

    # the commands; the models; and `init`, which hands a file of another tool to the importers where they are
    assert users == {"harness/cli/main.py", "harness/models/backends.py", "harness/cli/begin.py"}


def test_nothing_of_ours_imports_tests_or_benchmarks():
    assert [each for each in imports("") if each.top in {"tests", "benchmarks"}] == []


def test_heavy_libraries_are_imported_inside_functions():
    at_once = [each for each in imports("harness/") if not each.lazy and not each.typing]

    assert [each for each in at_once if HEAVY & {each.top, each.module}] == []
