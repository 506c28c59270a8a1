"""Prompts with the ids of their tokens in a report, by a real tokenizer."""

from __future__ import annotations

import json

from tests.support.forked import run_program
from tests.unit.reporting.test_report import T, judged
from tunegate.harness.models.tokenizer import load_tokenizer


def test_the_ids_are_those_of_the_model_that_is_named(tiny_model, tmp_path):
    judged(tmp_path, "1" * 40, "0" * 8 + "1" * 32)
    asked = ("report", "r.json", "--json", f"--render={tiny_model}")
    done = run_program("tunegate", *asked, folder=tmp_path)
    rendered = {each["key"]: each["rendered"] for each in json.loads(done.stdout)["candidates"][0]["cases"]}
    text = "<|start|>user\nmessage c001<|end|>\n<|start|>assistant\n"
    ids = load_tokenizer(tiny_model)(text, add_special_tokens=False).input_ids
    assert rendered[f"{T}/c001"] == {"text": text, "tokens": ids}
