"""French and Spanish words of the calendar, of the clock and of numbers."""

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

FRENCH = Calendar(
    weekdays=("lundi*|lun", "mardi*|mar", "mercredi*|mer|merc", "jeudi*|jeu", "vendredi*|ven|vend",
              "samedi*|sam", "dimanche*|dim"),
    months=MONTHS["fr"],
    numbers=numbered("un|une deux trois quatre cinq six sept huit neuf dix onze douze|midi|douzaine treize "
                      "quatorze quinze seize dix-sept dix-huit dix-neuf") | {"quatre-vingts": 80},
    tens=tens("vingt trente quarante cinquante soixante quatre-vingt", 20, 30, 40, 50, 60, 80),
    joins=("{ten}-{one}", "{ten} et {one}", "{ten}-et-{one}"),
    articles=frozenset({"un", "une"}),
    clock={"{h} heures? et demie": 30, "{h} heures? et quart": 15, "{h} heures? moins le quart": -15},
    hours={"{h} heures? {m}": 1, "{h} heures? moins {m}": -1, "{h} heures?": 0},
    until=word_set("à et"),
    to=frozenset({"à"}),
    until_day=word_set("au"),
    units=units("min|minute|minutes h|heure|heures j|jour|jours|nuit|nuits sem|semaine|semaines mois "
                 "an|ans|année|années",
                 "millimètre|millimètres centimètre|centimètres mètre|mètres kilomètre|kilomètres gramme|grammes "
                 "kilo|kilos|kilogramme|kilogrammes millilitre|millilitres centilitre|centilitres litre|litres",
                 "personne|personnes|pers|convive|convives chambre|chambres|ch", "pouce|pouces pied|pieds"),
    spans={"demi-heure": ("minutes", 30), "quart d'heure": ("minutes", 15), "quinzaine": ("minutes", 20160),
           "trois quarts d'heure": ("minutes", 45)},
    parts=parts("{n} {unit} et demie?", "{n} {unit} et quart"),
    hundreds={"(?:{n} cents?|(?<!pour )cent)(?: {m})?(?! pour cent)": 100},
    day_groups={"jours ouvrés|en semaine": (1, 5), "week-end|weekend": (6, 7), "tous les jours|tlj": (1, 7)},
    initials={"L": 1, "Ma": 2, "Me": 3, "J": 4, "V": 5, "S": 6, "D": 7},
    relative={"hier": -1, "demain": 1, "après-demain": 2},
    beside={"veille": -1, "lendemain": 1},
    excepts=("sauf(?: le)?", "excepté(?: le)?", "(?:fermé|fermée|fermés)(?: le)?"),
    before=word_set("avant auparavant"),
    after=frozenset({"après", "plus tard"}),
    holidays=holidays({"noël": CHRISTMAS, "(?:veille|réveillon) de noël": "12-24", "jour de noël": "12-25",
                        "saint-sylvestre": "12-31", "jour de l'an|nouvel an": "01-01", "saint-valentin": "02-14",
                        "toussaint": "11-01", "fête nationale": "07-14", "fête du travail": "05-01"}),
    halves={"du matin": 0, "du soir|de l'après-midi": 12},
    about=("environ", "près de", "autour de", "à peu près", "presque"),
    things=word_set("choses articles objets pièces points"),
    labels=forms("guichet porte quai voie rang rangée groupe chambre salle zone bloc niveau classe ligne piste "
                  "place voiture hall étagère table étage terminal comptoir fenêtre terrain catégorie bac "
                 "arrêt|arrêts"),
    ordinals=numbered("premier|première deuxième|second|seconde troisième quatrième cinquième sixième"),
    per={"p.p.": ("people", 1), "pp": ("people", 1)},
    repeats=("{n} fois",),
    places=word_set("saint sainte mont"),
    wishes=word_set("joyeux bon"),
    loose={"paire": 2, "couple": 2},
    shares={"moitié|demi-tarif": 50},
    shortened={"st": "saint", "ste": "sainte"},
    titles=word_set("madame mme monsieur mademoiselle mlle docteur dr maître"),
    greetings=word_set("bonjour bonsoir cher chère chers chères"),
    unlisted=word_set("assez au aujourd aux dont dorénavant du déjà jamais jusqu lorsqu non néanmoins oui où pas peu "
                      "plusieurs puisqu qu quant quoiqu soi trop très"),
    derived=(("ement$", "e"), ("ément$", "e"), ("emment$", "ent"), ("amment$", "ant")),
)  # fmt: skip
# Recuérdenos: recuerde
_PRONOUNS = tuple(
    (rf"{accented}(\p{{Ll}}{{1,6}}?)(?:nos|me|les?|l[oa]s?)$", rf"{plain}\1")
    for accented, plain in zip("áéíóú", "aeiou", strict=True)
)

