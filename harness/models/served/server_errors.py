"""What servers say of an error: in which words, of which field, and whether another try may mend it."""

from __future__ import annotations

import re
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
FILTERS = re.compile("ContentPolicyViolation|content management policy")  # the same by way of a proxy
#: By code or in words: a prompt that is longer than the model reads.
TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
LONG = re.compile("context.?(length|window|size)|maximum (prompt length|number of tokens)|prompt is too long", re.I)
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
    """Read a body, `found` in the JSON of `text`, in the forms of OpenAI, FastAPI, Google, Mistral and xAI."""
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
    status = int(str(code)) if re.fullmatch(r"[45]\d\d", str(code)) else 0  # many tell the status again as their code
    word = inner.get("type") if status else code or inner.get("type")
    return Said(
        f"{message}{_reason(inner)}", str(inner.get("param") or ""), str(word or ""), status, bool(error)
    )  # fmt: skip


def _reason(error: Mapping[str, Any]) -> str:
    """What the server behind a gateway said, where the gateway's own message only tells that it failed."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f": {raw}" if isinstance(raw, str) else ""


def is_exhausted(status: int, said: Said) -> bool:
    """Whether the account has to pay first."""
    return status == PAYMENT or said.code in EXHAUSTED


def is_filtered(said: Said) -> bool:
    """Whether a filter kept the prompt from the model."""
    return said.code in FILTERED or bool(FILTERS.search(said.message))


def is_unfinished(said: Said) -> bool:
    """Whether the reasoning took all the tokens, so that no answer began."""
    return UNFINISHED in said.message


def is_of_prompt(said: Said) -> bool:
    """Whether it is the prompt or the room for its answer that will not do, not the form of the request."""
    is_long = said.code in TOO_LONG or bool(LONG.search(said.message))
    return is_long or is_filtered(said) or is_unfinished(said)


def says_again(status: int, headers: Mapping[str, str]) -> bool:
    """Whether another try may mend an error; a server may say so itself."""
    if (own := headers.get("x-should-retry", "").lower()) in ("true", "false"):
        return own == "true"
    return status in PASSING or (status >= 500 and status not in NEVER)
