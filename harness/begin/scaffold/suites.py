"""Each suite's form of examples: its check and references, the expected values, and an output that meets them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.begin.scaffold.ambiguous import ambiguous, cells_of, no_values
from tunegate.harness.begin.scaffold.drafts import Columns, Draft, Drafts
from tunegate.harness.begin.scaffold.infer import (
    DIALECT,
    cell_values,
    is_prose,
    object_schema,
    render_schema,
    schema_of,
    typed,
)
from tunegate.harness.checks.schema.pass_rule import name_of_place
from tunegate.harness.core.authoring.document import Where, show_value
from tunegate.harness.core.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed

LEAST_TOKENS, TOKEN_STEP = 32, 16
SENTENCES = 128  # tokens, if the expected value is a part of the output
LONGEST_TERM = 60  # characters


@dataclass(frozen=True, order=True)
class KeyLabel:
    """A value of a key that has a closed set of them, as JSON."""

    key: str
    value: str


def _nothing(_: Draft) -> tuple[KeyLabel, ...]:
    return ()


@dataclass(frozen=True)
class SuiteDraft:
    """A suite's form of examples. `output` is the text of an output that meets `expect`; `notes` say what was inferred.

    If it is not an output to imitate, `model_output` is false, and it does not become a shot; nor does an example that
    is not `is_whole`: a part of its output is not scored; then `room` is the number of tokens of an output. `keys` are
    further keys of the file, and `own_keys` those of one case.
    """

    check: Mapping[str, Any]
    system: str
    expect: Callable[[Draft], Any]
    output: Callable[[Draft], str]
    role: str = "target"
    references: Mapping[str, str] = field(default_factory=dict)
    model_output: bool = True
    notes: tuple[str, ...] = ()
    labels: Callable[[Draft], tuple[KeyLabel, ...]] = _nothing
    is_whole: Callable[[Draft], bool] = lambda _: True
    own_keys: Callable[[Draft], Mapping[str, Any]] = lambda _: {}
    keys: Mapping[str, Any] = field(default_factory=dict)
    room: int = SENTENCES

    def tokens(self, examples: Sequence[Draft]) -> int:
        """Room for the output of each example."""
        if not self.model_output:
            return self.room
        return room_of(self.output(each) for each in examples)


def room_of(outputs: Iterable[str]) -> int:
    """Room for outputs twice as long as the longest of these, at two characters per token."""
    return max(LEAST_TOKENS, -(-max(map(len, outputs)) // TOKEN_STEP) * TOKEN_STEP)


def schema_suite(drafts: Drafts) -> SuiteDraft:
    """JSON with a key for each expected column, or the object that the only column holds.

    Raises:
        UsageError: --text or --label names none of the keys.
        Refused: a column holds prose, which an exact match cannot score, or JSON in most cells.
        AuthoringError: cells that can be read in two ways.
    """
    rows, schema = _rows_and_schema(drafts)
    given = {key: [row[key] for row in rows.values() if key in row] for key in schema["properties"]}
    _settle_kinds(drafts, schema, given)
    keys, columns = schema["properties"], drafts.columns
    _check_prose(drafts, keys, given)
    open_to = [key for key in keys if key not in (*columns.text, *columns.label)]
    if problems := ambiguous(drafts.table, cells_of(rows, open_to)):
        raise AuthoringError(problems)
    lacking = {line: [*_lacking(schema, row)] for line, row in rows.items()}
    unscored = {line: [each for each in places if not _is_absent(each, columns)] for line, places in lacking.items()}
    match = "whole" if columns.absent else "subset" if any(unscored.values()) else ""
    closed = [key for key, kind in keys.items() if "enum" in kind or kind.get("type") == "boolean"]
    text = json.dumps({"$schema": DIALECT} | schema, indent=2, ensure_ascii=False) + "\n"
    return SuiteDraft(
        check={"schema": "refs/answer.schema.json", "extract": "strict"} | ({"match": match} if match else {}),
        system=f"Reply with JSON only: {render_schema(schema)}",
        expect=lambda each: rows[each.line],
        output=_filled(rows, schema, given),
        references={"answer.schema.json": text},
        notes=(*_inferred(drafts, schema), *_gaps(columns, lacking)),
        labels=lambda each: _labels(rows[each.line], closed),
        is_whole=lambda each: rows[each.line].keys() >= {*schema["required"]},
        own_keys=lambda each: _free(unscored[each.line]) if match == "whole" else {},
    )


def _labels(row: Mapping[str, Any], closed: Sequence[str]) -> tuple[KeyLabel, ...]:
    return tuple(KeyLabel(key, _json(row[key])) for key in closed if key in row)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _free(places: Sequence[Where]) -> Mapping[str, Any]:
    """The keys of a case whose output may have any value at some places."""
    fields = {name_of_place(where): {"ignore": True} for where in places}
    return {"check": {"fields": fields}} if fields else {}


def _lacking(schema: Mapping[str, Any], value: Any, where: Where = ()) -> Iterator[Where]:
    """The places of keys that the schema names and an object in `value` lacks."""
    for item in value if isinstance(value, list) else ():
        yield from _lacking(schema.get("items", {}), item, (*where, 0))
    for key, inner in schema.get("properties", {}).items() if isinstance(value, dict) else ():
        yield from _lacking(inner, value[key], (*where, key)) if key in value else [(*where, key)]


def _is_absent(where: Where, columns: Columns) -> bool:
    """Whether a key that is lacking there must not stand in an output: --absent names its column, or the only one."""
    return where[0] in columns.absent or len(columns.absent) == len(columns.expect)


def _filled(
    rows: Mapping[int, Mapping[str, Any]], schema: Mapping[str, Any], given: Mapping[str, Sequence[Any]]
) -> Callable[[Draft], str]:
    """The text of an example's output; a key that is not scored has its most frequent value."""
    usual = {key: Counter(map(canonical, values)).most_common(1)[0][0] for key, values in given.items() if values}

    def output(each: Draft) -> str:
        row = rows[each.line]
        if missing := {key: json.loads(usual[key]) for key in schema["required"] if key not in row}:
            whole = {**row, **missing}
            row = {key: whole[key] for key in schema["properties"] if key in whole}
        return json.dumps(row, ensure_ascii=False)

    return output


