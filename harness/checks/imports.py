"""The files of a project that a check may import: they determine its digest, and the gate provides no others.

Files are parsed, never run. Import statements count, and so do strings that are the name of a module beside the check,
because they can be passed to `import_module`. Any other module is missing when the gate runs the check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, all_suffixes
from pathlib import Path

from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import digest, file_digest
from tunegate.harness.core.reading import MOST_SETTINGS, read_bytes

SUFFIXES = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)  # importable in the gate: see `loading_source`


def is_importable(name: str) -> bool:
    """Whether Python can import a file of this name; bytecode counts, though it cannot be reviewed."""
    return name.endswith(tuple(all_suffixes()))


def imported_files(path: Path) -> tuple[Path, ...]:
    """A check's file, and every file beside or below it that its imports may reach."""
    found, waiting = {path}, [path]
    while waiting:
        for each in _imported_by(waiting.pop(), path.parent):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return tuple(sorted(found))


def imports_digest(path: Path) -> str:
    """SHA-256 (hex) of the check's file and all files that it may import, by path from its folder.

    Raises:
        Unreadable: there is no regular file.
    """
    folder = path.parent
    return digest({each.relative_to(folder).as_posix(): file_digest(each) for each in imported_files(path)})


def parsed(path: Path) -> ast.Module | None:
    """The syntax tree of a Python file; None if it is not valid Python and so cannot be imported."""
    try:
        return ast.parse(read_bytes(path, "a Python file", MOST_SETTINGS))
    except (SyntaxError, ValueError, RecursionError, MemoryError, Refused):
        return None


def _imported_by(path: Path, folder: Path) -> Iterator[Path]:
    tree = parsed(path) if path.suffix == ".py" else None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = [folder, path.parent, *path.parent.parents][min(node.level, len(path.parents))]
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _modules(base, [*parts, alias.name])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module_name(node.value):
            yield from _modules(folder, node.value.split("."))


def _is_module_name(text: str) -> bool:
    return len(text) < 256 and all(part.isidentifier() for part in text.split("."))


def _modules(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    """The existing files of a module and of the packages that contain it."""
    for part in parts:
        for suffix in SUFFIXES:
            for file in (base / f"{part}{suffix}", base / part / f"__init__{suffix}"):
                if file.is_file():
                    yield file
        base = base / part
