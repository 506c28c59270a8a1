"""What servers say of an error: in which words, of which field, and whether another try may mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Another try may mend these, beside all from 500 on: a lock, a timeout, a connection that is too early, a limit.
PASSING = (408, 409, 425, 429)
NEVER = (501, 505)  # from 500 on, and not for a moment
#: By code or type, as OpenAI, Moonshot and others call an account that has to pay first.
EXHAUSTED = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "exceeded_current_quota_error",
    "insufficient_balance", "credit_limit_reached",
})  # fmt: skip
PAYMENT = 402
#: By code, as OpenAI and Azure call a prompt that a filter keeps from the model.
FILTERED = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
UNFINISHED = "model output limit was reached"  # of OpenAI: the reasoning took all tokens, and no answer began


@dataclass(frozen=True, slots=True)
class Said:
    """An error in a body: its message, the field that it is about, its code or type, and the status that it names."""

    message: str
    param: str = ""
    code: str = ""
    status: int = 0
    is_error: bool = False


def read_error(found: Any, text: str) -> Said:
    """Read a body, `found` in the JSON of `text`, in the forms of OpenAI, FastAPI, Google and xAI."""
    if isinstance(found, list) and found:  # Google's has one in a list
        found = found[0]
    if not isinstance(found, dict):
        return Said(text)
    error = found.get("error")
    inner = error if isinstance(error, dict) else found
    detail = inner.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's list of fields
        place = detail[0].get("loc")
        return Said(f"{detail[0].get('msg')}: {place}", str(place[-1]) if isinstance(place, list) and place else "")
    message = inner.get("message") or detail or (error if isinstance(error, str) else None) or inner
    code = inner.get("code")
    return Said(
        str(message), str(inner.get("param") or ""), str(code or inner.get("type") or ""),
        code if type(code) is int and 400 <= code < 600 else 0, bool(error),
    )  # fmt: skip


def is_exhausted(status: int, said: Said) -> bool:
    """Whether the account has to pay first."""
    return status == PAYMENT or said.code in EXHAUSTED


def is_filtered(said: Said) -> bool:
    """Whether a filter kept the prompt from the model."""
    return said.code in FILTERED


def is_unfinished(said: Said) -> bool:
    """Whether the reasoning took all the tokens, so that no answer began."""
    return UNFINISHED in said.message


def says_again(status: int, headers: Mapping[str, str]) -> bool:
    """Whether another try may mend an error; a server may say so itself."""
    if (own := headers.get("x-should-retry", "").lower()) in ("true", "false"):
        return own == "true"
    return status in PASSING or (status >= 500 and status not in NEVER)
