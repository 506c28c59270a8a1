"""A release is held to the ledger of the branch that it will be merged into, which no edit of the work tree changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.integration.release.test_remote import git
from tests.support.records import LOCAL, answering, record, save, stamp, write_desk, write_policy
from tests.unit.release.test_release import DIAGNOSIS, HALF, MOST, Desk, T
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.baselines import releases
from tunegate.harness.history.baselines.store import baseline_path
from tunegate.harness.history.ledger.evaluations import case_events
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.ledger_git import push
from tunegate.harness.history.ledger.store import LEDGER, append, event_path, read_ledger, write_event
from tunegate.harness.models import backends
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.release import remote as remotes
from tunegate.harness.release.anchor import Anchor, Outside, compare_ledger
from tunegate.harness.release.diagnosis.diagnosis import write_diagnosis
from tunegate.harness.release.manifest import MANIFEST, read_manifest, verify_release
from tunegate.harness.release.release import Released, release_adapter

MIDDLE = "1" * 48 + "0" * 12  # better than the baseline, worse than MOST
GUARD = "desk/guard"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk in a clone, whose baselines are recorded; its remote is empty."""
    desk = Desk(tmp_path / "clone")
    write_desk(desk.fixtures, 60)
    write_policy(desk.fixtures, triage={"role": "target"})
    desk.record_baseline({T: HALF})
    write_diagnosis(desk.home / "baselines", DIAGNOSIS)
    git(desk.home, "init", "-q")
    (tmp_path / "remote.git").mkdir()
    git(tmp_path / "remote.git", "init", "-q", "--bare")
    git(tmp_path / "remote.git", "config", "uploadpack.allowFilter", "true")  # as hosts have it
    git(desk.home, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return desk


@pytest.fixture
def merged(desk: Desk) -> Desk:
    """A desk whose first release, of MOST, is merged."""
    release(desk, "first", MOST)
    merge(desk)
    return desk


def baselines(desk: Desk) -> Path:
    return desk.home / "baselines"


def merge(desk: Desk) -> str:
    """Make the remote's main branch what stands here."""
    git(desk.home, "add", "-A")
    git(desk.home, "commit", "-qm", "work")
    git(desk.home, "push", "-q", "origin", "HEAD:main")
    return git(desk.home, "rev-parse", "HEAD")


def release(desk: Desk, name: str, scores: str, outside: Outside | None = None, **more: Any) -> Released:
    """Evaluate an adapter against what stands here and release it."""
    adapter = desk.adapter(name, weights=f"of {name}")
    judged = desk.evaluate(adapter, {T: scores}, **more)
    opener = desk.opener(judged)
    return release_adapter(adapter, judged, desk.fixtures, baselines(desk), quiet(), opener, outside or Outside())


def compare(desk: Desk, outside: Outside | None = None) -> Anchor:
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units]
    return compare_ledger(baselines(desk), outside or Outside(), units)


def refuses(desk: Desk, *said: str) -> None:
    """The comparison is refused, and so is a release, which writes nothing."""
    with pytest.raises(Refused) as refused:
        compare(desk)
    assert all(each in str(refused.value) for each in said), refused.value
    judged, before = candidate(desk), desk.files()
    with pytest.raises(Refused) as again:
        release_adapter(desk.home / "candidate", judged, desk.fixtures, baselines(desk), quiet(), desk.opener(judged))
    assert (str(again.value), desk.files()) == (str(refused.value), before)


def candidate(desk: Desk) -> Record:
    """The record of an adapter that was evaluated before, or is now."""
    path = desk.home / "runs" / "candidate.json"
    return read_record(path) if path.exists() else desk.evaluate(desk.adapter("candidate", "0.9"), {T: MOST})


def path_of(desk: Desk, event: Event) -> Path:
    return event_path(baselines(desk), event.digest)


# --- what was compared is said


