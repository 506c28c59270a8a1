"""A JSON Schema validator that always ends: what a schema finds in a JSON value, in plain words.

Drafts 4 to 2020-12, formats asserted; nothing is ever fetched. What could run without end (a pattern, a schema that
doubles, a huge answer) has a bound, and reaching it is a finding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from referencing import Registry

from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.schema.dialects import Draft, draft_at, draft_of, resolver_of
from tunegate.harness.checks.schema.ecma_regex import compiled
from tunegate.harness.checks.schema.formats import conforms
from tunegate.harness.checks.schema.json_reader import equality_key, json_path, show_json
from tunegate.harness.checks.schema.keyword_places import KeywordPlaces
from tunegate.harness.checks.schema.keywords import FROM_2020, KEYWORDS, REFERENCES, leave_room

# With these, no answer takes more than a second of processor time and 200 MB, the interpreter included: a model writes
# what it likes, and one answer must not end a run or hold it up (tests/integration/checks/test_hostile.py).
MAX_VALUES = 10_000  # values in one answer
MAX_STEPS = 50_000  # keywords evaluated and patterns tried for one answer
MAX_SEARCHED = 100_000  # characters of a text or key with a pattern: `regex` remembers a hundred bytes for each
TEXT_SECONDS = 0.5  # of processor time, as `regex` counts it, for all patterns and formats of one answer


class TooMuch(Exception):
    """A bound was reached; the message says which."""


class Budget:
    """The steps and seconds that are left for one answer, and what was already worked out about it.

    `draft` is the schema's; it stands here to be at hand in every subschema.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.steps = MAX_STEPS
        self.seconds = TEXT_SECONDS
        self._keys: dict[int, str] = {}  # by id: the answer outlives this
        self._choices: dict[int, frozenset[str]] = {}

    def step(self) -> None:
        """Take one of the steps."""
        self.steps -= 1
        if self.steps < 0:
            raise TooMuch(f"the schema takes more than {MAX_STEPS:,} steps")

    def search(self, pattern: str, text: str) -> bool:
        """Whether `pattern` is found in `text`; takes a step, and of the seconds."""
        self.step()
        if len(text) > MAX_SEARCHED:
            raise TooMuch(f"a text of more than {MAX_SEARCHED:,} characters has a pattern")
        return self._timed(
            f"the pattern {show_json(pattern)}", lambda: bool(compiled(pattern).search(text, timeout=self.seconds))
        )

    def conforms(self, name: str, value: Any) -> bool:
        """Whether a part of the answer has the format `name`; takes of the seconds."""
        return self._timed(f"the format {name}", lambda: conforms(name, value))

    def _timed(self, what: str, run: Callable[[], bool]) -> bool:
        # processor time, for on a busy machine the wall clock would make a finding of another program's work
        started = time.process_time()
        try:
            if self.seconds <= 0:
                raise TimeoutError
            return run()
        except TimeoutError:
            raise TooMuch(f"{what} takes longer than {TEXT_SECONDS:g} s") from None
        finally:
            self.seconds -= time.process_time() - started

    def equality_key(self, value: Any) -> str:
        """`equality_key` of a part of the answer; of a list or an object it is worked out once."""
        if not isinstance(value, dict | list):
            return equality_key(value)
        if id(value) not in self._keys:
            self._keys[id(value)] = equality_key(value)
        return self._keys[id(value)]

    def among(self, value: Any, choices: list[Any]) -> bool:
        """Whether a part of the answer equals one of the schema's `choices`."""
        if id(choices) not in self._choices:
            self._choices[id(choices)] = frozenset(map(equality_key, choices))
        return self.equality_key(value) in self._choices[id(choices)]


LIMIT = "schema.limit"  # the rule of a finding that says a bound was reached

KINDS = {
    "object": "an object", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number",
    "number": "a number", "null": "null",
}  # fmt: skip


