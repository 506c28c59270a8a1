"""The HTML page, which works offline and in which no model output can run.

Its policy allows only its one script and one style, by digest. The cases are blocks of JSON, which the script turns
into text nodes on demand. Those of a large report may be files beside the page, loaded by script elements, since a
page opened from disk may not fetch.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.core.files import text_digest, write_atomically
from tunegate.harness.core.formatting import change, difference, level
from tunegate.harness.reporting.drawings import history_drawing, interval_drawing
from tunegate.harness.reporting.edited import by_text
from tunegate.harness.reporting.headline import head, names_outcome
from tunegate.harness.reporting.leaderboard import MANY
from tunegate.harness.reporting.page_data import page_data, script_json
from tunegate.harness.reporting.report import CandidateReport, Report, UnitReport

MOST_INSIDE = 2_000  # cases up to which a page in a folder is one file
HEAD = 2_000  # bytes
INDEX, PIECES = "index.html", "cases"
_PIECE_NAME = re.compile(r"[0-9a-f]{16}\.js")


def page_file(path: Path) -> Path:
    """Return the path of the page: `path` if it names an HTML file, otherwise `index.html` in it."""
    return path if path.suffix.lower() in (".html", ".htm") else path / INDEX


def is_page(path: Path) -> bool:
    """Return whether a file's head marks it as a page of Tunegate."""
    with path.open("rb") as file:
        return b'<meta name="generator" content="Tunegate">' in file.read(HEAD)


def write_html(path: Path, report: Report) -> Path:
    """Write the report as one file or as a folder; return the path of the page.

    In a folder, a page of more than 2,000 cases stores them in pieces beside it. They are named by content and written
    first, so that a page always finds its own; those of an earlier page are deleted last.

    Raises:
        CouldNotRun: the page cannot be written.
    """
    page = page_file(path)
    index, pieces = page_data(report)
    is_split = page != path and _is_large(report)
    files = dict(piece_files(pieces)) if is_split else {}
    for name, text in files.items():
        write_atomically(path / name, text)
    write_atomically(page, _page(report, index, pieces, list(files)))
    if page != path:
        for old in (path / PIECES).glob("*.js"):
            if _PIECE_NAME.fullmatch(old.name) and f"{PIECES}/{old.name}" not in files:
                old.unlink(missing_ok=True)
    return page


def page_beside(record: Path, report: Report) -> Path:
    """Return the place of a record's page next to it: a file, or a folder if there are more than 2,000 cases."""
    return record.with_suffix(".page" if _is_large(report) else ".html")


def _is_large(report: Report) -> bool:
    return len({case.key for each in report.candidates for case in each.cases}) > MOST_INSIDE


def html_page(report: Report) -> str:
    """Return the report as a page in one file."""
    return _page(report, *page_data(report), [])


def piece_files(pieces: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file: a call with its own name and its JSON as a string."""
    for piece in pieces:
        name = f"{PIECES}/{text_digest(piece)[:16]}.js"
        yield name, f"tunegatePiece({json.dumps(name)},{json.dumps(piece)});\n"


def _page(report: Report, index: str, pieces: Sequence[str], files: Sequence[str]) -> str:
    environment = _environment("tunegate.harness.reporting")
    style, script = _own("report.css"), _own("report.js")
    # a script may load further scripts; scripts in the markup of the page may not
    loads = " 'strict-dynamic'" if files else ""
    policy = (
        f"default-src 'none'; script-src '{csp_hash(script)}'{loads}; style-src '{csp_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return environment.get_template("report.html.j2").render(
        report=report, policy=policy, style=style, script=script,
        index=_as_json(index), files=_as_json(script_json(files)),
        pieces=[] if files else [_as_json(piece) for piece in pieces],
        rows=unit_rows(report) if len(report.candidates) > 1 else [],
        ranking=ranking(report) if len(report.candidates) > MANY else [],
        interval_drawing=interval_drawing, history_drawing=history_drawing, change=change, difference=difference,
        cases_address=cases_address, head=head(report), names_outcome=names_outcome(report),
        edited=by_text(report.rules.configuration),
    )  # fmt: skip


def static_page(package: str, template: str, more_style: str, **values: object) -> str:
    """Return a page in the report's style that runs no script.

    Args:
        package: where the template is, in its folder `templates`.
        template: the name of its file.
        more_style: CSS of its own, after the report's.
        values: what the template names.
    """
    style = _own("report.css") + Markup(more_style)  # noqa: S704  (from our own code)
    policy = f"default-src 'none'; style-src '{csp_hash(style)}'; base-uri 'none'; form-action 'none'"
    return _environment(package).get_template(template).render(policy=policy, style=style, **values)


def _environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"visible": visible_lines, "level": level}
    return environment


def cases_address(**filters: str) -> str:
    """Return the fragment of the page's address that filters the cases, as the page's script reads it."""
    return f"#{urlencode({name: visible_lines(value) for name, value in filters.items()})}"


def unit_rows(report: Report) -> list[tuple[str, str, tuple[UnitReport | None, ...]]]:
    """Return the units of several candidates side by side: the key, the score before, and each candidate's report."""
    by_key = [{unit.key: unit for unit in each.units} for each in report.candidates]
    rows = []
    for key in dict.fromkeys(key for units in by_key for key in units):
        units = tuple(each.get(key) for each in by_key)
        before = dict.fromkeys(level(unit.base, unit.kind) for unit in units if unit and unit.base is not None)
        rows.append((key, " or ".join(before) or "-", units))
    return rows


def ranking(report: Report) -> list[tuple[int, CandidateReport]]:
    """Return the candidates in leaderboard order, each with its place in the report, from 1."""

    def rank(each: tuple[int, CandidateReport]) -> tuple[bool, float]:
        gains = [unit.difference or 0.0 for unit in each[1].units if unit.role == "target"]
        return each[1].outcome == "passed", sum(gains) / len(gains) if gains else 0.0

    return sorted(enumerate(report.candidates, start=1), key=rank, reverse=True)


def _own(name: str) -> Markup:
    # from our own code, not to be escaped
    return Markup(resources.files(__package__).joinpath("templates", name).read_text("utf-8"))  # noqa: S704


def _as_json(text: str) -> Markup:
    # already escaped for JSON in a script
    return Markup(text)  # noqa: S704


def csp_hash(text: str) -> str:
    """Return the source by which a Content-Security-Policy allows a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
