"""The gate without pytest and without the repository's own Python: the command that CI trusts."""

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

from tunegate.harness.cli.common import chatter, check_apart, console, errors, project
from tunegate.harness.cli.options import (
    BASELINES,
    FIXTURES,
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
from tunegate.harness.core.errors import Refused, TunegateError, UsageError
from tunegate.harness.core.files import write_atomically, write_json
from tunegate.harness.core.printing import Printer, print_json
from tunegate.harness.models.model_options import CACHE_MEGABYTES, ModelOptions
from tunegate.harness.models.options.run import Inconclusive

if TYPE_CHECKING:
    from tunegate.harness.models.options.run import Options
    from tunegate.harness.review.change.decision import Decision, RulesVerdict

PR_SET_DUMPABLE = 4
UNFINISHED = "the gate did not finish: it was stopped or crashed, and decided nothing; run it again"
START = "from tunegate.harness.cli.main import main; main()"


def isolate(command: str) -> None:
    """Restart in Python's isolated mode before running `command`, so that nothing nearby is imported.

    Python imports modules from PYTHONPATH, the current directory and the user's folder, and runs their code.
    """
    if sys.argv[1:2] != [command]:
        return
    if sys.flags.isolated:
        _be_untraceable()
    else:
        _become([sys.executable, "-I", "-c", START, *sys.argv[1:]])


def _become(command: list[str]) -> NoReturn:
    """Replace this process with another program and its exit code."""
    if os.name == "nt":  # execv ends this process at once there, with a meaningless exit code
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)  # noqa: S606  (it is this program)


def _be_untraceable() -> None:
    """Prevent the repository's own checks from attaching to the deciding process, where the system allows it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # Linux; other systems lack the function


@opens_model("local", "served", "hosted")
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
    junit: Annotated[Path | None, shared("junit")] = None,
    fresh: Annotated[bool, shared("fresh")] = False,
    cache_size: Annotated[int, shared("cache-size")] = CACHE_MEGABYTES,
    ledger_remote: Annotated[str | None, shared("ledger-remote")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Evaluate a model or an adapter against its baseline; exit 1 if anything blocks.

    Decides as pytest fixtures/ --tg-against=baseline does, without pytest: no conftest.py, plugin or pytest setting
    takes part. With --policy-from, the rules of that branch apply as well, and rule changes since then block until
    they are approved by their digest (--approve).
    """
    from tunegate.harness.models.options.run import BASELINE, Options

    options = Options(
        project().resolve(), model, tuple(adapter or ()), cases, baselines, out, BASELINE, fresh=fresh,
        requests=requests, rung=rung, sealed=sealed, repeats=repeats, inconclusive=inconclusive,
        ledger_remote=ledger_remote, cache_size=cache_size, opened=opened,
    )  # fmt: skip
    check_apart([("--decision", written), ("--junit", junit)], [*options.reads, *options.writes])
    with kept_decision(written, junit) as keep:
        tell = (lambda _: None) if as_json else _print_changes
        decision = _decide(options, policy_from, approve, chatter(quiet, as_json), tell)
        keep(decision)
    end_with_decision(decision, as_json)


