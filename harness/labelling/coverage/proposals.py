"""Proposed cases without an expectation, for a person to fill in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Unit
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.files import write_atomically
from tunegate.harness.labelling.coverage.coverage import InputCluster

A_CLUSTER = 3  # inputs
TAG = "missing"  # the tag with the words of a case's cluster
HEAD = """\
# Inputs without a case near them, proposed by tunegate coverage. Write what each expects, and delete what is none of
# this unit's business.
"""


def check_target(path: Path, units: Sequence[Unit]) -> Unit:
    """Return the unit that the proposals of a new file belong to.

    Raises:
        UsageError: there are several units.
        Refused: the file exists.
    """
    if path.exists():
        raise Refused(f"{show_path(path)}: expected a new file, found one; name another, or delete it")
    if len(units) != 1:
        raise UsageError(f"--write: expected one unit, found {len(units)}; name it: --unit TASK/UNIT")
    return units[0]


def write_proposals(path: Path, unit: Unit, clusters: Sequence[InputCluster]) -> int:
    """Write up to three inputs of each cluster as cases of `unit` without `expect`; return how many.

    Nothing is written if there are none.

    Raises:
        CouldNotRun: the file cannot be written.
    """
    cases = [case for cluster in clusters for case in _cases(cluster)]
    if cases:
        source = unit.cases[0].path
        head = {key: value for key, value in read_yaml(source).data.items() if key not in ("cases", "shots")}
        write_atomically(path, HEAD + write_yaml({**head, "cases": cases}, ("tags",)))
    return len(cases)


def _cases(cluster: InputCluster) -> Iterator[dict[str, Any]]:
    apart = max(1, len(cluster.shown) // A_CLUSTER)  # from the centre to the edge, so that they differ
    for each in (seen.input for seen in cluster.shown[::apart][:A_CLUSTER]):
        context = {} if each.context is None else {"context": each.context}
        yield {"id": each.id, "input": each.written, **context, "tags": {TAG: cluster.name}}
