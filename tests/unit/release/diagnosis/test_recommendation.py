from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import record, units_of, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.history.baselines.diagnosed import LARGER, RungResult
from tunegate.harness.release.diagnosis.recommendation import GOAL, advice, remedy, rungs


def step(rung, mean, tokens=100.0, better=None, form=None):
    gain = mean - 0.1
    moved = better if better is not None else mean >= 0.3
    return RungResult(rung, 40, mean, mean if form is None else form, tokens, gain, (gain - 0.1, gain + 0.1), moved)


LOW = RungResult("as-is", 40, 0.1, 0.1, 100.0)
FORMED = RungResult("as-is", 40, 0.1, 0.95, 100.0)  # the form is right, the content is not


@pytest.mark.parametrize(
    ("rungs", "knowledge", "chosen", "says"),
    [
        ([step("as-is", 0.95)], False, "none needed", "Nothing to do: 95.0 % pass as-is, and the goal is 90.0 %."),
        (
            [LOW, step("few-shot", 0.12, 250, form=0.9)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy helps significantly (10.0 % as-is), and form is missing "
            "(a prompt with worked examples brings it from 10.0 % to 90.0 % for 2.5 times the tokens per call).",
        ),
        (
            [LOW, step("few-shot", 0.95, 150)], False, "prompt",
            "Prompt: a prompt with worked examples takes it from 10.0 % to 95.0 % "
            "(+85.0 [+75.0, +95.0] points) for 1.5 times the tokens per call.",
        ),
        (
            [LOW, step("few-shot", 0.95, 500), step("steps", 0.97, 900)], False, "fine-tune for cost",
            "Fine-tune for cost: a prompt with worked examples takes it from 10.0 % to 95.0 % "
            "(+85.0 [+75.0, +95.0] points) for 5.0 times the tokens per call; a tuned model does not need it.",
        ),
        (
            [LOW, step("few-shot", 0.4, 500)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy closes the gap (a prompt with worked examples takes it "
            "from 10.0 % to 40.0 % (+30.0 [+20.0, +40.0] points) for 5.0 times the tokens per call), and form is "
            "missing.",
        ),
        (
            [LOW, step("few-shot", 0.12)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy helps significantly (10.0 % as-is), and form is missing.",
        ),
        (
            [LOW, step("few-shot", 0.2, better=False), step("context", 0.92, 180)], True, "retrieval",
            "Retrieval: a prompt with the passage takes it from 10.0 % to 92.0 % (+82.0 [+72.0, +92.0] points) "
            "for 1.8 times the tokens per call; fine-tuning teaches no facts.",
        ),
        (
            [LOW, step("optimised", 0.95, 150), step("few-shot", 0.97, 500)], False, "prompt",
            "Prompt: an optimised prompt takes it from 10.0 % to 95.0 % (+85.0 [+75.0, +95.0] points) for 1.5 times "
            "the tokens per call.",
        ),
        ([LOW, step("optimised", 0.95, 500)], False, "fine-tune for cost", "Fine-tune for cost: an optimised prompt"),
        # a long prompt comes after worked examples that take fewer tokens
        ([LOW, step("optimised", 0.95, 500), step("few-shot", 0.97, 150)], False, "prompt",
         "Prompt: a prompt with worked examples takes it"),
        (
            [LOW, step("optimised", 0.4, 150)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy closes the gap (an optimised prompt takes it from 10.0 % to "
            "40.0 %",
        ),
        ([LOW, step("few-shot", 0.3), step("context", 0.6)], True, "retrieval", "Retrieval: a prompt with the passage"),
        ([LOW, step("context", 0.6)], False, "retrieval", "Retrieval: a prompt with the passage"),
        ([LOW, step("few-shot", 0.95, 500)], True, "prompt", "Prompt: a prompt with worked examples"),
        ([LOW, step("few-shot", 0.95), step("context", 0.99)], True, "prompt", "Prompt: a prompt with worked examples"),
        (
            [LOW, step("steps", 0.91, 400)], True, "reasoning",
            "Let it think: thinking step by step takes it from 10.0 % to 91.0 % (+81.0 [+71.0, +91.0] points) "
            "for 4.0 times the tokens per call; fine-tuning teaches no reasoning.",
        ),
        ([FORMED, step("steps", 0.5, form=0.95)], False, "reasoning", "Let it think: "),
        ([LOW, step("steps", 0.5)], False, "fine-tune for quality", "Fine-tune for quality: no prompting strategy"),
        ([LOW, step(LARGER, 0.95)], True, "larger model", "A larger model: the larger model takes it from 10.0 %"),
        ([LOW, step(LARGER, 0.95)], False, "fine-tune for cost", "Fine-tune for cost: the larger model takes it"),
        (
            [LOW, step("steps", 0.15)], True, "none found",
            "No remedy found: no prompting strategy helps significantly (10.0 % as-is); fine-tuning teaches neither "
            "facts nor reasoning, so try a larger model (--larger).",
        ),
        ([FORMED, step("few-shot", 0.12, form=0.95)], False, "none found", "No remedy found: no prompting strategy"),
        (
            [LOW, step("constrained", 0.95, 98)], False, "constrained decoding",
            "Constrained decoding: constrained decoding takes it from 10.0 % to 95.0 % (+85.0 [+75.0, +95.0] points) "
            "for 1.0 times the tokens per call; only form is missing, which needs no fine-tuning.",
        ),
        (
            [LOW, step("constrained", 0.12, 98, form=1.0), step("few-shot", 0.2, 250, better=False)], False,
            "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy helps significantly (10.0 % as-is); constrained decoding by "
            "itself brings the form from 10.0 % to 100.0 % for 1.0 times the tokens per call, so tuning is for "
            "correctness, not for form.",
        ),
        (
            [LOW, step("constrained", 0.4, form=1.0)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy closes the gap (constrained decoding takes it from 10.0 % to "
            "40.0 % (+30.0 [+20.0, +40.0] points) for 1.0 times the tokens per call); constrained decoding by itself "
            "brings the form",
        ),
        (
            [LOW, step("constrained", 0.12, form=0.8)], False, "fine-tune for quality",
            "Fine-tune for quality: no prompting strategy helps significantly (10.0 % as-is), and form is missing "
            "(constrained decoding brings it from 10.0 % to 80.0 % for 1.0 times the tokens per call).",
        ),
        (
            [LOW, step("constrained", 0.12, form=1.0), step("few-shot-constrained", 0.95, 150)], False, "prompt",
            "Prompt: constrained decoding of a prompt with worked examples takes it from 10.0 % to 95.0 %",
        ),
        (
            [LOW, step("constrained", 0.12, form=1.0), step("few-shot-constrained", 0.95, 500)], False,
            "fine-tune for cost",
            "Fine-tune for cost: constrained decoding of a prompt with worked examples takes it from 10.0 %",
        ),
        # once the form is there, thinking that helps is no matter of form
        ([LOW, step("constrained", 0.12, form=1.0), step("steps", 0.5)], False, "reasoning", "Let it think: "),
        ([LOW, step("constrained", 0.12, form=1.0), step(LARGER, 0.95)], False, "larger model", "A larger model: "),
        ([FORMED, step("constrained", 0.12, form=1.0)], False, "none found", "No remedy found: no prompting strategy"),
    ],
)  # fmt: skip
def test_the_remedy_and_its_sentence(rungs, knowledge, chosen, says):
    assert remedy(rungs, GOAL, knowledge) == chosen
    assert advice(chosen, rungs, GOAL).startswith(says)


def test_thinking_that_was_cut_off_is_told_where_no_remedy_was_found():
    whole, cut = ([LOW, replace(step("steps", 0.15), cut=cut)] for cut in (3, 4))

    assert "cut off" not in advice("none found", whole, GOAL)
    assert advice("none found", cut, GOAL).endswith(
        "so try a larger model (--larger). But 4 of 40 step-by-step outputs were truncated: raise `generate: "
        "max_new_tokens`, which is already multiplied by 4 for them."
    )


def test_where_tokens_are_not_known_no_cost_is_told():
    rungs = [RungResult("as-is", 40, 0.1, 0.1, None), step("few-shot", 0.95, None)]
    assert remedy(rungs, GOAL, knowledge=False) == "prompt"
    assert advice("prompt", rungs, GOAL).endswith("points).")


def test_answers_that_were_cut_are_counted_on_each_rung(tmp_path):
    write_desk(tmp_path, 4)
    tasks = load_tasks(tmp_path)
    whole = record(tasks, {"desk/triage": "0001"})
    key, result = next(iter(whole.cases.items()))
    cut = replace(whole, cases={**whole.cases, key: replace(result, finish="length")})

    first, thought = rungs(units_of(tasks)["desk/triage"], {"as-is": whole, "steps": cut})

    assert (first.cut, thought.cut) == (0, 1)


def test_steps_are_paired_and_beyond_chance_only_then_better(tmp_path):
    write_desk(tmp_path, 40)
    tasks = load_tasks(tmp_path)
    unit = units_of(tasks)["desk/triage"]
    records = {
        "as-is": record(tasks, {"desk/triage": "0" * 36 + "1" * 4}),
        "few-shot": record(tasks, {"desk/triage": "1" * 20 + "0" * 16 + "1" * 4}),
        "steps": record(tasks, {"desk/triage": "1" + "0" * 35 + "1" * 3 + "0"}),
    }

    first, few, thought = rungs(unit, records)

    assert (first.mean, first.interval, first.better) == (0.1, None, False)
    assert (few.mean, few.gain, few.better) == (0.6, 0.5, True)
    assert few.interval[0] == pytest.approx(0.342, abs=0.01)  # Tango's for 20 fixed, none broken, of 40
    assert (thought.gain, thought.better) == (0.0, False)


def test_an_unscored_case_ends_the_diagnosis(tmp_path):
    write_desk(tmp_path, 3)
    tasks = load_tasks(tmp_path)
    records = {"as-is": record(tasks, {"desk/triage": "000"}), "steps": record(tasks, {"desk/triage": "0-0"})}
    with pytest.raises(CouldNotRun, match="desk/triage, strategy steps: the run has no score for"):
        rungs(units_of(tasks)["desk/triage"], records)