def end_with_decision(decision: Decision, as_json: bool, more: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Print the decision, in JSON with `more` keys, and exit with its code.

    Raises:
        Refused: something could not be evaluated.
        Exit: with 1, if anything blocks.
    """
    if as_json:
        print_json({**decision.as_dict(), **more})
    else:
        _print(decision)
    if decision.refused:
        raise Refused(decision.refused)
    if not decision.passes:
        raise typer.Exit(1)


@contextmanager
def kept_decision(path: Path | None, junit: Path | None = None) -> Iterator[Callable[[Decision], None]]:
    """Keep the decision at `path`, and as JUnit XML at `junit`.

    A refusal is written first, so a killed run leaves no earlier decision.
    """
    from tunegate.harness.reporting.junit import junit_xml
    from tunegate.harness.review.change.decision import Decision

    def keep(decision: Decision) -> None:
        if path:
            write_json(path, decision.as_dict())
        if junit:
            write_atomically(junit, junit_xml(decision.as_dict(), [each.record for each in decision.by_rules]))

    keep(Decision(refused=UNFINISHED))
    try:
        yield keep
    except TunegateError as error:
        keep(Decision(refused=str(error)))
        raise


def _decide(
    options: Options, policy_from: str | None, approve: str | None, aside: Printer, keep: Callable[[Decision], None]
) -> Decision:
    from tunegate.harness.core.progress import watch_on
    from tunegate.harness.models.adapters import adapter_digests
    from tunegate.harness.review.change.decide import decide_change

    if approve and not policy_from:
        raise UsageError("--approve: expected --policy-from GITREF with it, found none; name the older commit")
    before = adapter_digests(options.adapters)  # before any check of the repository runs
    decision = decide_change(options, policy_from, approve, watch_on(aside), keep)
    asked = {each.record.fingerprint["subject"].get("adapter") for each in decision.by_rules}
    if adapter_digests(options.adapters) != before or (None not in before and asked - {*before, None}):
        raise Refused("the adapter changed during its evaluation; nothing was decided")
    return decision


def _all_wrong(decision: Decision) -> list[str]:
    """The evaluated units of which no case passes: passing a gate says nothing of these."""
    units = {key: unit for each in decision.by_rules for key, unit in each.record.units.items()}
    return sorted(key for key, unit in units.items() if unit.kind == "pass/fail" and unit.mean == 0)


def _verdicts(each: RulesVerdict) -> tuple[Any, ...]:
    """What a record's verdicts say, and on which adapter."""
    record = each.record
    remarks = [[one.remarks for one in found.values()] for found in (record.verdicts, record.tasks)]
    return record.adapter, each.blocks, *remarks


def _print(decision: Decision) -> None:
    from tunegate.harness.core.formatting import listed
    from tunegate.harness.reporting.decision import rule_line
    from tunegate.harness.reporting.record import SHOWN_CASES, print_record

    # with the older rules only what blocks
    printed = [each for each in decision.by_rules if each.blocks or each.record.path or not each.rules]
    for each in printed:
        same = [other for other in printed if _verdicts(other) == _verdicts(each)]
        if each is not same[-1]:  # the same verdicts are printed once
            continue
        if each.rules:
            who = f"{each.record.adapter}, " if each.record.adapter else ""
            console.print(f"{who}by {' and '.join(other.rules for other in same)}:")
        # both rules score the same outputs: print their cases once
        again = each.record.path is None and any(other.record.path for other in decision.by_rules)
        print_record(console, each.record, limit=0 if again else SHOWN_CASES)
    console.lines((*decision.notes, *decision.untrue))
    for each in decision.by_rules:
        if each.rules:
            console.print(rule_line(each.record.adapter, each.rules, each.blocks))
    for digest in dict.fromkeys(each.record.fingerprint["subject"].get("adapter") for each in decision.by_rules):
        if digest:
            console.print(f"evaluated: the adapter {digest}")
    if decision.passes:
        wrong = _all_wrong(decision)
        console.print("gate: passes" + (f", but nothing is right in {listed(wrong)}" if wrong else ""))
    else:
        errors.lines(_headlines(decision))
        errors.print(f"gate: blocked by {' and '.join(_reasons(decision))}")
        if decision.changes and decision.is_modified and not decision.refused:
            # only once everything can be evaluated: a fix for that is another rule change
            errors.print(f"to approve exactly these rule changes: --approve={decision.changes.approve}")


def _headlines(decision: Decision) -> Iterator[str]:
    """Yield a line for each blocked candidate: what regressed, with both scores, and the part that was edited."""
    from tunegate.harness.reporting.headline import candidate_head
    from tunegate.harness.reporting.report import candidate_report

    for record in (each.record for each in decision.by_rules if each.blocks and each.record.path):
        report = candidate_report(record, contexts={})
        yield f"{report.name}: {candidate_head(report, report.said, decision.configuration)[0]}"


def _reasons(decision: Decision) -> Iterator[str]:
    if decision.is_modified:
        yield "rule changes"
    if decision.refused:
        yield "an evaluation error"
    elif not decision.by_rules and not decision.is_modified:
        yield "the lack of an evaluation"
    if decision.untrue:
        yield "records that the gate does not find so"
    yield from dict.fromkeys(each.rules or ", ".join(each.blocks) for each in decision.by_rules if each.blocks)


def _print_changes(decision: Decision) -> None:
    """Print the edited parts of the configuration, and the rule changes."""
    from tunegate.harness.reporting.decision import change_lines
    from tunegate.harness.reporting.edited import edited_lines

    changes = decision.changes
    console.lines(edited_lines(decision.configuration))
    console.lines(change_lines(changes.modified, changes.added, decision.approved) if changes else ())
