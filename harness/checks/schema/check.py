"""Check that the output is JSON, satisfies a JSON Schema, and has the values that the case expects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal, TypeVar, cast

from tunegate.harness.checks.base import CheckKind, ClosedValue, Constraint, Finding, Outcome
from tunegate.harness.checks.outputs.json_text import MAX_FINDINGS, Extract, JsonText, read_json_text
from tunegate.harness.checks.schema.dialects import Dialects, subschemas
from tunegate.harness.checks.schema.expected_keys import unknown_keys
from tunegate.harness.checks.schema.grading import FieldRule, Grader, Leaves, ListsTooLong, counted, share, wrong
from tunegate.harness.checks.schema.lint import Impossible, impossible, unasserted
from tunegate.harness.checks.schema.pass_rule import (
    FIELD_OPTIONS,
    PassRule,
    name_of_place,
    plain_variants,
    read_rules,
    rule_problems,
    unreadable,
)
from tunegate.harness.checks.schema.schema_fields import SchemaFields, is_below, schema_fields
from tunegate.harness.checks.schema.schema_file import SchemaFile, read_schema
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import mapping_schema
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem
from tunegate.harness.core.files import canonical, digest

Match = Literal["subset", "whole"]
_Found = TypeVar("_Found")
GRAMMAR_OPTIONS = "x-guidance"  # of llguidance; all grammars here use the same

OPTIONS = mapping_schema(
    {
        "schema": {"type": ["string", "object"], "description": "the path of a JSON Schema, or the schema itself"},
        "extract": {
            "enum": ["strict", "fenced", "text"],
            "description": "strict: the output is JSON only; fenced: one ```json block is also allowed; text: the "
            "output is a text, not JSON",
        },
        "match": {
            "enum": ["subset", "whole"],
            "description": "subset: keys that `expect` does not name are free; whole: no other keys are allowed",
        },
        **FIELD_OPTIONS,
    },
    required=["schema"],
)
EXPECT = {
    "description": "the values that the output must have; all of them with `match: whole`; any JSON value but null",
    "not": {"type": "null"},  # it would count as no `expect`
    "$comment": "if any will do, delete it; JSON null is check: {schema: {type: 'null'}}",
}


@dataclass(frozen=True)
class SchemaCheck:
    """Scores adherence (JSON that satisfies the schema) and, if a case has an `expect`, each field.

    A case without an `expect` passes if it adheres. `options` are the fixture's rules for fields; `score` selects the
    score of a case: whether it passes, or, for an adhering output, the share that is right.
    """

    schema: Mapping[str, Any]
    extract: Extract = "strict"
    match: Match = "subset"
    options: Mapping[str, Any] = field(default_factory=dict)
    read: SchemaFile | None = field(default=None, repr=False, compare=False)
    _known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def references(self) -> str:
        """The digest of the schema and of how JSON is extracted, matched and passed."""
        return digest([self.schema, self.extract, self.match, *([self.options] if self.options else [])])

    @property
    def warnings(self) -> tuple[LintWarning, ...]:
        """Valid but suspicious entries in the schema."""
        return self.read.warnings if self.read else ()

    @cached_property
    def constraint(self) -> Constraint | None:
        """The constraint for decoding outputs: the schema, as far as a grammar can express it; None for texts."""
        if self.extract == "text":
            return None
        document = self._validator.document
        return constraint_of(self.schema, document.name if document else "")

    @cached_property
    def _rules(self) -> dict[str, FieldRule]:
        return read_rules(self.options)

    @cached_property
    def _validator(self) -> Validator:
        return self.read.validator if self.read else Validator(self.schema)

    @cached_property
    def _fields(self) -> SchemaFields:
        return schema_fields(self.schema)

    @cached_property
    def _pass(self) -> PassRule:
        rule = self.options.get("pass", {})
        return PassRule(rule.get("share"), tuple(rule.get("fields", ())))

    @property
    def _by_share(self) -> bool:
        return self.options.get("score") == "share"

    @property
    def _grader(self) -> Grader:
        return Grader(self._rules, self._fields, self.match == "whole")

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Score one output: it passes if it adheres and, with an `expect`, enough of the fields are right."""
        text = read_json_text(output, self.extract)
        flaws = text.findings or tuple(islice(self._validator.violations(text.value), MAX_FINDINGS))
        if expect is None:
            return Outcome(float(not flaws), flaws, {"adherence": not flaws})
        leaves, found = self._graded(expect, text)
        right = share(leaves, int(not flaws), 1)
        passed = not flaws and self._pass.passes(right, leaves)
        rates = {"adherence": not flaws, "exact": not flaws and all(leaf.right for leaf in leaves)}
        return Outcome(
            right if self._by_share and not flaws else float(passed), (flaws + found)[:MAX_FINDINGS],
            rates | ({"passed": passed} if self._by_share else {}), counted(leaves), passed,
        )  # fmt: skip

    def canonical_output(self, output: str) -> str:
        """The canonical JSON of the output, whatever its key order and white space; a text if it is none."""
        text = read_json_text(output, self.extract)
        return " ".join(output.split()) if text.findings else canonical(text.value)

    def _graded(self, expect: Any, text: JsonText) -> tuple[Leaves, tuple[Finding, ...]]:
        """Grade each field of an output and collect the mistakes; everything is missing if it is not JSON."""
        grader = self._grader
        if text.findings:
            return grader.missing(expect), ()
        try:
            leaves = grader.grade(expect, text.value)
        except ListsTooLong:
            message = "unordered lists are too long to compare"
            return grader.missing(expect), (Finding("expect.limit", message),)
        return leaves, tuple(islice(wrong(leaves), MAX_FINDINGS))

    def parts(self, expect: Any) -> frozenset[str]:
        """The names of the rates and fields that score an output for a case with this `expect`."""
        if expect is None:
            return frozenset({"adherence"})
        rates = {"adherence", "exact", *(["passed"] if self._by_share else [])}
        return self._once("parts", expect, lambda: self._grader.names(expect) | rates)

    def closed_values(self, expect: Any) -> tuple[ClosedValue, ...]:
        """The expected values of fields with a closed set of values."""
        if expect is None or not self._fields.closed_sets:
            return ()
        ignored = [name for name, rule in self._rules.items() if rule.ignore]
        return self._once("closed", expect, lambda: tuple(self._fields.closed_values(expect, ignored)))

    def _once(self, what: str, expect: Any, find: Callable[[], _Found]) -> _Found:
        """What is found about an `expect`, cached because many cases expect the same; equal results are one object."""
        key = what, repr(expect)
        if key not in self._known:
            found = find()
            self._known[key] = self._known.setdefault(found, found)
        return cast("_Found", self._known[key])

    def _impossible(self, expect: Any) -> Iterator[Impossible]:
        found = {
            places[each.where]: replace(each, where=places[each.where])
            for plain, places in plain_variants(expect)
            for each in impossible(self._validator, plain)
            if name_of_place(each.where) not in self._rules  # other values can count as equal
        }
        yield from found.values()

    def _is_too_long(self, expect: Any) -> bool:
        try:
            self._grader.grade(expect, expect)
        except ListsTooLong:
            return True
        return False

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Refuse values that the schema rules out and values that cannot be compared by the fixture's rules."""
        key = "sound", repr(expect)
        if key in self._known:
            return []
        problems = self._expect_problems(expect, document, where)
        if not problems:
            self._known[key] = True
        return problems

    def _expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        if problems := list(unreadable(expect, self._rules, document, where)):
            return problems
        in_any_order = any(rule.order != "given" for rule in self._rules.values())
        if in_any_order and any(self._is_too_long(plain) for plain, _ in plain_variants(expect)):
            return [document.problem(where, "unordered lists that are short enough to compare", "longer ones")]
        due = self._pass.fields
        if due and not any(is_below(name, each) for name in self.parts(expect) for each in due):
            expected, hint = f"a field that `pass` names ({', '.join(due)})", "otherwise every adhering output passes"
            return [document.problem(where, expected, "none", hint)]
        return [
            document.problem((*where, *each.where), "what the schema allows", show_value(each.value), each.message)
            for each in self._impossible(expect)
        ]

    def expect_warnings(self, expect: Any) -> tuple[str, ...]:
        """Keys of `expect` that the schema does not name."""

        def said() -> Iterator[str]:
            for plain, _ in plain_variants(expect):
                yield from unknown_keys(self.schema, plain)

        return self._once("keys", expect, lambda: tuple(dict.fromkeys(said())))


