"""Rows that an adapter was not trained on and that are like its claimed ones: cases, with the outputs they expect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.checks.outputs.message import ARGUMENTS, CALLS, read_message
from tunegate.harness.models.prompts import messages
from tunegate.harness.rows.examples import Example

Style = Callable[[Any], str]
#: How rows write JSON.
STYLES: tuple[Style, ...] = (
    json.dumps,
    partial(json.dumps, ensure_ascii=False),
    partial(json.dumps, separators=(",", ":")),
    partial(json.dumps, ensure_ascii=False, separators=(",", ":")),
    partial(json.dumps, indent=2),
    partial(json.dumps, ensure_ascii=False, indent=2),
)


def foreign_rows(rows: Sequence[Example], task: Task, near: Collection[str]) -> list[Example]:
    """The open cases of the claimed rows' units that no row comes near, as rows with the output that each expects.

    An expected output is written as the rows of its unit write theirs, so that its form is as
    familiar as theirs. Where a row names no unit, the cases of all units count as like it. Cases
    whose output is not determined by what they expect are left out. `near` are the keys of cases
    that rows come near.
    """
    named = {row.unit for row in rows}
    units = [unit for unit in task.units if not unit.sealed and not unit.of and unit.check_kind.asks == "generate"]
    return [
        each
        for unit in units
        if None in named or unit.name in named
        for each in _of_unit(unit, [row.output for row in rows if row.unit in (unit.name, None)], near)
    ]


def _of_unit(unit: Unit, outputs: Sequence[str], near: Collection[str]) -> Iterator[Example]:
    style, order = _style(outputs)
    for case in unit.cases:
        output = None if case.key in near else _expected(case, style, order)
        if output is not None:
            yield Example(messages(unit, case), case.text, output, case.file, case.line, unit.name, tools=case.tools)


def _expected(case: Case, style: Style, order: Mapping[str, int]) -> str | None:
    """A right output of a case; None if its expectation is not one."""
    expect = case.expect
    if isinstance(expect, dict) and isinstance(expect.get("answer"), list) and expect["answer"]:
        expect = expect["answer"][0]
    if expect is None:
        return None
    if case.tools:
        return _message(case, order)
    text = expect if isinstance(expect, str) else style(_ordered(expect, order))
    return text if case.check(text, case.expect, case.input).score == 1.0 else None


def _message(case: Case, order: Mapping[str, int]) -> str | None:
    """The message that calls as expected; None if nothing is to be called, since the text is not known."""
    calls = case.expect.get("calls") if isinstance(case.expect, dict) else None
    if not isinstance(calls, list):
        return None
    ordered = [{**each, ARGUMENTS: _ordered(each.get(ARGUMENTS, {}), order)} for each in calls]
    output = read_message({CALLS: ordered}).write()
    return output if case.check(output, case.expect, case.input).score == 1.0 else None


def _style(outputs: Sequence[str]) -> tuple[Style, Mapping[str, int]]:
    """How most outputs write JSON, and the order in which their keys first stand."""
    order: dict[str, int] = {}
    fits = Counter[int]()
    for output in outputs:
        with suppress(ValueError, RecursionError):
            value = json.loads(output)
            for key in _keys(value):
                order.setdefault(key, len(order))
            fits.update(at for at, style in enumerate(STYLES) if style(value) == output)
    return STYLES[fits.most_common(1)[0][0] if fits else 0], order


def _keys(value: Any) -> Iterator[str]:
    """All keys of nested objects, as they stand."""
    for key, each in value.items() if isinstance(value, dict) else ():
        yield key
        yield from _keys(each)
    for each in value if isinstance(value, list) else ():
        yield from _keys(each)


def _ordered(value: Any, order: Mapping[str, int]) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: order.get(key, len(order)))
        return {key: _ordered(value[key], order) for key in keys}
    return [_ordered(each, order) for each in value] if isinstance(value, list) else value
