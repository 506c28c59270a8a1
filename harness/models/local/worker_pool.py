"""Workers on Ray: each holds the model and generates; the caller keeps the requests, and receives each output.

Ray's actors and not Ray Data, which delivers blocks of outputs: here an output arrives, and can be stored, as soon as
it is finished. So if a worker dies, only its unfinished requests are run again.
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
START_SECONDS = 300  # for a worker to start: a cluster may have to start a machine for it
OPEN_SECONDS = 1800  # for a worker to find the model, and to digest its files
SHARES = 4  # batches per worker: a worker that is done early takes another one
LOCAL = "local"  # for Ray: started here
MOST_DEATHS = 3  # of workers, in a row, without an output in between
#: No messages or usage reports from Ray, no GPU for a worker that asks for none; read when Ray is imported.
SETTINGS = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


class Worker:
    """A worker: runs in a process of its own, started by Ray."""

    def __init__(self, open_model: ModelOpener) -> None:
        self._open = open_model
        self._models: dict[Path | None, Model] = {}

    def fingerprint(self, adapter: Path | None) -> Fingerprint:
        """The model and its engine on this worker."""
        with _plain_errors():
            if adapter not in self._models:
                self._models[adapter] = self._open(adapter)
            return self._models[adapter].fingerprint

    def complete(self, adapter: Path | None, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield one completion per request, as they become ready."""
        with _plain_errors():
            yield from self._models[adapter].complete(requests)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn errors into ones with only a message: others cannot be sent between processes."""
    try:
        yield
    except Refused as error:
        raise Refused(str(error)) from None
    except TunegateError as error:
        raise CouldNotRun(str(error)) from None


class _Died(Exception):
    """A worker no longer exists, or cannot be reached."""


@dataclass(eq=False)
class _Batch:
    """Requests that a worker runs together, by key and repeat; finished ones are removed."""

    left: dict[tuple[str, int], Request]
    deaths: int = 0  # since the last output


@dataclass(eq=False)
class _Handle:
    """A worker as seen by the caller: it owes a fingerprint, or the outputs of its batch as a stream."""

    actor: Any
    owes: Any = None
    batch: _Batch | None = None


class WorkerPool:
    """Workers that open one base model, and run it and every adapter on it."""

    def __init__(self, open_model: ModelOpener, options: RayOptions) -> None:
        self._open = open_model
        self._options = options
        self._workers: list[_Handle] = []
        self._ray: Any = None
        self._is_ours = False
        self.deaths = 0

    def fingerprint(self, adapter: Path | None) -> Fingerprint:
        """The model and engine of the first worker that reports them.

        Raises:
            CouldNotRun: Ray is not available or has no room for a worker in time, or no worker can open the model.
        """
        for worker in self._workers:  # started for another adapter
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
        """Yield one completion per request, in any order, even if workers die.

        Raises:
            CouldNotRun: a worker failed, or several died in a row without an output.
            Refused: a worker has another model, adapter or engine than `expected`.
        """
        waiting = deque(map(_Batch, batches_for(requests, self._options.workers)))
        for worker in self._workers:
            self._greet(worker, adapter)
        deaths = 0  # of workers without a batch
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
                self._dismiss(worker)  # the caller has stopped, and a stream cannot be resumed by another

    def stop(self) -> None:
        """End the workers, and Ray if it was started or joined here."""
        while self._workers:
            self._dismiss(self._workers[-1])
        if self._is_ours:
            self._ray.shutdown()
        self._ray, self._is_ours = None, False

    def _fill(self, adapter: Path | None) -> None:
        """Start missing workers, and let them open the model."""
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
        """Connect to the named cluster, or start Ray for this run only."""
        address = self._options.address or os.environ.get("RAY_ADDRESS") or LOCAL
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        if address == LOCAL and "RAY_AUTH_MODE" not in os.environ:
            # its ports are open to the network, and without a token any client could run code
            # only a token: with one, Ray sets the mode itself, even if it was imported before
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray = need("ray")
        if ray.is_initialized():  # the caller that started it ends it
            return ray
        if "://" in address:  # Ray's client, which delivers no output before all are finished
            raise CouldNotRun(
                f"--tg-ray-address {address}: expected HOST:PORT, found the address of Ray's client; start the run on "
                "a machine of the cluster"
            )
        cpus = self._options.workers * self._options.cpus
        here = {"num_cpus": cpus, "include_dashboard": False} if address == LOCAL else {}
        logging.getLogger("ray").setLevel(logging.ERROR)  # now, for messages before it reads `logging_level`
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
        """A worker that has something to deliver, or is dead."""
        owing = [worker for worker in self._workers if worker.owes is not None]
        # the time of a batch is not limited
        seconds = None if any(worker.batch for worker in owing) else OPEN_SECONDS
        ready, _ = self._ray.wait([worker.owes for worker in owing], timeout=seconds)
        if not ready:
            raise CouldNotRun(self._no_room(OPEN_SECONDS))
        found = next(worker for worker in owing if worker.owes == ready[0])
        self._workers.remove(found)
        self._workers.append(found)  # to the end, so that a quick worker does not hold up the others
        return found

    def _next_completion(self, worker: _Handle, batch: _Batch) -> Iterator[Completion]:
        """The next output of a worker's batch; none after the last, when the worker becomes free."""
        try:
            completion: Completion = self._got(worker.owes)
        except StopIteration:
            if batch.left:
                keys = listed([key for key, _ in batch.left])
                raise CouldNotRun(f"a worker ended without an output for {keys}; run it again") from None
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
        """The object that a worker delivers, or the next one of its stream.

        Raises:
            TunegateError: the worker's own error; any other error becomes a CouldNotRun.
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
    """Divide requests into batches for the workers, by key and repeat: those that start alike together, widest first.

    A batch is large enough for continuous batching, and small enough that no worker waits long for
    the last one.
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
    """Queue a dead worker's unfinished requests first; return how many workers died over them."""
    if batch is None:
        return 0
    batch.deaths += 1
    if batch.left:
        waiting.appendleft(batch)
    return batch.deaths


def _check_deaths(count: int, error: _Died) -> None:
    if count >= MOST_DEATHS:
        raise CouldNotRun(
            f"{count} workers died in a row without an output, the last with: {error}; there may be too "
            "little memory for so many: use fewer --tg-workers"
        ) from error


def check_same(found: Fingerprint, expected: Fingerprint) -> None:
    """Refuse a worker with another model or engine."""
    pairs = (("model", expected.subject, found.subject), ("engine", expected.engine, found.engine))
    for part, ours, theirs in pairs:
        if differ := [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]:
            raise Refused(
                f"a worker has another {part} than expected ({', '.join(differ)}): every machine needs "
                "the same files, at the same paths, and the same versions"
            )
