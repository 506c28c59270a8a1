"""Whose answers they are, and from which token on they differ."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.records import write_desk
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.models.evaluation.record import Record, Result
from tunegate.harness.release.parity.outputs import output_parity


def words(text: str, add_special_tokens: bool) -> SimpleNamespace:
    return SimpleNamespace(input_ids=text.split())


@pytest.fixture
def units(tmp_path):
    write_desk(tmp_path, 4)
    [task] = load_tasks(tmp_path)
    return task.units


def answered(units, *outputs: str, finish: str = "stop", logprobs: tuple[float, ...] = ()) -> Record:
    cases = [case.key for unit in units for case in unit.cases]
    results = {
        key: Result(False, 0.0, output=output, finish=finish, logprobs=(logprobs,) if logprobs else ())
        for key, output in zip(cases, outputs, strict=True)
    }
    return Record(False, {"subject": {}, "engine": {}}, {}, results, {})


def parity(units, expected: Record, served: Record, *base: str):
    cases = [case.key for unit in units for case in unit.cases]
    plain = {case: Result(False, 0.0, output=each) for case, each in zip(cases, base, strict=False)}
    return output_parity(words, units, expected, served, plain)


GOOD = ("a b c d", "a b c e", "a b c f", "a b c g")


def test_the_earliest_difference_is_told_with_its_case(units):
    found = parity(units, answered(units, *GOOD), answered(units, "a b c d", "a x c e", "a b c f", "a b c"))

    assert list(found.lines()) == [
        "outputs: 2 of 4 the same; on average 75.0 % of an output's tokens come before its first "
        "difference; the earliest difference is at token 2 "
        "of desk/triage/c001"
    ]
    assert found.findings == ()


def test_answers_of_the_base_are_the_bases(units):
    base = ("x", "y", "a b c f", "z")
    found = parity(units, answered(units, *GOOD), answered(units, *base), *base)

    assert [str(each) for each in found.findings] == [
        "adapter-not-applied: the adapter is not applied: 3 of 3 outputs are those of the base without it"
    ]


def test_where_base_and_adapter_answer_alike_nothing_is_told_of_it(units):
    assert parity(units, answered(units, *GOOD), answered(units, *GOOD), *GOOD).findings == ()


def test_answers_that_go_on_behind_their_end_are_named(units):
    on = answered(units, *(f"{each} and on and on" for each in GOOD), finish="length")
    [finding] = parity(units, answered(units, *GOOD), on).findings

    assert finding.rule == "end-of-turn"
    assert finding.message.startswith(
        "outputs do not end: 4 of 4 start with the evaluated output and continue after its end"
    )


def test_answers_that_differ_from_the_start_are_of_other_weights(units):
    [finding] = parity(units, answered(units, *GOOD), answered(units, "q", "r", "s", "a b c h")).findings
    assert str(finding).startswith("other-weights: outputs differ early: on average 18.8 % of an output's tokens")


@pytest.mark.parametrize(("off", "rule"), [(0.01, None), (0.2, "quantised"), (2.0, "other-weights")])
def test_a_drift_of_log_probabilities_is_named_by_its_size(units, off, rule):
    found = parity(
        units, answered(units, *GOOD, logprobs=(-1.0, -2.0)), answered(units, *GOOD, logprobs=(-1.0 - off, -2.0 - off))
    )
    assert [each.rule for each in found.findings] == ([rule] if rule else [])
    assert list(found.lines())[1] == f"log-probabilities: {off:.4f} nats per token apart, {off:.4f} at most (4 texts)"


@pytest.mark.parametrize("off", [0.2, 2.0])
def test_a_drift_of_the_same_weights_is_a_cause_of_its_own(units, off):
    one, other = (answered(units, *GOOD, logprobs=(-1.0 - each, -2.0 - each)) for each in (0.0, off))
    found = output_parity(words, units, one, other, {}, same_weights=True)

    assert [str(each) for each in found.findings] == [
        f"unexplained: log-probabilities are {off:.2f} nats per token apart, although the weights are the evaluated "
        "ones: another setting of the server or of the model (positions, attention, decoding)"
    ]


def test_other_arithmetic_on_the_same_weights_is_no_cause(units):
    one, other = (answered(units, *GOOD, logprobs=(-1.0 - each, -2.0 - each)) for each in (0.0, 0.07))

    assert output_parity(words, units, one, other, {}, same_weights=True).findings == ()


@pytest.mark.parametrize("outputs", [("q", "r", "s", "t"), ("a q q q", "a q q q", "a b q q", "a b q q")])
def test_outputs_that_differ_early_beside_the_same_log_probabilities_are_not_of_other_weights(units, outputs):
    one, other = answered(units, *GOOD, logprobs=(-1.0,)), answered(units, *outputs, logprobs=(-1.001,))
    [finding] = parity(units, one, other).findings

    assert finding.rule == "unexplained"
    assert "although log-probabilities of given texts are the same" in finding.message


@pytest.mark.parametrize(
    ("times", "rule"), [(0.0, "adapter-not-applied"), (0.5, "adapter-scaled"), (1.0, None), (2.0, "adapter-scaled")]
)
def test_a_scaled_adapter_is_named_by_the_way_that_log_probabilities_went(units, times, rule):
    base, part = (-1.0, -2.0, -3.0), (0.4, -0.3, 0.1)
    plain, one, other = (
        answered(units, *GOOD, logprobs=tuple(old + scale * each for old, each in zip(base, part, strict=True)))
        for scale in (0.0, 1.0, times)
    )
    found = output_parity(words, units, one, other, plain.cases).findings

    assert [each.rule for each in found] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("served", "rule"), [((-0.9, -2.1, -3.3), "quantised"), ((-1.0, -2.0, -3.1), "another-adapter")]
)
def test_log_probabilities_that_went_another_way_are_of_no_scaled_adapter(units, served, rule):
    plain, one, other = (
        answered(units, *GOOD, logprobs=each) for each in ((-1.0, -2.0, -3.0), (-0.9, -2.1, -3.0), served)
    )
    [finding] = output_parity(words, units, one, other, plain.cases).findings

    assert finding.rule == rule


def test_outputs_that_end_at_a_text_of_the_server_are_named(units):
    [finding] = parity(units, answered(units, *GOOD), answered(units, "a b", "a b", "a b", "a b c g")).findings

    assert finding.rule == "stop-strings"
    assert finding.message.startswith(
        "outputs end early: 3 of 4 are the beginning of the evaluated output, most often up to ' '"
    )


def test_no_answer_at_all_is_no_difference(units):
    assert parity(units, answered(units, *GOOD), Record(False, {}, {}, {}, {})).of == 0


@pytest.mark.parametrize(("second", "causes"), [("a b c x", []), ("a b c y", ["sampling"])])
def test_a_server_samples_where_the_same_request_alone_has_two_outputs(units, second, causes):
    """Not where it had another one beside other requests: then it rounds otherwise."""
    served = answered(units, "a b c z", *GOOD[1:])
    [first, *_] = served.cases
    found = output_parity(words, units, answered(units, *GOOD), served, {}, again={first: ["a b c x", second]})

    assert [each.rule for each in found.findings] == causes
