"""The HTML face: one file that opens offline, in which nothing that a model wrote can run.

Its policy allows the one script and the one style that are in it, by their digests, and nothing from elsewhere. The
cases lie in a block of JSON, of which the script makes text nodes as they are looked at.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.formatting import change, difference, level
from tunegate.harness.reporting.differences import changed_fields, word_pieces
from tunegate.harness.reporting.report import CandidateReport, CaseReport, Report, UnitReport, case_command

#: A block of JSON ends at the first `</script`, and `<!--` begins a state in which that is not so.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
MIDDLE, REACH = 100, 94  # of a drawing that is 200 wide: zero, and how far the furthest end lies from it


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where the parts of a drawn interval lie, of a width of 200; what it shows, in words."""

    low: float
    high: float
    point: float
    margin: float | None
    label: str


def write_html(path: Path, report: Report) -> None:
    """Write the report as one file.

    Raises:
        CouldNotRun: it cannot be written.
    """
    write_atomically(path, html_page(report))


def html_page(report: Report) -> str:
    """The report as a page."""
    environment = Environment(
        loader=PackageLoader("tunegate.harness.reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"visible": visible_lines, "level": level}
    style, script = _own("report.css"), _own("report.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return environment.get_template("report.html.j2").render(
        report=report, policy=policy, style=style, script=script, data=_data(report), drawing_of=drawing_of,
        change=change, difference=difference,
    )  # fmt: skip


def _own(name: str) -> Markup:
    # ours, and the only texts that are not escaped
    return Markup(resources.files(__package__).joinpath("templates", name).read_text("utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def drawing_of(unit: UnitReport) -> Drawing | None:
    """The interval of a unit's difference beside zero and its margin; None where there is none."""
    if unit.interval is None or unit.difference is None:
        return None
    ends = [*unit.interval, unit.difference, -(unit.margin or 0.0)]
    scale = REACH / (max(abs(end) for end in ends) or 1.0)
    low, high, point, margin = (round(MIDDLE + scale * end, 1) for end in ends)
    said = f"difference {difference(unit.difference, unit.interval, unit.kind)}"
    if unit.margin is not None:
        said += f", margin {change(-unit.margin, unit.kind)}"
    return Drawing(low, high, point, None if unit.margin is None else margin, said)


def _data(report: Report) -> Markup:
    texts: dict[str, int] = {}
    by_key: dict[str, list[CaseReport | None]] = {}
    for index, candidate in enumerate(report.candidates):
        for case in candidate.cases:
            by_key.setdefault(case.key, [None] * len(report.candidates))[index] = case
    cases = [_case(answers, report.candidates, texts) for answers in by_key.values()]
    value = {"candidates": [each.name for each in report.candidates], "texts": list(texts), "cases": cases}
    return Markup(json.dumps(value, ensure_ascii=True, separators=(",", ":")).translate(ESCAPES))  # noqa: S704


def _case(
    answers: list[CaseReport | None], candidates: tuple[CandidateReport, ...], texts: dict[str, int]
) -> dict[str, Any]:
    """A case with the answer of each candidate; long texts that many cases share are told once, by number."""
    first, candidate = next((each, by) for each, by in zip(answers, candidates, strict=True) if each is not None)
    context = first.context
    asked = [*context.prompt, *(("text", text) for text in context.texts)] if context else []
    return {
        "key": visible_lines(first.key), "unit": visible_lines(first.unit), "sealed": first.sealed,
        "critical": any(each.critical for each in answers if each),
        "tags": {visible_lines(tag): visible_lines(value) for tag, value in context.tags.items()} if context else {},
        "prompt": [[role, texts.setdefault(visible_lines(text), len(texts))] for role, text in asked],
        "expect": _json(context.expect) if context and context.expect is not None else "",
        "before": _before(first.before),
        "answers": [_answer(each) if each else None for each in answers],
        "command": visible_lines(case_command(candidate, first)),
        "place": visible_lines(f"{context.file}:{context.line}") if context else "",
    }  # fmt: skip


def _answer(case: CaseReport) -> dict[str, Any]:
    differs = case.previous is not None and case.now is not None and case.previous != case.now
    fields = changed_fields(case.previous, case.now) if differs else ()
    pieces = word_pieces(case.previous or "", case.now or "") if differs and not fields else ()
    return {
        "state": case.state, "now": _visible(case.now), "repeats": [_visible(each) for each in case.repeats[1:]],
        "findings": [[visible_lines(rule), visible_lines(text)] for rule, text in case.findings],
        "fields": [[visible_lines(part) for part in (each.path, each.before, each.now)] for each in fields],
        "pieces": [[each.side, visible_lines(each.text)] for each in pieces],
    }  # fmt: skip


def _before(before: Mapping[str, str | None]) -> dict[str, str | None]:
    return {visible_lines(name): _visible(text) for name, text in before.items()}


def _visible(text: str | None) -> str | None:
    return None if text is None else visible_lines(text)


def _json(value: Any) -> str:
    return visible_lines(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))
