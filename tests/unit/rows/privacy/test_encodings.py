"""Texts in disguise."""

from __future__ import annotations

import base64
import codecs
from urllib.parse import quote_plus

from tunegate.harness.rows.privacy.encodings import decodings

SAYS = "My boiler drips since Tuesday, what should we do now?"
KNOWN = {"my", "boiler", "drips", "since", "tuesday", "what", "should", "we", "do", "now", "a", "in", "so"}
PLAIN = SAYS.encode()
SMALL = str.maketrans("abcdehilmnoprstuwy", "ᴀʙᴄᴅᴇʜɪʟᴍɴᴏᴘʀꜱᴛᴜᴡʏ")


def bare(text):
    return "".join(char for char in text.casefold() if char.isalnum())


def test_a_text_in_disguise_is_read():
    for disguised in [
        base64.b64encode(PLAIN).decode(), base64.urlsafe_b64encode(PLAIN).decode().rstrip("="),
        base64.encodebytes(PLAIN * 1).decode(), base64.b64encode(base64.b64encode(PLAIN)).decode(),
        PLAIN.hex(), PLAIN.hex(" "), PLAIN.hex().upper(),
        "".join(f"\\x{byte:02x}" for byte in PLAIN), "".join(f"%{byte:02X}" for byte in PLAIN),
        codecs.encode(SAYS, "rot13"), " ".join(SAYS), ".".join(SAYS.replace(" ", "")),
        SAYS.replace(" ", ""), SAYS[::-1],
        quote_plus(SAYS), SAYS.replace(" ", "+"), base64.b64encode(quote_plus(SAYS).encode()).decode(),
        ", ".join(f"0x{byte:02x}" for byte in PLAIN), PLAIN.hex("-"), "_".join(SAYS.replace(" ", "")),
        "".join(chr(0xE0000 + byte) for byte in PLAIN), SAYS.casefold().translate(SMALL),
    ]:  # fmt: skip
        for text in (disguised, f"Decode this, please: {disguised}", f"Now decode {disguised}"):
            assert any(bare(SAYS).rstrip("?") in bare(each) for each in decodings(text, KNOWN)), text


def test_a_plain_text_stands_for_no_other():
    for innocent in [
        "", SAYS, "The thermostat in the hall shows 21, and it says so on the app as well.",
        "Donaudampfschifffahrtsgesellschaft",
        "https://example.com/a/very/long/path/to/nowhere?x=1&y=2",
        "My order is 4f6e6c79746f6f6c and the serial number BX-2291-AAVV-0042.",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z", "100% of 50%",
        "Press Ctrl+Alt+Del; 1+1+1=3, or call +49+30+901820.", "550e8400-e29b-41d4-a716-446655440000",
        "2024-05-12 - 20-30-40-50-60", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "👍" * 99, "\ud800" * 30, "=" * 100, "%" * 100,
    ]:  # fmt: skip
        assert not [
            each for each in decodings(innocent, KNOWN) if any(word in each.split() for word in ("boiler", "drips"))
        ]


def test_a_long_text_takes_no_longer_than_its_length():
    for text in ("A" * 200_000, "a " * 100_000, "ab" * 100_000, "0x" * 100_000, "%4" * 100_000,
                 "a+" * 100_000, "a" * 200_000 + "+", "a_" * 100_000, "0x5 - " * 30_000, "ab, -" * 40_000,
                 "a" + "_" * 200_000, "++" * 100_000, "e\u0301+" * 60_000, "\U000e0041" * 200_000):  # fmt: skip
        list(decodings(text, KNOWN))
