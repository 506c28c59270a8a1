"""Workers on Ray: each holds the model and generates; who asks keeps the requests, and takes each answer as it comes.

Ray's actors and not Ray Data, which hands over blocks of answers: here an answer is there, and can be kept, as soon as
it is finished. So a worker that dies takes nothing along but what it had not answered, and that alone is asked again.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError
from tunegate.harness.core.extras import need
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.api import Completion, Fingerprint, Model, Request
from tunegate.harness.models.local.batching import TOKEN_BUDGET
from tunegate.harness.models.model_options import RayOptions

ModelOpener = Callable[[Path | None], Model]
START_SECONDS = 300  # until a worker has to be there: a cluster may have to start a machine for it
OPEN_SECONDS = 1800  # until it has to have found the model, and digested its files
SHARES = 4  # of the work, for each worker: who is done early takes from those that are left
LOCAL = "local"  # for Ray: started here
MOST_DEATHS = 3  # of workers, one after the other, without an answer between them
#: No messages of Ray's own, no reports of its use, no GPU for a worker that asks for none; read when it is imported.
SETTINGS = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


class Worker:
    """What runs in a process of its own, wherever Ray starts it."""

    def __init__(self, open_model: ModelOpener) -> None:
        self._open = open_model
        self._models: dict[Path | None, Model] = {}

    def fingerprint(self, adapter: Path | None) -> Fingerprint:
        """Who answers here."""
        with _plain_errors():
            if adapter not in self._models:
                self._models[adapter] = self._open(adapter)
            return self._models[adapter].fingerprint

    def complete(self, adapter: Path | None, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answer each request once, as answers become ready."""
        with _plain_errors():
            yield from self._models[adapter].complete(requests)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors that travel: one that needs more than a message to be made could not be made again."""
    try:
        yield
    except Refused as error:
        raise Refused(str(error)) from None
    except TunegateError as error:
        raise CouldNotRun(str(error)) from None


class _Died(Exception):
    """A worker does not exist any more, or cannot be reached."""


@dataclass(eq=False)
class _Batch:
    """Requests that a worker is asked together, by key and repeat; what is answered leaves it."""

    left: dict[tuple[str, int], Request]
    deaths: int = 0  # since the last answer


@dataclass(eq=False)
class _Handle:
    """A worker as it is seen from here: what it owes next, its fingerprint or a stream of answers to its batch."""

    actor: Any
    owes: Any = None
    batch: _Batch | None = None


class WorkerPool:
    """So many workers that open one base model, and answer for it and for every adapter on it."""

    def __init__(self, open_model: ModelOpener, options: RayOptions) -> None:
        self._open = open_model
        self._options = options
        self._workers: list[_Handle] = []
        self._ray: Any = None
        self._is_ours = False
        self.deaths = 0

    def fingerprint(self, adapter: Path | None) -> Fingerprint:
        """Who answers, by the first worker that can say it.

        Raises:
            CouldNotRun: Ray is not there or has no room for a worker in time, or none can open the model.
        """
        for worker in self._workers:  # that were there for another adapter
            self._greet(worker, adapter)
        self._fill(adapter)
        deaths = 0
        while True:
            worker = self._next()
            try:
                found: Fingerprint = self._got(worker.owes)
            except _Died as error:
                deaths += 1
                self._bury(worker)
                _check_deaths(deaths, error)
                self._fill(adapter)
            else:
                return found

    def complete(
        self, adapter: Path | None, requests: Sequence[Request], expected: Fingerprint
    ) -> Iterator[Completion]:
        """Answer each request once, in any order, whatever becomes of the workers.

        Raises:
            CouldNotRun: a worker failed, or several died one after the other without an answer.
            Refused: a worker has another model, adapter or engine than `expected`.
        """
        waiting = deque(map(_Batch, batches_for(requests, self._options.workers)))
        for worker in self._workers:
            self._greet(worker, adapter)
        deaths = 0  # of workers that had no batch yet
        try:
            while waiting or any(worker.batch for worker in self._workers):
                self._fill(adapter)
                worker = self._next()
                try:
                    if worker.batch:
                        yield from self._next_completion(worker, worker.batch)
                    else:
                        check_same(self._got(worker.owes), expected)
                        worker.owes, deaths = None, 0
                except _Died as error:
                    self._bury(worker)
                    deaths += worker.batch is None
                    _check_deaths(max(deaths, _give_back(worker.batch, waiting)), error)
                self._hand_out(waiting, adapter)
        finally:
            for worker in [worker for worker in self._workers if worker.batch]:
                self._dismiss(worker)  # whoever asked has left, and nobody is to read on where that one stopped

    def stop(self) -> None:
        """End the workers, and Ray if it was started or joined here."""
        while self._workers:
            self._dismiss(self._workers[-1])
        if self._is_ours:
            self._ray.shutdown()
        self._ray, self._is_ours = None, False

    def _fill(self, adapter: Path | None) -> None:
        """Start what workers are missing, and let them open the model."""
        if self._ray is None:
            self._ray = self._connected()
        is_first = not self._workers
        while len(self._workers) < self._options.workers:
            self._workers.append(_Handle(self._hired()))
            self._greet(self._workers[-1], adapter)
        if is_first:
            there = [worker.actor.__ray_ready__.remote() for worker in self._workers]
            if not self._ray.wait(there, timeout=START_SECONDS)[0]:
                raise CouldNotRun(self._no_room(START_SECONDS))

    def _hired(self) -> Any:
        options = self._options
        return self._ray.remote(num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0)(Worker).remote(self._open)

    def _connected(self) -> Any:
        """Ray: the cluster that is named, or one that is started here for this run alone."""
        address = self._options.address or os.environ.get("RAY_ADDRESS") or LOCAL
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        if address == LOCAL and "RAY_AUTH_MODE" not in os.environ:
            # its ports are open to the network, and whoever reaches one could have it run anything
            # a token alone: where it finds one, Ray sets the mode itself, also if it was imported before
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray = need("ray")
        if ray.is_initialized():  # whoever started it ends it
            return ray
        if "://" in address:  # Ray's client, which hands over no answer before all are there
            raise CouldNotRun(
                f"--tg-ray-address {address}: expected HOST:PORT, found the address of Ray's client; start the run on "
                "a machine of the cluster"
            )
        cpus = self._options.workers * self._options.cpus
        here = {"num_cpus": cpus, "include_dashboard": False} if address == LOCAL else {}
        logging.getLogger("ray").setLevel(logging.ERROR)  # now: what it says before it reads `logging_level`, too
        try:
            ray.init(address, log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise CouldNotRun(
                f"--tg-engine ray: expected Ray at {address}, found {error}; start it (ray start), or name another one "
                "with --tg-ray-address"
            ) from error
        self._is_ours = True
        return ray

    def _greet(self, worker: _Handle, adapter: Path | None) -> None:
        worker.batch, worker.owes = None, worker.actor.fingerprint.remote(adapter)

    def _dismiss(self, worker: _Handle) -> None:
        self._ray.kill(worker.actor)
        self._workers.remove(worker)

    def _bury(self, worker: _Handle) -> None:
        self._dismiss(worker)
        self.deaths += 1

    def _next(self) -> _Handle:
        """A worker that has something to hand over, or is dead."""
        owing = [worker for worker in self._workers if worker.owes is not None]
        # a batch takes as long as it takes
        seconds = None if any(worker.batch for worker in owing) else OPEN_SECONDS
        ready, _ = self._ray.wait([worker.owes for worker in owing], timeout=seconds)
        if not ready:
            raise CouldNotRun(self._no_room(OPEN_SECONDS))
        found = next(worker for worker in owing if worker.owes == ready[0])
        self._workers.remove(found)
        self._workers.append(found)  # the next time the others come first, and none waits behind one that is quick
        return found

    def _next_completion(self, worker: _Handle, batch: _Batch) -> Iterator[Completion]:
        """The next answer of a worker to its batch; none, and the worker is free, where it has given all."""
        try:
            completion: Completion = self._got(worker.owes)
        except StopIteration:
            if batch.left:
                keys = listed([key for key, _ in batch.left])
                raise CouldNotRun(f"a worker ended without an answer to {keys}; run it again") from None
            worker.batch = worker.owes = None
            return
        del batch.left[completion.key, completion.repeat]
        batch.deaths = 0
        yield completion

    def _hand_out(self, waiting: deque[_Batch], adapter: Path | None) -> None:
        for worker in self._workers:
            if worker.owes is None and waiting:
                worker.batch = waiting.popleft()
                stream = worker.actor.complete.options(num_returns="streaming")
                worker.owes = stream.remote(adapter, list(worker.batch.left.values()))

    def _got(self, owed: Any) -> Any:
        """What a worker hands over: an object, or the next one of a stream.

        Raises:
            TunegateError: what it says is wrong; any other error of it is a CouldNotRun.
            _Died: it is dead.
            StopIteration: the stream has ended.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(owed if isinstance(owed, self._ray.ObjectRef) else next(owed))
        except errors.RayTaskError as error:
            if isinstance(error.cause, TunegateError):
                raise error.cause from None
            raise CouldNotRun(f"a worker failed: {error.cause!r}") from error
        except errors.RayError as error:
            raise _Died(str(error).strip().partition("\n")[0]) from error

    def _no_room(self, seconds: int) -> str:
        options, has = self._options, self._ray.cluster_resources()
        return (
            f"--tg-engine ray: expected a worker within {seconds} s, with {options.cpus} CPUs and {options.gpus} GPUs "
            f"each, found none; the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"
        )


