"""Messy tables, as spreadsheets, exports and people write them: what `init` makes of each is right, or a refusal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tunegate.harness.begin.scaffold.drafts import Columns
from tunegate.harness.begin.scaffold.table import read_table
from tunegate.harness.begin.scaffold.task import InitOptions, new_task
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import TunegateError

TEAMS = ("billing", "repairs", "sales")
LABELS = {"enum": list(TEAMS)}
Row = Sequence[str]


@dataclass(frozen=True)
class Made:
    """What `init` writes for a table."""

    system: str
    check: Mapping[str, Any]
    schema: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]]
    shots: Sequence[Mapping[str, Any]]
    notes: str

    @property
    def keys(self) -> Mapping[str, Any]:
        return self.schema["properties"]

    def expected(self, of: str) -> Any:
        """What the case with this input expects."""
        return next(each["expect"] for each in self.cases if each["input"] == of)

    def labels(self, key: str = "team") -> Counter[Any]:
        """How many cases expect each value."""
        return Counter(each["expect"].get(key) for each in self.cases)


@dataclass(frozen=True)
class Attempt:
    """A table and its options, and what is right: `holds` of what is written, or parts of the refusal."""

    content: str | bytes
    holds: Callable[[Made], bool] | None = None
    says: Sequence[str] = ()
    refused: Sequence[str] = ()
    expect: tuple[str, ...] = ("team",)
    name: str = "mail.csv"
    options: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 200
    suite: str = "schema"


def written(rows: Sequence[Row], header: Row = ("text", "team"), by: str = ",") -> str:
    """A CSV without quotes, one row a line."""
    return "".join(f"{by.join(row)}\n" for row in (header, *rows))


def mail(count: int = 30, start: int = 0, **cells: Callable[[int], str]) -> list[list[str]]:
    """Rows of a text, a team and further cells."""
    return [[f"Message {n}", TEAMS[n % 3], *(cell(n) for cell in cells.values())] for n in range(start, start + count)]


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def urgency(n: int) -> str:
    """Empty in every sixth row."""
    return "" if n % 6 == 5 else ("true", "false")[n % 2]


def imbalanced(labels: int = 20, rows: int = 300) -> list[list[str]]:
    """Rows with labels of which the first stands most and the last once."""
    weights = [1 / (n + 1) ** 1.5 for n in range(labels)]
    counts = [max(1, round(rows * weight / sum(weights))) for weight in weights]
    return [[f"Message {n} {k}", f"intent-{n:02}"] for n, count in enumerate(counts) for k in range(count)]


BOTH = ("team", "urgent")
URGENT = ("text", "team", "urgent")

ATTEMPTS: dict[str, Attempt] = {
    "empty cells are not scored": Attempt(
        written(mail(urgent=urgency), URGENT), expect=BOTH,
        holds=lambda made: made.expected("Message 11") == {"team": "sales"} and made.check["match"] == "subset"
        and "left out" not in made.system and made.schema["required"] == [*BOTH]
        and all(json.loads(each["output"]).keys() == {*BOTH} for each in made.shots),
        says=["no value, not scored: urgent (5 of 30)", "--absent COLUMN"],
    ),
    "an empty cell is the answer where that is said": Attempt(
        written(mail(urgent=urgency), URGENT), expect=BOTH, options={"absent": ("urgent",)},
        holds=lambda made: made.expected("Message 11") == {"team": "sales"} and made.check["match"] == "whole"
        and "left out" in made.system and made.schema["required"] == ["team"],
    ),
    "one column absent, another not scored": Attempt(
        written(
            mail(urgent=urgency, town=lambda n: "" if n % 6 == 2 else ("Ulm", "Bonn")[n % 2]), (*URGENT, "town")
        ), expect=(*BOTH, "town"), options={"absent": ("urgent",)},
        holds=lambda made: made.check["match"] == "whole" and "town" in made.schema["required"]
        and next(each for each in made.cases if each["input"] == "Message 2")["check"]
        == {"fields": {"town": {"ignore": True}}},
    ),
    "labels that differ in case": Attempt(
        written([*mail(), ["One more", "Billing"]]),
        refused=["mail.csv:32: team: expected one spelling of each label", "'Billing'", "'billing'", "--label team"],
    ),
    "labels that differ in inner spaces": Attempt(
        written([[f"Message {n}", ("front desk", "sales")[n % 2]] for n in range(30)] + [["More", "front  desk"]]),
        refused=["mail.csv:32: team: expected one spelling of each label", "'front  desk'"],
    ),
    "labels that differ in characters that nobody sees": Attempt(
        written([*mail(), ["One more", "sales\u200b"], ["Another", "re\u00adpairs"]]),
        refused=["mail.csv:32: team: expected one spelling", "mail.csv:33: team"],
    ),
    "labels that differ in composition": Attempt(
        written([[f"Message {n}", ("Tür", "Tu\u0308r")[n % 2]] for n in range(30)]),
        refused=["team: expected one spelling of each label"],
    ),
    "labels that differ in case on purpose": Attempt(
        written([[f"Chord {n}", ("C", "c")[n % 2]] for n in range(30)]), options={"label": ("team",)},
        holds=lambda made: made.keys["team"] == {"enum": ["C", "c"]} and '"C"|"c"' in made.system,
    ),
    "a column of JSON objects with keys that some lack": Attempt(
        lines([{"text": f"m{n}", "team": {"team": TEAMS[n % 3]} | ({"n": n} if n % 2 else {})} for n in range(30)]),
        name="mail.jsonl",
        holds=lambda made: made.check["match"] == "subset" and made.expected("m4") == {"team": "repairs"},
        says=["no value, not scored: n (15 of 30); --absent COLUMN"],
    ),
    "JSON null for no value": Attempt(
        lines([{"text": f"m{n}", "team": TEAMS[n % 3], "room": None if n % 4 else n} for n in range(30)]),
        name="mail.jsonl", expect=("team", "room"),
        holds=lambda made: made.expected("m1") == {"team": "repairs"} and made.check["match"] == "subset",
        says=["room (22 of 30)"],
    ),
    "null among labels in a JSON object": Attempt(
        lines([{"text": f"m{n}", "team": {"team": (*TEAMS, None)[n % 4]}} for n in range(40)]), name="mail.jsonl",
        holds=lambda made: '"billing"|"repairs"|"sales"|null' in made.system,
    ),
    "JSON text with one broken cell": Attempt(
        written([[f"m{n}", '"{""team"": ""billing""}"' if n != 7 else "team: billing"] for n in range(30)]),
        refused=["mail.csv:9: team: expected a JSON object or list, as in 29 other cells", "--text team"],
    ),
    "quotes, delimiters and line breaks in cells": Attempt(
        written([[f'"He said ""no"", {n}\nand left; so"', TEAMS[n % 3]] for n in range(30)]),
        holds=lambda made: made.expected('He said "no", 4\nand left; so') == {"team": "repairs"},
    ),
    "a quote that never ends": Attempt(
        written([*mail(), ['"Open', "sales"]]), refused=["mail.csv:32: expected a row of CSV", "unclosed quote"],
    ),
    "Windows-1252": Attempt(
        written([*mail(), ["Die Tür klemmt", "repairs"]]).encode("cp1252"),
        refused=["mail.csv:32: expected UTF-8 text, found the byte 0xfc", "save the file as UTF-8"],
    ),
    "UTF-16 with its mark": Attempt(
        written([*mail(), ["Die Tür klemmt", "repairs"]], by="\t").encode("utf-16"),
        holds=lambda made: made.keys["team"] == LABELS and "Die Tür klemmt" in {each["input"] for each in made.cases},
    ),
    "UTF-16 without a mark": Attempt(
        written(mail()).encode("utf-16-le"), refused=["mail.csv:1: expected text, found a null byte", "UTF-8"],
    ),
    "UTF-8 read as Windows-1252 and saved": Attempt(
        written([*mail(), ["Die TÃ¼r klemmt", "repairs"]]),
        holds=lambda made: made.keys["team"] == LABELS,
        says=["1 row looks like UTF-8 that was read as Windows-1252 ('TÃ¼r' in line 32)"],
    ),
    "a spreadsheet's CSV with semicolons and a mark": Attempt(
        written([[f'"{text}, please"', team] for text, team in mail()], by=";").encode("utf-8-sig"),
        holds=lambda made: made.keys["team"] == LABELS and made.cases[0]["input"].endswith(", please"),
    ),
    "a spreadsheet's line that names the delimiter": Attempt(
        ("sep=;\r\n" + written(mail(), by=";").replace("\n", "\r\n")).encode("utf-8-sig"),
        holds=lambda made: made.keys["team"] == LABELS and len(made.cases) + len(made.shots) == 30,
    ),
    "twenty imbalanced labels, some of them rare": Attempt(
        written(imbalanced()), refused=["team: expected labels or any text", "--label team", "--text team"],
    ),
    "twenty imbalanced labels that are all": Attempt(
        written(imbalanced()), options={"label": ("team",)}, limit=200,
        holds=lambda made: len(made.labels()) == 20 and all(
            made.labels()[label] >= count * 200 // 300 - 1 for label, count in Counter(
                row[1] for row in imbalanced()).items()),
        says=["fewer than 5 cases: team: "],
    ),
    "200 of 300 rows keep each label's share": Attempt(
        written([[f"Message {n}", "rare" if n % 75 == 0 else TEAMS[n % 3]] for n in range(300)]),
        holds=lambda made: min(made.labels().values()) >= 2 and made.labels()["billing"] >= 63,
        says=["fewer than 5 cases: team: rare ("],
    ),
    "dates": Attempt(
        written(mail(60, due=lambda n: f"2026-03-{n % 15 + 1:02}"), (*URGENT[:2], "due")), expect=("team", "due"),
        holds=lambda made: made.keys["due"] == {"type": "string", "format": "date"} and "YYYY-MM-DD" in made.system,
    ),
    "dates in two forms": Attempt(
        written(
            mail(60, due=lambda n: f"2026-03-{n % 28 + 1:02}" if n else "01.04.2026"), (*URGENT[:2], "due")
        ), expect=("team", "due"), refused=["mail.csv:2: due: expected a date such as '2026-03-02'", "'01.04.2026'"],
    ),
    "numbers with a zero in front are texts": Attempt(
        written(mail(zip=lambda n: f"0{n:04}"), (*URGENT[:2], "zip")), expect=("zip",),
        holds=lambda made: made.keys["zip"] == {"type": "string"} and made.expected("Message 3") == {"zip": "00003"},
        says=["any text: zip"],
    ),
    "numbers with a decimal comma": Attempt(
        written(mail(price=lambda n: f"{n},5"), (*URGENT[:2], "price"), by=";"), expect=("price",),
        refused=["mail.csv:2: price: expected numbers with a decimal point, found '0,5'", "--text price"],
    ),
    "thousands with a comma": Attempt(
        written(mail(price=lambda n: f'"{1000 + n:,}"'), (*URGENT[:2], "price")), expect=("price",),
        refused=["mail.csv:2: price: expected numbers with a decimal point, found '1,000'", "write 1234.5"],
    ),
    "thousands with a space or an apostrophe": Attempt(
        written(mail(price=lambda n: f"{n + 1}{' ' if n % 2 else chr(39)}000"), (*URGENT[:2], "price")),
        expect=("price",), refused=["mail.csv:2: price: expected numbers with a decimal point", "1'000"],
    ),
    "thousands with a point": Attempt(
        written(mail(price=lambda n: f"{n + 1}.000"), (*URGENT[:2], "price")), expect=("price",),
        refused=["mail.csv:2: price: expected numbers of one reading, found '1.000'", "write 1234 or 1.2340"],
    ),
    "decimals with three digits": Attempt(
        written(mail(share=lambda n: f"0.{n:03}" if n else "1.000"), (*URGENT[:2], "share")), expect=("share",),
        holds=lambda made: made.keys["share"] == {"type": "number"} and made.expected("Message 7") == {"share": 0.007},
    ),
    "amounts with a currency": Attempt(
        written(mail(price=lambda n: f"{n}.50 EUR"), (*URGENT[:2], "price")), expect=("price",),
        holds=lambda made: made.expected("Message 3") == {"price": "3.50 EUR"}, says=["any text: price"],
    ),
    "dates of another country": Attempt(
        written(mail(due=lambda n: f"{n % 12 + 1}/{n % 28 + 1}/2026"), (*URGENT[:2], "due")), expect=("due",),
        holds=lambda made: made.keys["due"] == {"type": "string"}, says=["any text: due"],
    ),
    "a cell of 200,000 characters": Attempt(
        written([*mail(), ["x" * 200_000, "sales"]]),
        refused=["mail.csv:32: expected a row of CSV, found field larger"],
    ),
    "labels with spaces behind": Attempt(
        written([[text, team + " " * (n % 3)] for n, (text, team) in enumerate(mail())]),
        holds=lambda made: made.keys["team"] == LABELS,
    ),
    "a label that is misspelt once": Attempt(
        written([*mail(), ["One more", "biling"]]),
        refused=["mail.csv:32: team: expected labels or any text, found 'biling' in fewer than 3 of 31 rows"],
    ),
    "one label": Attempt(
        written([[text, "billing"] for text, _ in mail()]),
        holds=lambda made: made.keys["team"] == {"enum": ["billing"]},
        says=["labels of the table: team (1)"],
    ),
    "one row": Attempt(
        written(mail(1)), says=["1 case, of 1 row"],
        holds=lambda made: made.expected("Message 0") == {"team": "billing"},
    ),
    "inputs with braces and formulas": Attempt(
        written([[f"=SUM(A{n}) {{input}} {{{{x}}}}", team] for n, (_, team) in enumerate(mail())]),
        holds=lambda made: made.expected("=SUM(A4) {input} {{x}}") == {"team": "repairs"},
    ),
    "a dash for no value": Attempt(
        written(mail(urgent=lambda n: urgency(n) or "-"), URGENT), expect=BOTH,
        refused=["mail.csv:7: urgent: expected a value or an empty cell, found '-'; empty the cell"],
    ),
    "nothing but a header": Attempt(written([]), refused=["mail.csv:1: expected rows below the header, found none"]),
    "an empty file": Attempt("", refused=["mail.csv:1: expected rows below the header, found none"]),
    "a number that is text in one row": Attempt(
        lines([{"text": f"m{n}", "rooms": n if n != 7 else "7"} for n in range(30)]), name="mail.jsonl",
        expect=("rooms",), refused=["mail.jsonl:8: rooms: expected a whole number, as in 29 other rows, found '7'"],
    ),
    "a word among numbers": Attempt(
        written(mail(rooms=lambda n: str(n) if n != 7 else "many"), (*URGENT[:2], "rooms")), expect=("rooms",),
        refused=["mail.csv:9: rooms: expected a number, as in 29 other rows, found 'many'", "--text rooms"],
    ),
    "numbers that count are not taken for labels without a word": Attempt(
        written(mail(stars=lambda n: str(n % 3)), (*URGENT[:2], "stars")), expect=("stars",),
        holds=lambda made: made.keys["stars"] == {"type": "integer"}, says=["numbers: stars", "--label COLUMN"],
    ),
    "the text null": Attempt(
        written([*mail(), ["One more", "null"]]),
        refused=["mail.csv:32: team: expected a value or an empty cell, found 'null'; empty the cell", "--label team"],
    ),
    "NA in many rows": Attempt(
        written([[f"Message {n}", ("NA", *TEAMS)[n % 4]] for n in range(40)]),
        refused=["mail.csv:2: team: expected a value or an empty cell, found 'NA'"],
    ),
    "NA that is a label": Attempt(
        written([[f"Message {n}", ("NA", "EU")[n % 2]] for n in range(40)]), options={"label": ("team",)},
        holds=lambda made: made.keys["team"] == {"enum": ["EU", "NA"]},
    ),
    "the label none": Attempt(
        written([[f"Message {n}", ("none", *TEAMS)[n % 4]] for n in range(40)]),
        holds=lambda made: made.keys["team"] == {"enum": ["billing", "none", "repairs", "sales"]},
    ),
    "an error of a spreadsheet": Attempt(
        written([*mail(), ["One more", "#N/A"]]), refused=["mail.csv:32: team: expected a value or an empty cell"],
    ),
    "an input that is an error of a spreadsheet": Attempt(
        written([*mail(), ["#REF!", "sales"], ["NaN", "sales"]]),
        holds=lambda made: not {"#REF!", "NaN"} & {each["input"] for each in made.cases},
        says=["left out: 2 rows whose input is a spreadsheet's error or stands for an empty cell (line 32, 33)"],
    ),
    "two columns of one name": Attempt(
        written([[*row, "x"] for row in mail()], ("text", "team", "team")),
        refused=["--expect team: expected one column of that name in", "found several"],
    ),
    "two columns of a name that has a role": Attempt(
        written([[*row, "above", "below"] for row in mail()], ("text", "team", "context", "Context")),
        refused=["mail.csv:1: expected one column 'context', found several: context, Context"],
    ),
    "two unused columns of one name": Attempt(
        written([[*row, "x", "y"] for row in mail()], ("text", "team", "by", "by")),
        holds=lambda made: made.keys["team"] == LABELS, says=["not used: by"],
    ),
    "a header with spaces and an index without a name": Attempt(
        written([[str(n), *row] for n, row in enumerate(mail())], ("", " text ", "team ")),
        holds=lambda made: made.keys["team"] == LABELS and made.expected("Message 4") == {"team": "repairs"},
    ),
    "no header": Attempt(
        written(mail()[1:], mail()[0]), refused=["--input text: expected a column of", "Message 0"],
    ),
    "a row with a cell too many": Attempt(
        written([*mail(), ["Hello", "there", "sales"]]),
        refused=["mail.csv:32: expected 2 cells, as the header has, found 3", "in quotes"],
    ),
    "a row with a cell too few": Attempt(
        written([*mail(), ["Hello"]]), refused=["mail.csv:32: expected 2 cells, as the header has, found 1"],
    ),
    "delimiters and empty lines below the rows": Attempt(
        written(mail()) + ",,,\n\n,\n", holds=lambda made: len(made.cases) + len(made.shots) == 30,
    ),
    "a table of Markdown": Attempt(
        written([["", "---", ":---:", ""], *(["", *row, ""] for row in mail())], ("", "text", "team", ""), by="|"),
        refused=["mail.csv:2: expected a row of CSV, found a rule of a Markdown table", "delete"],
    ),
    "truths of a spreadsheet": Attempt(
        written(mail(urgent=lambda n: ("TRUE", "FALSE", "True")[n % 3]), URGENT), expect=BOTH,
        holds=lambda made: made.keys["urgent"] == {"type": "boolean"}, says=["true or false: urgent"],
    ),
    "yes and Yes": Attempt(
        written(mail(urgent=lambda n: ("yes", "no", "Yes")[n % 3]), URGENT), expect=BOTH,
        refused=["urgent: expected one spelling of each label"],
    ),
    "one input twice, each time with another cell filled": Attempt(
        written([*mail(urgent=urgency), ["Twice", "sales", ""], ["Twice", "", "true"]], URGENT), expect=BOTH,
        holds=lambda made: made.expected("Twice") == {"team": "sales", "urgent": True},
    ),
    "one input twice with other answers": Attempt(
        written([*mail(), ["Twice", "sales"], ["Twice", "billing"]]),
        holds=lambda made: "Twice" not in {each["input"] for each in made.cases},
        says=["contradictory expectations for the same input: decide which is right (line 32, 33)"],
    ),
    "an expected column that no row fills": Attempt(
        written(mail(urgent=lambda n: ""), URGENT), expect=BOTH,
        refused=["mail.csv:1: urgent: expected values, found 30 empty cells", "--expect urgent"],
    ),
    "terms of a vocabulary, some of them NA": Attempt(
        written([*mail(), ["One more", "N/A"]]), suite="vocabulary",
        refused=["mail.csv:32: team: expected a value or an empty cell, found 'N/A'"],
    ),
    "short answers, some of them empty": Attempt(
        written([[f"How many is {n}?", str(n), f"the {n}" if n % 2 else ""] for n in range(30)], ("text", "a", "b")),
        suite="retention", expect=("a", "b"), holds=lambda made: made.expected("How many is 4?") == {"answer": ["4"]},
    ),
    "what was inferred is listed": Attempt(
        written(mail(60, urgent=lambda n: ("true", "false")[n % 2], town=lambda n: f"town {n}"), (*URGENT, "town")),
        expect=(*BOTH, "town"), holds=lambda made: True,
        says=[
            "labels of the table: team (3); --text COLUMN takes any text",
            "true or false: urgent; --text COLUMN takes any text",
            "any text: town; --label COLUMN takes the values of the table only",
            "set aside for few-shot",
        ],
    ),
}  # fmt: skip


def attempt(folder: Path, tried: Attempt) -> Made:
    path = folder / tried.name
    path.write_bytes(tried.content if isinstance(tried.content, bytes) else tried.content.encode())
    table = read_table(path, ["text", *tried.expect])
    columns = Columns("text", tried.expect, **tried.options)
    task = new_task(InitOptions("desk", tried.suite, table, columns, None, None, tried.limit))
    (folder / "task.yaml").write_text(task.files[f"{tried.suite}.yaml"], "utf-8")
    data = read_yaml(folder / "task.yaml").data
    schema = json.loads(task.files.get("refs/answer.schema.json", "{}"))
    return Made(
        data["prompt"]["system"], data["check"], schema, data["cases"], data.get("shots", ()),
        "\n".join([task.holds, *task.notes]),
    )  # fmt: skip


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_init_makes_of_a_messy_table_is_right_or_a_refusal(tmp_path, name):
    tried = ATTEMPTS[name]
    if tried.refused:
        with pytest.raises(TunegateError) as caught:
            attempt(tmp_path, tried)
        assert [part for part in tried.refused if part not in str(caught.value)] == [], str(caught.value)
        return

    made = attempt(tmp_path, tried)

    assert tried.holds
    assert tried.holds(made), made
    assert [part for part in tried.says if part not in made.notes] == [], made.notes
