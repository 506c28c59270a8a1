"""What the results come to: a few lines, and the rules beside one another at their worst."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import gate_results as of
from benchmarks.gate_markdown import number, percent, table
from benchmarks.gate_results import Results, broken, claims, in_five, largest, show
from benchmarks.gate_rule import BOOTSTRAP, DROP, FLIP, OURS, Rates

ALSO = (of.MEAN_OR_SHARE, of.GRADED, of.PRICE, of.CROSSED, of.MINIMA, of.RAMBLING)
RULES = (OURS, DROP, FLIP, BOOTSTRAP)
HEAD = (
    "the worst over all cells, in %",
    "held at -margin, pass/fail",
    "held at -margin, continuous",
    "regressed without a change, one suite",
    "any of five",
    "not released without a change, one suite",
    "drop of 2 margins released",
    "drop of 2 margins called regressed, at least",
)


def findings(results: Results) -> list[str]:
    """The largest error rates, and what stands behind them."""
    found, wrong = claims(results), broken(results)
    most = {what: str(largest(found, what)) for what in dict.fromkeys(each.what for each in found)}
    unseen = max((each for each in results.tails if not each.broken and each.mean <= -1), key=lambda each: each.held)
    least_held = min(each.held / each.held_bound for each in results.powers)
    least_improved = min(each.improved / each.improved_bound for each in results.powers)
    lost = max((each for each in results.scores if each.cell.change == -1), key=lambda each: each.raw_held)
    return [
        f"Promised, at most 5 %: {of.REGRESSED}. Found, at most {most[of.REGRESSED]}; of continuous scores "
        f"{most[of.REGRESSED_SCORES]}; {of.SLICES} {most[of.SLICES]}; {of.TWICE} {most[of.TWICE]}.",
        f"Promised, at most 5 %: {of.HELD}. Found, at most {most[of.HELD]}; of continuous scores "
        f"{most[of.HELD_SCORES]}.",
        f"Beside them, {of.IMPROVED}: at most {most[of.IMPROVED]}.",
        *(f"{what[0].upper()}{what[1:]}: at most {most[what]}." for what in ALSO),
        f"The shipped gate evaluated {results.worlds:,} whole worlds, from records to the decision, and each verdict, "
        "fallen slice and decision was the one counted here.",
        "Promises broken: " + ("; ".join(f"{each.what}, {each}" for each in wrong) if wrong else "none") + ".",
        "A limit: a continuous score counts up to ten margins a case. Before that, a true change of "
        f"-margin was held {percent(lost.raw_held)} of the time at worst ({lost.shape}, {show(lost.cell)}, where "
        f"{percent(lost.met)} of the cases were winsorised); and where none of its promises is broken "
        f"{percent(unseen.held)} ({unseen.law}, n = {unseen.n}, `collapse: {unseen.collapse:g}`).",
        f"Pass/fail beside the best test of 5 % that there can be: held at least {least_held:.2f} times as often, "
        f"improved {least_improved:.2f} times.",
    ]


def at_a_glance(results: Results) -> str:
    """Each rule at its worst; the rivals judge each suite alone."""
    return table(HEAD, [_worst(results, rule) for rule in RULES])


def _worst(results: Results, rule: str) -> list[str]:
    still, lost, fell = (_at(results, rule, change) for change in (0, -1, -2))
    family = [in_five(each.regressed) for each in still]
    if rule == OURS:
        family = [each.five.false_regressed for each in results.passfail if each.cell.change == 0]
    return [
        rule,
        _most(each.holds for each in lost),
        _most(_held_scores(results, rule)),
        _most(each.regressed for each in still),
        _most(family),
        _most(1 - each.holds for each in still),
        _most(each.holds for each in fell),
        number(min(each.regressed for each in fell)),
    ]


def _at(results: Results, rule: str, change: float) -> list[Rates]:
    return [each.alone[rule] for each in results.passfail if each.cell.change == change]


def _held_scores(results: Results, rule: str) -> list[float]:
    cells = [each for each in results.scores if each.cell.change == -1]
    if rule == OURS:
        return [each.held for each in cells]
    return [each.rivals[rule].holds for each in cells if rule in each.rivals]


def _most(rates: Iterable[float]) -> str:
    found = list(rates)
    return number(max(found)) if found else "-"
