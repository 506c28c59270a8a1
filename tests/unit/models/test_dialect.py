"""Which field an error means, as servers write it, and what a request is then asked without."""

from __future__ import annotations

import pytest

from tunegate.harness.models.served.dialect import FURTHER, OPTIONAL, PENALTIES, Dialect
from tunegate.harness.models.served.server_errors import Said, read_error

BODY = {
    "model": "m", "max_tokens": 12, "temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "seed": 0, "stop": None, "n": 1, "stream": False, **FURTHER, "reasoning_effort": "low",
}  # fmt: skip
STANDARD = Dialect(frozenset(FURTHER))
CLAUDE = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


def said(message: str, param: str | None = None) -> Said:
    """As OpenAI writes an error, read."""
    return read_error({"error": {"message": message, "type": "invalid_request_error", "param": param}}, "")


def test_every_field_is_asked_for_at_first():
    assert Dialect().fields(BODY) == BODY


def test_what_a_server_does_not_take_is_left_out_and_nothing_else():
    assert Dialect(frozenset({"top_k", "seed"})).fields(BODY) == {
        name: value for name, value in BODY.items() if name not in ("top_k", "seed")
    }


def test_the_bound_of_an_answer_has_the_name_that_the_server_knows():
    fields = Dialect(limit="max_completion_tokens").fields(BODY)
    assert fields["max_completion_tokens"] == 12
    assert "max_tokens" not in fields


NAMED = {
    "OpenAI": (said("Unknown parameter: 'top_k'.", "top_k"), "top_k"),
    "OpenAI, several": (said("Unrecognized request arguments supplied: min_p, repeat_penalty"), "min_p"),
    "OpenAI, a value": (
        said("Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is "
             "supported.", "temperature"),
        "temperature",
    ),
    "OpenAI, no param": (said("Unsupported parameter: 'top_p' is not supported with this model."), "top_p"),
    "a penalty": (said("Unsupported parameter: 'presence_penalty'.", "presence_penalty"), "presence_penalty"),
    "Google": (said('Invalid JSON payload received. Unknown name "seed": Cannot find field.'), "seed"),
    "Google, several": (
        said('Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.\n'
             'Invalid JSON payload received. Unknown name "top_k": Cannot find field.'),
        "top_k",
    ),
    "xAI": (said("Argument not supported on this model: presencePenalty"), "presence_penalty"),
    "xAI, a word": (said("Argument not supported on this model: stop"), "stop"),
    "xAI, later": (said("Model grok-4.6 does not support parameter frequencyPenalty."), "frequency_penalty"),
    "FastAPI": (
        read_error({"detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]}, ""), "n",
    ),
    "Mistral, JSON in a message": (
        said('{"detail":[{"type":"extra_forbidden","loc":["body","frequency_penalty"],"msg":"Extra inputs"}]}'),
        "frequency_penalty",
    ),
    "Claude": (said(CLAUDE), "top_p"),
    "Moonshot": (said("invalid temperature: only 1 is allowed for this model"), "temperature"),
    "OpenRouter": (
        read_error({"error": {"message": "Provider returned error", "code": 400, "metadata": {
            "raw": '{"error":{"message":"Unsupported parameter: \'top_p\'"}}'}}}, ""),
        "top_p",
    ),
}  # fmt: skip


def test_the_field_that_an_error_names_is_left_out_alone():
    for error, name in NAMED.values():
        assert Dialect().after(error) == Dialect(frozenset({name}))


@pytest.mark.parametrize(
    "error",
    [
        said("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
             "instead.", "max_tokens"),
        said("'max_tokens' is not supported with this model"),
    ],
)  # fmt: skip
def test_a_bound_that_is_refused_has_its_newer_name(error):
    further = STANDARD.after(error)
    assert further == Dialect(frozenset(FURTHER), "max_completion_tokens")
    assert further.after(error) is None


def test_words_that_are_no_names_of_fields_name_none():
    for words in [
        "Please stop sending n requests", "the seed of doubt", "streaming is fine", "Oops",
    ]:  # fmt: skip
        assert Dialect().after(said(words)) == STANDARD


def test_an_error_without_a_name_leaves_out_what_matters_least_and_ends_there():
    steps, error = [Dialect()], said("bad request")
    while further := steps[-1].after(error):
        steps.append(further)

    assert [str(each) for each in steps] == [
        "every field", "standard fields",
        "standard fields but presence_penalty, frequency_penalty, seed, stop, n, stream",
    ]  # fmt: skip
    assert {"temperature", "top_p", "max_tokens"} <= steps[-1].fields(BODY).keys()


def test_a_server_that_refuses_whatever_it_is_asked_is_asked_a_bounded_number_of_times():
    steps = [Dialect()]
    for name in (*OPTIONAL, "max_tokens", "max_tokens"):
        further = steps[-1].after(said("no", name))
        if further is None:
            break
        steps.append(further)

    assert len(steps) == 1 + len(OPTIONAL) + 1
    assert steps[-1].fields(BODY) == {"model": "m", "max_completion_tokens": 12, "reasoning_effort": "low"}


def test_a_field_that_was_left_out_already_is_not_left_out_again():
    assert STANDARD.after(said("Unknown parameter: 'top_k'.", "top_k")) == Dialect(
        frozenset({*FURTHER, *PENALTIES, "seed", "stop", "n", "stream"})
    )


def test_a_record_says_which_fields_were_set():
    for dialect, text in [
        (Dialect(), "every field"),
        (STANDARD, "standard fields"),
        (Dialect(frozenset({"top_k", "seed"})), "every field but top_k, seed"),
        (
            Dialect(frozenset({*FURTHER, *PENALTIES, "temperature", "top_p"}), "max_completion_tokens"),
            "standard fields but presence_penalty, frequency_penalty, top_p, temperature; max_completion_tokens",
        ),
    ]:
        assert str(dialect) == text
