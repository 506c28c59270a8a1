"""Secrets and personal data in a text.

detect-secrets finds keys and tokens, phonenumbers phone numbers, and python-stdnum account and identity numbers by
their check digits. Names, streets and order numbers are ignored: support texts consist of them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import regex

from tunegate.harness.core.extras import need
from tunegate.harness.rows.privacy.encodings import decodings

#: Detectors of detect-secrets with false positives on order numbers, versions and ordinary words.
TOO_LOUD = frozenset({
    "Base64 High Entropy String", "Hex High Entropy String", "Secret Keyword", "Public IP (ipv4)",
    "Cloudant Credentials",
})  # fmt: skip
#: Spaces and hyphens that do not break, as between the groups of a number on a web page.
_PLAIN = str.maketrans(dict.fromkeys("\u00a0\u2007\u2009\u202f", " ") | dict.fromkeys("\u2010\u2011", "-"))
PREFIX = 6  # characters; what a pattern of detect-secrets captures is then no whole secret
#: Keys that detect-secrets does not know yet, by the prefixes that their issuers publish, and passwords in sentences.
_KEYS: Mapping[str, Any] = {
    "Hugging Face token": regex.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "Google API key": regex.compile(r"\bAIza[\w-]{35}"),
    "Anthropic API key": regex.compile(r"\bsk-ant-[\w-]{20,}"),
    "OpenAI API key": regex.compile(r"\bsk-(?:proj|svcacct|admin)-[\w-]{20,}"),
    "GitHub token": regex.compile(r"\bgithub_pat_\w{22,}"),
    "password": regex.compile(
        r"(?i)\b(?:password|passwd|passphrase|pwd|api[ _-]?key|secret key|access token)\s{0,3}(?:is|=|:)\s{0,3}"
        r"[\"'`]?\K(?=\S*\d)(?=\S*[a-zA-Z])[^\s\"'`]{6,}"
    ),
}
_EMAIL = regex.compile(r"(?<!/|://[^\s/@]{1,128})\b([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})")
_RESERVED = regex.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$")  # RFC 2606
#: Mailboxes of a role (RFC 2142 and other common ones), not of a person.
ROLES = frozenset({
    "info", "sales", "support", "help", "service", "contact", "office", "hello", "team", "billing", "accounts",
    "orders", "press", "privacy", "security", "abuse", "postmaster", "webmaster", "hostmaster", "admin", "noreply",
    "no-reply",
})  # fmt: skip
_DIGITS = regex.compile(r"(?<![\p{L}\p{N}+])(?:\d[ -]?){12,18}\d(?![\p{L}\p{N}])")
_CARD = regex.compile(r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}")
_NO_GROUPS = str.maketrans("", "", " -")
SHORTEST = 13  # characters of a card number; an IBAN has 15
_IBAN = regex.compile(r"(?i)\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
#: Numbers of a person: the pattern, and the module of python-stdnum that checks the digits.
_PERSONS: Sequence[tuple[str, Any, str]] = (
    ("US social security number", regex.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), "stdnum.us.ssn"),
    ("Spanish identity number", regex.compile(r"\b[XYZ]?\d{7,8}-?[A-Z]\b"), "stdnum.es.nif"),
    ("Italian tax code", regex.compile(r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b"), "stdnum.it.codicefiscale"),
    ("French social security number", regex.compile(r"\b[12](?: ?\d\d){3}(?: ?\d{3}){2} ?\d\d\b"), "stdnum.fr.nir"),
)
_INSURANCE = regex.compile(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b")
_POSTCODE = regex.compile(r"\d{5}-\d{4}")
#: Words beside a phone number, in the languages of the regions.
_CALL = regex.compile(
    r"\b(?:phone|tel|telephone|mobile|cell|call|ring|dial|text|whatsapp|fax|anrufen|handy|telefon\w*|rufnummer|mobil\w*"
    r"|llam\w+|llám\w+|móvil|teléfono|appel\w*|portable|téléphone\w*|chiam\w+|cellulare|numero)\b",
    regex.IGNORECASE,
)
NEAR = 40  # characters
#: Regions for numbers without a country code, in their usual notation.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT")


def squeezed(text: str) -> str:
    """The letters and digits of a text, so that a number is the same in any grouping."""
    return "".join(each for each in text.casefold() if each.isalnum())


@functools.lru_cache(maxsize=4096)
def value_digest(value: str, salt: str) -> str:
    """A salted digest that recognizes a secret: scrypt (hex), slow, since phone numbers are easy to guess."""
    found = hashlib.scrypt(squeezed(value).encode(), salt=salt.encode(), n=2**15, r=8, p=1, maxmem=2**26)
    return found.hex()


@functools.lru_cache(maxsize=4096)
def find_private(text: str) -> tuple[tuple[str, str], ...]:
    """Kind and text of each secret and each piece of personal data in a text, encoded ones included.

    Raises:
        CouldNotRun: the detectors' libraries are not installed.
    """
    every = [each.translate(_PLAIN) for each in (text, *decodings(text, frozenset()))]
    return tuple(dict.fromkeys(found for each in every for find in _FINDERS for found in find(each)))


def private_kinds(text: str) -> list[str]:
    """The kinds of secrets and personal data in a text, for messages that must not show them.

    Raises:
        CouldNotRun: the detectors' libraries are not installed.
    """
    return sorted({kind for kind, _ in find_private(text)})


def _keys(text: str) -> Iterator[tuple[str, str]]:
    found = [(each.secret_type, secret) for each in _detectors() for secret in _secrets(each, text)]
    yield from found
    known = " ".join(secret for _, secret in found)
    for kind, pattern in _KEYS.items():
        yield from ((kind, each[0]) for each in pattern.finditer(text) if each[0] not in known)


def _secrets(detector: Any, text: str) -> Iterator[str]:
    """The secrets that a detector finds, each whole: some of its patterns capture only a prefix such as `ghp`."""
    yield from (found for found in map(str, detector.analyze_string(text)) if len(found) > PREFIX)
    for pattern in detector.denylist:
        for found in pattern.finditer(text) if pattern.groups else ():
            if max(len(group or "") for group in found.groups()) <= PREFIX:
                yield found[0]


@functools.cache
def _detectors() -> list[Any]:
    known = need("detect_secrets.core.plugins.util").get_mapping_from_secret_type_to_class()
    return [make() for kind, make in sorted(known.items()) if kind not in TOO_LOUD]


def _addresses(text: str) -> Iterator[tuple[str, str]]:
    for found in _EMAIL.finditer(text):
        mailbox, host = found[1].casefold(), found[2].casefold()
        if mailbox not in ROLES and not _RESERVED.search(host):
            yield "e-mail address", found[0]


def _phones(text: str) -> Iterator[tuple[str, str]]:
    phonenumbers = need("phonenumbers")
    kinds = phonenumbers.PhoneNumberType
    own = (kinds.MOBILE, kinds.FIXED_LINE, kinds.FIXED_LINE_OR_MOBILE, kinds.PERSONAL_NUMBER)
    seen: set[int] = set()
    for region in (None, *REGIONS):
        leniency = phonenumbers.Leniency.STRICT_GROUPING if region else phonenumbers.Leniency.VALID
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency):
            if match.start in seen or phonenumbers.number_type(match.number) not in own:
                continue
            if not region or _is_a_call(text, match.start, match.end):
                seen.add(match.start)
                yield "phone number", match.raw_string


def _is_a_call(text: str, start: int, end: int) -> bool:
    """Whether a number without a country code is written or introduced as a phone number.

    Nine or ten bare digits are as often an order, a serial number or a postcode (such as 92646-2560).
    """
    number = text[start:end]
    if _POSTCODE.fullmatch(number):
        return False
    return not number.isdigit() or number.startswith("0") or bool(_CALL.search(text[max(0, start - NEAR) : end + NEAR]))


def _accounts(text: str) -> Iterator[tuple[str, str]]:
    luhn, iban = need("stdnum.luhn"), need("stdnum.iban")

    def is_card(run: str) -> bool:
        digits = run.translate(_NO_GROUPS)
        return bool(_CARD.fullmatch(digits)) and luhn.is_valid(digits)

    for kind, pattern, is_valid in (("card number", _DIGITS, is_card), ("IBAN", _IBAN, iban.is_valid)):
        for found in pattern.finditer(text, overlapped=True):
            yield from ((kind, run) for run in islice(filter(is_valid, _without_last_groups(found[0])), 1))


def _without_last_groups(run: str) -> Iterator[str]:
    """A run of groups, and the same without its last ones, which may be of another kind: `12/26`, `BIC`."""
    while len(run) >= SHORTEST:
        yield run
        run = run[: max(run.rfind(" "), run.rfind("-"), 0)]


def _identities(text: str) -> Iterator[tuple[str, str]]:
    yield from (("UK national insurance number", found[0]) for found in _INSURANCE.finditer(text))
    for kind, pattern, module in _PERSONS:
        for found in pattern.finditer(text):
            need("stdnum")
            if importlib.import_module(module).is_valid(found[0]):
                yield kind, found[0]


_FINDERS: Sequence[Callable[[str], Iterator[tuple[str, str]]]] = (_keys, _addresses, _phones, _accounts, _identities)
