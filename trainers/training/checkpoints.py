"""Checkpoints of a training that may be interrupted; used only if complete and of the same training."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.files import file_digest, write_json
from tunegate.harness.core.reading import read_object
from tunegate.trainers.training.distributed import processes

KEPT = 2  # while the newest is being written, the one before it is the valid one
SECONDS = 120.0  # between two checkpoints, unless the recipe sets steps; the most that a kill may cost
MARK = "complete.json"
OF = "of.json"


def open_work(work: Path, training: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Make the folder `work`, or keep its content if it is from an interrupted run of the same training.

    `training` has the digests, by name, of everything that determines the adapter. A line is said
    if the folder is discarded because something changed.
    """
    found = _read(work / OF)
    # a checkpoint with other rows, another base or another library would load silently and train something different
    changed = [name for name, value in training.items() if found.get(name) != value]
    if found and changed:
        names = " and ".join(changed)
        say(f"discarding the interrupted training ({names} changed since): starting from scratch")
    if changed:
        shutil.rmtree(work, ignore_errors=True)
        write_json(work / OF, dict(training))


def close_work(work: Path) -> None:
    """Remove `work`, unless it holds a checkpoint to resume from."""
    if newest(work) is None:
        shutil.rmtree(work, ignore_errors=True)


def newest(work: Path) -> Path | None:
    """The last complete checkpoint in `work`: all its files are unchanged since it was marked."""
    found = sorted(work.glob("checkpoint-*"), key=step_of, reverse=True)
    return next((checkpoint for checkpoint in found if _is_whole(checkpoint)), None)


def keep_only(work: Path, checkpoint: Path | None) -> None:
    """Remove every checkpoint but one, so that incomplete ones do not count towards `save_total_limit`."""
    # transformers deletes the oldest above the limit, which may be the only complete one
    for other in work.glob("checkpoint-*"):
        if other != checkpoint:
            shutil.rmtree(other)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def mark(checkpoint: Path) -> None:
    """Mark a checkpoint as complete: the mark is written last, atomically, and holds the digest of each file."""
    write_json(checkpoint / MARK, _digests(checkpoint))


def saving(every: int | None) -> Any:
    """Return a callback that saves every `every` steps, or every `SECONDS`, and marks complete checkpoints.

    Each process saves its random state; the first one decides when to save, and marks when all have finished.
    """
    from transformers import TrainerCallback

    class Saving(TrainerCallback):  # type: ignore[misc]
        """Requests a checkpoint when one is due."""

        last = time.monotonic()

        def on_train_begin(self, *_: Any, **more: Any) -> None:  # noqa: ARG002
            self.last = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            if every:
                is_due = state.global_step % every == 0
            else:
                is_due = processes().broadcast(self.last + SECONDS <= time.monotonic())
            # not after the last step, when the adapter itself is saved
            control.should_save = is_due and state.global_step < state.max_steps

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            processes().wait()
            if processes().leads:
                mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            self.last = time.monotonic()

    return Saving()


def _is_whole(checkpoint: Path) -> bool:
    found = _read(checkpoint / MARK)
    # a kill during writing leaves no mark; a file lost or damaged later changes the digests
    return bool(found) and found == _digests(checkpoint)


def _digests(checkpoint: Path) -> dict[str, str]:
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != MARK)
    return {path.relative_to(checkpoint).as_posix(): file_digest(path) for path in files}


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if the file is missing or damaged."""
    try:
        return read_object(path)
    except Unreadable:
        return {}
