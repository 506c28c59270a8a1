"""Words of the calendar, of the clock and of numbers by language, as data: what `facts` reads beside digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

Said = tuple[str, Any]  # the kind of a fact, and its value
Day = tuple[int, int]  # a month and a day of it


@dataclass(frozen=True)
class Calendar:
    """The words of one language; those of a calendar are whole names, and after a `|` what notes shorten them to.

    A name that ends in `*` stands for any ending. `unsure` are words that mostly mean something else, unless a capital
    inside a sentence says otherwise; `articles` are numbers that are mostly articles or pronouns; `adverbs` are numbers
    that are none at the end of a clause. `tens` and a smaller number are joined as `joins` says; `times` makes
    `zehnmal` of ten. `clock` are times of day, `{h}` an hour and `{m}` minutes: how many minutes from the hour, or with
    `{m}` 1 after it and -1 before it. `hours` are those that may as well be something else, and say what time they may
    be; `until` stands between two, `until_day` between days.
    `units` are words of time and measure, and `spans` whole lengths of time. `parts` are what is added to `{n}` of a
    `{unit}`. `hundreds` are numbers of three digits, `{n}` how many hundreds and `{m}` what is added.

    `day_groups` are words for weekdays from a first to a last, `initials` the shortest forms of weekdays, `relative`
    days from today, `beside` days from one that is named; `before` and `after` are said of that one with a length of
    time, and `excepts` of weekdays that are left out. `halves` say from which hour a time counts its twelve.
    `holidays` fall on days of a month; what follows one of `wishes` is no name. `loose` says a number where notes have
    it, and `shares` a part of 100; `about` stands before a rounded amount, and `money` are short words for currencies.
    After one of `labels` a letter or a number tells one thing from others; `things` are whatever is listed. After one
    of `titles` comes a name, and after one of `greetings`, what it greets and a comma, a sentence.
    """

    weekdays: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    tens: Mapping[str, int] = field(default_factory=dict)
    joins: tuple[str, ...] = ()
    times: str = ""
    unsure: frozenset[str] = frozenset()
    articles: frozenset[str] = frozenset()
    adverbs: frozenset[str] = frozenset()
    clock: Mapping[str, int] = field(default_factory=dict)
    hours: Mapping[str, int] = field(default_factory=dict)
    until: frozenset[str] = frozenset()
    until_day: frozenset[str] = frozenset()
    units: Mapping[str, Said] = field(default_factory=dict)
    spans: Mapping[str, Said] = field(default_factory=dict)
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    hundreds: Mapping[str, int] = field(default_factory=dict)
    day_groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    initials: Mapping[str, int] = field(default_factory=dict)
    relative: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, int] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    excepts: tuple[str, ...] = ()
    halves: Mapping[str, int] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    things: frozenset[str] = frozenset()
    money: Mapping[str, str] = field(default_factory=dict)
    holidays: Mapping[str, tuple[Day, ...]] = field(default_factory=dict)
    wishes: frozenset[str] = frozenset()
    loose: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, int] = field(default_factory=dict)
    titles: frozenset[str] = frozenset()
    greetings: frozenset[str] = frozenset()
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


_MEASURES: tuple[Said, ...] = (
    ("millimetres", 1), ("millimetres", 10), ("millimetres", 1000), ("millimetres", 1_000_000),
    ("grams", 1), ("grams", 1000), ("millilitres", 1), ("millilitres", 10), ("millilitres", 1000),
)  # fmt: skip
_METRIC = "mm cm m km g kg ml cl l"


def _units(time: str, measures: str) -> dict[str, Said]:
    """Words for a minute, an hour, a day, a week, a month and a year; and for `_METRIC`."""
    found: dict[str, Said] = {}
    for what, words in ((_MEASURES, _METRIC), (_MEASURES, measures), (_LENGTHS, time)):
        found |= {word: said for said, each in zip(what, words.split(), strict=True) for word in each.split("|")}
    return found


def _parts(half: str, quarter: str = "", one_and_a_half: str = "") -> dict[str, Decimal]:
    """Templates, apart by ` / `, of what is more by a half, by a quarter and by one and a half."""
    values = ((half, "0.5"), (quarter, "0.25"), (one_and_a_half, "1.5"))
    return {template: Decimal(value) for group, value in values for template in group.split(" / ") if template}


def _holidays(names: Mapping[str, str]) -> dict[str, tuple[Day, ...]]:
    """Days as `12-24 12-25`."""
    return {name: tuple((int(day[:2]), int(day[3:])) for day in days.split()) for name, days in names.items()}


_CHRISTMAS = "12-24 12-25 12-26"


def _finnish() -> dict[str, int]:
    """The numbers to 19 in the cases that follow a price, a count or a time."""
    stems = "yhde kahde kolme neljä viide kuude seitsemä kahdeksa yhdeksä kymmene"
    others = ("yksi|yhtä|yhteen kaksi|kahta|kahteen kolme|kolmea|kolmeen neljä|neljää|neljään viisi|viittä|viiteen "
              "kuusi|kuutta|kuuteen seitsemän|seitsemää|seitsemään kahdeksan|kahdeksaa|kahdeksaan "
              "yhdeksän|yhdeksää|yhdeksään kymmenen|kymmentä|kymmeneen")  # fmt: skip
    found = _numbered(others)
    for number, stem in enumerate(stems.split(), 1):
        back = bool(set("aou") & set(stem))
        endings = "n lta lla lle sta ssa ksi" if back else "n ltä llä lle stä ssä ksi"
        found |= {stem + ending: number for ending in endings.split()}
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
        until=_words("to till until and"),
        units=_units("min|mins|minute|minutes h|hr|hrs|hour|hours day|days|night|nights|nt|nts wk|wks|week|weeks "
                     "mth|mths|month|months yr|yrs|year|years",
                     "millimetre|millimetres centimetre|centimetres metre|metres|meter|meters "
                     "kilometre|kilometres|kilometer|kilometers gram|grams kilo|kilos|kilogram|kilograms "
                     "millilitre|millilitres centilitre|centilitres litre|litres|liter|liters"),
        spans={"half an hour": ("minutes", 30), "quarter of an hour": ("minutes", 15), "fortnight": ("minutes", 20160),
               "three[ -]quarters of an hour": ("minutes", 45)},
        parts=_parts("{n} and a half {unit} / {n} {unit} and a half",
                     "{n} and a quarter {unit} / {n} {unit} and a quarter"),
        hundreds={"(?:{n} |a )?hundred(?: and {m})?(?! per ?cent)": 100},
        day_groups={"weekdays?": (1, 5), "weekends?": (6, 7), "daily|every day": (1, 7)},
        initials={"M": 1, "Tu": 2, "W": 3, "Th": 4, "F": 5, "Sa": 6, "Su": 7},
        relative={"yesterday": -1, "tomorrow": 1, "day after tomorrow": 2},
        beside={"(?:night|day|evening|afternoon|morning) before|eve of": -1,
                "(?:day|night|morning) after(?! tomorrow)|next day|following (?:day|morning)": 1},
        excepts=("except(?: for| on)?", "apart from", "closed(?: on)?", "(?:but )?not(?: on)?"),
        before=_words("before prior earlier"),
        after=_words("from after later"),
        holidays=_holidays({"(?:christmas|xmas) eve": "12-24", "christmas|xmas": _CHRISTMAS,
                            "(?:christmas|xmas) day": "12-25", "boxing day": "12-26", "new year's eve": "12-31",
                            "new year's(?: day)?": "01-01", "(?:st |saint )?valentine's(?: day)?": "02-14",
                            "hallowe'?en": "10-31"}),
        halves={"in the morning": 0, "in the (?:afternoon|evening)": 12},
        about=("about", "around", "roughly", "approximately", "nearly", "almost", "just (?:over|under)"),
        things=_words("thing things item items piece pieces point points"),
        labels=_words("desk gate platform row band group room bay zone block level tray class route track lane seat "
                      "coach line stand hall door shelf table floor terminal counter window pitch court tier grade"),
        wishes=_words("merry happy"),
        loose={"a": 1, "an": 1, "pair": 2, "couple": 2},
        shares={r"half(?: price| fare| off)?(?=\s*(?:[.,;)]|$))": 50},
        titles=_words("mr mrs ms miss dr doctor rev reverend prof professor st saint"),
        greetings=_words("dear hello hi hey hiya"),
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
        times="mal",
        articles=frozenset({"ein", "eine", "einen", "einem", "einer", "eins"}),
        clock={"halb {h}": -30, "viertel nach {h}": 15, "(?:viertel vor|dreiviertel) {h}": -15},
        hours={"{m}(?: minuten)? nach {h}": 1, "{m}(?: minuten)? vor {h}": -1, "{h} uhr": 0,
               "(?:um|ab|bis|gegen|zwischen) {h}": 0, r"(?<=zwischen \S{1,15} und ){h}": 0},
        until=_words("bis und"),
        until_day=frozenset({"bis zum"}),
        units=_units("min|minute|minuten h|std|stunde|stunden tag|tage|tagen|nacht|nächte|nächten wo|woche|wochen "
                     "mon|monat|monate|monaten jahr|jahre|jahren",
                     "millimeter zentimeter meter|metern kilometer gramm kilo|kilogramm milliliter zentiliter liter"),
        spans={"(?:eine )?halbe stunde": ("minutes", 30), "viertelstunde": ("minutes", 15),
               "dreiviertelstunde": ("minutes", 45)},
        parts=_parts("{n}einhalb {unit}", one_and_a_half="anderthalb {unit}"),
        hundreds={"{n}?hundert(?:und)?{m}?": 100},
        day_groups={"werktags|wochentags": (1, 5), "wochenendes?": (6, 7), "täglich": (1, 7)},
        relative={"gestern": -1, "(?<!am )(?<!jeden )morgen": 1, "übermorgen": 2},
        beside={"vortag|vorabend|(?:tag|abend) davor": -1, "folgetag|(?:tag|morgen) danach": 1},
        excepts=("außer(?: am)?", "ausgenommen", "geschlossen(?: am)?", "(?:nur )?nicht am"),
        before=_words("vor vorher davor"),
        after=_words("ab nach später danach"),
        holidays=_holidays({"heilig(?:er )?abend": "12-24", "weihnachten": _CHRISTMAS, "silvester": "12-31",
                            "neujahr": "01-01", "nikolaus": "12-06", "valentinstag": "02-14"}),
        halves={"morgens|vormittags|in der früh|am (?:morgen|vormittag)": 0,
                "nachmittags|abends|am (?:nachmittag|abend)": 12},
        about=("rund", "etwa", "ungefähr", "circa", r"ca\.?", "knapp", "gut"),
        things=_words("dinge dingen sachen teile teilen stücke stücken punkte punkten"),
        labels=_words("schalter tor gleis reihe gruppe zimmer raum zone block stufe klasse linie spur platz wagen "
                      "halle tür regal tisch stock terminal fenster feld kategorie saal abteil steig"),
        wishes=_words("frohe fröhliche gesegnete"),
        loose={"paar": 2},
        shares={"hälfte|zum halben preis|halber preis": 50},
        titles=_words("herr herrn frau dr doktor prof professor"),
        greetings=_words("liebe lieber hallo guten moin"),
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
        until=_words("à et"),
        until_day=_words("au"),
        units=_units("min|minute|minutes h|heure|heures j|jour|jours|nuit|nuits sem|semaine|semaines mois "
                     "an|ans|année|années",
                     "millimètre|millimètres centimètre|centimètres mètre|mètres kilomètre|kilomètres gramme|grammes "
                     "kilo|kilos|kilogramme|kilogrammes millilitre|millilitres centilitre|centilitres litre|litres"),
        spans={"demi-heure": ("minutes", 30), "quart d'heure": ("minutes", 15), "quinzaine": ("minutes", 20160),
               "trois quarts d'heure": ("minutes", 45)},
        parts=_parts("{n} {unit} et demie?", "{n} {unit} et quart"),
        hundreds={"(?:{n} cents?|(?<!pour )cent)(?: {m})?(?! pour cent)": 100},
        day_groups={"jours ouvrés|en semaine": (1, 5), "week-end|weekend": (6, 7), "tous les jours|tlj": (1, 7)},
        initials={"L": 1, "Ma": 2, "Me": 3, "J": 4, "V": 5, "S": 6, "D": 7},
        relative={"hier": -1, "demain": 1, "après-demain": 2},
        beside={"veille": -1, "lendemain": 1},
        excepts=("sauf(?: le)?", "excepté(?: le)?", "(?:fermé|fermée|fermés)(?: le)?"),
        before=_words("avant auparavant"),
        after=frozenset({"après", "plus tard"}),
        holidays=_holidays({"noël": _CHRISTMAS, "(?:veille|réveillon) de noël": "12-24", "jour de noël": "12-25",
                            "saint-sylvestre": "12-31", "jour de l'an|nouvel an": "01-01", "saint-valentin": "02-14",
                            "toussaint": "11-01", "fête nationale": "07-14", "fête du travail": "05-01"}),
        halves={"du matin": 0, "du soir|de l'après-midi": 12},
        about=("environ", "près de", "autour de", "à peu près", "presque"),
        things=_words("choses articles objets pièces points"),
        labels=_words("guichet porte quai voie rang rangée groupe chambre salle zone bloc niveau classe ligne piste "
                      "place voiture hall étagère table étage terminal comptoir fenêtre terrain catégorie bac"),
        wishes=_words("joyeux bon"),
        loose={"paire": 2, "couple": 2},
        shares={"moitié|demi-tarif": 50},
        titles=_words("madame mme monsieur mademoiselle mlle docteur dr maître"),
        greetings=_words("bonjour bonsoir cher chère chers chères"),
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
        until=_words("a y"),
        until_day=_words("al"),
        units=_units("min|minuto|minutos h|hora|horas día|días|noche|noches sem|semana|semanas mes|meses año|años",
                     "milímetro|milímetros centímetro|centímetros metro|metros kilómetro|kilómetros gramo|gramos "
                     "kilo|kilos|kilogramo|kilogramos mililitro|mililitros centilitro|centilitros litro|litros"),
        spans={"media hora": ("minutes", 30), "cuarto de hora": ("minutes", 15), "medio año": ("months", 6),
               "tres cuartos de hora": ("minutes", 45)},
        parts=_parts("{n} {unit} y medi[ao]", "{n} {unit} y cuarto"),
        hundreds={"(?<!por )(?:cien(?! por cien)|ciento(?: {m})?)": 100, "doscient[oa]s(?: {m})?": 200,
                  "trescient[oa]s(?: {m})?": 300, "cuatrocient[oa]s(?: {m})?": 400, "quinient[oa]s(?: {m})?": 500,
                  "seiscient[oa]s(?: {m})?": 600, "setecient[oa]s(?: {m})?": 700, "ochocient[oa]s(?: {m})?": 800,
                  "novecient[oa]s(?: {m})?": 900},
        day_groups={"laborables?|entre semana": (1, 5), "fin(?:es)? de semana": (6, 7),
                    "todos los días|diario": (1, 7)},
        initials={"L": 1, "M": 2, "X": 3, "J": 4, "V": 5, "S": 6, "D": 7},
        relative={"ayer": -1, "(?<!la )mañana": 1, "pasado mañana": 2},
        beside={"víspera|(?:día|noche|tarde) (?:antes|anterior)": -1, "día (?:siguiente|después)": 1},
        excepts=("(?:excepto|salvo|menos)(?: el| los)?", "(?:cerrado|cerramos)(?: el| los)?"),
        before=_words("antes"),
        after=_words("desde después"),
        holidays=_holidays({"nochebuena": "12-24", "navidad": _CHRISTMAS, "día de navidad": "12-25",
                            "nochevieja": "12-31", "año nuevo": "01-01", "(?:día de )?reyes": "01-06",
                            "san valentín": "02-14", "todos los santos": "11-01"}),
        halves={"de la mañana": 0, "de la (?:tarde|noche)": 12},
        about=("unos", "unas", "aproximadamente", "alrededor de", "cerca de", "casi"),
        things=_words("cosas artículos objetos piezas puntos"),
        labels=_words("mostrador puerta andén vía fila grupo habitación sala zona bloque nivel clase línea pista plaza "
                      "asiento coche estante mesa planta terminal ventanilla taquilla categoría bandeja aula"),
        wishes=_words("feliz"),
        loose={"par": 2},
        shares={"mitad": 50},
        titles=_words("señor señora señorita sr sra srta doctor doctora dr dra don doña"),
        greetings=_words("hola buenos buenas estimado estimada estimados estimadas querido querida"),
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
        until=_words("ja"),
        units=_units("min|minuutti|minuuttia|minuutin|minuutissa|minuuttiin|minuutiksi h|tunti|tuntia|tunnin|tunnissa|"
                     "tuntiin|tunniksi vrk|päivä|päivää|päivän|päivässä|päivään|päiväksi|pv|vuorokausi|vuorokautta|"
                     "vuorokauden|vuorokaudessa|vuorokaudeksi|yö|yötä|yön|yöksi vk|vko|viikko|viikkoa|viikon|viikossa|"
                     "viikkoon|viikoksi kk|kuukausi|kuukautta|kuukauden|kuukaudessa|kuukaudeksi "
                     "v|vuosi|vuotta|vuoden|vuodessa|vuodeksi",
                     "millimetri|millimetriä sentti|senttiä|senttimetri|senttimetriä metri|metriä kilometri|kilometriä "
                     "gramma|grammaa kilo|kiloa millilitra|millilitraa senttilitra|senttilitraa litra|litraa"),
        spans={"puoli tuntia": ("minutes", 30), "varttitunti": ("minutes", 15), "puoli vuotta": ("months", 6),
               "kolme varttia(?! yli| vaille)": ("minutes", 45)},
        parts=_parts("{n} ja puoli {unit} / {n} ja puolen {unit}", one_and_a_half="puolen?toista {unit}"),
        hundreds={"{n}?sa(?:taa?|dan){m}?": 100},
        day_groups={r"(?<!\d )arki(?:päiv\p{L}{1,8}|sin)?": (1, 5), r"viikonlop\p{L}{1,8}|viikonloppu": (6, 7),
                    "päivittäin|joka päivä": (1, 7)},
        relative={"eilen": -1, "huomenna": 1, "ylihuomenna": 2},
        beside={r"edelli\p{L}{2,6} (?:päiv|il)\p{L}{1,6}|aatto\p{L}{0,5}": -1,
                r"seuraava\p{L}{1,4} päiv\p{L}{1,6}": 1},
        excepts=("paitsi", "lukuun ottamatta", "suljettu"),
        before=_words("ennen aiemmin"),
        after=_words("jälkeen kuluttua päästä myöhemmin"),
        holidays=_holidays({r"jouluaat(?:to|on|toon|tona)": "12-24", "joulu(?:n|a|na|ksi)?": _CHRISTMAS,
                            r"joulupäiv\p{L}{1,6}": "12-25", r"tapaninpäiv\p{L}{1,6}": "12-26",
                            r"loppiai\p{L}{2,8}": "01-06", r"itsenäisyyspäiv\p{L}{1,6}": "12-06",
                            r"ystävänpäiv\p{L}{1,6}": "02-14", r"vap(?:pu|un|puna|uksi)": "05-01"}),
        halves={"aamulla|aamupäivällä": 0, "iltapäivällä|illalla": 12},
        about=("noin", "suunnilleen", "vajaa", "vajaat", "reilu", "reilut"),
        money={"e": "EUR"},
        things=_words("asiaa tavaraa esinettä kappaletta kohtaa"),
        labels=_words("tiski portti laituri raide rivi ryhmä huone sali vyöhyke lohko taso luokka linja rata paikka "
                      "vaunu halli ovi hylly pöytä kerros terminaali luukku kenttä"),
        wishes=_words("hyvää iloista rauhallista"),
        loose={"pari": 2},
        shares={"puolet|puoleen hintaan": 50},
        titles=_words("herra rouva neiti tohtori tri"),
        greetings=_words("hei hyvä moi terve"),
    ),
}  # fmt: skip


def calendar_of(code: str) -> Calendar:
    """The words of a language code such as `de-AT`; none where nobody wrote them."""
    return CALENDARS.get(code.split("-")[0], Calendar())


_ANY_I = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{COMBINING DOT ABOVE}": None})


def value_of_numeral(word: str, language: str) -> int:
    """The value of a number in words, in any case; a pattern that ignores case takes each Turkish i for any other."""
    return numerals_of(language)[word.casefold().translate(_ANY_I)]


@cache
def numerals_of(code: str) -> Mapping[str, int]:
    """Every number in words up to 99: `twenty-five`, `fünfundzwanzig`, `soixante-dix-sept`."""
    own = calendar_of(code)
    found = {**own.numbers, **own.tens}
    for (ten, start), (_, end) in pairwise([*own.tens.items(), ("", 100)]):
        for word, value in own.numbers.items():
            if value < end - start:
                found |= {join.format(ten=ten, one=word): start + value for join in own.joins}
    if own.times:
        found |= {word + own.times: value for word, value in found.items()}
    return found | {word.casefold(): value for word, value in found.items()}  # dreißig, DREISSIG
