"""The direction of imports, and what stays unloaded until a model is needed."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import write_outputs, write_unit

ROOT = Path(__file__).parent.parent
# Data flows left to right: a module imports only what stands before it. `checks.*` are all checks not named here,
# which may import one another without a circle.
ORDER = [
    "errors", "files", "document", "shape", "syntax", "plaindata", "yamlfile", "progress", "models", "embed",
    "checks.outcome", "checks.*", "checks.table", "published", "policy", "units", "parts", "rereads", "cases",
    "subject", "prompts", "options", "replay", "cache", "adapters", "likelihood", "local", "distributions", "stats",
    "ratio", "timing",
    "power", "sizes", "record", "judge", "baselines", "changes", "recording", "matching", "verdict", "words", "pairs",
    "gate", "claims", "past", "plan", "plantext", "lint", "report", "ladder", "levers", "diagnosis", "diagnosistext",
    "references", "session", "items", "plugin", "release", "demo", "cli", "__main__",