def violations(schema: Mapping[str, Any], value: Any, places: KeywordPlaces | None = None) -> Iterator[Finding]:
    """What `schema` finds in `value`, with the `places` of its keywords; it never raises, and it ends."""
    try:
        if sum(1 for _ in islice(_values(value), MAX_VALUES + 1)) > MAX_VALUES:
            raise TooMuch(f"the answer has more than {MAX_VALUES:,} values")
        for error in _validator(schema).iter_errors(_brief(value)):
            source = places.of(error.schema, error.validator) if places else ""
            rule, where = f"schema.{error.validator or 'closed'}", json_path(error.absolute_path)
            yield Finding(rule, render_error(error), where, source)
    except TooMuch as error:
        yield _limit(str(error))
    except RecursionError:
        yield _limit("the schema or the answer goes too deep")


def _limit(reached: str) -> Finding:
    return Finding(LIMIT, f"{reached}; the answer cannot be checked")


def _values(value: Any) -> Iterator[bool]:
    yield True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _values(each)


def render_error(error: Any) -> str:
    """A `ValidationError` in plain words."""
    seen, wanted = show_json(error.instance), error.validator_value
    match error.validator:
        case None:
            return f"the schema allows nothing here, found {seen}"
        case "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            return f"should be {' or '.join(KINDS[kind] for kind in kinds)}, is {seen}"
        case "enum":
            return f"should be one of {', '.join(show_json(choice) for choice in islice(wanted, 20))}, is {seen}"
        case "required":
            return f"the key {error.message.removesuffix(' is a required property')} is missing"
        case "anyOf" | "oneOf" if error.context:
            closest = max(error.context, key=lambda inner: len(inner.path))
            place = json_path(closest.path)
            return f"fits none of the alternatives; closest: {place}{': ' if place else ''}{render_error(closest)}"
        case _:
            text = str(error.message).replace(repr(error.instance), seen)
            return text if len(text) <= 200 else text[:197] + "..."


def _validator(schema: Mapping[str, Any]) -> Any:
    """The draft's own keywords, counted; those that could run without end are bounded ones."""
    draft = draft_of(schema)
    _, resolver = resolver_of(schema, draft)  # as when the schema was loaded and walked
    return _bounded(draft)(schema, registry=Registry(), format_checker=Budget(draft), _resolver=resolver)


@cache
def _bounded(draft: Any) -> Any:
    """The draft's class with counted and bounded keywords: to make one takes longer than to check with it."""
    newest = FROM_2020 if draft is Draft202012Validator else {}
    ours = {**KEYWORDS, **newest}
    known = draft.VALIDATORS.keys() | {"dependencies"}
    keywords = {**draft.VALIDATORS, **{name: keyword for name, keyword in ours.items() if name in known}}
    bounded: Any = extend(draft, {name: _counted(name, keyword) for name, keyword in keywords.items()})  # type: ignore[no-untyped-call]  # its stub is
    bounded.evolve = _evolve
    return bounded


def _evolve(self: Any, *, schema: Any, _resolver: Any = None) -> Any:
    """The validator of a subschema: bounded too, whatever `$schema` stands there, and of the draft it belongs to."""
    # jsonschema's own gives a subschema with a `$schema` that draft's unbounded keywords
    return _bounded(draft_at(schema, self.format_checker.draft))(
        schema, format_checker=self.format_checker, _resolver=_resolver or self._resolver
    )


def _counted(name: str, keyword: Any) -> Callable[[Any, Any, Any, Any], Any]:
    """`keyword`, each evaluation of which takes a step."""
    refers = name in REFERENCES

    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        validator.format_checker.step()
        if refers:
            leave_room()
        return keyword(validator, value, instance, schema)

    return run


class _Brief:
    """Said in one word: jsonschema puts the whole of what it checks into each message, told or not."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<answer>"  # which `render_error` replaces


class _Text(_Brief, str):
    __slots__ = ()


class _List(_Brief, list[Any]):
    __slots__ = ()


class _Map(_Brief, dict[str, Any]):
    __slots__ = ()


def _brief(value: Any) -> Any:
    """`value`, its texts, lists and objects in brief."""
    if isinstance(value, dict):
        return _Map((_Text(key), _brief(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return _List(map(_brief, value))
    return _Text(value) if isinstance(value, str) else value
