"""Paired files as the gate's task and records: the verdicts, and what no other command takes them for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.results import DATA, DIRECTIONS, pair_of
from tests.unit.begin.results.test_pairing import file_of
from tunegate.harness.begin.results.pairing import pair_files
from tunegate.harness.begin.results.project import SuppliedCheck, compare_supplied
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.begin.results.samples import ResultFile, ScoredSample
from tunegate.harness.begin.results.settings import Settings, read_compare_settings
from tunegate.harness.checks.base import Outcome
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.lookup import record_reference
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.sidecar import read_sidecar, write_with_sidecar
from tunegate.harness.reporting.report import case_command, report_of


def verdicts(old: ResultFile, new: ResultFile, settings: Settings | None = None):
    record = compare_supplied(pair_files(old, new, settings or Settings()), "again").record
    return {key.partition("/")[2]: each for key, each in record.verdicts.items()}


def metric(scores: list[object]) -> ResultFile:
    return file_of({f"c{n}": score for n, score in enumerate(scores)})


@pytest.mark.parametrize("tool", ["inspect", "lm", "promptfoo", "deepeval"])
def test_a_worse_file_is_regressed_and_a_better_one_holds(tool):
    old, worse = map(read_results, pair_of(tool, "worse"))
    better = read_results(pair_of(tool, "better")[1])
    known = DIRECTIONS.get(tool, [])
    found = verdicts(old, worse, read_compare_settings(None, [], known))
    gated = [name for name, each in found.items() if each.verdict != "ungated"]

    assert {found[name].verdict for name in gated} <= {"regressed", "inconclusive"}
    assert "regressed" in {found[name].verdict for name in gated}
    wide = read_compare_settings(None, [".15"], known)
    assert {verdicts(old, better, wide)[name].verdict for name in gated} == {"held"}
    assert {verdicts(old, old, wide)[name].verdict for name in gated} == {"held"}


def test_swapped_files_end_otherwise():
    old, worse = map(read_results, pair_of("deepeval", "worse"))

    assert verdicts(worse, old)["Exact Match"].fixed_cases == verdicts(old, worse)["Exact Match"].regressed_cases


def test_less_of_an_amount_is_compared_by_its_negative_and_less_of_a_share_by_its_rest():
    old, new = (metric([{"cost": 3 * k, "wer": 0.1 * k}] * 200) for k in (1, 2))
    lower = {"cost": "x", "wer": "x"}
    settings = read_compare_settings(None, ["cost=1"], [])
    found = verdicts(*(replace(each, lower=lower, amounts=frozenset({"cost"})) for each in (old, new)), settings)

    assert (found["cost"].base, found["cost"].mean, found["cost"].verdict) == (-3, -6, "regressed")
    assert (found["wer"].base, found["wer"].mean, found["wer"].verdict) == (0.9, 0.8, "regressed")


def test_a_metric_without_bounds_is_shown_and_not_gated():
    [found] = verdicts(metric([100.0, 200]), metric([1.0, 2])).values()

    assert (found.verdict, found.blocks, found.base, found.mean) == ("ungated", False, 150, 1.5)
    assert found.reason.startswith("Not gated: m has no bounds and no margin, so any loss of it would pass: add")


def test_a_wider_share_of_collapsed_cases_is_named_where_it_can_be_declared():
    settings = read_compare_settings(None, ["m=10"], [])
    [found] = verdicts(
        metric([100.0 + n for n in range(40)]), metric([100.0 + n for n in range(40)]), settings
    ).values()

    assert found.verdict == "inconclusive"
    assert "in the policy file" in found.reason


def test_what_is_missing_blocks_whatever_the_rest_did():
    [found] = verdicts(metric([1] * 100), metric([1] * 99)).values()

    assert (found.verdict, found.blocks) == ("inconclusive", True)
    assert found.reason == "Inconclusive: not compared, since 1 id of OLD is missing in NEW: c99."


def test_a_metric_that_is_gone_blocks_and_its_record_is_whole(tmp_path):
    paired = pair_files(metric([{"m": 1, "n": 1}] * 9), metric([{"m": 1}] * 9), Settings())
    made = compare_supplied(paired, "again")
    record = read_record(write_with_sidecar(made.record, made.sidecar, tmp_path / "r.json").path)

    assert record.verdicts["results/n"].blocks
    assert record.tasks["results"].decision == "block"
    assert record.units["results/n"].n == 0


def test_a_target_has_to_improve_and_a_minimum_holds():
    settings = Settings(targets=frozenset({"m"}))
    same, more = metric([0, 1] * 100), metric([1, 1] * 100)
    record = compare_supplied(pair_files(same, same, settings), "again").record
    assert record.tasks["results"].decision == "block"
    assert "no gain on results/m" in record.tasks["results"].reason
    record = compare_supplied(pair_files(same, more, settings), "again").record
    assert record.tasks["results"].reason == (
        "Passed: results/m (50.0 % -> 100.0 %) improved. No guard: nothing but the target was tested. "
        "Supplied scores: not re-scored, never released."
    )

    [found] = verdicts(same, same, Settings(minimum={"m": 0.9})).values()
    assert found.verdict == "regressed"
    assert "below the minimum score of 90.0 %" in found.reason


def test_repeats_are_one_case_with_their_mean():
    old = file_of({"a": 1, "b": 1})
    mixed = replace(old, samples=(*old.samples, ScoredSample("a", {"m": 0}), ScoredSample("b", {"m": 1})))
    record = compare_supplied(pair_files(replace(old, samples=old.samples * 2), mixed, Settings()), "again").record

    assert record.cases["results/m/a"].score == 0.5
    assert record.cases["results/m/a"].passed is False
    assert len(record.cases["results/m/a"].repeats) == 2
    assert record.verdicts["results/m"].n == 2


def test_samples_of_a_group_are_one_observation():
    samples = tuple(ScoredSample(f"a{n}", {"m": 1}, groups=(f"g{n // 4}",)) for n in range(40))
    [found] = verdicts(*[ResultFile(Path("f"), "CSV", samples, higher={"m": "said"})] * 2).values()

    assert (found.n, found.observations) == (40, 10)


def test_ids_with_slashes_and_control_characters_are_cases():
    odd = {"a/b": 1, "\x1b[31m": 1, "1": 1, "01": 0, "": 1}
    record = compare_supplied(pair_files(file_of(odd), file_of(odd), Settings()), "again").record

    assert set(record.of_unit("results/m")) == {"a\u2215b", "\\x1b[31m", "1", "01", "(empty)"}


def test_the_record_and_its_sidecar_say_whose_scores_they_are(tmp_path):
    old, worse = map(read_results, pair_of("inspect", "worse"))
    settings = read_compare_settings(None, [], DIRECTIONS["inspect"])
    made = compare_supplied(pair_files(old, worse, settings), "tunegate compare a b --gate")
    record = read_record(write_with_sidecar(made.record, made.sidecar, tmp_path / "r.json").path)
    [candidate] = report_of([record]).candidates

    assert (candidate.name, candidate.outcome) == ("inspect_worse.eval", "blocked")
    assert candidate.whole_command == "tunegate compare a b --gate"
    assert candidate.provenance["scores"] == "supplied: not re-scored, never released"
    first = candidate.worst[0]
    assert (first.previous, first.now) == ("137", "138")
    assert first.context.prompt == (("user", "What is 52 plus 85? Reply with the number only."),)
    assert case_command(candidate, first) == ""
    assert len(read_sidecar(record)) == 4 * 27


def test_such_a_record_is_no_reference(tmp_path):
    file = read_results(DATA / "deepeval_old.json")
    made = compare_supplied(pair_files(file, file, Settings()), "again")
    record = write_with_sidecar(made.record, made.sidecar, tmp_path / "r.json")

    with pytest.raises(Refused, match="its scores were supplied by another tool: they are not re-scored, and no ref"):
        record_reference(record.path, [], [])


def test_nothing_is_scored_again():
    check = SuppliedCheck()
    with pytest.raises(Refused, match="not re-scored"):
        _: Outcome = check("output", None, "prompt")
    assert check.references == ""
