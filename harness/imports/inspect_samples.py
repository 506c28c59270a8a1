"""Samples of inspect_ai: a data set in JSON, JSONL or CSV with the columns that it reads by itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import text_of
from tunegate.harness.core.reading import NotJson, parse_foreign_json
from tunegate.harness.imports.model import (
    Imported,
    ImportedCase,
    LeftOut,
    Tally,
    case_name,
    made_cases,
    objects_of,
    plain_tags,
    prompt_of,
)
from tunegate.harness.imports.targets import BY_LETTER, CHOICES, Match, by_letter, targets_of
from tunegate.harness.imports.templates import as_template_text

TOOL = "inspect_ai"
_USED = frozenset({"input", "target", "choices", "id", "metadata"})
_NEEDS = ("sandbox", "files", "setup")


def is_inspect_sample(row: Any) -> bool:
    """Whether a row is a sample."""
    return isinstance(row, Mapping) and {"input", "target"} <= row.keys()


def read_inspect_samples(path: Path, rows: list[Any], match: str | None) -> Imported:
    """Import samples: `--match`, by default `includes` in any letter case, as includes() does.

    Raises:
        Refused: no sample can be used, or their targets are prose.
    """
    tally, how = Tally(), Match(match, "includes", "includes() of inspect_ai", ignore_case=True)
    rows = objects_of(rows, tally)
    how.check_prose(path, [[text_of(row.get("target"))] for row in rows if not row.get("choices")])
    cases = made_cases(rows, lambda row: _case(row, how, tally), tally, "sample", "target")
    several, by_letters = len({case.set_name for case in cases}) > 1, any(case.set_name for case in cases)
    cases = cases if several else [replace(case, set_name="") for case in cases]
    template = {CHOICES if several else "": BY_LETTER} if by_letters else {}
    notes = () if all(row.get("choices") for row in rows) else how.notes
    return Imported(TOOL, path, cases, tally, template, notes)


def _case(row: Mapping[str, Any], how: Match, tally: Tally) -> ImportedCase:
    if needed := next((key for key in _NEEDS if row.get(key)), ""):
        raise LeftOut(f"it needs its {needed}")
    asked, targets = prompt_of(row.get("input"), tally), targets_of(row.get("target"))
    tally.unused("key {}", row.keys() - _USED)
    tags = plain_tags(_metadata(row.get("metadata")))
    if row.get("choices"):
        choices = _choices(row["choices"])
        right = [ord(each) - ord("A") for each in targets if len(each) == 1 and each.isupper()]
        if not all(0 <= each < len(choices) for each in right) or len(right) < len(targets):
            raise LeftOut("a target that is no letter of its choices")
        asked, rule = by_letter(asked, choices, right, tally)
        return ImportedCase(asked, case_name(row.get("id")), (rule,), tags=tags, set_name=CHOICES)
    return ImportedCase(asked, case_name(row.get("id")), (how.rule(targets),), tags=tags)


def _choices(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [each.strip() for each in (value.split(",") if "," in value else value.split())]
    texts = [as_template_text(each) for each in (value if isinstance(value, list) else [value])]
    return [text for text in texts if text.strip()]


def _metadata(value: Any) -> Any:
    """The metadata of a sample; in a CSV they are JSON."""
    with suppress(NotJson):
        return parse_foreign_json(value) if isinstance(value, str) else value
    return None
