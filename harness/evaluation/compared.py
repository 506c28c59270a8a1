"""What a record was compared with: each reference's model, prompts and date, for those who read the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.files import digest
from tunegate.harness.evaluation.record import Record

DECODING = "decoding"


def compared_with(references: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    """Return the form of references in a record, by their names: `subject`, `configurations` by unit, `created`."""
    return {name: _facts(each) for name, each in references.items()}


def _facts(reference: Record) -> dict[str, Any]:
    return {
        "subject": dict(reference.fingerprint["subject"]),
        "configurations": {unit: short_form(each) for unit, each in reference.configurations.items()},
        "created": reference.created,
        **({"compared_as": reference.compared_as} if reference.compared_as else {}),
    }


def short_form(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a unit's configuration as the digest of its prompt (with worked examples) and its decoding."""
    prompt = {name: value for name, value in configuration.items() if name != DECODING}
    return {"prompt": digest(prompt), DECODING: dict(configuration[DECODING])}
