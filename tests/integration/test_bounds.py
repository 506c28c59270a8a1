"""Files with very many mistakes: an error in time that grows as their number does, and few of them shown."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import MOST_OF_A_KIND, Refused
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.options.settings import read_settings
from tunegate.harness.models.replay import read_replay
from tunegate.harness.models.request_file import read_digests
from tunegate.trainers.config.recipe import read_recipe

MANY = 40_000
SECONDS = 30.0  # of processor time, on a busy machine: what grows with the square takes minutes
CASE = "- {{id: c{}x, input: What broke, expect: {{product: boiler}}{}}}\n"
FIXTURES = """version: 1
suite: schema
check: {schema: {type: object, required: [product], properties: {product: {type: string}}}}
cases:
""" + CASE.format("", "")
TASK = "version: 1\nunits:\n  schema: {role: target, reason: A test.}\n"
RECIPE = "version: 1\nmodel: x\ntask: desk\noutput: out\nrows: [a.jsonl]\n"
SETTINGS = "[tool.tunegate]\n"
UNKNOWN = [f"kei{number}" for number in range(MANY)]
AGAIN = ["kei"] * MANY
LINE = {"case": "desk/schema/a", "output": "x"}


def lines(keys: list[str], form: str = "{}: 1\n") -> str:
    return "".join(form.format(key) for key in keys)


def said_in_time(reader: Callable[[], object], seconds: float = SECONDS) -> list[str]:
    """What a reader refuses a file with; it takes little time, and shows little."""
    start = time.process_time()
    with pytest.raises(Refused) as refused:
        reader()
    assert time.process_time() - start < seconds
    said = str(refused.value).splitlines()
    assert len(said) <= 2 * MOST_OF_A_KIND + 5
    assert all(len(line) < 1000 for line in said)
    return said


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("fixtures/desk").mkdir(parents=True)
    Path("fixtures/desk/schema.yaml").write_text(FIXTURES)
    return tmp_path


def fixture() -> object:
    return load_tasks(Path("fixtures"))


def outputs() -> object:
    return read_replay(Path("outputs.jsonl"), {"desk/schema/a": 0})


READERS: dict[str, tuple[str, str, Callable[[], object]]] = {
    "fixtures": ("fixtures/desk/schema.yaml", FIXTURES, fixture),
    "task.yaml": ("fixtures/desk/task.yaml", TASK, fixture),
    "recipe": ("recipe.yaml", RECIPE, lambda: read_recipe(Path("recipe.yaml"))),
}


@pytest.mark.parametrize("name", READERS)
def test_unknown_keys_are_counted_and_the_first_of_them_shown(project: Path, name: str) -> None:
    file, text, reader = READERS[name]
    Path(file).write_text(text + lines(UNKNOWN))
    first, *told, rest = said_in_time(reader)
    assert first == f"{MANY:,} mistakes to fix before anything can run:"
    assert len(told) == MOST_OF_A_KIND
    assert all(f"found 'kei{number}'" in line for number, line in enumerate(told))
    assert rest.startswith(f"  {file}: and {MANY - 20:,} more of this kind: expected one of the keys ")


@pytest.mark.parametrize("name", READERS)
def test_a_key_that_is_repeated_many_times_is_told_once(project: Path, name: str) -> None:
    file, text, reader = READERS[name]
    Path(file).write_text(text + lines(AGAIN))
    [first, told] = said_in_time(reader)
    assert first == f"{MANY - 1:,} mistakes to fix before anything can run:"
    assert f"  {file}:" in told
    assert "expected each key once, found 'kei' again" in told
    assert f"(and {MANY - 2:,} more like it: lines" in told


def test_many_keys_that_are_repeated_are_counted(project: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE + lines([f"{number}k" for number in range(MANY // 2)] * 2))
    [first, told] = said_in_time(READERS["recipe"][2])
    assert first == f"{MANY // 2:,} mistakes to fix before anything can run:"
    assert "found '0k' again (first on line 6)" in told


def test_unknown_settings_are_counted(project: Path) -> None:
    Path("pyproject.toml").write_text(SETTINGS + lines(UNKNOWN[:20_000], "{} = 1\n"))
    *told, rest = said_in_time(lambda: read_settings(project))
    assert len(told) == MOST_OF_A_KIND
    assert rest == "pyproject.toml: [tool.tunegate] and 19,980 more like these"


def test_settings_of_more_than_anybody_writes_are_not_read(project: Path) -> None:
    Path("pyproject.toml").write_text(SETTINGS + lines(UNKNOWN * 2, "[{}.b.c]\n"))
    assert "expected TOML, found one of more than 524,288 bytes" in said_in_time(lambda: read_settings(project))[0]


def test_lines_that_are_all_wrong_are_read_so_far_and_no_further(project: Path) -> None:
    Path("outputs.jsonl").write_text("{}\n" * 200_000)
    told = said_in_time(lambda: read_replay(Path("outputs.jsonl"), {}))
    assert any("found 100,000 mistakes in the lines so far" in line for line in told)


def test_a_key_of_many_parts_in_settings_ends_in_time(project: Path) -> None:
    Path("pyproject.toml").write_text(f"{SETTINGS}b = 1\n{'a.' * 100_000}a = 1\n")
    assert said_in_time(lambda: read_settings(project)) == [
        "pyproject.toml:3: expected TOML, found a key of 200 parts or more; shorten it"
    ]


def test_unknown_keys_of_one_line_of_outputs_are_counted(project: Path) -> None:
    Path("outputs.jsonl").write_text(json.dumps({**LINE, **dict.fromkeys(UNKNOWN, 1)}) + "\n")
    _, *told, rest = said_in_time(outputs)
    assert len(told) == MOST_OF_A_KIND
    assert rest.startswith(f"  outputs.jsonl: and {MANY - 20:,} more of this kind: expected one of the keys ")


def test_a_key_that_one_line_of_outputs_repeats_is_told(project: Path) -> None:
    Path("outputs.jsonl").write_text(json.dumps(LINE)[:-1] + lines(AGAIN, ', "{}": 1') + "}\n")
    assert said_in_time(outputs)[1:] == ["  outputs.jsonl:1: expected one JSON object, found the key 'kei' twice"]


@pytest.mark.parametrize("reader", [outputs, lambda: read_digests(Path("outputs.jsonl"))], ids=["outputs", "requests"])
def test_lines_with_a_mistake_each_are_counted(project: Path, reader: Callable[[], object]) -> None:
    Path("outputs.jsonl").write_text("".join(json.dumps({**LINE, f"kei{n}": 1}) + "\n" for n in range(20_000)))
    first, *_ = said_in_time(reader)
    assert first == "20,000 mistakes to fix before anything can run:"


@pytest.mark.parametrize(("more", "told"), [
    (", id: 1", "expected each key once"), (", inptu: 1", "found 'inptu'; did you mean 'input'? (and 4,999 more like"),
    (", tags: 1", "tags: expected "), (", unstable: true", "(and 4,999 more like it"),
])  # fmt: skip
def test_cases_with_the_same_mistake_are_counted(project: Path, more: str, told: str) -> None:
    cases = "".join(CASE.format(number, more) for number in range(5_000))
    Path("fixtures/desk/schema.yaml").write_text(FIXTURES + cases)
    first, *rest = said_in_time(fixture)
    assert first == "5,000 mistakes to fix before anything can run:"
    assert told in "\n".join(rest)


def test_time_grows_as_the_number_of_mistakes_does(project: Path) -> None:
    taken = []
    for count in (20_000, 80_000):
        Path("recipe.yaml").write_text(RECIPE + lines(UNKNOWN[:count]))
        start = time.process_time()
        said_in_time(READERS["recipe"][2])
        taken.append(time.process_time() - start)
    assert taken[1] < 12 * taken[0]  # four times; sixteen where it grows as the square


@pytest.mark.parametrize("key", ["k" * 1_000_000, "input" * 200_000, "\u202e" * 300_000], ids=["one", "word", "unseen"])
def test_a_key_of_a_million_characters_is_shown_by_its_start(project: Path, key: str) -> None:
    for times in (1, 2):
        twice = ", ".join(f"{json.dumps(key)}: 1" for _ in range(times))
        Path("outputs.jsonl").write_text(f"{{{twice}}}\n")
        said_in_time(outputs)
        said_in_time(lambda: read_object(Path("outputs.jsonl"), "x", {"additionalProperties": False}))


@pytest.mark.parametrize("keys", [
    [f"cases{number}" for number in range(2_000)], ["casse" + "s" * (number % 90 + 1) for number in range(2_000)],
])  # fmt: skip
def test_many_keys_like_one_that_is_missing_end_in_time(project: Path, keys: list[str]) -> None:
    Path("fixtures/desk/schema.yaml").write_text(FIXTURES.replace("cases:", "casse:") + lines([*dict.fromkeys(keys)]))
    assert "did you mean 'cases'?" in "\n".join(said_in_time(fixture))


def test_a_chain_of_merges_fills_no_memory(project: Path) -> None:
    chain = "".join(f"a{n + 1}: &a{n + 1} {{<<: *a{n}, k{n}: 1}}\n" for n in range(20_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path("recipe.yaml").write_text(f"{RECIPE}a0: &a0 {{x: 1}}\n{chain}")
    assert "expected few aliases, found aliases that expand to " in "\n".join(said_in_time(READERS["recipe"][2]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_many_characters_that_nobody_sees_are_told_with_their_lines(project: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE + lines(UNKNOWN, "{}: \u200b\n"))
    [_, told] = said_in_time(READERS["recipe"][2])
    assert "recipe.yaml:6: " in told
    assert f"(and {MANY - 1:,} more like it: lines 7, 8, 9, ...)" in told


def test_a_mistake_of_syntax_at_the_end_of_a_large_file_is_told_in_time(project: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE + lines(UNKNOWN) + "a: b: c\n")
    [_, told] = said_in_time(READERS["recipe"][2])
    assert f"recipe.yaml:{MANY + 6}: expected one `key: value`, found a second ': '" in told
