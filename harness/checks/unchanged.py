"""What a run rests on stays as it was when it was read: files that decide, and Python that is not imported yet.

Other programs run beside a gate, checks of the project's own among them. A file that changed and was put back has
another inode or another time of change, which nobody but root can set (on Windows anybody can).
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
#: What the gate itself writes among the baselines: locks, what it has half written, and events of the ledger.
OURS = (".lock", ".part")


class Snapshot:
    """The files of some folders as they are now, by their content and their times of change.

    Args:
        folders: whose files count, those that come later among them, and files that count alone.
        growing: folders in which new files may come.
    """

    def __init__(self, folders: Iterable[Path], growing: Iterable[Path] = ()) -> None:
        self._folders, self._growing = tuple(folders), tuple(growing)
        self._seen = {path: _state(path) for path in self._files()}

    def check(self) -> None:
        """Refuse to go on where a file is another one than when this was made.

        Raises:
            Refused: names the files.
        """
        now = set(self._files())
        added = [path for path in now - self._seen.keys() if not any(each in path.parents for each in self._growing)]
        changed = [path for path, state in self._seen.items() if path not in now or _state(path) != state]
        if found := sorted({*added, *changed}):
            raise Refused(
                f"{listed([show_path(path) for path in found])}: changed while the gate ran; nothing was decided: find "
                "out what wrote there, then run it again"
            )

    def _files(self) -> Iterator[Path]:
        for folder in self._folders:
            inside = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
            yield from (path for path in inside if path.is_file() and not path.name.endswith(OURS))


def _state(path: Path) -> State:
    about = path.stat()
    return about.st_ino, about.st_size, _change_time(about), file_digest(path)


def _change_time(about: os.stat_result) -> int:
    """When a file changed, in ns; Windows knows when its content did, which a program may set, and no more."""
    return about.st_mtime_ns if os.name == "nt" else about.st_ctime_ns


@contextmanager
def importing_unchanged() -> Iterator[None]:
    """Import nothing whose file changed since now, and leave the files of all that is imported as they are.

    Raises:
        Refused: such a module is imported meanwhile; or at the end a file of one that is imported was changed.
    """
    with tempfile.NamedTemporaryFile() as made:
        since = _change_time(Path(made.name).stat())  # by the clock of files
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
    name = getattr(module, "__file__", None)  # what stands among the modules may be no module
    return Path(name) if isinstance(name, str) else None


def _changed(path: Path, since: int) -> bool:
    try:
        return _change_time(path.stat()) >= since
    except OSError:
        return False  # in an archive, or made up: nothing is read from there


def _other(name: str, file: str) -> Refused:
    return Refused(f"{name}: expected an install that nobody changes while the gate runs, found {file} changed")


class _Unchanged(MetaPathFinder):
    """Looks for modules as the others do, and refuses those whose file changed since."""

    def __init__(self, since: int) -> None:
        self._since = since

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that another finder has.

        Raises:
            Refused: its file changed.
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
    """Compiles a module's source, whatever bytecode there is of it."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """The code of its source."""
        return self.source_to_code(self.get_data(self.path), self.path)
