"""Query a git remote safely: within a time limit, without a prompt, and without the repository's configuration.

Fetched objects go into a temporary repository that is deleted afterwards: no ref, FETCH_HEAD, index or object of the
user's repository changes, and none of its hooks, helpers, aliases or upload-pack commands runs. Tracking references
such as refs/remotes/origin/main are never read, since any process can move them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tunegate.harness.core.child import kill_group
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.git import clean_environment, git, run_git

SECONDS = 30.0  # of one call
THERE = "there"  # the remote's name in the temporary repository: git does not filter a fetch from a path
#: No transport that runs a command (ext::) or another helper, no password prompts, and no lazy fetch by a remote in a
#: folder, whose configuration could name a command.
SAFE = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never", "GIT_NO_LAZY_FETCH": "1"}  # fmt: skip


class NoReply(CouldNotRun):
    """The remote does not respond, within the time or at all."""


@dataclass(frozen=True)
class Remote:
    """A remote of the repository at `top`, by its name; `store` is the temporary repository."""

    top: Path
    store: Path
    name: str
    url: str
    settings: Mapping[str, str]

    @property
    def place(self) -> str:
        """Its address without user, password or query, since it appears in published files."""
        return public_url(self.url)

    def refs(self, *patterns: str) -> tuple[str, dict[str, str]]:
        """The name of its default branch (empty if there is none), and the commits of the refs that match.

        Raises:
            NoReply: it does not respond.
        """
        listed = self.git("ls-remote", "--symref", THERE, *patterns).decode("utf-8", "replace")
        pairs = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line]
        heads = [sha.removeprefix("ref: refs/heads/") for sha, ref in pairs if ref == "HEAD" and sha.startswith("ref:")]
        return (heads or [""])[0], {ref: sha for sha, ref in pairs if not sha.startswith("ref:")}

    def files(self, commit: str, folder: str) -> dict[str, str]:
        """The files in a folder of a commit (empty: its root), by name, with their git digests.

        Raises:
            NoReply: it does not respond, or does not have that commit.
        """
        self._fetch("--depth=1", "--filter=blob:none", name=commit)
        listed = self.git("ls-tree", "-z", "--end-of-options", commit, *([f"{folder}/"] if folder else []))
        entries = [line.split("\t", 1) for line in listed.decode("utf-8", "surrogateescape").split("\0") if line]
        found = [(path.rpartition("/")[2], about.split()) for about, path in entries]
        return {name: sha for name, (_, kind, sha) in found if kind == "blob"}

    def names(self, commit: str) -> list[str]:
        """The paths of all files of a commit that `files` has fetched."""
        listed = self.git("ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", commit)
        return [name for name in listed.decode("utf-8", "surrogateescape").split("\0") if name]

    def text(self, file: str) -> str:
        """The text of one of `files`, by its git digest.

        Raises:
            NoReply: it does not respond.
        """
        self._fetch(name=file)
        return self.git("cat-file", "blob", file).decode("utf-8", "replace")

    def _fetch(self, *options: str, name: str) -> None:
        apart = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
        self.git("fetch", "--quiet", *options, *apart, THERE, name)

    def git(self, *arguments: str) -> bytes:
        """Run git in `store`, in a session of its own, without a terminal; returns its output.

        Raises:
            NoReply: it fails, or exceeds the time limit.
        """
        environment = {**clean_environment(), **SAFE, **self.settings, "GIT_DIR": str(self.store)}
        with subprocess.Popen(
            ["git", "-C", str(self.top), "--literal-pathspecs", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=SECONDS)
            except BaseException as error:
                kill_group(process)  # includes ssh and other children
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise NoReply(f"{shown(self.name)} did not respond within {SECONDS:.0f} seconds") from None
        if process.returncode:
            raise NoReply(f"{shown(self.name)} did not respond")
        return output


def repository_of(folder: Path) -> Path | None:
    """The top folder of the work tree that contains a folder; None if there is none."""
    here = Path(os.path.realpath(folder))
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), None)


def remote_names(top: Path) -> list[str]:
    """The names of a repository's remotes.

    Raises:
        CouldNotRun: git fails, or there is no git.
    """
    return git(top, "remote").decode("utf-8", "replace").split()


@contextmanager
def open_remote(top: Path, name: str) -> Iterator[Remote]:
    """Open a remote by its name in the repository at `top`, or by its address.

    Raises:
        CouldNotRun: git fails, or there is no git.
    """
    url = git(top, "ls-remote", "--get-url", "--end-of-options", name).decode("utf-8", "replace").strip()
    known = name if name in remote_names(top) else public_url(url)
    kind = git(top, "rev-parse", "--show-object-format").decode().strip()
    with tempfile.TemporaryDirectory(prefix="tunegate-remote-") as store:
        remote = Remote(top, Path(store), known, url, _as_environment([(f"remote.{THERE}.url", url), *_headers(top)]))
        remote.git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        yield remote


def _headers(top: Path) -> list[tuple[str, str]]:
    """The HTTP headers of the repository's own configuration, where a CI checkout keeps its token."""
    wanted = ("config", "--local", "--includes", "-z", "--get-regexp", r"^http\..*\.extraheader$")
    found = run_git(top, *wanted).stdout.decode("utf-8", "replace").split("\0")
    return [(key, value) for key, _, value in (each.partition("\n") for each in found if each)]


def _as_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings of git as variables: every user of the machine sees arguments, and they may look like options."""
    before = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    count = {"GIT_CONFIG_COUNT": str(before + len(settings))}
    keys = {f"GIT_CONFIG_KEY_{at}": key for at, (key, _) in enumerate(settings, before)}
    return count | keys | {f"GIT_CONFIG_VALUE_{at}": value for at, (_, value) in enumerate(settings, before)}


def public_url(url: str) -> str:
    """An address without user, password, query and fragment; a local path is not shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    if parts.scheme and parts.netloc:
        return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
    host, colon, path = url.partition(":")
    if colon and "/" not in host and not path.startswith("//"):  # as ssh has it: user@host:path
        return shown(f"{host.rpartition('@')[2]}:{path.partition('?')[0]}")
    return "a folder on this machine"
