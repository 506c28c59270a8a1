"""Supplied outputs as a model: `replay:FILE.jsonl`, or the outputs of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunegate.harness.checks.base import Can
from tunegate.harness.checks.outputs.message import CALLS, CONTENT, Message, read_message
from tunegate.harness.core.authoring.document import Document, shortened
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.authoring.validation import did_you_mean, mapping_schema, validate
from tunegate.harness.core.errors import AuthoringError, Problem, show_path
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.garbage import no_collection
from tunegate.harness.models.api import SUPPLIED, Completion, Fingerprint, LogProbs, Request

_COUNT = {"type": "integer", "minimum": 0, "description": "a whole number from 0"}
DIGEST = {
    "type": "string", "pattern": "^[0-9a-f]{64}$",
    "description": "the digest of its request, 64 digits from 0 to f",
}  # fmt: skip
_LOGPROBS = {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": -1e6, "maximum": 0}}
_PARTS = {
    "case": {"type": "string", "description": "the case of the output, <task>/<unit>/<id>"},
    "output": {"type": ["string", "null"], "description": "the output; null if there is none"},
    "tool_calls": {"description": "calls of tools in OpenAI's form, beside the text in output: [] if there are none"},
    "logprobs": {
        "anyOf": [{"type": "null"}, _LOGPROBS, {"type": "array", "minItems": 1, "items": _LOGPROBS}],
        "description": "log-probabilities of tokens, -1e6 to 0: a list, for a pair two; null if there are none",
    },
    "tokens_in": _COUNT,
    "tokens_out": _COUNT,
    "latency_s": {"type": "number", "minimum": 0, "description": "a number of seconds from 0"},
    "repeat": _COUNT,
    "digest": DIGEST,
}
LINE = mapping_schema(_PARTS, ["case"], **{"$comment": 'write {"case": "<task>/<unit>/<id>", "output": "..."}'})
MOST_SHOWN = 200  # characters of a case's name
LOOKED_THROUGH = 200_000  # names of cases to search for a suggestion, which takes seconds; 20 lines of 10,000 cases


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of an output: its line in the file, and the digest of its request if the line has one."""

    line: int
    digest: str


@dataclass(eq=False)
class Replay:
    """A model that returns supplied completions; the output of a case without one is None.

    Completions from a file have its `path`, `sources` by case key and repeat, and the `unknown`
    cases of other lines. Outputs in `texts` were written as texts, not as messages with calls.
    """

    completions: Mapping[tuple[str, int], Completion]
    fingerprint: Fingerprint
    path: Path = Path()
    sources: Mapping[tuple[str, int], Source] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    texts: frozenset[tuple[str, int]] = frozenset()
    can = frozenset[Can]({"generate", "loglik", "tools", "scores"})

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Yield the supplied completions, in the order of the requests."""
        for request in requests:
            known = self.completions.get((request.key, request.repeat))
            yield self._as_asked(known, request) if known else Completion(request.key, None, repeat=request.repeat)

    def _as_asked(self, known: Completion, request: Request) -> Completion:
        """The completion as a message where tools are offered; AuthoringError if it calls and none are."""
        place = request.key, request.repeat
        if request.tools and place in self.texts and known.output is not None:
            return replace(known, output=Message(known.output).write())
        if not request.tools and self.sources and place not in self.texts and not request.texts:
            line = self.sources[place].line
            expected = "an output without tool_calls, since its case offers no tools"
            raise AuthoringError([Problem(self.path, line, "tool_calls", expected, "some", "delete them")])
        return known


@no_collection()
def read_replay(
    path: Path,
    known: Mapping[str, int],
    name: str = "",
    rung: str = "as-is",
    asked: str = "a case of the fixtures",
    *,
    skips_unknown: bool = False,
) -> Replay:
    """Read a file of outputs, one JSON object per line; AuthoringError lists all lines that do not fit the known cases.

    `known` holds by case key the number of texts whose likelihood it asks for, 0 if it asks for an output;
    `asked` is what its keys are called in messages. `name` names the outputs independently of the file,
    `rung` their prompting strategy. `skips_unknown` skips lines of cases that are not known, unless all are.
    """
    problems: list[Problem] = []
    completions: dict[tuple[str, int], Completion] = {}
    sources: dict[tuple[str, int], Source] = {}
    texts: set[tuple[str, int]] = set()
    unknown: dict[str, list[Problem]] = {}
    for line in read_json_lines(path, "outputs", problems):
        hint = len(problems) * len(known) < LOOKED_THROUGH
        found = validate(line, LINE) or list(_misplaced(line, known, completions, hint, asked))
        if skips_unknown and (case := _unknown_case(line, known)):
            unknown.setdefault(case, []).extend(found)
            continue
        problems += found
        if not found:
            completion = _completion(line.data)
            completions[completion.key, completion.repeat] = completion
            if CALLS not in line.data:
                texts.add((completion.key, completion.repeat))
            sources[completion.key, completion.repeat] = Source(line.line(()), line.data.get("digest", ""))
    if not completions:  # the outputs of another project, perhaps
        problems += [problem for found in unknown.values() for problem in found]
    if problems:
        raise AuthoringError(problems)
    return Replay(completions, replay_fingerprint(path, name, rung), path, sources, tuple(unknown), frozenset(texts))


def _unknown_case(line: Document, known: Mapping[str, int]) -> str:
    """The unknown case that a line names; empty if it names a known one, or none."""
    case = line.data.get("case") if isinstance(line.data, dict) else None
    return case if isinstance(case, str) and case not in known else ""


def replay_fingerprint(path: Path, name: str, rung: str) -> Fingerprint:
    """What identifies the outputs of a file: their name, or without one the file's digest."""
    if name:
        # without the file's digest: the baseline holds the outputs, and one changed line would change every unit
        subject, names = {"model": f"replay-{name}", "rung": rung}, {"model": f"replay:{name}", "file": str(path)}
    else:
        subject = {"model": f"replay:{path.name}", "file": file_digest(path), "rung": rung}
        names = {"model": f"replay:{path}"}
    return Fingerprint(subject, {"backend": SUPPLIED}, names)