def test_a_release_says_with_what_its_ledger_was_compared(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = merge(desk)
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    monkeypatch.chdir(desk.home)
    monkeypatch.setattr(backends, "opener", lambda *_: desk.opener(judged))
    done = CliRunner().invoke(app, ["release", "adapter", "--run=runs/adapter.json"])
    said = f"The ledger was compared with origin/main at commit {commit[:12]} (a folder on this machine)."
    assert (done.exit_code, said in done.output) == (0, True), done.output
    assert said in (adapter / "README.md").read_text()
    assert read_manifest(adapter)["ledger"] == {"compared": True, "said": said}
    assert said in verify_release(adapter)


def test_json_says_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = desk.evaluate(desk.adapter(), {T: MOST})
    monkeypatch.chdir(desk.home)
    monkeypatch.setattr(backends, "opener", lambda *_: desk.opener(judged))
    done = CliRunner().invoke(app, ["release", "adapter", "--run=runs/adapter.json", "--json"])
    assert json.loads(done.stdout)["ledger"]["compared"] is True, done.output


def test_a_manifest_that_says_another_comparison_than_the_card_is_found(desk: Desk) -> None:
    git(desk.home, "remote", "remove", "origin")
    release(desk, "adapter", MOST)
    manifest = read_manifest(desk.home / "adapter")
    manifest["ledger"] = {"compared": True, "said": "The ledger was compared with origin/main."}
    stamp(desk.home / "adapter" / MANIFEST, manifest)
    with pytest.raises(Refused, match="its manifest differs from its files in ledger"):
        verify_release(desk.home / "adapter")


def test_a_manifest_that_does_not_say_it_is_refused(desk: Desk) -> None:
    release(desk, "adapter", MOST)
    manifest = read_manifest(desk.home / "adapter")
    del manifest["ledger"]
    stamp(desk.home / "adapter" / MANIFEST, manifest)
    with pytest.raises(Refused, match="expected a release manifest, found a damaged file"):
        verify_release(desk.home / "adapter")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda desk: shutil.rmtree(desk.home / ".git"), "a remote: the baselines are in no git repository."),
        (lambda desk: git(desk.home, "remote", "remove", "origin"), "a remote: none is configured."),
        (lambda desk: shutil.rmtree(desk.home.parent / "remote.git"), "a remote: origin did not respond."),
        (lambda desk: (desk.home / ".git" / "config").write_text("["), "a remote: git failed."),
    ],
)
def test_without_a_remote_a_release_goes_on_and_says_so(merged: Desk, change: Any, said: str) -> None:
    change(merged)
    read_ledger(baselines(merged))
    done = release(merged, "second", MOST)
    assert done.ledger == Anchor(f"The ledger was not compared with {said}")
    assert done.ledger.said in verify_release(merged.home / "second")


# --- honest ways


def test_a_first_release_into_an_empty_remote(desk: Desk) -> None:
    done = release(desk, "first", MOST)
    assert done.ledger.said == "The ledger was compared with origin (a folder on this machine), which has no branch."


def test_a_first_release_into_a_branch_without_a_ledger(desk: Desk) -> None:
    (desk.home / "README").write_text("new")
    git(desk.home, "add", "README")
    git(desk.home, "commit", "-qm", "first")
    git(desk.home, "push", "-q", "origin", "HEAD:main")
    done = release(desk, "first", MOST)
    assert done.ledger.said.endswith("(a folder on this machine), which holds no ledger at baselines/ledger.")
    assert done.ledger.compared


def test_several_releases_before_they_are_merged(merged: Desk) -> None:
    release(merged, "second", MOST)
    release(merged, "third", MOST)
    release(merged, "third", MOST)
    merge(merged)
    assert release(merged, "fourth", MOST).ledger.compared


def test_a_release_that_was_withdrawn_before_it_was_merged(merged: Desk) -> None:
    release(merged, "second", MOST)
    releases.withdraw(baselines(merged), merged.home / "second", "It answers rudely.")
    assert release(merged, "third", MOST).ledger.compared


def test_a_clone_of_a_clone_with_baselines_elsewhere(desk: Desk, tmp_path: Path) -> None:
    """As `make demo` leaves them, twice: what it writes is ignored by git."""
    merge(desk)
    git(tmp_path, "clone", "-q", str(desk.home), "fresh")
    shutil.copytree(baselines(desk), tmp_path / "fresh" / ".tunegate" / "demo" / "baselines")
    root = tmp_path / "fresh" / ".tunegate" / "demo" / "baselines"
    said = compare_ledger(root, Outside(), [unit for task in load_tasks(desk.fixtures) for unit in task.units]).said
    assert "which holds no ledger at .tunegate/demo/baselines/ledger." in said


def test_a_baseline_that_is_recorded_again_before_it_is_merged(merged: Desk) -> None:
    merged.record_baseline({T: "1" * 29 + "0" * 31})
    merged.record_baseline({T: "1" * 28 + "0" * 32})
    assert release(merged, "second", MOST).ledger.compared


