"""What rows near to a fixture do to its score: a real data set of short questions, its official split.

git clone https://github.com/PolyAI-LDN/task-specific-datasets     # Banking77, CC BY 4.0
python benchmarks/near_rows.py task-specific-datasets/banking_data     # some minutes; writes results/near_rows.md
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import percent, table
from benchmarks.leak_rows import demo_tasks
from benchmarks.leaks import Embedded, nearness, report
from tunegate.harness.cases.model import Task
from tunegate.harness.core.progress import Watch
from tunegate.trainers.data.examples import Example
from tunegate.trainers.decontamination.normalize import wording
from tunegate.trainers.decontamination.overlap import EvalTexts
from tunegate.trainers.decontamination.search import search
from tunegate.trainers.decontamination.thresholds import MOST_LIKENESS, REVIEW, WORDS_COUNT

LIBRARIES = ("numpy", "scikit-learn", "sentence-transformers", "torch")
INTENTS = 12  # every sixth of the 77, in order of their names
CASES, ROWS = 8, 20  # of each intent, the first ones of the official test and training parts
DRAWS = 400
LIMITS = (0.7, 0.8, REVIEW["likeness"], 0.92, MOST_LIKENESS, 1.1, 1.2)
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


def effect_from(least: float, right: Numbers, nearest: Numbers) -> list[str]:
    """What rows of at least this likeness do: how many cases have one, what it gives them, and what the whole score."""
    near = nearest >= least
    both = near.any(axis=0) & (~near).any(axis=0)  # the same cases with and without a near row
    with_one = _means(near[:, both], right[:, both])
    gain = with_one - _means(~near[:, both], right[:, both])
    error = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    whole = np.where(near[:, both], gain, 0).sum() / right.size
    points = f"{100 * gain.mean():+.1f} \N{PLUS-MINUS SIGN} {100 * error:.1f}"
    return [f"{least:.2f}", percent(float(near.mean())), str(int(both.sum())), points, f"{100 * whole:+.1f}"]


def _means(chosen: npt.NDArray[np.bool_], right: Numbers) -> Numbers:
    """The mean of each case over the draws that are chosen."""
    means: Numbers = np.where(chosen, right, 0).sum(axis=0) / chosen.sum(axis=0)
    return means


def found_in(folder: Path, watch: Watch) -> Iterator[str]:
    """What was found, paragraph by paragraph."""
    intents, vectors = intents_of(folder / "train.csv"), Embedded()
    rows, cases = (read_part(folder / name, intents) for name in ("train.csv", "test.csv"))
    few = cases.first(CASES)
    yield "# Rows near to fixtures: how many, and what they do to the score"
    yield (
        f"Banking77 (questions of a bank's customers, PolyAI, CC BY 4.0), its official split, {INTENTS} of the 77 "
        f"intents: every sixth. {len(few.texts)} cases are the first {CASES} of each intent in the test part."
    )
    yield "## Rows that are too near"
    parts = {f"the first {ROWS} of each intent": rows.first(ROWS), "all": rows}
    lines = [[name, *_line(part, few, watch, vectors)] for name, part in parts.items()]
    yield table(["rows", "how many", "repeat a fixture", "may be one in other words", "left", "to be read"], lines)
    yield (
        "Dropped by default, so that nobody reads anything. With `review: ask` a person would read each pair of the "
        "rows that may be a fixture."
    )
    yield "## The same cases with and without a near row"
    right, nearest = effects(rows, cases, vectors)
    yield (
        f"{DRAWS} draws of {ROWS} rows of each intent, a logistic regression on MiniLM's embeddings fitted on each, "
        f"and all {len(cases.texts)} cases of the test part asked: {percent(float(right.mean()))} right. Each case "
        "is compared with itself: draws in which a row of its intent reaches the likeness, beside draws of as many "
        "rows in which none does. The last column is what such rows lend to the whole score, their honest share "
        "included: a row that is like a case also teaches."
    )
    head = ["likeness from", "cases with such a row", "compared", "points for them", "points of the score"]
    yield table(head, [effect_from(least, right, nearest) for least in LIMITS])


def _line(rows: Part, cases: Part, watch: Watch, vectors: Embedded) -> list[str]:
    found, number = flagged(rows, cases, watch, vectors), len(rows.texts)
    return [str(number), str(found["refuse"]), str(found["review"]), str(number - found.total()), "0"]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    carry_out(
        RESULTS / "near_rows.md", "python benchmarks/near_rows.py FOLDER", LIBRARIES,
        lambda watch: list(found_in(folder, watch)), report, lambda _: (),
    )  # fmt: skip
