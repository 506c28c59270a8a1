"""A model on Ray workers: its files are digested here, and loaded by the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tunegate.harness.checks.base import Can
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.models.api import Completion, Fingerprint, Opened, Request
from tunegate.harness.models.local.constrained import library
from tunegate.harness.models.local.huggingface import Base, Local
from tunegate.harness.models.local.worker_pool import WorkerPool, check_same
from tunegate.harness.models.model_options import ModelOptions, RayOptions, template_from
from tunegate.harness.models.prompts import CONSTRAINED


class RayBase:
    """A model in a folder, and the workers that run it and every adapter on it."""

    def __init__(self, name: str, watch: Watch, options: ModelOptions) -> None:
        self.watch = watch
        self.here = Base(name, watch, options)  # never loaded: its digests are those that the workers must have
        self.folder = self.here.folder
        given, template = Path(name).expanduser(), options.chat_template
        there = replace(options, ray=None, chat_template=template and template_from(Path.cwd(), template))
        # a Hub id and the embedded model keep their name: each machine has its own copy
        opener = WorkerOpener(str(given.absolute()) if given.exists() else name, there)
        self.pool = WorkerPool(opener, options.ray or RayOptions())

    @property
    def notes(self) -> list[str]:
        """Messages about workers that died."""
        died = self.pool.deaths
        who = f"{died} worker{'s' if died > 1 else ''}"
        return [f"{who} died on Ray; only unfinished requests were run again"] if died else []

    def stop(self) -> None:
        """End the workers."""
        self.pool.stop()


@dataclass
class WorkerOpener:
    """Opens a model and its adapters on a worker: the `base` is loaded once for all of them."""

    name: str
    options: ModelOptions
    base: Base | None = None

    def __call__(self, adapter: Path | None) -> Local:
        """The base with an adapter, or without."""
        model = Local(self.name, quiet(), adapter, base=self.base, options=self.options)
        self.base = model.base
        return model


class RayModel(Opened):
    """A base model on workers, with at most one adapter. Several may share a `base`, and with it the workers."""

    can: frozenset[Can] = Local.can

    def __init__(
        self, name: str, watch: Watch, adapter: Path | None, rung: str, base: RayBase | None, options: ModelOptions
    ) -> None:
        self.base = base or RayBase(name, watch, options)
        self._here = Local(name, watch, adapter, rung, self.base.here)
        self._rung = rung
        self._adapter = adapter.absolute() if adapter else None

    @property
    def folder(self) -> Path:
        """The folder of the base, on this machine."""
        return self.base.folder

    @property
    def notes_at_end(self) -> list[str]:
        """Messages about workers that died."""
        return self.base.notes

    def stop(self) -> None:
        """End the workers."""
        self.base.stop()

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The model of this machine, and the engine of the workers, which must have the same model.

        Raises:
            CouldNotRun: there are no workers.
            Refused: they have another model.
        """
        # the workers do not know the prompting strategy, so their engine does not name what constrains outputs
        more = {"constraint": library()} if self._rung in CONSTRAINED else {}
        return Fingerprint(self._here.subject, {**self._there.engine, **more}, self._here.names)

    @cached_property
    def _there(self) -> Fingerprint:
        """The fingerprint that each worker must have: the model of this machine, and the first worker's engine."""
        with self.base.watch("Starting workers on Ray"):
            found = self.base.pool.fingerprint(self._adapter)
        expected = Fingerprint({**self._here.subject, "rung": "as-is"}, found.engine)
        check_same(found, expected)
        return expected

    def read(self, request: Request, completion: Completion) -> Completion:
        """See `Local.read`."""
        return self._here.read(request, completion)

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield one completion per request, even if workers die."""
        yield from self.base.pool.complete(self._adapter, requests, self._there)