def constraint_of(schema: Mapping[str, Any], file: str) -> Constraint:
    """The decoding constraint of the schema in `file`, as far as a grammar can express it; keys keep their order."""
    kept = deepcopy(dict(schema))
    kept.pop(GRAMMAR_OPTIONS, None)
    parts = subschemas(kept)
    dialects = Dialects.of(parts)
    for where, each, _ in parts:
        each.pop("uniqueItems", None)  # a grammar cannot compare items; the check verifies that they differ
        if unasserted(each, dialects.draft(where)):  # an annotation, which a grammar would enforce
            del each["format"]
    return Constraint(json.dumps(kept, ensure_ascii=False), file)


def load(options: Mapping[str, Any], document: Document, where: Where) -> SchemaCheck:
    """Read the schema and the field rules of a `check:` mapping.

    Raises:
        AuthoringError: as `read_schema`, or a field rule names no field of the schema or does not fit its type.
        CouldNotRun: a rule needs pint, which is not installed.
    """
    read = read_schema(options["schema"], document, (*where, "schema"))
    of_fields = {key: options[key] for key in FIELD_OPTIONS if key in options}
    if of_fields and (problems := list(rule_problems(of_fields, schema_fields(read.schema), document, where))):
        raise AuthoringError(problems)
    read_rules(of_fields)
    return SchemaCheck(read.schema, options.get("extract", "strict"), options.get("match", "subset"), of_fields, read)


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=4,
    libraries=("jsonschema-rs",),
    by_expect="which values are right",
    expect_of=lambda check, output: read_json_text(output, check.extract).value,
    form="adherence",
    parts={"adherence": "adherence", "exact": "exact", "passed": "passed"},
)
