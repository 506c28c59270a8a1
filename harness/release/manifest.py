"""The manifest of a released adapter: write it, and verify the files against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.files import file_digest, is_as_stamped, stamped, text_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import MOST_BYTES, read_object, read_text
from tunegate.harness.history.baselines.diff import engine_differences
from tunegate.harness.models.adapters import (
    ADOPTED,
    CURVES,
    DROPPED,
    TRAINING,
    acting_files,
    adapter_digest,
    check_length,
    training_record,
)
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.signing import SIGNATURE, sign_folder
from tunegate.harness.models.whole_model import is_whole_model
from tunegate.harness.release.parity.result import PARITY, read_artefacts

MANIFEST, RECORD, CARD = "release.json", "record.json", "README.md"
MAYBE = (CURVES, DROPPED, PARITY)  # listed if they exist


def released_files(adapter: Path) -> list[str]:
    """The files that every manifest of this adapter lists."""
    return [*acting_files(adapter), TRAINING, RECORD, CARD]


def foreign_files(adapter: Path) -> list[str]:
    """The files in an adapter's folder that no manifest lists."""
    known = {*released_files(adapter), *MAYBE, MANIFEST, SIGNATURE}
    return sorted(path.name for path in adapter.iterdir() if path.name not in known)


def make_manifest(
    adapter: Path,
    digest: str,
    training: Mapping[str, Any],
    record: Record,
    texts: Mapping[str, str],
    ledger: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of an adapter; `texts` are the contents of files that are about to be written.

    `ledger` is the entry about the comparison of the ledger.
    """
    # with the digest of every other file, including those about to be written, so that `verify` finds any change
    names = [*released_files(adapter), *(name for name in MAYBE if name in texts or (adapter / name).exists())]
    files = {name: text_digest(texts[name]) if name in texts else file_digest(adapter / name) for name in names}
    return stamped({
        "schema_version": 1,
        "adapter": digest,
        "model": training["model"],
        "task": training["task"],
        **({"rung": record.rung} if record.rung != "as-is" else {}),
        "decision": record.tasks[training["task"]].with_reason(),
        "verdicts": {unit: verdict.verdict for unit, verdict in record.verdicts.items()},
        "files": files,
        "ledger": dict(ledger),
    })  # fmt: skip


def verify_release(adapter: Path) -> list[str]:
    """Check a released adapter's digests, on any machine, without torch; returns a line for each check.

    Raises:
        Refused: no manifest, or anything differs from it.
    """
    manifest = read_manifest(adapter)
    # a manifest must list every file, since it vouches for all of them
    missing = sorted(set(released_files(adapter)) - set(manifest["files"]))
    if foreign := foreign_files(adapter):
        raise Refused(
            f"{show_path(adapter)}: expected only the released files, found {listed(foreign)} too, which the manifest "
            "does not list; remove them"
        )
    wrong = missing + [name for name, sha in manifest["files"].items() if not _is(adapter / name, sha)]
    if wrong:
        raise Refused(
            f"{show_path(adapter)}: expected the files as released, found {', '.join(wrong)} changed or missing"
        )
    record, training = read_record(adapter / RECORD), training_record(adapter) or {}
    for name, found in (
        ("adapter", adapter_digest(adapter)),
        ("record", record.fingerprint["subject"].get("adapter")),
        ("training record", training.get("adapter")),
    ):
        if found != manifest["adapter"]:
            raise Refused(f"{show_path(adapter)}: the {name} does not match its manifest")
    # digests show that nothing changed, not that the gate released it
    decided = record.tasks.get(manifest["task"])
    if decided is None or decided.decision != "release":
        raise Refused(f"{show_path(adapter)}: its record does not say release for {manifest['task']}")
    if manifest["task"] != training["task"]:
        raise Refused(f"{show_path(adapter)}: it was trained for {training['task']}, released for {manifest['task']}")
    # all other entries of the manifest are derived from these unchanged files
    expected = make_manifest(adapter, manifest["adapter"], training, record, {}, _ledger_on_card(adapter, manifest))
    if odd := sorted(key for key in manifest.keys() | expected.keys() if manifest.get(key) != expected.get(key)):
        said = ", ".join(key for key in odd if key != "digest")
        raise Refused(f"{show_path(adapter)}: its manifest differs from its files in {said}")
    engine = record.fingerprint["engine"]
    parts = ("backend", "dtype", "device", "constraint")
    on = ", ".join(f"{part} {engine[part]}" for part in parts if part in engine)
    for name, each in record.engines.items():
        on += f"; the {name}, recorded with {', '.join(engine_differences(each.engine, engine))}, re-run"
    artefacts = read_artefacts(adapter, manifest["adapter"], record)
    kind = "whole model" if is_whole_model(adapter) else "adapter"
    return [
        *(f"{name}: {sha[:12]} as released" for name, sha in manifest["files"].items()),
        manifest["ledger"]["said"],
        *(f"served as evaluated: {each.name} ({each.when})" for each in artefacts if each.shown),
        *([ADOPTED[record.adopted]] if record.adopted else []),
        f"evaluated on {on}",
        f"{kind} {manifest['adapter'][:12]} on {manifest['model']['name']}: released for {manifest['task']}",
    ]


def _ledger_on_card(adapter: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's entry about the ledger, if the model card has the same sentence; otherwise empty."""
    ledger: dict[str, Any] = manifest["ledger"]
    return ledger if shown_in_markdown(ledger["said"]) in read_text(adapter / CARD) else {}


def sign_release(adapter: Path, key: Path) -> list[str]:
    """Verify a released adapter's files and sign them; returns a line for each step.

    Raises:
        Refused: the adapter changed since its release, or the key is not usable.
        CouldNotRun: the library is missing.
    """
    return [verify_release(adapter)[-1], sign_folder(adapter, key)]


def read_manifest(adapter: Path) -> dict[str, Any]:
    """Read a released adapter's manifest; `verify_release` checks its content.

    Raises:
        Refused: there is none, or it is damaged or edited.
    """
    path = adapter / MANIFEST
    try:
        manifest = read_object(path, "a release manifest", published_schema("manifest"))
    except Unreadable as error:
        found = "none; release it with tunegate release" if error.is_missing else f"a damaged file ({error.found})"
        raise Refused(f"{show_path(path)}: expected a release manifest, found {found}") from error
    if not is_as_stamped(manifest):
        raise Refused(f"{show_path(path)}: expected the release manifest unedited, found it edited; release again")
    return manifest


def _is(path: Path, sha: str) -> bool:
    # no other released file is so large: a larger one has changed, and need not be read
    is_weights = path.suffix == ".safetensors"
    sensible = path.is_file() and (is_weights or path.stat().st_size <= MOST_BYTES)
    if sensible and is_weights:
        check_length(path)
    return sensible and file_digest(path) == sha
