"""A schema as answers can be held to it while they are decoded: what the check asks, as far as a grammar remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tunegate.harness.checks.base import Constraint
from tunegate.harness.checks.schema.dialects import Dialects, subschemas
from tunegate.harness.checks.schema.lint import unasserted

#: A grammar does not remember which items there were; the check judges that they differ.
LEFT_OUT = "uniqueItems"
SETTINGS = "x-guidance"  # of llguidance, for its grammars; ours are made one way


def constraint_of(schema: Mapping[str, Any], file: str) -> Constraint:
    """The constraint of a schema that stands in `file`; the order of its keys is that of the answer."""
    kept = deepcopy(dict(schema))
    kept.pop(SETTINGS, None)
    parts = subschemas(kept)
    dialects = Dialects.of(parts)
    for where, each, _ in parts:
        each.pop(LEFT_OUT, None)
        if unasserted(each, dialects.draft(where)):  # an annotation, which a grammar would take for a rule
            del each["format"]
    return Constraint(json.dumps(kept, ensure_ascii=False), file)