# --- events that are missing here


def test_a_deleted_event_is_refused_also_where_a_tracking_reference_was_moved(merged: Desk) -> None:
    [last] = read_ledger(baselines(merged)).last_release("desk")
    path_of(merged, last).unlink()
    baseline_path(baselines(merged), LOCAL["model"], T, released=True).unlink()
    git(merged.home, "commit", "-qam", "clean up")
    git(merged.home, "update-ref", "refs/remotes/origin/main", "HEAD")
    refuses(
        merged, "expected every event of origin/main in the ledger here, found 1 missing:",
        f"{last.digest}.json: the release of adapter {str(last.subject['adapter'])[:8]} on tiny",
        "merge origin/main, or bring them back: git fetch origin main, then git checkout FETCH_HEAD -- ",
    )  # fmt: skip


def test_a_deleted_ledger_is_refused_with_every_event(merged: Desk) -> None:
    candidate(merged)
    count = len(read_ledger(baselines(merged)).events)
    shutil.rmtree(baselines(merged) / LEDGER)
    refuses(merged, f"found {count} missing", "the baseline of 1 unit, tiny", "the release of adapter")


def test_an_event_that_came_while_models_were_asked(merged: Desk, tmp_path: Path) -> None:
    adapter = merged.adapter("second", weights="of second")
    judged = merged.evaluate(adapter, {T: MOST})
    opened = merged.opener(judged)

    def open_model(given: Path | None) -> Any:
        if given:
            git(tmp_path, "clone", "-q", "remote.git", "other")
            releases.withdraw(tmp_path / "other" / "baselines", merged.home / "first", "Meanwhile.")
            git(tmp_path / "other", "commit", "-qam", "withdraw")
            git(tmp_path / "other", "add", "-A")
            git(tmp_path / "other", "commit", "-qm", "withdraw")
            git(tmp_path / "other", "push", "-q", "origin", "HEAD:main")
        return opened(given)

    with pytest.raises(Refused, match=r"found 1 missing:\n.*the withdrawal of adapter \w{8} on tiny.*: Meanwhile\."):
        release_adapter(adapter, judged, merged.fixtures, baselines(merged), quiet(), open_model)
    assert not (adapter / MANIFEST).exists()


# --- events that stand here alone


def test_an_invented_withdrawal_of_the_last_release(merged: Desk) -> None:
    releases.withdraw(baselines(merged), merged.home / "first", "It is in my way.")
    refuses(merged, "the withdrawal of adapter", "origin/main has the release but not its withdrawal; merge it into "
            "origin/main first")  # fmt: skip
    merge(merged)
    assert release(merged, "second", MIDDLE).ledger.compared


