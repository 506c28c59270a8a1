"""The field's words: names and keys that were retired do not come back, and one public name means one thing."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from tests.support.paths import ROOT
from tests.support.sources import trees

#: Words that stand in no name and no key any more, whole or as a part of it, and what is said instead.
WORDS = {
    "aimless": "no target", "band": "threshold", "bands": "threshold", "bare": "base, or what is missing",
    "boilerplate": "common phrases", "broke": "regressed", "broken": "regressed", "choosing": "best checkpoint",
    "churn": "flip rate", "clamp": "winsorise", "clamped": "winsorised", "climb": "run the ladder",
    "climbers": "promptable", "dev": "validation", "doubt": "warning", "doubts": "warnings",
    "dressed": "active adapter", "heldout": "eval texts", "holdout": "decontamination", "identity": "fingerprint",
    "judged": "scored", "judging": "scoring", "lever": "remedy", "levers": "remedies",
    "ranks": "processes", "reread": "derived", "rereads": "derived", "shape": "schema, validate",
    "shapes": "schemas", "slip": "typo", "slips": "typos", "spelling": "character n-grams", "stray": "unused",
    "strays": "unused files", "subjects": "models", "told": "render, messages", "unarmed": "already failing",
    "unclimbed": "unpromptable", "waive": "override", "waived": "overridden, exempted", "waiver": "exemption",
    "waivers": "exemptions", "waives": "overrides, exempts", "warrant": "eligibility", "wearing": "active adapter",
    "wears": "active adapter", "worn": "active adapter",
}  # fmt: skip
#: Whole names and keys that were retired, though their words live on in others.
NAMES = {
    "Answer": "Completion", "Band": "Threshold", "Doubt": "LintWarning", "HeldText": "EvalText",
    "Identity": "Fingerprint", "Judged": "UnitVerdict", "Lever": "Remedy", "Part": "FixtureFile", "Row": "Example",
    "Spelling": "CharNgrams", "Subject": "Model", "Waiver": "Exemption", "_slips": "_misspellings",
    "_subject": "_model", "as_answer": "as_completion", "check_code": "version", "chosen_step": "best_step",
    "fixed": "fixed_cases", "floor": "minimum_score", "in_words": "render",
    "leave": "eligible", "marks": "tags and critical flags", "misshapen": "invalid", "not_judged": "not_scored",
    "reach": "target_score", "read_part": "read_fixture_file", "read_rows": "read_examples",
    "recorded_answers": "recorded_completions", "row_name": "kind_name",
}  # fmt: skip
#: Where a retired word means something else: the module (or schema), the name, and what it is there.
ALLOWED = {
    ("harness/checks/voice/classifier.py", "shape"): "of an array",
    ("harness/cli/common.py", "BrokenPipeError"): "Python's",
    ("harness/core/printing.py", "BrokenPipeError"): "Python's",
    ("harness/core/printing.py", "on_broken_pipe"): "rich's",
    ("harness/core/formatting.py", "floor"): "math.floor",
    ("harness/reporting/drawings.py", "floor"): "math.floor",
    ("harness/models/local/continuous_batching.py", "shape"): "of a tensor",
    ("harness/models/local/continuous_batching.py", "clamp"): "torch's",
    ("harness/models/memory.py", "get_shape"): "of a tensor",
    ("harness/models/memory.py", "shape"): "of a tensor",
    ("trainers/training/memory_use.py", "shape"): "of a tensor",
    ("trainers/adoption/whole_model.py", "shape"): "of a tensor",
    ("harness/release/parity/stored_weights.py", "shape"): "of a tensor",
    ("harness/release/parity/weights.py", "shape"): "of a tensor",
    ("harness/statistics/critical_values.py", "fixed"): "a count of fixed cases",
    ("harness/statistics/critical_values.py", "shape"): "of an array",
    ("harness/statistics/joint.py", "fixed"): "a chance and a count of fixed cases",
    ("harness/statistics/joint.py", "shape"): "of an array",
    ("harness/statistics/distributions.py", "floor"): "numpy's",
    ("harness/statistics/paired.py", "shape"): "of an array",
    ("harness/statistics/ratio.py", "shape"): "of an array",
    ("harness/statistics/sample_size.py", "fixed"): "a chance and a count of fixed cases",
    ("harness/rows/overlap.py", "shape"): "of a sparse matrix",
}  # fmt: skip


def words_of(name: str) -> set[str]:
    """The words of a name, small: `HeldText`, `held_text` and `held texts` alike."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def is_retired(name: str) -> bool:
    return name in NAMES or bool(words_of(name) & WORDS.keys())


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every name in a module, those inside f-strings too, and every text that is a key."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            yield from name.split(".") if isinstance(name, str) else ()
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        yield from (key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def keys_in(schema: object) -> Iterator[str]:
    """Every key that a JSON Schema lets stand in a file."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for inner in schema.values():
            yield from keys_in(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from keys_in(inner)


@cache
def found() -> frozenset[tuple[str, str]]:
    """Every retired name or key that stands somewhere, by file and name."""
    texts = [(path, names_in(tree)) for path, tree in trees().items()]
    schemas = sorted((ROOT / "harness" / "cases").glob("*.schema.json"))
    assert schemas
    texts += [(path.name, keys_in(json.loads(path.read_text("utf-8")))) for path in schemas]
    return frozenset((path, name) for path, names in texts for name in names if is_retired(name))


def test_no_retired_name_or_key_comes_back():
    assert sorted(found() - ALLOWED.keys()) == []


def test_every_exception_is_still_needed():
    assert sorted(ALLOWED.keys() - found()) == []


def test_a_retired_name_is_seen_wherever_it_stands():
    source = """
def read_waivers(): ...
class HeldText: ...
from a import churn_seen as seen
say(f'{task.floor:.1f} is least')
call(is_dev=True)
record['holdout']
found = {'lever': remedy}
"""
    names = {"read_waivers", "HeldText", "churn_seen", "floor", "is_dev", "holdout", "lever"}
    assert set(filter(is_retired, names_in(ast.parse(source)))) == names


def test_a_retired_key_of_a_schema_is_seen_however_deep_it_stands():
    schema = {"$defs": {"unit": {"anyOf": [{"properties": {"floor": {"type": "number"}}}]}}}

    assert [key for key in keys_in(schema) if is_retired(key)] == ["floor"]


def test_what_only_resembles_one_is_none():
    similar = ["reached", "fixed_cases", "leaves", "device", "words", "row", "AnswerTrainer"]
    assert list(filter(is_retired, similar)) == []


def test_no_two_modules_have_a_public_function_or_class_of_one_name():
    homes = defaultdict(list)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path)
    # `load` is what a kind of check calls its own, as the protocol in checks/base.py has it; a command is called as its
    # function is, and `compare` does what the gate's does
    own = {"load", "compare"}
    assert {name: where for name, where in homes.items() if len(where) > 1 and name not in own} == {}
