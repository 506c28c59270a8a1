"""Other gates, each asked by its own interface, and rules from textbooks: whether a table of flips is released.

A table is n cases, of which some regressed and some were fixed. The tools keep their defaults but for the margin.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.stats import binomtest

from benchmarks.frame import ROOT
from benchmarks.gate_passfail import row
from benchmarks.gate_rule import MARGIN, bootstrap
from tunegate.harness.gate.families import LEVEL, SEED
from tunegate.harness.statistics import paired as stats

Answer = Literal["released", "blocked", "undecided"]
Rule = Callable[[int, int, int], Answer]

TOOLS = {
    "statgate": "0.1.1",
    "regressgate": "0.1.0",
    "llm-evalgate": "0.6.0",
    "adaptergate": "0.5.4",
    "evalsig": "0.1.2",
}
PLACE = ROOT / ".tunegate" / "rivals"
BETS = np.linspace(0.02, 0.98, 25)  # of the e-process, mixed alike
WEALTH = 20  # 1 / .05


def fetch() -> None:
    """Put the tools where they can be imported from, and nowhere else; what they need is installed already."""
    named = [f"{name}=={version}" for name, version in TOOLS.items()]
    if not (PLACE / "evalsig").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PLACE), *named]
        subprocess.run(pip, check=True)
    if str(PLACE) not in sys.path:
        sys.path.append(str(PLACE))


def tunegate(n: int, regressed: int, fixed: int) -> Answer:
    """A guard alone, beside one reference."""
    d = row(n, regressed, fixed)
    if stats.held(d, MARGIN, LEVEL):
        return "released"
    return "blocked" if stats.p_worse(d, seed=SEED).p <= LEVEL else "undecided"


def _sides(n: int, regressed: int, fixed: int) -> tuple[list[bool], list[bool]]:
    """What the base and the candidate pass: four in five of what does not flip."""
    still = n - regressed - fixed
    passing = round(0.8 * still)
    steady = [True] * passing + [False] * (still - passing)
    return [True] * regressed + [False] * fixed + steady, [False] * regressed + [True] * fixed + steady


def statgate(n: int, regressed: int, fixed: int) -> Answer:
    """Ships if a BCa interval lies above -margin, blocks if it lies below it."""
    from statgate.config import GateSettings
    from statgate.records import EvalRecord
    from statgate.verdict import evaluate_gate

    before, after = ([EvalRecord(case_id=f"c{i}", passed=each) for i, each in enumerate(side)]
                     for side in _sides(n, regressed, fixed))  # fmt: skip
    found = evaluate_gate(before, after, GateSettings(margin=MARGIN, seed=SEED)).verdict.value
    return {"SHIP": "released", "BLOCK": "blocked"}.get(found, "undecided")  # type: ignore[return-value]


def regressgate(n: int, regressed: int, fixed: int) -> Answer:
    """Blocks a drop beyond the margin that a permutation test calls significant; a warning passes."""
    from regressgate.gate import GateConfig, compare_reports
    from regressgate.run_report import CaseResult, RunReport, Trial

    def report(side: list[bool]) -> Any:
        cases = [CaseResult(id=f"c{i}", trials=[Trial(passed=each, latency_s=0)]) for i, each in enumerate(side)]
        about = {"regressgate_version": "", "created_at": "", "target": "", "repeats": 1}
        return RunReport.model_construct(**about, cases=cases)

    before, after = map(report, _sides(n, regressed, fixed))
    return "blocked" if compare_reports(before, after, GateConfig(margin=MARGIN)).failed else "released"


def llm_evalgate(n: int, regressed: int, fixed: int) -> Answer:
    """Blocks a drop beyond the threshold that a bootstrap calls significant; a warning passes."""
    from llm_evalgate.bench.gate import RegressionGate
    from llm_evalgate.bench.runner import BenchmarkResult

    before, after = (
        BenchmarkResult(predicted=side, labels=[True] * n, metrics={}, n=n, dataset_fingerprint="same")
        for side in _sides(n, regressed, fixed)
    )
    gate = RegressionGate(metrics=("accuracy",), threshold=MARGIN)
    return "released" if gate.check(after, before).passed else "blocked"


def adaptergate(n: int, regressed: int, fixed: int) -> Answer:
    """Accepts if the observed drop is at most epsilon."""
    from adaptergate.gating.regression_gate import GateConfig, RegressionGate

    sides = dict(zip(("before", "after"), _sides(n, regressed, fixed), strict=True))
    found = RegressionGate(GateConfig(epsilon=MARGIN)).evaluate(
        tenant_id="", candidate_id="after", baseline_id="before", holdout=[{"id": i} for i in range(n)],
        scorer=lambda adapter, query: float(sides[adapter][query["id"]]),
    )  # fmt: skip
    return "released" if found.accepted else "blocked"


def evalsig(n: int, regressed: int, fixed: int) -> Answer:
    """Allows what is significantly better: it asks for a gain, and knows no margin."""
    from evalsig.compare.gate import gate
    from evalsig.types import ItemResult, RunFrame

    before, after = (
        RunFrame("", "", "", "", [ItemResult(f"c{i}", float(each)) for i, each in enumerate(side)])
        for side in _sides(n, regressed, fixed)
    )
    found = gate(before, after, min_delta=MARGIN).verdict.value
    return {"ALLOW": "released", "REJECT": "blocked"}.get(found, "undecided")  # type: ignore[return-value]


def mcnemar(n: int, regressed: int, fixed: int) -> Answer:  # noqa: ARG001
    """Blocks if McNemar's exact test is significant for worse, one-sided .05; else releases."""
    flips = regressed + fixed
    worse = flips and binomtest(regressed, flips, alternative="greater").pvalue <= 0.05
    return "blocked" if worse else "released"


def bootstrapped(n: int, regressed: int, fixed: int) -> Answer:
    """The percentile bootstrap: a one-sided .05 bound above -margin releases, one below 0 blocks."""
    return {"held": "released", "regressed": "blocked"}.get(bootstrap(regressed, fixed, n), "undecided")  # type: ignore[return-value]


def tango(n: int, regressed: int, fixed: int) -> Answer:
    """Tango's interval at one-sided .05: above -margin releases, below 0 blocks."""
    d = row(n, regressed, fixed)
    bounds = stats.interval(d, 0.1)
    if bounds.lower > -MARGIN:
        return "released"
    return "blocked" if bounds.upper < 0 else "undecided"


def e_process(n: int, regressed: int, fixed: int) -> Answer:
    """Bets against a loss of the margin and against no loss; valid at any time, so that one may look at each case."""
    still = n - regressed - fixed

    def wealth(shift: float) -> float:
        """What bets on changes above -shift come to, mixed alike."""
        gains = [(1 + bet * (change + shift) / (1 - shift)) for bet in BETS for change in (-1, 0, 1)]
        logs = np.log(np.array(gains).reshape(-1, 3)) @ np.array([regressed, still, fixed])
        return float(np.exp(logs).mean())

    if wealth(MARGIN) >= WEALTH:
        return "released"
    against = np.exp(np.log1p(BETS) * regressed + np.log1p(-BETS) * fixed).mean()
    return "blocked" if against >= WEALTH else "undecided"


RULES: dict[str, Rule] = {
    "Tunegate": tunegate,
    "statgate": statgate,
    "regressgate": regressgate,
    "llm-evalgate": llm_evalgate,
    "adaptergate": adaptergate,
    "evalsig (asks for a gain)": evalsig,
    "McNemar, exact": mcnemar,
    "percentile bootstrap": bootstrapped,
    "Tango at .05": tango,
    "e-process": e_process,
}
