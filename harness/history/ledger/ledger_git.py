"""The ledger in git: the events of another branch, and a remote that counts evaluations across all clones.

Only plumbing commands are used: no branch, index or work tree is touched, and no event is changed or removed.
"""

from __future__ import annotations

from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.git import check_repository, commit_of, git, git_said, read_blobs, run_git
from tunegate.harness.history.ledger.ledger import Event, Ledger
from tunegate.harness.history.ledger.store import (
    LEDGER,
    event_path,
    joint_ledger,
    parse_event,
    read_ledger,
    render_event,
    write_event,
)  # fmt: skip

REF = "refs/tunegate/ledger"
TRIES = 20  # of a push: a failure means that another clone's push succeeded


def check_contains(root: Path, ledger: Ledger, ref: str, option: str = "--contains") -> None:
    """Refuse a ledger that lacks an event of a branch or commit, as after a deletion or a one-sided merge.

    Raises:
        UsageError: there is no such branch or commit; `option` gave its name.
        CouldNotRun: `root` is in no git repository.
        Refused: events are missing, or the content is not a ledger.
    """
    check_repository(root, "the folder of baselines")
    theirs = _events_of(root, commit_of(root, ref, option), f"{LEDGER}/", ref)
    missing = [event for name, event in theirs.items() if name not in ledger.events]
    lines = [
        f"  {show_path(event_path(root, event.digest))}: {render_event(event)}"
        for event in sorted(missing, key=lambda event: event.when)
    ]
    if lines:
        raise Refused(
            f"expected every event of {ref} in the ledger here, found {len(lines)} missing:\n"
            + "\n".join(lines)
            + f"\nmerge {ref}, or restore them: git checkout {ref} -- {show_path(root / LEDGER)}"
        )


def pull(root: Path, remote: str) -> str:
    """Add the events of a remote that this ledger lacks; return the commit that holds them, or an empty string.

    Raises:
        CouldNotRun: the remote does not respond.
        Refused: its content is not a ledger.
    """
    check_repository(root, "the folder of baselines")
    listed = git(root, "ls-remote", "--end-of-options", remote, REF).decode().split()
    if not listed:
        return ""
    git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", remote, REF)
    here = read_ledger(root)
    for event in joint_ledger(root, here, _events_of(root, listed[0], "", remote)).in_order:
        if event.digest not in here.events:  # after those that it names: a kill leaves a whole ledger
            write_event(root, event)
    return listed[0]


def push(root: Path, remote: str) -> None:
    """Push every event of this ledger to a remote, by compare and swap, so that no clone's events are lost.

    Raises:
        CouldNotRun: the remote does not respond or is not writable.
    """
    said = ""
    for _ in range(TRIES):
        before = pull(root, remote)
        commit = _commit(root, before)
        lease, spec = f"--force-with-lease={REF}:{before}", f"{commit}:{REF}"
        done = run_git(root, "push", "--quiet", "--no-verify", lease, "--end-of-options", remote, spec)
        if not done.returncode:
            return
        said = git_said(done)
        after = git(root, "ls-remote", "--end-of-options", remote, REF).decode().split()
        if (after[0] if after else "") == before:
            break  # no other clone was faster: retrying is useless
    raise CouldNotRun(f"the ledger's remote {remote}: expected to write {REF} there, git says: {said}")


def _commit(root: Path, before: str) -> str:
    """Return a commit with every event, after `before`."""
    paths = [event_path(root, name).resolve() for name in read_ledger(root).events]
    blobs = git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", given="\n".join(map(str, paths)))
    lines = [f"100644 blob {sha}\t{path.name}\n" for sha, path in zip(blobs.decode().split(), paths, strict=True)]
    tree = git(root, "mktree", given="".join(lines)).decode().strip()
    parents = ["-p", before] if before else []
    return git(root, "commit-tree", tree, "-m", "ledger", *parents).decode().strip()


def _events_of(root: Path, commit: str, folder: str, name: str) -> dict[str, Event]:
    """Return the events in a folder of a commit; paths are relative to `root`."""
    listed = [line.split("\t") for line in git(root, "ls-tree", commit, *([folder] if folder else ["--full-tree"]))
              .decode().splitlines()]  # fmt: skip
    blobs = {path.rpartition("/")[2]: about.split()[2] for about, path in listed if path.endswith(".json")}
    texts = (content.decode("utf-8", "replace") for content in read_blobs(root, list(blobs.values())))
    events = {}
    for file, text in zip(blobs, texts, strict=True):
        event = parse_event(text, f"{name}: {file}")
        if f"{event.digest}.json" != file:
            raise Refused(f"{name}: {file}: expected an event as it was written, found it edited or renamed")
        events[event.digest] = event
    return events
