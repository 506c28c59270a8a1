"""Name what a server did to calls of tools: its template, its parser and its stream stand between model and message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunegate.harness.cases.model import Case
from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.outputs.json_text import equality_key, read_json_text, show_json
from tunegate.harness.checks.outputs.message import Message, ToolCall, read_output, show_name
from tunegate.harness.checks.tools.check import ToolsCheck
from tunegate.harness.checks.tools.in_text import calls_in_text
from tunegate.harness.core.escaping import shown

MOST = 0.5  # of the messages that could show a cause


@dataclass(frozen=True)
class CallPair:
    """The evaluated and the served message of one request, the names of its tools, and whether calls have an order."""

    evaluated: Message
    served: Message
    tools: frozenset[str]
    in_order: bool = False

    @classmethod
    def of(cls, case: Case, evaluated: str, served: str) -> CallPair:
        """Read both outputs of a case that offers tools."""
        in_order = isinstance(case.check, ToolsCheck) and case.check.is_in_order(case.expect)
        return cls(read_output(evaluated), read_output(served), frozenset(each.name for each in case.tools), in_order)

    @property
    def is_same(self) -> bool:
        """Whether they are the same message."""
        return self.evaluated.key(self.in_order) == self.served.key(self.in_order)


def call_findings(pairs: Mapping[str, CallPair]) -> Iterator[Finding]:
    """Yield each cause by which most of the messages that could show it differ; `pairs` are by case."""
    differing = {key: pair for key, pair in pairs.items() if not pair.is_same}
    causes = {key: found for key, pair in differing.items() if (found := _cause(pair))}
    for rule, cause in CAUSES.items():
        could = [key for key, pair in pairs.items() if cause.could(pair)]
        said = {key: what for key, (of, what) in causes.items() if of == rule}
        if len(said) > MOST * len(could):
            first = next(iter(said))
            message = (
                f"{cause.says}: in {len(said)} of {len(could)} messages {cause.of} (first: {first}: {said[first]})"
            )
            yield Finding(rule, shown(message))


def _cause(pair: CallPair) -> tuple[str, str] | None:
    """The cause of one difference, and what it is; None if it is one of the model's."""
    return next(((rule, what) for rule, each in CAUSES.items() if each.could(pair) and (what := each.seen(pair))), None)


def _in_text(pair: CallPair) -> str:
    if len(pair.served.calls) >= len(pair.evaluated.calls):
        return ""
    found = next(calls_in_text(pair.served.content, pair.tools, bool(pair.served.calls)), None)
    return found.message if found else ""


def _unreadable(pair: CallPair) -> str:
    """Arguments that are one JSON object as evaluated, and none as served: cut, in pieces, or encoded twice."""
    names = [call.name for call in pair.evaluated.calls]
    flaws = [flaw.message for call in pair.served.calls for flaw in call.flaws]
    same = names == [call.name for call in pair.served.calls]
    return flaws[0] if same and flaws else ""


def _retyped(pair: CallPair) -> str:
    """Arguments with the same texts and other types: `3` is `"3"`."""
    calls = _side_by_side(pair)
    if any(_untyped(old.arguments) != _untyped(new.arguments) for old, new in calls):
        return ""
    for old, new in calls:
        for key, value in (old.arguments or {}).items():
            found = (new.arguments or {})[key]
            if equality_key(value) != equality_key(found):
                return f"{show_name(key)} is {show_json(found)}, evaluated {show_json(value)}"
    return ""


def _side_by_side(pair: CallPair) -> Sequence[tuple[ToolCall, ToolCall]]:
    """The calls in their order, if both have the same tools; otherwise none."""
    old, new = ([*calls] for calls in (pair.evaluated.calls, pair.served.calls))
    same = [call.name for call in old] == [call.name for call in new] and all(
        call.arguments is not None for call in new
    )
    return list(zip(old, new, strict=True)) if same else []


def _untyped(value: Any) -> str:
    """A value as a text that is equal for the same value of another type; a text of JSON is that JSON."""
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{key}:{_untyped(each)}" for key, each in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_untyped, value)) + "]"
    if isinstance(value, str):
        read = read_json_text(value)
        folded = value.strip().casefold()
        if not read.findings and not isinstance(read.value, str):
            return _untyped(read.value)
        return {"none": "null", "true": "true", "false": "false"}.get(folded, value)
    return equality_key(value)


def _kept(pair: CallPair) -> bool:
    """Whether served calls are some of the evaluated ones."""
    return not _keys(pair.served) - _keys(pair.evaluated)


def _keys(message: Message) -> Counter[str]:
    return Counter(call.key for call in message.calls)


def _only_first(pair: CallPair) -> str:
    old, new = pair.evaluated.calls, pair.served.calls
    alone = len(new) == 1 and new[0].key == old[0].key
    return f"of {len(old)} calls only the first comes, {show_name(new[0].name)}" if alone else ""


def _dropped(pair: CallPair) -> str:
    gone = _keys(pair.evaluated) - _keys(pair.served)
    lost = [call.name for call in pair.evaluated.calls if call.key in gone]
    return f"a call of {show_name(lost[0])} does not come" if lost and _kept(pair) else ""


def _without_content(pair: CallPair) -> str:
    lost = _keys(pair.served) == _keys(pair.evaluated) and not pair.served.content.strip()
    return f"{show_json(pair.evaluated.content)} does not come" if lost else ""


def _with_content(pair: CallPair) -> str:
    more = _keys(pair.served) == _keys(pair.evaluated) and not pair.evaluated.content.strip()
    return f"{show_json(pair.served.content)} stands beside the calls" if more and pair.served.content.strip() else ""


def _reordered(pair: CallPair) -> str:
    same = _keys(pair.served) == _keys(pair.evaluated) and pair.evaluated.calls != pair.served.calls
    return f"{show_name(pair.served.calls[0].name)} comes first" if same and pair.in_order else ""


def _calls(pair: CallPair) -> bool:
    return bool(pair.evaluated.calls)


def _several(pair: CallPair) -> bool:
    return len(pair.evaluated.calls) > 1


def _typed(pair: CallPair) -> bool:
    """Whether an argument has another type than text, or is a text that could be taken for another."""
    values = [value for call in pair.evaluated.calls for value in (call.arguments or {}).values()]
    return any(not isinstance(value, str) or not read_json_text(value).findings for value in values)


def _speaks(pair: CallPair) -> bool:
    return _calls(pair) and bool(pair.evaluated.content.strip())


@dataclass(frozen=True)
class Cause:
    """One cause: which messages could show it, what one that does is, and how it is said."""

    could: Callable[[CallPair], bool]
    seen: Callable[[CallPair], str]
    says: str
    of: str


#: By rule, in the order in which a difference is looked at.
CAUSES: Mapping[str, Cause] = {
    "calls-in-text": Cause(_calls, _in_text, "calls stand in the text: no parser, or another one", "with calls"),
    "parallel-calls-off": Cause(_several, _only_first, "only the first call comes", "with several calls"),
    "arguments-unreadable": Cause(_calls, _unreadable, "arguments are no JSON object any more", "with calls"),
    "arguments-retyped": Cause(_typed, _retyped, "the server changes types of arguments", "with such arguments"),
    "calls-dropped": Cause(_calls, _dropped, "calls do not come, as where a stream loses them", "with calls"),
    "content-dropped": Cause(_speaks, _without_content, "the text beside calls does not come", "with text and calls"),
    "content-added": Cause(_calls, _with_content, "a text comes beside calls", "with calls"),
    "calls-reordered": Cause(_several, _reordered, "calls come in another order", "with several calls"),
}
