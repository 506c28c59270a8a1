"""Chat messages with tools, a row a line: each row's output is held to the tools that it was offered.

A row is `{"messages": [...], "tools": [...]}`; its last message is the model's output. Without a key `id` rows are
paired by what was asked. `expected` holds the right message, where there is one; without it OLD is taken to know where
no tool fits, and every call is still held to its own tool's schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.foreign_json import lines_of
from tunegate.harness.begin.results.samples import (
    ResultFile,
    ScoredSample,
    brief,
    groups_of,
    id_text,
    question_of,
    text_of,
)
from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.checks.outputs.message import DOUBLE, Message, listed_completions, read_message, show_name
from tunegate.harness.checks.tools.check import ToolsCheck
from tunegate.harness.checks.tools.definitions import read_tools
from tunegate.harness.checks.tools.in_text import RULE as IN_TEXT
from tunegate.harness.checks.tools.validity import EMPTY, LACKS, NOT_OFFERED, Offered
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError, Unreadable
from tunegate.harness.core.files import digest
from tunegate.harness.core.formatting import quantity

TOOL = "chat messages with tools"
A_FILE = "chat messages with tools (JSONL), each line with messages, of which the last is the output, and tools"
VALID, NEEDLESS, MISSING, RIGHT = "valid calls", "no call where none fits", "a call where one fits", "right calls"
_SCHEMA = "schema."  # how the rules of schemas begin
ID_DIGITS = 12
MOST_SAID = 4  # kinds of mistakes in a headline
#: What of a call cannot be run, in words that stand behind its number: see `_said`.
_NO_CALL = {"call.cut": "is cut off", "call.arguments": "has arguments that are not JSON", DOUBLE: "is encoded twice"}


@dataclass(frozen=True)
class ToolRow:
    """One row: its output, what keeps its calls from being run, and the right one, if the file has one.

    `tools` is the digest of those that it offered, `schemas` of what these hold calls to.
    """

    id: str
    line: int
    asked: Sequence[Mapping[str, Any]]
    output: Message
    findings: tuple[Finding, ...]
    tools: str
    schemas: str
    expected: Message | None = None

    @property
    def calls(self) -> bool:
        """Whether the output calls, if only in its text."""
        return bool(self.output.calls) or any(each.rule == IN_TEXT for each in self.findings)

    @property
    def is_empty(self) -> bool:
        """Whether the output has neither text nor a call."""
        return any(each.rule == EMPTY for each in self.findings)

    @property
    def fits(self) -> bool:
        """Whether a tool fits, as far as this row knows: one is expected or, if nothing is, called."""
        return self.calls if self.expected is None else bool(self.expected.calls)

    @property
    def question(self) -> str:
        """The digest of what was asked and expected, and of what calls are held to: a file cannot bring laxer tools."""
        return question_of(list(self.asked), self.schemas, self.expected.key() if self.expected else "")


@dataclass(frozen=True)
class ToolRows(ResultFile):
    """A file of rows; scores are given when the other file is known."""

    rows: tuple[ToolRow, ...] = field(default=(), compare=False)


def is_row(value: Any) -> bool:
    """Whether a JSON value is a line of such a file: a row, or a stored completion of OpenAI's with its messages."""
    if is_completion(value):
        return isinstance(value.get("messages"), list)
    if not isinstance(value, dict) or not isinstance(value.get("tools"), list):
        return False
    messages = value.get("messages")
    return isinstance(messages, list) and bool(messages) and isinstance(messages[-1], dict)


def is_completion(value: Any) -> bool:
    """Whether a JSON value is a chat completion of OpenAI's."""
    return isinstance(value, dict) and value.get("object") == "chat.completion" and "choices" in value


def lists_completions(value: Any) -> bool:
    """Whether a JSON value is a page of stored completions."""
    found = listed_completions(value)
    return found is not value and bool(found) and is_completion(found[0])


def read_page(path: Path, value: Any) -> ToolRows:
    """Read a page of stored completions; raises as `read_tool_rows`."""
    return _of_rows(path, enumerate(listed_completions(value), start=1))


def read_tool_rows(path: Path) -> ToolRows:
    """Read a file of rows.

    Raises:
        Unreadable: a line is none of a row, or its tools cannot be used.
    """
    return _of_rows(path, lines_of(path, A_FILE))


def _of_rows(path: Path, numbered: Iterable[tuple[int, Any]]) -> ToolRows:
    offered: dict[str, ToolsCheck] = {}
    rows = tuple(_row(path, number, raw, offered) for number, raw in numbered)
    samples = tuple(ScoredSample(row.id, {VALID: 1.0}, row.question) for row in rows)
    return ToolRows(path, TOOL, samples, rows=rows)


