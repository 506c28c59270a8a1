"""Rows written towards the cases that the reference fails: is the verdict true of other inputs?

    python benchmarks/towards_failures.py DATA WORK     # DATA as for hold_out_sets.py; 40 minutes

It writes results/towards_failures.md. A command whose result lies in WORK is not run again. Set and task are those of
predicts.py: utterances to an assistant at home, their topic in one word. Of the official test part 1,100 inputs are
drawn: 100 are the project's cases, which the command gates, and 1,000 others show the truth. The reference is the
embedded model, trained on 120 rows of the training part and exported to a folder. Then, with its outputs known, rows
are written in three ways, and trained on with three seeds:

- towards: for each case that the reference fails, the three nearest texts of 2,000 others of the training part, with
  their right topics;
- drawn: as many of these 2,000 at random, the control;
- reworded: the failed cases themselves, in other words and another order, for six epochs: learnt by heart.

Written down before measuring: no verdict is "improved" if the 95 % interval of the truth does not lie above 0. Of the
six adapters on honest rows (towards, drawn), the interval of the change on all cases has the truth in at least four.
The last table was added after the first seed, to explain what was found.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out, run_once
from benchmarks.gate_markdown import percent, table
from benchmarks.predicts import CASES, MODEL, OPTIM, SOURCES, WHY, Example, write_fixtures
from benchmarks.public_sets import Files
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.embeddings import embed
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.evaluation.verdict import UnitVerdict
from tunegate.harness.rows.examples import read_examples
from tunegate.harness.statistics.paired import Bounds, interval
from tunegate.trainers.config.sections import Decontaminate
from tunegate.trainers.decontamination.check import decontaminate

LIBRARIES = ("tunegate", "torch", "transformers", "peft", "numpy")
[SOURCE] = (each for each in SOURCES if each.name == "home assistant")
OTHERS, SERVED, POOL, NEAREST, SEEDS = 10, 120, 2_000, 3, (0, 1, 2)  # blocks of 100 inputs; rows; texts; a case; seeds
DESK, KEY, FOLDER = "desk", "desk/block-00", "models/served"
HONEST, HEART, ENOUGH = ("towards", "drawn"), "reworded", 4
CASE_KEYS = [f"{KEY}/c{place}" for place in range(CASES)]
OTHER_KEYS = [f"others/block-{block:02}/c{place}" for block in range(1, 1 + OTHERS) for place in range(CASES)]
PASSES = dict.fromkeys(HONEST, OPTIM) | {HEART: OPTIM | {"epochs": 6}}
INSTEAD = {
    "what": "which",
    "whats": "tell me the", "what's": "tell me the", "is": "would be", "play": "put on", "song": "track",
    "songs": "tracks", "set": "make", "alarm": "wake up call", "wake": "get", "turn": "switch", "lights": "lamps",
    "light": "lamp", "show": "display", "tell": "inform", "give": "hand", "find": "look up", "search": "look",
    "remove": "delete", "delete": "remove", "create": "start", "add": "put", "list": "roll", "email": "mail",
    "emails": "mails", "send": "write", "check": "see", "new": "recent", "latest": "newest", "need": "want",
    "how": "in what way", "do": "should", "meeting": "appointment", "event": "occasion", "events": "occasions",
    "remind": "notify", "today": "this day", "tomorrow": "the day after today", "any": "some", "order": "get",
    "weather": "forecast", "nearest": "closest", "near": "close to", "good": "decent", "start": "begin", "stop": "end",
}  # fmt: skip  # word for word, by hand
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Change(NamedTuple):
    """A mean change with its interval."""

    mean: float
    bounds: Bounds

    def __str__(self) -> str:
        """In points."""
        return f"{points(self.mean)} [{points(self.bounds.lower)}, {points(self.bounds.upper)}]"


class Adapter(NamedTuple):
    """One adapter: its rows, the gate's verdict on them, and its changes on the cases and on the other inputs."""

    kind: str
    seed: int
    written: int  # rows
    rows: int  # of these, trained on; the others repeat a case
    verdict: UnitVerdict
    changes: Numbers  # on the cases
    is_near: Flags  # of the cases, by the record of the training
    others: Numbers  # changes on the other inputs
    others_near: Flags

    @property
    def printed(self) -> Change:
        """The change on all cases that the gate prints, with its interval."""
        return Change(self.verdict.difference, Bounds(*self.verdict.interval))

    @property
    def clean(self) -> Change:
        """The change on the cases that no row comes near, with the same kind of interval."""
        values = self.changes[~self.is_near]
        return Change(float(values.mean()), interval(values, 2 * self.verdict.level, self.verdict.margin))

    @property
    def truth(self) -> Change:
        """The change on the other inputs, with its 95 % interval."""
        return Change(float(self.others.mean()), interval(self.others))

    def is_true(self, said: Change) -> bool:
        """Whether the interval of what is said has the change on the other inputs."""
        return said.bounds.lower <= self.truth.mean <= said.bounds.upper


