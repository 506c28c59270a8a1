"""How a verdict was reached, on request."""

from __future__ import annotations

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.gate.rule import compare
from tunegate.harness.reporting.why import why_lines

T, FINAL = "desk/triage", "desk/final"


def told(tmp_path, base: dict[str, str], now: dict[str, str], **more: object) -> list[str]:
    tasks = load_tasks(tmp_path)
    references = {"baseline": record(tasks, base)}
    return [*why_lines(compare(tasks, record(tasks, now, **more), references, ["desk"]))]


def test_a_fallen_unit_says_its_margin_its_reason_and_every_test(tmp_path):
    write_desk(
        tmp_path, 200, case_keys=lambda index: {"critical": index == 0, "tags": {"by": "sms" if index < 10 else "web"}}
    )
    write_policy(tmp_path, triage={"role": "target", "margin": 0.08, "reason": "Each costs a call."})
    assert told(tmp_path, {T: "1" * 200}, {T: "0" * 20 + "1" * 180}, sealed_evaluations={T: 2}) == [
        "desk/triage, against the baseline: regressed",
        "  margin 8.0 points: Each costs a call.",
        "  held: the difference lies from -14.2 to -6.9 points, each end one-sided at 0.04 (score test; for pass/fail "
        "Tango's, for other scores also the signed root of the likelihood ratio): a loss of the margin is not excluded",
        "  worse: p = 3.87e-06, the larger of the sign-flip test (for pass/fail McNemar's mid-p) and the score test; "
        "with 0 other tests of all units and references (Tarone-Holm at 0.04): significant",
        "  slices: by=sms fell (exact p, Tarone-Holm at 0.02)",
        "  critical cases are outside the levels: one regression is enough",
        "  its cases were evaluated for 1 other configurations before; it is open: it guides tuning",
    ]


def test_a_sealed_unit_says_what_its_opening_leaves(tmp_path):
    write_desk(tmp_path, 100, "final", sealed=True)
    write_policy(tmp_path, final={"margin": 0.1})
    lines = told(tmp_path, {FINAL: "1" * 100}, {FINAL: "1" * 100}, sealed=True, sealed_evaluations={FINAL: 2})
    assert "each end one-sided at 0.0064" in lines[2]
    assert lines[2].endswith("a loss of the margin is excluded")
    said = "its cases were evaluated for 1 other configurations before; it is sealed: all evaluations together may err"
    assert lines[-1] == f"  {said} by 0.04"


def test_what_was_not_compared_has_no_test(tmp_path):
    write_desk(tmp_path, 3)
    write_policy(tmp_path, triage={})
    assert told(tmp_path, {T: "111"}, {T: "11-"})[-1] == "  no test: it was not compared, or lacks a margin or labels"
