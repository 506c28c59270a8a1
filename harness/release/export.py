"""Export: an adapter merged into a model folder of its own, which is then gated: what is served is what was judged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.files import locked, stamped, write_json
from tunegate.harness.core.progress import Watch
from tunegate.harness.evaluation.options import Options
from tunegate.harness.evaluation.record import Record
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.adapters import adapter_digest, check_base, training_record
from tunegate.harness.models.huggingface import Base
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.placement import CPU, FLOAT32
from tunegate.harness.models.prompts import RungName
from tunegate.harness.models.resolve import TEMPLATE, ModelFiles, identify
from tunegate.harness.session import Session

MANIFEST, RECORD = "export.json", "export-record.json"
MERGED = ("config.json", "model.safetensors.index.json")  # what merging writes; all else is the base's, byte by byte


@dataclass(frozen=True)
class Exported:
    """A gated export: its folder, the merged model's record with verdicts against the adapter's, equal outputs."""

    folder: Path
    record: Record
    same: int
    of: int

    @property
    def blocked(self) -> bool:
        """Whether the merged model may not be served in the adapter's place."""
        return gate.blocked(self.record)


def export_adapter(
    adapter: Path, output: Path, record: Record, cases: Path, watch: Watch, template: Path | None = None
) -> Exported:
    """Merge an adapter into a model folder and gate it against the adapter's own record.

    Args:
        adapter: the adapter's folder, with its training record.
        output: the new folder; nothing stands there, or an export to replace. A blocked export never gets there.
        record: what the adapter was judged on; complete.
        cases: the folder of fixtures.
        watch: shows the progress.
        template: the chat template that the adapter was judged with, where it was not the base's own.

    Raises:
        Refused: the record is not this adapter's, the fixtures changed since, or the folder holds something else.
        CouldNotRun: the model is missing, or does not fit in memory.
    """
    model = _check(adapter, record)
    _check_output(output)
    work = output.with_name(f".{output.name}.exporting")
    with locked(work):
        shutil.rmtree(work, ignore_errors=True)  # what a killed run left
        work.mkdir(parents=True)
        try:
            base = Base(model, watch, ModelOptions(CPU, FLOAT32, template))
            check_base(adapter, base.model)
            with watch(f"Merging {adapter.name} into {base.model.name}"):
                merge(base, adapter, work)
            # Merging rounds, and what is served must be what was judged: the merged model answers every case again.
            done = check_export(adapter, work, record, cases, watch, template)
            if not done.blocked:
                shutil.rmtree(output, ignore_errors=True)
                os.replace(work, output)
                return Exported(output, done.record, done.same, done.of)
            return done
        finally:
            shutil.rmtree(work, ignore_errors=True)


def merge(base: Base, adapter: Path, folder: Path) -> None:
    """Write the base with the adapter's weights added to its own, float32, as a standard model folder."""
    try:
        # `safe_merge` looks for NaN in what it adds; without it they end in the weights, silently
        merged = base.with_adapter(adapter).merge_and_unload(safe_merge=True)
        merged.save_pretrained(folder)
    except (RuntimeError, ValueError, MemoryError, OSError) as error:
        raise CouldNotRun(f"{show_path(adapter)}: merging failed: {error}") from error
    for path in base.folder.iterdir():  # tokenizer, template, where answers end
        if path.is_file() and path.suffix != ".safetensors" and path.name not in MERGED:
            shutil.copy(path, folder / path.name)
    if base.options.chat_template:
        shutil.copy(base.options.chat_template, folder / TEMPLATE)


def check_export(
    adapter: Path, folder: Path, record: Record, cases: Path, watch: Watch, template: Path | None = None
) -> Exported:
    """Gate a merged model that lies in `folder`, converted or quantized since perhaps; its record is kept there.

    Raises:
        Refused: as `export`; or its tokenizer or chat template is not the one the adapter was judged with.
    """
    _check(adapter, record)
    _check_tokenizer(identify(folder.name, folder, template), record.fingerprint["subject"], folder)
    engine = record.fingerprint["engine"]
    opened = ModelOptions(engine["device"], engine["dtype"], template)  # what is served was judged by these means
    options = Options(
        root=folder, model=str(folder), cases=cases.resolve(), against=str(record.path), out=folder / RECORD,
        rung=cast("RungName", record.rung), sealed=record.sealed,
        repeats=record.repeats, opened=opened, hold_only=True,
    )  # fmt: skip
    session = Session(options)
    session.select([], session.units())
    session.execute(watch)
    shutil.rmtree(folder / ".tunegate", ignore_errors=True)  # the run is kept as RECORD
    [merged] = session.records
    outputs = {key: result.output for key, result in record.cases.items() if result.output is not None}
    pairs = [(output, merged.cases[key].output) for key, output in outputs.items() if key in merged.cases]
    done = Exported(folder, merged, sum(one == other for one, other in pairs), len(pairs))
    _write_manifest(adapter, done)
    return done


def _check(adapter: Path, record: Record) -> str:
    digest, training = adapter_digest(adapter), training_record(adapter)
    name = show_path(record.path) if record.path else "the record"
    if record.fingerprint["subject"].get("adapter") != digest or record.partial:
        raise Refused(f"{name}: expected a complete record of {show_path(adapter)}, found another; judge this adapter")
    if training is None:
        raise Refused(f"{show_path(adapter)}: expected a training record, which names its base; found none")
    return str(training["recipe"]["model"])


def _check_output(output: Path) -> None:
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not empty and not (output / MANIFEST).is_file():
        raise Refused(f"{show_path(output)}: expected no folder there, or an export to replace, found something else")


def _check_tokenizer(model: ModelFiles, subject: Mapping[str, str | None], folder: Path) -> None:
    for part in ("tokenizer", "template"):
        if getattr(model, part) != subject.get(part):
            raise Refused(f"{show_path(folder)}: expected the {part} that the adapter was judged with, found another")


def _write_manifest(adapter: Path, done: Exported) -> None:
    path = done.folder / MANIFEST
    # an earlier one must not vouch for a model that is blocked now
    path.unlink(missing_ok=True)
    if done.blocked:
        return
    model = identify(done.folder.name, done.folder)
    manifest = {
        "schema_version": 1, "adapter": adapter_digest(adapter), "model": model.as_dict(), "same_outputs": done.same,
        "outputs": done.of, "verdicts": {unit: each["verdict"] for unit, each in done.record.verdicts.items()},
    }  # fmt: skip
    write_json(path, stamped(manifest))
