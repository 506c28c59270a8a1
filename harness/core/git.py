"""The git commands used here: plumbing only, which touches no branch, index or work tree."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from tunegate.harness.core.errors import CouldNotRun, UsageError, show_path

SECONDS = 120  # per command
DIGITS = re.compile(r"[0-9a-fA-F]{4,40}")
MOST_OF_A_FILE = 128 * 2**20  # bytes; files that decide are smaller, weights are not
ELSEWHERE = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_REPLACE_REF_BASE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
    "GIT_CEILING_DIRECTORIES",
})  # fmt: skip
#: A fixed author of commits, and no password prompts.
NOBODY = {"GIT_AUTHOR_NAME": "tunegate", "GIT_AUTHOR_EMAIL": "tunegate@localhost", "GIT_COMMITTER_NAME": "tunegate",
          "GIT_COMMITTER_EMAIL": "tunegate@localhost", "GIT_TERMINAL_PROMPT": "0",
          "GIT_NO_REPLACE_OBJECTS": "1"}  # fmt: skip


def git(folder: Path, *arguments: str, given: str = "") -> bytes:
    """Return the output of a git command; raises CouldNotRun if it fails, or git is missing."""
    done = run_git(folder, *arguments, given=given)
    if done.returncode:
        raise CouldNotRun(f"git {arguments[0]}, in {show_path(folder)}: {git_said(done)}")
    return done.stdout


def run_git(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run a git command that may fail; raises CouldNotRun if git is missing or does not end."""
    try:
        return subprocess.run(
            ["git", "-c", "safe.bareRepository=explicit", "-C", str(folder), *arguments], input=given.encode(),
            env=clean_environment() | _work_tree(folder), capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise CouldNotRun("git: expected it to be installed, found none") from None
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"git {arguments[0]}, in {show_path(folder)}: no response within {SECONDS} seconds") from None


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that point git to another repository or another history."""
    return {name: value for name, value in os.environ.items() if name not in ELSEWHERE} | NOBODY


def _work_tree(folder: Path) -> dict[str, str]:
    """Return the folder with `.git` as the root of paths, whatever the repository's settings say.

    Raises CouldNotRun if a folder below it resembles a repository: git would use it and run the
    commands that it names.
    """
    here = Path(os.path.realpath(folder))
    for each in (here, *here.parents):
        if (each / ".git").exists():
            return {"GIT_WORK_TREE": str(each)}
        if (each / "objects").is_dir() and os.path.lexists(each / "HEAD"):
            raise CouldNotRun(
                f"{show_path(each)}: expected a folder of the project, found one that git takes for a repository "
                "(HEAD and objects/); delete it"
            )
    return {}


def git_said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the error text of a failed command, in one line."""
    return " ".join(done.stderr.decode("utf-8", "replace").split()) or f"exit code {done.returncode}"


def check_repository(folder: Path, what: str) -> None:
    """Raise CouldNotRun for a folder (described by `what`) that is missing or outside a git repository."""
    if not folder.is_dir():
        raise CouldNotRun(f"{show_path(folder)}: expected {what} in a git repository, found no folder")
    if (done := run_git(folder, "rev-parse", "--git-dir")).returncode:
        raise CouldNotRun(f"{show_path(folder)}: expected it in a git repository, git says: {git_said(done)}")


def commit_of(folder: Path, ref: str, option: str) -> str:
    """Return the commit of a branch, tag or commit, given with `option`; UsageError if there is none, or several."""
    found = _commit(folder, ref)
    if not found:
        raise UsageError(f"{option} {ref}: expected a branch or a commit of this repository, found none; git fetch?")
    # git prefers a tag, or a file in .git, to a branch of that name
    branches = {_commit(folder, f"refs/{kind}/{ref}") for kind in ("heads", "remotes", "tags")} - {""}
    # git prefers a branch to a commit whose digest begins with that name
    is_beginning = branches and DIGITS.fullmatch(ref) and run_git(folder, "rev-parse", f"--disambiguate={ref}").stdout
    if branches - {found} or is_beginning:
        raise UsageError(
            f"{option} {ref}: expected one commit of that name, found a branch and another ref, such as a tag, that "
            f"differ; name the branch: refs/heads/{ref} or refs/remotes/{ref}"
        )
    return found


def holds_head(folder: Path, commit: str) -> bool:
    """Whether a commit contains all that is committed here: HEAD is among its ancestors, or was merged from it."""
    if not run_git(folder, "merge-base", "--is-ancestor", "HEAD", commit).returncode:
        return True
    # of a merge commit, the first parent is the branch that it is on
    if not _commit(folder, "HEAD^2") or not run_git(folder, "merge-base", "--is-ancestor", commit, "HEAD^1").returncode:
        return False
    trees = [git(folder, "rev-parse", "--end-of-options", f"{each}^{{tree}}") for each in (commit, "HEAD")]
    return trees[0] == trees[1]


def _commit(folder: Path, ref: str) -> str:
    done = run_git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return done.stdout.decode().strip() if not done.returncode else ""


def read_blobs(folder: Path, names: Sequence[str]) -> Iterator[bytes]:
    """Yield the contents of files by their git object names, in order."""
    rest = git(folder, "cat-file", "--batch", given="".join(f"{name}\n" for name in names))
    at = 0
    for _ in names:
        end = rest.index(b"\n", at)
        size = int(rest[at:end].split()[2])
        yield rest[end + 1 : end + 1 + size]
        at = end + size + 2


def write_tree(folder: Path, commit: str, into: Path) -> list[str]:
    """Write the files of a commit below `folder` into a folder of their own, byte for byte.

    Links, submodules and files larger than `MOST_OF_A_FILE` are skipped, and their paths returned.
    No filter and no hook runs, and nothing is written elsewhere.
    """
    listed = git(folder, "ls-tree", "-r", "-l", "-z", commit).decode("utf-8", "surrogateescape").split("\0")
    entries = [_entry(line) for line in listed if line]
    files = {
        path: name
        for mode, name, size, path in entries
        if mode.startswith("100") and int(size) <= MOST_OF_A_FILE and ".." not in PurePosixPath(path).parts
    }
    for path, content in zip(files, read_blobs(folder, list(files.values())), strict=True):
        target = into / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise CouldNotRun(f"{target}: it cannot be written ({error.strerror or error})") from error
    return [path for *_, path in entries if path not in files]


def _entry(line: str) -> tuple[str, str, str, str]:
    about, _, path = line.partition("\t")
    mode, _, name, size = about.split()
    return mode, name, size, path