def batches_for(requests: Sequence[Request], workers: int) -> Iterator[dict[tuple[str, int], Request]]:
    """Requests in batches for so many workers, by key and repeat: those that begin alike together, the widest first.

    A batch is large enough for a model that answers many prompts at a time, and small enough that none waits for it.
    """
    ordered = sorted(requests, key=lambda each: (bool(each.texts), str(each.messages[:-1]), -each.work))
    total = sum(request.work for request in ordered)
    most = max(total / (SHARES * workers), min(TOKEN_BUDGET, total / workers))
    batch: dict[tuple[str, int], Request] = {}
    size = 0
    for request in ordered:
        if batch and size + request.work > most:
            yield batch
            batch, size = {}, 0
        batch[request.key, request.repeat] = request
        size += request.work
    if batch:
        yield batch


def _give_back(batch: _Batch | None, waiting: deque[_Batch]) -> int:
    """Let what a dead worker had not answered wait again, before all else; how many have died over it."""
    if batch is None:
        return 0
    batch.deaths += 1
    if batch.left:
        waiting.appendleft(batch)
    return batch.deaths


def _check_deaths(count: int, error: _Died) -> None:
    if count >= MOST_DEATHS:
        raise CouldNotRun(
            f"{count} workers died one after the other without an answer, the last so: {error}; there may be too "
            "little memory for so many: take fewer --tg-workers"
        ) from error


def check_same(found: Fingerprint, expected: Fingerprint) -> None:
    """Refuse a worker that would answer as another model, or by other means."""
    pairs = (("model", expected.subject, found.subject), ("engine", expected.engine, found.engine))
    for part, ours, theirs in pairs:
        if differ := [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]:
            raise Refused(
                f"a worker has another {part} than the one that is judged ({', '.join(differ)}): every machine needs "
                "the same files, at the same paths, and the same versions"
            )
