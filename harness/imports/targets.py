"""Samples with a target and without a scorer: which check they get, by `--match`, and choices by their letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.begin.scaffold.infer import is_prose
from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.imports.model import AskedPrompt, LeftOut, Tally
from tunegate.harness.imports.rules import MATCHES, Rule, any_of, target_rule
from tunegate.harness.imports.templates import as_template_text

CHOICES = "choices"
BY_LETTER = "{input}\n\nReply with only the letter of the right choice."
MOST_CHOICES = 26


@dataclass(frozen=True)
class Match:
    """How a target is compared. `given` is what the command line says, `usual` what the tool does."""

    given: str | None
    usual: str
    like: str
    ignore_case: bool = False

    @property
    def name(self) -> str:
        """The comparison that is used."""
        return self.given or self.usual

    @property
    def notes(self) -> tuple[str, ...]:
        """What was inferred; nothing if the command line says it."""
        other = ", ".join(each for each in MATCHES if each != self.name)
        said = f"the file names no scorer: --match {self.name}, as {self.like} does; or {other}"
        return () if self.given else (said,)

    def rule(self, targets: Sequence[str]) -> Rule:
        """The rule of an output for its targets."""
        return target_rule(self.name, targets, self.ignore_case and not self.given)

    def check_prose(self, path: Path, targets: Iterable[Sequence[str]]) -> None:
        """Look for targets that no two authors would write alike.

        Raises:
            Refused: they are prose, and the command line does not say how to compare them.
        """
        texts = [each[0] for each in targets if each]
        if self.given is None and is_prose(texts):
            longest = max(map(len, texts))
            raise Refused(
                f"{show_path(path)}: expected short targets, found prose (up to {longest:,} characters), which a "
                f"comparison of texts seldom scores right; to compare it all the same, add --match {MATCHES[-1]}"
            )


def targets_of(value: Any) -> list[str]:
    """The targets of a sample as texts.

    Raises:
        LeftOut: there is none, or it is no text.
    """
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in found):
        raise LeftOut("a target that is no text" if value is not None else "without a target")
    texts = list(dict.fromkeys(as_template_text(each) for each in found))
    if not texts or not all(text.strip() for text in texts):
        raise LeftOut("without a target")
    return texts


def by_letter(
    asked: AskedPrompt, choices: Sequence[str], right: Sequence[int], tally: Tally
) -> tuple[AskedPrompt, Rule]:
    """A question with its choices by letter, and the rule of its output.

    Raises:
        LeftOut: there are too many choices, or several right ones.
    """
    if not 1 < len(choices) <= MOST_CHOICES:
        raise LeftOut(f"{len(choices)} choices")
    if len(right) != 1:
        raise LeftOut("several right choices")
    letters = [chr(ord("A") + index) for index in range(len(choices))]
    listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(letters, choices, strict=True))
    tally.changed["choices", "asked for by letter, in words of ours"] += 1
    letter = letters[right[0]]
    return AskedPrompt(asked.system, asked.earlier, f"{asked.text}\n\n{listed}"), any_of([letter], r"^\W*", r"\W*$")
