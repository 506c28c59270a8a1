"""Words of the calendar and of numbers by language, as data: what `facts` reads beside digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Calendar:
    """The words of one language; those of a calendar are whole names, and after a `|` what notes shorten them to.

    A name that ends in `*` stands for any ending. `unsure` are words that mostly mean something else, unless a capital
    inside a sentence says otherwise; `articles` are numbers that are mostly articles or pronouns.
    """

    weekdays: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    decimal: str = ","


def _numbered(words: str, first: int = 1) -> dict[str, int]:
    return {word: number for number, each in enumerate(words.split(), first) for word in each.split("|")}


CALENDARS: Mapping[str, Calendar] = {
    "en": Calendar(
        weekdays=("monday|mon", "tuesday|tue|tues", "wednesday|wed|weds", "thursday|thu|thur|thurs", "friday|fri",
                  "saturday|sat", "sunday|sun"),
        months=("january|jan", "february|feb", "march|mar", "april|apr", "may", "june|jun", "july|jul", "august|aug",
                "september|sep|sept", "october|oct", "november|nov", "december|dec"),
        numbers=_numbered("one|once|first two|twice|second three|third four|fourth five|fifth six|sixth seven|seventh "
                          "eight|eighth nine|ninth ten|tenth eleven|eleventh twelve|twelfth thirteen fourteen fifteen "
                          "sixteen seventeen eighteen nineteen twenty")
        | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90},
        unsure=frozenset({"may", "march"}),
        articles=frozenset({"one", "once", "second"}),
        decimal=".",
    ),
    "de": Calendar(
        weekdays=("montag|mo", "dienstag|di", "mittwoch|mi", "donnerstag|do", "freitag|fr", "samstag|sonnabend|sa",
                  "sonntag|so"),
        months=("januar|jan", "februar|feb", "märz|mrz", "april|apr", "mai", "juni|jun", "juli|jul", "august|aug",
                "september|sep|sept", "oktober|okt", "november|nov", "dezember|dez"),
        numbers=_numbered("ein|eine|einen|einem|einer|eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf "
                          "dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig"),
        articles=frozenset({"ein", "eine", "einen", "einem", "einer", "eins"}),
    ),
    "fr": Calendar(
        weekdays=("lundi|lun", "mardi|mar", "mercredi|mer", "jeudi|jeu", "vendredi|ven", "samedi|sam", "dimanche|dim"),
        months=("janvier|janv", "février|févr", "mars", "avril|avr", "mai", "juin", "juillet|juil", "août",
                "septembre|sept", "octobre|oct", "novembre|nov", "décembre|déc"),
        numbers=_numbered("un|une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
                          "seize"),
        articles=frozenset({"un", "une"}),
    ),
    "es": Calendar(
        weekdays=("lunes|lun", "martes|mar", "miércoles|mié", "jueves|jue", "viernes|vie", "sábado|sáb", "domingo|dom"),
        months=("enero|ene", "febrero|feb", "marzo|mar", "abril|abr", "mayo", "junio|jun", "julio|jul", "agosto|ago",
                "septiembre|sept", "octubre|oct", "noviembre|nov", "diciembre|dic"),
        numbers=_numbered("un|una|uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince"),
        articles=frozenset({"un", "una", "uno"}),
    ),
    "fi": Calendar(
        weekdays=("maanantai*|ma", "tiistai*|ti", "keskiviik*|ke", "torstai*|to", "perjantai*|pe", "lauantai*|la",
                  "sunnuntai*|su"),
        months=("tammikuu*|tammi", "helmikuu*|helmi", "maaliskuu*|maalis", "huhtikuu*|huhti", "toukokuu*|touko",
                "kesäkuu*|kesä", "heinäkuu*|heinä", "elokuu*|elo", "syyskuu*|syys", "lokakuu*|loka",
                "marraskuu*|marras", "joulukuu*|joulu"),
        numbers=_numbered("yksi|yhden kaksi|kahden kolme|kolmen neljä|neljän viisi|viiden kuusi|kuuden seitsemän "
                          "kahdeksan yhdeksän kymmenen"),
        articles=frozenset({"yksi", "yhden"}),
    ),
}  # fmt: skip


def calendar_of(code: str) -> Calendar:
    """The words of a language code such as `de-AT`; none where nobody wrote them."""
    return CALENDARS.get(code.split("-")[0], Calendar())
