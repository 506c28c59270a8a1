"""Snapshots of traffic, and units whose cases are a snapshot's inputs."""

from __future__ import annotations

import json
import os
import stat

import pytest

from tests.support.records import write_policy
from tests.support.traffic import write_traffic
from tests.support.units import write_unit
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.cases.model import Judge
from tunegate.harness.cases.snapshot import (
    TrafficInput,
    input_digest,
    parse_traffic,
    snapshot_path,
    traffic_folder,
    traffic_in,
    write_snapshot,
)
from tunegate.harness.core.errors import AuthoringError, Refused

LINES = [
    {"input": "the boiler leaks"},
    {"input": [{"user": "hello"}, {"assistant": "yes?"}, {"user": "no heat"}], "context": "a note"},
    {"input": "where is my order", "id": 7},
]


@pytest.fixture
def folder(tmp_path):
    """An empty folder of snapshots, which counts meanwhile."""
    with traffic_in(tmp_path / "traffic"):
        yield tmp_path / "traffic"


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def kept(path, lines=LINES):
    """The digest of the snapshot of these lines."""
    return write_snapshot([each for _, each in parse_traffic(write_lines(path / "log.jsonl", lines))])


def test_a_snapshot_is_named_by_its_content_and_private(tmp_path, folder):
    sha = kept(tmp_path)

    path = snapshot_path(sha)
    assert path.parent == folder
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        LINES[0],
        LINES[1],
        {"input": LINES[2]["input"]},
    ]
    assert kept(tmp_path) == sha


def test_where_snapshots_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEGATE_TRAFFIC", str(tmp_path / "named"))
    assert traffic_folder() == tmp_path / "named"
    with traffic_in(None):
        assert traffic_folder() == tmp_path / "named"
    with traffic_in(tmp_path / "given"):
        assert traffic_folder() == tmp_path / "given"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"text": "hello"}, "expected the key 'input'"),
        ({"input": "hello", "context": ""}, "expected text that is not empty"),
        ({"input": [{"user": "a"}, {"assistant": "b"}]}, "expected a user turn at the end"),
        ({"input": [{"role": "user", "content": "a"}, {"user": "b"}]}, "expected a turn"),
    ],
)
def test_a_line_that_no_case_could_have_is_named(tmp_path, line, said):
    with pytest.raises(AuthoringError, match=said) as caught:
        parse_traffic(write_lines(tmp_path / "log.jsonl", [LINES[0], line]))

    assert {problem.line for problem in caught.value.problems} == {2}


def test_an_empty_file_is_no_traffic(tmp_path):
    with pytest.raises(AuthoringError, match="at least one input"):
        parse_traffic(write_lines(tmp_path / "log.jsonl", []))


def test_the_inputs_of_a_snapshot_are_the_cases(tmp_path, folder):
    write_traffic(tmp_path / "fixtures", sha := kept(tmp_path))

    unit = find_unit(load_tasks(tmp_path / "fixtures"), "desk/triage")

    assert (unit.traffic, unit.labels) == (sha, None)
    assert [case.written for case in unit.cases] == [line["input"] for line in LINES]
    assert [case.context for case in unit.cases] == [None, "a note", None]
    assert next(case.id for case in unit.cases) == "t-" + input_digest(LINES[0]["input"])[7:19]
    assert TrafficInput("the boiler leaks").id == unit.cases[0].id
    assert all(case.expect is None for case in unit.cases)


def test_a_unit_with_labels_names_their_file_beside_its_own(tmp_path, folder):
    labels = {"file": "production.labels.jsonl", "sample": 40}
    write_traffic(tmp_path / "fixtures", kept(tmp_path), labels=labels)

    unit = find_unit(load_tasks(tmp_path / "fixtures"), "desk/triage")

    assert unit.labels
    assert unit.labels.file == tmp_path / "fixtures" / "desk" / "production.labels.jsonl"
    assert unit.labels.sample == 40


