"""One person labels: what is left for her, in which order and on which side, and what a key does.

Every key is on the disk before the next question is shown. Only that is kept: who has labelled what is read from
the labels file, so that a kill loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunegate.harness.cases.conversation import read_turns, shown_turn
from tunegate.harness.cases.traffic.labels import Label, Labels, append_label, read_labels
from tunegate.harness.checks.outputs.message import shown_output
from tunegate.harness.core.escaping import visible_lines
from tunegate.harness.core.reading import NotJson, parse_json
from tunegate.harness.labelling.questions import Question

Side = TypeVar("Side")
SKIP, UNDO = "s", "u"
#: The keys that label, with what they say of the outputs as shown, by the number of outputs.
ANSWERS: Mapping[int, Mapping[str, tuple[bool, ...]]] = {
    1: {"1": (True,), "0": (False,)},
    2: {"1": (True, False), "2": (False, True), "3": (True, True), "0": (False, False)},
}
NAMED: Mapping[int, Mapping[str, str]] = {
    1: {"1": "right", "0": "wrong"},
    2: {"1": "only the left", "2": "only the right", "3": "both", "0": "neither"},
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the screen: a question without names of models, or none; every invisible character is escaped.

    `turn` counts the keys so far; a key for another turn is ignored. `said` is about the last key.
    """

    turn: int
    said: str
    done: int
    count: int
    skipped: int
    turns: tuple[tuple[str, str], ...] = ()
    context: str = ""
    notes: str = ""
    outputs: tuple[str, ...] = ()

    @property
    def progress(self) -> str:
        """How far she is: `12 of 40 labelled, 2 skipped`."""
        return f"{self.done} of {self.count} labelled" + (f", {self.skipped} skipped" if self.skipped else "")


class Labelling:
    """The questions that one person labels into a labels file.

    Without `adjudicates` she gets the questions without a label. Of `double` questions, the same ones for all people,
    she also gets those that only one other person has labelled. With it she gets what others label differently. The
    order and the sides are random, from a seed that is never shown or kept. `questions` are those of every person,
    `labels` all labels of the file.
    """

    def __init__(
        self, questions: Sequence[Question], path: Path, by: str, double: int = 0, adjudicates: bool = False
    ) -> None:
        self._path, self._by, self._adjudicates, self._double = path, by, adjudicates, double
        self._seed = secrets.token_bytes(16)
        self.labels = read_labels(path)
        self.notes = self.labels.notes
        self.questions = tuple(questions)
        self._own = sorted(self._assigned(), key=lambda question: self._chance("order", question))
        self._skipped: set[str] = set()
        self._past = self._labelled_before()
        self._first = ""
        self._turn, self._said = 0, ""

    @property
    def shown(self) -> Shown:
        """The question on the screen; no outputs if none is left."""
        done = sum(self._is_done(question) for question in self._own)
        state = self._turn, self._said, done, len(self._own), len(self._skipped)
        question = self._current()
        if question is None:
            return Shown(*state)
        return Shown(
            *state,
            tuple((role, visible_lines(shown_turn(role, text))) for role, text in read_turns(question.input)),
            visible_lines(question.context or ""),
            visible_lines(question.notes),
            tuple(visible_lines(_readable(output)) for output in self._as_shown(question, question.outputs)),
        )

    @property
    def can_undo(self) -> bool:
        """Whether she has a label or a skip to undo, of this run or an earlier one."""
        return bool(self._past)

    def press(self, key: str, turn: int) -> None:
        """Do what a key says; a key for a screen that is no longer shown does nothing.

        Raises:
            CouldNotRun: the label could not be written; the same question stays.
        """
        if turn != self._turn:
            return
        question = self._current()
        if key == UNDO:
            self._said = self._undo()
        elif question is None:
            self._said = "Nothing is left to label."
        elif key == SKIP:
            self._skipped.add(question.digest)
            self._past.append(question)
            self._said = "Skipped."
        elif key in (answers := ANSWERS[len(question.outputs)]):
            self._append(question, self._as_shown(question, answers[key]))
            self._past.append(question)
            self._said = f"Saved: {NAMED[len(question.outputs)][key]}."
        else:
            self._said = f"{key!r} is no key here."
            return
        self._turn += 1

    def _undo(self) -> str:
        if not self._past:
            return "Nothing to undo."
        question = self._past[-1]
        if question.digest not in self._skipped:
            self._append(question, [None] * len(question.outputs))
        self._skipped.discard(question.digest)
        self._first = self._past.pop().digest
        return "Undone."

    def _append(self, question: Question, right: Sequence[bool | None]) -> None:
        # sorted: the order of the lines says nothing of the models
        for (sha, output), said in sorted(zip(question.pairs, right, strict=True)):
            label = Label(sha, output, said, self._by, adjudicates=self._adjudicates)
            append_label(self._path, label)
            self.labels = Labels((*self.labels.lines, label))

    def _current(self) -> Question | None:
        """The question that was undone last, or the first that is left."""
        left = [each for each in self._own if each.digest not in self._skipped and not self._is_done(each)]
        return next((each for each in left if each.digest == self._first), left[0] if left else None)

    def _as_shown(self, question: Question, sides: Sequence[Side]) -> Sequence[Side]:
        """Outputs in the order of the screen, or back: the two are swapped by chance."""
        return sides[::-1] if self._chance("side", question)[0] % 2 else sides

    def _chance(self, what: str, question: Question) -> bytes:
        return hashlib.sha256(self._seed + f"{what} {question.digest}".encode()).digest()

    def _is_done(self, question: Question, by: str = "") -> bool:
        said = (self.labels.said_by(by or self._by, pair, self._adjudicates) for pair in question.pairs)
        return None not in said

    def _assigned(self) -> list[Question]:
        """What is left for her, and what she has labelled already."""
        if self._adjudicates:
            disputed = set(self.labels.disputed)
            return [each for each in self.questions if self._is_done(each) or disputed & set(each.pairs)]
        twice = {each.digest for each in sorted(self.questions, key=lambda each: each.digest)[: self._double]}
        others = [person for person in self.labels.people if person != self._by]

        def wants_her(question: Question) -> bool:
            labelled = sum(self._is_done(question, person) for person in others)
            return labelled < (2 if question.digest in twice else 1)

        return [each for each in self.questions if self._is_done(each) or wants_her(each)]

    def _labelled_before(self) -> list[Question]:
        """The questions that she labelled in earlier runs, the last one last, so that they can be undone."""
        own = {line.pair: at for at, line in enumerate(self.labels.lines)
               if (line.by, line.adjudicates) == (self._by, self._adjudicates)}  # fmt: skip
        done = [each for each in self._own if self._is_done(each)]
        return sorted(done, key=lambda each: max(own[pair] for pair in each.pairs))


def _readable(output: str) -> str:
    """An output as people read it: JSON with a line for each key, a call as a call."""
    if (message := shown_output(output)) != output:
        return message
    try:
        value: Any = parse_json(output)
    except NotJson:
        return output
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, (dict, list)) else output
