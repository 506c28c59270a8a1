"""Word forms: from a dictionary if the language has one (`simplemma`), otherwise by English rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.checks.text.reading import read

LEAST_PART = 3  # letters of a compound's part; nearly any two letters are a word


def inflections(word: str) -> list[str]:
    """`word` and its regular English inflections, including some that are not in use.

    `valve`: valves, valve's, valves', valved, valving; `stop`: stopped; `supply`: supplies, supplied; `shelf`: shelves.
    """
    if not word[-1:].isalpha():
        return [word, f"{word}'s"]
    # too many rather than too few: an unused form is harmless, a missing one lets a variant pass
    forms = [word, f"{word}s", f"{word}'s", f"{word}s'", f"{word}ing"]
    stem = word.lower()
    if re.search(r"[^aeiou]y$", stem):
        forms += [f"{word[:-1]}ies", f"{word[:-1]}ies'", f"{word[:-1]}ied"]
    elif stem.endswith("e"):
        forms += [f"{word}d", f"{word[:-1]}ing"]
    else:
        forms.append(f"{word}ed")
    if re.search(r"(s|x|z|ch|sh|o)$", stem):
        forms += [f"{word}es", f"{word}es'", f"{word}'"]
    if re.search(r"[^aeiou][aeiou][bdfgklmnprtvz]$", stem):
        forms += [f"{word}{word[-1]}ed", f"{word}{word[-1]}ing"]
    if re.search(r"[lrae]fe?$", stem):
        forms.append(f"{word.removesuffix('e')[:-1]}ves")
    return forms


@dataclass(frozen=True)
class WordForms:
    """The forms of some words in one language, folded like readings (`Reading.folded`).

    `paradigms` maps lemmas to forms, `lemmas` maps words to lemmas. Without `inflects`, words have no other forms.
    """

    language: str
    paradigms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lemmas: Mapping[str, frozenset[str]] = field(default_factory=dict)
    inflects: bool = True

    def of(self, word: str, in_phrase: bool = False) -> frozenset[str]:
        """Every form of a word, including the word.

        A word is an instance of its dictionary form, so `saw` is a tool and not a form of `see`; with `in_phrase`,
        where words agree, it may also be an inflected form: `alter Kessel`, `alten Kessels`.
        """
        in_phrase = in_phrase and language_of(self.language).agreement
        folded = read(word, self.language).folded.text
        if not self.inflects:
            return frozenset({folded})
        regular = inflections(folded) if self.language.split("-")[0] == "en" else [folded, f"{folded}'s"]
        regular += _endings(folded, self.language)
        asked = {lemma for lemma in self.lemmas.get(word, ()) if in_phrase or lemma in _spellings(word)}
        return frozenset(regular).union(*(self.paradigms[lemma] for lemma in asked))


def _endings(word: str, language: str) -> list[str]:
    """The forms of a word by the longest matching ending of its language."""
    for ending, others in language_of(language).endings:
        if word.endswith(ending) and word != ending:
            stem = word.removesuffix(ending)
            return [stem + other for other in others.split()]
    return []


def _spellings(word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([word, word.lower(), word.capitalize()]))


@lru_cache(maxsize=32)
def word_forms(words: frozenset[str], language: str) -> WordForms:
    """Look up the forms of words in one pass through the dictionary of the language."""
    known = dictionary(language)
    lemmas = {word: frozenset(known[each] for each in _spellings(word) if each in known) for word in words}
    wanted = frozenset[str]().union(*lemmas.values())
    found: dict[str, set[str]] = {lemma: set() for lemma in wanted}
    for form, lemma in known.items() if wanted else ():
        if lemma in wanted:
            found[lemma].add(read(form, language).folded.text)
    return WordForms(language, {lemma: frozenset(forms) for lemma, forms in found.items()}, lemmas)


def dictionary(language: str) -> Mapping[str, str]:
    """Each known form with its lemma; empty if the language has no dictionary."""
    from simplemma.strategies.dictionaries import DEFAULT_DICTIONARY_FACTORY
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    code = language.split("-")[0]
    return DEFAULT_DICTIONARY_FACTORY.get_dictionary(code) if code in SUPPORTED_LANGUAGES else {}


def is_compound(before: str, after: str, language: str) -> bool:
    """Whether a word with a known part consists of known words: `before` and `after` surround that part."""
    own = language_of(language)
    if own.links is None or not (before or after):
        return False
    known = dictionary(language)
    first = {before.removesuffix(link) for link in own.links}
    last = {after.removeprefix(link) for link in own.links}
    first = {part + ending for part in first if len(part) >= LEAST_PART for ending in ("", *own.stems)}
    last = {part for part in last if len(part) >= LEAST_PART}
    sides = [parts for part, parts in ((before, first), (after, last)) if part]
    return all(any(each in known for part in parts for each in _spellings(part)) for parts in sides)


def split_verb(word: str, language: str) -> tuple[str, str] | None:
    """A verb split as in a clause: `ausschalten` is `schalten` and `aus`; None if it is not separable."""
    own, known = language_of(language), dictionary(language)
    for prefix in own.separable:
        rest = word.removeprefix(prefix)
        if rest != word and rest.endswith("n") and len(rest) > LEAST_PART and known.get(rest) == rest:
            return rest, prefix
    return None
