"""The cost suite: a unit that is derived from another one and prices its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import save
from tests.support.units import write_unit
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.checks.cost import Call, CostCheck, Price, Prices
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.replay import Replay

PRICES = {"currency": "USD", "input_per_million": 1, "output_per_million": 10, "reason": "a test"}
LARGE = {"large": {"input_per_million": 100, "output_per_million": 1000, "reason": "a test"}}
GOOD = '{"product": "boiler"}'


def write_cost(root: Path, name: str = "spend", task: str = "desk", **more: Any) -> Path:
    path = root / task / f"{name}.yaml"
    path.write_text(json.dumps({"version": 1, "suite": "cost", "unit": name, "of": "triage"} | more, indent=0))
    return path


def write_task(root: Path, prices: Any = PRICES, **units: Any) -> Path:
    declared = {name: {"role": "guard", "reason": "a test"} | unit for name, unit in ({"triage": {}} | units).items()}
    data = {"version": 1, "units": declared}
    data |= {"prices": prices} if prices else {}
    path = root / "desk" / "task.yaml"
    path.write_text(json.dumps(data, indent=0))
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Two triage cases and a cost file over them."""
    root = tmp_path / "fixtures"
    write_unit(root, ["a", "b"])
    write_task(root)
    write_cost(root)
    return root


def mistakes(root: Path) -> list[str]:
    with pytest.raises(AuthoringError) as caught:
        load_tasks(root)
    return [str(problem) for problem in caught.value.problems]


def judged(root: Path, answers: dict[str, Completion], model: str = "tiny-12345678", repeats: int = 1) -> Record:
    units = [unit for task in load_tasks(root) for unit in task.units]
    given = {(answer.key, answer.repeat): answer for answer in answers.values()}
    return evaluate(units, Replay(given, Fingerprint({"model": model}, {}, {"model": model})), quiet(), repeats)


def answer(case: str, tokens_in: int | None, tokens_out: int | None, repeat: int = 0) -> Completion:
    return Completion(f"desk/triage/{case}", GOOD, tokens_in, tokens_out, repeat=repeat)


# --- the price


def test_a_call_scores_minus_its_price():
    check = CostCheck(Prices("USD", Price(1.0, 10.0)))
    assert check(Call("m", 1_000_000, 0), None, "").score == -1
    assert check(Call("m", 1000, 100), None, "").score == pytest.approx(-0.002)
    assert check(Call("m", 0, 0), None, "").score == 0


def test_a_model_may_have_a_price_of_its_own():
    for model, rate in [("large", 100), ("large-0123abcd", 100), ("small", 1), ("large-v2", 1)]:
        prices = Prices("USD", Price(1.0, 10.0), {"large": Price(100.0, 1000.0)})
        assert prices.of(model).input_per_million == rate


def test_an_entry_may_name_one_models_weights():
    prices = Prices("USD", Price(1.0, 10.0), {"large-0123abcd": Price(100.0, 1000.0)})
    assert prices.of("large-0123abcd").input_per_million == 100
    assert prices.of("large-99999999").input_per_million == 1


# --- reading cost files


def test_a_cost_unit_has_its_sources_cases_and_asks_nothing(desk):
    unit = find_unit(load_tasks(desk), "desk/spend")
    assert [case.key for case in unit.cases] == ["desk/spend/a", "desk/spend/b"]
    assert (unit.kind, unit.of, unit.suite) == ("continuous", "desk/triage", "cost")
    assert unit.cases[0].place.endswith("spend.yaml:5")


def test_its_name_is_cost_where_none_is_given(tmp_path):
    write_unit(tmp_path, ["a"])
    write_task(tmp_path)
    (tmp_path / "desk" / "price.yaml").write_text("version: 1\nsuite: cost\nof: triage\n")
    assert find_unit(load_tasks(tmp_path), "desk/cost").of == "desk/triage"


def test_critical_cases_and_expectations_stay_with_the_source(tmp_path):
    cases = [{"id": "a", "input": "x", "expect": {"product": "boiler"}, "critical": True, "tags": {"by": "mail"}}]
    write_unit(tmp_path, ["a"], cases=cases)
    write_task(tmp_path)
    write_cost(tmp_path)
    (case,) = find_unit(load_tasks(tmp_path), "desk/spend").cases
    assert (case.critical, case.expect, dict(case.tags)) == (False, None, {"by": "mail"})


def test_a_cost_unit_is_sealed_with_its_source(tmp_path):
    write_unit(tmp_path, ["a"], sealed=True)
    write_task(tmp_path)
    write_cost(tmp_path)
    assert find_unit(load_tasks(tmp_path), "desk/spend").sealed


