"""The page's server: whoever does not have its address, or comes from another page, neither reads nor labels."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.hostile_page import HOSTILE
from tests.support.labelling import two_outputs, write_questions
from tunegate.harness.cases.traffic.labels import read_labels
from tunegate.harness.cli.main import app
from tunegate.harness.labelling.labelling import Labelling
from tunegate.harness.labelling.questions import Question
from tunegate.harness.labelling.server import LabelServer

KEY = {"key": "3", "turn": 0}


@pytest.fixture
def server(tmp_path) -> Iterator[LabelServer]:
    with LabelServer(Labelling(two_outputs(3), tmp_path / "some.labels.jsonl", "anna")) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: LabelServer, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, str]:
    """The status and the text of what is sent back; a header of None is left out."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    sent = {"Host": server.host, "Content-Type": "application/json", "Content-Length": str(len(text))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection = http.client.HTTPConnection(*server.server_address)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(text)
    response = connection.getresponse()
    return response.status, response.read().decode()


def own(server: LabelServer, name: str) -> str:
    return f"/{server.token}/{name}"


def test_a_key_labels_and_shows_what_is_next(server, tmp_path):
    status, text = ask(server, "POST", own(server, "key"), KEY, Origin=f"http://{server.host}")

    assert (status, json.loads(text)["progress"]) == (200, "1 of 3 labelled")
    assert json.loads(ask(server, "GET", own(server, "state"))[1])["turn"] == 1
    assert len(read_labels(tmp_path / "some.labels.jsonl").lines) == 2


REFUSED: dict[str, tuple[int, str, str | None, Any, dict[str, str | None]]] = {
    "no token": (404, "GET", "/", None, {}),
    "another token": (404, "GET", "/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/", None, {}),
    "a key without the token": (404, "POST", "/key", KEY, {}),
    "a key by GET": (404, "GET", None, None, {}),
    "another method": (501, "PUT", None, KEY, {}),
    "another name for this machine": (403, "POST", None, KEY, {"Host": "evil.example"}),
    "localhost": (403, "POST", None, KEY, {"Host": "localhost"}),
    "no name": (403, "POST", None, KEY, {"Host": None}),
    "another page": (403, "POST", None, KEY, {"Origin": "https://evil.example"}),
    "a page without an origin": (403, "POST", None, KEY, {"Origin": "null"}),
    "a form": (415, "POST", None, KEY, {"Content_Type": "text/plain"}),
    "no length": (400, "POST", None, KEY, {"Content_Length": None}),
    "too long": (400, "POST", None, KEY | {"key": "x" * 2_000}, {}),
    "a negative length": (400, "POST", None, KEY, {"Content_Length": "-1"}),
    "no JSON": (400, "POST", None, b"\xff", {}),
    "more than a key": (400, "POST", None, KEY | {"by": "ben"}, {}),
    "a turn that is no number": (400, "POST", None, KEY | {"turn": True}, {}),
    "a word": (400, "POST", None, KEY | {"key": "stop"}, {}),
}


def test_everything_else_is_refused_and_writes_nothing(server, tmp_path):
    for name, (status, method, path, body, headers) in REFUSED.items():
        assert ask(server, method, path or own(server, "key"), body, **headers)[0] == status, name
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_told_and_stays(server, tmp_path):
    (tmp_path / "some.labels.jsonl").mkdir()
    status, text = ask(server, "POST", own(server, "key"), KEY)

    assert (status, "could not be appended" in json.loads(text)["error"]) == (500, True)
    assert json.loads(ask(server, "GET", own(server, "state"))[1])["turn"] == 0


def test_a_reset_connection_is_not_told_and_any_other_error_is(server, monkeypatch, capsys):
    ended, close = threading.Event(), server.shutdown_request
    monkeypatch.setattr(server, "shutdown_request", lambda request: (close(request), ended.set()))
    head = f"POST {own(server, 'key')} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(server.server_address) as browser:
        browser.sendall(f"{head}Content-Length: 20\r\n\r\n".encode())
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
    assert ended.wait(30)
    assert capsys.readouterr() == ("", "")

    ended.clear()
    monkeypatch.setattr(server, "press", lambda *_: {}["no such key"])
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "POST", own(server, "key"), KEY)
    assert ended.wait(30)
    assert "KeyError: 'no such key'" in capsys.readouterr().err


