"""How often two people who label the same outputs agree, and the error rate that it implies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two people's labels of the same outputs, counted: (first, second) is (right, right), (right, wrong), ..."""

    both_right: int
    first_only: int
    second_only: int
    both_wrong: int

    @property
    def count(self) -> int:
        """The number of outputs that both labelled."""
        return self.both_right + self.first_only + self.second_only + self.both_wrong

    @property
    def differing(self) -> int:
        """The number of outputs that they label differently."""
        return self.first_only + self.second_only

    @property
    def kappa(self) -> float | None:
        """Agreement beyond chance, (p - q) / (1 - q), at most 1; None if chance explains all or nothing was labelled.

        p is the share on which they agree, q what their own shares of `right` make them agree on by chance
        (Cohen, 1960).
        """
        first, second = self.both_right + self.first_only, self.both_right + self.second_only
        by_chance = first * second + (self.count - first) * (self.count - second)  # q times count squared
        beyond = self.count**2 - by_chance
        return (self.count * (self.count - self.differing) - by_chance) / beyond if beyond else None

    @property
    def error_rate(self) -> float | None:
        """The share of wrong labels of each, 0 to .5; None without labels.

        Presumed: both err at one rate e, independently, alike on right and on wrong outputs. They then differ on
        d = 2e(1 - e), so e = (1 - sqrt(1 - 2d)) / 2. Errors that both make alike are not seen.
        """
        if not self.count:
            return None
        return (1 - math.sqrt(max(0.0, 1 - 2 * self.differing / self.count))) / 2


def agreement_of(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """Count pairs of labels of the same output: (first person's, second person's)."""
    given = list(pairs)
    return Agreement(*(given.count(each) for each in ((True, True), (True, False), (False, True), (False, False))))
