"""A remote is asked within a time, without a prompt, and without anything of the repository being run or changed."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tunegate.harness.release import remote
from tunegate.harness.release.remote import NoReply, open_remote, public_url, repository_of


def git(folder: Path, *arguments: str) -> str:
    own = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *own, "-C", folder, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose main branch is pushed to a bare one beside it."""
    for name, bare in (("remote.git", ["--bare"]), ("clone", [])):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "-q", *bare)
    folder = tmp_path / "clone"
    (folder / "kept").mkdir()
    (folder / "kept" / "one.json").write_text("1")
    (folder / "other").write_text("2")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(folder, "push", "-q", "origin", "main")
    return folder


def files(clone: Path, name: str = "origin") -> dict[str, str]:
    with open_remote(clone, name) as there:
        _, refs = there.refs("HEAD", "refs/heads/*")
        found = there.files(refs["refs/heads/main"], "kept")
        return {file: there.text(blob) for file, blob in found.items()}


@pytest.mark.parametrize("filters", ["true", "false"])
def test_it_lists_branches_and_reads_the_files_of_a_commit(clone: Path, tmp_path: Path, filters: str) -> None:
    git(tmp_path / "remote.git", "config", "uploadpack.allowFilter", filters)
    with open_remote(clone, "origin") as there:
        default, refs = there.refs("HEAD", "refs/heads/*")
        assert (default, sorted(refs)) == ("main", ["HEAD", "refs/heads/main"])
    assert files(clone) == {"one.json": "1"}


def test_a_relative_address_counts_from_the_repository(clone: Path) -> None:
    git(clone, "remote", "set-url", "origin", "../remote.git")
    assert files(clone) == {"one.json": "1"}


def test_nothing_of_the_repository_changes_or_runs(clone: Path, tmp_path: Path) -> None:
    trap = f"touch {tmp_path / 'sprung'}; false"
    for hook in ("reference-transaction", "post-checkout", "pre-auto-gc"):
        path = clone / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{trap}\n")
        path.chmod(0o755)
    for key in ("remote.origin.uploadpack", "core.sshCommand", "core.fsmonitor", "credential.helper",
                "core.alternateRefsCommand", "core.askPass", "core.gitProxy"):  # fmt: skip
        git(clone, "config", key, trap)
    before = sorted((path, path.read_bytes()) for path in (clone / ".git").rglob("*") if path.is_file())
    assert files(clone) == {"one.json": "1"}
    assert before == sorted((path, path.read_bytes()) for path in (clone / ".git").rglob("*") if path.is_file())
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("always", [False, True])
def test_an_address_that_is_a_command_is_not_run(clone: Path, tmp_path: Path, always: bool) -> None:
    git(clone, "remote", "set-url", "origin", f"ext::sh -c touch% {tmp_path / 'sprung'}")
    if always:
        git(clone, "config", "protocol.ext.allow", "always")
    with pytest.raises(NoReply, match="origin did not respond"):
        files(clone)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["--upload-pack=touch sprung", "-u touch sprung"])
def test_a_name_that_looks_like_an_option_is_none(clone: Path, name: str) -> None:
    with pytest.raises(NoReply):
        files(clone, name)
    assert not (clone / "sprung").exists()


def test_a_remote_that_hangs_is_left_in_time(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        git(clone, "remote", "set-url", "origin", f"git://127.0.0.1:{server.getsockname()[1]}/a")
        with pytest.raises(NoReply, match="origin did not respond within 1 seconds"):
            files(clone)


def test_a_remote_that_is_gone_does_not_answer(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "remote.git").rename(tmp_path / "gone.git")
    with pytest.raises(NoReply, match="origin did not respond"):
        files(clone)


def test_a_shallow_clone_stays_as_it_is(clone: Path, tmp_path: Path) -> None:
    (clone / "other").write_text("3")
    git(clone, "commit", "-qam", "second")
    git(clone, "push", "-q", "origin", "main")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path / 'remote.git'}", "shallow")
    (clone / "kept" / "two.json").write_text("2")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "third")
    git(clone, "push", "-q", "origin", "main")
    before = (tmp_path / "shallow" / ".git" / "shallow").read_text()
    assert files(tmp_path / "shallow") == {"one.json": "1", "two.json": "2"}
    assert (tmp_path / "shallow" / ".git" / "shallow").read_text() == before


def test_the_headers_of_a_ci_checkout_are_sent_and_stand_in_no_argument(clone: Path) -> None:
    git(clone, "config", "http.https://example.org/.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    with open_remote(clone, "origin") as there:
        assert there.git("config", "http.https://example.org/.extraheader") == b"AUTHORIZATION: basic c2VjcmV0\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:token@example.org/a/b.git?key=1#x", "https://example.org/a/b.git"),
        ("https://token@example.org:8443/a", "https://example.org:8443/a"),
        ("ssh://git@example.org/a", "ssh://example.org/a"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("/home/somebody/a.git", "a folder on this machine"),
        ("../a.git", "a folder on this machine"),
        ("file:///home/somebody/a.git", "a folder on this machine"),
        ("https://[bad/a", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    assert public_url(url) == shown


def test_a_folder_outside_of_a_repository_has_none(clone: Path, tmp_path: Path) -> None:
    assert repository_of(tmp_path) is None
    assert repository_of(clone / "kept" / "nowhere") == clone
