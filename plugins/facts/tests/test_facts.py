"""What a text states, and what of it its notes do not."""

from __future__ import annotations

import time

import pytest
from helpers import wrong
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunegate_facts.calendar import CALENDARS
from tunegate_facts.facts import MOST_OF_AN_ANSWER, facts, missing, stated, unfounded


@pytest.mark.parametrize(
    ("notes", "answer"),
    [
        ("GBP 1,250", "£1250"),
        ("1250", "one thousand, 1,250.00"),
        ("Wed", "on Wednesday"),
        ("14:30", "at 2:30pm"),
        ("8:00", "at 8am"),
        ("nearer 5", "by 5pm"),
        ("HX-4417", "hx4417"),
        ("31/12/2026", "31 December 2026"),
        ("2026-12-31", "December 31st, 2026"),
        ("3 valves", "three valves"),
        ("10 yr", "ten years"),
        ("5-7pm", "between 5 and 7"),
        ("10.15", "at 10:15, and at 10.15."),
        ("8 Jan", "on the eighth of January"),
        ("seats F11-F14", "seats F11 to F14"),
        ("seats F11-14", "row F, seats 11 to 14"),
        ("U18 £25", "under-18s pay £25"),
        ("pay in 14 d", "pay within a fortnight"),
        ("£1.20", "one pound twenty"),
        ("£3.40 late", "three pounds and forty pence"),
        ("£385k", "£385,000"),
        ("3 doz rolls", "three dozen rolls, and a hundred thanks"),
        ("check in 30m before", "half an hour before"),
        ("dan", "and Dan's van"),
        ("", "You may ask. One of us will march in, and the sun is out."),
    ],
)
def test_a_fact_is_the_same_however_it_is_written(notes, answer):
    assert wrong(answer, notes) == []


