"""The HTML face: a page that opens offline, in which nothing that a model wrote can run.

Its policy allows the one script and the one style that are in it, by their digests, and nothing from elsewhere. The
cases lie in blocks of JSON, of which the script makes text nodes as they are looked at. Those of a large report may lie
beside the page, in files that the script loads by script elements: a page that is opened from a disk may not fetch.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.core.files import text_digest, write_atomically
from tunegate.harness.core.formatting import change, difference, level
from tunegate.harness.reporting.drawings import history_drawing, interval_drawing
from tunegate.harness.reporting.leaderboard import MANY
from tunegate.harness.reporting.page_data import PageData, page_data, script_json
from tunegate.harness.reporting.report import CandidateReport, Report, UnitReport

MOST_INSIDE = 2_000  # cases of a page in a folder that still is one file
HEAD = 2_000  # bytes
INDEX, PIECES = "index.html", "cases"
_PIECE_NAME = re.compile(r"[0-9a-f]{16}\.js")


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A unit beside itself: its score before, and what each candidate made of it."""

    key: str
    before: str
    units: tuple[UnitReport | None, ...]


def page_file(path: Path) -> Path:
    """Where the page itself is written: `path`, or `index.html` in it, if it is not the name of an HTML file."""
    return path if path.suffix.lower() in (".html", ".htm") else path / INDEX


def is_page(path: Path) -> bool:
    """Whether a file is a page that was written here, by its head."""
    with path.open("rb") as file:
        return b'<meta name="generator" content="Tunegate">' in file.read(HEAD)


def write_html(path: Path, report: Report) -> Path:
    """Write the report as one file, or as a folder; returns the page to be opened.

    Of a folder with a page of over 2,000 cases, these lie in pieces beside it. They are named by what they hold and
    written first: a page always finds its own, and those of an earlier one go last.

    Raises:
        CouldNotRun: it cannot be written.
    """
    page = page_file(path)
    data = page_data(report)
    is_split = page != path and len({case.key for each in report.candidates for case in each.cases}) > MOST_INSIDE
    files = dict(piece_files(data.pieces)) if is_split else {}
    for name, text in files.items():
        write_atomically(path / name, text)
    write_atomically(page, _page(report, data, list(files)))
    if page != path:
        for old in (path / PIECES).glob("*.js"):
            if _PIECE_NAME.fullmatch(old.name) and f"{PIECES}/{old.name}" not in files:
                old.unlink(missing_ok=True)
    return page


def html_page(report: Report) -> str:
    """The report as a page that is one file."""
    return _page(report, page_data(report), [])


def piece_files(pieces: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The name and the text of each file: a call with its own name, and its JSON as a text."""
    for piece in pieces:
        name = f"{PIECES}/{text_digest(piece)[:16]}.js"
        yield name, f"tunegatePiece({json.dumps(name)},{json.dumps(piece)});\n"


def _page(report: Report, data: PageData, files: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader("tunegate.harness.reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"visible": visible_lines, "level": level}
    style, script = _own("report.css"), _own("report.js")
    # a script that this script adds is loaded, one that stands in the page is not
    loads = " 'strict-dynamic'" if files else ""
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'{loads}; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return environment.get_template("report.html.j2").render(
        report=report, policy=policy, style=style, script=script,
        index=_as_json(data.index), files=_as_json(script_json(files)),
        pieces=[] if files else [_as_json(piece) for piece in data.pieces],
        rows=unit_rows(report) if len(report.candidates) > 1 else [],
        ranking=ranking(report) if len(report.candidates) > MANY else [],
        interval_drawing=interval_drawing, history_drawing=history_drawing, change=change, difference=difference,
        cases_address=cases_address, first_sentence=first_sentence,
    )  # fmt: skip


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence, which the page says loudest, and the rest."""
    first, end, rest = text.partition(". ")
    return first + end.rstrip(), rest


def cases_address(**filters: str) -> str:
    """The part of the page's address that shows some cases alone, as the page's own script reads it."""
    return f"#{urlencode({name: visible_lines(value) for name, value in filters.items()})}"


def unit_rows(report: Report) -> list[UnitRow]:
    """The units of several candidates, beside each other."""
    by_key = [{unit.key: unit for unit in each.units} for each in report.candidates]
    rows = []
    for key in dict.fromkeys(key for units in by_key for key in units):
        units = tuple(each.get(key) for each in by_key)
        before = dict.fromkeys(level(unit.base, unit.kind) for unit in units if unit and unit.base is not None)
        rows.append(UnitRow(key, " or ".join(before) or "-", units))
    return rows


def ranking(report: Report) -> list[tuple[int, CandidateReport]]:
    """Many candidates in the order of a leaderboard, each with its place in the report, from 1."""

    def rank(each: tuple[int, CandidateReport]) -> tuple[bool, float]:
        gains = [unit.difference or 0.0 for unit in each[1].units if unit.role == "target"]
        return each[1].outcome == "passed", sum(gains) / len(gains) if gains else 0.0

    return sorted(enumerate(report.candidates, start=1), key=rank, reverse=True)


def _own(name: str) -> Markup:
    # ours, and not to be escaped
    return Markup(resources.files(__package__).joinpath("templates", name).read_text("utf-8"))  # noqa: S704


def _as_json(text: str) -> Markup:
    # escaped already, as JSON in a script is
    return Markup(text)  # noqa: S704


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
