"""Does the suite `tools` agree with BFCL's own checker, on its leaderboard's outputs and on planted mistakes?

    git clone https://github.com/ShishirPatil/gorilla
    git clone https://github.com/HuanzhiMao/BFCL-Result
    python benchmarks/tool_calls.py gorilla BFCL-Result/2024-08-11/result

BFCL's single-turn Python sets (1,240 questions) become fixture files, which the shipped loader reads. Judged are the
results of every model whose server gave calls, not texts, and the right calls with one of 15 planted mistakes each.

Known before: BFCL ignores case, spaces and `,./-_*^` in texts, and checks types one level deep; the suite does neither
unless a fixture says `as: text`. So agreement is told three times: of the suite as it is, with `as: text` for each
argument that may be any text, and on texts that are written alike. Written down before measuring: with `as: text` at
least 99 % on published outputs; on texts written alike as much, and on each kind of mistake. A kind added later,
`true` for 1, is of types further inside and not promised. Every difference is told by its cause. Exit code 1 if less
agrees, or if a difference has no known cause.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out
from benchmarks.gate_markdown import table
from benchmarks.tool_calls_mistakes import TRUTH, WRITTEN, planted
from benchmarks.tool_calls_sets import Entry, as_message, load_cases, published, read_entries, write_fixtures
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.base import Outcome
from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.progress import Watch

LIBRARIES = ("tunegate",)
LEAST = 0.99
SEED = 20261203
UNKNOWN = "no known cause"
WRITING, WHOLE = "case, spaces or punctuation of a text", "whole numbers in a list of numbers"
INTEGER = "`4.0` where an integer is expected"
IN_TEXT, UNREADABLE = "a call in the text where no tool fits", "a call with unreadable arguments where no tool fits"
BLANK, OWN = "nothing in an optional argument", "a possible answer that the function's own schema refuses"
DEEP = "true for 1 inside an object"
#: What BFCL's errors say of values that the suite takes.
STRICTER = {"Nested type checking failed": WHOLE, "Expected type integer, got float": INTEGER}
#: What each side says, and which is right.
CAUSES = {
    WRITING: "BFCL takes it. Harmless for `Hill` and `hill`; but BFCL also takes `15` for `1.5`, `5` for `-5` and `2x` "
    "for `2*x`. `as: text` takes the first and none of `1.5` and `-5`.",
    WHOLE: "The suite takes `[1, 3]` for `[1.0, 3.0]`, and is right: JSON has one kind of number. BFCL itself takes "
    "`3` for `3.0` outside of lists.",
    INTEGER: "The suite takes it, as JSON Schema does: a number without a fraction is an integer.",
    IN_TEXT: "BFCL takes it, as nothing is called, which is true; the suite's rule is stricter. Some are whole calls "
    "as JSON; most are code that shows how the tool would be used.",
    UNREADABLE: "BFCL takes it, as it could decode no call. The suite is right: a call was made, and it fails.",
    BLANK: "BFCL takes an empty text or list: its mark for *may be missing* is an empty text, which it also takes as a "
    "value. The suite is right: the tool gets the value.",
    OWN: "BFCL takes it: it reads no `enum`, and an answer may have another type. The suite is right: a server that "
    "holds calls to the schema refuses it.",
    DEEP: "BFCL takes it: it checks types one level deep. The suite is right.",
}


@dataclass(frozen=True)
class Judged:
    """A result, and what four judges say: BFCL, the suite, it with `as: text`, and it on texts written alike."""

    kind: str
    entry: Entry
    result: Any
    theirs: bool
    ours: bool
    as_text: bool
    alike: bool
    cause: str

    @property
    def agrees(self) -> bool:
        """Whether the suite as it is says what BFCL says."""
        return self.ours == self.theirs

    @property
    def agrees_as_text(self) -> bool:
        """Whether it does with `as: text` for each argument that may be any text."""
        return self.as_text == self.theirs

    @property
    def agrees_alike(self) -> bool:
        """Whether it does on texts that are written alike."""
        return self.alike == self.theirs


def alike(value: Any) -> Any:
    """A value with its texts as BFCL compares them; one that would be empty stays as it is."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"') or value
    if isinstance(value, list):
        return [alike(each) for each in value]
    return {key: alike(each) for key, each in value.items()} if isinstance(value, dict) else value


