"""Take the newer version of a pack into a project, unless its copy was edited there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tunegate.harness.begin.guards.copies import Copy, copy_of, find_copies
from tunegate.harness.begin.guards.packs import Pack
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import write_atomically


def copies_of(packs: Sequence[Pack], cases: Path) -> list[Copy]:
    """Return the copies of packs in a project; of all of them if none is named.

    Raises:
        Refused: a named pack has no copy here.
    """
    found = find_copies(cases)
    if missing := [pack.name for pack in packs if pack.name not in found]:
        raise Refused(
            f"{show_path(cases)}: expected a copy of {', '.join(missing)}, found none; tunegate guards add "
            f"{' '.join(missing)}"
        )
    return [found[pack.name] for pack in packs] or [*found.values()]


def take(copies: Sequence[Copy]) -> list[Path]:
    """Write the newer versions of copies that are behind, and return their files.

    Raises:
        Refused: one of these copies was edited; nothing was written.
        CouldNotRun: a file cannot be written.
    """
    behind = {copy: copy.pack for copy in copies if copy.is_behind}
    if edited := [show_path(copy.path) for copy in behind if copy.is_edited]:
        raise Refused(
            f"{', '.join(edited)}: expected the text that was copied, found an edited one; nothing was written: name "
            "the packs to take without it, or take the new lines over by hand"
        )
    for copy, pack in behind.items():
        if pack:
            write_atomically(Path(os.path.realpath(copy.path)), copy_of(pack))
    return [copy.path for copy in behind]
