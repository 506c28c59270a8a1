"""Which tool wrote a result file, by what is in it: the name of a file says nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results import (
    csv_scores,
    deepeval_run,
    inspect_log,
    lm_eval_samples,
    promptfoo_results,
    tool_rows,
)
from tunegate.harness.begin.results.foreign_json import lines_of, parse_file
from tunegate.harness.begin.results.samples import ResultFile, brief
from tunegate.harness.begin.results.zipped import MAGIC
from tunegate.harness.core.errors import Unreadable
from tunegate.harness.core.reading import MOST_BYTES, UTF16, NotJson, open_file, parse_foreign_json, read_bytes

A_RESULT = (
    "a result file: an inspect_ai log (.eval or JSON), samples_*.jsonl of lm-evaluation-harness, results of promptfoo, "
    "a test run of deepeval, chat messages with tools (JSONL), or a CSV file with a column `id`"
)
MOST_LINE = 1 << 26  # bytes of a first line: in a file of lines none is longer
_JSON = (b"{", b"[")
Recognise = Callable[[Any], bool]
ReadObject = Callable[[Path, Mapping[str, Any]], ResultFile]
OBJECTS: tuple[tuple[Recognise, ReadObject], ...] = (
    (inspect_log.is_log, inspect_log.read_log),
    (deepeval_run.is_run, deepeval_run.read_run),
    (tool_rows.lists_completions, tool_rows.read_page),
)
#: What is known and holds no samples, with what to do.
KNOWN: tuple[tuple[Recognise, str, str], ...] = (
    (lm_eval_samples.is_aggregate, "the aggregated results of lm-evaluation-harness, which hold no samples",
     "run it with --log_samples, and name samples_*.jsonl"),
    (lambda value: isinstance(value, dict) and {"schema_version", "fingerprint"} <= value.keys(),
     "a record of Tunegate", "tunegate report shows records side by side"),
    (lambda value: isinstance(value, dict) and "by_rules" in value, "a decision of Tunegate", "see tunegate report"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A result file as it is named: `[NAME=]FILE`, where NAME is a provider or a prompt in a file of promptfoo."""

    path: Path
    column: str = ""

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.column}={self.path}" if self.column else str(self.path)


def read_pair(old: NamedFile, new: NamedFile) -> tuple[ResultFile, ResultFile]:
    """Read two result files; rows with tools are scored beside each other. Raises as `read_results`."""
    found = read_results(old.path, old.column), read_results(new.path, new.column)
    if isinstance(found[0], tool_rows.ToolRows) and isinstance(found[1], tool_rows.ToolRows):
        return tool_rows.beside_each_other(found[0], found[1])
    return found


def named_file(text: str) -> NamedFile:
    """Read how a result file is named; a file of that whole name has no other name."""
    places = [place for place, each in enumerate(text) if each == "="] if not Path(text).exists() else []
    for place in places:
        if place and Path(text[place + 1 :]).exists():
            return NamedFile(Path(text[place + 1 :]), text[:place])
    return NamedFile(Path(text))


def read_results(path: Path, column: str = "") -> ResultFile:
    """Read a result file of whichever tool wrote it; with `column`, what it has of the provider or prompt of that name.

    Raises:
        Unreadable: no tool that is known here wrote it, or it is cut off, damaged or of a run that did not finish.
        AuthoringError: mistakes in a CSV file, with their lines.
    """
    found = _read(path, column)
    if column and found.tool != promptfoo_results.TOOL:
        expected = f"{promptfoo_results.A_FILE}, for {brief(column)} names a provider in it"
        raise Unreadable(path, expected, f"results of {found.tool}")
    if not found.samples:
        raise Unreadable(path, f"samples of {found.tool}", "none")
    return found


def _read(path: Path, column: str) -> ResultFile:
    with os.fdopen(open_file(path, A_RESULT), "rb") as file:
        first = file.readline(MOST_LINE)
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if first.startswith(MAGIC):
        return inspect_log.read_zipped_log(path)
    if first.startswith(UTF16) or (start and not start.startswith(_JSON)):
        return _csv(path)
    if not start and not path.stat().st_size:
        raise Unreadable(path, A_RESULT, "an empty file")
    return _json_lines(path, _value(start), column) or _json(path, column)


def _csv(path: Path) -> ResultFile:
    text = csv_scores.csv_text(path, read_bytes(path, A_RESULT))
    if not csv_scores.is_scores(text):
        line = next(iter(text.splitlines()), "")
        raise Unreadable(path, A_RESULT, f"a text that begins with {brief(line)!r}")
    return csv_scores.read_scores(path, text)


def _value(line: bytes) -> Any:
    """The value of a first line that is JSON by itself; None of any other."""
    try:
        return parse_foreign_json(line.decode("utf-8"))
    except (NotJson, UnicodeDecodeError):
        return None


def _json_lines(path: Path, first: Any, column: str) -> ResultFile | None:
    """What a file of lines holds; None where its first line is none of such a file."""
    if lm_eval_samples.is_sample(first):
        return lm_eval_samples.read_samples(path)
    if promptfoo_results.is_result(first):
        return promptfoo_results.read_result_rows(path, lines_of(path, promptfoo_results.A_FILE), column)
    if tool_rows.is_row(first):
        return tool_rows.read_tool_rows(path)
    return None


def _json(path: Path, column: str) -> ResultFile:
    value = parse_file(path, read_bytes(path, A_RESULT, MOST_BYTES), A_RESULT)
    if promptfoo_results.is_results(value):
        return promptfoo_results.read_results_object(path, value, column)
    for is_it, read in OBJECTS:
        if is_it(value):
            return read(path, value)
    for is_it, found, hint in KNOWN:
        if is_it(value):
            raise Unreadable(path, A_RESULT, found, hint)
    raise Unreadable(path, A_RESULT, _described(value))


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return f"a JSON object with the keys {brief(', '.join(list(value)[:6]), 100) or 'none'}"
    return f"JSON that is {'a list' if isinstance(value, list) else 'no object'}"