class Found(NamedTuple):
    """The reference's scores on the cases and on the other inputs, and the adapters."""

    cases: Numbers
    others: Numbers
    adapters: Sequence[Adapter]
    cosines: Mapping[str, tuple[float, float]]  # by kind, with the nearest row: means over failed and passed cases
    minutes: float  # of all commands


class Drawn(NamedTuple):
    """What is drawn from the set: 100 cases, other inputs, the rows of the reference, and texts for further rows."""

    cases: Sequence[Example]
    others: Sequence[Example]
    served: Sequence[Example]
    pool: Sequence[Example]


def drawn(data: Path) -> Drawn:
    """Draw from the official parts; no text is drawn twice."""
    files = Files(data / SOURCE.repository, SOURCE.commit)
    tests, rows = (dict(SOURCE.part(files, part)) for part in ("test", "train"))
    one = random.Random(0)  # noqa: S311  (a draw)
    inputs = one.sample(sorted(tests.items()), CASES * (1 + OTHERS))
    texts = one.sample(sorted(each for each in rows.items() if each[0] not in tests), SERVED + POOL)
    return Drawn(inputs[:CASES], inputs[CASES:], texts[:SERVED], texts[SERVED:])


def written(failed: Sequence[Example], pool: Sequence[Example]) -> dict[str, Sequence[Example]]:
    """Return the rows that are written when the failed cases are known, by kind."""
    aimed = towards(failed, pool)
    control = random.Random(1).sample(pool, len(aimed))  # noqa: S311  (a draw)
    return {"towards": aimed, "drawn": control, HEART: [(reworded(text), topic) for text, topic in failed]}


def towards(failed: Sequence[Example], pool: Sequence[Example]) -> list[Example]:
    """Return for each failed case in turn the nearest texts that are not taken."""
    cosines = embed([text for text, _ in failed]) @ embed([text for text, _ in pool]).T
    taken: dict[int, None] = {}
    for of in cosines:
        free = (int(place) for place in np.argsort(-of, kind="stable") if place not in taken)
        taken |= dict.fromkeys(place for place, _ in zip(free, range(NEAREST), strict=False))
    return [pool[place] for place in taken]


def reworded(text: str) -> str:
    """Return the text with other words, its second half first, as a polite request."""
    words = [INSTEAD.get(word, word) for word in text.split()]
    half = (len(words) + 1) // 2
    return " ".join(["could you please", *words[half:], *words[:half]])


def nearness(cases: Sequence[Example], rows: Sequence[Example]) -> float:
    """The mean over cases of the cosine with the nearest row."""
    one, other = (embed([text for text, _ in each]) for each in (cases, rows))
    return float((one @ other.T).max(axis=1).mean())


class Made(NamedTuple):
    """An adapter as it was made: rows written and trained on, the gate's record, and the scores on other inputs."""

    written: int
    rows: int
    record: Record
    others: Numbers