SPANISH = Calendar(
    weekdays=("lunes|lun", "martes|mar", "miércoles|mié|miér", "jueves|jue", "viernes|vie",
              "sábado*|sáb", "domingo*|dom"),
    months=MONTHS["es"],
    numbers=numbered("un|una|uno dos tres cuatro cinco seis siete ocho nueve diez once doce|mediodía|docena "
                      "trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte "
                      "veintiuno|veintiún|veintiuna veintidós veintitrés veinticuatro veinticinco veintiséis "
                      "veintisiete veintiocho veintinueve"),
    tens=tens("treinta cuarenta cincuenta sesenta setenta ochenta noventa", *range(30, 100, 10)),
    joins=("{ten} y {one}",),
    articles=frozenset({"un", "una", "uno", "mediodía"}),
    clock={"{h} y media": 30, "{h} y cuarto": 15, "{h} menos cuarto": -15},
    hours={"{h} y {m}": 1, "{h} menos {m}": -1, "las? {h}": 0},
    until=word_set("a y"),
    to=frozenset({"a"}),
    until_day=word_set("al"),
    units=units("min|minuto|minutos h|hora|horas d|día|días|noche|noches sem|semana|semanas mes|meses año|años",
                 "milímetro|milímetros centímetro|centímetros metro|metros kilómetro|kilómetros gramo|gramos "
                 "kilo|kilos|kilogramo|kilogramos mililitro|mililitros centilitro|centilitros litro|litros",
                 "persona|personas|pers|huésped|huéspedes habitación|habitaciones|hab",
                 "pulgada|pulgadas pie|pies yarda|yardas milla|millas onza|onzas"),
    spans={"media hora": ("minutes", 30), "cuarto de hora": ("minutes", 15), "medio año": ("months", 6),
           "tres cuartos de hora": ("minutes", 45)},
    parts=parts("{n} {unit} y medi[ao]", "{n} {unit} y cuarto"),
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
    before=word_set("antes"),
    after=word_set("desde después"),
    holidays=holidays({"nochebuena": "12-24", "navidad": CHRISTMAS, "día de navidad": "12-25",
                        "nochevieja": "12-31", "año nuevo": "01-01", "(?:día de )?reyes": "01-06",
                        "san valentín": "02-14", "todos los santos": "11-01"}),
    halves={"de la mañana": 0, "de la (?:tarde|noche)": 12},
    about=("unos", "unas", "aproximadamente", "alrededor de", "cerca de", "casi"),
    things=word_set("cosas artículos objetos piezas puntos"),
    labels=forms("mostrador puerta andén vía fila grupo habitación sala zona bloque nivel clase línea pista plaza "
                  "asiento coche estante mesa planta|piso terminal ventanilla taquilla categoría bandeja aula "
                 "parada|paradas"),
    ordinals=numbered("primer|primero|primera segundo|segunda tercer|tercero|tercera cuarto|cuarta quinto|quinta "
                      "sexto|sexta"),
    per={"p.p.": ("people", 1), "pp": ("people", 1)},
    repeats=("{n} veces", "{n} vez"),
    places=word_set("san santa santo puerto"),
    wishes=word_set("feliz"),
    loose={"par": 2},
    shares={"mitad": 50},
    shortened={"sta": "santa", "sto": "santo"},
    titles=word_set("señor señora señorita sr sra srta doctor doctora dr dra don doña"),
    greetings=word_set("hola buenos buenas estimado estimada estimados estimadas querido querida"),
    unlisted=word_set("antes tan"),
    derived=_PRONOUNS,
)  # fmt: skip
