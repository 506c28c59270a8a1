"""The command on the real MiniLM: three topics have cases, a fourth has none, and a fifth is no traffic's."""

from __future__ import annotations

import itertools
import json

import pytest
from typer.testing import CliRunner

from tests.support.units import write_unit
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.review.lint.rules import lint_fixtures

TOPICS = {
    "flight": ("book a flight to {}", "is there a cheap flight to {}", "which airline flies to {}"),
    "recipe": ("how do I cook {}", "give me a recipe with {}", "how long do I bake {}"),
    "music": ("play a song by {}", "turn up the music of {}", "add {} to my playlist"),
    "loan": ("can I get a loan for {}", "what interest do I pay on a loan for {}", "I want to borrow money for {}"),
    "weather": ("will it rain in {}", "how cold is it in {} tonight", "weather forecast for {}"),
}
NAMES = {
    "flight": ("Rome", "Oslo", "Lima", "Cairo", "Delhi", "Seoul", "Quito", "Dakar"),
    "recipe": ("lentils", "trout", "rhubarb", "spinach", "lamb", "leeks", "barley", "plums"),
    "music": ("Nina Simone", "Abba", "Mozart", "Bowie", "Miles Davis", "Queen", "Prince", "Blur"),
    "loan": ("a car", "a house", "a boat", "a kitchen", "a wedding", "a degree", "a farm", "a shop"),
    "weather": ("Paris", "Bonn", "Turin", "Leeds", "Porto", "Vienna", "Malmo", "Ghent"),
}
ADDRESS = "john.miller@gmail.com"
HOSTILE = "can I get a loan for <script>alert(1)</script> \x1b[2J a yacht"


def texts(topic: str) -> list[str]:
    return [pattern.format(name) for name, pattern in itertools.product(NAMES[topic], TOPICS[topic])]


def snapshot(path, *topics: str, more: tuple[str, ...] = (), half: slice = slice(12, None)) -> str:
    lines = [text for topic in topics for text in texts(topic)[half]] + list(more)
    path.write_text("".join(json.dumps({"input": text}) + "\n" for text in lines), "utf-8")
    return path.name


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [text for topic in ("flight", "recipe", "music", "weather") for text in texts(topic)[:12]]
    cases = [{"id": f"c{at}", "input": text, "expect": {"product": "boiler"}} for at, text in enumerate(asked)]
    write_unit(tmp_path / "fixtures", [], cases=cases)
    return tmp_path


def do(*arguments: str):
    return CliRunner().invoke(app, ["coverage", *arguments])


def test_what_is_missing_is_found_drawn_and_proposed(place):
    private = f"can I get a loan for a tent, write to {ADDRESS}"
    now = snapshot(place / "now.jsonl", "flight", "recipe", "music", "loan", more=(HOSTILE, private))
    before = snapshot(place / "before.jsonl", "flight", "recipe", "music", half=slice(12))

    ended = do(now, "--against", before, "--html", "map.html", "--write", "fixtures/desk/new.yaml", "--json")

    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    [cluster] = found["clusters"]
    assert "loan" in cluster["words"]
    assert 10 <= cluster["inputs"] <= 14
    assert found["cases_without_traffic"] == [f"desk/triage/c{at}" for at in range(36, 48)]
    assert found["private_inputs"] == 1
    assert found["drift"]["drift"]
    assert "loan" in found["drift"]["moved"][0]["words"]
    page, proposed = ((place / name).read_text("utf-8") for name in ("map.html", "fixtures/desk/new.yaml"))
    assert "<script" not in page
    assert all(ADDRESS not in text and "\x1b" not in text for text in (ended.output, page, proposed))
    linted = lint_fixtures(place / "fixtures")
    assert not linted.mistakes
    assert any("no expect in t-" in each.text for each in linted.warnings)


def test_nothing_is_missing_where_cases_are_near(place):
    now = snapshot(place / "now.jsonl", "flight", "recipe", "music", "weather")

    ended = do(now, "--write", "new.yaml")

    assert ended.exit_code == 0, ended.output
    assert "None is found to be without a case near it. With 48 cases, a topic" in ended.stdout
    assert "Nothing to write." in ended.stdout
    assert not (place / "new.yaml").exists()


def test_a_table_for_people(place):
    ended = do(snapshot(place / "now.jsonl", "flight", "recipe", "music", "loan", more=(HOSTILE,)))

    assert ended.exit_code == 0, ended.output
    assert "No case near: " in ended.stdout
    assert "No traffic near: 12 cases: desk/triage/c36" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_what_is_refused_before_anything_is_computed(place):
    now = snapshot(place / "now.jsonl", "flight")
    (place / "few.jsonl").write_text('{"input": "a"}\n')
    write_unit(place / "fixtures", ["a"], "other")
    (place / "there.yaml").write_text("mine")

    for arguments, code, says in (
        ((now, "--write", "new.yaml"), UsageError.exit_code, "--write: expected one unit, found 2; name it"),
        ((now, "--write", "there.yaml"), Refused.exit_code, "there.yaml: expected a new file, found one"),
        (("few.jsonl",), Refused.exit_code, "coverage: expected at least 20 different inputs, found 1"),
        ((now, "--unit", "desk/other"), Refused.exit_code, "coverage: expected at least 20 different cases, found 1"),
    ):  # fmt: skip
        ended = do(*arguments)
        assert (ended.exit_code, says in ended.output) == (code, True), ended.output
    assert (place / "there.yaml").read_text() == "mine"
