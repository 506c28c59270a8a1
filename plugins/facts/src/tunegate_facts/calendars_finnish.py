"""Finnish words of the calendar, of the clock and of numbers."""

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

_CASES = (
    "n (?<=[aeiouyäö])[aä] ta tä lla llä lle lta ltä ssa ssä sta stä na nä ksi an en in on un yn än ön "
    "ia iä illa illä ille ilta iltä issa issä ista istä iksi "
    "si mme nne nsa nsä"  # whose it is; `ni` is the end of many names
)
# the last consonants of a word whose end is open, before an ending that closes it: Satu, Sadun
_GRADES = (
    (r"([kpt])\1", r"\1"), (r"([nlr])\1(?=.$)", r"\1t"), (r"ng(?=.$)", "nk"), (r"mm(?=.$)", "mp"),
    (r"d(?=.$)", "t"), (r"v(?=.$)", "p"),
)  # fmt: skip


def _finnish() -> dict[str, int]:
    """The numbers to 19 in the cases that follow a price, a count or a time."""
    stems = "yhde kahde kolme neljä viide kuude seitsemä kahdeksa yhdeksä kymmene"
    others = ("yksi|yhtä|yhteen kaksi|kahta|kahteen kolme|kolmea|kolmeen neljä|neljää|neljään viisi|viittä|viiteen "
              "kuusi|kuutta|kuuteen seitsemän|seitsemää|seitsemään kahdeksan|kahdeksaa|kahdeksaan "
              "yhdeksän|yhdeksää|yhdeksään kymmenen|kymmentä|kymmeneen")  # fmt: skip
    found = numbered(others)
    for number, stem in enumerate(stems.split(), 1):
        back = bool(set("aou") & set(stem))
        endings = "n lta lla lle sta ssa ksi" if back else "n ltä llä lle stä ssä ksi"
        found |= {stem + ending: number for ending in endings.split()}
    return found | {f"{word}toista": 10 + number for word, number in found.items() if number < 10}


