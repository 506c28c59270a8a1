"""Whatever stands anywhere in a file: it is imported, or refused with one line; nothing of another kind is raised."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile_imports import OK, result
from tests.support.imports import put
from tunegate.harness.core.errors import Refused, UsageError
from tunegate.harness.imports.fixtures import task_of
from tunegate.harness.imports.recognise import import_source

TESTS = [
    {"vars": {"x": ["a", "b"], "f": "file://v.json"}, "description": "d", "threshold": 0.5, "prompts": ["l"],
     "assert": [OK, {"$ref": "#/assertionTemplates/t"}, {"type": "is-json", "value": {"type": "object"}},
                {"type": "equals", "value": {"a": 1}}, {"type": "contains-any", "value": ["a"]},
                {"type": "assert-set", "assert": [OK], "weight": 2}]},
    "file://t.jsonl", {"path": "file://t.jsonl"},
]  # fmt: skip
#: By name of the file, what stands in it.
FILES: dict[str, Any] = {
    "promptfooconfig.yaml": {
        "prompts": ["a {{x}}", {"label": "l", "raw": "b {{y.z[0]}}"}, [{"role": "user", "content": "{{x}}"}]],
        "providers": ["e"], "assertionTemplates": {"t": OK}, "tests": TESTS,
        "defaultTest": {"vars": {"y": {"z": [1]}}, "options": {"prefix": "p"}, "metadata": {"a": "b"}},
        "scenarios": [
            {"config": [{"vars": {"x": "1"}}], "tests": [{"assert": [{"type": "equals", "value": "b"}, OK]}]},
        ],
    },
    "results.json": {"results": {"results": [result(), result(testIdx=1)], "stats": {}}},
    "samples.jsonl": [{"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "ideal": ["a"]}],
    "goldens.json": [
        {"input": "x", "expected_output": "y", "context": ["c"], "name": "n", "additionalMetadata": {"a": 1}},
    ],
    "inspect.json": [{"input": "q", "target": ["A"], "choices": ["a", "b"], "id": 1, "metadata": {"a": "b"}}],
    "eval.json": {
        "testing_criteria": [{"type": "string_check", "input": "{{sample.output_text}}", "reference": "{{item.l}}",
                              "operation": "eq"}],
        "data_source": {
            "input_messages": {"type": "template", "template": [{"role": "user", "content": {"text": "{{item.q}}"}}]},
            "source": {"type": "file_content", "content": [{"item": {"q": "x", "l": "y"}}]},
        },
    },
    "registry.yaml": {"a": {"id": "b"}, "b": {"class": "x:Match", "args": {"samples_jsonl": "t.jsonl"}}},
}  # fmt: skip
ODD = st.sampled_from([
    None, 0, -1, 1.5, True, "", "x", "{{x}}", "{{", "{% x %}", "file://t.jsonl", "file://nope", "a" * 500, [], {}, [1],
    ["a"], [[]], [{}], {"a": {"b": [1]}}, {"role": "user"}, {"type": "x"}, "\n", "(",
    "not-equals", "\u200b\u2028", 10**30,
])  # fmt: skip


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value, but the whole."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*where, key)
        yield from places(value[key], (*where, key))


def changed(value: Any, where: tuple[Any, ...], new: Any) -> Any:
    """The value with something other at one place."""
    made = inner = copy.deepcopy(value)
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = new
    return made


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_any_shape_is_imported_or_refused(name, data):
    made = FILES[name]
    for _ in range(data.draw(st.integers(1, 2))):
        made = changed(made, data.draw(st.sampled_from(list(places(made)))), data.draw(ODD))
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder) / "t.jsonl", [{"vars": {"x": "a"}, "assert": [OK], "input": "a", "ideal": "b"}])
        put(Path(folder) / "v.json", {"x": [{"q": "1", "a": "2", "id": 3}]})
        path = put(Path(folder) / name, made if name.endswith(".jsonl") else json.dumps(made))
        said = ""
        try:
            task_of("t", import_source(path))
        except (Refused, UsageError) as error:
            said = str(error)
    assert "\n" not in said
