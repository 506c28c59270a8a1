"""A run in shards: what each leaves behind, what is made of all of them, and what is refused as no whole run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import stamp
from tests.support.units import write_outputs, write_unit
from tests.unit.session.test_session import BAD, GOOD, IDS, answers, judged, options  # noqa: F401  (a fixture)
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.files import stamped
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.ledger.evaluations import sealed_evaluations
from tunegate.harness.history.ledger.store import read_ledger
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.shard_record import read_shard, read_shards
from tunegate.harness.models.evaluation.shards import Shard
from tunegate.harness.models.options.run import Options
from tunegate.harness.release.submission import find_record
from tunegate.harness.session.run import Session

COUNT = 8
VARIES = {"created", "digest"}
Files = Callable[..., list[Path]]


@pytest.fixture
def shards(options: Options) -> Files:  # noqa: F811
    """Runs every shard of the options, with more of them; returns the files."""

    def made(count: int = COUNT, **more: object) -> list[Path]:
        files = [options.root / f"shard-{number}.json" for number in range(1, count + 1)]
        for number, file in enumerate(files, 1):
            judged(replace(options, **({"shard": Shard(number, count), "out": file} | more)))
        return files

    return made


@pytest.fixture
def merge(options: Options, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:  # noqa: F811
    """Runs `tunegate merge`; returns its exit code and all that it said."""
    monkeypatch.chdir(options.root)

    def run(*arguments: str | Path) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["merge", *map(str, arguments)])
        return done.exit_code, done.output

    return run


def record(path: Path) -> dict:
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in VARIES}


def edited(path: Path, **more: object) -> Path:
    stamp(path, json.loads(path.read_text()) | more)
    return path


def inner(path: Path, change: Callable[[dict], object]) -> Path:
    """A shard whose record somebody changed, digests and all."""
    made = json.loads(path.read_text())["record"]
    del made["digest"]
    change(made)
    return edited(path, record=stamped(made))


def cases(path: Path) -> list[str]:
    return list(read_shard(path).record.cases)


# --- one record of all


def test_all_shards_merged_equal_one_run(options, shards, merge):  # noqa: F811
    write_outputs(options.root / "outputs.jsonl", answers(wrong=3))
    judged(replace(options, out=options.root / "whole.json"))
    code, _ = merge(*shards(), "--out=merged.json")
    assert code == 0
    assert record(options.root / "merged.json") == record(options.root / "whole.json")
    sidecars = [(options.root / f"{name}.cases.jsonl").read_text() for name in ("merged", "whole")]
    assert sidecars[0] == sidecars[1]


@pytest.mark.parametrize("wrong", [0, 12])
def test_the_merged_record_gets_the_verdict_of_one_run(options, shards, merge, wrong):  # noqa: F811
    judged(replace(options, out=options.root / "base.json"))
    write_outputs(options.root / "outputs.jsonl", answers(wrong))
    judged(replace(options, out=options.root / "whole.json", against=str(options.root / "base.json")))
    code, said = merge(*reversed(shards()), "--against=base.json", "--out=merged.json")
    assert record(options.root / "merged.json") == record(options.root / "whole.json")
    assert code == bool(wrong)
    assert ("merge: blocked by desk/second, desk/triage, desk" in said) is bool(wrong)


def test_several_answers_a_case_come_from_one_shard(options, shards, merge):  # noqa: F811
    for unit in ("triage", "second"):
        write_unit(options.cases, IDS, unit, generate={"max_new_tokens": 4, "temperature": 0.5})
    lines = [
        {"case": key, "output": GOOD if (number + repeat) % 3 else BAD, "repeat": repeat}
        for number, key in enumerate(answers()) for repeat in range(3)
    ]  # fmt: skip
    (options.root / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged(replace(options, out=options.root / "whole.json", repeats=3))
    assert merge(*shards(repeats=3), "--out=merged.json")[0] == 0
    assert record(options.root / "merged.json") == record(options.root / "whole.json")
    assert read_record(options.root / "merged.json").repeats == 3


def test_units_by_themselves_make_a_partial_record(options, merge):  # noqa: F811
    file = options.root / "shard.json"
    session = Session(replace(options, shard=Shard(1, 1), out=file))
    session.selection.select([], session.selection.units()[:1])
    session.execute(quiet())
    assert merge(file, "--out=merged.json")[0] == 0
    assert read_record(options.root / "merged.json").partial
    judged(replace(options, out=options.root / "base.json"))
    assert merge(file, "--against=base.json") == (
        4, "desk/triage: expected outputs in the shards, found none; run all of them again\n"
    )  # fmt: skip


def test_what_has_no_answer_stays_unscored(options, shards, merge):  # noqa: F811
    write_outputs(options.root / "outputs.jsonl", answers() | {"desk/triage/case03": None})
    assert merge(*shards(), "--out=merged.json")[0] == 0
    assert read_record(options.root / "merged.json").units["desk/triage"].unscored == 1


def test_the_ledger_counts_an_adapter_once_however_often_it_is_merged(options, shards, merge):  # noqa: F811
    write_unit(options.cases, ["s1", "s2"], "hidden", sealed=True)
    policy = {name: {"role": "guard", "margin": 0.4, "reason": "a test"} for name in ("triage", "second", "hidden")}
    (options.cases / "desk" / "task.yaml").write_text(json.dumps({"version": 1, "units": policy}))
    write_outputs(options.root / "outputs.jsonl", answers() | {"desk/hidden/s1": GOOD, "desk/hidden/s2": GOOD})
    files = [
        inner(file, lambda made: made["fingerprint"]["subject"].update(adapter="a" * 64))
        for file in shards(sealed=True)
    ]
    assert [merge(*files, f"--out={name}.json")[0] for name in ("one", "two")] == [0, 0]
    ledger = read_ledger(options.baselines)
    assert sorted(event.kind for event in ledger.in_order) == ["opened", "run"]
    assert set(sealed_evaluations(ledger, "desk").values()) == {1}
    [run] = ledger.of("desk", "run")
    assert run.record == json.loads((options.root / "one.json").read_text())["digest"]


def as_transformers(adapter: str | None):
    """Changes a shard's record to one of a local model's answers, with an adapter or without one."""

    def change(made: dict) -> None:
        made["fingerprint"]["subject"]["adapter"] = adapter
        made["fingerprint"]["engine"]["backend"] = "transformers"

    return change


def test_what_a_base_would_be_asked_beside_an_adapter_a_merge_cannot_ask(options, shards, merge):  # noqa: F811
    named = "replay:tiny=outputs.jsonl"
    base = [inner(file, as_transformers(None)) for file in shards(model=named)]
    code, said = merge(*base, "--record")
    assert code == 0, said
    write_unit(options.cases, ["s1", "s2"], "hidden", sealed=True)
    write_outputs(options.root / "outputs.jsonl", answers() | {"desk/hidden/s1": GOOD, "desk/hidden/s2": GOOD})
    tuned = [inner(file, as_transformers("a" * 64)) for file in shards(model=named, sealed=True)]

    code, said = merge(*tuned, "--against=baseline", "--out=tuned.json")
    assert (code, (options.root / "tuned.json").exists()) == (4, False)
    assert "must run on the shards' engine, and a merge runs no model" in said
    assert "shard the base, too, and name its record: --against=RECORD.json" in said


# --- a shard is no record


def test_a_shard_says_what_it_is(options, shards):  # noqa: F811
    [first, *_] = shards(4)
    session = judged(replace(options, shard=Shard(1, 4), out=first))
    assert session.notes == [
        "shard 1/4: 10 of 40 cases, kept in "
        f"{first}; tunegate merge joins all shards and gives the verdict"
    ]  # fmt: skip
    assert not (options.root / ".tunegate").exists()
    assert not (options.root / "shard-1.cases.jsonl").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["report", "shard-1.json"], ["view", "shard-1.json"], ["comment", "shard-1.json"],
        ["plan", "--unit=desk/triage", "--run=shard-1.json"], ["report", "base.json", "shard-1.json"],
        ["merge", "shard-1.json", "--against=shard-1.json"],
    ],
)  # fmt: skip
def test_nothing_takes_a_shard_for_a_record(options, shards, monkeypatch, command):  # noqa: F811
    shards(1)
    judged(replace(options, out=options.root / "base.json"))
    monkeypatch.chdir(options.root)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 4
    assert (
        "shard-1.json: expected a record, found a shard of one (1/1), which has no verdict and cannot be a reference; "
        "merge all shards: tunegate merge SHARD.json ... --out RECORD.json"
    ) in done.output


def test_no_run_is_compared_with_a_shard(options, shards):  # noqa: F811
    [file] = shards(1)
    with pytest.raises(Refused, match=r"found a shard of one \(1/1\)"):
        judged(replace(options, against=str(file)))


def test_the_record_inside_a_shard_is_partial(options, shards):  # noqa: F811
    [file] = shards(1)
    inside = options.root / "inside.json"
    inside.write_text(json.dumps(json.loads(file.read_text())["record"]))
    with pytest.raises(Refused, match="expected a complete record, found a partial one"):
        judged(replace(options, against=str(inside)))


def test_no_release_rests_on_a_shard_among_the_runs(options, shards):  # noqa: F811
    [file] = shards(1)
    with pytest.raises(Refused, match="expected a complete run of this adapter"):
        find_record(file.parent, "a" * 64)


# --- what is no whole run


def test_a_missing_shard_is_named(shards, merge):
    files = shards()
    assert merge(*files[:2], *files[3:4], *files[5:]) == (
        4, "expected all 8 shards, found no 3/8, 5/8; run the missing shards, or name their files\n"
    )  # fmt: skip


def test_a_shard_that_is_there_twice_is_refused(options, shards, merge):  # noqa: F811
    files = shards(2)
    again = options.root / "again.json"
    again.write_text(files[0].read_text())
    assert merge(*files, again) == (
        4, "again.json: shard 1/2 again, as shard-1.json; name one of them\n"
    )  # fmt: skip


def test_another_number_of_shards_is_another_run(options, shards, merge):  # noqa: F811
    file = options.root / "other.json"
    judged(replace(options, shard=Shard(2, 3), out=file))
    first, _ = shards(2)
    code, said = merge(first, file)
    assert code == 4
    assert said == (
        "other.json: expected a shard of the same run as shard-1.json, found one that differs in the number of shards; "
        "run all shards from one commit, with the same options\n"
    )


def test_a_shard_of_other_answers_is_of_another_run(options, shards, merge):  # noqa: F811
    first, second = shards(2)
    write_outputs(options.root / "outputs.jsonl", answers(wrong=1))
    judged(replace(options, shard=Shard(2, 2), out=second))
    code, said = merge(first, second)
    assert code == 4
    assert "found one that differs in the model's file; run all" in said


@pytest.mark.parametrize(("change", "named"), [
    ({"repeats": 2}, "--tg-repeats"),
    ({"trained": ["desk"]}, "its training tasks"),
    ({"questions": {"desk/triage": {"inputs": "0"}}}, "the questions of desk/second, the questions of desk/triage"),
])  # fmt: skip
def test_a_shard_of_other_settings_is_of_another_run(shards, merge, change, named):
    first, second = shards(2)
    edited(second, **change)
    code, said = merge(first, second)
    assert code == 4
    assert f"found one that differs in {named}; run all shards" in said


@pytest.mark.parametrize("part", ["subject", "engine"])
def test_a_shard_of_another_model_or_engine_is_of_another_run(shards, merge, part):
    first, second = shards(2)
    inner(second, lambda made: made["fingerprint"][part].update(dtype="bfloat16"))
    code, said = merge(first, second)
    assert code == 4
    assert f"differs in the {'model' if part == 'subject' else 'engine'}'s dtype; run all" in said


def test_shards_of_other_fixtures_are_refused(options, shards, merge):  # noqa: F811
    files = shards(2)
    write_unit(options.cases, [*IDS[1:], "new"], "second")
    assert merge(*files) == (
        4, "desk/second: the shards were run with other cases, inputs, checks and 2 more than "
        "the fixtures have; run them again\n"
    )  # fmt: skip


def test_shards_of_a_unit_that_is_gone_are_refused(options, shards, merge):  # noqa: F811
    files = shards(2)
    (options.cases / "desk" / "second.yaml").unlink()
    write_policy = options.cases / "desk" / "task.yaml"
    write_policy.write_text(json.dumps({"version": 1, "units": {"triage": {"role": "guard", "reason": "a test"}}}))
    assert merge(*files) == (
        4,
        "desk/second: expected a unit of the fixtures, found it only in the shards (deleted? renamed?)\n",
    )


def test_a_case_in_two_shards_is_refused(shards, merge):
    first, second = shards(2)
    taken, theirs = cases(second)[0], json.loads(second.read_text())["record"]["cases"]
    inner(first, lambda made: made["cases"].update({taken: theirs[taken]}))
    code, said = merge(first, second)
    assert (code, said) == (
        4, f"shard-1.json: shard 1/2: expected only its own cases, found also {taken}; run it again\n"
    )  # fmt: skip


def test_a_case_that_a_shard_lost_is_named(shards, merge):
    first, second = shards(2)
    lost = cases(first)[0]
    inner(first, lambda made: made["cases"].pop(lost))
    assert merge(first, second) == (
        4, f"shard-1.json: shard 1/2: expected its case {lost}, found none; run it again\n"
    )  # fmt: skip


def test_a_score_that_was_written_into_a_shard_counts_for_nothing(options, shards, merge):  # noqa: F811
    write_outputs(options.root / "outputs.jsonl", answers(wrong=20))
    first, second = shards(2)

    def raise_all(made: dict) -> None:
        for each in made["cases"].values():
            each.update(passed=True, score=1.0, findings=[])

    inner(first, raise_all)
    assert merge(first, second, "--out=merged.json")[0] == 0
    assert read_record(options.root / "merged.json").units["desk/triage"].mean == 0


@pytest.mark.parametrize(("text", "found"), [
    ("", "a mistake in column 1"),
    ("[]", "is not of type 'object'"),
    ("{}", "'schema_version' is a required property"),
    ('{"schema_version": 1, "shard": "9/8"', "a mistake in column"),
])  # fmt: skip
def test_a_damaged_shard_is_refused(shards, merge, text, found):
    first, second = shards(2)
    second.write_text(text)
    code, said = merge(first, second)
    assert code == 4
    assert said.startswith("shard-2.json")
    assert found in said


def test_an_edited_shard_is_refused(shards, merge):
    first, second = shards(2)
    second.write_text(second.read_text().replace("boiler", "radiator"))
    assert merge(first, second) == (
        4, "shard-2.json: expected a shard as it was written, found an edited one; run it again\n"
    )  # fmt: skip


def test_a_shard_beyond_the_last_is_refused(shards, merge):
    first, second = shards(2)
    edited(second, shard="3/2")
    assert merge(first, second) == (
        4,
        "shard-2.json: expected a shard and the number of shards, such as 3/8, found '3/2'\n",
    )


def test_a_record_is_no_shard(options, shards, merge):  # noqa: F811
    first, _ = shards(2)
    judged(replace(options, out=options.root / "whole.json"))
    code, said = merge(first, "whole.json")
    assert code == 4
    assert said.startswith("whole.json: expected a shard (JSON), as --tg-shard writes it, found ")


def test_no_shards_are_no_run():
    with pytest.raises(Refused, match="expected the shards of a run, found none"):
        read_shards([])


def test_the_record_is_not_written_over_a_shard(shards, merge):
    files = shards(2)
    code, said = merge(*files, f"--out={files[0]}")
    assert (code, said) == (
        4, f"--out: expected a file of its own, found that merge reads {files[0].name}; name another\n"
    )  # fmt: skip


# --- options that cannot go together


@pytest.mark.parametrize(("more", "found"), [
    ({"out": None}, "expected a file to write it to, found none; name one with --tg-out SHARD.json"),
    ({"against": "baseline"}, "a shard has no verdict; run tunegate merge --against"),
    ({"record": True}, "a shard is no baseline; run tunegate merge --record"),
    ({"adapters": (Path("one"), Path("two"))}, "run each adapter separately, in a matrix of adapters and shards"),
    ({"timing": True}, "timing compares base and adapter side by side"),
])  # fmt: skip
def test_what_a_shard_cannot_be_is_refused(options, more, found):  # noqa: F811
    with pytest.raises(Refused) as caught:
        replace(options, **({"shard": Shard(1, 2), "out": Path("shard.json")} | more)).check()
    assert found in str(caught.value)


def test_a_part_of_a_unit_is_not_divided(options):  # noqa: F811
    session = Session(replace(options, shard=Shard(1, 2), out=options.root / "shard.json"))
    second, triage = session.selection.units()
    with pytest.raises(Refused, match="--tg-shard divides whole units only, found a part of desk/triage; select all"):
        session.selection.select(triage.cases[:3], [second])


def test_supplied_outputs_are_not_recorded_from_shards(shards, merge):
    code, said = merge(*shards(2), "--record")
    assert code == 4
    assert "supplied outputs are recorded from their file: tunegate record --from FILE" in said
