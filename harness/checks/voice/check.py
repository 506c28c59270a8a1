"""The voice suite: style, house rules and content of an output.

A reference file holds labelled pairs and house rules. Style is scored by a classifier on surface features, which must
first prove itself on the references (`classifier`); house rules veto; sentence embeddings score only the content.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunegate.harness.checks.base import CheckKind, Finding, Outcome
from tunegate.harness.checks.embeddings import embedder_digest
from tunegate.harness.checks.text.phrases import Phrases
from tunegate.harness.checks.text.reading import Reading, read, signs
from tunegate.harness.checks.text.words import WordForms
from tunegate.harness.checks.voice import degeneration
from tunegate.harness.checks.voice.classifier import Metric, ReferencePair, ReportCard, fit_classifier
from tunegate.harness.checks.voice.content import CONTENT, ContentCard, content_card, likeness
from tunegate.harness.checks.voice.features import ENGLISH, LANGUAGES, SurfaceLanguage, surface_language, words
from tunegate.harness.core.authoring.document import Document, Where, show_value
from tunegate.harness.core.authoring.validation import mapping_schema, text_schema, validate
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Problem, Refused, show_path
from tunegate.harness.core.files import digest

SIDES = ("on", "off")
MAX_CHARS = 4_000  # far more than the words that `degeneration` allows
LEAST_PAIRS = 21  # fewer cannot validate the metric, even if it separates them all
LEAST_SUBTLE = 4

RULE = mapping_schema(
    {
        "id": text_schema("the rule's name"),
        "never": {
            "type": "array",
            "minItems": 1,
            "items": text_schema("a text that no output may contain"),
            "description": "a list of texts that no output may contain",
        },
        "say": text_schema("the reason, and what to write instead"),
    },
    required=["id", "never", "say"],
)
PAIR = mapping_schema(
    {
        "id": text_schema("the pair's name"),
        "topic": text_schema("the topic of both texts"),
        "subtle": {"type": "boolean", "description": "true: the two are hard to tell apart"},
        "on": text_schema("the text as the brand would write it"),
        "off": text_schema("the same content, not as the brand would write it"),
    },
    required=["id", "topic", "on", "off"],
)
REFERENCES = mapping_schema(
    {
        "version": {"const": 1, "description": "the file format's version, 1"},
        "brand": text_schema("the brand's name in messages"),
        "language": {"enum": list(LANGUAGES), "description": "the language of its texts; without it, en"},
        "rules": {"type": "array", "description": "house rules that veto an output", "items": RULE},
        "pairs": {
            "type": "array",
            "description": "the same content written twice, on-brand and off-brand: 60 to 80 pairs, a fifth subtle",
            "items": PAIR,
        },
    },
    required=["version", "brand", "pairs"],
)
MINIMUM = "the minimum cosine between an output and the case's `says`"
OPTIONS = mapping_schema(
    {
        "references": text_schema("the path of a file with reference pairs and house rules"),
        "content": {
            "if": {"type": "boolean"},
            "then": {"const": False, "description": "false: content is not scored"},
            "else": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "description": f"{MINIMUM}, above 0 and at most 1",
            },
            "description": f"{MINIMUM}; false: content is not scored",
        },
    },
    required=["references"],
)
# an empty text is found by `expect_problems`, which knows the brand
SAYS = {"type": "string", "description": "what the output must say, in the brand's words"}
EXPECT = mapping_schema({"says": SAYS}, ["says"])


@dataclass(frozen=True)
class Veto:
    """A house rule: forbidden phrases and signs, what to write instead, and the place of the rule."""

    rule: str
    phrases: Phrases
    signs: tuple[str, ...]
    say: str
    place: str

    def findings(self, text: str, reading: Reading, written: str) -> Iterator[Finding]:
        """One finding for each different forbidden text in `text`, as it is read and as `signs`."""
        hits = {each.seen: " ".join(text[each.start : each.end].split()) for each in self.phrases.find(reading)}
        hits |= {sign: sign for sign in self.signs if sign in written}
        for hit in hits.values():
            message = f"{hit!r} breaks the house rule {self.rule!r}: {self.say}"
            yield Finding("house rule", message, source=self.place)


@dataclass(frozen=True)
class Voice:
    """A brand's voice; the classifier is fitted by `prepare` or at the first output."""

    document: Document = field(repr=False)
    content: float | None = CONTENT

    @property
    def references(self) -> str:
        """The digest of the reference file's data, the content threshold and the embedding model."""
        return digest({"data": self.document.data, "content": self.content, "embedder": embedder_digest()})

    @property
    def report_card(self) -> ReportCard:
        """How well the metric performs on its own references, accepted or not."""
        return self._fitted.card

    @property
    def content_card(self) -> ContentCard | None:
        """How well the embedding model performs in a language other than English; None if it is not needed."""
        return content_card(self._pairs) if self.content and self._language != ENGLISH else None

    def prepare(self) -> None:
        """Fit the metric.

        Raises:
            Refused: the surface features cannot separate this voice from its opposite, or the embedding model cannot
                    separate contents in its language.
        """
        self._metric()
        self._hears_content()

    def __call__(self, output: str, expect: Mapping[str, Any] | None, prompt: str) -> Outcome:
        """Score style, house rules and, if required, content; an empty or endless output fails all of them."""
        if unread := _unread(output):
            return _outcome(unread, unread, unread if self.content else None)
        style = [*self._style(output, expect), *degeneration.degenerate(output, _language(self.document))]
        style += [*degeneration.echoed(output, prompt), *degeneration.copied(output, self._known)]
        style += degeneration.curt(output, expect["says"]) if expect else []
        content = list(self._content(output, expect)) if self.content else None
        return _outcome(style, _vetoed(output, self._vetoes), content)

    def expect_problems(self, expect: Mapping[str, Any], document: Document, where: Where) -> list[Problem]:
        """Refuse an `expect` that says nothing or breaks a house rule."""
        says, where = expect["says"], (*where, "says")
        if not says.strip():
            return [document.problem(where, "what the output must say", "nothing", f"write it as {self._brand} would")]
        hits = _vetoed(says, self._vetoes)
        return [document.problem(where, "text that keeps the house rules", hit.message) for hit in hits]

    @property
    def _brand(self) -> str:
        return str(self.document.data["brand"])

    @property
    def _language(self) -> str:
        return str(self.document.data.get("language", ENGLISH))

    @functools.cached_property
    def _pairs(self) -> tuple[ReferencePair, ...]:
        pairs = self.document.data["pairs"]
        return tuple(ReferencePair(pair["on"], pair["off"], pair.get("subtle", False)) for pair in pairs)

    @functools.cached_property
    def _fitted(self) -> Metric:
        return fit_classifier(self._pairs, self._language)

    def _hears_content(self) -> None:
        card = self.content_card
        if card and not card.accepted:
            raise Refused(
                f"{show_path(self.document.path)}: the embedding model cannot separate contents in "
                f"{self._language!r} ({card}); write `content: false` in the check"
            )

    def _metric(self) -> Metric:
        metric = self._fitted
        if not metric.card.accepted:
            raise Refused(
                f"{show_path(self.document.path)}: the features cannot recognize this voice: {metric.card}; write 60 "
                "to 80 pairs with the same content on both sides, a fifth of them subtle, that differ in how they sound"
            )
        return metric

    def _style(self, output: str, expect: Mapping[str, Any] | None) -> Iterator[Finding]:
        metric = self._metric()
        short = max(0.0, 1 - degeneration.length_share(output, expect["says"])) if expect else 0.0
        score, threshold = metric.score(output), metric.card.threshold
        least = threshold + degeneration.SURER * short * (1 - threshold)
        if score < least:
            why = ", ".join(metric.traits(output)) or "no single trait stands out"
            numbers = f"{score:.2f}, on-brand from {least:.2f}" + (" at this length" if short else "")
            yield Finding("style", f"does not sound like {self._brand} ({numbers}): {why}")

    @functools.cached_property
    def _vetoes(self) -> tuple[Veto, ...]:
        return _vetoes(self.document)

    @functools.cached_property
    def _known(self) -> Mapping[str, degeneration.Grams]:
        pairs = self.document.data["pairs"]
        return degeneration.known({f"{pair['id']}.{side}": pair[side] for pair in pairs for side in SIDES})

    def _content(self, output: str, expect: Mapping[str, Any] | None) -> Iterator[Finding]:
        if expect is None or self.content is None:
            return
        self._hears_content()
        says = expect["says"]
        cosine = likeness(output, says)
        if cosine < self.content:
            numbers = f"similarity {cosine:.2f}, at least {self.content:.2f} is needed"
            yield Finding("content", f"lacks the required content ({numbers}): {show_value(says)}")


