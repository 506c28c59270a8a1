"""Which tool wrote a file is seen from what is in it, and every other file is refused in words."""

from __future__ import annotations

import json
import os
import random
from contextlib import suppress

import pytest

from tests.support.results import DATA, LM, csv_file, json_log, log_entries, pair_of
from tunegate.harness.begin.results.pairing import pair_files
from tunegate.harness.begin.results.project import compare_supplied
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.settings import Settings
from tunegate.harness.core.errors import Refused, Unreadable

TOOLS = {"inspect": "inspect_ai", "lm": "lm-evaluation-harness", "promptfoo": "promptfoo", "deepeval": "deepeval"}


@pytest.mark.parametrize(("name", "tool"), TOOLS.items())
def test_a_file_is_recognised_whatever_it_is_called(tmp_path, name, tool):
    file = tmp_path / "anything.txt"
    file.write_bytes(pair_of(name, "worse")[1].read_bytes())

    assert read_results(file).tool == tool


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "link").symlink_to(LM["old"])

    assert len(read_results(tmp_path / "link").samples) == 30


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\n \n", "a mistake in column 1"),
        (b"hello there\n1,2\n", "a text that begins with 'hello there'"),
        (b"name,score\na,1\n", "a text that begins with 'name,score'"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "which is no UTF-8"),
        (b"[1, 2]", "JSON that is a list"),
        (b'{"a": 1}', "a JSON object with the keys a"),
        (b"{}", "a JSON object with the keys none"),
        (b'{"results": {"t": {}}, "configs": {}, "versions": {}, "n-shot": {}}',
         "the aggregated results of lm-evaluation-harness, which hold no samples; run it with --log_samples"),
        (b'{"schema_version": 1, "fingerprint": {}}', "a record of Tunegate"),
        (b'{"by_rules": []}', "a decision of Tunegate"),
        (b'{"status": "success", "eval": {}, "status": "error"}', "the key 'status' twice"),
        (b'{"status": ' + b"[" * 5000, "levels of nesting"),
        (b"PK\x03\x04 and then nothing", "a ZIP file without its end"),
    ],
)  # fmt: skip
def test_what_is_no_result_file_is_refused_with_what_it_is(tmp_path, content, found):
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(Refused) as refused:
        read_results(tmp_path / "file")
    assert found in str(refused.value)
    assert "expected" in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    for path, found in ((tmp_path / "gone", "nothing there"), (tmp_path, "a folder")):
        with pytest.raises(Unreadable, match=found):
            read_results(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(Unreadable, match="a pipe"):
        read_results(tmp_path / "pipe")


@pytest.mark.parametrize("file", [DATA / "inspect_errors.eval", LM["old"], DATA / "promptfoo_old.json",
                                  DATA / "deepeval_old.json"], ids=lambda path: path.stem)  # fmt: skip
def test_a_file_that_is_cut_off_anywhere_is_refused_or_lacks_samples(tmp_path, file):
    content, whole = file.read_bytes(), len(read_results(file).samples)
    draw = random.Random(5)
    for size in {1, 4, len(content) - 1, *(draw.randrange(2, len(content)) for _ in range(40))}:
        (tmp_path / "cut").write_bytes(content[:size])
        try:
            found = read_results(tmp_path / "cut")
        except Refused:
            continue
        # of a file of lines that ends with one nothing can be seen: pairing finds the ids that are gone
        assert file.suffix == ".jsonl" or content[size:].strip() == b""
        assert len(found.samples) <= whole


@pytest.mark.parametrize("file", [DATA / "inspect_errors.eval", LM["old"], DATA / "promptfoo_old.json",
                                  DATA / "deepeval_old.json"], ids=lambda path: path.stem)  # fmt: skip
def test_a_byte_that_is_another_one_ends_in_no_crash(tmp_path, file):
    content = bytearray(file.read_bytes())
    draw = random.Random(6)
    for _ in range(60):
        place = draw.randrange(len(content))
        before, content[place] = content[place], draw.randrange(256)
        (tmp_path / "odd").write_bytes(content)
        with suppress(Refused):  # any other error is a crash
            read_results(tmp_path / "odd")
        content[place] = before


def test_what_stands_in_a_file_is_shown_harmless(tmp_path):
    (tmp_path / "odd").write_text(json.dumps({"\x1b[31mred": 1, "::error::": 2}))

    with pytest.raises(Refused) as refused:
        read_results(tmp_path / "odd")
    assert "\x1b" not in str(refused.value)
    assert "with the keys \\x1b[31mred" in str(refused.value)


def test_a_score_that_is_no_number_is_none(tmp_path):
    found = read_results(
        csv_file(tmp_path / "a.csv", {"a": "nan", "b": "Infinity", "c": "true", "d": "", "e": "1e999"})
    )

    assert [sample.scores["score"] for sample in found.samples] == [None, None, 1.0, None, None]


ODD = (None, 5, -1.5, "x", "", [], {}, [1], {"a": 1}, True, float("nan"), "\ud800", 10**400)


def places(value: object, where: tuple = ()):
    """Every place inside a JSON value."""
    yield where
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*where, key))


def with_odd(value: object, where: tuple, odd: object) -> object:
    """A copy of a JSON value with something other at one place."""
    if not where:
        return odd
    copied = value.copy()
    copied[where[0]] = with_odd(value[where[0]], where[1:], odd)
    return copied


def first_samples(tool: str) -> tuple[object, bool]:
    """A file of a tool with few samples, and whether it is one of lines."""
    if tool == "lm":
        return [json.loads(line) for line in LM["old"].read_text().splitlines()[:2]], True
    if tool == "inspect":
        found = json_log(log_entries(DATA / "inspect_errors.eval"))
        return found | {"samples": [each | {"events": []} for each in found["samples"][3:5]], "results": None}, False
    found = json.loads((DATA / f"{tool}_errors.json").read_text())
    if tool == "deepeval":
        return found | {"testCases": found["testCases"][3:5], "metricsScores": []}, False
    results = found["results"] | {"results": found["results"]["results"][3:5], "stats": {}}
    return found | {"results": results}, False


@pytest.mark.parametrize("tool", TOOLS)
def test_a_value_of_another_kind_ends_in_no_crash(tmp_path, tool):
    value, is_lines = first_samples(tool)
    draw = random.Random(7)
    good = tmp_path / "good"
    write_json(good, value, is_lines)
    old = read_results(good)
    for where in places(value):
        odd = with_odd(value, where, draw.choice(ODD))
        write_json(tmp_path / "odd", odd, is_lines and isinstance(odd, list))
        with suppress(Refused):  # any other error is a crash
            compare_supplied(pair_files(old, read_results(tmp_path / "odd"), Settings()), "again")


def write_json(path, value, is_lines):
    path.write_text("".join(f"{json.dumps(each)}\n" for each in value) if is_lines else json.dumps(value))
