"""Decontamination: the proof that the fixtures are held out: no training row repeats a fixture, edited or reworded.

Every text of every row is held against every text of every case; `thresholds` says what is too near.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.embeddings import embedder_digest
from tunegate.harness.fixtures.model import Task
from tunegate.trainers.config.exemptions import Exemption
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import normalise
from tunegate.trainers.decontamination.search import Comparison, search
from tunegate.trainers.decontamination.thresholds import REFUSE, REVIEW, Near

AROUND = 14  # words shown on each side of the common part


def side_by_side(row: str, fixture: str) -> tuple[str, str]:
    """Both texts, on one line each, their longest common part between »«."""
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


SHOWN = 10


def check_decontamination(
    rows: Sequence[Example],
    tasks: Sequence[Task],
    exemptions: Sequence[Exemption] = (),
    watch: Watch | None = None,
    folder: Path = Path(),
) -> dict[str, Any]:
    """Refuse rows that repeat a fixture, and rows that may, unless the recipe exempts the pair.

    Args:
        rows: the rows to be trained on.
        tasks: every task whose fixtures are held out.
        exemptions: the recipe's.
        watch: shows the comparison while it runs.
        folder: the recipe's, to which exemptions are relative.

    Returns:
        What was compared, how, and what came near, for the training record.

    Raises:
        Refused: rows that repeat a fixture, or may and are not exempted; each pair with its texts.
        AuthoringError: exemptions that exempt nothing.
        CouldNotRun: there is no embedding model here.
    """
    found = search(rows, tasks, watch or quiet())
    cases = {case.key for task in tasks for unit in task.units for case in unit.cases}
    # First, for an exemption that exempts nothing names a row that moved, or a text edited since somebody read it.
    check_exemptions(exemptions, found.pairs, {(row.file, row.line) for row in rows}, cases)
    exempted = {exemption.pair for exemption in exemptions}
    open_pairs = [near for near in found.threshold("review") if near.pair not in exempted]
    refused = found.threshold("refuse")
    if refused or open_pairs:
        raise Refused("\n".join([*_refusal(refused, len(rows)), *_to_review(open_pairs, folder)]))
    return _evidence(found, exemptions)


def _refusal(pairs: Sequence[Near], rows: int) -> Iterator[str]:
    if pairs:
        # a row is told once, with the fixture that it is nearest to; reversed, so that the nearest is written last
        leaks = {near.pair[:2]: near for near in reversed(pairs)}
        yield (
            f"{len(leaks)} of {rows} training rows repeat fixtures; a score on cases the model was trained on means "
            "nothing. Delete these rows, or write them anew:"
        )
        yield from _listed(list(reversed(leaks.values())))


def _to_review(pairs: Sequence[Near], folder: Path) -> Iterator[str]:
    if pairs:
        yield (
            f"Training rows that may be fixtures in other words: {len(pairs)}. Read each pair: write the row anew or, "
            "where it is innocent, add the pair to the recipe's exemptions with the reason:"
        )
        yield from _listed(pairs)
        yield "exemptions:"
        yield from (f"  {as_exemption(near, folder)}" for near in pairs[:SHOWN])


def _listed(pairs: Sequence[Near]) -> Iterator[str]:
    for near in pairs[:SHOWN]:
        row, fixture = side_by_side(near.text, near.eval_text.text)
        yield f"  {near.place} repeats {near.eval_text.case.key} ({near.eval_text.case.place}): {near}"
        yield f"    row:     {row}"
        yield f"    fixture: {fixture}"
    if len(pairs) > SHOWN:
        yield f"  and {len(pairs) - SHOWN} more"


def _evidence(found: Comparison, exemptions: Sequence[Exemption]) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "row_texts": found.example_texts,
        "fixture_texts": found.fixture_texts,
        "common_phrases": found.common_phrases,
        "thresholds": {"refuse": dict(REFUSE), "review": dict(REVIEW)},
        "pairs": {"refuse": 0, "review": len(found.threshold("review"))},
        "exemptions": [
            {"row": exemption.row, "case": exemption.case, "reason": exemption.reason.strip()}
            for exemption in exemptions
        ],
        "nearest": [near.as_dict() for near in found.nearest],
        "embedder": embedder_digest(),
    }


def check_exemptions(
    exemptions: Sequence[Exemption], found: Iterable[Near], rows: set[tuple[str, int]], cases: set[str]
) -> None:
    """Refuse exemptions that exempt nothing: each names a pair that has to be reviewed, once.

    Raises:
        AuthoringError: every exemption of an unknown row or case, of a pair that needs or may have none, or twice.
    """
    nearness = {near.pair: near.threshold for near in found}
    seen: dict[tuple[str, int, str], Exemption] = {}
    problems = []
    for exemption in exemptions:
        first = seen.setdefault(exemption.pair, exemption)
        if first is not exemption:
            problems.append(exemption.problem("", "each pair once", f"that of {first.where} again", "delete one"))
        elif exemption.pair[:2] not in rows:
            hint = "rows move when lines are added above them: read the pair again"
            problems.append(exemption.problem("row", "a row of this recipe", repr(exemption.row), hint))
        elif exemption.case not in cases:
            problems.append(
                exemption.problem("case", "a case of the fixtures", repr(exemption.case), "delete the exemption")
            )
        elif nearness.get(exemption.pair) == "refuse":
            hint = "no reason makes it innocent: delete the row, or write it anew"
            problems.append(exemption.problem("", "a pair to be reviewed", "one that is refused", hint))
        elif nearness.get(exemption.pair) != "review":
            problems.append(exemption.problem("", "a pair to be reviewed", "one that needs no exemption", "delete it"))
    if problems:
        raise AuthoringError(problems)


def as_exemption(near: Near, folder: Path) -> str:
    """The line that would exempt a pair in a recipe of this folder."""
    row = Path(os.path.relpath(Path(near.row.file).resolve(), folder.resolve())).as_posix()
    return f'- {{row: "{row}:{near.row.line}", case: {near.eval_text.case.key}, reason: "..."}}'