def load(options: Mapping[str, Any], document: Document, where: Where) -> Voice:
    """Read and validate the reference file; fitting waits for `prepare` or the first output.

    Raises:
        AuthoringError: lists every mistake in the reference file.
    """
    path = document.path.parent / options["references"]
    if not path.is_file():
        raise AuthoringError([document.problem((*where, "references"), "a file", f"nothing at {show_path(path)}")])
    references = read_yaml(path)
    problems = validate(references, REFERENCES) or list(_mistakes(references))
    if problems:
        raise AuthoringError(problems)
    content = options.get("content", CONTENT)
    return Voice(references, None if content is False else float(content))


def _mistakes(document: Document) -> Iterator[Problem]:
    pairs = document.data["pairs"]
    subtle = sum(pair.get("subtle", False) for pair in pairs)
    advice = "60 to 80 pairs work best, a fifth of them subtle"
    if len(pairs) < LEAST_PAIRS:
        yield document.problem(("pairs",), f"at least {LEAST_PAIRS} pairs", str(len(pairs)), advice)
    elif subtle < LEAST_SUBTLE:
        yield document.problem(("pairs",), f"at least {LEAST_SUBTLE} pairs with `subtle: true`", str(subtle), advice)
    for key in ("rules", "pairs"):
        ids = [(item["id"], (key, index, "id")) for index, item in enumerate(document.data.get(key, []))]
        yield from _repeats(document, ids, "a unique id")
    sides = [(" ".join(words(pair[s])), ("pairs", i, s)) for i, pair in enumerate(pairs) for s in SIDES]
    yield from _repeats(document, sides, "a text that occurs once in the file")
    vetoes = _vetoes(document)
    for index, pair in enumerate(pairs):  # an on-brand text that fails the check would teach the wrong voice
        for finding in [*_vetoed(pair["on"], vetoes), *degeneration.degenerate(pair["on"], _language(document))]:
            expected = "an on-brand text that passes this check"
            yield document.problem(("pairs", index, "on"), expected, finding.message)


