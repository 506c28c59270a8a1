"""What stops a release although every case is right: an adapter that recites its rows, or tells their secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.harness.cases.model import Case, Task
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed
from tunegate.harness.evaluation.record import Record, results_of
from tunegate.harness.models.adapters import TRAINING
from tunegate.harness.privacy.detectors import find_private, squeezed, value_digest

HOW_TO_MEND = (
    'take fewer passes or a lower rate, take the rows out, or write `memorization: {override: "the reason"}` into the '
    "recipe, and train it again"
)


def check_memorization(training: Mapping[str, Any], where: str) -> None:
    """Refuse an adapter that recites rows or tells their secrets, and one of which nobody knows whether it does.

    What it goes on from was trained on rows of its own, and counts as well.

    Args:
        training: its training record.
        where: what the adapter is called.

    Raises:
        Refused: it does, and its recipe has no reason for it; or nobody asked it.
    """
    for each in _trainings(training):
        found = each.get("memorization")
        if found is None:
            raise Refused(
                f"{where}: expected a {TRAINING} that says what the adapter recites of its rows, found none: it comes "
                "from an older version, or goes on from an adapter of one; train it again"
            )
        if _is_exempted(each, training):
            continue
        if found["memorized"]:
            rows = listed([f"{row['row']} ({row['words']} words)" for row in found["memorized"]])
            share = f"{len(found['memorized'])} of {found['asked']} rows asked"
            raise Refused(f"{where}: it recites {share}, word for word: {rows}; {HOW_TO_MEND}")
        if found["leaked"]:
            rows = listed([f"{row['row']} ({row['kind']})" for row in found["leaked"]])
            raise Refused(f"{where}: it tells secrets of its rows: {rows}; revoke them, and {HOW_TO_MEND}")


def check_outputs(training: Mapping[str, Any], tasks: Sequence[Task], record: Record, name: str) -> None:
    """Refuse a record in which an answer tells a secret of the rows that its case does not hold itself.

    Raises:
        Refused: one does, and the recipe has no reason for it.
        CouldNotRun: what finds them is not installed.
    """
    wanted = {
        (each["adapter"], secret["scrypt"]): secret
        for each in _trainings(training) if not _is_exempted(each, training)
        for secret in each["memorization"]["secrets"]
    }  # fmt: skip
    if not wanted:
        return
    cases = {case.key: case for task in tasks for unit in task.units for case in unit.cases}
    telling = []
    for key, _, result in results_of(record):
        for value in _values(result.output or "", cases[key]):
            found = (wanted.get((salt, value_digest(value, salt))) for salt in {salt for salt, _ in wanted})
            telling += [f"{key} ({secret['kind']} of {secret['row']})" for secret in found if secret]
    if telling:
        raise Refused(
            f"{name}: answers that tell secrets of the rows: {listed(telling)}; revoke them, and {HOW_TO_MEND}"
        )


def _trainings(training: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The training, and those of the adapters that it goes on from."""
    each: Mapping[str, Any] | None = training
    while each:
        yield each
        each = each.get("start")


def _is_exempted(each: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether a recipe has a reason for what it recites: its own, or the last one, which knew of it."""
    return any(isinstance(recipe.get("memorization"), Mapping) for recipe in (each["recipe"], last["recipe"]))


def _values(output: str, case: Case) -> Iterator[str]:
    """What is private in an answer and was not in what was asked."""
    earlier = (text for _, text in case.earlier)
    texts = (case.input, case.context, case.prompt.system, case.prompt.template, *earlier)
    asked = squeezed(" ".join(text for text in texts if text))
    yield from (value for _, value in find_private(output) if squeezed(value) not in asked)
