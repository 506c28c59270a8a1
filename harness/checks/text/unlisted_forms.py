"""Forms of a term that its list and the dictionary lack, found in texts: candidates for people, never matches.

Four kinds: a compound inflected by its last part (`Außengeräte`), a verb with its prefix (`ausgeschaltet`,
`auszuschalten`) or by regular endings, a compound with hyphens (`Wärmepumpen-Anlage`, also at a line's end), and one
that shares its last part (`Wartungs- und Reparaturverträge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import regex

from tunegate.harness.checks.text.languages import language_of
from tunegate.harness.checks.text.phrases import Occurrence, Phrases, one_of, words_of
from tunegate.harness.checks.text.reading import Reading, read, within
from tunegate.harness.checks.text.words import WordForms, dictionary, is_compound, split_verb, word_forms

LEAST = 4  # letters of a last part, or of a word that hyphens join to others; shorter ones occur by chance
_WEAK = ["st", "t", "te", "test", "ten", "tet"]
_DECLINED = ("", "e", "en", "er", "es", "em")
_INSEPARABLE = ("be", "ent", "er", "ver", "zer", "miss")


@dataclass(frozen=True)
class UnlistedForms:
    """The candidates of one language for some phrases; `forms` are the known forms of their words."""

    phrases: Sequence[str]
    forms: WordForms

    @property
    def _has_compounds(self) -> bool:
        return language_of(self.forms.language).links is not None

    @cached_property
    def _splits(self) -> dict[str, tuple[str, str]]:
        """The words that are compounds, each as what stands before its last part, and that part."""
        language = self.forms.language
        if not self._has_compounds:
            return {}
        words = {word for phrase in self.phrases for word in words_of(phrase, language)}
        return {word: split for word in words if (split := split_compound(word, language))}

    @cached_property
    def _lasts(self) -> WordForms:
        return word_forms(frozenset(last for _, last in self._splits.values()), self.forms.language)

    def of(self, word: str) -> set[str]:
        """The candidates for one word, folded, without its known forms."""
        found = set(self._of_verb(word))
        if word in self._splits and not self.forms.lemmas.get(word):
            before, last = self._splits[word]
            found |= {_folded(before, self.forms.language) + form for form in self._lasts.of(last)}
        known, own = dictionary(self.forms.language), self.forms.of(word)
        return {form for form in found - own if known.get(form, word) in {word, *found}}

    def _of_verb(self, word: str) -> Iterator[str]:
        code = self.forms.language.split("-")[0]
        if parts := split_verb(word, self.forms.language):
            base, prefix = parts
            each = self.forms.of(base)
            # the bare stem follows its prefix in nouns only: `Anruf`
            yield from (prefix + form for form in each if form != base.removesuffix("en"))
            participles = [form for form in each if form[:2] == "ge" and form[-1] in "tdn" and form[:-2] not in each]
            yield from (prefix + form + end for form in participles for end in _DECLINED)
            if code == "de":
                yield f"{prefix}zu{base}"
        elif code == "de" and word.endswith("en") and dictionary("de").get(word) == word:
            stem = word.removesuffix("en")
            link = "e" if stem[-1] in "td" else ""
            yield from (stem + end for end in ("e", *(link + end for end in _WEAK)))
            participle = stem if word.startswith(_INSEPARABLE) else f"ge{stem}"
            yield from (f"{participle}{link}t{end}" for end in _DECLINED)

    @cached_property
    def patterns(self) -> dict[str, Any]:
        """By phrase a pattern of all that may be a form of it, for folded texts."""
        found = {}
        for phrase in self.phrases:
            words = words_of(phrase, self.forms.language)
            if words and (self._has_compounds or any(map(self.of, words))):
                choices = [rf"\b(?:{one_of(self._every(word, len(words) > 1))})\b" for word in words]
                one: Iterable[str] = self._of_one(words[0]) if len(words) == 1 else ()
                found[phrase] = regex.compile("|".join([*one, "[ \n-]".join(choices)]), regex.V1)
        return found

    def _every(self, word: str, in_phrase: bool = False) -> set[str]:
        return self.of(word) | self.forms.of(word, in_phrase)

    def _of_one(self, word: str) -> Iterator[str]:
        """Patterns of a compound with hyphens, and of one that shares its last part."""
        language = self.forms.language
        links = language_of(language).links
        if links is None:
            return
        if long := [form for form in self._every(word) if len(form) >= LEAST]:
            inner = rf"(?:{one_of(long)})"
            yield rf"\b(?:\w{{1,40}}-){{1,4}}{inner}\b|\b{inner}(?:{one_of(links)})(?:-\w{{2,40}}){{1,4}}\b"
        if word in self._splits:
            before, last = self._splits[word]
            start, ends = regex.escape(_folded(before, language)), one_of(self._lasts.of(last))
            yield rf"\b{start}-\n?(?:{ends})\b"
            yield rf"\b{start}-(?:,? ?\w{{1,6}}\.? |, |/)[\w-]{{2,40}}?(?:{ends})\b"

    @cached_property
    def _any(self) -> Any:
        return regex.compile("|".join(each.pattern for each in self.patterns.values()), regex.V1)

    def may_be_in(self, text: str) -> bool:
        """Whether a text may hold any of them: a search that is quicker than reading."""
        return bool(self.patterns) and bool(self._any.search(text.casefold()))

    def find(self, text: str, phrase: str, listed: Phrases) -> Iterator[Occurrence]:
        """Yield where a text has a candidate for a phrase that `listed` does not find there."""
        pattern = self.patterns.get(phrase)
        if pattern is None or not pattern.search(text.casefold()):
            return
        reading = read(text, self.forms.language)
        known = [(each.start, each.end) for each in listed.find(reading)]
        for match in pattern.finditer(reading.folded.text):
            start, end = reading.folded.span(*match.span())
            if any(one < end and start < other for one, other in known) or within((start, end), reading.addresses):
                continue
            if self._would_count(match[0], reading):
                yield Occurrence(match[0], start, end, is_mention=False)

    def _would_count(self, form: str, reading: Reading) -> bool:
        """Whether the form is found once it is listed."""
        return any(Phrases([form.replace("\n", " ")], WordForms(self.forms.language, inflects=False)).find(reading))


def split_compound(word: str, language: str) -> tuple[str, str] | None:
    """A compound as what stands before its last part, and the longest last part that the dictionary has; or None."""
    known = dictionary(language)
    for at in range(3, len(word) - LEAST + 1):
        before, last = word[:at], word[at:]
        # as the term is written: a noun, or `gerät` would be a form of `geraten`
        last = last.capitalize() if word[0].isupper() else last
        if last in known and is_compound(before, "", language):
            return before, last
    return None


def _folded(text: str, language: str) -> str:
    return read(text, language).folded.text
