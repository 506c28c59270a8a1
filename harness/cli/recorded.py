"""Models that answer elsewhere: the requests that they answer, and the baseline that is made of what came."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tunegate.harness.cli.common import (
    BASELINES,
    FIXTURES,
    Baselines,
    Cases,
    ChatTemplate,
    Quiet,
    chatter,
    console,
    errors,
    project,
    shared,
)
from tunegate.harness.core.errors import UsageError
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.printing import print_json

if TYPE_CHECKING:
    from tunegate.harness.fixtures.model import Task, Unit
    from tunegate.harness.models.prompts import RungName


class Rung(StrEnum):
    """A rung of the ladder, by the name that it has in records."""

    as_is = "as-is"
    constrained = "constrained"
    few_shot = "few-shot"
    few_shot_constrained = "few-shot-constrained"
    context = "context"
    steps = "steps"


Units = Annotated[
    list[str] | None, typer.Argument(help="Units by name (default: all).", show_default=False, metavar="TASK/UNIT")
]
OfRung = Annotated[Rung, shared("rung")]
Sealed = Annotated[bool, shared("sealed")]
Repeats = Annotated[int, shared("repeats")]


def prompts(
    units: Units = None,
    cases: Cases = FIXTURES,
    rung: OfRung = Rung.as_is,
    repeats: Repeats = 1,
    sealed: Sealed = False,
    render: Annotated[str | None, shared("render")] = None,
    chat_template: ChatTemplate = None,
) -> None:
    """Write the request of every case, a line of JSON each: its messages, its decoding, and a digest of what is asked.

    With --render also the prompt as that model's chat template writes it, and its tokens.
    """
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.fixtures.loader import load_tasks
    from tunegate.harness.models.prompts import requests
    from tunegate.harness.models.request_file import request_line
    from tunegate.harness.models.tokenizer import prompt_renderer

    tasks, on = load_tasks(cases), cast("RungName", str(rung))
    chosen = [unit for unit in _units(tasks, units or []) if not unit.of]
    hidden = [unit for unit in chosen if unit.sealed and not sealed]
    asked = list(requests([unit for unit in chosen if unit not in hidden], on, repeats))
    rendered = prompt_renderer(render, watch_on(errors), chat_template) if render else None
    for request in asked:
        print_json(request_line(request, on, rendered), indent=None)
    for unit in hidden:
        ids = listed([case.id for case in unit.cases])
        errors.print(
            f"{unit.key}: sealed, so not written: {len(unit.cases)} cases ({ids}); --sealed does", markup=False
        )


def record(
    source: Annotated[Path, shared("from")],
    name: Annotated[str, shared("name")],
    units: Units = None,
    requests: Annotated[Path | None, shared("requests")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    rung: OfRung = Rung.as_is,
    repeats: Repeats = 1,
    sealed: Sealed = False,
    quiet: Quiet = False,
) -> None:
    """Write the baseline of outputs that were made elsewhere; 1 if a unit has no answer to a case, and so has none.

    Each line says by its digest which request it answers, or --requests names the file that was answered. Outputs of
    the same name can then be gated: --tg-model=replay:NAME=FILE --tg-against=baseline.
    """
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.models.model_options import NAME, NAME_IS, REPLAY
    from tunegate.harness.options.run import Options
    from tunegate.harness.reporting.record import print_record
    from tunegate.harness.session import Session

    if not NAME.fullmatch(name):
        raise UsageError(f"--name: expected the name of a folder ({NAME_IS}), found {name!r}")
    aside = chatter(quiet)
    session = Session(Options(
        project(), f"{REPLAY}{name}={source}", cases=cases, baselines=baselines, record=True, requests=requests,
        rung=cast("RungName", str(rung)), sealed=sealed, repeats=repeats,
    ))  # fmt: skip
    chosen = _units(session.tasks, units or [])
    session.select([], [unit for unit in chosen if sealed or not unit.sealed])
    session.execute(watch_on(aside))
    [made] = session.records
    print_record(aside, made)
    for line in session.notes:
        console.print(line, markup=False)
    if any(made.units[unit.key].unscored for unit in session.selected):
        raise typer.Exit(1)


def _units(tasks: Sequence[Task], names: Sequence[str]) -> list[Unit]:
    """The units of these names, each derived one with the one that it is derived from; all where none is named."""
    from tunegate.harness.fixtures.loader import find_unit

    if not names:
        return [unit for task in tasks for unit in task.units]
    named = [find_unit(tasks, name) for name in names]
    keys = dict.fromkeys(key for unit in named for key in (unit.of, unit.key) if key)
    return [find_unit(tasks, key) for key in keys]
