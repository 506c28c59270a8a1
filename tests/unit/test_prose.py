"""The words of sentences: messages, docstrings, comments, help texts and templates use the field's terms."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

#: What no sentence says any more, and what it says instead.
INSTEAD = {
    r"answer(s|ed|ing|able)?": "output (of a model), respond (of a server)",
    r"judg(es|ed|ing|e?ments?)": "score (an output), evaluate (a model); a judge is a model that labels outputs",
    r"recit(e|es|ed|ing|al|ation)": "reproduce training text verbatim, memorization",
    r"(?<!-)rungs?": "prompting strategy; the option stays --rung",
    r"permit(s|ted|ting)?": "approve (a rule change), allow",
    r"waiv\w+": "approve, exempt or override",
    r"openings|looks (taken|used|left)|(a|each|every|final|first|next|last|one) look": "evaluation of sealed cases",
    r"told|tells|foretold|telling": "say, print, report, name",
    r"whoever|nobody|somebody|anybody|everybody": "a named subject: the user, a reviewer, another process",
    r"alone": "only",
    r"else": "otherwise, other",
    r"(?<!-)altered|anew|lest|unforeseen|foresaw": "changed, again, so that ... not, internal error",
    r"excuses?|excused|innocent": "exempt, clean",
    r"worn|wears?": "used",
    r"put aside|puts aside|passes over the (rows|data)": "validation split, epochs",
    r"past (the|every|any|all) caches?": "with caching disabled",
    r"(this|the) very|how many-th": "this, the number of",
    r"one's|one stands": "your, the current directory",
    r"(nats|seconds|tokens|outputs|bytes|requests|rows|cases|calls|minutes) an? "
    r"(token|second|minute|case|call|row|output|request|unit|step|model|file|task)": "per",
}
RETIRED = re.compile("|".join(rf"(?<![\w`.$/-])(?:{each})(?![\w`(/-]|\.\w)" for each in INSTEAD), re.I)
#: Where such a word is right: the file, the words around it, and why.
ALLOWED: dict[tuple[str, str], str] = {
    ("harness/models/cache.py", "answer TEXT NOT NULL"): "a column of the cache's table",
    ("harness/models/cache.py", "SELECT answer, used"): "the same column",
    ("harness/models/cache.py", "(key, answer, used, run)"): "the same column",
    ("harness/models/cache.py", "SELECT key, answer"): "the same column",
    ("harness/models/prompts.py", "holds the answer alone"): "a prompt: other words would be another request",
    (
        "harness/begin/results/tool_rows.py",
        "are answered with",
    ): "a user's message is, by a call",
    ("harness/begin/scaffold/origin.py", "if extra else ''"): "code in an f-string",
    ("harness/begin/scaffold/starters.py", "signs with someone else."): "an example's text",
    ("harness/begin/scaffold/suites.py", "Answer in "): "a prompt",
    ("harness/labelling/judge.py", "Answer with one word"): "a prompt",
    ("harness/begin/scaffold/templates/README.md.j2", "--expect answer"): "a column's name",
}

#: What is not a sentence in a file of another language: keys, tags of templates, keywords, commands.
KEYS = re.compile(r"^\s*[\w-]+:")
CODE = {
    ".j2": re.compile(r"\{%.*?%\}|\{\{.*?\}\}"),
    ".js": re.compile(r"\belse\b"),
    ".sh": re.compile(r"^[^#]*"),
}


@cache
def sentences() -> tuple[tuple[str, int, str], ...]:
    """Every text of the product that a person may read, with its file and line."""
    found = []
    for folder in ("harness", "trainers", "suites", ".github"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and (path.suffix == ".py" or not {"data", "recipes"} & {*path.parts}):
                found += [(path.relative_to(ROOT).as_posix(), line, text) for line, text in _texts(path)]
    for name in ("conftest.py", "action.yml"):
        found += [(name, line, text) for line, text in _texts(ROOT / name)]
    return tuple(found)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    if path.suffix == ".py":
        yield from texts_of(path.read_text("utf-8"))
    elif path.suffix == ".json":
        lines = enumerate(path.read_text("utf-8").splitlines(), 1)
        yield from (
            (n, found[1]) for n, line in lines if (found := re.search(r'"(?:description|title)": "(.*)"', line))
        )
    elif path.suffix in {".j2", ".js", ".yml", ".sh"}:
        lines = path.read_text("utf-8").splitlines()
        yield from ((n, CODE.get(path.suffix, KEYS).sub("", line)) for n, line in enumerate(lines, 1))


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """The comments of a module, and its strings of more than one word, line by line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
        elif token.type == tokenize.STRING and " " in token.string:
            text = re.sub(r"\{[^{}]*\}", "{}", token.string) if token.string[0] in "fF" else token.string
            yield from ((token.start[0] + n, line) for n, line in enumerate(text.splitlines()))


def retired_in(text: str) -> list[str]:
    """The retired words of a line; what stands in backticks is a name."""
    return [found.group() for found in RETIRED.finditer(re.sub(r"`[^`]*`", "``", text))]


def is_allowed(path: str, text: str) -> bool:
    return any(path == file and words in text for file, words in ALLOWED)


def test_no_sentence_uses_a_retired_word():
    found = [
        f"{path}:{line}: {', '.join(words)}: {text.strip()}"
        for path, line, text in sentences()
        if (words := retired_in(text)) and not is_allowed(path, text)
    ]
    assert found == []


def test_every_exception_is_still_needed():
    needed = {
        (file, words) for file, words in ALLOWED
        for path, _, text in sentences() if path == file and words in text and retired_in(text)
    }  # fmt: skip
    assert sorted(ALLOWED.keys() - needed) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the model's answers are judged", ["answers", "judged"]),
        ("--rung names one, `answers` is a name", []),
        ("2 seconds a call", ["seconds a call"]),
        ("Nobody is told.", ["Nobody", "told"]),
    ],
)
def test_what_is_a_retired_word(text, words):
    assert retired_in(text) == words


def test_an_f_string_is_read_without_its_expressions():
    assert list(texts_of("say(f'so {a if b else c} it is')\n")) == [(1, "f'so {} it is'")]
