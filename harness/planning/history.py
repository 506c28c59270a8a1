"""What earlier runs tell of a unit: how many cases flip where nothing changed, how far scores move, what passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunegate.harness.baselines.store import Baseline, baseline_path, read_baseline
from tunegate.harness.cases.model import Task, Unit
from tunegate.harness.checks.base import Kind
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.evaluation.record import Record, Result
from tunegate.harness.planning.costs import Calls, calls_of
from tunegate.harness.statistics.critical_values import critical_value
from tunegate.harness.statistics.paired import wilson
from tunegate.harness.statistics.sample_size import BOUND_LEVEL, flip_rate_bound, measured_noise

# The share of cases that flip between two tunes of equal quality, where none was measured: a guess, and no more. The
# demo's general questions flip 20 %.
USUAL_FLIP_RATE = 0.04
USUAL_FLIP_RATES = (0.02, 0.1)  # of most units; what is assumed may be wrong by as much
COSTS_ASSUMED = "Costs of two models assumed as far apart as those of two outputs of the baseline"


@dataclass(frozen=True)
class Past:
    """Where to look: a record judged against another, and one model's folder of baselines.

    `flip_rate`, in [0, 1), is assumed instead of what they tell. `outputs` a case are planned for: None as many as were
    given.
    """

    record: Record | None = None
    folder: Path | None = None
    flip_rate: float | None = None
    outputs: int | None = None


@dataclass(frozen=True)
class Seen:
    """What is known of a unit before the next run.

    `spread` is the flip rate to plan for, a measured one at its upper bound; for continuous scores it is the standard
    deviation of the paired change, None if unknown. `source` says in words where it is from; a flip rate that
    `is_assumed` is a guess. `rate` is the baseline's mean score, `released_rate` that of the last release. `noise` is
    the part of the spread's variance that one model's answers to one case make by themselves, for single answers; None
    where nobody compared them. The spread is that of `outputs` a case. `armed` is how many critical cases the baseline
    passes; None without one. `calls` are those that a cost unit prices.
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

    def with_outputs(self, kind: Kind, outputs: int) -> Seen:
        """The same for another number of answers a case: of the noise their mean keeps a k-th."""
        if self.spread is None or outputs == self.outputs:
            return self
        if self.noise is None:
            return replace(self, source=f"{self.source}; how one model's answers to a case vary was never measured")
        variance = self.spread if kind == "pass/fail" else self.spread**2
        less = self.noise * (1 / self.outputs - 1 / outputs)
        # noise is an estimate: no more of the variance may go than all of it would
        left = max(variance - less, variance * min(1.0, self.outputs / outputs))
        spread = left if kind == "pass/fail" else math.sqrt(left)
        return replace(self, spread=spread, outputs=outputs, source=f"{self.source}; for {outputs} answers a case")


def find_past(
    baselines: Path,
    tasks: Sequence[Task],
    record: Record | None = None,
    flip_rate: float | None = None,
    outputs: int | None = None,
) -> Past:
    """Find the model whose baselines count: the record's, else the only one.

    Args:
        baselines: the folder of all baselines, or that of one model in it.
        tasks: all tasks of the fixtures.
        record: a record to measure from.
        flip_rate: what to assume instead.
        outputs: how many outputs per case to plan for.

    Raises:
        UsageError: several models have baselines of these units, or the flip rate cannot be.
        Refused: the record was not judged against anything.
    """
    if flip_rate is not None and not 0 <= flip_rate < 1:
        raise UsageError(f"--flip-rate: expected a share from 0 to below 1, such as .04 for 4 %, found {flip_rate:g}")
    if record and not record.verdicts:
        name = show_path(record.path) if record.path else "the record"
        raise Refused(
            f"{name}: expected a record judged with --tg-against, found no verdict: a flip rate takes two models"
        )
    if record:
        slug = str(record.fingerprint["subject"].get("model"))
        return Past(record, baselines if baselines.name == slug else baselines / slug, flip_rate, outputs)
    folders = model_folders(baselines, tasks)
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise UsageError(
            f"{show_path(baselines)}: expected baselines of one model, found those of {names}; "
            f"name one: --baselines={show_path(folders[0])}"
        )
    return Past(None, folders[0] if folders else None, flip_rate, outputs)


def model_folders(baselines: Path, tasks: Sequence[Task]) -> list[Path]:
    """The folders with baselines of these units, one a model; `baselines` itself if it is one."""
    names = [f"{unit.key}.json" for task in tasks for unit in task.units]
    inside = sorted(baselines.iterdir()) if baselines.is_dir() else []
    return [folder for folder in [baselines, *inside] if any((folder / name).is_file() for name in names)]


def look_up(unit: Unit, past: Past) -> Seen:
    """What is known of a unit: from the record, else from the last release; else what is assumed.

    Raises:
        Refused: a damaged baseline.
    """
    found = _look_up(unit, past)
    return found.with_outputs(unit.kind, past.outputs or found.outputs)


