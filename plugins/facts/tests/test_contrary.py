"""What an answer states against its notes although every part of it stands there."""

from __future__ import annotations

import pytest
from helpers import wrong


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "ready in 5 days", "It takes five days.", []),
        ("en", "ready in 5 days", "It takes five months.", ["five"]),
        ("en", "ready in 14 days", "It takes two weeks, that is 14 nights.", []),
        ("en", "5 days, table 5", "It takes five weeks.", []),  # of what else the notes have 5, nobody can tell
        ("en", "4 h at £22", "Four hours at £22 make £88.", []),
        ("en", "€40 deposit", "The deposit is 40 euros.", []),
        ("en", "€40 deposit", "The deposit is £40.", ["40"]),
        ("en", "8 % off", "You save £8.", ["8"]),
        ("fr", "ouvert 9:00, 9 €", "à neuf heures", []),
        ("de", "Frist 3 Wochen", "drei Tage", ["drei"]),
        ("es", "plazo 6 meses", "seis semanas", ["seis"]),
        ("fi", "toimitus 4 vk", "neljässä päivässä", ["neljässä"]),
        ("en", "pipe 4 cm", "by 4 inches", ["4"]),
        ("en", "pipe 4 cm, 4 of them", "by 4 inches", []),
        ("en", "hem up 1.5 in", "an inch and a half", []),
        ("en", "walk 5 km", "It is five miles.", ["five"]),
        ("de", "Kabel 3 m", "drei Kilometer", ["drei"]),
        ("en", "away 4-15 May", "away for four weeks", ["four"]),
        ("fr", "du 3 au 12 juin, 10 jours", "dans trois jours", ["trois"]),
        ("en", "from 14:00", "after two days", ["two"]),
        ("fr", "à 14h", "à deux heures", []),
        ("en", "6 pers, 4 nights", "for four guests", ["four"]),
        ("en", "refund in 21 days, due 3 June", "by 21 June", ["21"]),
    ],
)
def test_a_number_goes_with_its_measure(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "bike £6/hour", "It is £6 an hour.", []),
        ("en", "bike £6/hour", "It is £6 for each day.", ["6"]),
        ("en", "bike £6/hour, helmet £6/day", "The bike is £6 a day.", []),
        ("en", "room £40pw", "It is £40 a week.", []),
        ("en", "room £40pw", "It is £40 a month.", ["40"]),
        ("en", "bed £30/night", "It is £30 a day.", []),
        ("en", "10p/sheet/day", "Ten pence, that is £0.10, a day.", []),
        ("de", "Rad 6 €/Std.", "Das Rad kostet 6 Euro pro Tag.", ["6"]),
        ("fr", "vélo 6 €/h", "Le vélo coûte 6 euros par jour.", ["6"]),
        ("es", "bici 6 €/hora", "La bici cuesta 6 euros al día.", ["6"]),
    ],
)
def test_a_price_goes_with_its_unit(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "gate C, row 7", "Row seven is at gate C.", []),
        ("en", "gate C, row 7", "Row seven is at gate F.", ["F"]),
        ("en", "room 4, 2 guests", "Both of you have room 2.", ["2"]),
        ("en", "track 3 or 5", "It leaves from track 5.", []),
        ("en", "platform 3, coach D", "coach D at platform 3", []),
        ("en", "class 10:30, room 4", "class ten, at the desk I like", []),  # a time, and no letter
        ("en", "bus from A", "at corner B", []),
        ("de", "Gleis 4, 2 Personen", "Gleis 2", ["2"]),
        ("fr", "quai B", "sur le quai A", ["A"]),
        ("es", "puerta 12, 3 maletas", "por la puerta 3", ["3"]),
        ("fi", "luukku 6, 2 kpl", "Luukku 2 palvelee.", ["2"]),
        ("en", "bus from A", "at stop B", ["B"]),
        ("en", "Stops J and K closed, use L", "Please wait at stop L, as stop J is closed.", []),
        ("en", "Stops J and K closed, use L", "Please wait at stop M.", ["M"]),
        ("en", "flat on 3rd floor, 2 bed", "It is on the third floor.", []),
        ("en", "flat on 3rd floor, 2 bed", "It is on the second floor.", ["second"]),
        ("de", "Praxis im 2. Stock, 3 Räume", "Wir sind im dritten Stock.", ["dritten"]),
        ("de", "Praxis im 2. OG", "Wir sind im zweiten Stock.", []),
        ("fr", "bureau au 2e étage, 3 pièces", "Il est au troisième étage.", ["troisième"]),
        ("es", "oficina 2.ª planta, 3 salas", "Está en la tercera planta.", ["tercera"]),
        ("fi", "toimisto 2. krs, 3 huonetta", "Se on kolmannessa kerroksessa.", ["kolmannessa"]),
    ],
)
def test_a_label_goes_with_what_it_is_on(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "07:15", "at quarter past seven in the morning", []),
        ("en", "07:15", "at quarter past seven in the evening", ["quarter past seven"]),
        ("en", "7:15", "at quarter past seven in the evening", []),  # either
        ("en", "7:15pm", "at 7:15am", ["7:15am"]),
        ("en", "19:15", "at 7:15 pm", []),
        ("en", "8am to 10pm", "from eight in the morning", []),
        ("en", "9pm", "from nine in the morning", ["nine"]),
        ("de", "06:30", "um halb sieben abends", ["halb sieben"]),
        ("de", "18:30", "um halb sieben abends", []),
        ("fr", "20h15", "à huit heures et quart du matin", ["huit heures et quart"]),
        ("es", "21:30", "a las nueve y media de la noche", []),
        ("es", "21:30", "a las nueve y media de la mañana", ["nueve y media"]),
        ("fi", "klo 08:30", "puoli yhdeksältä illalla", ["puoli yhdeksältä"]),
    ],
)
def test_a_time_goes_with_its_half_of_the_day(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "Thu 20:30", "on Thursday at eight", ["eight"]),
        ("en", "Thu 20:30", "on Thursday at eight thirty", []),
        ("en", "Thu 20:30, 8 seats", "on Thursday at eight", []),  # of what the notes have 8, nobody can tell
        ("en", "9:30-17:00", "from half past nine to five", []),
        ("de", "Do 8:30", "um acht Uhr", ["acht"]),
        ("de", "Do 8:30", "um acht Uhr dreißig", []),
        ("fr", "20h30", "à vingt heures", ["vingt"]),
        ("fr", "20h30", "à vingt heures trente", []),
        ("es", "8:15", "a las ocho", ["ocho"]),
        ("fi", "klo 8.30", "kello kahdeksan", ["kahdeksan"]),
        ("fi", "klo 8.30", "kello kahdeksan kolmekymmentä", []),
    ],
)
def test_a_time_goes_with_its_minutes(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "pallet, Hull to Perth", "from Hull to Perth", []),
        ("en", "pallet, Hull to Perth", "from Perth to Hull", ["Perth"]),
        ("en", "coach Leeds-York, back 18:00", "from Leeds to York, and from York to Leeds at six", []),
        ("en", "Leeds to York and York to Leeds", "from York to Leeds", []),
        ("es", "Vigo a Lugo", "de Lugo a Vigo", ["Lugo", "Vigo"]),
        ("fr", "Lyon -> Nantes", "de Nantes à Lyon", ["Nantes", "Lyon"]),
    ],
)
def test_a_way_goes_from_where_it_starts(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen
