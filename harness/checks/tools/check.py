"""Check the calls of an assistant's message: each fits its tool, and together they are those that the case expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from tunegate.harness.checks.base import CheckKind, ClosedValue, Outcome
from tunegate.harness.checks.outputs.finding import Finding
from tunegate.harness.checks.outputs.json_text import MAX_FINDINGS, json_path, show_json
from tunegate.harness.checks.outputs.message import Message, read_output
from tunegate.harness.checks.schema.dialects import subschemas
from tunegate.harness.checks.schema.grading import Leaf, Leaves, ListsTooLong, counted
from tunegate.harness.checks.schema.pass_rule import FIELD_OPTIONS, read_rules, rule_problems
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.checks.schema.validator import Validator
from tunegate.harness.checks.tools.definitions import Tool, ToolSet
from tunegate.harness.checks.tools.expected import NONE, expect_schema, expected_problems
from tunegate.harness.checks.tools.matching import TOOL, ToolGrader, tool_fields
from tunegate.harness.checks.tools.validity import Offered
from tunegate.harness.core.authoring.document import Document, Where
from tunegate.harness.core.authoring.validation import mapping_schema
from tunegate.harness.core.errors import AuthoringError, LintWarning, Problem
from tunegate.harness.core.files import canonical, digest

VALID, CALLED, NUMBER, NO_CALL, TEXT = "valid", "called", "number", "no call", "text"
NO_TOOL = "null"  # the value of the tool's field where none fits, as JSON
#: Keywords of a schema that no call is held to: a model reads them, as a prompt.
_READ_ONLY = ("title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly")

OPTIONS = mapping_schema(
    {
        "match": {
            "enum": ["whole", "subset"],
            "description": "whole: a call has no other arguments than `expect` names; subset: others are free, as far "
            "as the tool takes them",
        },
        "order": {
            "enum": ["any", "strict"],
            "description": "any: several calls are a set; strict: they come in the order of `expect`",
        },
        "fields": {
            **FIELD_OPTIONS["fields"],
            "description": "how arguments are compared, by tool and path, such as `create_ticket.due`",
        },
    },
)


@dataclass(frozen=True)
class ToolsCheck:
    """Scores a message: it passes if every call can be run and, with an `expect`, if the calls are the right ones."""

    options: Mapping[str, Any] = field(default_factory=dict)
    offers: Offered = field(default_factory=lambda: Offered({}))
    warnings: tuple[LintWarning, ...] = field(default=(), repr=False, compare=False)
    _texts: dict[str, Validator] = field(default_factory=dict, repr=False, compare=False)

    def offered(self, tools: ToolSet, document: Document, where: Where) -> ToolsCheck:
        """Return the check of a request that offers these tools.

        Raises:
            AuthoringError: there are no tools, or a field rule does not fit them.
        """
        if not tools.tools:
            hint = "write tools: the path of a JSON file, or a list"
            raise AuthoringError([document.problem(("tools",), "the tools that the model may call", "none", hint)])
        check = ToolsCheck(self.options, Offered.of(tools.tools, tools.validators), tools.warnings)
        rules = {key: self.options[key] for key in ("fields",) if key in self.options}
        if problems := list(rule_problems(rules, tool_fields(tools.every), document, (*where, "check"))):
            raise AuthoringError(problems)
        return check

    def offering(self, tools: Sequence[Tool]) -> ToolsCheck:
        """Return the check of a request that offers only these of its tools, or others."""
        return replace(self, offers=Offered.of(tools, self.offers.read))

    @cached_property
    def references(self) -> str:
        """The digest of the options and of what the tools' schemas hold calls to; their words are configuration."""
        schemas = {name: _without_words(tool.parameters) for name, tool in self.offers.tools.items()}
        return digest([schemas, dict(self.options)])

    def _grader(self) -> ToolGrader:
        tools = tuple(self.offers.tools.values())
        return ToolGrader(tool_fields(tools), read_rules(self.options), self.options.get("match") != "subset")

    def is_in_order(self, expect: Any) -> bool:
        """Whether the order of calls counts, of a case with this `expect`."""
        return (expect or {}).get("order", self.options.get("order")) == "strict"

    def __call__(self, output: str, expect: Any, prompt: str) -> Outcome:  # noqa: ARG002  (every check has a prompt)
        """Score one output, a canonical message; a text is one without calls."""
        message = read_output(output)
        flaws = self.offers.findings(message)
        if expect is None:
            return Outcome(float(not flaws), flaws, {VALID: not flaws})
        rates = {VALID: not flaws}
        leaves, wrong = self._calls(message, expect, rates)
        if TEXT in expect:
            unfit = tuple(islice(self._text(expect[TEXT]).violations(message.content), MAX_FINDINGS))
            rates[TEXT] = not unfit
            wrong += tuple(Finding(each.rule, f"the text: {each.message}", "content") for each in unfit)
        passed = all(rates.values()) and all(leaf.right for leaf in leaves)
        known = {each.path for each in flaws}
        findings = flaws + tuple(each for each in wrong if each.path not in known or not each.path)
        return Outcome(float(passed), findings[:MAX_FINDINGS], rates, counted(leaves), passed)

    def _calls(
        self, message: Message, expect: Mapping[str, Any], rates: dict[str, bool]
    ) -> tuple[Leaves, tuple[Finding, ...]]:
        """The graded values of the calls, and what is wrong with them; their rates are added."""
        if expect.get("calls") in (NONE, None):
            return self._no_call(message, rates) if "calls" in expect else ([], ())
        rates[CALLED] = bool(message.calls)
        rates[NUMBER] = len(message.calls) == len(expect["calls"])
        if not message.calls:
            leaves = self._grader().grade(expect["calls"], (), in_order=False)
            return leaves, (Finding("expect.calls", "the message has no call"),)
        try:
            leaves = self._grader().grade(expect["calls"], message.calls, self.is_in_order(expect))
        except ListsTooLong:
            leaves = self._grader().grade(expect["calls"], (), in_order=False)
            return leaves, (Finding("expect.limit", "unordered lists are too long to compare"),)
        wrong = (Finding("expect", leaf.message, json_path(leaf.where)) for leaf in leaves if leaf.message)
        return leaves, tuple(islice(wrong, MAX_FINDINGS))

    def _no_call(self, message: Message, rates: dict[str, bool]) -> tuple[Leaves, tuple[Finding, ...]]:
        """No tool as a value of the tool's field, so that a model that always calls has lost a value."""
        rates[NO_CALL] = not message.calls
        if not message.calls:
            return [Leaf(TOOL, right=True)], ()
        name = show_json(message.calls[0].name)
        return [Leaf(TOOL, taken=(NO_TOOL, name))], (Finding("expect.none", f"the message has a call: {name}"),)

    def _text(self, schema: Mapping[str, Any]) -> Validator:
        key = canonical(schema)
        if key not in self._texts:
            self._texts[key] = Validator(schema)
        return self._texts[key]

    def canonical_output(self, output: str) -> str:
        """The message without the order of arguments, and of calls unless the order is strict."""
        return read_output(output).key(self.is_in_order(None))

    def parts(self, expect: Any) -> frozenset[str]:
        """The names of the rates and fields that score an output for a case with this `expect`."""
        if expect is None:
            return frozenset({VALID})
        rates = {VALID, *((TEXT,) if TEXT in expect else ())}
        if expect.get("calls") == NONE:
            return frozenset({*rates, NO_CALL, TOOL})
        if not expect.get("calls"):
            return frozenset(rates)
        return frozenset({*rates, CALLED, NUMBER}) | self._grader().names(expect["calls"])

    def closed_values(self, expect: Any) -> Sequence[ClosedValue]:
        """The expected tools, and the expected values of arguments with a closed set of values."""
        calls = (expect or {}).get("calls", ())
        return [(TOOL, NO_TOOL, True)] if calls == NONE else list(self._grader().closed_values(calls))

    def tags(self, expect: Any) -> Mapping[str, str]:
        """Cases where no tool fits are a slice: they are few, and what is lost there is hidden in the mean."""
        return {"calls": NONE} if (expect or {}).get("calls") == NONE else {}

    def expect_problems(self, expect: Any, document: Document, where: Where) -> list[Problem]:
        """Refuse calls of tools that are not offered, and values that their schemas rule out."""
        problems: list[Problem] = []
        if TEXT in expect:
            try:
                read_schema(expect[TEXT], document, (*where, TEXT))
            except AuthoringError as error:
                problems += error.problems
        whole = self.options.get("match") != "subset"
        return problems + list(expected_problems(expect, self.offers, read_rules(self.options), whole, document, where))


def _without_words(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without what only a reader sees."""
    kept: dict[str, Any] = _copied(schema)
    for part in subschemas(kept):
        for key in _READ_ONLY:
            part.schema.pop(key, None)
    return kept


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def load(options: Mapping[str, Any], document: Document, where: Where) -> ToolsCheck:  # noqa: ARG001
    """Read the options; the tools come with each case."""
    read_rules(options)
    return ToolsCheck(options)


def expect_of(check: ToolsCheck, output: str) -> Any:  # noqa: ARG001
    """The expectation of a correct output: its calls, or none."""
    calls = read_output(output).calls
    return {"calls": [call.as_dict() for call in calls] if calls else NONE}


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=expect_schema(),
    load=load,
    version=1,
    libraries=("jsonschema-rs",),
    by_expect="which calls are right",
    expect_of=expect_of,
    form=VALID,
    parts={VALID: "calls that can be run", CALLED: "called at all", NUMBER: "number of calls", NO_CALL: "no call",
           TEXT: "text", TOOL: "tool"},
)  # fmt: skip