def _schema_alike(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema whose closed values are written alike."""
    found = dict(schema)
    if "enum" in found:
        found["enum"] = list(dict.fromkeys(alike(found["enum"])))
    if "properties" in found:
        found["properties"] = {name: _schema_alike(each) for name, each in found["properties"].items()}
    return found | ({"items": _schema_alike(found["items"])} if "items" in found else {})


def entry_alike(entry: Entry) -> Entry:
    """An entry whose answers and closed values are written alike."""
    function = [each | {"parameters": _schema_alike(each["parameters"])} for each in map(dict, entry.function)]
    return replace(
        entry, function=function, answer=[{name: alike(each) for name, each in call.items()} for call in entry.answer]
    )


def message_alike(output: str) -> str:
    """A message whose calls have texts that are written alike."""
    message = read_output(output)
    calls = (
        call if call.arguments is None else replace(call, arguments=alike(call.arguments)) for call in message.calls
    )
    return replace(message, calls=tuple(calls)).write()


def their_verdicts(
    gorilla: Path, entries: Sequence[Entry], outputs: Sequence[tuple[int, Any]]
) -> list[tuple[bool, str]]:
    """BFCL's verdicts, from a process of its own.

    Raises:
        Failed: its checker did not run.
    """
    script = Path(__file__).with_name("tool_calls_theirs.py")
    given = json.dumps({"entries": [vars(each) for each in entries], "outputs": outputs})
    done = subprocess.run(
        [sys.executable, script, gorilla], input=given, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode:
        raise Failed(f"BFCL's checker did not run: {done.stderr[-1000:]}")
    return [(valid, error) for valid, error in json.loads(done.stdout)]


def without_blanks(output: str) -> str:
    """A message whose calls lack the arguments that have nothing: a blank text, or an empty list."""
    message = read_output(output)
    calls = (
        replace(call, arguments={key: each for key, each in call.arguments.items() if not _is_blank(each)})
        for call in message.calls
        if call.arguments is not None
    )
    return replace(message, calls=tuple(calls)).write()


def _is_blank(value: Any) -> bool:
    return value == [] or (isinstance(value, str) and not value.strip())


def cause(case: Case, output: str, outcome: Outcome, valid: bool, error: str) -> str:
    """Why BFCL says `valid`, and the suite not, or the other way round, on texts that are written alike."""
    if not valid:
        return next((why for said, why in STRICTER.items() if said in error), UNKNOWN)
    rules = {each.rule for each in outcome.findings}
    if case.expect["calls"] == "none":
        return IN_TEXT if "call.in-text" in rules else UNREADABLE if rules & {"call.arguments", "call.cut"} else UNKNOWN
    if _passes(case, without_blanks(output)):
        return BLANK
    if _passes(case, _with_numbers(output)):
        return DEEP
    return OWN if rules & {"schema.enum", "schema.type"} else UNKNOWN


def _with_numbers(output: str) -> str:
    """A message with 1 for true and 0 for false inside lists and objects."""
    message = read_output(output)
    calls = (
        replace(
            call,
            arguments={
                key: each if isinstance(each, bool) else _numbers(each) for key, each in (call.arguments or {}).items()
            },
        )
        for call in message.calls
    )
    return replace(message, calls=tuple(calls)).write()


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    return int(value) if isinstance(value, bool) else value


def _score(case: Case, output: str) -> Outcome:
    return case.check(output, case.expect, "")


def _passes(case: Case, output: str) -> bool:
    return _score(case, output).score == 1


def judge(
    gorilla: Path, entries: Sequence[Entry], cases: Sequence[Mapping[str, Case]],
    results: Sequence[tuple[str, int, Any]],
) -> list[Judged]:  # fmt: skip
    """Judge results, each the name of its kind, the number of its entry and what was said.

    `cases` are those of the suite as it is, with `as: text`, and of texts written alike, each by its id.
    """
    kept = [each for each in results if entries[each[1]].id in cases[0]]
    theirs = their_verdicts(gorilla, entries, [(index, result) for _, index, result in kept])
    return [
        _judged(kind, entries[index], result, [each[entries[index].id] for each in cases], *verdict)
        for (kind, index, result), verdict in zip(kept, theirs, strict=True)
    ]


def _judged(kind: str, entry: Entry, result: Any, cases: Sequence[Case], valid: bool, error: str) -> Judged:
    case, by_text, close = cases
    output = as_message(result)
    passes, second = _passes(case, output), _score(close, message_alike(output))
    why = "" if passes == valid else WRITING
    if (second.score == 1) != valid:
        why = cause(close, message_alike(output), second, valid, error)
    return Judged(kind, entry, result, valid, passes, _passes(by_text, output), second.score == 1, why)


@dataclass(frozen=True)
class Found:
    """What was judged: published outputs by model, planted ones by kind; and answers that functions refuse."""

    outputs: Sequence[Judged]
    mistakes: Sequence[Judged]
    refused: Mapping[str, Sequence[str]]


def measure(gorilla: Path, results: Path, watch: Watch) -> Found:
    """Judge everything.

    Raises:
        Failed: the data are not there.
    """
    entries = read_entries(gorilla)
    models = list(published(results))
    if not models:
        raise Failed(f"{results}: expected BFCL's results, found none; clone HuanzhiMao/BFCL-Result")
    with tempfile.TemporaryDirectory() as folder, watch("Models", len(models) + 1) as done:
        refused = write_fixtures(entries, Path(folder) / "ours")
        write_fixtures(entries, Path(folder) / "as-text", as_text=True)
        write_fixtures([*map(entry_alike, entries)], Path(folder) / "alike")
        cases = [load_cases(Path(folder) / name) for name in ("ours", "as-text", "alike")]
        mistakes = judge(gorilla, entries, cases, [*planted(entries, Random(SEED))])  # noqa: S311  (a draw)
        done(1)
        outputs: list[Judged] = []
        for model, said in models:
            outputs += judge(gorilla, entries, cases, [(model, index, result) for index, result in said])
            done(1)
    return Found(outputs, mistakes, refused)


def _share(judged: Sequence[Judged], agrees: Callable[[Judged], bool]) -> float:
    return sum(map(agrees, judged)) / len(judged)


def _agrees(each: Judged) -> bool:
    return each.agrees


def _as_text(each: Judged) -> bool:
    return each.agrees_as_text


def _alike(each: Judged) -> bool:
    return each.agrees_alike


def by(judged: Sequence[Judged], name: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    """Group what was judged."""
    groups: dict[str, list[Judged]] = {}
    for each in judged:
        groups.setdefault(name(each), []).append(each)
    return groups


def _kind(each: Judged) -> str:
    return each.kind


def _category(each: Judged) -> str:
    return each.entry.category


def _rows(groups: Mapping[str, Sequence[Judged]]) -> Iterator[list[str]]:
    for name, judged in groups.items():
        taken = sum(each.theirs for each in judged), sum(each.ours for each in judged)
        counts = (f"{count:,}" for count in (len(judged), *taken))
        yield [name, *counts, *(f"{100 * _share(judged, way):.2f}" for way in (_agrees, _as_text, _alike))]


def _table(first: str, groups: Mapping[str, Sequence[Judged]]) -> str:
    heads = [first, "outputs", "BFCL takes", "the suite takes", "agree, %", "with `as: text`, %"]
    return table([*heads, "on texts written alike, %"], _rows(groups))


def _differences(found: Found) -> str:
    counts = [Counter(each.cause for each in judged) for judged in (found.outputs, found.mistakes)]
    names = [name for name in (*CAUSES, UNKNOWN) if any(count[name] for count in counts)]
    return table(
        ["cause", "published", "planted", "which is right"],
        [[name, *(f"{count[name]:,}" for count in counts), CAUSES.get(name, "")] for name in names],
    )


def report(found: Found, made: str) -> str:
    """The report in Markdown."""
    kinds = by(found.mistakes, _kind)
    least = {
        way: min(_share(judged, way) for name, judged in kinds.items() if name not in apart)
        for way, apart in ((_agrees, {TRUTH, WRITTEN}), (_alike, {TRUTH}))
    }
    lines = [f"- {name}: {', '.join(map(shown_in_markdown, each))}" for name, each in found.refused.items()]
    return "\n\n".join([
        "# BFCL's questions as fixtures of the suite tools",
        f"- Of {len(found.outputs):,} published outputs of {len(by(found.outputs, _kind))} models, the suite agrees "
        f"with BFCL's own checker on {100 * _share(found.outputs, _agrees):.2f} %; with `as: text` for "
        f"arguments that may be any text, on {100 * _share(found.outputs, _as_text):.2f} %; on texts written alike, on "
        f"{100 * _share(found.outputs, _alike):.2f} %.\n"
        f"- On planted mistakes: as it is, at least {100 * least[_agrees]:.2f} % of each kind but *{WRITTEN}*, which "
        f"it refuses and BFCL takes; on texts written alike, at least {100 * least[_alike]:.2f} % of each.\n"
        f"- Not promised: *{TRUTH}*, {100 * _share(kinds[TRUTH], _alike):.2f} % of {len(kinds[TRUTH])}.",
        made,
        "Questions: simple_python 400, multiple 200, parallel 200, parallel_multiple 200, irrelevance 240 of BFCL v4. "
        "Outputs: of each model on the leaderboard of 11 August 2024 whose server gave calls; both checkers see the "
        "same calls and today's answers. `as: text` keeps what changes a number: `1.5` is not `15`. *Written alike*: "
        "texts without case, spaces and `,./-_*^` on both sides, as BFCL compares them. Not judged: models "
        "whose calls are texts to be parsed, other languages, live and multi-turn sets.",
        "## Published outputs by set", _table("set", by(found.outputs, _category)),
        "## Planted mistakes", f"Each question's right calls with one mistake; seed {SEED}.", _table("kind", kinds),
        "## Every difference by its cause", _differences(found),
        "## Published outputs by model", _table("model", by(found.outputs, _kind)),
        "## Answers of BFCL's that its own functions refuse",
        "Lint names these; no fixture has them. A question with an argument for which no value is left is left out.",
        "\n".join(lines),
    ]) + "\n"  # fmt: skip


def broken(found: Found) -> Iterator[str]:
    """Less agreement than promised, and differences without a known cause."""
    if (share := _share(found.outputs, _as_text)) < LEAST:
        yield f"published outputs with `as: text`: {100 * share:.2f} % agree"
    for name, judged in {"published outputs": found.outputs, **by(found.mistakes, _kind)}.items():
        if name != TRUTH and (share := _share(judged, _alike)) < LEAST:
            yield f"{name}: {100 * share:.2f} % agree"
    if unknown := [each for each in (*found.outputs, *found.mistakes) if each.cause == UNKNOWN]:
        yield f"{len(unknown)} differences have no known cause, such as {unknown[0].kind} on {unknown[0].entry.id}"


def main(
    gorilla: Annotated[
        Path, typer.Argument(help="A clone of ShishirPatil/gorilla.", metavar="DIR", show_default=False)
    ],
    results: Annotated[Path, typer.Argument(help="Its results.", metavar="DIR", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where tool_calls.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Judge calls by the suite tools and by BFCL, write tool_calls.md, and fail if they agree less than promised."""
    command = "python benchmarks/tool_calls.py GORILLA RESULTS"
    carry_out(out / "tool_calls.md", command, LIBRARIES, lambda watch: measure(gorilla, results, watch), report, broken)


if __name__ == "__main__":
    typer.run(main)
