"""The pytest plugin: it wires a `Session` to pytest's hooks, and is inactive without fixtures or suites.

`pytest fixtures/` collects the fixture files themselves (see `yaml_files`). Your own suite is a module marked
`suite(name)` with a test that takes `tunegate_case` (one per case) and, at its end, one that takes `tunegate_gate` (one
per unit, and the task's decision in its last file). See `suites/`. If both are collected, the suites' tests run.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import read_bytes
from tunegate.harness.models.options.table import TABLE, Option
from tunegate.harness.session.pytest_plugin.errors import ending
from tunegate.harness.session.pytest_plugin.stash import (
    CASE,
    FAILED,
    GATE,
    NO_WORKERS,
    STATE,
    YAML,
    collected,
    handle_of,
    params_of,
    repeated_in_yaml,
)

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem, State
    from tunegate.harness.session.pytest_plugin.yaml_files import YamlFile

MARKED = re.compile(rb"^pytestmark\b.*\bpytest\.mark\.suite\(", re.MULTILINE)
OURS = "tunegate.suites"  # as --pyargs names the shipped suites
PREFIX = "--tg-"  # a host repository may have its own --model, --record and --out


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run; `[tool.tunegate]` of pyproject.toml can set the defaults of some."""
    group = parser.getgroup("tunegate", "fixture suites against a base model and tuned ones")
    for option in TABLE:
        if option.suites:
            group.addoption(f"{PREFIX}{option.name}", dest=option.dest, **_keywords(option))


