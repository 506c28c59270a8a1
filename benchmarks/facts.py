"""How often does the facts rule of the voice suite see what an answer's notes do not have? Labelled answers.

python benchmarks/facts.py            # seconds; writes facts.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.gate_markdown import table
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.files import write_atomically
from tunegate.harness.text.facts import stated, unfounded

TEXTS = Path(__file__).parent / "facts_texts"
SETS = ("cases", "blind", "second_blind", "third_blind", "fourth_blind", "fifth_blind")
RESULT = Path(__file__).parent / "results/facts.md"


@dataclass(frozen=True)
class Answer:
    """Notes, an answer, and what of it a careful reader does not find in them."""

    language: str
    notes: str
    text: str
    wrong: list[str]

    @cached_property
    def seen(self) -> list[str]:
        """What the rule does not find in the notes."""
        return [fact.seen for fact in unfounded(self.text, stated(self.notes, self.language), self.language)]


def labelled(name: str) -> list[Answer]:
    """The labelled answers of one file."""
    return [Answer(*each) for each in read_yaml(TEXTS / name).data["cases"]]


def report(
    cases: Sequence[Answer],
    blind: Sequence[Answer],
    second: Sequence[Answer],
    third: Sequence[Answer],
    fourth: Sequence[Answer],
    fifth: Sequence[Answer],
) -> Iterator[str]:
    """The text of `facts.md`, part by part."""
    yield "# Facts on labelled answers"
    yield "## Written without sight of the code, in a fifth set"
    yield "Scored once, and nothing was mended since: this is what to expect of texts by another hand."
    yield from _judged(fifth)
    yield "## A fourth set, also written without sight of the code"
    yield (
        "Scored once, 52 of 60 with a wrong fact were found, and 19 of 60 without one were flagged. What was wrong was "
        "then mended by its kind, with these answers in sight: prices of each with all that they are for, repeats, "
        "numbers between two, parts of a currency, and short words for days; and what goes against the notes, other "
        "units of measure and of prices, another floor, another name that begins alike. Now it is:"
    )
    yield from _judged(fourth)
    yield "## A third set, also written without sight of the code"
    yield (
        "Scored once, 46 of 60 with a wrong fact were found, and 22 of 60 without one were flagged. What was wrong was "
        "then mended by its kind, with these answers in sight: what follows from days beside a named one and "
        "from prices of each; and what goes against the notes, a number with another measure, a label on something "
        "else, a time in the other half of the day. Now it is:"
    )
    yield from _judged(third)
    yield "## A second set, also written without sight of the code"
    yield (
        "Scored once, 58 of 60 with a wrong fact were found, and 27 of 60 without one were flagged. Their writer lets "
        "an answer say what can be worked out: sums, the weekday after two nights, a holiday's name; the rule worked "
        "out lengths of time alone. It has learnt since what follows from what, with these answers in sight; now it is:"
    )
    yield from _judged(second)
    yield "## An earlier set, also written without sight of the code"
    yield (
        "Scored once, by code whose writer had not seen these answers, 89 of 100 with a wrong fact were found, and 26 "
        "of 100 without one were flagged. What was wrong was then mended by its kind, with these answers in sight; now "
        "it is:"
    )
    yield from _judged(blind)
    yield "## Written before the code, which had them in sight"
    yield from _judged(cases)
    yield "## How\n\n    python benchmarks/facts.py"


def _judged(answers: Sequence[Answer]) -> Iterator[str]:
    changed, true = ([each for each in answers if bool(each.wrong) is wrong] for wrong in (True, False))
    found, flagged = sum(bool(each.seen) for each in changed), sum(bool(each.seen) for each in true)
    yield (
        f"**{found} of {len(changed)} answers with a fact that is not in the notes are found; {flagged} of {len(true)} "
        "answers without one are flagged.**"
    )
    yield table(["language", "with a wrong fact", "found", "without", "flagged"], _by_language(changed, true))
    rows = [
        [each.language, *map(shown_in_markdown, (each.notes, each.text, ", ".join(each.wrong), ", ".join(each.seen)))]
        for each in answers
        if bool(each.wrong) != bool(each.seen)
    ]
    yield "### What it gets wrong"
    yield table(["language", "notes", "answer", "wrong", "seen"], rows) if rows else "Nothing."


def _by_language(changed: Sequence[Answer], true: Sequence[Answer]) -> Iterator[list[str]]:
    for language in dict.fromkeys(each.language for each in [*changed, *true]):
        cells = [language]
        for answers in (changed, true):
            those = [each for each in answers if each.language == language]
            cells += [str(len(those)), str(sum(bool(each.seen) for each in those))]
        yield cells


def main() -> int:
    """Print the report, and write it under results/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    text = "\n\n".join(report(*(labelled(f"{name}.yaml") for name in SETS))) + "\n"
    write_atomically(parser.parse_args().out, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
