"""The options of one run, from the command line or pyproject.toml, and the checks that refuse contradictory ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import digest, same_file
from tunegate.harness.models.backends import REPLAY, Backend, backend_of, refused_with
from tunegate.harness.models.model_options import (
    CACHE_MEGABYTES,
    ModelOptions,
    RayOptions,
    RungName,
)
from tunegate.harness.models.options.settings import standing
from tunegate.harness.models.options.table import OPTIONS

if TYPE_CHECKING:
    from tunegate.harness.cases.model import UnitConfiguration
    from tunegate.harness.models.cache import Run
    from tunegate.harness.models.evaluation.shard_record import Shards
    from tunegate.harness.models.evaluation.shards import Shard

BASELINE = "baseline"
Inconclusive = Literal["block", "warn"]
#: Limits of a server.
SERVER_LIMITS = ("in-flight", "deadline", "stall", "reasoning-tokens", "requests-per-minute", "tokens-per-minute")


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch that a change is to be merged into: its baselines, and its configurations by unit."""

    baselines: Path
    configurations: Mapping[str, UnitConfiguration]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run, as given on the command line or in pyproject.toml; paths are absolute or from `root`."""

    root: Path
    model: str = "smollm2"
    adapters: tuple[Path, ...] = ()
    cases: Path = Path("fixtures")
    baselines: Path = Path("baselines")
    out: Path | None = None
    against: str | None = None
    record: bool = False
    fresh: bool = False
    noise: bool = False
    requests: Path | None = None
    rung: RungName = "as-is"
    sealed: bool = False
    repeats: int = 1
    inconclusive: Inconclusive = "block"
    timing: bool = False
    ledger_remote: str | None = None
    opened: ModelOptions = field(default_factory=ModelOptions)
    cache_size: int = CACHE_MEGABYTES
    shard: Shard | None = None
    shards: Shards | None = None  # shards to merge: they supply the outputs, no model runs
    limit: int | None = None  # maximum number of requests
    configurations: Mapping[str, UnitConfiguration] = field(default_factory=dict)  # instead of the fixtures', by unit
    branch: Branch | None = None
    unrecorded: Mapping[str, Collection[str]] = field(default_factory=dict)  # cases to leave out, by unit
    added: bool = False  # record only cases of which nothing is recorded, and change no other
    anchor: str = ""  # why a record becomes the anchor
    compared_as: str = ""  # its name in `tunegate compare`: the run is for information only
    run: Run | None = None  # the run that this one belongs to
    tries: Mapping[str | None, Mapping[str, int]] = field(default_factory=dict)  # known elsewhere: by adapter and unit
    traffic: Path | None = None  # the folder of snapshots, if the command line of pytest names one

    @property
    def backend(self) -> Backend:
        """What the model's name says of it, and what opens it."""
        return backend_of(self.model)

    @property
    def replays(self) -> bool:
        """Whether supplied outputs are scored instead of a model's."""
        return self.backend.is_supplied

    @property
    def uses_baseline(self) -> bool:
        """Whether a baseline is recorded or compared with."""
        return self.record or self.against == BASELINE

    @property
    def is_local(self) -> bool:
        """Whether the model runs in this process."""
        return self.backend.is_here and not self.shards

    @property
    def asks_anew(self) -> bool:
        """Whether only outputs of this run count: a server may serve another model under the same name by now.

        So may a function, which may ask one.
        """
        gated = bool(self.against or self.shard)  # merged shards may be gated
        return self.fresh or (self.backend.is_opaque and gated)

    @contextmanager
    def counting(self, notes: list[str]) -> Iterator[Run | None]:
        """Yield the run that uses only its own outputs; None where all cached outputs count. Messages go to `notes`."""
        from tunegate.harness.models.unfinished import asking_anew  # too heavy for the plugin

        if self.run or not self.asks_anew:
            yield self.run
            return
        with asking_anew(digest(repr(self)), self.fresh, notes, self.cache_size) as run:
            yield run

    def out_of(self, adapter: Path | None) -> Path | None:
        """Path of an adapter's record under --tg-out (None: the model's own); a folder if there are several."""
        if self.out and adapter and len(self.adapters) > 1:
            return self.out / f"{adapter.name}.json"
        return self.out

    @property
    def reads(self) -> list[tuple[str, Path]]:
        """The options that name files the run reads, each with its file."""
        against = Path(self.against) if self.against and self.against != BASELINE else None
        replayed = REPLAY.split(self.model)[1] if self.replays else None
        named = {"--tg-model": replayed, "--tg-requests": self.requests, "--tg-against": against}
        merged = [("merge", path) for path in self.shards.files] if self.shards else []
        return [(name, path) for name, path in named.items() if path] + merged

    @property
    def writes(self) -> list[tuple[str, Path]]:
        """The options that name files the run writes, each with its file: the record and its sidecar."""
        from tunegate.harness.models.evaluation.sidecar import sidecar_path  # too heavy for the plugin

        records = [out for each in self.adapters or (None,) if (out := self.out_of(each)) and out.name]
        return [("--tg-out", path) for record in records for path in (record, sidecar_path(record))]

    def check(self) -> None:
        """Refuse contradictory options before any model runs.

        Raises:
            Refused: names the options and what to do.
        """
        self.backend.check(self.model)
        wrong = [
            *self._clashes(), *refused_with(self), *same_names(self.adapters), *self._bad_out(), *self._bad_shard(),
            *self._bad_merge(), *self._bad_ray(), *self._too_small(),
        ]  # fmt: skip
        if wrong:
            raise Refused("\n".join(wrong))

    def _clashes(self) -> Iterator[str]:
        if self.record and self.against:
            yield "--tg-record writes the baseline that --tg-against compares with: use one of them"
        if self.record and len(self.adapters) > 1:
            yield "--tg-record with several --tg-adapter: only the released adapter can be recorded, one at a time"
        if self.fresh and self.replays:
            yield "--tg-fresh with --tg-model replay:FILE: the outputs are supplied, no model runs"
        if self.noise and not self.record:
            yield "--tg-noise is stored with a baseline: use it with --tg-record"
        if self.noise and self.adapters:
            yield "--tg-noise with --tg-adapter: it runs the base twice; measure it without an adapter"
        if self.timing and self.replays:
            yield "--tg-timing with --tg-model replay:FILE: the outputs are supplied, there is nothing to time"
        elif self.timing and not (self.adapters or self.compared_as):
            yield "--tg-timing times a base and an adapter side by side: name one with --tg-adapter"

    def _bad_merge(self) -> Iterator[str]:
        if self.shards is None or not self.record:
            return
        who = self.shards.first.record
        if who.fingerprint["subject"].get("adapter"):
            yield "--tg-record: expected shards of a base, found shards of an adapter, which cannot be a baseline"
        if who.is_supplied:
            yield "--tg-record: supplied outputs are recorded from their file: tunegate record --from FILE"

    def _bad_ray(self) -> Iterator[str]:
        here, ray = "--tg-engine ray", self.opened.ray
        if ray is None:
            return
        if why := self.backend.off_workers:
            yield f"{here} with --tg-model {self.model}: {why}"
        if self.timing:
            yield f"{here} with --tg-timing: timing runs one call after another in this process"

    def _bad_shard(self) -> Iterator[str]:
        here = f"--tg-shard {self.shard}"
        if self.shard is None:
            return
        if self.out is None:
            yield f"{here}: expected a file to write it to, found none; name one with --tg-out SHARD.json"
        if self.against:
            yield f"{here} with --tg-against: a shard has no verdict; run tunegate merge --against"
        if self.record:
            yield f"{here} with --tg-record: a shard is no baseline; run tunegate merge --record"
        if self.timing:
            yield f"{here} with --tg-timing: timing compares base and adapter side by side, not a share of the cases"
        if len(self.adapters) > 1:
            yield f"{here} with several --tg-adapter: run each adapter separately, in a matrix of adapters and shards"

    def _bad_out(self) -> Iterator[str]:
        several = len(self.adapters) > 1
        if self.out and self.out.is_dir() and not several:
            yield f"--tg-out {show_path(self.out)}: expected a file for one record, found a folder; name a file in it"
        if self.out and self.out.is_file() and several:
            yield f"--tg-out {show_path(self.out)}: expected a folder for several records, found a file; name a folder"
        for name, path in self.writes:
            if named := same_file(path, self.reads):
                yield f"{name}: expected a file of its own, found that {named} reads {show_path(path)}; name another"

    def _too_small(self) -> Iterator[str]:
        given = {name: getattr(self.opened, name.replace("-", "_")) for name in (*SERVER_LIMITS, "max-model-len")}
        if ray := self.opened.ray:
            given |= {"workers": ray.workers, "worker-cpus": ray.cpus, "worker-gpus": ray.gpus}
        for name, value in {"repeats": self.repeats, **given}.items():
            least = OPTIONS[name].least or 0
            if value is not None and value < least:
                yield f"--tg-{name}: expected a whole number from {least}, found {value}"


