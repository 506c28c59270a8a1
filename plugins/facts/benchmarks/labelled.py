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

from tunegate.harness.core.authoring.yaml_reader import read_yaml
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
    """A file of labelled answers, and what was found and flagged when they were scored first."""

    file: str
    heading: str
    found: int
    flagged: int


#: Each set was written without sight of the code and scored once: wrong facts found, correct answers flagged, of 60
#: each. The code was then improved with all but the fifth.
SETS = (
    Answers("ninth_blind", "Ninth set", 58, 3),
    Answers("eighth_blind", "Eighth set", 53, 5),
    Answers("seventh_blind", "Seventh set", 58, 5),
    Answers("sixth_blind", "Sixth set", 53, 5),
    Answers("fifth_blind", "Fifth set, whose answers may say what their notes imply", 55, 16),
    Answers("fourth_blind", "Fourth set, whose answers may say what their notes imply", 52, 19),
)


def report() -> Iterator[str]:
    """The text of `labelled.md`, part by part."""
    yield "# Facts on labelled answers"
    for each in SETS:
        yield f"## {each.heading}"
        yield f"Scored once: {each.found} of 60 with a wrong fact found, {each.flagged} of 60 without one flagged. Now:"
        yield from _scored(labelled(f"{each.file}.yaml"))
    yield "## How\n\n    python plugins/facts/benchmarks/labelled.py"


def _scored(answers: Sequence[Answer]) -> Iterator[str]:
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
