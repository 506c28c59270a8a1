"""Make cases of the suite `tools` from a log of chat messages: the last output of each row, where it makes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.scaffold.ambiguous import folded
from tunegate.harness.begin.scaffold.drafts import Columns, Draft, Drafts, named_drafts
from tunegate.harness.begin.scaffold.logged_row import MESSAGES, TOOLS, LoggedRow, NoCase, RowReader
from tunegate.harness.begin.scaffold.suites import KeyLabel, SuiteDraft, room_of
from tunegate.harness.begin.scaffold.table import TYPED, Table, TableRow, is_typed, read_typed_rows
from tunegate.harness.cases.conversation import SYSTEM, USER, joined, read_input
from tunegate.harness.cases.template import has_placeholder
from tunegate.harness.checks.outputs.message import Message, ToolCall
from tunegate.harness.checks.schema.schema_fields import ROOT, field_name
from tunegate.harness.checks.tools.definitions import ToolSet, read_tools
from tunegate.harness.checks.tools.expected import NONE
from tunegate.harness.checks.tools.matching import TOOL, field_below
from tunegate.harness.core.authoring.columnar import HUB
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.utf8 import read_utf8
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed, quantity
from tunegate.harness.rows.privacy.detectors import private_kinds

SHOWN, MOST_LINES = 3, 30  # rows that a note names with what was found in them, and lines
NOTE = "the log's outputs are taken for right: read the cases, and correct those that are not"
TEXTS = "not scored: texts of the assistant; write expect.text where one counts"


@dataclass(frozen=True)
class ToolLog:
    """The usable rows of a log as drafts of cases, and the suite that scores them.

    `system` is the message that all have in common; empty if there is none, or if each row has its own in its input.
    """

    drafts: Drafts
    suite: SuiteDraft
    system: str
    notes: tuple[str, ...]


def read_tool_log(
    source: str, tools: Path, names: str | None = None, system: str | None = None, keeps_private: bool = False
) -> ToolLog:  # fmt: skip
    """Read a log of chat messages, a row each, and the file of the tools that they call.

    Args:
        source: a file that ends in .jsonl, .json or .parquet, or `hub:NAME@REVISION#SPLIT`.
        tools: the file of tools, in OpenAI's form or as an MCP server lists them.
        names: the key of each row that names its case.
        system: the system message of all cases, in place of those in the log.
        keeps_private: whether rows with secrets or personal data become cases.

    Raises:
        UsageError: another kind of file, or no row has the key `names`.
        AuthoringError: the tools cannot be used, a line is no JSON, or no row makes a case.
        Refused: the file of tools holds secrets or personal data.
    """
    if not is_typed(source):
        known = ", ".join(TYPED)
        raise UsageError(f"--from {source}: expected a log of chat messages, {known} or {HUB}NAME@REVISION")
    offered, text = _read_tools(tools, keeps_private)
    table = _table(source)
    if names:
        table.check_columns("--id", [names])
    rows, left = _read_rows(table, offered)
    common, rows = _settle_system(rows, system)
    free = _free_text(rows.values(), offered)
    kept, more = _each_once(rows, free)
    left += more
    if not keeps_private:
        kept, more = _without_private(kept)
        left += more
    if not kept:
        raise AuthoringError(
            [Problem(table.path, each.line, "", "a row that makes a case", each.said) for each in left]
        )
    drafts = _drafts(table, kept, names)
    file = "tools.json" if tools.suffix == ".json" else "tools.yaml"  # in the form in which it is read
    return ToolLog(drafts, _suite(kept, offered, {file: text}, free), common, (
        *_inferred(kept, free, bool(system)), *_left_out(table.name, left)
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _LeftOut:
    line: int
    kind: str
    found: str

    @property
    def said(self) -> str:
        return f"one {self.kind}: {self.found}"


def _read_tools(path: Path, keeps_private: bool) -> tuple[ToolSet, str]:
    """The tools of a file, and its text."""
    text = read_utf8(path, "a file of tools")
    tools = read_tools(path.name, Document(path.parent / "tools", {}, {}), ())
    if not keeps_private and (kinds := private_kinds(text)):
        raise Refused(
            f"{show_path(path)}: expected no secrets or personal data, found {listed(kinds)}; replace them, or keep "
            "them with --allow-personal REASON"
        )
    return tools, text


def _table(source: str) -> Table:
    """The rows of a log. A table of Arrow's fills in nulls where a row has no such key: there they are none."""
    rows, path = read_typed_rows(source), Path(source)
    if not rows:
        raise AuthoringError([Problem(path, 1, "", "rows", "none")])
    columns = dict.fromkeys(key for _, row in rows for key in row)
    is_json = path.suffix.lower() in (".jsonl", ".json") and not source.startswith(HUB)
    clean = tuple(TableRow(line, row if is_json else _without_nulls(row)) for line, row in rows)
    return Table(path, tuple(columns), clean, typed=True)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [*map(_without_nulls, value)] if isinstance(value, list) else value


