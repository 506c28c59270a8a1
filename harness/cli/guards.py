"""The command that lists, adds and updates packs of guards."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunegate.harness.cli.common import chatter, console, project
from tunegate.harness.cli.options import FIXTURES, Cases, Quiet, shared
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.printing import Printer, figures_table
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.options.settings import standing

if TYPE_CHECKING:
    from tunegate.harness.begin.guards.adding import Addition
    from tunegate.harness.begin.guards.packs import Pack

Action = Literal["list", "add", "update"]
SHOWN_DIGITS = 12  # of a digest


def guards(
    action: Annotated[Action, typer.Argument(help="What to do.", metavar="list|add|update")] = "list",
    packs: Annotated[list[str] | None, typer.Argument(help="Packs, by name.", metavar="PACK")] = None,
    take: Annotated[bool, shared("take")] = False,
    cases: Cases = FIXTURES,
    quiet: Quiet = False,
) -> None:
    """List the packs of guards that ship, add some to the project as its own fixtures, or update its copies.

    Guards watch what a change may break elsewhere: general questions, instructions. A copy is an ordinary fixture
    file of the task `guards`, with a margin in its task.yaml. `update` shows the difference from a newer version.
    """
    if take and action != "update":
        raise UsageError(f"--take: expected guards update, found guards {action}")
    if action == "list":
        _list(packs or [])
    elif action == "add":
        _add(packs or [], cases, quiet)
    else:
        _update(packs or [], cases, quiet, take)


def _list(names: list[str]) -> None:
    from tunegate.harness.begin.guards.packs import PACKS, find_packs

    texts = ["pack", "suite", "digest", "what it sees"]
    table = figures_table(["pack", "version", "cases", *texts[1:]], texts)
    for pack in find_packs(names or [*PACKS]):
        count, suite = len(pack.data["cases"]), pack.data["suite"]
        table.add_row(pack.name, str(pack.version), str(count), suite, pack.digest[:SHOWN_DIGITS], pack.sees)
    Printer().print(table)


def _add(names: list[str], cases: Path, quiet: bool) -> None:
    from tunegate.harness.begin.guards.adding import not_there, plan_addition
    from tunegate.harness.begin.guards.packs import find_packs

    packs, model = find_packs(names), standing(project())["model"]
    is_hosted = backend_of(model).is_hosted
    adding = plan_addition(packs, cases)
    if is_hosted:
        _ask(not_there(packs, cases), model)
    adding.write()
    if not quiet:
        report_added(adding)
        record = "tunegate record" if is_hosted else "pytest --tg-record"
        console.print(f"next: tunegate lint, then {record}" if adding.files else "nothing to add")


def _ask(new: Sequence[Pack], model: str) -> None:
    """Ask before packs are added whose inputs may close the account that each run sends them from.

    Raises:
        Refused: it is not a yes.
    """
    counted = [f"{len(pack.data['cases'])} {pack.sends}" for pack in new if pack.sends]
    if not counted:
        return
    what = f"each run would send {listed(counted)} to {shown(model)}, from the account of its key"
    try:
        agreed = typer.confirm(f"{what}; its provider may forbid them. Add them?", default=False)
    except typer.Abort as error:
        if sys.stdin.isatty():
            raise
        raise Refused(f"{what}: expected a yes, found no terminal to ask on; nothing was written") from error
    if not agreed:
        raise Refused(f"{what}: expected a yes, found a no; nothing was written")


def report_added(adding: Addition) -> None:
    """Print the files that were written, and what they add to a run."""
    console.lines(f"wrote {show_path(path)}" for path in adding.files)
    console.lines(adding.lines)
    if adding.calls:
        console.print(f"{quantity(adding.calls, 'more call')} of each model in a whole run")


def guards_of_init(model: str, task: str, cases: Path) -> Addition | None:
    """Return the guards that come along with a new task: where the model's weights are here, those not there yet.

    Raises:
        UsageError: the new task has the name of that of the guards.
    """
    from tunegate.harness.begin.guards.adding import TASK, not_there, plan_addition
    from tunegate.harness.begin.guards.packs import DEFAULT, OPT_IN, PACKS, default_packs

    if not (model and backend_of(model).has_weights):
        return None
    if task == TASK:
        raise UsageError(
            f"TASK: expected another name than {TASK}, the task of the guards that ship; or add --no-guards REASON"
        )
    if not (packs := not_there(default_packs(model), cases)):
        return None
    adding = plan_addition(packs, cases)
    if [pack.name for pack in packs] != [*DEFAULT]:  # without a chat template, nothing is asked of it
        return adding
    optional = not_there([PACKS[name] for name in OPT_IN], cases)
    names = " ".join(pack.name for pack in optional)
    line = f"unsafe and alarming requests, decided by labels of people: tunegate guards add {names}"
    return replace(adding, lines=(*adding.lines, line)) if optional else adding


def _update(names: list[str], cases: Path, quiet: bool, take: bool) -> None:
    from tunegate.harness.begin.guards.packs import find_packs
    from tunegate.harness.begin.guards.updating import copies_of
    from tunegate.harness.begin.guards.updating import take as take_newer

    copies, say = copies_of(find_packs(names) if names else [], cases), chatter(quiet)
    say.lines(copy.state for copy in copies)
    if take:
        say.lines(f"wrote {show_path(path)}" for path in take_newer(copies))
        return
    for copy in copies:
        console.lines(copy.diff() if copy.is_behind or copy.is_edited else ())
    if any(copy.is_behind for copy in copies):
        say.print("next: tunegate guards update --take")
