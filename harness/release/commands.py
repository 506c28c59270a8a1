"""Commands that ship an adapter: release, retire, sign, verify, export and parity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunegate.harness.cli.common import RUNS, chatter, console, errors, project
from tunegate.harness.cli.options import (
    BASELINES,
    FIXTURES,
    Adapter,
    Baselines,
    Cases,
    ChatTemplate,
    Json,
    Quiet,
    Run,
    ToolFormatName,
    opens_model,
    shared,
)
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.printing import print_json
from tunegate.harness.core.progress import watch_on
from tunegate.harness.models.backends import backend_of
from tunegate.harness.models.model_options import GgufType, ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.models.evaluation.record import Record
    from tunegate.harness.release.parity.parity import Parity


@opens_model("local")
def release(
    adapter: Adapter,
    run: Run = None,
    model: Annotated[str, shared("model", "release")] = "smollm2",
    into: Annotated[str | None, shared("into")] = None,
    ledger_remote: Annotated[str | None, shared("ledger-remote")] = None,
    withdraw: Annotated[bool, shared("withdraw")] = False,
    reason: Annotated[str | None, shared("reason")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Release an adapter: score its record again, re-run it and its base, then write the manifest and the model card.

    Without --run, the adapter's newest complete run is used; --model is its base. --withdraw withdraws the release,
    and the previous one becomes the last release again; the ledger keeps both, and the --reason.

    The ledger is first compared with the remote branch that the release will be merged into (--into).
    """
    from tunegate.harness.checks.registry import isolating_checks
    from tunegate.harness.models.backends import opener
    from tunegate.harness.release.anchor import Outside
    from tunegate.harness.release.release import release_adapter

    if withdraw or reason is not None:
        _withdraw(adapter, baselines, reason if withdraw else None, as_json)
        return
    backend_of(model).check_weights(model)
    aside = chatter(quiet, as_json)
    watch = watch_on(aside)
    with isolating_checks():  # the repository's own Python takes no part
        record = _record_of(adapter, run)
        asked = opener(model, watch, opened, record.rung)
        outside = Outside(into, ledger_remote)
        done = release_adapter(adapter, record, cases, baselines, watch, asked, outside)
    card, manifest = show_path(done.card), show_path(done.manifest)
    if as_json:
        ledger = done.ledger.as_dict()
        print_json({"manifest": manifest, "card": card, "baselines": list(done.files), "ledger": ledger})
        return
    aside.lines([*done.notes, done.ledger.said, *done.files])
    console.print(f"model card: {card}")
    console.print(f"release manifest: {manifest}")
    console.print(f"{show_path(adapter)}: released")


def _withdraw(adapter: Path, baselines: Path, reason: str | None, as_json: bool) -> None:
    from tunegate.harness.history.baselines.releases import withdraw

    if not (reason and reason.strip()):
        raise UsageError("--withdraw: expected a --reason, found none; add --reason TEXT")
    lines = withdraw(baselines, adapter, reason)
    if as_json:
        print_json({"withdrawn": lines})
        return
    console.lines(lines)
    console.print("commit the changes below the baselines; the adapter's folder is unchanged: do not deploy it")


def retire(
    unit: Annotated[str, typer.Argument(help="The unit, by name.", metavar="TASK/UNIT")],
    reason: Annotated[str, shared("reason", "retire")],
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
) -> None:
    """Retire a unit deleted from the cases: remove its baselines, and require it of no later release.

    The ledger keeps which releases were evaluated on it, and the --reason.
    """
    from tunegate.harness.cases.loader import load_tasks
    from tunegate.harness.history.baselines import releases

    if not reason.strip():
        raise UsageError("--reason: expected the reason for retiring the unit, found none")
    if unit in {each.key for task in load_tasks(cases) for each in task.units}:
        raise UsageError(f"{unit}: expected a deleted unit, found it among the cases; delete it first")
    console.lines(releases.retire_unit(baselines, unit, reason))
    console.print("commit the changes below the baselines")