def _misplaced(
    line: Document, known: Mapping[str, int], completions: Mapping[tuple[str, int], Completion], hint: bool, asked: str
) -> Iterator[Problem]:
    case, repeat = line.data["case"], line.data.get("repeat", 0)
    if case not in known:
        # in `found`, not in the hint: the same slip on every line is one mistake, reported once
        meant = did_you_mean(case, known) if hint else ""
        yield line.problem(("case",), asked, f"{shortened(repr(case), MOST_SHOWN)}{meant and '; ' + meant}")
    elif (case, repeat) in completions:
        yield line.problem(("case",), "each case and repeat once", f"{case!r} again")
    else:
        yield from _unlike(line, known[case])


def _unlike(line: Document, texts: int) -> Iterator[Problem]:
    """The problems of a line that does not hold what its case asks for."""
    wanted, other = ("logprobs", "output") if texts else ("output", "logprobs")
    given = wanted in line.data or (not texts and CALLS in line.data)
    if other in line.data or not given or (texts and CALLS in line.data):
        found = " and ".join(key for key in ("output", "logprobs") if key in line.data) or "neither"
        yield line.problem((), f"{wanted}, which is what its case asks for", f"{found} ({line.data['case']})")
    elif texts and line.data["logprobs"] is not None and len(_logprobs(line.data)) != texts:
        expected = f"log-probabilities of {texts} text{'s' if texts > 1 else ''}"
        yield line.problem(("logprobs",), expected, f"those of {len(_logprobs(line.data))}")


def _completion(line: Mapping[str, Any]) -> Completion:
    output = line.get("output")
    if CALLS in line:
        output = read_message({CONTENT: output, CALLS: line[CALLS]}).write()
    return Completion(
        line["case"], output, line.get("tokens_in"), line.get("tokens_out"), line.get("latency_s"),
        repeat=line.get("repeat", 0), logprobs=_logprobs(line),
    )  # fmt: skip


def _logprobs(line: Mapping[str, Any]) -> LogProbs:
    """Its log-probabilities, one tuple per text."""
    found = line.get("logprobs") or []
    lists = found if found and isinstance(found[0], list) else [found] if found else []
    return tuple(tuple(each) for each in lists)


def leftover_outputs(outputs: Replay) -> str:
    """The note on lines whose case is gone."""
    count = len(outputs.unknown)
    cases = f"{count} case{'s' if count > 1 else ''} that the fixtures do not have ({listed(outputs.unknown)})"
    return f"{show_path(outputs.path)} holds outputs of {cases}; they are not read: delete those lines"
