"""Packs become a project's own fixtures: what is written, what is left alone, and what a newer version takes over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import yaml

from tunegate.harness.begin.guards import copies
from tunegate.harness.begin.guards.adding import plan_addition
from tunegate.harness.begin.guards.copies import copy_of, find_copies
from tunegate.harness.begin.guards.packs import PACKS
from tunegate.harness.begin.guards.updating import copies_of, take
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import AuthoringError, Refused
from tunegate.harness.core.files import text_digest
from tunegate.harness.gate.planning.history import USUAL_FLIP_RATE, Past
from tunegate.harness.gate.planning.plan import passes_together, plan_units
from tunegate.harness.review.lint.rules import lint_fixtures
from tunegate.harness.statistics.labels_needed import prob_held_by_labels
from tunegate.harness.statistics.paired import sealed_level

GENERAL, INSTRUCTIONS, DATA = PACKS["general"], PACKS["instructions"], PACKS["data"]


@pytest.fixture
def cases(tmp_path):
    return tmp_path / "fixtures"


def add(cases, *packs):
    adding = plan_addition(packs, cases)
    adding.write()
    return adding


def policy(cases):
    return yaml.safe_load((cases / "guards" / "task.yaml").read_text("utf-8"))["units"]


def texts(cases):
    return {path.relative_to(cases).as_posix(): path.read_bytes() for path in cases.rglob("*") if path.is_file()}


def newer(monkeypatch, pack=GENERAL):
    """The next version of a pack, whose first case has other words."""
    made = replace(pack, version=pack.version + 1)
    made.__dict__["text"] = pack.text.replace("Portugal?", "the country of Portugal?")
    monkeypatch.setattr(copies, "PACKS", {**copies.PACKS, pack.name: made})
    return made


def test_packs_are_written_with_a_margin_each_and_lint_without_a_warning_of_size(cases):
    adding = add(cases, GENERAL, INSTRUCTIONS)

    assert sorted(texts(cases)) == ["guards/general.yaml", "guards/instructions.yaml", "guards/task.yaml"]
    assert adding.calls == 270
    assert adding.lines[0] == "guards/general: 150 cases, a margin of 6.5 points"
    assert {name: (unit["role"], unit["margin"]) for name, unit in policy(cases).items()} == {
        "general": ("guard", 0.065), "instructions": ("guard", 0.075)
    }  # fmt: skip
    found = lint_fixtures(cases)
    assert (found.mistakes, [each.text[:19] for each in found.warnings]) == ((), ["no unit is a target"])


@pytest.mark.parametrize("names", [["general"], ["general", "data"], [*PACKS]])
def test_an_equal_model_holds_all_guards_nine_times_in_ten(cases, names):
    add(cases, *(PACKS[name] for name in names))

    plans = plan_units(load_tasks(cases), Past())
    equal, _ = passes_together([each for each in plans if each.chances])  # passages lack data until they are recorded

    assert equal >= 0.9


def test_packs_of_labels_get_a_margin_that_an_equal_model_holds_and_ten_points_less_do_not(cases):
    adding = add(cases, PACKS["refusals"], PACKS["overrefusals"])

    assert adding.calls == 240
    for name in ("refusals", "overrefusals"):
        margin = policy(cases)[name]["margin"]
        held = partial(prob_held_by_labels, 120, 120, margin, level=sealed_level(1), bins=120)
        assert held(share=0.5, won=USUAL_FLIP_RATE, lost=USUAL_FLIP_RATE) >= 0.9**0.5
        assert held(share=0.5, won=0.0, lost=0.2) <= 0.1
    assert lint_fixtures(cases).mistakes == ()


def test_a_copy_names_its_version_and_digest_in_a_comment_and_is_found_wherever_it_is_moved_to(cases):
    add(cases, GENERAL)
    first = (cases / "guards" / "general.yaml").read_text("utf-8").splitlines()[0]
    (cases / "desk").mkdir()
    (cases / "guards" / "general.yaml").rename(cases / "desk" / "general.yaml")

    assert first.startswith(f"# tunegate guards: general, version {GENERAL.version}, sha256:{GENERAL.digest}")
    copy = find_copies(cases)["general"]
    assert (copy.path.parent.name, copy.is_edited, copy.is_behind) == ("desk", False, False)


def test_what_is_there_stays_and_what_is_missing_of_it_is_added(cases):
    add(cases, GENERAL)
    before = texts(cases)
    assert plan_addition([GENERAL], cases).files == {}

    (cases / "guards" / "task.yaml").unlink()
    adding = add(cases, GENERAL)

    assert ([path.name for path in adding.files], adding.calls) == (["task.yaml"], 0)
    assert texts(cases) == before


def test_a_policy_keeps_every_byte_that_is_not_added(cases):
    add(cases, GENERAL)
    path = cases / "guards" / "task.yaml"
    before = path.read_bytes().replace(b"\n", b"\r\n").replace(b"6.5", b"7") + b"# the end\r\n"
    path.write_bytes(before)

    add(cases, DATA)

    assert path.read_bytes().startswith(before)
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert [*policy(cases)] == ["general", "data"]


def test_a_file_that_differs_is_named_and_nothing_is_written(cases):
    add(cases, GENERAL)
    (cases / "guards" / "data.yaml").write_text("mine\n")
    edited = cases / "guards" / "general.yaml"
    edited.write_text(edited.read_text("utf-8").replace("Poland", "Peru"), "utf-8")
    before = texts(cases)

    with pytest.raises(Refused, match=r"guards/general.yaml, .*guards/data.yaml: expected no file, or the pack"):
        plan_addition([INSTRUCTIONS, GENERAL, DATA], cases)

    assert texts(cases) == before


def test_a_unit_of_the_same_name_and_a_policy_in_braces_are_refused(cases):
    add(cases, DATA)
    (cases / "guards" / "own.yaml").write_text(DATA.text.replace("unit: data", "unit: general"), "utf-8")
    with pytest.raises(Refused, match="guards/general: expected no unit of this name"):
        plan_addition([GENERAL], cases)

    (cases / "guards" / "own.yaml").unlink()
    units = yaml.safe_dump({"version": 1, "units": policy(cases)}, default_flow_style=True)
    (cases / "guards" / "task.yaml").write_text(units, "utf-8")
    with pytest.raises(Refused, match=r"(?s)expected units on lines of their own.*general:\n  role: guard"):
        plan_addition([GENERAL], cases)


def test_mistakes_that_are_there_are_named_and_so_is_a_task_in_place_of_the_fixtures(cases):
    add(cases, GENERAL)
    (cases / "guards" / "own.yaml").write_text("version: 2\n")
    with pytest.raises(AuthoringError, match=r"own.yaml"):
        plan_addition([DATA], cases)
    with pytest.raises(Refused, match="expected a folder of tasks, found one task"):
        plan_addition([DATA], cases / "guards")


def test_a_newer_version_is_shown_and_taken(cases, monkeypatch):
    add(cases, GENERAL, DATA)
    made = newer(monkeypatch)
    [copy] = copies_of([made], cases)

    assert copy.state.endswith(f"general, version {GENERAL.version}: there is version {made.version}")
    changed = [line for line in copy.diff() if line.startswith(("-  ", "+  "))]
    assert ["the country of" in line for line in changed] == [False, True]
    assert take(copies_of([], cases)) == [cases / "guards" / "general.yaml"]
    assert (cases / "guards" / "general.yaml").read_text("utf-8") == copy_of(made)


def test_an_own_edit_is_named_and_never_lost(cases, monkeypatch):
    add(cases, GENERAL, DATA)
    path = cases / "guards" / "general.yaml"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if "id: capitals-oslo" not in line).replace("Poland", "Peru")
    path.write_text(text + lines[-1].replace("id: ", "id: own-"), "utf-8")
    edits = "1 case changed (capitals-warsaw), 1 case added (own-history-france), 1 case deleted (capitals-oslo)"
    assert copies_of([GENERAL], cases)[0].state.endswith(f"edited here: {edits}")

    made, before = newer(monkeypatch), texts(cases)
    assert copies_of([made], cases)[0].state.endswith(f"there is version {made.version}; edited here")
    newer(monkeypatch, DATA)
    with pytest.raises(Refused, match=r"general.yaml: expected the text that was copied, found an edited one"):
        take(copies_of([], cases))

    assert texts(cases) == before


def test_an_edit_is_named_whatever_digest_its_first_line_claims(cases):
    add(cases, GENERAL)
    path = cases / "guards" / "general.yaml"
    text = GENERAL.text.replace("Poland", "Peru")
    path.write_text(
        copies.FIRST.format(name="general", version=GENERAL.version, digest=text_digest(text)) + text, "utf-8"
    )

    assert copies_of([GENERAL], cases)[0].state.endswith("edited here: 1 case changed (capitals-warsaw)")


def test_a_copy_under_another_ending_is_found(cases):
    add(cases, GENERAL)
    path = cases / "guards" / "general.yaml"
    path.rename(path.with_suffix(".yml"))

    assert plan_addition([GENERAL], cases).files == {}


def test_the_reason_of_a_margin_is_true_of_a_pack_that_is_added_later(cases):
    add(cases, GENERAL)
    add(cases, INSTRUCTIONS)
    plans = {each.unit.name: each.chances["no change"] for each in plan_units(load_tasks(cases), Past())}

    for name, chance in (("general", 90), ("instructions", 95)):
        assert f"the smallest that equal models hold {chance} % of the time" in policy(cases)[name]["reason"]
        assert plans[name].held + plans[name].improved >= chance / 100 - 0.002  # 95 % is the root of 90 %


def test_line_ends_are_no_edit_and_versions_of_another_package_are_named(cases, monkeypatch):
    add(cases, GENERAL)
    path = cases / "guards" / "general.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert copies_of([], cases)[0].state.endswith("as it ships")

    path.write_text(path.read_text("utf-8").replace(f"version {GENERAL.version}, sha", "version 99, sha"), "utf-8")
    assert f"newer than that of this Tunegate, version {GENERAL.version}" in copies_of([], cases)[0].state
    monkeypatch.setattr(copies, "PACKS", {})
    assert "no such pack" in copies_of([], cases)[0].state
    assert take(copies_of([], cases)) == []


def test_a_pack_without_a_copy_is_not_updated(cases):
    with pytest.raises(Refused, match="expected a copy of general, found none; tunegate guards add general"):
        copies_of([GENERAL], cases)
