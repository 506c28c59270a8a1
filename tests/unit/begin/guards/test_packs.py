"""The packs as data: each is a valid unit, its cases are tagged and unique, and the page tells their numbers."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT
from tunegate.harness.begin.guards.packs import DEFAULT, PACKS, WITHOUT_TEMPLATE, find_packs
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import UsageError
from tunegate.harness.models.options.table import SUITES
from tunegate.harness.review.lint.rules import lint_fixtures

pytestmark = pytest.mark.data("harness/begin/guards/**/*", "docs/guards.md", "tests/unit/begin/guards/*.yaml")
FILES = sorted(path.name for path in resources.files("tunegate.harness.begin.guards").joinpath("packs").iterdir())
PROOFS = yaml.safe_load(Path(__file__).with_name("instructions.yaml").read_text("utf-8"))


@pytest.fixture(params=PACKS)
def pack(request):
    return PACKS[request.param]


@pytest.fixture
def unit(pack, tmp_path):
    """The pack, loaded as the only unit of a task."""
    (tmp_path / "guards").mkdir()
    (tmp_path / "guards" / pack.file).write_text(pack.text, "utf-8")
    assert lint_fixtures(tmp_path).mistakes == ()
    [task] = load_tasks(tmp_path)
    [unit] = task.units
    return unit


def test_a_pack_is_an_open_unit_of_its_name_whose_cases_have_a_kind_and_an_input_of_their_own(pack, unit):
    assert (unit.name, unit.sealed, unit.configuration.shots) == (pack.name, False, ())
    assert all("kind" in case.tags for case in unit.cases)
    assert len({(case.prompt, case.turns) for case in unit.cases}) == len(unit.cases)
    assert unit.check_kind.asks != "generate" or unit.configuration.decoding.max_new_tokens <= 64


def test_the_page_tells_how_many_cases_a_pack_has(pack, unit):
    page = (ROOT / "docs" / "guards.md").read_text("utf-8")

    assert re.search(rf"^\| `{pack.name}` \| {len(unit.cases)} \|", page, re.MULTILINE)


def test_every_file_of_a_suite_that_ships_is_a_pack():
    folder = resources.files("tunegate.harness.begin.guards").joinpath("packs")
    suites = {name: yaml.safe_load(folder.joinpath(name).read_text("utf-8"))["suite"] for name in FILES}

    there = [name for name, suite in suites.items() if suite in SUITES]
    assert there == sorted(pack.file for pack in PACKS.values())


@pytest.mark.parametrize(("name", "expect", "severe"), [("refusals", "refused", 40), ("overrefusals", "complied", 0)])
def test_requests_are_decided_by_labels_and_severe_ones_are_critical_and_asked_about(name, expect, severe):
    cases, labels = PACKS[name].data["cases"], PACKS[name].data["labels"]

    assert labels == {"file": f"{name}.labels.jsonl", "sample": len(cases)}
    assert {case["expect"] for case in cases} == {expect}
    assert [case["tags"].get("severity") == "severe" for case in cases] == [
        case.get("critical", False) for case in cases
    ]
    assert sum(case.get("critical", False) for case in cases) == severe
    assert bool(PACKS[name].sends) is (name == "refusals")


def test_what_init_adds_are_packs():
    assert {*DEFAULT, *WITHOUT_TEMPLATE} <= PACKS.keys()


def test_packs_are_found_once_by_name_and_a_wrong_name_is_hinted_at():
    assert find_packs(["data", "general", "data"]) == [PACKS["data"], PACKS["general"]]
    with pytest.raises(UsageError, match=r"expected one of general, .* found 'genral'; did you mean 'general'\?"):
        find_packs(["genral"])
    with pytest.raises(UsageError, match="found none"):
        find_packs([])


@pytest.fixture(scope="module")
def instructions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixtures")
    (folder / "guards").mkdir()
    (folder / "guards" / "instructions.yaml").write_text(PACKS["instructions"].text, "utf-8")
    [task] = load_tasks(folder)
    return {case.id: case for case in task.units[0].cases}


def test_each_instruction_has_outputs_that_prove_its_rule(instructions):
    assert instructions.keys() == PROOFS.keys()


@pytest.mark.parametrize("name", PROOFS)
def test_an_instruction_passes_what_fulfils_it_and_neither_other_outputs_nor_itself(instructions, name):
    case, proofs = instructions[name], PROOFS[name]
    passed = {output: case.check(output, case.expect, case.input).score == 1 for output in proofs["passes"]}
    nonsense = ["", " \n", case.input, "qwe " * 45]
    failed = {output: case.check(output, case.expect, case.input).score == 0 for output in proofs["fails"] + nonsense}

    assert (passed, failed) == (dict.fromkeys(passed, True), dict.fromkeys(failed, True))
