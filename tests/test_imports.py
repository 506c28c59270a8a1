"""The direction of imports, and what stays unloaded until a model is needed."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import write_outputs, write_unit

ROOT = Path(__file__).parent.parent
# Data flows left to right: a module imports only what stands before it. `checks.*` are all checks not named here,
# which may import one another without a circle.
ORDER = [
    "errors", "extras", "crashes", "files", "document", "shape", "syntax", "plaindata", "yamlfile", "progress",
    "models", "embed",
    "checks.outcome", "checks.*", "checks.table", "published", "policy", "placeholders", "units", "parts", "rereads",
    "cases", "subject", "prompts", "options", "replay", "cache", "adapters", "likelihood", "base", "prefix", "local",
    "distributions", "stats", "ratio", "timing", "power", "sizes", "record", "judge", "baselines", "changes",
    "recording", "matching", "verdict", "words", "pairs", "gate", "claims", "past", "plan", "plantext",
    "annotations", "strays", "lint", "report", "leaderboard", "ladder", "levers", "diagnosis", "warrant",
    "diagnosistext", "references", "session", "items", "plugin", "release", "export", "demo",
    "commands.frame", "commands.fixtures", "commands.training", "commands.releasing", "commands.showing", "cli",
    "__main__",
]  # fmt: skip
HEAVY = ["torch", "transformers", "peft", "trl", "sentence_transformers", "datasets", "sklearn", "scipy.stats"]


class Import(NamedTuple):
    module: str
    line: int
    lazy: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING:`


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by their name inside it, without the packages themselves."""
    folder = ROOT / package
    files = [path for path in folder.rglob("*.py") if path.name != "__init__.py"]
    return {path.relative_to(folder).with_suffix("").as_posix().replace("/", "."): path for path in files}


def imports(path: Path) -> list[Import]:
    return list(_imports(ast.parse(path.read_text("utf-8")), lazy=False, typing=False))


def _imports(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: write the whole name, as in `from harness.cases import Case`"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield Import(inner if _is_module(inner) else str(node.module), node.lineno, lazy, typing)
    lazy |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, lazy, typing)


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def rank(module: str) -> int:
    if module in ORDER:
        return ORDER.index(module)
    assert module.startswith("checks."), f"place harness.{module} in ORDER, right of all that it imports"
    return ORDER.index("checks.*")


def inside(found: list[Import], package: str) -> list[tuple[str, int]]:
    """What is imported from a package, by its name there, and the line."""
    return [
        (each.module.removeprefix(f"{package}."), each.line) for each in found if each.module.startswith(f"{package}.")
    ]


HARNESS = modules("harness")


@pytest.mark.parametrize("module", HARNESS)
def test_a_module_imports_only_what_stands_left_of_it(module):
    mine = rank(module)

    for other, line in inside(imports(HARNESS[module]), "harness"):
        if other in ("checks", "commands"):
            continue  # the packages themselves are empty
        beside = mine == rank(other) == ORDER.index("checks.*")
        assert rank(other) < mine or beside, f"harness/{module}.py:{line}: {other} stands right of {module} in ORDER"


def test_the_order_names_no_module_that_is_gone():
    assert [module for module in ORDER if module not in HARNESS and module != "checks.*"] == []


def test_there_is_no_circle():
    graph = {module: {other for other, _ in inside(imports(path), "harness")} for module, path in HARNESS.items()}

    assert len(list(TopologicalSorter(graph).static_order())) >= len(HARNESS)


def test_only_the_command_line_imports_trainers_and_only_when_it_needs_them():
    users = {
        (module, each.lazy)
        for module, path in HARNESS.items()
        for each in imports(path)
        if each.module.partition(".")[0] == "trainers"
    }

    assert users <= {("commands.training", True)}


@pytest.mark.parametrize("package", ["trainers", "suites"])
def test_trainers_and_suites_import_harness_but_neither_tests_nor_each_other(package):
    others = {"trainers", "suites", "tests", "benchmarks"} - {package}
    found = {each.module.partition(".")[0] for path in modules(package).values() for each in imports(path)}

    assert found & others == set()


@pytest.mark.parametrize("module", HARNESS)
def test_heavy_libraries_are_imported_inside_functions(module):
    at_once = [each for each in imports(HARNESS[module]) if not each.lazy and not each.typing]

    assert [(each.module, each.line) for each in at_once if each.module.partition(".")[0] in HEAVY] == []


def loaded(code: str, *args: str, folder: Path) -> list[str]:
    """The heavy libraries that are loaded after `code` ran in a process of its own."""
    told = f"import sys\n{code}\nprint('LOADED', *[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", told, *args], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.rpartition("LOADED")[2].split()


def test_the_check_for_heavy_libraries_sees_one(tmp_path):
    assert "sklearn" in loaded("import sklearn", folder=tmp_path)


def test_the_plugin_loads_nothing_heavy(tmp_path):
    assert loaded("import harness.plugin", folder=tmp_path) == []


def test_lint_loads_nothing_heavy(tmp_path):
    code = "from harness.cli import app; app(['lint', sys.argv[1]], standalone_mode=False)"

    assert loaded(code, str(ROOT / "fixtures"), folder=tmp_path) == []


def test_judging_outputs_made_elsewhere_loads_nothing_heavy(tmp_path):
    write_unit(tmp_path / "fixtures", ["a"])
    write_outputs(tmp_path / "out.jsonl", {"desk/triage/a": '{"product": "boiler"}'})
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    code = "import pytest; assert pytest.main(['suites/test_schema.py', '--tg-model=replay:out.jsonl']) == 0"

    assert loaded(code, folder=tmp_path) == []
    assert len(list((tmp_path / ".tunegate" / "runs").glob("*.json"))) == 1
