"""Internal errors: one line for the user, and a file with the details for the maintainer."""

from __future__ import annotations

import errno
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from tunegate.harness.core import extras
from tunegate.harness.core.errors import CouldNotRun, TunegateError, Unexpected, show_path

FOLDER = Path(".tunegate/errors")
#: Errors of the machine, not of Tunegate.
OUTSIDE = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE,
    errno.EEXIST, errno.ENFILE, errno.ENOMEM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR,
})  # fmt: skip
#: What is expected where the system only says that something is in the way.
EXPECTED = {
    errno.EEXIST: "expected a folder, or nothing, found a file",
    errno.ENOTDIR: "expected folders on the way, found a file",
    errno.EISDIR: "expected a file, found a folder",
}


def as_tunegate_error(error: BaseException, root: Path) -> TunegateError:
    """Turn any error into one with a message for the user; `root`, the project, keeps the details of a crash."""
    if isinstance(error, TunegateError):
        return error
    return extras.lacking_of(error) or _outside(error) or _unexpected(error, root)


def _outside(error: BaseException) -> CouldNotRun | None:
    """Return the error for what the machine refused; None for any other error."""
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of Path.resolve, before 3.13
        return CouldNotRun(f"{error}: nothing was decided; delete the link, then run the same command again")
    if not isinstance(error, OSError) or error.errno not in OUTSIDE:
        return None
    where = f"{show_path(Path(error.filename))}: " if isinstance(error.filename, str) else ""
    found = EXPECTED.get(error.errno, error.strerror)
    return CouldNotRun(f"{where}{found}: nothing was decided; fix that, then run the same command again")


def _unexpected(error: BaseException, root: Path) -> Unexpected:
    said = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    kept = _keep("\n".join(_details(error)), root)
    where = f"the details are in {show_path(kept)}" if kept else "the details could not be written"
    return Unexpected(f"internal error ({what}): nothing was decided; {where}; please report it")


def _keep(text: str, root: Path) -> Path | None:
    """Write the details into the project, or otherwise into the user's state folder."""
    from platformdirs import user_state_path

    from tunegate.harness.core.files import state_folder

    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.txt"
    for folder in (root / FOLDER, user_state_path("tunegate") / "errors"):
        try:
            (state_folder(folder) / name).write_text(text, "utf-8", errors="backslashreplace", newline="\n")
        except (OSError, CouldNotRun):
            continue
        return folder / name
    return None


def _details(error: BaseException) -> Iterator[str]:
    yield f"command: {sys.argv}"
    yield f"folder: {Path.cwd()}"
    yield f"python: {sys.version} on {platform.platform()}"
    yield f"packages: {', '.join(sorted(_packages()))}"
    yield ""
    yield "".join(traceback.format_exception(error))


def _packages() -> Iterator[str]:
    for each in distributions():
        with suppress(Exception):  # a damaged package must not hide the reported error
            yield f"{each.name} {each.version}"
