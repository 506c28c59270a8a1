"""Output of rows that are similar to fixtures: side by side on the terminal, all of them in the report.

For sealed cases, only the key is shown: neither the case's text nor the row's, which repeats it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tunegate.harness.cases.model import Task
from tunegate.harness.rows.normalize import normalise
from tunegate.harness.rows.thresholds import Near, nearest_first
from tunegate.harness.statistics.power import fewest_cases

Outcome = Literal["dropped", "refused", "asked", "exempted", "near"]
SHOWN = 10


class Settled(NamedTuple):
    """A similar pair, and the outcome for its row."""

    near: Near
    outcome: Outcome


AROUND = 14  # words shown on each side of the common part


def side_by_side(row: str, fixture: str) -> tuple[str, str]:
    """Both texts, one line each, with their longest common part between »«."""
    left, right = row.split(), fixture.split()
    matcher = SequenceMatcher(None, [normalise(word) for word in left], [normalise(word) for word in right], False)
    common = matcher.find_longest_match()
    return _shown(left, common.a, common.size), _shown(right, common.b, common.size)


def _shown(words: Sequence[str], start: int, size: int) -> str:
    end = start + size
    before, after = words[max(0, start - AROUND) : start], words[end : end + AROUND]
    middle = words[start:end]
    if len(middle) > 2 * AROUND:
        middle = [*middle[:AROUND], "...", *middle[-AROUND:]]
    parts = ["..."] if start > AROUND else []
    parts += before
    parts += [f"»{' '.join(middle)}«"] if middle else []
    parts += after
    parts += ["..."] if end + AROUND < len(words) else []
    return " ".join(parts)


def render_refusal(pairs: Sequence[Settled], rows: int, folder: Path) -> Iterator[str]:
    """Yield the lines of a refusal; exemptions are relative to `folder`, that of the recipe."""
    yield from _refused([near for near, outcome in pairs if outcome == "refused"], rows)
    yield from _to_review([near for near, outcome in pairs if outcome == "asked"], folder)


_DOES = {"refuse": "repeats a fixture", "review": "may paraphrase a fixture"}
_DO = {"refuse": "repeat fixtures", "review": "may paraphrase fixtures"}


def render_dropped(pairs: Sequence[Settled], left: int) -> Iterator[str]:
    """Yield lines on the rows dropped or kept; none if no row is similar to a fixture."""
    worst: dict[tuple[str, int], Settled] = {}
    for each in pairs:  # refused pairs come first
        worst.setdefault(each.near.pair[:2], each)
    counted = ("dropped", "near")
    counts = Counter((outcome, near.threshold) for near, outcome in worst.values() if outcome in counted)
    for (outcome, threshold), number in sorted(counts.items()):
        rows = f"1 row that {_DOES[threshold]}" if number == 1 else f"{number} rows that {_DO[threshold]}"
        yield f"  {rows}: {'trained on' if outcome == 'near' else outcome}"
    if counts:
        yield f"  rows left: {left}; --report FILE.json lists every pair"


def render_near(near: Collection[str], tasks: Sequence[Task]) -> Iterator[str]:
    """Yield a line for each unit with cases that rows come near, and a warning where too few others are left.

    `near` are the keys of those cases; `tasks` are all tasks of the fixtures.
    """
    for task in tasks:
        for unit in task.units:
            beside = {case.observation for case in unit.cases if case.key in near}
            clean = sum(case.observation not in beside for case in unit.cases)
            if not beside:
                continue
            yield (
                f"  {unit.key}: rows come near {len(unit.cases) - clean} of {len(unit.cases)} cases; evidence for a "
                f"gain rests on the other {clean}"
            )
            margin = task.policy.of(unit.name, unit.kind).margin
            needed = fewest_cases(margin) if margin and unit.kind == "pass/fail" else 1
            if clean < needed:
                yield f"  warning: {unit.key} stays inconclusive: it takes {needed} cases that no row comes near"


def _refused(pairs: Sequence[Near], rows: int) -> Iterator[str]:
    if pairs:
        # each row is listed once, with its most similar fixture; reversed, so that the most similar one wins
        leaks = {near.pair[:2]: near for near in reversed(pairs)}
        yield (
            f"{len(leaks)} of {rows} training rows repeat fixtures; a score on cases the model was trained on means "
            "nothing. Delete or rewrite these rows, or let the recipe drop them (`decontaminate: {refuse: drop}`):"
        )
        yield from _listed(list(reversed(leaks.values())))


def _to_review(pairs: Sequence[Near], folder: Path) -> Iterator[str]:
    if pairs:
        yield (
            f"Training rows that may paraphrase fixtures: {len(pairs)}. Review each pair: rewrite the row or, if it is "
            "clean, add the pair to the recipe's exemptions with the reason; or let the recipe drop such rows "
            "(`decontaminate: {review: drop}`):"
        )
        yield from _listed(pairs)
        yield "exemptions:"
        yield from (f"  {as_exemption(near, folder)}" for near in pairs[:SHOWN])


def _listed(pairs: Sequence[Near]) -> Iterator[str]:
    for near in pairs[:SHOWN]:
        yield f"  {near.place} repeats {near.eval_text.case.key} ({near.eval_text.case.place}): {near}"
        if near.eval_text.sealed:
            yield "    sealed: no text is shown"
            continue
        row, fixture = side_by_side(near.text, near.eval_text.text)
        yield f"    row:     {row}"
        yield f"    fixture: {fixture}"
    if len(pairs) > SHOWN:
        yield f"  and {len(pairs) - SHOWN} more; --report FILE.json lists them all"


def report_of_pairs(pairs: Sequence[Settled]) -> dict[str, Any]:
    """For the report on the rows: all pairs, by case, most similar first."""
    outcomes = {near.pair: outcome for near, outcome in pairs}
    nearest = nearest_first([near for near, _ in pairs])
    first = {near.eval_text.case.key: at for at, near in reversed(list(enumerate(nearest)))}
    by_case = sorted(nearest, key=lambda near: first[near.eval_text.case.key])
    groups = ((case, list(group)) for case, group in groupby(by_case, key=lambda near: near.eval_text.case))
    return {
        "pairs": len(pairs),
        "cases": [
            {
                "case": case.key, "fixture": case.place, "sealed": group[0].eval_text.sealed,
                "rows": [_reported(near, outcomes[near.pair]) for near in group],
            }
            for case, group in groups
        ],
    }  # fmt: skip


def _reported(near: Near, outcome: Outcome) -> dict[str, Any]:
    shown = {} if near.eval_text.sealed else {"row_text": near.text, "fixture_text": near.eval_text.text}
    return {"row": near.place, "outcome": outcome, "threshold": near.threshold, "why": str(near), **shown}


def as_exemption(near: Near, folder: Path) -> str:
    """The YAML line that exempts a pair in a recipe in `folder`."""
    row = Path(os.path.relpath(near.row.file, folder)).as_posix()  # a link keeps its name, as in `Exemption.pair`
    return f'- {{row: "{row}:{near.row.line}", case: {near.eval_text.case.key}, reason: "..."}}'
