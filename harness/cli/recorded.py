"""Commands for requests and baselines: of a model, or of outputs generated elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import chatter, console, errors, is_given, project
from tunegate.harness.cli.options import (
    BASELINES,
    FIXTURES,
    Baselines,
    Cases,
    ChatTemplate,
    OfRung,
    Quiet,
    Repeats,
    Sealed,
    ToolFormatName,
    opens_model,
    shared,
)
from tunegate.harness.core.errors import UsageError
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.printing import Printer, print_json
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.model_options import CACHE_MEGABYTES, ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.cases.model import Task, Unit
    from tunegate.harness.session.run import Session


Units = Annotated[
    list[str] | None, typer.Argument(help="Units by name (default: all).", show_default=False, metavar="TASK/UNIT")
]


def prompts(
    units: Units = None,
    cases: Cases = FIXTURES,
    rung: OfRung = "as-is",
    repeats: Repeats = 1,
    sealed: Annotated[bool, shared("sealed")] = False,
    render: Annotated[str | None, shared("render")] = None,
    chat_template: ChatTemplate = None,
    tool_format: ToolFormatName = None,
) -> None:
    """Write the request of every case, one JSON line each: messages, decoding and the request's digest.

    With --render, also the prompt in that model's chat template, and its tokens.
    """
    from tunegate.harness.cases.loader import load_tasks
    from tunegate.harness.models.prompts import requests
    from tunegate.harness.models.request_file import request_line
    from tunegate.harness.models.tokenizer import prompt_renderer

    tasks, on = load_tasks(cases), rung
    chosen = [unit for unit in _units(tasks, units or []) if not unit.of and not unit.check_kind.by_runner]
    hidden = [unit for unit in chosen if unit.sealed and not sealed]
    asked = list(requests([unit for unit in chosen if unit not in hidden], on, repeats))
    rendered = prompt_renderer(render, watch_on(errors), chat_template, tool_format) if render else None
    for request in asked:
        print_json(request_line(request, on, rendered), indent=None)
    for unit in hidden:
        ids = listed([case.id for case in unit.cases])
        errors.print(f"{unit.key}: sealed, not written: {len(unit.cases)} cases ({ids}); add --sealed")


@opens_model("local", "served", "hosted")
def record(
    ctx: typer.Context,
    units: Units = None,
    model: Annotated[str, shared("model")] = "smollm2",
    source: Annotated[Path | None, shared("from")] = None,
    name: Annotated[str | None, shared("name")] = None,
    requests: Annotated[Path | None, shared("requests")] = None,
    limit: Annotated[int | None, shared("limit", "record")] = None,
    added: Annotated[bool, shared("added")] = False,
    dry_run: Annotated[bool, shared("dry-run")] = False,
    fresh: Annotated[bool, shared("fresh")] = False,
    noise: Annotated[bool, shared("noise")] = False,
    anchor: Annotated[str | None, shared("anchor")] = None,
    out: Annotated[Path | None, shared("out")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    rung: OfRung = "as-is",
    repeats: Repeats = 1,
    sealed: Sealed = False,
    cache_size: Annotated[int, shared("cache-size")] = CACHE_MEGABYTES,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Record a model's baseline, as --tg-record does; exit 1 if outputs are missing.

    Outputs are kept: after an error, an interruption or --limit, the same command continues. For a server, it first
    prints the expected requests and cost.

    The record of the project's model is in service from now on, unless an adapter is: changes are compared with it, and
    with the anchor, the first record in service. --anchor makes this record the anchor, which a reviewer approves.

    --added runs the model only on added cases, of which nothing is recorded yet. It refuses another model than the
    recorded one, and changes nothing that is recorded, so that it can run after each merge.

    With --from, record outputs generated elsewhere: each line names its request by digest, or --requests names the
    file of requests. Outputs under the same name can then be gated:
    --tg-model=replay:NAME=FILE --tg-against=baseline.
    """
    from tunegate.harness.models.options.run import Options
    from tunegate.harness.session.run import Session

    if source:
        if is_given(ctx, "model"):
            raise UsageError("record: expected a model (--model) or outputs (--from), found both")
        model = _supplied(source, name)
    if limit and (fresh or noise):
        raise UsageError("--limit: expected it without --fresh and --noise, whose runs cannot be continued; omit one")
    if added and (fresh or noise or anchor):
        raise UsageError("--added: expected it without --fresh, --noise and --anchor, which record all cases")
    aside = chatter(quiet)
    session = Session(Options(
        project(), model, cases=cases, baselines=baselines, out=out, record=True, fresh=fresh, noise=noise,
        requests=requests, rung=rung, sealed=sealed, repeats=repeats, limit=limit,
        anchor=anchor or "", added=added, cache_size=cache_size, opened=opened,
    ))  # fmt: skip
    chosen = _units(session.selection.tasks, units or [])
    if added:
        chosen = _with_added_cases(chosen, baselines, is_supplied=bool(source), aside=aside)
        if not chosen:
            return
    session.selection.select([], [unit for unit in chosen if sealed or not unit.sealed])
    watch = watch_on(aside)
    for each in [] if added else session.estimate(watch):
        aside.print(str(each))
    if dry_run:
        aside.print("dry run: no case was sent")
        return
    session.execute(watch)
    _print_recorded(session, aside)


def _with_added_cases(units: Sequence[Unit], baselines: Path, is_supplied: bool, aside: Printer) -> list[Unit]:
    """Return the units with cases of which nothing is recorded, and those derived from them; print a line for each."""
    from tunegate.harness.review.change.unrecorded import unrecorded
    from tunegate.harness.session.added import check_not_supplied

    named = {unit.key: unit for unit in units}
    waiting = unrecorded(named, named, [baselines])
    if not is_supplied:
        check_not_supplied(baselines, waiting)
    for unit, ids in waiting.items():
        aside.print(f"{unit}: {quantity(len(ids), 'added case')} to record: {', '.join(ids)}")
    if not waiting:
        aside.print("no added case waits to be recorded")
    return [unit for unit in units if unit.key in waiting or unit.of in waiting]


def _print_recorded(session: Session, aside: Printer) -> None:
    """Print the record, and end with 1 if outputs are missing."""
    from tunegate.harness.reporting.record import print_record

    [made] = session.records
    print_record(aside, made)
    console.lines(session.notes)
    if any(made.units[unit.key].unscored for unit in session.selection.selected):
        raise typer.Exit(1)


def _supplied(source: Path, name: str | None) -> str:
    """Return the model name of outputs generated elsewhere."""
    from tunegate.harness.models.backends import NAME, NAME_IS, REPLAY

    if name is None or not NAME.fullmatch(name):
        raise UsageError(f"--name: expected the name of a folder ({NAME_IS}), found {name!r}")
    return REPLAY.join(name, source)


def _units(tasks: Sequence[Task], names: Sequence[str]) -> list[Unit]:
    """Return the named units, each derived unit with its source; all units if none is named."""
    from tunegate.harness.cases.loader import find_unit

    if not names:
        return [unit for task in tasks for unit in task.units]
    named = [find_unit(tasks, name) for name in names]
    keys = dict.fromkeys(key for unit in named for key in (unit.of, unit.key) if key)
    return [find_unit(tasks, key) for key in keys]
