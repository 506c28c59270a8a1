"""Whatever stands in a schema, it is judged with or refused in words: nothing else is raised, and all of it ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from tunegate.harness.checks.base import Outcome
from tunegate.harness.checks.schema.check import load
from tunegate.harness.checks.schema.dialects import DRAFTS
from tunegate.harness.checks.schema.formats import FORMATS
from tunegate.harness.checks.schema.lint import KEYWORDS
from tunegate.harness.checks.schema.schema_file import UNFORESEEN
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.errors import AuthoringError

SECONDS = 5.0  # of processor time, for one schema and all its answers
NAMES = st.sampled_from(["a", "b", "$ref", "$id", "id", "$schema", "items", "properties", "a/b", "~", ""])
TEXTS = st.sampled_from([
    "", "a", "#", "#a", "#/", "#/$defs/a", "#/definitions/a", "#/properties/a", "#/dependencies/a", "#/items",
    "#/items/0", "#/allOf/0", "#/allOf/-1", "#/not", "#/x", "#/default", "#/title", "b", "b#a", "b#/not", "http://x.org/a",
    "http://x.org/a#", "http://[", "//", "urn:a:b", "(", "^a+$", "(a|aa)+$", "\\", "[", "string", "object", "date",
    "dat", "int32", "no-such", *DRAFTS, "http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-03/schema#",
])  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, 1.0, 1e-300, 1e308, 10**200, -(10**200), 0.01])
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS
ODD = st.recursive(PLAIN, lambda odd: st.lists(odd, max_size=3) | st.dictionaries(NAMES, odd, max_size=3), max_leaves=6)
KIND = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
COUNTS = st.sampled_from([0, 1, 2, 1.0, 10**200])
KEYS = st.lists(NAMES, max_size=2, unique=True)
FITTING = {
    "type": KIND | st.lists(KIND, min_size=1, max_size=2, unique=True),
    "enum": st.lists(ODD, max_size=3),
    "format": st.sampled_from([*FORMATS, "int32", "dat-time"]),
    "required": KEYS,
    "dependentRequired": st.dictionaries(NAMES, KEYS, max_size=2),
    "uniqueItems": st.booleans(),
    "multipleOf": NUMBERS,
    "$schema": st.sampled_from([*DRAFTS, "http://x.org/own"]),
    **dict.fromkeys(["pattern", "$ref", "$id", "id", "$dynamicRef", "$recursiveRef"], TEXTS),
    **dict.fromkeys(["$anchor", "$dynamicAnchor"], st.sampled_from(["a", "b"])),
    "$recursiveAnchor": st.booleans(),
    **dict.fromkeys([key for key in sorted(KEYWORDS) if key.startswith(("min", "max")) and key[3:] != "imum"], COUNTS),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], NUMBERS),
}


def keywords(inner):
    """Schemas whose keywords mostly have a value of the right kind, `inner` where that is a schema."""
    named, many = st.dictionaries(NAMES, inner, max_size=3), st.lists(inner, min_size=1, max_size=3)
    holding = {
        **dict.fromkeys(["$defs", "definitions", "dependentSchemas", "properties", "x"], named),
        "dependencies": st.dictionaries(NAMES, inner | KEYS, max_size=3),
        "patternProperties": st.dictionaries(TEXTS, inner, max_size=2),
        **dict.fromkeys(["allOf", "anyOf", "oneOf", "prefixItems"], many),
        "items": inner | many,
    }
    fitting = {key: holding.get(key, FITTING.get(key, inner)) for key in sorted(KEYWORDS | {"x"})}
    pair = st.sampled_from(sorted(fitting)).flatmap(lambda key: st.tuples(st.just(key), fitting[key]))
    odd = st.tuples(st.sampled_from(sorted(KEYWORDS)), ODD)
    pairs = st.lists(st.one_of(pair, pair, pair, pair, pair, pair, odd), max_size=4)
    return pairs.map(dict)


SCHEMAS = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=8)
OLDER = "http://json-schema.org/draft-03/schema#"  # a name of its own here, and of a draft that jsonschema knows
ANSWERS = [None, True, 0, 10**200, 1.5, "", "a", [], [1, 1], ["a", {"a": 1}], {}, {"a": 1, "b": [], "": "a"},
           {"a": {"a": {"b": "a"}}, "$ref": "a", "$id": "b", "items": [[]], "properties": {"a": None}}]  # fmt: skip


def loaded(schema):
    """The check, or why there is none."""
    try:
        return load({"schema": schema}, Document(Path("a.yaml"), {"schema": schema}, {}), ()), ()
    except AuthoringError as error:
        return None, error.problems


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(draft=st.none() | st.sampled_from(list(DRAFTS)), schema=keywords(SCHEMAS))
@example(draft=None, schema={"$dynamicRef": OLDER, "additionalProperties": {"$id": OLDER}})
def test_any_schema_is_judged_with_or_refused_and_nothing_else_is_raised(draft, schema):
    whole = {**schema, "$schema": draft} if draft else schema
    started = time.process_time()
    check, problems = loaded(whole)
    for answer in ANSWERS if check else ():
        outcome = check(json.dumps(answer), None, "")
        assert isinstance(outcome, Outcome)
        assert outcome.score in {0.0, 1.0}
        check.expect_problems(answer, Document(Path("a.yaml"), {}, {}), ())
        check.expect_warnings(answer)
    event("judged" if check else "refused")
    assert check is None or len(check.references) == 64
    assert all(problem.file == Path("a.yaml") and problem.expected and problem.found for problem in problems)
    assert not any(problem.expected == UNFORESEEN for problem in problems)
    assert time.process_time() - started < SECONDS
