"""The skill that explains Tunegate to a coding agent, copied into a repository."""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.begin.scaffold.writing import Changes, write_changes
from tunegate.harness.core.errors import show_path
from tunegate.harness.core.reading import read_text

#: Where agents look: the open standard's folder, and Claude Code's.
PLACES = (Path(".agents/skills/tunegate/SKILL.md"), Path(".claude/skills/tunegate/SKILL.md"))
SHIPPED = Path(__file__).parent / "templates" / "SKILL.md"


def write_skill(root: Path) -> Changes:
    """Write the skill below `root` wherever it is missing; a copy that differs stays, with a note.

    Raises:
        CouldNotRun: writing failed; files written before were removed.
    """
    text, changes = read_text(SHIPPED), Changes()
    for path in (root / place for place in PLACES):
        if not path.exists():
            changes.new[path] = text
        elif read_text(path) != text:
            changes.notes.append(f"{show_path(path)} is not the skill that ships, and stays; remove it to renew it")
    write_changes(changes)
    return changes
