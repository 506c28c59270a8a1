"""Language data: script, negation, compounds, word boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """The properties of one language; the defaults apply to languages without an entry.

    `denials` are words that negate what follows, with `*` for any ending; before a word of `only` they do not negate.
    `links` are the letters between the parts of a compound; None if compounds are written apart. `stems` are endings
    that turn a compound's first part into a known word. `agreement` means that the words of a phrase inflect together.
    `case` maps letters whose lower case is not Unicode's. `separable` are verb prefixes that can move to the end of the
    clause. `spaceless` languages put no space between words: ICU segments them. `endings` are replacements for the last
    letters of a dictionary form.
    """

    script: str = "Latin"
    denials: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    links: tuple[str, ...] | None = None
    stems: tuple[str, ...] = ()
    agreement: bool = True
    case: tuple[tuple[str, str], ...] = ()
    separable: tuple[str, ...] = ()
    spaceless: bool = False
    endings: tuple[tuple[str, str], ...] = ()


_TURKISH = (("I", "\N{LATIN SMALL LETTER DOTLESS I}"), ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i"))
_SCANDINAVIAN = ("", "s", "e")
# verbs as in dictionaries, and their stems before endings: 点検する, 点検しました
_JAPANESE = (
    ("する", "し さ せ すれ しろ せよ"), ("す", "さ し せ そ"), ("く", "か き け こ い"), ("ぐ", "が ぎ げ ご い"),
    ("む", "ま み め も ん"), ("ぶ", "ば び べ ぼ ん"), ("ぬ", "な に ね の ん"), ("つ", "た ち て と っ"),
    ("う", "わ い え お っ"), ("る", "ら り れ ろ っ"),
)  # fmt: skip

LANGUAGES: Mapping[str, Language] = {
    "en": Language(
        denials=("not", "no", "never", "without", "neither", "nor", "cannot", "*n't"),
        only=("only", "just"),
        agreement=False,
    ),
    "de": Language(
        denials=("nicht", "kein*", "nie", "niemals", "ohne", "weder"),
        only=("nur",),
        links=("", "s", "es", "n", "en", "er", "e"),
        stems=("en", "n", "e"),
        separable=("ab", "an", "auf", "aus", "bei", "ein", "fest", "los", "mit", "nach", "vor", "weg", "zu", "zurück"),
    ),
    "nl": Language(
        denials=("niet", "geen", "nooit", "zonder"),
        only=("alleen",),
        links=("", "s", "e", "en"),
        separable=("aan", "af", "bij", "door", "in", "mee", "na", "om", "op", "over", "terug", "toe", "uit", "weg"),
    ),
    "sv": Language(denials=("inte", "ingen", "inget", "inga", "aldrig", "utan"), only=("bara",), links=_SCANDINAVIAN),
    "da": Language(denials=("ikke", "ingen", "intet", "aldrig", "uden"), only=("kun",), links=_SCANDINAVIAN),
    "nb": Language(denials=("ikke", "ingen", "intet", "aldri", "uten"), only=("bare",), links=_SCANDINAVIAN),
    "fi": Language(
        denials=("ei", "en", "et", "emme", "ette", "eivät", "ilman"),
        only=("vain", "ainoastaan"),
        links=("",),
    ),
    "et": Language(denials=("ei", "pole", "ilma"), only=("ainult",), links=("",)),
    "hu": Language(denials=("nem", "sem", "soha", "nélkül"), only=("csak",), links=("",)),
    "fr": Language(denials=("pas", "jamais", "sans", "ni", "aucun", "aucune"), only=("seulement",)),
    "es": Language(
        denials=("no", "nunca", "sin", "ni", "ningún", "ninguna"),
        only=("solo", "sólo", "solamente"),
    ),
    "pt": Language(denials=("não", "nunca", "sem", "nem", "nenhum", "nenhuma"), only=("só", "somente")),
    "it": Language(denials=("non", "mai", "senza", "né", "nessun", "nessuna"), only=("solo", "soltanto")),
    "pl": Language(denials=("nie", "nigdy", "bez", "ani", "żaden", "żadna"), only=("tylko",)),
    "tr": Language(denials=("hiçbir",), case=_TURKISH),
    "az": Language(case=_TURKISH),
    "ru": Language("Cyrillic", denials=("не", "нет", "без", "ни", "никогда"), only=("только",)),
    "uk": Language("Cyrillic", denials=("не", "немає", "без", "ні", "ніколи"), only=("тільки", "лише")),
    "bg": Language("Cyrillic", denials=("не", "няма", "без", "ни", "никога"), only=("само",)),
    "sr": Language("Cyrillic"),
    "mk": Language("Cyrillic"),
    "be": Language("Cyrillic"),
    "zh": Language(spaceless=True),
    "ja": Language(spaceless=True, endings=_JAPANESE),
    **dict.fromkeys(("th", "lo", "km", "my"), Language(spaceless=True)),
    "el": Language("Greek", denials=("δεν", "όχι", "χωρίς", "ούτε", "ποτέ"), only=("μόνο",)),
}


def language_of(code: str) -> Language:
    """The properties of a language code such as `de-AT`."""
    return LANGUAGES.get(code.split("-")[0], Language())
