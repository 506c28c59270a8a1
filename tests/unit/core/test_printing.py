"""One console for everything: what it prints is text, and no other way leads to a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.table import Table
from rich.text import Text

from tests.support.paths import ROOT
from tunegate.harness.core.printing import Printer, print_json

HOSTILE = "[red]:fire: \x1b[2J\x1b]8;;http://x\x07y\u202e\u200b\r::error::a\n  ::error::b ##[group]x caf\u00e9"


def printed(what: object, encoding: str = "utf-8", **options: object) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    Printer(file=file, width=200, **options).print(what)
    return raw.getvalue().decode(encoding)


def table(cell: str) -> Table:
    made = Table(title=Text(cell))
    made.add_column(cell)
    made.add_row(cell)
    return made


@pytest.mark.parametrize("make", [str, Text, table])
@pytest.mark.parametrize("options", [{}, {"soft_wrap": True}])
def test_nothing_that_is_printed_is_more_than_text(make, options):
    text = printed(make(HOSTILE), **options)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", text)
    assert not re.search(r"^\s*::|##\[", text, re.MULTILINE)
    assert "[red]:fire:" in text


def test_a_terminal_keeps_its_colours_and_shows_those_of_others():
    text = printed(Text("a\x1b[31mb", style="bold"), force_terminal=True, color_system="standard")
    assert text == "\x1b[1ma\\x1b[31mb\x1b[0m\n"


def test_a_log_that_takes_less_than_unicode_ends_no_run():
    for encoding in ["ascii", "latin-1", "utf-8"]:
        assert printed("caf\u00e9 \u2028 \u4f60", encoding).isascii() == (encoding == "ascii")
        assert printed(table("caf\u00e9 \u4f60"), encoding)


def test_json_on_stdout_has_the_same_value_and_no_command(capsys):
    print_json({"output": HOSTILE})
    text = capsys.readouterr().out
    assert text.isascii()
    assert "##[" not in text


WAYS = re.compile(r"(?<![\w.])(?:print|Console)\(|(?:typer|click)\.echo\(|sys\.std(?:out|err)\.write")
ALLOWED = {
    "harness/core/printing.py": "the printer",
    "harness/cli/main.py": "the version",
    "harness/models/served/vllm_process.py": "a program that another Python runs",
}


def test_no_way_leads_round_the_printer():
    sources = [path for folder in ("harness", "trainers", "suites") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    found = {path.relative_to(ROOT).as_posix() for path in sources if WAYS.search(path.read_text())}
    assert found == set(ALLOWED)
