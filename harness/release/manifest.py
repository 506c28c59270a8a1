"""The manifest of a released adapter: what it says of its files, and whether that is still so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.baselines.diff import engine_differences
from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.files import file_digest, is_as_stamped, stamped, text_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import MOST_BYTES, read_object, read_text
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.models.adapters import (
    CONFIG,
    CURVES,
    DROPPED,
    TRAINING,
    WEIGHTS,
    adapter_digest,
    check_length,
    training_record,
)
from tunegate.harness.parity.result import PARITY, read_artefacts

MANIFEST, RECORD, CARD, SIGNATURE = "release.json", "record.json", "README.md", "release.sig"
RELEASED = (WEIGHTS, CONFIG, TRAINING, RECORD, CARD)
UNSAID = "The release does not say whether the ledger was compared with a remote."
MAYBE = (CURVES, DROPPED, PARITY)  # listed where they are there


def foreign_files(adapter: Path) -> list[str]:
    """The files in an adapter's folder that no manifest lists."""
    known = {*RELEASED, *MAYBE, MANIFEST, SIGNATURE}
    return sorted(path.name for path in adapter.iterdir() if path.name not in known)


def make_manifest(
    adapter: Path,
    digest: str,
    training: Mapping[str, Any],
    record: Record,
    texts: Mapping[str, str],
    ledger: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The manifest of an adapter, whose files have the `texts` where they are about to be written.

    `ledger` says with what the ledger was compared; an older release does not say it.
    """
    # with the digest of every other file, those that are about to be written among them: `verify` finds any change
    names = [*RELEASED, *(name for name in MAYBE if name in texts or (adapter / name).exists())]
    files = {name: text_digest(texts[name]) if name in texts else file_digest(adapter / name) for name in names}
    return stamped({
        "schema_version": 1,
        "adapter": digest,
        "model": training["model"],
        "task": training["task"],
        **({"rung": record.rung} if record.rung != "as-is" else {}),
        "decision": dict(record.tasks[training["task"]]),
        "verdicts": {unit: verdict["verdict"] for unit, verdict in record.verdicts.items()},
        "files": files,
        **({"ledger": dict(ledger)} if ledger else {}),
    })  # fmt: skip


def verify_release(adapter: Path) -> list[str]:
    """Check a released adapter's digests again, on any machine, without torch; a line for each thing checked.

    Raises:
        Refused: no manifest, or anything differs from it.
    """
    manifest = read_manifest(adapter)
    # a manifest that leaves a file out would vouch for any
    missing = sorted(set(RELEASED) - set(manifest["files"]))
    if foreign := foreign_files(adapter):
        raise Refused(
            f"{show_path(adapter)}: expected the files that were released, found {listed(foreign)} too, of which the "
            "manifest knows nothing"
        )
    wrong = missing + [name for name, sha in manifest["files"].items() if not _is(adapter / name, sha)]
    if wrong:
        raise Refused(
            f"{show_path(adapter)}: expected the files as they were released, found {', '.join(wrong)} changed or gone"
        )
    record, training = read_record(adapter / RECORD), training_record(adapter) or {}
    for name, found in (
        ("adapter", adapter_digest(adapter)),
        ("record", record.fingerprint["subject"].get("adapter")),
        ("training record", training.get("adapter")),
    ):
        if found != manifest["adapter"]:
            raise Refused(f"{show_path(adapter)}: the {name} is another one's than its manifest says")
    # digests show that nothing changed, not that it was worth releasing
    if record.tasks.get(manifest["task"], {}).get("decision") != "release":
        raise Refused(f"{show_path(adapter)}: its record does not say release for {manifest['task']}")
    if manifest["task"] != training["task"]:
        raise Refused(f"{show_path(adapter)}: it was trained for {training['task']}, released for {manifest['task']}")
    # what it says beside digests stands in those files, too, and there nothing changed
    expected = make_manifest(adapter, manifest["adapter"], training, record, {}, _ledger_on_card(adapter, manifest))
    if odd := sorted(key for key in manifest.keys() | expected.keys() if manifest.get(key) != expected.get(key)):
        said = ", ".join(key for key in odd if key != "digest")
        raise Refused(f"{show_path(adapter)}: its manifest says another {said} than the files it stands for")
    engine = record.fingerprint["engine"]
    parts = ("backend", "dtype", "device", "constraint")
    on = ", ".join(f"{part} {engine[part]}" for part in parts if part in engine)
    for name, each in record.engines.items():
        on += f"; the {name}, recorded with {', '.join(engine_differences(each['engine'], engine))}, asked again"
    artefacts = read_artefacts(adapter, manifest["adapter"], record)
    return [
        *(f"{name}: {sha[:12]} as released" for name, sha in manifest["files"].items()),
        manifest["ledger"]["said"] if "ledger" in manifest else UNSAID,
        *(f"served as it was judged: {each.name} ({each.when})" for each in artefacts if each.shown),
        f"judged on {on}",
        f"adapter {manifest['adapter'][:12]} on {manifest['model']['name']}: released for {manifest['task']}",
    ]


def _ledger_on_card(adapter: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a manifest says of the ledger, where the model card says it too."""
    ledger: dict[str, Any] = manifest.get("ledger") or {}
    said = shown_in_markdown(ledger.get("said", ""))
    return ledger if said and said in read_text(adapter / CARD) else None


def read_manifest(adapter: Path) -> dict[str, Any]:
    """What a released adapter's manifest says; `verify` sees that it is true.

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
        raise Refused(f"{show_path(path)}: expected the release manifest as it was written, found it edited")
    return manifest


def _is(path: Path, sha: str) -> bool:
    # but for the weights nothing that is released is so large: what grew to that need not be read to have changed
    sensible = path.is_file() and (path.name == WEIGHTS or path.stat().st_size <= MOST_BYTES)
    if sensible and path.name == WEIGHTS:
        check_length(path)
    return sensible and file_digest(path) == sha
