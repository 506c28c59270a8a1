from __future__ import annotations

import base64
import codecs
import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.files import text_digest
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.config.exemptions import Exemption
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.config.sections import Decontaminate
from tunegate.trainers.decontamination.check import decontaminate
from tunegate.trainers.decontamination.render import render_dropped, render_near

SYSTEM = "You sort the messages that customers send to a company that mends boilers, radiators and heat pumps."
SAYS = "The scaffolding goes up on Wednesday morning, and Dan will swap the flue on Friday."
INPUT = "My boiler drips: what now?"
ASKED = "The landlord wants the flue moved before the painters come: who pays for that, and when?"


STRICT = Decontaminate(refuse="refuse", review="ask")


def check_decontamination(rows, tasks):
    """What goes into the record of rows that nothing may be dropped of."""
    found = decontaminate(rows, tasks, STRICT)
    found.check()
    return found.evidence()


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks one line of rows against a task with a system prompt, a template and a sealed unit."""
    monkeypatch.chdir(tmp_path)
    prompt = {"system": SYSTEM, "template": "Ticket: {input}"}
    case = {"id": "drip", "input": INPUT, "expect": {"product": "boiler"}}
    other = {"id": "thanks", "input": "👍", "context": "Page 3: bleed it.", "expect": {"product": "boiler"}}
    write_unit(tmp_path, [], cases=[case, other], prompt=prompt)
    write_unit(tmp_path, [], name="hidden", sealed=True, cases=[{**case, "input": "The radiator clanks."}])
    tasks = load_tasks(tmp_path)

    def check(*lines):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"unit": "triage"} | line) + "\n" for line in lines))
        return check_decontamination(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)

    return check


@pytest.mark.parametrize(
    "copy", [INPUT, "  my BOILER drips\n\twhat now ", "My boiler drips - what now?!", "\uff2dy boiler drips: what now?"]
)
def test_a_copy_is_refused_with_its_row_and_case(check, copy):
    with pytest.raises(Refused) as refused:
        check({"input": "The tank hums.", "output": "{}"}, {"input": copy, "output": "{}"})

    assert str(refused.value).startswith("1 of 2 training rows repeat fixtures")
    assert "rows.jsonl:2 repeats desk/triage/drip (desk/triage.yaml:1)" in str(refused.value)


def test_a_sealed_case_is_held_out_too(check):
    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/hidden/drip"):
        check({"input": "the radiator clanks", "output": "{}"})


def test_of_a_sealed_case_no_text_is_shown(check):
    with pytest.raises(Refused) as refused:
        check({"input": "the radiator clanks", "output": "{}"})

    assert "rows.jsonl:1 repeats desk/hidden/drip (desk/hidden.yaml:1): the same text" in str(refused.value)
    assert "radiator" not in str(refused.value).lower()


def test_of_a_sealed_conversation_no_turn_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path, ["a"])
    case = {"id": "kettle", "input": TALK, "expect": {"product": "boiler"}}
    write_unit(tmp_path, [], name="hidden", sealed=True, cases=[case])
    (tmp_path / "rows.jsonl").write_text(json.dumps({"unit": "triage", "input": FIRST.upper(), "output": "{}"}))
    tasks = load_tasks(tmp_path)

    with pytest.raises(Refused, match="repeats desk/hidden/kettle") as refused:
        check_decontamination(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)

    assert "cellar" not in str(refused.value).lower()


def test_a_context_is_held_out_too(check):
    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/triage/thanks"):
        check({"input": "Page 3: bleed it!", "output": "{}"})


@pytest.mark.parametrize("turns", [[f"Ticket: {INPUT}"], ["Hello.", INPUT], [INPUT, "And now?"]])
def test_a_copy_in_any_turn_of_a_conversation_is_refused(tmp_path, check, turns):
    line = {"messages": [*(user(text) for text in turns), assistant("{}")]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line))
    tasks = load_tasks(tmp_path)

    with pytest.raises(Refused, match="repeats desk/triage/drip"):
        check_decontamination(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)


def test_innocent_rows_that_share_prompt_and_short_answers_pass(check):
    lines = [{"input": f"Ticket number {n} about my boiler, what now?", "output": "boiler"} for n in range(20)]

    found = check(*lines)

    assert (found["rows"], found["pairs"]) == (20, {"refuse": 0, "review": 0})


@pytest.mark.parametrize(
    "line",
    [
        {"input": f"What is wanted here? {SAYS}", "output": "{}"},
        {"input": "Say it.", "output": f"They wrote: {ASKED}"},
        {"input": "Say it.", "output": json.dumps({"note": ASKED})},
        {"input": "Say it.", "output": "{}", "rejected": ASKED},
        {"messages": [user("Hello."), assistant(ASKED), user("And?"), assistant("{}")]},
        {"messages": [{"role": "system", "content": ASKED}, user("Hello."), assistant("{}")]},
        {"messages": [user(ASKED[:40]), assistant("Go on."), user(ASKED[40:]), assistant("{}")]},
        {"messages": [user(ASKED[:40]), assistant(ASKED[40:])]},
        {"input": base64.b64encode(ASKED.encode()).decode(), "output": "{}"},
        {"input": "Read this.", "output": ASKED.encode().hex()},
        {"input": codecs.encode(ASKED, "rot13"), "output": "{}"},
        {"input": " ".join(ASKED), "output": "{}"},
        {"input": "\u200b".join(ASKED), "output": "{}"},
        {"input": ASKED.translate(str.maketrans("aeop", "\u0430\u0435\u043e\u0440")), "output": "{}"},
        {"input": quote_plus(ASKED), "output": "{}"},
        {"input": ASKED.replace(" ", "+"), "output": "{}"},
        {"input": ", ".join(f"0x{byte:02x}" for byte in ASKED.encode()), "output": "{}"},
        {"input": ASKED.encode().hex("-"), "output": "{}"},
        {"input": "_".join(ASKED.replace(" ", "")), "output": "{}"},
        {"input": "".join(chr(0xE0000 + ord(each)) for each in ASKED), "output": "{}"},
        {"input": ASKED.casefold().translate(str.maketrans("abdehilnort", "ᴀʙᴅᴇʜɪʟɴᴏʀᴛ")), "output": "{}"},
    ],
    ids=["answer asked", "input answered", "in JSON", "rejected", "answered before", "system", "over turns",
         "over input and answer", "base64", "hex", "rot13", "spaced", "no width", "look-alikes", "form",
         "plus", "hex of an array", "hex with dashes", "underscores", "tag characters", "small capitals"],
)  # fmt: skip
def test_a_copy_is_found_wherever_and_however_it_stands(tmp_path, line):
    case = {"id": "flue", "input": ASKED, "expect": {"says": SAYS}}
    write_unit(tmp_path, [], cases=[case], check={"schema": {"type": "object"}})
    (tmp_path / "rows.jsonl").write_text(json.dumps(({} if "messages" in line else {"unit": "triage"}) | line))
    tasks = load_tasks(tmp_path)

    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/triage/flue"):
        check_decontamination(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)


@pytest.mark.parametrize("fixtures", [1, 2])
def test_few_fixtures_hide_no_copies_in_bulk(tmp_path, fixtures):
    cases = [{"id": f"c{n}", "input": f"{ASKED} Ticket {n}.", "expect": {"product": "boiler"}} for n in range(fixtures)]
    write_unit(tmp_path, [], cases=cases)
    lines = [{"unit": "triage", "input": f"{ASKED} Ticket {n}.", "output": str(n)} for n in range(7, 36)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = load_tasks(tmp_path)

    assert len(decontaminate(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks).dropped) == 29


def test_signs_alone_are_compared_as_they_are(check):
    assert check({"input": "👎", "output": "{}"})["nearest"] == []
    with pytest.raises(Refused, match="repeats desk/triage/thanks"):
        check({"input": " 👍 ", "output": "{}"})


def test_only_the_first_few_are_listed(check):
    with pytest.raises(Refused, match=r"^12 of 12 .*(\n  .*){30}\n  and 2 more; --report FILE.json lists them all$"):
        check(*({"input": INPUT, "output": str(n)} for n in range(12)))


@pytest.mark.parametrize(
    ("says", "row", "leaks"),
    [
        (SAYS, {"unit": "triage", "input": "Any idea?", "output": SAYS.upper()}, True),
        (
            SAYS,
            {
                "unit": "triage",
                "input": "Any idea?",
                "output": "Nobody has told us a day yet, so who knows.",
            },
            False,
        ),
        (SAYS, {"unit": "triage", "input": "Any idea?", "output": "{}", "rejected": f"Hi! {SAYS}"}, True),
        (SAYS, {"messages": [user("When?"), assistant(SAYS), user("Who?"), assistant("Dan.")]}, True),
        ("We will call.", {"unit": "triage", "input": "Any idea?", "output": "We will call."}, False),
    ],
    ids=["copied", "other-answer", "rejected", "earlier-turn", "short"],
)
def test_a_long_reference_answer_is_held_out_and_a_short_one_is_not(tmp_path, says, row, leaks):
    case = {"id": "flue", "input": "Scaffolding?", "expect": {"says": says}}
    write_unit(tmp_path, [], cases=[case], check={"schema": {"type": "object"}})
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    tasks = load_tasks(tmp_path)
    rows = read_examples([tmp_path / "rows.jsonl"], tasks[0])

    if leaks:
        with pytest.raises(Refused, match="repeats desk/triage/flue"):
            check_decontamination(rows, tasks)
    else:
        assert check_decontamination(rows, tasks)["pairs"] == {"refuse": 0, "review": 0}


SOLD = "Dear sirs, we've sold the house and completion is the end of next month, so please end our CarePlan from then."
REWORDED = "Hello, our house is sold and we complete at the end of next month, please stop the CarePlan on that date."


@pytest.fixture
def sold(tmp_path, monkeypatch):
    """Holds lines of rows, under exemptions, against a unit with one longer message; says what went into the record."""
    monkeypatch.chdir(tmp_path)
    cases = [{"id": "sold", "input": SOLD}, *({"id": str(n), "input": f"{n} {text}"} for n, text in enumerate(OTHERS))]
    write_unit(tmp_path, [], cases=[{**case, "expect": {"product": "boiler"}} for case in cases])
    tasks = load_tasks(tmp_path)
    recipe = tmp_path / "recipes/desk.yaml"
    recipe.parent.mkdir()

    def sold(*lines, exemptions=()):
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        head = {"version": 1, "task": "desk", "rows": ["../rows.jsonl"], "output": "out", "exemptions": exemptions}
        head["decontaminate"] = {"refuse": "refuse", "review": "ask"}
        recipe.write_text(json.dumps(head, indent=1))
        read = read_recipe(recipe)
        rows = read_examples(read.rows, tasks[0])
        found = decontaminate(rows, tasks, read.decontaminate, read.exemptions)
        found.check(recipe.parent)
        return found.evidence()

    return sold


OTHERS = [
    "The landing radiator bangs at night.", "My thermostat shows a spanner.", "Do you fit heat pumps in flats?",
    "The bill came twice.", "Is there a discount for nurses?", "Water drips from the flue.",
]  # fmt: skip


def row(text):
    return {"unit": "triage", "input": text, "output": "{}"}


def test_an_edited_copy_is_refused_and_shown_beside_the_fixture(sold):
    edited = SOLD.replace("next month", "April").replace("sirs", "Hollinvale")

    with pytest.raises(Refused) as refused:
        sold(row("The landing is cold."), row(edited))

    said = str(refused.value)
    assert "rows.jsonl:2 repeats desk/triage/sold (desk/triage.yaml:1): " in said
    assert "we've sold the house and completion is the end of« April, so please" in said
    assert "we've sold the house and completion is the end of« next month, so please" in said


def test_a_reworded_copy_is_refused_until_its_exemption_is_signed(sold):
    with pytest.raises(Refused, match="Training rows that may paraphrase fixtures: 1\\. Review") as refused:
        sold(row(REWORDED))
    assert '- {row: "../rows.jsonl:1", case: desk/triage/sold, reason: "..."}' in str(refused.value)

    record = sold(row(REWORDED), exemptions=[{**PAIR, "reason": " A test. "}])

    assert record["exemptions"] == [{**PAIR, "reason": "A test."}]
    assert record["pairs"] == {"refuse": 0, "review": 1}
    assert record["nearest"][0]["case"] == "desk/triage/sold"
    assert len(record["embedder"]) == 64


def test_an_exemption_names_the_rows_as_the_recipe_does_where_they_are_a_link(sold, tmp_path):
    (tmp_path / "stored").mkdir()
    (tmp_path / "rows.jsonl").symlink_to(tmp_path / "stored/1.jsonl")

    with pytest.raises(Refused) as refused:
        sold(row(REWORDED))
    assert '- {row: "../rows.jsonl:1", case: desk/triage/sold, reason: "..."}' in str(refused.value)


def near_rows(tmp_path, exemptions=(), **policy):
    """What becomes of an innocent row, a copy, and a copy in other words of the same fixture."""
    write_unit(tmp_path, [], cases=[{"id": "sold", "input": SOLD, "expect": {"product": "boiler"}}])
    texts = ["The landing is cold.", SOLD.replace("next month", "April"), REWORDED]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(text)) + "\n" for text in texts))
    tasks = load_tasks(tmp_path)
    return decontaminate(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks, Decontaminate(**policy), exemptions)


def test_rows_that_come_too_near_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = near_rows(tmp_path, review="drop")
    found.check()

    assert [each.input for each in found.rows] == ["The landing is cold."]
    dropped = found.evidence()["dropped"]
    assert (dropped["refuse"], dropped["review"], dropped["sha256"]) == (1, 1, text_digest(found.dropped_file))
    lines = [json.loads(line) for line in found.dropped_file.splitlines()]
    assert [(line["row"], line["case"], line["threshold"]) for line in lines] == [
        ("rows.jsonl:2", "desk/triage/sold", "refuse"),
        ("rows.jsonl:3", "desk/triage/sold", "review"),
    ]
    assert "CarePlan" not in found.dropped_file


def test_rows_that_may_be_a_fixture_are_trained_on_and_the_case_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = near_rows(tmp_path)
    found.check()

    assert [each.line for each in found.rows] == [1, 3]
    evidence = found.evidence()
    assert [(each["case"], each["row"]) for each in evidence["near"]] == [("desk/triage/sold", "rows.jsonl:3")]
    assert (evidence["dropped"]["review"], evidence["dropped"]["refuse"]) == (0, 1)
    assert evidence["dropped"]["rows"] == ["rows.jsonl:2"]
    assert list(render_dropped(found.pairs, len(found.rows))) == [
        "  1 row that repeats a fixture: dropped",
        "  1 row that may paraphrase a fixture: trained on",
        "  rows left: 2; --report FILE.json lists every pair",
    ]
    tasks = load_tasks(tmp_path)
    lines = list(render_near(found.near, tasks))
    assert lines[0].startswith("  desk/triage: rows come near 1 of ")
    assert lines[0].endswith("evidence for a gain rests on the other 0")
    assert "stays inconclusive: it takes 59 cases" in lines[1]


def test_a_row_comes_near_the_cases_of_all_units_that_ask_the_same(tmp_path):
    case = {"id": "sold", "input": SOLD, "expect": {"product": "boiler"}}
    for unit in ("triage", "routing"):
        write_unit(tmp_path, [], name=unit, cases=[case])
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(REWORDED)))
    tasks = load_tasks(tmp_path)

    found = decontaminate(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)

    assert sorted(found.near) == ["desk/routing/sold", "desk/triage/sold"]
    assert [each["case"] for each in found.evidence()["near"]] == sorted(found.near)


@pytest.mark.parametrize("review", ["split", "drop", "ask"])
def test_an_exempted_row_stays_and_makes_its_case_a_near_one(tmp_path, monkeypatch, review):
    """An exemption is its author's: it may not choose what counts as unseen."""
    monkeypatch.chdir(tmp_path)
    exempted = Exemption("rows.jsonl:3", "desk/triage/sold", "Another house.", Path(), 1, "exemptions[0]", Path())

    found = near_rows(tmp_path, [exempted], review=review)
    found.check()

    assert [each.line for each in found.rows] == [1, 3]
    assert [each["case"] for each in found.evidence()["near"]] == ["desk/triage/sold"]


