"""Verify that the files of a run do not change: those that it has read, and modules that it has yet to import.

Other programs run beside a gate, including the project's own checks. A file that was changed and restored has another
inode or change time, which only root can set (on Windows any user can).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.formatting import listed

State = tuple[int, int, int, str]
#: Files that the gate itself writes among the baselines: locks and partial files.
OURS = (".lock", ".part")


class Snapshot:
    """The current state of some files, by content and change time.

    No file of `folders` may change or be added later (each may also be a single file); files may be
    added to those that are `growing`.
    """

    def __init__(self, folders: Iterable[Path], growing: Iterable[Path] = ()) -> None:
        self._folders, self._growing = tuple(folders), tuple(growing)
        self._seen = {path: _state(path) for path in self._files()}

    def check(self) -> None:
        """Refuse to continue if a file has changed since the snapshot.

        Raises:
            Refused: names the changed files.
        """
        now = set(self._files())
        added = [path for path in now - self._seen.keys() if not any(each in path.parents for each in self._growing)]
        changed = [path for path, state in self._seen.items() if path not in now or _state(path) != state]
        if found := sorted({*added, *changed}):
            raise Refused(
                f"{listed([show_path(path) for path in found])}: changed while the gate ran; nothing was decided; find "
                "out what changed them and run the gate again"
            )

    def _files(self) -> Iterator[Path]:
        for folder in self._folders:
            inside = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
            yield from (path for path in inside if path.is_file() and not path.name.endswith(OURS))


def _state(path: Path) -> State:
    about = path.stat()
    return about.st_ino, about.st_size, _change_time(about), file_digest(path)


def _change_time(about: os.stat_result) -> int:
    """The change time of a file in ns; on Windows the modification time, which a program may set."""
    return about.st_mtime_ns if os.name == "nt" else about.st_ctime_ns


@contextmanager
def importing_unchanged() -> Iterator[None]:
    """Import no file that changes from now on, and require imported files to stay unchanged.

    Raises:
        Refused: a changed module is imported, or at the end the file of an imported module has changed.
    """
    with tempfile.NamedTemporaryFile() as made:
        since = _change_time(Path(made.name).stat())  # by the file system's clock
    guard = _Unchanged(since)
    sys.meta_path.insert(0, guard)
    try:
        yield
    finally:
        sys.meta_path.remove(guard)
    for module in list(sys.modules.values()):
        if (file := _file(module)) and _changed(file, since):
            raise _other(module.__name__, str(file))


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)  # entries of sys.modules need not be modules
    return Path(name) if isinstance(name, str) else None


def _changed(path: Path, since: int) -> bool:
    try:
        return _change_time(path.stat()) >= since
    except OSError:
        return False  # in an archive or virtual: never read from disk


def _other(name: str, file: str) -> Refused:
    return Refused(f"{name}: expected an install that stays unchanged while the gate runs, found {file} changed")


class _Unchanged(MetaPathFinder):
    """Delegates to the other finders and refuses modules whose file has changed."""

    def __init__(self, since: int) -> None:
        self._since = since

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that another finder returns.

        Raises:
            Refused: its file has changed.
        """
        for finder in sys.meta_path:
            found = None if finder is self else getattr(finder, "find_spec", lambda *_: None)(name, path, target)
            if found:
                return self._checked(found)
        return None

    def _checked(self, spec: ModuleSpec) -> ModuleSpec:
        if spec.has_location and spec.origin and _changed(Path(spec.origin), self._since):
            raise _other(spec.name, spec.origin)
        if spec.cached and _changed(Path(spec.cached), self._since) and type(spec.loader) is SourceFileLoader:
            spec.loader = SourceOnly(spec.loader.name, spec.loader.path)
        return spec


class SourceOnly(SourceFileLoader):
    """Compiles a module from source and ignores its bytecode."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """The code object compiled from the source."""
        return self.source_to_code(self.get_data(self.path), self.path)
