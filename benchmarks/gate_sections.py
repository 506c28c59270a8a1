"""The sections of the report on graded, continuous and declared scores, on sealed evaluations, power and costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.gate_costs import MEAN, Lengths
from benchmarks.gate_evaluations import FLIP_RATE, GAIN, GUARDS, MARGIN, N
from benchmarks.gate_markdown import number, percent, side_by_side, table
from benchmarks.gate_power import SIZE
from benchmarks.gate_results import GRADED_BOUND, GRADED_FEWEST, Results
from benchmarks.gate_rule import standard_error
from benchmarks.gate_tails import Tail
from benchmarks.gate_thresholds import BELOW
from benchmarks.gate_topics import BEARING, HOW, ByTopic


def sections(results: Results) -> list[str]:
    """All of them."""
    return [
        *_parts(results), *_tails(results), *_graded(results), *_topics(results), *_targets(results),
        *_minima(results),
        *_evaluations(results), *_powers(results), *_costs(results),
    ]  # fmt: skip


def _parts(results: Results) -> list[str]:
    worst = max(results.parts, key=lambda each: each.regressed)
    return [
        "## Parts",
        f"Five unchanged units, each the AND of three parts with margins of their own: any unit or part was falsely "
        f"regressed in at most {percent(worst.regressed)} of {worst.draws:,} families (n = {worst.n}, flip rate "
        f"{100 * worst.flip_rate:g} %).",
    ]


def _tails(results: Results) -> list[str]:
    draws = results.tails[0].draws
    terms = sorted({(each.collapse, each.n) for each in results.tails})
    head = ["of each case", "lost in all", *(f"{100 * share:g} %, n = {n}" for share, n in terms)]
    rows = []
    for name in dict.fromkeys(each.law for each in results.tails):
        mine = {(each.collapse, each.n): each for each in results.tails if each.law == name}
        lost = next(iter(mine.values())).mean
        rows.append([name, f"{0 - lost:.2f}", *(_tail(mine.get(term)) for term in terms)])
    return [
        "## Continuous scores that lose a lot at times",
        "Promised: the mean of the changes, cut at ten margins, is within the margin; no more than `collapse` of "
        "the cases loses ten margins or more. Beside them nothing is held whose uncut mean, as it was seen, lies "
        f"beyond the margin. Held, in % of {draws:,} draws (standard error at 4 % "
        f"{percent(standard_error(0.04, draws))}), by `collapse` and n; *m*: in that world the promise of the mean "
        "is broken, *s*: that of the share. Where none is, the loss in all is told by no sample: of these the "
        "figure is no error of the promise, and it says what the promise is not. The cases that do not collapse "
        "scatter by one margin; a lognormal law has the standard deviation of its logarithm behind it. With "
        "`collapse: 0.02` fewer than 160 cases hold nothing.",
        table(head, rows),
    ]


def _tail(tail: Tail | None) -> str:
    return "-" if tail is None else " ".join([number(tail.held), *(name[0] for name in tail.broken)])


def _topics(results: Results) -> list[str]:
    draws, rows = results.topics[0].draws, []
    kinds = {(each.world.how, each.world.uneven, bool(each.world.loss)): each.world for each in results.topics}
    for n, topics in dict.fromkeys((each.world.n, each.world.topics) for each in results.topics):
        for how, uneven, lost in kinds:
            mine = [
                each for each in results.topics
                if (each.world.n, each.world.topics) == (n, topics)
                and (each.world.how, each.world.uneven, bool(each.world.loss)) == (how, uneven, lost)
            ]  # fmt: skip
            means = [sum(values) / len(mine) for values in zip(*map(_by_topic, mine), strict=True)]
            what = f"{HOW[how]}{', sizes differ' if uneven else ''}" if lost else "no loss"
            rows.append([str(n), str(topics), what, *map(number, means)])
    return [
        "## Topics",
        "Cases of topics that are drawn from endlessly many; the loss over all of those is exactly the margin, or "
        "none. "
        f"Held, in % of {draws:,} draws for each of two margins (5 and 10 points) and flip rates (4 and 10 %), the "
        "mean of the four: by the score statistic alone; with topics as they were drawn, as a tag tells them; and as "
        "they are found in the words of texts that tell them clearly, or hardly. What is borne by some is borne by "
        f"{percent(BEARING)} of the topics, and {percent((1 - BEARING) ** 10)} of samples of ten topics have none of "
        "them: no test sees their loss. *Of these very topics*: their own loss is the margin.",
        table(("n", "topics", "the loss", "alone", "tag", "words, clear", "words, hard"), rows),
    ]


def _by_topic(each: ByTopic) -> tuple[float, ...]:
    return each.without, each.known, each.clear, each.hard


def _graded(results: Results) -> list[str]:
    margins = dict.fromkeys(each.margin for each in results.grid)
    rows = []
    for n in dict.fromkeys(each.n for each in results.grid):
        mine = {each.margin: each for each in results.grid if each.n == n}
        rows.append([str(n), *(side_by_side(mine[margin].held, mine[margin].before) for margin in margins)])
    places = dict.fromkeys((each.n, each.margin) for each in results.prices)
    prices = [
        [str(n), f"{100 * margin:g}", *(
            side_by_side(each.held, each.before) for each in results.prices if (each.n, each.margin) == (n, margin)
        )]
        for n, margin in places
    ]  # fmt: skip
    return [
        "## Graded scores",
        f"A case loses a, or gains b, so that the mean is exactly minus the margin: {results.grid[0].laws} laws, a "
        "from just above the margin to 1, b from minus half of it to 1. The worst of them is held so often, in %, "
        "exact, by the shipped rule / by the score statistic alone, as before. Promised from "
        f"{GRADED_FEWEST} cases on: at most {percent(GRADED_BOUND)}.",
        table(["n", *(f"margin {100 * margin:g}" for margin in margins)], rows),
        f"What it costs: an equal model held, now / before, in % of {results.prices[0].draws:,} draws.",
        table(["n", "margin", *dict.fromkeys(each.shape for each in results.prices)], prices),
    ]


def _targets(results: Results) -> list[str]:
    rows = []
    for n, flip_rate in dict.fromkeys((each.n, each.flip_rate) for each in results.crossed):
        mine = [each for each in results.crossed if (each.n, each.flip_rate) == (n, flip_rate)]
        now, before = max(mine, key=lambda each: each.released), max(mine, key=lambda each: each.before)
        rows.append([
            str(n), f"{100 * flip_rate:g}", number(now.released), f"{now.rate:g}, {now.target:g}",
            number(before.before), f"{before.rate:g}, {before.target:g}",
        ])  # fmt: skip
    return [
        "## Target scores",
        "A target that is as good as its base, released at the worst of all true rates and target scores from .5 to "
        ".99, in %, exact; before: by a lower bound that crosses the target while that of the base does not.",
        table(["n", "flip rate, %", "now", "at rate, target", "before", "at rate, target"], rows),
    ]


def _minima(results: Results) -> list[str]:
    first = results.minima[0]
    rows = [
        [str(each.n), f"{100 * each.flip_rate:g}", str(each.units), f"{each.rate:g}",
         side_by_side(each.regressed, each.before), side_by_side(each.found, each.found_before)]
        for each in results.minima
    ]  # fmt: skip
    return [
        "## Minimum scores",
        "Units that are as good as their base and sit exactly on their minimum score: any regressed, now / before, "
        f"when each was tested by itself, in % of {first.draws:,} families (standard error at 4 % "
        f"{percent(standard_error(0.04, first.draws))}). Then one of them lies {100 * BELOW:g} points below it, "
        "before and after: how often it is regressed, now / before.",
        table(["n", "flip rate, %", "units", "minimum", "any regressed", "found"], rows),
        "One unit that sits on the worst of all minimum scores from .5 to .99, regressed in %, exact: "
        + "; ".join(
            f"n = {each.n}, flip rate {100 * each.flip_rate:g} %: {number(each.regressed)} (on {each.rate:g})"
            for each in results.on_minimum
        )
        + ".",
    ]


def _evaluations(results: Results) -> list[str]:
    rows = [[str(each.opening), number(each.held), number(each.improved)] for each in results.evaluations]
    return [
        "## Sealed evaluations",
        f"{GUARDS} equal guards, and a target that gains {100 * GAIN:g} points; {N} sealed cases each, margin "
        f"{100 * MARGIN:g} points, flip rate {100 * FLIP_RATE:g} %. In %, exact, by the gate's tests and by what "
        "`tunegate plan` reckons with, which agree.",
        table(["evaluation", "the guards held together", "the gain improved"], rows),
    ]


def _powers(results: Results) -> list[str]:
    rows = [
        [str(each.n), f"{100 * each.margin:g}", f"{100 * each.flip_rate:g}",
         number(each.held), number(each.held_before), number(each.held_bound), f"{each.held / each.held_bound:.2f}",
         number(each.improved), number(each.improved_bound), f"{each.improved / each.improved_bound:.2f}"]
        for each in results.powers
    ]  # fmt: skip
    head = [
        "n", "margin", "flip rate, %", "held", "before", "any test, at most", "ratio", "improved", "any test, at most",
        "ratio",
    ]  # fmt: skip
    return [
        "## Power beside the best test",
        "Pass/fail: no change held to the margin, and a gain of ten points improved, in %, exact; and how often any "
        f"test of {100 * SIZE:g} % could at most: the likelihood ratio against the hardest single null, ties by lot. "
        "*Before*: the critical value was the normal quantile, raised where few cases err more.",
        table(head, rows),
    ]


def _costs(results: Results) -> list[str]:
    draws, example, claims = results.costs[0].draws, results.rambling[0], results.cost_claims
    terms = sorted({(each.margin, each.n) for each in results.costs})
    lengths = list(dict.fromkeys(each.lengths for each in results.costs))
    rows = []
    for each in lengths:
        mine = {(one.margin, one.n): one for one in results.costs if one.lengths == each}
        found = [side_by_side(mine[term].held, mine[term].planned, mine[term].falsely) for term in terms]
        rows.append([*_named(each), *found])
    return [
        "## Cost units",
        f"Answers of {MEAN} tokens in the mean, cut at `max_new_tokens`, which bounds what a call can cost. In %: "
        "equal models held / as `tunegate plan` foretells / falsely held where so many calls ramble to the limit "
        f"that the mean rises by exactly the margin; {draws:,} draws each, by the margin as a share of the mean and "
        "n. *Correlation*: of the normals behind a case's two lengths.",
        table([*NAMES, *(f"{100 * margin:g} %, n = {n}" for margin, n in terms)], rows),
        f"150 calls, 4 of which ramble to 512 tokens: the mean rises by {percent(example.rise)}, and with a margin "
        f"of 12.5 % that is {example.verdict}; of {example.draws:,} draws in which a call rambles with that chance "
        f"{percent(example.held)} are held.",
        f"Equal costs: how often the 95 % interval of their ratio misses 1 / one is falsely shown to be lower, in % of "
        f"{claims[0].draws:,} draws, of {claims[0].tests:,} of them.",
        table([*NAMES, *(f"n = {n}" for n in dict.fromkeys(each.n for each in claims))], _claimed(results)),
        "Calls of 64 tokens in the mean become shorter by a fifth, and one in a hundred runs on to `max_new_tokens`. "
        "How often the cost is shown to be lower / was, when the largest change seen was the room for calls that no "
        f"sample held; then the same where no call runs on; in % of {results.run_on[0].draws:,} draws.",
        table(
            ["max_new_tokens", "true ratio", "n", "one in a hundred runs on", "none does"],
            [
                [
                    str(each.most),
                    f"{each.ratio:.2f}",
                    str(each.n),
                    side_by_side(each.lower, each.before),
                    side_by_side(each.honest, each.honest_before),
                ]
                for each in results.run_on
            ],
        ),
    ]


NAMES = ("lengths", "limit, in means", "correlation")


def _named(lengths: Lengths) -> Sequence[str]:
    return lengths.law, str(lengths.limit), f"{lengths.correlation:g}"


def _claimed(results: Results) -> Iterable[Sequence[str]]:
    for lengths in dict.fromkeys(each.lengths for each in results.cost_claims):
        mine = [each for each in results.cost_claims if each.lengths == lengths]
        yield [*_named(lengths), *(side_by_side(each.missed, each.lower) for each in mine)]
