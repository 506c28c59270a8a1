"""Rows that come near cases, on public sets with an official split: dropped, or trained on and split off?

    git clone --bare https://github.com/PolyAI-LDN/task-specific-datasets DATA/task-specific-datasets
    git clone --bare https://github.com/xliuhw/NLU-Evaluation-Data DATA/NLU-Evaluation-Data
    git clone --bare https://github.com/sonos/nlu-benchmark DATA/nlu-benchmark
    python benchmarks/hold_out_sets.py DATA     # an hour; writes results/hold_out_sets.md

Of each set 96 texts of the official test part are the cases and 240 of the training part the rows. The commands are
those of the README: `record`, `diagnose`, then `train` and `gate` for each policy and seed. A case is near or clean by
the training record of `split`, for the adapters of both policies.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from benchmarks.hold_out_projects import KEY, SOURCES, Source, prepare, trained, write_project
from benchmarks.public_sets import Files
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.evaluation.record import Record

LIBRARIES = ("tunegate", "torch", "transformers", "peft")
SEEDS, POLICIES, KINDS = (0, 1, 2), ("drop", "split"), ("clean", "near")
DRAWS = 10_000  # of the bootstrap, over cases
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """One adapter: the rows it was trained on, the minutes of the training, its score on each case, the verdict."""

    policy: str
    seed: int
    rows: int
    minutes: float
    scores: dict[str, float]
    verdict: str


@dataclass(frozen=True)
class Found:
    """One set: its adapters, the cases that rows come near, and the base's scores."""

    source: Source
    adapters: Sequence[Trained]
    near: frozenset[str]
    base: dict[str, float]
    digest: str

    @cached_property
    def cases(self) -> dict[str, list[str]]:
        """The clean and the near cases."""
        return {"clean": sorted(self.base.keys() - self.near), "near": sorted(self.near)}

    def of(self, policy: str) -> list[Trained]:
        """The adapters of a policy, a seed each."""
        return [each for each in self.adapters if each.policy == policy]

    def scores(self, policy: str, kind: str) -> Numbers:
        """The mean of a policy's seeds on each clean or near case."""
        every = [[each.scores[case] for case in self.cases[kind]] for each in self.of(policy)]
        mean: Numbers = np.mean(every, axis=0)
        return mean


def measure(data: Path, watch: Watch) -> list[Found]:
    """Train on every set, under every policy and seed."""
    return [_measured(source, Files(data / source.repository, source.commit), watch) for source in SOURCES]


def _measured(source: Source, files: Files, watch: Watch) -> Found:
    recipes = {
        f"{policy}-{seed}": {"decontaminate": {"review": policy}, "seed": seed} for seed in SEEDS for policy in POLICIES
    }
    with tempfile.TemporaryDirectory() as folder, watch(source.name, len(recipes)) as done:
        project = Path(folder)
        write_project(project, source, files, recipes)
        prepare(project)
        adapters, near = [], frozenset[str]()
        for name in recipes:
            one, cases = _trained(project, name)
            adapters.append(one)
            near |= cases
            done(1)
        [baseline] = (project / "baselines").glob(f"*/{KEY}.json")
        base = {case: each["score"] for case, each in json.loads(baseline.read_text("utf-8"))["cases"].items()}
    return Found(source, adapters, near, base, files.digest)


def _trained(project: Path, name: str) -> tuple[Trained, frozenset[str]]:
    """Train and gate; return the adapter, and the cases that its rows come near."""
    record, minutes = trained(project, name)
    facts = json.loads((project / f"adapters/{name}/training.json").read_text("utf-8"))["decontamination"]
    rows = facts["rows"] - facts["dropped"]["refuse"] - facts["dropped"]["review"]
    policy, _, seed = name.partition("-")
    found = Trained(policy, int(seed), rows, minutes, _scores(record), record.verdicts[KEY].verdict)
    return found, frozenset(record.near.get(KEY, ()))


def _scores(record: Record) -> dict[str, float]:
    return {case: float(result.score or 0) for case, result in record.of_unit(KEY).items()}


def interval(values: Numbers) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over cases."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def report(found: Sequence[Found], made: str) -> str:
    """The result as Markdown."""
    origins = [
        f"- {each.source.name}: {each.source.repository}, commit {each.source.commit}, SHA-256 of the files that are "
        f"read {each.digest}" for each in found
    ]  # fmt: skip
    return "\n\n".join([
        "# Rows that come near cases, on public sets",
        "SmolLM2-135M, two epochs; right answers in %, the mean of three seeds with its 95 % interval over cases "
        "(bootstrap), in brackets each seed. *Clean*: cases that no row comes near.",
        table(["set", "policy", "rows", "minutes each", "right, clean", "right, near", "verdicts"], _policies(found)),
        "What `split` wins over `drop`, in points; and of the adapters under `split`, how much more they gain on near "
        "cases than on clean ones.",
        table(["set", "clean cases", "near cases", "won, clean", "won, near", "near beyond clean"], _won(found)),
        "## How", made, "\n".join(origins),
    ]) + "\n"  # fmt: skip


def _policies(found: Sequence[Found]) -> Iterator[list[str]]:
    for each in found:
        yield [each.source.name, "base", "", "", *(_mean(each.base, cases) for cases in each.cases.values()), ""]
        for policy in POLICIES:
            of = each.of(policy)
            minutes = ", ".join(f"{one.minutes:.1f}" for one in of)
            right = [
                _share(each.scores(policy, kind), [_mean(one.scores, each.cases[kind]) for one in of]) for kind in KINDS
            ]
            verdicts = ", ".join(one.verdict for one in of)
            yield [each.source.name, policy, str(of[0].rows), minutes, *right, verdicts]


def _won(found: Sequence[Found]) -> Iterator[list[str]]:
    for each in found:
        won = {kind: each.scores("split", kind) - each.scores("drop", kind) for kind in KINDS}
        gained = {
            kind: each.scores("split", kind) - np.array([each.base[case] for case in each.cases[kind]])
            for kind in KINDS
        }
        beyond = points(float(gained["near"].mean() - gained["clean"].mean()))
        yield [
            each.source.name, *(str(len(each.cases[kind])) for kind in KINDS), *(_share(won[kind]) for kind in KINDS),
            beyond,
        ]  # fmt: skip


def _mean(scores: dict[str, float], cases: Sequence[str]) -> str:
    return points(float(np.mean([scores[case] for case in cases])))


def _share(values: Numbers, seeds: Sequence[str] = ()) -> str:
    low, high = interval(values)
    each = f" ({', '.join(seeds)})" if seeds else ""
    return f"{points(float(values.mean()))} [{points(low)}, {points(high)}]{each}"


def points(share: float) -> str:
    """A share, or a difference of two, in points of 100."""
    return f"{100 * share:.1f}"


def broken(found: Sequence[Found]) -> Iterator[str]:
    """What was written down before: on clean cases `split` is never significantly worse than `drop`."""
    for each in found:
        won = each.scores("split", "clean") - each.scores("drop", "clean")
        if interval(won)[1] < 0:
            yield f"{each.source.name}: dropping rows is better"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    carry_out(
        RESULTS / "hold_out_sets.md", "python benchmarks/hold_out_sets.py DATA", LIBRARIES,
        lambda watch: measure(folder, watch), report, broken,
    )  # fmt: skip
