"""The division of a run's cases among shards: whole, disjoint, the same everywhere, and nothing parted that belongs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.authoring import PROJECT
from tests.support.records import record, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Unit
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.evaluation.shard_record import ShardRecord, Shards
from tunegate.harness.models.evaluation.shards import Shard, divide, parse_shard


def desk(root: Path, n: int = 40, **more) -> list[Unit]:
    write_desk(root, n, **more)
    return list(units_of(load_tasks(root)).values())


def keys(shard: dict[str, set[str]]) -> set[str]:
    return {f"{unit}/{case}" for unit, cases in shard.items() for case in cases}


@pytest.fixture(scope="module")
def units(tmp_path_factory) -> list[Unit]:
    return desk(tmp_path_factory.mktemp("desk"))


@given(count=some.integers(1, 40))
def test_every_case_is_in_one_shard_and_every_shard_has_one(units, count):
    shards = [keys(each) for each in divide(units, count)]
    assert len(shards) == count
    assert all(shards)
    assert sorted(case for each in shards for case in each) == sorted(case.key for case in units[0].cases)


@given(order=some.permutations(range(40)), count=some.integers(2, 9))
def test_the_order_of_the_cases_does_not_count(units, order, count):
    [unit] = units
    turned = replace(unit, cases=tuple(unit.cases[index] for index in order))
    assert divide([turned], count) == divide(units, count)


def test_more_shards_than_cases_are_refused(units):
    with pytest.raises(Refused) as caught:
        divide(units, 41)
    assert str(caught.value) == (
        "--tg-shard: expected at most 40 shards, one per group of cases that stay together, found 41"
    )


def test_groups_and_questions_that_are_asked_twice_stay_together(tmp_path):
    units = desk(
        tmp_path, case_keys=lambda index: {"group": f"g{index % 5}"} if index < 20 else {"input": f"m{index % 7}"}
    )
    for shard in divide(units, 8):
        mine = keys(shard)
        for case in units[0].cases:
            alike = {other.key for other in units[0].cases if other.observation == case.observation}
            assert alike <= mine or not alike & mine


def test_what_a_unit_makes_of_the_answers_of_another_stays_beside_them(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / "desk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "desk" / name).write_text(text)
    units = list(units_of(load_tasks(tmp_path)).values())
    derived = next(unit for unit in units if unit.of)
    for shard in divide(units, 3):
        assert shard.get(derived.key) == shard.get(derived.of)


def test_shards_are_balanced_by_tokens_and_not_by_cases(tmp_path):
    units = desk(tmp_path, case_keys=lambda index: {"input": "word " * 4000 if index == 7 else f"message {index}"})
    sizes = sorted(len(keys(each)) for each in divide(units, 2))
    assert sizes == [1, 39]


def test_a_shard_is_read_as_it_is_written():
    for text in ["1/1", "3/8", "8/8", "120/9999"]:
        assert str(parse_shard(text)) == text


def test_what_is_no_shard_is_refused():
    for text in [
        "", "3", "0/8", "9/8", "-1/8", "3/0", "3/8/9", " 3/8", "\uff13/8", "1/100000", "a/b",
    ]:  # fmt: skip
        with pytest.raises(Refused, match="--tg-shard: expected a shard and the number of shards, such as 3/8, found "):
            parse_shard(text)


def test_a_shard_knows_its_place():
    assert parse_shard("3/8") == Shard(3, 8)


def test_near_cases_are_of_all_shards(tmp_path):
    write_desk(tmp_path, 2)
    write_desk(tmp_path, 2, "replies")
    tasks = load_tasks(tmp_path)
    near = [{"desk/triage": ["c000"]}, {"desk/replies": ["c001"], "desk/triage": ["c000"]}]
    files = {}
    for number, (unit, each) in enumerate(zip(("desk/triage", "desk/replies"), near, strict=True), start=1):
        part = replace(record(tasks, {unit: "11"}), partial=True, near=each)
        files[Path(f"{number}.json")] = ShardRecord(Shard(number, 2), "tiny", 1, ("desk",), part.questions, part)
    assert Shards(files).near["near"] == {"desk/triage": ["c000"], "desk/replies": ["c001"]}
