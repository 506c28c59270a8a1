"""The processes of one training: which of them this is, and how they keep together; one alone, unless launched."""

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

#: How many there are, as torchrun (which `accelerate launch` runs) and the kinds of MPI say it.
LAUNCHED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
PATIENCE = timedelta(days=1)  # the first may check many rows, or wait for another training of the same output
T = TypeVar("T")


class Processes:
    """This process's place among those of a training. The first one leads: it alone speaks, writes and decides."""

    def __init__(self, count: int = 1, index: int = 0) -> None:
        self.count = count
        self.index = index
        self._has_handed_over = False

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.index == 0

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def tell(self, value: T) -> T:
        """The first process's `value`, in each of them."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        found: T = broadcast_object_list([value])[0]
        return found

    @contextmanager
    def leading(self) -> Iterator[None]:
        """What the first process does: if it fails before it handed over, the others end as it does."""
        try:
            yield
        except BaseException as error:
            if not self._has_handed_over:
                self.hand_over(None, getattr(error, "exit_code", CouldNotRun.exit_code))
            raise

    def hand_over(self, job: Any, code: int = 0) -> None:
        """Give the others the `job`, or the exit code to end with; what it holds must be picklable."""
        self._has_handed_over = True
        self.tell((job, code))

    def take_over(self) -> Any:
        """The job, in a process that does not lead; it ends here where there is none."""
        job, code = self.tell((None, 0))
        if code:
            self._exit(code)
        return job

    @contextmanager
    def together(self) -> Iterator[None]:
        """A step that fails in every process if it fails in one; the first process says why."""
        # A collective call waits for all: were one process to raise and leave, the others would hang until the timeout.
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
        """End silently, and not before the first process is gone: a launcher ends all when one ends, message or not."""
        with suppress(RuntimeError):
            self.wait()
        raise SystemExit(code)


@functools.cache
def processes() -> Processes:
    """This process's place, as its launcher says; alone without one, and then nothing heavy is imported.

    Raises:
        CouldNotRun: the library that several processes need is not installed.
    """
    if not any(os.environ.get(name, "1") not in ("", "1") for name in LAUNCHED):
        return Processes()
    accelerate = need("accelerate")
    # A thread of gloo's that lets go of a tensor when the interpreter has ended aborts the process, its work done
    # (pytorch#190489). Leaving the group ends its threads, unless someone keeps it: this module takes the group of its
    # import as its functions' default, so it comes before there is one.
    importlib.import_module("torch.distributed.nn.functional")
    state = accelerate.PartialState(cpu=on_cpu(), timeout=PATIENCE)
    if on_cpu():  # a group on GPUs is left by all at once: one process that fails would wait there for the others
        atexit.register(state.destroy_process_group)
    return Processes(state.num_processes, state.process_index)


def on_cpu() -> bool:
    """Whether the training runs on the CPU: there is no GPU, or the launcher was told not to use it."""
    import torch

    return not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
