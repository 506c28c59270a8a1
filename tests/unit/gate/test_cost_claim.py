"""The claim "as good, at a fraction of the cost": its outcomes, and the sentences that a reader gets.

After a change that is meant: `make golden`, then read the file's diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.paths import GOLDEN as FOLDER
from tests.support.records import write_desk
from tests.unit.checks.test_cost import GOOD, PRICES, write_cost, write_task
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.gate import rule as gate
from tunegate.harness.gate.cost_claim import claims, p_lower
from tunegate.harness.models.api import Completion, Fingerprint
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.scoring import evaluate
from tunegate.harness.models.evaluation.verdict import Claim
from tunegate.harness.models.replay import Replay

GOLDEN = FOLDER / "claims.md"
N = 200
Tokens = Callable[[int], tuple[int | None, int | None]]


def few_shot(index: int) -> tuple[int, int]:
    """Long prompts, short answers."""
    return 480 + index % 60, 38 + index % 7


def zero_shot(index: int) -> tuple[int, int]:
    """Short prompts, short answers."""
    return 130 + index % 50, 37 + (3 * index) % 8


def alike(index: int) -> tuple[int, int]:
    """As few-shot, a little more here and a little less there."""
    return 480 + index % 60 + (-1) ** index * (index % 9), 38 + index % 7


def untold(index: int) -> tuple[int | None, int | None]:
    """Every tenth answer came without its counts."""
    return (None, None) if index % 10 == 0 else few_shot(index)


def rambling(index: int) -> tuple[int, int]:
    """Short prompts, long answers."""
    return 130 + index % 50, 400 + index % 90


Side = tuple[range, Tokens]  # which of the cases pass, and what each took
SCENARIOS: dict[str, dict[str, Any]] = {
    "Proved": {"few": (range(34), few_shot), "tuned": (range(51), zero_shot)},
    "Proved, with quality improved on a target": {
        "few": (range(34), few_shot), "tuned": (range(90), zero_shot), "role": "target",
    },
    "Proved by a price alone: a small model against a larger one": {
        "few": (range(190), few_shot), "tuned": (range(190), few_shot), "model": "large-0badcafe",
        "prices": {**PRICES, "models": {"large": {"input_per_million": 40, "output_per_million": 160, "reason": "x"}}},
    },
    "The same, where task.yaml gives the larger one no price": {
        "few": (range(190), few_shot), "tuned": (range(190), few_shot), "model": "large-0badcafe",
    },
    "Quality regressed": {"few": (range(150), few_shot), "tuned": (range(90), zero_shot)},
    "Quality inconclusive": {"few": (range(110), few_shot), "tuned": (range(12, 116), zero_shot), "margin": 0.05},
    "Cost not lower": {"few": (range(34), few_shot), "tuned": (range(51), alike)},
    "Cost higher": {"few": (range(34), few_shot), "tuned": (range(51), rambling)},
    "Token counts are missing from the costlier record": {"few": (range(34), untold), "tuned": (range(51), zero_shot)},
    "Token counts are missing from this run": {"few": (range(34), few_shot), "tuned": (range(51), untold)},
    "Another number of cases": {"few": (range(34), few_shot), "tuned": (range(51), zero_shot), "drop": 20},
    "An answer is missing": {"few": (range(34), few_shot), "tuned": (range(51), zero_shot), "silent": [3]},
}  # fmt: skip


@pytest.fixture(scope="module")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Judges a scenario and makes its claim."""

    def made(
        few: Side, tuned: Side, *, role: str = "guard", margin: float = 0.1, model: str = "tiny-12345678",
        prices: Any = PRICES, drop: int = 0, silent: tuple[int, ...] = (),
    ) -> dict[str, Any]:  # fmt: skip
        root = tmp_path_factory.mktemp("fixtures")
        write_desk(root, N)
        write_cost(root)
        write_task(root, prices, triage={"role": role, "margin": margin})
        tasks = load_tasks(root)

        def record(side: Side, model: str, silent: tuple[int, ...] = ()) -> Record:
            passing, tokens = side
            answers = {}
            for index in range(N):
                key = f"desk/triage/c{index:03}"
                output = None if index in silent else GOOD if index in passing else "no idea"
                answers[key, 0] = Completion(key, output, *tokens(index))
            fingerprint = Fingerprint({"model": model}, {}, {"model": model})
            return evaluate(tasks[0].units, Replay(answers, fingerprint), quiet())

        reference, candidate = record(few, model), record(tuned, "tiny-12345678", silent)
        if drop:
            gone = {f"desk/spend/c{index:03}" for index in range(drop)}
            reference = replace(
                reference, cases={key: case for key, case in reference.cases.items() if key not in gone}
            )
        judged = gate.compare(tasks, candidate, {"record": reference}, ["desk"])
        return claims(tasks, judged, reference)["desk/spend"]

    return made


