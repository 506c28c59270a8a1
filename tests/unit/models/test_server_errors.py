"""Errors as servers write them: in which words, of which field, and whether another try may mend it."""

from __future__ import annotations

import json

from tunegate.harness.models.served.server_errors import (
    Said,
    is_exhausted,
    is_filtered,
    is_of_prompt,
    is_unfinished,
    read_error,
    says_again,
)

UNKNOWN = 'Invalid JSON payload received. Unknown name "top_k": Cannot find field.'
BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
FILTER = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."


def read(body: object) -> Said:
    text = body if isinstance(body, str) else json.dumps(body)
    return read_error(None if isinstance(body, str) else body, text)


def error(message: object, kind: str | None = None, param: str | None = None, code: object = None) -> dict:
    """As OpenAI writes one."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


FORMS = {
    "OpenAI": (
        error("Unsupported parameter: 'max_tokens'.", "invalid_request_error", "max_tokens", "unsupported_parameter"),
        Said("Unsupported parameter: 'max_tokens'.", "max_tokens", "unsupported_parameter", 0, True),
    ),
    "OpenAI, no code": (
        error("Unrecognized request argument supplied: top_k", "invalid_request_error"),
        Said("Unrecognized request argument supplied: top_k", "", "invalid_request_error", 0, True),
    ),
    "Anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        Said("Overloaded", "", "overloaded_error", 0, True),
    ),
    "LiteLLM": (
        error(f"litellm.BadRequestError: AnthropicException - {BOTH}", None, None, "400"),
        Said(f"litellm.BadRequestError: AnthropicException - {BOTH}", "", "", 400, True),
    ),
    "vLLM": (
        error("This model's maximum context length is 4096 tokens.", "BadRequestError", None, 400),
        Said("This model's maximum context length is 4096 tokens.", "", "BadRequestError", 400, True),
    ),
    "vLLM before 0.10": (
        {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "param": None,
         "code": 404},
        Said("The model `m` does not exist.", "", "NotFoundError", 404),
    ),
    "llama.cpp": (
        {"error": {"code": 400, "message": "the request exceeds the available context size",
                   "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}},
        Said("the request exceeds the available context size", "", "exceed_context_size_error", 400, True),
    ),
    "Google": (
        [{"error": {"code": 400, "message": UNKNOWN, "status": "INVALID_ARGUMENT", "details": []}}],
        Said(UNKNOWN, "", "", 400, True),
    ),
    "Mistral": (
        {"object": "error", "message": {"detail": [
            {"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted", "input": -1},
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 0},
        ]}, "type": "invalid_request_error", "param": None, "code": None},
        Said("Extra inputs are not permitted: ['body', 'top_k']", "top_k"),
    ),
    "FastAPI": (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "min_p"], "msg": "Extra inputs are not permitted"}]},
        Said("Extra inputs are not permitted: ['body', 'min_p']", "min_p"),
    ),
    "FastAPI, a text": ({"detail": "Not authenticated"}, Said("Not authenticated")),
    "xAI": (
        {"code": "Client specified an invalid argument",
         "error": "Argument not supported on this model: presencePenalty"},
        Said("Argument not supported on this model: presencePenalty", "", "Client specified an invalid argument", 0,
             True),
    ),
    "OpenRouter": (
        {"error": {"message": "Provider returned error", "code": 429, "metadata": {
            "raw": "z-ai/glm is temporarily rate-limited upstream", "provider_name": "BaseTen"}}, "user_id": "user_1"},
        Said("Provider returned error: z-ai/glm is temporarily rate-limited upstream", "", "", 429, True),
    ),
    "Ollama": ({"error": "model 'm' not found"}, Said("model 'm' not found", "", "", 0, True)),
    "a page": ("<html>502 Bad Gateway</html>", Said("<html>502 Bad Gateway</html>")),
    "nothing": ("", Said("")),
    "an object without a message": ({"status": "ok"}, Said("{'status': 'ok'}")),
    "no list of errors": ([], Said("[]")),
    "an answer": ({"error": None, "choices": [], "message": "Hi"}, Said("Hi")),
    "a number for a message": (error(7), Said("7", "", "", 0, True)),
    "a long number for a code": (error("no", None, None, 10**20), Said("no", "", str(10**20), 0, True)),
}  # fmt: skip


def test_an_error_is_read_in_the_forms_that_servers_write():
    for body, said in FORMS.values():
        assert read(body) == said


def test_an_account_that_has_to_pay_first_is_known():
    for status, body in [
        (429, error("You exceeded your current quota.", "insufficient_quota", None, "insufficient_quota")),
        (429, error("You exceeded your current quota.", "insufficient_quota", None, "429")),
        (429, {"error": {"type": "exceeded_current_quota_error", "message": "Your account is not active"}}),
        (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}),
        (402, {"error": {"message": "Insufficient credits", "code": 402}}),
    ]:
        assert is_exhausted(status, read(body))


def test_a_limit_for_a_while_is_none_that_has_to_be_paid():
    said = read(error("Rate limit reached for gpt-5", "tokens", None, "rate_limit_exceeded"))
    assert not is_exhausted(429, said)
    assert says_again(429, {})


FILTERED = [
    error(FILTER, None, "prompt", "content_filter"),
    error(f"litellm.ContentPolicyViolationError: AzureException - {FILTER}", None, None, "400"),
    error("Invalid prompt: your prompt was flagged", "invalid_request_error", None, "invalid_prompt"),
]
LONG = [
    error("This model's maximum context length is 8192 tokens.", "invalid_request_error", "messages",
          "context_length_exceeded"),
    error("Input tokens exceed the configured limit.", "invalid_request_error", "messages", "context_length_exceeded"),
    error("This model's maximum context length is 4096 tokens.", "BadRequestError", None, 400),
    error("litellm.ContextWindowExceededError: prompt is too long: 210000 tokens > 200000 maximum", None, None, "400"),
    {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context "
     "length", "type": "invalid_request_error"},
    [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed "
                "(1048576).", "status": "INVALID_ARGUMENT"}}],
    {"code": "Client specified an invalid argument",
     "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."},
    FORMS["llama.cpp"][0],
]  # fmt: skip
UNFINISHED = error(
    "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher "
    "max_tokens.", "invalid_request_error",
)  # fmt: skip


def test_a_filter_is_known_by_its_code_or_its_words():
    for body in FILTERED:
        assert is_filtered(read(body))


def test_what_is_of_the_prompt_is_not_taken_for_a_mistake_in_the_fields():
    for body in [*FILTERED, *LONG, UNFINISHED]:
        assert is_of_prompt(read(body))


def test_a_field_that_is_refused_is_not_of_the_prompt():
    for name in ["OpenAI", "LiteLLM", "Google", "Mistral", "xAI"]:
        assert not is_of_prompt(read(FORMS[name][0]))


def test_a_reasoning_that_took_all_tokens_is_known():
    assert is_unfinished(read(UNFINISHED))
    assert not is_unfinished(read(LONG[0]))


def test_what_passes_is_asked_again():
    for status in [408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529]:
        assert says_again(status, {})
        assert not says_again(status, {"x-should-retry": "False"})


def test_what_does_not_is_not():
    for status in [301, 400, 401, 402, 403, 404, 413, 422, 451, 501, 505]:
        assert not says_again(status, {})
        assert says_again(status, {"x-should-retry": "true"})