def same_names(adapters: Iterable[Path]) -> Iterator[str]:
    """Messages for adapters that share a name: node ids and record files carry only the folder's name."""
    for name, count in Counter(adapter.name for adapter in adapters).items():
        if count > 1:
            yield f"--tg-adapter: expected folders of different names, found {count} named {name!r}; rename them"


def standing_options(root: Path, given: Mapping[str, Any] = MappingProxyType({})) -> Options:
    """The options of a run of the project in `root`: those `given` by name, and the project's for all others.

    Raises:
        Refused: a setting is invalid.
    """
    stands = standing(root) | dict(given)
    names = (
        "device", "dtype", "tokenizer", "attention", "quantization", *SERVER_LIMITS, "chat-template",
        "reasoning-effort", "max-model-len", "tool-format",
    )  # fmt: skip
    ray = RayOptions(*(stands[name] for name in ("workers", "worker-cpus", "worker-gpus", "ray-address")))
    opened = ModelOptions(
        **{name.replace("-", "_"): stands[name] for name in names}, ray=ray if stands["engine"] == "ray" else None
    )
    of_run = ("model", "cases", "baselines", "rung", "repeats", "inconclusive", "cache-size", "ledger-remote")
    return Options(root, opened=opened, **{name.replace("-", "_"): stands[name] for name in of_run})
