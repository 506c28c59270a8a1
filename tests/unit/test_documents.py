"""The documents: the README leads to each of them, and no link leads nowhere."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), *ROOT.glob("examples/**/*.md"),
         *ROOT.glob("plugins/*/README.md")]  # fmt: skip
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def test_the_map_leads_to_every_page_and_example():
    readme = (ROOT / "README.md").read_text("utf-8")
    [documents] = re.findall(r"^## Documents\n(.*?)^Licence:", readme, re.MULTILINE | re.DOTALL)

    shown = {(ROOT / link).resolve() for link in LINK.findall(documents)}
    assert {*ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")} <= shown


def test_every_link_leads_to_a_file():
    for page in PAGES:
        assert [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()] == []
