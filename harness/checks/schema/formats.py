"""JSON Schema formats, asserted in every draft as in the newest; jsonschema-rs knows few in older drafts."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

MAX_TEXT = 2_000  # characters
NAMES = (
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
    "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template",
    "uuid",
)  # fmt: skip


def _format(name: str, kind: Any = jsonschema_rs.Draft202012Validator) -> Callable[[str], bool]:
    is_valid = kind({"format": name}, validate_formats=True).is_valid
    return lambda text: len(text) <= MAX_TEXT and is_valid(text)


FORMATS = {name: _format(name) for name in NAMES}
_older_hostname, _hostname = _format("hostname", jsonschema_rs.Draft6Validator), FORMATS["hostname"]
_idn_hostname = FORMATS["idn-hostname"]

# the newest draft's format refuses the valid r3---sn.example.com; the older ones accept the invalid xn--X
FORMATS["hostname"] = lambda text: _older_hostname(text) and ("xn--" not in text.lower() or _hostname(text))
# RFC 5891, 4.2.1
FORMATS["idn-hostname"] = lambda text: unicodedata.is_normalized("NFC", text) and _idn_hostname(text)

# of the OpenAPI format registry: those that exclude some numbers, unlike `float` and `double`
INTEGERS: Mapping[str, range] = {
    **{f"int{bits}": range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": range(2**bits) for bits in (8, 16, 32, 64)},
}


class Width:
    """A private keyword beside a format of `INTEGERS`: the library asserts formats of texts only."""

    KEYWORD = "x-tunegate-width"

    def __init__(self, _schema: Mapping[str, Any], name: str, _where: list[str | int]) -> None:
        self.allowed = INTEGERS[name]

    def validate(self, value: Any) -> None:
        """Raise ValueError if a number exceeds the width; 1.0 is whole, as elsewhere in JSON Schema."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and (int(value) != value or int(value) not in self.allowed):
            raise ValueError