def _keywords(option: Option) -> dict[str, Any]:
    if option.is_flag:
        return {"action": "store_true", "help": option.help}
    # the default is in the help text only: None means not given, and pyproject.toml may set it
    shown = "" if option.default is None else f" (default: {option.default})"
    many = {"action": "append", "default": []} if option.many else {}
    number = {"type": option.type} if option.type in (int, float) else {}
    return {"metavar": option.takes, "choices": option.choices or None, "help": option.help + shown, **number, **many}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "suite(name): the fixture suite that this module evaluates")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse `-n` if the arguments show a suite; a suite that only a worker finds is refused there."""
    # Here, since a UsageError in a worker is an INTERNALERROR of the run. (xdist adds the option if installed.)
    workers = getattr(config.option, "numprocesses", None)
    if workers and not config.option.collectonly and (_uses_options(config) or _names_ours(config)):
        raise pytest.UsageError(f"-n {workers}: {NO_WORKERS}")


def _uses_options(config: pytest.Config) -> bool:
    return any(getattr(config.option, option.dest) for option in TABLE if option.suites)


def _names_ours(config: pytest.Config) -> bool:
    from tunegate.harness.session.pytest_plugin.yaml_files import names_fixtures

    if config.option.pyargs and any(argument.startswith(OURS) for argument in config.args):
        return True
    return names_fixtures(config) or any(_is_suite(Path(argument.partition("::")[0])) for argument in config.args)


def _is_suite(path: Path) -> bool:
    # two levels cover the usual `suites/`; workers refuse deeper ones
    files = [*path.glob("test_*.py"), *path.glob("*/test_*.py")] if path.is_dir() else [path]
    return any(_is_marked(file) for file in files)


def _is_marked(file: Path) -> bool:
    with suppress(Unreadable):  # pytest reports it if it matters
        return MARKED.search(read_bytes(file)) is not None
    return False


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Report mistakes in the fixtures, where pytest would report that it found no test of that name."""
    try:
        return (yield)
    except pytest.UsageError as error:
        with ending(session.config):
            if FAILED in session.config.stash:
                raise session.config.stash[FAILED] from None
        from tunegate.harness.session.pytest_plugin.yaml_files import not_found_hints

        raise pytest.UsageError(*error.args, *not_found_hints(session.config)) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> YamlFile | None:
    """Collect a fixture file that the command line or the project names."""
    if file_path.suffix.lower() not in YAML:
        return None
    from tunegate.harness.session.pytest_plugin.yaml_files import collect_yaml

    return collect_yaml(file_path, parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate a test for each case, and a gate item for each unit and each task."""
    for name in {CASE, GATE} & set(metafunc.fixturenames):
        handles = _handles(metafunc, name)
        # an empty parametrize leaves a stray skip: use one placeholder instead, and drop its item
        names = [handle.id for handle in handles]
        metafunc.parametrize(name, handles or [None], ids=names or ["none"], indirect=True)


def _handles(metafunc: pytest.Metafunc, name: str) -> Sequence[CaseItem | GateItem]:
    if hasattr(metafunc.config, "workerinput"):
        pytest.fail(NO_WORKERS, pytrace=False)

    def make(state: State) -> Sequence[CaseItem | GateItem]:
        suite = _suite_of(state, metafunc, name)
        return state.case_items(suite) if name == CASE else state.gate_items(suite)

    return collected(metafunc.config, make)


def _suite_of(state: State, metafunc: pytest.Metafunc, name: str) -> str:
    """The suite that the module is marked with; other values are an error of its collection."""
    marker = metafunc.definition.get_closest_marker("suite")
    suite = marker.args[0] if marker and marker.args else None
    suites = state.session.selection.suites
    if suite not in suites:
        expected = f"expected pytestmark = pytest.mark.suite(NAME), NAME one of {', '.join(suites)}"
        pytest.fail(f"{name}: {expected}; found {suite!r}", pytrace=False)
    return str(suite)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Drop the placeholders of suites without cases or gates."""
    made = yield
    if STATE in collector.config.stash and isinstance(made, list):
        return [item for item in made if not _is_placeholder(item)]
    return made


def _is_placeholder(item: pytest.Item | pytest.Collector) -> bool:
    params = params_of(item)
    return any(name in params and params[name] is None for name in (CASE, GATE))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Locate a case of a suite's own module in its fixture file, for viewers and annotations."""
    if handle := params_of(item).get(CASE):
        file, line = handle.location_below(item.config.rootpath)
        item.location = (file, line, item.location[2])
        item.user_properties += [("file", file), ("line", handle.line)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep a task's decision in its last suite, let `-k` and `--lf` select, then fix what will be evaluated."""
    # The outermost wrapper: before the yield nothing has selected yet, after it everything has, plugins included. So
    # what is partial is derived from the remaining items, not guessed from options.
    with ending(config):
        if FAILED in config.stash:
            raise config.stash[FAILED]
    if STATE not in config.stash:
        yield
        return
    state = config.stash[STATE]
    with ending(config):
        state.see(handle_of(item) for item in items)
        items[:] = [item for item in items if not state.is_early(handle_of(item))]
    yield
    with ending(config):
        state.repeated = repeated_in_yaml(items)
        _deselect(config, items, state.repeated)
        unselected = set(state.select([handle for item in items if (handle := handle_of(item))]))
        _deselect(config, items, [item for item in items if handle_of(item) in unselected])


def _deselect(config: pytest.Config, items: list[pytest.Item], which: Sequence[pytest.Item]) -> None:
    if which:  # reported, so that the counts of the summary add up
        config.hook.pytest_deselected(items=which)
        gone = set(which)
        items[:] = [item for item in items if item not in gone]


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    """Report the tests of fixture files that are in suites too, and run only once."""
    repeated = len(config.stash[STATE].repeated) if STATE in config.stash else 0
    if not repeated:
        return None
    return f"tunegate: {repeated} tests of fixture files are in suites too, and run there: deselected"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Generate and score all selected cases before the first test reports."""
    # First of all hooks, and without a result: with one, pytest would skip its own loop and run no test. Evaluation
    # happens here so that `-x` shortens the report but never the record, and an outage ends the run with 3; in a
    # fixture it would be a failed test, which ends with 1.
    config, option = session.config, session.config.option
    # `--co` and the like must not load a model; after a collection error pytest ends the run itself
    planning = option.collectonly or getattr(option, "setupplan", False) or getattr(option, "setuponly", False)
    failed = session.testsfailed and not option.continue_on_collection_errors
    if STATE not in config.stash or planning or failed or not config.stash[STATE].chosen:
        return
    with ending(config):
        config.stash[STATE].execute()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn an expected miss into an expected failure; a mark would make a fixed case fail under strict."""
    # A report hook instead of an xfail mark: under `xfail_strict` a mark makes a fixed case a failure. This is how
    # pytest itself writes an expected failure, so JUnit counts it, and `--lf` repeats only the regressions.
    handle = handle_of(item) if call.when == "call" else None
    # only failures of `check`: a suite's own assertions, and crashes, are never expected
    said = call.excinfo if handle and call.excinfo and call.excinfo.errisinstance(pytest.fail.Exception) else None
    if said and not getattr(said.value, "pytrace", True) and not item.config.option.fulltrace:
        said.traceback = said.traceback[-2:]  # not shown, and slow for pytest to filter
    report = yield
    if handle and item.config.stash[STATE].session.records:
        item.user_properties += handle.properties
    if handle and said:
        with ending(item.config):
            exemption = handle.exemption()
        if exemption:
            report.outcome = "skipped"
            report.wasxfail = exemption
        elif report.failed:
            item.config.stash[STATE].fail(handle)
            _shorten(report, handle)
    return report


def _shorten(report: pytest.TestReport, handle: CaseItem | GateItem) -> None:
    """Keep a failure on one line in pytest's list of them, which under CI repeats the whole text."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = handle.headline


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show a regression within the margin as `regressed`."""
    if report.outcome == "skipped" and getattr(report, "wasxfail", "").startswith("regressed"):
        return "regressed", "r", ("REGRESSED", {"yellow": True})
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: Any, exitstatus: int, config: pytest.Config
) -> Generator[None, None, None]:
    """End with the table of units, the decisions and the paths of written files."""
    if STATE in config.stash:
        _forget_quiet(terminalreporter)
    yield  # the outermost wrapper: pytest's own list of failures comes before it
    if STATE in config.stash:
        with ending(config):
            config.stash[STATE].summarize(terminalreporter)
    elif exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and _uses_options(config):
        from tunegate.harness.session.pytest_plugin.yaml_files import where_files_lie

        where = shown(where_files_lie(config))
        terminalreporter.write_line(f"tunegate: no suite and no fixture file was collected; {where}")


def _forget_quiet(reporter: Any) -> None:
    """Drop the reports of teardowns that printed nothing.

    For each failure, pytest reads the reports of all setups and teardowns, to find what the teardown of the failed test
    printed: quadratic time in a large project.
    """
    reports = reporter.stats.get("", [])
    reports[:] = [each for each in reports if any("teardown" in name for name, _ in getattr(each, "sections", ()))]


@pytest.fixture
def tunegate_case(request: pytest.FixtureRequest) -> Any:
    """One case of the module's suite: `check()` fails the test with the findings."""
    return request.param


@pytest.fixture
def tunegate_gate(request: pytest.FixtureRequest) -> Any:
    """One unit's verdict or one task's decision: `check()` fails the test if it blocks."""
    return request.param
