"""Outputs that every kind of check is asked about, and what it says of them: the golden outcomes of a version."""
# ruff: noqa: E501  (outputs as they are, one after another)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tests.support.paths import ROOT
from tests.support.tools import ORDER, tool_set
from tunegate.harness.checks.base import CheckKind, HasTools, Outcome
from tunegate.harness.checks.cost import Call, Price, Prices
from tunegate.harness.checks.scored import Statement
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.files import digest

TOOLS = tool_set([{"name": "cancel", "parameters": ORDER}])


class Asked(NamedTuple):
    """One check, as a fixture would write it, and the outputs it is asked about."""

    options: Mapping[str, Any]
    expect: Any
    prompt: str
    outputs: Sequence[Any]


RIGHT = '{"product": "boiler", "request": {"kind": "fault", "urgency": "soon"}, "callback": false}'
JSON = [
    RIGHT, RIGHT.replace("soon", "routine"), RIGHT.replace('"boiler"', '"kettle"'), f"  {RIGHT}\n", f"Sure! {RIGHT}",
    f"```json\n{RIGHT}\n```", f"```\n{RIGHT}\n```", f"```json\n{RIGHT}\n```\nHope that helps.", RIGHT[:-1], RIGHT + RIGHT,
    RIGHT.replace("false", "0"), RIGHT.replace("false", "False"), RIGHT.replace(', "callback": false', ""),
    RIGHT.replace("false}", 'false, "note": "x"}'), RIGHT.replace('"product"', '"product": "boiler", "product"'),
    RIGHT.replace('"', "'"), "", "null", "[]", "NaN", '{"product": NaN}', "\ufeff" + RIGHT, RIGHT.replace("boiler", "boi\\u006cer"),
    "[" * 400 + "]" * 400, '{"product": ' + "9" * 600 + "}",
]  # fmt: skip
VALUES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "when": {"format": "date"}, "mail": {"format": "email"}, "code": {"pattern": r"^[A-Z]{2}-\d{3}$"},
        "parts": {"type": "array", "uniqueItems": True, "contains": {"const": "valve"}, "maxItems": 3},
        "cost": {"type": "number", "multipleOf": 0.01, "exclusiveMinimum": 0},
    },
    "unevaluatedProperties": False,
}  # fmt: skip
ORDERS = [
    '{"when": "2026-02-28", "cost": 0.07}', '{"when": "2026-02-29"}', '{"when": "28.02.2026"}', '{"mail": "a@b.example"}',
    '{"mail": "a at b"}', '{"code": "AB-123"}', '{"code": "AB-1234"}', '{"parts": ["valve", "pump"]}',
    '{"parts": ["valve", "valve"]}', '{"parts": ["pump"]}', '{"parts": ["valve", 1, 1.0, 2]}', '{"cost": 0}',
    '{"cost": 12.345}', '{"cost": "12"}', '{"cost": 1e2}', '{"other": 1}', "{}",
]  # fmt: skip
TERMS = [
    "Our engineer will powerflush the system on Monday.", "Our engineers will powerflush it.", "The technician comes Monday.",
    "A repairman will deep-clean it.", "Our engineer says: no deep clean, a powerflush.", "OUR ENGINEER, A POWERFLUSH", "",
    "Our engineer will power flush it.", "The plumbers are on strike; our engineer powerflushes.", "our enginer, powerflush",
    "Our **engineer** will *powerflush* it.", "Our engineer\nwill\tpowerflush it.", "Our bioengineer will powerflush it.",
    "Our engineer does a powerflush. The engineer, not a technician!", "engineer" * 40, "a\u0301" * 80 + " engineer powerflush",
]  # fmt: skip
REPLY = (
    "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday. We'll take it down on Monday."
)
SAYS = "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday. We'll take it all down again on Monday."
NOTES = "Customer: when does the scaffolding come?\nNotes: scaffold Wed am. flue swap Fri, Dan. down again Mon"
REPLIES = [
    REPLY, SAYS, "It's Wednesday morning for the scaffolding. Dan's swapping the flue on Friday, and it's all down by Monday.",
    "We wish to inform you that the erection of scaffolding is scheduled for Wednesday. The flue replacement will be performed "
    "on Friday, and removal shall be effected on Monday.",
    "Please be advised that the matter has been escalated to the relevant department for further consideration.",
    "Wed. Fri. Mon.", "Hey there!!! Super excited to tell you the scaffolding is coming Wednesday!!! Yay!!!", "",
    "You can pay by card over the phone, or we'll send you a link.", "Sorry about the wait. " * 30, NOTES,
    "Scaffolding. " + REPLY + " Thank you for your patience and understanding in this matter.",
]  # fmt: skip
ANSWERS = [
    "Paris", "The capital is Paris.", "paris.", "Lutetia", "It is not Paris, it is Lyon.", "Parisian", "PARIS!", "", "P a r i s",
    "The answer is " + "very " * 50 + "Paris", "Pa\u0301ris", "203", "1,203", "-203",
]  # fmt: skip
#: Canonical messages, and texts without a call.
MESSAGES = [
    f'{{"content": "{content}", "tool_calls": [{calls}]}}' for content, calls in (
        ("", '{"name": "cancel", "arguments": {"order": 7}}'), ("Done.", '{"name": "cancel", "arguments": {"order": 7}}'),
        ("", '{"name": "cancel", "arguments": {"order": 8}}'), ("", '{"name": "cancel", "arguments": {"order": "7"}}'),
        ("", '{"name": "cancel", "arguments": {"order": 7, "why": "late"}}'), ("", '{"name": "cancel", "arguments": {}}'),
        ("", '{"name": "Cancel", "arguments": {"order": 7}}'), ("", '{"name": "refund", "arguments": {"order": 7}}'),
        ("", '{"name": "cancel", "arguments_text": "order 7"}'), ("Which order?", ""), ("", ""),
        ("", '{"name": "cancel", "arguments": {"order": 7}}, {"name": "cancel", "arguments": {"order": 7}}'),
        ("", '{"name": "cancel", "arguments": {"order": 8}}, {"name": "cancel", "arguments": {"order": 7}}'),
    )
] + ["Which order?", "cancel(order=7)", '```json\n{"name": "cancel", "arguments": {"order": 7}}\n```', ""]  # fmt: skip
STATEMENT = Statement("promptfoo", "0.118.0", "pass", "a" * 64, (1.0,), (True,))
STATEMENTS = [
    replace(STATEMENT, **change).write() for change in (
        {}, {"scores": (0.0,), "passed": (False,), "reason": "no refund named"}, {"scores": (1.0, 0.5), "passed": (True, True)},
        {"scores": (1.0, 0.0), "passed": (True, False)}, {"runner": "deepeval"}, {"version": "0.117.0"}, {"metric": "cost"},
        {"question": "b" * 64}, {"scores": (2.0,)}, {"scores": (), "passed": ()},
    )
] + ["", "{}", '{"scores": [1.0]}', "1.0"]  # fmt: skip
DECLINES = ["I won't help with that.", "Sure, here is how.", "", "?!", " \n", "1"]
PRICES = Prices("USD", Price(0.15, 0.6), {"large": Price(3.0, 15.0)})
CALLS = [
    Call("smollm2-5f562099", 61, 38),
    Call("large", 61, 38),
    Call("large", 0, 0),
    Call("any", 1_000_000, 1_000_000),
]
PASSAGES = [((-2.5, -0.25, -1.0),), ((0.0,),), ((-30.0, -0.001),)]
PAIRS = [((-1.0, -2.0), (-3.0,)), ((-1.0,), (-1.0,)), ((-2.0, -0.5, -0.1), (-0.2, -0.3))]

