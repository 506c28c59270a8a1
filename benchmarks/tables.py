"""Tables of others through `tunegate init`, without an edit: does the schema accept rows that it has not seen?

    git clone --bare https://github.com/MiuLab/SlotGated-SLU DATA/SlotGated-SLU
    git clone --bare https://github.com/sonos/nlu-benchmark DATA/nlu-benchmark
    git clone --bare https://github.com/xliuhw/NLU-Evaluation-Data DATA/NLU-Evaluation-Data
    python benchmarks/tables.py DATA     # 2 minutes; writes results/tables.md

Of each table 300 rows are drawn, five times, and written as a team would have them: with a column for each slot, or
with JSON. All other rows are held against the schema. Exit code 1 if one draw accepts less than 99 %, or if a value
that one row has stands in the prompt.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

import jsonschema_rs

from benchmarks.frame import RESULTS, carry_out
from benchmarks.gate_markdown import number, table
from benchmarks.public_sets import HOME, INPUT, LISTS, SLOTS, WHOLE, Files, Row, annotated, by_intent, tagged
from tunegate.harness.begin.scaffold.drafts import Columns
from tunegate.harness.begin.scaffold.infer import typed
from tunegate.harness.begin.scaffold.table import read_table
from tunegate.harness.begin.scaffold.task import InitOptions, new_task
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.progress import Watch
from tunegate.harness.review.lint.rules import lint_fixtures

LIBRARIES = ("tunegate", "jsonschema-rs", "pyarrow")
DRAWN, DRAWS, GOAL = 300, 5, 0.99


@dataclass(frozen=True)
class Source:
    """Where a table comes from: a repository, a commit, and the files that are read."""

    name: str
    repository: str
    commit: str
    rows: Callable[[Files], Iterator[Row]]
    form: str


SOURCES = (
    Source("ATIS", "MiuLab/SlotGated-SLU", SLOTS, lambda files: tagged(files, "atis"), "columns, CSV with ;"),
    Source("SNIPS", "MiuLab/SlotGated-SLU", SLOTS, lambda files: tagged(files, "snips"), "columns, Parquet"),
    Source("SNIPS, lists", "sonos/nlu-benchmark", LISTS, by_intent, "objects, JSONL"),
    Source("home assistant", "xliuhw/NLU-Evaluation-Data", HOME, annotated, "JSON text in a CSV"),
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """What one draw came to: the share of other rows that the schema accepts, and what its prompt gives away."""

    accepted: float
    keys: int
    labels: tuple[str, ...]
    given_away: int
    warnings: int


@dataclass(frozen=True)
class Found:
    """A table and its draws."""

    source: Source
    rows: int
    digest: str
    draws: Sequence[Drawn]


def measure(data: Path, watch: Watch) -> list[Found]:
    """Take all tables through `init`."""
    found = []
    for source in SOURCES:
        files = Files(data / source.repository.partition("/")[2], source.commit)
        rows = [*{row[INPUT]: row for row in source.rows(files) if row[INPUT]}.values()]
        with watch(source.name, DRAWS) as done:
            draws = []
            for seed in range(DRAWS):
                mixed = random.Random(seed).sample(rows, len(rows))  # noqa: S311  (a draw)
                draws.append(_drawn(source, mixed[:DRAWN], mixed[DRAWN:]))
                done(1)
        found.append(Found(source, len(rows), files.digest, draws))
    return found


def _drawn(source: Source, rows: Sequence[Row], others: Sequence[Row]) -> Drawn:
    columns = [*dict.fromkeys(key for row in (*rows, *others) for key in row if key != INPUT)]
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), source.form, rows, [INPUT, *columns])
        asked = Columns(INPUT, tuple(columns))
        made = new_task(InitOptions("desk", "schema", read_table(path, [INPUT]), asked, None, None, DRAWN))
        for name, text in made.files.items():
            file = Path(folder) / "fixtures/desk" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        warnings = [each.text for each in lint_fixtures(Path(folder) / "fixtures").warnings]
        prompt = read_yaml(Path(folder) / "fixtures/desk/schema.yaml").data["prompt"]["system"]
    schema = json.loads(made.files["refs/answer.schema.json"])
    is_valid = jsonschema_rs.validator_for(schema).is_valid
    outputs = [_output(row, schema, source) for row in others]
    labels = tuple(key for key, each in schema["properties"].items() if "enum" in each)
    bad = sum("gives them away" in text or "holds the input and the expected output" in text for text in warnings)
    given = given_away(rows, prompt)
    return Drawn(sum(map(is_valid, outputs)) / len(outputs), len(schema["properties"]), labels, given, bad)


def _written(folder: Path, form: str, rows: Sequence[Row], columns: Sequence[str]) -> Path:
    """The rows as a file of this form."""
    if "JSONL" in form:
        (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        return folder / "rows.jsonl"
    if "Parquet" in form:
        import pyarrow
        from pyarrow import parquet

        kinds = pyarrow.schema([(column, pyarrow.string()) for column in columns])
        parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], kinds), folder / "rows.parquet")
        return folder / "rows.parquet"
    with (folder / "rows.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter=";")
        writer.writeheader()
        texts = (
            {key: cell if isinstance(cell, str) else json.dumps(cell) for key, cell in row.items()} for row in rows
        )
        writer.writerows(texts)
    return folder / "rows.csv"


def _output(row: Row, schema: Mapping[str, Any], source: Source) -> Any:
    """What the output of a row would be; a CSV's cell is a number where the schema has numbers and it is one."""
    if WHOLE in row:
        return row[WHOLE]
    values = {key: cell for key, cell in row.items() if key != INPUT and cell != ""}
    if "CSV" in source.form:
        numbers = [key for key in values if schema["properties"][key].get("type") in ("integer", "number", "boolean")]
        values |= {key: typed([values[key]], 1)[0] for key in numbers}
    return values


