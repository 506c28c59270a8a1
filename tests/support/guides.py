"""The fenced blocks of the documents, and the guides whose blocks a test does in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^(?:`(?P<file>[^`\n]+)`\n\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

#: The guides that tests/e2e/test_guides.py follows in a project without a model, and the number of their commands.
GUIDES = {
    "first-suite.md": 7, "from-a-table.md": 7, "recorded.md": 6, "leaving-a-hosted-tune.md": 6, "distil.md": 8,
    "new-suite.md": 2, "vocabulary.md": 2, "retention.md": 1, "write-cases.md": 8, "compare.md": 8,
    "coming-from-promptfoo.md": 6, "coming-from-openai.md": 4, "coming-from-inspect.md": 4, "coming-from-lm-eval.md": 4,
    "coming-from-deepeval.md": 4, "label.md": 1, "traffic.md": 1, "tools.md": 10,
}  # fmt: skip
#: Those that other tests follow: two there, and three in tests/slow.
FOLLOWED = {*GUIDES, "reward.md", "review.md", "adopt.md", "coming-from-trl.md", "ci.md"}


@dataclass(frozen=True)
class Block:
    """A block with the file that it is, if a line above names one, its language and its line on the page."""

    file: str
    kind: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Each block of a page; one without a file of its own has that of the block above."""
    file, text = "", page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        file = found["file"] or file
        yield Block(file, found["kind"], found["text"], text.count("\n", 0, found.start("kind")) + 1)
