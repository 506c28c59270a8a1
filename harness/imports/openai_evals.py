"""OpenAI's evals: samples in JSONL, and the YAML of its registry, which names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results.samples import mapping_at, text_of
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.reading import NotJson, parse_foreign_json
from tunegate.harness.imports.model import Imported, ImportedCase, JsonRule, LeftOut, Tally, made_cases, prompt_of
from tunegate.harness.imports.nearby import Nearby
from tunegate.harness.imports.rules import target_rule
from tunegate.harness.imports.targets import Match, targets_of

TOOL = "OpenAI evals"
MATCH = "Match"
REGISTRY, DATA_FOLDER = "evals", "data"
_USED = frozenset({"input", "ideal"})


def is_samples(row: Any) -> bool:
    """Whether a row is a sample."""
    return isinstance(row, Mapping) and {"input", "ideal"} <= row.keys()


def is_registry(value: Any) -> bool:
    """Whether a YAML value is a file of the registry."""
    entries = list(value.values()) if isinstance(value, Mapping) else []
    return bool(entries) and any(
        isinstance(each, Mapping) and isinstance(each.get("class"), str) and ":" in each["class"] for each in entries
    )


def read_samples_file(path: Path, rows: list[Any], match: str | None) -> Imported:
    """Import samples without their eval: `--match`, by default as `Match` compares.

    Raises:
        Refused: no sample can be used.
    """
    tally, how = Tally(), Match(match, "starts", f"{MATCH} of {TOOL}")
    kinds = {"exact": "exact", "starts": MATCH, "includes": "Includes"}
    return Imported(TOOL, path, _cases(rows, kinds[how.name], {}, tally), tally, notes=how.notes)


def read_registry(path: Path, registry: Mapping[str, Any]) -> Imported:
    """Import the evals of a registry file: `Match`, `Includes`, `FuzzyMatch` and `JsonMatch` have a home.

    Raises:
        Refused: no eval or sample can be used.
    """
    top = path.parent.parent
    is_standard = path.parent.name == REGISTRY and (top / DATA_FOLDER).is_dir()
    nearby, tally = Nearby(top if is_standard else path.parent), Tally()
    data = top / DATA_FOLDER if is_standard else path.parent
    evals = {str(name): each for name, each in registry.items() if isinstance(each, Mapping) and "class" in each}
    found: dict[str, list[ImportedCase]] = {}
    for name, entry in evals.items():
        kind = text_of(entry["class"], 100).rpartition(":")[2]
        arguments = mapping_at(entry, "args")
        try:
            if kind not in KINDS:
                raise LeftOut(f"{kind} has no home here")
            if not isinstance(arguments.get("samples_jsonl"), str):
                raise LeftOut("without samples_jsonl")
            rows = nearby.data(nearby.find(arguments["samples_jsonl"], data))
            found[name] = _cases(rows, kind, arguments, tally)
        except (LeftOut, Refused) as error:
            tally.left[f"eval {shown(name[:60])}", str(error)] += 1
    several = len(found) > 1
    cases = [replace(case, set_name=name if several else "") for name, each in found.items() for case in each]
    return Imported(TOOL, path, cases, tally)


def _cases(rows: Any, kind: str, arguments: Mapping[str, Any], tally: Tally) -> list[ImportedCase]:
    if arguments.get("num_few_shot"):
        tally.left["few-shot examples", "write them as shots, see docs/from-a-table.md"] += 1
    ignore_case = arguments.get("ignore_case") is True
    samples = rows if isinstance(rows, list) else []
    return made_cases(samples, lambda row: _case(row, kind, ignore_case, tally), tally, "sample", kind)


def _case(row: Any, kind: str, ignore_case: bool, tally: Tally) -> ImportedCase:
    if not is_samples(row):
        raise LeftOut("without input and ideal")
    asked, ideals = prompt_of(row["input"], tally), targets_of(row["ideal"])
    tally.unused("key {}", row.keys() - _USED)
    if kind == "JsonMatch":
        values = [_json(each) for each in ideals]
        if values == [None]:
            return ImportedCase(asked, json=JsonRule({"type": "null"}))
        return ImportedCase(asked, json=JsonRule(expect=values[0] if len(values) == 1 else {"any_of": values}))
    if kind == "FuzzyMatch":
        tally.changed[kind, "the ideal must appear in the output, in any letter case"] += 1
        return ImportedCase(asked, texts=(target_rule("includes", ideals, ignore_case=True),))
    return ImportedCase(asked, texts=(target_rule(KINDS[kind], ideals, ignore_case),))


def _json(text: str) -> Any:
    try:
        return parse_foreign_json(text)
    except NotJson:
        raise LeftOut("an ideal that is no JSON") from None


#: By class, how its samples are compared.
KINDS: Mapping[str, str] = {
    "Match": "starts", "Includes": "includes", "FuzzyMatch": "includes", "JsonMatch": "exact", "exact": "exact",
}  # fmt: skip
