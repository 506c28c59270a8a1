"""Several files as one change: after a kill, all of them are written or none.

The old content goes into a journal; then each file is written, and then the journal is deleted. The next writer undoes
an unfinished journal: that change has not happened, and its command must run again. Until then, readers are refused
with the name of that command.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import is_as_stamped, locked, remove_left, stamped, write_atomically, write_json
from tunegate.harness.core.reading import read_object, read_text
from tunegate.harness.models.adapters import TRAINING, WEIGHTS

JOURNAL = ".unfinished.json"
LOCK = ".recording"  # held by the writer
PATIENCE = 10.0  # seconds that a reader waits for a writer, which takes less than one
#: The files that a release or its parity check writes outside of the baselines.
FOLDER_FILES = ("record.json", "README.md", "parity.json", "release.json")


def write_together(root: Path, texts: Mapping[Path, str | None], command: str, folder: Path | None = None) -> None:
    """Write files and delete those without a text: all of them, or after a kill and `undo` none.

    The files are below `root`, the folder of baselines, which the caller has locked, or in the `folder` of an adapter,
    where a release writes `FOLDER_FILES`. `command` writes them, and is named if the change is unfinished.

    Raises:
        CouldNotRun: a file cannot be written.
    """
    before = {path: read_text(path) if path.is_file() else None for path in texts}
    files = [[*_place(root, path, folder), text] for path, text in before.items()]
    write_json(root / JOURNAL, stamped({"command": command, "folder": str(folder or ""), "files": files}))
    _put(texts)
    (root / JOURNAL).unlink()


def _put(texts: Mapping[Path, str | None]) -> None:
    for path, text in texts.items():
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, text)


def undo(root: Path) -> None:
    """Undo the change of an unfinished journal, if there is one.

    Raises:
        Refused: the file is not a journal.
        CouldNotRun: a file cannot be written.
    """
    path = root / JOURNAL
    if not path.is_file():
        return
    found = read_object(path, "what a command left unfinished")
    try:
        texts = {_path(root, found["folder"], where, name): text for where, name, text in found["files"]}
        if not all(text is None or isinstance(text, str) for text in texts.values()):
            raise TypeError
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(path, "another file, or files elsewhere") from error
    if not is_as_stamped(found):
        raise _not_ours(path, "one that was edited")
    for target in texts:
        for part in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
            part.unlink(missing_ok=True)  # a file that was being written
    _put(texts)
    path.unlink()


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Hold the folder of baselines as its only writer, with an unfinished change undone."""
    with locked(root / LOCK):
        undo(root)
        yield


def undo_cut_off(root: Path) -> None:
    """Run `undo` as the only writer, before anything is read, and delete the partial files of killed writers."""
    remove_left(root)
    if (root / JOURNAL).exists():
        with writing(root):
            pass


def _not_ours(path: Path, found: str) -> Refused:
    return Refused(f"{show_path(path)}: expected what a command left unfinished, found {found}; delete it")


def check_finished(root: Path) -> None:
    """Refuse to read an unfinished change; wait briefly for a running writer.

    The message names the command to run again, or the one that is still writing.
    """
    path = root / JOURNAL
    try:
        if path.exists():
            with locked(root / LOCK, PATIENCE):
                _refuse_unfinished(path)
    except TimeoutError:
        raise Refused(
            f"{show_path(path)}: expected baselines without a writer, found another process that writes them "
            f"({_command(path)}), after a wait of {PATIENCE:.0f} s; run this again when it has finished"
        ) from None
    except OSError:  # a folder without locks has no writer
        _refuse_unfinished(path)


def _refuse_unfinished(path: Path) -> None:
    if path.exists():
        raise Refused(f"{show_path(path)}: expected no unfinished change, found one; run it again: {_command(path)}")


def _command(path: Path) -> str:
    try:
        return str(read_object(path, "what a command left unfinished").get("command", "the command"))
    except Unreadable as error:
        if error.is_missing:  # it has finished
            return "the command"
        raise


def _place(root: Path, path: Path, folder: Path | None) -> tuple[str, str]:
    if folder and path.parent == folder:
        return "folder", path.name
    return "baselines", path.relative_to(root).as_posix()


def _path(root: Path, folder: str, where: str, name: str) -> Path:
    """Return the path of a file below the baselines, or of a release's file in an adapter's folder."""
    is_adapter = any((Path(folder) / each).is_file() for each in (WEIGHTS, TRAINING))  # a whole model has the latter
    if where == "folder" and folder and name in FOLDER_FILES and is_adapter:
        return Path(folder) / name
    target = root / name
    if where == "baselines" and root.resolve() in target.resolve().parents:  # a link may lead out of them
        return target
    raise ValueError(where)