def test_a_release_that_two_clones_withdrew(merged: Desk, tmp_path: Path) -> None:
    other = Path(shutil.copytree(merged.home, tmp_path / "other"))
    releases.withdraw(other / "baselines", merged.home / "first", "It answers rudely.")
    merge(Desk(other))
    releases.withdraw(baselines(merged), merged.home / "first", "It is too slow.")
    git(merged.home, "add", "-A")
    git(merged.home, "commit", "-qm", "withdraw")
    git(merged.home, "pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
    assert release(merged, "second", MIDDLE).ledger.compared


def guarded(desk: Desk) -> None:
    """A unit that the branch knows the baseline of."""
    write_desk(desk.fixtures, 60, "guard")
    write_policy(desk.fixtures, triage={"role": "target"}, guard={"margin": 0.1})
    desk.record_baseline({T: HALF, GUARD: HALF})
    merge(desk)
    (desk.fixtures / "desk" / "guard.yaml").unlink()
    write_policy(desk.fixtures, triage={"role": "target"})


def test_an_invented_end_of_a_unit(desk: Desk) -> None:
    guarded(desk)
    releases.retire_unit(baselines(desk), GUARD, "It is in my way.")
    refuses(
        desk, f"the retirement of {GUARD}", f"origin/main has {GUARD} but not the retirement; merge it into origin/main"
    )
    merge(desk)
    assert release(desk, "second", MOST).ledger.compared


def test_a_unit_that_vanished_with_its_baseline(desk: Desk) -> None:
    guarded(desk)
    baseline_path(baselines(desk), LOCAL["model"], GUARD).unlink()
    refuses(desk, f"origin/main has a baseline or a release of {GUARD}: expected among the fixtures, found no such",
            f"tunegate retire {GUARD} --reason TEXT")  # fmt: skip


def test_a_baseline_that_vanished(merged: Desk) -> None:
    judged = merged.evaluate(merged.adapter("second", weights="of second"), {T: MOST})
    baseline_path(baselines(merged), LOCAL["model"], T).unlink()
    with pytest.raises(Refused, match=r"expected a baseline at .*found none"):
        release_adapter(merged.home / "second", judged, merged.fixtures, baselines(merged), quiet(), answering)


@pytest.mark.parametrize("slug", [LOCAL["model"], "other-12345678"])
def test_an_invented_recording(merged: Desk, slug: str) -> None:
    append(baselines(merged), Event("recorded", "desk", LOCAL | {"model": slug}, {T: "9" * 64}))
    with pytest.raises(Refused, match=rf"the baseline that it names is missing \(.*{slug}/desk/triage.json\)"):
        compare(merged)


def test_an_invented_release_without_outputs(merged: Desk) -> None:
    append(baselines(merged), Event("released", "desk", LOCAL | {"adapter": "9" * 64}, {T: "9" * 64}))
    with pytest.raises(Refused, match=r"the outputs that it names are missing \(desk/triage\); restore them"):
        compare(merged)


def invent_release(desk: Desk, scores: str, adapter: str) -> None:
    """Outputs and an event of a release that never was."""
    tasks = load_tasks(desk.fixtures)
    save(baselines(desk), record(tasks, {T: scores}, adapter), tasks[0].units, released=True)


def test_an_invented_release_of_a_weak_adapter_does_not_replace_the_last_one(merged: Desk) -> None:
    invent_release(merged, HALF, "9" * 64)
    with pytest.raises(Refused, match=r"desk: not released\. By the ledger of origin/main: .*regressed"):
        release(merged, "second", MIDDLE)
    assert release(merged, "third", MOST).ledger.compared


def test_an_invented_release_does_not_hide_that_the_outputs_of_the_last_one_are_gone(merged: Desk) -> None:
    invent_release(merged, HALF, "9" * 64)
    shutil.rmtree(baselines(merged) / LEDGER / releases.OUTPUTS)
    with pytest.raises(Refused, match=r"expected its outputs at .*\n.*origin/main does not know the event that repl"):
        release(merged, "second", MIDDLE)


def test_an_invented_release_of_the_candidate_itself_does_not_replace_the_last_one(merged: Desk) -> None:
    invent_release(merged, MIDDLE, adapter_digest(merged.adapter("second", weights="of second")))
    with pytest.raises(Refused, match=r"desk: not released\. By the ledger of origin/main: .*regressed"):
        release(merged, "second", MIDDLE)


def test_an_invented_renewal_of_the_last_release_does_not_weaken_it(merged: Desk) -> None:
    invent_release(merged, HALF, adapter_digest(merged.home / "first"))
    with pytest.raises(Refused, match=r"desk: not released\. By the ledger of origin/main: .*regressed"):
        release(merged, "second", MIDDLE)


def test_a_renewal_after_an_edit_of_the_fixtures_is_merged_first(merged: Desk) -> None:
    write_desk(merged.fixtures, 60, case_keys=lambda index: {"input": f"other {index}"})
    merged.record_baseline({T: HALF})
    write_diagnosis(baselines(merged), DIAGNOSIS)
    invent_release(merged, MOST, adapter_digest(merged.home / "first"))
    with pytest.raises(Refused, match="origin/main does not know the event that replaced it; merge that into origin/m"):
        release(merged, "second", MOST)
    merge(merged)
    assert release(merged, "third", MOST).ledger.compared


def test_an_invented_opening_does_not_make_a_look_an_earlier_one(desk: Desk) -> None:
    write_desk(desk.fixtures, 20, "final", sealed=True)
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units]
    first, second = (Fingerprint(LOCAL | {"adapter": letter * 64}, {"backend": "transformers"}) for letter in "12")
    for event in case_events("opened", first, units):
        append(baselines(desk), event)
    merge(desk)
    here = {unit.key: 1 for unit in units}
    assert set(compare(desk).numbers(here, units, first).values()) == {1}
    for event in case_events("opened", second, units):
        write_event(baselines(desk), event)  # after nothing, and at no time: before all others
    assert set(compare(desk).numbers(here, units, second).values()) == {2}


