"""Which planted leaks decontamination finds, and how many innocent rows it stops.

python benchmarks/leaks.py            # some minutes; writes results/leaks.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

import numpy as np

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import percent, table
from benchmarks.leak_disguises import BULK, disguised, in_bulk
from benchmarks.leak_rows import KINDS, WRAPPINGS, Planted, demo_tasks, innocent, leaks, tasks_as_they_were, wrap
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch
from tunegate.harness.embeddings import embed
from tunegate.harness.statistics.paired import wilson
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.overlap import Matrix
from tunegate.trainers.decontamination.search import Comparison, search
from tunegate.trainers.decontamination.thresholds import REFUSE, REVIEW

LIBRARIES = ("numpy", "scipy", "sentence-transformers", "torch")
FOUND_OF_HIDDEN = 0.95  # of those in disguise, translations left aside
SURE = ("exact", "white space and case", "edited numbers and names")
FALSE_REFUSALS = 0.005


@dataclass(frozen=True)
class Found:
    """How many of a kind of row were refused, and how many were to be reviewed."""

    rows: int
    refused: int
    reviewed: int

    def __add__(self, other: Found) -> Found:
        return Found(self.rows + other.rows, self.refused + other.refused, self.reviewed + other.reviewed)


class Embedded:
    """Embeddings kept by text: every run compares the same ones."""

    def __init__(self) -> None:
        self.kept: dict[str, Matrix] = {}

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """The embedding of each text."""
        new = [text for text in texts if text not in self.kept]
        self.kept.update(zip(new, embed(new), strict=True))
        rows: Matrix = np.stack([self.kept[text] for text in texts])
        return rows


def nearness(rows: Sequence[Example], found: Comparison) -> dict[int, str]:
    """The worst threshold that each row is beyond, by its number."""
    place = {(row.file, row.line): number for number, row in enumerate(rows)}
    worst: dict[int, str] = {}
    for near in found.pairs:  # the refused ones come first
        worst.setdefault(place[near.pair[:2]], near.threshold)
    return worst


def recall(planted: Sequence[Planted], around: Sequence[Example], tasks: Sequence[Task], watch: Watch,
           vectors: Embedded, wrapping: str) -> dict[str, Found]:  # fmt: skip
    """What is found of each kind of leak, planted among innocent rows."""
    rows = wrap([*(each.row for each in planted), *around], wrapping)
    worst = nearness(rows, search(rows, tasks, watch, vectors))
    return {kind: _found([worst.get(at) for at, each in enumerate(planted) if each.kind == kind]) for kind in KINDS}


def hidden(around: Sequence[Example], watch: Watch, vectors: Embedded) -> dict[str, Found]:
    """What is found of each kind of leak in disguise, planted among innocent rows."""
    planted = disguised()
    rows = [*(each.row for each in planted), *around]
    worst = nearness(rows, search(rows, demo_tasks(), watch, vectors))
    kinds = dict.fromkeys(each.kind for each in planted)
    found = {kind: _found([worst.get(at) for at, each in enumerate(planted) if each.kind == kind]) for kind in kinds}
    for fixtures in (1, 2):
        rows, tasks = in_bulk(fixtures)
        worst = nearness(rows, search(rows, tasks, watch, vectors))
        name = f"{BULK} near copies where there {'is 1 fixture' if fixtures == 1 else 'are 2 fixtures'}"
        found[name] = _found([worst.get(at) for at in range(len(rows))])
    return found


def alarms(watch: Watch, vectors: Embedded, wrapping: str) -> dict[str, Found]:
    """What is wrongly found among innocent rows, by where they come from."""
    counts: dict[str, Found] = {}
    for group in innocent():
        rows = wrap(group.rows, wrapping)
        worst = nearness(rows, search(rows, group.tasks, watch, vectors))
        found = _found([worst.get(at) for at in range(len(rows))])
        counts[group.name] = counts.get(group.name, Found(0, 0, 0)) + found
    return counts


def _found(worst: Sequence[str | None]) -> Found:
    return Found(len(worst), worst.count("refuse"), worst.count("review"))


def found_in(watch: Watch) -> Iterator[str]:
    """What was found, paragraph by paragraph."""
    vectors, tasks, planted = Embedded(), tasks_as_they_were(), leaks()
    around = next(iter(innocent())).rows
    found = {name: recall(planted, around, tasks, watch, vectors, name) for name in WRAPPINGS}
    false = {name: alarms(watch, vectors, name) for name in WRAPPINGS}
    yield "# Decontamination on planted leaks and innocent rows"
    limits = f"Refused at {_limits(REFUSE)} or equal; reviewed at {_limits(REVIEW)}"
    yield f"{limits}. docs/decontamination.md#thresholds defines them."
    yield "## Planted leaks: refused + reviewed, of all"
    yield (
        "In brackets Wilson's 95 % interval. The limits were chosen with the paraphrases in sight; the fresh ones were "
        "written afterwards, and nothing was changed for them: they tell what to expect of other texts."
    )
    head = ["kind", "planted", *WRAPPINGS]
    yield table(head, ([kind, str(found["plain"][kind].rows), *(_share(found[name][kind]) for name in WRAPPINGS)]
                       for kind in KINDS))  # fmt: skip
    yield "## Leaks in disguise: refused + reviewed, of all"
    secret = hidden(around, watch, vectors)
    yield table(["kind", "planted", "found"], ([kind, str(each.rows), _share(each)] for kind, each in secret.items()))
    yield "## Innocent rows: refused + reviewed"
    total = {name: sum(groups.values(), Found(0, 0, 0)) for name, groups in false.items()}
    lines = [[group, str(each.rows), *(_few(false[name][group]) for name in WRAPPINGS)]
             for group, each in false["plain"].items()]  # fmt: skip
    yield table(
        ["rows", "how many", *WRAPPINGS], [*lines, ["all", str(total["plain"].rows), *map(_few, total.values())]]
    )
    yield from _promises(found, total)
    yield _of_hidden(secret)


def report(parts: Sequence[str], made: str) -> str:
    """The whole report."""
    return "\n\n".join([*parts, "## How", made]) + "\n"


def _limits(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {least}" for name, least in limits.items())


def _share(found: Found) -> str:
    caught = found.refused + found.reviewed
    sure = wilson(caught, found.rows, 0.025)
    return (
        f"{percent(found.refused / found.rows)} + {percent(found.reviewed / found.rows)} = "
        f"{percent(caught / found.rows)} [{100 * sure.lower:.0f}, {100 * sure.upper:.0f}]"
    )


def _few(found: Found) -> str:
    return f"{found.refused} + {found.reviewed} ({100 * found.refused / found.rows:.2f} % + " \
           f"{100 * found.reviewed / found.rows:.2f} %)"  # fmt: skip


def _promises(found: Mapping[str, Mapping[str, Found]], total: Mapping[str, Found]) -> Iterator[str]:
    missed = [f"{kind}, {name}" for name, kinds in found.items() for kind in SURE
              if kinds[kind].refused + kinds[kind].reviewed < kinds[kind].rows]  # fmt: skip
    loud = [name for name, each in total.items() if each.refused >= FALSE_REFUSALS * each.rows]
    yield (
        f"Promised: exact, normalised and edited copies are all refused or reviewed ({_kept(missed)}); under "
        f"{percent(FALSE_REFUSALS)} of innocent rows are refused ({_kept(loud)})."
    )


def _of_hidden(secret: Mapping[str, Found]) -> str:
    every = sum((each for kind, each in secret.items() if kind != "translation"), Found(0, 0, 0))
    caught = every.refused + every.reviewed
    return (
        f"Of {every.rows} leaks in disguise, translations left aside, {caught} are found "
        f"({_kept([f'{caught}'] if caught < FOUND_OF_HIDDEN * every.rows else [])})."
    )


def _kept(broken: Sequence[str]) -> str:
    return f"BROKEN: {'; '.join(broken)}" if broken else "kept"


if __name__ == "__main__":
    carry_out(
        RESULTS / "leaks.md", "python benchmarks/leaks.py", LIBRARIES,
        lambda watch: list(found_in(watch)), report, lambda parts: [each for each in parts if "BROKEN" in each],
    )  # fmt: skip
