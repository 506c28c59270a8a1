from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.laws import examples
from tunegate.harness.core.authoring.document import Document, show_value, show_where
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.authoring.yaml_reader import (
    _FastLoader,
    _is_read_otherwise,
    _Loader,
    _plain_data,
    part,
    read_yaml,
)
from tunegate.harness.core.errors import AuthoringError, Problem

KEYS = st.text(max_size=80)  # with escapes: YAML ends a key after 1,024 characters
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=16,
)


def read(text: str, folder: Path):
    path = folder / "file.yaml"
    path.write_text(text, "utf-8")
    return read_yaml(path)


def said(text: str, folder: Path) -> list[str]:
    with pytest.raises(AuthoringError) as caught:
        read(text, folder)
    return [str(problem).rpartition("file.yaml:")[2] for problem in caught.value.problems]


SYNTAX = {
    "a tab": ("a:\n\tb: 1\n", "2: expected spaces, found a tab; indent with spaces"),
    "a second colon": (
        "a: Hello: there\n",
        "1: expected one `key: value`, found a second ': ', or keys that are not lined up; "
        "put a text that holds ': ' in quotes; begin the keys of one mapping in one column",
    ),
    "a dash in another column": (
        "a:\n  - b: 1\n   c: 2\n",
        "3: expected lines that belong together in one column, found a line in another column; "
        "indent it like the lines beside it",
    ),
    "an apostrophe inside quotes": (
        "a: 'It's cold'\n",
        "1: expected nothing after a closing quote, found more text; quote the whole text; inside '...' write ' twice",
    ),
    "a quote that never closes": (
        'a: 1\nb: "Hello\nc: 2\n',
        "2: expected a closing quote, found none before the end of the file; the quote opens on this line",
    ),
    "a bracket that never closes": (
        "a: 1\nb: {c: 2\nd: 3\n",
        "3: expected a comma or a closing bracket, found other text; "
        "the bracket opens on line 2; put texts that hold , : ? [ ] { or } in quotes there",
    ),
    "a question between brackets": (
        "a: 1\nb: [is it late?, c]\n",
        "2: expected a comma or a closing bracket, found other text; "
        "the bracket opens on line 2; put texts that hold , : ? [ ] { or } in quotes there",
    ),
    "a tab before a value": (
        "a:\t1\n",
        "1: expected a space, found a tab; write a space; or put the text in double quotes, with \\t for its tab",
    ),
    "a tab in a text": (
        "a: 1\nb: what\tis\n",
        "2: expected a space, found a tab; write a space; or put the text in double quotes, with \\t for its tab",
    ),
    "text that is not indented": (
        "a: hello\nworld\nb: 1\n",
        "2: expected `key: value`, found a line without ': '; put a space after its colon, or indent it if it goes on "
        "the text above",
    ),
    "a text that begins with a star": (
        "a: *** urgent ***\n",
        "1: expected a text in quotes, found a text that begins with * or &, or an alias without its &name; "
        "put the text in quotes",
    ),
    "an alias of nothing": (
        "a: *b\n",
        "1: expected a text in quotes, found a text that begins with * or &, or an alias without its &name; "
        "put the text in quotes",
    ),
    "a text that begins with an at": (
        "a: @support\n",
        "1: expected a text in quotes, found a text that begins with @; put the text in quotes",
    ),
    "a text that begins with a bang": (
        "a: !urgent\n",
        "1: a: expected a value without a tag, found !urgent; put a text that begins with ! in quotes",
    ),
    "a Python object": (
        "a: !!python/object/apply:os.getcwd []\n",
        "1: a: expected a value without a tag, found !!python/object/apply:os.getcwd; "
        "put a text that begins with ! in quotes",
    ),
    "a tag that does not fit": (
        "a: !!int five\n",
        "1: a: expected a value without a tag, found !!int; put a text that begins with ! in quotes",
    ),
    "a text that begins with >": (
        "a: > 5 items\n",
        "1: expected nothing after | or >, found more text; "
        "begin the text on the next line, indented; or put it in quotes if it begins with | or >",
    ),
    "a text that begins with | and a comment": (
        "a: |#5 is late\nb: 1\n",
        "1: expected nothing after | or >, found more text; "
        "begin the text on the next line, indented; or put it in quotes if it begins with | or >",
    ),
    "a path in double quotes": (
        'a: "C:\\Users"\n',
        "1: expected a known escape after the \\, found another character; "
        "in double quotes write \\\\ for \\, or use single quotes",
    ),
    "a character that there is not": (
        'a: 1\nb: "\\U00110000"\n',
        "1: expected an existing character, found a larger number after \\U; write 0010FFFF or less there",
    ),
    "a text that a comment cuts": (
        "a: order #42 is late\n",
        "1: a: expected a text without ' #', found 'order' and a comment; "
        "put the whole text in quotes, or a space after the # of a comment",
    ),
    "a text that a comment cuts, after a byte order mark": (
        "\ufeffa: order #42 is late\n",
        "1: a: expected a text without ' #', found 'order' and a comment; "
        "put the whole text in quotes, or a space after the # of a comment",
    ),
    "two documents": (
        "a: 1\n---\na: 2\n",
        "2: expected one document, found a second one; delete the line ---, or move what follows to its own file",
    ),
    "a character that cannot be seen": (
        "a: 1\nb: hi\u2028there\n",
        "2: expected visible characters, found the invisible character U+2028; "
        "delete it or put a space or line break there",
    ),
    "half a character": (
        'a: "\\ud800"\n',
        "1: a: expected text, found a lone surrogate; delete the \\u escape, or write both halves",
    ),
    "a merge of nothing": (
        "a: {<<: 1}\n",
        "1: a.<<: expected a mapping, or a list of mappings, after <<, found 1; put the text in quotes",
    ),
    "a colon without a space": (
        "a: {team:lieferung, urgent: true, http://x: 1, c: , d}\n",
        "1: a.team:lieferung: expected `key: value`, found 'team:lieferung'; put a space after the colon",
    ),
    "a repeated key": (
        "a: 1\nb: 2\na: 3\n",
        "3: expected each key once, found 'a' again (first on line 1); delete or rename one of them",
    ),
    "an alias inside itself": (
        "a: &a\n  b: *a\n",
        "1: a.b: expected finite data, found an alias inside its own anchor; delete the alias",
    ),
    "a number without end": ("a: " + "9" * 5000, "1: a: expected a number of at most 300 digits, found one of 5000"),
    "brackets without end": ("a: " + "[" * 3000, "1: expected at most 100 levels of nesting, found more"),
    "many levels": (
        f"a:\n  {'[' * 120}{']' * 120}\n",
        f"2: a{'[0]' * 99}: expected at most 100 levels of nesting, found more",
    ),
}  # fmt: skip