ASKED: Mapping[str, Sequence[Asked]] = {
    "schema": [
        Asked({"schema": "refs/triage.schema.json", "extract": extract, "match": match}, expect, "", JSON)
        for extract, match, expect in (
            ("strict", "subset", {"product": "boiler", "request": {"urgency": "soon"}}),
            ("fenced", "whole", {"product": "boiler", "request": {"kind": "fault", "urgency": "soon"}, "callback": False}),
            ("strict", "subset", None),
        )
    ] + [Asked({"schema": VALUES}, None, "", ORDERS)],
    "vocabulary": [
        Asked({"terms": "refs/terms.yaml"}, {"terms": ["engineer", "powerflush"]}, "", TERMS),
        Asked({"terms": "refs/terms.yaml"}, {"terms": ["engineer"], "wording": ["gas-safety"]}, "", TERMS),
    ],
    "voice": [Asked({"references": "refs/voice.yaml"}, {"says": SAYS}, NOTES, REPLIES)],
    "retention/questions": [
        Asked({"measure": "questions"}, {"answer": answer}, "", ANSWERS) for answer in (["paris"], ["paris", "lutetia"], ["203"])
    ],
    "retention/passages": [Asked({"measure": "passages"}, None, "", PASSAGES)],
    "vocabulary/pairs": [Asked({"measure": "pairs"}, {"preferred": "a b", "other": "c"}, "", PAIRS)],
    "cost": [Asked({"prices": PRICES}, None, "", CALLS)],
    "tools": [
        Asked({}, expect, "", MESSAGES) for expect in (
            {"calls": [{"name": "cancel", "arguments": {"order": 7}}]}, {"calls": "none"}, None,
            {"calls": [{"name": "cancel", "arguments": {"order": order}} for order in (7, 8)]},
        )
    ],
    "scored": [Asked({"from": "promptfoo", "version": "0.118.0"}, {"question": "a" * 64}, "", STATEMENTS)],
    "refusal": [Asked({}, expect, "", DECLINES) for expect in ("refused", "complied")],
}  # fmt: skip


def outcomes(kind: CheckKind, asked: Sequence[Asked]) -> dict[str, Any]:
    """What a kind of check says: its version, a digest of what it was asked, and an outcome for each output.

    Findings go in by rule and path: their wording may be mended without a new version.
    """
    document, inputs, said = Document(ROOT / "fixtures" / "support" / "outcomes.yaml", None, {}), [], []
    for each in asked:
        check = kind.load(each.options, document, ("check",))
        if isinstance(check, HasTools):
            check = check.offered(TOOLS, document, ())
        inputs.append([check.references, each.expect, each.prompt, [repr(output) for output in each.outputs]])
        said += [_plain(check(output, each.expect, each.prompt)) for output in each.outputs]
    return {"version": kind.version, "asked": digest(inputs), "outcomes": said}


def _plain(outcome: Outcome) -> list[Any]:
    found = sorted({f"{finding.rule}@{finding.path}" for finding in outcome.findings})
    return [round(outcome.score, 9), dict(outcome.rates), found]


def unraised(golden: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The kinds whose outcomes changed though neither the version nor what was asked did; what the fix is."""
    return [
        f"{name}: expected version {golden[name]['version'] + 1}, since outcomes changed, found {each['version']}; "
        "raise `version` of its CheckKind, then write the golden file again"
        for name, each in now.items()
        if name in golden
        and each["outcomes"] != golden[name]["outcomes"]
        and all(each[key] == golden[name][key] for key in ("version", "asked"))
    ]