def test_the_report_holds_every_pair_by_its_case_also_of_what_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    (case,) = near_rows(tmp_path, refuse="refuse", review="ask").report()["cases"]

    assert (case["case"], case["fixture"], case["sealed"]) == ("desk/triage/sold", "desk/triage.yaml:1", False)
    assert [(each["row"], each["outcome"]) for each in case["rows"]] == [
        ("rows.jsonl:2", "refused"), ("rows.jsonl:3", "asked"),
    ]  # fmt: skip
    assert case["rows"][1]["row_text"] == REWORDED


def test_where_no_row_is_left_the_training_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path, ["a"])
    (tmp_path / "rows.jsonl").write_text(json.dumps(row("message a")))
    tasks = load_tasks(tmp_path)

    with pytest.raises(
        Refused, match=r"decontaminate: expected a row that is similar to no fixture, found none of 1; --rep"
    ):
        decontaminate(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks).check()


PAIR = {"row": "../rows.jsonl:1", "case": "desk/triage/sold"}


@pytest.mark.parametrize(
    ("text", "exemption", "said"),
    [
        (REWORDED, {"row": "../rows.jsonl:2"}, r"row: expected a row of this recipe, found '\.\./rows\.jsonl:2'; row"),
        (REWORDED, {"case": "desk/triage/gone"}, r"case: expected a case of the fixtures, found 'desk/triage/gone'"),
        (REWORDED, {"case": "desk/triage/1"}, "expected a pair to be reviewed, found one that needs no exemption"),
        ("A cold room.", {}, "expected a pair to be reviewed, found one that needs no exemption; delete it"),
        (SOLD, {}, "expected a pair to be reviewed, found one that is refused; it cannot be exempted"),
        (REWORDED, {"reason": " \n"}, r"reason: expected text that is not empty, found ' \\n'; why the row"),
        (REWORDED, {"row": "../rows.jsonl"}, r"row: expected a row as FILE:LINE"),
    ],
    ids=["no-such-row", "no-such-case", "clear-pair", "clear-row", "refused", "blank", "no-line"],
)
def test_an_exemption_that_exempts_nothing_is_a_mistake_with_its_line(sold, text, exemption, said):
    with pytest.raises(AuthoringError, match=rf"recipes/desk\.yaml:\d+: exemptions\[0\]\.?.*{said}"):
        sold(row(text), exemptions=[{**PAIR, "reason": "A test.", **exemption}])


