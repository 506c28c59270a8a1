"""BFCL's own checker in a process of its own: `python benchmarks/tool_calls_theirs.py GORILLA < outputs`.

GORILLA is a clone of ShishirPatil/gorilla. Only the list of models, which imports every provider's client, is replaced:
its one use is to say that names have `_` for `.`, as BFCL offers them to servers. Decoding is that of its
OpenAI handler. Nothing of Tunegate is imported.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

HOME = "berkeley-function-call-leaderboard"


def load(gorilla: Path) -> Any:
    """Return BFCL's `ast_checker` for Python calls."""
    sys.path.insert(0, str(gorilla / HOME))
    models = ModuleType("bfcl_eval.constants.model_config")
    models.__dict__["MODEL_CONFIG_MAPPING"] = defaultdict(lambda: SimpleNamespace(underscore_to_dot=True))
    sys.modules[models.__name__] = models
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    return lambda entry, calls: ast_checker(
        entry["function"], calls, entry["answer"], Language.PYTHON, entry["category"], "model"
    )


def decoded(result: Any) -> list[dict[str, Any]] | None:
    """The calls of a result as BFCL decodes them; None if it cannot, as with prose and with cut JSON."""
    if not isinstance(result, list):
        return None
    calls = []
    for each in result:
        if not (isinstance(each, dict) and len(each) == 1):
            return None
        [(name, arguments)] = each.items()
        try:
            found = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        calls.append({name: found})
    return calls


def verdict(check: Any, entry: dict[str, Any], result: Any) -> tuple[bool, str]:
    """Whether BFCL takes a result, and otherwise its error; where no tool fits, every result without a call."""
    calls = decoded(result)
    if entry["category"] == "irrelevance":
        return not calls, "" if not calls else "a call"
    if calls is None:
        return False, "not decoded"
    try:
        found = check(entry, calls)
    except Exception as error:  # the leaderboard would stop here
        return False, f"raised {type(error).__name__}: {error}"
    return bool(found["valid"]), "" if found["valid"] else f"{found['error_type']}: {found['error']}"


def main() -> None:
    """Read `{entries, outputs}` as JSON, each output the number of its entry and a result; write a verdict of each."""
    given, check = json.load(sys.stdin), load(Path(sys.argv[1]))
    json.dump([verdict(check, given["entries"][index], result) for index, result in given["outputs"]], sys.stdout)


if __name__ == "__main__":
    main()
