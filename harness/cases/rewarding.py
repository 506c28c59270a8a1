"""The checks that an adapter was rewarded by: they decided which outputs it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.registry import kind_name
from tunegate.harness.core.files import digest
from tunegate.harness.core.typed import Digest


@dataclass(frozen=True, slots=True, order=True)
class RewardingCheck:
    """A check that rewarded outputs for inputs of a unit, by its kind and the digest of its references.

    `expectations` says whether it also saw what an output should be. Without them it sees form only: what it scores of
    an output without an `expect`.
    """

    unit: str
    check: str
    references: Digest
    expectations: bool = False

    def is_check_of(self, unit: Unit) -> bool:
        """Whether a unit's cases are scored by it: by a check of its kind, or with its references under another name.

        Another digest is not enough: a schema with one more description has one, and passes the same outputs.
        """
        named = {digest(case.check.references) for case in unit.cases if case.check.references}
        return self.check == _kind_of(unit) or self.references in named


def _kind_of(unit: Unit) -> str:
    return kind_name(unit.suite, unit.measure)


def rewarding_check(unit: Unit, expectations: bool = False) -> RewardingCheck:
    """Return the check of a unit's cases as one that rewards."""
    return RewardingCheck(unit.key, _kind_of(unit), digest(unit.cases[0].check.references), expectations)


def read_rewards(raw: Iterable[Mapping[str, Any]]) -> tuple[RewardingCheck, ...]:
    """Read checks from their form in files, each once."""
    return tuple(sorted({RewardingCheck(**each) for each in raw}))


def lacks_evidence(unit: Unit, rewards: Iterable[RewardingCheck]) -> str:
    """Return why a gain on a unit is nothing that rewards have not seen; empty if it may be evidence.

    Another kind of check is evidence, and so are expectations in every case, if the reward saw form only.
    """
    same = [each for each in rewards if each.is_check_of(unit)]
    if not same:
        return ""
    if any(each.expectations for each in same):
        return f"its {unit.suite} check was the reward"
    lacking = sum(case.expect is None for case in unit.cases)
    if lacking:
        return f"its {unit.suite} check was the reward, and {lacking} of its {len(unit.cases)} cases have no `expect`"
    return ""


def targets_with_evidence(task: Task, rewards: Iterable[RewardingCheck]) -> list[str]:
    """Return the target units of a task on which a gain may be evidence."""
    known, found = tuple(rewards), []
    for unit in task.units:
        source = next((each for each in task.units if each.key == unit.of), unit)
        if task.policy.of(unit.name, unit.kind).role == "target" and not lacks_evidence(source, known):
            found.append(unit.key)
    return found
