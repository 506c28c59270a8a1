"""Fixture files and outputs that a test writes for itself."""

from __future__ import annotations

import json
from pathlib import Path

SCHEMA = {
    "type": "object",
    "properties": {"product": {"enum": ["boiler", "radiator"]}},
    "required": ["product"],
    "additionalProperties": False,
}


def write_unit(root: Path, ids: list[str], name: str = "triage", task: str = "desk", **more: object) -> Path:
    """A schema unit with one case an id, each expecting a boiler; returns the fixture file."""
    folder = root / task
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "product.schema.json").write_text(json.dumps(SCHEMA))
    cases = [{"id": case, "input": f"message {case}", "expect": {"product": "boiler"}} for case in ids]
    data = {
        "version": 1,
        "suite": "schema",
        "unit": name,
        "check": {"schema": "refs/product.schema.json"},
        "generate": {"max_new_tokens": 4},
        "cases": cases,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(data | more))  # JSON is YAML
    return path


def write_outputs(path: Path, outputs: dict[str, str | None]) -> Path:
    """A replay file of outputs by case key."""
    path.write_text("".join(json.dumps({"case": key, "output": output}) + "\n" for key, output in outputs.items()))
    return path
