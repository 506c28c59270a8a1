"""What a record was compared with: each reference's model, prompts and date, for those who read the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunegate.harness.core.files import digest
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.models.evaluation.run_facts import Reference, ShortConfiguration


def compared_with(references: Mapping[str, Record]) -> dict[str, Reference]:
    """Return the facts of references in a record, by their names."""
    return {name: _facts(each) for name, each in references.items()}


def _facts(reference: Record) -> Reference:
    return Reference(
        dict(reference.fingerprint["subject"]),
        {unit: short_form(each) for unit, each in reference.configurations.items()},
        reference.created,
        reference.compared_as,
    )


def short_form(configuration: Mapping[str, Any]) -> ShortConfiguration:
    """Return a unit's configuration as the digest of its prompt (with worked examples) and its decoding."""
    prompt = {name: value for name, value in configuration.items() if name != "decoding"}
    return ShortConfiguration(digest(prompt), dict(configuration["decoding"]))