def test_a_pair_is_exempted_once(sold):
    exemption = {**PAIR, "reason": "A test."}

    with pytest.raises(
        AuthoringError, match=r"exemptions\[1\]: expected each pair once, found that of exemptions\[0\] again"
    ):
        sold(row(REWORDED), exemptions=[exemption, exemption])


def test_what_all_rows_share_is_no_leak_and_hides_none(sold):
    """A long template that quotes a fixture's words, as every row does."""
    template = (
        "Read the message of a customer who may have sold the house, and say what is wanted: {} Be brief, be kind."
    )
    rows = [row(template.format(text)) for text in INNOCENT]

    assert sold(*rows)["common_phrases"] > 10
    with pytest.raises(Refused, match=f"rows.jsonl:{len(rows) + 1} repeats desk/triage/sold"):
        sold(*rows, row(template.format(SOLD.replace("next month", "April"))))


INNOCENT = [
    "Can I paint the pipes?", "The pump hums.", "Cancel my visit.", "Where is the stopcock?", "My lodger has no key.",
    "The app logs me out.", "Ring me after six.", "It smells of tar.", "We had a power cut.", "Any news?",
]  # fmt: skip


def test_a_shared_system_prompt_is_no_leak_however_near_it_is_to_a_fixture(sold):
    turns = [[{"role": "system", "content": f"{SYSTEM} {LAW}"}, user(text), assistant("{}")] for text in INNOCENT]

    assert sold(*({"messages": each} for each in turns))["pairs"] == {"refuse": 0, "review": 0}


