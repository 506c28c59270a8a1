"""Questions for people, and somebody who answers them by what is right."""

from __future__ import annotations

import json
from pathlib import Path

from tunegate.harness.labelling.labelling import ANSWERS, Shown
from tunegate.harness.labelling.questions import Question


def two_outputs(count: int) -> list[Question]:
    """Questions of two outputs each; the one that holds `true` is right."""
    return [Question(f"What is {at}?", (f'{{"a":{at},"ok":true}}', f'{{"a":{at},"ok":false}}')) for at in range(count)]


def key_for(outputs: tuple[str, ...]) -> str:
    """The key that says that each output with `true` in it is right, and no other."""
    right = tuple("true" in output for output in outputs)
    return next(key for key, said in ANSWERS[len(outputs)].items() if said == right)


def right_key(screen: Shown) -> str:
    """`key_for` what is on the screen."""
    return key_for(screen.outputs)


def write_questions(path: Path, questions: list[Question]) -> Path:
    """Write them as a JSONL file."""
    lines = [
        {"input": each.input, "outputs": list(each.outputs), "notes": "the one that is true"} for each in questions
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
