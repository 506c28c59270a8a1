"""Text normalization: a text's words as written, as compared, and with masked facts, which edited copies change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import regex

from tunegate.harness.checks.text.reading import Reading, read

# Words per phrase, and characters per run. Shared phrases of five words are rarely a coincidence, and reworded copies
# rarely keep longer ones: the usual 13 found 2 of 6 copies with other numbers, five at least .81 of each.
PHRASE = 5
LEAST_WORDS = 3  # shorter texts are only compared for equality
MUCH_FEWER = 0.7
LONGEST_NAME = 3  # words
FACT = "\0"
_BETWEEN_WORDS = regex.compile(r"[\p{P}\p{Z}\p{C}]+")  # symbols stay, since a text may be a single emoji
_PIECE = regex.compile(r"\S+")
_DIGITS = regex.compile(r"\p{N}+")
_LETTER = regex.compile(r"\p{L}")
_SENTENCE_END = (".", "!", "?", ":", "\N{HORIZONTAL ELLIPSIS}")
_FACT_WORD = regex.compile(
    r"(mon|tues?|wed(s|nes)?|thu(rs?)?|fri|sat(ur)?|sun)(day)?|"
    r"jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|(nov|dec)(ember)?|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|hundred|thousand|"
    r"half|first|second|third"
)


def normalise(text: str) -> str:
    """Normalize case, white space, punctuation, markup and character forms, which copies often change.

    A text with only punctuation keeps it; otherwise it would equal all other such texts.
    """
    folded = _reading(text).folded.text
    return " ".join(_words(folded)) or " ".join(folded.split())


def _reading(text: str) -> Reading:
    """The readable part of a text; the text itself if it is only markup."""
    found = read(text)
    return found if found.text else Reading(text, range(len(text) + 1))


def _words(folded: str) -> list[str]:
    spaced: str = _BETWEEN_WORDS.sub(" ", folded)
    return spaced.split()


@dataclass(frozen=True)
class Wording:
    """The words of a text in reading order: the piece of each, its plain form, and its form with facts masked."""

    pieces: tuple[str, ...]
    at: tuple[int, ...]
    plain: tuple[str, ...]
    masked: tuple[str, ...]
    is_whole: bool = True

    @cached_property
    def phrases(self) -> frozenset[str]:
        """All runs of five plain words."""
        return frozenset(_runs(self.plain))

    @cached_property
    def masked_runs(self) -> tuple[str, ...]:
        """All runs of five masked words, in order."""
        return tuple(_runs(self.masked))

    @property
    def masked_phrases(self) -> frozenset[str]:
        """All runs of five masked words."""
        return frozenset(self.masked_runs)

    @property
    def kept(self) -> int:
        """The number of words with a letter that are not facts, which an edited copy shares with its original."""
        return sum(word != FACT and _LETTER.search(word) is not None for word in self.masked)

    @property
    def letters(self) -> frozenset[str]:
        """All runs of five characters."""
        text = " ".join(self.plain)
        return frozenset(text[at : at + PHRASE] for at in range(max(min(1, len(text)), len(text) - PHRASE + 1)))

    @property
    def key(self) -> str | None:
        """The key for equality; None if too little of the text is left."""
        return " ".join(self.plain) if self.is_whole or len(self.plain) >= LEAST_WORDS else None

    @property
    def text(self) -> str:
        """The text in reading order."""
        return " ".join(self.pieces)

    def without(self, shared: Mapping[str, int]) -> Wording:
        """The text without the words of these masked runs; `shared` maps a run to the number of rows that share it.

        A run that far fewer rows share than an overlapping run extends from a template into the neighbouring text. It
        is ignored; otherwise the first words of that text would be removed with the template.
        """
        counts = [shared.get(run, 0) for run in self.masked_runs]
        most = [max(counts[max(0, at - PHRASE + 1) : at + PHRASE]) for at in range(len(counts))]
        cut = [at for at, count in enumerate(counts) if count and count >= MUCH_FEWER * most[at]]
        gone = {at + more for at in cut for more in range(PHRASE)}
        if not gone:
            return self
        stay = [number for number in range(len(self.plain)) if number not in gone]
        used = {self.at[number] for number in stay}
        order = {piece: new for new, piece in enumerate(sorted(used))}
        return Wording(
            tuple(self.pieces[piece] for piece in sorted(used)),
            tuple(order[self.at[number]] for number in stay),
            tuple(self.plain[number] for number in stay),
            tuple(self.masked[number] for number in stay),
            is_whole=False,
        )


def wording(text: str) -> Wording:
    """The words of a text."""
    text = _reading(text).text
    found = list(_PIECE.finditer(text))
    pieces, names = tuple(each[0] for each in found), _names(text, found)
    at, plain, masked = [], [], []
    for number, piece in enumerate(pieces):
        for word in _words(piece.casefold()):
            at.append(number)
            plain.append(word)
            # Edited copies change exactly these. Without the mask, every measure missed 18 of 663 copies, mostly short
            # texts that consist of numbers.
            masked.append(FACT if number in names or _FACT_WORD.fullmatch(word) else _DIGITS.sub("0", word))
    if not plain:  # only punctuation: compared verbatim, or it would equal all other such texts
        return Wording(pieces, tuple(range(len(pieces))), pieces, pieces)
    return Wording(pieces, tuple(at), tuple(plain), tuple(masked))


def is_fact(word: str) -> bool:
    """Whether a word is a number, a day or a month, whatever its spelling."""
    return _FACT_WORD.fullmatch(word) is not None or _LETTER.search(word) is None


def _names(text: str, pieces: Sequence[regex.Match[str]]) -> set[int]:
    """The capitalized pieces inside a sentence, up to three in a row; longer runs are titles or all caps."""
    capital = [piece[0][:1].isupper() for piece in pieces]
    names: set[int] = set()
    start = 0
    for is_capital, group in groupby(capital):
        end = start + len(list(group))
        if is_capital and end - start <= LONGEST_NAME:
            names |= {at for at in range(start, end) if not _begins_sentence(text, pieces[at].start())}
        start = end
    return names


def _begins_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 9) : start].rstrip(" \"'(")
    return not before or before.endswith((*_SENTENCE_END, "\n"))


def _runs(words: Sequence[str]) -> Iterator[str]:
    for at in range(len(words) - PHRASE + 1):
        yield " ".join(words[at : at + PHRASE])
