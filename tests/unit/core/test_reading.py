"""Files from outside: whatever stands at the path, a reader ends at once, and says what was found."""

from __future__ import annotations

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile_files import NO_FILES, NO_JSON
from tests.support.systems import posix
from tunegate.harness.core.errors import Refused, Unreadable
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.reading import NotJson, parse_json, read_bytes, read_json, read_object, read_text

SCHEMA = {"type": "object", "required": ["digest"]}
READERS = {
    "bytes": read_bytes,
    "text": read_text,
    "JSON": read_json,
    "an object": read_object,
    "by a schema": lambda path: read_json(path, schema=SCHEMA),
    "a digest": file_digest,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**299), 10**299) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
)  # fmt: skip


@posix
@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_regular_file_is_refused(tmp_path, make):
    path = tmp_path / "a.json"
    make(path)
    for read in READERS.values():
        if read is file_digest and path.is_file():
            continue  # large files have digests, too

        with pytest.raises(Unreadable, match=r": expected .*found ") as caught:
            read(path)
        assert str(caught.value).count("\n") == 0


def test_what_is_no_json_of_ours_is_refused_at_once(tmp_path):
    for make in NO_JSON.values():
        path = tmp_path / "a.json"
        make(path)

        start = time.process_time()
        with pytest.raises(Refused) as caught:
            read_json(path, "a record", SCHEMA)

        assert time.process_time() - start < 5
        assert len(str(caught.value)) < 1000


@posix
@pytest.mark.parametrize(("make", "found"), [
    ("nothing", "found nothing there"),
    ("a folder", "found a folder"),
    ("a pipe", "found a pipe; write it to a file first"),
    ("a socket", "found a socket"),
    ("a device without end", "found a device"),
    ("links in a circle", "found a circular link"),
    ("a link to nothing", "found a broken link to gone"),
    ("a file of 2 GB", "found one of more than 536,870,912 bytes"),
])  # fmt: skip
def test_it_is_called_what_it_is(tmp_path, monkeypatch, make, found):
    monkeypatch.chdir(tmp_path)
    NO_FILES[make](tmp_path / "a.json")
    with pytest.raises(Unreadable, match=rf"^a\.json: expected a record, {found}"):
        read_json(tmp_path / "a.json", "a record")


def test_a_mistake_is_told_with_its_line():
    for text, line, found in [
        ('{\n"a": 1,\n"b": 2,\n"a": 3}', 4, "the key 'a' twice"),
        ('{"a": 1,\n"b": NaN}', 2, "NaN, which is not a number"),
        ('{"a": 1,\n"b": }', 2, "a mistake in column 6"),
        ("[1,\n1e999]", 2, r"a number that is too large or too long \(1e999\)"),
        ("[" + "9" * 301 + "]", 1, "a number of 301 digits"),
        ("[" * 101 + "]" * 101, 0, "more than 100 levels of nesting"),
        ('["\\ud83d"]', 0, r"half a character \(the surrogate U\+D83D\)"),
    ]:
        with pytest.raises(NotJson, match=f"^{found}") as caught:
            parse_json(text)
        assert caught.value.line == line


@given(JSON)
def test_what_is_json_is_read_as_it_is(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert repr(parse_json(text)) == repr(json.loads(text))


def test_what_just_fits_is_read():
    assert parse_json("[" * 100 + "]" * 100)
    assert parse_json("9" * 300) == int("9" * 300)
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_a_file_that_grows_while_it_is_read_ends(tmp_path, monkeypatch):
    path = tmp_path / "grows"
    path.write_bytes(b"x" * 1000)
    real = os.read

    def grown(handle, count):
        with path.open("ab") as stream:
            stream.write(b"x" * (2 << 20))
        return real(handle, count)

    monkeypatch.setattr(os, "read", grown)
    with pytest.raises(Unreadable, match="more than 5,000,000 bytes"):
        read_bytes(path, most=5_000_000)


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    for name in ("a\0b", "x" * 300, "file/below"):
        (tmp_path / "file").write_text("")
        with pytest.raises(Unreadable):
            read_text(tmp_path / name)


@posix
def test_a_file_that_becomes_a_pipe_between_two_looks_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("x")
    real = os.open

    def swapped(name, *rest):
        path.unlink()
        os.mkfifo(path)
        return real(name, *rest)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(Unreadable, match="found a pipe"):
        read_text(path)
