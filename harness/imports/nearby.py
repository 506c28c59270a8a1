"""Read files of other tools: only below one folder, of limited size, as plain data; no script is run."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import text_of
from tunegate.harness.core.authoring.utf8 import MOST_BYTES
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Refused, Unreadable, show_path
from tunegate.harness.core.escaping import HALF, shown
from tunegate.harness.core.reading import UTF16, NotJson, parse_foreign_json, read_bytes

SCRIPTS = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".go", ".sh", ".exe")
YAMLS = (".yaml", ".yml")
DATA = (*YAMLS, ".json", ".jsonl", ".csv")
TEXTS = (".txt", ".md", ".j2")
BINARY = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf", ".wav", ".mp3", ".mp4", ".docx", ".xlsx")
MOST_NAME = 255  # characters of a part of a path
MOST_FILES = 200  # that one file may name
MOST_IN_ALL = 4 * MOST_BYTES
MOST_YAML = 1 << 24  # bytes; larger ones take minutes and gigabytes
MOST_CELL = 1 << 24  # characters of a cell of CSV
POINTER = b"version https://git-lfs.github.com/spec/"
FILE = "file://"
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ZIPPED = {b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"(\xb5/\xfd": "a Zstandard archive"}


@dataclass
class Nearby:
    """The folder of an import. `seen` are the sizes of the files that were read, all below `root`, by default it."""

    folder: Path
    seen: dict[Path, int] = field(default_factory=dict)
    root: Path | None = None

    def find(self, name: Any, start: Path | None = None) -> Path:
        """The file that a text names, relative to `start` or the folder.

        Raises:
            Refused: it is a script, on a server, or outside the folder, by whatever links.
        """
        if not isinstance(name, str):
            raise Refused(f"{shown(text_of(name, 100))}: expected the name of a file, found none")
        said = name.removeprefix(FILE)
        if "://" in said or said.startswith(("//", "\\\\")):
            raise Refused(f"{shown(text_of(name, 100))}: expected a file beside the import, found an address")
        if "\0" in said or any(len(part) > MOST_NAME for part in said.split("/")):
            raise Refused(f"{shown(text_of(name, 100))}: expected the name of a file, found none")
        script = next((kind for kind in SCRIPTS if said.lower().partition(":")[0].endswith(kind)), "")
        if script:
            raise Refused(f"{shown(text_of(name, 100))}: expected data, found a script, which is not run")
        return self.inside((start or self.folder) / said, name)

    def inside(self, path: Path, name: str) -> Path:
        """The path, which a text names, if it leads to a place below the root.

        Raises:
            Refused: it leads outside, by whatever links.
        """
        top = self.root or self.folder
        try:
            is_inside = path.resolve().is_relative_to(top.resolve())
        except (OSError, RuntimeError):
            is_inside = False
        if not is_inside:
            hint = f"only files below {show_path(top)} are read, or below --root DIR"
            raise Refused(f"{shown(text_of(name, 100))}: expected a file beside the import, found one outside; {hint}")
        return path

    def glob(self, name: Any) -> list[Path]:
        """The files that a text with `*` names, or the one.

        Raises:
            Refused: see `find`; or there are none, or too many.
        """
        path = self.find(name)
        if "*" not in name:
            return [path]
        listed = sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
        found = [self.inside(each, name) for each in listed if each.suffix.lower() not in SCRIPTS]
        if not 0 < len(found) <= MOST_FILES:
            raise Refused(f"{shown(name)}: expected 1 to {MOST_FILES} files, found {len(found):,}")
        return found

    def content(self, path: Path) -> bytes:
        """The bytes of a file.

        Raises:
            Refused: it is missing, no regular file or too large, an archive or a pointer of Git LFS.
        """
        content = read_bytes(path, "a file to import", MOST_BYTES)
        self.seen[path] = len(content)
        if len(self.seen) > MOST_FILES or sum(self.seen.values()) > MOST_IN_ALL:
            raise Unreadable(path, f"at most {MOST_FILES} files of {MOST_IN_ALL >> 20} MB in all", "more")
        if content.startswith(POINTER):
            raise Unreadable(path, "data", "a pointer of Git LFS to it", "fetch it: git lfs pull")
        for magic, kind in _ZIPPED.items():
            if content.startswith(magic):
                raise Unreadable(path, "a text file", kind, "unpack it, and check what it holds")
        return content

    def text(self, path: Path) -> str:
        """The text of a file, with Unix line breaks.

        Raises:
            Refused: see `content`; or it is not text.
        """
        content = self.content(path)
        try:
            text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise Unreadable(path, "UTF-8 text", f"the byte 0x{content[error.start]:02x}", line=line) from None
        if "\0" in text:
            raise Unreadable(path, "text", "a null byte", line=text.count("\n", 0, text.index("\0")) + 1)
        return text.replace("\r\n", "\n")

    def data(self, path: Path) -> Any:
        """The data of a YAML, JSON, JSONL or CSV file; rows as a list.

        Raises:
            Refused: see `text`; or it is damaged, or has a tag, endless aliases or too many levels.
        """
        kind = path.suffix.lower()
        if kind in YAMLS:
            return self.yaml(path)
        if kind == ".jsonl":
            lines = enumerate(self.text(path).split("\n"), start=1)
            return [_parsed(path, line, number) for number, line in lines if line.strip()]
        if kind == ".csv":
            return self.rows(path)
        return _parsed(path, self.text(path))

    def yaml(self, path: Path) -> Any:
        """The data of a YAML file, whatever its name.

        Raises:
            Refused: see `data`.
        """
        if len(self.content(path)) > MOST_YAML:
            raise Unreadable(path, "YAML", f"more than {MOST_YAML >> 20} MB", "write the tests as .jsonl")
        try:
            return read_yaml(path).data
        except AuthoringError as error:
            first, count = error.problems[0], len(error.problems)
            found = f"{first.found} at {first.where}" if first.where else first.found
            more = f"; and {count - 1} more" if count > 1 else ""
            raise Unreadable(first.file, first.expected, found + more, first.hint, first.line) from None

    def rows(self, path: Path) -> list[dict[str, str]]:
        """The rows of a CSV file, by the columns of its header.

        Raises:
            Refused: see `text`; or it is no CSV, or a column is named twice.
        """
        reader = csv.reader(io.StringIO(self.text(path)), strict=True)
        usual = csv.field_size_limit(MOST_CELL)
        try:
            header = [each.strip() for each in next(reader, [])]
            cells = [(reader.line_num, row) for row in reader if any(row)]
        except csv.Error as error:
            raise Unreadable(path, "CSV", str(error), line=reader.line_num) from None
        finally:
            csv.field_size_limit(usual)
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise Unreadable(path, "each column once", f"{shown(twice[:60])!r} twice", line=1)
        for line, row in cells:
            if len(row) > len(header):
                raise Unreadable(path, f"{len(header)} cells, as the header has", str(len(row)), line=line)
        return [dict(zip(header, row, strict=False)) for _, row in cells]


def _parsed(path: Path, text: str, line: int = 0) -> Any:
    try:
        value = parse_foreign_json(text)
    except NotJson as error:
        raise Unreadable(path, "JSON", str(error), line=line or error.line) from None
    if _ESCAPED_HALF.search(text) and HALF.search(json.dumps(value, ensure_ascii=False)):
        raise Unreadable(path, "text", "half a character (a lone surrogate)", "write both halves, or none", line)
    return value