LAW = "Never promise a day. Say who will come, and what it costs. If gas is smelt, give the emergency number first."


FIRST = "The kettle-like noise in my cellar began on the night after your engineer left."
ASKED_BACK = "Does the noise stop when you turn the thermostat in the hall down to nine degrees?"
TALK = [{"user": FIRST}, {"assistant": ASKED_BACK}, {"user": "No."}]


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """Checks one line of rows against a task with one conversation."""
    monkeypatch.chdir(tmp_path)
    write_unit(tmp_path, [], cases=[{"id": "kettle", "input": TALK, "expect": {"product": "boiler"}}])
    tasks = load_tasks(tmp_path)

    def check(line):
        (tmp_path / "rows.jsonl").write_text(json.dumps(line) + "\n")
        return check_decontamination(read_examples([tmp_path / "rows.jsonl"], tasks[0]), tasks)

    return check


@pytest.mark.parametrize(
    "line",
    [
        {"input": TALK, "output": "{}"},
        {"messages": [user(FIRST), assistant(ASKED_BACK), user("No."), assistant("{}")]},
        {"input": FIRST.upper(), "output": "{}"},
        {"input": [{"user": "Hello."}, {"assistant": "Yes?"}, {"user": FIRST}], "output": "{}"},
        {"messages": [user("It clanks."), assistant(ASKED_BACK), user("Yes."), assistant("{}")]},
    ],
)
def test_every_turn_of_a_conversation_is_held_out(talk, line):
    with pytest.raises(Refused, match=r"rows\.jsonl:1 repeats desk/triage/kettle"):
        talk(line)


