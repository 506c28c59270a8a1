"""The gate without pytest, and without the repository's own Python: what CI trusts."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tunegate.harness.cli.common import chatter, console, errors, project
from tunegate.harness.cli.options import (
    BASELINES,
    FIXTURES,
    HOSTED_MODEL,
    LOCAL_MODEL,
    SERVED_MODEL,
    Baselines,
    Cases,
    Json,
    OfRung,
    Quiet,
    Repeats,
    Sealed,
    opens_model,
    shared,
)
from tunegate.harness.core.errors import Refused, TunegateError, UsageError, show_path
from tunegate.harness.core.files import same_file, write_json
from tunegate.harness.core.printing import Printer, print_json
from tunegate.harness.models.model_options import CACHE_MEGABYTES, ModelOptions
from tunegate.harness.options.run import Inconclusive

if TYPE_CHECKING:
    from tunegate.harness.change.decide import Decision, RulesVerdict
    from tunegate.harness.options.run import Options

PR_SET_DUMPABLE = 4
UNFINISHED = "the gate did not finish: it was stopped or broke, and nothing was decided; run it again"
START = "from tunegate.harness.cli.main import main; main()"


def isolate(command: str) -> None:
    """Begin again isolated, where this is about to run `command`: what lies around cannot be imported then.

    Python looks for modules in PYTHONPATH, in the folder one stands in and in the user's, and runs what it finds.
    """
    if sys.argv[1:2] != [command]:
        return
    if sys.flags.isolated:
        _be_untraceable()
    else:
        _become([sys.executable, "-I", "-c", START, *sys.argv[1:]])


def _become(command: list[str]) -> NoReturn:
    """Go on as another program, whose exit code is this one's."""
    if os.name == "nt":  # execv ends this process at once there, with an exit code that says nothing
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)  # noqa: S606  (it is this program)


def _be_untraceable() -> None:
    """Keep a check of the repository's own from attaching to the process that decides, where the system can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # Linux; elsewhere there is no such function


@opens_model(*LOCAL_MODEL, *SERVED_MODEL, *HOSTED_MODEL)
def gate(
    adapter: Annotated[list[Path] | None, shared("adapter")] = None,
    model: Annotated[str, shared("model")] = "smollm2",
    policy_from: Annotated[str | None, shared("policy-from")] = None,
    approve: Annotated[str | None, shared("approve")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    rung: OfRung = "as-is",
    sealed: Sealed = False,
    repeats: Repeats = 1,
    requests: Annotated[Path | None, shared("requests")] = None,
    inconclusive: Annotated[Inconclusive, shared("inconclusive")] = "block",
    out: Annotated[Path | None, shared("out")] = None,
    written: Annotated[Path | None, shared("decision")] = None,
    fresh: Annotated[bool, shared("fresh")] = False,
    cache_size: Annotated[int, shared("cache-size")] = CACHE_MEGABYTES,
    ledger_remote: Annotated[str | None, shared("ledger-remote")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Judge a model or an adapter against its baseline, and end with 1 if anything blocks.

    The decision of pytest fixtures/ --tg-against=baseline, without pytest: no conftest.py, no plugin and no setting of
    pytest has a say. With --policy-from the rules of that branch are applied as well, and what was altered since blocks
    until it is approved by its digest (--approve).
    """
    from tunegate.harness.options.run import BASELINE, Options

    options = Options(
        project().resolve(), model, tuple(adapter or ()), cases, baselines, out, BASELINE, fresh=fresh,
        requests=requests, rung=rung, sealed=sealed, repeats=repeats,
        inconclusive=inconclusive, ledger_remote=ledger_remote,
        cache_size=cache_size, opened=opened,
    )  # fmt: skip
    _check_apart(written, options)
    with kept_decision(written) as keep:
        tell = (lambda _: None) if as_json else _print_changes
        decision = _decide(options, policy_from, approve, chatter(quiet, as_json), tell)
        keep(decision)
    end_with_decision(decision, as_json)


