"""The history of a unit from earlier runs: its flip rate, how far scores move, and its pass rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.base import Kind
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.gate.planning.costs import Calls, calls_of
from tunegate.harness.history.baselines.service import find_anchor
from tunegate.harness.history.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.history.ledger.ledger import Ledger
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.statistics.critical_values import graded_critical_value
from tunegate.harness.statistics.paired import wilson
from tunegate.harness.statistics.sample_size import BOUND_LEVEL, flip_rate_bound, measured_noise
from tunegate.harness.statistics.second_reference import Beside

# The share of cases that flip between two tunes of equal quality, if none was measured: a guess. The demo's general
# questions flip 20 %.
USUAL_FLIP_RATE = 0.04
COSTS_ASSUMED = "Costs of two models assumed to differ as much as those of two outputs of the baseline"


@dataclass(frozen=True)
class Past:
    """The sources of history: a record with verdicts, and one model's folder of baselines.

    `flip_rate`, in [0, 1), replaces the measured one. `outputs` per case are planned for; None for the same number as
    in the history. The `ledger` says what the next change is compared with; without one, with a single record.
    """

    record: Record | None = None
    folder: Path | None = None
    flip_rate: float | None = None
    outputs: int | None = None
    ledger: Ledger | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Seen:
    """The history of a unit before the next run.

    Attributes:
        spread: the flip rate to plan for, a measured one at its upper bound; for continuous scores the standard
            deviation of the paired change, None if unknown.
        source: the source of the spread, in words.
        rate: the baseline's mean score.
        is_assumed: the spread is a guess.
        released_rate: the mean score of the last release.
        noise: the part of the spread's variance due to differences between single outputs of one model for one case;
            None if not measured.
        outputs: the number of outputs per case behind the spread.
        armed: the number of critical cases that the baseline passes; None without a baseline.
        calls: those of a cost unit.
        beside: what the gate asks of the next change beside a second reference.
        is_first: the first record is in service, so that the next one in service makes it the anchor.
    """

    spread: float | None
    source: str
    rate: float | None = None
    is_assumed: bool = False
    released_rate: float | None = None
    noise: float | None = None
    outputs: int = 1
    armed: int | None = None
    calls: Calls | None = None
    beside: Beside = ""
    is_first: bool = False

    def with_outputs(self, kind: Kind, outputs: int) -> Seen:
        """Return the history for another number of outputs per case: the mean of k has a k-th of the noise."""
        if self.spread is None or outputs == self.outputs:
            return self
        if self.noise is None:
            return replace(self, source=f"{self.source}; the variance of one model's outputs per case is unknown")
        variance = self.spread if kind == "pass/fail" else self.spread**2
        less = self.noise * (1 / self.outputs - 1 / outputs)
        # noise is an estimate: limit the reduction to that of a variance that is all noise
        left = max(variance - less, variance * min(1.0, self.outputs / outputs))
        spread = left if kind == "pass/fail" else math.sqrt(left)
        return replace(self, spread=spread, outputs=outputs, source=f"{self.source}; for {outputs} outputs per case")


def find_past(
    baselines: Path,
    tasks: Sequence[Task],
    record: Record | None = None,
    flip_rate: float | None = None,
    outputs: int | None = None,
) -> Past:
    """Find the model whose baselines count: that of the record, otherwise the only one.

    `baselines` is the folder of all baselines, or that of one model in it; the rest is as in `Past`.

    Raises:
        UsageError: several models have baselines of these units, or the flip rate is invalid.
        Refused: the record has no verdicts, or the ledger is incomplete.
    """
    if flip_rate is not None and not 0 <= flip_rate < 1:
        raise UsageError(f"--flip-rate: expected a share from 0 to below 1, such as .04 for 4 %, found {flip_rate:g}")
    if record and not record.verdicts:
        name = show_path(record.path) if record.path else "the record"
        raise Refused(
            f"{name}: expected a record evaluated with --tg-against, found no verdict; a flip rate needs two models"
        )
    if record:
        slug = str(record.fingerprint["subject"].get("model"))
        folder = baselines if baselines.name == slug else baselines / slug
        return Past(record, folder, flip_rate, outputs, read_ledger(folder.parent))
    folders = model_folders(baselines, tasks)
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise UsageError(
            f"{show_path(baselines)}: expected baselines of one model, found those of {names}; "
            f"name one: --baselines={show_path(folders[0])}"
        )
    return past_of(folders[0] if folders else None, flip_rate, outputs)


def past_of(folder: Path | None, flip_rate: float | None = None, outputs: int | None = None) -> Past:
    """Return the history in one model's folder of baselines, with the ledger beside it.

    Raises:
        Refused: the ledger is incomplete.
    """
    return Past(None, folder, flip_rate, outputs, read_ledger(folder.parent) if folder else None)


def model_folders(baselines: Path, tasks: Sequence[Task]) -> list[Path]:
    """Return the folders with baselines of these units, one per model; `baselines` itself if it is one."""
    names = [f"{unit.key}.json" for task in tasks for unit in task.units]
    inside = sorted(baselines.iterdir()) if baselines.is_dir() else []
    return [folder for folder in [baselines, *inside] if any((folder / name).is_file() for name in names)]


def look_up(unit: Unit, past: Past) -> Seen:
    """Return the history of a unit from the record, otherwise from the last release, otherwise assumed.

    Raises:
        Refused: a damaged baseline.
    """
    found = _look_up(unit, past)
    return found.with_outputs(unit.kind, past.outputs or found.outputs)


def _look_up(unit: Unit, past: Past) -> Seen:
    base, released = _file(unit, past.folder), _file(unit, past.folder, released=True)
    verdict = past.record.verdicts.get(unit.key) if past.record else None
    rate = base.summary.mean if base else verdict.base if verdict else None
    seen = _spread(unit, past, base, released)
    sides = [each.results for each in (base, released) if each]
    sides += [past.record.of_unit(unit.key)] if past.record else []
    calls = calls_of(unit, past.folder.name if past.folder else "", sides)
    if seen.spread is None and calls and calls.spread:
        seen = Seen(calls.spread, COSTS_ASSUMED, is_assumed=True)
    given = seen.is_assumed or past.flip_rate is not None
    outputs = 1 if given else min((len(each.repeats) or 1 for side in sides for each in side.values()), default=1)
    beside, serving = _beside(unit, past), past.ledger and past.ledger.in_service(unit.key)
    return replace(
        seen, rate=rate, released_rate=released.summary.mean if released else None, noise=_noise(sides, base),
        outputs=outputs, armed=_armed(unit, base) if base else None, calls=calls, beside=beside,
        is_first=bool(serving and not beside),
    )  # fmt: skip


def _beside(unit: Unit, past: Past) -> Beside:
    """Return what the gate asks beside a second reference: the last release, or the anchor."""
    serving = past.ledger.in_service(unit.key) if past.ledger else None
    if not (past.ledger and past.folder and serving):
        return ""
    if past.ledger.live_releases(unit.task):
        return "not worse"  # the next change is an adapter, and the first reference its base
    oldest = find_anchor(past.folder.parent, past.ledger, unit)
    return "held" if oldest and oldest.digest != serving.files[unit.key] else ""


def _armed(unit: Unit, base: Baseline) -> int:
    """Return how many critical cases can block: those that the base passes and that do not flip on a re-run."""
    passed = {case for case, result in base.results.items() if result.passed}
    return len({case.id for case in unit.cases if case.critical} & passed - set(base.noise.flips if base.noise else ()))


def _spread(unit: Unit, past: Past, base: Baseline | None, released: Baseline | None) -> Seen:
    if unit.kind == "pass/fail" and past.flip_rate is not None:
        return Seen(past.flip_rate, f"Flip rate {100 * past.flip_rate:g} %, as given")
    found = _from_record(unit, past.record, base) or _from_files(unit, base, released)
    if unit.kind == "continuous":
        return found or Seen(None, "How far scores move was never measured")
    assumed = f"Flip rate {100 * USUAL_FLIP_RATE:g} %, assumed, as none was measured"
    seen = found or Seen(USUAL_FLIP_RATE, assumed, is_assumed=True)
    noise = _from_noise(unit, base)
    # two tunes differ at least as much as two runs of the base
    return max(seen, noise, key=lambda each: each.spread or 0.0) if noise else seen


def _from_noise(unit: Unit, base: Baseline | None) -> Seen | None:
    """Return the flip rate between two runs of the base; None if none flipped or it was not measured."""
    if base is None or base.noise is None or not base.noise.flips:
        return None
    d = observed(unit, {case: float(case in base.noise.flips) for case in base.results})
    bound = wilson(math.fsum(d), len(d), BOUND_LEVEL).upper
    flips = f"{sum(each > 0 for each in d)} of {len(d)} flip when the base is re-run"
    return Seen(bound, f"Flip rate {100 * bound:.1f} % at most: {flips}")


def _noise(sides: Sequence[Mapping[str, Result]], base: Baseline | None) -> float | None:
    """Return the variance of the difference of single outputs, from repeats or from a re-run of the base."""
    outputs = ([each.score or 0.0 for each in result.repeats] for side in sides for result in side.values())
    one = measured_noise(outputs)
    if one is not None:
        return 2 * one
    return len(base.noise.flips) / base.noise.asked if base and base.noise and base.noise.asked else None


def observed(unit: Unit, values: Mapping[str, float]) -> list[float]:
    """Return one number per observation from one per case: the mean over its cases."""
    known = {case.id: case.observation for case in unit.cases}
    found: dict[tuple[str | None, ...], list[float]] = {}
    for case, value in values.items():
        found.setdefault(known.get(case, (case,)), []).append(value)
    return [math.fsum(each) / len(each) for each in found.values()]


def _file(unit: Unit, folder: Path | None, released: bool = False) -> Baseline | None:
    path = baseline_path(folder.parent, folder.name, unit.key, released) if folder else None
    return read_baseline(path, unit.key) if path and path.is_file() else None


def _from_record(unit: Unit, record: Record | None, base: Baseline | None) -> Seen | None:
    """Measure from a record and the baseline; without a baseline from its verdict: the listed flips or the interval."""
    if record is None or unit.key not in record.verdicts:
        return None
    verdict, results = record.verdicts[unit.key], record.of_unit(unit.key)
    name = show_path(record.path) if record.path else "the record"
    if base and base.questions == record.questions.get(unit.key):
        return _from_results(unit, base.results, results, f"{name} against the baseline")
    if verdict.difference is None:
        return None
    what = f"{name} against the {verdict.reference}"
    if unit.kind == "pass/fail":
        flips = dict.fromkeys(verdict.regressed_cases, -1.0) | dict.fromkeys(verdict.fixed_cases, 1.0)
        return _flipped(unit, {case: flips.get(case, 0.0) for case in results}, what)
    if verdict.interval is None or verdict.margin is None or verdict.span is None or verdict.level is None:
        return None
    low, high = verdict.interval
    n = verdict.observations
    half = (high - low) / 2 / graded_critical_value(n, verdict.margin / verdict.span, verdict.level)
    return _moved(half * math.sqrt(n), n, f"{what}, from its interval")


def _from_files(unit: Unit, base: Baseline | None, released: Baseline | None) -> Seen | None:
    """Measure from the last release and the baseline, if they have the same questions."""
    if base is None or released is None or base.questions != released.questions:
        return None
    return _from_results(unit, base.results, released.results, "the last release against the baseline")


def _from_results(unit: Unit, before: Mapping[str, Result], after: Mapping[str, Result], what: str) -> Seen | None:
    changes = {
        case: new.score - old.score
        for case, old in before.items()
        if old.score is not None and (new := after.get(case)) and new.score is not None
    }
    if unit.kind == "pass/fail":
        return _flipped(unit, changes, what)
    values = observed(unit, changes)
    return _moved(float(np.std(values, ddof=1)), len(values), what) if len(values) > 1 else None


def _flipped(unit: Unit, changes: Mapping[str, float], what: str) -> Seen | None:
    d = observed(unit, changes)
    if not d:
        return None
    bound, worse, better = flip_rate_bound(d), sum(each < 0 for each in d), sum(each > 0 for each in d)
    return Seen(
        bound,
        f"Flip rate {100 * bound:.1f} % at most: {worse} regressed, {better} fixed of {len(d)}, {what}",
    )


def _moved(sd: float, n: int, what: str) -> Seen | None:
    """Return a history from a standard deviation; None if no score moved, which says nothing about how far they do."""
    return Seen(sd, f"Standard deviation of the changes {sd:.3g}, of {n}, {what}") if sd > 0 else None