def _look_up(unit: Unit, past: Past) -> Seen:
    base, released = _file(unit, past.folder), _file(unit, past.folder, released=True)
    verdict = past.record.verdicts.get(unit.key) if past.record else None
    rate = base.summary.mean if base else verdict["base"] if verdict else None
    seen = _spread(unit, past, base, released)
    sides = [each.results for each in (base, released) if each]
    sides += [past.record.of_unit(unit.key)] if past.record else []
    calls = calls_of(unit, past.folder.name if past.folder else "", sides)
    if seen.spread is None and calls and calls.spread:
        seen = Seen(calls.spread, COSTS_ASSUMED, is_assumed=True)
    given = seen.is_assumed or past.flip_rate is not None
    outputs = 1 if given else min((len(each.repeats) or 1 for side in sides for each in side.values()), default=1)
    return replace(
        seen, rate=rate, released_rate=released.summary.mean if released else None, noise=_noise(sides, base),
        outputs=outputs, armed=_armed(unit, base) if base else None, calls=calls,
    )  # fmt: skip


def _armed(unit: Unit, base: Baseline) -> int:
    """How many critical cases can break: those that the base passes, and that do not flip by themselves."""
    passed = {case for case, result in base.results.items() if result.passed}
    return len({case.id for case in unit.cases if case.critical} & passed - set(base.noise.flips if base.noise else ()))


def _spread(unit: Unit, past: Past, base: Baseline | None, released: Baseline | None) -> Seen:
    if unit.kind == "pass/fail" and past.flip_rate is not None:
        return Seen(past.flip_rate, f"Flip rate {100 * past.flip_rate:g} %, as given")
    found = _from_record(unit, past.record, base) or _from_files(unit, base, released)
    if unit.kind == "continuous":
        return found or Seen(None, "How far scores move was never measured")
    assumed = f"Flip rate {100 * USUAL_FLIP_RATE:g} %, assumed where none was measured"
    seen = found or Seen(USUAL_FLIP_RATE, assumed, is_assumed=True)
    by_itself = _by_itself(unit, base)
    # two tunes differ by what the engine does, and by more
    return max(seen, by_itself, key=lambda each: each.spread or 0.0) if by_itself else seen


def _by_itself(unit: Unit, base: Baseline | None) -> Seen | None:
    """How many cases flip where the base is asked twice; None where none did, or nobody asked."""
    if base is None or base.noise is None or not base.noise.flips:
        return None
    d = observed(unit, {case: float(case in base.noise.flips) for case in base.results})
    bound = wilson(math.fsum(d), len(d), BOUND_LEVEL).upper
    flips = f"{sum(each > 0 for each in d)} of {len(d)} flip by themselves"
    return Seen(bound, f"Flip rate {100 * bound:.1f} % at most: {flips}, the base asked twice")


def _noise(sides: Sequence[Mapping[str, Result]], base: Baseline | None) -> float | None:
    """The variance of the difference of single answers: of models that gave several, or of a base asked twice."""
    outputs = ([each.score or 0.0 for each in result.repeats] for side in sides for result in side.values())
    one = measured_noise(outputs)
    if one is not None:
        return 2 * one
    return len(base.noise.flips) / base.noise.asked if base and base.noise and base.noise.asked else None


def observed(unit: Unit, values: Mapping[str, float]) -> list[float]:
    """One number an observation from one a case: the mean of those that are one."""
    known = {case.id: case.observation for case in unit.cases}
    found: dict[tuple[str | None, ...], list[float]] = {}
    for case, value in values.items():
        found.setdefault(known.get(case, (case,)), []).append(value)
    return [math.fsum(each) / len(each) for each in found.values()]


def _file(unit: Unit, folder: Path | None, released: bool = False) -> Baseline | None:
    path = baseline_path(folder.parent, folder.name, unit.key, released) if folder else None
    return read_baseline(path, unit.key) if path and path.is_file() else None


def _from_record(unit: Unit, record: Record | None, base: Baseline | None) -> Seen | None:
    """From a record beside the baseline; without that file, from its verdict: the flips it lists, or its interval."""
    if record is None or unit.key not in record.verdicts:
        return None
    verdict, results = record.verdicts[unit.key], record.of_unit(unit.key)
    name = show_path(record.path) if record.path else "the record"
    if base and base.questions == record.questions.get(unit.key):
        return _from_results(unit, base.results, results, f"{name} against the baseline")
    if verdict["difference"] is None:
        return None
    what = f"{name} against the {verdict['reference']}"
    if unit.kind == "pass/fail":
        flips = dict.fromkeys(verdict["regressed_cases"], -1.0) | dict.fromkeys(verdict["fixed_cases"], 1.0)
        return _flipped(unit, {case: flips.get(case, 0.0) for case in results}, what)
    low, high = verdict["interval"]
    n = verdict.get("observations", verdict["n"])
    half = (high - low) / 2 / critical_value(n, verdict["margin"] / verdict["span"], verdict["level"])
    return _moved(half * math.sqrt(n), n, f"{what}, by its interval")


def _from_files(unit: Unit, base: Baseline | None, released: Baseline | None) -> Seen | None:
    """From the last release beside the baseline, where they answer the same questions."""
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
    """Nothing where not one score moved: that is no measure of how far they do."""
    return Seen(sd, f"Standard deviation of the changes {sd:.3g}, of {n}, {what}") if sd > 0 else None
