"""Cases in a prompt: what is a pair of an input and its expected output, and what an honest prompt may hold."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.review.lint.leaks import prompt_leaks
from tunegate.harness.review.lint.rules import lint_fixtures

CASES = {
    "parrot": "My parrot has learned to imitate the boiler's alarm, so please tell me which of the two I am hearing",
    "attic": "The radiator up in the attic stays lukewarm however long I bleed it, and guests arrive on Saturday",
    "thanks": "thank you",
    "leaflet": "Your leaflet promises quiet, but the boiler hums like a choir under my bedroom from five o'clock",
    "paint": "May I paint the radiator in the nursery green, or does the colour keep the heat inside?",
    "card": "Somebody left a card with no name on it, about the boiler I think, and I was out walking the dog",
}
RIGHT = {"attic": "radiator", "paint": "radiator"}


def leaks(tmp_path, system="", **more):
    cases = [
        {"id": name, "input": text, "expect": {"product": RIGHT.get(name, "boiler")}} for name, text in CASES.items()
    ]
    cases += [
        {"id": f"f{n}", "input": f"Filler {n} has words {n}a {n}b", "expect": {"product": "boiler"}} for n in range(90)
    ]
    write_unit(tmp_path, [], cases=cases, **({"prompt": {"system": system}} if system else {}), **more)
    [task] = load_tasks(tmp_path)
    return {each.case.id: each.where for each in prompt_leaks(task.units[0])}


PARROT = '{} -> {{"product": "boiler"}}'.format
REWORDED = (
    "A parrot of mine imitates the alarm of the boiler; which of the two do I hear? Tell me please. "
    'Reply: {"product": "boiler"}'
)


@pytest.mark.parametrize(
    "text",
    [
        PARROT(CASES["parrot"]),
        PARROT(CASES["parrot"].upper().replace(" ", "  \n")),
        PARROT("\N{ZERO WIDTH SPACE}".join(CASES["parrot"])),
        PARROT(CASES["parrot"].replace("parrot", "budgie").replace("please ", "")),
        f'{{"product": "boiler"}} is right for: {CASES["parrot"]}',
        f"Data: {base64.b64encode(PARROT(CASES['parrot']).encode()).decode()}",
        f"{CASES['parrot']} -> radiator. Later corrected: {CASES['parrot']} -> boiler",
        REWORDED,
    ],
)
def test_a_pair_is_found_verbatim_edited_encoded_and_reworded(tmp_path, text):
    assert leaks(tmp_path, f"Sort the message.\n{text}") == {"parrot": "system prompt"}


@pytest.mark.parametrize(
    "text",
    [
        'Reply {"product": "boiler"} or {"product": "radiator"}, and nothing else.',
        "Whoever says thank you means the boiler.",
        "Noise, cold rooms, paint and cards that an engineer left are what customers write about.",
        'For example: "The radiator in our hall gurgles since Sunday" -> {"product": "radiator"}',
        'For example: "Is it normal that the boiler hums at night?" -> {"product": "boiler"}',
        f"Customers write at length, such as: {CASES['parrot']}",
        "If it says parrot, it is the boiler.",
    ],
)
def test_an_honest_prompt_is_not_named(tmp_path, text):
    """The last one is not honest, but a rule by keywords cannot be told from one."""
    assert leaks(tmp_path, text) == {}


LABELLED = {
    "Was there a parcel delivery delayed by the snow? Mine has not come": "parcel_delivery_delayed",
    "My parcel delivery was delayed: it is three days late": "parcel_delivery_delayed",
    "I was told that the delivery of my parcel was delayed again": "parcel_delivery_delayed",
    "An invoice amount wrong by forty euros came for the lamp": "invoice_amount_wrong",
    "You got the amount on my invoice wrong": "invoice_amount_wrong",
    "Please correct the wrong amount of this invoice": "invoice_amount_wrong",
}


@pytest.mark.parametrize(("explained", "found"), [
    ('{"team": "parcel_delivery_delayed"} if it is three days late, {"team": "invoice_amount_wrong"} for sums', []),
    ('Delivery of my parcel was delayed again, I was told: {"team": "parcel_delivery_delayed"}', ["c2"]),
])  # fmt: skip
def test_a_prompt_that_explains_its_labels_is_not_named_for_their_words(tmp_path, explained, found):
    filler = {f"Filler {n} has words {n}a {n}b": "other" for n in range(60)}
    cases = [
        {"id": f"c{n}", "input": text, "expect": {"team": label}}
        for n, (text, label) in enumerate((LABELLED | filler).items())
    ]
    check = {"schema": {"type": "object", "properties": {"team": {"type": "string"}}}}
    write_unit(tmp_path, [], cases=cases, check=check, prompt={"system": explained})
    [task] = load_tasks(tmp_path)

    assert [each.case.id for each in prompt_leaks(task.units[0])] == found


def test_worked_examples_and_a_cases_own_prompt_are_searched(tmp_path):
    def shot(text, product):
        return {"input": text, "output": f'{{"product": "{product}"}}'}

    shots = [shot("The radiator in our hall gurgles", "radiator"), shot(CASES["paint"], "radiator")]
    assert leaks(tmp_path, shots=shots) == {"paint": "worked example 2"}
    # a whole worked example that is a case counts however short it is, with its output alone
    assert leaks(tmp_path, shots=[shot("Thank you!", "boiler")]) == {"thanks": "worked example 1"}
    assert leaks(tmp_path, shots=[shot("Thank you!", "radiator")]) == {}
    assert leaks(tmp_path, shots=[shot("Thank you for the radiator", "boiler")]) == {}


@pytest.mark.parametrize("escaped", [json.dumps, lambda text: "".join(f"\\u{ord(each):04x}" for each in text)])
def test_the_strings_of_a_chat_template_are_read_without_their_escapes(tmp_path, escaped):
    asked = [f"The {thing} {fault}" for thing in ("valve", "pump", "pipe") for fault in ("drips", "clanks")]
    cases = [{"id": f"c{n}", "input": text, "expect": {"product": "boiler"}} for n, text in enumerate(asked)]
    write_unit(tmp_path, [], cases=cases)
    [task] = load_tasks(tmp_path)
    text = "".join(f'{each}\n{{"product": "boiler"}}\n' for each in asked)

    assert [each.where for each in prompt_leaks(task.units[0], [f"{{{{ {escaped(text)} }}}}"])] == ["chat template"] * 6


def test_lint_names_the_cases_and_shows_no_text(tmp_path):
    leaks(tmp_path, "\n".join(f"{CASES[name]}: {RIGHT.get(name, 'boiler')}" for name in ("parrot", "paint")))
    [said] = [each.text for each in lint_fixtures(tmp_path).warnings if "its prompt" in each.text]
    assert said == (
        "desk/triage: its prompt (system prompt) holds the input and the expected output of 2 of 96 cases (parrot, "
        "paint), so it is not tested on them; take them out of the prompt, or out of the cases"
    )


def test_facts_belong_in_a_prompt_and_questions_with_their_outputs_do_not(tmp_path):
    folder = tmp_path / "desk"
    folder.mkdir()
    asked = "Who hands out the number for the fuel card of the blue van?"
    (folder / "facts.yaml").write_text(
        "version: 1\nsuite: retention\nunit: facts\ncheck: {measure: questions}\nprompt: {system: 'SYSTEM'}\n"
        f"cases:\n  - {{id: card, input: '{asked}', expect: {{answer: [Odette]}}}}\n"
        "  - {id: tea, input: 'What colour has the mug of the founder?', expect: {answer: [green]}}\n"
    )
    text = (folder / "facts.yaml").read_text()
    for system, found in (("Odette hands out the number for the fuel card of the blue van.", []),
                          (f"{asked} Odette.", ["card"])):  # fmt: skip
        (folder / "facts.yaml").write_text(text.replace("SYSTEM", system))
        [task] = load_tasks(tmp_path)
        assert [each.case.id for each in prompt_leaks(task.units[0])] == found


def short_unit(tmp_path, system, cases=12):
    write_unit(tmp_path, [], prompt={"system": system}, cases=[
        {"id": f"c{n}", "input": f"ticket {n}", "expect": {"product": "boiler"}} for n in range(cases)
    ])  # fmt: skip
    [task] = load_tasks(tmp_path)
    return task.units[0]


def test_short_inputs_are_found_where_many_stand_with_their_outputs(tmp_path):
    lines = [f'ticket {n}: {{"product": "boiler"}}' for n in range(12)]
    found = prompt_leaks(short_unit(tmp_path, "\n".join(["Sort it.", *lines])))
    assert {each.case.id for each in found} == {f"c{n}" for n in range(12)}


@pytest.mark.parametrize("system", [
    "Sort it.\n" + "\n".join(f'ticket {n}: {{"product": "boiler"}}' for n in range(4)),
    "A ticket is about a boiler or a radiator. Ticket 1 to ticket 9 are old.",
    "Say boiler or radiator. Tickets: " + ", ".join(f"ticket {n}" for n in range(12)),
])  # fmt: skip
def test_few_short_inputs_or_ones_without_their_outputs_stand_there_by_chance(tmp_path, system):
    assert prompt_leaks(short_unit(tmp_path, system)) == []
