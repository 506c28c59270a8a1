"""Outputs made elsewhere as a model: `replay:FILE.jsonl`, or the outputs of a record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.authoring.document import Document
from tunegate.harness.authoring.validation import did_you_mean, validate
from tunegate.harness.checks.base import Can
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.files import file_digest, parse_json
from tunegate.harness.models.api import Completion, Fingerprint, LogProbs, Request

_COUNT = {"type": "integer", "minimum": 0, "description": "a whole number from 0"}
_LOGPROBS = {"type": "array", "minItems": 1, "items": {"type": "number", "maximum": 0}}
LINE = {
    "type": "object",
    "$comment": 'write {"case": "<task>/<unit>/<id>", "output": "..."}',
    "additionalProperties": False,
    "required": ["case"],
    "properties": {
        "case": {"type": "string", "description": "the case it answers, <task>/<unit>/<id>"},
        "output": {"type": ["string", "null"], "description": "the answer; null where there is none"},
        "logprobs": {
            "anyOf": [{"type": "null"}, _LOGPROBS, {"type": "array", "minItems": 1, "items": _LOGPROBS}],
            "description": "log-probabilities of tokens, none above 0: a list, for a pair two; null if there are none",
        },
        "tokens_in": _COUNT,
        "tokens_out": _COUNT,
        "latency_s": {"type": "number", "minimum": 0, "description": "a number of seconds from 0"},
        "repeat": _COUNT,
    },
}
LOOKED_THROUGH = 200_000  # names of cases, for what was probably meant: that takes seconds; 20 lines of 10,000 cases


class Replay:
    """A model that repeats completions it was given; a case without one is answered with None."""

    can: frozenset[Can] = frozenset({"generate", "loglik"})

    def __init__(self, completions: Mapping[tuple[str, int], Completion], fingerprint: Fingerprint) -> None:
        self._completions = completions
        self.fingerprint = fingerprint

    def answer(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield the given completions, in the order of the requests."""
        for request in requests:
            known = self._completions.get((request.key, request.repeat))
            yield known or Completion(request.key, None, repeat=request.repeat)


def read_replay(path: Path, known: Mapping[str, int]) -> Replay:
    """Read a file of outputs, one JSON object a line, and check it against all cases that exist.

    Args:
        path: the file.
        known: by case key how many texts it asks the likelihood of; 0 where it asks for an output.

    Raises:
        AuthoringError: a missing file, a line that is not such an object, an unknown or repeated case; all of them.
    """
    problems: list[Problem] = []
    completions: dict[tuple[str, int], Completion] = {}
    for number, text in enumerate(_read_text(path).split("\n"), start=1):  # splitlines would also split at U+2028
        if not text.strip():
            continue
        try:
            line = Document(path, parse_json(text), {(): number})
        except (ValueError, RecursionError) as error:
            problems.append(Problem(path, number, "", "one JSON object", _said(error)))
            continue
        hint = len(problems) * len(known) < LOOKED_THROUGH
        found = validate(line, LINE) or list(_misplaced(line, known, completions, hint))
        problems += found
        if not found:
            completion = _completion(line.data)
            completions[completion.key, completion.repeat] = completion
    if problems:
        raise AuthoringError(problems)
    subject = {"model": f"replay:{path.name}", "file": file_digest(path), "rung": "as-is"}
    return Replay(completions, Fingerprint(subject, {"backend": "replay"}, {"model": f"replay:{path}"}))


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise AuthoringError([Problem(path, 1, "", "a JSONL file of outputs", "nothing there")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError([Problem(path, 1, "", "a readable UTF-8 file", str(error))]) from error


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"a mistake in column {error.colno} ({error.msg})"
    return "nesting without end" if isinstance(error, RecursionError) else str(error)


def _misplaced(
    line: Document, known: Mapping[str, int], completions: Mapping[tuple[str, int], Completion], hint: bool
) -> Iterator[Problem]:
    case, repeat = line.data["case"], line.data.get("repeat", 0)
    if case not in known:
        meant = did_you_mean(case, known) if hint else ""
        yield line.problem(("case",), "a case of the fixtures", repr(case), meant)
    elif (case, repeat) in completions:
        yield line.problem(("case",), "each case and repeat once", f"{case!r} again")
    else:
        yield from _unlike(line, known[case])


def _unlike(line: Document, texts: int) -> Iterator[Problem]:
    """Where a line carries something else than its case asks for."""
    wanted, other = ("logprobs", "output") if texts else ("output", "logprobs")
    if other in line.data or wanted not in line.data:
        found = " and ".join(key for key in ("output", "logprobs") if key in line.data) or "neither"
        yield line.problem((), f"{wanted}, which is what {line.data['case']} asks for", found)
    elif texts and line.data["logprobs"] is not None and len(_logprobs(line.data)) != texts:
        expected = f"log-probabilities of {texts} text{'s' if texts > 1 else ''}"
        yield line.problem(("logprobs",), expected, f"those of {len(_logprobs(line.data))}")


def _completion(line: Mapping[str, Any]) -> Completion:
    return Completion(
        line["case"], line.get("output"), line.get("tokens_in"), line.get("tokens_out"), line.get("latency_s"),
        repeat=line.get("repeat", 0), logprobs=_logprobs(line),
    )  # fmt: skip


def _logprobs(line: Mapping[str, Any]) -> LogProbs:
    """Its log-probabilities, a tuple a text."""
    found = line.get("logprobs") or []
    lists = found if found and isinstance(found[0], list) else [found] if found else []
    return tuple(tuple(each) for each in lists)