def end_with_decision(decision: Decision, as_json: bool, more: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Show what was decided, in JSON with `more` keys, and end as it says.

    Raises:
        Refused: something could not be evaluated.
        Exit: with 1, where something blocks.
    """
    if as_json:
        print_json({**decision.as_dict(), **more})
    else:
        _print(decision)
    if decision.refused:
        raise Refused(decision.refused)
    if not decision.passes:
        raise typer.Exit(1)


def _check_apart(decision: Path | None, options: Options) -> None:
    """Refuse a decision that would be written over a file of the same run."""
    if decision and (name := same_file(decision, (*options.reads, *options.writes))):
        raise UsageError(
            f"--decision: expected a file of its own, found that {name} uses {show_path(decision)}; name another"
        )


@contextmanager
def kept_decision(path: Path | None) -> Iterator[Callable[[Decision], None]]:
    """Keep the decision at `path`: first one that refuses, so that no earlier one speaks for a run that is killed."""
    from tunegate.harness.change.decide import Decision

    def keep(decision: Decision) -> None:
        if path:
            write_json(path, decision.as_dict())

    keep(Decision(refused=UNFINISHED))
    try:
        yield keep
    except TunegateError as error:
        keep(Decision(refused=str(error)))
        raise


def _decide(
    options: Options, policy_from: str | None, approve: str | None, aside: Printer, tell: Callable[[Decision], None]
) -> Decision:
    from tunegate.harness.change.decide import decide_change
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.models.adapters import adapter_digests

    if approve and not policy_from:
        raise UsageError("--approve approves rule changes since a commit: name it with --policy-from GITREF")
    before = adapter_digests(options.adapters)  # before a check of the repository's own runs beside it
    decision = decide_change(options, policy_from, approve, watch_on(aside), tell)
    asked = {each.record.fingerprint["subject"].get("adapter") for each in decision.by_rules}
    if adapter_digests(options.adapters) != before or (None not in before and asked - {*before, None}):
        raise Refused("the adapter changed while it was judged; nothing was decided")
    return decision


def _print(decision: Decision) -> None:
    from tunegate.harness.reporting.record import SHOWN_CASES, print_record

    for each in decision.by_rules:
        if (
            each.blocks or each.record.path or not each.rules
        ):  # by the older rules only what blocks: the rest is shown once
            if each.rules:
                console.print(f"{_who(each)}by {each.rules}:")
            # the same answers by both rules: their cases are shown once
            again = each.record.path is None and any(other.record.path for other in decision.by_rules)
            print_record(console, each.record, limit=0 if again else SHOWN_CASES)
    for line in decision.notes:
        console.print(line)
    for each in decision.by_rules:
        if each.rules:
            verdict = f"blocked by {', '.join(each.blocks)}" if each.blocks else "passes"
            console.print(f"{_who(each)}by {each.rules}: {verdict}")
    for digest in dict.fromkeys(each.record.fingerprint["subject"].get("adapter") for each in decision.by_rules):
        if digest:
            console.print(f"judged: the adapter {digest}")
    if decision.passes:
        console.print("gate: passes")
    else:
        errors.print(f"gate: blocked by {' and '.join(_reasons(decision))}", markup=False)
        if decision.changes and decision.is_modified and not decision.refused:
            # not before all can be judged: what is mended for that makes another rule change of it
            errors.print(f"to approve exactly these rule changes: --approve={decision.changes.approve}", markup=False)


def _reasons(decision: Decision) -> Iterator[str]:
    if decision.is_modified:
        yield "rule changes"
    if decision.refused:
        yield "what could not be judged"
    yield from dict.fromkeys(each.rules or ", ".join(each.blocks) for each in decision.by_rules if each.blocks)


def _print_changes(decision: Decision) -> None:
    """What a change does to the rules, before anything else."""
    from tunegate.harness.reporting.decision import change_lines

    changes = decision.changes
    for line in change_lines(changes.modified, changes.added, decision.approved) if changes else ():
        console.print(line)


def _who(verdict: RulesVerdict) -> str:
    return f"{verdict.record.adapter}, " if verdict.record.adapter else ""
