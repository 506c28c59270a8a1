"""Decode disguised text: encoded, or with its letters replaced, spaced, run together or reversed.

Encodings are base64, hexadecimal, percent signs, words joined by plus signs, and invisible tag characters.
A decoding without a distinctive form, such as rot13, counts only if it yields known words.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable, Iterator, Set
from urllib.parse import unquote

import regex

LEAST_KNOWN = 3  # words; fewer may be chance
LONGEST_TEXT = 100_000  # characters to search
LAYERS = 3  # of nested encodings
TAG = 0xE0000  # a tag character is so far from the ASCII one that it stands for
LEAST_SPACED = 8  # letters in a row
LEAST_JOINED = 20  # letters of possible words without spaces
LEFT_OVER = 2.0  # cost of a letter outside known words when words are split; a word costs 1
_BASE64 = regex.compile(r"[A-Za-z0-9+/_-]{12,}(?:\s[A-Za-z0-9+/_-]{4,})*+={0,2}")
_BYTE = "[0-9a-fA-F]{2}"
_HEX = regex.compile(
    rf"(?:0x|\\x){_BYTE}(?:[\s,]{{1,3}}+(?:0x|\\x){_BYTE}){{7,}}+|{_BYTE}(?:-{_BYTE}){{7,}}+"
    rf"|(?:(?:0x|\\x)?{_BYTE}[\s:,]?){{8,}}"
)
_NOT_HEX = regex.compile(r"0x|\\x|[^0-9a-fA-F]")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LONGER = regex.compile(r"[\p{L}\p{M}]{2,}")  # single letters are words in many languages
_BETWEEN = regex.compile(r"[^\p{L}\p{N}]+")
_SPACED = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{N}}])[\p{{L}}\p{{N}}]"
    rf"(?:{_BETWEEN.pattern}+[\p{{L}}\p{{N}}](?![\p{{L}}\p{{N}}])){{{LEAST_SPACED - 1},}}+"
)
_TAGS = regex.compile(r"[\U000E0020-\U000E007E]{8,}")  # each for an ASCII character; the flag of a region has fewer
_PART = r"[^\s+=<>\[\]{}\"`]"  # of words+like+these
_PLUS = regex.compile(rf"(?<!{_PART}|\+)(?:{_PART}++\+){{2,}}+{_PART}++")
_SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")
_JOINED = regex.compile(rf"\p{{L}}{{{LEAST_JOINED},}}")


def decodings(text: str, vocabulary: Set[str]) -> Iterator[str]:
    """The texts that `text` may encode; usually none.

    A decoding without a distinctive form must contain some words of the `vocabulary`, which is case
    folded.
    """
    text = text[:LONGEST_TEXT]
    unpacked = _unpacked(text)
    if unpacked != text:
        yield unpacked
    known = _known(unpacked, vocabulary)
    spread = (_rot13(unpacked, vocabulary), _spread(unpacked, vocabulary))
    for found in (codecs.encode(unpacked, "rot13"), unpacked[::-1], unpacked.translate(_SMALL_CAPITALS), *spread):
        if found != unpacked and _known(found, vocabulary) >= known + LEAST_KNOWN:
            yield found


def _known(text: str, vocabulary: Set[str]) -> int:
    return sum(word in vocabulary for word in _LONGER.findall(text.casefold()))


def _unpacked(text: str) -> str:
    """The text with each encoded part decoded in place."""
    for _ in range(LAYERS):
        found = _HEX.sub(_from_hex, unquote(_TAGS.sub(_from_tags, text)))
        found = _BASE64.sub(_from_base64, found)
        if found == text:
            break
        text = found
    spaced: str = _PLUS.sub(lambda words: words[0].replace("+", " "), text)  # after base64, which has plus signs, too
    return spaced


def _from_tags(match: regex.Match[str]) -> str:
    return "".join(chr(ord(char) - TAG) for char in match[0])


def _from_hex(match: regex.Match[str]) -> str:
    """Decode a run; otherwise what follows its first space, since it may begin with a word's end: `decode 54 68`."""
    if (whole := _bytes(match[0])) != match[0]:
        return whole
    head, space, rest = match[0].partition(" ")
    return f"{head}{space}{_bytes(rest)}"


def _bytes(written: str) -> str:
    return _readable(written, lambda: bytes.fromhex(_NOT_HEX.sub("", written)))


def _from_base64(match: regex.Match[str]) -> str:
    """Decode base64, as one run over several lines or as a run per line."""
    whole = _one_run(match[0])
    return whole if whole != match[0] else " ".join(map(_one_run, match[0].split()))


def _one_run(written: str) -> str:
    run = "".join(written.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    return _readable(written, lambda: base64.b64decode(run + "=" * (-len(run) % 4), validate=True))


def _readable(written: str, decode: Callable[[], bytes]) -> str:
    """The decoded text if it is readable, or the original: most runs of letters are words, and decode to noise."""
    try:
        found = decode().decode()
    except (ValueError, binascii.Error):
        return written
    return found if all(char.isprintable() or char.isspace() for char in found) else written


def _rot13(text: str, vocabulary: Set[str]) -> str:
    """Decode the words that are unknown as written and known in rot13."""
    turned: str = _WORD.sub(lambda word: _turned(word[0], vocabulary), text)
    return turned


def _turned(word: str, vocabulary: Set[str]) -> str:
    turned = codecs.encode(word, "rot13")
    is_known = turned.casefold() in vocabulary and word.casefold() not in vocabulary
    return turned if is_known else word


def _spread(text: str, vocabulary: Set[str]) -> str:
    """Split spaced-out letters and joined words into known words."""
    longest = max(map(len, vocabulary), default=0)
    text = _SPACED.sub(lambda run: _words_of(_BETWEEN.sub("", run[0]), vocabulary, longest), text)
    joined: str = _JOINED.sub(lambda run: _words_of(run[0], vocabulary, longest), text)
    return joined


def _words_of(letters: str, vocabulary: Set[str], longest: int) -> str:
    """Split letters into the fewest known words, with as few letters left over as possible."""
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
