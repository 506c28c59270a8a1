"""Does the suite `tools` agree with BFCL's own checker, on its leaderboard's outputs and on planted mistakes?

    git clone https://github.com/ShishirPatil/gorilla
    git clone https://github.com/HuanzhiMao/BFCL-Result
    python benchmarks/tool_calls.py gorilla BFCL-Result/2024-08-11/result

BFCL's single-turn Python sets (1,240 questions) become fixture files, which the shipped loader reads. Judged are the
results of every model whose server gave calls, not texts, and the right calls with one of 14 planted mistakes each.

Known before: BFCL ignores case, spaces and `,./-_*^` in texts, and the suite does not. So agreement is told twice: of
the suite as it is, and of the suite on texts that are written alike. Written down before measuring: of the second, at
least 99 % on published outputs, and on each kind of mistake. Every remaining difference is told by its cause. Exit
code 1 if less agrees, or if a difference has no known cause.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out
from benchmarks.gate_markdown import table
from benchmarks.tool_calls_mistakes import planted
from benchmarks.tool_calls_sets import SETS, Entry, as_message, load_cases, published, read_entries, write_fixtures
from tunegate.harness.cases.model import Case
from tunegate.harness.checks.base import Outcome
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.progress import Watch

LIBRARIES = ("tunegate",)
LEAST = 0.99
SEED = 20261203