def test_an_unknown_unit_is_told_with_the_one_that_was_meant(desk):
    path = write_cost(desk, of="triagee")
    (problem,) = mistakes(desk)
    assert problem.startswith(f"{path}:5: of: expected a unit of this task")
    assert "found 'triagee'; did you mean 'triage'?" in problem


def test_a_cost_unit_cannot_be_derived_from_a_cost_unit(desk):
    write_cost(desk, "more", of="spend")
    (problem,) = mistakes(desk)
    assert "more.yaml:5: of: expected a unit of this task that generates (triage)" in problem
    assert "'spend', which is itself derived from another unit" in problem


def test_a_cost_unit_cannot_be_derived_from_likelihoods(desk):
    passages = {"version": 1, "suite": "retention", "unit": "fog", "check": {"measure": "passages"}}
    (desk / "desk" / "fog.yaml").write_text(json.dumps({**passages, "cases": [{"id": "a", "input": "Fog lay."}]}))
    write_cost(desk, of="fog")
    (problem,) = mistakes(desk)
    assert "'fog', which measures likelihoods and generates nothing" in problem


def test_prices_are_needed_and_asked_for_in_task_yaml(desk):
    path = write_task(desk, prices=None)
    (problem,) = mistakes(desk)
    assert problem.startswith(
        f"{path}:1: prices: expected prices, which {desk}/desk/spend.yaml needs, found none; write"
    )
    path.unlink()
    (problem,) = mistakes(desk)
    assert "task.yaml:1: prices: expected prices" in problem
    assert "found no such file" in problem


def test_mistakes_in_prices_are_told(desk):
    for prices, told in [
        ({**PRICES, "currency": "dollars"}, "prices.currency: expected a currency as three capital letters"),
        ({**PRICES, "input_per_million": -1}, "prices.input_per_million: expected a price from 0"),
        ({key: PRICES[key] for key in PRICES if key != "reason"}, "prices: expected the key 'reason'"),
        ({**PRICES, "models": {"large": {"input_per_million": 1, "reason": "x"}}}, "the key 'output_per_million'"),
        ({**PRICES, "output_per_milion": 3}, "did you mean 'output_per_million'?"),
    ]:
        write_task(desk, prices)
        found = mistakes(desk)
        assert any(told in problem for problem in found)
        assert not any("which" in problem and "needs" in problem for problem in found)


def test_keys_that_would_mean_nothing_in_a_cost_file_are_refused(desk):
    for key in ["cases", "prompt", "check", "generate", "shots", "sealed"]:
        values = {"cases": [{"id": "a", "input": "x"}], "shots": [], "sealed": True}
        write_cost(desk, **{key: values.get(key, {})})
        assert any(
            f"spend.yaml:6: {key}: expected no {key}, which cost does not read" in each for each in mistakes(desk)
        )


def test_of_means_nothing_elsewhere(tmp_path):
    write_unit(tmp_path, ["a"], of="triage")
    (problem,) = mistakes(tmp_path)
    assert "of: expected no of, which schema does not read" in problem


def test_of_is_needed(desk):
    (desk / "desk" / "spend.yaml").write_text("version: 1\nsuite: cost\n")
    (problem,) = mistakes(desk)
    assert "expected the key 'of', found only version, suite; add it: for suite cost, in place of cases" in problem


def test_two_cost_files_need_two_units(desk):
    write_unit(desk, ["a"], "orders")
    path = desk / "desk" / "spend2.yaml"
    path.write_text("version: 1\nsuite: cost\nunit: spend\nof: orders\n")
    (problem,) = mistakes(desk)
    assert problem.startswith(f"{path}:3: unit: expected one file for a derived unit")
    assert problem.endswith("give this file a unit: of its own")


def test_a_broken_source_is_told_alone(desk):
    (desk / "desk" / "triage.yaml").write_text("version: 1\nsuite: schema\nunit: [\n")
    assert all("triage.yaml" in problem.split(": expected")[0] for problem in mistakes(desk))


# --- what is asked


def questions(root: Path) -> dict[str, str]:
    return find_unit(load_tasks(root), "desk/spend").questions


def test_a_changed_price_is_a_changed_question(desk):
    before = questions(desk)
    write_task(desk, {**PRICES, "output_per_million": 9.5})
    after = questions(desk)
    assert {part for part in before if before[part] != after[part]} == {"prices"}
    write_task(desk, {**PRICES, "models": LARGE})
    assert questions(desk)["prices"] != before["prices"]