def test_what_is_not_plain_yaml_is_told_in_plain_words(tmp_path):
    for text, message in SYNTAX.values():
        assert said(text, tmp_path) == [message]


def test_a_missing_file_a_folder_and_other_encodings_are_told(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "utf16.yaml").write_bytes("a: 1".encode("utf-16"))

    for name, message in [
        ("none.yaml", "none.yaml: expected a file, found nothing there"),
        ("folder.yaml", "folder.yaml: expected a file, found a folder"),
        ("utf16.yaml", "utf16.yaml:1: expected UTF-8 text, found UTF-16"),
    ]:
        with pytest.raises(AuthoringError, match=message):
            read_yaml(tmp_path / name)


PLAIN = {
    "yes": "yes", "no": "no", "on": "on", "off": "off", "true": True, "False": False, "null": None, "~": None,
    "12": 12, "-3": -3, "0": 0, "5e-4": 0.0005, "1.5": 1.5, ".5": 0.5, "-0.0": -0.0, "1e3": 1000.0,
    "007": "007", "010": "010", "0x1F": "0x1F", "1_000": "1_000", "12:30": "12:30", "1.2.3": "1.2.3", "+44": "+44",
    "2024-01-01": "2024-01-01", "=": "=", "5.": "5.",
}  # fmt: skip


