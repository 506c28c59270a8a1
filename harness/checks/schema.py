"""The answer is JSON that satisfies a JSON Schema and matches what the case expects.

Drafts 4 to 2020-12, formats asserted, references inside the schema's own file only: nothing is ever fetched. What
could run without end (a pattern, a schema that doubles, a huge answer) has a bound, and reaching it is a finding.
In patterns `$` is the end of the text, as in JSON Schema, and not also the place before a last line break.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import regex
from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FormatChecker,
    ValidationError,
)
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from harness.checks.jsontext import MAX_FINDINGS, Extract, json_path, read_json, show
from harness.checks.outcome import CheckKind, Finding, Outcome
from harness.errors import AuthoringError, Problem, show_path
from harness.files import digest
from harness.yamlfile import Document, Where, check_shape, read_yaml

MAX_STEPS = 100_000  # keywords evaluated for one answer
MAX_VALUES = 10_000  # values in one answer: some keywords compare them pairwise
MAX_FORMATTED = 2_000  # characters of a text with a format
TEXT_SECONDS = 1.0  # for all patterns and formats of one answer together

DRAFTS: dict[str, type[Validator]] = {
    "http://json-schema.org/draft-04/schema": Draft4Validator,
    "http://json-schema.org/draft-06/schema": Draft6Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema"],
    "properties": {
        "schema": {"type": ["string", "object"], "description": "the path of a JSON Schema, or the schema itself"},
        "extract": {"enum": ["strict", "fenced"]},
    },
}
EXPECT = {"description": "a part of the answer that must match; any JSON value"}
KINDS = {
    "object": "an object", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number",
    "number": "a number", "null": "null",
}  # fmt: skip


class _TooMuchError(Exception):
    """A bound was reached while an answer was checked."""


@dataclass(frozen=True)
class SchemaCheck:
    """Judges adherence (JSON that satisfies the schema) and, where a case has an `expect`, exact."""

    schema: Mapping[str, Any]
    extract: Extract = "strict"

    @property
    def references(self) -> str:
        """Digest of the schema and of how JSON is taken from the answer."""
        return digest([self.schema, self.extract])

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Judge one output: it passes when it adheres and, if something is expected, matches it."""
        text = read_json(output, self.extract)
        flaws = text.findings or tuple(islice(violations(self.schema, text.value), MAX_FINDINGS))
        if expect is None:
            return Outcome(float(not flaws), flaws, {"adherence": not flaws})
        misses = () if text.findings else tuple(islice(differences(expect, text.value), MAX_FINDINGS))
        exact = not flaws and not misses
        return Outcome(float(exact), (flaws + misses)[:MAX_FINDINGS], {"adherence": not flaws, "exact": exact})

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Keys that no JSON answer can have, such as a bare `1:` or `true:`."""
        return list(_bare_keys(document, where, expect))


def differences(expect: Any, answer: Any, where: Where = ()) -> Iterator[Finding]:
    """Where `answer` does not match `expect`.

    Mappings match when every expected key matches; lists when they are equally long and match item by item; other
    values when they are equal as JSON (1 equals 1.0, true is not 1).
    """
    if isinstance(expect, dict) and isinstance(answer, dict):
        for key, wanted in expect.items():
            if key in answer:
                yield from differences(wanted, answer[key], (*where, key))
            else:
                yield Finding("expect", f"expected {show(wanted)}, but the key is missing", json_path((*where, key)))
    elif isinstance(expect, list) and isinstance(answer, list) and len(expect) == len(answer):
        for index, wanted in enumerate(expect):
            yield from differences(wanted, answer[index], (*where, index))
    elif isinstance(expect, list) and isinstance(answer, list):
        yield Finding("expect", f"expected a list of {len(expect)}, found one of {len(answer)}", json_path(where))
    elif _identity(expect) != _identity(answer):
        yield Finding("expect", f"expected {show(expect)}, found {show(answer)}", json_path(where))


def _identity(value: Any) -> Any:
    """A hashable that is equal exactly for JSON values that are equal."""
    if isinstance(value, dict):
        return frozenset((key, _identity(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(_identity(inner) for inner in value)
    return (isinstance(value, bool), value)


def violations(schema: Mapping[str, Any], value: Any) -> Iterator[Finding]:
    """What `schema` finds in `value`; it never raises, and it ends."""
    limit = "the schema or the answer goes too deep"
    try:
        if next(islice(_values(value), MAX_VALUES, None), None) is not None:
            raise _TooMuchError(f"the answer has more than {MAX_VALUES:,} values")
        for error in _validator(schema).iter_errors(value):
            yield Finding(f"schema.{error.validator or 'closed'}", _say(error), json_path(error.absolute_path))
        return
    except _TooMuchError as error:
        limit = str(error)
    except ArithmeticError:
        limit = "a number is too large to compare"
    except RecursionError:
        pass
    yield Finding("schema.limit", f"{limit}; the answer cannot be checked")


def _values(value: Any) -> Iterator[bool]:
    yield True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _values(each)


def _say(error: Any) -> str:
    """A `ValidationError` in plain words."""
    seen, wanted = show(error.instance), error.validator_value
    match error.validator:
        case None:
            return f"the schema allows nothing here, found {seen}"
        case "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            return f"should be {' or '.join(KINDS[kind] for kind in kinds)}, is {seen}"
        case "enum":
            return f"should be one of {', '.join(show(choice) for choice in islice(wanted, 20))}, is {seen}"
        case "required":
            return f"the key {error.message.removesuffix(' is a required property')} is missing"
        case "anyOf" | "oneOf" if error.context:
            closest = max(error.context, key=lambda inner: len(inner.path))
            place = json_path(closest.path)
            return f"fits none of the alternatives; closest: {place}{': ' if place else ''}{_say(closest)}"
        case "oneOf":
            return f"fits more than one of the alternatives, of which only one may fit: {seen}"
        case _:
            text = str(error.message).replace(repr(error.instance), seen)
            return text if len(text) <= 200 else text[:197] + "..."


# The validator: a draft's own keywords, counted; those that match patterns or compare pairs are bounded ones.


def _validator(schema: Mapping[str, Any]) -> Any:
    draft = _draft(schema)
    budget = _Budget()
    keywords = {**draft.VALIDATORS, **budget.keywords()}
    bounded: Any = extend(draft, {name: budget.counted(keyword) for name, keyword in keywords.items()})  # type: ignore[no-untyped-call]  # its stub is
    bare = {key: value for key, value in schema.items() if key != "$schema"}  # a $schema would bring back the draft
    return bounded(bare, registry=Registry(), format_checker=draft.FORMAT_CHECKER)


def _draft(schema: Mapping[str, Any]) -> Any:
    return DRAFTS[schema.get("$schema", DEFAULT_DRAFT).removesuffix("#")]


class _Budget:
    """What checking one answer may cost."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.seconds = TEXT_SECONDS

    def counted(self, keyword: Any) -> Callable[[Any, Any, Any, Any], Any]:
        """`keyword`, each evaluation of which takes a step."""

        def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            self.steps -= 1
            if self.steps < 0:
                raise _TooMuchError(f"the schema takes more than {MAX_STEPS:,} steps")
            return keyword(validator, value, instance, schema)

        return run

    def search(self, pattern: str, text: str) -> bool:
        """Whether `pattern` is found in `text`."""
        with self._timed(f"the pattern {show(pattern)}"):
            return bool(_pattern(pattern).search(text, timeout=self.seconds))

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            if self.seconds <= 0:
                raise TimeoutError
            yield
        except TimeoutError:
            raise _TooMuchError(f"{what} takes longer than {TEXT_SECONDS:g} s") from None
        finally:
            self.seconds -= time.perf_counter() - started

    def keywords(self) -> dict[str, Any]:
        """The keywords that jsonschema would run without a bound."""
        return {
            "pattern": self._one_pattern,
            "patternProperties": self._key_patterns,
            "additionalProperties": self._additional,
            "uniqueItems": _unique,
            "format": self._format,
        }

    def _one_pattern(self, _validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
        if isinstance(value, str) and not self.search(pattern, value):
            yield ValidationError(f"{show(value)} does not match the pattern {show(pattern)}")

    def _key_patterns(self, validator: Any, patterns: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
        for pattern, inner in patterns.items() if isinstance(value, dict) else ():
            for key in value:
                if self.search(pattern, key):
                    yield from validator.descend(value[key], inner, path=key, schema_path=pattern)

    def _additional(self, validator: Any, inner: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for key in value if isinstance(value, dict) else ():
            if key in known or any(self.search(pattern, key) for pattern in patterns):
                continue
            if inner is False:
                yield ValidationError("this key is not allowed", path=[key])
            else:
                yield from validator.descend(value[key], inner, path=key)

    def _format(self, validator: Any, name: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
        if not isinstance(value, str):
            return
        with self._timed(f"the format {name}"):
            good = _conforms(validator.format_checker, name, value)
        if not good:
            yield ValidationError(f"{show(value)} is not a valid {name}")


def _unique(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len({_identity(item) for item in value}) < len(value):
        yield ValidationError("the same item stands in the list more than once")


def _conforms(checker: FormatChecker, name: str, text: str) -> bool:
    if name == "regex":
        return _is_pattern(text)
    if name in {"email", "idn-email"}:  # jsonschema asks for no more than an @
        return len(text) <= MAX_FORMATTED and bool(_ADDRESS.fullmatch(text))
    try:
        return len(text) <= MAX_FORMATTED and checker.conforms(text, name)
    except (ValueError, LookupError, TypeError, ArithmeticError):  # some checkers raise more than they declare
        return False


_ADDRESS = regex.compile(r'(?:"[^"]*"|[^@\s"]+)@[^@\s]+')


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    """The compiled pattern, in which `$` is the end of the text."""
    parts = regex.sub(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", lambda found: found[1] or r"\Z", text, flags=regex.DOTALL)
    return regex.compile(parts)


def _is_pattern(text: str) -> bool:
    try:
        return len(text) <= MAX_FORMATTED and bool(_pattern(text))
    except (regex.error, RecursionError, OverflowError, ValueError):
        return False


# Loading: everything that is wrong with a schema, before any model is.


def load(options: Mapping[str, Any], document: Document, where: Where) -> SchemaCheck:
    """Read the schema of a `check:` mapping.

    Raises:
        AuthoringError: no such file, not JSON or YAML, not a valid schema of a known draft, a reference that leaves
            the file or leads nowhere, a format that cannot be checked here.
    """
    place = (*where, "schema")
    schema = options["schema"]
    if isinstance(schema, str):
        document, place = _read_schema(document.path.parent / schema, document, place), ()
        schema = document.data
    problems = _mistakes(schema, document, place)
    if problems:
        raise AuthoringError(problems)
    return SchemaCheck(schema, options.get("extract", "strict"))


def _read_schema(path: Path, document: Document, where: Where) -> Document:
    if not path.is_file():
        raise AuthoringError([document.problem(where, "the path of a schema file", f"no file {show_path(path)}")])
    if path.suffix != ".json":
        return read_yaml(path)
    try:
        located = read_yaml(path)  # for its lines; YAML reads nearly all JSON, but not tabs
    except AuthoringError:
        located = Document(path, None, {})
    try:
        text = read_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise AuthoringError([located.problem((), "UTF-8 text", str(error))]) from error
    if text.findings:
        name = show_path(path)
        raise AuthoringError([Problem(name, text.line, flaw.path, "JSON", flaw.message) for flaw in text.findings])
    return Document(path, text.value, located.lines)


def _mistakes(schema: Any, document: Document, where: Where) -> list[Problem]:
    if not isinstance(schema, dict):
        return [document.problem(where, "a JSON Schema (a mapping)", show(schema))]
    problems = [*_bare_keys(document, where, schema), *check_shape(document, {}, where, schema)]
    declared = schema.get("$schema", DEFAULT_DRAFT)
    if not isinstance(declared, str) or declared.removesuffix("#") not in DRAFTS:
        expected = f"one of {', '.join(DRAFTS)}"
        problems.append(document.problem((*where, "$schema"), expected, show(declared)))
    if problems:
        return problems
    try:
        problems = list(_invalid(schema, document, where, schema)) or [*_Walk(schema, document, where).problems()]
    except RecursionError:
        return [document.problem(where, "a schema of a few levels", "nesting without end")]
    return problems or list(_endless(schema, document, where))


def _endless(schema: Mapping[str, Any], document: Document, where: Where) -> Iterator[Problem]:
    """A schema that cannot even judge the simplest answers, because it refers to itself or doubles."""
    simplest: list[Any] = [None, {}, [], "", 0]
    for finding in chain.from_iterable(violations(schema, value) for value in simplest):
        if finding.rule == "schema.limit":
            yield document.problem(where, "a schema that comes to an end", finding.message)


def _bare_keys(document: Document, where: Where, data: Any) -> Iterator[Problem]:
    for place, mapping in _mappings(data, where):
        for key in mapping:
            if not isinstance(key, str):
                yield document.problem((*place, str(key)), "a key that is text", str(key), "put it in quotes")


def _mappings(data: Any, where: Where) -> Iterator[tuple[Where, dict[Any, Any]]]:
    if isinstance(data, dict):
        yield where, data
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield from _mappings(value, (*where, key))


def _invalid(schema: Any, document: Document, where: Where, root: Mapping[str, Any]) -> Iterator[Problem]:
    """What the draft's own schema says against `schema`."""
    draft = _draft(root)
    for error in draft(draft.META_SCHEMA, registry=Registry()).iter_errors(schema):
        place = (*where, *error.absolute_path)
        yield document.problem(place, f"a valid JSON Schema ({_name(root)})", _say(error))


def _name(schema: Mapping[str, Any]) -> str:
    return f"draft {str(schema.get('$schema', DEFAULT_DRAFT)).split('/')[-2].removeprefix('draft-').lstrip('0')}"


class _Walk:
    """A valid schema's subschemas, one by one: references, patterns, formats."""

    def __init__(self, schema: dict[str, Any], document: Document, where: Where) -> None:
        self.schema, self.document = schema, document
        self.places = {id(mapping): place for place, mapping in _mappings(schema, where)}
        self.make = specification_with(schema.get("$schema", DEFAULT_DRAFT)).create_resource

    def problems(self) -> Iterator[Problem]:
        """Everything wrong, in no particular order."""
        root: Resource[Any] = self.make(self.schema)
        todo = [(root, Registry().resolver_with_root(root))]
        seen: set[int] = set()
        while todo:
            resource, resolver = todo.pop()
            schema = resource.contents
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            yield from self._one(schema)
            for keyword in {"$ref", "$dynamicRef", "$recursiveRef"} & schema.keys():
                try:
                    found = resolver.lookup(schema[keyword])
                except (Unresolvable, LookupError, ValueError, TypeError, AttributeError):
                    yield self._lost(schema, keyword)
                    continue
                target = self.places.get(id(found.contents), self.places[id(schema)])
                yield from _invalid(found.contents, self.document, target, self.schema)
                todo.append((self.make(found.contents), found.resolver))
            # referencing overlooks the schemas in `dependencies` when the first of them is a list of keys
            mixed = [self.make(inner) for inner in schema.get("dependencies", {}).values() if isinstance(inner, dict)]
            todo += [(inner, resolver.in_subresource(inner)) for inner in chain(resource.subresources(), mixed)]

    def _one(self, schema: dict[str, Any]) -> Iterator[Problem]:
        if "$schema" in schema and schema is not self.schema:
            yield self._problem(schema, "$schema", "$schema at the top only", show(schema["$schema"]), "delete it")
        patterns = [("patternProperties", key) for key in schema.get("patternProperties", {})]
        patterns += [("pattern", schema["pattern"])] if "pattern" in schema else []
        for keyword, pattern in patterns:
            if not _is_pattern(pattern):
                yield self._problem(schema, keyword, "a regular expression", show(pattern))
        known = _draft(self.schema).FORMAT_CHECKER.checkers
        if "format" in schema and schema["format"] not in known:
            hint = 'delete it, use a pattern, or pip install "jsonschema[format-nongpl]" for the rarer standard formats'
            expected = f"a format that can be checked here ({', '.join(sorted(known))})"
            yield self._problem(schema, "format", expected, show(schema["format"]), hint)

    def _lost(self, schema: dict[str, Any], keyword: str) -> Problem:
        reference = schema[keyword]
        expected = "a reference inside this schema, such as #/$defs/name"
        if str(reference).startswith("#"):
            return self._problem(schema, keyword, expected, f"{show(reference)}, which leads nowhere")
        hint = "nothing is fetched: copy what it names into this schema"
        return self._problem(schema, keyword, expected, show(reference), hint)

    def _problem(self, schema: dict[str, Any], keyword: str, expected: str, found: str, hint: str = "") -> Problem:
        return self.document.problem((*self.places[id(schema)], keyword), expected, found, hint)


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    code=("harness.checks.schema", "harness.checks.jsontext"),
)
