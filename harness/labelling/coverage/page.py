"""A page with a map of the inputs and the cases, as an offline file that runs no script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import percent
from tunegate.harness.labelling.coverage.coverage import Coverage
from tunegate.harness.labelling.coverage.near import Floats, Integers
from tunegate.harness.labelling.coverage.render import HIDDEN, closing, drift_sentence, opening
from tunegate.harness.reporting.html import static_page

WIDTH, HEIGHT, EDGE = 900, 600, 24
Mark = tuple[float, float, str]  # a place on the map, and its class
DRAWN, DRAWN_CASES = 1_500, 500  # points of a map; those without a case near come first
STYLE = """\
.map { max-width: none; border: 1px solid var(--line); background: var(--raised); }
.map .near { fill: var(--soft); opacity: .45; }
.map .far { fill: var(--bad); }
.map .case { fill: none; stroke: var(--accent); stroke-width: 1.5; }
.map .unvisited { stroke: var(--ink); stroke-width: 2.5; }
.map text { fill: var(--ink); font: 700 15px system-ui, sans-serif; paint-order: stroke; }
.map text { stroke: var(--raised); stroke-width: 4; }
.scroll td:last-child { min-width: 14rem; }
.legend .map { border: 0; background: none; width: 1rem; }
"""


def write_map(path: Path, found: Coverage) -> None:
    """Write the page.

    Raises:
        CouldNotRun: it cannot be written.
    """
    write_atomically(path, coverage_page(found))


def coverage_page(found: Coverage) -> str:
    """Return the page: a map of what was compared, and what was found as sentences and tables."""
    inputs, cases = _chosen(found)
    places = _places(found, inputs, cases)
    compared, missing = opening(found)
    return static_page(
        "tunegate.harness.labelling.coverage", "coverage.html.j2", STYLE,
        found=found, compared=compared, missing=missing,
        points=list(_map_points(found, inputs, cases, places)), labels=list(_labels(found, inputs, places)),
        width=WIDTH, height=HEIGHT, percent=percent, hidden=HIDDEN, closing=list(closing(found)),
        drift=found.drift and drift_sentence(found.drift),
    )  # fmt: skip


def _chosen(found: Coverage) -> tuple[Integers, Integers]:
    """The numbers of the inputs and cases that are drawn."""
    inputs = np.argsort(~found.near.far, kind="stable")[:DRAWN]
    return inputs, np.random.default_rng(0).permutation(len(found.cases))[:DRAWN_CASES]


def _places(found: Coverage, inputs: Integers, cases: Integers) -> Floats:
    """Two coordinates of each input and case, within the map (t-SNE: van der Maaten and Hinton, JMLR 9, 2008)."""
    from sklearn.manifold import TSNE

    points = np.concatenate([found.points[inputs], found.case_points[cases]])
    at = TSNE(perplexity=min(30.0, (len(points) - 1) / 3), init="pca", random_state=0).fit_transform(points)
    at = (at - at.min(axis=0)) / np.maximum(np.ptp(at, axis=0), 1e-9)
    places: Floats = EDGE + at * [WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE]
    return places


def _map_points(found: Coverage, inputs: Integers, cases: Integers, places: Floats) -> Iterator[Mark]:
    """The inputs with a case near, then the cases, then the inputs without, so that these are on top."""
    unvisited = {case.key for case in found.unvisited}
    rounded = np.round(places, 1).tolist()
    missing = found.near.far[inputs]
    yield from ((x, y, "near") for x, y in (rounded[at] for at in np.flatnonzero(~missing)))
    for (x, y), case in zip(rounded[len(inputs) :], cases, strict=True):
        yield x, y, "case unvisited" if found.cases[case].key in unvisited else "case"
    yield from ((x, y, "far") for x, y in (rounded[at] for at in np.flatnonzero(missing)))


def _labels(found: Coverage, inputs: Integers, places: Floats) -> Iterator[tuple[float, float, int]]:
    """The centre of each cluster, and its number."""
    drawn = {number: at for at, number in enumerate(inputs.tolist())}
    for number, members in enumerate(found.members, start=1):
        at = [drawn[each] for each in members.tolist() if each in drawn]
        if at:
            x, y = np.median(places[at], axis=0).round(1).tolist()
            yield x, y, number
