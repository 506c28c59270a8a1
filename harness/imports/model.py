"""What every importer makes of a file: cases with their checks, and a tally of what was taken, left out and changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import mapping_at, text_of
from tunegate.harness.cases.conversation import ASSISTANT, USER, Turns
from tunegate.harness.checks.scored import PASS, UNKNOWN
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.escaping import shown

SYSTEM = "system"
MOST_CASES = 20_000  # a product of lists of variables grows beyond any memory
EXAMPLES = {"example_user": USER, "example_assistant": ASSISTANT}  # names of system messages in OpenAI's evals


class LeftOut(Exception):
    """A test or sample without a home here; `why` is counted in the report."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Tally:
    """What was taken, and what was left out or changed, each with its reason; all by kind, with their number."""

    taken: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def unused(self, named: str, keys: Iterable[Any], why: str = "not used") -> None:
        """Count keys that are left out; `named` says what they are, with `{}` in place of the key."""
        for key in sorted(keys, key=str):
            self.left[named.format(shown(text_of(key, 40))), why] += 1

    def lines(self) -> Iterator[str]:
        """A line for each of the three, and for each reason."""
        if self.taken:
            yield f"taken: {', '.join(f'{kind} {count:,}' for kind, count in self.taken.most_common())}"
        for title, counts in (("left out", self.left), ("changed", self.changed)):
            for (kind, why), count in counts.most_common():
                yield f"{title}: {kind} {count:,} ({why})"


@dataclass(frozen=True)
class JsonRule:
    """What the output must be as JSON: options of the schema suite, and the expected value."""

    schema: Mapping[str, Any] = field(default_factory=dict)
    extract: str = "strict"
    expect: Any = None


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt: an optional system message, earlier turns, and the user's text."""

    system: str | None
    earlier: Turns
    text: str


@dataclass(frozen=True)
class ImportedCase:
    """A test or sample with at least one check.

    `texts` are JSON Schemas of the output as a text, `equals` the text that it must be, `json` its rule as JSON.
    `name` is the wanted id, empty if there is none. `comments` are lines on what was left out of it. `outputs` are
    recorded ones, by model. `set_name` names the prompt if the file has several. `question` is that of its
    `RunnerCase`.
    """

    asked: AskedPrompt
    name: str = ""
    texts: tuple[Mapping[str, Any], ...] = ()
    equals: tuple[str, ...] = ()
    json: JsonRule | None = None
    context: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    set_name: str = ""
    question: str = ""


@dataclass(frozen=True)
class RunnerCase:
    """A test as its own tool scores it, found in results by the digest `question`; `group` by what was sent."""

    name: str
    input: str
    question: str
    comments: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class RunnerUnit:
    """The tests that a tool scores itself, in a version; `files` decide, too.

    `columns` are the providers or prompts of a result file, empty where the source is none.
    """

    runner: str
    cases: Sequence[RunnerCase]
    version: str = UNKNOWN
    files: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()
    metric: str = PASS


@dataclass(frozen=True)
class Imported:
    """What was read from one file or folder. `templates` are user messages around `{input}`, by prompt.

    `scored` are the tests with assertions that have no home here: with all of their assertions, their tool scores them.

    Raises:
        Refused: it has no cases, or more than `MOST_CASES`.
    """

    tool: str
    path: Path
    cases: Sequence[ImportedCase]
    tally: Tally
    templates: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scored: RunnerUnit | None = None

    def __post_init__(self) -> None:
        if not self.cases and not self.scored:
            raise Refused(f"{show_path(self.path)}: expected {self.tool} cases that can be checked here, {self._why()}")
        if max(len(self.cases), len(self.scored.cases) if self.scored else 0) > MOST_CASES:
            raise too_many(self.path)

    def _why(self) -> str:
        left = [shown(f"{kind} {count:,} ({why})") for (kind, why), count in self.tally.left.most_common(6)]
        return f"found none; left out: {', '.join(left)}" if left else "found none"


@dataclass(frozen=True)
class ForeignFile:
    """A file of another tool as plain data, with what the command line says of it.

    `data` are the values of a JSON or YAML file, or a list of its rows. `match` is how targets are compared if the file
    does not say it, `column` the name of the column with the prompt. Files that it names lie below
    `root`, by default its folder.
    """

    path: Path
    data: Any
    match: str | None = None
    column: str | None = None
    root: Path | None = None

    @property
    def kind(self) -> str:
        """The ending of its name, in lower case."""
        return self.path.suffix.lower()

    @property
    def rows(self) -> list[Any]:
        """Its rows; an object is one."""
        return self.data if isinstance(self.data, list) else [self.data]

    @property
    def first(self) -> Any:
        """Its first row; None without one."""
        return self.rows[0] if self.rows else None


