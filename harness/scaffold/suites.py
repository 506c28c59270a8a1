"""Each suite's form of examples: its check and references, the expected values, and an output that meets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.authoring.document import show_value
from tunegate.harness.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError
from tunegate.harness.core.files import canonical
from tunegate.harness.core.formatting import listed
from tunegate.harness.scaffold.drafts import Draft, Drafts
from tunegate.harness.scaffold.infer import (
    DIALECT,
    EACH,
    MOST_LABELS,
    cell_values,
    enough,
    is_prose,
    object_schema,
    rare,
    render_schema,
    schema_of,
    typed,
)

LEAST_TOKENS, TOKEN_STEP = 32, 16
SENTENCES = 128  # tokens, if the expected value is a part of the output
LONGEST_TERM = 60  # characters


@dataclass(frozen=True)
class SuiteDraft:
    """A suite's form of examples. `output` is the text of an output that meets `expect`; `notes` say what was inferred.

    If it is not an output to imitate, `model_output` is false, and it does not become a shot.
    """

    check: Mapping[str, Any]
    system: str
    expect: Callable[[Draft], Any]
    output: Callable[[Draft], str]
    role: str = "target"
    references: Mapping[str, str] = field(default_factory=dict)
    model_output: bool = True
    notes: tuple[str, ...] = ()

    def tokens(self, examples: Sequence[Draft]) -> int:
        """Room for outputs twice as long as the longest expected one, at two characters per token."""
        if not self.model_output:
            return SENTENCES
        longest = max(len(self.output(each)) for each in examples)
        return max(LEAST_TOKENS, -(-longest // TOKEN_STEP) * TOKEN_STEP)


def schema_suite(drafts: Drafts) -> SuiteDraft:
    """JSON with a key for each expected column, or the object that the only column holds.

    Raises:
        UsageError: --text or --label names none of the keys.
        Refused: a column holds prose, which an exact match cannot score, or JSON in most cells.
    """
    values = {column: _column(drafts, column) for column in drafts.columns.expect}
    first = values[drafts.columns.expect[0]]
    if len(values) == 1 and all(isinstance(value, dict) for value in first):  # the column holds whole outputs
        rows, schema = first, object_schema(first)
    else:
        pairs = (zip(values, row, strict=True) for row in zip(*values.values(), strict=True))
        rows = [{column: value for column, value in row if value is not None} for row in pairs]
        schema = _of_columns(values)
    notes = tuple(_settle_kinds(drafts, schema, rows))
    _check_prose(drafts, schema, rows)
    outputs = {each.line: row for each, row in zip(drafts.all, rows, strict=True)}
    match = {"match": "whole"} if _is_loose(schema) else {}
    text = json.dumps({"$schema": DIALECT} | schema, indent=2, ensure_ascii=False) + "\n"
    return SuiteDraft(
        check={"schema": "refs/answer.schema.json", "extract": "strict"} | match,
        system=f"Reply with JSON only: {render_schema(schema)}",
        expect=lambda each: outputs[each.line],
        output=lambda each: json.dumps(outputs[each.line], ensure_ascii=False),
        references={"answer.schema.json": text},
        notes=notes,
    )


def _is_loose(schema: Mapping[str, Any]) -> bool:
    """Whether some object in it may lack a key, or have one that the schema does not name."""
    keys = schema.get("properties")
    inner = [*(keys or {}).values(), *([schema["items"]] if "items" in schema else [])]
    loose = keys is not None and (len(keys) > len(schema["required"]) or "additionalProperties" not in schema)
    return loose or any(map(_is_loose, inner))


def _of_columns(values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The schema of an object with a key for each column; one with empty cells is optional, and may be quite empty."""
    filled = {column: [cell for cell in cells if cell is not None] for column, cells in values.items()}
    return {
        "type": "object",
        "properties": {column: schema_of(filled[column], len(cells)) for column, cells in values.items()},
        "required": [column for column, cells in values.items() if len(filled[column]) == len(cells)],
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


def _settle_kinds(drafts: Drafts, schema: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Apply --text and --label to the keys of a schema; yield what the other texts were taken for, and why."""
    keys, columns = schema["properties"], drafts.columns
    for option, names in (("--text", columns.text), ("--label", columns.label)):
        if unknown := next((name for name in names if name not in keys), None):
            raise UsageError(f"{option} {unknown}: expected one of {', '.join(keys)}, found no such expected value")
    found = {key: [row[key] for row in rows if key in row] for key in keys}
    for key in columns.text:
        if wrong := [value for value in found[key] if not isinstance(value, str)]:
            raise Refused(f"{drafts.table.name}: --text {key}: expected texts, found {show_value(wrong[0])}")
    keys |= {key: {"type": "string"} for key in columns.text}
    values = {key: {canonical(value): value for value in found[key]} for key in columns.label}
    keys |= {key: {"enum": [value for _, value in sorted(each.items())]} for key, each in values.items() if each}
    open_to = {key: kind for key, kind in keys.items() if key not in (*columns.text, *columns.label)}
    if labels := [key for key, kind in open_to.items() if "enum" in kind]:
        yield f"labels, each in {EACH} rows or more: {', '.join(labels)} (--text COLUMN takes any text)"
    texts = {key: _why_text(found[key], len(rows)) for key, kind in open_to.items() if kind.get("type") == "string"}
    if named := [f"{key} ({why})" for key, why in texts.items() if why]:
        yield (
            f"texts, although some values repeat: {', '.join(named)}; rare is in fewer than {EACH} rows, and --label "
            "COLUMN takes the values of the table all the same"
        )


def _why_text(texts: Sequence[str], rows: int) -> str:
    """Why texts that look like labels are not taken for them; empty if they do not look like any."""
    different, seldom = len(set(texts)), len(rare(texts))
    if not texts or 2 * different > len(texts) or different > MOST_LABELS:
        return ""
    if seldom:
        return f"{seldom} of {different} rare"
    return f"in {len(texts)} of {rows} rows" if len(texts) < enough(rows) else ""


def _check_prose(drafts: Drafts, schema: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    for key, kind in schema["properties"].items():
        texts = [row[key] for row in rows if key in row]
        if kind.get("type") == "string" and is_prose(texts):
            raise Refused(
                f"{drafts.table.name}: --expect {key}: expected labels, numbers or short values, found prose "
                f"({max(map(len, texts))} characters at most), of which no two are alike. Score it by the house's "
                "terms (--suite vocabulary, with a column of the expected terms), or by its voice, which needs "
                "labelled pairs of texts (docs/voice.md)"
            )


def retention_suite(drafts: Drafts) -> SuiteDraft:
    """Short texts; several columns are alternatives."""
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
    "cost": "prices the outputs of an existing unit: a file with `suite: cost` and `of: UNIT` (docs/cost.md)",
}
