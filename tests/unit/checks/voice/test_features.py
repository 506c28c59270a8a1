from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.voice.features import LANGUAGES, TRAITS, surface_language, words

ENGLISH = surface_language("en")
NAMES = [feature.name for feature in ENGLISH.features]


def measured(text: str, language: str = "en") -> dict[str, float]:
    surface = surface_language(language)
    return dict(zip([each.name for each in surface.features], surface.measure(text).tolist(), strict=True))


def test_names_and_words_for_editors_are_all_different():
    for language in LANGUAGES:
        features = surface_language(language).features
        assert len({each.name for each in features}) == len(features)
        sides = [side for each in features for side in (each.more, each.less)]
        assert len(set(sides)) == len(sides)
        assert not [side for side in sides if "{" in side or "  " in side or side.startswith(" ")]


@pytest.mark.parametrize(
    ("name", "much", "little"),
    [
        ("sentence length", "We will come by and look at it on Monday.", "We will come by. We look. On Monday."),
        ("clipped sentences", "Boiler reset. Engineer Monday. Bring key.", "We'll reset the boiler on Monday."),
        ("contractions", "We\u2019ll see that it's done.", "We see the customer's boiler."),
        ("uncontracted", "We will not come, and it is late.", "We won't come, and it's late."),
        ("you", "You'll have your key.", "They have the key."),
        ("we", "We'll send our engineer to us.", "They send the engineer."),
        ("I", "I'm on my way.", "She's on the way."),
        ("exclamation marks", "Great news!", "Good news."),
        ("question marks", "Shall we?", "We shall."),
        ("hedges", "Perhaps it may work.", "It works."),
        ("apology", "Sorry, we regret that.", "That happens."),
        ("filler", "Please do not hesitate to ring.", "Just ring."),
        ("enthusiasm", "An absolutely fantastic day.", "A day."),
        ("intensifiers", "We're truly, deeply grateful.", "We're grateful."),
        ("chattiness", "Cheers mate, all sorted.", "Thanks, all done."),
        ("passive", "The valve has been quickly replaced.", "We replaced the valve."),
        ("formal nouns", "The installation of the equipment.", "We put it in."),
        ("linkers", "Therefore we ensure receipt.", "So we check."),
        ("commas", "One, two, three.", "One two three."),
        ("heavy punctuation", "Note: this (here); that.", "This here and that."),
        ("word length", "Accommodating circumstances considerably.", "We do it so."),
        ("variety", "Every word here stands once.", "The same the same the same."),
        ("direct opening", "You can do that.", "Regarding that, do it."),
        ("polite opening", "Dear Sam, it's done.", "It's done, Sam."),
        ("articles", "The valve in the hall.", "Valve in hall."),
        ("function words", "It is on for you.", "Valve hall boiler radiator."),
        ("symbols", "Done \U0001f600", "Done."),
    ],
)
def test_a_feature_tells_much_from_little(name, much, little):
    assert measured(much)[name] > measured(little)[name]


def test_every_feature_has_an_example():
    (mark,) = test_a_feature_tells_much_from_little.pytestmark
    assert [example[0] for example in mark.args[1]] == NAMES


@given(st.text())
def test_any_text_has_finite_features(text):
    assert np.isfinite(ENGLISH.measure(text)).all()


def test_length_is_no_feature():
    text = "We'll come on Monday at nine, so please be in by then. You don't have to move the things near the tank."

    assert ENGLISH.measure(f"{text} {text} {text}") == pytest.approx(ENGLISH.measure(text), abs=0.25)


def test_typographic_and_straight_apostrophes_are_the_same():
    assert measured("It\u2019s here.") == measured("It's here.")


def test_words_keep_contractions_and_numbers_whole():
    assert words("It\u2019s 9am,\n don't WAIT.") == ("it's", "9am", "don't", "wait")


def test_function_share_does_not_count_contractions():
    assert ENGLISH.function_share(words("we will don't valve")) == 0.5
    assert ENGLISH.function_share(()) == 0.0


def test_an_apostrophe_stands_between_two_words_where_a_language_elides():
    assert surface_language("fr").function_share(words("l'eau n'est pas l\u2019air")) == pytest.approx(5 / 7)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_traits_that_are_known_and_words_in_small_letters(language):
    text = resources.files("tunegate.harness.checks.voice").joinpath(f"languages/{language}.yaml").read_text("utf-8")
    data = yaml.safe_load(text)

    assert data["traits"].keys() <= {name for name, shared, *_ in TRAITS if shared is None}
    listed = [data["function"], *(trait.get("words", "") + trait.get("opens", "") for trait in data["traits"].values())]
    assert [word for words in listed for word in words.split() if word != word.lower()] == []


@pytest.mark.parametrize(
    ("language", "name", "much", "little"),
    [
        ("de", "formal address", "Holen Sie Ihr Rad.", "Hol dein Rad."),
        ("de", "you", "Hol dein Rad, du weisst ja.", "Holen Sie Ihr Rad."),
        ("de", "passive", "Das Rad wurde repariert.", "Wir haben das Rad repariert."),
        ("de", "formal nouns", "Die Erneuerung der Bremsanlage.", "Die neue Bremse."),
        ("de", "chattiness", "Haste echt Bock auf die Karre?", "Hast du Lust auf das Rad?"),
        ("fr", "formal address", "Vous avez votre vélo.", "Tu as ton vélo."),
        ("fr", "passive", "Le pneu a été changé.", "On a changé le pneu."),
        ("fr", "filler", "Veuillez ne pas tarder.", "Ne tarde pas."),
        ("fr", "contractions", "J'ai ça.", "Nous avons cela."),
        ("es", "formal address", "Recoja usted su bici.", "Recoge tu bici."),
        ("es", "we", "Cambiamos el freno.", "Se cambia el freno."),
        ("es", "passive", "El freno ha sido cambiado.", "Cambiamos el freno."),
        ("es", "linkers", "Asimismo, el cliente deberá efectuar el pago.", "Y luego pagas."),
        ("fi", "we", "Tulemme aamulla.", "Tullaan aamulla."),
        ("fi", "passive", "Avain noudetaan laiturilta.", "Hae avain laiturilta."),
        ("fi", "formal address", "Teidän avaimenne odottaa.", "Sinun avaimesi odottaa."),
        ("fi", "contractions", "Mä oon rannassa.", "Minä olen rannassa."),
        ("fi", "formal nouns", "Siivouksen suorittaminen.", "Siivoa itse."),
    ],
)
def test_a_trait_of_another_language_tells_much_from_little(language, name, much, little):
    assert measured(much, language)[name] > measured(little, language)[name]