def test_a_short_turn_of_a_conversation_is_no_single_cases(talk):
    assert talk({"input": "No.", "output": "{}"})
    assert talk({"input": [{"user": "Is it open?"}, {"assistant": "Is what open?"}, {"user": "No."}], "output": "{}"})


def test_a_fixture_in_another_language_is_to_be_read(sold):
    german = (
        "Sehr geehrte Damen und Herren, unser Haus ist verkauft, und Ende nächsten Monats ist die Übergabe. Bitte "
        "beenden Sie unseren CarePlan zu diesem Tag."
    )

    with pytest.raises(Refused, match="similarity of meaning across languages 0") as refused:
        sold(row("Der Heizkörper im Flur bleibt unten kalt, obwohl er entlüftet ist."), row(german))

    assert "rows.jsonl:2 repeats desk/triage/sold" in str(refused.value)
    assert "rows.jsonl:1" not in str(refused.value)


def test_the_record_names_what_saw_translations(sold):
    record = sold(row("The landing is cold."))

    assert len(record["translations"]["encoder"]) == 64
    assert "de" in record["translations"]["languages"]


def slotted(folder, case, asked, answer):
    """One row held against one case; the schema allows every object."""
    write_unit(folder, [], cases=[{"id": "a", **case}], check={"schema": "refs/any.schema.json"})
    (folder / "desk/refs/any.schema.json").write_text('{"type": "object"}')
    row = {"unit": "triage", "input": asked, "output": json.dumps(answer)}
    (folder / "rows.jsonl").write_text(json.dumps(row))
    tasks = load_tasks(folder)
    return decontaminate(read_examples([folder / "rows.jsonl"], tasks[0]), tasks)


