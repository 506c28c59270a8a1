"""How often does the vocabulary suite see a term as an editor would? Labelled answers in a dozen languages.

python benchmarks/vocabulary.py            # two minutes; writes vocabulary.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import write
from benchmarks.gate_markdown import table
from tunegate.harness.checks.vocabulary.check import VocabularyCheck
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.escaping import shown_in_markdown

TEXTS = Path(__file__).parent / "vocabulary_texts"
USE_ONLY = ", use only"


@dataclass(frozen=True)
class Labelled:
    """An answer, a term, and whether an editor says that the one uses the other; `seen` is what the check says."""

    kind: str
    language: str
    term: str
    used: bool
    answer: str

    @cached_property
    def seen(self) -> bool:
        """Whether the check finds the term, banned, in the answer."""
        mentions = "allowed" if self.kind.endswith(USE_ONLY) else "banned"
        term = {"id": "t", "preferred": "\N{OLD PERSIAN SIGN A}", "banned": [self.term], "mentions": mentions}
        check = VocabularyCheck({"version": 1, "language": self.language, "terms": [term]})
        return not check(self.answer, None, "").rates["clean"]


def labelled(name: str) -> list[Labelled]:
    """The labelled answers of one file."""
    return [Labelled(*each) for each in read_yaml(TEXTS / name).data["cases"]]


def report(cases: Sequence[Labelled], blind: Sequence[Labelled]) -> Iterator[str]:
    """The text of `vocabulary.md`, part by part."""
    yield "# The vocabulary suite on labelled answers"
    yield "## Written without sight of the code"
    yield (
        "Scored once, by code whose writer had not seen these answers, 127 of 140 were right (91 %): 7 uses missed, 6 "
        "false alarms. That is what to expect of texts by another hand. What was wrong was then looked at, with these "
        "answers in sight; now it is:"
    )
    yield from _judged(blind)
    yield "## Written before the matcher, which had them in sight"
    yield from _judged(cases)
    yield "## How\n\n    python benchmarks/vocabulary.py"


def _judged(cases: Sequence[Labelled]) -> Iterator[str]:
    wrong = [each for each in cases if each.seen != each.used]
    share = 100 * (len(cases) - len(wrong)) / len(cases)
    yield (
        f"**{len(cases) - len(wrong)} of {len(cases)} right ({share:.0f} %)**: {sum(each.used for each in wrong)} uses "
        f"missed, {sum(not each.used for each in wrong)} false alarms."
    )
    yield table(["what is hard", "answers", "missed", "false alarms"], _by_kind(cases, wrong))
    rows = [[each.language, each.term, "yes" if each.used else "no", shown_in_markdown(each.answer)] for each in wrong]
    yield "### What it gets wrong"
    yield table(["language", "term", "used", "answer"], rows) if rows else "Nothing."


def _by_kind(cases: Sequence[Labelled], wrong: Sequence[Labelled]) -> Iterator[list[str]]:
    for kind in dict.fromkeys(each.kind for each in cases):
        those = [each.used for each in wrong if each.kind == kind]
        yield [kind, str(sum(each.kind == kind for each in cases)), str(those.count(True)), str(those.count(False))]


if __name__ == "__main__":
    write("vocabulary", report(labelled("cases.yaml"), labelled("blind.yaml")))
