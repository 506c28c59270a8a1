"""What the gate decided on a change, for the command, the page and scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tunegate.harness.core.errors import show_path
from tunegate.harness.core.files import file_digest
from tunegate.harness.models.evaluation.record import Record
from tunegate.harness.reporting.edited import EditedPart
from tunegate.harness.review.change.rules import RuleChanges


@dataclass(frozen=True)
class RulesVerdict:
    """The verdicts on one model by one set of rules, named if there are two, and the units and tasks that block."""

    rules: str
    record: Record
    blocks: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        record = self.record
        return {
            "rules": self.rules, "blocks": list(self.blocks), "adapter": record.adapter,
            "model": record.fingerprint["subject"].get("model"),
            "record": show_path(record.path) if record.path else None,
            "digest": file_digest(record.path) if record.path else None, "partial": record.partial,
            "verdicts": {key: verdict.verdict for key, verdict in record.verdicts.items()},
            "tasks": {key: each.with_reason() for key, each in record.tasks.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """The decision of the gate: the verdicts by each set of rules, and the rule changes with their approval.

    `configuration` are the parts of it that the change edits. `untrue` are the records of the change that are not what
    the gate finds; they block. `refused` says why something could not be evaluated; then nothing passes.
    """

    by_rules: tuple[RulesVerdict, ...] = ()
    changes: RuleChanges | None = None
    configuration: tuple[EditedPart, ...] = ()
    approved: bool = False
    untrue: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""

    @property
    def is_modified(self) -> bool:
        """Whether there are rule changes that no reviewer approved."""
        return bool(self.changes and self.changes.modified) and not self.approved

    @property
    def passes(self) -> bool:
        """Whether something was evaluated and nothing blocks."""
        blocks = self.is_modified or self.refused or self.untrue or any(each.blocks for each in self.by_rules)
        return bool(self.by_rules) and not blocks

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        changes = self.changes or RuleChanges((), (), "")
        return {
            "passes": self.passes, "refused": self.refused, "modified": list(changes.modified),
            "added": list(changes.added), "approve": changes.approve, "approved": self.approved,
            "configuration": [asdict(each) for each in self.configuration], "untrue": list(self.untrue),
            "by_rules": [each.as_dict() for each in self.by_rules], "notes": list(self.notes),
        }  # fmt: skip
