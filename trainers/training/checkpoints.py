"""Checkpoints of a training that may be cut off: whole or of no use, and only of this very training."""

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

KEPT = 2  # while the newest is being written, the one before it is the one that counts
SECONDS = 120.0  # between two, if the recipe does not count steps: what a kill may cost
MARK = "complete.json"
OF = "of.json"


def open_work(work: Path, training: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Make the folder `work`, or keep what a training that was cut off left there, if it was the same training.

    Args:
        work: the training's own folder.
        training: digests, by name, of everything that decides the adapter.
        say: is told what changed since, where that is why it starts afresh.
    """
    found = _read(work / OF)
    # A checkpoint of other rows, another base or another library loads without a word and trains something else.
    changed = [name for name, value in training.items() if found.get(name) != value]
    if found and changed:
        names = " and ".join(changed)
        say(f"a training that was cut off was another ({names} changed since): starting afresh")
    if changed:
        shutil.rmtree(work, ignore_errors=True)
        write_json(work / OF, dict(training))


def close_work(work: Path) -> None:
    """Remove `work`, unless it holds a checkpoint to go on from."""
    if newest(work) is None:
        shutil.rmtree(work, ignore_errors=True)


def newest(work: Path) -> Path | None:
    """The last whole checkpoint in `work`: one with every file as it was when its mark was set."""
    found = sorted(work.glob("checkpoint-*"), key=step_of, reverse=True)
    return next((checkpoint for checkpoint in found if _is_whole(checkpoint)), None)


def keep_only(work: Path, checkpoint: Path | None) -> None:
    """Remove every checkpoint but one: what was written in part would count among those that are kept."""
    # transformers then deletes the oldest above `save_total_limit`, which may be the only whole one
    for other in work.glob("checkpoint-*"):
        if other != checkpoint:
            shutil.rmtree(other)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def mark(checkpoint: Path) -> None:
    """Say that a checkpoint is whole: the mark is written last, in one move, and holds each file's digest."""
    write_json(checkpoint / MARK, _digests(checkpoint))


def saving(every: int | None) -> Any:
    """The callback that saves each `every` steps, or each `SECONDS`, and marks what is whole.

    Of several processes each saves its random state: the first one's clock says when, and it marks when all have.
    """
    from transformers import TrainerCallback

    class Saving(TrainerCallback):  # type: ignore[misc]
        """Asks transformers for a checkpoint when one is due."""

        last = time.monotonic()

        def on_train_begin(self, *_: Any, **more: Any) -> None:  # noqa: ARG002
            self.last = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            is_due = (
                state.global_step % every == 0 if every else processes().tell(self.last + SECONDS <= time.monotonic())
            )
            # not after the last step: what comes then is the adapter itself
            control.should_save = is_due and state.global_step < state.max_steps

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            processes().wait()
            if processes().leads:
                mark(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            self.last = time.monotonic()

    return Saving()


def _is_whole(checkpoint: Path) -> bool:
    found = _read(checkpoint / MARK)
    # a kill while it is written leaves no mark; a disk that lost a file later leaves another digest
    return bool(found) and found == _digests(checkpoint)


def _digests(checkpoint: Path) -> dict[str, str]:
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != MARK)
    return {path.relative_to(checkpoint).as_posix(): file_digest(path) for path in files}


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none, or a damaged one: what cannot be read proves nothing."""
    try:
        return read_object(path)
    except Unreadable:
        return {}
