"""The pull request and the commit, from the environment of GitHub's runner."""

from __future__ import annotations

import json

import pytest

from tunegate.harness.reporting.origin import Origin, origin_of

SHA, MERGE = "a1b2c3d4" * 5, "0" * 40
RUNNER = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/desk", "GITHUB_SHA": MERGE}
PLACE = "https://github.com/acme/desk"


@pytest.mark.parametrize(("event", "number", "commit"), [
    ({"pull_request": {"number": 12, "head": {"sha": SHA}}}, 12, SHA),
    ({"pull_request": {"number": "12)](https://evil.example", "head": {"sha": "x)"}}}, 0, ""),
    ({"pull_request": []}, 0, MERGE),
    ({"ref": "refs/heads/main"}, 0, MERGE),
    ("{", 0, MERGE),
    (None, 0, MERGE),
])  # fmt: skip
def test_the_commit_is_that_of_the_pull_request_or_else_of_the_run(tmp_path, event, number, commit):
    path = tmp_path / "event.json"
    if event is not None:
        path.write_text(event if isinstance(event, str) else json.dumps(event))
    assert origin_of({**RUNNER, "GITHUB_EVENT_PATH": str(path)}) == Origin(PLACE, number, commit)


@pytest.mark.parametrize("odd", [{}, {"GITHUB_REPOSITORY": "a/b/c"}, {"GITHUB_SERVER_URL": "javascript:alert(1)"}])
def test_elsewhere_nothing_is_known(odd):
    assert origin_of({**RUNNER, **odd} if odd else {}) is None


def test_it_has_the_names_and_addresses_of_github():
    found = Origin(PLACE, 12, SHA)
    assert (found.name, found.address) == ("acme/desk#12", f"{PLACE}/pull/12")
    assert found.commit_address == f"{PLACE}/commit/{SHA}"
    assert (Origin(PLACE, 0, "").name, Origin(PLACE, 0, "").address) == ("acme/desk", PLACE)


def test_the_event_is_optional():
    assert origin_of(RUNNER) == Origin(PLACE, 0, MERGE)
