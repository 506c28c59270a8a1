"""The command that adopts an adapter trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import chatter, check_reason, console
from tunegate.harness.cli.options import BASELINES, FIXTURES, Baselines, Cases, OfRung, Quiet, opens_model, shared
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.models.model_options import ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.cases.model import Task


ADAPTERS = Path("adapters")


@opens_model("local")
def adopt(
    adapter: Annotated[
        Path,
        typer.Argument(help="The adapter or model: a folder, a .ref, or hub:OWNER/NAME@REVISION.", metavar="ADAPTER"),
    ],
    rows: Annotated[list[Path] | None, shared("rows", "adopt")] = None,
    trainer: Annotated[str | None, shared("trainer")] = None,
    reward: Annotated[list[str] | None, shared("reward")] = None,
    task: Annotated[str | None, shared("task")] = None,
    model: Annotated[str, shared("model", "adopt")] = "smollm2",
    reason: Annotated[str | None, shared("reason", "adopt")] = None,
    override: Annotated[str | None, shared("override")] = None,
    output: Annotated[Path | None, shared("output", "adopt")] = None,
    report: Annotated[Path | None, shared("report")] = None,
    rung: OfRung = "as-is",
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Adopt a LoRA or a whole model that was trained elsewhere: it can then be gated and released, on sealed cases.

    The adapter is copied, and must fit --model and act on it. The --rows that it is said to be trained on are scored by
    the checks, compared with the cases and searched for secrets; where its loss on them fell no more than on cases, the
    claim is doubted, on the card and in every verdict. Cases that rows repeat or come near are no evidence of a gain.
    The base needs its baseline, and a diagnosis or an --override. It is never shown as trained by Tunegate.
    """
    from tunegate.harness.core.files import working_folder
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.release.diagnosis.eligibility import check_any_diagnosis

    check_reason("--override", override)
    tuned = _tuned(cases, task)
    if not override:
        check_any_diagnosis(baselines, tuned, model)  # before the libraries load, which takes long
    from tunegate.trainers.adoption.adopt import Adoption, Claims, adopt_adapter, as_recipe, check_place, default_name

    claims = Claims(adapter, tuple(rows or ()), trainer, reason, tuple(reward or ()))
    claims.check()
    if report and not claims.known:
        raise UsageError("--report: expected rows to report on, found --rows none; leave it out")
    aside = chatter(quiet)
    place = output or ADAPTERS / default_name(adapter)
    recipe = as_recipe(claims, override, place, task=tuned.name, model=model, opened=opened, rung=rung)
    say = aside.print
    check_place(place, adapter)
    with working_folder(place, "adopting") as work:
        state = Adoption(recipe, cases, baselines, watch_on(aside), say, report, claims=claims, work=work)
        folder = adopt_adapter(state)
    console.print(f"adapter: {show_path(folder)}")
    say(f"next: pytest fixtures/ --tg-adapter={show_path(folder)} --tg-against baseline --tg-sealed")


def _tuned(cases: Path, name: str | None) -> Task:
    """The task with a name, or the only one.

    Raises:
        Refused: there is no such task.
        UsageError: there are several, and no name.
    """
    from tunegate.harness.cases.loader import find_tasks, load_tasks

    found = find_tasks(load_tasks(cases), [name] if name else [])
    if len(found) != 1:
        names = ", ".join(task.name for task in found)
        raise UsageError(f"--task: expected the task that it was trained for, found {names}; add --task")
    return found[0]