def test_a_judge_needs_a_sample_of_20(tmp_path, folder):
    judge = {"model": "smollm2", "rubric": "It names the product."}
    labels = {"file": "production.labels.jsonl", "sample": 19, "judge": judge}
    write_traffic(tmp_path / "fixtures", sha := kept(tmp_path), labels=labels)
    with pytest.raises(AuthoringError, match=r"expected 20 labels or more with a judge, found 19"):
        load_tasks(tmp_path / "fixtures")

    write_traffic(tmp_path / "fixtures", sha, labels=labels | {"sample": 20})
    found = find_unit(load_tasks(tmp_path / "fixtures"), "desk/triage").labels
    assert found
    assert found.judge == Judge(**judge)
    assert [path.name for path in found.files] == ["production.labels.jsonl", "production.labels.judge.jsonl"]


def test_a_snapshot_that_is_not_here_is_refused_with_the_command(tmp_path, folder):
    write_traffic(tmp_path / "fixtures", "0" * 64)

    with pytest.raises(Refused, match=r"tunegate traffic FILE\.jsonl.*--traffic FOLDER"):
        load_tasks(tmp_path / "fixtures")


def test_an_edited_snapshot_is_refused(tmp_path, folder):
    write_traffic(tmp_path / "fixtures", sha := kept(tmp_path))
    write_lines(snapshot_path(sha), LINES[:1])

    with pytest.raises(Refused, match="expected the content that its name says"):
        load_tasks(tmp_path / "fixtures")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"traffic": "/var/log/inputs.jsonl"}, "never a path"),
        ({"traffic": "sha256:../../secrets"}, "never a path"),
        ({"cases": [{"id": "a", "input": "hi"}]}, "no cases beside traffic"),
        ({"sealed": True}, "no sealed beside traffic"),
        ({"labels": {"file": "../labels.jsonl", "sample": 40}}, "JSONL file of labels beside this file"),
        ({"labels": {"file": "a.jsonl", "sample": 5}}, "a whole number from 10"),
        ({"suite": "retention", "check": {"measure": "questions"}}, "labels, since retention/questions needs"),
        ({"suite": "vocabulary", "check": {"measure": "pairs"}}, "cases, since vocabulary/pairs needs"),
    ],
)
def test_a_unit_of_traffic_that_cannot_be(tmp_path, folder, more, said):
    write_traffic(tmp_path / "fixtures", kept(tmp_path), **more)

    with pytest.raises(AuthoringError, match=said):
        load_tasks(tmp_path / "fixtures")


@pytest.mark.parametrize("file", ["a.jsonl", "a.judge.jsonl"])
def test_labels_speak_of_one_unit(tmp_path, folder, file):
    judge = {"model": "smollm2", "rubric": "It names the product."}
    sha, labels = kept(tmp_path), {"file": "a.jsonl", "sample": 40, "judge": judge}
    write_traffic(tmp_path / "fixtures", sha, labels=labels)
    write_traffic(tmp_path / "fixtures", sha, name="urgency", labels={"file": file, "sample": 40})

    with pytest.raises(AuthoringError, match=rf"urgency.yaml.*labels.*expected a file of its own, found .*{file}"):
        load_tasks(tmp_path / "fixtures")


def test_cases_have_no_labels(tmp_path):
    write_unit(tmp_path, ["a"], labels={"file": "a.jsonl", "sample": 40})

    with pytest.raises(AuthoringError, match="labels beside traffic only"):
        load_tasks(tmp_path)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"role": "target"}, "expected a guard, since triage is labelled traffic"),
        ({"minimum_score": 0.5}, "expected no minimum_score, since triage is labelled traffic"),
        ({"parts": {"adherence": {"margin": 0.1, "reason": "x"}}}, "expected no parts"),
    ],
)
def test_labelled_traffic_only_guards(tmp_path, folder, policy, said):
    labels = {"file": "a.jsonl", "sample": 40}
    write_traffic(tmp_path / "fixtures", kept(tmp_path), labels=labels)
    write_policy(tmp_path / "fixtures", triage=policy)

    with pytest.raises(AuthoringError, match=said):
        load_tasks(tmp_path / "fixtures")
