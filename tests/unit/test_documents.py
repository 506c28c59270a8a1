"""The documents: the site leads to each of them, and no link leads nowhere."""

from __future__ import annotations

import re
import tomllib

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), *ROOT.glob("examples/**/*.md"),
         *ROOT.glob("plugins/*/README.md")]  # fmt: skip
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def test_the_site_leads_to_every_page():
    nav = str(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])

    assert [page.name for page in ROOT.glob("docs/*.md") if f"'{page.name}'" not in nav] == []


def test_every_link_leads_to_a_file():
    for page in PAGES:
        assert [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()] == []
