"""The formats of JSON Schema, asserted in every draft: one function each, whose time grows in step with the text.

Each is the grammar that the standard names, in ASCII where it is: RFC 3339 (dates and times, durations), 5321 and 6531
(mail), 1123, 5890 and 5893 (hosts), 3986 and 3987 (URIs and IRIs), 6570 (templates), 6901 (pointers), 4122 (UUIDs).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any

import idna

from tunegate.harness.checks.schema.ecma_regex import NotAPattern, translated

MAX_HOST = 253  # characters, as ASCII
MAX_TEXT = 2_000  # characters

_DAY, _SECONDS = 24 * 60, 60
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_CLOCK = r"(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS = r"(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_DURATION = re.compile(rf"P(?:[0-9]+W|{_DAYS}(?:T{_CLOCK})?|T{_CLOCK})")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_ATOM = r"[-A-Za-z0-9!#$%&'*+/=?^_`{|}~{beyond}]+"
_QUOTED = r'"(?:[ !#-\[\]-~{beyond}]|\\[ -~])*"'
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_RELATIVE = re.compile(r"(?:0|[1-9][0-9]*)(#|(?:/.*)?)", re.DOTALL)
_NAME = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*"
_VARIABLE = rf"{_NAME}(?::[1-9][0-9]{{0,3}}|\*)?"
_TEMPLATE = re.compile(
    r"(?:[^\x00-\x20\x7f-\x9f\"%<>\\^`{|}\ud800-\udfff]|%[0-9A-Fa-f]{2}"
    rf"|\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
)
_PARTS = re.compile(r"(?:([^:/?#]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_FUTURE = re.compile(r"[Vv][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+")
_PLANES = "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 15))
_BEYOND = f"\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}"  # what an IRI has more than a URI
_PRIVATE = f"\ue000-\uf8ff{chr(0xF0000)}-{chr(0xFFFFD)}{chr(0x100000)}-{chr(0x10FFFD)}"


def conforms(name: str, value: Any) -> bool:
    """Whether `value` has the format `name`, if that says something of such values.

    `FORMATS` speak of texts, of which one of more than `MAX_TEXT` characters has no format, `INTEGERS` of numbers.
    """
    if name in FORMATS and isinstance(value, str):
        return len(value) <= MAX_TEXT and FORMATS[name](value)
    if name in INTEGERS and isinstance(value, int | float) and not isinstance(value, bool):
        return value == (whole := int(value)) and whole in INTEGERS[name]  # 1.0 is whole, as everywhere in JSON Schema
    return True


def _is_date(text: str) -> bool:
    try:
        # both: `fromisoformat` knows the calendar, but also takes 20260131 and 2026-W05-6
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if not found or int(found[3]) < _SECONDS:
        return bool(found)
    shift = int(f"{found[4]}1") * (60 * int(found[5]) + int(found[6])) if found[4] else 0
    return (60 * int(found[1]) + int(found[2]) - shift) % _DAY == _DAY - 1  # leap seconds end the day, in UTC


def _is_date_time(text: str) -> bool:
    return text[10:11] in {"T", "t"} and _is_date(text[:10]) and _is_time(text[11:])


def _is_address(kind: Callable[[str], object], text: str) -> bool:
    try:
        return bool(kind(text)) and "%" not in text  # no zones
    except ValueError:
        return False


def _is_ipv4(text: str) -> bool:
    return _is_address(ipaddress.IPv4Address, text)


def _is_ipv6(text: str) -> bool:
    return _is_address(ipaddress.IPv6Address, text)


def _is_hostname(text: str) -> bool:
    labels = text.split(".")
    coded = [label for label in labels if label[:4].lower() == "xn--"]
    return len(text) <= MAX_HOST and all(map(_LABEL.fullmatch, labels)) and all(map(_coded, coded))


def _is_idn_hostname(text: str) -> bool:
    labels = [_coded(label) for label in _DOTS.split(text)]
    return all(labels) and len(".".join(labels)) <= MAX_HOST and _keep_their_direction(labels)


def _keep_their_direction(labels: list[str]) -> bool:
    """Whether all labels of a host, in ASCII, keep the Bidi rule if one reads right to left (RFC 5893, 2 and 3)."""
    decoded = [idna.ulabel(label) for label in labels]
    if not any(unicodedata.bidirectional(char) in {"R", "AL", "AN"} for label in decoded for char in label):
        return True
    try:
        return all(idna.check_bidi(label, check_ltr=True) for label in decoded)
    except UnicodeError:
        return False


def _is_idn_mail_host(text: str) -> bool:
    # RFC 6531 leaves it to the sender to compose letters and marks; a host name by itself is composed (RFC 5891, 4.2.1)
    return _is_idn_hostname(unicodedata.normalize("NFC", text))


def _coded(label: str) -> str:
    """One label of an internationalised host name as ASCII, or nothing if it is none."""
    try:
        ascii_label = idna.alabel(label) if 0 < len(label) < 64 else b""
        return ascii_label.decode("ascii") if ascii_label and idna.ulabel(ascii_label) else ""
    except UnicodeError:
        return ""


def _mail(beyond: str, is_host: Callable[[str], bool]) -> Callable[[str], bool]:
    atom, quoted = _ATOM.replace("{beyond}", beyond), _QUOTED.replace("{beyond}", beyond)
    local = re.compile(rf"{atom}(?:\.{atom})*|{quoted}")

    def is_mail(text: str) -> bool:
        name, _, domain = text.rpartition("@")
        if domain[:1] == "[":
            inner = domain[1:-1]
            good = domain[-1:] == "]" and (_is_ipv6(inner[5:]) if inner[:5].lower() == "ipv6:" else _is_ipv4(inner))
        else:
            good = is_host(domain)
        return good and bool(local.fullmatch(name))

    return is_mail


class _Uri:
    """URIs, or with `beyond` and `private` characters IRIs, read part by part."""

    def __init__(self, beyond: str = "", private: str = "") -> None:
        plain = f"A-Za-z0-9._~!$&'()*+,;={beyond}"
        self.user, self.name = _made_of(f"{plain}:"), _made_of(plain)
        self.path, self.query = _made_of(f"{plain}:@/"), _made_of(f"{plain}:@/?{private}")
        self.fragment = _made_of(f"{plain}:@/?")

    def absolute(self, text: str) -> bool:
        """Whether `text` is one with a scheme."""
        return _split(text)[0] is not None and self.reference(text)

    def reference(self, text: str) -> bool:
        """Whether `text` is one with a scheme, or relative to one."""
        scheme, authority, path, query, fragment = _split(text)
        return (
            (scheme is None or bool(_SCHEME.fullmatch(scheme)))
            and (authority is None or self._authority(authority))
            and bool(self.path.fullmatch(path or ""))
            and bool(self.query.fullmatch(query or ""))
            and bool(self.fragment.fullmatch(fragment or ""))
        )

    def _authority(self, text: str) -> bool:
        user, at, rest = text.rpartition("@")
        host, colon, port = rest.rpartition(":")
        if not colon or rest.endswith("]"):
            host, port = rest, ""
        if host.startswith("["):
            inner = host[1:-1]
            good = host.endswith("]") and (_is_ipv6(inner) or bool(_FUTURE.fullmatch(inner)))
        else:
            good = bool(self.name.fullmatch(host))
        return (
            good and (not port or (port.isascii() and port.isdigit())) and (not at or bool(self.user.fullmatch(user)))
        )


def _split(text: str) -> list[str | None]:
    """Scheme, authority, path, query and fragment: RFC 3986, appendix B; every text has them."""
    found = _PARTS.fullmatch(text)
    return list(found.groups()) if found else []


def _made_of(characters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[-{characters}]|%[0-9A-Fa-f]{{2}})*")


def _is_relative_pointer(text: str) -> bool:
    found = _RELATIVE.fullmatch(text)
    return found is not None and (found[1] == "#" or bool(_POINTER.fullmatch(found[1])))


def _is_regex(text: str) -> bool:
    try:
        return bool(translated(text))
    except NotAPattern:
        return False


def _is(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: bool(pattern.fullmatch(text))


_URI, _IRI = _Uri(), _Uri(_BEYOND, _PRIVATE)

FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "duration": _is(_DURATION),
    "email": _mail("", _is_hostname),
    "hostname": _is_hostname,
    "idn-email": _mail("\x80-\ud7ff\ue000-\U0010ffff", _is_idn_mail_host),
    "idn-hostname": _is_idn_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "iri": _IRI.absolute,
    "iri-reference": _IRI.reference,
    "json-pointer": _is(_POINTER),
    "regex": _is_regex,
    "relative-json-pointer": _is_relative_pointer,
    "time": _is_time,
    "uri": _URI.absolute,
    "uri-reference": _URI.reference,
    "uri-template": _is(_TEMPLATE),
    "uuid": _is(_UUID),
}

# of the OpenAPI format registry: those of numbers that some numbers do not have, as `float` and `double` do not tell
INTEGERS: dict[str, range] = {
    **{f"int{bits}": range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": range(2**bits) for bits in (8, 16, 32, 64)},
}
