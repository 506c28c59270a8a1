"""Keep the results of parity comparisons: `parity.json` and, for a released adapter, its card and manifest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import json_text
from tunegate.harness.core.reading import read_text
from tunegate.harness.history.ledger.journal import write_together, writing
from tunegate.harness.models.adapters import adapter_digest, training_record
from tunegate.harness.models.backends import VLLM
from tunegate.harness.models.conversion import EMBEDDED
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.release.manifest import CARD, MANIFEST, RECORD, make_manifest, read_manifest, verify_release
from tunegate.harness.release.parity.result import (
    PARITY,
    Artefact,
    artefacts_text,
    known_artefacts,
    outputs_digest,
    with_section,
)
from tunegate.harness.release.parity.served import ON_VLLM, OVER_NETWORK


def released_record(adapter: Path) -> Record | None:
    """The record of an adapter's release; None if it is not released."""
    return read_record(adapter / RECORD) if (adapter / MANIFEST).is_file() else None


def keep_artefact(adapter: Path, record: Record, artefact: Artefact, baselines: Path) -> list[str]:
    """Write the result of a comparison into the adapter's folder; returns a line for each file.

    The card and the manifest of a released adapter change with it; a kill leaves all files changed or none.

    Raises:
        Refused: it was released on other outputs than those of `record`, or changed since.
    """
    folder, sha = adapter.resolve(), adapter_digest(adapter)
    with writing(baselines):
        new = _placed(artefact, folder)
        artefacts = [*(each for each in known_artefacts(folder, sha, record) if each.name != new.name), new]
        texts = {folder / PARITY: artefacts_text(sha, record, artefacts)}
        if released := released_record(folder):
            texts |= _released_texts(folder, sha, record, released, artefacts, texts[folder / PARITY])
        command = f"tunegate parity {show_path(adapter)} --model {artefact.name}"
        write_together(baselines, dict(texts), command, folder)
    return [f"{path.name}: {show_path(adapter / path.name)}" for path in texts]


def _placed(artefact: Artefact, adapter: Path) -> Artefact:
    """The artefact with its path relative to the adapter's parent, so that the current folder does not matter."""
    if artefact.kind == OVER_NETWORK:
        return artefact
    if artefact.kind != ON_VLLM:
        return replace(artefact, name=_relative(Path(artefact.name), adapter))
    name = VLLM.weights(artefact.name)
    folder = Path(name).expanduser()
    is_folder = name not in EMBEDDED and folder.is_dir()  # otherwise it is embedded, or on the Hub
    return replace(artefact, name=VLLM.prefix + _relative(folder, adapter)) if is_folder else artefact


def _relative(path: Path, adapter: Path) -> str:
    return Path(os.path.relpath(path.resolve(), adapter.parent)).as_posix()


def _released_texts(
    folder: Path, sha: str, record: Record, released: Record, artefacts: list[Artefact], parity: str
) -> dict[Path, str]:
    """The card and the manifest of a release, with the current list of artefacts."""
    if outputs_digest(released) != outputs_digest(record):
        raise Refused(
            f"{show_path(folder)}: expected the outputs of its release, found other ones; remove --run to compare with "
            "those"
        )
    verify_release(folder)
    card = with_section(read_text(folder / CARD), artefacts)
    changed = {CARD: card, PARITY: parity}
    ledger = read_manifest(folder)["ledger"]
    manifest = make_manifest(folder, sha, training_record(folder) or {}, released, changed, ledger)
    return {folder / CARD: card, folder / MANIFEST: json_text(manifest)}
