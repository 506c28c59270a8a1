"""The slices of a unit: how each tag moved, and what the regressed cases have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunegate.harness.models.evaluation.sidecar import CaseContext

Tagged = Sequence[tuple[str, float | None, CaseContext]]  # state, score and context of each case
LEAST = 3  # minimum regressed cases for a common trait
SHARE = 0.5  # minimum share of them with a tag or a finding, to be reported
MOST_PATTERN = 120  # characters of a common finding
_PLACE = re.compile(r",? at line \d+, column \d+,?")
_QUOTED = re.compile(r"""'[^']*'?|"[^"]*"?""")
_NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True, slots=True)
class SliceReport:
    """The cases with one value of a tag: mean scores, and whether the gate found a drop."""

    tag: str
    n: int
    base: float | None
    mean: float | None
    regressed: int
    fixes: int
    fell: bool


def slice_reports(cases: Tagged, fallen: Collection[str] = ()) -> tuple[SliceReport, ...]:
    """Return all tags of a unit's cases, the `fallen` ones first, then by regressed cases."""
    found: dict[str, list[tuple[str, float | None, CaseContext]]] = {}
    for case in cases:
        for tag in _tags(case[2]):
            found.setdefault(tag, []).append(case)
    made = [_slice(tag, of_tag, tag in fallen) for tag, of_tag in found.items()]
    return tuple(sorted(made, key=lambda each: (not each.fell, -each.regressed, each.tag)))


def _tags(context: CaseContext) -> list[str]:
    return [f"{tag}={value}" for tag, value in context.tags.items()]


def _slice(tag: str, cases: Tagged, fell: bool) -> SliceReport:
    states = [state for state, _, _ in cases]
    before = [next((each.score for each in context.before.values()), None) for _, _, context in cases]
    return SliceReport(
        tag, len(cases), _mean(before), _mean([score for _, score, _ in cases]), states.count("regressed"),
        states.count("fixed"), fell,
    )  # fmt: skip


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def patterns_of(findings: Iterable[tuple[str, str]]) -> set[str]:
    """Return the patterns of a case's findings: their rules, and their texts without variable parts."""
    return {each for rule, text in findings for each in (rule, pattern_of(text))}


def pattern_of(text: str) -> str:
    """Return the text of a finding without its variable parts."""
    alike = _PLACE.sub("", text.partition(": expected ")[0])
    return _NUMBER.sub("N", _QUOTED.sub("...", alike))[:MOST_PATTERN]


def driver(cases: Tagged, patterns: Mapping[str, int]) -> str:
    """Return what the regressed cases have in common, as a sentence: an overrepresented tag, and a finding.

    `patterns` gives the number of them with each pattern. It is descriptive and decides nothing: among many tags, some
    stand out by chance.
    """
    regressed_cases = [context for state, _, context in cases if state == "regressed"]
    total = len(regressed_cases)
    if total < LEAST:
        return ""
    every = Counter(tag for _, _, context in cases for tag in _tags(context))
    among = Counter(tag for context in regressed_cases for tag in _tags(context))
    excess = {tag: count / total - every[tag] / len(cases) for tag, count in among.items() if count >= SHARE * total}
    parts = []
    if excess and (tag := max(excess, key=lambda each: excess[each])) and excess[tag] > 0:
        parts.append(f"{among[tag]} of {total} regressed cases are {tag}, as are {every[tag]} of all {len(cases)}")
    common = {pattern: count for pattern, count in patterns.items() if count >= SHARE * total}
    if common:
        # the most specific of the most frequent ones
        pattern = max(common, key=lambda each: (common[each], len(each)))
        who = "" if parts else " regressed cases"
        named = pattern if ": " in pattern else f'"{pattern}"'  # a rule's name without a text
        parts.append(f"{common[pattern]} of {total}{who} have the finding {named}")
    said = "; ".join(parts)
    return said if not said or said.endswith("...") else f"{said}."
