"""One thing that is found in an output."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunegate.harness.core.typed import OPTIONAL, UNWRITTEN


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: the rule, the place in the output, and a message.

    `source` is the place of the rule as FILE:LINE: a keyword of a schema, a house rule, a term. It is empty for rules
    that are in no file. It is shown in reports and left out of records, because it moves with every edit of the file.
    """

    rule: str
    message: str
    path: str = field(default="", metadata=OPTIONAL)
    source: str = field(default="", compare=False, metadata=UNWRITTEN)

    def __str__(self) -> str:
        place = f" at {self.path}" if self.path else ""
        return f"{self.rule}{place}: {self.message}"

    @property
    def sourced(self) -> str:
        """The finding with the line of its rule appended."""
        return f"{self} ({self.source})" if self.source else str(self)