def test_a_release_after_an_invented_opening_is_held_to_the_later_look(desk: Desk) -> None:
    write_desk(desk.fixtures, 20, "final", sealed=True)
    write_policy(desk.fixtures, triage={"role": "target"}, final={"margin": 0.3})
    desk.record_baseline({T: HALF})
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units if unit.sealed]
    for letter in "12":
        for event in case_events("opened", Fingerprint(LOCAL | {"adapter": letter * 64}, {}), units):
            append(baselines(desk), event)
    merge(desk)
    adapter, sealed = desk.adapter(), {"desk/final": "1" * 10 + "0" * 10}
    subject = desk.record(adapter, {T: MOST} | sealed).run_by
    for event in case_events("opened", subject, units):
        write_event(baselines(desk), event)
    base = desk.record(None, {T: HALF} | sealed)
    judged = desk.evaluate(adapter, {T: MOST} | sealed, base, sealed=True)
    opener = desk.opener(judged, base=base)
    with pytest.raises(Refused, match=r"By the ledger of origin/main: Blocked: desk/final inconclusive"):
        release_adapter(adapter, judged, desk.fixtures, baselines(desk), quiet(), opener)
    git(desk.home, "remote", "remove", "origin")  # what the ledger here says alone
    release_adapter(adapter, judged, desk.fixtures, baselines(desk), quiet(), opener)
    assert "This is evaluation 1 of its sealed cases, by the ledger" in (adapter / "README.md").read_text()


# --- which branch of which remote


def test_a_branch_is_named(merged: Desk, tmp_path: Path) -> None:
    git(merged.home, "push", "-q", "origin", "HEAD:next/one")
    git(merged.home, "remote", "add", "up/stream", str(tmp_path / "remote.git"))
    for into, name in (
        (None, "origin/main"), ("origin", "origin/main"), ("main", "origin/main"),
        ("origin/next/one", "origin/next/one"), ("next/one", "origin/next/one"),
        ("up/stream/main", "up/stream/main"), ("up/stream", "up/stream/main"),
    ):  # fmt: skip
        assert compare(merged, Outside(into)).name == name


def test_a_branch_that_is_not_the_default_is_called_so(merged: Desk) -> None:
    git(merged.home, "push", "-q", "origin", "HEAD:mine")
    assert ", which is not the default branch of origin" in compare(merged, Outside("origin/mine")).said
    assert "not the default" not in compare(merged, Outside("origin/main")).said


@pytest.mark.parametrize("how", ["a link", "a repository"])
def test_baselines_outside_of_the_repository_are_refused(merged: Desk, tmp_path: Path, how: str) -> None:
    if how == "a link":
        baselines(merged).rename(tmp_path / "elsewhere")
        baselines(merged).symlink_to(tmp_path / "elsewhere")
    else:
        git(baselines(merged), "init", "-q")
    with pytest.raises(Refused, match="expected the baselines in the repository that contains them"):
        compare(merged)


@pytest.mark.parametrize("how", ["a setting", "a link"])
def test_a_ledger_that_the_branch_has_in_another_folder_is_not_passed_by(merged: Desk, how: str) -> None:
    baselines(merged).rename(merged.home / "kept")
    if how == "a link":
        baselines(merged).symlink_to("kept")
    units = [unit for task in load_tasks(merged.fixtures) for unit in task.units]
    with pytest.raises(Refused, match="origin/main has the ledger in baselines, and this release would use kept"):
        compare_ledger(merged.home / ("kept" if how == "a setting" else "baselines"), Outside(), units)