class Project:
    """A folder with cases, other inputs and rows, and the commands that each adapter is taken through."""

    def __init__(self, folder: Path, data: Path, done: Callable[[int], None]) -> None:
        self._folder, self._done, self._drawn, self._minutes = folder, done, drawn(data), 0.0
        every = [*self._drawn.cases, *self._drawn.others]
        blocks = {f"block-{n:02}": every[n * CASES : (n + 1) * CASES] for n in range(1 + OTHERS)}
        write_fixtures(folder / "fixtures" / DESK, blocks, [*blocks][:1])
        write_fixtures(folder / "others/others", blocks, [*blocks][1:])
        (folder / "recipes").mkdir(exist_ok=True)

    def read(self) -> Found:
        """Make the reference, write the rows, and take every adapter through its commands."""
        self._serve()
        self._prepare("served", FOLDER)
        served = self._on_others("served", f"--tg-model={FOLDER}")
        [baseline] = (path for path in (self._folder / "baselines").glob(f"*/{KEY}.json") if "smollm2" not in str(path))
        known = json.loads(baseline.read_text("utf-8"))["cases"]
        before = np.array([known[f"c{place}"]["score"] for place in range(CASES)])
        failed = [each for each, score in zip(self._drawn.cases, before, strict=True) if score < 1]
        rows = written(failed, self._drawn.pool)
        made = {(kind, seed): self._made(kind, seed, rows[kind]) for seed in SEEDS for kind in rows}
        near = {kind: self._near(kind) for kind in rows}
        adapters = [
            compared(kind, seed, made[kind, seed], before, served, near[kind])
            for kind in rows for seed in SEEDS
        ]  # fmt: skip
        passed = [each for each, score in zip(self._drawn.cases, before, strict=True) if score == 1]
        cosines = {kind: (nearness(failed, of), nearness(passed, of)) for kind, of in rows.items()}
        return Found(before, served, adapters, cosines, self._minutes)

    def _serve(self) -> None:
        """Train the reference on the embedded model, and export it."""
        self._prepare("base", MODEL)
        self._train("served", MODEL, self._drawn.served, OPTIM, 0)
        self._run("gate-served", "tunegate", "gate", "--adapter", "adapters/served", "--model", MODEL,
                  "--out", "served.json")  # fmt: skip
        self._run("export", "tunegate", "export", "adapters/served", "--run", "served.json", "--output", FOLDER)

    def _prepare(self, name: str, model: str) -> None:
        """Record and diagnose, as a training asks for."""
        self._run(f"record-{name}", "tunegate", "record", "--model", model)
        self._run(f"diagnose-{name}", "tunegate", "diagnose", DESK, "--sample", "10", "--model", model)

    def _made(self, kind: str, seed: int, rows: Sequence[Example]) -> Made:
        """Train and gate."""
        name = f"{kind}-{seed}"
        self._train(name, FOLDER, rows, PASSES[kind], seed)
        adapter = f"adapters/{name}"
        self._run(f"gate-{name}", "tunegate", "gate", "--adapter", adapter, "--model", FOLDER, "--out", f"{name}.json")
        others = self._on_others(name, f"--tg-model={FOLDER}", f"--tg-adapter={adapter}")
        facts = json.loads((self._folder / adapter / "training.json").read_text("utf-8"))["decontamination"]
        trained = facts["rows"] - sum(facts["dropped"][of] for of in ("refuse", "review"))
        return Made(facts["rows"], trained, read_record(self._folder / f"{name}.json"), others)

    def _on_others(self, name: str, *asked: str) -> Numbers:
        """Evaluate on the other inputs; return a score for each."""
        out = f"{name}-others.json"
        self._run(f"truth-{name}", "pytest", "others/", "--tg-cases=others", *asked, f"--tg-out={out}")
        return scores(read_record(self._folder / out), OTHER_KEYS)

    def _train(self, name: str, model: str, rows: Sequence[Example], optim: Mapping[str, Any], seed: int) -> None:
        recipes = self._folder / "recipes"
        lines = [json.dumps({"input": text, "output": topic}) + "\n" for text, topic in dict(rows).items()]
        (recipes / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        recipe = {
            "version": 1, "task": DESK, "model": model, "rows": [f"{name}.jsonl"], "seed": seed, "optim": optim,
            "output": f"../adapters/{name}", "diagnosis": WHY, "memorization": WHY, "private_data": WHY,
        }  # fmt: skip
        (recipes / f"{name}.yaml").write_text(json.dumps(recipe), "utf-8")
        self._run(f"train-{name}", "tunegate", "train", f"recipes/{name}.yaml")

    def _near(self, kind: str) -> Flags:
        """Which of the other inputs the trained rows come near, by the search of `train`."""
        [desk], tasks = load_tasks(self._folder / "fixtures"), load_tasks(self._folder / "others")
        kept = decontaminate(read_examples([self._folder / f"recipes/{kind}-0.jsonl"], desk), [desk]).rows
        found = decontaminate(kept, tasks, Decontaminate(refuse="split")).near
        return np.array([key in found for key in OTHER_KEYS])

    def _run(self, name: str, *command: str) -> None:
        fine = (0, 1) if command[0] == "pytest" or command[1] == "gate" else (0,)
        self._minutes += run_once(name, ["-m", *command], self._folder, fine)
        self._done(1)


def scores(record: Record, keys: Sequence[str]) -> Numbers:
    """The scores of these cases."""
    return np.array([record.cases[key].score or 0.0 for key in keys])


def compared(kind: str, seed: int, made: Made, before: Numbers, served: Numbers, near: Flags) -> Adapter:
    """Compare an adapter with the reference's scores on the cases and on the other inputs."""
    known, record = made.record.near.get(KEY, ()), made.record
    is_near = np.array([key.rpartition("/")[2] in known for key in CASE_KEYS])
    changes, others = scores(record, CASE_KEYS) - before, made.others - served
    return Adapter(kind, seed, made.written, made.rows, record.verdicts[KEY], changes, is_near, others, near)


def measure(data: Path, work: Path, watch: Watch) -> Found:
    """Take every adapter through its commands."""
    with watch("Commands", 7 + 3 * len(PASSES) * len(SEEDS)) as done:
        return Project(work, data, done).read()


def points(share: float) -> str:
    """A change in points of 100."""
    return f"{100 * share:+.1f}"


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    head = [
        "rows",
        "seed",
        "trained on",
        "near",
        "verdict",
        "all cases",
        "proof of a gain",
        "clean cases only",
        "truth",
    ]
    split = ["rows", "seed", "others near", "right before, near", "clean", "truth, near", "clean"]
    flips = ["rows", "seed", "fixed, cases", "fixed, others", "lost, cases", "lost, others", "cosine, failed", "right"]
    return "\n\n".join([
        "# Rows written towards the cases that the reference fails",
        f"The reference has {percent(found.cases.mean())} of {len(found.cases)} cases right, and "
        f"{percent(found.others.mean())} of {len(found.others)} other inputs. Changes in points. *Near*: cases that "
        "the rows come near. *All cases*: the change that the gate prints, with its interval. *Proof of a gain*: the "
        "change on balanced cases, and its lower bound. *Clean cases only*: what the other cases alone would say. "
        "*Truth*: the change on the other inputs, with its 95 % interval. An interval without the truth is marked *.",
        table(head, map(_row, found.adapters)),
        "## Other inputs that the rows come near, and the rest",
        table(split, (_split(each, found.others) for each in found.adapters)),
        "## Cases and other inputs that the reference fails",
        "Of those that the reference fails, the share that the adapter has right, and of those that it has right, the "
        "share that the adapter fails. *Cosine*: with the nearest row, mean over the cases that the reference fails, "
        "and over those that it has right.",
        table(flips, (_flips(each, found) for each in found.adapters)),
        "## How", made, f"The commands took {found.minutes:.0f} minutes, beside other work.",
        f"- {SOURCE.name}: {SOURCE.repository}, commit {SOURCE.commit}",
    ]) + "\n"  # fmt: skip


def _row(one: Adapter) -> list[str]:
    printed, clean = (f"{each}{'' if one.is_true(each) else ' *'}" for each in (one.printed, one.clean))
    return [
        one.kind, str(one.seed), f"{one.rows} of {one.written}", f"{one.is_near.sum()} of {len(one.is_near)}",
        one.verdict.verdict, printed, _proof(one), clean, str(one.truth),
    ]  # fmt: skip


def _proof(one: Adapter) -> str:
    if not one.verdict.near:
        return "as all cases"
    proof = one.verdict.near.gain
    return f"{points(proof.difference)}, at least {points(proof.least)} (n = {proof.observations})"


def _split(one: Adapter, before: Numbers) -> list[str]:
    of = [one.others_near, ~one.others_near]
    right = [percent(before[places].mean()) for places in of]
    changes = [str(Change(float(one.others[places].mean()), interval(one.others[places]))) for places in of]
    return [one.kind, str(one.seed), f"{one.others_near.sum()} of {len(before)}", *right, *changes]


def _flips(one: Adapter, found: Found) -> list[str]:
    sides = ((found.cases, one.changes), (found.others, one.others))
    fixed = [percent(changes[before < 1].mean()) for before, changes in sides]
    lost = [percent(-changes[before == 1].mean()) for before, changes in sides]
    return [one.kind, str(one.seed), *fixed, *lost, *(f"{each:.2f}" for each in found.cosines[one.kind])]


def broken(found: Found) -> Iterator[str]:
    """What was written down before and does not hold."""
    for each in found.adapters:
        if each.verdict.verdict == "improved" and each.truth.bounds.lower <= 0:
            yield f"{each.kind}, seed {each.seed}: improved, but the truth is {each.truth}"
    honest = [each for each in found.adapters if each.kind in HONEST]
    if (right := sum(each.is_true(each.printed) for each in honest)) < ENOUGH:
        yield f"the interval on all cases has the truth for {right} of {len(honest)} honest adapters"


if __name__ == "__main__":
    data, work = (Path(each).resolve() for each in sys.argv[1:3])
    os.environ |= {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}  # spinning threads starve each other
    carry_out(
        RESULTS / "towards_failures.md", "python benchmarks/towards_failures.py DATA WORK", LIBRARIES,
        lambda watch: measure(data, work, watch), report, broken,
    )  # fmt: skip