def _language(document: Document) -> SurfaceLanguage:
    return surface_language(document.data.get("language", ENGLISH))


def _repeats(document: Document, items: Sequence[tuple[str, Where]], expected: str) -> Iterator[Problem]:
    first: dict[str, Where] = {}
    for value, where in items:
        if value in first:
            found = f"{show_value(value)} again (first on line {document.line(first[value])})"
            yield document.problem(where, expected, found)
        first.setdefault(value, where)


def _vetoes(document: Document) -> tuple[Veto, ...]:
    rules = enumerate(document.data.get("rules", []))
    return tuple(_veto(rule, document.place(("rules", index))) for index, rule in rules)


def _veto(rule: Mapping[str, Any], place: str) -> Veto:
    words = [text for text in rule["never"] if any(char.isalnum() for char in text)]
    others = tuple(signs(text) for text in rule["never"] if text not in words)
    return Veto(rule["id"], Phrases(words, WordForms("", inflects=False)), others, rule["say"], place)


def _vetoed(text: str, vetoes: Iterable[Veto]) -> list[Finding]:
    reading, written = read(text), signs(text)
    return [finding for veto in vetoes for finding in veto.findings(text, reading, written)]


def _unread(output: str) -> list[Finding]:
    if len(output) > MAX_CHARS:
        return [Finding("length", f"{len(output):,} characters; at most {MAX_CHARS:,} are allowed")]
    return [] if output.strip() else [Finding("empty", "the output is empty")]


def _outcome(style: list[Finding], rules: list[Finding], content: list[Finding] | None) -> Outcome:
    findings = tuple(dict.fromkeys([*style, *rules, *(content or ())]))
    parts = {"style": style, "rules": rules, "content": content}
    rates = {part: not found for part, found in parts.items() if found is not None}
    return Outcome(0.0 if findings else 1.0, findings, rates)


KIND = CheckKind(
    kind="pass/fail",
    options=OPTIONS,
    expect=EXPECT,
    load=load,
    version=8,
    libraries=(
        "confusable-homoglyphs", "simplemma", "regex", "numpy", "scipy", "scikit-learn", "sentence-transformers",
        "transformers", "tokenizers", "torch",
    ),
    needs_expect=True,
    by_expect="the required content",
    expect_of=lambda _, output: {"says": output},
    parts={"style": "style", "rules": "house rules", "content": "content"},
    embeds=True,
)  # fmt: skip