def test_a_missing_file_is_told_with_the_one_beside_it_that_may_be_meant(tmp_path):
    (tmp_path / "desk.yaml").write_text("a: 1\n")

    with pytest.raises(AuthoringError, match=r"dekc.yaml: .* nothing there; did you mean 'desk.yaml'"):
        read_yaml(tmp_path / "dekc.yaml")


def test_plain_values_are_what_json_would_read_and_text_otherwise(tmp_path):
    for text, value in PLAIN.items():
        found = read(f"a: {text}\n", tmp_path).data["a"]

        assert (found, type(found)) == (value, type(value))


def test_lines_of_block_flow_and_folded_values(tmp_path):
    text = (
        "# a comment\n"
        "block: |\n  one\n  two\n"  # 2
        "\nfolded: >-\n  one\n  two\n"  # 6
        "flow: {a: 1,\n  b: [2,\n    3]}\n"  # 9
        'quoted: "one\n  two"\n'  # 12
        "below:\n\n  deep:\n    - x\n    -\n      y: 1\n"  # 14
    )

    document = read(text, tmp_path)

    lines = {show_where(where): line for where, line in document.lines.items()}
    assert lines == {
        "": 2, "block": 2, "folded": 6, "flow": 9, "flow.a": 9, "flow.b": 10, "flow.b[0]": 10, "flow.b[1]": 11,
        "quoted": 12, "below": 14, "below.deep": 16, "below.deep[0]": 17, "below.deep[1]": 19, "below.deep[1].y": 19,
    }  # fmt: skip
    assert document.data["block"] == "one\ntwo\n"
    assert document.data["folded"] == "one two"


def test_a_place_without_a_line_of_its_own_has_its_parent_s(tmp_path):
    document = read("a:\n  b: 1\n", tmp_path)

    assert [document.line(where) for where in [("a", "b", "c"), ("a", "x"), ("x",), ()]] == [2, 1, 1, 1]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    (tmp_path / "w.yaml").write_bytes(b"\xef\xbb\xbfa: |\r\n  one\r\n  two\r\nb: 2\r\n")

    document = read_yaml(tmp_path / "w.yaml")

    assert document.data == {"a": "one\ntwo\n", "b": 2}
    assert document.line(("b",)) == 4


def test_a_few_aliases_and_merges_are_welcome(tmp_path):
    document = read("- &x {a: 1, b: 2}\n- {<<: *x, b: 3}\n- *x\n", tmp_path)

    assert document.data == [{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1, "b": 2}]
    assert document.line((1, "b")) == 2


def test_a_comment_after_a_text_is_a_comment(tmp_path):
    data = read("a: order # 42 is late\nb: 3 #three\nc: it's a#b\n", tmp_path).data

    assert data == {"a": "order", "b": 3, "c": "it's a#b"}


def paths(value, where=()) -> Iterator[tuple]:
    yield where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*where, key))


