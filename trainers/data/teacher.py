"""The teacher's record: a file that a distillation writes next to its rows, and a training reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Task
from tunegate.harness.cases.rewarding import RewardingCheck, read_rewards, targets_with_evidence
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import file_digest, is_as_stamped
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import read_object

#: The keys that are read from the teacher's record.
SCHEMA = {
    "type": "object",
    "required": ["schema_version", "teacher", "rows", "asked", "kept", "digest"],
    "properties": {
        "schema_version": {"const": 1},
        "teacher": {
            "type": "object",
            "required": ["name", "digest"],
            "properties": {
                "name": {"type": "string"},
                "digest": {"type": "string"},
                "subject": {"type": "object"},
                "samples": {"type": "integer", "minimum": 2},
                "selected": {"type": "array", "items": {"type": "object"}},
            },
        },
        "rows": {"type": "string"},
        "asked": {"type": "integer", "minimum": 1},
        "kept": {"type": "integer", "minimum": 1},
    },
}


def teacher_path(rows: Path) -> Path:
    """The path of the teacher's record for a file of rows."""
    return rows.with_suffix(".teacher.json")


def read_teacher(rows: Path) -> dict[str, Any]:
    """For the training record: the teacher of a file of rows, and whether the rows were edited; empty if it has none.

    Raises:
        Refused: the teacher's record is damaged or was edited.
    """
    path = teacher_path(rows)
    if not path.exists():
        return {}
    found = read_object(path, "the teacher of rows", SCHEMA)
    if not is_as_stamped(found):
        raise Refused(
            f"{show_path(path)}: expected an unedited file from tunegate distil, found an edited one; distil the rows "
            "again"
        )
    counts = {"asked": found["asked"], "kept": found["kept"]}
    return {"teacher": {**found["teacher"], **counts, "edited": found["rows"] != file_digest(rows)}}


def rewards_of_rows(row_files: Sequence[Mapping[str, Any]], base: str) -> tuple[RewardingCheck, ...]:
    """The checks that rewarded a model on the `base` with this digest, if it is trained on these files of rows.

    A check rewards where it selected among samples, or among outputs of the base itself. One output of another model
    that passes is that model's work.
    """
    teachers = [file["teacher"] for file in row_files if "teacher" in file]
    own = [each for each in teachers if "samples" in each or each.get("subject", {}).get("base") == base]
    return read_rewards(check for each in own for check in each.get("selected", ()))


def render_teacher(row_file: Mapping[str, Any]) -> str:
    """A line on the teacher of a file of rows."""
    teacher = row_file["teacher"]
    edited = "; edited since" if teacher["edited"] else ""
    return (
        f"  {row_file['file']}: {teacher['kept']} of {teacher['asked']} outputs of {teacher['name']} passed the checks"
        f"{edited}"
    )


def render_rewards(rewards: Sequence[RewardingCheck], task: Task) -> Iterator[str]:
    """Yield lines on the checks that rewarded a model, and on the targets that can show another gain."""
    checks = listed([f"the {each.check} check of {each.unit}" for each in rewards])
    yield f"rewarded by {checks}: what a reward saw is no evidence of a gain"
    shown = targets_with_evidence(task, rewards)
    if shown:
        yield f"  a release needs a gain on {' or '.join(shown)}"
    else:
        yield (
            f"  no target of {task.name} can show another gain: no release, until one has another kind of check, or an "
            "`expect` in each of its cases"
        )
