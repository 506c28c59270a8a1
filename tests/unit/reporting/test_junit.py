"""A decision as JUnit XML: what CI shows fails exactly where the gate does, and no name or text breaks the file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reporting.test_report import T, judged
from tunegate.harness.checks.base import Finding
from tunegate.harness.models.evaluation.remarks import cause
from tunegate.harness.reporting.junit import junit_xml

HOSTILE = "x\" y='1'><!--]]>&amp;\x00\x1b[31m\ud800\ufffe\n::error::boo\u202e<failure/>"
#: The shape of junit-10.xsd, as far as this file uses it: attributes of each element, those that must be there first.
SHAPE = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, set()),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"timestamp"}),
    "testcase": ({"classname", "name", "time"}, set()),
    "failure": ({"message"}, set()),
    "error": ({"message"}, set()),
    "skipped": ({"message"}, set()),
}
INSIDE = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "error", "skipped"}}


def verdict(blocks=(), rules=""):
    return {"rules": rules, "blocks": list(blocks)}


def decision(*by_rules, **more):
    return {"refused": "", "modified": [], "approved": False, "untrue": [], "by_rules": list(by_rules)} | more


def parsed(text):
    """The root, once every element has been seen to have the shape and the counts to be right."""
    root = ET.fromstring(text.encode("utf-8"))  # noqa: S314  (it is our own)
    for element in root.iter():
        must, may = SHAPE[element.tag]
        assert must <= element.attrib.keys() <= must | may
        assert {each.tag for each in element} <= INSIDE.get(element.tag, set())
        if "tests" in element.attrib:
            assert int(element.get("tests")) == len(list(element.iter("testcase")))
            for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
                assert int(element.get(name, len(list(element.iter(tag))))) == len(list(element.iter(tag)))
    return root


def outcomes(root):
    return {
        f"{case.get('classname')} {case.get('name')}": next((each.tag for each in case), "passed")
        for case in root.iter("testcase")
    }


def test_each_unit_and_task_is_a_test_case_with_its_verdict_and_its_reference(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    made = replace(made, created="2026-11-30T01:02:03+00:00")

    root = parsed(junit_xml(decision(verdict([T, "desk"])), [made]))

    assert root[1].get("timestamp") == "2026-11-30T01:02:03"
    assert outcomes(root) == {
        "tunegate evaluation": "passed", "tunegate rule changes": "passed", "tunegate records": "passed",
        "tunegate.desk triage (in service)": "failure", "tunegate.desk decision": "failure",
    }  # fmt: skip
    unit, task = root.iter("failure")
    assert unit.get("message") == made.verdicts[T].reason
    assert unit.text.splitlines()[0].startswith("desk/triage/c001 (critical) regressed: json.syntax: ")
    assert len(unit.text.splitlines()) == 8
    assert task.get("message") == made.tasks["desk"].reason
    assert [suite.get("name") for suite in root] == ["tunegate gate", "tiny"]


def test_what_passes_has_no_failure_and_what_was_not_decided_is_skipped(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    held = replace(made, verdicts={T: replace(made.verdicts[T], verdict="inconclusive")})

    for record, found in ((made, "passed"), (held, "skipped")):
        root = parsed(junit_xml(decision(verdict()), [record]))
        assert outcomes(root)["tunegate.desk triage (in service)"] == found
        assert [*root.iter("failure"), *root.iter("error")] == []


def test_a_sealed_unit_shows_no_value_of_a_case(tmp_path):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32, sealed=True)

    text = junit_xml(decision(verdict([T])), [made])

    [failure] = parsed(text).iter("failure")
    assert failure.text is None
    assert not [value for value in ("boiler", "no idea", "json.syntax", "message c001") if value in text]


def test_each_set_of_rules_is_a_suite_and_what_has_no_verdict_is_an_error(tmp_path):
    made = judged(tmp_path, "0" * 40, "1" * 40)
    by_rules = [verdict(rules="the rules of main"), verdict(["desk/gone", "other"], rules="its own rules")]

    root = parsed(junit_xml(decision(*by_rules), [made, made]))

    assert [suite.get("name") for suite in root][1:] == ["tiny, by the rules of main", "tiny, by its own rules"]
    assert [each.get("errors") for each in root] == ["0", "0", "2"]
    assert outcomes(root)["tunegate.desk gone"] == outcomes(root)["tunegate.other decision"] == "error"


@pytest.mark.parametrize("where", ["case", "unit", "finding", "adapter", "reason", "refused", "rule"])
def test_no_name_and_no_text_breaks_the_file(tmp_path, where):
    made = judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    unit = f"desk/{HOSTILE}" if where == "unit" else T
    case = HOSTILE if where == "case" else "c000"
    finding = Finding("json.syntax", "", "", HOSTILE if where == "finding" else "x")
    result = replace(made.cases[f"{T}/c000"], findings=(finding,))
    reason = cause("significantly-worse", HOSTILE if where == "reason" else "worse")
    said = replace(made.verdicts[T], unit=unit, regressed_cases=(case,), remarks=(reason,))
    names = {"model": "tiny", "adapter": HOSTILE if where == "adapter" else None}
    record = replace(
        made, cases={f"{unit}/{case}": result}, verdicts={unit: said}, units={unit: made.units[T]},
        policies={unit: made.policies[T]}, fingerprint={**made.fingerprint, "names": names},
    )  # fmt: skip
    refused, rule = (HOSTILE if where == each else "" for each in ("refused", "rule"))

    text = junit_xml(decision(verdict([unit], rule), refused=refused, modified=[rule] if rule else []), [record])

    root = parsed(text)
    assert len(list(root.iter("testcase"))) == 5
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert not {"\x00", "\x1b", "\ufffe", "\u202e"} & set(text)


@given(
    refused=st.text(max_size=8), modified=st.lists(st.text(min_size=1, max_size=4), max_size=2),
    approved=st.booleans(), untrue=st.lists(st.text(min_size=1, max_size=4), max_size=1),
    blocks=st.lists(st.sampled_from([T, "desk", "desk/other", "more"]), max_size=2, unique=True),
)  # fmt: skip
def test_it_fails_exactly_if_the_decision_does_not_pass(tmp_path_factory, refused, modified, approved, untrue, blocks):
    made = _kept(tmp_path_factory)
    passes = not (refused or (modified and not approved) or untrue or blocks)

    root = parsed(junit_xml(
        decision(verdict(blocks), refused=refused, modified=modified, approved=approved, untrue=untrue), [made]
    ))  # fmt: skip

    assert passes == (not [*root.iter("failure"), *root.iter("error")])


_MADE = []


def _kept(factory):
    if not _MADE:
        _MADE.append(judged(factory.mktemp("junit"), "1" * 40, "0" * 8 + "1" * 32))
    return _MADE[0]
