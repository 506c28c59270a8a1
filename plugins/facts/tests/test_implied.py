"""What follows from notes where an answer shows from what, and what does not."""

from __future__ import annotations

import time

import pytest
from helpers import wrong


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "parts £145, labour £60", "£145 for parts and £60 for labour make £205.", []),
        ("en", "parts £145, labour £60", "£145 for parts and £60 for labour make £215.", ["215"]),
        ("en", "parts £145, labour £60", "It comes to £205 in all.", []),  # of so few amounts the sum needs no showing
        ("en", "a £10, b £20, c £30, d £40", "It comes to £100 in all.", ["100"]),
        ("en", "bill £612, excess £99", "The £612 less your £99 excess leaves £513.", []),
        ("en", "£22/h, 4 h", "Four hours at £22 are £88.", []),
        ("en", "£22/h, 4 h", "That will be £88.", []),
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
        ("en", "3 pots @ £14", "All three pots come to £42.", []),
        ("en", "3 pots £14", "All three pots come to £42.", ["42"]),
        ("en", "rug £30, 2 chairs £8 each", "The rug and two chairs are £46.", []),
        ("en", "rug £30, 2 chairs £8 each", "The rug and two chairs are £38.", ["38"]),  # one chair is left out
        ("en", "fee £50, 2 keys, tax £6, post £4", "Pay £50, and £56 with the tax.", []),
        ("es", "total 500 €, señal 130 €", "De los 500 euros ya ha pagado 130; los 370 restantes, después.", []),
        ("es", "total 500 €, señal 130 €", "De los 500 euros ya ha pagado 130; los 380 restantes, después.", ["380"]),
        ("en", "total £80.40", "It comes to about £80.", []),
        ("en", "total £80.40", "It comes to £80.", ["80"]),
        ("de", "Summe 80,40 EUR", "Das macht rund 80 Euro.", []),
        ("de", "Summe 80,40 EUR", "Das macht rund 90 Euro.", ["90"]),
        ("fi", "työ 40 e, osat 25 e", "Yhteensä 65 euroa.", []),
        ("en", "£70/night, 3 nts", "Your stay comes to £210.", []),  # all that it takes stands there
        ("en", "£70/night, 3 nts", "Your stay comes to £220.", ["220"]),
        ("en", "£15pp, 6 pers", "That is £90 for your party.", []),
        ("en", "£15pp, 6 pers", "That is £105 for your party.", ["105"]),
        ("en", "£15pp, 6 pers, 19:00", "Seven of you are £90.", []),
        ("en", "£15pp, 6 pers, 19:00", "Seven people are £90.", ["Seven", "90"]),
        ("en", "4 seats, £9/seat/month, 1 year", "That is £432 a year.", []),
        ("en", "£12/kg, 2.5 kg", "The roast is £30.", []),
        ("de", "75 €/Zi./Nacht, 3 DZ, 2 Nächte", "Die drei Zimmer kosten 450 Euro.", []),
        ("de", "75 €/Zi./Nacht, 3 DZ, 2 Nächte", "Die drei Zimmer kosten 460 Euro.", ["460"]),
        ("fr", "taxe 1,10 €/adulte/nuit, 3 adultes, 2 nuits", "La taxe est de 6,60 €.", []),
        ("fr", "taxe 1,10 €/adulte/nuit, 3 adultes, arrivée 14h", "La taxe est de 1,90 €.", ["1,90"]),
        ("es", "40 € por hab. y noche, 2 hab., 2 noches", "Son 160 euros.", []),
        ("en", "print £8 first, £5 each more, 4 prints", "Four are £23: £8 for the first, £5 for others.", []),
        ("en", "print £8 first, £5 each more, 4 prints", "Four are £26: £8 for the first, £5 for others.", ["26"]),
        ("en", "12 swims £50, singly £6", "Twelve swims are £50 instead of £6 each, which saves £22.", []),
        ("en", "12 swims £50, singly £6", "Twelve swims are £50 instead of £6 each, which saves £23.", ["23"]),
        ("en", "bag £0.30", "A bag is 30p.", []),
        ("en", "bag €0.30", "A bag is 30 cents.", []),
        ("en", "bag €0.30", "A bag is 40 cents.", ["40"]),
        ("de", "Tüte 0,30 €", "Die Tüte kostet 30 Cent.", []),
        ("fi", "kassi 0,30 e", "Kassi maksaa 30 senttiä.", []),
        ("fi", "kassi 0,30 e", "Kassi maksaa 40 senttiä.", ["40"]),
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
        ("fr", "du 3 au 7 mai", "quatre nuits, du 3 au 7 mai", []),
        ("fr", "du 3 au 7 mai", "cinq nuits, du 3 au 7 mai", ["cinq"]),
        ("de", "vom 3. bis zum 7. Mai", "vier Nächte vom 3. bis zum 7. Mai", []),
        ("de", "vom 3. bis zum 7. Mai", "vom 4. bis zum 7. Mai", ["4"]),
        ("en", "open daily", "open seven days a week", []),
        ("en", "open Mon to Fri", "open seven days a week", ["seven"]),
        ("fi", "laina-aika 3 vko", "21 päivää", []),
        ("fi", "klo 9-12", "kolmeen tuntiin", []),
        ("en", "closed 0830-1130", "closed for three hours, from half past eight until half past eleven", []),
        ("en", "closed 0830-1130", "closed for four hours", ["four"]),
        ("en", "at 0945", "at quarter to ten in the morning", []),
        ("en", "card 4471 0932", "at 9.32", ["9.32"]),
        ("de", "10-13 Uhr, Haus 3 bis 17, 14.10., 18.30", "Es dauert drei Stunden.", []),
        ("en", "loan 3 wks, 2x renewable by 1 wk", "three weeks, and twice one week: five weeks in all", []),
        ("en", "loan 3 wks, 2x renewable by 1 wk", "three weeks, and twice one week: six weeks in all", ["six"]),
        ("de", "Abo 3 Monate, 2x um je 2 Monate", "Drei Monate, zweimal zwei Monate mehr: sieben Monate.", []),
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
        ("en", "scan 9 June, fast from the night before", "The scan is on 9 June; fast from the 8th.", []),
        ("en", "scan 9 June, fast from the night before", "The scan is on 8 June.", ["8"]),
        ("de", "OP Do, nüchtern ab Vorabend", "Die OP ist am Donnerstag, nüchtern ab Mittwoch.", []),
        ("fr", "opération mar, à jeun la veille", "Opération mardi, à jeun dès lundi.", []),
        ("es", "vuelo jue, facturar la víspera", "Vuela el jueves; facture el miércoles.", []),
        ("fi", "leikkaus to, paasto edellisenä iltana", "Leikkaus on torstaina, paasto keskiviikosta.", []),
        ("en", "leaves 20 Nov, apply at least 5 days before", "It leaves on 20 November: apply by the 15th.", []),
        ("en", "leaves 20 Nov, apply at least 5 days before", "It leaves on 15 November.", ["15"]),
        ("en", "due 3 wks from 2 June", "It is due around 23 June.", []),  # no slip of a few days
        ("en", "due 3 wks from 2 June", "It is due around 24 June.", ["24"]),
        ("de", "2 Nächte ab Fr", "von Freitag bis Sonntag", []),
        ("de", "2 Nächte ab Fr", "von Freitag bis Montag", ["Montag"]),
        ("en", "open Wed-Mon", "open every day except Tuesday", []),
        ("en", "open Wed-Mon", "open every day except Thursday", ["Thursday"]),
        ("en", "open Wed-Mon", "open from Tuesday", ["Tuesday"]),
        ("de", "Mi-Mo offen", "täglich außer Dienstag", []),
        ("fr", "ouvert mer-lun", "tous les jours sauf le mardi", []),
        ("en", "from 1 May, again 1 July", "closed in May and June, again in July", []),
        ("en", "from 1 May, again 1 July", "from June until July", ["June"]),
        ("en", "14 days' notice, ends 5 June", "It ends on 5 June; with a fortnight's notice, tell us by 22 May.", []),
        ("en", "7 days' notice, ends 5 June", "It ends on 5 June; with a week's notice, tell us by 29 May.", []),
        ("en", "7 days' notice, ends 5 June", "It ends on 5 June; with a week's notice, tell us by 28 May.", ["28"]),
        ("fr", "merc. 10h, vend. 11h", "le mercredi et le vendredi", []),
        ("fr", "jeu. 3 sept.", "le jeudi 3 septembre", []),
        ("de", "Mi 10 Uhr, Do 11 Uhr", "am Mittwoch und am Donnerstag", []),
        ("es", "mié 10:00", "el miércoles", []),
        ("fi", "ke 10.15", "keskiviikkona", []),
        ("en", "lockers 7-9", "lockers 7, 8 and 9", []),
        ("en", "lockers 7-9", "locker 8", ["8"]),
        ("en", "delivery 7-9 days", "seven, eight or nine days", ["eight"]),
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
        ("en", "1 lamp, 3 rugs", "All four things are here.", []),
        ("en", "1 lamp, 3 rugs", "All five things are here.", ["five"]),
        ("en", "1 lamp, 3 rugs", "Four people come.", ["Four"]),
        ("en", "1 lamp 3 days", "Four things are here.", ["Four"]),
        ("en", "Note: brake pads; left lamp", "There are two small things.", []),
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
