"""Coverage: are three intents without cases found, and is nothing found where none is missing?

    git clone --bare https://github.com/PolyAI-LDN/task-specific-datasets DATA/task-specific-datasets
    git clone --bare https://github.com/xliuhw/NLU-Evaluation-Data DATA/NLU-Evaluation-Data
    python benchmarks/coverage.py DATA     # half an hour; writes results/coverage.md, and vectors into DATA

Of each set 20 random intents are drawn, 1,000 of their texts as traffic and others as cases, both as often as the set
has them. Once no text of the first three intents is a case, once none of them is traffic, once nothing is withheld. An
intent is found if more than half of the inputs of a reported cluster are of it. The limits of the method were chosen on
CLINC150, which is not measured here; the promises below were written down before anything was measured.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import table
from benchmarks.hold_out_projects import BANKING
from benchmarks.public_sets import HOME, INPUT, Files, annotated
from tunegate.harness.checks.embeddings import embedder_digest
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.labelling.coverage.clusters import far_clusters
from tunegate.harness.labelling.coverage.drift import drift_p, moved_clusters
from tunegate.harness.labelling.coverage.inputs import embed_texts
from tunegate.harness.labelling.coverage.near import LEVEL, Integers, Vectors, nearness

LIBRARIES = ("tunegate", "numpy", "scipy", "torch", "sentence-transformers")
DRAWS, INTENTS, WITHHELD, TRAFFIC, SIZES = 40, 20, 3, 1000, (100, 200, 400)
MOST = 200  # texts of an intent that are embedded
SNAPSHOT, GROWN = 500, 3  # requests of a snapshot, and how many times as frequent three intents become
# Promises, written down before the measurement.
ALL_FOUND = 0.9  # of the draws with the most cases, on each set
FALSE_CLUSTERS = 0.1  # of the reported clusters, where three intents are withheld


@dataclass(frozen=True)
class Pool:
    """The texts of a set as vectors, each with its intent, and the digest of its files."""

    name: str
    points: Vectors
    intents: NDArray[np.str_]
    digest: str


@dataclass
class Counted:
    """What was found in the draws of one set and number of cases; a number for each draw."""

    name: str
    cases: int
    found: list[int] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    none: list[int] = field(default_factory=list)
    none_inputs: list[int] = field(default_factory=list)
    unvisited: list[float] = field(default_factory=list)
    visited: list[float] = field(default_factory=list)


@dataclass
class Drifts:
    """Of one set: the p-values of equal and of different snapshots, and how many grown intents were named."""

    name: str
    equal: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)
    named: list[int] = field(default_factory=list)


def read_pools(data: Path, watch: Watch) -> list[Pool]:
    """Read and embed both sets, at most `MOST` different texts of an intent."""
    banking, home = (
        Files(data / name, at) for name, at in (("task-specific-datasets", BANKING), ("NLU-Evaluation-Data", HOME))
    )
    asked = (
        (row["text"], row["category"]) for part in ("train", "test")
        for row in csv.DictReader(io.StringIO(banking.text(f"banking_data/{part}.csv")))
    )  # fmt: skip
    at_home = ((row[INPUT], row["intent"]) for row in annotated(home))
    return [
        _pool("Banking77", dict(asked), banking, data, watch),
        _pool("home assistant", dict(at_home), home, data, watch),
    ]  # fmt: skip


def _pool(name: str, intent_of: dict[str, str], files: Files, data: Path, watch: Watch) -> Pool:
    """Embed the texts, or read the vectors of an earlier run."""
    taken: Counter[str] = Counter()
    texts = []
    for text, intent in intent_of.items():
        taken[intent] += 1
        if taken[intent] <= MOST:
            texts.append(text)
    kept = data / f"vectors-{digest([embedder_digest(), texts])[:16]}.npy"
    if not kept.is_file():
        np.save(kept, embed_texts(texts, watch))
    return Pool(name, np.load(kept), np.array([intent_of[text] for text in texts]), files.digest)


def measure(data: Path, watch: Watch) -> tuple[list[Pool], list[Counted], list[Drifts]]:
    """Draw and look, for every set and number of cases."""
    pools = read_pools(data, watch)
    with watch("Drawing", len(pools) * (len(SIZES) + 1)) as done:
        counted, drifts = [], []
        for pool in pools:
            for cases in SIZES:
                counted.append(_counted(pool, cases))
                done(1)
            drifts.append(_drifts(pool))
            done(1)
    return pools, counted, drifts


def _drawn(pool: Pool, random: np.random.Generator) -> tuple[Integers, set[str]]:
    """The texts of random intents, shuffled, and the intents that are withheld."""
    intents = random.choice(np.unique(pool.intents), INTENTS, replace=False)
    return random.permutation(np.flatnonzero(np.isin(pool.intents, intents))), set(intents[:WITHHELD])


def _counted(pool: Pool, cases: int) -> Counted:
    found = Counted(pool.name, cases)
    for draw in range(DRAWS):
        texts, withheld = _drawn(pool, np.random.default_rng([draw, cases]))
        traffic, rest = texts[:TRAFFIC], texts[TRAFFIC:]
        is_of = np.isin(pool.intents[rest], list(withheld))
        _missing(pool, traffic, rest[~is_of][:cases], withheld, found)
        far, clusters = _far(pool, traffic, rest[:cases])
        found.none.append(len(clusters))
        found.none_inputs.append(int(far.sum()))
        _unvisited(pool, texts[:TRAFFIC][~np.isin(pool.intents[traffic], list(withheld))], rest[:cases], found)
    return found


def _far(pool: Pool, traffic: Integers, cases: Integers) -> tuple[NDArray[np.bool_], list[Integers]]:
    seen = nearness(pool.points[traffic], pool.points[cases])
    clusters = far_clusters(pool.points[traffic[seen.far]], seen.distance[seen.far])
    return seen.far, [traffic[seen.far][each] for each in clusters]


def _missing(pool: Pool, traffic: Integers, cases: Integers, withheld: set[str], found: Counted) -> None:
    far, clusters = _far(pool, traffic, cases)
    tops = [_main_intent(pool, each) for each in clusters]
    found.found.append(len(withheld & set(tops)))
    found.clusters.append(len(clusters))
    found.others.append(sum(top not in withheld for top in tops))
    found.share.append(float(far[np.isin(pool.intents[traffic], list(withheld))].mean()))


def _main_intent(pool: Pool, members: Integers) -> str:
    """The intent of more than half of the members; empty if there is none."""
    [(top, count)] = Counter(pool.intents[members].tolist()).most_common(1)
    return top if 2 * count > len(members) else ""


def _unvisited(pool: Pool, traffic: Integers, cases: Integers, found: Counted) -> None:
    """Cases of intents that no traffic has."""
    far = nearness(pool.points[cases], pool.points[traffic]).far
    gone = ~np.isin(pool.intents[cases], np.unique(pool.intents[traffic]))
    found.unvisited.append(float(far[gone].mean()) if gone.any() else np.nan)
    found.visited.append(float(far[~gone].mean()))


def _drifts(pool: Pool) -> Drifts:
    found = Drifts(pool.name)
    for draw in range(DRAWS):
        random = np.random.default_rng([draw, 1])
        texts, grown = _drawn(pool, random)
        before, same, rest = texts[:SNAPSHOT], texts[SNAPSHOT : 2 * SNAPSHOT], texts[2 * SNAPSHOT :]
        weights = np.where(np.isin(pool.intents[rest], list(grown)), GROWN, 1.0)
        after = random.choice(rest, SNAPSHOT, replace=False, p=weights / weights.sum())
        found.equal.append(drift_p(pool.points[before], pool.points[same]))
        found.grown.append(drift_p(pool.points[before], pool.points[after]))
        both = np.concatenate([before, after])
        moved = moved_clusters(pool.points[before], pool.points[after])
        tops = {_main_intent(pool, both[each.members]) for each in moved if each.after > each.before}
        found.named.append(len(tops & grown))
    return found


def report(found: tuple[list[Pool], list[Counted], list[Drifts]], made: str) -> str:
    """The result as Markdown."""
    pools, counted, drifts = found
    return "\n\n".join([
        "# Coverage, on public sets with three intents withheld",
        f"{DRAWS} draws each: {INTENTS} intents, {TRAFFIC:,} inputs as traffic. *All three*: the draws in which each "
        "of the three withheld intents was found, that is, a reported cluster is mainly of it. *Other clusters*: "
        "reported ones that are mainly of other intents. *None withheld*: the draws in which any cluster was reported.",
        table(["set", "cases", "all three", "found of three", "their inputs that are reported", "clusters",
               "other clusters", "none withheld: a cluster", "an input"], map(_row, counted)),
        "Three intents withheld from the traffic: which share of the cases is reported as standing for none.",
        table(["set", "cases", "of cases of these intents", "of other cases"],
              ([each.name, str(each.cases), percent(np.nanmean(each.unvisited)), percent(np.mean(each.visited))]
               for each in counted)),
        f"Two snapshots of {SNAPSHOT}: drawn alike, or three intents {GROWN} times as frequent in the later one. "
        f"*Drift*: p at most {LEVEL}. *Named*: how many of the three are the main intent of a cluster that grew.",
        table(["set", "drift, drawn alike", "drift, three grew", "named of three"],
              ([each.name, often(each.equal), often(each.grown), f"{np.mean(each.named):.1f}"] for each in drifts)),
        "## How", made,
        "\n".join(f"- {each.name}: {len(each.points):,} texts of {len(np.unique(each.intents))} intents, SHA-256 of "
                  f"the files that are read {each.digest}" for each in pools),
    ]) + "\n"  # fmt: skip


def _row(each: Counted) -> list[str]:
    return [
        each.name, str(each.cases), percent(np.mean(np.array(each.found) == WITHHELD)), f"{np.mean(each.found):.2f}",
        percent(np.mean(each.share)), f"{np.mean(each.clusters):.1f}", f"{np.mean(each.others):.2f}",
        f"{np.count_nonzero(each.none)} of {DRAWS}", f"{np.count_nonzero(each.none_inputs)} of {DRAWS}",
    ]  # fmt: skip


def percent(share: float | np.floating) -> str:
    """A share of 100."""
    return f"{100 * share:.0f} %"


def often(levels: Sequence[float]) -> str:
    """In how many draws p was at most `LEVEL`."""
    return f"{np.count_nonzero(np.array(levels) <= LEVEL)} of {len(levels)}"


def broken(found: tuple[list[Pool], list[Counted], list[Drifts]]) -> Iterator[str]:
    """The promises: see the constants, and at most `LEVEL` (and two standard errors) of false finds."""
    _, counted, drifts = found
    for each in counted:
        if each.cases == max(SIZES) and np.mean(np.array(each.found) == WITHHELD) < ALL_FOUND:
            yield f"{each.name}: all three withheld intents are found in fewer than {percent(ALL_FOUND)} of the draws"
    false = np.array([each.none for each in counted]).ravel() > 0
    if false.mean() > at_most(len(false)):
        yield f"clusters are reported in {percent(false.mean())} of the draws where none is missing"
    others, clusters = (sum(sum(getattr(each, name)) for each in counted) for name in ("others", "clusters"))
    if others > FALSE_CLUSTERS * clusters:
        yield f"{others} of {clusters} clusters are of other intents"
    for drift in drifts:
        if np.mean(np.array(drift.equal) <= LEVEL) > at_most(len(drift.equal)):
            yield f"{drift.name}: drift is found between snapshots that were drawn alike"


def at_most(draws: int) -> float:
    """`LEVEL` and two standard errors."""
    return float(LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / draws))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    carry_out(
        RESULTS / "coverage.md", "python benchmarks/coverage.py DATA", LIBRARIES,
        lambda watch: measure(folder, watch), report, broken,
    )  # fmt: skip