def test_a_reason_and_another_way_to_write_a_price_are_none(desk):
    before = questions(desk)
    write_task(desk, {**PRICES, "reason": "another", "input_per_million": 1.0})
    assert questions(desk) == before


def test_the_source_is_asked_what_it_was_whatever_the_price(desk):
    source = find_unit(load_tasks(desk), "desk/triage").questions
    write_task(desk, {**PRICES, "output_per_million": 9.5})
    assert find_unit(load_tasks(desk), "desk/triage").questions == source


# --- judging


def test_each_answer_is_priced(desk):
    record = judged(desk, {"a": answer("a", 100, 10), "b": answer("b", 50, 0)})
    assert record.cases["desk/spend/a"].score == pytest.approx(-200e-6)
    assert record.cases["desk/spend/b"].score == pytest.approx(-50e-6)
    assert record.cases["desk/spend/a"].passed is None
    assert record.cases["desk/spend/a"].output is None
    assert record.units["desk/spend"].tokens == (75, 5)
    assert record.units["desk/spend"].mean == pytest.approx(-125e-6)


def test_the_model_that_answered_decides_the_price(desk):
    write_task(desk, {**PRICES, "models": LARGE})
    record = judged(desk, {"a": answer("a", 100, 10), "b": answer("b", 50, 0)}, model="large-01234567")
    assert record.cases["desk/spend/a"].score == pytest.approx(-20_000e-6)


@pytest.mark.parametrize(
    ("tokens", "told"), [((None, 3), "no price: tokens_in missing"), ((3, None), "tokens_out missing"),
                         ((None, None), "tokens_in and tokens_out missing")],
)  # fmt: skip
def test_an_answer_without_its_tokens_is_unscored(desk, tokens, told):
    record = judged(desk, {"a": answer("a", *tokens), "b": answer("b", 1, 1)})
    result = record.cases["desk/spend/a"]
    assert result.score is None
    assert told in result.findings[0].message
    assert record.cases["desk/triage/a"].score == 1
    assert record.units["desk/spend"].unscored == 1


def test_no_answer_has_no_price(desk):
    record = judged(desk, {"b": answer("b", 1, 1)})
    assert record.cases["desk/spend/a"].score is None
    assert "no output" in record.cases["desk/spend/a"].findings[0].message


def test_repeats_are_priced_one_by_one(tmp_path):
    write_unit(tmp_path, ["a"], generate={"temperature": 0.5})
    write_task(tmp_path)
    write_cost(tmp_path)
    given = {str(each): answer("a", 0, 10 * each, each) for each in range(3)}
    result = judged(tmp_path, given, repeats=3).cases["desk/spend/a"]
    assert [each.score for each in result.repeats] == pytest.approx([0, -100e-6, -200e-6])
    assert result.score == pytest.approx(-100e-6)


def test_scored_again_a_record_scores_the_same(desk):
    from tunegate.harness.models.evaluation.record import results_of

    first = judged(desk, {"a": answer("a", 100, 10), "b": answer("b", 50, 0)})
    again = judged(desk, {f"{key}{n}": each.as_completion(key, n) for key, n, each in results_of(first)})
    assert again.cases == first.cases


# --- baselines


def recorded(root: Path, at: Path, tokens_out: int) -> str:
    """The line that recording a run of two cases gives for the cost unit."""
    tasks = load_tasks(root)
    made = judged(root, {case: answer(case, 100, tokens_out) for case in ("a", "b")})
    policies = {key: policy for task in tasks for key, policy in task.policies.items()}
    made = replace(made, policies=policies)
    return save(at, made, [find_unit(tasks, "desk/spend")])[0]


def test_a_lower_price_is_told_as_a_loosened_rule(desk, tmp_path):
    recorded(desk, tmp_path / "baselines", 10)
    write_task(desk, {**PRICES, "output_per_million": 1})
    line = recorded(desk, tmp_path / "baselines", 10)
    assert "loosened rules: the same output now scores higher in a, b" in line
    assert "other prices" in line


def test_fewer_tokens_are_no_loosened_rule(desk, tmp_path):
    recorded(desk, tmp_path / "baselines", 10)
    line = recorded(desk, tmp_path / "baselines", 5)
    assert "rules" not in line
    assert "mean -0.0002 -> -0.00015" in line


def test_a_baseline_of_costs_serves_no_answers(desk, tmp_path):
    recorded(desk, tmp_path / "baselines", 10)
    assert read_baseline(tmp_path / "baselines/tiny-12345678/desk/spend.json", "desk/spend").completions == {}
