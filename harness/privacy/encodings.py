"""What a text says in disguise: base64, hexadecimal, percent signs, rot13, letters spaced, run together or reversed.

A decoding that has no telltale form, such as rot13, is believed where it holds words that somebody knows.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable, Iterator, Set
from urllib.parse import unquote

import regex

LEAST_KNOWN = 3  # words: fewer that turn up by decoding may be chance
LONGEST_TEXT = 100_000  # characters that are looked through
LAYERS = 3  # of one encoding in another
LEAST_SPACED = 8  # letters in a row
LEAST_JOINED = 20  # letters of what may be several words without spaces
LEFT_OVER = 2.0  # what a letter outside every known word costs where words are told apart; a word costs 1
_BASE64 = regex.compile(r"[A-Za-z0-9+/_-]{12,}(?:\s[A-Za-z0-9+/_-]{4,})*+={0,2}")
_HEX = regex.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]?){8,}")
_NOT_HEX = regex.compile(r"0x|\\x|[^0-9a-fA-F]")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LONGER = regex.compile(r"[\p{L}\p{M}]{2,}")  # than a letter: nearly every one is somebody's word
_BETWEEN = regex.compile(r"[^\p{L}\p{N}]+")
_SPACED = regex.compile(rf"\b(?:[\p{{L}}\p{{N}}]{_BETWEEN.pattern}){{{LEAST_SPACED - 1},}}[\p{{L}}\p{{N}}]\b")
_JOINED = regex.compile(rf"\p{{L}}{{{LEAST_JOINED},}}")


def decodings(text: str, vocabulary: Set[str]) -> Iterator[str]:
    """Every other text that `text` may stand for; none, as a rule.

    Args:
        text: as it was written.
        vocabulary: words, case folded, of which a decoding without a telltale form has to hold some.
    """
    text = text[:LONGEST_TEXT]
    unpacked = _unpacked(text)
    if unpacked != text:
        yield unpacked
    known = _known(unpacked, vocabulary)
    spread = (_rot13(unpacked, vocabulary), _spread(unpacked, vocabulary))
    for found in (codecs.encode(unpacked, "rot13"), unpacked[::-1], *spread):
        if found != unpacked and _known(found, vocabulary) >= known + LEAST_KNOWN:
            yield found


def _known(text: str, vocabulary: Set[str]) -> int:
    return sum(word in vocabulary for word in _LONGER.findall(text.casefold()))


def _unpacked(text: str) -> str:
    """A text with what is encoded in it decoded in its place."""
    for _ in range(LAYERS):
        found = _HEX.sub(_from_hex, unquote(text))
        found = _BASE64.sub(_from_base64, found)
        if found == text:
            break
        text = found
    return text


def _from_hex(match: regex.Match[str]) -> str:
    return _readable(match[0], lambda: bytes.fromhex(_NOT_HEX.sub("", match[0])))


def _from_base64(match: regex.Match[str]) -> str:
    """What base64 stands for, as one run over several lines or as a run each."""
    whole = _one_run(match[0])
    return whole if whole != match[0] else " ".join(map(_one_run, match[0].split()))


def _one_run(written: str) -> str:
    run = "".join(written.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    return _readable(written, lambda: base64.b64decode(run + "=" * (-len(run) % 4), validate=True))


def _readable(written: str, decode: Callable[[], bytes]) -> str:
    """What was decoded if it is text, else what was written: most runs of letters are words, and decode to noise."""
    try:
        found = decode().decode()
    except (ValueError, binascii.Error):
        return written
    return found if all(char.isprintable() or char.isspace() for char in found) else written


def _rot13(text: str, vocabulary: Set[str]) -> str:
    """The words that nobody knows as they are, and somebody by rot13."""
    turned: str = _WORD.sub(lambda word: _turned(word[0], vocabulary), text)
    return turned


def _turned(word: str, vocabulary: Set[str]) -> str:
    turned = codecs.encode(word, "rot13")
    is_known = turned.casefold() in vocabulary and word.casefold() not in vocabulary
    return turned if is_known else word


def _spread(text: str, vocabulary: Set[str]) -> str:
    """Letters that are spaced out, and words that are run together, as words."""
    longest = max(map(len, vocabulary), default=0)
    text = _SPACED.sub(lambda run: _words_of(_BETWEEN.sub("", run[0]), vocabulary, longest), text)
    joined: str = _JOINED.sub(lambda run: _words_of(run[0], vocabulary, longest), text)
    return joined


def _words_of(letters: str, vocabulary: Set[str], longest: int) -> str:
    """Letters as the fewest known words, with as few left over as can be."""
    folded = letters.casefold()
    if len(folded) != len(letters):
        letters = folded
    cost, start = [0.0], [0]
    for end in range(1, len(folded) + 1):
        best, at = cost[end - 1] + LEFT_OVER, end - 1
        for begin in range(max(0, end - longest), end):
            if cost[begin] + 1 < best and folded[begin:end] in vocabulary:
                best, at = cost[begin] + 1, begin
        cost.append(best)
        start.append(at)
    words, end = list[str](), len(letters)
    while end:
        words.append(letters[start[end] : end])
        end = start[end]
    return " ".join(reversed(words))
