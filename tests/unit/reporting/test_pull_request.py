"""One comment on a pull request, by a stand-in of GitHub's API on loopback."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from tests.support.github import ACTIONS, github
from tests.unit.reporting.test_html import UNIT, case, report
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.reporting.markdown import LEFT_OUT, MOST_CHARACTERS
from tunegate.harness.reporting.pull_request import (
    NoRight,
    PullRequest,
    add_to_summary,
    comment_body,
    pull_request_of,
)
from tunegate.harness.reporting.report import RuleReport

MARKED = "<!-- tunegate: --> said"


@pytest.fixture
def hub():
    with github() as served:
        yield served


@pytest.fixture
def pull(hub) -> PullRequest:
    return PullRequest(hub.url, "o/r", 7, "secret")


def say(pull: PullRequest, body: str) -> str:
    return pull.say(body, pull.known())


def test_the_first_time_it_is_created_then_updated(pull, hub):
    assert [say(pull, f"{MARKED} {word}") for word in ("one", "two")] == ["created", "updated"]
    assert [each["body"] for each in hub.comments] == [f"{MARKED} two"]


def test_it_is_found_behind_a_hundred_others(pull, hub):
    for number in range(150):
        hub.add(f"a remark, {number}", "somebody")
    hub.add(MARKED, ACTIONS)
    assert say(pull, f"{MARKED} again") == "updated"
    assert len(hub.comments) == 151


@pytest.mark.parametrize(("login", "author", "done"), [
    ("", ACTIONS, "updated"), ("", "mallory", "created"), ("owner", "owner", "updated"), ("owner", ACTIONS, "created"),
])  # fmt: skip
def test_only_a_comment_of_the_same_account_is_its_own(pull, hub, login, author, done):
    hub.login = login
    hub.add(MARKED, author)
    assert say(pull, f"{MARKED} again") == done


def test_a_marker_further_down_is_somebodys_quote(pull, hub):
    hub.add(f"> {MARKED}", ACTIONS)
    assert say(pull, MARKED) == "created"


def test_a_token_without_the_right_is_told_apart(pull, hub):
    hub.may_write = False
    with pytest.raises(NoRight, match="403"):
        say(pull, MARKED)


@pytest.mark.parametrize("status", [500, 302, 422])
def test_any_other_answer_is_an_error(pull, hub, status):
    hub.status = status
    with pytest.raises(CouldNotRun, match=f"expected a response, found the error {status}"):
        say(pull, MARKED)
    assert not any("elsewhere" in each for each in hub.asked), "the token was sent on"


@pytest.mark.parametrize("odd", [
    5, "x", {"id": 1, "body": MARKED, "user": "x"}, {"body": MARKED, "user": {"login": ACTIONS}},
    {"id": "../1", "body": MARKED, "user": {"login": ACTIONS}}, {"id": 1, "body": MARKED, "user": {}},
])  # fmt: skip
def test_comments_that_are_none_are_an_error(pull, hub, odd):
    hub.comments.append(odd)
    with pytest.raises(CouldNotRun, match="expected a list of comments, found: "):
        say(pull, MARKED)


@pytest.mark.parametrize("login", [5, ["x"]])
def test_an_account_that_is_none_is_an_error(pull, hub, login):
    hub.login = login
    with pytest.raises(CouldNotRun, match="expected the account of the token, found: "):
        say(pull, MARKED)


def test_a_comment_whose_author_is_gone_is_somebody_elses(pull, hub):
    hub.comments.append({"id": 1, "body": MARKED, "user": None})
    assert say(pull, MARKED) == "created"


def test_nobody_there_is_an_error():
    with pytest.raises(CouldNotRun, match="expected JSON from GitHub"):
        PullRequest("http://127.0.0.1:9", "o/r", 7, "secret").known()


def environment(tmp_path, event=None, **more):
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"number": 7}} if event is None else event))
    return {
        "GITHUB_API_URL": "http://127.0.0.1:9/", "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": "t",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), **more,
    }  # fmt: skip


def test_the_pull_request_is_that_of_the_workflow(tmp_path):
    assert pull_request_of(environment(tmp_path)) == PullRequest("http://127.0.0.1:9", "o/r", 7, "t")


def test_elsewhere_there_is_none(tmp_path):
    assert pull_request_of({}) is None
    assert pull_request_of(environment(tmp_path, event={"ref": "refs/heads/main"})) is None
    assert pull_request_of(environment(tmp_path, GITHUB_TOKEN="")) is None


@pytest.mark.parametrize("odd", [
    {"GITHUB_API_URL": "file:///etc"}, {"GITHUB_REPOSITORY": "o/../x"}, {"event": {"pull_request": {"number": "7/x"}}},
])  # fmt: skip
def test_an_environment_that_means_nothing_is_refused(tmp_path, odd):
    with pytest.raises(Refused, match="expected GITHUB_API_URL, GITHUB_REPOSITORY and the number of a pull request"):
        pull_request_of(environment(tmp_path, **odd))


def test_what_changed_since_the_last_push_is_told():
    first = comment_body(report(case()), None, {})
    assert "Since the last push" not in first
    assert "Since the last push" not in comment_body(report(case()), {"body": first}, {})

    before = base64.urlsafe_b64encode(json.dumps({"tuned: tuned": "held"}).encode()).decode()
    known = {"body": f"<!-- tunegate:{before} -->"}
    assert comment_body(report(case()), known, {}).endswith("Since the last push:\n\n- tuned: tuned: held → regressed")


def test_no_comment_is_longer_than_github_takes():
    one = report(case(), text="@" * 9000)
    rules = RuleReport(("@" * 9000,) * 100, ("@" * 9000,) * 100, refused="`" * 9000, by_rules=("@" * 9000,) * 100)
    units = tuple(replace(UNIT, key=f"desk/{'@' * n}") for n in range(300))
    many = replace(one, candidates=(replace(one.candidates[0], name="tuned", units=units),), rules=rules)
    before = {f"tuned: {unit.key}": "held" for unit in units}
    known = {"body": f"<!-- tunegate:{base64.urlsafe_b64encode(json.dumps(before).encode()).decode()} -->"}
    body = comment_body(many, known, {})
    assert len(body) <= MOST_CHARACTERS
    lines = body.splitlines()
    assert lines[0] == "<!-- tunegate: -->"
    assert lines[1].startswith("### ❌ @")
    assert body.count(LEFT_OUT) == 2
    assert "Since the last push:" in lines


def test_a_marker_that_says_nothing_is_passed_over():
    for marker in ["", "AAAA", "====", "W10="]:
        known = {"body": f"<!-- tunegate:{marker} -->"}
        assert "Since" not in comment_body(report(case()), known, {})


def test_the_summary_is_added_to(tmp_path):
    (tmp_path / "summary").write_text("of another step\n")
    add_to_summary(tmp_path / "summary", "ours")
    assert (tmp_path / "summary").read_text() == "of another step\nours\n"
    with pytest.raises(CouldNotRun, match="the summary cannot be written"):
        add_to_summary(tmp_path, "ours")
