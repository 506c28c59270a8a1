"""Columns that no option names: used by their name, or named as not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunegate.harness.begin.scaffold.drafts import Columns
from tunegate.harness.begin.scaffold.roles import Roles, read_roles
from tunegate.harness.begin.scaffold.table import Table, TableRow
from tunegate.harness.core.errors import Refused, UsageError

ASKED = Columns("input", ("output",))


def roles(*rows: dict, columns: Columns = ASKED, system: str | None = None) -> Roles:
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    filled = (
        TableRow(line, {key: cell for key, cell in row.items() if cell}) for line, row in enumerate(rows, start=2)
    )
    return read_roles(Table(Path("mail.csv"), names, tuple(filled)), columns, system)


def inputs(found: Roles) -> list[str]:
    return [row.cells.get("input", "") for row in found.table.rows]


def test_one_instruction_of_all_rows_is_part_of_the_system_message():
    found = roles(*({"instruction": "Sort.", "input": f"m{n}", "output": "a"} for n in range(2)))

    assert (found.instruction, inputs(found)) == ("Sort.", ["m0", "m1"])
    assert found.notes == ("instruction: the same in all rows, part of the system message",)


def test_an_instruction_that_is_a_list_stands_above_its_input():
    found = roles(*({"instruction": ["Sort.", "Be brief."], "input": f"m{n}", "output": "a"} for n in range(2)))

    assert inputs(found) == ["Sort.\n\nBe brief.\n\nm0", "Sort.\n\nBe brief.\n\nm1"]


def test_several_instructions_stand_above_their_inputs_also_where_there_is_no_input():
    found = roles({"instruction": "Sort.", "input": "m", "output": "a"}, {"instruction": "Count.", "output": "b"})

    assert (found.instruction, inputs(found)) == ("", ["Sort.\n\nm", "Count."])


def test_an_instruction_that_is_the_input_takes_the_input_below_it():
    rows = [{"instruction": "Sort.", "input": "m", "output": "a"}, {"instruction": "Count.", "output": "b"}]

    found = roles(*rows, columns=Columns("instruction", ("output",)))
    assert [row.cells["instruction"] for row in found.table.rows] == ["Sort.\n\nm", "Count."]


def test_a_context_stands_above_its_input_and_passages_one_below_the_other():
    found = roles({"context": '["One.", "Two."]', "input": "m", "output": "a"}, {"input": "n", "output": "b"})

    assert inputs(found) == ["One.\n\nTwo.\n\nm", "n"]


def test_one_system_message_of_all_rows_is_that_of_the_prompt():
    rows = [{"system": "Sort.", "input": "m", "output": "a"}, {"system": "Sort.", "input": "n", "output": "b"}]

    assert roles(*rows).system == "Sort."
    with pytest.raises(Refused, match="expected one system message in all rows, found 2; give one with --system"):
        roles(*rows, {"system": "Count.", "input": "o", "output": "b"})
    given = roles(*rows, system="Mine.")
    assert (given.system, given.notes) == (None, ("not used: system",))


def test_metadata_that_repeats_becomes_tags_and_the_rest_is_named():
    rows = [{"metadata": f'{{"channel": "mail", "number": {n}}}', "input": f"m{n}", "output": "a"} for n in range(4)]

    found = roles(*rows)
    assert [row.tags for row in found.table.rows] == [{"channel": "mail"}] * 4
    assert found.notes == (
        "metadata: channel as tags of the cases",
        "metadata: not used: number, whose values do not repeat",
    )


def test_every_other_column_is_named():
    names = [f"column-{number}" for number in range(9)]

    assert roles(dict.fromkeys(names, "x") | {"input": "m", "output": "a"}).notes == (f"not used: {', '.join(names)}",)


def test_columns_of_promptfoo_are_sent_to_their_own_command():
    with pytest.raises(UsageError, match=r"found those of promptfoo \(__expected\); run: tunegate import mail.csv"):
        roles({"input": "m", "output": "a", "__expected": "equals:a"})
