"""Outputs made elsewhere as a subject: `replay:FILE.jsonl`, or the outputs of a record."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from harness.errors import AuthoringError, Problem, show_path
from harness.files import file_digest
from harness.subject import Answer, Can, Identity, Request

_COUNT = {"type": "integer", "minimum": 0}
LINE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["case", "output"],
    "properties": {
        "case": {"type": "string"},
        "output": {"type": ["string", "null"]},
        "tokens_in": _COUNT,
        "tokens_out": _COUNT,
        "latency_s": {"type": "number", "minimum": 0},
        "repeat": _COUNT,
    },
}


class Replay:
    """A subject that repeats answers it was given; a case without one is answered with None."""

    can: frozenset[Can] = frozenset({"generate"})

    def __init__(self, answers: Mapping[tuple[str, int], Answer], identity: Identity) -> None:
        self._answers = answers
        self.identity = identity

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield the given answers, in the order of the requests."""
        for request in requests:
            known = self._answers.get((request.key, request.repeat))
            yield known or Answer(request.key, None, repeat=request.repeat)


def read_replay(path: Path, known: Collection[str]) -> Replay:
    """Read a file of outputs, one JSON object a line, and check it against all cases that exist.

    Raises:
        AuthoringError: a missing file, a line that is not such an object, an unknown or repeated case; all of them.
    """
    name = show_path(path)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError([Problem(name, 1, "", "a readable JSONL file of outputs", str(error))]) from error
    problems: list[Problem] = []
    answers: dict[tuple[str, int], Answer] = {}
    validator = Draft202012Validator(LINE)
    for number, text in enumerate(lines, start=1):
        if text.strip():
            _read_line(name, number, text, validator, known, answers, problems)
    if problems:
        raise AuthoringError(problems)
    engine = {"backend": "replay"}
    subject = {"model": f"replay:{path.name}", "file": file_digest(path), "rung": "as-is"}
    return Replay(answers, Identity(subject, engine, {"model": f"replay:{path}"}))


def _read_line(
    name: str,
    number: int,
    text: str,
    validator: Draft202012Validator,
    known: Collection[str],
    answers: dict[tuple[str, int], Answer],
    problems: list[Problem],
) -> None:
    try:
        line: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(Problem(name, number, "", "one JSON object", str(error)))
        return
    errors = [error.message for error in validator.iter_errors(line)]
    if errors:
        problems.append(Problem(name, number, "", '{"case": ..., "output": ...}', "; ".join(errors[:3])))
        return
    key = (line["case"], line.get("repeat", 0))
    if line["case"] not in known:
        close = difflib.get_close_matches(line["case"], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        problems.append(Problem(name, number, "case", "a case of the fixtures", repr(line["case"]), hint))
    elif key in answers:
        problems.append(Problem(name, number, "case", "each case and repeat once", f"{line['case']!r} again"))
    else:
        answers[key] = Answer(
            line["case"], line["output"], line.get("tokens_in"), line.get("tokens_out"), line.get("latency_s"),
            repeat=key[1],
        )  # fmt: skip