@dataclass(frozen=True)
class Importer:
    """One form that another tool gives its files: whether a file has it, and the cases in it.

    `read` raises Refused for what is damaged, and `Imported` where no case has a home here.
    """

    recognises: Callable[[ForeignFile], bool]
    read: Callable[[ForeignFile], Imported]


def made_cases(
    rows: Iterable[Any], make: Callable[[Any], ImportedCase], tally: Tally, row_is: str, taken: str = ""
) -> list[ImportedCase]:
    """The cases that `make` makes of rows, counted as `taken`; rows that it leaves out are counted as `row_is`."""
    cases = []
    for row in rows:
        try:
            cases.append(make(row))
        except LeftOut as error:
            tally.left[row_is, error.why] += 1
    if cases and taken:
        tally.taken[taken] += len(cases)
    return cases


def objects_of(rows: Sequence[Any], tally: Tally) -> list[Mapping[str, Any]]:
    """The rows that are objects; the others are left out."""
    found = [row for row in rows if isinstance(row, Mapping)]
    if len(found) < len(rows):
        tally.left["row", "no object"] += len(rows) - len(found)
    return found


def too_many(path: Path) -> Refused:
    """The error of a file with more than `MOST_CASES` cases."""
    return Refused(f"{show_path(path)}: expected at most {MOST_CASES:,} cases, found more; divide the file")


def prompt_of(messages: Any, tally: Tally) -> AskedPrompt:
    """The prompt of chat messages, or of a text.

    Raises:
        LeftOut: there is a role, an order of turns or content without a home here.
    """
    if isinstance(messages, str):
        return _text_only(messages)
    if not isinstance(messages, list) or not messages:
        raise LeftOut("no text and no messages")
    turns = [_turn(each) for each in messages]
    systems = [text for role, text in turns if role == SYSTEM]
    while turns and turns[0][0] == SYSTEM:
        turns.pop(0)
    if not turns:  # common in samples of OpenAI's evals
        tally.changed["prompt", "only system messages: sent as the user's"] += 1
        return _text_only("\n\n".join(systems))
    if any(role == SYSTEM for role, _ in turns):
        raise LeftOut("a system message between turns")
    if turns[-1][0] != USER:
        raise LeftOut("messages that do not end with the user's")
    if len(systems) > 1:
        tally.changed["prompt", "several system messages: joined"] += 1
    if not all(text.strip() for _, text in turns):
        raise LeftOut("an empty message")
    return AskedPrompt("\n\n".join(systems) or None, tuple(turns[:-1]), turns[-1][1])


def _text_only(text: str) -> AskedPrompt:
    if not text.strip():
        raise LeftOut("an empty prompt")
    return AskedPrompt(None, (), text)


def _turn(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise LeftOut("messages that are no objects")
    if calls := sorted(key for key in ("tool_calls", "function_call", "tool_call_id") if message.get(key)):
        raise LeftOut(f"messages with {calls[0]}")
    role, name = message.get("role"), message.get("name")
    role = EXAMPLES.get(name, role) if isinstance(name, str) else role
    role = SYSTEM if role == "developer" else role
    if role not in (SYSTEM, USER, ASSISTANT):
        raise LeftOut("messages of another role than system, user, assistant")
    return role, _content(message.get("content"))


def _content(content: Any) -> str:
    """The text of a message; of parts, all must be texts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [each.get("text") if isinstance(each, dict) else None for each in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise LeftOut("messages with content other than text")
    return "\n".join(map(str, texts))


def case_name(said: Any) -> str:
    """The wanted id of a case, of few characters; empty if there is none."""
    return _tag_text(said)[:60] if isinstance(said, str | int) else ""


def plain_tags(metadata: Any) -> dict[str, str]:
    """The metadata that can be tags: short texts, numbers, true and false."""
    plain = {key: value for key, value in mapping_at(metadata).items() if isinstance(value, str | int | float)}
    found = {str(key): _tag_text(value) for key, value in plain.items()}
    fits = {key: text for key, text in found.items() if len(text) <= 60 >= len(key)}
    return {key: text for key, text in fits.items() if text.strip() and "\n" not in text}


def _tag_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
