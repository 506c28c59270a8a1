from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.outputs.json_text import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_DIGITS,
    json_path,
    read_json_text,
    show_json,
)

MIB = 1 << 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def rules(text, extract="strict"):
    return [finding.rule for finding in read_json_text(text, extract).findings]


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_whatever_json_writes_is_read_back(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    for spoken, extract in [(f" \t\r\n{text}\n", "strict"), (text, "fenced"), (f"```json\n{text}\n```\n", "fenced")]:
        read = read_json_text(spoken, extract)
        assert read.findings == ()
        assert read.value == value
        assert json.dumps(read.value) == json.dumps(value)  # 1, 1.0 and true stay apart


@given(JSON, st.text(min_size=1).filter(lambda text: text.strip(" \t\r\n")))
def test_nothing_may_follow_the_value(value, tail):
    assert read_json_text(f"{json.dumps(value)} {tail}").findings


@given(st.text())
def test_any_text_is_checked_without_an_exception(text):
    for extract in ("strict", "fenced"):
        read = read_json_text(text, extract)
        assert read.value is None or not read.findings


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\u `\n', max_size=40))
def test_what_is_accepted_is_what_strict_json_accepts(text):
    def refuse(name):
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        assert read_json_text(text).findings


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("", "json.empty", "empty"),
        (" \n\t", "json.empty", "empty"),
        ("\ufeff{}", "json.bom", "byte order mark"),
        ("{} done", "json.trailing", "text after the JSON value, at line 1, column 4: 'done'"),
        ("{}{}", "json.trailing", "text after"),
        ("01", "json.trailing", "text after"),
        ("Sure! {}", "json.syntax", "does not begin with JSON but with 'Sure! {}'"),
        ("```json\n{}\n```", "json.block", "code block"),
        ('{"a": [1,', "json.syntax", "ends, at line 1, column 10, before its JSON is complete"),
        ('{"a": "x', "json.syntax", "no closing quote"),
        ('{\n "a": 1,\n}', "json.syntax", "line"),
        ("{'a': 1}", "json.syntax", "not JSON at line 1, column 2"),
        ('{"a": 1} // note', "json.trailing", "note"),
        ("[1\u00a0]", "json.syntax", "not JSON"),
        ("\u00a0{}", "json.syntax", "does not begin"),
        ('"a\nb"', "json.syntax", "control character"),
        ("nul", "json.syntax", "does not begin"),
        ("[.5]", "json.syntax", "not JSON"),
        ("[+1]", "json.syntax", "not JSON"),
        ("[True]", "json.syntax", "not JSON"),
        ("NaN", "json.number", "NaN is not a JSON number"),
        ("[-Infinity]", "json.number", "-Infinity is not a JSON number"),
        ("1e999", "json.number", "1e999 is too large"),
        ("-1e999", "json.number", "too large"),
        ("9" * 1_000_000, "json.number", "1,000,000 digits"),
        ("0." + "9" * 1_000_000, "json.number", "digits"),
        ('"\\ud800"', "json.unicode", "lone surrogate"),
        ('{"\\udc00": 1}', "json.unicode", "lone surrogate"),
        ('"\ud83d"', "json.unicode", "lone surrogate"),
        ("{\ud83d}", "json.syntax", r"'\ud83d}'"),
        ("[" * 100_000, "json.depth", f"more than {MAX_DEPTH} levels"),
        ("[" * 100_000 + "]" * 100_000, "json.depth", f"more than {MAX_DEPTH} levels"),
        ('{"a":' * 100_000, "json.depth", f"more than {MAX_DEPTH} levels"),
        (" " * MIB + "1", "json.size", "1,048,577 characters"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_deviations_are_findings(text, rule, words):
    read = read_json_text(text)

    assert [finding.rule for finding in read.findings] == [rule]
    assert words in str(read.findings[0])
    assert read.value is None


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', "a.b[0]", 'the key "c" is repeated here'),
        ('{"a": [1, NaN]}', "a[1]", "NaN"),
        ('{"odd key": ["\\ud800"]}', '["odd key"][0]', "surrogate"),
        ('{"a": 1, "\\u0061": 2}', "", 'the key "a"'),
    ],
)
def test_a_finding_names_the_place(text, path, words):
    (finding,) = read_json_text(text).findings

    assert finding.path == path
    assert words in finding.message


def test_repeated_keys_are_found_next_to_other_flaws():
    assert rules('{"a": NaN, "b": {"x": 1, "x": 1}, "b": {"y": 1, "y": 1}}') == [
        "json.duplicate-key", "json.number", "json.duplicate-key",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * (MIB // 2 - 1),
        "[]" * (MIB // 2 - 1),
        "[" * MAX_DEPTH + "1," * 500_000 + "1" + "]" * MAX_DEPTH,
        "[" + "NaN," * 250_000 + "1]",
        "{" + '"a":1,' * 150_000 + '"b":1}',
        "{" + ",".join(f'"{number}":0' for number in range(90_000)) + "}",
        "{}" + "\n" * 1_000_000 + "x",
        "\\" * MIB,
        "```json\n" * 130_000,
        "```json\n" + "\n```" * 200_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_takes_bounded_time_and_few_findings(text):
    assert len(text) <= MAX_CHARS
    seconds = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:  # a busy neighbour slows even the processor's own clock
        started = time.process_time()
        findings = read_json_text(text, "fenced").findings
        seconds.append(time.process_time() - started)

    assert min(seconds) < 1
    assert len(findings) <= 20
    assert all(len(str(finding)) < 300 for finding in findings)


def test_the_bounds_themselves_are_allowed():
    assert rules("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert rules("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == ["json.depth"]
    assert read_json_text("9" * MAX_DIGITS).value == int("9" * MAX_DIGITS)
    assert rules("9" * (MAX_DIGITS + 1)) == ["json.number"]
    assert rules('"' + "x" * (MAX_CHARS - 2) + '"') == []


def test_brackets_inside_texts_are_not_nesting():
    assert read_json_text(json.dumps(["[" * 500, '"' + "{" * 500, "\\" * 5 + "["])).findings == ()


def test_pairs_of_surrogates_are_a_character():
    assert read_json_text('"\\ud83d\\ude00"').value == "\U0001f600"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("\n ```json  \r\n[1]\r\n``` \n", [1]),
        ('```json\n{"a": "```"}\n```', {"a": "```"}),
        ("null", None),
    ],
)
def test_fenced_reads_one_block_or_bare_json(text, value):
    assert read_json_text(text, "fenced").findings == ()
    assert read_json_text(text, "fenced").value == value


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("```\n{}\n```", "json.block"),
        ("```JSON\n{}\n```", "json.block"),
        ("```json{}```", "json.block"),
        ("```json\n{}", "json.block"),
        ("```json\n{}\n```\nHope that helps!", "json.block"),
        ("```json\n{}\n```\n```json\n{}\n```", "json.block"),
        ("Here:\n```json\n{}\n```", "json.syntax"),
        ("{}\n```", "json.trailing"),
        ("```json\n```", "json.syntax"),
        ("```json\n{} x\n```", "json.trailing"),
        ("```json\n\ufeff{}\n```", "json.syntax"),
    ],
)
def test_fenced_allows_nothing_else(text, rule):
    assert rules(text, "fenced") == [rule]


def test_lines_are_counted_from_the_start_of_the_output():
    read = read_json_text("\n```json\n{\n 'a': 1}\n```", "fenced")

    assert read.line == 4
    assert "line 4, column 2" in read.findings[0].message


def test_messages_show_values_briefly_and_safely():
    assert show_json("x" * 500).endswith("...")
    assert len(show_json("x" * 500)) == 60
    assert show_json("\x1b[31m\u202e") == '"\\u001b[31m\\u202e"'
    assert show_json({"a": [True, None]}) == '{"a": [true, null]}'
    assert json_path(["a", 0, "b c", "d"]) == 'a[0]["b c"].d'
    assert json_path([]) == ""
