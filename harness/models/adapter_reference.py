"""`NAME.ref`: the address and digest of an adapter, in a file small enough for a pull request.

version: 1
adapter: 3f9c...                                # its digest, as `tunegate release` and records name it
from: https://example.org/adapters/support.zip  # or a .tar.gz, a folder beside the file, or hub:OWNER/NAME@REVISION
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.validation import mapping_schema, validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, CouldNotRun, Problem, Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import locked
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.adapters import CONFIG, TRAINING, WEIGHTS, acting_files, adapter_digest
from tunegate.harness.models.conversion import cache_folder
from tunegate.harness.models.identity import MODEL_CONFIG
from tunegate.harness.models.resolve import MODEL_PATTERNS
from tunegate.harness.models.whole_model import is_whole_model

SUFFIX = ".ref"
HUB = "hub:"
FILES = (WEIGHTS, CONFIG, TRAINING)  # the only files of an archive that are fetched
SECONDS = 60  # without a response
LONGEST = 3600.0  # seconds to fetch an archive or to unpack one file: a server may send a byte per minute
MOST = 4 << 30  # bytes of either; adapters take tens of MB
CREDENTIALS = re.compile(r"//[^/]*@")
LOOPBACK = {"127.0.0.1", "localhost"}  # http to other hosts can be read in transit
_PARTS = {
    "version": {"const": 1, "description": "1"},
    "adapter": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "its digest, 64 digits from 0 to f"},
    "from": {"type": "string", "minLength": 1, "description": "a folder, an address of an archive, or hub:ID"},
}
SCHEMA = mapping_schema(_PARTS, [*_PARTS])


def adapter_folder(given: Path, watch: Watch) -> Path:
    """The folder of an adapter: `given` itself, or what a `.ref` file refers to, fetched once and cached by its digest.

    Raises AuthoringError if the file is not a valid `.ref` file or refers to another adapter,
    CouldNotRun if the adapter cannot be fetched.
    """
    if given.suffix != SUFFIX or given.is_dir():
        return given
    document = read_yaml(given)
    if problems := validate(document, SCHEMA):
        raise AuthoringError(problems)
    sha, source = document.data["adapter"], document.data["from"]
    beside = given.parent / source
    if beside.is_dir():
        return _checked(beside, sha, document)
    folder = cache_folder() / "adapters" / sha / given.stem  # with its name, which records show
    with locked(folder.parent / ".fetching"):
        if not folder.is_dir():
            with watch(f"Fetching {given.stem}"):
                _fetch(source, folder, sha, document)
        return _checked(folder, sha, document)


def find_adapter(place: Path, sha: str, watch: Watch) -> Path:
    """The folder of the adapter with a digest: cached, at `place`, or at the address in `place.ref`; or Refused.

    A LoRA that is found is cached, so that later changes of its folder have no effect.
    """
    kept = cache_folder() / "adapters" / sha
    for folder in sorted(path for path in kept.glob("*") if path.is_dir() and not path.name.startswith(".")):
        if _is_intact(folder, sha):
            return folder
    beside = place.with_name(f"{place.name}{SUFFIX}")
    given = next((each for each in (place, beside) if each.exists()), None)
    if given is None:
        raise Refused(f"expected the adapter {sha[:8]} at {show_path(place)} or {show_path(beside)}, found neither")
    found = adapter_folder(given, watch)
    if (digest := adapter_digest(found)) != sha:
        raise Refused(f"expected the adapter {sha[:8]} at {show_path(given)}, found {digest[:8]}")
    is_too_large = is_whole_model(found)  # to copy; its digest is computed again when it is loaded
    return found if found.parent == kept or is_too_large else _keep(found, kept / found.resolve().name, sha)


def _is_intact(folder: Path, sha: str) -> bool:
    """Whether a cached adapter is still the one with this digest."""
    try:
        return adapter_digest(folder) == sha
    except (Refused, CouldNotRun):  # damaged, such as by a power cut
        return False


def _keep(folder: Path, kept: Path, sha: str) -> Path:
    with locked(kept.parent / ".fetching"), tempfile.TemporaryDirectory(dir=kept.parent, prefix=".part-") as made:
        part = Path(made) / kept.name
        part.mkdir()
        for name in FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, part / name)
        if adapter_digest(part) != sha:
            raise Refused(f"adapter {show_path(folder)}: it changed while it was read; run the same command again")
        shutil.rmtree(kept, ignore_errors=True)  # damaged, otherwise it would have been found above
        os.replace(part, kept)
    return kept


def _checked(folder: Path, sha: str, document: Document) -> Path:
    found = adapter_digest(folder)
    if found != sha:
        problem = document.problem(("adapter",), f"the adapter {sha[:8]} at {document.data['from']}", found[:8])
        raise AuthoringError([problem])
    return folder


def _fetch(source: str, folder: Path, sha: str, document: Document) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as made:
        part = Path(made) / folder.name
        part.mkdir()
        try:
            if source.startswith(HUB):
                copy_from_hub(source.removeprefix(HUB), part)
            elif _is_address(source):
                _from_archive(source, part)
            else:
                raise AuthoringError([_unknown(document)])
        except (OSError, ValueError, EOFError, HTTPException, tarfile.TarError, zipfile.BadZipFile) as error:
            raise CouldNotRun(f"{document.name}: {source} did not deliver an adapter: {error}") from error
        _checked(part, sha, document)
        os.replace(part, folder)


def _is_address(source: str) -> bool:
    parts = urlsplit(source)
    if "@" in parts.netloc:  # a user name and password do not belong in a repository
        return False
    return parts.scheme in {"https", "file"} or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _unknown(document: Document) -> Problem:
    expected = f"a folder beside {document.name}, https://... of a .zip or .tar.gz, or {HUB}OWNER/NAME@REVISION"
    found = CREDENTIALS.sub("//...@", document.data["from"])
    return document.problem(("from",), expected, repr(found))


def copy_from_hub(name: str, into: Path) -> str:
    """Copy an adapter's files from the Hub, by OWNER/NAME@REVISION; return the commit, or raise CouldNotRun."""
    owner_and_name, _, revision = name.partition("@")
    hub = need("huggingface_hub")
    try:
        fetch = partial(hub.snapshot_download, owner_and_name, revision=revision or None)
        found = Path(fetch(allow_patterns=[*FILES, MODEL_CONFIG]))
        if is_whole_model(found):
            found = Path(fetch(allow_patterns=list(MODEL_PATTERNS)))
    except Exception as error:  # the hub client raises many kinds of errors; all mean the same to the user
        raise CouldNotRun(f"{HUB}{name}: the hub did not deliver it: {error}") from error
    for file in {*acting_files(found), TRAINING}:
        if (found / file).is_file():
            (into / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(found / file, into / file)
    return found.name  # snapshots lie in folders that are named by their commit


def _from_archive(address: str, into: Path) -> None:
    """Extract only the files of an adapter, from any folder of an archive, directly into `into`."""
    with tempfile.TemporaryFile() as archive:
        with closing(urllib.request.urlopen(address, timeout=SECONDS)) as output:  # noqa: S310  (see `_fetch`)
            _copy(output, archive)
        archive.seek(0)
        members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
        archive.seek(0)
        taken = set()
        for name, opened in members(archive):
            if name in taken:
                raise Refused(f"{address}: expected one {name}, found several")
            taken.add(name)
            with opened() as source, (into / name).open("wb") as target:
                _copy(source, target)


def _copy(source: Any, target: IO[bytes]) -> None:
    """Copy a stream; raises OSError if it exceeds a limit of size or time."""
    left, until = MOST, time.monotonic() + LONGEST
    while part := source.read(1 << 20):
        left -= len(part)
        if left < 0 or time.monotonic() > until:
            raise OSError(f"expected at most {MOST >> 20:,} MB in {LONGEST / 60:.0f} minutes, found more")
        target.write(part)


def _zip_members(archive: IO[bytes]) -> Iterator[tuple[str, Callable[[], Any]]]:
    with zipfile.ZipFile(archive) as found:
        for each in found.infolist():
            if (name := PurePosixPath(each.filename).name) in FILES and not each.is_dir():
                yield name, partial(found.open, each)


def _tar_members(archive: IO[bytes]) -> Iterator[tuple[str, Callable[[], Any]]]:
    with tarfile.open(fileobj=archive) as found:
        for each in found:
            if (name := PurePosixPath(each.name).name) in FILES and each.isreg():
                yield name, partial(found.extractfile, each)
