"""Proof that the fixtures are held out: no training row repeats a fixture, edited or reworded.

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
from tunegate.trainers.config.exemptions import Waiver
from tunegate.trainers.data.examples import Row
from tunegate.trainers.decontamination.normalize import normalise
from tunegate.trainers.decontamination.search import Comparison, compare
from tunegate.trainers.decontamination.thresholds import REFUSE, REVIEW, Near

AROUND = 14  # words shown on each side of the common part


def side_by_side(row: str, held: str) -> tuple[str, str]:
    """Both texts, on one line each, their longest common part between »«."""
    left, right = row.split(), held.split()
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


def check_holdout(
    rows: Sequence[Row],
    tasks: Sequence[Task],
    waivers: Sequence[Waiver] = (),
    watch: Watch | None = None,
    folder: Path = Path(),
) -> dict[str, Any]:
    """Refuse rows that repeat a fixture, and rows that may, unless the recipe waives the pair.

    Args:
        rows: the rows to be trained on.
        tasks: every task whose fixtures are held out.
        waivers: the recipe's.
        watch: shows the comparison while it runs.
        folder: the recipe's, to which waivers are relative.

    Returns:
        What was compared, how, and what came near, for the training record.

    Raises:
        Refused: rows that repeat a fixture, or may and are not waived; each pair with its texts.
        AuthoringError: waivers that waive nothing.
        CouldNotRun: there is no embedding model here.
    """
    found = compare(rows, tasks, watch or quiet())
    cases = {case.key for task in tasks for unit in task.units for case in unit.cases}
    check_waivers(waivers, found.pairs, {(row.file, row.line) for row in rows}, cases)
    waived = {waiver.pair for waiver in waivers}
    open_pairs = [near for near in found.band("review") if near.pair not in waived]
    refused = found.band("refuse")
    if refused or open_pairs:
        raise Refused("\n".join([*_refusal(refused, len(rows)), *_to_review(open_pairs, folder)]))
    return _evidence(found, waivers)


def _refusal(pairs: Sequence[Near], rows: int) -> Iterator[str]:
    if pairs:
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
            "where it is innocent, add the pair to the recipe's waivers with the reason:"
        )
        yield from _listed(pairs)
        yield "waivers:"
        yield from (f"  {as_waiver(near, folder)}" for near in pairs[:SHOWN])


def _listed(pairs: Sequence[Near]) -> Iterator[str]:
    for near in pairs[:SHOWN]:
        row, held = side_by_side(near.text, near.held.text)
        yield f"  {near.place} repeats {near.held.case.key} ({near.held.case.place}): {near}"
        yield f"    row:     {row}"
        yield f"    fixture: {held}"
    if len(pairs) > SHOWN:
        yield f"  and {len(pairs) - SHOWN} more"


def _evidence(found: Comparison, waivers: Sequence[Waiver]) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "row_texts": found.row_texts,
        "fixture_texts": found.fixture_texts,
        "phrases_of_boilerplate": found.stripped,
        "bands": {"refuse": dict(REFUSE), "review": dict(REVIEW)},
        "pairs": {"refuse": 0, "review": len(found.band("review"))},
        "waivers": [{"row": waiver.row, "case": waiver.case, "reason": waiver.reason.strip()} for waiver in waivers],
        "nearest": [near.as_dict() for near in found.nearest],
        "embedder": embedder_digest(),
    }


def check_waivers(
    waivers: Sequence[Waiver], found: Iterable[Near], rows: set[tuple[str, int]], cases: set[str]
) -> None:
    """Refuse waivers that waive nothing: each names a pair that has to be reviewed, once.

    Raises:
        AuthoringError: every waiver of an unknown row or case, of a pair that needs none or may not have one, or twice.
    """
    bands = {near.pair: near.band for near in found}
    seen: dict[tuple[str, int, str], Waiver] = {}
    problems = []
    for waiver in waivers:
        first = seen.setdefault(waiver.pair, waiver)
        if first is not waiver:
            problems.append(waiver.problem("", "each pair once", f"that of {first.where} again", "delete one"))
        elif waiver.pair[:2] not in rows:
            hint = "rows move when lines are added above them: read the pair again"
            problems.append(waiver.problem("row", "a row of this recipe", repr(waiver.row), hint))
        elif waiver.case not in cases:
            problems.append(waiver.problem("case", "a case of the fixtures", repr(waiver.case), "delete the waiver"))
        elif bands.get(waiver.pair) == "refuse":
            hint = "no reason makes it innocent: delete the row, or write it anew"
            problems.append(waiver.problem("", "a pair to be reviewed", "one that is refused", hint))
        elif bands.get(waiver.pair) != "review":
            problems.append(waiver.problem("", "a pair to be reviewed", "one that needs no waiver", "delete it"))
    if problems:
        raise AuthoringError(problems)


def as_waiver(near: Near, folder: Path) -> str:
    """The line that would waive a pair in a recipe of this folder."""
    row = Path(os.path.relpath(Path(near.row.file).resolve(), folder.resolve())).as_posix()
    return f'- {{row: "{row}:{near.row.line}", case: {near.held.case.key}, reason: "..."}}'
