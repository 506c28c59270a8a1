"""How often a release that asks again finds forged answers.

python benchmarks/asking.py            # a second; writes asking.md

Exact, by the shipped sample sizes and the shipped rule: so many of a unit's answers are forged, so many are drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import write
from benchmarks.gate_markdown import table
from tunegate.harness.release.asking import SHARE, found, sample_size

CASES = (50, 100, 200, 400, 1000)
FORGED = (1, 2, 5, 10, 20)


def drawn(cases: int) -> int:
    """How many cases of a unit are asked, where nothing smaller than the least share would turn its decision."""
    return sample_size(cases, max(1, int(SHARE * cases)))


def report() -> Iterator[str]:
    """The tables."""
    yield from (
        "# Asking again before a release",
        "How often a unit's record is refused, in percent, by how many of its outcomes were forged. Exact, by the code "
        "that ships. The decision itself is made anew from what came, which is not counted here; nor are critical and "
        "sealed cases, of which every one is asked: one that was forged is found every time.",
        "    python benchmarks/asking.py",
    )
    rows = [
        [str(cases), str(size := drawn(cases)), *(f"{100 * found(cases, forged, size):.1f}" for forged in FORGED)]
        for cases in CASES
    ]
    yield table(["cases", "asked", *(f"{count} forged" for count in FORGED)], rows)


if __name__ == "__main__":
    write("asking", report())
