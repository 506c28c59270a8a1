"""Words of the calendar, of the clock and of numbers by language, as data: what `facts` reads beside digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

Said = tuple[str, Any]  # the kind of a fact, and its value


@dataclass(frozen=True)
class Calendar:
    """The words of one language; those of a calendar are whole names, and after a `|` what notes shorten them to.

    A name that ends in `*` stands for any ending. `unsure` are words that mostly mean something else, unless a capital
    inside a sentence says otherwise; `articles` are numbers that are mostly articles or pronouns; `adverbs` are numbers
    that are none at the end of a clause. `tens` and a smaller number are joined as `joins` says. `clock` are times of
    day, `{h}` an hour and `{m}` minutes: how many minutes from the hour, or with `{m}` 1 after it and -1 before it.
    `hours` are those that may as well be something else, and say what time they may be. `units` are words of time, and
    `spans` whole lengths of it. After one of `titles` comes a name.
    """

    weekdays: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    tens: Mapping[str, int] = field(default_factory=dict)
    joins: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    adverbs: frozenset[str] = frozenset()
    clock: Mapping[str, int] = field(default_factory=dict)
    hours: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, Said] = field(default_factory=dict)
    spans: Mapping[str, Said] = field(default_factory=dict)
    titles: frozenset[str] = frozenset()
    decimal: str = ","


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _numbered(words: str, first: int = 1) -> dict[str, int]:
    return {word: number for number, each in enumerate(words.split(), first) for word in each.split("|")}


def _tens(words: str, *values: int) -> dict[str, int]:
    return dict(zip(words.split(), values or range(20, 100, 10), strict=True))


_LENGTHS: tuple[Said, ...] = (
    ("minutes", 1), ("minutes", 60), ("minutes", 1440), ("minutes", 10080), ("months", 1), ("months", 12)
)  # fmt: skip


def _units(words: str) -> dict[str, Said]:
    """Words for a minute, an hour, a day, a week, a month and a year."""
    return {word: said for said, each in zip(_LENGTHS, words.split(), strict=True) for word in each.split("|")}


def _finnish() -> dict[str, int]:
    """The numbers to 19 in the cases that follow a price, a count or a time."""
    stems = "yhde kahde kolme neljä viide kuude seitsemä kahdeksa yhdeksä kymmene"
    others = ("yksi|yhtä|yhteen kaksi|kahta|kahteen kolme|kolmea|kolmeen neljä|neljää|neljään viisi|viittä|viiteen "
              "kuusi|kuutta|kuuteen seitsemän|seitsemää|seitsemään kahdeksan|kahdeksaa|kahdeksaan "
              "yhdeksän|yhdeksää|yhdeksään kymmenen|kymmentä|kymmeneen")  # fmt: skip
    found = _numbered(others)
    for number, stem in enumerate(stems.split(), 1):
        endings = ("n", "lta", "lla", "sta", "ksi") if set("aou") & set(stem) else ("n", "ltä", "llä", "stä", "ksi")
        found |= {stem + ending: number for ending in endings}
    return found | {f"{word}toista": 10 + number for word, number in found.items() if number < 10}


CALENDARS: Mapping[str, Calendar] = {
    "en": Calendar(
        weekdays=("monday*|mon", "tuesday*|tue|tues", "wednesday*|wed|weds", "thursday*|thu|thur|thurs", "friday*|fri",
                  "saturday*|sat", "sunday*|sun"),
        months=("january|jan", "february|feb", "march|mar", "april|apr", "may", "june|jun", "july|jul", "august|aug",
                "september|sep|sept", "october|oct", "november|nov", "december|dec"),
        numbers=_numbered("one|once|first two|twice|second three|third four|fourth five|fifth six|sixth seven|seventh "
                          "eight|eighth nine|ninth ten|tenth eleven|eleventh twelve|twelfth|dozen|noon|midday thirteen "
                          "fourteen fifteen sixteen seventeen eighteen nineteen") | {"half a dozen": 6},
        tens=_tens("twenty thirty forty fifty sixty seventy eighty ninety"),
        joins=("{ten}-{one}", "{ten} {one}"),
        unsure=frozenset({"may", "march"}),
        articles=frozenset({"one", "once", "second"}),
        adverbs=frozenset({"first"}),
        clock={"half past {h}": 30, "(?:a )?quarter past {h}": 15, "(?:a )?quarter to {h}": -15,
               "{m}(?: minutes)? past {h}": 1},
        hours={"{m}(?: minutes)? to {h}": -1, "half {h}": 30, "{h} o'clock": 0,
               "(?:at|by|from|until|till|before|after|between) {h}": 0, r"(?<=between \S{1,15} and ){h}": 0},
        units=_units("min|mins|minute|minutes h|hr|hrs|hour|hours day|days wk|wks|week|weeks mth|mths|month|months "
                     "yr|yrs|year|years"),
        spans={"half an hour": ("minutes", 30), "quarter of an hour": ("minutes", 15), "fortnight": ("minutes", 20160)},
        titles=_words("mr mrs ms miss dr doctor rev reverend prof professor st saint"),
        decimal=".",
    ),
    "de": Calendar(
        weekdays=("montag*|mo", "dienstag*|di", "mittwoch*|mi", "donnerstag*|do", "freitag*|fr",
                  "samstag*|sonnabend|sa", "sonntag*|so"),
        months=("januar|jan", "februar|feb", "märz|mrz", "april|apr", "mai", "juni|jun", "juli|jul", "august|aug",
                "september|sep|sept", "oktober|okt", "november|nov", "dezember|dez"),
        numbers=_numbered("ein|eine|einen|einem|einer|eins zwei drei vier fünf sechs sieben acht neun zehn elf "
                          "zwölf|dutzend dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn"),
        tens=_tens("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"),
        joins=("{one}und{ten}",),
        articles=frozenset({"ein", "eine", "einen", "einem", "einer", "eins"}),
        clock={"halb {h}": -30, "viertel nach {h}": 15, "(?:viertel vor|dreiviertel) {h}": -15},
        hours={"{m}(?: minuten)? nach {h}": 1, "{m}(?: minuten)? vor {h}": -1, "{h} uhr": 0,
               "(?:um|ab|bis|gegen|zwischen) {h}": 0, r"(?<=zwischen \S{1,15} und ){h}": 0},
        units=_units("min|minute|minuten h|std|stunde|stunden tag|tage|tagen wo|woche|wochen monat|monate|monaten "
                     "jahr|jahre|jahren"),
        spans={"(?:eine )?halbe stunde": ("minutes", 30), "viertelstunde": ("minutes", 15)},
        titles=_words("herr herrn frau dr doktor prof professor"),
    ),
    "fr": Calendar(
        weekdays=("lundi*|lun", "mardi*|mar", "mercredi*|mer", "jeudi*|jeu", "vendredi*|ven",
                  "samedi*|sam", "dimanche*|dim"),
        months=("janvier|janv", "février|févr|fév", "mars", "avril|avr", "mai", "juin", "juillet|juil", "août",
                "septembre|sept", "octobre|oct", "novembre|nov", "décembre|déc"),
        numbers=_numbered("un|une deux trois quatre cinq six sept huit neuf dix onze douze|midi|douzaine treize "
                          "quatorze quinze seize dix-sept dix-huit dix-neuf") | {"quatre-vingts": 80},
        tens=_tens("vingt trente quarante cinquante soixante quatre-vingt", 20, 30, 40, 50, 60, 80),
        joins=("{ten}-{one}", "{ten} et {one}", "{ten}-et-{one}"),
        articles=frozenset({"un", "une"}),
        clock={"{h} heures? et demie": 30, "{h} heures? et quart": 15, "{h} heures? moins le quart": -15},
        hours={"{h} heures? {m}": 1, "{h} heures? moins {m}": -1, "{h} heures?": 0},
        units=_units("min|minute|minutes h|heure|heures j|jour|jours sem|semaine|semaines mois an|ans|année|années"),
        spans={"demi-heure": ("minutes", 30), "quart d'heure": ("minutes", 15), "quinzaine": ("minutes", 20160)},
        titles=_words("madame mme monsieur mademoiselle mlle docteur dr maître"),
    ),
    "es": Calendar(
        weekdays=("lunes|lun", "martes|mar", "miércoles|mié", "jueves|jue", "viernes|vie",
                  "sábado*|sáb", "domingo*|dom"),
        months=("enero|ene", "febrero|feb", "marzo|mar", "abril|abr", "mayo|may", "junio|jun", "julio|jul",
                "agosto|ago", "septiembre|sept|sep", "octubre|oct", "noviembre|nov", "diciembre|dic"),
        numbers=_numbered("un|una|uno dos tres cuatro cinco seis siete ocho nueve diez once doce|mediodía|docena "
                          "trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte "
                          "veintiuno|veintiún|veintiuna veintidós veintitrés veinticuatro veinticinco veintiséis "
                          "veintisiete veintiocho veintinueve"),
        tens=_tens("treinta cuarenta cincuenta sesenta setenta ochenta noventa", *range(30, 100, 10)),
        joins=("{ten} y {one}",),
        articles=frozenset({"un", "una", "uno", "mediodía"}),
        clock={"{h} y media": 30, "{h} y cuarto": 15, "{h} menos cuarto": -15},
        hours={"{h} y {m}": 1, "{h} menos {m}": -1, "las? {h}": 0},
        units=_units("min|minuto|minutos h|hora|horas día|días sem|semana|semanas mes|meses año|años"),
        spans={"media hora": ("minutes", 30), "cuarto de hora": ("minutes", 15), "medio año": ("months", 6)},
        titles=_words("señor señora señorita sr sra srta doctor doctora dr dra don doña"),
    ),
    "fi": Calendar(
        weekdays=("maanantai*|ma", "tiistai*|ti", "keskiviik*|ke", "torstai*|to", "perjantai*|pe", "lauantai*|la",
                  "sunnuntai*|su"),
        months=("tammikuu*|tammi", "helmikuu*|helmi", "maaliskuu*|maalis", "huhtikuu*|huhti", "toukokuu*|touko",
                "kesäkuu*|kesä", "heinäkuu*|heinä", "elokuu*|elo", "syyskuu*|syys", "lokakuu*|loka",
                "marraskuu*|marras", "joulukuu*|joulu"),
        numbers=_finnish(),
        tens=_tens("kaksikymmentä kolmekymmentä neljäkymmentä viisikymmentä kuusikymmentä seitsemänkymmentä "
                   "kahdeksankymmentä yhdeksänkymmentä"),
        joins=("{ten}{one}",),
        articles=frozenset({"yksi", "yhden", "yhtä", "yhteen", "yhdellä", "yhdeksi"}),
        clock={"puoli {h}": -30, "varttia yli {h}": 15, "varttia vaille {h}": -15},
        hours={"{m}(?: minuuttia)? yli {h}": 1, "{m}(?: minuuttia)? vaille {h}": -1, "(?:kello|klo) {h}": 0,
               r"(?=\p{L}{2,20}(?:lt[aä]|st[aä]|een|ään|aan|ksi)\b){h}": 0},
        units=_units("min|minuutti|minuuttia|minuutin h|tunti|tuntia|tunnin vrk|päivä|päivää|päivän|pv|vuorokausi|"
                     "vuorokautta|vuorokauden vk|viikko|viikkoa|viikon kk|kuukausi|kuukautta|kuukauden "
                     "v|vuosi|vuotta|vuoden"),
        spans={"puoli tuntia": ("minutes", 30), "varttitunti": ("minutes", 15), "puoli vuotta": ("months", 6)},
        titles=_words("herra rouva neiti tohtori tri"),
    ),
}  # fmt: skip


def calendar_of(code: str) -> Calendar:
    """The words of a language code such as `de-AT`; none where nobody wrote them."""
    return CALENDARS.get(code.split("-")[0], Calendar())


@cache
def numerals_of(code: str) -> Mapping[str, int]:
    """Every number in words up to 99: `twenty-five`, `fünfundzwanzig`, `soixante-dix-sept`."""
    own = calendar_of(code)
    found = {**own.numbers, **own.tens}
    for (ten, start), (_, end) in pairwise([*own.tens.items(), ("", 100)]):
        for word, value in own.numbers.items():
            if value < end - start:
                found |= {join.format(ten=ten, one=word): start + value for join in own.joins}
    return found