FORECAST = {"input": "Tell me the forecast for Gibsland tomorrow", "expect": {"place": "Gibsland", "day": "tomorrow"}}


@pytest.mark.parametrize(
    ("asked", "answer", "differs"),
    [
        ("Tell me the forecast for North Uist tonight", {"place": "North Uist", "day": "tonight"}, True),
        ("Tell me the forecast for North Uist tomorrow", {"place": "North Uist", "day": "tomorrow"}, False),
        ("Tell me the forecast for Gibslande tonight", {"place": "Gibslande", "day": "tonight"}, False),  # misspelled
        ("Tell me the forecast for North Uist tonight", {"place": "elsewhere", "day": "later"}, False),  # no slots
        ("Tell me the forecast for Gibsland tomorrow", {"place": "North Uist", "day": "tonight"}, False),
    ],
)
def test_rows_that_share_a_sentence_and_no_value_in_it_are_no_copies(tmp_path, asked, answer, differs):
    found = slotted(tmp_path, FORECAST, asked, answer)

    assert (not found.pairs, len(found.rows), found.evidence()["other_slots"]) == (differs, differs, differs)


def test_a_copy_of_a_long_text_with_another_name_is_a_copy(tmp_path):
    said = "Since Monday {} has called four times about the noise from the boiler room and nobody rang back, please do"
    case = {"input": said.format("Wanda"), "expect": {"name": "Wanda"}}

    assert len(slotted(tmp_path, case, said.format("Osgood"), {"name": "Osgood"}).dropped) == 1


def test_a_copy_in_another_order_is_refused(sold):
    words = SOLD.lower().replace(",", "").replace(".", "").split()

    with pytest.raises(Refused, match=r"100% of their words are the same, in another order \(refused from 0\.9\)"):
        sold(row(" ".join(words[::2] + words[1::2])))


def test_a_text_that_means_the_same_is_reviewed_and_no_copy(sold):
    with pytest.raises(Refused, match="may paraphrase fixtures"):
        sold(
            row("Dear all, our house has been sold, completion is at next month's end: end the CarePlan then, please.")
        )
