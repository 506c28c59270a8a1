"""Rows made from a unit's cases: one rewording may be another message about the same thing, two hundred are not.

Rows that know no case are, like the cases, drawn from what people ask. So each case is as likely to have its nearest
neighbour among the R rows as R / (R + n - 1) says, and a row leads over the next one by as much as it does for a row.
Rows made from cases stand nearer, and lead. Neither needs a limit for one pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.normalize import wording
from tunegate.harness.rows.texts import EvalText, ExampleText
from tunegate.harness.rows.thresholds import NEAREST, REFUSE, Near

Vectors = npt.NDArray[np.float32]  # a text down, of length 1

LEAST = 20  # cases, and rows
# From honest sets and from reworded cases (benchmarks/results/rewordings.md).
EXCESS, CONFIDENCE = 0.5, 0.99
LEADS, LEVEL = 0.65, 1e-4
SAMPLE = 500  # rows whose own lead is measured


@dataclass(frozen=True)
class Reworded:
    """A unit whose cases rows reword: a row is nearer to `nearer` of its cases than any other case is."""

    unit: str
    cases: int
    nearer: int
    expected: float
    pairs: tuple[Near, ...]

    def __str__(self) -> str:
        return (
            f"{self.unit}: for {self.nearer} of {self.cases} cases the nearest text is a row, not another case, "
            f"where about {self.expected:.0f} are expected of rows that know no case: the rows look reworded from cases"
        )


def find_reworded(
    rows: Sequence[Example], units: Sequence[Unit], vectors: Mapping[str, Vectors], common: Mapping[str, int]
) -> Iterator[Reworded]:
    """Yield the units whose cases rows reword, with each row and the case that it is nearest to.

    `vectors` has the embedding of each text without the `common` phrases (`stripped`).
    """
    every = {stripped(row.input, common): row for row in rows}
    groups = [
        every,
        *({text: row for text, row in every.items() if row.unit == unit} for unit in {r.unit for r in rows}),
    ]
    for unit in units:
        cases = {stripped(case.text, common): case for case in unit.cases}
        found = [_reworded(unit, cases, group, vectors) for group in groups if min(len(group), len(cases)) >= LEAST]
        yield from [each for each in found if each][:1]


def stripped(text: str, common: Mapping[str, int]) -> str:
    """A text without the common phrases."""
    return wording(text).without(common).text


def _reworded(
    unit: Unit, cases: Mapping[str, Case], rows: Mapping[str, Example], vectors: Mapping[str, Vectors]
) -> Reworded | None:
    held, asked = (np.stack([vectors[text] for text in texts]) for texts in (cases, rows))
    found = standing_of(held, asked)
    if not found.is_made:
        return None
    near, others = held @ asked.T, _nearest_others(held)
    pairs = _pairs(unit, list(cases.values()), list(rows.values()), near, others)
    return Reworded(unit.key, len(cases), round(found.share * len(cases)), found.expected * len(cases), tuple(pairs))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where rows stand beside cases.

    Attributes:
        share: of the cases, those to which a row is nearer than any other case.
        expected: that share, of rows that know no case.
        excess: the lower bound of `share` (Clopper and Pearson 1934), beyond what is expected, of what is possible.
        lead: the share of pairs of a case and a row in which the case's nearest row leads over the next by more.
        level: the p of that (Mann and Whitney 1947).
    """

    share: float
    expected: float
    excess: float
    lead: float
    level: float

    @property
    def is_made(self) -> bool:
        """Whether the rows look made from the cases."""
        return self.excess > EXCESS or (self.lead >= LEADS and self.level <= LEVEL)


def standing_of(cases: Vectors, rows: Vectors) -> Standing:
    """Compare embedded rows with embedded cases; two of each at least."""
    near = cases @ rows.T
    nearer, expected = int((near.max(axis=1) > _nearest_others(cases)).sum()), len(rows) / (len(rows) + len(cases) - 1)
    excess = (_lower_bound(nearer, len(cases)) - expected) / (1 - expected)
    return Standing(nearer / len(cases), expected, excess, *_lead(near, rows))


def _nearest_others(cases: Vectors) -> Vectors:
    """The cosine of each case with the nearest other case."""
    apart = cases @ cases.T
    np.fill_diagonal(apart, -1)
    nearest: Vectors = apart.max(axis=1)
    return nearest


def _lower_bound(count: int, of: int) -> float:
    from scipy.stats import beta

    return float(beta.ppf(1 - CONFIDENCE, count, of - count + 1)) if count else 0.0


def _lead(near: Vectors, rows: Vectors) -> tuple[float, float]:
    """In how many pairs a case's nearest row leads over the next by more than a row's nearest does, and the p."""
    from scipy.stats import mannwhitneyu

    chosen = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    among = rows[chosen] @ rows.T
    among[np.arange(len(chosen)), chosen] = -1
    mine, usual = _leads(near), _leads(among)
    if np.ptp(np.concatenate([mine, usual])) == 0:  # all texts are alike
        return 0.5, 1.0
    test = mannwhitneyu(mine, usual, alternative="greater")
    return float(test.statistic) / (len(mine) * len(usual)), float(test.pvalue)


def _leads(cosines: Vectors) -> npt.NDArray[np.float64]:
    two = np.partition(cosines, -2, axis=1)[:, -2:].astype(np.float64)  # in float32, ties end in a root of less than 0
    leads: npt.NDArray[np.float64] = two[:, 1] - two[:, 0]
    return leads


def _pairs(
    unit: Unit, cases: Sequence[Case], rows: Sequence[Example], near: Vectors, others: Vectors
) -> Iterator[Near]:
    """Each row with its nearest case, and each case with its nearest row, where no other case is nearer."""
    places = {(int(at), row) for row, at in enumerate(near.argmax(axis=0))}
    places |= {(case, int(at)) for case, at in enumerate(near.argmax(axis=1))}
    for case, row in sorted(places):
        cosine = float(near[case, row])
        if cosine > others[case]:
            values = dict.fromkeys(REFUSE, 0.0) | {"cosine": cosine, "likeness": cosine, "limit": float(others[case])}
            held = EvalText(cases[case].text, cases[case], "input", unit.sealed)
            yield Near(ExampleText(rows[row].input, rows[row], "input"), held, "review", NEAREST, cosine, values)
