"""The pictures in the README: the page and the comment on the tour's blocked model, as they are.

pip install playwright           # and a Chromium: /usr/bin/chromium, or CHROMIUM=PATH
python benchmarks/pictures.py    # seconds; writes docs/page.png and docs/comment.png; --emoji FONT.woff2 for its signs
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `tests` is, also for a script

from tests.support.page_in_chromium import CHROMIUM, FLAGS

DOCS = Path(__file__).parent.parent / "docs"
MODEL = "--model=replay:qwen2.5-coder-1.5b=outputs/archive.jsonl"
WIDTH = 1000
#: GitHub's own sizes and lines, of what a comment is made of.
STYLE = """
body { margin: 24px; font: 14px/1.5 signs, "DejaVu Sans Condensed", sans-serif; color: #1f2328; }
h3 { font-size: 17.5px; margin: 0 0 16px; } p, ul, table, pre { margin: 0 0 16px; }
table { border-collapse: collapse; } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
pre { background: #f6f8fa; padding: 16px; border-radius: 6px; white-space: pre-wrap; }
code { font: 85% "DejaVu Sans Mono", monospace; }
"""


def run(folder: Path, *command: str, code: int = 0) -> str:
    """What a command of Tunegate prints; it has to end with `code`."""
    done = subprocess.run(
        (sys.executable, "-m", "tunegate", *command), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        sys.exit(f"{' '.join(command)}: expected exit code {code}, found {done.returncode}: {done.stderr}")
    return done.stdout


def decided(folder: Path) -> None:
    """The tour's repository, and what the gate decides on the archive's model there."""
    run(folder.parent, "tour", folder.name)
    run(folder, "gate", MODEL, "--decision=decision.json", "--out=r.json", "--quiet", code=1)
    run(folder, "report", "decision.json", "--html=page.html")


def comment_page(folder: Path, emoji: Path | None) -> str:
    """The comment as a page, near to what GitHub makes of it, with the first of its worst cases unfolded."""
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(
        run(folder, "report", "decision.json", "--markdown", "--page=https://example.org/page.html")
    )  # fmt: skip
    sign = f"data:font/woff2;base64,{base64.b64encode(emoji.read_bytes()).decode()}" if emoji else ""
    source = f"url({sign})" if sign else 'local("Noto Color Emoji")'
    style = f"{STYLE} @font-face {{ font-family: signs; src: {source}; unicode-range: U+2190-1FAFF; }}"
    others, _, worst = body.rpartition("<details>")
    return f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style>{others}<details open>{worst}"


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emoji", type=Path, help="a font with emoji, where none is installed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made) / "tour"
        decided(folder)
        (folder / "comment.html").write_text(comment_page(folder, given.emoji))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, height in (("page", 760), ("comment", 740)):
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto((folder / f"{name}.html").as_uri())
            page.wait_for_timeout(200)  # until its fonts are there
            page.screenshot(path=DOCS / f"{name}.png")
            print(f"docs/{name}.png: {(DOCS / f'{name}.png').stat().st_size / 1e3:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