def _read_rows(table: Table, tools: ToolSet) -> tuple[dict[int, LoggedRow], list[_LeftOut]]:
    """The rows that can be read, by line, and the others."""
    reader = RowReader(table.path, tools)
    rows, left = dict[int, LoggedRow](), list[_LeftOut]()
    for each in table.rows:
        try:
            rows[each.line] = reader.read(each.line, each.cells)
        except NoCase as error:
            found = "(not shown: secrets or personal data)" if private_kinds(error.found) else error.found
            left.append(_LeftOut(each.line, error.kind, found))
    return rows, left


def _settle_system(rows: Mapping[int, LoggedRow], given: str | None) -> tuple[str, dict[int, LoggedRow]]:
    """The system message of the prompt, and the rows; where there are several, each stands in its input."""
    found = {row.system for row in rows.values()}
    if given or (len(found) == 1 and not any(map(has_placeholder, found))):
        return given or found.pop(), {line: replace(row, system="") for line, row in rows.items()}
    return "", {line: _with_system(row) for line, row in rows.items()}


def _with_system(row: LoggedRow) -> LoggedRow:
    turns = [{USER: row.input}] if isinstance(row.input, str) else row.input
    return replace(row, input=[{SYSTEM: row.system}, *turns]) if row.system else row


def _free_text(rows: Collection[LoggedRow], tools: ToolSet) -> frozenset[str]:
    """The arguments that the model words itself: most of their values have several words that the input lacks."""
    total, own = Counter[str](), Counter[str]()
    open_to = {tool.name: _open_texts(tool.parameters) for tool in tools.every}
    for row in rows:
        asked = folded(joined(*read_input(row.input)))
        for call in row.output.calls:
            for key, value in (call.arguments or {}).items():
                if key in open_to[call.name] and isinstance(value, str):
                    total[field := _field(call.name, key)] += 1
                    own[field] += len(value.split()) > 1 and folded(value) not in asked
    return frozenset(field for field, count in total.items() if 2 * own[field] > count)


def _open_texts(parameters: Mapping[str, Any]) -> set[str]:
    """The arguments that may be any text."""
    properties = parameters.get("properties", {})
    closed = {"enum", "const", "format", "pattern", "$ref"}
    return {key for key, each in properties.items() if isinstance(each, Mapping) and not closed & each.keys()}


def _field(tool: str, argument: str) -> str:
    return field_below(tool, field_name(ROOT, argument))


def _each_once(rows: Mapping[int, LoggedRow], free: Collection[str]) -> tuple[dict[int, LoggedRow], list[_LeftOut]]:
    """The first row of each input, and the others: repeated, or with another output to it."""
    by_input: dict[str, list[int]] = {}
    for line, row in rows.items():
        by_input.setdefault(row.key, []).append(line)
    kept, left = dict[int, LoggedRow](), list[_LeftOut]()
    for first, *others in by_input.values():
        outputs = {line: _scored(rows[line].output, free) for line in (first, *others)}
        if len(set(outputs.values())) > 1:
            kind = "with contradictory outputs to the same input: decide which is right"
            left += [_LeftOut(line, kind, _brief(rows[line].output)) for line in outputs]
        else:
            kept[first] = rows[first]
            left += [_LeftOut(line, "repeated", f"as in line {first}") for line in others]
    return kept, left


