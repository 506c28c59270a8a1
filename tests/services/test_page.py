"""The page in Chromium: filters, keyboard, links into a state, hostile texts, axe-core; one file, and a folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator

import pytest

if importlib.util.find_spec("playwright") is None and not os.environ.get("CI"):
    pytest.skip("playwright is not installed", allow_module_level=True)

from playwright.sync_api import Browser, sync_playwright

from tests.support import page_in_chromium as page

pytestmark = pytest.mark.skipif(not page.CHROMIUM and not os.environ.get("CI"), reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=page.CHROMIUM, args=page.FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def plain(tmp_path):
    """A page of 12 harmless cases."""
    return page.write_html(tmp_path / "plain.html", page.report_on(["plain"] * 12))


def all_kept(checks: Iterable[page.Check]) -> None:
    assert [check for check in checks if not check.is_kept] == []


def test_filters_links_and_the_keyboard(browser, plain):
    all_kept(page.use_checks(browser, plain))


def test_axe_finds_nothing_serious_and_nothing_is_too_wide(browser, plain):
    all_kept(page.accessibility_checks(browser, plain))


def test_hostile_texts_run_nothing_and_load_nothing(browser, tmp_path):
    all_kept(page.hostile_checks(browser, tmp_path))


def test_nor_do_they_in_files_beside_the_page(browser, tmp_path):
    all_kept(page.folder_checks(browser, tmp_path))


def test_ten_thousand_cases(browser, tmp_path):
    all_kept(page.scale_checks(browser, tmp_path, 10_000))
