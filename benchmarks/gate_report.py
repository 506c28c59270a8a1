"""The results in Markdown: the findings first, then the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from benchmarks.gate_findings import RULES, at_a_glance, findings
from benchmarks.gate_markdown import Key, by_size, key, number, percent, side_by_side, table
from benchmarks.gate_passfail import CHANGES, NEGLIGIBLE, Cell, PassFail
from benchmarks.gate_results import Results, in_five
from benchmarks.gate_rule import MARGIN, OURS, RIVALS_OF_SCORES, standard_error
from benchmarks.gate_scores import ANY_COLLAPSE, Scores
from benchmarks.gate_sections import sections
from benchmarks.gate_slices import TOTAL

NAMES = {0.0: "no change", -0.5: "-margin/2", -1.0: "-margin", -2.0: "-2 margins"}
Shown = tuple[Cell, float, float]  # a cell, its regressed and its held


def report(results: Results, about: Sequence[str]) -> str:
    """The whole report; `about` says with what, where and when it was made."""
    parts = [
        "# The gate: how often its verdicts are right",
        "\n".join(f"- {line}" for line in findings(results)),
        at_a_glance(results),
        *about,
        *_passfail(results),
        *_rivals(results),
        *_slices(results),
        *_references(results),
        *_scores(results),
        *sections(results),
        *_rivals_in_full(results),
    ]
    return "\n\n".join(parts) + "\n"


def _passfail(results: Results) -> list[str]:
    cells = results.passfail
    draws, last = cells[0].five.draws, max(each.left_out for each in cells)
    more = {
        key(each.cell): [number(each.five.false_regressed), number(in_five(1 - each.alone[OURS].holds))]
        for each in cells
        if _still(each)
    }
    for where, row in more.items():
        row.append(side_by_side(*(gain.improved for gain in results.gains if key(gain.cell) == where)))
    return [
        "## Pass/fail",
        f"Five suites of n cases, margin {100 * MARGIN:g} points; one of them changed, the other four did not. "
        "Regressed/held/inconclusive of the changed one, in %; held counts improved. Held and improved are exact, over "
        f"every table of regressed and fixed cases until less than {NEGLIGIBLE:g} of the mass is left (at most "
        f"{last:.1e} was); regressed depends on the other suites and comes of {draws:,} seeded families (standard "
        f"error at most {percent(standard_error(0.5, draws))}).",
        _verdicts(
            [(each.cell, each.five.regressed, each.alone[OURS].holds) for each in cells],
            ["any regressed, no change", "any not held, no change", "improved at 0 / +1 / +2 margins"],
            more,
        ),
        "*Any regressed* is the family-wise false alarm of five unchanged suites. *Any not held* is how often such a "
        "family is not released, because its cases are too few to exclude a loss: the price of a small false held.",
        _between(results),
    ]


def _between(results: Results) -> str:
    first, last = results.scans[0].sizes
    worst = "; ".join(
        f"flip rate {100 * each.flip_rate:g} %: held at -margin {percent(each.held)} (n = {each.held_at}), regressed "
        "without "
        f"a change {percent(each.regressed)} (n = {each.regressed_at})"
        for each in results.scans
    )
    return f"Between these sizes, every n from {first} to {last}, one suite alone and exact, at most: {worst}."


def _rivals(results: Results) -> list[str]:
    one: dict[Key, list[str]] = {}
    five: dict[Key, list[str]] = {}
    for where, cells in _by_change(results.passfail).items():
        one[where] = [_triple(cells, rule) for rule in RULES]
        still = cells[0.0]
        rivals = [in_five(still.alone[rule].regressed) for rule in RULES if rule != OURS]
        five[where] = [number(rate) for rate in (still.five.false_regressed, *rivals)]
    return [
        "## Beside the rivals",
        "One pass/fail suite alone, exact, in %: held at -margin / not released without a change / regressed at "
        "-2 margins. The bootstrap is the percentile bootstrap of the mean change at one-sided .05, with endlessly "
        "many resamples: held if its lower bound is above -margin, regressed if its upper bound is below 0. *Any flip "
        "blocks* counts regressed cases, as snapshot tests do.",
        by_size(RULES, one),
        "Five unchanged suites: any of them called regressed, in %. The rivals judge each suite alone.",
        by_size(RULES, five),
    ]


def _triple(cells: Mapping[float, PassFail], rule: str) -> str:
    still, lost, fell = (cells[change].alone[rule] for change in (0.0, -1.0, -2.0))
    return side_by_side(lost.holds, 1 - still.holds, fell.regressed)


def _slices(results: Results) -> list[str]:
    draws, worlds = results.innocents[0].draws, results.collapses[0].draws
    innocents: dict[Key, list[str]] = {}
    for each in results.innocents:
        innocents.setdefault(key(each.cell), []).append(f"{100 * each.slice_blocks:.2f} / {100 * each.either:.2f}")
    flip_rates = dict.fromkeys(each.flip_rate for each in results.collapses)
    falls = dict.fromkeys(each.fall for each in results.collapses)
    head = ["regressed in the slice", *(f"flip rate {100 * flip_rate:g} %" for flip_rate in flip_rates)]
    rows = [
        [str(fall), *(side_by_side(e.found, e.held, e.regressed) for e in results.collapses if e.fall == fall)]
        for fall in falls
    ]
    return [
        "## Slices",
        f"Five unchanged suites with eight slices each, in % of {draws:,} seeded families: a slice blocks / a slice "
        "blocks or a suite is regressed. Small slices have 7 to 15 cases; large ones 15 to n/2.",
        by_size(["40 small slices", "40 large slices"], innocents),
        f"A slice that fell inside {TOTAL} cases, one of 40, the others flipping; {worlds:,} whole worlds by the "
        "shipped gate, in %: the slice is found / the suite's total is held / it is regressed.",
        table(head, rows),
    ]


def _references(results: Results) -> list[str]:
    draws = results.twice[0].draws
    parts = [
        "## Two references",
        "Base and last release; units that differ from both by flips alone, one of every five continuous. In % of "
        f"{draws:,} seeded families: any unit regressed with a family of tests for each reference / with one over "
        "both / or a slice blocks, half of the families with eight small slices a unit, half with large ones, all of "
        "them one family beside both references. Then one unit loses ten points against both: how often it is found "
        "with two families / with one, which is the price. *Common flips*: a case that flips in the first unit flips "
        "in another one as well, half of the time, as where several units judge the same answers. (Standard error at "
        f"most {percent(standard_error(0.05, draws))} at 5 %, {percent(standard_error(0.5, draws))} anywhere.)",
    ]
    for units, alike in dict.fromkeys((each.family.units, each.family.alike) for each in results.twice):
        mine = [each for each in results.twice if (each.family.units, each.family.alike) == (units, alike)]
        rows = {
            (each.family.n, each.family.flip_rate): [
                side_by_side(each.apart, each.regressed, each.either), side_by_side(each.found_apart, each.found)
            ]
            for each in mine
        }  # fmt: skip
        head = [f"{units} unit{'s' if units > 1 else ''}{', common flips' if alike else ''}: false", "drop found"]
        parts.append(by_size(head, rows))
    return parts


def _scores(results: Results) -> list[str]:
    shapes = dict.fromkeys(each.shape for each in results.scores)
    first = results.scores[0]
    changed = next((each for each in results.scores if not _still(each)), first)
    draws = (first.draws, first.targets, changed.targets)
    errors = [percent(standard_error(0.5, each)) for each in draws]
    parts = [
        "## Continuous scores",
        "The change of a case is counted in margins, its noise has the signal-to-noise ratio of pass/fail cases "
        "with the same flip rate (standard deviation sqrt(rate)/.05 margins). Three shapes: a bell; heavy tails (a "
        "t with 3 degrees of freedom); a rare collapse, 5 % of the cases falling by ten margins and the others "
        "making up the mean. All are winsorised as the gate does it, so that a case counts up to ten margins; the "
        f"true change is the mean of what it counts. `collapse: {ANY_COLLAPSE:g}` is declared, so that this promise "
        "is looked at alone; the next section looks at both. Five suites, one changed: regressed/held/inconclusive "
        f"in %. Held comes of {draws[0]:,} draws (standard error at most {errors[0]}, at 4 % "
        f"{percent(standard_error(0.04, draws[0]))}); regressed, since each needs 9,999 sign flips, of {draws[1]:,} "
        f"units without and {draws[2]:,} with a change (at most {errors[1]} and {errors[2]}), in "
        f"{first.five.draws:,} families each.",
        "The two columns on the right show the limit of winsorising: how many cases it met, and held where -margin is "
        "the mean *before* it. What cases lose beyond ten margins is seen where the uncut mean of the sample shows it.",
    ]
    return [*parts, *(part for shape in shapes for part in _shape(results, shape))]


def _shape(results: Results, shape: str) -> list[str]:
    cells = [each for each in results.scores if each.shape == shape]
    more = {where: _beside(changes) for where, changes in _by_change(cells).items()}
    head = ["any regressed, no change", "improved, no change", *RIVALS_OF_SCORES, "winsorised", "held, before it"]
    return [
        f"### {shape.capitalize()}",
        _verdicts([(each.cell, each.five.regressed, each.held) for each in cells], head, more),
    ]


def _beside(cells: Mapping[float, Scores]) -> list[str]:
    still, lost, fell = (cells[change] for change in (0.0, -1.0, -2.0))
    rivals = [
        side_by_side(lost.rivals[rule].holds, 1 - still.rivals[rule].holds, fell.rivals[rule].regressed)
        for rule in RIVALS_OF_SCORES
    ]
    return [
        number(still.five.false_regressed), number(still.improved), *rivals, number(lost.met), number(lost.raw_held)
    ]  # fmt: skip


def _rivals_in_full(results: Results) -> list[str]:
    parts = ["## The rivals in full", "One pass/fail suite alone, exact: regressed/held/inconclusive in %."]
    for rule in RULES:
        shown = [(each.cell, each.alone[rule].regressed, each.alone[rule].holds) for each in results.passfail]
        parts += [f"### {rule[0].upper()}{rule[1:]}", _verdicts(shown, [], {})]
    return parts


def _verdicts(shown: Sequence[Shown], head: Sequence[str], more: Mapping[Key, Sequence[str]]) -> str:
    """Regressed/held/inconclusive by the true change, and what stands beside them."""
    rows: dict[Key, list[str]] = {}
    for cell, regressed, held in shown:
        rates = (regressed, held, max(1 - regressed - held, 0.0))
        rows.setdefault(key(cell), []).append("/".join(f"{100 * rate:.0f}" for rate in rates))
    full = {where: [*cells, *more.get(where, ())] for where, cells in rows.items()}
    return by_size([*(NAMES[change] for change in CHANGES), *head], full)


C = TypeVar("C", PassFail, Scores)


def _by_change(cells: Iterable[C]) -> dict[Key, dict[float, C]]:
    found: dict[Key, dict[float, C]] = {}
    for each in cells:
        found.setdefault(key(each.cell), {})[each.cell.change] = each
    return found


def _still(each: PassFail | Scores) -> bool:
    return each.cell.change == 0
