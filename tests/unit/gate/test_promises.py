"""What a verdict promises of scores without a bound, of minimum scores in a family, and of guards held together."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import record, write_desk, write_policy
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.policy import Policy, Together, UnitPolicy, policy_changes
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.together import pooled
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.models.evaluation.scoring import summarize

T, C = "desk/triage", "desk/triage-cost"
PRICES = {"currency": "USD", "input_per_million": 1, "output_per_million": 1, "reason": "a test"}


def compared(root, base, tuned, trained=(), **more):
    tasks = load_tasks(root)
    return gate.compare(tasks, record(tasks, tuned, **more), {"baseline": record(tasks, base)}, list(trained))


# Calls that ramble.


def calls(tasks, lengths, prompt) -> Record:
    """A record whose outputs are so many tokens long, and priced."""
    made = record(tasks, {T: "1" * len(lengths)})
    units = {unit.key: unit for unit in tasks[0].units}
    cases, units_of = dict(made.cases), dict(made.units)
    results = []
    for case, length in zip(units[T].cases, lengths, strict=True):
        cases[case.key] = replace(cases[case.key], tokens_in=prompt, tokens_out=length)
        results.append(Result(None, -(prompt + length) / 1e6, tokens_in=prompt, tokens_out=length))
        cases[f"{C}/{case.id}"] = results[-1]
    units_of[C] = summarize(units[C], results)
    return replace(
        made, cases=cases, units=units_of, questions=made.questions | {C: units[C].questions},
        policies=tasks[0].policies, scorers=made.scorers | {C: units[C].check_kind.scorer},
    )  # fmt: skip


@pytest.fixture
def priced(tmp_path):
    """The verdict of a cost unit, of as many cases as there are lengths."""

    def run(before, after, margin, most=512, prompt=100):
        write_desk(tmp_path, len(before), generate={"max_new_tokens": most})
        (tmp_path / "desk" / "triage-cost.yaml").write_text(
            json.dumps({"version": 1, "suite": "cost", "unit": "triage-cost", "of": "triage"})
        )
        unit = {"role": "guard", "margin": margin / 1e6, "reason": "a test"}
        path = write_policy(tmp_path, **{"triage-cost": unit})
        path.write_text(json.dumps(json.loads(path.read_text()) | {"prices": PRICES}))
        tasks = load_tasks(tmp_path)
        judged = gate.compare(tasks, calls(tasks, after, prompt), {"baseline": calls(tasks, before, prompt)}, [])
        return judged.verdicts[C]

    return run


def test_calls_that_ramble_block_and_the_rise_of_the_mean_is_named(priced):
    before, after = [42] * 150, [*[512] * 4, *[42] * 146]  # 4 of 150 ramble
    found = priced(before, after, margin=5.25, prompt=0)  # 12.5 %
    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert "; a call costs 0.00001253 (30 %) more on average, more than the margin of 0.00000525. " in found.reason
    worse = priced(before, [*[512] * 6, *[42] * 144], margin=5.25, prompt=0)
    assert (worse.verdict, worse.blocks) == ("regressed", True)
    assert "; a call costs 0.0000188 (45 %) more on average, more than the margin of 0.00000525. " in worse.reason
    found = priced([*[512] * 2, *[40] * 148], [*[40] * 2, *[512] * 5, *[40] * 143], margin=5)
    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert "; a call costs 0.00000944 (6 %) more on average, more than the margin of 0.000005. " in found.reason
    assert found.difference == pytest.approx(-3 * 472 / 150 / 1e6)
    assert (found.bounded, found.span) == (True, pytest.approx(512 / 1e6))


def test_a_bound_of_what_a_call_can_cost_is_used(priced):
    same = [40] * 100
    assert priced(same, same, margin=17, most=512).verdict == "held"  # 3.06 (512 / 17 - 1) = 89.2
    found = priced(same, same, margin=15, most=512)  # 101.5
    assert found.verdict == "inconclusive"
    assert (
        "the loss may be up to 0.00001507 (margin 0.000015); add cases: about 102 cases in total would" in found.reason
    )
    assert priced(same, same, margin=15, most=256).verdict == "held"


def test_an_output_longer_than_it_may_be_makes_nothing_easier_to_hold(priced):
    still = [40] * 250
    assert priced(still, still, margin=5, most=512).verdict == "inconclusive"
    found = priced([513, *still[1:]], [513, *still[1:]], margin=5, most=512)  # supplied outputs may be so long
    assert (found.verdict, found.bounded, found.span) == ("inconclusive", False, pytest.approx(513 / 1e6))
    found = priced([40] * 200, [600] + [40] * 199, margin=100, most=512)
    assert (found.bounded, found.span, found.collapsed) == (False, pytest.approx(1000 / 1e6), 0)


# Scores without a bound: the mean of what counts, and the share of cases that lose more than that.


@pytest.fixture
def continuous(tmp_path, monkeypatch):
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))

    def run(base, tuned, **policy):
        write_desk(tmp_path, len(base))
        write_policy(tmp_path, triage={"margin": 0.5} | policy)
        return compared(tmp_path, {T: base}, {T: tuned}).verdicts[T]

    return run


def test_the_share_of_collapsed_cases_is_bounded(continuous):
    still = [-3.0] * 200
    found = continuous(still, still)
    assert found.verdict == "held"
    assert found.reason.startswith(
        "Held: the loss against the baseline, capped at 5 per case, is at most 0.07169 (one-sided 95 %), "
        "within the margin of 0.5; at most 1.6 % of cases fall by 5 or more."
    )
    few = continuous([-3.0] * 100, [-3.0] * 100)
    assert few.verdict == "inconclusive"
    assert (
        "up to 3.17 % of the cases may fall by 5 or more, but `collapse` allows 2 %; add cases: 160 without such a "
        "fall would settle it, or `collapse: 0.032` in task.yaml"
    ) in few.reason
    assert continuous([-3.0] * 100, [-3.0] * 100, collapse=0.032).verdict == "held"


def test_a_collapse_is_not_held_however_small_its_part_of_the_mean_that_counts(continuous):
    base = [-3.0] * 200
    found = continuous(base, [*[-23.0] * 10, *base[10:]])  # one in twenty loses 40 margins
    assert (found.verdict, found.collapsed) == ("inconclusive", 10)
    found = continuous(base, [*[-23.0] * 2, *base[2:]])
    assert found.verdict == "inconclusive"
    assert "up to 3.26 % of the cases may fall by 5 or more, but `collapse` allows 2 %; 2 of 200 did" in found.reason
    assert "-3 -> -3.2 on 200 cases, -0.2 (90 %, capped at 5 per case: -0.1" in found.reason
    assert "2 moved further." in found.reason


def test_nothing_is_held_while_the_mean_that_was_seen_is_lost(continuous):
    base = [-3.0] * 1000
    found = continuous(base, [*[-303.0] * 3, *base[3:]], collapse=0.05)  # three of a thousand lose 600 margins
    assert found.verdict == "inconclusive"
    assert found.difference == pytest.approx(-0.9)
    assert found.reason.startswith("Inconclusive: the mean fell by 0.9 (30 %), more than the margin of 0.5. ")


def test_a_mean_that_fell_by_the_margin_has_not_lost_more(continuous):
    found = continuous([-3.9] * 200, [-4.4] * 200)  # as floats, 0.5000000000000004
    assert (found.verdict, "more than the margin" in found.reason) == ("regressed", False)


def test_a_mean_that_was_seen_to_fall_is_no_gain(continuous):
    base = [-3.0] * 1000
    tuned = [*[-150.0] * 4, *[-2.7] * 996]  # what counts of it rises, and all of it falls
    found = continuous(base, tuned, role="target", collapse=0.05)
    assert found.difference < 0 < found.interval[0]
    assert (found.verdict, found.gained) == ("held", False)
    assert not continuous(base, tuned, collapse=0.05).gained


def test_collapse_is_of_continuous_units_and_a_wider_one_is_looser(tmp_path):
    write_desk(tmp_path, 3)
    write_policy(tmp_path, triage={"collapse": 0.1})
    with pytest.raises(AuthoringError, match="no collapse, which applies to scores without a bound"):
        load_tasks(tmp_path)
    assert policy_changes({"collapse": 0.02}, {"collapse": 0.1}, looser=True) == ["collapse 0.02 -> 0.1"]
    assert policy_changes({"collapse": 0.02}, {"collapse": 0.01}, looser=True) == []


# Minimum scores: one family.


def test_minimum_scores_are_tested_in_one_family(tmp_path):
    names = [f"unit{place}" for place in range(8)]
    for name in names:
        write_desk(tmp_path, 100, name)
    write_policy(tmp_path, **{name: {"minimum_score": 0.9} for name in names})
    still = "1" * 90 + "0" * 10
    low = "1" * 83 + "0" * 17  # alone: mid-p .018, and a Wilson .05 bound of 88.2 %
    rows = {f"desk/{name}": still for name in names} | {"desk/unit0": low}
    found = compared(tmp_path, rows, rows)
    assert found.verdicts["desk/unit0"].verdict == "inconclusive"
    assert "83.0 % is below the minimum score of 90.0 %, but not significantly" in found.verdicts["desk/unit0"].reason
    lost = compared(tmp_path, rows, rows | {"desk/unit0": "1" * 75 + "0" * 25})
    assert "below the minimum score of 90.0 %" in lost.verdicts["desk/unit0"].reason
    assert lost.verdicts["desk/unit0"].tests == 16


# Guards that are held together.


def desk_of_four(root, n=60, together=None, keys=lambda _: {}, margin=0.05):
    names = ("triage", "orders", "replies", "questions")
    for name in names:
        write_desk(root, n, name, case_keys=lambda index, name=name: {"input": f"{name} {index}"} | keys(index))
    path = write_policy(root, triage={"role": "target"}, **{name: {} for name in names[1:]})
    group = {"together": together or dict.fromkeys(names[1:], 1), "margin": margin, "reason": "a test"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"guards": group}))
    return {f"desk/{name}": "1" * n for name in names}


def test_guards_that_are_too_small_each_are_held_together(tmp_path):
    base = desk_of_four(tmp_path) | {T: "0" * 12 + "1" * 48}
    tuned = base | {T: "1" * 60, "desk/orders": "0" + "1" * 59, "desk/replies": "0" + "1" * 59}
    found = compared(tmp_path, base, tuned, trained=("desk",))
    assert {unit: each.verdict for unit, each in found.verdicts.items()} == {
        T: "improved", "desk/orders": "held", "desk/replies": "held", "desk/questions": "held",
    }  # fmt: skip
    assert found.tasks["desk"].decision == "release"
    orders = found.verdicts["desk/orders"]
    assert orders.together == ("desk/questions", "desk/replies")
    assert orders.reason.startswith(
        "Held with 2 other guards: their mean loss against the baseline is at most 3.4 points (one-sided 95 %), within "
        "the group's margin of 5.0. On its own it would detect a loss of "
    )


def test_a_guard_that_is_shown_to_be_worse_blocks_whatever_the_others_do(tmp_path):
    base = desk_of_four(tmp_path)
    found = compared(tmp_path, base, base | {"desk/orders": "0" * 8 + "1" * 52})
    assert found.verdicts["desk/orders"].verdict == "regressed"
    assert "may lose up to 7.9" in found.verdicts["desk/replies"].reason  # units are no topics


def test_a_mean_loss_that_may_exceed_the_margin_blocks_each_of_them(tmp_path):
    base = desk_of_four(tmp_path)
    lost = "00" + "1" * 58
    found = compared(tmp_path, base, base | {"desk/orders": lost, "desk/replies": lost, "desk/questions": lost})
    for unit in ("desk/orders", "desk/replies", "desk/questions"):
        assert found.verdicts[unit].reason.startswith(
            "Inconclusive: the 3 guards of its group lose 3.3 points on average and may lose up to 6.5 "
            "(group margin 5.0); add cases; a close call: 124 cases of the group settle it 80 % of the time. "
        )


def test_a_guard_that_was_not_run_leaves_the_others_open(tmp_path):
    base = desk_of_four(tmp_path)
    tuned = {unit: row for unit, row in base.items() if unit != "desk/orders"}
    found = compared(tmp_path, base, tuned)
    assert found.verdicts["desk/orders"].blocks
    assert "desk/orders cannot be compared" in found.verdicts["desk/replies"].reason
    found = compared(tmp_path, base, tuned, partial=True)
    assert "desk/orders" not in found.verdicts
    assert "desk/orders cannot be compared" in found.verdicts["desk/replies"].reason


@pytest.mark.parametrize(("group", "message"), [
    ({"orders": 1, "triage": 1}, "triage, which is a target"),
    ({"orders": 1, "order": 1}, "order, which is no unit of this task"),
    ({"orders": 1}, "two guards or more"),
    ({"orders": 1, "replies": 0}, "a weight from 0.01 to 100"),
])  # fmt: skip
def test_who_can_be_held_together(tmp_path, group, message):
    desk_of_four(tmp_path, together=group)
    with pytest.raises(AuthoringError, match=message):
        load_tasks(tmp_path)


def test_a_group_is_a_looser_rule_and_so_is_each_guard_that_joins_it():
    one = {"margin": 0.05, "weights": {"orders": 1, "replies": 1}}
    wider = one | {"weights": one["weights"] | {"questions": 1}}
    assert policy_changes({}, {"together": one}, looser=True) == [
        "together none -> margin 0.05, weights (orders 1, replies 1)"
    ]
    assert policy_changes({"together": one}, {"together": wider}, looser=True)
    assert policy_changes({"together": wider}, {"together": one}, looser=True)  # the others weigh more
    # a guard that leaves has to hold its own margin alone, which may be wider
    assert policy_changes({"together": one}, {}, looser=True)
    assert not policy_changes({"together": one}, {"together": one | {"margin": 0.02}}, looser=True)


def test_a_guard_that_is_alone_in_its_group_holds_its_own_margin(tmp_path):
    base = desk_of_four(tmp_path)
    write_desk(tmp_path, 60, "orders-sealed", sealed=True, case_keys=lambda index: {"input": f"sealed {index}"})
    data = json.loads((tmp_path / "desk/task.yaml").read_text())
    data["units"]["orders-sealed"] = {"role": "guard", "seals": "orders", "reason": "a test"}
    data["guards"]["margin"] = 0.3
    (tmp_path / "desk/task.yaml").write_text(json.dumps(data))
    base |= {"desk/orders-sealed": "1" * 60}
    found = compared(tmp_path, base, base | {"desk/orders-sealed": "00" + "1" * 58}, sealed=True)
    assert found.verdicts["desk/orders-sealed"].verdict == "inconclusive"
    assert found.verdicts["desk/orders-sealed"].together == ()


def test_a_guard_that_is_newly_sealed_is_a_looser_rule_for_those_that_were():
    units = {"orders": UnitPolicy(), "replies": UnitPolicy(), "orders-sealed": UnitPolicy(seals="orders")}
    group = Together({"orders": 1, "replies": 1}, 0.05)
    one = Policy(units, declared=True, together=group)
    both = Policy(units | {"replies-sealed": UnitPolicy(seals="replies")}, declared=True, together=group)
    before, after = (each.as_dict("orders-sealed", "pass/fail", sealed=True) for each in (one, both))
    assert policy_changes(before, after, looser=True) == [
        "together margin 0.05, weights (orders 1) -> margin 0.05, weights (orders 1, replies 1)"
    ]


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0.1, 5)), min_size=2, max_size=5), st.booleans(), st.randoms())
def test_what_is_pooled_has_the_weighted_mean(units, shared, random):
    members = [
        (
            [(0 if shared else place, index) for index in range(n)],
            [random.choice([-1.0, 0.0, 1.0]) for _ in range(n)],
            w,
        )
        for place, (n, w) in enumerate(units)
    ]
    d, span = pooled(members)
    whole = sum(weight for *_, weight in members)
    assert span * np.mean(d) == pytest.approx(sum(weight / whole * np.mean(row) for _, row, weight in members))
    assert len(d) == len({key for observed, *_ in members for key in observed})
    assert all(-1 <= each <= 1 for each in d)


# Losses that come by topic.


def in_topics(index: int) -> dict[str, object]:
    return {"tags": {"topic": f"t{index % 10}"}}


def test_a_loss_that_one_topic_bears_counts_as_fewer_cases(tmp_path):
    write_desk(tmp_path, 400, case_keys=in_topics)
    write_policy(tmp_path, triage={})
    base = {T: "1" * 400}
    even = compared(tmp_path, base, {T: "0" * 10 + "1" * 390}).verdicts[T]  # one in each topic
    assert (even.lower, even.effective) == (True, None)
    assert even.verdict == "held"

    row = "".join("0" if index % 10 == 3 and index < 100 else "1" for index in range(400))  # ten in one topic
    borne = compared(tmp_path, base, {T: row}).verdicts[T]
    assert borne.topics == "the tag `topic`"
    assert borne.effective < 100
    assert "The change differs between topics (by the tag `topic`), so the 400 cases count as" in borne.reason
    assert borne.interval[0] < even.interval[0]


def test_guards_held_together_count_for_fewer_cases_where_one_of_them_loses_by_topic(tmp_path):
    base = desk_of_four(tmp_path, n=100, keys=in_topics)
    rows = ["0" * 10 + "1" * 90, "".join("0" if index % 10 == 3 else "1" for index in range(100))]
    even, borne = (compared(tmp_path, base, base | {"desk/orders": row}).verdicts["desk/replies"] for row in rows)
    most = re.compile(r"may lose up to ([\d.]+)")
    assert float(most.search(borne.reason)[1]) > float(most.search(even.reason)[1]) + 1


def test_a_loss_of_one_topic_in_all_guards_counts_for_fewer_cases(tmp_path):
    base = desk_of_four(tmp_path, n=100, keys=in_topics, margin=0.06)
    units = ("desk/orders", "desk/replies", "desk/questions")
    rows = ["00" + "1" * 98, "".join("0" if index in (3, 13) else "1" for index in range(100))]
    even, borne = (
        compared(tmp_path, base, base | dict.fromkeys(units, row)).verdicts["desk/replies"].reason for row in rows
    )
    assert even.startswith("Held with 2 other guards")
    assert borne.startswith("Inconclusive: the 3 guards of its group lose 2.0 points on average")


def test_a_target_score_that_one_topic_misses_is_less_evidence(tmp_path):
    write_desk(tmp_path, 400, case_keys=in_topics)
    write_policy(tmp_path, triage={"role": "target", "target_score": 0.85})
    base = {T: "0" * 200 + "1" * 200}
    even = compared(tmp_path, base, {T: "0" * 40 + "1" * 360}, ("desk",)).verdicts[T]
    row = "".join("0" if index % 10 == 3 else "1" for index in range(400))
    borne = compared(tmp_path, base, {T: row}, ("desk",)).verdicts[T]
    assert (even.reached, borne.reached) == (True, False)
    assert borne.score_bound < 0.8 < even.score_bound


def test_a_gain_of_one_topic_is_less_evidence(tmp_path):
    write_desk(tmp_path, 400, case_keys=in_topics)
    write_policy(tmp_path, triage={"role": "target"})
    base = {T: "0" * 10 + "1" * 390}
    assert compared(tmp_path, base, {T: "1" * 400}, ("desk",)).verdicts[T].verdict == "improved"
    row = "".join("0" if index % 10 == 3 and index < 100 else "1" for index in range(400))
    assert compared(tmp_path, {T: row}, {T: "1" * 400}, ("desk",)).verdicts[T].verdict == "held"