@pytest.mark.parametrize(
    ("notes", "answer", "seen"),
    [
        ("£46", "it's £64", ["64"]),
        ("14:30", "at 3:30pm", ["3:30pm"]),
        ("Feb", "since March, in May", ["March", "May"]),
        ("HX-4417", "part HX-4471", ["HX-4471"]),
        ("Nina", "and Priya comes", ["Priya"]),
        ("1.2 bar", "1.3 bar", ["1.3"]),
        ("a@b.example", "to c@b.example", ["c@b.example"]),
        ("31/12/2026", "31/11/2026", ["31/11/2026"]),
    ],
)
def test_what_the_notes_do_not_have_is_seen(notes, answer, seen):
    assert wrong(answer, notes) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("de-AT", "1.250,50 EUR am Do", "1250,50 Euro am Donnerstag", []),
        ("de", "Do", "am Freitag", ["Freitag"]),
        ("fr", "janv., lun", "lundi, en janvier", []),
        ("fi", "ke", "keskiviikkona", []),
        ("fi", "ke", "torstaina", ["torstaina"]),
    ],
)
def test_the_words_are_those_of_the_language(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer"),
    [
        ("en", "visit 4/7", "on 4 July"),
        ("en", "visit 4/7", "on April the 7th"),
        ("en", "due 4/7/2026", "on April 7th, 2026"),
        ("en", "visit 4 July", "on 4/7"),
        ("de", "fällig 14/6", "am 14. Juni"),
        ("es", "antes del 9/2", "antes del 9 de febrero"),
        ("fr", "avant le 30/1", "avant le 30 janvier"),
        ("fr", "avant le 4/09", "avant le 4 septembre"),
        ("en", "visit 4/09", "on April 9th"),
    ],
)
def test_a_date_in_figures_names_its_month_in_either_order(language, notes, answer):
    assert wrong(answer, notes, language) == []


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("fr", "demandé 8/09, parti 9/09", "le 9 septembre", []),
        ("fr", "demandé 7/09, parti 8/09", "le 9 septembre", ["9"]),
        ("de", "vom 5/06", "am 6. Juni", ["6"]),
        ("fr", "7 j/7, 24/7", "vingt-quatre heures sur sept jours", []),
    ],
)
def test_a_date_in_figures_is_read_whole_where_the_day_comes_first(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "16:50", "at ten to five", []),
        ("en", "9.25", "at twenty-five past nine", []),
        ("en", "6.15pm", "at a quarter past six", []),
        ("en", "6.15pm", "at quarter to six", ["quarter to six"]),
        ("en", "13-15h", "between one and three", []),
        ("en", "15 guests", "at three", ["three"]),
        ("en", "opens 10-4", "open from ten to four", []),
        ("de", "13:30", "um halb zwei", []),
        ("de", "13:30", "um halb drei", ["halb drei"]),
        ("de", "7:45", "um Viertel vor acht, also dreiviertel acht", []),
        ("de", "11:10", "um zehn nach elf", []),
        ("de", "15 Uhr", "gegen drei", []),
        ("fr", "9h15", "à neuf heures et quart", []),
        ("fr", "9h15", "à neuf heures et demie", ["neuf heures et demie"]),
        ("fr", "16h45", "à cinq heures moins le quart", []),
        ("es", "20:30", "a las ocho y media", []),
        ("es", "20:30", "a las nueve y media", ["nueve y media"]),
        ("es", "17 h", "a las cinco de la tarde", []),
        ("fi", "klo 9.30", "puoli kymmeneltä", []),
        ("fi", "klo 9.30", "puoli yhdeksältä", ["puoli yhdeksältä"]),
        ("fi", "klo 14", "kello kahdelta", []),
        ("fi", "klo 14", "kello kolmelta", ["kolmelta"]),
    ],
)
def test_a_time_in_words_is_the_same_as_in_figures(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "£34", "thirty-four pounds", []),
        ("en", "£34", "forty-three pounds", ["forty-three"]),
        ("de", "Zimmer 36", "Zimmer sechsunddreißig", []),
        ("de", "Zimmer 36", "Zimmer dreiundsechzig", ["dreiundsechzig"]),
        ("fr", "77 €", "soixante-dix-sept euros", []),
        ("fr", "91 € et 21 €", "quatre-vingt-onze et vingt et un euros", []),
        ("fr", "77 €", "soixante-sept euros", ["soixante-sept"]),
        ("es", "58 €", "cincuenta y ocho euros", []),
        ("es", "58 €", "ochenta y cinco euros", ["ochenta y cinco"]),
        ("fi", "23 €, 12 kpl", "kaksikymmentäkolme euroa, kaksitoista kappaletta", []),
        ("fi", "23 €", "kolmekymmentäkaksi euroa", ["kolmekymmentäkaksi"]),
    ],
)
def test_a_number_in_words_is_one_number(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "bulbs x5, 4-slice toaster, block B2", "five bulbs, a four-slice toaster, level 2", []),
        ("en", "bulbs x5", "six bulbs", ["six"]),
        ("en", "warranty 24 months", "a two-year warranty", []),
        ("en", "warranty 24 months", "a warranty of three years", ["three"]),
        ("en", "takes 180 min", "it takes three hours", []),
        ("en", "14 days", "back in a fortnight, two weeks", []),
        ("en", "3 weeks", "back in a fortnight", ["fortnight"]),
        ("en", "rest 30 mins", "for half an hour", []),
        ("de", "Frist 21 Tage", "drei Wochen", []),
        ("fr", "sous 15 min", "dans un quart d'heure", []),
        ("es", "garantía 36 meses", "tres años", []),
        ("fi", "kesto 120 min", "kaksi tuntia", []),
    ],
)
def test_what_any_reader_works_out_follows(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "ask Ivo", "Her bike is ready. Best of all, ask Ivo first.", []),
        ("fr", "Inès", "Très bien ! Oui, Inès vient. Pas de souci.", []),
        ("es", "Inés", "¿Listo? ¡Hasta luego! Antes llame a Inés.", []),
        ("fi", "Sirkka", "Hei! Moi! Myös Sirkka tulee.", []),
        ("fi", "Sirkka, Tapiola", "Sirkan aika on Tapiolassa, ja Sirkalle sopii.", []),
        ("fi", "Virtanen, Korhonen", "Virtasen ja Korhoselle", []),
        ("fi", "Sirkka", "Sirpan aika", ["Sirpan"]),
        ("de", "Herr Adler", "Adlers Termin; Herr Adler kommt.", []),
        ("de", "Frau Vogel", "Frau Jäger kommt. Dr. Schneider auch.", ["Jäger", "Schneider"]),
        ("en", "Mr Baker", "Dr Cook is here, and so is Mr Baker.", ["Cook"]),
        ("fr", "Mme Petit", "Madame Petit ou M. Legrand, puis Mme Berger.", ["Legrand", "Berger"]),
        ("es", "Sr. Campos", "El señor Prado irá.", ["Prado"]),
        ("es", "Lucía", "Pregunte por Rosa.", ["Rosa"]),
        ("en", "Fri, St Mark's", "on Fridays at Saint Mark's", []),
    ],
)
def test_names_are_told_from_words_that_open_a_sentence(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("fr", "acompte, 1 450 € TTC", "Le prix est de 1450 euros.", []),
        ("fr", "1450 €", "Le prix est de 1 550 euros.", ["1 550"]),
        ("fi", "1 200,50 €", "Hinta on 1200,50 euroa.", []),
        ("fr", "apt 12 345 rue Haute", "Au 345 rue Haute, apt 12.", []),  # two numbers that stand side by side
        ("en", "call 0345 600 112", "Call 0345 600 112.", []),
        ("fr", "jeu 9h", "Jeudi à neuf heures, l'après-midi est libre.", []),  # no midday
        ("es", "mié 19 may, 1 sep", "El 19 de mayo y el 1 de septiembre.", []),
    ],
)
def test_digits_in_groups_and_parts_of_words_are_read_as_people_do(language, notes, answer, seen):
    assert [fact.seen for fact in unfounded(answer, stated(notes, language), language)] == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "closed weekdays", "closed Monday to Friday", []),
        ("en", "open Mon-Fri", "open on weekdays", []),
        ("en", "open weekdays", "open Monday to Saturday", ["Saturday"]),
        ("en", "M-F 9-5", "Monday to Friday from nine to five", []),
        ("es", "7-23 L-V, 9-14 S", "de lunes a viernes de siete a once, los sábados hasta las dos", []),
        ("es", "fila V", "el viernes", ["viernes"]),
        ("de", "werktags", "von Montag bis Freitag", []),
        ("fi", "arkisin", "maanantaista perjantaihin", []),
        ("en", "slot 12-16 Mon", "between midday and 4pm", []),
        ("en", "slot 12-16 Mon", "between midday and 5pm", ["5pm"]),
        ("en", "20-30 min", "until 6pm", ["6pm"]),
    ],
)
def test_ranges_of_days_and_hours_are_the_same_in_words(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "closed 24 Dec", "We close on Christmas Eve.", []),
        ("en", "closed 23 Dec", "We close on Christmas Eve.", ["Christmas", "Eve"]),
        ("en", "closed Xmas Eve", "We close on 24 December.", []),
        ("en", "closed Xmas", "We close on 18 December.", ["18", "December"]),
        ("en", "roses 14 Feb", "for Valentine's Day", []),
        ("en", "", "Merry Christmas! Happy Easter!", []),
        ("fr", "fermé le 25/12", "Fermé à Noël.", []),
        ("en", "", "Happy to help, Bob", ["Bob"]),
    ],
)
def test_a_holiday_is_its_day_and_a_wish_is_no_fact(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("fr", "130 €, 110 pers.", "cent trente euros et cent dix personnes", []),
        ("fr", "130 €", "cent vingt euros", ["cent vingt"]),
        ("fr", "30 %", "trente pour cent", []),
        ("en", "120 min, £250", "a hundred and twenty minutes for two hundred and fifty pounds", []),
        ("en", "120 min", "one hundred and ten minutes", ["one hundred and ten"]),
        ("de", "130 EUR", "hundertdreißig Euro", []),
        ("de", "230 EUR", "zweihundertvierzig Euro", ["zweihundertvierzig"]),
        ("de", "36 EUR", "dreiunddreißig Euro", ["dreiunddreißig"]),
        ("es", "100 €, 250 m", "cien euros, doscientos cincuenta metros", []),
        ("es", "100 €", "ciento diez euros", ["ciento diez"]),
        ("fi", "120 €", "satakaksikymmentä euroa", []),
        ("fi", "120 €", "kaksisataa euroa", ["kaksisataa"]),
    ],
)
def test_hundreds_in_words_are_one_number(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "reg LK19 VYO", "LK19VYO", []),
        ("en", "reg LK19VYO", "LK19 VYO", []),
        ("en", "reg LK19VYO", "LK19 VYD", ["LK19", "VYD"]),
        ("en", "call 01632 960184", "Call 01632 960 184.", []),
        ("en", "call 01632960184", "Call 01632 960 185.", ["01632", "960", "185"]),
        ("en", "firmware v3.4", "firmware version 3.4", []),
        ("en", "firmware v3.4", "firmware version 4.3", ["4.3"]),
    ],
)
def test_a_code_is_the_same_in_any_groups(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "", "Dear parents, We close. Namaste!", []),
        ("en", "", "Dear Zofia, We close.", ["Zofia"]),
        ("de", "7,5 t", "mit einem 7,5-Tonner", []),
        ("de", "", "Die Zahnreinigungstermine sind frei.", []),
        ("de", "", "Frau Sommerkamp kommt.", ["Sommerkamp"]),
        ("de", "Kur in Bad Aibling", "Die Kur ist in Bad Tölz.", ["Tölz"]),
        ("de", "Zug nach Bad Orb", "Der Zug fährt nach Bad Ems.", ["Ems"]),
        ("de", "", "Sie kommen ins Bad. Wir warten.", []),
        ("en", "walk at Mount Hope", "The walk is at Mount Pleasant.", ["Pleasant"]),
        ("en", "10p a mile over 30 miles", "The first thirty miles are free.", []),
        ("en", "", "You are the first one.", ["first"]),
        ("fi", "", "Kuukausimaksu ei nouse.", []),
        ("fi", "Niskavuori", "Tervetuloa katsomaan Niskavuorta.", []),
        ("fi", "Lehtonen", "Kysy Lehtiseltä.", ["Lehtiseltä"]),
        ("fi", "Matti, Outi, Virta", "Matin, Oudin ja Virran kanssa", []),
        ("fi", "Outi", "Outin tai Oonan kanssa", ["Oonan"]),
        ("fi", "Riina", "Riinan sijasta tulee Riia.", ["Riia"]),
        ("fi", "Leena", "Kysy Leealta.", ["Leealta"]),
        ("fi", "Anna", "Kysy Annilta.", ["Annilta"]),
        ("fi", "Ida", "Tapaat Idan ja autat Idaa.", []),
        ("fi", "Skoda", "Skodanne on valmis.", []),
        ("fi", "", "Ettette myöhästy: Ellemme vastaa, soittakaa. Muistattehan avaimet.", []),
        ("fr", "", "Heureusement, il reste des places. Récemment, Lorsqu'il pleut.", []),
        ("fr", "", "Demandez Clarament.", ["Clarament"]),
        ("es", "", "Avísenos, por favor. Tráigalo mañana.", []),
    ],
)
def test_a_capital_that_something_else_explains_is_no_name(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen


def test_what_is_due_is_found_by_what_it_says():
    assert list(missing(["£46", "Friday", "Dan", "working days"], "46 pounds by Fri, says Dan.", "en")) == [
        "working days"
    ]


@settings(deadline=None)
@given(st.text(), st.sampled_from(sorted(CALENDARS)))
def test_a_text_states_nothing_that_it_does_not_have(text, language):
    assert wrong(text, text, language) == []


@pytest.mark.parametrize(("text", "seen"), [("Open 24/7.", ["24", "7"]), ("on 45/99.2020", ["45", "99.2020"])])
def test_what_looks_like_a_date_and_is_none_is_its_numbers(text, seen):
    assert [fact.seen for fact in facts(text, "en")] == seen


LIKE_FACTS = st.from_regex(r"([0-9]{1,4}|[./:',-]|[ap]m|[a-z]| |h|\u00ba|\u0663|@){0,30}", fullmatch=True)


@settings(deadline=None)
@given(st.text() | LIKE_FACTS, st.sampled_from(sorted(CALENDARS)))
@example("24/7.", "en")
@example("s\u0130xty-one, s\u0131x hundred and \u017fixty-\u017fix", "en")
@example("1\u20442 h, \xbd h, 3 1/2 hours, TWO HUNDRED AND FIVE", "en")
def test_any_text_of_any_language_can_be_read(text, language):
    assert {said for fact in facts(text, language) for said in fact.says} <= stated(text, language)


@pytest.mark.parametrize("text", ["a1" * 500_000, "1-" * 500_000, "1 " * 500_000, "A" + "\ufdfa" * 400_000])
def test_a_megabyte_is_read_in_part_and_the_rest_is_a_fact_that_no_notes_know(text):
    started = time.process_time()
    *_, rest = facts(text, "en")

    assert time.process_time() - started < 2
    assert rest.seen == f"{len(text) - MOST_OF_AN_ANSWER:,} more characters"
    assert unfounded(text, stated("1 a1", "en"), "en")[-1] == rest


LONG = ["9" * 4_000, "a1-" * 1_300, "1." * 2_000, "a." * 2_000, "A " * 2_000, "1:0" * 1_300]
LONG += ["gate A " * 600, "gate 1 or " * 400, "1 ab " * 800, ": a; b" * 600, "Mon-" * 1_000, "1 May to " * 400]


@pytest.mark.parametrize("text", LONG)
def test_hostile_texts_take_bounded_time(text):
    started = time.process_time()
    wrong(text, "nothing")

    assert time.process_time() - started < 0.5
