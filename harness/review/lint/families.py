"""Find undeclared families: near-identical cases, or parts of one conversation, that share no group."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.checks.text.near_copies import folded_text, near_copies
from tunegate.harness.core.errors import LintWarning

# Jaccard similarity of the inputs' 5-grams, as for training rows against fixtures: none of 2,501 clean rows comes so
# close. Reworded copies stay below it and need a reviewer.
ALIKE = 0.7
SHORT = 20  # characters; in shorter texts a single letter can matter
SHOWN = 6  # cases shown per family


def undeclared_families(unit: Unit) -> Iterator[LintWarning]:
    """Warn about each family of cases without a common group: near copies, or parts of one conversation."""
    for what, families in (("near copies of one another", _families(unit)), ("of one conversation", _cut(unit))):
        for family in families:
            yield from _undeclared(unit, what, family)


def _undeclared(unit: Unit, what: str, family: Sequence[Case]) -> Iterator[LintWarning]:
    loose = [case for case in family if not case.group]
    if not loose:  # several groups are a deliberate choice
        return
    name = next((case.group for case in family if case.group), family[0].id)
    listed = [f"{case.id} ({_where(case, loose[0])})" for case in family[:SHOWN]]
    more = f" and {len(family) - SHOWN} more" if len(family) > SHOWN else ""
    yield LintWarning(
        loose[0].path, loose[0].line,
        f"{unit.key}: {what}: {', '.join(listed)}{more}; likely to pass and fail together, yet "
        "counted one by one: with families of four the gate holds a loss of the margin 14 % of the time, and not "
        f"4 %; write `group: {name}` in each, or make them differ",
    )  # fmt: skip


def _where(case: Case, beside: Case) -> str:
    return f"line {case.line}" if case.file == beside.file else f"{case.file}:{case.line}"


def _families(unit: Unit) -> Iterator[Sequence[Case]]:
    """Families of similar cases, each with its first case first; identical questions count once."""
    alike: dict[tuple[object, ...], dict[tuple[object, ...], Case]] = {}
    for case in unit.cases:
        expect = json.dumps(case.expect, sort_keys=True, default=str)
        same = (expect, folded_text(case.context or ""), case.prompt.system, case.prompt.template)
        # cases with different expectations may differ in one word and still be separate cases
        alike.setdefault(same, {}).setdefault((case.text, case.group), case)
    for cases in map(list, map(dict.values, alike.values())):
        families: dict[int, list[Case]] = {}
        found = near_copies([case.text for case in cases], ALIKE, of_firsts=True)
        for second, pairs in groupby(found, key=lambda pair: pair.second):
            first, case = max(pairs, key=lambda pair: pair.alike), cases[second]
            if first.alike == 1 or len(case.text) >= SHORT:
                families.setdefault(first.first, [cases[first.first]]).append(case)
        yield from families.values()


def _cut(unit: Unit) -> Iterable[Sequence[Case]]:
    """Cases whose conversation continues another case's, after that case."""
    turns = {case.id: tuple((role, folded_text(text)) for role, text in case.turns) for case in unit.cases}
    ends = {turns[case.id]: case for case in reversed(unit.cases)}
    families: dict[str, list[Case]] = {}
    for case in unit.cases:
        mine = turns[case.id]
        first = next((ends[mine[:length]] for length in range(1, len(mine)) if mine[:length] in ends), None)
        if first:
            families.setdefault(first.id, [first]).append(case)
    return families.values()
