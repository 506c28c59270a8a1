"""Several greedy answers a case: where they can differ, and what a baseline keeps of having asked twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.records import ENGINE, LOCAL, record, save, write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused
from tunegate.harness.history.baselines.matching import matching
from tunegate.harness.history.baselines.repeats import check_greedy_repeats, kept_noise, known_noise
from tunegate.harness.history.baselines.store import as_reference, baseline_path, read_baseline
from tunegate.harness.models.api import SUPPLIED, Fingerprint
from tunegate.harness.models.evaluation.record import Noise, read_record

T, SLUG = "desk/triage", LOCAL["model"]
WHO = Fingerprint(LOCAL | {"adapter": None}, ENGINE)
NOISE = Noise(3, 2, ("c001",))


@pytest.fixture
def desk(tmp_path):
    write_desk(tmp_path / "fixtures", 3)
    return tmp_path


def units(desk):
    return load_tasks(desk / "fixtures")[0].units


def recorded(desk, scores="110", **more):
    made = record(load_tasks(desk / "fixtures"), {T: scores}, **more)
    return made, save(desk / "baselines", made, units(desk))


def refused(desk, noise, who=WHO, repeats=2):
    with pytest.raises(Refused) as caught:
        check_greedy_repeats(units(desk), repeats, noise, who)
    return str(caught.value)


def test_greedy_repeats_are_refused_where_none_flipped_and_where_nobody_looked(desk):
    needs = "desk/triage: --tg-repeats needs `generate: {temperature: ...}`"

    assert refused(desk, {T: Noise(3, 2, ())}) == (
        f"{needs}; greedy outputs do not vary: of 3 cases re-run none flipped"
    )
    assert refused(desk, {}) == f"{needs}, or greedy outputs that vary, as measured by --tg-record --tg-noise"


@pytest.mark.parametrize(
    "engine",
    [ENGINE | {"dtype": "bfloat16"}, ENGINE | {"device": "cuda"}, {"backend": "vllm"}, {"backend": SUPPLIED}, {}],
)
def test_an_engine_that_may_not_repeat_itself_is_taken_at_its_word_until_it_is_measured(desk, engine):
    who = replace(WHO, engine=engine)

    check_greedy_repeats(units(desk), 2, {}, who)

    assert "none flipped" in refused(desk, {T: Noise(3, 0, ())}, who)


def test_greedy_repeats_are_let_be_where_a_case_flipped_and_where_there_is_one_answer(desk):
    check_greedy_repeats(units(desk), 2, {T: NOISE}, WHO)
    check_greedy_repeats(units(desk), 1, {}, WHO)


def test_sampled_answers_vary_of_themselves(desk):
    write_desk(desk / "fixtures", 3, generate={"temperature": 0.5})

    check_greedy_repeats(units(desk), 2, {}, WHO)


def test_a_baseline_keeps_what_was_measured_and_a_record_too(desk):
    made, _ = recorded(desk, noise={T: NOISE})

    assert read_baseline(baseline_path(desk / "baselines", SLUG, T), T).noise == NOISE
    assert as_reference(matching(desk / "baselines", units(desk), Fingerprint(WHO.subject, ENGINE))).noise == {T: NOISE}
    made.write(desk / "run.json")
    assert read_record(desk / "run.json").noise == {T: NOISE}


def test_a_baseline_without_it_is_as_good(desk):
    recorded(desk)

    baseline = read_baseline(baseline_path(desk / "baselines", SLUG, T), T)

    assert baseline.noise is None
    assert '"noise"' not in baseline.path.read_text()


def test_what_was_measured_is_told_when_it_changes(desk):
    recorded(desk)
    assert (
        "updated: 1 of 3 cases flips on a re-run (c001); 2 outputs differ (" in recorded(desk, noise={T: NOISE})[1][0]
    )
    assert "unchanged" in recorded(desk, noise={T: NOISE})[1][0]
    assert "updated: the number of cases that flip by themselves is no longer known (" in recorded(desk)[1][0]


def test_the_same_answers_keep_it_and_others_lose_it(desk):
    made, _ = recorded(desk, noise={T: NOISE})
    other = record(load_tasks(desk / "fixtures"), {T: "111"})
    root = desk / "baselines"

    assert kept_noise(root, WHO, units(desk), replace(made, noise={})) == {T: NOISE}
    assert kept_noise(root, WHO, units(desk), other) == {}


def test_it_is_known_of_the_same_questions_and_engine_alone(desk):
    recorded(desk, noise={T: NOISE})
    root = desk / "baselines"

    assert known_noise(root, WHO, units(desk)) == {T: NOISE}
    assert known_noise(root, replace(WHO, engine=ENGINE | {"dtype": "bfloat16"}), units(desk)) == {}
    write_desk(desk / "fixtures", 3, generate={"max_new_tokens": 9})
    assert known_noise(root, WHO, units(desk)) == {}


def test_a_record_that_measured_a_unit_it_has_not_is_refused(desk):
    made, _ = recorded(desk)
    replace(made, noise={"desk/other": NOISE}).write(desk / "run.json")

    with pytest.raises(Refused, match="found noise of desk/other, which is not a unit of it"):
        read_record(desk / "run.json")


@pytest.mark.parametrize(("noise", "found"), [
    (Noise(3, 1, ("c009",)), "a flip of desk/triage/c009, which is not a case of it"),
    (Noise(3, 2, ("c001", "c001")), "a case of desk/triage that flips twice"),
    (Noise(0, 0, ("c001",)), "1 flips and 0 other outputs of 0 cases of desk/triage, which has 3"),
    (Noise(4, 1, ("c001",)), "1 flips and 1 other outputs of 4 cases of desk/triage, which has 3"),
    (Noise(3, 4, ("c001",)), "1 flips and 4 other outputs of 3 cases of desk/triage, which has 3"),
])  # fmt: skip
def test_what_nobody_can_have_measured_is_refused(desk, noise, found):
    made, _ = recorded(desk, noise={T: noise})
    made.write(desk / "run.json")

    with pytest.raises(Refused, match=f"whose parts belong together, found {found}; evaluate again"):
        read_record(desk / "run.json")
    with pytest.raises(Refused, match=rf"found a damaged file \({found}\)"):
        read_baseline(baseline_path(desk / "baselines", SLUG, T), T)
