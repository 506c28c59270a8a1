"""The assertions of promptfoo: those with a home become rules of a text or of JSON, all others are left out by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tunegate.harness.begin.results.samples import mapping_at, text_of
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import NotJson, parse_foreign_json
from tunegate.harness.imports.model import AskedPrompt, ImportedCase, JsonRule, LeftOut, Tally, case_name, plain_tags
from tunegate.harness.imports.nearby import FILE, Nearby
from tunegate.harness.imports.rules import Rule, all_rules, any_of, every, literal, negated, pattern
from tunegate.harness.imports.templates import as_template_text, filled_template

DRAFT = "http://json-schema.org/draft-07/schema#"  # of a schema without one, as promptfoo reads it
CODE = "code, which is not run"
MODEL_GRADED = "scored by a model or by embeddings"
WHY: Mapping[str, str] = {
    "javascript": CODE, "python": CODE, "ruby": CODE, "webhook": "asks a server",
    **dict.fromkeys((
        "llm-rubric", "g-eval", "factuality", "model-graded-closedqa", "model-graded-factuality", "answer-relevance",
        "context-faithfulness", "context-recall", "context-relevance", "conversation-relevance", "similar",
        "classifier", "moderation", "select-best", "max-score", "pi", "search-rubric", "agent-rubric", "trajectory",
    ), MODEL_GRADED),
    "cost": "a limit on one call; the cost suite compares prices, see docs/cost.md",
    "latency": "a limit on one call; see --tg-timing in docs/cost.md",
    **dict.fromkeys(("perplexity", "perplexity-score"), "needs log-probabilities"),
    **dict.fromkeys((
        "is-valid-openai-tools-call", "is-valid-openai-function-call", "is-valid-function-call", "tool-call-f1",
    ), "tool calls are no output here"),
}  # fmt: skip
NO_HOME = "no check here scores it"
MOST_NESTED = 20
MOST_YAML = 10_000  # characters of a schema in YAML
_CSV_TYPE = re.compile(r"(not-)?([a-z][a-z0-9-]*)(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.DOTALL)
_QUOTED = re.compile(r'\s*(?:"((?:[^"\\]|\\.|"")*)"|([^,]*))\s*(?:,|$)', re.DOTALL)


@dataclass
class Checks:
    """The rules that the assertions of one test make, and a comment for each that is left out."""

    texts: list[Rule] = field(default_factory=list)
    equals: list[str] = field(default_factory=list)
    json: list[JsonRule] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule."""
        return not (self.texts or self.equals or self.json)

    def json_rule(self) -> JsonRule | None:
        """One rule for all of them."""
        if len(self.json) < 2:
            return self.json[0] if self.json else None
        extract = "strict" if any(rule.extract == "strict" for rule in self.json) else "fenced"
        expected = [rule.expect for rule in self.json if rule.expect is not None]
        draft = next((rule.schema["$schema"] for rule in self.json if "$schema" in rule.schema), DRAFT)
        plain = [{key: value for key, value in rule.schema.items() if key != "$schema"} for rule in self.json]
        if expected and any(plain):  # one schema, for a value that breaks it is a mistake of a fixture
            plain, expected = [*plain, {"const": expected[0]}], []
        schema = all_rules([each for each in plain if each])
        held = {"$schema": draft, **schema} if schema else {}
        return JsonRule(held, extract, expected[0] if expected else None)

    def case(self, asked: AskedPrompt, test: Mapping[str, Any], **more: Any) -> ImportedCase:
        """The case of a test with this prompt and these rules."""
        return ImportedCase(
            asked, case_name(test.get("description")), tuple(self.texts), tuple(self.equals), self.json_rule(),
            tags=plain_tags(test.get("metadata")), comments=tuple(self.comments), **more,
        )  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """Reads the assertions of tests; `config` is the whole configuration, for `$ref`."""

    nearby: Nearby
    tally: Tally
    config: Mapping[str, Any] = field(default_factory=dict)

    def read(self, test: Mapping[str, Any], values: Mapping[str, Any]) -> Checks:
        """The checks of one test; `values` are its variables, which assertions may name."""
        checks = Checks()
        is_transformed = any(mapping_at(test, "options").get(key) for key in ("transform", "postprocess"))
        for each in self._flat(test.get("assert"), 0):
            kind = self._kind(each)
            try:
                if is_transformed or each.get("transform"):
                    raise LeftOut("it scores an output that code has changed")
                self._add(checks, each, values)
                self.tally.taken[kind] += 1
            except (LeftOut, Refused) as error:
                self.tally.left[kind, str(error)] += 1
                said = ": ".join(filter(None, [kind, text_of(each.get("value"), 100)]))
                checks.comments.append(shown(f"left out: {said} ({error})"))
        return checks

    def resolved(self, test: Mapping[str, Any]) -> list[Any]:
        """The assertions of a test, each as its `$ref` names it, without empty parts."""
        found = test.get("assert")
        return [_without_none(self._resolved(each)) for each in (found if isinstance(found, list) else [])]

    def _kind(self, assertion: Mapping[str, Any]) -> str:
        kind = assertion.get("type")
        return shown(text_of(kind, 60)) if isinstance(kind, str) else "an assertion without a type"

    def _flat(self, assertions: Any, level: int) -> Iterator[Mapping[str, Any]]:
        """The assertions one by one: sets without a threshold are the assertions in them."""
        for raw in assertions if isinstance(assertions, list) else []:
            each = self._resolved(raw)
            if not isinstance(each, Mapping):
                yield {"type": text_of(each, 60)}
            elif each.get("type") == "assert-set" and each.get("threshold") is None and level < MOST_NESTED:
                yield from self._flat(each.get("assert"), level + 1)
            else:
                yield each

    def _resolved(self, raw: Any) -> Any:
        """An assertion that `$ref: '#/assertionTemplates/name'` names."""
        reference = raw.get("$ref") if isinstance(raw, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return raw
        found: Any = self.config
        for step in reference[2:].split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        own = {key: value for key, value in raw.items() if key != "$ref"}
        return {**found, **own} if isinstance(found, Mapping) else raw

    def _add(self, checks: Checks, assertion: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        kind = str(assertion.get("type"))
        is_negated, plain = kind.startswith("not-"), kind.removeprefix("not-")
        if assertion.get("metricOnly") or assertion.get("normalizeUnicode"):
            raise LeftOut("metricOnly" if assertion.get("metricOnly") else "normalizeUnicode")
        if plain in WHY or plain not in HOMES:
            raise LeftOut(WHY.get(plain, NO_HOME))
        value = self._value(assertion.get("value"), values)
        if assertion.get("weight", 1) != 1:
            self.tally.changed[kind, "its weight is not used: every check must hold"] += 1
        if plain in TEXT_RULES:
            rule = TEXT_RULES[plain](value)
            checks.texts.append(negated(rule) if is_negated else rule)
        elif plain == EQUALS:
            _add_equal(checks, value, is_negated)
        elif is_negated:
            raise LeftOut("not JSON")
        else:
            self._add_json(checks, value, JSON_TYPES[plain])

    def _add_json(self, checks: Checks, value: Any, extract: str) -> None:
        schema = _schema(value)
        if extract == "fenced":
            self.tally.changed["contains-json", "no text may stand around the JSON or its ```json block"] += 1
        checks.json.append(JsonRule(schema, extract))

    def _value(self, value: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(value, str) and value.startswith(FILE):
            path = self.nearby.find(value)
            return self.nearby.text(path) if path.suffix == ".txt" else self.nearby.data(path)
        if isinstance(value, list):
            return [self._value(each, values) if isinstance(each, str) else each for each in value]
        return filled_template(value, values, self.tally) if isinstance(value, str) else value


def _without_none(assertion: Any) -> Any:
    if not isinstance(assertion, Mapping):
        return assertion
    return {key: value for key, value in assertion.items() if value is not None}


def _text_value(value: Any) -> str:
    if not isinstance(value, str | int | float) or value == "":
        raise LeftOut("a value that is no text")
    return as_template_text(value)


def _several(value: Any) -> list[str]:
    """The texts of a list, or between the commas of a text."""
    if isinstance(value, str):
        found = _QUOTED.findall(value)
        texts = (re.sub(r'\\(["\\])|""', lambda seen: seen[1] or '"', text) or plain.strip() for text, plain in found)
        value = list(filter(None, texts))
    if not isinstance(value, list) or not value:
        raise LeftOut("a value that is no list of texts")
    return [_text_value(each) for each in value]


def _add_equal(checks: Checks, value: Any, is_negated: bool) -> None:
    if isinstance(value, dict | list):
        if is_negated:
            raise LeftOut("not equal to an object")
        checks.json.append(JsonRule(expect=value))
    elif is_negated:
        checks.texts.append(negated({"const": as_template_text(value)}))
    elif checks.equals and as_template_text(value) not in checks.equals:
        checks.texts.append({"const": as_template_text(value)})
    else:
        checks.equals = [as_template_text(value)]


def _schema(value: Any) -> dict[str, Any]:
    """The JSON Schema of an assertion, as JSON or YAML of few lines; empty if it has none.

    Raises:
        LeftOut: it is not valid here.
    """
    if isinstance(value, str) and value.strip():
        value = _parsed_schema(value)
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise LeftOut("a schema that is no object")
    schema = value if "$schema" in value else {"$schema": DRAFT, **value}
    try:
        read_schema(schema, Document(Path("schema"), schema, {}), ())
    except AuthoringError as error:
        first = error.problems[0]
        raise LeftOut(f"a schema that is not valid: expected {first.expected}, found {first.found}") from None
    return schema


def _parsed_schema(text: str) -> Any:
    try:
        return parse_foreign_json(text)
    except NotJson:
        if len(text) > MOST_YAML or any(mark in text for mark in "&*!"):  # anchors, aliases and tags
            raise LeftOut("a schema that is no JSON") from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise LeftOut("a schema that is no JSON") from None


#: By type, without `not-`: the rule of a text for a value.
TEXT_RULES: Mapping[str, Callable[[Any], Rule]] = {
    "contains": lambda value: pattern(literal(_text_value(value))),
    "icontains": lambda value: pattern(literal(_text_value(value), ignore_case=True)),
    "contains-any": lambda value: any_of(_several(value)),
    "icontains-any": lambda value: any_of(_several(value), ignore_case=True),
    "contains-all": lambda value: every(_several(value)),
    "icontains-all": lambda value: every(_several(value), ignore_case=True),
    "regex": lambda value: pattern(_text_value(value)),
    "starts-with": lambda value: pattern(f"^{literal(_text_value(value))}"),
}
EQUALS = "equals"
JSON_TYPES = {"is-json": "strict", "contains-json": "fenced"}  # by type: how the JSON is found
HOMES = frozenset({EQUALS, *TEXT_RULES, *JSON_TYPES})


def assertion_of_cell(cell: str) -> dict[str, Any]:
    """The assertion that a cell of a column `__expected` holds: `type:value`; without a known type, `equals`."""
    for prefix, kind in (("javascript:", "javascript"), ("fn:", "javascript"), ("eval:", "javascript"),
                         ("grade:", "llm-rubric"), ("python:", "python")):  # fmt: skip
        if cell.startswith(prefix):
            return {"type": kind, "value": cell[len(prefix) :].strip()}
    if cell.startswith(FILE):
        return {"type": "python" if ".py" in cell else "javascript", "value": cell}
    found = _CSV_TYPE.fullmatch(cell)
    if not found or found[2] not in {*HOMES, *WHY, *OTHER_TYPES}:
        return {"type": EQUALS, "value": cell}
    kind, value = f"{found[1] or ''}{found[2]}", found[4]
    if found[2] in ("contains-any", "contains-all", "icontains-any", "icontains-all"):
        return {"type": kind, "value": [each.strip() for each in (value or "").split(",")]}
    limit = {"threshold": float(found[3])} if found[3] else {}
    return {"type": kind, "value": value, **limit}


#: Types without a home that a cell may hold, besides those with a reason of their own.
OTHER_TYPES = frozenset({
    "bleu", "gleu", "meteor", "rouge-n", "levenshtein", "is-sql", "contains-sql", "is-html", "contains-html", "is-xml",
    "contains-xml", "is-refusal", "guardrails", "finish-reason", "word-count", "trace-error-spans", "human",
    "trace-span-count", "trace-span-duration", "ends-with",
})  # fmt: skip
