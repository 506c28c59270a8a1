"""The ledger and git: what another branch knows, and a remote that counts the openings of all clones.

Only plumbing is used: no branch, index or work tree is touched, and no event is ever changed or taken away.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tunegate.harness.baselines.ledger import (
    LEDGER,
    Event,
    Ledger,
    event_path,
    parse_event,
    read_ledger,
    render_event,
    write_event,
)
from tunegate.harness.core.errors import CouldNotRun, Refused, UsageError, show_path

REF = "refs/tunegate/ledger"
TRIES = 20  # of a push: each time that it fails, another clone's came through
SECONDS = 120
NOBODY = {"GIT_AUTHOR_NAME": "tunegate", "GIT_AUTHOR_EMAIL": "tunegate@localhost", "GIT_COMMITTER_NAME": "tunegate",
          "GIT_COMMITTER_EMAIL": "tunegate@localhost", "GIT_TERMINAL_PROMPT": "0"}  # fmt: skip


def events_at(root: Path, ref: str) -> dict[str, Event]:
    """The events of the ledger below `root` as a branch or commit has them, by digest.

    Raises:
        UsageError: there is no such branch or commit.
        CouldNotRun: `root` is in no git repository.
        Refused: what stands there is no ledger.
    """
    _check_repository(root)
    found = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        raise UsageError(f"--contains {ref}: expected a branch or a commit of this repository, found none; git fetch?")
    return _events_of(root, found.stdout.decode().strip(), f"{LEDGER}/", ref)


def missing_events(theirs: Mapping[str, Event], here: Mapping[str, Event]) -> list[Event]:
    """The events that another branch knows and this one does not, oldest first."""
    return sorted((event for name, event in theirs.items() if name not in here), key=lambda event: event.when)


def check_contains(root: Path, ledger: Ledger, ref: str) -> None:
    """Refuse a ledger that lacks an event of a branch or commit, as after a deletion or a merge that took one side.

    Raises:
        Refused: names the events, and how to bring them back; see also `events_at`.
    """
    lines = [
        f"{show_path(event_path(root, event.digest))}: {render_event(event)}"
        for event in missing_events(events_at(root, ref), ledger.events)
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
    _check_repository(root)
    listed = _git(root, "ls-remote", "--end-of-options", remote, REF).decode().split()
    if not listed:
        return ""
    _git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", remote, REF)
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
        done = _run(root, "push", "--quiet", "--no-verify", lease, "--end-of-options", remote, spec)
        if not done.returncode:
            return
        said = _said(done)
        after = _git(root, "ls-remote", "--end-of-options", remote, REF).decode().split()
        if (after[0] if after else "") == before:
            break  # nobody else was faster: it will not do
    raise CouldNotRun(f"the ledger's remote {remote}: expected to write {REF} there, git says: {said}")


def _commit(root: Path, before: str) -> str:
    """A commit that holds every event, after `before`."""
    paths = [event_path(root, name).resolve() for name in read_ledger(root).events]
    blobs = _git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", given="\n".join(map(str, paths)))
    lines = [f"100644 blob {sha}\t{path.name}\n" for sha, path in zip(blobs.decode().split(), paths, strict=True)]
    tree = _git(root, "mktree", given="".join(lines)).decode().strip()
    parents = ["-p", before] if before else []
    return _git(root, "commit-tree", tree, "-m", "ledger", *parents).decode().strip()


def _events_of(root: Path, commit: str, folder: str, name: str) -> dict[str, Event]:
    """The events in a folder of a commit; a path counts from `root`."""
    listed = [line.split("\t") for line in _git(root, "ls-tree", commit, *([folder] if folder else ["--full-tree"]))
              .decode().splitlines()]  # fmt: skip
    blobs = {path.rpartition("/")[2]: about.split()[2] for about, path in listed if path.endswith(".json")}
    texts = _read_blobs(root, list(blobs.values()))
    events = {}
    for file, text in zip(blobs, texts, strict=True):
        event = parse_event(text, f"{name}: {file}")
        if f"{event.digest}.json" != file:
            raise Refused(f"{name}: {file}: expected an event as it was written, found it edited or renamed")
        events[event.digest] = event
    return events


def _read_blobs(root: Path, names: list[str]) -> list[str]:
    rest, texts = _git(root, "cat-file", "--batch", given="".join(f"{name}\n" for name in names)), []
    while rest:
        head, _, rest = rest.partition(b"\n")
        size = int(head.split()[2])
        texts.append(rest[:size].decode("utf-8", "replace"))
        rest = rest[size + 1 :]
    return texts


def _check_repository(root: Path) -> None:
    if not root.is_dir():
        raise CouldNotRun(f"{show_path(root)}: expected the folder of baselines in a git repository, found no folder")
    if (done := _run(root, "rev-parse", "--git-dir")).returncode:
        raise CouldNotRun(f"{show_path(root)}: expected it in a git repository, git says: {_said(done)}")


def _git(root: Path, *arguments: str, given: str = "") -> bytes:
    done = _run(root, *arguments, given=given)
    if done.returncode:
        raise CouldNotRun(f"git {arguments[0]}, in {show_path(root)}: {_said(done)}")
    return done.stdout


def _run(root: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], input=given.encode(), capture_output=True, timeout=SECONDS,
            env=os.environ | NOBODY, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise CouldNotRun("git: expected it to be installed, found none") from None
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"git {arguments[0]}, in {show_path(root)}: no answer within {SECONDS} seconds") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode("utf-8", "replace").split()) or f"exit code {done.returncode}"
