"""The command that compares traffic with cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunegate.harness.cli.common import chatter, console
from tunegate.harness.cli.options import FIXTURES, Cases, Json, Quiet, shared
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.printing import print_json
from tunegate.harness.core.progress import watch_on


def coverage(
    file: Annotated[Path, typer.Argument(help="Inputs of production, JSONL.", metavar="TRAFFIC.jsonl")],
    against: Annotated[Path | None, shared("against", "coverage")] = None,
    cases: Cases = FIXTURES,
    unit: Annotated[str | None, shared("unit")] = None,
    html: Annotated[Path | None, shared("html", "coverage")] = None,
    write: Annotated[Path | None, shared("write")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show which inputs have no case near them, and which cases no input.

    It compares sentence embeddings and needs no model. Secrets and personal data in the inputs are never shown.
    """
    from tunegate.harness.cases.loader import find_unit, load_tasks
    from tunegate.harness.labelling.coverage.coverage import cover
    from tunegate.harness.labelling.coverage.inputs import read_seen
    from tunegate.harness.labelling.coverage.page import write_map
    from tunegate.harness.labelling.coverage.proposals import check_target, write_proposals
    from tunegate.harness.labelling.coverage.render import print_coverage

    tasks, aside = load_tasks(cases), chatter(quiet, as_json)
    every = [find_unit(tasks, unit)] if unit else [each for task in tasks for each in task.units]
    units = [each for each in every if not (each.of or each.traffic)]  # these have no cases of their own
    target = check_target(write, units) if write else None
    earlier = read_seen(against) if against else ()
    found = cover(read_seen(file), [case for each in units for case in each.cases], watch_on(aside), earlier)
    if as_json:
        print_json(found.as_dict())
    else:
        print_coverage(console, found)
    if html:
        write_map(html, found)
        aside.print(f"Written: {show_path(html)}")
    if write and target:
        count = write_proposals(write, target, found.clusters)
        aside.print(
            f"Written: {show_path(write)}, {count} cases without an expectation" if count else "Nothing to write."
        )
