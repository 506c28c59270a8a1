"""The pytest plugin: it wires a `Session` to pytest's hooks and does nothing until a suite asks.

A suite is a module marked `suite(name)` with a test that takes `tunegate_case` (one per case) and, at its end, one
that takes `tunegate_gate` (one per unit, and the task's decision in its last file). See `suites/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunegate.harness.evaluation.options import TABLE, Option
from tunegate.harness.pytest_plugin.errors import ending

if TYPE_CHECKING:
    from tunegate.harness.pytest_plugin.items import CaseItem, GateItem, State

STATE: pytest.StashKey[State] = pytest.StashKey()
FAILED: pytest.StashKey[Exception] = pytest.StashKey()  # what went wrong while it was made
MARKED = re.compile(rb"^pytestmark\b.*\bpytest\.mark\.suite\(", re.MULTILINE)
CASE, GATE = "tunegate_case", "tunegate_gate"
NO_WORKERS = (
    "the suites generate in one batch before the first test, and each worker would do it all again; "
    "run them with -n0, and other tests apart"
)
OURS = "tunegate.suites"  # as --pyargs names the shipped suites
PREFIX = "--tg-"  # a host repository may have a --model, a --record and a --out of its own


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run; the defaults of some can stand in `[tool.tunegate]` of pyproject.toml."""
    group = parser.getgroup("tunegate", "fixture suites against a base model and tuned ones")
    for option in TABLE:
        if option.suites:
            group.addoption(f"{PREFIX}{option.name}", dest=option.dest, **_keywords(option))


def _keywords(option: Option) -> dict[str, Any]:
    if option.is_flag:
        return {"action": "store_true", "help": option.help}
    # the default stands in the words alone: what is None was not given, and pyproject.toml may say it
    shown = "" if option.default is None else f" (default: {option.default})"
    many = {"action": "append", "default": []} if option.many else {}
    number = {"type": option.type} if option.type in (int, float) else {}
    return {"metavar": option.takes, "choices": option.choices or None, "help": option.help + shown, **number, **many}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "suite(name): the fixture suite that this module judges")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse `-n` where it shows at once; a suite that only a worker finds is refused there."""
    # Here, for a UsageError in a worker is an INTERNALERROR of the run. (xdist, if it is installed, brings the option.)
    workers = getattr(config.option, "numprocesses", None)
    if workers and not config.option.collectonly and (_uses_options(config) or _names_suite(config)):
        raise pytest.UsageError(f"-n {workers}: {NO_WORKERS}")


def _uses_options(config: pytest.Config) -> bool:
    return any(getattr(config.option, option.dest) for option in TABLE if option.suites)


def _names_suite(config: pytest.Config) -> bool:
    if config.option.pyargs and any(argument.startswith(OURS) for argument in config.args):
        return True
    return any(_is_suite(Path(argument.partition("::")[0])) for argument in config.args)


def _is_suite(path: Path) -> bool:
    # two levels show the usual `suites/`; what lies deeper, the workers refuse
    files = [*path.glob("test_*.py"), *path.glob("*/test_*.py")] if path.is_dir() else [path]
    return any(os.access(file, os.R_OK) and MARKED.search(file.read_bytes()) for file in files)


def state_of(config: pytest.Config) -> State:
    """The run's state, made when the first suite asks."""
    if STATE not in config.stash:
        from tunegate.harness.pytest_plugin.items import State

        config.stash[STATE] = State(config)
    return config.stash[STATE]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case, one gate item for each unit, one for each task."""
    for name in {CASE, GATE} & set(metafunc.fixturenames):
        handles = _handles(metafunc, name)
        # an empty parametrize leaves a stray skip: one placeholder instead, dropped as soon as it is an item
        names = [handle.id for handle in handles]
        metafunc.parametrize(name, handles or [None], ids=names or ["none"], indirect=True)


def _handles(metafunc: pytest.Metafunc, name: str) -> Sequence[CaseItem | GateItem]:
    if FAILED in metafunc.config.stash:
        return []
    try:
        suite = _suite_of(metafunc, name)
        state = state_of(metafunc.config)
        return state.case_items(suite) if name == CASE else state.gate_items(suite)
    except Exception as error:  # raised here, it would be the failure of this one module: told after collection
        metafunc.config.stash[FAILED] = error
        return []


def _suite_of(metafunc: pytest.Metafunc, name: str) -> str:
    """The suite that the module is marked with; anything else is an error of its collection."""
    if hasattr(metafunc.config, "workerinput"):
        pytest.fail(NO_WORKERS, pytrace=False)
    marker = metafunc.definition.get_closest_marker("suite")
    suite = marker.args[0] if marker and marker.args else None
    suites = state_of(metafunc.config).session.suites
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


def _params(item: pytest.Item | pytest.Collector) -> dict[str, Any]:
    return getattr(getattr(item, "callspec", None), "params", {})


def _is_placeholder(item: pytest.Item | pytest.Collector) -> bool:
    params = _params(item)
    return any(name in params and params[name] is None for name in (CASE, GATE))


def handle_of(item: pytest.Item) -> CaseItem | GateItem | None:
    """The case or gate that a test item stands for; None for other tests."""
    params = _params(item)
    return params.get(CASE) or params.get(GATE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep a task's decision in its last suite, let `-k` and `--lf` select, then fix what will be judged."""
    # The outermost wrapper: before the yield nothing has selected yet, after it everything has, plugins included. What
    # counts as partial is then seen in what is left, and not guessed from options.
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
        undecided = state.select([handle for item in items if (handle := handle_of(item))])
    if undecided:
        # told, so that the counts of the summary add up
        config.hook.pytest_deselected(items=[item for item in items if handle_of(item) in undecided])
        items[:] = [item for item in items if handle_of(item) not in undecided]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Generate and judge everything that was selected, before the first test reports."""
    # First of all hooks, and without a result: with one, pytest would take the loop for done and run no test. Judged
    # here, `-x` cuts the report short but never the record, and an outage ends the run with 3; in a fixture it would
    # be a failed test, which ends with 1.
    config, option = session.config, session.config.option
    # `--co` and its like must not load a model; after an error of collection pytest ends the run by itself
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
    """Turn a miss that is no news into an expected failure; a mark would make a fixed case fail under strict."""
    # A report hook and no xfail mark: under `xfail_strict` a mark makes a case that is fixed a failure. This is how
    # pytest itself writes an expected failure, so JUnit counts it, and `--lf` repeats just the breaks.
    report = yield
    handle = handle_of(item)
    # only what `check` said: a suite's own assertions, and crashes, are always news
    if handle and call.when == "call" and call.excinfo and call.excinfo.errisinstance(pytest.fail.Exception):
        with ending(item.config):
            excuse = handle.excuse()
        if excuse:
            report.outcome = "skipped"
            report.wasxfail = excuse
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show a regression that does not block as `regressed`."""
    if report.outcome == "skipped" and getattr(report, "wasxfail", "").startswith("regressed"):
        return "regressed", "r", ("REGRESSED", {"yellow": True})
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End with the table of units, the decisions and the paths of what was written."""
    if STATE in config.stash:
        with ending(config):
            config.stash[STATE].summarize(terminalreporter)


@pytest.fixture
def tunegate_case(request: pytest.FixtureRequest) -> Any:
    """One case of the module's suite: `check()` fails the test with the findings."""
    return request.param


@pytest.fixture
def tunegate_gate(request: pytest.FixtureRequest) -> Any:
    """One unit's verdict or one task's decision: `check()` fails the test where it blocks."""
    return request.param
