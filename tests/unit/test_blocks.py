"""Each fenced block of the documents says its language; those that no test does in order are read by the product."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jsonschema import Draft202012Validator

from tests.support.guides import FOLLOWED, Block, blocks
from tests.support.paths import ROOT
from tunegate.harness.cases.json_schemas import fixture_schema, published_schema
from tunegate.harness.checks.registry import project_kinds
from tunegate.harness.core.authoring.yaml_reader import parse_yaml
from tunegate.harness.core.errors import TunegateError
from tunegate.harness.models.adapter_reference import SCHEMA as REFERENCE
from tunegate.harness.models.options.settings import read_settings
from tunegate.harness.models.options.table import OPTIONS
from tunegate.trainers.config.recipe import RECIPE_SCHEMA

PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md"))]
LINTED = [(page, block) for page in PAGES if page.name not in FOLLOWED for block in blocks(page)]


def test_every_block_says_its_language():
    assert [f"{page.name}:{block.line}" for page in PAGES for block in blocks(page) if not block.kind] == []


def schemas(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The schemas of the files that people write, of which a block may leave out any key."""
    files = (fixture_schema(project_kinds(folder)), *map(published_schema, ("task", "terms", "voice")))
    for schema in (*files, RECIPE_SCHEMA, REFERENCE):
        yield without_required(schema)


def without_required(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_required(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    rules = {"required", "dependentRequired", "allOf", "anyOf", "oneOf", "if", "then", "else"}
    kept = {key: value for key, value in schema.items() if key not in rules or not isinstance(value, list | dict)}
    return {key: without_required(value) for key, value in kept.items()}


def read_yaml_block(text: str, folder: Path) -> None:
    data = parse_yaml(Path("block.yaml"), text).data
    mistakes = [next(Draft202012Validator(schema).iter_errors(data), None) for schema in schemas(folder)]
    assert None in mistakes, mistakes


def read_toml_block(text: str, folder: Path) -> None:
    tomllib.loads(text)
    (folder / "pyproject.toml").write_text(text, "utf-8")
    assert read_settings(folder)


def read_shell_block(text: str, folder: Path) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        given = [word.partition("=")[0] for word in words if word.startswith("--")]
        names = {f"--tg-{option}" for option in OPTIONS} if "pytest" in words else {f"--{option}" for option in OPTIONS}
        assert not set(given) - names, line


READ: Mapping[str, Callable[[str, Path], Any]] = {
    "yaml": read_yaml_block,
    "toml": read_toml_block,
    "sh": read_shell_block,
    "console": read_shell_block,
    "python": lambda text, _: ast.parse(text),
    "jinja": lambda text, _: jinja2.Environment(autoescape=True).parse(text),
    "json": lambda text, _: [json.loads(line) for line in text.splitlines()],
    "csv": lambda text, _: [*csv.reader(io.StringIO(text), strict=True)],
}


@pytest.mark.parametrize(("page", "block"), LINTED, ids=[f"{page.name}:{block.line}" for page, block in LINTED])
def test_a_block_that_no_test_does_is_read_by_the_product(tmp_path, page: Path, block: Block):
    assert page.is_file()
    READ[block.kind](re.sub(r"<(OWNER|COMMIT)>", "x", block.text), tmp_path)


@pytest.mark.parametrize(("kind", "text"), [
    ("yaml", "units:\n  desk: {role: target, margn: 0.1}\n"), ("yaml", "suite: schema\ncase: []\n"),
    ("yaml", "rows: [a.jsonl]\nlora: {rr: 16}\n"), ("toml", "[tool.tunegate]\ncasses = 'x'\n"),
    ("sh", "tunegate gate --modle x\n"), ("python", "def f(:\n"), ("json", "{'a': 1}\n"),
])  # fmt: skip
def test_a_block_with_a_mistake_is_found(tmp_path, kind, text):
    with pytest.raises((AssertionError, TunegateError, ValueError, SyntaxError)):
        READ[kind](text, tmp_path)