def test_the_page_holds_no_question_and_its_headers_allow_nothing_else(server):
    connection = http.client.HTTPConnection(*server.server_address)
    connection.request("GET", own(server, ""))
    response = connection.getresponse()
    page = response.read().decode()

    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert (response.headers["Cache-Control"], response.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert server.token not in page
    assert "What is" not in page


def command(folder: Path, *arguments: str, keys: str = "") -> Any:
    done = CliRunner().invoke(app, ["label", str(folder / "q.jsonl"), "--terminal", *arguments], input=keys)
    return done.exit_code, done.stdout + done.stderr


def test_the_command_appends_beside_the_questions_and_goes_on(tmp_path):
    write_questions(tmp_path / "q.jsonl", two_outputs(3))
    assert command(tmp_path, "--by", "anna", keys="33q")[0] == 0
    with (tmp_path / "q.labels.jsonl").open("a") as file:
        file.write('{"input": "sha2')

    code, text = command(tmp_path, "--by", "anna", keys="3")

    assert code == 0
    assert "the last line is cut off, as by a kill, and is skipped" in text
    assert "labelled: 3 of 3" in text
    assert len(read_labels(tmp_path / "q.labels.jsonl").lines) == 6
    assert "nothing is left to label for anna" in command(tmp_path, "--by", "anna")[1]


@pytest.mark.parametrize("more", [(), ("--adjudicate",)])
def test_the_last_label_can_be_undone_in_a_later_run(tmp_path, more):
    write_questions(tmp_path / "q.jsonl", [Question("a", ("x",))])
    for by, key in (("ben", "1"), ("cleo", "0")) if more else ():
        command(tmp_path, "--by", by, "--double", "1", keys=key)
    command(tmp_path, "--by", "anna", *more, keys="0")
    before = (tmp_path / "q.labels.jsonl").read_bytes()

    told = CliRunner().invoke(app, ["label", str(tmp_path / "q.jsonl"), "--by", "anna", *more]).output
    assert told.startswith("nothing is left to label for anna; to undo a label, add --terminal\n")
    assert command(tmp_path, "--by", "anna", *more)[0] == 0, "the input ends"
    assert (tmp_path / "q.labels.jsonl").read_bytes() == before
    text = command(tmp_path, "--by", "anna", *more, keys="u1")[1]

    assert [said in text for said in ("Undone. 0 of 1", "Saved: right. 1 of 1")] == [True, True]
    assert [line.right for line in read_labels(tmp_path / "q.labels.jsonl").lines[-3:]] == [False, None, True]
    if not more:
        told = command(tmp_path, "--by", "ben", keys="u")[1]
        assert told.startswith("nothing is left to label for ben\n"), "who has no label is not told how to undo one"


@pytest.mark.parametrize("unit", ["desk/production", "desk/production.v2"])
def test_a_unit_may_have_a_dot_in_its_name_and_a_folder_of_that_name(tmp_path, monkeypatch, unit):
    monkeypatch.chdir(tmp_path)
    (tmp_path / unit).mkdir(parents=True)
    done = CliRunner().invoke(app, ["label", unit, "--by", "anna"])
    assert "expected a folder of fixtures, found nothing" in done.output, "not: a JSONL file of questions"


def test_what_would_be_written_elsewhere_is_refused(tmp_path):
    write_questions(tmp_path / "q.jsonl", two_outputs(3))
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "other.jsonl")
    (tmp_path / "notes.jsonl").write_text("mine\n")
    refused = {"link.jsonl": 2, "no/such/folder.jsonl": 2, "notes.jsonl": 4, "q.jsonl": 4}
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    for name, code in refused.items():
        assert command(tmp_path, "--by", "anna", "--labels", str(tmp_path / name), keys="3")[0] == code, name
    assert command(tmp_path, "--by", " ")[0] == 2
    code, said = command(tmp_path, "--by", "J\udcf6rg", keys="3")  # Latin-1 on a system of UTF-8
    assert (code, r"--by: expected a name in UTF-8, found half a character in J\udcf6rg" in said) == (2, True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_hostile_texts_reach_the_terminal_escaped(tmp_path):
    questions = [Question(text, (text, f"{text}.")) for text in HOSTILE]
    write_questions(tmp_path / "q.jsonl", questions)
    code, text = command(tmp_path, "--by", "anna", keys="3" * len(questions))

    assert code == 0
    assert not set("\x1b\x9b\x00\u202e\u2066\ufeff") & set(text)
