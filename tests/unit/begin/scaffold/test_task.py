"""From a table to the files of a task, which load, lint without a mistake and pass their own checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tunegate.harness.begin.scaffold.chat_rows import split_messages
from tunegate.harness.begin.scaffold.drafts import Columns
from tunegate.harness.begin.scaffold.starters import STARTERS
from tunegate.harness.begin.scaffold.suites import NOT_FROM_EXAMPLES, SUITES
from tunegate.harness.begin.scaffold.table import Table, TableRow
from tunegate.harness.begin.scaffold.task import InitOptions, NewTask, check_suite, new_task
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import shipped_kinds
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError, Refused, UsageError
from tunegate.harness.models.options.table import FROM_EXAMPLES
from tunegate.harness.models.options.table import SUITES as SHIPPED
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.statistics.paired import LEVEL
from tunegate.harness.statistics.power import POWER, Levels
from tunegate.harness.statistics.sample_size import PassFail

TEAMS = ("billing", "repairs", "sales")


def rows(count=60, **more):
    return [{"text": f"Message number {n}", "team": TEAMS[n % 3]} | more for n in range(count)]


def table(rows, typed=False):
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    return Table(Path("mail.csv"), columns, tuple(TableRow(line, row) for line, row in enumerate(rows, start=2)), typed)


def begin(
    rows, expect=("team",), suite="schema", *, names=None, limit=200, typed=False, column="text", text=(), label=(),
    absent=(), aside=0, **more,
) -> NewTask:  # fmt: skip
    asked = {"system": None, "goal": None, "rows": aside, "model": "smollm2" if aside else ""} | more
    columns = Columns(column, expect, names, text, label, absent)
    return new_task(InitOptions("desk", suite, table(rows, typed), columns, limit=limit, **asked))


def fixture(task: NewTask, folder: Path) -> dict:
    """The fixture file as it is read back."""
    for name, text in task.files.items():
        (folder / "desk" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "desk" / name).write_text(text, "utf-8", newline="")
    return read_yaml(folder / "desk" / f"{task.unit}.yaml").data


def test_labels_become_a_schema_a_prompt_and_cases(tmp_path):
    task = begin(rows(), goal="Sort the mail.")
    data = fixture(task, tmp_path)

    assert data["prompt"]["system"] == 'Sort the mail. Reply with JSON only: {"team": "billing"|"repairs"|"sales"}'
    schema = json.loads(task.files["refs/answer.schema.json"])
    assert schema["properties"] == {"team": {"enum": list(TEAMS)}}
    assert (len(data["cases"]), len(data["shots"])) == (57, 3)
    assert {json.loads(shot["output"])["team"] for shot in data["shots"]} == set(TEAMS)
    assert not {case["input"] for case in data["cases"]} & {shot["input"] for shot in data["shots"]}
    assert data["cases"][0].keys() == {"id", "input", "expect"}


def test_it_is_linted_without_a_mistake_or_a_warning(tmp_path):
    fixture(begin(rows()), tmp_path)

    found = lint_fixtures(tmp_path)

    assert (found.mistakes, found.warnings) == ((), ())


@pytest.mark.parametrize("suite", SUITES)
def test_without_a_table_it_is_an_example_of_its_suite(tmp_path, suite):
    task = new_task(InitOptions("desk", suite, None, None, None, None, 200))
    fixture(task, tmp_path)

    [loaded] = load_tasks(tmp_path)
    assert {f"desk/{suite}/{case.id}" for case in loaded.units[0].cases} == set(task.outputs)
    assert not any("margin" in each.text for each in lint_fixtures(tmp_path).warnings)


def test_several_columns_are_an_object_of_typed_values(tmp_path):
    kinds = [{"text": f"m{n}", "team": "a", "rooms": str(n), "late": "true"} for n in range(30)]
    for row in kinds[7:10]:
        del row["rooms"]
    data = fixture(begin(kinds, ("team", "rooms", "late"), absent=("rooms",)), tmp_path)

    assert data["cases"][0]["expect"] == {"team": "a", "rooms": 0, "late": True}
    assert {"team": "a", "late": True} in [case["expect"] for case in data["cases"]]
    assert data["check"]["match"] == "whole"


def test_a_row_that_is_not_scored_whole_is_a_case_and_neither_shown_nor_trained_on(tmp_path):
    kinds = [{"text": f"m{n}", "team": TEAMS[n % 3], "rooms": str(n)} for n in range(60)]
    for row in kinds[7:17]:
        del row["rooms"]
    task = begin(kinds, ("team", "rooms"), aside=40)
    partly = [case for case in fixture(task, tmp_path)["cases"] if "rooms" not in case["expect"]]
    trained = [json.loads(json.loads(line)["output"]) for line in task.training["recipes/rows/desk.jsonl"].splitlines()]

    assert len(partly) == 10
    assert len(trained) == 40
    assert all(output.keys() == {"team", "rooms"} for output in trained)
    assert json.loads(task.outputs["desk/schema/case-004"]).keys() == {"team", "rooms"}
    with pytest.raises(Refused, match=r"--rows 48: expected fewer than the 57 rows .*, of which 47 have all expected"):
        begin(kinds, ("team", "rooms"), aside=48)


def answer_schema(task: NewTask) -> dict:
    return json.loads(task.files["refs/answer.schema.json"])


def test_json_in_every_cell_is_the_value_and_a_broken_one_is_named(tmp_path):
    cells = [{"text": f"m{n}", "team": json.dumps({"team": TEAMS[n % 3], "n": n})} for n in range(30)]

    assert fixture(begin(cells), tmp_path)["cases"][1]["expect"] == {"team": "repairs", "n": 1}
    cells[4] = cells[4] | {"team": '{"team": "billing'}
    with pytest.raises(AuthoringError, match=r"mail.csv:6: team: expected a JSON object or list, as in 29 other cells"):
        begin(cells)
    assert answer_schema(begin(cells, text=("team",)))["properties"]["team"] == {"type": "string"}


def test_no_value_that_one_case_answers_stands_in_the_prompt_or_the_schema():
    towns = [{"text": f"to {n}", "team": TEAMS[n % 3], "town": f"town-{n % 40}"} for n in range(60)]
    task = begin(towns, ("team", "town"))

    assert "town-" not in task.files["schema.yaml"].partition("shots:")[0]
    assert answer_schema(task)["properties"]["town"] == {"type": "string"}
    assert answer_schema(begin(towns, ("team", "town"), label=("town",)))["properties"]["town"].keys() == {"enum"}
    assert answer_schema(begin(towns, text=("team",)))["properties"]["team"] == {"type": "string"}


@pytest.mark.parametrize("answer", [
    lambda n: {"team": "a"} | ({"m": n} if n % 2 else {}),
    lambda n: {"team": "a", "parts": {"n": n} | ({"m": n} if n % 2 else {})},
    lambda n: {"team": "a", "parts": [{"n": n} | ({"m": n} if n % 2 else {})]},
])  # fmt: skip
def test_a_key_that_an_object_lacks_is_not_scored_and_with_absent_an_invented_one_is_a_miss(tmp_path, answer):
    rows = [{"text": f"m{n}", "team": answer(n)} for n in range(40)]
    open_to, closed = begin(rows, typed=True), begin(rows, typed=True, absent=("team",))

    assert fixture(open_to, tmp_path / "open")["check"]["match"] == "subset"
    assert lint_fixtures(tmp_path / "open").warnings == ()
    assert [note for note in open_to.notes if note.startswith("no value, not scored: ") and "m (20 of 40)" in note]
    assert fixture(closed, tmp_path / "closed")["check"]["match"] == "whole"
    assert "m" not in json.loads(closed.outputs["desk/schema/case-001"])


def test_objects_that_have_all_keys_need_no_match(tmp_path):
    rows = [{"text": f"m{n}", "team": {"team": "a", "parts": {"n": n}}} for n in range(40)]

    assert "match" not in fixture(begin(rows, typed=True), tmp_path)["check"]


def test_with_absent_keys_that_objects_of_another_column_lack_are_not_scored(tmp_path):
    rows = [
        {"text": f"m{n}", "team": "a", "parts": {"n": n} | ({"m": n} if n % 2 else {})}
        | ({"late": True} if n % 3 else {})
        for n in range(40)
    ]
    data = fixture(begin(rows, ("team", "parts", "late"), typed=True, absent=("late",)), tmp_path)

    own = {each["input"]: each.get("check") for each in data["cases"]}
    assert (own["m2"], own["m1"]) == ({"fields": {"parts.m": {"ignore": True}}}, None)


def test_a_key_of_the_whole_output_may_be_taken_for_text_or_labels():
    rows = [{"text": f"m{n}", "team": {"team": TEAMS[n % 3], "town": f"t{n}", "n": n}} for n in range(30)]
    keys = answer_schema(begin(rows, typed=True, text=("team",), label=("town",)))["properties"]

    assert (keys["team"], len(keys["town"]["enum"])) == ({"type": "string"}, 30)
    with pytest.raises(Refused, match="--text n: expected texts, found 0"):
        begin(rows, typed=True, text=("n",))


def test_texts_that_repeat_too_seldom_for_labels_are_asked_for():
    few = [{"text": f"m{n}", "team": "rare" if n < 2 else "usual"} for n in range(60)]
    found = "found 'rare' in fewer than 3 of 60 rows, beside 1 value in more"

    with pytest.raises(AuthoringError, match=f"mail.csv:2: team: expected labels or any text, {found}"):
        begin(few)
    few = [{"text": f"m{n}"} | ({"team": TEAMS[n % 3]} if n < 20 else {"town": f"t{n}"}) for n in range(300)]
    with pytest.raises(AuthoringError, match="found 3 values that repeat in only 20 of 300 rows"):
        begin(few, ("team", "town"))


@pytest.mark.parametrize(("more", "said"), [
    ({"absent": ("urgent",)}, "--absent urgent: expected one of team, found no --expect of that name"),
    ({"label": ("teem",)}, "--label teem: expected one of team, found no such expected value"),
    ({"text": ("team",), "label": ("team",)}, "--text, --label: expected one of them for team, found both"),
])  # fmt: skip
def test_an_option_for_a_column_that_is_not_expected_is_a_usage_error(more, said):
    with pytest.raises(UsageError, match=said):
        begin(rows(), **more)


def test_a_system_message_that_names_no_label_is_noted():
    said = "the system message names none of the labels of team (billing, repairs, sales)"

    assert [note for note in begin(rows(), system="Sort the mail.").notes if note.startswith(said)]
    assert not [note for note in begin(rows(), system="billing, repairs or sales?").notes if note.startswith(said)]


def test_rows_are_put_aside_for_training_and_none_of_them_is_a_case(tmp_path):
    task = begin(rows(200), aside=120)
    data = fixture(task, tmp_path)
    lines = [json.loads(line) for line in task.training["recipes/rows/desk.jsonl"].splitlines()]

    asked = [*(case["input"] for case in data["cases"]), *(shot["input"] for shot in data["shots"])]
    assert (len(lines), len(asked)) == (120, 80)
    assert not {line["input"] for line in lines} & set(asked)
    assert lines[0].keys() == {"unit", "input", "output"}
    assert (
        task.holds == "desk/schema: 77 cases, 3 worked examples set aside for few-shot, 120 training rows, of 200 rows"
    )


def test_more_rows_than_there_are_leave_no_case():
    with pytest.raises(Refused, match=r"--rows 57: expected fewer than the 57 rows besides the worked examples"):
        begin(rows(60), aside=57)


def test_terms_are_no_outputs_to_train_on():
    with pytest.raises(UsageError, match=r"--rows 5: expected a suite whose table holds whole outputs"):
        begin(rows(60), suite="vocabulary", aside=5)


def test_an_object_of_jsonl_is_the_whole_answer(tmp_path):
    objects = [{"text": f"m{n}", "answer": {"team": "a", "parts": [{"n": n}]}} for n in range(30)]
    data = fixture(begin(objects, ("answer",), typed=True), tmp_path)

    assert data["cases"][0]["expect"] == {"team": "a", "parts": [{"n": 0}]}


def test_rows_that_cannot_be_cases_are_left_out_and_told(tmp_path):
    mixed = [
        *rows(30),
        {"text": "no team"},
        {"team": "sales"},
        rows(1)[0],
        {"text": "Message number 1", "team": "sales"},
    ]
    task = begin(mixed)

    assert len(fixture(task, tmp_path)["cases"]) == 26
    assert task.notes == (
        "labels of the table: team (3); --text COLUMN takes any text",
        "left out: 2 rows without an input, or without an expected value (line 32, 33)",
        "left out: 1 row repeated (line 34)",
        "left out: 2 rows with contradictory expectations for the same input: decide which is right (line 3, 35)",
    )


def test_a_limit_takes_the_same_rows_whatever_their_order():
    few, turned = begin(rows(), limit=20, names="text"), begin(rows()[::-1], limit=20, names="text")

    assert set(few.outputs) == set(turned.outputs)
    assert len(few.outputs) == 20
    assert few.notes[-1].startswith("20 of 60 rows are cases (--limit), 37 are unused: use those for training")


def test_the_margin_is_the_smallest_that_so_many_cases_hold():
    assert begin(rows(400)).margin == 0.05
    assert begin(rows(40)).margin > 0.1
    assert begin(rows(4)).margin == 0.35


def test_the_outlook_says_what_so_many_cases_hold_and_show():
    usual = "an equal model gets held 80 % of the time, against what is in service and against the first record"
    assumed = f"{usual} (at a flip rate of 5 %, assumed)"
    once = "without sealed cases, only the first complete run can prove a gain"
    many, some, few = begin(rows(400)), begin(rows(63)), begin(rows(4))

    assert many.outlook == (
        f"with 200 cases and a margin of 5 points, {assumed}, and a gain of 15 points is shown over 99 % of the time",
        f"{once}; seal 100 of the cases and keep 100 unsealed, so that later runs can (tunegate plan)",
    )
    assert some.outlook == (
        f"with 60 cases and a margin of 11 points, {assumed}, and a gain of 15 points is shown 85 % of the time",
        f"{once}; with about 100 cases some can be sealed",
    )
    assert few.outlook == (
        "4 cases are too few for any margin (at a flip rate of 4 %, assumed), and a gain of 15 points is shown "
        "less than 1 % of the time",
        "write 49 cases to show a gain of 15 points 80 % of the time",
    )
    assert f"A first guess: {many.outlook[0]}. Write here" in " ".join(many.files["task.yaml"].split())


def test_a_harmless_rewording_usually_passes_beside_both_references_under_the_margin():
    for count in (63, 103, 203):
        task = begin(rows(count))
        power = PassFail(0.05, levels=Levels(worse=LEVEL / 2), beside="held")

        half_a_point_less = (len(task.outputs), task.margin - 0.005)
        assert power.prob_held(len(task.outputs), task.margin) >= POWER
        assert power.prob_held(*half_a_point_less) < POWER


def test_names_come_from_a_column_or_are_numbers(tmp_path):
    named = [row | {"ticket": f"T/{n} x"} for n, row in enumerate(rows(30))]

    assert fixture(begin(named, names="ticket", limit=1), tmp_path)["cases"][0]["id"].startswith("T-")
    assert next(iter(begin(rows(30)).outputs)) == "desk/schema/case-001"
    with pytest.raises(AuthoringError, match=r"mail.csv:3: text: expected an id that is unique, found 'a-b' again \(f"):
        begin([{"text": "a b", "team": "x"}, {"text": "a/b", "team": "x"}], names="text")


def test_prose_is_not_judged_word_for_word():
    prose = [{"text": f"m{n}", "team": f"Dear number {n}, we will come by on Friday at noon. Bye."} for n in range(30)]

    with pytest.raises(Refused, match=r"--expect team: .* found prose .*--suite vocabulary.*docs/voice.md"):
        begin(prose)


def test_a_suite_that_needs_more_than_examples_says_what():
    with pytest.raises(UsageError, match="--suite voice: needs labelled pairs of texts"):
        check_suite("voice")
    with pytest.raises(UsageError, match="--suite cost: prices the outputs of an existing unit"):
        check_suite("cost")


def test_a_list_of_jsonl_holds_answers_that_count_alike(tmp_path):
    answers = [{"text": f"m{n}", "team": [7, "seven"]} for n in range(9)]
    data = fixture(begin(answers, suite="retention", typed=True), tmp_path)

    assert data["cases"][0]["expect"] == {"answer": ["7", "seven"]}
    with pytest.raises(Refused, match=r"mail.csv:2: expected texts or a list of them, found \{'a': 1\}"):
        begin([{"text": "m", "team": {"a": 1}}], suite="retention", typed=True)


def test_terms_become_a_terms_file_and_no_model_answers(tmp_path):
    terms = [{"text": f"m{n}", "team": ("Flow temp", "flow  temp", "C++", "flow-temp")[n % 4]} for n in range(24)]
    data = fixture(begin(terms, suite="vocabulary"), tmp_path)

    assert "shots" not in data
    known = read_yaml(tmp_path / "desk" / "refs" / "terms.yaml").data["terms"]
    assert [each["id"] for each in known] == ["flow-temp", "flow-temp-2", "c", "flow-temp-3"]


LETTERS = st.characters(exclude_characters="\n", codec="utf-8")  # what a file can hold


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("0", "{input}"), ("1", "{context}")])
@given(st.lists(st.tuples(st.text(), st.text(LETTERS, max_size=30)), max_size=12))
def test_any_text_comes_back_as_it_was(tmp_path, pairs):
    given = [{"text": text.strip(), "team": team.strip()} for text, team in dict(pairs).items()]
    given = [row for row in given if row["text"] and row["team"]]
    if not given:
        return

    data = fixture(begin(given), tmp_path)

    asked = {row["text"] for row in given}
    assert {each["input"] for each in data["cases"]} <= asked
    assert len(data["cases"]) + len(data.get("shots", ())) == len(asked)


def talk(number, system="Sort the chat."):
    turns = [
        ("system", system),
        ("user", f"Message {number}"),
        ("assistant", "Which flat?"),
        ("user", f"Flat {number}"),
    ]
    turns.append(("assistant", f'{{"team": "{TEAMS[number % 3]}"}}'))
    return split_messages({"messages": [{"role": role, "content": text} for role, text in turns]})


def begin_talks(rows, **more):
    asked = {"system": None, "goal": None} | more
    columns = Columns("messages", ("answer",))
    return new_task(InitOptions("desk", "schema", table(rows, typed=True), columns, limit=200, **asked))


def test_rows_of_messages_become_conversations_with_their_own_system_message(tmp_path):
    data = fixture(begin_talks([talk(number) for number in range(30)]), tmp_path)

    assert data["prompt"] == {"system": "Sort the chat.", "template": "{input}"}
    assert [*data["cases"][0]["input"][0]] == ["user"]
    assert len(data["cases"][0]["input"]) == len(data["shots"][0]["input"]) == 3
    assert data["cases"][0]["expect"].keys() == {"team"}


def test_rows_with_several_system_messages_need_one_that_is_given(tmp_path):
    rows = [talk(number, system=f"Sort {number % 2}.") for number in range(30)]

    with pytest.raises(Refused, match="expected one system message in all rows, found 2; give one with --system"):
        begin_talks(rows)
    assert fixture(begin_talks(rows, system="Mine."), tmp_path)["prompt"]["system"] == "Mine."


def test_an_input_that_is_neither_text_nor_turns_is_told_with_its_line():
    with pytest.raises(AuthoringError) as caught:
        begin_talks([talk(1), {"messages": [{"role": "tool", "content": "x"}], "answer": {"team": "sales"}}])

    assert [str(problem) for problem in caught.value.problems] == [
        "mail.csv:3: messages: expected text, or {role, content} turns: optionally system first, then user "
        'and assistant, with an assistant turn last, found [{"role": "tool", "content": "x"}]'
    ]


def test_every_place_that_names_the_suites_has_those_of_one_list():
    assert set(shipped_kinds().suites) == set(SHIPPED)
    assert tuple(SUITES) == FROM_EXAMPLES
    assert tuple(STARTERS) == FROM_EXAMPLES
    assert (*SUITES, *NOT_FROM_EXAMPLES) == SHIPPED
    assert {path.stem.removeprefix("test_") for path in (ROOT / "suites").glob("test_*.py")} == set(SHIPPED)
