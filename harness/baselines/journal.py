"""Several files as one change: a kill leaves all of them or none.

What is to be written stands in a journal first, whole; then each file is written, then the journal goes. Whoever writes
next finishes a journal that is left. Whoever only reads is refused until then, with the command that finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import is_as_stamped, locked, stamped, write_atomically, write_json
from tunegate.harness.core.reading import read_object

JOURNAL = ".unfinished.json"
FOLDER_FILES = ("record.json", "README.md", "release.json")  # all that a release writes outside of the baselines


def write_together(root: Path, texts: Mapping[Path, str | None], command: str, folder: Path | None = None) -> None:
    """Write files, and delete those without a text: all of them, or after a kill whatever `finish` makes of it.

    Args:
        root: the folder of baselines, locked by the caller; the files lie below it.
        texts: by path what is written.
        command: the command that does it, for whoever finds it unfinished.
        folder: an adapter's, in which a release writes `FOLDER_FILES`.

    Raises:
        CouldNotRun: a file cannot be written.
    """
    files = [[*_place(root, path, folder), text] for path, text in texts.items()]
    write_json(root / JOURNAL, stamped({"command": command, "folder": str(folder or ""), "files": files}))
    finish(root)


def finish(root: Path) -> str:
    """Do what a journal says that is left, and return the command that began it; nothing where none is left.

    Raises:
        Refused: it is none of ours.
        CouldNotRun: a file cannot be written.
    """
    path = root / JOURNAL
    if not path.is_file():
        return ""
    found = read_object(path, "what a command left unfinished")
    try:
        files = [(_path(root, found["folder"], where, name), text) for where, name, text in found["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(path, str(error)) from error
    if not is_as_stamped(found):
        raise _not_ours(path, "one that was edited")
    for target, text in files:
        if text is None:
            target.unlink(missing_ok=True)
        else:
            write_atomically(target, text)
    path.unlink()
    return str(found["command"])


def finish_cut_off(root: Path) -> str:
    """`finish` as the only writer, before anything is read."""
    if not (root / JOURNAL).exists():
        return ""
    with locked(root / ".recording"):
        return finish(root)


def _not_ours(path: Path, found: str) -> Refused:
    return Refused(f"{show_path(path)}: expected what a command left unfinished, found {found}; delete it")


def check_finished(root: Path) -> None:
    """Refuse to read what is half written.

    Raises:
        Refused: names the command that finishes it.
    """
    path = root / JOURNAL
    if path.exists():
        command = read_object(path, "what a command left unfinished").get("command", "the command")
        raise Refused(f"{show_path(path)}: expected nothing unfinished, found what was cut off; finish it: {command}")


def _place(root: Path, path: Path, folder: Path | None) -> tuple[str, str]:
    if folder and path.parent == folder:
        return "folder", path.name
    return "baselines", path.relative_to(root).as_posix()


def _path(root: Path, folder: str, where: str, name: str) -> Path:
    """Where a file lies: below the baselines, or one of those that a release writes into an adapter's folder."""
    parts = Path(name).parts
    if where == "folder" and name in FOLDER_FILES and folder:
        return Path(folder) / name
    if where == "baselines" and parts and ".." not in parts and not Path(name).is_absolute():
        return root / name
    raise ValueError(f"a file elsewhere, {name!r}")
