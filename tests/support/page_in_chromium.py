"""The page in a real browser: filters, keyboard, links, hostile texts, accessibility, 10,000 cases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.hostile_page import HOSTILE
from tunegate.harness.checks.base import Finding
from tunegate.harness.models.evaluation.remarks import cause, note
from tunegate.harness.models.evaluation.sidecar import CaseContext
from tunegate.harness.reporting.compared import ComparedSide
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.reporting.html import INDEX, MOST_INSIDE, PIECES, write_html
from tunegate.harness.reporting.report import (
    CandidateReport,
    CaseReport,
    CaseState,
    HistoryEntry,
    Report,
    RuleReport,
    UnitHistory,
    UnitReport,
)
from tunegate.harness.reporting.slices import SliceReport

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
STATES: tuple[CaseState, ...] = ("regressed", "fixed", "failed", "passed")
Found = dict[str, str]


@dataclass(frozen=True)
class Check:
    """One thing that was looked for, and what was found."""

    what: str
    found: str
    is_kept: bool


def case(number: int, text: str, state: CaseState) -> CaseReport:
    """A case whose every text holds `text`."""
    context = CaseContext(
        f"fixtures/desk/{text}.yaml", number + 1, {"product": text}, (("system", "Sort it."), ("user", text)),
        tags={"channel": ("sms", "mail", "chat")[number % 3]},
    )  # fmt: skip
    return CaseReport(
        f"desk/triage/{number}-{text}", "desk/triage", state, number % 7 == 0,
        now=f"It is {text} now, number {number}.",
        findings=(
            (Finding(f"rule.{number % 4}", f"another than {text}", source=f"refs/{text}.json:7"),)
            if state in ("regressed", "failed") else ()
        ),
        before={"baseline": f"It was {text} before, number {number}."}, context=context,
    )  # fmt: skip


def report_on(texts: list[str], candidates: int = 2) -> Report:
    """A report with a case for each text, and every other part filled as well."""
    cases = tuple(case(number, text, STATES[number % 4]) for number, text in enumerate(texts))
    odd = texts[0]
    unit = UnitReport(
        "desk/triage", "pass/fail", len(cases), 0.8, verdict="regressed",
        remarks=(cause("significantly-worse", "worse than the baseline"), note("supplied", odd)), role="guard",
        reference="baseline", base=1.0, difference=-0.2, interval=(-0.35, -0.1), level=0.04, margin=0.15, regressed=8,
        blocks=True, slices=(SliceReport(f"channel={odd}", 10, 1.0, 0.2, 8, 0, True),),
        driver=f"8 of 8 regressed cases are channel={odd}.",
    )  # fmt: skip
    units = (unit, replace(unit, key="desk/replies", verdict="held", blocks=False, slices=(), driver=""))
    one = CandidateReport(
        odd, "blocked", (cause("units-block", f"Blocked: {odd}"),), units, cases, {"desk": odd}, {"base": odd},
        f"pytest {odd}",
        (ComparedSide("in service", odd), ComparedSide("this change", odd)),
    )  # fmt: skip
    events = (("baseline recorded", 1.0), ("released", 0.9), ("run", None), ("run", 0.95), ("shown here", 0.8))
    entries = tuple(HistoryEntry("2026-11-02T10:00:00+00:00", event, odd, mean, True) for event, mean in events)
    rules = RuleReport((f"desk/triage: looser: {odd}",), (f"a case: {odd}",), "7816ee245021", by_rules=(odd, odd))
    edits = tuple(EditedPart(odd, odd, f"{said} before", f"{said} now") for said in (odd, f"{odd}{' and' * 400}"))
    rules = replace(rules, configuration=edits)
    said = (cause("units-block", "Blocked: desk/triage regressed."), note("supplied", odd))
    return Report("blocked", said, rules, (one,) * candidates, (odd,), (UnitHistory(unit.key, unit.kind, entries),))


class Opened:
    """A page in a browser, with what it complained of and what it asked for."""

    def __init__(self, browser: Browser, path: Path, viewport: dict[str, int], **more: Any) -> None:
        self.context = browser.new_context(viewport=viewport, **more)
        self.page: Page = self.context.new_page()
        self.trouble: list[str] = []
        self.pieces = 0
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.trouble.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda asked: self._asked(asked.url, path))
        self.address = path.as_uri()
        self.page.goto(self.address)
        self.page.wait_for_selector("#list > li")

    def _asked(self, url: str, path: Path) -> None:
        is_piece = url.startswith((path.parent / PIECES).as_uri())
        self.pieces += is_piece
        if url.partition("#")[0] != path.as_uri() and not is_piece:
            self.trouble.append(f"asked for {url}")

    def rows(self) -> int:
        """The cases that are in the list now."""
        return self.page.locator("#list > li").count()

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def serious(self) -> list[str]:
        """What axe-core calls serious or critical."""
        found = Axe().run(self.page).response["violations"]
        return [each["id"] for each in found if each["impact"] in ("serious", "critical")]

    def open_all(self) -> None:
        """Open every case and every slice."""
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        self.page.wait_for_timeout(100)


def hostile_checks(browser: Browser, folder: Path) -> Iterator[Check]:
    """Each hostile text in every place at once, with everything opened."""
    troubled, wide = [], []
    for number, text in enumerate(HOSTILE):
        path = folder / f"hostile-{number}.html"
        write_html(path, report_on([text] * 8))
        opened = Opened(browser, path, PHONE)
        opened.open_all()
        if opened.page.evaluate("window.ran") is not None or opened.trouble or opened.rows() != 2:
            troubled.append(f"{text!r}: {opened.trouble}")
        if opened.overflow() > 0:
            wide.append(repr(text))
        opened.context.close()
    count = len(HOSTILE)
    yield Check(f"{count} hostile texts in every place: none runs or loads anything", f"{count - len(troubled)}"
                f" of {count} {' '.join(troubled)}".strip(), not troubled)  # fmt: skip
    yield Check("nothing wider than 360 pixels, everything opened", " ".join(wide) or "nothing", not wide)


def folder_checks(browser: Browser, folder: Path) -> Iterator[Check]:
    """All hostile texts in one page whose cases lie beside it; a file of which is then lost."""
    texts = [HOSTILE[number % len(HOSTILE)] for number in range(MOST_INSIDE + 1)]
    opened = Opened(browser, write_html(folder / "hostile", report_on(texts)), PHONE)
    opened.page.fill("[name=text]", "number 8.")
    expect(opened.page.locator("#list > li")).to_have_count(1, timeout=30_000)
    opened.page.click("[type=reset]")
    opened.open_all()
    ran = opened.page.evaluate("window.ran") is not None
    opened.context.close()
    yield Check("hostile texts in files beside the page: none runs or loads anything", f"{opened.pieces} files loaded "
                f"{' '.join(opened.trouble)}".strip(), not ran and not opened.trouble)  # fmt: skip
    next((folder / "hostile" / PIECES).iterdir()).unlink()
    opened = Opened(browser, folder / "hostile" / INDEX, DESKTOP)
    opened.page.fill("[name=text]", "number 7.")
    expect(opened.page.locator("#count")).to_contain_text("does not load", timeout=30_000)
    yield Check("a file that is lost is told", opened.page.locator("#count").inner_text(), opened.rows() == 0)
    opened.context.close()


def use_checks(browser: Browser, path: Path) -> Iterator[Check]:
    """Filters, links and the keyboard, on 12 cases."""
    opened = Opened(browser, path, DESKTOP)
    page = opened.page
    regressed = page.locator("#list .badge.regressed:first-child").count()
    yield Check("it opens on what regressed", f"{opened.rows()} cases, {page.url.partition('#')[2] or 'no'} filter",
                opened.rows() == regressed == 3 and page.input_value("[name=state]") == "regressed" and
                page.evaluate("window.scrollY") == 0)  # fmt: skip
    page.click("#all")
    expect(page.locator("#list > li")).to_have_count(12)
    page.reload()
    page.wait_for_selector("#list > li")
    yield Check("a link shows all, and a reload keeps that", f"{opened.rows()} cases", opened.rows() == 12 and
                page.locator("#all").is_hidden())  # fmt: skip
    counts = []
    for name, value in (("state", "regressed"), ("tag", "channel=sms"), ("finding", "rule.0")):
        page.select_option(f"[name={name}]", value)
        counts.append(opened.rows())
    yield Check("filters for state, tag and finding, one after the other", str(counts), counts == [3, 1, 1])
    kept = page.url.partition("#")[2]
    page.reload()
    page.wait_for_selector("#list > li")
    yield Check("a reload keeps them, by the address", kept, opened.rows() == 1 and "state=regressed" in kept)
    page.click("[type=reset]")
    page.wait_for_timeout(50)
    page.fill("[name=text]", "number 7.")
    yield Check("free text finds an answer", f"{opened.rows()} case", opened.rows() == 1)
    page.fill("[name=text]", "refs/plain.json:7")
    yield Check("and the line of the rule that was broken", f"{opened.rows()} cases", opened.rows() == 6)
    page.fill("[name=text]", "no such words")
    said = page.locator("#count").inner_text()
    yield Check("where nothing is found, that is said", said, "no case matches all filters" in said)
    page.goto(opened.address)
    page.locator(".units a").first.click()
    expect(page.locator("#list > li")).to_have_count(3)
    top = float(page.evaluate("document.getElementById('cases').getBoundingClientRect().top"))
    yield Check("a number of regressed cases leads to them", page.url.partition("#")[2],
                page.url.endswith("#state=regressed&unit=desk%2Ftriage") and top < DESKTOP["height"] / 2)  # fmt: skip
    page.goto(f"{opened.address}#state=fixed&case=desk%2Ftriage%2F5-plain")
    page.wait_for_selector("details[open] .body")
    shown = page.locator("#list details[open]").inner_text()
    yield Check("a link opens its case among the filtered ones", f"{opened.rows()} cases",
                opened.rows() == 3 and "It was plain before, number 5." in shown)  # fmt: skip
    page.locator("#list details[open] .body a").click()
    expect(page.locator("#list > li")).to_have_count(12)
    yield Check("the link in a case leads to it alone", page.url.partition("#")[2],
                page.url.endswith("#case=desk%2Ftriage%2F5-plain") and
                page.locator("#list details[open]").count() == 1)  # fmt: skip
    page.goto(f"{opened.address}#state=all")
    page.reload()
    page.wait_for_selector("#list > li")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id === 'cases'")  # a busy machine follows the link after the key
    for _ in range(8):  # seven controls of the form, then the first case
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    is_open = page.locator("#list details[open]").count() == 1
    yield Check("by keyboard: past the numbers, through the form, the first case opened", "it is" if is_open else
                "it is not", is_open)  # fmt: skip
    yield Check(
        "no error on the console, and nothing asked for", " ".join(opened.trouble) or "none", not opened.trouble
    )
    opened.context.close()


def accessibility_checks(browser: Browser, path: Path) -> Iterator[Check]:
    """axe-core and the width, in each dress, with the first case opened."""
    for name, viewport, scheme in (("desktop", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("phone", PHONE, "light")):
        opened = Opened(browser, path, viewport, color_scheme=scheme)
        opened.page.locator("#list summary").first.click()
        opened.page.wait_for_selector("details[open] .body")
        found, wide = opened.serious(), opened.overflow()
        yield Check(f"{name}: serious findings of axe-core; pixels too wide", f"{len(found)} {' '.join(found)}; {wide}",
                    not found and wide <= 0)  # fmt: skip
        opened.context.close()


def scale_checks(browser: Browser, folder: Path, cases: int) -> Iterator[Check]:
    """A filter and a text among many cases, in one file and in a folder."""
    report = report_on([f"plain {number}" for number in range(cases)])
    for name, path in (("one file", folder / "many.html"), ("a folder", folder / "many")):
        opened = Opened(browser, write_html(path, report), DESKTOP)
        yield from find_checks(opened, name, cases)
        opened.context.close()


def find_checks(opened: Opened, name: str, cases: int) -> Iterator[Check]:
    """A filter, a case and a text among many."""
    page = opened.page
    page.select_option("[name=state]", "")
    page.select_option("[name=finding]", "rule.0")
    expect(page.locator("#count")).to_contain_text(" of ")
    page.locator("#list summary").first.click()
    page.wait_for_selector("details[open] .outputs")
    few = opened.pieces
    page.select_option("[name=finding]", "")
    page.fill("[name=text]", f"number {cases - 1}.")
    expect(page.locator("#list > li")).to_have_count(1, timeout=30_000)
    page.fill("[name=text]", f"number {cases - 2}.")
    expect(page.locator("#list summary")).to_contain_text(f"/{cases - 2}-")
    expected = (1, -(-cases // 500)) if name == "a folder" and cases > MOST_INSIDE else (0, 0)
    yield Check(f"{name}: files loaded for a case, and for a text", f"{few}, {opened.pieces}",
                (few, opened.pieces) == expected)  # fmt: skip
    yield Check(f"{name}: no trouble", " ".join(opened.trouble) or "none", not opened.trouble)
