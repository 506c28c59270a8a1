"""Records: the results of a run, as JSON that is written atomically at its end."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Unit
from tunegate.harness.cases.rewarding import RewardingCheck
from tunegate.harness.checks.base import FieldCount, Finding, Kind
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import digest_in_parts, is_as_stamped, json_by_line, write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.core.reading import read_json, schema_mistakes
from tunegate.harness.core.typed import OPTIONAL, UNWRITTEN, Count, Number, Share, as_data, read_as
from tunegate.harness.models.adapters import Adopted
from tunegate.harness.models.api import SUPPLIED, SUPPLIED_SCORES, Completion, Fingerprint, Finish, LogProbs
from tunegate.harness.models.evaluation.field_rates import FieldRate
from tunegate.harness.models.evaluation.run_facts import Reference, RescoredUnit, RunAgain, Timing
from tunegate.harness.models.evaluation.verdict import Claim, TaskDecision, UnitVerdict

SCHEMA_VERSION = 3
A_RECORD = "a record (JSON)"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one case. `score` is None if unscored; `passed` is None for continuous units.

    `reasoning` is the text of a thinking model before its output. `logprobs` replace the output if
    a case asks for the likelihood of texts. With `repeats`, `score` is their mean, and `passed` is
    True if all passed.
    """

    passed: bool | None = field(default=None, metadata=OPTIONAL)
    score: float | None = None
    findings: tuple[Finding, ...] = ()
    rates: Mapping[str, bool] = field(default_factory=dict, metadata=OPTIONAL)
    output: str | None = None
    tokens_in: int | None = field(default=None, metadata=OPTIONAL)
    tokens_out: int | None = field(default=None, metadata=OPTIONAL)
    finish: Finish | None = field(default=None, metadata=OPTIONAL)
    generation: str = field(default="", metadata=OPTIONAL)
    repeats: tuple[Result, ...] = field(default=(), metadata=OPTIONAL)
    logprobs: LogProbs = field(default=(), metadata=OPTIONAL)
    reasoning: str = field(default="", metadata=OPTIONAL)
    fields: Mapping[str, FieldCount] = field(default_factory=dict, metadata=OPTIONAL)

    @property
    def field_names(self) -> set[str]:
        """The fields of its outputs."""
        return {name for each in self.repeats or (self,) for name in each.fields}

    @property
    def parts(self) -> dict[str, float]:
        """Each yes/no question and each field with the share of outputs that meet it: 0 or 1 without repeats."""
        if not self.repeats:
            return {**{name: float(count.is_right) for name, count in self.fields.items()}, **self.rates}
        outputs = [each.parts for each in self.repeats]
        names, fields = dict.fromkeys(name for parts in outputs for name in parts), self.field_names
        # if some outputs have an unexpected field, those without it are right
        return {name: sum(parts.get(name, name in fields) for parts in outputs) / len(outputs) for name in names}

    @property
    def missed(self) -> Result:
        """Its first failed output, whose findings are shown."""
        return next((each for each in self.repeats if not each.passed), self)

    @property
    def first(self) -> Result:
        """Its first output."""
        return self.repeats[0] if self.repeats else self

    def as_completion(self, key: str, repeat: int = 0) -> Completion:
        """Return the scored completion, to score it again."""
        return Completion(
            key, self.output, self.tokens_in, self.tokens_out, finish=self.finish, repeat=repeat,
            generation=self.generation, logprobs=self.logprobs, reasoning=self.reasoning,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """One unit in numbers: `mean` of the scored cases, its 95 % `interval`, the rates of its questions and fields.

    `rates_of` holds the number of cases of each rate that is not over all cases. `never` holds the
    field values that no output has right, each with the number of cases that expect it.
    """

    suite: str
    kind: Kind
    n: Count
    unscored: Count
    mean: float | None
    interval: tuple[float, float] | None
    rates: Mapping[str, float]
    tokens: tuple[float, float] | None = None
    fields: Mapping[str, FieldRate] = field(default_factory=dict, metadata=OPTIONAL)
    rates_of: Mapping[str, Number] = field(default_factory=dict, metadata=OPTIONAL)
    never: tuple[tuple[str, str, Number], ...] = field(default=(), metadata=OPTIONAL)

    @property
    def cases_of_rates(self) -> dict[str, int]:
        """The number of cases of each rate."""
        return {name: self.rates_of.get(name, self.n) for name in self.rates}


@dataclass(frozen=True, slots=True)
class Noise:
    """The result of re-running a unit's cases: how many were `asked`, and how many gave `other_outputs`.

    `flips` are the ids of the cases with another result: passed once and failed once, or with another score.
    """

    asked: Count
    other_outputs: Count
    flips: tuple[str, ...]

    def __str__(self) -> str:
        flip = "flip" if len(self.flips) > 1 else "flips"
        which = f" ({listed(self.flips)})" if self.flips else ""
        return (
            f"{len(self.flips) or 'none'} of {self.asked} cases {flip} on a re-run{which}; "
            f"{self.other_outputs} outputs differ"
        )


@dataclass(frozen=True)
class Record:
    """A run: the model (`fingerprint`), the questions, the results, the verdicts and the decisions.

    Attributes:
        configurations: prompt, worked examples and decoding, by unit (`UnitConfiguration`).
        scorers: the versions of the checks and libraries that scored each unit.
        policies: the declarations of task.yaml at the time, by unit.
        claims: the cost comparisons, by cost unit.
        timing: the measurements of --tg-timing, for information only.
        rescored: by reference, the units scored before by another version of a check, and the changes.
        engines: the references re-run on this engine, and what the engine changed (see engines.py).
        references: what it was compared with, by name (see compared.py).
        sealed_evaluations: by unit, the number of configurations that its cases were run with, including this one.
        noise: the results of re-runs, by unit.
        sidecar: the digest of the sidecar (see sidecar.py).
        inconclusive: whether inconclusive units block or warn.
        near: by unit, the cases that the adapter's training rows come near; their gains prove nothing.
        near_claimed: those of them that only the adapter's own training record names.
        near_among_rows: the share of its rows that come near another row; None if they were not searched here.
        adopted: what is known of the training data of an adapter that was trained elsewhere, a key of `ADOPTED`.
        rewards: the checks that the adapter was rewarded by; what they saw is no evidence of a gain.
        compared_as: its name in `tunegate compare`; such a record is for information only.
        shared: of a reference that has only some of a unit's cases unchanged, their ids, by unit. No file holds it.
    """

    partial: bool
    fingerprint: Mapping[str, Any]
    questions: Mapping[str, Mapping[str, str]]
    cases: Mapping[str, Result]
    units: Mapping[str, Summary]
    verdicts: Mapping[str, UnitVerdict] = field(default_factory=dict)
    tasks: Mapping[str, TaskDecision] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    timing: Timing | None = None
    configurations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scorers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rescored: Mapping[str, Mapping[str, RescoredUnit]] = field(default_factory=dict)
    engines: Mapping[str, RunAgain] = field(default_factory=dict, metadata=OPTIONAL)
    references: Mapping[str, Reference] = field(default_factory=dict, metadata=OPTIONAL)
    sealed_evaluations: Mapping[str, Number] = field(default_factory=dict)
    noise: Mapping[str, Noise] = field(default_factory=dict)
    adapter: str | None = None
    created: str = ""
    sealed: bool = False
    sidecar: str = ""
    inconclusive: Literal["block", "warn"] = "block"
    near: Mapping[str, Sequence[str]] = field(default_factory=dict, metadata=OPTIONAL)
    near_claimed: Mapping[str, Sequence[str]] = field(default_factory=dict, metadata=OPTIONAL)
    near_among_rows: Share | None = field(default=None, metadata=OPTIONAL)
    adopted: Adopted = field(default="", metadata=OPTIONAL)
    rewards: tuple[RewardingCheck, ...] = field(default=(), metadata=OPTIONAL)
    compared_as: str = field(default="", metadata=OPTIONAL)
    shared: Mapping[str, Collection[str]] = field(default_factory=dict, metadata=UNWRITTEN)
    path: Path | None = field(default=None, compare=False, metadata=UNWRITTEN)

    @property
    def run_by(self) -> Fingerprint:
        """The fingerprint of the model and engine."""
        who = self.fingerprint
        return Fingerprint(who["subject"], who["engine"], who.get("names", {}))

    @property
    def rung(self) -> str:
        """The prompting strategy."""
        return str(self.fingerprint["subject"].get("rung", "as-is"))

    @property
    def is_supplied(self) -> bool:
        """Whether its outputs were supplied, not generated by a run."""
        return bool(self.fingerprint["engine"].get("backend") == SUPPLIED)

    @property
    def has_supplied_scores(self) -> bool:
        """Whether its scores are those of another tool: not re-scored, never released."""
        return bool(self.fingerprint["engine"].get("backend") == SUPPLIED_SCORES)

    @property
    def repeats(self) -> int:
        """The largest number of outputs per case."""
        return max((len(result.repeats) for result in self.cases.values()), default=0) or 1

    def part_of(self, unit: Unit) -> Unit:
        """Return a unit with the cases that it shares with this reference: all, unless the reference says otherwise."""
        return unit.with_cases(self.shared[unit.key]) if unit.key in self.shared else unit

    def of_unit(self, unit: str) -> dict[str, Result]:
        """Return the results of one unit, by case id."""
        return self.by_unit.get(unit, {})

    @cached_property
    def by_unit(self) -> dict[str, dict[str, Result]]:
        """The results by unit key and case id."""
        found: dict[str, dict[str, Result]] = {}
        for key, result in self.cases.items():
            unit, _, case = key.rpartition("/")
            found.setdefault(unit, {})[case] = result
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON data, by the published schema."""
        return {**self._head(), "cases": as_data(self.cases), "digest": self.digest}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the content of its file."""
        return digest_in_parts({**self._head(), "cases": _Results(self.cases)})

    def _head(self) -> dict[str, Any]:
        """Return the content of its file without the cases and the digest."""
        head: dict[str, Any] = as_data(replace(self, cases={}))
        del head["cases"]
        return {"schema_version": SCHEMA_VERSION, **head}

    def write(self, path: Path) -> Record:
        """Write it atomically, one case per line; return the record with its path."""
        opening = json.dumps(self._head() | {"digest": self.digest}, indent=1, allow_nan=False)
        write_atomically(path, json_by_line(opening, "cases", _Results(self.cases).items()))
        return self.at(path)

    def at(self, path: Path) -> Record:
        """Return the same record with its file at `path`."""
        found = replace(self, path=path)
        found.__dict__["digest"] = self.digest  # computed once: for 100,000 cases it takes seconds
        return found


class _Results(Mapping[str, dict[str, Any]]):
    """The results in their form in a record, converted on access: all at once take ten times the memory."""

    def __init__(self, cases: Mapping[str, Result]) -> None:
        self._cases = cases

    def __getitem__(self, key: str) -> dict[str, Any]:
        return cast("dict[str, Any]", as_data(self._cases[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)


@no_collection()
def read_record(path: Path) -> Record:
    """Read a record; Refused if the file is missing, truncated, edited, or not a record."""
    data = read_json(path, A_RECORD)
    if isinstance(data, dict) and "shard" in data:
        raise Refused(
            f"{show_path(path)}: expected a record, found a shard of one ({data['shard']!s:.20}), which has no "
            "verdict and cannot be a reference; merge all shards: tunegate merge SHARD.json ... --out RECORD.json"
        )
    return parse_record(data, path)


def parse_record(data: Any, path: Path) -> Record:
    """Parse a record from the JSON form of the file at `path`; Refused if it is not a record, or was edited."""
    if mistakes := schema_mistakes(data, published_schema("record")):
        raise Unreadable(path, A_RECORD, "; ".join(mistakes))
    if not is_as_stamped(data):
        raise Refused(f"{show_path(path)}: expected a record as it was written, found an edited one; evaluate again")
    read = read_as(data, Record, path, A_RECORD)
    read.__dict__["digest"] = data["digest"]  # verified above
    record = read.at(path)
    if torn := next(_torn(record), ""):
        raise Refused(f"{show_path(path)}: expected a record whose parts belong together, found {torn}; evaluate again")
    return record


def _torn(record: Record) -> Iterator[str]:
    """Yield the inconsistencies between parts of a record, which no schema can express."""
    units = record.units.keys()
    for name, part in (
        ("questions", record.questions),
        ("configuration", record.configurations),
        ("policies", record.policies),
    ):
        yield from (f"no {name} of {unit}" for unit in units - part.keys())
    yield from (f"cases of {unit}, which is not a unit of it" for unit in record.by_unit.keys() - units)
    for unit, each in record.units.items():
        yield from odd_scores(unit, each, record.of_unit(unit))
    for unit, verdict in record.verdicts.items():
        if unit not in units:
            yield f"a verdict on {unit}, which is not a unit of it"
        if verdict.unit != unit:
            yield f"a verdict on {verdict.unit} as that on {unit}"
        yield from (f"no result of {unit}/{case}" for case in verdict.before.keys() - record.of_unit(unit).keys())
    for name, asked in record.engines.items():
        yield from (
            f"a re-run of {unit} by the {name}, which is not a unit of it" for unit in asked.units.keys() - units
        )
    for unit, claimed in record.near_claimed.items():
        if odd := sorted(set(claimed) - set(record.near.get(unit, ()))):
            yield f"{unit}/{odd[0]} as claimed to be near, and not as near"
    yield from (f"noise of {unit}, which is not a unit of it" for unit in record.noise.keys() - units)
    for unit, noise in record.noise.items():
        yield from odd_noise(unit, noise, record.of_unit(unit))


def odd_scores(unit: str, summary: Summary, results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the pass/fail scores outside 0 to 1."""
    if summary.kind == "pass/fail":
        yield from (
            f"the score {each.score} of {unit}/{case}, which passes or fails"
            for case, result in results.items()
            for each in (result, *result.repeats)
            if each.score is not None and not 0 <= each.score <= 1
        )


def odd_noise(unit: str, noise: Noise, results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the impossible values in the noise of a unit."""
    if unknown := sorted(set(noise.flips) - results.keys()):
        yield f"a flip of {unit}/{unknown[0]}, which is not a case of it"
    if len(set(noise.flips)) < len(noise.flips):
        yield f"a case of {unit} that flips twice"
    if not len(noise.flips) <= noise.asked <= len(results) or noise.other_outputs > noise.asked:
        yield (
            f"{len(noise.flips)} flips and {noise.other_outputs} other outputs of {noise.asked} cases of {unit}, which "
            f"has {len(results)}"
        )


def results_of(record: Record) -> Iterator[tuple[str, int, Result]]:
    """Yield every output of a record as (case key, repeat, result)."""
    for key, result in record.cases.items():
        for repeat, each in enumerate(result.repeats or (result,)):
            yield key, repeat, each
