"""The ledger and git: what another branch knows, and a remote that counts the openings of all clones.

Only plumbing is used: no branch, index or work tree is touched, and no event is ever changed or taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunegate.harness.core.errors import CouldNotRun, Refused, show_path
from tunegate.harness.core.git import check_repository, commit_of, git, git_said, read_blobs, run_git
from tunegate.harness.ledger.ledger import (
    LEDGER,
    Event,
    Ledger,
    event_path,
    parse_event,
    read_ledger,
    render_event,
    write_event,
)

REF = "refs/tunegate/ledger"
TRIES = 20  # of a push: each time that it fails, another clone's came through


def events_at(root: Path, ref: str, option: str = "--contains") -> dict[str, Event]:
    """The events of the ledger below `root` as a branch or commit has them, by digest; `option` took its name.

    Raises:
        UsageError: there is no such branch or commit.
        CouldNotRun: `root` is in no git repository.
        Refused: what stands there is no ledger.
    """
    check_repository(root, "the folder of baselines")
    return _events_of(root, commit_of(root, ref, option), f"{LEDGER}/", ref)


def missing_events(theirs: Mapping[str, Event], here: Mapping[str, Event]) -> list[Event]:
    """The events that another branch knows and this one does not, oldest first."""
    return sorted((event for name, event in theirs.items() if name not in here), key=lambda event: event.when)


def check_contains(root: Path, ledger: Ledger, ref: str, option: str = "--contains") -> None:
    """Refuse a ledger that lacks an event of a branch or commit, as after a deletion or a merge that took one side.

    `option` took its name.

    Raises:
        Refused: names the events, and how to bring them back; see also `events_at`.
    """
    lines = [
        f"{show_path(event_path(root, event.digest))}: {render_event(event)}"
        for event in missing_events(events_at(root, ref, option), ledger.events)
    ]
    if lines:
        raise Refused(
            f"expected every event of {ref} in the ledger here, found {len(lines)} missing:\n"
            + "\n".join(f"  {line}" for line in lines)
            + f"\nmerge {ref}, or bring them back: git checkout {ref} -- {show_path(root / LEDGER)}"
        )


def pull(root: Path, remote: str) -> str:
    """Take over the events that a remote has and this ledger lacks; returns the commit that holds them, or nothing.

    Raises:
        CouldNotRun: the remote does not answer.
        Refused: what it holds is no ledger.
    """
    check_repository(root, "the folder of baselines")
    listed = git(root, "ls-remote", "--end-of-options", remote, REF).decode().split()
    if not listed:
        return ""
    git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", remote, REF)
    for name, event in _events_of(root, listed[0], "", remote).items():
        if not event_path(root, name).exists():
            write_event(root, event)
    return listed[0]


def push(root: Path, remote: str) -> None:
    """Make a remote know every event of this ledger: compare and swap, so that of two clones none is lost.

    Raises:
        CouldNotRun: the remote does not answer, or does not let itself be written to.
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
            break  # nobody else was faster: it will not do
    raise CouldNotRun(f"the ledger's remote {remote}: expected to write {REF} there, git says: {said}")


def _commit(root: Path, before: str) -> str:
    """A commit that holds every event, after `before`."""
    paths = [event_path(root, name).resolve() for name in read_ledger(root).events]
    blobs = git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", given="\n".join(map(str, paths)))
    lines = [f"100644 blob {sha}\t{path.name}\n" for sha, path in zip(blobs.decode().split(), paths, strict=True)]
    tree = git(root, "mktree", given="".join(lines)).decode().strip()
    parents = ["-p", before] if before else []
    return git(root, "commit-tree", tree, "-m", "ledger", *parents).decode().strip()


def _events_of(root: Path, commit: str, folder: str, name: str) -> dict[str, Event]:
    """The events in a folder of a commit; a path counts from `root`."""
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
