"""What rows near to a fixture do to its score: a real data set of short questions, its official split.

git clone https://github.com/PolyAI-LDN/task-specific-datasets     # Banking77, CC BY 4.0
python benchmarks/near_rows.py task-specific-datasets/banking_data     # some minutes; writes results/near_rows.md
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from benchmarks.leak_rows import demo_tasks
from benchmarks.leaks import Embedded, nearness
from tunegate.harness.core.progress import Watch
from tunegate.harness.fixtures.model import Task
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import wording
from tunegate.trainers.decontamination.overlap import EvalTexts
from tunegate.trainers.decontamination.search import search
from tunegate.trainers.decontamination.thresholds import WORDS_COUNT

RESULT = Path(__file__).parent / "results/near_rows.md"
INTENTS = 12  # every sixth of the 77, in order of their names
CASES, ROWS = 8, 20  # of each intent, the first ones of the official test and training parts
DRAWS = 400
EDGES = (0.0, 0.6, 0.7, 0.8, 0.86, 0.92, 1.0, 1.1, 1.5)
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Texts of some intents, with their labels."""

    texts: Sequence[str]
    labels: npt.NDArray[np.str_]

    def first(self, number: int) -> Part:
        """The first texts of each intent."""
        at = [place for label in np.unique(self.labels) for place in np.flatnonzero(self.labels == label)[:number]]
        return Part([self.texts[place] for place in at], self.labels[at])


def read_part(file: Path, intents: Sequence[str]) -> Part:
    """The texts of a file that are of some intents."""
    with file.open(encoding="utf-8", newline="") as lines:
        found = [(row["text"], row["category"]) for row in csv.DictReader(lines) if row["category"] in intents]
    return Part([text for text, _ in found], np.array([label for _, label in found]))


def intents_of(file: Path) -> list[str]:
    """The intents that are looked at."""
    with file.open(encoding="utf-8", newline="") as lines:
        return sorted({row["category"] for row in csv.DictReader(lines)})[::6][:INTENTS]


def flagged(rows: Part, cases: Part, watch: Watch, vectors: Embedded) -> Counter[str]:
    """How many rows are refused and reviewed."""
    examples = [
        Example((("user", text),), text, f'{{"intent": "{label}"}}', "train.csv", at)
        for at, (text, label) in enumerate(zip(rows.texts, rows.labels, strict=True), 1)
    ]
    return Counter(nearness(examples, search(examples, [_task(cases)], watch, vectors)).values())


def _task(cases: Part) -> Task:
    """A task with one unit of these cases."""
    from dataclasses import replace

    demo = demo_tasks()[0]
    unit = demo.units[0]
    made_of = [
        replace(unit.cases[0], id=f"c{at}", input=text, expect={"intent": str(label)}, context=None, earlier=())
        for at, (text, label) in enumerate(zip(cases.texts, cases.labels, strict=True))
    ]
    return replace(demo, units=(replace(unit, cases=tuple(made_of)),))


def likeness(rows: Part, cases: Part, vectors: Embedded) -> Numbers:
    """The likeness of every row and every case, as decontamination has it."""
    cosine = vectors(rows.texts) @ vectors(cases.texts).T
    words = EvalTexts([wording(text) for text in cases.texts]).scores([wording(text) for text in rows.texts]).words
    both: Numbers = cosine + WORDS_COUNT * words
    return both


def effects(rows: Part, cases: Part, vectors: Embedded) -> tuple[Numbers, Numbers]:
    """Over many draws of rows: whether a case is right, and its likeness to the nearest row of its intent."""
    rng, alike = np.random.default_rng(3), likeness(rows, cases, vectors)
    mine, theirs = vectors(rows.texts), vectors(cases.texts)
    right, nearest = np.zeros((2, DRAWS, len(cases.texts)), dtype=np.float32)
    for draw in range(DRAWS):
        chosen = np.concatenate([
            rng.choice(np.flatnonzero(rows.labels == label), ROWS, replace=False) for label in np.unique(rows.labels)
        ])  # fmt: skip
        learner = LogisticRegression(C=10, max_iter=300).fit(mine[chosen], rows.labels[chosen])
        right[draw] = learner.predict(theirs) == cases.labels
        same = rows.labels[chosen][:, None] == cases.labels
        nearest[draw] = np.where(same, alike[chosen], 0).max(axis=0)
    return right, nearest


def by_likeness(right: Numbers, nearest: Numbers) -> Iterator[tuple[str, int, float, float, float]]:
    """For each span of likeness: draws, what is right, and what the same cases gain beside their farther draws."""
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        inside = (nearest >= low) & (nearest < high)
        farther = nearest < low
        both = inside.any(axis=0) & farther.any(axis=0)
        if not both.any():
            continue
        with np.errstate(invalid="ignore"):
            near = np.nanmean(np.where(inside, right, np.nan)[:, both], axis=0)
            far = np.nanmean(np.where(farther, right, np.nan)[:, both], axis=0)
        gain = near - far
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        yield f"{low:.2f} to {high:.2f}", int(both.sum()), float(right[inside].mean()), float(gain.mean()), 1.96 * error
