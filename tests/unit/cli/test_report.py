"""The commands that show a record: which face they print, where the page goes, what is said on a pull request."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.support.github import github
from tests.support.records import record as made
from tests.support.records import save, units_of
from tests.unit.reporting.test_report import T, judged
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cli.main import app

GITHUB = ("GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH", "GITHUB_STEP_SUMMARY")


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A record that blocks, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in GITHUB:
        monkeypatch.delenv(name, raising=False)
    return judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)


def ran(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_the_page_is_written_and_said(record, tmp_path):
    done = ran("report", "r.json", "--html", "out/page.html")
    assert (done.exit_code, done.stdout) == (0, "page: out/page.html\n")
    assert "<h1>Blocked: desk/triage regressed: " in (tmp_path / "out" / "page.html").read_text()


def test_the_page_in_a_folder_is_its_index(record, tmp_path):
    done = ran("report", "r.json", "--html", "out")
    assert (done.exit_code, done.stdout) == (0, "page: out/index.html\n")
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize("page", ["out", "out/index.html"])
def test_the_page_is_not_written_over_somebody_elses(record, tmp_path, page):
    index = tmp_path / "out" / "index.html"
    index.parent.mkdir()
    index.write_text("<!DOCTYPE html>\n<title>Our shop</title>")
    done = ran("report", "r.json", "--html", page)
    assert done.exit_code == 2
    assert (
        "the page: expected no file or a page of ours, found another file at out/index.html; move it away"
        in done.stderr
    )
    assert "Our shop" in index.read_text()
    index.unlink()
    assert [ran("report", "r.json", "--html", page).exit_code for _ in range(2)] == [0, 0]


def test_the_page_has_the_history_of_the_baselines(record, tmp_path):
    tasks = load_tasks(tmp_path / "fixtures")
    save(tmp_path / "kept", made(tasks, {T: "1" * 40}), list(units_of(tasks).values()))
    found = json.loads(ran("report", "r.json", "--json", "--baselines", "kept").stdout)
    assert [(each["event"], each["mean"]) for each in found["history"][0]["entries"]] == [
        ("baseline recorded", 1.0), ("shown here", 0.8),
    ]  # fmt: skip
    ran("view", "r.json", "--baselines", "kept")
    assert 'id="history"' in (tmp_path / "r.html").read_text()


def test_what_is_said_leads_to_the_page(record):
    page = "https://pages.example/report.html"
    link = f"[on the page]({page}#case=desk%2Ftriage%2Fc001)"
    assert link in ran("report", "r.json", "--markdown", "--page", page).stdout
    assert link in ran("comment", "r.json", "--page", page).stdout


def test_a_signature_needs_a_format_that_shows_it(record):
    done = ran("report", "r.json", "--key", "key.pem")
    assert done.exit_code == 2
    assert "expected --html or --json with it" in done.stderr


@pytest.mark.parametrize("page", ["r.json", "./r.cases.jsonl"])
def test_the_page_is_not_written_over_what_it_is_made_from(record, tmp_path, page):
    before = (tmp_path / page).read_bytes()
    done = ran("report", "r.json", "--html", page)
    assert done.exit_code == 2
    assert f"the page: expected a file of its own, found its input {page.removeprefix('./')}" in done.stderr
    assert (tmp_path / page).read_bytes() == before


def test_nor_is_the_page_that_lies_beside_it(record, tmp_path):
    record.path.rename(tmp_path / "r.html")
    before = (tmp_path / "r.html").read_bytes()
    assert ran("view", "r.html").exit_code == 2
    assert (tmp_path / "r.html").read_bytes() == before


def test_a_spreadsheet_gets_a_line_for_each_case(record):
    done = ran("report", "r.json", "--format=csv")

    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 41)
    assert done.stdout.startswith("\ufeffcandidate,task,unit,case,state,")
    assert ran("report", "r.json", "--format=csv", "--json").exit_code == 2


def test_each_face_begins_with_the_verdict(record):
    reason = record.tasks["desk"].reason
    bare = "No guard: nothing but the target was tested."
    assert reason == f"Blocked: desk/triage regressed (100.0 % -> 80.0 %). {bare}"
    scores = "in service 100.0 %, this change 80.0 %"
    step = "Next: read its 8 regressed cases, then change the model or its prompt."
    head = f"Blocked: desk/triage regressed: a critical case regressed (c001); {scores}. {bare} {step}"
    assert ran("report", "r.json").stdout.splitlines()[0] == f"tiny: {head}"
    assert ran("report", "r.json", "--markdown").stdout.splitlines()[0] == f"### ❌ {head}"
    assert (
        ran("report", "r.json", "--format=github").stdout.splitlines()[0]
        == f"::error title=tunegate::{reason.replace('%', '%25')}"
    )
    found = json.loads(ran("report", "r.json", "--json").stdout)
    assert (list(found)[:2], found["verdict"]) == (["outcome", "verdict"], reason)


def test_one_face_is_printed_at_a_time(record):
    done = ran("report", "r.json", "--markdown", "--json")
    assert done.exit_code == 2
    assert "expected at most one of them, found several" in done.stderr


def test_an_edited_sidecar_is_refused(record, tmp_path):
    path = tmp_path / "r.cases.jsonl"
    path.write_text(path.read_text().replace("c001", "c002"))
    done = ran("report", "r.json")
    assert done.exit_code == 4
    assert "r.cases.jsonl: expected the sidecar that the record names, found another one" in done.stderr


def test_in_a_log_no_browser_is_started(record, tmp_path, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("a browser was started"))
    done = ran("view", "r.json")
    assert done.stdout.splitlines() == [
        "page: r.html", f"no browser was started: open {(tmp_path / 'r.html').as_uri()}",
    ]  # fmt: skip


def test_without_a_pull_request_the_comment_is_printed_or_in_the_summary(record, tmp_path, monkeypatch):
    assert ran("comment", "r.json").stdout.startswith("### ❌ Blocked")
    assert ran("comment", "r.json", "--gate-result=success").stdout.startswith("### ⚠️ ")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert ran("comment", "r.json").stdout == "no pull request: written to the summary only\n"
    assert (tmp_path / "summary").read_text().startswith("### ❌ Blocked")


@pytest.mark.parametrize(("status", "code", "said"), [
    (403, 0, "no permission to comment"), (500, 3, "found the error 500"),
])  # fmt: skip
def test_github_may_refuse(record, tmp_path, monkeypatch, status, code, said):
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7}}')
    with github() as hub:
        hub.status = status
        for name, value in zip(GITHUB, ("t", hub.url, "o/r", str(tmp_path / "event.json")), strict=False):
            monkeypatch.setenv(name, value)
        done = ran("comment", "r.json")
    assert done.exit_code == code
    assert said in done.stdout + done.stderr


def signature(*arguments: str) -> str | None:
    found = json.loads(ran("report", "r.json", "--json", *arguments).stdout)
    return found["candidates"][0]["provenance"].get("signature")


def test_the_page_and_json_say_whether_the_adapter_is_signed(record, tmp_path):
    assert signature() is None  # no adapter
    replace(record, adapter="gone").write(tmp_path / "r.json")
    assert signature().startswith("unknown: adapter gone: expected ")
    done = ran("report", "r.json", "--html", "page.html", "--key", "public.pem")
    assert done.exit_code == 4
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("adapter", ["x" * 5_000, "/dev/null", "/proc/self", "a\nb", "\u202e"])
def test_whatever_a_record_names_as_its_adapter_is_told_and_no_more(record, tmp_path, adapter):
    replace(record, adapter=adapter).write(tmp_path / "r.json")
    assert signature().startswith("unknown: ")


def test_a_key_asks_for_an_adapter(record):
    done = ran("report", "r.json", "--html", "page.html", "--key", "public.pem")
    assert done.exit_code == 2
    assert "--key: expected records of adapters, which can be signed, found one of a model" in done.stderr


def test_a_key_without_a_face_that_shows_it_means_nothing(record):
    done = ran("report", "r.json", "--key", "public.pem")
    assert done.exit_code == 2
    assert "--key shows an adapter's signature in the page and in JSON" in done.stderr
