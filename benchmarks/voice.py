"""What the voice suite can and cannot hear, on the demo's references: its report card, and texts it never saw.

python benchmarks/voice.py            # a minute; writes voice.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import ROOT, write
from benchmarks.gate_markdown import table
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.checks.base import Outcome
from tunegate.harness.checks.voice.check import Voice, load
from tunegate.harness.checks.voice.classifier import LEAST_AUC, Metric, ReferencePair, auc, auc_interval, fit_classifier
from tunegate.harness.checks.voice.content import content_card
from tunegate.harness.checks.voice.features import ENGLISH
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.yaml_reader import read_yaml

TEXTS = Path(__file__).parent / "voice_texts"
UNIT = "support/replies"
LANGUAGES = ("german", "finnish")  # references of other brands, by one writer each, who saw the word lists
SHUFFLES = 5
SETS = {
    "fourth": "Texts written last, by a writer who saw neither metric nor house rules, and measured once",
    "third": "Earlier texts, by a writer who knew no house rule; the references then grew by 40 pairs of another hand "
    "(who did not see them), and the metric by spelling, chosen on these three sets",
    "second": "Earlier texts; the house rules against slang and grovelling were added after these were seen",
    "first": "Texts before that; the references grew by 20 pairs and the metric by two features after these were seen",
}

DEGENERATE: Mapping[str, str] = {
    "nothing": "",
    "one word": "Yes.",
    "one phrase again and again": "We'll call you back. " * 12,
    "small words only": "we you it and so the of to in on we'll you're it's that this " * 2,
    "content words only": "Boiler engineer Tuesday morning valve pressure radiator pipe tank fan pump " * 2,
    "far too long": "We'll be with you on Tuesday, and you don't need to stay in while we work on it. " * 9,
}


@dataclass(frozen=True)
class Scored:
    """A text, what it is, and what the suite made of it."""

    id: str
    kind: str
    score: float
    outcome: Outcome

    @property
    def passed(self) -> bool:
        """Whether the whole suite passed it."""
        return self.outcome.score == 1.0


def demo_voice() -> Voice:
    """The demo's voice check, as its fixtures load it."""
    voice: Voice = find_unit(load_tasks(ROOT / "fixtures"), UNIT).cases[0].check  # type: ignore[assignment]
    voice.prepare()
    return voice


def metric_of(voice: Voice) -> Metric:
    """The classifier behind a voice, fitted to its pairs as the voice does it."""
    return fit_classifier(pairs_of(voice))


def pairs_of(voice: Voice) -> tuple[ReferencePair, ...]:
    """The labelled pairs of a voice."""
    return tuple(
        ReferencePair(pair["on"], pair["off"], pair.get("subtle", False)) for pair in voice.document.data["pairs"]
    )


def texts(name: str, part: str = "texts") -> list[dict[str, Any]]:
    """The entries of a file of texts."""
    return list(read_yaml(TEXTS / f"{name}.yaml").data[part])


def score(voice: Voice, metric: Metric, entries: Sequence[Mapping[str, Any]]) -> list[Scored]:
    """What the suite makes of texts, each of which has to say what its `says` does."""
    return [
        Scored(each["id"], each["kind"], metric.score(each["text"]), voice(each["text"], {"says": each["says"]}, ""))
        for each in entries
    ]


def area(on: Sequence[float], off: Sequence[float]) -> str:
    """The AUC of scores with its 95 % interval."""
    value = auc(np.array(on), np.array(off))
    low, high = auc_interval(value, len(on), len(off))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def shuffled_are_refused(pairs: Sequence[ReferencePair], language: str = ENGLISH) -> int:
    """How many of `SHUFFLES` references whose labels were dealt by a coin are refused."""
    refused = 0
    for seed in range(SHUFFLES):
        coins = np.random.default_rng(seed).integers(0, 2, len(pairs))
        dealt = [
            ReferencePair(pair.off, pair.on, pair.subtle) if coin else pair
            for pair, coin in zip(pairs, coins, strict=True)
        ]
        refused += not fit_classifier(tuple(dealt), language).card.accepted
    return refused


