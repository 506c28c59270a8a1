"""A model for workers in processes of their own: it repeats what it was given, writes that down, and dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunegate.harness.core.errors import Refused
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.replay import Replay

SUBJECT = {"model": "mortal", "base": "b" * 64, "rung": "as-is"}
ENGINE = {"backend": "transformers", "dtype": "float32"}
NAMES = {"model": "mortal"}

ARRIVING = 1  # second that what was given before has to arrive: else a killed process would have answered nothing


@dataclass
class Mortal:
    """Opens itself. The `doomed` process that is the first to have given `life` answers is killed, and no other.

    `asked` is a folder: a file for each process, with a line for each request that it was given, and when.
    """

    answers: dict[tuple[str, int], Completion]
    asked: Path
    doomed: int = 0
    life: int = 3
    engine: str = "float32"
    refuses: str = ""

    can = frozenset({"generate", "loglik"})

    def __call__(self, adapter: Path | None) -> Mortal:
        """As a worker opens it."""
        return self

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(SUBJECT, ENGINE | {"dtype": self.engine}, NAMES)

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        if self.refuses:
            raise Refused(self.refuses)
        with (self.asked / str(os.getpid())).open("a") as file:
            file.writelines(f"{time.monotonic()} {request.key}\n" for request in requests)
        for given, completion in enumerate(Replay(self.answers, self.fingerprint).complete(requests)):
            if given == self.life and self._is_doomed():
                time.sleep(ARRIVING)
                os.kill(os.getpid(), signal.SIGKILL)
            yield completion

    def _is_doomed(self) -> bool:
        for number in range(self.doomed):
            try:
                (self.asked / f".dead-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False
