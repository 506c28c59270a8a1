"""The files of shards, and all shards of a run together as one model that replays their outputs.

The file of a shard is not a record: it has no verdict and is not accepted as one. It contains the partial record of its
cases and the questions of the whole run, so that shards of different runs can be distinguished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tunegate.harness.cases.json_schemas import published_schema
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.files import is_as_stamped, stamped, write_json
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.reading import read_json
from tunegate.harness.models.api import SERVED, Completion
from tunegate.harness.models.evaluation.record import Record, parse_record
from tunegate.harness.models.evaluation.rescoring import completions_of
from tunegate.harness.models.evaluation.shards import Shard, divide, parse_shard
from tunegate.harness.models.model_options import RungName
from tunegate.harness.models.replay import Replay


@dataclass(frozen=True)
class ShardRecord:
    """The partial `record` of one shard, and the run that it belongs to.

    `model` is the value of --tg-model, `trained` the tasks that its adapter was trained for,
    `questions` the questions of each unit with the cases of all shards.
    """

    shard: Shard
    model: str
    repeats: int
    trained: tuple[str, ...]
    questions: Mapping[str, Mapping[str, str]]
    record: Record

    def write(self, path: Path) -> None:
        """Write it atomically."""
        write_json(path, stamped({
            "schema_version": 1, "shard": str(self.shard), "model": self.model, "repeats": self.repeats,
            "trained": list(self.trained), "questions": {key: dict(each) for key, each in self.questions.items()},
            "record": self.record.as_dict(),
        }))  # fmt: skip

    @property
    def run(self) -> dict[str, Any]:
        """The properties that the shards of one run share, by their names in messages."""
        fingerprint = self.record.fingerprint
        parts = {
            "the model's": fingerprint["subject"], "the engine's": fingerprint["engine"],
            "the questions of": self.questions,
        }  # fmt: skip
        return {f"{name} {key}": value for name, part in parts.items() for key, value in part.items()} | {
            "--tg-repeats": self.repeats, "--tg-sealed": self.record.sealed, "its training tasks": self.trained,
            "the checks that rewarded it": self.record.rewards,
            "the number of shards": self.shard.count, "the served version": fingerprint["names"].get(SERVED),
        }  # fmt: skip


def read_shard(path: Path) -> ShardRecord:
    """Read the file of a shard; Refused if it is missing, truncated, edited, or not a shard."""
    data = read_json(path, "a shard (JSON), as --tg-shard writes it", published_schema("shard"))
    if not is_as_stamped(data):
        raise Refused(f"{show_path(path)}: expected a shard as it was written, found an edited one; run it again")
    try:
        shard = parse_shard(data["shard"])
    except Refused:
        raise Unreadable(path, "a shard and the number of shards, such as 3/8", repr(data["shard"])) from None
    record = parse_record(data["record"], path)
    return ShardRecord(shard, data["model"], data["repeats"], tuple(data["trained"]), data["questions"], record)


@dataclass(frozen=True)
class Shards:
    """Every shard of one run, by file."""

    files: Mapping[Path, ShardRecord]

    @property
    def first(self) -> ShardRecord:
        """The first shard, for the properties they share."""
        return next(iter(self.files.values()))

    @property
    def rung(self) -> RungName:
        """The prompting strategy of the run."""
        return cast("RungName", self.first.record.rung)

    @property
    def near(self) -> dict[str, Any]:
        """What is known of the cases that training rows come near; a shard names those of its own units only."""
        records = [each.record for each in self.files.values()]
        by_unit = {
            name: {unit: cases for record in records for unit, cases in getattr(record, name).items()}
            for name in ("near", "near_claimed")
        }
        return {**by_unit, "near_among_rows": self.first.record.near_among_rows}

    def model(self, units: Sequence[Unit]) -> Replay:
        """Return a model that replays the outputs of the shards for `units`.

        Refused if the fixtures changed, or a shard contains other cases than its own; lists all problems.
        """
        wrong = [*_other_questions(self.first.questions, units), *self._other_configurations(units)]
        if not wrong:
            divided = divide(units, self.first.shard.count, self.rung, self.first.repeats)
            for path, each in self.files.items():
                wrong += _other_cases(path, each, divided)
        if wrong:
            raise Refused("\n".join(wrong))
        outputs: dict[tuple[str, int], Completion] = {}
        for each in self.files.values():
            outputs |= completions_of(units, each.record)
        return Replay(outputs, self.first.record.run_by)

    def _other_configurations(self, units: Sequence[Unit]) -> Iterator[str]:
        """The shards that ran with another prompt or decoding than the fixtures have now."""
        now = {unit.key: unit.configuration.as_dict() for unit in units}
        for path, each in self.files.items():
            for unit, configuration in each.record.configurations.items():
                if unit in now and configuration != now[unit]:
                    yield (
                        f"{show_path(path)}: {unit} ran with another prompt or decoding than the fixtures have; "
                        "run it again"
                    )


def read_shards(paths: Sequence[Path]) -> Shards:
    """Read the shards of one run; Refused with every one that is unreadable, of another run, duplicate or missing."""
    wrong, found = [], dict[Path, ShardRecord]()
    for path in paths:
        try:
            each = read_shard(path)
        except Refused as error:
            wrong.append(str(error))
            continue
        if twice := next((other for other, one in found.items() if one.shard == each.shard), None):
            wrong.append(f"{show_path(path)}: shard {each.shard} again, as {show_path(twice)}; name one of them")
        found[path] = each
    wrong += _other_runs(found)
    if not wrong:
        wrong += _missing(found)
    if wrong:
        raise Refused("\n".join(wrong))
    return Shards(dict(sorted(found.items(), key=lambda item: item[1].shard)))


def _other_runs(found: Mapping[Path, ShardRecord]) -> Iterator[str]:
    """Yield the shards that are not of the same run as the first one."""
    first = next(iter(found), Path())
    for path, each in found.items():
        if differ := _differing(found[first].run, each.run):
            yield (
                f"{show_path(path)}: expected a shard of the same run as {show_path(first)}, found one that differs in "
                f"{listed(differ)}; run all shards from one commit, with the same options"
            )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def _missing(found: Mapping[Path, ShardRecord]) -> Iterator[str]:
    shards = {each.shard for each in found.values()}
    if not shards:
        yield "expected the shards of a run, found none"
        return
    count = next(iter(shards)).count
    missing = [str(shard) for number in range(count) if (shard := Shard(number + 1, count)) not in shards]
    if missing:
        yield f"expected all {count} shards, found no {listed(missing)}; run the missing shards, or name their files"


def _other_questions(questions: Mapping[str, Mapping[str, str]], units: Sequence[Unit]) -> Iterator[str]:
    """Yield the differences between the questions of the fixtures and those of the shards."""
    known = {unit.key: unit.questions for unit in units}
    for key in dict.fromkeys([*questions, *known]):
        if key not in known:
            yield f"{key}: expected a unit of the fixtures, found it only in the shards (deleted? renamed?)"
        elif key not in questions:
            yield f"{key}: expected outputs in the shards, found none; run all of them again"
        elif differ := _differing(questions[key], known[key]):
            yield f"{key}: the shards were run with other {listed(differ)} than the fixtures have; run them again"


def _other_cases(path: Path, each: ShardRecord, divided: Sequence[Mapping[str, set[str]]]) -> Iterator[str]:
    """Yield the differences between the cases of a shard and those assigned to it."""
    own = {f"{unit}/{case}" for unit, cases in divided[each.shard.number - 1].items() for case in cases}
    found, name = each.record.cases.keys(), f"{show_path(path)}: shard {each.shard}"
    if missing := sorted(own - found):
        yield f"{name}: expected its case{'s' if len(missing) > 1 else ''} {listed(missing)}, found none; run it again"
    if foreign := sorted(found - own):
        yield f"{name}: expected only its own cases, found also {listed(foreign)}; run it again"
