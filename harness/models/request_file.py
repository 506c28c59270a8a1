"""The file of requests for supplied outputs: writing it, reading it back, and checking outputs against it.

Each request carries its digest. Outputs that carry the same digest are known to belong to the current prompts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.harness.cases.conversation import chat_message
from tunegate.harness.cases.model import Case, Unit
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.validation import validate
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.api import PromptRenderer, Request
from tunegate.harness.models.model_options import RUNGS, RungName
from tunegate.harness.models.prompts import request
from tunegate.harness.models.replay import DIGEST, Replay

Digests = Mapping[tuple[str, int], str]  # by case key and repeat
NO_DIGEST = "none"
#: The fields of a line that are read; the others are for the system that produces the outputs.
LINE = {
    "type": "object",
    "$comment": "tunegate prompts writes such lines",
    "required": ["case", "digest"],
    "properties": {
        "case": {"type": "string", "description": "the case of the request"},
        "digest": DIGEST,
        "repeat": {"type": "integer", "minimum": 0, "description": "a whole number from 0"},
    },
}


def request_line(asked: Request, rung: RungName, render: PromptRenderer | None = None) -> dict[str, Any]:
    """A request as a line of JSON; with `render`, it holds the prompt that a model's chat template makes, too."""
    line: dict[str, Any] = {"case": asked.key, "rung": rung}
    if asked.repeat:
        line["repeat"] = asked.repeat
    if asked.messages:
        line["messages"] = [chat_message(*turn) for turn in asked.messages]
    if asked.tools:
        line["tools"] = [tool.as_dict() for tool in asked.tools]
    if asked.messages and render:
        rendered = render(asked)
        line["prompt"], line["tokens_in"] = rendered.text, len(rendered.tokens)
    return line | _wanted(asked) | {"digest": asked.digest}


def _wanted(asked: Request) -> dict[str, Any]:
    if asked.texts:
        return {"texts": list(asked.texts)}
    decoding = asked.decoding
    # with one seed for all, a server gives every repeat the same output
    sampled = {"top_p": decoding.top_p, "seed": decoding.seed + asked.repeat} if decoding.temperature else {}
    held = {"json_schema": json.loads(asked.constraint.schema)} if asked.constraint else {}
    return {"max_new_tokens": decoding.max_new_tokens, "temperature": decoding.temperature, **sampled, **held}


def read_digests(path: Path) -> dict[tuple[str, int], str]:
    """The digests of a file of requests; raises AuthoringError with all invalid lines and repeated requests."""
    problems: list[Problem] = []
    found: dict[tuple[str, int], str] = {}
    for line in read_json_lines(path, "requests", problems):
        if mistakes := validate(line, LINE):
            problems += mistakes
            continue
        key = line.data["case"], line.data.get("repeat", 0)
        if found.setdefault(key, line.data["digest"]) != line.data["digest"]:
            problems.append(line.problem(("case",), "each case and repeat once", f"{key[0]!r} again, another request"))
    if problems:
        raise AuthoringError(problems)
    return found


def check_digests(outputs: Replay, units: Iterable[Unit], rung: RungName, given: Digests, needed: bool) -> int:
    """Refuse outputs whose request differs from their case's current one; return how many have no digest.

    `given` are digests for the lines without one; lines that have none at all are refused if
    digests are `needed`.
    """
    cases = {case.key: (unit, case) for unit in units for case in unit.cases}
    wrong: dict[tuple[str, str], list[tuple[int, str]]] = {}
    without = 0
    for (key, repeat), source in outputs.sources.items():
        unit, case = cases[key]
        found = source.digest or given.get((key, repeat), "")
        without += not found
        trouble = _trouble(unit, case, rung, repeat, found) if found else NO_DIGEST if needed else ""
        if trouble:
            wrong.setdefault((unit.key, trouble), []).append((source.line, case.id))
    if wrong:
        raise AuthoringError([_problem(outputs, rung, bool(given), *each, lines) for each, lines in wrong.items()])
    return without


def _trouble(unit: Unit, case: Case, rung: RungName, repeat: int, found: str) -> str:
    """Describe the request that a digest belongs to; empty if it is the current one."""
    if request(unit, case, rung, repeat).digest == found:
        return ""
    other = (each for each in RUNGS if each != rung and request(unit, case, each, repeat).digest == found)
    return next((f"that of --rung {each}" for each in other), "that of another request")


def _problem(
    outputs: Replay, rung: RungName, has_requests: bool, unit: str, trouble: str, lines: Sequence[tuple[int, str]]
) -> Problem:
    """One problem for all lines with the same mistake."""
    first, ids = min(lines)[0], list(dict.fromkeys(case for _, case in lines))
    found = f"{trouble} on {len(lines)} line{'s' if len(lines) > 1 else ''} ({listed(ids)})"
    if trouble == NO_DIGEST:
        on = "" if rung == "as-is" else f" with --rung {rung}"
        expected = f"the digest of the request of each output of {unit}{on}"
        hint = "copy it from the request's line, or name the file of requests: --requests (pytest: --tg-requests)"
        if has_requests:
            hint = "the file of requests is older than these cases: tunegate prompts > REQUESTS.jsonl writes it again"
    elif trouble.startswith("that of --rung"):
        expected = f"the digest of the requests of {unit} with --rung {rung}"
        hint = "name the prompting strategy that was used: --rung (pytest: --tg-rung)"
    else:
        expected = f"the digest of the current request of {unit}"
        hint = "the prompt or the decoding has changed; write the requests again (tunegate prompts) and run those"
    return Problem(outputs.path, first, "digest", expected, found, hint)
