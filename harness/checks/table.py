"""Which check judges which suite: the one place where a suite's name meets its code."""

from __future__ import annotations

from harness.checks import schema, vocabulary, voice
from harness.checks.outcome import CheckKind

CHECKS: dict[str, CheckKind] = {
    "schema": schema.KIND,
    "voice": voice.KIND,
    "vocabulary": vocabulary.KIND,
}
