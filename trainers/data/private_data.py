"""Secrets and personal data in rows: a model may recite what it was trained on.

Keys and tokens are found by detect-secrets, phone numbers by phonenumbers, account and identity numbers by their check
digits (python-stdnum). Names, streets and order numbers are not looked for: they are what support rows are made of.
"""

from __future__ import annotations

import functools
import importlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.progress import Watch
from tunegate.harness.text.encodings import decodings
from tunegate.trainers.config.recipe import DROP, REFUSE, Recipe
from tunegate.trainers.data.examples import Example

SHOWN = 5
#: Detectors of detect-secrets that take order numbers, versions and ordinary words for secrets.
TOO_LOUD = frozenset(
    {
        "Base64 High Entropy String",
        "Hex High Entropy String",
        "Secret Keyword",
        "Public IP (ipv4)",
        "Cloudant Credentials",
    }
)
#: Keys that it does not know yet, by the prefixes that their makers publish, and passwords that somebody tells.
_KEYS: Mapping[str, Any] = {
    "Hugging Face token": regex.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "Google API key": regex.compile(r"\bAIza[\w-]{35}"),
    "Anthropic API key": regex.compile(r"\bsk-ant-[\w-]{20,}"),
    "OpenAI API key": regex.compile(r"\bsk-(?:proj|svcacct|admin)-[\w-]{20,}"),
    "GitHub token": regex.compile(r"\bgithub_pat_\w{22,}"),
    "password": regex.compile(
        r"(?i)\b(?:password|passwd|passphrase|pwd|api[ _-]?key|secret key|access token)\s{0,3}(?:is|=|:)\s{0,3}"
        r"[\"'`]?(?=\S*\d)(?=\S*[a-zA-Z])[^\s\"'`]{6,}"
    ),
}
_EMAIL = regex.compile(r"(?<![:/])\b([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})")
_RESERVED = regex.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$")  # RFC 2606
#: Mailboxes of a role (RFC 2142 and those in use), which are nobody's own.
ROLES = frozenset(
    {
        "info",
        "sales",
        "support",
        "help",
        "service",
        "contact",
        "office",
        "hello",
        "team",
        "billing",
        "accounts",
        "orders",
    }
    | {"press", "privacy", "security", "abuse", "postmaster", "webmaster", "hostmaster", "admin", "noreply", "no-reply"}
)
_DIGITS = regex.compile(r"(?<![\p{L}\p{N}+])(?:\d[ -]?){12,18}\d(?![\p{L}\p{N}])")
_CARD = regex.compile(r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}")
_IBAN = regex.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
#: Numbers of a person, by form and by the module of python-stdnum that checks their digits.
_PERSONS: Sequence[tuple[str, Any, str]] = (
    ("US social security number", regex.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), "stdnum.us.ssn"),
    ("Spanish identity number", regex.compile(r"\b[XYZ]?\d{7,8}-?[A-Z]\b"), "stdnum.es.nif"),
    ("Italian tax code", regex.compile(r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b"), "stdnum.it.codicefiscale"),
    (
        "French social security number",
        regex.compile(r"\b[12] ?\d\d ?\d\d ?\d\d ?\d{3} ?\d{3} ?\d\d\b"),
        "stdnum.fr.nir",
    ),
)
_INSURANCE = regex.compile(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b")
_POSTCODE = regex.compile(r"\d{5}-\d{4}")
#: What is said beside a number that is rung, in the languages of the regions.
_CALL = regex.compile(
    r"\b(?:phone|tel|telephone|mobile|cell|call|ring|dial|text|whatsapp|fax|anrufen|handy|telefon\w*|rufnummer|mobil\w*"
    r"|llam\w+|llám\w+|móvil|teléfono|appel\w*|portable|téléphone\w*|chiam\w+|cellulare|numero)\b",
    regex.IGNORECASE,
)
NEAR = 40  # characters
#: Where numbers without a country code are looked for, written as they are there.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT")


@dataclass(frozen=True, slots=True)
class PrivateData:
    """A secret or a person's data in a row; `found` is shown to nobody whole."""

    row: Example
    kind: str
    found: str

    def __str__(self) -> str:
        return f"{self.row.file}:{self.row.line}: {self.kind} ({self.found[:2]}..., {len(self.found)} characters)"


def find_private_data(rows: Sequence[Example], watch: Watch) -> list[PrivateData]:
    """Every secret and every person's data in rows, each once a row, in their order.

    Raises:
        CouldNotRun: the libraries that find them are not installed.
    """
    found = list[PrivateData]()
    with watch("Looking for secrets and personal data", len(rows)) as done:
        for row in rows:
            texts = [text for text in _texts(row) if text]
            every = dict.fromkeys(each for text in texts for each in _private_in(text))
            found += [PrivateData(row, *each) for each in every]
            done(1)
    return found


def settle_private_data(rows: Sequence[Example], found: Sequence[PrivateData], recipe: Recipe) -> list[Example]:
    """The rows to train on: all of them, or without those that hold private data where the recipe drops them.

    Raises:
        Refused: rows hold some and the recipe neither drops them nor overrides that, or none would be left.
    """
    if found and recipe.private_data == REFUSE:
        raise Refused(_refusal(found, recipe))
    if recipe.private_data != DROP:
        return list(rows)
    holding = {id(each.row) for each in found}
    left = [row for row in rows if id(row) not in holding]
    if not left:
        raise Refused(f"{show_path(recipe.path)}: private_data: expected a row without, found none of {len(rows)}")
    return left


def render_private_data(found: Sequence[PrivateData], recipe: Recipe) -> Iterator[str]:
    """What was found and what becomes of it, a line each; none where nothing was."""
    if found:
        kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(each.kind for each in found).most_common())
        rule = recipe.private_data
        does = rule if isinstance(rule, str) else f"trained on all the same, as the recipe says: {rule['override']}"
        rows = len({id(each.row) for each in found})
        yield f"  secrets and personal data in {rows} {'row' if rows == 1 else 'rows'} ({kinds}): {does}"


def private_data_as_dict(found: Sequence[PrivateData], recipe: Recipe) -> dict[str, Any]:
    """For the training record and the report: which rows hold what, and what the recipe does with them; no values."""
    return {
        "policy": recipe.private_data,
        "rows": len({id(each.row) for each in found}),
        "found": [{"row": f"{each.row.file}:{each.row.line}", "kind": each.kind} for each in found],
    }


def _refusal(found: Sequence[PrivateData], recipe: Recipe) -> str:
    lines = [f"  {each}" for each in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more; --report FILE.json lists them all")
    rows = len({id(each.row) for each in found})
    return (
        f"Training rows with secrets or personal data: {rows}; a model may recite them. Take them out, or write in "
        f"{show_path(recipe.path)} `private_data: drop` to train without these rows or `private_data: {{override: "
        '"the reason"}` to train on them; a secret that stood in a file is best revoked:\n' + "\n".join(lines)
    )


def _texts(row: Example) -> Iterator[str]:
    """What a row teaches and is asked; the system prompt of a unit stands in its fixtures."""
    yield from (text for role, text in row.messages if role != "system" or row.unit is None)
    yield row.output
    yield row.rejected or ""


@functools.lru_cache(maxsize=4096)
def _private_in(text: str) -> tuple[tuple[str, str], ...]:
    """Kind and text of each secret in a text, in what is encoded in it, too."""
    every = [text, *decodings(text, frozenset())]
    return tuple(dict.fromkeys(found for each in every for find in _FINDERS for found in find(each)))


def _keys(text: str) -> Iterator[tuple[str, str]]:
    taken = False
    for detector in _detectors():
        for found in detector.analyze_string(text):
            taken = True
            yield detector.secret_type, str(found)
    for kind, pattern in _KEYS.items() if not taken else ():
        yield from ((kind, found[0]) for found in pattern.finditer(text))


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
    """Whether a number without a country code is written, or called, as one that people ring.

    Nine or ten bare digits are as often an order, a serial number or a postcode (92646-2560 is one, too).
    """
    number = text[start:end]
    if _POSTCODE.fullmatch(number):
        return False
    return not number.isdigit() or number.startswith("0") or bool(_CALL.search(text[max(0, start - NEAR) : end + NEAR]))


def _accounts(text: str) -> Iterator[tuple[str, str]]:
    luhn, iban = need("stdnum.luhn"), need("stdnum.iban")
    for found in _DIGITS.finditer(text):
        digits = regex.sub(r"[ -]", "", found[0])
        if _CARD.fullmatch(digits) and luhn.is_valid(digits):
            yield "card number", found[0]
    for found in _IBAN.finditer(text):
        if iban.is_valid(found[0]):
            yield "IBAN", found[0]


def _identities(text: str) -> Iterator[tuple[str, str]]:
    yield from (("UK national insurance number", found[0]) for found in _INSURANCE.finditer(text))
    for kind, pattern, module in _PERSONS:
        for found in pattern.finditer(text):
            need("stdnum")
            if importlib.import_module(module).is_valid(found[0]):
                yield kind, found[0]


_FINDERS: Sequence[Callable[[str], Iterator[tuple[str, str]]]] = (_keys, _addresses, _phones, _accounts, _identities)