def verify(
    adapter: Adapter,
    key: Annotated[Path | None, shared("key")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Verify a released adapter's digests, on any machine, without torch; with --key, also its signature."""
    from tunegate.harness.models.signing import SIGNATURE, verify_signature
    from tunegate.harness.release.manifest import read_manifest, verify_release

    lines = verify_release(adapter)
    if key:
        lines.append(verify_signature(adapter, key))
    elif (adapter / SIGNATURE).exists():
        lines.append(f"{SIGNATURE}: not verified; run: tunegate verify --key FILE.pem")
    if as_json:
        print_json(read_manifest(adapter))
        return
    chatter(quiet).lines(lines)


def sign(adapter: Adapter, key: Annotated[Path, shared("key")], quiet: Quiet = False) -> None:
    """Sign a released adapter with the private key in a PEM file; tunegate verify --key PUBLIC.pem verifies it.

    The key is an elliptic-curve key; its password, if any, is read from TUNEGATE_KEY_PASSWORD.
    """
    from tunegate.harness.release.manifest import sign_release

    chatter(quiet).lines(sign_release(adapter, key))


def export(
    adapter: Adapter,
    output: Annotated[Path, shared("output", "export")],
    gguf: Annotated[GgufType | None, shared("gguf")] = None,
    run: Run = None,
    chat_template: ChatTemplate = None,
    tool_format: ToolFormatName = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Merge an adapter into a model folder or a GGUF file, and verify that it matches the evaluated one; exit 1 if not.

    The comparison is that of tunegate parity, and is recorded on the model card. --output is the folder or, with
    --gguf, the file; a Modelfile for Ollama is written beside it.
    """
    from tunegate.harness.release.export import export_adapter
    from tunegate.harness.release.parity.parity import read_scored

    watch = watch_on(chatter(quiet, as_json))
    record = _served_record(adapter, run)
    scored = read_scored(adapter, record, cases, watch, chat_template, tool_format)
    done = export_adapter(scored, output, gguf, baselines, watch, project() / RUNS)
    _show_parity(adapter, record, done, show_path(output), baselines, as_json, is_export=True)


@opens_model("local", "served")
def parity(
    adapter: Adapter,
    model: Annotated[str, shared("model", "parity")],
    run: Run = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Verify that a served model matches the evaluated one: prompts, weights, outputs, gate verdicts; exit 1 if not.

    Without --run, the reference is the record of the release, otherwise the adapter's newest complete run.
    --chat-template or --tool-format is that of the evaluation. A server receives chat messages, or token ids with
    --tokenizer.
    """
    from tunegate.harness.release.parity.parity import compare_served, read_scored

    options = opened if opened.tokenizer else replace(opened, chat_template=None, tool_format=None)
    watch = watch_on(chatter(quiet, as_json))
    record = _served_record(adapter, run)
    scored = read_scored(adapter, record, cases, watch, opened.chat_template, opened.tool_format)
    done = compare_served(scored, model, options, baselines, watch, project() / RUNS)
    _show_parity(adapter, record, done, done.artefact, baselines, as_json)


def _show_parity(
    adapter: Path, record: Record, done: Parity, name: str, baselines: Path, as_json: bool, is_export: bool = False
) -> None:
    """Keep and print the result; exit 1 if parity is not shown. An export that was not put in place is not kept."""
    from tunegate.harness.release.served import keep_artefact
    from tunegate.harness.reporting.record import print_record

    artefact = done.as_artefact(name)
    is_there = artefact.shown or not is_export
    kept = keep_artefact(adapter, record, artefact, baselines) if is_there else []
    if as_json:
        print_json(artefact.as_dict())
    else:
        print_record(console, done.record)
        console.lines([*done.lines(), *kept])
    if not artefact.shown:
        errors.print(_why_not(done, name, is_there))
        raise typer.Exit(1)
    if not as_json:
        console.print(f"parity: {name} matches the evaluated model")


def _why_not(done: Parity, name: str, is_there: bool) -> str:
    """Why parity is not shown, and what follows from it."""
    unwritten = f"nothing was written to {name}"
    if done.too_few:
        then = "write more cases" + ("" if is_there else f"; {unwritten}")
        return (
            f"not shown to be the evaluated model: too few cases in {listed(done.too_few)}; no cause of a difference "
            f"was found, and {done.outputs.same} of {done.outputs.of} outputs are the same: {then}"
        )
    why = ", ".join(each.rule for each in done.findings) or "the gate blocks"
    then = f"do not serve {name} in the adapter's place" if is_there else unwritten
    return f"not the evaluated model ({why}): {then}"


def _record_of(adapter: Path, run: Path | None) -> Record:
    """Return the named record, otherwise the adapter's newest complete run."""
    from tunegate.harness.models.adapters import adapter_digest
    from tunegate.harness.models.evaluation.record import read_record
    from tunegate.harness.release.submission import find_record

    return read_record(run) if run else find_record(project() / RUNS, adapter_digest(adapter))


def _served_record(adapter: Path, run: Path | None) -> Record:
    """Return the named record, otherwise the one the adapter was released on, otherwise its newest complete run."""
    from tunegate.harness.models.adapters import adapter_digest
    from tunegate.harness.release.served import released_record

    released = None if run else released_record(adapter)
    if released and released.fingerprint["subject"].get("adapter") == adapter_digest(adapter):
        return released
    return _record_of(adapter, run)
