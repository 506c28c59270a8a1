"""Secrets and personal data in rows."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.rows.examples import Example
from tunegate.harness.rows.privacy.detectors import find_private
from tunegate.trainers.config.recipe import Recipe
from tunegate.trainers.config.sections import DROP
from tunegate.trainers.data.private_data import find_private_data, render_private_data, settle_private_data

KEY = "AKIA" + "QYLPMN5HHHFPZAM2"  # in two, so that no scanner takes this file for a leak
PLANTED = {
    "AWS Access Key": f"It says {KEY} on the page.",
    "GitHub Token": "Use ghp" + "_" + "a1B2" * 9,
    "Hugging Face token": "hf" + "_" + "Ab1x" * 9,
    "Anthropic API key": "sk-" + "ant-api03-" + "Ab1x" * 9,
    "OpenAI API key": "sk-" + "proj-" + "Ab1x" * 12,
    "Google API key": "AIza" + "Sy12345" * 5,
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "Basic Auth Credentials": "postgres://bob:" + "s3cretpw@db.internal.io/x",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    + "dozjgNryP4J3jVmNHl0w5N_XgL",
    "Slack Token": "xoxb-" + "123456789012-1234567890123-" + "abcdefghijklmnopqrstuvwx",
    "password": "my password is Tr0ub4dor&3 btw",
    "e-mail address": "Write to mary.okafor@gmail.com, please.",
    "phone number": "Ring me on +44 7911 123456 after six.",
    "card number": "My card is 4539 1488 0343 6467, it expires soon.",
    "IBAN": "Pay it into DE89 3704 0044 0532 0130 00.",
    "US social security number": "My SSN: 536-90-4399.",
    "UK national insurance number": "NI number QQ 12 34 56 C".replace("QQ", "AB"),
}
INNOCENT = (
    "My order 4539-1488-0343-6460 has not come.", "Order 20261127-000184 for Mrs Jane Okafor, 12 Mill Lane.",
    "Serial BX-2291-AAVV-0042, boiler 24 kW, 1.5 bar, part 0020135126.", "Ring 0800 111 999 if you smell gas.",
    "Write to support@hollinvale.com or bob@example.com.", "Ref 123-45-678, case 12345678, visit on 27/11/2026 10:30.",
    "It shows F.28, then 192.168.1.1 and 3.14.159.26.", "I forgot my password and the reset is broken.",
    "391 SAMOA DR HUNTINGTON BEACH CA 92646-2560", "7509 13th Ave, St Petersburg FL 337104509",
    "lot 6065460610 of 61234567",
    "The password is not accepted.", "tracking 1Z999AA10123456784", "sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
)  # fmt: skip


def row(text, line=1, output="{}", **more):
    return Example((("user", text),), text, output, "rows.jsonl", line, **more)


def kinds(*rows):
    return [each.kind for each in find_private_data(rows, quiet())]


def test_each_secret_of_a_text_is_found_whole():
    token = PLANTED["GitHub Token"].removeprefix("Use ")
    found = [("AWS Access Key", KEY), ("GitHub Token", token), ("password", "Tr0ub4dor&3")]

    assert list(find_private(f"{KEY}, {token}, my password is Tr0ub4dor&3")) == found
    assert list(find_private(f"the access token is {token}")) == [found[1]]


def test_what_stands_beside_a_number_or_an_address_hides_none():
    for text, number in [
        ("My card is 4539 1488 0343 6467 12/26, cvc 123.", "4539 1488 0343 6467"),
        ("Order 12 4539-1488-0343-6467", "4539-1488-0343-6467"),
        ("AT61 1904 3002 3457 3201 BIC BKAUATWW", "AT61 1904 3002 3457 3201"),
        ("ES9121000418450200051332 EUR", "ES9121000418450200051332"),
        ("E-mail:mary.okafor@gmail.com", "mary.okafor@gmail.com"),
        ("iban de89370400440532013000", "de89370400440532013000"),
    ]:
        assert [found for _, found in find_private(text)] == [number], text


def test_what_is_private_is_found_wherever_it_stands():
    for kind, text in PLANTED.items():
        assert kinds(row(text)) == [kind]
        assert kinds(row("Hello.", output=json.dumps({"note": text}))) == [kind]
        assert kinds(row("Hello.", rejected=text)) == [kind]


def test_spaces_and_hyphens_that_do_not_break_hide_nothing():
    for kind in ("phone number", "card number", "IBAN", "US social security number", "UK national insurance number"):
        for space in "\u00a0\u2007\u2009\u202f":
            assert kinds(row(PLANTED[kind].replace(" ", space).replace("-", "\u2011"))) == [kind]
    assert kinds(row("4539\u20111488\u20110343\u20116467")) == ["card number"]


def test_a_phone_number_is_written_as_one_or_called_one():
    for text in [
        "(606) 546-0610 before noon", "606-546-0610", "07911 123456", "0151 23456789",
        "llámame al 612345678", "Mobile: 6065460610", "6065460610 is my cell", "+12125552368",
    ]:  # fmt: skip
        assert kinds(row(text)) == ["phone number"]


def test_what_is_encoded_is_found_too():
    assert kinds(row(f"Config: {base64.b64encode(PLANTED['AWS Access Key'].encode()).decode()}")) == ["AWS Access Key"]


def test_names_orders_and_serials_are_what_support_rows_are_made_of():
    for text in INNOCENT:
        assert kinds(row(text)) == []


@pytest.mark.data("trainers/recipes/rows/*.jsonl")
def test_the_demos_rows_hold_nothing_private():
    lines = [
        line for file in (ROOT / "trainers/recipes/rows").glob("*.jsonl") for line in file.read_text().splitlines()
    ]

    assert len(lines) > 900
    assert kinds(*(row(line, at) for at, line in enumerate(lines))) == []


ROWS = [row("Hello."), row(PLANTED["AWS Access Key"], 2)]


def settle(**recipe):
    rule = Recipe(Path("recipe.yaml"), "desk", (), Path("out"), **recipe)
    return settle_private_data(ROWS, find_private_data(ROWS, quiet()), rule), rule


def test_a_row_with_a_secret_is_refused_and_the_secret_is_not_shown():
    with pytest.raises(
        Refused, match=r"Training rows with secrets or personal data: 1; .*`private_data: drop`"
    ) as refused:
        settle()

    assert str(refused.value).endswith("\n  rows.jsonl:2: AWS Access Key (AK..., 20 characters)")
    assert KEY not in str(refused.value)


def test_the_recipe_drops_such_rows_or_says_why_they_stay():
    assert settle(private_data=DROP)[0] == ROWS[:1]
    left, rule = settle(private_data={"override": "a revoked key, for the manual"})

    assert left == ROWS
    assert list(render_private_data(find_private_data(ROWS, quiet()), rule)) == [
        "  secrets and personal data in 1 row (1 AWS Access Key): kept, as overridden in the recipe: "
        "a revoked key, for the manual"
    ]
