"""The processes of one training: index, count and synchronization; a single process without a launcher."""

from __future__ import annotations

import atexit
import functools
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from tunegate.harness.core.errors import CouldNotRun, TunegateError
from tunegate.harness.core.extras import need

#: Variables with the number of processes: of torchrun, which `accelerate launch` runs, and of the MPI variants.
LAUNCHED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
PATIENCE = timedelta(days=1)  # the first process may check many rows, or wait for another training with the same output
T = TypeVar("T")


class Processes:
    """This process's index among those of a training. Only the first one, the leader, prints, writes and decides."""

    def __init__(self, count: int = 1, index: int = 0) -> None:
        self.count = count
        self.index = index
        self._has_handed_over = False

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.index == 0

    def wait(self) -> None:
        """Wait until every process gets here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def broadcast(self, value: T) -> T:
        """Return the first process's `value` in every process."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        found: T = broadcast_object_list([value])[0]
        return found

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Context of the first process: if it fails before `hand_over`, the others exit with the same code."""
        try:
            yield
        except BaseException as error:
            if not self._has_handed_over:
                self.hand_over(None, getattr(error, "exit_code", CouldNotRun.exit_code))
            raise

    def hand_over(self, job: Any, code: int = 0) -> None:
        """Send the other processes the `job`, which must be picklable, or an exit code."""
        self._has_handed_over = True
        self.broadcast((job, code))

    def take_over(self) -> Any:
        """Receive the job in a process other than the first; exit if there is none."""
        job, code = self.broadcast((None, 0))
        if code:
            self._exit(code)
        return job

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context of a step that fails in every process if it fails in one; the first process reports the error."""
        # Collective calls wait for all processes: if one raised and left, the others would hang until the timeout.
        error = None
        try:
            yield
        except TunegateError as found:
            error = found
        failed = [each for each in self._gather(error) if each is not None]
        if failed and not self.leads:
            self._exit(failed[0].exit_code)
        if failed:
            raise error or failed[0]

    def _gather(self, value: T) -> list[T]:
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        found: list[T] = gather_object([value])
        return found

    def _exit(self, code: int) -> NoReturn:
        """Exit silently, after the first process: a launcher kills all processes when one exits."""
        with suppress(RuntimeError):
            self.wait()
        raise SystemExit(code)


@functools.cache
def processes() -> Processes:
    """Return this process's place according to the launcher; a single process without one, and no heavy imports.

    Raises:
        CouldNotRun: there are several processes, and accelerate is not installed.
    """
    if not any(os.environ.get(name, "1") not in ("", "1") for name in LAUNCHED):
        return Processes()
    accelerate = need("accelerate")
    # A gloo thread that releases a tensor after the interpreter has ended aborts the process (pytorch#190489).
    # Destroying the group ends its threads, unless a reference remains: this module keeps the group that exists at its
    # import as a default argument, so it is imported before the group is created.
    importlib.import_module("torch.distributed.nn.functional")
    state = accelerate.PartialState(cpu=on_cpu(), timeout=PATIENCE)
    if on_cpu():  # destroying a GPU group waits for all processes, so a single failing process would hang
        atexit.register(state.destroy_process_group)
    return Processes(state.num_processes, state.process_index)


def on_cpu() -> bool:
    """Whether the training runs on the CPU: there is no GPU, or the launcher disabled it."""
    import torch

    return not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