@pytest.mark.parametrize(
    ("into", "said"),
    [
        ("origin/nowhere", "--into: expected a branch nowhere at origin, found main; name one: --into origin/BRANCH"),
        ("ma", "--into: expected a branch ma at origin"),
        ("*", "--into: expected a branch * at origin"),
        ("--upload-pack=touch sprung", "--into: expected a branch --upload-pack=touch sprung at origin"),
    ],
)
def test_a_branch_that_is_not_there(merged: Desk, into: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        compare(merged, Outside(into))
    assert said in str(error.value)


def test_several_remotes_without_an_origin(merged: Desk) -> None:
    git(merged.home, "remote", "rename", "origin", "one")
    assert compare(merged).name == "one/main"
    git(merged.home, "remote", "add", "two", "nowhere")
    with pytest.raises(UsageError, match="expected one remote, or an origin, found one, two; name the branch: "
                       "--into one/main"):  # fmt: skip
        compare(merged)


def test_a_remote_without_a_default_branch(merged: Desk, tmp_path: Path) -> None:
    git(tmp_path / "remote.git", "symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(UsageError, match="--into: expected a default branch at origin, found main; name one"):
        compare(merged)
    assert compare(merged, Outside("main")).compared


@pytest.mark.parametrize("without", ["repository", "remote"])
def test_a_branch_that_is_named_without_a_remote(desk: Desk, without: str) -> None:
    git(desk.home, "remote", "remove", "origin")
    if without == "repository":
        shutil.rmtree(desk.home / ".git")
    with pytest.raises(UsageError, match="--into origin/main: expected a remote, found none"):
        compare(desk, Outside("origin/main"))


def test_what_stands_at_the_remote_and_is_no_event(desk: Desk) -> None:
    merge(desk)
    (baselines(desk) / LEDGER / f"{'0' * 64}.json").write_text("{}")
    merge(desk)
    (baselines(desk) / LEDGER / f"{'0' * 64}.json").unlink()
    refuses(desk, "found 1 missing", f"{'0' * 64}.json\nmerge origin/main")


def test_a_hanging_remote_does_not_hold_a_release_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "SECONDS", 0.0)
    assert compare(desk).said == "The ledger was not compared with a remote: origin did not respond within 0 seconds."


# --- a remote that counts openings


def test_the_counter_is_asked_as_well(merged: Desk, tmp_path: Path) -> None:
    outside = Outside(ledger_remote="origin")
    assert compare(merged, outside).said.endswith(
        " The ledger was compared with refs/tunegate/ledger of origin, which does not exist yet."
    )
    other = Path(shutil.copytree(merged.home, tmp_path / "other")) / "baselines"
    opened = Event("opened", "desk", LOCAL | {"adapter": "5" * 64}, cases={T: ("a" * 16,)})
    append(other, opened)
    push(other, "origin")
    with pytest.raises(Refused) as error:
        compare(merged, outside)
    assert "expected every event of refs/tunegate/ledger of origin in the ledger here, found 1 " in str(error.value)
    assert "the evaluation of sealed desk/triage for adapter 55555555" in str(error.value)
    assert "run pytest with --tg-sealed and this --tg-ledger-remote again" in str(error.value)
    append(baselines(merged), opened)
    shutil.copytree(other / LEDGER, baselines(merged) / LEDGER, dirs_exist_ok=True)
    said = compare(merged, outside).said
    assert "compared with origin/main at commit" in said
    assert "compared with refs/tunegate/ledger of origin at commit" in said


def test_a_withdrawal_that_the_counter_alone_knows_is_not_believed(merged: Desk) -> None:
    releases.withdraw(baselines(merged), merged.home / "first", "It is in my way.")
    push(baselines(merged), "origin")
    with pytest.raises(Refused, match="origin/main has the release but not its withdrawal"):
        compare(merged, Outside(ledger_remote="origin"))


def test_a_release_or_a_look_that_the_counter_alone_knows_makes_nothing_easier(merged: Desk) -> None:
    second = merged.adapter("second", weights="of second")
    asked = Fingerprint(LOCAL | {"adapter": adapter_digest(second)}, {"backend": "transformers"})
    units = [unit for task in load_tasks(merged.fixtures) for unit in task.units]
    for event in case_events("opened", Fingerprint(LOCAL | {"adapter": "1" * 64}, {}), units):
        append(baselines(merged), event)
    merge(merged)
    for event in case_events("opened", asked, units):
        write_event(baselines(merged), event)
    invent_release(merged, HALF, "9" * 64)
    push(baselines(merged), "origin")
    outside = Outside(ledger_remote="origin")
    assert compare(merged, outside).numbers({T: 1}, units, asked) == {T: 2}
    with pytest.raises(Refused, match=r"By the ledger of origin/main: .*"):
        release(merged, "second", MIDDLE, outside)


def test_a_counter_that_does_not_answer(merged: Desk) -> None:
    said = compare(merged, Outside(ledger_remote="nowhere.git")).said
    assert said.endswith("not compared with refs/tunegate/ledger: a folder on this machine did not respond.")
