"""How often does the check see what an answer's notes do not have? Labelled answers.

python plugins/facts/benchmarks/labelled.py            # half a minute; writes labelled.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.files import write_atomically
from tunegate_facts.facts import stated, unfounded

TEXTS = Path(__file__).parent / "texts"
RESULT = Path(__file__).parent / "labelled.md"


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


@dataclass(frozen=True)
class Answers:
    """The labelled answers of one file: how the report calls them, and what it says of them first."""

    file: str
    heading: str
    about: str = ""


MENDED = "What was wrong was then mended by its kind, with these answers in sight"
SETS = (
    Answers(
        "ninth_blind",
        "Written without sight of the code, in a ninth set",
        "In this set and the three before it an answer without a wrong fact says nothing that does not stand in its "
        "notes. Scored once, 58 of 60 with a wrong fact were found, and 3 of 60 without one were flagged: this is what "
        f"to expect of texts by another hand. {MENDED}: `Sats`, and other names beside those of the notes. Now it is:",
    ),
    Answers(
        "eighth_blind",
        "An eighth set, also written without sight of the code",
        f"Scored once, 53 of 60 with a wrong fact were found, and 5 of 60 without one were flagged. {MENDED}: another "
        "name beside one that the notes have, thousands as `£385k`, `3 doz`, minutes as `30m`. Now it is:",
    ),
    Answers(
        "seventh_blind",
        "A seventh set, also written without sight of the code",
        f"Scored once, 58 of 60 with a wrong fact were found, and 5 of 60 without one were flagged. {MENDED}: "
        "`14 d` as a fortnight, `St-Aubin`, three euros and forty cents, `32-asteista`. Now it is:",
    ),
    Answers(
        "sixth_blind",
        "A sixth set, also written without sight of the code",
        f"Scored once, 53 of 60 with a wrong fact were found, and 5 of 60 without one were flagged. {MENDED}: "
        "the eighth of a month, `F11-F14`, under-18s, one euro twenty; and what goes against the notes, a way"
        " in the other direction and an hour without its minutes. Now it is:",
    ),
    Answers(
        "fifth_blind",
        "A fifth set, also written without sight of the code",
        "In this set and the three before it an answer may say what its notes imply: sums, lengths, a "
        "weekday. Scored once, 55 of 60 with a wrong fact were found, and 16 of 60 without one were flagged; "
        "what was wrong was not mended. Now it is:",
    ),
    Answers(
        "fourth_blind",
        "A fourth set, also written without sight of the code",
        f"Scored once, 52 of 60 with a wrong fact were found, and 19 of 60 without one were flagged. {MENDED}:"
        " prices of each with all that they are for, repeats, numbers between two, parts of a currency, and "
        "short words for days; and what goes against the notes, other units of measure and of prices, another"
        " floor, another name that begins alike. Now it is:",
    ),
    Answers(
        "third_blind",
        "A third set, also written without sight of the code",
        f"Scored once, 46 of 60 with a wrong fact were found, and 22 of 60 without one were flagged. {MENDED}:"
        " what follows from days beside a named one and from prices of each; and what goes against the notes,"
        " a number with another measure, a label on something else, a time in the other half of the day. Now "
        "it is:",
    ),
    Answers(
        "second_blind",
        "A second set, also written without sight of the code",
        "Scored once, 58 of 60 with a wrong fact were found, and 27 of 60 without one were flagged. The rule "
        "worked out lengths of time alone. It has learnt since what follows from what, with these answers in "
        "sight; now it is:",
    ),
    Answers(
        "blind",
        "An earlier set, also written without sight of the code",
        "Scored once, by code whose writer had not seen these answers, 89 of 100 with a wrong fact were "
        f"found, and 26 of 100 without one were flagged. {MENDED}; now it is:",
    ),
    Answers("cases", "Written before the code, which had them in sight"),
)


def report() -> Iterator[str]:
    """The text of `labelled.md`, part by part."""
    yield "# Facts on labelled answers"
    for each in SETS:
        yield f"## {each.heading}"
        yield from filter(None, [each.about])
        yield from _judged(labelled(f"{each.file}.yaml"))
    yield "## How\n\n    python plugins/facts/benchmarks/labelled.py"


def _judged(answers: Sequence[Answer]) -> Iterator[str]:
    changed, true = ([each for each in answers if bool(each.wrong) is wrong] for wrong in (True, False))
    found, flagged = sum(bool(each.seen) for each in changed), sum(bool(each.seen) for each in true)
    yield (
        f"**{found} of {len(changed)} answers with a fact that is not in the notes are found; {flagged} of {len(true)} "
        "answers without one are flagged.**"
    )
    yield _table(["language", "with a wrong fact", "found", "without", "flagged"], _by_language(changed, true))
    rows = [
        [each.language, *map(shown_in_markdown, (each.notes, each.text, ", ".join(each.wrong), ", ".join(each.seen)))]
        for each in answers
        if bool(each.wrong) != bool(each.seen)
    ]
    yield "### What it gets wrong"
    yield _table(["language", "notes", "answer", "wrong", "seen"], rows) if rows else "Nothing."


def _by_language(changed: Sequence[Answer], true: Sequence[Answer]) -> Iterator[list[str]]:
    for language in dict.fromkeys(each.language for each in [*changed, *true]):
        cells = [language]
        for answers in (changed, true):
            those = [each for each in answers if each.language == language]
            cells += [str(len(those)), str(sum(bool(each.seen) for each in those))]
        yield cells


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Print the report, and write it under results/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    text = "\n\n".join(report()) + "\n"
    write_atomically(parser.parse_args().out, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
