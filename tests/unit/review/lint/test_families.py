from __future__ import annotations

from tests.support.units import write_unit
from tunegate.harness.review.lint.rules import lint_fixtures

LONG = "the boiler in the cellar has been making a noise like a kettle since Tuesday"
OTHER = "my radiator stays cold at the bottom although the valve is open"


def asked(*inputs, **more):
    """Cases a, b, c, ... that ask these, and what more each has."""
    return [{"id": name, "input": text} | more for name, text in zip("abcdefghij", inputs, strict=False)]


def copies(tmp_path, *cases):
    """The places and texts of the warnings of near copies."""
    path = write_unit(tmp_path, [])
    lines = "".join(f"  - {case}\n" for case in cases)  # a line each, the first on line 5
    path.write_text(f"version: 1\nsuite: schema\ncheck: {{schema: {{type: object}}}}\ncases:\n{lines}")
    return [(each.line, each.text) for each in lint_fixtures(tmp_path).warnings if "near copies" in each.text]


def test_near_copies_are_told_once_with_their_lines_and_what_to_write(tmp_path):
    cases = asked(LONG, OTHER, LONG.replace("Tuesday", "Monday"), LONG.upper() + "!")

    assert copies(tmp_path, *cases) == [
        (
            5,
            "desk/schema: near copies of one another: a (line 5), c (line 7), d (line 8); likely to pass and fail "
            "together, yet counted one by one: with families of four the gate holds a loss of the margin 14 % of the "
            "time, and not 4 %; write `group: a` in each, or make them differ",
        )
    ]


def test_declared_families_are_left_alone_and_what_they_lack_is_named(tmp_path):
    one, two = asked(LONG, LONG + "!", group="kettle")
    assert copies(tmp_path, one, two) == []
    assert copies(tmp_path, one, two | {"group": "noise"}) == []  # whoever named two groups has looked at them

    [(line, text)] = copies(tmp_path, one, two, {"id": "c", "input": LONG + "?"})

    assert line == 7
    assert "write `group: kettle` in each" in text


def test_what_expects_something_else_is_another_case(tmp_path):
    one, two = asked("What is the capital of the kingdom of Spain?", "What is the capital of the kingdom of Sweden?")

    assert copies(tmp_path, one | {"expect": {"city": "Madrid"}}, two | {"expect": {"city": "Stockholm"}}) == []
    assert len(copies(tmp_path, one | {"expect": {"city": "?"}}, two | {"expect": {"city": "?"}})) == 1


def test_another_passage_makes_another_case(tmp_path):
    one, two = asked(LONG, LONG + "!")

    assert copies(tmp_path, one | {"context": LONG}, two | {"context": OTHER}) == []


def test_short_texts_are_near_copies_only_where_they_are_the_same_up_to_case_and_space(tmp_path):
    assert copies(tmp_path, *asked("message c100", "message c101")) == []
    assert len(copies(tmp_path, *asked("message c100", "Message  c100"))) == 1


def test_the_same_question_is_told_as_such_and_not_twice(tmp_path):
    assert copies(tmp_path, *asked(LONG, LONG)) == []


def test_a_large_family_is_one_warning(tmp_path):
    cases = [{"id": f"c{index}", "input": f"{LONG}, said customer {index}"} for index in range(300)]

    [(_, text)] = copies(tmp_path, *cases)

    assert "c5 (line 10) and 294 more" in text


def turns(*texts):
    return [{role: text} for role, text in zip(["user", "assistant"] * 4, texts, strict=False)]


def test_every_turn_of_a_conversation_is_compared(tmp_path):
    one, two = turns(LONG, OTHER, "Both of them."), turns(LONG + "!", OTHER, "Both of them.")
    other = turns(OTHER, LONG, "Both of them.")

    assert len(copies(tmp_path, *asked(one, two, other))) == 1


def test_a_case_that_goes_on_where_another_ends_is_of_the_same_conversation(tmp_path):
    path = write_unit(tmp_path, [])
    cases = asked(LONG, turns(LONG, "Since when?", "Since Tuesday."), turns(LONG, "How loud?", "Rather."), OTHER)
    path.write_text("version: 1\nsuite: schema\ncheck: {schema: {type: object}}\ncases:\n" + "".join(
        f"  - {case}\n" for case in cases
    ))  # fmt: skip

    [told] = [each for each in lint_fixtures(tmp_path).warnings if "conversation" in each.text]
    assert told.line == 5
    assert told.text.startswith("desk/schema: of one conversation: a (line 5), b (line 6), c (line 7); likely to pass")
    assert "write `group: a` in each" in told.text
