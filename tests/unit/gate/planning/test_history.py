"""What earlier runs tell of a unit, from records and baseline files on disk."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import LOCAL, record, save, units_of, write_desk, write_policy
from tests.unit.statistics.test_paired import cases
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.gate.planning.history import Past, Seen, find_past, look_up, model_folders, observed
from tunegate.harness.gate.planning.plan import plan_units
from tunegate.harness.gate.rule import compare
from tunegate.harness.models.evaluation.record import Noise, Record, read_record
from tunegate.harness.statistics.paired import wilson
from tunegate.harness.statistics.sample_size import BOUND_LEVEL, flip_rate_bound

T, SLUG = "desk/triage", LOCAL["model"]
BASE, FLIPPED = "1" * 40 + "0" * 20, "0" * 2 + "1" * 38 + "1" * 1 + "0" * 19  # 2 regressed, 1 fixed


class Desk:
    """A unit of 60 cases; what a base and a tuned model made of it."""

    def __init__(self, home: Path, case_keys=None, **more) -> None:
        self.home = home
        write_desk(home / "fixtures", 60, case_keys=case_keys, **more)

    @property
    def tasks(self):
        return load_tasks(self.home / "fixtures")

    @property
    def unit(self):
        return units_of(self.tasks)[T]

    def record(self, scores, **more) -> Record:
        return record(self.tasks, {T: scores}, **more)

    def baseline(self, scores, released: bool = False, **more) -> None:
        save(self.home / "baselines", self.record(scores, **more), list(units_of(self.tasks).values()), released)

    def compared(self, base, tuned) -> Record:
        """A record judged against another, written and read again."""
        judged = compare(self.tasks, self.record(tuned), {"baseline": self.record(base)}, ["desk"])
        judged.write(self.home / "run.json")
        return read_record(self.home / "run.json")

    def seen(self, record: Record | None = None, flip_rate: float | None = None, outputs: int | None = None) -> Seen:
        return look_up(self.unit, find_past(self.home / "baselines", self.tasks, record, flip_rate, outputs))


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def test_without_any_run_the_usual_flip_rate_is_assumed(desk):
    assert desk.seen() == Seen(0.04, "Flip rate 4 %, assumed, as none was measured", None, is_assumed=True)


def test_a_baseline_alone_tells_what_passes(desk):
    desk.baseline(BASE)

    assert desk.seen() == Seen(
        0.04, "Flip rate 4 %, assumed, as none was measured", pytest.approx(40 / 60), True, armed=0
    )


def test_several_answers_a_case_tell_what_is_noise_and_what_more_of_them_would_leave(desk):
    wavering = [tuple(each) for each in ["01", "10", "11", "00"] * 15]
    desk.baseline(wavering)
    desk.baseline(wavering[::-1], released=True)
    seen = desk.seen()
    assert (seen.outputs, seen.noise) == (2, pytest.approx(0.5))  # half of the cases waver: twice .5 x .5

    more = desk.seen(outputs=8)
    assert more.spread == pytest.approx(max(seen.spread - 0.5 * (1 / 2 - 1 / 8), seen.spread / 4))
    assert more.source == f"{seen.source}; for 8 outputs per case"
    assert desk.seen(outputs=1).spread == pytest.approx(seen.spread + 0.5 * (1 - 1 / 2))


def test_more_answers_count_for_nothing_where_their_noise_was_never_measured(desk):
    desk.baseline(BASE)
    desk.baseline(FLIPPED, released=True)
    more = desk.seen(outputs=4)
    assert more.spread == desk.seen().spread
    assert more.source.endswith("; the variance of one model's outputs per case is unknown")


def test_only_critical_cases_that_the_base_passes_are_armed(tmp_path):
    desk = Desk(tmp_path, lambda index: {"critical": index in (0, 1, 50, 51)})
    assert desk.seen().armed is None
    desk.baseline(BASE)
    assert desk.seen().armed == 2
    [plan] = plan_units(desk.tasks, find_past(tmp_path / "baselines", desk.tasks, flip_rate=0.04))
    assert plan.false_alarm == pytest.approx(1 - (1 - 0.02 / (40 / 60)) ** 2)


def test_a_release_and_its_baseline_tell_the_flip_rate(desk):
    desk.baseline(BASE)
    desk.baseline(FLIPPED, released=True)

    seen = desk.seen()

    assert seen.spread == flip_rate_bound(cases(2, 1, 60))
    assert seen.source == "Flip rate 11.9 % at most: 2 regressed, 1 fixed of 60, the last release against the baseline"


def test_a_record_tells_the_flip_rate_before_a_release_does(desk):
    desk.baseline(BASE)
    desk.baseline(BASE, released=True)

    seen = desk.seen(desk.compared(BASE, FLIPPED))

    assert seen == Seen(
        flip_rate_bound(cases(2, 1, 60)),
        "Flip rate 11.9 % at most: 2 regressed, 1 fixed of 60, run.json against the baseline",
        pytest.approx(40 / 60),
        released_rate=pytest.approx(40 / 60),
        armed=0,
        beside="not worse",
    )


def test_the_record_tells_what_passes_where_its_model_has_no_baseline(desk):
    assert desk.seen(desk.compared(BASE, FLIPPED)).rate == pytest.approx(40 / 60)


def test_a_record_is_read_beside_the_baseline_with_the_repeats_that_its_verdict_sums_up(desk):
    thrice = [(1, 1, 1)] * 59
    desk.baseline([(1, 1, 1), *thrice])

    seen = desk.seen(desk.compared([(1, 1, 1), *thrice], [(1, 1, 0), *thrice]))

    assert seen.spread == flip_rate_bound([-1 / 3] + [0.0] * 59)


def test_a_verdict_on_nothing_tells_nothing(desk):
    seen = desk.seen(desk.compared(BASE, "-" + FLIPPED[1:]))  # one case was not scored

    assert "assumed" in seen.source


def test_a_gain_is_not_flip_rate(desk):
    seen = desk.seen(desk.compared("0" * 60, "1" * 50 + "0" * 10))

    assert seen.spread == flip_rate_bound(cases(0, 50, 60)) < 0.1


def test_a_flip_rate_that_is_given_counts_before_all_that_was_measured(desk):
    desk.baseline(BASE)

    seen = desk.seen(desk.compared(BASE, FLIPPED), flip_rate=0.02)

    assert seen == Seen(0.02, "Flip rate 2 %, as given", pytest.approx(40 / 60), armed=0)


def test_a_release_that_answered_other_questions_tells_nothing(desk):
    desk.baseline(BASE)
    other = desk.record(FLIPPED)
    save(
        desk.home / "baselines",
        replace(other, questions={T: {**other.questions[T], "inputs": "others"}}),
        [desk.unit],
        released=True,
    )

    assert "assumed" in desk.seen().source


def test_cases_added_since_do_not_hide_what_was_measured(desk):
    desk.baseline(BASE)
    desk.baseline(FLIPPED, released=True)
    write_desk(desk.home / "fixtures", 90)

    assert "2 regressed, 1 fixed of 60" in desk.seen().source


def test_cases_of_a_group_are_one_observation(tmp_path):
    desk = Desk(tmp_path, case_keys=lambda index: {"group": f"g{index // 3}"})
    half = "0" * 3 + "0" + "1" * 36 + "0" * 20  # one group regressed whole, one in a third

    seen = desk.seen(desk.compared(BASE, half))

    assert seen.spread == flip_rate_bound([-1.0, -1 / 3, *[0.0] * 18])
    assert "2 regressed, 0 fixed of 20" in seen.source


def test_a_case_that_the_fixtures_no_longer_have_is_an_observation_of_its_own(desk):
    assert observed(desk.unit, {"c000": 1.0, "gone": -1.0}) == [1.0, -1.0]


# continuous units


@pytest.fixture
def fluent(desk, monkeypatch) -> Desk:
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], kind="continuous"))
    write_policy(desk.home / "fixtures", triage={"margin": 0.5})
    return desk


def test_continuous_scores_have_no_usual_spread(fluent):
    assert fluent.seen() == Seen(None, "How far scores move was never measured", None)


def test_a_release_tells_how_far_continuous_scores_move(fluent):
    before = [-3.0] * 60
    after = [-3.0 + (0.2 if index % 2 else -0.1) for index in range(60)]
    fluent.baseline(before)
    fluent.baseline(after, released=True)

    seen = fluent.seen()

    assert seen.spread == pytest.approx(statistics.stdev(after))
    assert seen.source.startswith("Standard deviation of the changes 0.151, of 60, ")


def test_a_record_tells_it_beside_the_baseline(fluent):
    before, after = [-3.0] * 60, [-3.0 + (0.2 if index % 2 else -0.1) for index in range(60)]
    fluent.baseline(before)

    seen = fluent.seen(fluent.compared(before, after))

    assert seen.spread == pytest.approx(statistics.stdev(after))
    assert seen.source.endswith("of 60, run.json against the baseline")


def test_a_record_alone_tells_it_by_its_interval(fluent):
    after = [-3.0 + (3.0 if index % 2 else -3.0) for index in range(60)]

    seen = fluent.seen(fluent.compared([-3.0] * 60, after))

    assert seen.spread == pytest.approx(statistics.stdev(after), rel=0.1)
    assert seen.source.endswith("from its interval")


def test_scores_that_all_stayed_tell_nothing(fluent):
    fluent.baseline([-3.0] * 60)
    fluent.baseline([-3.0] * 60, released=True)

    assert fluent.seen().spread is None


# which model


def test_the_folder_of_baselines_and_that_of_a_model_both_do(desk):
    desk.baseline(BASE)
    every = desk.home / "baselines"

    run = desk.compared(BASE, FLIPPED)

    assert find_past(every, desk.tasks) == find_past(every / SLUG, desk.tasks) == Past(folder=every / SLUG)
    assert find_past(every, desk.tasks, run) == find_past(every / SLUG, desk.tasks, run) == Past(run, every / SLUG)


def test_of_several_models_one_must_be_named(desk):
    desk.baseline(BASE)
    other = desk.record(BASE)
    subject = {**other.fingerprint["subject"], "model": "other-1"}
    save(desk.home / "baselines", replace(other, fingerprint={**other.fingerprint, "subject": subject}), [desk.unit])

    with pytest.raises(UsageError, match=rf"found those of other-1, {SLUG}; name one: --baselines=baselines/other-1"):
        desk.seen()
    assert [folder.name for folder in model_folders(desk.home / "baselines", desk.tasks)] == ["other-1", SLUG]
    assert desk.seen(desk.compared(BASE, FLIPPED)).rate == pytest.approx(40 / 60)  # a record names it


def test_baselines_of_other_units_are_nobodys(desk):
    (desk.home / "baselines" / SLUG / "shop").mkdir(parents=True)
    (desk.home / "baselines" / SLUG / "shop" / "orders.json").write_text("{}")

    assert find_past(desk.home / "baselines", desk.tasks) == Past()


def test_a_record_that_was_not_judged_against_anything_is_refused(desk):
    desk.record(BASE).write(desk.home / "run.json")

    with pytest.raises(Refused, match=r"run\.json: expected a record evaluated with --tg-against, found no verdict"):
        desk.seen(read_record(desk.home / "run.json"))


def test_a_damaged_baseline_is_refused(desk):
    desk.baseline(BASE)
    path = desk.home / "baselines" / SLUG / f"{T}.json"
    path.write_text(path.read_text()[:-20])

    with pytest.raises(Refused, match="damaged"):
        desk.seen()


def test_a_flip_rate_that_is_no_share_is_a_usage_error(desk):
    for flip_rate in [-0.1, 1.0, 4.0, float("nan")]:
        with pytest.raises(
            UsageError, match=r"--flip-rate: expected a share from 0 to below 1, such as \.04 for 4 %, found"
        ):
            desk.seen(flip_rate=flip_rate)


def test_what_flips_by_itself_is_the_least_flip_rate_there_can_be(desk):
    flips = tuple(f"c{index:03}" for index in range(6))
    noise = Noise(60, 9, flips)
    desk.baseline(BASE, noise={T: noise})

    assert desk.seen() == Seen(
        wilson(6, 60, BOUND_LEVEL).upper,
        "Flip rate 18.2 % at most: 6 of 60 flip when the base is re-run",
        pytest.approx(40 / 60),
        noise=pytest.approx(0.1),
        armed=0,
    )
    assert desk.seen(flip_rate=0.01).spread == 0.01


def test_a_larger_flip_rate_that_was_measured_or_assumed_stands(desk):
    desk.baseline(BASE, noise={T: Noise(60, 9, ())})
    assert desk.seen().is_assumed
    desk.baseline(BASE, noise={T: Noise(60, 9, ("c000",))})
    desk.baseline("0" * 6 + BASE[6:54] + "1" * 6, released=True)

    assert "6 regressed, 6 fixed of 60" in desk.seen().source


def test_a_case_of_a_group_that_flips_is_a_part_of_one_observation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path, case_keys=lambda index: {"group": f"g{index // 2}"})
    desk.baseline(BASE, noise={T: Noise(60, 9, tuple(f"c{index:03}" for index in range(12)))})

    assert "6 of 30 flip when the base is re-run" in desk.seen().source
