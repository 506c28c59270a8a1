"""The plugin's entries in pytest's stashes: the run's state, and the case or gate of an item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from tunegate.harness.session.pytest_plugin.items import CaseItem, GateItem, State

Made = TypeVar("Made")

STATE: pytest.StashKey[State] = pytest.StashKey()
FAILED: pytest.StashKey[Exception] = pytest.StashKey()  # the error of making the state
HANDLE: pytest.StashKey[CaseItem | GateItem] = pytest.StashKey()  # of an item of a fixture file
YAML = (".yaml", ".yml")
CASE, GATE = "tunegate_case", "tunegate_gate"
NO_WORKERS = (
    "the suites generate in one batch before the first test, and each worker would repeat the whole batch; "
    "run them with -n0, and other tests separately"
)


def collected(config: pytest.Config, make: Callable[[State], Sequence[Made]]) -> Sequence[Made]:
    """Call `make` with the run's state, which is created when the first suite or fixture file needs it.

    Returns nothing if that fails: the error is raised after collection, since here it would be one
    module's or file's.
    """
    if FAILED in config.stash:
        return []
    try:
        if STATE not in config.stash:
            from tunegate.harness.session.pytest_plugin.items import State

            config.stash[STATE] = State(config)
        return make(config.stash[STATE])
    except Exception as error:
        config.stash[FAILED] = error
        return []


def params_of(item: pytest.Item | pytest.Collector) -> dict[str, Any]:
    """The parameters of a test."""
    return getattr(getattr(item, "callspec", None), "params", {})


def handle_of(item: pytest.Item) -> CaseItem | GateItem | None:
    """The case or gate of an item; None for other tests."""
    params = params_of(item)
    return item.stash.get(HANDLE, None) or params.get(CASE) or params.get(GATE)


def repeated_in_yaml(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The items of fixture files whose case, unit or task a suite's own module evaluates in the same run."""
    found = [(item, (type(handle), handle.id)) for item in items if (handle := handle_of(item))]
    suites = {what for item, what in found if HANDLE not in item.stash}
    return [item for item, what in found if HANDLE in item.stash and what in suites]
