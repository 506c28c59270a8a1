"""Re-run cases before a release, since an output in a file is a claim until the model reproduces it here.

Records, baselines and caches are files, and write access to them is enough to forge any outcome, digest included. So a
release re-runs base and adapter with caching disabled: all critical and all sealed cases, and a sample of the others.
The system's random source draws the sample once the record is fixed. Its size is chosen so that, with a probability
of 95 %, the fewest changed outcomes that would turn the decision, or a twentieth of a unit's cases if that is fewer,
are detected. Outcomes are compared, not texts.
"""

from __future__ import annotations

import math
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tunegate.harness.cases.model import Case, Task, Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.progress import Watch
from tunegate.harness.gate import rule as gate
from tunegate.harness.models.api import Model
from tunegate.harness.models.evaluation.noise import is_same_outcome
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.scoring import evaluate, summarize

SHARE = 0.05  # of a unit's cases: this many changed ones are detected even if they turn nothing
MISSED = 0.05  # probability per unit to miss the fewest changed outcomes that turn the decision


def ask_again(
    tasks: Sequence[Task],
    candidate: Record,
    references: Mapping[str, Record],
    trained: Sequence[str],
    models: Mapping[str, Model],
    watch: Watch,
) -> tuple[Record, dict[str, Record], str]:
    """Re-run both sides of a decision to release.

    `models` are by the name of the reference, that of the adapter is `adapter`. The candidate,
    which the gate releases, and the references were scored again; references without a model are
    not re-run. `trained` are the tasks that the adapter was trained for.

    Returns:
        Both sides with the new outputs in place of the recorded ones, and the line that the model card quotes.

    Raises:
        Refused: an outcome differs, or a critical case fails now.
        CouldNotRun: a model does not respond.
    """
    chosen = _chosen(tasks, candidate, references, trained)
    units = [_narrowed(unit, chosen) for task in tasks for unit in task.units if unit.key in candidate.units]
    units = [unit for unit in units if unit.cases]
    sides = {"adapter": candidate, **{name: references[name] for name in models if name != "adapter"}}
    fresh, wrong = {}, []
    for name, record in sides.items():
        # the base was evaluated on sealed cases for this release only, and no file holds its outputs
        asked = units if name == "adapter" else [unit for unit in units if not unit.sealed]
        again = evaluate(asked, models[name], watch, record.repeats, partial=True)
        differ = [key for key, result in again.cases.items() if _differs(key, result, record.cases[key], candidate)]
        fresh[name] = _with(record, again, tasks)
        if differ:
            wrong.append(
                f"the {name}: {len(differ)} of {len(again.cases)} cases have another outcome than in its record: "
                f"{listed(differ)}"
            )
    wrong += list(_critical_misses(units, fresh["adapter"], references))
    if wrong:
        raise Refused(
            "re-run with caching disabled, " + "\n".join(wrong) + "\nthe records are forged, or from another machine; "
            "evaluate again here: pytest fixtures/ --tg-record --tg-fresh, then --tg-adapter=DIR --tg-against=baseline "
            "--tg-fresh"
        )
    compared = {name: fresh.get(name, record) for name, record in references.items()}
    said = f"re-run with caching disabled: {len(chosen)} cases of base and adapter; other outcomes: none"
    return fresh["adapter"], compared, said


def _differs(key: str, now: Result, before: Result, candidate: Record) -> bool:
    """Whether the outcome differs, as a whole or in a gated part."""
    parts = _gated_parts(candidate, key.rpartition("/")[0])
    return not is_same_outcome(now, before) or any(now.parts.get(part) != before.parts.get(part) for part in parts)


def _gated_parts(candidate: Record, unit: str) -> tuple[str, ...]:
    return tuple(candidate.policies.get(unit, {}).get("parts", ()))


def _critical_misses(units: Sequence[Unit], now: Record, references: Mapping[str, Record]) -> Iterator[str]:
    """Critical cases that fail now, and passed for at least one reference."""
    for unit in units:
        for case in unit.cases:
            before = [each.cases[case.key] for each in references.values() if case.key in each.cases]
            if case.critical and now.cases[case.key].passed is False and any(each.passed for each in before):
                yield f"the adapter fails a critical case: {case.key}"


