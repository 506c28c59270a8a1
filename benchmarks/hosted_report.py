"""What is told of hosted models: the runs, what was not as it should be, and the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.gate_markdown import percent, table
from benchmarks.hosted_faults import AWHILE, KINDS, LATE, Ending
from tests.support.hosted import EXPECTED, THOUGHT, WRITTEN

IN_FLIGHT = 32  # requests at a time
FEW = 50  # cases of each hosted model
PAUSES = 0.01, 0.1  # seconds, the first and the longest, so that a run takes seconds
MOST_EXTRA = 0.05  # of the requests that are needed
AT_ONCE = 5.0  # seconds
MOST_SHOWN = 200  # characters of a sentence


@dataclass(frozen=True)
class Run:
    """A run with faults in a share of its requests: how many were served, what was asked, what came of it."""

    kind: str
    share: float
    faults: int
    sent: int
    needed: int
    twice: int
    right: int
    cases: int
    error: str
    is_clear: bool
    seconds: float

    @property
    def extra(self) -> float:
        """The requests beyond those that were needed, as a share of these."""
        return self.sent / self.needed - 1


@dataclass(frozen=True)
class End:
    """A run that was ended: in which words, after how long, and what became of the answers that the server gave."""

    ending: Ending
    error: str
    is_clear: bool
    seconds: float
    finished: int
    kept: int
    twice: int
    right: int
    cases: int


@dataclass(frozen=True)
class Limit:
    """A run on a server that answers so many a second: what was asked, and refused for that."""

    options: str
    per_second: int
    sent: int
    refused: int
    right: int
    cases: int
    seconds: float


@dataclass(frozen=True)
class Asked:
    """A hosted model that was asked: the probes that it took, what a record says of the fields, tokens of an answer."""

    name: str
    probes: int
    sampling: str
    tokens: tuple[int | None, ...]
    right: int
    cases: int
    error: str

    @property
    def is_as_expected(self) -> bool:
        """Whether all was right, and counted and told as it is."""
        probes, sampling, tokens = EXPECTED[self.name]
        return self.right == self.cases and (self.probes, self.sampling, self.tokens) == (probes, sampling, (tokens,))


@dataclass(frozen=True)
class Found:
    """All parts."""

    runs: Sequence[Run]
    ends: Sequence[End]
    limits: Sequence[Limit]
    asked: Sequence[Asked]


def broken(found: Found) -> Iterator[str]:
    """What is not as it should be."""
    for run in found.runs:
        where = f"{run.kind}, {percent(run.share)}"
        if run.right < run.cases and not run.is_clear:
            yield f"{where}: {run.right} of {run.cases} are right, and the error is not clear: {run.error or 'none'}"
        if run.extra > MOST_EXTRA:
            yield f"{where}: {run.sent} requests where {run.needed} were needed"
        if run.twice:
            yield f"{where}: {run.twice} answers were asked for twice"
    for each in found.ends:
        name = each.ending.name
        if not each.is_clear or each.seconds > AT_ONCE:
            yield f"{name}: after {each.seconds:.1f} s: {each.error or 'no error'}"
        if each.kept < each.finished or each.twice:
            yield f"{name}: of {each.finished} finished answers {each.kept} were kept, {each.twice} asked for twice"
        if each.right < each.cases:
            yield f"{name}: {each.right} of {each.cases} are right after the second run"
    for limit in found.limits:
        if limit.right < limit.cases:
            yield f"a limit, {limit.options}: {limit.right} of {limit.cases} are right"
    if found.limits[-1].refused > MOST_EXTRA * found.limits[-1].cases:
        yield f"{found.limits[-1].options}: {found.limits[-1].refused} requests were refused"
    for model in found.asked:
        if not model.is_as_expected:
            yield f"{model.name}: {model.right} of {model.cases} are right: {model.error or model}"


def report(found: Found, made: str) -> str:
    """The findings, the tables and how they were made, in Markdown."""
    runs, ends, limits = found.runs, found.ends, found.limits
    return "\n\n".join([
        "# Hosted models",
        _findings(found),
        "## Faults that pass",
        f"{runs[0].cases} cases, {IN_FLIGHT} at a time. That share of all requests, drawn by a seeded generator, meets "
        f"the fault; a slow answer comes {LATE} s late. Needed are a request for each case, one probe, and one for "
        "each fault. *Right* are the cases with their one right answer, for each share; where it is fewer than all, an "
        f"error ended the run. The pauses between two tries, {PAUSES[0]} s and at most {PAUSES[1]} s, are shorter than "
        "those that ship (0.5 s, at most 15 s); what a server says of when to come back is kept as it is.",
        _passing(runs),
        *(f"    {run.kind}, {percent(run.share)}: {run.error[:MOST_SHOWN]}" for run in runs if run.error),
        "## What ends a run",
        f"One of {ends[0].cases} requests, in the middle, is answered so; the others are under way or wait, and an "
        f"answer takes {AWHILE} s. *Told*: the seconds until the error. *Clear*: it is one line with its case, if it "
        "is of one, and the server's words. *Finished*: answers that the server gave until then; all of them should be "
        "kept, and none be asked for twice when the same command runs again.",
        _ending(ends),
        "The errors, without case and address:",
        "\n".join(f"    {each.error.split('/chat/completions: ')[-1][:MOST_SHOWN]}" for each in ends),
        "## A limit",
        f"A server that gives {limits[0].per_second} answers a second, and says to all others when to come back. "
        f"{IN_FLIGHT} at a time are more than it takes: who knows the limit names it.",
        table(
            ["option", "asked", "refused", "right", "s"],
            [[each.options, str(each.sent), str(each.refused), f"{each.right} of {each.cases}", f"{each.seconds:.0f}"]
             for each in limits],
        ),
        "## What each takes",
        f"{FEW} cases each, of servers that refuse what these models refuse, in their words. An answer has {WRITTEN} "
        f"tokens, and the reasoning before it {THOUGHT}, where there is one: within the count of those written (GPT-5, "
        "o-series), or in the total alone (Grok, Gemini).",
        table(
            ["model", "probes", "fields, as a record tells them", "tokens out", "right"],
            [[each.name, str(each.probes), each.sampling or "-", ", ".join(map(str, each.tokens)),
              f"{each.right} of {each.cases}"] for each in found.asked],
        ),
        "## How",
        made,
    ]) + "\n"  # fmt: skip


def _passing(runs: Sequence[Run]) -> str:
    shares = dict.fromkeys(run.share for run in runs)
    head = ["instead of an answer", *(f"{percent(share)}: asked / needed" for share in shares), "right", "asked twice"]
    return table(
        head, [_row([run for run in runs if run.kind == kind]) for kind in dict.fromkeys(r.kind for r in runs)]
    )


def _ending(ends: Sequence[End]) -> str:
    return table(
        ["once", "told after, s", "clear", "finished", "kept", "asked twice", "right after the second run"],
        [[each.ending.name, f"{each.seconds:.1f}", "yes" if each.is_clear else "NO", str(each.finished),
          str(each.kept), str(each.twice), f"{each.right} of {each.cases}"] for each in ends],
    )  # fmt: skip


def _row(runs: Sequence[Run]) -> list[str]:
    asked = [f"{run.sent} / {run.needed}" for run in runs]
    rights = {run.right for run in runs}
    right = str(*rights) if len(rights) == 1 else " / ".join(str(run.right) for run in runs)
    return [runs[0].kind, *asked, right, str(sum(run.twice for run in runs))]


def _findings(found: Found) -> str:
    runs, ends = found.runs, found.ends
    faults, worst = sum(run.faults for run in runs), max(runs, key=lambda run: run.extra)
    whole = sum(run.right == run.cases for run in runs)
    clear = sum(run.right < run.cases and run.is_clear for run in runs)
    return (
        f"- {len(runs)} runs through {faults:,} faults of {len(KINDS)} kinds: in {whole} of them all "
        f"{runs[0].cases} cases have their right answer, {clear} ended with a clear error. At most "
        f"{percent(worst.extra)} of the requests were in vain, and {sum(run.twice for run in runs)} answers were asked "
        "for twice.\n"
        f"- {len(ends)} errors that end a run are told within {max(each.seconds for each in ends):.1f} s; of "
        f"{sum(each.finished for each in ends):,} answers that were finished by then "
        f"{sum(each.kept for each in ends):,} were kept.\n"
        f"- {sum(each.right == each.cases for each in found.asked)} of {len(found.asked)} models are asked what they "
        f"take, after at most {max(each.probes for each in found.asked)} short probes."
    )
