"""Exports of OpenAI's hosted Evals: rows `{"item": {...}}`, and an eval with its `testing_criteria`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import mapping_at, text_of
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.imports.model import Imported, ImportedCase, LeftOut, Tally, made_cases, prompt_of
from tunegate.harness.imports.rules import Rule, literal, negated, pattern
from tunegate.harness.imports.templates import filled_template, recorded_output

TOOL = "OpenAI Evals (hosted)"
CRITERIA = "testing_criteria"
MOST_LEVELS = 6  # of an eval and its runs
RECORDED = "recorded"  # the model's name of outputs that rows hold
_OUTPUT = re.compile(r"\{\{\s*sample\.output_text\s*\}\}")
_WHY = {
    "text_similarity": "scored by similarity", "label_model": "scored by a model", "score_model": "scored by a model",
    "python": "code, which is not run",
}  # fmt: skip


def is_eval(value: Any) -> bool:
    """Whether a JSON value is an eval with its criteria."""
    return isinstance(value, Mapping) and isinstance(value.get(CRITERIA), list)


def is_item(row: Any) -> bool:
    """Whether a row is one of a hosted data set."""
    return isinstance(row, Mapping) and isinstance(row.get("item"), Mapping)


def read_eval(path: Path, value: Mapping[str, Any], rows: list[Any]) -> Imported:
    """Import an eval with its rows; those in the eval itself come first.

    Raises:
        Refused: it has no rows or no prompt, or no criterion has a home.
    """
    tally, inside = Tally(), [row for row in _rows_inside(value) if is_item(row)]
    rows = inside or [row for row in rows if is_item(row)]
    if not rows:
        hint = "name the folder with the eval and its rows in .jsonl"
        raise Refused(f'{show_path(path)}: expected rows {{"item": ...}}, found none; {hint}')
    criteria = [each for each in value[CRITERIA] if isinstance(each, Mapping)]
    template = _template(path, value, rows[0]["item"])
    cases = made_cases(rows, lambda row: _case(row, criteria, template, tally), tally, "row")
    return Imported(TOOL, path, cases, tally)


def _mappings(value: Any, level: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a value, itself included, outer ones first."""
    if isinstance(value, Mapping):
        yield value
    if level <= MOST_LEVELS:
        for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
            yield from _mappings(each, level + 1)


def _rows_inside(value: Mapping[str, Any]) -> Iterator[Any]:
    """The rows of a source `file_content`, wherever in the eval or its runs it stands."""
    for each in _mappings(value):
        if each.get("type") == "file_content" and isinstance(each.get("content"), list):
            yield from each["content"]


def _template(path: Path, value: Mapping[str, Any], item: Mapping[str, Any]) -> Any:
    """The messages around a row's values, or the item's own input."""
    for each in _mappings(value):
        if isinstance(found := mapping_at(each, "input_messages").get("template"), list):
            return found
    for key in ("input", "messages", "prompt", "question"):
        if key in item:
            return f"{{{{item.{key}}}}}" if isinstance(item[key], str) else key
    there = ", ".join(shown(text_of(each, 40)) for each in list(item)[:8])
    raise Refused(f"{show_path(path)}: expected input_messages or items with `input`, found items with {there}")


def _case(row: Mapping[str, Any], criteria: list[Mapping[str, Any]], template: Any, tally: Tally) -> ImportedCase:
    values = {"item": row["item"], **row["item"]}
    rules: list[Rule] = []
    comments = []
    for each in criteria:
        kind = text_of(each.get("type"), 40)
        try:
            rules.append(_rule(each, values, tally))
            tally.taken[kind] += 1
        except LeftOut as error:
            tally.left[kind, error.why] += 1
            comments.append(shown(f"left out: {kind}: {text_of(each.get('name'), 60)} ({error.why})"))
    if not rules:
        raise LeftOut("without a criterion that has a home")
    return ImportedCase(
        prompt_of(_messages(template, values, tally), tally), texts=tuple(rules), comments=tuple(comments),
        outputs=recorded_output(RECORDED, mapping_at(row, "sample").get("output_text")),
    )  # fmt: skip


def _messages(template: Any, values: Mapping[str, Any], tally: Tally) -> Any:
    if isinstance(template, str) and "{{" in template:
        return filled_template(template, values, tally)
    if isinstance(template, str):
        if template not in values:
            raise LeftOut(f"without {template}")
        return values[template]
    made = []
    for each in template:
        content = mapping_at(each).get("content")
        text = content.get("text") if isinstance(content, Mapping) else content
        if not isinstance(text, str):
            raise LeftOut("messages with content other than text")
        made.append({"role": each.get("role"), "content": filled_template(text, values, tally)})
    return made


def _rule(criterion: Mapping[str, Any], values: Mapping[str, Any], tally: Tally) -> Rule:
    kind = criterion.get("type")
    if kind != "string_check":
        raise LeftOut(_WHY.get(str(kind), "no check here scores it"))
    said, reference = criterion.get("input"), criterion.get("reference")
    if not isinstance(said, str) or not _OUTPUT.fullmatch(said):
        raise LeftOut("it compares more than the output's text")
    if not isinstance(reference, str):
        raise LeftOut("a reference that is no text")
    text = filled_template(reference, values, tally)
    if not text:
        raise LeftOut("an empty reference")
    operation = criterion.get("operation")
    if operation in ("eq", "ne"):
        return {"const": text} if operation == "eq" else negated({"const": text})
    if operation in ("like", "ilike"):
        return pattern(literal(text, ignore_case=operation == "ilike"))
    raise LeftOut(f"the operation {text_of(operation, 20)}")
