"""The page of `tunegate label` in Chromium: 30 questions labelled by two people, undo, a kill, the keyboard, axe."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("playwright") is None and not os.environ.get("CI"):
    pytest.skip("playwright is not installed", allow_module_level=True)

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.hostile_page import HOSTILE
from tests.support.labelling import key_for, two_outputs, write_questions
from tests.support.page_in_chromium import CHROMIUM, DESKTOP, FLAGS, PHONE
from tunegate.harness.cases.traffic.labels import read_labels
from tunegate.harness.labelling.questions import Question

pytestmark = pytest.mark.skipif(not CHROMIUM and not os.environ.get("CI"), reason="no Chromium is installed")
COUNT = 30
NARROW = PHONE | {"width": 400}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Person:
    """Somebody with the command running and its page open."""

    def __init__(self, browser: Browser, questions: Path, by: str, *more: str, **looks: object) -> None:
        self.command = subprocess.Popen(
            [sys.executable, "-m", "tunegate", "label", questions.name, "--by", by, *more], cwd=questions.parent,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        assert self.command.stdout
        self.address = self.command.stdout.readline().strip().removeprefix("page: ")
        self.page: Page = browser.new_context(**{"viewport": DESKTOP} | looks).new_page()
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.trouble.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.goto(self.address)
        expect(self.page.locator("#said")).to_contain_text("labelled")

    def _asked(self, url: str) -> None:
        if not url.startswith(self.address):
            self.trouble.append(f"asked for {url}")

    def press(self, key: str, said: str) -> None:
        """Press a key, and wait until the page says so."""
        self.page.keyboard.press(key)
        expect(self.page.locator("#said")).to_have_text(re.compile(said))

    def label(self, done: int, key: str = "") -> None:
        """Label the question on the screen, rightly or by a key; `done` are labelled then."""
        shown = tuple(self.page.locator("#outputs pre").all_inner_texts())
        self.press(key or key_for(shown), rf"^Saved: .* {done} of \d+ labelled")

    def leave(self) -> str:
        """Stop by the key; returns what the command says."""
        self.press("q", "Everything is saved")
        said, _ = self.command.communicate(timeout=60)
        assert (self.command.returncode, self.trouble) == (0, [])
        self.page.context.close()
        return said

    def kill(self) -> None:
        """Kill the command; the page says so at the next key."""
        self.command.send_signal(signal.SIGKILL)
        self.command.communicate(timeout=60)
        self.press("3", "not running any more")
        self.page.context.close()


@pytest.fixture
def begin(browser, questions) -> Iterator[Callable[..., Person]]:
    """Somebody sits down: her name, more of the command line, and how her browser looks."""
    begun: list[Person] = []

    def sit_down(by: str, *more: str, **looks: object) -> Person:
        begun.append(Person(browser, questions, by, *more, **looks))
        return begun[-1]

    yield sit_down
    for person in begun:  # of a test that failed
        person.command.kill()
        person.command.communicate()


@pytest.fixture
def questions(tmp_path) -> Path:
    return write_questions(tmp_path / "q.jsonl", two_outputs(COUNT))


def test_two_people_label_the_same_30_with_an_undo_and_a_kill(begin, questions):
    anna = begin("anna")
    for done in range(1, 13):
        anna.label(done)
    anna.label(13, "3")
    anna.press("u", "^Undone. 12 of 30 labelled")
    anna.press("s", "^Skipped. 12 of 30 labelled, 1 skipped")
    anna.kill()
    anna = begin("anna")
    expect(anna.page.locator("#said")).to_have_text(f"12 of {COUNT} labelled")
    for done in range(13, COUNT + 1):
        anna.label(done)
    expect(anna.page.locator("#title")).to_have_text("Nothing is left to label")
    assert f"labelled: {COUNT} of {COUNT}" in anna.leave()

    ben = begin("ben", "--double", str(COUNT))
    ben.label(1, "0")
    for done in range(2, COUNT + 1):
        ben.label(done)
    said = ben.leave()

    labels = read_labels(questions.with_suffix(".labels.jsonl"))
    assert [len(labels.given(by)) for by in ("anna", "ben")] == [2 * COUNT] * 2
    assert all(right is ("true" in output) for (_, output), right in labels.given("anna").items())
    assert f"labelled: {COUNT - 1} of {COUNT}" in said
    assert f"anna and ben both labelled {2 * COUNT} outputs and differ on 1 (1.7 %), Cohen's kappa 0.97" in said


def test_by_keyboard_alone_with_the_focus_seen(begin):
    anna = begin("anna")
    anna.page.keyboard.press("Tab")
    focused = "document.activeElement.dataset.key"
    assert anna.page.evaluate(focused) == "1"
    assert anna.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    anna.press("Enter", "^Saved: only the left. 1 of 30")
    assert anna.page.evaluate(focused) == "1"
    anna.page.keyboard.press("?")
    expect(anna.page.locator("#help")).to_be_visible()
    anna.page.keyboard.press("2")
    anna.page.keyboard.press("Escape")
    expect(anna.page.locator("#help")).to_be_hidden()
    anna.page.keyboard.press("Control+3")
    anna.press("u", "^Undone. 0 of 30")
    anna.leave()


def test_axe_finds_nothing_and_nothing_is_too_wide(begin, questions):
    long = Question("x" * 3_000, ("y" * 3_000, '{"z": 1}'))
    write_questions(questions, [long, Question("one", ("only",))])
    for looks in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": NARROW}):
        anna = begin("anna", **looks)
        for key in ("s", "s", "?"):
            found = [each["id"] for each in Axe().run(anna.page).response["violations"]]
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert (found, anna.page.evaluate(wide)) == ([], 0), looks
            anna.page.keyboard.press(key)
            anna.page.wait_for_timeout(200)
        assert Axe().run(anna.page).response["violations"] == []
        anna.page.keyboard.press("Escape")
        anna.leave()


def test_hostile_texts_run_nothing_and_load_nothing(begin, questions):
    write_questions(questions, [Question(text, (text, f"{text}.")) for text in HOSTILE])
    anna = begin("anna", viewport=NARROW)
    for done in range(1, len(HOSTILE) + 1):
        assert anna.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
        anna.label(done, "3")

    assert anna.page.evaluate("window.ran") is None
    anna.leave()
