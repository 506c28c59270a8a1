"""What an answer states against its notes although every part of it stands there."""

from __future__ import annotations

import pytest

from tests.unit.text.test_facts import wrong


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
    ],
)
def test_a_number_goes_with_its_measure(language, notes, answer, seen):
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
        ("en", "bus from A", "at stop B", []),
        ("de", "Gleis 4, 2 Personen", "Gleis 2", ["2"]),
        ("fr", "quai B", "sur le quai A", ["A"]),
        ("es", "puerta 12, 3 maletas", "por la puerta 3", ["3"]),
        ("fi", "luukku 6, 2 kpl", "Luukku 2 palvelee.", ["2"]),
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