@pytest.fixture(scope="module")
def claimed(claim: Callable[..., Claim]) -> dict[str, Claim]:
    """The claim of each scenario."""
    return {name: claim(**scenario) for name, scenario in SCENARIOS.items()}


@pytest.mark.golden
def test_the_sentences_are_those_of_the_golden_file(claimed):
    told = [f"## {name}\n\n- {found.reason}\n" for name, found in claimed.items()]
    found = "# What is said of quality and cost together\n\n" + "\n".join(told)
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_outcomes(claimed):
    for name, outcome in {
        "Proved": "proved",
        "Quality regressed": "quality regressed",
        "Quality inconclusive": "quality inconclusive",
        "Cost not lower": "cost not lower",
        "Cost higher": "cost not lower",
        "Token counts are missing from this run": "not comparable",
        "Another number of cases": "not comparable",
        "An answer is missing": "not comparable",
    }.items():
        assert claimed[name].outcome == outcome, name


@pytest.mark.parametrize(("role", "passing"), [("guard", 0), ("guard", 60), ("target", 0), ("target", 2)])
def test_a_quality_of_zero_that_cannot_fall_is_no_claim(claim, role, passing):
    found = claim((range(0), few_shot), (range(passing), zero_shot), role=role)
    assert found.outcome == "not comparable"
    assert found.reason.startswith("desk/triage: no claim: a quality of 0 % cannot fall (")


def test_a_gain_from_nothing_is_a_claim(claim):
    assert claim((range(0), few_shot), (range(60), zero_shot), role="target").outcome == "proved"


def test_the_numbers_are_means_of_a_call(claim):
    found = claim((range(34), lambda index: (1000, 100)), (range(51), lambda index: (100 + index % 2, 100)))
    assert found.before == pytest.approx(2000e-6)
    assert found.now == pytest.approx(1100.5e-6)
    assert found.ratio == pytest.approx(0.55025)
    low, high = found.interval
    assert low < 0.55025 < high
    assert found.currency == "USD"


@pytest.mark.parametrize("n", [60, 100, 200])
def test_calls_that_seldom_run_on_are_not_shown_to_be_cheaper(n):
    """A fifth shorter, but one call in a hundred runs on to 2,048 tokens: the mean rises by an eighth."""
    random, shown = np.random.default_rng(n), 0
    for _ in range(100):
        before = np.clip(np.rint(random.gamma(4, 16, n)), 1, 2048)
        after = np.where(random.random(n) < 0.01, 2048, np.rint(0.8 * before))
        shown += p_lower(before.tolist(), after.tolist(), 2048.0).p <= 0.04
    assert shown <= 5


def test_a_call_that_cannot_run_on_far_is_soon_shown_to_be_cheaper():
    before = [40.0 + case % 7 for case in range(60)]
    assert p_lower(before, [0.8 * each for each in before], 64.0).p < 0.01
    assert p_lower(before, [0.8 * each for each in before], 2048.0).p > 0.04


def test_the_room_is_what_the_candidate_may_cost_more(claim):
    """Half of a small price, but for outputs of up to 256 tokens: the dearer side's limit does not count."""
    prices = {**PRICES, "models": {"large": {"input_per_million": 40, "output_per_million": 160, "reason": "x"}}}
    cheap = claim((range(190), few_shot), (range(190), rambling), model="large-0badcafe", prices=prices)
    assert cheap.outcome == "proved"


def test_one_cheaper_case_proves_nothing(claim):
    found = claim((range(34), few_shot), (range(51), lambda index: few_shot(index) if index else (1, 1)))
    assert found.now < found.before
    assert found.outcome == "cost not lower"
