"""The ledger under git: merges, branches that drop an event, a remote that counts for all clones."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.records import LOCAL
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.history.ledger import ledger_git
from tunegate.harness.history.ledger.evaluations import sealed_evaluations
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.ledger_git import REF, pull, push
from tunegate.harness.history.ledger.store import LEDGER, append, event_path, read_ledger

FIRST, SECOND, THIRD = (LOCAL | {"adapter": letter * 64} for letter in "abc")
NEXT = LOCAL | {"model": "next-87654321", "base": "f" * 64, "adapter": "d" * 64}
T = "desk/triage"


def opened(subject: dict) -> Event:
    return Event("opened", "desk", subject, cases={"desk/final": tuple(case * 16 for case in "ab")})


def released(subject: dict, sha: str = "1") -> Event:
    return Event("released", "desk", subject, {T: sha * 64})


def git(folder: Path, *arguments: str) -> str:
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *own, "-C", folder, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, *events: Event) -> None:
    for event in events:
        append(folder / "baselines", event)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "events")


def ledger(folder: Path, *arguments: str):
    return CliRunner().invoke(app, ["ledger", "--baselines", str(folder / "baselines"), *arguments])


def branch(folder: Path, name: str, *events: Event) -> None:
    """A branch off main, with some events of its own."""
    git(folder, "checkout", "-qb", name, "main")
    commit(folder, *events)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose main branch knows one release."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, released(FIRST))
    return folder


# --- merges


def test_two_branches_with_an_opening_each_merge_to_both(clone: Path) -> None:
    branch(clone, "one", opened(SECOND))
    branch(clone, "two", opened(THIRD))
    git(clone, "merge", "-q", "--no-edit", "one")
    assert sealed_evaluations(read_ledger(clone / "baselines"), "desk") == {"a" * 16: 2, "b" * 16: 2}
    done = ledger(clone)
    assert done.exit_code == 0, done.output
    assert "desk: the last release is adapter aaaaaaaa on tiny-12345678; sealed cases evaluated 2 times" in done.output
    assert "3 events, 2 heads; none is missing" in done.output
    for each in ("main", "one", "two"):
        assert ledger(clone, "--contains", each).exit_code == 0


def test_a_branch_that_drops_the_last_event_is_refused_by_the_one_that_knows_it(clone: Path) -> None:
    commit(clone, opened(SECOND))
    [last] = read_ledger(clone / "baselines").heads
    git(clone, "checkout", "-qb", "dropped")
    event_path(clone / "baselines", last).unlink()
    git(clone, "commit", "-qam", "clean up")
    assert ledger(clone).exit_code == 0  # nothing here names it: only another branch can tell
    done = ledger(clone, "--contains", "main")
    assert done.exit_code == 4
    assert "expected every event of main in the ledger here, found 1 missing:" in done.output
    assert "the evaluation of sealed desk/final for adapter bbbbbbbb on tiny-12345678 (desk, 20" in done.output
    assert "git checkout main -- " in done.output
    git(clone, "checkout", "main", "--", f"baselines/{LEDGER}")
    assert ledger(clone, "--contains", "main").exit_code == 0


def test_an_event_that_others_came_after_is_missed_in_the_clone_itself(clone: Path) -> None:
    commit(clone, opened(SECOND), opened(THIRD))
    gone = read_ledger(clone / "baselines").in_order[1]
    event_path(clone / "baselines", gone.digest).unlink()
    git(clone, "commit", "-qam", "clean up")
    done = ledger(clone)
    assert done.exit_code == 4
    assert f"{gone.digest}.json: expected the event before the evaluation of sealed desk/final" in done.output
    assert "history was lost; restore it: git log --all --oneline -- " in done.output


def test_a_merge_that_takes_one_side_is_refused(clone: Path) -> None:
    branch(clone, "one", opened(SECOND))
    branch(clone, "two", opened(THIRD))
    git(clone, "merge", "-q", "--no-edit", "-s", "ours", "one")
    done = ledger(clone, "--contains", "one")
    assert (done.exit_code, "found 1 missing" in done.output) == (4, True)


def test_releases_on_two_branches_wait_for_a_withdrawal(clone: Path) -> None:
    branch(clone, "one", released(SECOND, "2"))
    branch(clone, "two", released(NEXT, "3"))
    git(clone, "merge", "-q", "--no-edit", "one")
    assert (
        "several releases at once: adapter bbbbbbbb on tiny-12345678, adapter dddddddd on next" in ledger(clone).output
    )
    with pytest.raises(Refused, match="desk: expected one last release, found several that do not know of each other"):
        read_ledger(clone / "baselines").last_release("desk")
    commit(clone, Event("withdrawn", "desk", SECOND, reason="The other one is served."))
    [last] = read_ledger(clone / "baselines").last_release("desk")
    assert last.subject["model"] == "next-87654321"


def test_a_withdrawal_on_one_branch_holds_after_the_merge(clone: Path) -> None:
    commit(clone, released(SECOND, "2"))
    branch(clone, "one", Event("withdrawn", "desk", SECOND, reason="It answers rudely."))
    branch(clone, "two", released(SECOND, "4"))  # its outputs were renewed there
    git(clone, "merge", "-q", "--no-edit", "one")
    done = ledger(clone)
    assert "the withdrawal of adapter bbbbbbbb on tiny-12345678: It answers rudely." in done.output
    assert "desk: the last release is adapter aaaaaaaa on tiny-12345678;" in done.output


@pytest.mark.parametrize(
    ("ref", "code", "said"),
    [
        ("nowhere", 2, "--contains nowhere: expected a branch or a commit of this repository, found none"),
        ("--help", 2, "--contains --help: expected a branch or a commit"),
    ],
)
def test_what_is_no_branch_is_said(clone: Path, ref: str, code: int, said: str) -> None:
    done = ledger(clone, f"--contains={ref}")
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_outside_of_a_repository_it_could_not_run(tmp_path: Path) -> None:
    append(tmp_path / "baselines", opened(FIRST))
    done = ledger(tmp_path, "--contains=main")
    assert (done.exit_code, "expected it in a git repository" in done.output) == (3, True), done.output


def test_an_event_that_was_edited_on_the_branch_is_refused(clone: Path) -> None:
    [path] = (clone / "baselines" / LEDGER).glob("*.json")
    path.write_text(path.read_text().replace("a" * 64, "b" * 64))
    git(clone, "commit", "-qam", "edit")
    git(clone, "checkout", "-q", "HEAD^", "--", "baselines")
    done = ledger(clone, "--contains=main")
    assert (done.exit_code, "main: " in done.output, "found it edited or renamed" in done.output) == (4, True, True)


# --- a remote


@pytest.fixture
def remote(tmp_path: Path) -> str:
    (tmp_path / "remote.git").mkdir()
    git(tmp_path / "remote.git", "init", "-q", "--bare")
    return str(tmp_path / "remote.git")


def clones(clone: Path, count: int) -> list[Path]:
    return [Path(shutil.copytree(clone, clone.with_name(f"clone{number}"))) / "baselines" for number in range(count)]


def test_openings_of_all_clones_are_counted_at_the_remote(clone: Path, remote: str) -> None:
    one, two = clones(clone, 2)
    append(one, opened(SECOND))
    push(one, remote)
    shutil.rmtree(one)  # a branch that was never merged
    append(two, opened(THIRD))
    push(two, remote)
    assert sealed_evaluations(read_ledger(two), "desk") == {"a" * 16: 2, "b" * 16: 2}


def test_clones_that_push_at_once_lose_nothing(clone: Path, remote: str) -> None:
    many = clones(clone, 6)

    def run(number: int) -> None:
        append(many[number], opened(LOCAL | {"adapter": f"{number}" * 64}))
        push(many[number], remote)

    with ThreadPoolExecutor(len(many)) as pool:
        list(pool.map(run, range(len(many))))
    pull(clone / "baselines", remote)
    assert sealed_evaluations(read_ledger(clone / "baselines"), "desk") == {"a" * 16: 6, "b" * 16: 6}
    assert git(Path(remote), "rev-list", "--count", REF) == "6"


def test_a_pull_that_is_killed_leaves_a_whole_ledger(clone: Path, remote: str, monkeypatch) -> None:
    one, two = clones(clone, 2)
    for number in range(8):
        append(one, opened(LOCAL | {"adapter": f"{number}" * 64}))
    push(one, remote)
    written = ledger_git.write_event
    for _ in range(8):
        once = iter([written])
        monkeypatch.setattr(ledger_git, "write_event", lambda root, event, once=once: next(once)(root, event))
        with suppress(StopIteration):
            pull(two, remote)
        read_ledger(two)
    assert read_ledger(two) == read_ledger(one)


def test_a_remote_that_lost_an_event_is_refused_and_nothing_is_written(clone: Path, remote: str) -> None:
    one, two = clones(clone, 2)
    for subject in (SECOND, THIRD):
        append(one, opened(subject))
    push(one, remote)
    gone = read_ledger(one).in_order[1]
    event_path(one, gone.digest).unlink()
    paths = {path.name: git(clone, "hash-object", "-w", str(path)) for path in (one / LEDGER).glob("*.json")}
    listed = "".join(f"100644 blob {sha}\t{name}\n" for name, sha in paths.items())
    tree = subprocess.run(["git", "mktree"], cwd=clone, input=listed, capture_output=True, text=True, check=True).stdout
    git(clone, "push", "-qf", remote, f"{git(clone, 'commit-tree', tree.strip(), '-m', 'lost')}:{REF}")
    with pytest.raises(Refused, match=f"{gone.digest}.json: expected the event before .*history was lost"):
        pull(two, remote)
    assert len(read_ledger(two).events) == 1


def test_a_push_touches_no_branch_index_or_file(clone: Path, remote: str) -> None:
    before = [git(clone, *each) for each in (["status", "--porcelain"], ["rev-parse", "HEAD"], ["branch", "-a"])]
    push(clone / "baselines", remote)
    assert [
        git(clone, *each) for each in (["status", "--porcelain"], ["rev-parse", "HEAD"], ["branch", "-a"])
    ] == before
    assert git(Path(remote), "for-each-ref", "--format=%(refname)") == REF


def test_a_remote_may_be_named_as_the_repository_does(clone: Path, remote: str) -> None:
    git(clone, "remote", "add", "origin", remote)
    push(clone / "baselines", "origin")
    assert git(Path(remote), "ls-tree", "--name-only", REF).endswith(".json")


def test_a_remote_that_cannot_be_written_to_is_told(clone: Path, remote: str) -> None:
    hook = Path(remote) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not here >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CouldNotRun, match=r"expected to write refs/tunegate/ledger there, git says: .*not here"):
        push(clone / "baselines", remote)


def test_a_remote_that_is_not_there_is_told(clone: Path, tmp_path: Path) -> None:
    with pytest.raises(CouldNotRun, match=r"git ls-remote, in .*baselines: "):
        push(clone / "baselines", str(tmp_path / "nowhere"))
