"""What pip is given to install the same version again is held to a digest, or cannot be installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunegate.harness.begin.scaffold.origin import PLACEHOLDER, address_of, requirement

REPOSITORY = "https://github.com/owner/tunegate.git"
WHEEL = "https://example.org/tunegate-0.1.0-py3-none-any.whl"


def commit(url: str = REPOSITORY, vcs: str = "git", commit_id: object = "a" * 40) -> dict[str, object]:
    return {"url": url, "vcs_info": {"vcs": vcs, "commit_id": commit_id}}


def archive(url: str = WHEEL, **hashes: object) -> dict[str, object]:
    return {"url": url, "archive_info": {"hashes": hashes}}


@pytest.mark.parametrize(("direct_url", "address"), [
    (commit(), f"git+{REPOSITORY}@{'a' * 40}"),
    (archive(sha256="b" * 64), f"{WHEEL}#sha256={'b' * 64}"),
])  # fmt: skip
def test_a_commit_and_a_wheel_are_held_to_their_digest(direct_url, address):
    assert address_of(direct_url) == address


def test_anything_else_has_no_address():
    for direct_url in [
        {}, {"url": "file:///work/main", "dir_info": {"editable": True}},
        {"url": REPOSITORY, "vcs_info": "git"}, commit(commit_id="main"), commit(commit_id=None),
        commit(vcs="hg"), commit(url="https://me:secret@host/tunegate"),
        commit(url="http://github.com/owner/tunegate"), commit(url="https://host/a'; echo b"),
        commit() | {"subdirectory": "a"}, archive(), archive(sha256="b"), archive(md5="b" * 64),
        archive(url="file:///tunegate.whl", sha256="b" * 64),
    ]:  # fmt: skip
        assert address_of(direct_url) == ""


def installed(folder: Path, text: str) -> None:
    (folder / "tunegate-0.1.0.dist-info").mkdir()
    (folder / "tunegate-0.1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tunegate\nVersion: 0.1.0\n")
    (folder / "tunegate-0.1.0.dist-info/direct_url.json").write_text(text)


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"url": "file:///work/main", "dir_info": {}}'])
def test_where_nobody_knows_there_is_a_placeholder_that_no_host_has(tmp_path, monkeypatch, text):
    installed(tmp_path, text)
    monkeypatch.syspath_prepend(tmp_path)

    assert requirement("models") == f"tunegate[models] @ {PLACEHOLDER}"
    assert "<OWNER>" in PLACEHOLDER


def test_the_requirement_of_a_commit(tmp_path, monkeypatch):
    installed(tmp_path, json.dumps(commit()))
    monkeypatch.syspath_prepend(tmp_path)

    assert requirement() == f"tunegate @ git+{REPOSITORY}@{'a' * 40}"
