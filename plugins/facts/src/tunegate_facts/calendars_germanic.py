"""English and German words of the calendar, of the clock and of numbers."""

from __future__ import annotations

from tunegate.harness.checks.text.months import MONTHS
from tunegate_facts.calendar_type import (
    CHRISTMAS,
    Calendar,
    forms,
    holidays,
    numbered,
    parts,
    tens,
    units,
    word_set,
)

ENGLISH = Calendar(
    weekdays=("monday*|mon|mons", "tuesday*|tue|tues", "wednesday*|wed|weds", "thursday*|thu|thur|thurs",
              "friday*|fri|fris", "saturday*|sat|sats", "sunday*|sun|suns"),
    months=MONTHS["en"],
    numbers=numbered("one|once|first two|twice|second three|third four|fourth five|fifth six|sixth seven|seventh "
                      "eight|eighth nine|ninth ten|tenth eleven|eleventh twelve|twelfth|dozen|noon|midday thirteen "
                      "fourteen fifteen sixteen seventeen eighteen nineteen") | {"half a dozen": 6},
    tens=tens("twenty thirty forty fifty sixty seventy eighty ninety"),
    joins=("{ten}-{one}", "{ten} {one}"),
    unsure=frozenset({"may", "march"}),
    articles=frozenset({"one", "once", "second"}),
    adverbs=frozenset({"first"}),
    clock={"half past {h}": 30, "(?:a )?quarter past {h}": 15, "(?:a )?quarter to {h}": -15,
           "{m}(?: minutes)? past {h}": 1, "{h} o'clock": 0},
    hours={"{m}(?: minutes)? to {h}": -1, "half {h}": 30,
           "(?:at|by|from|until|till|before|after|between) {h}": 0, r"(?<=between \S{1,15} and ){h}": 0},
    until=word_set("to till until and"),
    to=frozenset({"to"}),
    units=units("min|mins|minute|minutes h|hr|hrs|hour|hours d|day|days|night|nights|nt|nts wk|wks|week|weeks "
                 "mth|mths|month|months yr|yrs|year|years",
                 "millimetre|millimetres centimetre|centimetres metre|metres|meter|meters "
                 "kilometre|kilometres|kilometer|kilometers gram|grams kilo|kilos|kilogram|kilograms "
                 "millilitre|millilitres centilitre|centilitres litre|litres|liter|liters",
                 "person|persons|people|pers|pax|guest|guests|head room|rooms|rm|rms",
                 "inch|inches foot|feet|ft yard|yards|yd|yds mile|miles ounce|ounces|oz pint|pints gallon|gallons"),
    spans={"half an hour": ("minutes", 30), "quarter of an hour": ("minutes", 15), "fortnight": ("minutes", 20160),
           "three[ -]quarters of an hour": ("minutes", 45)},
    parts=parts("{n} and a half {unit} / {n} {unit} and a half",
                 "{n} and a quarter {unit} / {n} {unit} and a quarter"),
    hundreds={"(?:{n} |a )?hundred(?: and {m})?(?! per ?cent| thanks)": 100},
    day_groups={"weekdays?": (1, 5), "weekends?": (6, 7), "daily|every day": (1, 7)},
    initials={"M": 1, "Tu": 2, "W": 3, "Th": 4, "F": 5, "Sa": 6, "Su": 7},
    relative={"yesterday": -1, "tomorrow": 1, "day after tomorrow": 2},
    beside={"(?:night|day|evening|afternoon|morning) before|eve of": -1,
            "(?:day|night|morning) after(?! tomorrow)|next day|following (?:day|morning)": 1},
    excepts=("except(?: for| on)?", "apart from", "closed(?: on)?", "(?:but )?not(?: on)?"),
    before=word_set("before prior earlier"),
    after=word_set("from after later"),
    holidays=holidays({"(?:christmas|xmas) eve": "12-24", "christmas|xmas": CHRISTMAS,
                        "(?:christmas|xmas) day": "12-25", "boxing day": "12-26", "new year's eve": "12-31",
                        "new year's(?: day)?": "01-01", "(?:st |saint )?valentine's(?: day)?": "02-14",
                        "hallowe'?en": "10-31"}),
    halves={"in the morning": 0, "in the (?:afternoon|evening)": 12},
    about=("about", "around", "roughly", "approximately", "nearly", "almost", "just (?:over|under)"),
    things=word_set("thing things item items piece pieces point points"),
    labels=forms("desk|desks gate|gates platform|platforms row|rows band|bands group|groups room|rooms bay|bays "
                 "zone|zones block|blocks level|levels tray|trays class|classes route|routes track|tracks "
                 "lane|lanes seat|seats coach|coaches line|lines stand|stands hall|halls door|doors shelf|shelves "
                 "table|tables floor|floors terminal|terminals counter|counters window|windows pitch|pitches "
                 "court|courts tier|tiers grade|grades|gr stop|stops"),
    ordinals=numbered("first second third fourth fifth sixth seventh eighth ninth tenth"),
    hundredths={"cent": ("EUR", "USD"), "cents": ("EUR", "USD")},
    per={"pp": ("people", 1), "pw": ("minutes", 10080), "pm": ("months", 1), "pcm": ("months", 1),
         "pa": ("months", 12)},
    repeats=("{n} times",),
    places=word_set("mount port lake"),
    wishes=word_set("merry happy"),
    loose={"a": 1, "an": 1, "pair": 2, "couple": 2, "doz": 12},
    shares={r"half(?: price| fare| off)?(?=\s*(?:[.,;)]|$))": 50},
    titles=word_set("mr mrs ms miss dr doctor rev reverend prof professor st saint"),
    shortened={"st": "saint"},
    greetings=word_set("dear hello hi hey hiya"),
    unlisted=word_set("her"),
    decimal=".",
)  # fmt: skip
GERMAN = Calendar(
    weekdays=("montag*|mo", "dienstag*|di", "mittwoch*|mi", "donnerstag*|do", "freitag*|fr",
              "samstag*|sonnabend|sa", "sonntag*|so"),
    months=MONTHS["de"],
    numbers=numbered("ein|eine|einen|einem|einer|eins zwei drei vier fünf sechs sieben acht neun zehn elf "
                      "zwölf|dutzend dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn"),
    tens=tens("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"),
    joins=("{one}und{ten}",),
    times="mal",
    articles=frozenset({"ein", "eine", "einen", "einem", "einer", "eins"}),
    clock={"halb {h}": -30, "viertel nach {h}": 15, "(?:viertel vor|dreiviertel) {h}": -15},
    hours={"{m}(?: minuten)? nach {h}": 1, "{m}(?: minuten)? vor {h}": -1, "{h} uhr": 0,
           "(?:um|ab|bis|gegen|zwischen) {h}": 0, r"(?<=zwischen \S{1,15} und ){h}": 0},
    until=word_set("bis und"),
    until_day=frozenset({"bis zum"}),
    to=frozenset({"nach"}),
    units=units("min|minute|minuten h|std|stunde|stunden d|tg|tag|tage|tagen|nacht|nächte|nächten wo|woche|wochen "
                 "mon|monat|monate|monaten jahr|jahre|jahren",
                 "millimeter zentimeter meter|metern kilometer gramm kilo|kilogramm milliliter zentiliter liter",
                 "person|personen|pers|gast|gäste|kopf|erw|erwachsene "
                 "zimmer|zimmern|zi|dz|ez|doppelzimmer|einzelzimmer",
                 "zoll fuß yard meile|meilen unze|unzen"),
    spans={"(?:eine )?halbe stunde": ("minutes", 30), "viertelstunde": ("minutes", 15),
           "dreiviertelstunde": ("minutes", 45)},
    parts=parts("{n}einhalb {unit}", one_and_a_half="anderthalb {unit}"),
    hundreds={"{n}?hundert(?:und)?{m}?": 100},
    day_groups={"werktags|wochentags": (1, 5), "wochenendes?": (6, 7), "täglich": (1, 7)},
    relative={"gestern": -1, "(?<!am )(?<!jeden )morgen": 1, "übermorgen": 2},
    beside={"vortag|vorabend|(?:tag|abend) davor": -1, "folgetag|(?:tag|morgen) danach": 1},
    excepts=("außer(?: am)?", "ausgenommen", "geschlossen(?: am)?", "(?:nur )?nicht am"),
    before=word_set("vor vorher davor"),
    after=word_set("ab nach später danach"),
    holidays=holidays({"heilig(?:er )?abend": "12-24", "weihnachten": CHRISTMAS, "silvester": "12-31",
                        "neujahr": "01-01", "nikolaus": "12-06", "valentinstag": "02-14"}),
    halves={"morgens|vormittags|in der früh|am (?:morgen|vormittag)": 0,
            "nachmittags|abends|am (?:nachmittag|abend)": 12},
    about=("rund", "etwa", "ungefähr", "circa", r"ca\.?", "knapp", "gut"),
    things=word_set("dinge dingen sachen teile teilen stücke stücken punkte punkten"),
    labels=forms("schalter tor gleis reihe gruppe zimmer raum zone block stufe klasse linie spur platz wagen "
                  "halle tür regal tisch "
                 "stock|stockwerk|etage|og|obergeschoss terminal fenster feld kategorie saal abteil steig "
                 "haltestelle|haltestellen"),
    ordinals=numbered("erste|ersten|erster zweite|zweiten|zweiter dritte|dritten|dritter vierte|vierten|vierter "
                      "fünfte|fünften|fünfter sechste|sechsten|sechster"),
    hundredths={"cent": ("EUR", "USD"), "cents": ("EUR", "USD")},
    per={"p.p.": ("people", 1), "pp": ("people", 1)},
    repeats=("{n} mal",),
    places=word_set("bad sankt"),
    wishes=word_set("frohe fröhliche gesegnete"),
    loose={"paar": 2},
    shares={"hälfte|zum halben preis|halber preis": 50},
    titles=word_set("herr herrn frau dr doktor prof professor"),
    shortened={"st": "sankt"},
    greetings=word_set("liebe lieber hallo guten moin"),
    name_endings=("s",),
)  # fmt: skip