def _with(record: Record, again: Record, tasks: Sequence[Task]) -> Record:
    """A record with its outputs replaced by the new ones."""
    cases = {key: again.cases.get(key, result) for key, result in record.cases.items()}
    units = {
        unit.key: summarize(unit, [cases[case.key] for case in unit.cases])
        for task in tasks for unit in task.units if unit.key in record.units
    }  # fmt: skip
    return replace(record, cases=cases, units=units)


def _narrowed(unit: Unit, chosen: set[tuple[str, str]]) -> Unit:
    return replace(unit, cases=tuple(case for case in unit.cases if (unit.of or unit.key, case.id) in chosen))


def _chosen(
    tasks: Sequence[Task], candidate: Record, references: Mapping[str, Record], trained: Sequence[str]
) -> set[tuple[str, str]]:
    """The cases to re-run, as (unit, case); a case of a derived unit counts for the unit that it derives from."""
    chosen: set[tuple[str, str]] = set()
    draw = secrets.SystemRandom().sample
    for unit in (unit for task in tasks for unit in task.units if unit.key in candidate.units):
        certain = [case for case in unit.cases if case.critical or unit.sealed]
        others = [case for case in unit.cases if not (case.critical or unit.sealed)]
        share = max(1, int(SHARE * len(others)))
        changed = fewest_turning(tasks, candidate, references, trained, unit, others, share)
        drawn = draw(others, sample_size(len(others), changed))
        chosen |= {(unit.of or unit.key, case.id) for case in [*certain, *drawn]}
    return chosen


def sample_size(cases: int, changed: int) -> int:
    """The number of `cases` to draw to find one of the `changed` ones 95 % of the time; all, if necessary."""
    sizes = range(1, cases)  # the whole number of cases is the fallback
    return bisect_left(sizes, 1 - MISSED, key=lambda size: found(cases, changed, size)) + 1 if cases else 0


def found(cases: int, changed: int, drawn: int) -> float:
    """The probability that one of the `changed` cases is among those drawn (hypergeometric)."""
    return 1 - math.comb(cases - changed, drawn) / math.comb(cases, drawn)


def fewest_turning(
    tasks: Sequence[Task],
    candidate: Record,
    references: Mapping[str, Record],
    trained: Sequence[str],
    unit: Unit,
    cases: Sequence[Case],
    most: int,
) -> int:
    """The smallest number of these cases of a unit whose failure would turn the decision; `most` if no fewer."""
    worst = min((each.score or 0.0 for record in (candidate, *references.values())
                 for each in record.of_unit(unit.key).values()), default=0.0)  # fmt: skip
    parts = _gated_parts(candidate, unit.key)
    order = sorted(cases, key=lambda case: -_loss(case.key, candidate, references, worst, parts))

    def turns(count: int) -> bool:
        failed = {case.key: _failed(candidate.cases[case.key], unit, worst) for case in order[:count]}
        changed = {**candidate.cases, **failed}
        summary = summarize(unit, [changed[case.key] for case in unit.cases])
        record = replace(candidate, cases=changed, units={**candidate.units, unit.key: summary})
        decided = gate.compare(tasks, record, references, trained).tasks
        return any(each.decision != "release" for each in decided.values())

    low, high = 1, min(most, len(order))  # more failed cases never make a decision better
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if turns(middle) else (middle + 1, high)
    return low


def _loss(case: str, candidate: Record, references: Mapping[str, Record], worst: float, parts: Sequence[str]) -> float:
    """The cost of failing a case: highest where references pass or score high too, and in gated `parts`."""

    def worth(result: Result) -> float:
        return (result.score or 0.0) - worst + sum(result.parts.get(part, 0.0) for part in parts)

    before = [worth(each.cases[case]) for each in references.values() if case in each.cases]
    return worth(candidate.cases[case]) * (1 + sum(before))


def _failed(result: Result, unit: Unit, worst: float) -> Result:
    # none of its parts passes either
    rates = dict.fromkeys(result.rates, False)
    fields = {name: each._replace(right=0, expected=max(1, each.expected)) for name, each in result.fields.items()}
    if unit.kind == "continuous":
        return replace(result, score=worst, repeats=(), rates=rates, fields=fields)
    return replace(
        result, passed=False, score=0.0, repeats=tuple(_failed(each, unit, worst) for each in result.repeats),
        rates=rates, fields=fields,
    )  # fmt: skip
