"""What the plugin keeps in pytest's stashes: the run's state, and the case or gate of an item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from tunegate.harness.pytest_plugin.items import CaseItem, GateItem, State

Made = TypeVar("Made")

STATE: pytest.StashKey[State] = pytest.StashKey()
FAILED: pytest.StashKey[Exception] = pytest.StashKey()  # what went wrong while it was made
HANDLE: pytest.StashKey[CaseItem | GateItem] = pytest.StashKey()  # of an item that stands in a fixture file
YAML = (".yaml", ".yml")
CASE, GATE = "tunegate_case", "tunegate_gate"
NO_WORKERS = (
    "the suites generate in one batch before the first test, and each worker would do it all again; "
    "run them with -n0, and other tests apart"
)


def collected(config: pytest.Config, make: Callable[[State], Sequence[Made]]) -> Sequence[Made]:
    """What `make` makes of the run's state, which is made when the first suite or fixture file asks.

    Nothing where that fails: raised here, it would be the failure of one module or file; it is told after collection.
    """
    if FAILED in config.stash:
        return []
    try:
        if STATE not in config.stash:
            from tunegate.harness.pytest_plugin.items import State

            config.stash[STATE] = State(config)
        return make(config.stash[STATE])
    except Exception as error:
        config.stash[FAILED] = error
        return []


def params_of(item: pytest.Item | pytest.Collector) -> dict[str, Any]:
    """What a test is parametrized with."""
    return getattr(getattr(item, "callspec", None), "params", {})


def handle_of(item: pytest.Item) -> CaseItem | GateItem | None:
    """The case or gate that an item stands for; None for other tests."""
    params = params_of(item)
    return item.stash.get(HANDLE, None) or params.get(CASE) or params.get(GATE)


def repeated_in_yaml(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The items of fixture files whose case, unit or task a suite's own module judges in the same run."""
    found = [(item, (type(handle), handle.id)) for item in items if (handle := handle_of(item))]
    suites = {what for item, what in found if HANDLE not in item.stash}
    return [item for item, what in found if HANDLE in item.stash and what in suites]
