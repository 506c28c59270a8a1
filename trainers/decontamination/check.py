"""Decontamination: find the rows that repeat a fixture, edited or paraphrased, and drop or refuse them.

Every text of every row is compared with every text of every case; `thresholds` defines what is too similar.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task
from tunegate.harness.checks.embeddings import embedder_digest
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.files import text_digest
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.search import Comparison, search
from tunegate.harness.rows.thresholds import REFUSE, REVIEW, Near, nearest_first
from tunegate.harness.rows.translations import LANGUAGES, encoder_digest
from tunegate.trainers.config.exemptions import Exemption
from tunegate.trainers.config.sections import ASK, DROP, SPLIT, Decontaminate
from tunegate.trainers.decontamination.render import Outcome, Settled, render_refusal, report_of_pairs

#: Of these the row is trained on. An exemption is its author's: it lets the row stay, and makes no case unseen.
TRAINED_ON: frozenset[Outcome] = frozenset({"near", "exempted"})


@dataclass(frozen=True)
class Decontaminated:
    """The result of a decontamination: the remaining rows, and the outcome of every similar pair."""

    rows: Sequence[Example]
    found: Comparison
    pairs: Sequence[Settled]
    exemptions: Sequence[Exemption]

    @property
    def dropped(self) -> list[Near]:
        """The dropped rows, each with the case it is most similar to."""
        nearest: dict[tuple[str, int], Near] = {}
        for near, outcome in self.pairs:
            if outcome == "dropped":
                nearest.setdefault(near.pair[:2], near)
        return list(nearest.values())

    @property
    def near(self) -> dict[str, Near]:
        """The cases that trained rows come near, by their keys, each with its nearest row, whatever was exempted."""
        found: dict[str, Near] = {}
        for each in nearest_first([near for near, outcome in self.pairs if outcome in TRAINED_ON]):
            for case in (each.eval_text.case, *each.eval_text.same):
                found.setdefault(case.key, replace(each, eval_text=replace(each.eval_text, case=case)))
        return found

    @property
    def dropped_file(self) -> str:
        """The file of dropped rows: a line each with the row, the case and the reason, without texts."""
        return "".join(json.dumps(near.as_dict() | {"why": str(near)}) + "\n" for near in self.dropped)

    def check(self, folder: Path = Path()) -> None:
        """Refuse rows that the recipe neither drops nor keeps; exemptions are shown relative to its folder.

        Raises:
            Refused: rows repeat a fixture, or may do so and are not exempted; or no row is left.
        """
        lines = list(render_refusal(self.pairs, self.found.rows, folder))
        if not lines and not self.rows:
            lines = [
                f"decontaminate: expected a row that is similar to no fixture, found none of {self.found.rows}; "
                "--report FILE.json lists every pair"
            ]
        if lines:
            raise Refused("\n".join(lines))

    def evidence(self) -> dict[str, Any]:
        """For the training record: what was compared, how, and the outcomes."""
        found, dropped, near = self.found, self.dropped, self.near
        return {
            "rows": found.rows,
            "row_texts": found.example_texts,
            "fixture_texts": found.fixture_texts,
            "common_phrases": found.common_phrases,
            "thresholds": {"refuse": dict(REFUSE), "review": dict(REVIEW)},
            "pairs": {"refuse": len(found.threshold("refuse")), "review": len(found.threshold("review"))},
            "other_slots": found.other_slots,
            "reworded": {each.unit: [each.nearer, each.cases] for each in found.reworded},
            "dropped": {
                "refuse": sum(each.threshold == "refuse" for each in dropped),
                "review": sum(each.threshold == "review" for each in dropped),
                "sha256": text_digest(self.dropped_file) if dropped else None,
                "rows": [each.place for each in dropped],
            },
            "near": [each.as_dict() for _, each in sorted(near.items())],
            "exemptions": [
                {"row": exemption.row, "case": exemption.case, "reason": exemption.reason.strip()}
                for exemption in self.exemptions
            ],
            "nearest": [each.as_dict() for each in found.nearest],
            "embedder": embedder_digest(),
            "translations": {"encoder": encoder_digest(), "languages": list(LANGUAGES)},
        }

    def report(self) -> dict[str, Any]:
        """For the report on the rows: all pairs, by fixture."""
        return report_of_pairs(self.pairs)


def decontaminate(
    rows: Sequence[Example],
    tasks: Sequence[Task],
    policy: Decontaminate | None = None,
    exemptions: Sequence[Exemption] = (),
    watch: Watch | None = None,
) -> Decontaminated:
    """Compare rows with the fixtures of all tasks, and drop rows as the recipe's `policy` says.

    By default copies are dropped and the others split off. `Decontaminated.check` refuses the rows
    that are to be refused.

    Raises:
        AuthoringError: exemptions that exempt nothing.
        CouldNotRun: the embedding model is not installed.
    """
    found = search(rows, tasks, watch or quiet())
    cases = {case.key for task in tasks for unit in task.units for case in unit.cases}
    # first, since a useless exemption indicates a moved row, or a text edited since the review
    check_exemptions(exemptions, found.pairs, {(row.file, row.line) for row in rows}, cases)
    exempted = {exemption.pair for exemption in exemptions}
    pairs = [Settled(near, _outcome(near, policy or Decontaminate(), exempted)) for near in found.pairs]
    gone = {near.pair[:2] for near, outcome in pairs if outcome == "dropped"}
    # a dropped row needs no review for other fixtures
    settled = [Settled(near, "dropped") if near.pair[:2] in gone else Settled(near, each) for near, each in pairs]
    return Decontaminated([row for row in rows if (row.file, row.line) not in gone], found, settled, exemptions)


# SPLIT is an adoption's: an adapter that was trained elsewhere has seen the row already
_COPIES: dict[str, Outcome] = {DROP: "dropped", SPLIT: "near"}
_REVIEW: dict[str, Outcome] = {SPLIT: "near", DROP: "dropped", ASK: "asked"}


def _outcome(near: Near, policy: Decontaminate, exempted: set[tuple[str, int, str]]) -> Outcome:
    if near.threshold == "refuse":
        return _COPIES.get(policy.refuse, "refused")
    return "exempted" if near.pair in exempted else _REVIEW[policy.review]


def check_exemptions(
    exemptions: Sequence[Exemption], found: Iterable[Near], rows: set[tuple[str, int]], cases: set[str]
) -> None:
    """Refuse exemptions that exempt nothing; each must name a pair to be reviewed, once.

    Raises:
        AuthoringError: exemptions of an unknown row or case, of a pair that needs none or cannot be exempted, or
            repeated ones.
    """
    nearness = {near.pair: near.threshold for near in found}
    seen: dict[tuple[str, int, str], Exemption] = {}
    problems = []
    for exemption in exemptions:
        first = seen.setdefault(exemption.pair, exemption)
        if first is not exemption:
            problems.append(exemption.problem("", "each pair once", f"that of {first.where} again", "delete one"))
        elif exemption.pair[:2] not in rows:
            hint = "row numbers change when lines are added above: review the pair again"
            problems.append(exemption.problem("row", "a row of this recipe", repr(exemption.row), hint))
        elif exemption.case not in cases:
            problems.append(
                exemption.problem("case", "a case of the fixtures", repr(exemption.case), "delete the exemption")
            )
        elif nearness.get(exemption.pair) == "refuse":
            hint = "it cannot be exempted: delete or rewrite the row"
            problems.append(exemption.problem("", "a pair to be reviewed", "one that is refused", hint))
        elif nearness.get(exemption.pair) != "review":
            problems.append(exemption.problem("", "a pair to be reviewed", "one that needs no exemption", "delete it"))
    if problems:
        raise AuthoringError(problems)
