"""What follows from notes where an answer shows from what, and what does not."""

from __future__ import annotations

import time

import pytest

from tests.unit.text.test_facts import wrong


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "parts £145, labour £60", "£145 for parts and £60 for labour make £205.", []),
        ("en", "parts £145, labour £60", "£145 for parts and £60 for labour make £215.", ["215"]),
        ("en", "parts £145, labour £60", "It comes to £205 in all.", []),  # of so few amounts the sum needs no showing
        ("en", "a £10, b £20, c £30, d £40", "It comes to £100 in all.", ["100"]),
        ("en", "bill £612, excess £99", "The £612 less your £99 excess leaves £513.", []),
        ("en", "£22/h, 4 h", "Four hours at £22 are £88.", []),
        ("en", "£22/h, 4 h", "That will be £88.", ["88"]),
        ("en", "£22/h, 4 h", "Four hours at £22 are 88 euros.", ["88"]),
        ("en", "10 classes £95", "Ten classes are £95, which is £9.50 each.", []),
        ("es", "61,80 €, 3 plazos", "Son 61,80 euros, o tres plazos de 20,60.", []),
        ("es", "61,80 €, 3 plazos", "Son 61,80 euros, o tres plazos de 20,50.", ["20,50"]),
        ("fr", "1 450 €, acompte 30 %", "Le prix est de 1450 euros, dont 435 euros d'acompte.", []),
        ("de", "80 EUR, Rabatt 25 %", "Statt 80 Euro zahlen Sie nur 60 Euro.", []),
        ("en", "adult £22, child half", "Adults pay £22 and children £11.", []),
        ("en", "adult £22, child half", "Adults pay £22 and children £12.", ["12"]),
        ("en", "letter 60p", "A letter is £0.60.", []),
        ("en", "£22, room 4", "Room 88 is yours.", ["88"]),
        ("en", "3 coats £12 each", "Your three coats come to £36.", []),  # a price of one needs no showing
        ("en", "3 coats £12", "Your three coats come to £36.", ["36"]),
        ("en", "6 sessions, £40 each, 10 % off", "Six sessions are £240, or £216 with ten per cent off.", []),
        ("en", "a £75, b £55, both £120", "£75 and £55, or £120 for both, which saves ten pounds.", []),
        ("en", "£960, 24 mths", "£960 is £40 a month over two years.", []),
        ("de", "10x, 120 EUR", "Zehnmal für 120 Euro, also zwölf Euro pro Abend.", []),
    ],
)
def test_an_amount_follows_from_those_that_are_shown(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "open 9-11", "for two hours", []),
        ("en", "open from 9 to 11", "for two hours", []),
        ("en", "open 9-11", "for three hours", ["three"]),
        ("en", "14:00-15:30", "It lasts an hour and a half.", []),
        ("en", "14:00-15:30", "It lasts an hour and a quarter.", ["an hour and a quarter"]),
        ("en", "11:00, 50 min", "from eleven until ten to twelve", []),
        ("en", "11:00, 50 min", "until ten to twelve", ["ten", "twelve"]),
        ("en", "starts 10:30, 2.5 h", "half past ten till about one", []),
        ("en", "1.5 h", "It takes 90 minutes.", []),
        ("en", "1.5 h", "It takes 80 minutes.", ["80"]),
        ("en", "1 1/2 h", "It takes an hour and a half.", []),
        ("en", "2h40", "two hours and forty minutes", []),
        ("en", "2h40", "two hours and fifty minutes", ["fifty"]),
        ("en", "160 min", "two hours and forty minutes", []),
        ("fr", "1h30", "quatre-vingt-dix minutes, ou une heure et demie", []),
        ("fr", "1h30", "cinquante minutes", ["cinquante"]),
        ("es", "2 h 30", "dos horas y media", []),
        ("de", "150 min", "zweieinhalb Stunden", []),
        ("de", "90 min", "anderthalb Stunden", []),
        ("de", "90 min", "zweieinhalb Stunden", ["zweieinhalb Stunden"]),
        ("fi", "2 h 30", "kaksi ja puoli tuntia", []),
        ("fi", "90 min", "puolitoista tuntia", []),
        ("en", "180 cm", "It is 1.8 metres long.", []),
        ("en", "180 cm", "It is 1.9 metres long.", ["1.9"]),
        ("en", "delivery 3-5 days", "Two days are enough.", ["Two"]),
        ("en", "9.30, 90 min", "from half past nine until eleven", []),
        ("en", "£9.30, 90 min", "at 9.30 until eleven", ["eleven"]),
        ("en", "1.2 kg", "It weighs 1,200 g.", []),
        ("en", "1.2 kg", "It weighs 1,300 g.", ["1,300"]),
    ],
)
def test_a_length_follows_from_its_ends_and_an_end_from_its_length(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "2 nights from Fri 5 Feb", "two nights from Friday the 5th, so you leave on Sunday the 7th", []),
        ("en", "2 nights from Fri 5 Feb", "You leave on Sunday.", ["Sunday"]),
        ("en", "2 nights from Fri 5 Feb", "two nights from Friday, so you leave on Monday", ["Monday"]),
        ("en", "3 nights from 30 Dec", "three nights from 30 December, until 2 January", []),
        ("en", "Sat 12 Dec, patch test 48 h before", "Saturday; the test is two days before, on Thursday", []),
        ("es", "4 noches desde mié 19 may", "cuatro noches desde el miércoles 19, hasta el domingo 23", []),
        ("en", "party Fri 11 Dec, reply by 14 Dec", "Please reply by Monday 14 December.", []),
        ("en", "party Fri 11 Dec, reply by 14 Dec", "Please reply by Tuesday 14 December.", ["Tuesday"]),
        ("en", "party Fri 11 Dec, reply by 14 Dec", "Please reply by Monday.", ["Monday"]),
        ("en", "till 3/11", "until 2 November", ["2"]),
        ("en", "due 2026-12-31", "It is due on a Thursday.", []),
        ("en", "due 2026-12-31", "It is due on a Friday.", ["Friday"]),
        ("de", "fällig 31.12.2026", "Fällig am Donnerstag.", []),
        ("en", "today Mon 30 Nov, visit tomorrow", "We come on Tuesday, 1 December.", []),
        ("en", "today Mon 30 Nov, visit tomorrow", "We come on Wednesday.", ["Wednesday"]),
        ("en", "due 31/02/2026", "It is due on Tuesday.", ["Tuesday"]),
        ("en", "2 yrs from 14 Mar 2025", "two years, until March 2027", []),
        ("en", "2 yrs from 14 Mar 2025", "two years, until March 2028", ["2028"]),
        ("en", "3 months from 14 Nov", "three months from November, until February", []),
    ],
)
def test_a_day_follows_from_another_that_is_shown(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("de", "Mi 20.1. 8:15 oder Do 21.1. 17:00", "Wir haben zwei Termine.", []),
        ("de", "Mi 20.1. 8:15 oder Do 21.1. 17:00", "Wir haben drei Termine.", ["drei"]),
        ("en", "visits 3 Mar, 10 Mar, 17 Mar", "The three visits are in March.", []),
        ("en", "cats Miso & Tofu", "We look forward to your two friends.", []),
        ("en", "2 visits, cats Miso, Tofu and Bo", "We come for three visits.", ["three"]),
        ("en", "3 payslips, Mon or Tue", "Bring two payslips.", ["two"]),
        ("en", "Mon or Tue", "It takes two weeks.", ["two"]),
    ],
)
def test_a_count_follows_from_what_is_listed_and_not_counted(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


def test_of_many_amounts_nothing_follows_and_they_take_bounded_time():
    notes = " ".join(f"£{each}" for each in range(1, 400))
    started = time.process_time()

    assert len(wrong(f"{notes} {' '.join(f'£{each}.17' for each in range(900))}", notes)) > 800
    assert time.process_time() - started < 2


def test_numbers_of_any_size_can_be_reckoned_with():
    many = "9" * 40 + "." + "9" * 40
    assert wrong(f"£{many} for 7 makes £12.34", f"£{many}, 7 things, 50 %") == ["12.34"]