def given_away(rows: Sequence[Row], prompt: str) -> int:
    """How many of the rows have a text that no other row has, listed in the prompt."""
    texts = [set(_texts({key: cell for key, cell in row.items() if key != INPUT})) for row in rows]
    counts = Counter(text for each in texts for text in each)
    listed = {text for text in counts if json.dumps(text, ensure_ascii=False) in prompt.replace('":', "")}
    return sum(any(counts[text] == 1 for text in each & listed) for each in texts)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def broken(found: Sequence[Found]) -> Iterator[str]:
    """What was not kept."""
    for each in found:
        if (least := min(draw.accepted for draw in each.draws)) < GOAL:
            yield f"{each.source.name}: {100 * least:.2f} % of the other rows accepted"
        if any(draw.given_away or draw.warnings for draw in each.draws):
            yield f"{each.source.name}: a prompt or a schema gives cases away"


def report(found: Sequence[Found], made: str) -> str:
    """The result as Markdown."""
    head = [
        "table",
        "form",
        "rows",
        "expected keys",
        "labels",
        "accepted, mean %",
        "least %",
        "cases in a prompt",
        "warnings",
    ]
    origins = [
        f"- {each.source.name}: https://github.com/{each.source.repository}, commit {each.source.commit}, SHA-256 of "
        f"the files that are read {each.digest}" for each in found
    ]  # fmt: skip
    return "\n\n".join([
        "# Tables of others through init",
        f"{DRAWN} rows of each table, drawn {DRAWS} times, through `tunegate init` without an edit; every other row is "
        "held against the schema that it wrote. *Labels*: columns that became an enum, in every draw and in some. "
        "*Cases in a prompt*: rows with a text that no other of the 300 has and that the prompt lists, in all draws; "
        "*warnings*: those of lint about values or cases that a prompt or a schema gives away.",
        table(head, map(_cells, found)),
        f"Written down before measuring: each draw accepts {100 * GOAL:g} % of the other rows or more, and no prompt "
        "gives a case away.",
        "## How", made, "\n".join(origins),
    ]) + "\n"  # fmt: skip


def _cells(each: Found) -> list[str]:
    shares = [draw.accepted for draw in each.draws]
    counts = Counter(label for draw in each.draws for label in draw.labels)
    always = [label for label, count in counts.items() if count == DRAWS]
    some = [label for label, count in counts.items() if count < DRAWS]
    labels = f"{', '.join(always) or '-'}{f' (some: {chr(44).join(some)})' if some else ''}"
    given, warnings = (sum(getattr(draw, name) for draw in each.draws) for name in ("given_away", "warnings"))
    return [
        each.source.name, each.source.form, f"{each.rows:,}", str(each.draws[0].keys), labels,
        number(sum(shares) / len(shares)), f"{100 * min(shares):.2f}", str(given), str(warnings),
    ]  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    carry_out(
        RESULTS / "tables.md", "python benchmarks/tables.py DATA", LIBRARIES,
        lambda watch: measure(folder, watch), report, broken,
    )  # fmt: skip