def _row(path: Path, line: int, raw: Any, known: dict[str, ToolsCheck]) -> ToolRow:
    if is_completion(raw):
        raw = _as_row(path, line, raw)
    if not is_row(raw):
        raise Unreadable(path, A_FILE, brief(raw), "", line)
    *asked, last = raw["messages"]
    if last.get("role") not in ("assistant", "model"):
        raise Unreadable(path, "the assistant's output as the last message", brief(last.get("role")), "", line)
    if asked and not all(isinstance(each, dict) for each in asked):
        raise Unreadable(path, A_FILE, "a message that is no object", "", line)
    tools = digest(raw["tools"])
    if tools not in known:
        known[tools] = ToolsCheck(offers=_offered(path, line, raw["tools"]))
    output, expected = read_message(last), raw.get("expected")
    name = id_text(raw["id"]) if "id" in raw else digest(asked)[:ID_DIGITS]
    right = read_message(expected) if isinstance(expected, dict) else None
    check = known[tools]
    return ToolRow(name, line, asked, output, check.offers.findings(output), tools, check.references, right)


def _as_row(path: Path, line: int, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A stored completion as a row; its id is of the output, and pairs nothing."""
    asked, choices = raw.get("messages"), raw["choices"]
    if not isinstance(asked, list):
        hint = "add those of chat/completions/ID/messages as the key messages"
        raise Unreadable(path, A_FILE, "stored completions without their messages", hint, line)
    only = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not (isinstance(only, dict) and isinstance(only.get("message"), dict)):
        found = f"{len(choices)} choices" if isinstance(choices, list) and len(choices) != 1 else brief(choices)
        raise Unreadable(path, "one choice with a message", found, "", line)
    kept = {"expected": raw["expected"]} if "expected" in raw else {}
    return {"messages": [*asked, only["message"]], "tools": raw.get("tools") or [], **kept}


def _offered(path: Path, line: int, raw: list[Any]) -> Offered:
    if not raw:
        return Offered.of(())
    try:
        read = read_tools(raw, Document(path, raw, {(): line}), ("tools",), any_name=True)
    except AuthoringError as error:
        problem = error.problems[0]
        expected = f"{problem.where}: {problem.expected}"
        raise Unreadable(path, expected, problem.found, problem.hint, line) from None
    return Offered.of(read.tools, read.validators)


def beside_each_other(old: ToolRows, new: ToolRows) -> tuple[ToolRows, ToolRows]:
    """Score two files: where no row says what is right, OLD's outputs say where a tool fits.

    What is asked of messages that a tool fits is not asked of the others, so that many of one kind hide nothing of the
    other.
    """
    fits = {row.id: row.fits for row in old.rows}
    due = {wanted: frozenset(name for name, each in fits.items() if each is wanted) for wanted in (True, False)}
    expected = frozenset(row.id for row in old.rows if row.expected is not None)
    only = {VALID: due[True], MISSING: due[True], NEEDLESS: due[False], RIGHT: expected}
    higher = dict.fromkeys(only, "by what it counts")
    return tuple(  # type: ignore[return-value]  # two, as given
        replace(file, samples=tuple(_sample(row, fits.get(row.id)) for row in file.rows), notes=notes, only=only,
                higher=higher)
        for file, notes in ((old, ()), (new, tuple(_notes(old, new))))
    )  # fmt: skip


def _sample(row: ToolRow, fits: bool | None) -> ScoredSample:
    wrong = dict(_asked(row, fits))
    asked = row.asked[-1] if row.asked else {}
    return ScoredSample(
        row.id, {name: float(not why) for name, why in wrong.items()}, row.question, text_of(asked.get("content")),
        text_of(row.expected.write()) if row.expected else "", text_of(row.output.write()),
        reasons=wrong, groups=groups_of(question_of(list(row.asked))), line=row.line,
    )  # fmt: skip


def _asked(row: ToolRow, fits: bool | None) -> Iterator[tuple[str, str]]:
    """What is asked of a row, each with what is wrong with it, empty if nothing is."""
    found = row.findings[0].message if row.findings else ""
    if fits:
        yield VALID, found
        yield MISSING, "" if row.calls else "no call"
    elif fits is False:
        yield NEEDLESS, f"a call of {show_name(row.output.calls[0].name)}" if row.output.calls else found
    if row.expected is not None:
        called, wanted = (sorted(call.key for call in each.calls) for each in (row.output, row.expected))
        said = f"expected {brief(str(row.expected), 200)}" if wanted else "expected no call"
        yield RIGHT, found or ("" if called == wanted else said)


def _notes(old: ToolRows, new: ToolRows) -> Iterator[str]:
    before = {row.id: row.tools for row in old.rows}
    if other := [row.id for row in new.rows if before.get(row.id, row.tools) != row.tools]:
        said = "offer other tools than in OLD: where a schema differs, so does the question"
        yield f"{quantity(len(other), 'row')} {said}"


def more_mistakes(old: ToolRows, new: ToolRows) -> list[str]:
    """What NEW does wrong more often than OLD, worst first, in words with numbers; nothing where there is nothing."""
    fits = {row.id: row.fits for row in old.rows}
    both = fits.keys() & {row.id for row in new.rows}
    before, now = ([row for row in file.rows if row.id in both] for file in (old, new))
    said = [*_worse_calls(before, now, fits), *_worse_messages(before, now, fits)]
    return [text for _, text in sorted(said, key=lambda each: -each[0])]


def _worse_calls(
    before: Sequence[ToolRow], now: Sequence[ToolRow], fits: Mapping[str, bool]
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """Mistakes in calls, each with how many more there are; a call where no tool fits is wrong anyway."""
    sides = [[row for row in rows if fits[row.id]] for rows in (before, now)]
    counts = [Counter(_kinds(rows)) for rows in sides]
    calls = Counter(call.name for row in sides[1] for call in row.output.calls)
    for kind, count in counts[1].items():
        if count > counts[0][kind]:
            yield count - counts[0][kind], _said(*kind, count, calls, counts[0][kind])


def _worse_messages(
    before: Sequence[ToolRow], now: Sequence[ToolRow], fits: Mapping[str, bool]
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """Messages with a call where none fits, without one where one does, and with nothing at all."""
    for text, of, is_wrong in _MESSAGES:
        due = [[row for row in rows if of(fits[row.id])] for rows in (before, now)]
        was, count = (sum(map(is_wrong, rows)) for rows in due)
        if count > was:
            yield count - was, f"{count} of {len(due[1])} {text}" + (f" (before: {was})" if was else "")


#: What is said of messages, of those that a tool fits or does not, and which it is said of.
_MESSAGES: tuple[tuple[str, Callable[[bool], bool], Callable[[ToolRow], bool]], ...] = (
    ("messages that no tool fits are answered with a call", lambda fits: not fits, lambda row: row.calls),
    (
        "messages that a tool fits are answered without a call", lambda fits: fits,
        lambda row: not (row.calls or row.is_empty),
    ),
    ("messages are answered with nothing", lambda _: True, lambda row: row.is_empty),
)  # fmt: skip


def _kinds(rows: Sequence[ToolRow]) -> Iterator[tuple[str, str, str]]:
    """The mistakes of rows: each once for a call, as (rule, tool, words)."""
    for row in rows:
        found = dict.fromkeys(_kind(row, each) for each in row.findings if each.rule != EMPTY)
        yield from (kind for _, kind in found)


def _kind(row: ToolRow, found: Finding) -> tuple[str, tuple[str, str, str]]:
    """The place of a call in its message, and its mistake."""
    place = found.path.removeprefix("tool_calls[").partition("]")[0]
    name = row.output.calls[int(place)].name if place.isdigit() else ""
    if found.rule.startswith(_SCHEMA):
        inside = found.path.partition(".arguments")[2].lstrip(".")
        words = f"{show_name(inside) if inside else 'arguments'} of {show_name(name)}"
        return place, (_SCHEMA, name, words)
    words = found.message if found.rule == LACKS else _NO_CALL.get(found.rule, found.rule)
    return place, (found.rule, name, words)


def _said(rule: str, name: str, words: str, now: int, calls: Mapping[str, int], before: int) -> str:
    was = f" (before: {before})"
    of = f" of {calls[name]}" if name in calls else ""
    if rule == LACKS:
        return f"{words} in {now}{of} calls{was}"
    if rule == NOT_OFFERED:
        return f"{show_name(name)}, which is not offered, is called {now} times{was}"
    if rule == IN_TEXT:
        return f"a call stands in the text, not as a call, in {quantity(now, 'message')}{was}"
    if rule == _SCHEMA:
        return f"{words} does not fit its schema in {now}{of} calls{was}"
    return f"{show_name(name) if name else 'a call'} {words} in {now}{of} calls{was}"
