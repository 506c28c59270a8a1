"""Result files of other tools: those that the tools wrote, and small ones that a test writes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tunegate.harness.begin.results.zipped import open_zip

DATA = ROOT / "tests" / "data" / "results"
#: What neither a file of a tool nor the names say: more of it is better.
DIRECTIONS = {"inspect": ["facets.close=higher"]}
LM = {kind: next((DATA / f"lm_{kind}").glob("samples_sums_*.jsonl")) for kind in ("old", "worse", "better")}


def pair_of(tool: str, kind: str) -> tuple[Path, Path]:
    """The file `old` of a tool, and another one of it."""
    if tool == "lm":
        return LM["old"], LM[kind]
    end = "eval" if tool == "inspect" else "json"
    return DATA / f"{tool}_old.{end}", DATA / f"{tool}_{kind}.{end}"


def csv_file(path: Path, rows: Mapping[str, object], metric: str = "score") -> Path:
    """A CSV file with one metric."""
    path.write_text("".join([f"id,{metric}\n", *(f"{name},{score}\n" for name, score in rows.items())]))
    return path


def log_entries(path: Path) -> dict[str, bytes]:
    """The entries of an inspect_ai log, by name."""
    with open_zip(path, "a log") as archive:
        return {name: archive.read(name) for name in archive.names}


def write_log(path: Path, entries: Mapping[str, bytes]) -> Path:
    """An inspect_ai log as older versions wrote it, deflated."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def json_log(entries: Mapping[str, bytes]) -> dict[str, Any]:
    """The same log as one JSON object."""
    samples = [json.loads(content) for name, content in entries.items() if name.startswith("samples/")]
    return {**json.loads(entries["header.json"]), "samples": samples}


def log_of(path: Path, scores: Mapping[str, Any], **more: Any) -> Path:
    """A log in JSON: the score of each id, by one scorer called `accuracy`; `more` are keys of its header."""
    samples = [
        {"id": name, "epoch": 1, "input": f"asked {name}", "target": "x", "scores": {"accuracy": {"value": value}}}
        for name, value in scores.items()
    ]
    path.write_text(json.dumps({"version": 2, "status": "success", "eval": {"task": "t"}, "samples": samples} | more))
    return path


def two_providers(path: Path, kind: str = "worse", labels: tuple[str, str] = ("old", "new"), **more: Any) -> Path:
    """A promptfoo file with two providers: the results of `old`, and beside each one that of another file."""
    found = json.loads((DATA / "promptfoo_old.json").read_text())
    others = json.loads((DATA / f"promptfoo_{kind}.json").read_text())["results"]["results"]
    rows = []
    for both in zip(found["results"]["results"], others, strict=True):
        for place, (row, label) in enumerate(zip(both, labels, strict=True)):
            provider = {"id": f"scripted:{label or place}", "label": label}
            rows.append(row | {"promptIdx": place, "provider": provider} | more)
    found["results"] |= {"results": rows, "stats": {}}
    path.write_text(json.dumps(found))
    return path
