"""The two sides of a change: the project as it is, and as it was at the branch, with the rules of each."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.authoring.json_lines import read_json_lines
from tunegate.harness.core.errors import Problem, Refused, UsageError, show_path
from tunegate.harness.core.files import file_digest, write_atomically
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.git import MOST_OF_A_FILE, write_tree
from tunegate.harness.core.project import project_table
from tunegate.harness.history.baselines.store import read_baseline
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append
from tunegate.harness.models.backends import REPLAY
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.settings import standing
from tunegate.harness.review.change.code import code_of_checks
from tunegate.harness.review.change.rules import Rules
from tunegate.harness.review.change.trees import tree_digest

#: Settings that are rules: what is compared, how a model runs, and the ledger, which elsewhere has not counted the
#: evaluations of sealed cases. The model is one only if it is run in another way (see candidate.py).
RULES = (
    "cases", "baselines", "inconclusive", "model", "tokenizer",
    "device", "dtype", "attention", "quantization", "reasoning-tokens", "max-model-len", "ledger-remote",
)  # fmt: skip


def without_new_outputs(before: Options, rules: Rules) -> Options:
    """The older run, without the outputs of cases that only the change has: nothing asks for them there."""
    if not before.replays:
        return before
    name, path = REPLAY.split(before.model)
    known = {case.key for unit in rules.units.values() for case in unit.cases}
    problems: list[Problem] = []
    lines = [line.data for line in read_json_lines(path, "outputs", problems)]
    if problems:
        return before  # the reader of the outputs reports what is wrong
    kept = [line for line in lines if not (isinstance(line, dict) and str(line.get("case", "")) not in {"", *known})]
    target = before.root / path.name
    write_atomically(target, (f"{json.dumps(line)}\n" for line in kept))
    return replace(before, model=REPLAY.join(name, target))


def rules_of(options: Options, copy: Path | None = None) -> Rules:
    """Return the rules of a project, without its model's; `copy` is the tree around its own checks."""
    tasks = load_tasks(options.cases, project=options.root)
    code = code_of_checks(options.root, tasks)
    data = tree_digest(copy) if copy and code else ""
    return Rules(tasks, options.baselines, settings_of(options.root, RULES), code, data)


def settings_of(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Return settings of a project as texts, a chat template with the digest of its file."""
    table = project_table(root)
    settings = {name: str(table[name]) for name in names if name in table}
    if template := settings.get("chat-template"):  # 32 digits: with 8, another file could be made to match
        path = root / template
        settings["chat-template"] += f" ({file_digest(path)[:32] if path.is_file() else 'no file'})"
    return settings


def project_at(options: Options, commit: str, home: Path) -> Options | None:
    """The same run in the project as it was at a commit, in a folder of its own; None where it had no fixtures."""
    left = [home / path for path in write_tree(options.root, commit, home)]
    before = _moved(options, home)
    # a missing file would look like one that the change adds, which the older rules do not evaluate
    if odd := [path for path in left if any(path in (rule, *rule.parents) or rule in path.parents
                                            for rule in (before.cases, before.baselines))]:  # fmt: skip
        names = listed([path.relative_to(home).as_posix() for path in odd])
        raise Refused(
            f"--policy-from: expected fixtures and baselines that are files of at most "
            f"{MOST_OF_A_FILE // 2**20} MB at that commit, found links, submodules or larger ones: {names}"
        )
    return before if before.cases.is_dir() else None


def _moved(options: Options, home: Path) -> Options:
    """The run with the rules of the project in another folder: its settings, where the command line is silent."""
    here, there = standing(options.root), standing(home)
    moved: dict[str, Any] = {}
    for name in ("cases", "baselines"):
        given: Path = getattr(options, name)
        stands = real_path(given) == real_path(here[name])
        moved[name] = there[name] if stands else _below(options.root, given, home)
    inconclusive = there["inconclusive"] if options.inconclusive == here["inconclusive"] else options.inconclusive
    return replace(options, root=home, out=None, ledger_remote=None, inconclusive=inconclusive, **moved)


def real_path(path: Path) -> Path:
    """Return a path without links."""
    return Path(os.path.realpath(path))  # also for links in a circle, which their reader reports


def _below(root: Path, path: Path, home: Path) -> Path:
    try:
        return home / real_path(path).relative_to(real_path(root))
    except ValueError:
        raise UsageError(
            f"{show_path(path)}: expected it in the project, {show_path(root)}, so that --policy-from finds it at that "
            "commit, found it elsewhere"
        ) from None


def take_labels(older: Rules, newer: Rules) -> None:
    """Give the older rules the labels of the change, which a reviewer approved."""
    for key, unit in older.units.items():
        now = newer.units[key].labels if key in newer.units else None
        for path, target in zip(now.files, unit.labels.files, strict=False) if unit.labels and now else ():
            if path.is_file():
                shutil.copyfile(path, target)


def complete_baselines(rules: Rules, now: Path) -> None:
    """Give the older rules the baselines that they lack: of a new base model, or of a unit that had none."""
    for key, unit in rules.units.items():
        for path in sorted(now.glob(f"*/{glob.escape(key)}.json")):
            target = rules.baselines / path.relative_to(now)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                found = read_baseline(target, key)
                append(rules.baselines, Event("recorded", unit.task, found.subject, files={key: found.digest}))