def _brief(output: Message) -> str:
    said = " and ".join(map(str, output.calls)) or "no call"
    return "another output" if private_kinds(said) else shown(said if len(said) <= 100 else f"{said[:97]}...")


def _scored(output: Message, free: Collection[str]) -> str:
    """A text that is equal for outputs that score the same."""

    def only_scored(call: ToolCall) -> ToolCall:
        given = call.arguments or {}
        return replace(call, arguments={key: each for key, each in given.items() if _field(call.name, key) not in free})

    return Message("", tuple(map(only_scored, output.calls))).key()


def _without_private(rows: Mapping[int, LoggedRow]) -> tuple[dict[int, LoggedRow], list[_LeftOut]]:
    """The rows without secrets or personal data, and the others with their kinds."""
    kinds = {
        line: private_kinds("\n".join([row.system, joined(*read_input(row.input)), row.output.write()]))
        for line, row in rows.items()
    }
    kind = "with secrets or personal data: replace them in a copy of the log, or --allow-personal REASON"
    left = [_LeftOut(line, kind, listed(found)) for line, found in kinds.items() if found]
    return {line: row for line, row in rows.items() if not kinds[line]}, left


def _drafts(table: Table, rows: Mapping[int, LoggedRow], names: str | None) -> Drafts:
    cells = {each.line: each.cells for each in table.rows}
    columns = Columns(MESSAGES, (), names)
    found = [
        TableRow(line, {**({names: cells[line].get(names, "")} if names else {}), MESSAGES: rows[line].input})
        for line in sorted(rows)
    ]
    return Drafts(table, columns, tuple(named_drafts(table, columns, found)), ())


def _suite(
    rows: Mapping[int, LoggedRow], tools: ToolSet, references: Mapping[str, str], free: Collection[str]
) -> SuiteDraft:  # fmt: skip
    [file], every = references, tools.names
    fields = {name: {"ignore": True} for name in sorted(free)}

    def labels(each: Draft) -> tuple[KeyLabel, ...]:
        names = [call.name for call in rows[each.line].output.calls]
        return tuple(dict.fromkeys(KeyLabel(TOOL, name) for name in names or [NONE]))

    return SuiteDraft(
        check={"fields": fields} if fields else {},
        system="",
        expect=lambda each: rows[each.line].expect,
        output=lambda each: rows[each.line].output.write(),
        references=references,
        model_output=False,
        labels=labels,
        own_keys=lambda each: {} if (own := rows[each.line].tools) == every else {TOOLS: [*own]},
        keys={TOOLS: f"refs/{file}"},
        room=room_of(row.output.write() for row in rows.values()),
    )


def _inferred(rows: Mapping[int, LoggedRow], free: Collection[str], has_system: bool) -> Iterator[str]:
    """What was taken for granted."""
    yield NOTE
    yield TEXTS
    if free:
        yield f"free text, not scored: {', '.join(sorted(free))}; delete it from check.fields where it is to be exact"
    if any(isinstance(row.input, list) and SYSTEM in row.input[0] for row in rows.values()) and not has_system:
        yield "system: not the same in all rows, each stands in its case's input; --system TEXT gives one for all"
    if some := [line for line, row in rows.items() if row.changed]:
        what = f"{quantity(len(some), 'row')} offered a tool with other parameters; the calls fit those of the file"
        yield f"{what} (line {_lines(some)})"


def _left_out(log: str, left: Sequence[_LeftOut]) -> Iterator[str]:
    """A note for each kind of rows that were left out, with their places."""
    by_kind: dict[str, list[_LeftOut]] = {}
    for each in sorted(left, key=lambda each: each.line):
        by_kind.setdefault(each.kind, []).append(each)
    for kind, found in by_kind.items():
        first = "; ".join(f"{log}:{each.line}: {each.found}" for each in found[:SHOWN])
        rest = f"; lines {_lines([each.line for each in found[SHOWN:]])}" if found[SHOWN:] else ""
        yield f"left out: {quantity(len(found), 'row')} {kind} ({first}{rest})"


def _lines(lines: Sequence[int]) -> str:
    more = f" and {len(lines) - MOST_LINES:,} more" if len(lines) > MOST_LINES else ""
    return ", ".join(map(str, lines[:MOST_LINES])) + more
