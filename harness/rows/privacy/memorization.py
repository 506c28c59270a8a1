"""Block the release of an adapter that reproduces training text verbatim or leaks secrets of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunegate.harness.cases.model import Case, Task
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.adapters import TRAINING
from tunegate.harness.models.evaluation.record import Record, results_of
from tunegate.harness.rows.privacy.detectors import find_private, squeezed, value_digest

ADOPTED_MEND = "have it trained again for fewer epochs, with a lower rate or without the rows, and adopt that"
HOW_TO_MEND = (
    'train fewer epochs or with a lower rate, remove the rows, or write `memorization: {override: "the reason"}` into '
    "the recipe, and train it again"
)


def check_memorization(training: Mapping[str, Any], where: str) -> None:
    """Refuse an adapter that reproduces rows verbatim or leaks their secrets, and one that was not tested for it.

    The rows of the adapters that it continues count as well. `training` is its training record,
    `where` its name in messages.

    Raises:
        Refused: it does, and the recipe does not override it; or it was not tested.
    """
    how = how_to_mend(training)
    for each in _trainings(training):
        found = each.get("memorization")
        if found is None:
            raise Refused(
                f"{where}: expected a {TRAINING} with the results of the memorization test, found none: it comes from "
                "an older version, or continues an adapter of one; train it again"
            )
        if _is_exempted(each, training):
            continue
        if found["memorized"]:
            rows = listed([f"{row['row']} ({row['words']} words)" for row in found["memorized"]])
            share = f"{len(found['memorized'])} of {found['asked']} tested rows"
            raise Refused(f"{where}: it reproduces {share} verbatim: {rows}; {how}")
        if found["leaked"]:
            rows = listed([f"{row['row']} ({row['kind']})" for row in found["leaked"]])
            raise Refused(f"{where}: it leaks secrets of its rows: {rows}; revoke them, and {how}")


def how_to_mend(training: Mapping[str, Any]) -> str:
    """What to do about an adapter that reproduces text or leaks secrets."""
    return ADOPTED_MEND if "adoption" in training else HOW_TO_MEND


def check_outputs(training: Mapping[str, Any], tasks: Sequence[Task], record: Record, name: str) -> None:
    """Refuse a record with an output that leaks a secret of the rows which is not in its case.

    Raises:
        Refused: one does, and the recipe does not override it.
        CouldNotRun: the detectors are not installed.
    """
    wanted = {
        (each["adapter"], secret["scrypt"]): secret
        for each in _trainings(training) if not _is_exempted(each, training)
        for secret in each["memorization"]["secrets"]
    }  # fmt: skip
    if not wanted:
        return
    cases = {case.key: case for task in tasks for unit in task.units for case in unit.cases}
    leaking = []
    for key, _, result in results_of(record):
        for value in _values(result.output or "", cases[key]):
            found = (wanted.get((salt, value_digest(value, salt))) for salt in {salt for salt, _ in wanted})
            leaking += [f"{key} ({secret['kind']} of {secret['row']})" for secret in found if secret]
    if leaking:
        raise Refused(
            f"{name}: outputs that leak secrets of the rows: {listed(leaking)}; revoke them, and "
            f"{how_to_mend(training)}"
        )


def _trainings(training: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The training, and those of the adapters that it continues."""
    each: Mapping[str, Any] | None = training
    while each:
        yield each
        each = each.get("start")


def _is_exempted(each: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether the recipe, or that of the last training, which knew of it, overrides the finding."""
    recipes = (each.get("recipe", {}), last.get("recipe", {}))  # an adoption has none
    return any(isinstance(recipe.get("memorization"), Mapping) for recipe in recipes)


def _values(output: str, case: Case) -> Iterator[str]:
    """The private data in an output that is not in its case."""
    earlier = (text for _, text in case.earlier)
    texts = (case.input, case.context, case.prompt.system, case.prompt.template, *earlier)
    asked = squeezed(" ".join(text for text in texts if text))
    yield from (value for _, value in find_private(output) if squeezed(value) not in asked)
