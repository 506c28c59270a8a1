"""Errors of servers: the message, the field, and whether a retry may fix them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A retry may fix these, and most from 500 on: a lock, a timeout, an early connection, a limit.
PASSING = (408, 409, 425, 429)
NEVER = (501, 505)  # from 500 on, but permanent
#: Codes or types by which OpenAI, Moonshot and others name an account without credit.
EXHAUSTED = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "exceeded_current_quota_error",
    "insufficient_balance", "credit_limit_reached",
})  # fmt: skip
PAYMENT = 402
UNPAID = "credit balance is too low"  # of Anthropic, with no code of its own
#: Codes by which OpenAI and Azure name a prompt that a filter blocks.
FILTERED = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
FILTERS = re.compile("ContentPolicyViolation|content management policy")  # the same through a proxy
#: Codes or words for a prompt that exceeds the model's context.
TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
LONG = re.compile("context.?(length|window|size)|maximum (prompt length|number of tokens)|prompt is too long", re.I)
UNFINISHED = "model output limit was reached"  # of OpenAI: the reasoning took all tokens, and there is no output


@dataclass(frozen=True, slots=True)
class Said:
    """An error in a body: its message, the field it concerns, its code or type, and the status it names."""

    message: str
    param: str = ""
    code: str = ""
    status: int = 0
    is_error: bool = False


def read_error(found: Any, text: str) -> Said:
    """Read the error in a body, `found` in its JSON `text`, in the forms of OpenAI, FastAPI, Google, Mistral or xAI."""
    if isinstance(found, list) and found:  # Google's has one in a list
        found = found[0]
    if not isinstance(found, dict):
        return Said(text)
    error = found.get("error")
    inner = error if isinstance(error, dict) else found
    said, code = inner.get("message"), inner.get("code")
    detail = (said if isinstance(said, dict) else inner).get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's list of fields
        place = detail[0].get("loc")
        return Said(f"{detail[0].get('msg')}: {place}", str(place[-1]) if isinstance(place, list) and place else "")
    message = said or detail or (error if isinstance(error, str) else None) or inner
    status = int(str(code)) if re.fullmatch(r"[45]\d\d", str(code)) else 0  # many repeat the status as their code
    word = inner.get("type") if status else code or inner.get("type")
    return Said(
        f"{message}{_reason(inner)}", str(inner.get("param") or ""), str(word or ""), status, bool(error)
    )  # fmt: skip


def _reason(error: Mapping[str, Any]) -> str:
    """The message of the server behind a gateway, whose own message only says that it failed."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f": {raw}" if isinstance(raw, str) else ""


def is_exhausted(status: int, said: Said) -> bool:
    """Whether the account has no credit left."""
    return status == PAYMENT or said.code in EXHAUSTED or UNPAID in said.message


def is_filtered(said: Said) -> bool:
    """Whether a filter blocked the prompt."""
    return said.code in FILTERED or bool(FILTERS.search(said.message))


def is_unfinished(said: Said) -> bool:
    """Whether the reasoning took all the tokens, so that there is no output."""
    return UNFINISHED in said.message


def is_of_prompt(said: Said) -> bool:
    """Whether the prompt or the room for its output is the problem, not the form of the request."""
    is_long = said.code in TOO_LONG or bool(LONG.search(said.message))
    return is_long or is_filtered(said) or is_unfinished(said)


def says_again(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a retry may fix an error; the server's own header decides first."""
    if (own := headers.get("x-should-retry", "").lower()) in ("true", "false"):
        return own == "true"
    return status in PASSING or (status >= 500 and status not in NEVER)
