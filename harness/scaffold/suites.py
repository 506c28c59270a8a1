"""Each suite's form of examples: its check and references, the expected values, and an output that meets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.authoring.yaml_writer import write_yaml
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed
from tunegate.harness.scaffold.drafts import Draft, Drafts
from tunegate.harness.scaffold.infer import DIALECT, is_prose, object_schema, render_schema, typed

LEAST_TOKENS, TOKEN_STEP = 32, 16
SENTENCES = 128  # tokens, if the expected value is a part of the output
LONGEST_TERM = 60  # characters


@dataclass(frozen=True)
class SuiteDraft:
    """A suite's form of examples. `output` is the text of an output that meets `expect`.

    If it is not an output to imitate, `model_output` is false, and it does not become a shot.
    """

    check: Mapping[str, Any]
    system: str
    expect: Callable[[Draft], Any]
    output: Callable[[Draft], str]
    role: str = "target"
    references: Mapping[str, str] = field(default_factory=dict)
    model_output: bool = True

    def tokens(self, examples: Sequence[Draft]) -> int:
        """Room for outputs twice as long as the longest expected one, at two characters per token."""
        if not self.model_output:
            return SENTENCES
        longest = max(len(self.output(each)) for each in examples)
        return max(LEAST_TOKENS, -(-longest // TOKEN_STEP) * TOKEN_STEP)


def schema_suite(drafts: Drafts) -> SuiteDraft:
    """JSON with a key for each expected column, or the object that the only column holds.

    Raises:
        Refused: a column holds prose, which an exact match cannot score.
    """
    values = {column: _column(drafts, column) for column in drafts.columns.expect}
    for column, found in values.items():
        if is_prose([value for value in found if value is not None]):
            raise Refused(_prose(drafts, column))
    if _is_object(drafts):
        rows = [each.expected[drafts.columns.expect[0]] for each in drafts.all]
    else:
        rows = [_filled(dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]
    schema = object_schema(rows)
    outputs = {each.line: row for each, row in zip(drafts.all, rows, strict=True)}
    match = {"match": "whole"} if set(schema["properties"]) - set(schema["required"]) else {}
    return SuiteDraft(
        check={"schema": "refs/answer.schema.json", "extract": "strict"} | match,
        system=f"Reply with JSON only: {render_schema(schema)}",
        expect=lambda each: outputs[each.line],
        output=lambda each: json.dumps(outputs[each.line], ensure_ascii=False),
        references={
            "answer.schema.json": f"{json.dumps({'$schema': DIALECT} | schema, indent=2, ensure_ascii=False)}\n"
        },
    )


def _column(drafts: Drafts, column: str) -> list[Any]:
    """The values of a column, converted to their common type; None for an empty cell."""
    cells = [each.expected.get(column) for each in drafts.all]
    if drafts.table.typed:
        return cells
    filled = iter(typed([cell for cell in cells if cell is not None]))
    return [None if cell is None else next(filled) for cell in cells]


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if value is not None}


def _is_object(drafts: Drafts) -> bool:
    """Whether the only expected column holds the whole output, as an object."""
    return len(drafts.columns.expect) == 1 and all(
        isinstance(value, dict) for each in drafts.all for value in each.expected.values()
    )


def _prose(drafts: Drafts, column: str) -> str:
    longest = max((str(each.expected.get(column, "")) for each in drafts.all), key=len)
    return (
        f"{drafts.table.name}: --expect {column}: expected labels, numbers or short values, found prose "
        f"({len(longest)} characters at most), of which no two are alike. Score it by the house's terms (--suite "
        "vocabulary, with a column of the expected terms), or by its voice, which needs labelled pairs of texts "
        "(docs/voice.md)"
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
    "cost": "prices the outputs of an existing unit: a file with `suite: cost` and `of: UNIT` (docs/cost.md)",
}
