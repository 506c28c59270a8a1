"""The copies of packs in a project: ordinary fixture files, whose first line says where their text is from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.begin.guards.packs import PACKS, Pack
from tunegate.harness.cases.loader import is_fixture_file
from tunegate.harness.core.authoring.yaml_reader import parse_yaml
from tunegate.harness.core.errors import AuthoringError, show_path
from tunegate.harness.core.files import text_digest
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.core.reading import read_text

#: A comment, since a fixture file has no keys for it.
FIRST = "# tunegate guards: {name}, version {version}, sha256:{digest} of the lines below\n"
_FIRST = re.compile(
    r"\ufeff?# tunegate guards: ([\w-]+), version (\d{1,9}), sha256:([0-9a-f]{64}) of the lines below\n"
)


@dataclass(frozen=True)
class Copy:
    """A pack's copy at `path`: the version and digest (hex) that its first line names, and the text below it."""

    path: Path
    name: str
    version: int
    digest: str
    text: str

    @property
    def pack(self) -> Pack | None:
        """The pack as it ships now; None if there is none of that name."""
        return PACKS.get(self.name)

    @property
    def is_edited(self) -> bool:
        """Whether its text is not the one that was copied; of the version that ships, whatever its first line says."""
        copied = self.pack.digest if self.pack and self.pack.version == self.version else self.digest
        return text_digest(self.text) != copied

    @property
    def is_behind(self) -> bool:
        """Whether the package has a newer version."""
        return self.pack is not None and self.pack.version > self.version

    @property
    def state(self) -> str:
        """Where it stands, in one line."""
        edits = "; edited here" if self.is_edited else ""
        if self.pack is None:
            return f"{self._named}: this version of Tunegate has no such pack{edits}"
        if self.is_behind:
            return f"{self._named}: there is version {self.pack.version}{edits}"
        if self.pack.version < self.version:
            return f"{self._named}: newer than that of this Tunegate, version {self.pack.version}{edits}"
        return f"{self._named}: as it ships" if not self.is_edited else f"{self._named}: {self._edits(self.pack)}"

    @property
    def _named(self) -> str:
        return f"{show_path(self.path)}: {self.name}, version {self.version}"

    def _edits(self, pack: Pack) -> str:
        try:
            own, shipped = _cases(parse_yaml(self.path, self.text).data), _cases(pack.data)
        except AuthoringError:
            return "edited here"
        changed = [name for name in own if name in shipped and own[name] != shipped[name]]
        kinds = {
            "changed": changed,
            "added": [name for name in own if name not in shipped],
            "deleted": [name for name in shipped if name not in own],
        }
        counts = [f"{quantity(len(names), 'case')} {kind} ({listed(names)})" for kind, names in kinds.items() if names]
        return f"edited here: {', '.join(counts) or 'no case'}"

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff from its text to that of the package."""
        if self.pack:
            new = f"{self.name}, version {self.pack.version}"
            own, shipped = self.text.splitlines(), self.pack.text.splitlines()
            yield from difflib.unified_diff(own, shipped, show_path(self.path), new, lineterm="", n=1)


def copy_of(pack: Pack) -> str:
    """Return the text of a pack as a project's file."""
    return FIRST.format(name=pack.name, version=pack.version, digest=pack.digest) + pack.text


def find_copies(cases: Path) -> dict[str, Copy]:
    """Return the copies among a project's fixtures by the pack's name, wherever they were moved to.

    Raises:
        Unreadable: a file is no UTF-8 text.
    """
    found = (read_copy(path) for path in sorted(cases.glob("*/*")) if is_fixture_file(path))
    return {copy.name: copy for copy in found if copy}


def read_copy(path: Path) -> Copy | None:
    """Return the copy at a path; None if the file there is no pack's.

    Raises:
        Unreadable: there is no file, or it is no UTF-8 text.
    """
    text = read_text(path)
    first = _FIRST.match(text)
    return Copy(path, first[1], int(first[2]), first[3], text[first.end() :]) if first else None


def _cases(data: Any) -> Mapping[str, Any]:
    cases = data.get("cases") if isinstance(data, dict) else None
    return {str(case.get("id")): case for case in cases or () if isinstance(case, dict)}
