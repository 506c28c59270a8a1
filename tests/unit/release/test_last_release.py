"""The last release counts whatever its base and folder are; lost, it is refused; withdrawn, the one before is back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import ENGINE, LOCAL, record, save, stamp, training_record, write_desk, write_policy
from tests.unit.release.test_release import (  # noqa: F401  (desk and served are fixtures)
    DIAGNOSIS,
    HALF,
    MOST,
    SLUG,
    Desk,
    T,
    desk,
    served,
)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate.rule import compare
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.history.baselines.releases import released_adapter
from tunegate.harness.history.baselines.store import baseline_path, read_baseline
from tunegate.harness.history.ledger.store import LEDGER, read_ledger
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.release.diagnosis.diagnosis import write_diagnosis

NEXT = LOCAL | {"model": "next-87654321", "base": "f" * 64, "tokenizer": "e" * 64}
GOOD = "1" * 55 + "0" * 5


@pytest.fixture
def released(served: Desk) -> Desk:  # noqa: F811
    return served


def references(desk: Desk, adapter: Path | None, subject: dict = LOCAL) -> dict[str, Record]:  # noqa: F811
    """What a candidate is compared with."""
    tasks = load_tasks(desk.fixtures)
    digest = adapter_digest(adapter) if adapter else None
    fingerprint = Fingerprint(subject | {"adapter": digest}, ENGINE)
    return baseline_references(desk.home / "baselines", tasks, tasks[0].units, fingerprint, "tiny")


def last(desk: Desk, subject: dict = LOCAL) -> str | None:  # noqa: F811
    """The adapter that a new candidate is held to, by the first letters of its digest."""
    found = references(desk, desk.adapter("candidate", weights="0.9"), subject).get("last release")
    return found and found.fingerprint["subject"]["adapter"]


def test_tasks_that_were_released_with_two_adapters_have_two_last_releases(desk):  # noqa: F811
    """As where a task was retired, another adapter released meanwhile, and the task came back."""
    write_desk(desk.fixtures, 60, task="shop")
    root, tasks = desk.home / "baselines", load_tasks(desk.fixtures)
    units = {unit.task: unit for task in tasks for unit in task.units}
    for letter, task in ((None, "desk"), (None, "shop"), ("1", "desk"), ("2", "shop")):
        made = record(tasks, {units[task].key: HALF}, letter and letter * 64)
        save(root, made, [units[task]], released=bool(letter))
    fingerprint = Fingerprint(LOCAL | {"adapter": "3" * 64}, ENGINE | {"dtype": "bfloat16"})
    found = baseline_references(root, tasks, list(units.values()), fingerprint, "tiny")
    assert list(found) == ["baseline", "last release of desk", "last release of shop"]
    for letter, task in (("1", "desk"), ("2", "shop")):
        last = found[f"last release of {task}"]
        assert (last.fingerprint["subject"]["adapter"], [*last.units]) == (letter * 64, [units[task].key])


def lose(desk: Desk, said: str) -> None:  # noqa: F811
    """The gate of a new candidate is refused."""
    with pytest.raises(Refused, match=said):
        last(desk)


def on_next_base(desk: Desk, adapter: Path, scores: str) -> Record:  # noqa: F811
    """The gate of an adapter on the next base, whose baseline is recorded."""
    tasks = load_tasks(desk.fixtures)
    judged = record(tasks, {T: scores}, fingerprint={
        "subject": NEXT | {"adapter": adapter_digest(adapter)}, "engine": ENGINE, "names": {"model": "next"},
    })  # fmt: skip
    gated = compare(tasks, judged, references(desk, adapter, NEXT), ["desk"])
    return gated.write(desk.home / "runs" / f"{adapter.name}.json")


def record_next_base(desk: Desk) -> None:  # noqa: F811
    tasks = load_tasks(desk.fixtures)
    fingerprint = {"subject": NEXT | {"adapter": None}, "engine": ENGINE, "names": {"model": "next"}}
    save(desk.home / "baselines", record(tasks, {T: HALF}, fingerprint=fingerprint), tasks[0].units)
    write_diagnosis(desk.home / "baselines", replace(DIAGNOSIS, subject=NEXT))


def on_next(desk: Desk, name: str, weights: str) -> Path:  # noqa: F811
    """An adapter that was trained on the next base."""
    model = {key: NEXT[key] for key in ("base", "tokenizer", "template")} | {"name": "next"}
    cites = {"digest": replace(DIAGNOSIS, subject=NEXT).digest, "remedies": {}, "against": [], "override": None}
    recipe = training_record()["recipe"] | {"model": "next"}
    return desk.adapter(name, weights=weights, model=model, recipe=recipe, diagnosis=cites)


def file_of(desk: Desk, slug: str = SLUG) -> Path:  # noqa: F811
    return baseline_path(desk.home / "baselines", slug, T, released=True)


def command(desk: Desk, *arguments: str):  # noqa: F811
    return CliRunner().invoke(app, [*arguments, "--baselines", str(desk.home / "baselines")])


# --- lost releases


def test_deleted_outputs_of_the_last_release_are_refused_with_the_way_back(released):
    file_of(released).unlink()
    lose(released, r"the ledger knows the last release, adapter \w{8} on tiny-12345678 .*found none; restore them: "
                   r"git log --all --oneline -- .*triage\.released\.json")  # fmt: skip


def test_outputs_of_another_release_in_its_place_are_refused(released):
    older = file_of(released).read_text()
    second = released.adapter("second", weights="0.7")
    released.release(second, released.evaluate(second, {T: MOST}))
    newer = file_of(released).read_text()
    file_of(released).write_text(older)
    lose(released, r"found other ones, of adapter \w{8} on tiny-12345678")
    file_of(released).write_text(newer)
    assert last(released) == adapter_digest(second)


def test_edited_outputs_with_a_digest_of_their_own_are_refused(released):
    data = json.loads(file_of(released).read_text())
    data["cases"]["c000"]["score"] = 0.0
    stamp(file_of(released), data)
    lose(released, r"expected outputs of a release that the ledger knows, found unknown ones of adapter")


def test_a_release_that_the_ledger_does_not_know_is_refused(desk):  # noqa: F811
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    by_hand = file_of(desk).read_text()
    shutil.rmtree(desk.home / "baselines")
    desk.record_baseline({T: HALF})
    file_of(desk).write_text(by_hand)
    lose(desk, r"triage\.released\.json: expected outputs of a release that the ledger knows, found unknown ones")


def test_a_folder_that_was_renamed_loses_no_release(released):
    (released.home / "baselines" / SLUG).rename(released.home / "baselines" / "old-00000000")
    released.record_baseline({T: HALF})
    assert last(released) == adapter_digest(released.home / "first")


def test_a_unit_that_came_after_the_release_needs_no_outputs_of_it(released):
    write_desk(released.fixtures, 60, "later")
    released.record_baseline({T: HALF, "desk/later": HALF})
    assert references(released, released.adapter("candidate", weights="0.9"))["last release"].units.keys() == {T}


# --- baselines that the ledger does not know


def test_a_baseline_that_no_event_names_is_refused_with_the_command_that_records_it(released):
    shutil.rmtree(released.home / "baselines" / LEDGER)
    file_of(released).unlink()
    lose(released, r"expected the baseline \(.*\) in the ledger, which names none of this model yet; record it again: "
                   "pytest .*fixtures/ --tg-record")  # fmt: skip


def test_a_baseline_that_was_edited_under_a_digest_of_its_own_is_refused(released):
    path = baseline_path(released.home / "baselines", SLUG, T)
    data = json.loads(path.read_text())
    data["cases"]["c059"].update(score=1.0, passed=True)
    stamp(path, data)
    lose(released, "in the ledger, which names another one as the last; record it again")


def test_an_older_baseline_does_not_come_back(released):
    path = baseline_path(released.home / "baselines", SLUG, T)
    older = path.read_text()
    released.record_baseline({T: MOST})
    path.write_text(older)
    lose(released, "in the ledger, which names another one as the last")


# --- another base


def test_a_candidate_on_a_new_base_is_held_to_what_is_served(released):
    record_next_base(released)
    assert last(released, NEXT) == adapter_digest(released.home / "first")
    worse = on_next_base(released, on_next(released, "worse", "0.3"), "1" * 45 + "0" * 15)
    assert worse.verdicts[T].verdict == "regressed"
    assert worse.verdicts[T].reference == "last release"
    as_good = on_next_base(released, on_next(released, "as-good", "0.4"), MOST)
    assert as_good.tasks["desk"].decision == "release"


def test_the_same_adapter_on_another_base_is_another_model(released):
    record_next_base(released)
    assert "last release" in references(released, released.home / "first", NEXT)
    assert "last release" not in references(released, released.home / "first")


def test_a_release_on_a_new_base_is_the_last_one_for_every_base(released):
    record_next_base(released)
    second = on_next(released, "second", "0.4")
    done = released.release(second, on_next_base(released, second, MOST))
    assert "has another base than the candidate, on next-87654321" in done.notes[-2]
    assert last(released) == last(released, NEXT) == adapter_digest(second)


# --- withdrawals


def test_a_withdrawal_brings_the_release_before_it_back_byte_for_byte(released):
    before = file_of(released).read_bytes()
    second = released.adapter("second", weights="0.7")
    released.release(second, released.evaluate(second, {T: MOST}))
    done = command(released, "release", "--withdraw", str(second), "--reason", "It answers rudely.")
    assert done.exit_code == 0, done.output
    digests = [adapter_digest(released.home / name)[:8] for name in ("second", "first")]
    assert (
        "desk: withdrawn: adapter {} on {s}; the last release is adapter {} on {s}".format(*digests, s=SLUG)
        in done.output
    )
    assert file_of(released).read_bytes() == before
    assert last(released) == adapter_digest(released.home / "first")


def test_a_withdrawal_of_the_only_release_leaves_the_baseline_alone(released):
    done = command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "A mistake.")
    assert "; there is no release now" in done.output
    assert last(released) is None
    assert not file_of(released).exists()


def test_a_withdrawal_across_bases_brings_back_what_was_served(released):
    record_next_base(released)
    second = on_next(released, "second", "0.4")
    released.release(second, on_next_base(released, second, MOST))
    shutil.rmtree(second)  # its digest will do
    [event] = read_ledger(released.home / "baselines").last_release("desk")
    done = command(released, "release", "--withdraw", event.subject["adapter"][:8], "--reason", "Too slow.")
    assert done.exit_code == 0, done.output
    assert last(released) == last(released, NEXT) == adapter_digest(released.home / "first")
    assert not file_of(released, NEXT["model"]).exists()


def test_an_older_release_is_withdrawn_without_a_change_to_the_last(released):
    second = released.adapter("second", weights="0.7")
    released.release(second, released.evaluate(second, {T: MOST}))
    before = file_of(released).read_bytes()
    done = command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "It was no good.")
    assert done.exit_code == 0, done.output
    assert (file_of(released).read_bytes(), last(released)) == (before, adapter_digest(second))
    done = command(released, "release", "--withdraw", str(second), "--reason", "Nor is this.")
    assert "there is no release now" in done.output


def test_a_withdrawn_adapter_is_not_released_again(released):
    first = released.home / "first"
    judged = released.evaluate(first, {T: MOST})
    command(released, "release", "--withdraw", str(first), "--reason", "It answers rudely.")
    released.refuses(first, judged, r"desk: adapter \w{8} on tiny-\w+ was withdrawn on .*: It answers rudely\.")


def test_a_withdrawal_that_cannot_be_is_refused(released, monkeypatch):
    for arguments, code, said in [
        (["--withdraw", "first"], 2, "--withdraw: expected a --reason, found none; add --reason TEXT"),
        (["--withdraw", "first", "--reason", " "], 2, "--withdraw: expected a --reason"),
        (["first", "--reason", "No."], 2, "--withdraw: expected a --reason"),
        (["--withdraw", "candidate", "--reason", "No."], 4, "expected an adapter that the ledger knows as released"),
        (["--withdraw", "abc", "--reason", "No."], 4, "expected an adapter that the ledger knows as released"),
    ]:
        released.adapter("candidate", weights="0.9")
        monkeypatch.chdir(released.home)
        before = released.files()
        done = command(released, "release", *arguments)
        assert (done.exit_code, released.files()) == (code, before)
        assert said in done.output


def test_a_release_is_withdrawn_once(released):
    command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "It answers rudely.")
    done = command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "Again.")
    assert done.exit_code == 4
    assert "is already withdrawn: It answers rudely." in done.output


def test_the_outputs_of_a_lost_release_need_not_be_there_for_its_withdrawal(released):
    file_of(released).unlink()
    assert command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "Lost.").exit_code == 0
    assert last(released) is None


# --- units that the last release was judged on


REPLIES = "desk/replies"


@pytest.fixture
def guarded(desk: Desk) -> Desk:  # noqa: F811
    """A desk whose first adapter is released, judged on a guard, which was then deleted with its policy."""
    write_desk(desk.fixtures, 60, "replies")
    write_policy(desk.fixtures, triage={"role": "target"}, replies={"role": "guard"})
    desk.record_baseline({REPLIES: MOST})
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST, REPLIES: MOST}))
    (desk.fixtures / "desk" / "replies.yaml").unlink()
    write_policy(desk.fixtures, triage={"role": "target"})
    return desk


def retire(desk: Desk, unit: str = REPLIES, reason: str = "No replies any more."):  # noqa: F811
    return command(desk, "retire", unit, "--reason", reason, "--cases", str(desk.fixtures))


def test_a_deleted_unit_with_a_baseline_is_refused_until_it_is_retired(guarded):
    lose(guarded, r"(?s)desk/replies \(.*retire desk/replies --reason")
    done = retire(guarded)
    assert done.exit_code == 0
    assert done.output.splitlines()[-2] == "desk/replies: retired; no later release needs it"
    assert not list(guarded.home.glob("baselines/*/desk/replies*.json"))
    assert last(guarded) == adapter_digest(guarded.home / "first")


def test_so_is_one_whose_baselines_were_deleted_too(guarded):
    for path in guarded.home.glob("baselines/*/desk/replies*.json"):
        path.unlink()
    lose(guarded, "the last release was evaluated on desk/replies too: expected among the fixtures, found none")
    assert retire(guarded).exit_code == 0
    second = guarded.adapter("second", weights="0.7")
    guarded.release(second, guarded.evaluate(second, {T: MOST}))
    assert retire(guarded).exit_code == 4


def test_a_unit_that_came_back_and_was_released_is_missed_again(guarded):
    retire(guarded)
    write_desk(guarded.fixtures, 60, "replies")
    guarded.record_baseline({T: HALF, REPLIES: MOST})
    second = guarded.adapter("second", weights="0.7")
    guarded.release(second, guarded.evaluate(second, {T: MOST, REPLIES: MOST}))
    (guarded.fixtures / "desk" / "replies.yaml").unlink()
    for path in guarded.home.glob("baselines/*/desk/replies*.json"):
        path.unlink()
    lose(guarded, "the last release was evaluated on desk/replies too")


def test_a_withdrawal_does_not_bring_back_what_was_retired(guarded):
    retire(guarded)
    second = guarded.adapter("second", weights="0.7")
    guarded.release(second, guarded.evaluate(second, {T: MOST}))
    done = command(guarded, "release", "--withdraw", str(second), "--reason", "Rude.")
    assert done.exit_code == 0
    assert not list(guarded.home.glob("baselines/*/desk/replies*.json"))
    assert last(guarded) == adapter_digest(guarded.home / "first")


def test_what_cannot_be_retired_changes_nothing(guarded):
    for unit, reason, code, said in [
        (T, "Gone.", 2, "expected a deleted unit, found it among the cases"),
        ("desk/none", "Gone.", 4, "expected a unit that the ledger knows a baseline or a release of"),
        (REPLIES, " ", 2, "expected the reason for retiring the unit, found none"),
    ]:
        before = guarded.files()
        done = retire(guarded, unit, reason)
        assert (done.exit_code, guarded.files()) == (code, before)
        assert said in done.output


def test_who_retires_twice_is_told_why_it_was_done(guarded):
    retire(guarded)
    done = retire(guarded, reason="Again.")
    assert done.exit_code == 4
    assert "desk/replies is already retired: No replies any more." in done.output


# --- the card, the list


def test_the_ledger_is_shown_in_words(released):
    command(released, "release", "--withdraw", str(released.home / "first"), "--reason", "It answers rudely.")
    lines = command(released, "ledger").output.splitlines()
    name = f"adapter {adapter_digest(released.home / 'first')[:8]} on {SLUG}"
    assert [line[14:].rpartition(" (")[0] for line in lines[:-2]] == [
        f"the baseline of 1 unit, {SLUG}",
        f"the release of {name}",
        f"the withdrawal of {name}: It answers rudely.",
    ]
    assert lines[-2].startswith("desk: no release; ")
    assert lines[-1] == "3 events, 1 head; none is missing"
    assert [each["kind"] for each in json.loads(command(released, "ledger", "--json").output)] == [
        "recorded", "released", "withdrawn",
    ]  # fmt: skip


def test_what_was_released_last_is_read_as_it_was_written(released):
    [event] = read_ledger(released.home / "baselines").last_release("desk")
    assert event.files == {T: read_baseline(file_of(released), T).digest}


def test_a_release_whose_adapter_lies_nowhere_says_so_in_one_line(desk):  # noqa: F811
    for place in ["..", "/", "a\0b", "x" * 5000, "nowhere"]:
        made = record(load_tasks(desk.fixtures), {T: HALF}, "1" * 64)
        release = replace(made, fingerprint=made.fingerprint | {"names": {"model": "baseline", "adapter_at": place}})
        with pytest.raises(Refused, match=r"^the last release, .*, has to run here, .*restore it$"):
            released_adapter(desk.home / "baselines", release, quiet())