FINNISH = Calendar(
    weekdays=("maanantai*|ma", "tiistai*|ti", "keskiviik*|ke", "torstai*|to", "perjantai*|pe", "lauantai*|la",
              "sunnuntai*|su"),
    months=MONTHS["fi"],
    numbers=_finnish(),
    tens=tens("kaksikymmentä kolmekymmentä neljäkymmentä viisikymmentä kuusikymmentä seitsemänkymmentä "
               "kahdeksankymmentä yhdeksänkymmentä"),
    joins=("{ten}{one}",),
    articles=frozenset({"yksi", "yhden", "yhtä", "yhteen", "yhdellä", "yhdeksi"}),
    clock={"puoli {h}": -30, "varttia yli {h}": 15, "varttia vaille {h}": -15},
    hours={"{m}(?: minuuttia)? yli {h}": 1, "{m}(?: minuuttia)? vaille {h}": -1, "(?:kello|klo) {h}": 0,
           r"(?=\p{L}{2,20}(?:lt[aä]|st[aä]|een|ään|aan|ksi)\b){h}": 0},
    until=word_set("ja"),
    units=units("min|minuutti|minuuttia|minuutin|minuutissa|minuuttiin|minuutiksi h|tunti|tuntia|tunnin|tunnissa|"
                 "tuntiin|tunniksi vrk|päivä|päivää|päivän|päivässä|päivään|päiväksi|pv|vuorokausi|vuorokautta|"
                 "vuorokauden|vuorokaudessa|vuorokaudeksi|yö|yötä|yön|yöksi vk|vko|viikko|viikkoa|viikon|viikossa|"
                 "viikkoon|viikoksi kk|kuukausi|kuukautta|kuukauden|kuukaudessa|kuukaudeksi "
                 "v|vuosi|vuotta|vuoden|vuodessa|vuodeksi",
                 "millimetri|millimetriä sentti|senttiä|senttimetri|senttimetriä metri|metriä kilometri|kilometriä "
                 "gramma|grammaa kilo|kiloa millilitra|millilitraa senttilitra|senttilitraa litra|litraa",
                 "henkilö|henkilöä|hlö|hlöä|henki|henkeä huone|huonetta|hh",
                 "tuuma|tuumaa jalka|jalkaa jaardi|jaardia maili|mailia unssi|unssia"),
    spans={"puoli tuntia": ("minutes", 30), "varttitunti": ("minutes", 15), "puoli vuotta": ("months", 6),
           "kolme varttia(?! yli| vaille)": ("minutes", 45)},
    parts=parts("{n} ja puoli {unit} / {n} ja puolen {unit}", one_and_a_half="puolen?toista {unit}"),
    hundreds={"{n}?sa(?:taa?|dan){m}?": 100},
    day_groups={r"(?<!\d )arki(?:päiv\p{L}{1,8}|sin)?": (1, 5), r"viikonlop\p{L}{1,8}|viikonloppu": (6, 7),
                "päivittäin|joka päivä": (1, 7)},
    relative={"eilen": -1, "huomenna": 1, "ylihuomenna": 2},
    beside={r"edelli\p{L}{2,6} (?:päiv|il)\p{L}{1,6}|aatto\p{L}{0,5}": -1,
            r"seuraava\p{L}{1,4} päiv\p{L}{1,6}": 1},
    excepts=("paitsi", "lukuun ottamatta", "suljettu"),
    before=word_set("ennen aiemmin"),
    after=word_set("jälkeen kuluttua päästä myöhemmin"),
    holidays=holidays({r"jouluaat(?:to|on|toon|tona)": "12-24", "joulu(?:n|a|na|ksi)?": CHRISTMAS,
                        r"joulupäiv\p{L}{1,6}": "12-25", r"tapaninpäiv\p{L}{1,6}": "12-26",
                        r"loppiai\p{L}{2,8}": "01-06", r"itsenäisyyspäiv\p{L}{1,6}": "12-06",
                        r"ystävänpäiv\p{L}{1,6}": "02-14", r"vap(?:pu|un|puna|uksi)": "05-01"}),
    halves={"aamulla|aamupäivällä": 0, "iltapäivällä|illalla": 12},
    about=("noin", "suunnilleen", "vajaa", "vajaat", "reilu", "reilut"),
    money={"e": "EUR"},
    hundredths=dict.fromkeys(("sentti", "senttiä", "sentin"), ("EUR",)),
    repeats=("{n} kertaa", "{n} krt"),
    ordinals=numbered("ensimmäinen|ensimmäisessä|ensimmäiseen toinen|toisessa|toiseen kolmas|kolmannessa|kolmanteen "
                      "neljäs|neljännessä|neljänteen viides|viidennessä|viidenteen"),
    things=word_set("asiaa tavaraa esinettä kappaletta kohtaa"),
    labels=forms("tiski portti laituri raide rivi ryhmä huone sali vyöhyke lohko taso luokka linja rata paikka "
                  "vaunu halli ovi hylly pöytä "
                 "kerros|krs|kerroksessa|kerrokseen|kerroksesta terminaali luukku kenttä pysäkki|pysäkillä|pysäkiltä"),
    wishes=word_set("hyvää iloista rauhallista"),
    loose={"pari": 2},
    shares={"puolet|puoleen hintaan": 50},
    titles=word_set("herra rouva neiti tohtori tri"),
    greetings=word_set("hei hyvä moi terve"),
    unlisted=word_set("aivan ettekä hei kuinka moi myös sieltä sinne tuonne tänne täältä"),
    derived=((r"^(?:ell|ett|joll|mutt)(?=e(?!n$))", ""), (r"(?:h[aä]n|k[oö])$", ""),
             (r"(?<=[aäe])(?:mme|nne|ns[aä])$", "")),
    name_endings=tuple(_CASES.split()),
    name_changes=((r"se$", "nen"), (r"kse$", "s"), *_GRADES, (r"e$", "i"), (r"i$", "")),
)  # fmt: skip