def report(voice: Voice) -> Iterator[str]:
    """The report, paragraph by paragraph."""
    metric, pairs = metric_of(voice), pairs_of(voice)
    yield "# The voice metric on the demo's references"
    yield f"    {metric.card}"
    yield (
        f"- Labels dealt by a coin, {SHUFFLES} times: {shuffled_are_refused(pairs)} of {SHUFFLES} references refused. "
        f"The AUC's lower bound must be {LEAST_AUC}."
    )
    yield from _swap(metric)
    yield f"- {_content(pairs)}"
    yield "- Degenerate answers, and what speaks: " + "; ".join(_degenerate(voice)) + "."
    for name, told in SETS.items():
        on, off = (score(voice, metric, texts(f"{name}_{side}")) for side in ("on", "off"))
        yield f"## {told}"
        yield (
            f"Style alone: AUC {area([each.score for each in on], [each.score for each in off])}. The whole suite "
            f"passes {_share(on)} on-brand texts and {_share(off)} off-brand ones."
        )
        yield table(["voice", "texts", "wrongly passed", "which"], _kinds(off))
        failed = [f"`{each.id}` ({each.outcome.findings[0].rule})" for each in on if not each.passed]
        yield f"On-brand texts that failed: {', '.join(failed) or 'none'}."
    yield "## Two other languages, references of a brand each: what they say of themselves"
    for name in LANGUAGES:
        yield from _language(name)
    yield "## How\n\n    python benchmarks/voice.py"


def _language(name: str) -> Iterator[str]:
    voice = _references(name)
    pairs, language = pairs_of(voice), voice.document.data["language"]
    yield f"**{name.capitalize()}**, {voice.document.data['brand']}:"
    yield f"    {voice.report_card}"
    refused = shuffled_are_refused(pairs, language)
    yield f"Labels dealt by a coin: {refused} of {SHUFFLES} references refused. {_content(pairs)}"


def _content(pairs: tuple[ReferencePair, ...]) -> str:
    """Whether the embedding model may judge content in the language of these references."""
    card = content_card(pairs)
    verdict = "accepted" if card.accepted else "refused: the check has to say `content: false`"
    return f"Content, the same beside another: {card}; {verdict}."


def _references(name: str) -> Voice:
    """A file of references as a check of its own."""
    path = TEXTS / f"{name}.yaml"
    return load({"references": path.name, "content": False}, Document(path, {}, {}), ())


def _share(scored: Sequence[Scored]) -> str:
    return f"{sum(each.passed for each in scored)} of {len(scored)}"


def _kinds(off: Sequence[Scored]) -> Iterator[list[str]]:
    for kind in dict.fromkeys(each.kind for each in off):
        same = [each for each in off if each.kind == kind]
        wrong = [each.id for each in same if each.passed]
        yield [kind, str(len(same)), str(len(wrong)), ", ".join(wrong)]


def _swap(metric: Metric) -> Iterator[str]:
    pairs = texts("topic_swap", "pairs")
    on, off = ([metric.score(pair[side]) for pair in pairs] for side in ("on", "off"))
    ordered = sum(left > right for left, right in zip(on, off, strict=True))
    topics = ", ".join(dict.fromkeys(pair["topic"] for pair in pairs))
    yield (
        f"- The same voice on other subjects ({topics}): AUC {area(on, off)}, {ordered} of {len(pairs)} pairs in "
        f"order, {sum(score >= metric.card.threshold for score in on)} on-brand texts pass on style, "
        f"{sum(score >= metric.card.threshold for score in off)} off-brand ones."
    )


def _degenerate(voice: Voice) -> Iterator[str]:
    for name, text in DEGENERATE.items():
        findings = voice(text, {"says": "We'll call you on Tuesday."}, "").findings
        yield f"{name}: {', '.join(dict.fromkeys(finding.rule for finding in findings)) or 'NOTHING'}"


if __name__ == "__main__":
    write("voice", report(demo_voice()))