class _Dumper(yaml.SafeDumper):
    """Leaves unquoted all that we read as text, and quotes what we read as a number (PyYAML's own leaves 0e0 bare)."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


@examples(60)
@given(st.dictionaries(KEYS, JSON, max_size=5), st.sampled_from([True, False, None]), st.integers(9, 99))
def test_what_yaml_dumps_is_read_back_with_a_line_for_every_path(data, flow, width):
    style = {"default_flow_style": flow, "width": width, "sort_keys": False}
    # PyYAML adds a backslash to some long keys that it indents beyond the width, and then misreads them itself
    assume(yaml.safe_load(yaml.safe_dump(data, **style)) == data)
    text = yaml.dump(data, Dumper=_Dumper, **style)
    with tempfile.TemporaryDirectory() as folder:
        document = read(text, Path(folder))

    assert document.data == data
    assert set(document.lines) == set(paths(data))
    assert all(1 <= line <= text.count("\n") for line in document.lines.values())
    for where, line in document.lines.items():
        assert line >= document.line(where[:-1])


@examples(60)
@given(JSON)
def test_json_is_read_as_the_same_data(data):
    with tempfile.TemporaryDirectory() as folder:
        assert read(json.dumps(data, indent=1), Path(folder)).data == data


@examples(60)
@given(st.text(st.sampled_from("ab:-#'\"{}[]!&*|>%@`\\ \n\t?,=~0")))
def test_any_text_is_data_or_mistakes_with_a_line_inside(text):
    with tempfile.TemporaryDirectory() as folder:
        problems = _problems(text, Path(folder))

    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in problems)
    assert all("\n" not in str(problem) for problem in problems)


PIECES = [
    "a: ", "b:\n", "- ", "-\n", "? ", ": ", "  ", "\n", "#c", " #c", "'it''s'", '"\\u00e9\\x41"', "{", "}", "[", "]",
    ",", "&a ", "*a", "<<: ", "|\n", ">-\n  t\n\n   u\n", "|2\n", "|-#", "---\n", "...\n", "!t ", "!!str ", "é", "😀",
    "http://x", "-", "?", "a b?", "<a>", "\\", "0", "5e-4", "~", "true", "{a: 1, b}", "- x: y\n  z: [1]\n",
]  # fmt: skip


@examples(60)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_libyaml_takes_for_plain_data_pyyaml_reads_alike(text):
    assume(not _is_read_otherwise(text))
    try:
        fast = _plain_data(Path("f"), text, _FastLoader(text))
    except (yaml.YAMLError, AuthoringError):
        return  # PyYAML has the word

    slow = _plain_data(Path("f"), text, _Loader(text))
    assert fast.data == slow.data
    assert fast.lines == slow.lines or fast.data is None  # the line of nothing is that of the file's end


def test_libyaml_is_used_where_it_is_there():
    assert issubclass(_FastLoader, getattr(yaml, "CSafeLoader", _Loader))


def _problems(text: str, folder: Path) -> tuple[Problem, ...]:
    try:
        read(text, folder)
    except AuthoringError as error:
        return error.problems
    return ()


def test_schemas_are_checked_in_a_part_of_a_document(tmp_path):
    document = read("version: 1\ncheck:\n  margin: 5\n  naem: x\n", tmp_path)
    shape = {
        "additionalProperties": False,
        "required": ["name"],
        "properties": {"name": {}, "margin": {"type": "number", "maximum": 1, "description": "at most 1"}},
    }

    problems = validate(document, shape, ("check",), document.data["check"])

    assert [(problem.line, problem.where, problem.hint) for problem in problems] == [
        (4, "check.naem", "did you mean 'name'?"),
        (3, "check.margin", "for 5 points or percent write 0.05"),
    ]


def test_values_are_shown_as_people_write_them_and_short():
    assert [show_value(value) for value in (None, True, "it's", [1, {"a": "é"}], 2.5)] == [
        "nothing", "true", '"it\'s"', '[1, {"a": "é"}]', "2.5",
    ]  # fmt: skip
    assert show_value("x" * 99) == "'" + "x" * 56 + "..."


def test_a_part_of_a_document_is_one_with_the_lines_of_the_whole(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\ny:\n  - z:\n      deep: 2\n")
    document = read_yaml(tmp_path / "a.yaml")

    found = part(document, ("y", 0, "z"), {"deep": 2})

    assert (found.line(("deep",)), found.data) == (4, {"deep": 2})
    assert part(document, ("y", 1), {}).lines == {}
    assert part(Document(tmp_path, {}, {("y",): 2}), ("y",), {}).lines == {}