def _rows_and_schema(drafts: Drafts) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """The expected values by line, and their schema: of the columns as keys, or of the only column's objects."""
    values = {column: _column(drafts, column) for column in drafts.columns.expect}
    lines = [each.line for each in drafts.all]
    first = values[drafts.columns.expect[0]]
    if len(values) == 1 and all(isinstance(value, dict) for value in first):
        return dict(zip(lines, first, strict=True)), object_schema(first)
    pairs = (zip(values, row, strict=True) for row in zip(*values.values(), strict=True))
    rows = [{column: value for column, value in row if value is not None} for row in pairs]
    return dict(zip(lines, rows, strict=True)), _of_columns(drafts, values)


def _of_columns(drafts: Drafts, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The schema of an object with a key for each column; those of --absent are optional."""
    filled = {column: [cell for cell in cells if cell is not None] for column, cells in values.items()}
    if void := [column for column, cells in filled.items() if not cells]:
        hint = f"fill some of them, or leave out --expect {void[0]}"
        found = f"{len(drafts.all):,} empty cells"
        raise AuthoringError([Problem(drafts.table.path, 1, each, "values", found, hint) for each in void])
    return {
        "type": "object",
        "properties": {column: schema_of(filled[column], len(cells)) for column, cells in values.items()},
        "required": [column for column in values if column not in drafts.columns.absent],
        "additionalProperties": False,
    }


def _column(drafts: Drafts, column: str) -> list[Any]:
    """The values of a column, converted to their common type; None for an empty cell."""
    cells = [each.expected.get(column) for each in drafts.all]
    filled = [cell for cell in cells if cell is not None]
    if column in drafts.columns.text:
        return cells
    _check_json(drafts, column)
    if drafts.table.typed or not all(isinstance(cell, str) for cell in filled):
        return cells
    values = iter(typed(filled, len(cells)))
    return [None if cell is None else next(values) for cell in cells]


def _check_json(drafts: Drafts, column: str) -> None:
    """Refuse a column of JSON with a few cells that are none."""
    texts = [each for each in drafts.all if isinstance(each.expected.get(column), str)]
    others = [each for each in texts if cell_values([each.expected[column]]) == [each.expected[column]]]
    if others and 2 * len(others) < len(texts):
        expected = f"a JSON object or list, as in {len(texts) - len(others):,} other cells"
        hint = f"mend it, or take all of them as text: --text {column}"
        raise AuthoringError([
            Problem(drafts.table.path, each.line, column, expected, show_value(each.expected[column]), hint)
            for each in others
        ])  # fmt: skip


def _settle_kinds(drafts: Drafts, schema: dict[str, Any], given: Mapping[str, Sequence[Any]]) -> None:
    """Apply --text and --label to the keys of a schema."""
    keys, columns = schema["properties"], drafts.columns
    for option, names in (("--text", columns.text), ("--label", columns.label)):
        if unknown := next((name for name in names if name not in keys), None):
            raise UsageError(f"{option} {unknown}: expected one of {', '.join(keys)}, found no such expected value")
    for key in columns.text:
        if wrong := [value for value in given[key] if not isinstance(value, str)]:
            raise Refused(f"{drafts.table.name}: --text {key}: expected texts, found {show_value(wrong[0])}")
    keys |= {key: {"type": "string"} for key in columns.text}
    values = {key: {canonical(value): value for value in given[key]} for key in columns.label}
    keys |= {key: {"enum": [value for _, value in sorted(each.items())]} for key, each in values.items() if each}


def _inferred(drafts: Drafts, schema: Mapping[str, Any]) -> Iterator[str]:
    """What each key was taken for, with the option that changes it."""
    keys, columns = schema["properties"], drafts.columns
    open_to = {key: kind for key, kind in keys.items() if key not in (*columns.text, *columns.label)}
    labels = [f"{key} ({len(kind['enum'])})" for key, kind in open_to.items() if "enum" in kind]
    of_type = {
        what: [key for key, kind in open_to.items() if kind.get("format", kind.get("type")) in kinds]
        for what, kinds in (
            ("true or false", ("boolean",)), ("numbers", ("integer", "number")), ("dates", ("date",)),
            ("any text", ("string",)),
        )
    }  # fmt: skip
    as_text = "" if drafts.table.typed else "; --text COLUMN takes any text"
    of_table = "; --label COLUMN takes the values of the table only"
    yield from _noted("labels of the table", labels, "; --text COLUMN takes any text")
    yield from _noted("true or false", of_type["true or false"], as_text)
    yield from _noted("numbers", of_type["numbers"], as_text + of_table)
    yield from _noted("dates", of_type["dates"], "; --text COLUMN takes any text")
    yield from _noted("any text", of_type["any text"], of_table)


def _gaps(columns: Columns, lacking: Mapping[int, Sequence[Where]]) -> Iterator[str]:
    """In how many rows each key has no value, and what that means."""
    counts = Counter(where for places in lacking.values() for where in dict.fromkeys(places))
    absent: list[str] = []
    unscored: list[str] = []
    for where, count in counts.items():
        of_kind = absent if _is_absent(where, columns) else unscored
        of_kind.append(f"{name_of_place(where)} ({count} of {len(lacking)})")
    yield from _noted("no value, not scored", unscored, "; --absent COLUMN: an output must not have the key there")
    yield from _noted("no value, where an output must not have the key", absent, "")


def _noted(what: str, names: Sequence[str], option: str) -> Iterator[str]:
    if names:
        yield f"{what}: {', '.join(names)}{option}"


def _check_prose(drafts: Drafts, keys: Mapping[str, Any], given: Mapping[str, Sequence[Any]]) -> None:
    for key, kind in keys.items():
        texts = given[key]
        if kind.get("type") == "string" and is_prose(texts):
            raise Refused(
                f"{drafts.table.name}: --expect {key}: expected labels, numbers or short values, found prose "
                f"({max(map(len, texts))} characters at most), of which no two are alike. Score it by the house's "
                "terms (--suite vocabulary, with a column of the expected terms), or by its voice, which needs "
                "labelled pairs of texts (docs/voice.md)"
            )


def retention_suite(drafts: Drafts) -> SuiteDraft:
    """Short texts; several columns are alternatives."""
    _check_values(drafts)
    outputs = {each.line: _texts(drafts, each) for each in drafts.all}
    for line, texts in outputs.items():
        if not all(re.search(r"\w", text) for text in texts):
            raise Refused(f"{drafts.table.name}:{line}: expected texts with a letter or digit, found {texts}")
    return SuiteDraft(
        check={"measure": "questions"},
        system="Answer in a few words.",
        expect=lambda each: {"answer": outputs[each.line]},
        output=lambda each: outputs[each.line][0],
        role="guard",
    )


def _check_values(drafts: Drafts) -> None:
    """Refuse texts that stand for an empty cell."""
    rows, columns = {each.line: each.expected for each in drafts.all}, drafts.columns
    open_to = [column for column in columns.expect if column not in (*columns.text, *columns.label)]
    if problems := ambiguous(drafts.table, cells_of(rows, open_to), [no_values]):
        raise AuthoringError(problems)


def _texts(drafts: Drafts, example: Draft) -> list[str]:
    """The texts in the expected columns of a row, each once; a cell of JSONL may be a list of them.

    Raises:
        Refused: it holds other values.
    """
    cells = [item for cell in example.expected.values() for item in (cell if isinstance(cell, list) else [cell])]
    if wrong := [cell for cell in cells if isinstance(cell, (dict, list)) or cell is None]:
        raise Refused(f"{drafts.table.name}:{example.line}: expected texts or a list of them, found {wrong[0]!r}")
    return list(dict.fromkeys(map(str, cells)))


def vocabulary_suite(drafts: Drafts) -> SuiteDraft:
    """Terms that the output must use; each column holds one, or a cell of JSONL a list of them."""
    _check_values(drafts)
    asked = {each.line: _texts(drafts, each) for each in drafts.all}
    terms: dict[str, str] = {}
    for term in (term for texts in asked.values() for term in texts):
        terms.setdefault(term.casefold(), term)
    ids = _ids(terms)
    long = [term for term in terms.values() if len(term) > LONGEST_TERM or "\n" in term]
    if long:
        raise Refused(
            f"{drafts.table.name}: --expect {', '.join(drafts.columns.expect)}: expected terms of at most "
            f"{LONGEST_TERM} characters, found {listed([repr(term[:LONGEST_TERM] + '...') for term in long])}"
        )

    def due(each: Draft) -> list[str]:
        return list(dict.fromkeys(term.casefold() for term in asked[each.line]))

    entries = [{"id": ids[key], "preferred": term} for key, term in terms.items()]
    return SuiteDraft(
        check={"terms": "refs/terms.yaml"},
        system="Answer in our own terms.",
        expect=lambda each: {"terms": [ids[key] for key in due(each)]},
        output=lambda each: ", ".join(terms[key] for key in due(each)),
        labels=lambda each: tuple(KeyLabel("term", terms[key]) for key in due(each)),
        model_output=False,
        references={"terms.yaml": write_yaml({"version": 1, "language": "en", "terms": entries})},
    )


def _ids(terms: Mapping[str, str]) -> dict[str, str]:
    """An id for each term, from its letters and digits."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for key, term in terms.items():
        stem = re.sub(r"[\W_]+", "-", term.casefold()).strip("-") or "term"
        names = (stem, *(f"{stem}-{number}" for number in range(2, len(terms) + 2)))
        ids[key] = next(name for name in names if name not in taken)
        taken.add(ids[key])
    return ids


#: The suites that need only examples.
SUITES: Mapping[str, Callable[[Drafts], SuiteDraft]] = {
    "schema": schema_suite,
    "vocabulary": vocabulary_suite,
    "retention": retention_suite,
}
#: The requirements of the other suites.
NOT_FROM_EXAMPLES = {
    "voice": "needs labelled pairs of texts, on-brand and off-brand (docs/voice.md)",
    "refusal": "needs requests that a careful model declines, or should not, and people's labels (docs/refusal.md)",
    "rubric": "needs what makes an output right, in words, and people's labels (docs/label.md)",
    "cost": "prices the outputs of an existing unit: a file with `suite: cost` and `of: UNIT` (docs/cost.md)",
    "tools": "is made of a log of chat messages: --tools tools.json --from log.jsonl (docs/tools.md)",
    "scored": "takes the scores of another tool's result file: tunegate import RESULTS (docs/import.md)",
}
