"""Names that are words, and are told by what stands beside them in the notes."""

from __future__ import annotations

import pytest
from helpers import wrong


@pytest.mark.parametrize(
    ("language", "notes", "answer", "seen"),
    [
        ("en", "ask Marjorie Tull", "Please ask Marjorie Hull.", ["Marjorie Hull"]),
        ("en", "ask Marjorie Tull", "Marjorie Tull knows.", []),
        ("en", "14 Birch Ave", "at 14 Beech Avenue", ["Beech Avenue"]),
        ("en", "14 Birch Ave", "at 14 Birch Avenue", []),
        ("en", "Miller's Field, Mothers Day", "at Miller's Field on Mother's Day", []),
        ("en", "41 Vine St", "at 41 Pine Street", ["Pine Street"]),
        ("en", "deliver to Old Rectory", "to the Old Refectory", ["Old Refectory"]),
        ("en", "Bracken Cl + Fell Vw", "in Bracken Close and Dell View", ["Dell View"]),
        ("en", "Fell Vw", "Our View is good, and Fell View is better.", []),  # a sentence's first word
        ("en", "Mrs Rose Bell", "Dear Ms Bell, Mrs Rose Bell is welcome.", []),
        ("en", "Rose Bell, Tue", "On Tuesday Rose comes.", []),  # days and months are no names here
        ("en", "hall", "in the Great Hall", []),  # no name stands beside it in the notes
        ("fi", "huoltomies Pekka Lahti", "Soittakaa Pekka Lahdelle.", []),
        (
            "de",
            "Herr Paul Kern",
            "bei Paul Kern, am Apparat Paul Vogel",
            [],
        ),  # where nouns have capitals, no pair tells
    ],
)
def test_a_name_is_told_by_the_one_beside_it(language, notes, answer, seen):
    assert wrong(answer, notes, language) == seen
