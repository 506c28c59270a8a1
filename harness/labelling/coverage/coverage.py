"""Traffic beside cases: what is missing, which cases stand for nothing, and what changed since an earlier snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunegate.harness.cases.model import Case
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import Watch
from tunegate.harness.labelling.coverage.clusters import distinctive_words, far_clusters, most_central
from tunegate.harness.labelling.coverage.drift import drift_p, moved_clusters
from tunegate.harness.labelling.coverage.inputs import SeenInput, compared_text, drawn, embed_texts, group_numbers
from tunegate.harness.labelling.coverage.near import LEVEL, Integers, Nearness, Vectors, nearness, smallest_share

FEWEST = 20  # different cases, and different inputs
MOST, MOST_IN_DRIFT = 5_000, 2_000  # inputs that are compared


@dataclass(frozen=True)
class InputCluster:
    """Inputs that belong together: the most central first, without those that hold secrets or personal data.

    Attributes:
        words: what distinguishes them from all other inputs.
        shown: the inputs that may be shown.
        inputs: how many there are, with those that may not.
        share: their share of the requests, from 0 to 1; in a drift, of the inputs.
        before: that share in the earlier snapshot.
    """

    words: tuple[str, ...]
    shown: tuple[SeenInput, ...]
    inputs: int
    share: float
    before: float | None = None

    @property
    def name(self) -> str:
        """Its distinctive words."""
        return ", ".join(self.words) or "no distinctive word"

    @property
    def example(self) -> str:
        """Its most central input that may be shown, on one line; empty if there is none."""
        return " ".join(self.shown[0].text.split()) if self.shown else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data, with its most central input only."""
        found = {"words": self.words, "example": self.example or None, "inputs": self.inputs, "share": self.share}
        return found if self.before is None else found | {"before": self.before}


@dataclass(frozen=True)
class Drift:
    """How a snapshot differs from an earlier one: the p of no difference, and the clusters that grew or fell."""

    p: float
    moved: tuple[InputCluster, ...]

    @property
    def found(self) -> bool:
        """Whether they differ."""
        return self.p <= LEVEL

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"p": self.p, "drift": self.found, "moved": [each.as_dict() for each in self.moved]}


@dataclass(frozen=True)
class Coverage:
    """Traffic beside cases.

    Attributes:
        total: the different inputs of the snapshot; `inputs` are those that were compared.
        points, case_points: their embeddings.
        near: each input beside the cases.
        members: the numbers of the inputs of each cluster, most central first.
        clusters: of the inputs without a near case, the largest first.
        unvisited: the cases that no traffic is near.
        smallest: the share of the traffic from which on a topic without a case is found.
        drift: what changed since an earlier snapshot, if there is one.
    """

    total: int
    inputs: tuple[SeenInput, ...]
    cases: tuple[Case, ...]
    points: Vectors
    case_points: Vectors
    near: Nearness
    members: tuple[Integers, ...]
    clusters: tuple[InputCluster, ...]
    unvisited: tuple[Case, ...]
    smallest: float
    drift: Drift | None = None

    @cached_property
    def requests(self) -> Integers:
        """The number of requests of each input."""
        return np.array([each.requests for each in self.inputs])

    def share(self, chosen: NDArray[Any]) -> float:
        """The share of the requests that the `chosen` inputs make up."""
        return float(self.requests[chosen].sum() / self.requests.sum())

    @property
    def single(self) -> int:
        """The inputs without a near case that are in no cluster."""
        return int(self.near.far.sum()) - sum(map(len, self.members))

    @property
    def private(self) -> int:
        """The inputs without a near case that are not shown."""
        return sum(each.private for each, far in zip(self.inputs, self.near.far, strict=True) if far)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data, without inputs that hold secrets or personal data."""
        return {
            "requests": int(self.requests.sum()), "inputs": len(self.inputs), "of": self.total,
            "cases": len(self.cases), "missing": self.share(self.near.far), "missing_inputs": int(self.near.far.sum()),
            "smallest_share": self.smallest, "clusters": [each.as_dict() for each in self.clusters],
            "single_inputs": self.single, "private_inputs": self.private,
            "cases_without_traffic": [case.key for case in self.unvisited],
            "drift": self.drift and self.drift.as_dict(),
        }  # fmt: skip


def cover(
    traffic: Sequence[SeenInput], cases: Sequence[Case], watch: Watch, earlier: Sequence[SeenInput] = ()
) -> Coverage:
    """Compare traffic with cases, and with an earlier snapshot if there is one.

    Raises:
        Refused: there are fewer than 20 different cases or inputs.
        CouldNotRun: the embedding model or the detectors' libraries are not installed.
    """
    groups = group_numbers([case.observation for case in cases])
    _check_size("cases", len(set(groups.tolist())))
    _check_size("inputs", len(traffic))
    inputs = drawn(traffic, MOST, watch)
    written = [*(each.input.written for each in inputs), *(case.written for case in cases)]
    both = embed_texts([compared_text(each) for each in written], watch)
    points, held = both[: len(inputs)], both[len(inputs) :]
    near = nearness(points, held, groups)
    far = np.flatnonzero(near.far)
    members = [far[each] for each in far_clusters(points[far], near.distance[far])]
    first = np.unique(groups, return_index=True)[1]  # a group's first case stands for it
    unvisited = [cases[at] for at in first[nearness(held[first], points).far]]
    return Coverage(
        len(traffic), tuple(inputs), tuple(cases), points, held, near, tuple(members),
        tuple(_cluster(inputs, each) for each in members), tuple(unvisited),
        smallest_share(len(first)), _drift(inputs, points, earlier, watch) if earlier else None,
    )  # fmt: skip


def _check_size(what: str, found: int) -> None:
    if found < FEWEST:
        raise Refused(f"coverage: expected at least {FEWEST} different {what}, found {found}: too few to compare")


def _cluster(inputs: Sequence[SeenInput], members: Integers) -> InputCluster:
    """The cluster of `members`, numbers of inputs, most central first."""
    inside = set(members.tolist())
    shown = [inputs[at] for at in members.tolist() if not inputs[at].private]
    outside = [each.text for at, each in enumerate(inputs) if at not in inside]
    share = sum(inputs[at].requests for at in inside) / sum(each.requests for each in inputs)
    return InputCluster(distinctive_words([each.text for each in shown], outside), tuple(shown), len(inside), share)


def _drift(inputs: Sequence[SeenInput], points: Vectors, earlier: Sequence[SeenInput], watch: Watch) -> Drift:
    """Compare different inputs of both snapshots, each one once."""
    _check_size("inputs in the earlier snapshot", len(earlier))
    before = drawn(earlier, MOST_IN_DRIFT, watch)
    old = embed_texts([compared_text(each.input.written) for each in before], watch)
    kept = np.random.default_rng(0).permutation(len(inputs))[:MOST_IN_DRIFT]
    now = [inputs[at] for at in kept]
    new, every = points[kept], [*before, *now]
    p = drift_p(old, new)
    found = moved_clusters(old, new) if p <= LEVEL else []
    both = np.concatenate([old, new])
    return Drift(p, tuple(
        replace(_cluster(every, most_central(both, each.members)), share=each.after,
                before=each.before)
        for each in found
    ))  # fmt: skip
