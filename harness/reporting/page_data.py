"""The cases of a page as its script reads them: an index of all cases, and pieces with their texts.

The index holds what the list and its filters need. A piece is read when one of its cases is shown, or when the user
searches the texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tunegate.harness.cases.conversation import shown_turn
from tunegate.harness.checks.outputs.message import shown_output
from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.reporting.differences import changed_fields, word_pieces
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report, case_command

PIECE = 500  # cases
#: A block of JSON ends at the first `</script`, and `<!--` begins a state in which it does not.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def page_data(report: Report) -> tuple[str, tuple[str, ...]]:
    """Return the cases of a report, each with the outputs of all candidates: the index, and the pieces in its order.

    All are JSON for a script element.
    """
    by_key: dict[str, list[CaseReport | None]] = {}
    for number, candidate in enumerate(report.candidates):
        for case in candidate.cases:
            by_key.setdefault(case.key, [None] * len(report.candidates))[number] = case
    cases = list(by_key.values())
    kinds: dict[str, int] = {}
    entries = [_entry(each, kinds) for each in cases]
    index = {
        "candidates": [each.name for each in report.candidates], "piece": PIECE,
        "kinds": [json.loads(kind) for kind in kinds], "cases": entries,
    }  # fmt: skip
    starts = range(0, len(cases), PIECE)
    pieces = (_piece(cases[start : start + PIECE], report.candidates) for start in starts)
    return script_json(index), tuple(script_json(piece) for piece in pieces)


def script_json(value: Any) -> str:
    """Return JSON for a script element: ASCII, without markup characters."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).translate(ESCAPES)


def _entry(outputs: Sequence[CaseReport | None], kinds: dict[str, int]) -> tuple[str, int]:
    """Return a case as the end of its key and the number of its kind: most cases share all that filters need."""
    first = next(each for each in outputs if each)
    prefix = f"{first.unit}/" if first.key.startswith(f"{first.unit}/") else ""
    kind = json.dumps(_kind(first, outputs) | {"prefix": visible_lines(prefix)})
    return visible_lines(first.key.removeprefix(prefix)), kinds.setdefault(kind, len(kinds))


def _kind(first: CaseReport, outputs: Sequence[CaseReport | None]) -> dict[str, Any]:
    tags = first.context.tags if first.context else {}
    rules = dict.fromkeys(visible_lines(found.rule) for each in outputs if each for found in each.findings)
    return {
        "unit": visible_lines(first.unit), "sealed": first.sealed,
        "critical": any(each.critical for each in outputs if each),
        "tags": [visible_lines(f"{tag}={value}") for tag, value in tags.items()], "rules": list(rules),
        "states": [each.state if each else None for each in outputs],
    }  # fmt: skip


def _piece(cases: Sequence[Sequence[CaseReport | None]], candidates: Sequence[CandidateReport]) -> dict[str, Any]:
    """Return some cases; texts that several of them share are stored once, by number."""
    texts: dict[str, int] = {}
    made = [_case(outputs, candidates, texts) for outputs in cases]
    return {"texts": list(texts), "cases": made}


def _case(
    outputs: Sequence[CaseReport | None], candidates: Sequence[CandidateReport], texts: dict[str, int]
) -> dict[str, Any]:
    first, candidate = next((each, by) for each, by in zip(outputs, candidates, strict=True) if each is not None)
    context = first.context
    asked = [*context.prompt, *(("text", text) for text in context.texts)] if context else []
    shown = [(role, shown_turn(role, text)) for role, text in asked]
    return {
        "prompt": [[role, texts.setdefault(visible_lines(text), len(texts))] for role, text in shown],
        "expect": visible_lines(expected_text(context.expect)) if context and context.expect is not None else "",
        "before": dict(_before(outputs, candidates)),
        "outputs": [_output(each) if each else None for each in outputs],
        "command": visible_lines(case_command(candidate, first)),
        "place": visible_lines(f"{context.file}:{context.line}") if context else "",
    }  # fmt: skip


def _before(
    outputs: Sequence[CaseReport | None], candidates: Sequence[CandidateReport]
) -> Iterator[tuple[str, str | None]]:
    """Yield each reference's output; a different one of another candidate appears under that candidate's name."""
    found: dict[str, str | None] = {}
    for each, candidate in zip(outputs, candidates, strict=True):
        for name, text in each.before.items() if each else ():
            if found.setdefault(name, text) != text:
                found[f"{name} of {candidate.name}"] = text
    yield from ((visible_lines(name), _visible(text)) for name, text in found.items())


def _output(case: CaseReport) -> dict[str, Any]:
    differs = case.previous is not None and case.now is not None and case.previous != case.now
    fields = changed_fields(case.previous, case.now) if differs else ()
    texts = (shown_output(each or "") for each in (case.previous, case.now))
    pieces = word_pieces(*texts) if differs and not fields else ()
    return {
        "now": _visible(case.now), "repeats": [_visible(each) for each in case.repeats[1:]],
        "findings": [[visible_lines(str(each)), visible_lines(each.source)] for each in case.findings],
        "fields": [[visible_lines(part) for part in (each.path, each.before, each.now)] for each in fields],
        "pieces": [[each.side, visible_lines(each.text)] for each in pieces],
    }  # fmt: skip


def _visible(text: str | None) -> str | None:
    return None if text is None else visible_lines(shown_output(text))


def expected_text(expect: Any) -> str:
    """Return an expectation for readers: text as it is, one accepted output per line, otherwise indented JSON."""
    if isinstance(expect, str):
        return expect
    accepted = expect.get("answer") if isinstance(expect, dict) and len(expect) == 1 else None
    if isinstance(accepted, list) and all(isinstance(each, str) for each in accepted):
        return "\nor ".join(accepted)
    return json.dumps(expect, ensure_ascii=False, indent=2)
