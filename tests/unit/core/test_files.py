from __future__ import annotations

import hashlib
import json
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.systems import posix
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.files import (
    canonical,
    digest,
    digest_in_parts,
    file_digest,
    json_by_line,
    remove_left,
    state_folder,
    write_atomically,
    write_json,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def same(one, other) -> bool:
    """Equal as JSON text would be: 1 is not 1.0, true is not 1, -0.0 is not 0.0."""
    return repr(sorted_keys(one)) == repr(sorted_keys(other))


def sorted_keys(value):
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(inner) for inner in value] if isinstance(value, list) else value


@given(JSON)
def test_canonical_json_is_ascii_loses_nothing_and_is_stable(value):
    text = canonical(value)

    assert text.isascii()
    assert same(json.loads(text), value)
    assert canonical(json.loads(text)) == text


@given(JSON, JSON)
def test_digests_are_equal_exactly_for_equal_values(one, other):
    assert (digest(one) == digest(other)) == same(one, other)


@given(st.dictionaries(st.text(), JSON), st.randoms())
def test_the_order_of_keys_does_not_matter_and_that_of_lists_does(value, chance):
    items = list(value.items())
    chance.shuffle(items)

    assert digest(dict(items)) == digest(value)
    assert digest([1, 2]) != digest([2, 1])


def test_what_json_cannot_say_has_no_digest():
    for value in [float("nan"), [float("inf")], {"a": -float("inf")}]:
        with pytest.raises(ValueError, match="JSON"):
            digest(value)


def test_digests_stay_what_they_are():
    """Baselines hold them."""
    value = {"b": [1, 2.5, None, True], "a": "é"}

    assert canonical(value) == '{"a":"\\u00e9","b":[1,2.5,null,true]}'
    assert digest(value) == "0b8cc543e984d4d7398f5f603a4b91d358a2565f1d6b6a058565d662854e37cf"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_s_digest_reads_all_of_it_and_says_how_far_it_is(tmp_path, size):
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "f").write_bytes(content)
    seen: list[int] = []

    assert file_digest(tmp_path / "f", seen.append) == hashlib.sha256(content).hexdigest()
    assert sum(seen) == size


def test_a_write_makes_folders_keeps_text_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a" / "b.json"

    write_atomically(path, "old\n")
    write_atomically(path, "é\r\n")

    assert path.read_bytes() == "é\r\n".encode()
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half of \ud83d")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))

    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_git_ignores_all_that_runs_leave(tmp_path):
    top = tmp_path / "shop" / ".tunegate"

    assert state_folder(top / "runs") == top / "runs"
    assert [(path.name, path.is_dir()) for path in sorted(top.iterdir())] == [(".gitignore", False), ("runs", True)]
    assert (top / ".gitignore").read_text() == "*\n"

    (top / ".gitignore").write_text("ours")
    state_folder(top / "errors")
    assert (top / ".gitignore").read_text() == "ours"


@posix
def test_what_killed_writers_left_is_deleted_and_what_is_being_written_stays(tmp_path):
    folder, target = tmp_path / "a" / "b", tmp_path / "a" / "b" / "new.json"
    folder.mkdir(parents=True)
    (folder / ".old.json.x1y2.part").write_text("half")
    (folder / "part").write_text("a file")
    (folder / ".hidden").write_text("another")

    def pieces():
        yield "one"
        remove_left(tmp_path)
        yield "two"

    write_atomically(target, pieces())

    assert target.read_text() == "onetwo"
    assert {path.name for path in folder.iterdir()} == {"new.json", "part", ".hidden"}


@posix
def test_the_next_write_deletes_what_a_killed_one_left_of_the_same_file(tmp_path):
    left, other = tmp_path / ".a[1].json.x1.part", tmp_path / ".b.json.x1.part"
    for path in (left, other):
        path.write_text("half")
    write_atomically(tmp_path / "a[1].json", "whole")

    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.x1.part", "a[1].json"]


@posix
def test_a_writer_whose_part_is_deleted_before_it_is_locked_takes_another(tmp_path, monkeypatch):
    make, made = tempfile.mkstemp, []

    def make_and_lose_the_first(**named):
        made.append(make(**named))
        if len(made) == 1:
            remove_left(tmp_path)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkstemp", make_and_lose_the_first)

    write_atomically(tmp_path / "a.json", "text")

    assert len(made) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@posix
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device"])
def test_what_is_no_file_is_not_written_over(tmp_path, kind):
    path = tmp_path / "out.json"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    before = path.stat()
    with pytest.raises(CouldNotRun, match="expected a file to write, found a folder, a device or a pipe"):
        write_atomically(path, "text")
    assert path.stat().st_mode == before.st_mode


@given(st.dictionaries(st.text(), JSON | st.dictionaries(st.integers(), JSON, max_size=3), max_size=4))
def test_a_digest_in_parts_is_the_digest(value):
    assert digest_in_parts(value) == digest(value)


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), JSON, max_size=3), max_size=4), JSON)
def test_json_by_line_is_the_same_json_with_a_line_for_each_item(items, head):
    text = "".join(json_by_line(json.dumps({"head": head}, indent=1), "items", items.items()))
    assert same(json.loads(text), {"head": head, "items": items})
    assert len(text.partition('"items": {')[2].splitlines()) == len(items) + 3
