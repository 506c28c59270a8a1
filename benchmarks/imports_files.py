"""The real files that `imports.py` takes: from the repositories of the tools, and from a wheel of OpenAI's evals."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frame import ROOT, Failed

PLACE = ROOT / ".tunegate" / "imports"
PROMPTFOO, OPENAI, DEEPEVAL, INSPECT, LM_EVAL = (
    "promptfoo", "OpenAI evals", "deepeval", "inspect_ai", "lm-evaluation-harness",
)  # fmt: skip
#: By repository: its commit. The second one is a fork of promptfoo's with its examples: the original has 1.5 GB.
COMMITS = {
    "anthropics/courses": "f4dbb137d7b02dddaf3cc73e32e20a702d3b5e77",
    "visioninhope/promptfoo": "567988d2f0e0bf8acf38cfa070e4c0411f08422c",
    "confident-ai/deepeval": "a2e0d4cfd3118352d321c1c84bdeba17d4a201bc",
    "UKGovernmentBEIS/inspect_ai": "499e6152e7b8fc8cbd8ac5283536572aa6e4ab17",
    "EleutherAI/lm-evaluation-harness": "4e7e0d47f33bc71070c1d38394bafbb52b117163",
    "openai/evals": "4bfc1f58a821685acb40bb28ba54131740535046",
}
PICTURES = (".ipynb", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".mp4", ".wav")
WHEEL = "evals==3.0.1.post1"  # its samples are whole; those of the repository are pointers of Git LFS


@dataclass(frozen=True)
class RealFile:
    """One file of a tool: where it comes from, and its path there. `folder` comes with it."""

    tool: str
    origin: str
    path: str
    folder: str

    @property
    def name(self) -> str:
        """Its origin and path."""
        return f"{self.origin}: {self.path}"


def _files(tool: str, origin: str, folder: str, *paths: str) -> list[RealFile]:
    """Files below a folder, each with the folder that it stands in."""
    found = [f"{folder}/{path}".strip("/") for path in paths]
    return [RealFile(tool, origin, path, Path(path).parent.as_posix()) for path in found]


def _evals(*names: str) -> list[RealFile]:
    return [RealFile(OPENAI, WHEEL, f"evals/registry/evals/{name}.yaml", name) for name in names]


FILES: tuple[RealFile, ...] = (
    *_files(
        PROMPTFOO,
        "visioninhope/promptfoo",
        "examples",
        "simple-test/promptfooconfig.yaml",
        "named-metrics/promptfooconfig.yaml",
        "getting-started/promptfooconfig.yaml",
        "json-output/promptfooconfig.yaml",
        "summarization/promptfooconfig.yaml",
        "structured-outputs-config/promptfooconfig.yaml",
        "llama-cpp/promptfooconfig.yaml",
        "csv-metadata/promptfooconfig.yaml",
        "csv-metadata/tests.csv",
        "external-defaulttest/promptfooconfig.yaml",
        "jsonl-test-cases/promptfooconfig.yaml",
        "mistral/promptfooconfig.json-mode.yaml",
        "ollama-comparison/promptfooconfig.yaml",
        "simple-mcp/promptfooconfig.yaml",
        "openai-mcp/promptfooconfig.yaml",
        "f-score/promptfooconfig.yaml",
        "multiple-turn-conversation/promptfooconfig.yaml",
        "python-test-cases/promptfooconfig.yaml",
        "simple-cli/output.json",
        "redteam-starter/promptfooconfig.yaml",
    ),
    *_files(
        PROMPTFOO,
        "anthropics/courses",
        "prompt_evaluations",
        "05_prompt_foo_code_graded_animals/promptfooconfig.yaml",
        "06_prompt_foo_code_graded_classification/promptfooconfig.yaml",
        "06_prompt_foo_code_graded_classification/dataset.csv",
        "07_prompt_foo_custom_graders/promptfooconfig.yaml",
    ),
    *_evals(
        "tetris",
        "recurrence-relation",
        "date-calculator",
        "tricky-word-problems",
        "unified-patch",
        "word-association",
        "which-is-heavier",
        "wkt_understanding",
        "utility_price_parsing",
        "test_japanese_units",
        "ab",
        "theory_of_mind",
    ),
    *_files(OPENAI, "openai/evals", "evals/registry/data/ab", "samples.jsonl"),
    *_files(
        DEEPEVAL,
        "confident-ai/deepeval",
        "tests",
        "test_core/test_datasets/goldens.json",
        "test_core/test_datasets/goldens.csv",
        "test_core/test_datasets/convo_goldens.json",
        "test_core/test_datasets/convo_goldens.csv",
        "test_confident/goldens.json",
        "test_confident/goldens_multi_turn.json",
    ),
    *_files(
        INSPECT,
        "UKGovernmentBEIS/inspect_ai",
        "",
        "tests/dataset/test_dataset/dataset.jsonl",
        *(f"tests/dataset/test_dataset/samples{kind}" for kind in ("-mcq.csv", "-mcq.json", "-md.jsonl", ".csv")),
        "tests/dataset/test_dataset/images.jsonl",
        "examples/bridge/langchain/dataset.json",
        *(
            f"src/inspect_ai/dataset/_examples/{name}.jsonl"
            for name in ("bias_detection", "theory_of_mind", "security_guide", "popularity")
        ),
    ),
    *_files(
        LM_EVAL,
        "EleutherAI/lm-evaluation-harness",
        "",
        "tests/test_configs/simple_task.yaml",
        "tests/test_configs/include_task_fs1.yaml",
        "tests/test_configs/group.yaml",
        "lm_eval/tasks/arithmetic/arithmetic_1dc.yaml",
        "lm_eval/tasks/spanish_bench/wnli_es.yaml",
        "lm_eval/tasks/gsm8k/gsm8k.yaml",
        "lm_eval/tasks/triviaqa/default.yaml",
    ),
)


def fetch(mirrors: Path | None) -> dict[RealFile, Path]:
    """Bring every file, with its folder, below `PLACE`.

    Args:
        mirrors: a folder with bare clones, OWNER+NAME/repo; without it they are cloned.

    Raises:
        Failed: something is not there.
    """
    return {file: _from_wheel(file) if file.origin == WHEEL else _from_git(file, mirrors) for file in FILES}


def sha(path: Path) -> str:
    """The start of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _from_git(file: RealFile, mirrors: Path | None) -> Path:
    home = PLACE / "files" / file.origin.replace("/", "+")
    if not (home / file.path).is_file():
        git, commit = ("git", "-C", _repository(file.origin, mirrors)), COMMITS[file.origin]
        names = run(*git, "ls-tree", "-r", "--name-only", commit, f"{file.folder}/").decode().splitlines()
        for name in (each for each in names if not each.endswith(PICTURES)):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(run(*git, "cat-file", "blob", f"{commit}:{name}"))
    return home / file.path


def _repository(origin: str, mirrors: Path | None) -> Path:
    name = origin.replace("/", "+")
    if mirrors and (mirrors / name / "repo").is_dir():
        return mirrors / name / "repo"
    if not (place := PLACE / "git" / name).is_dir():
        run("git", "clone", "--bare", "--filter=blob:none", f"https://github.com/{origin}", place)
    return place


def _from_wheel(file: RealFile) -> Path:
    home = PLACE / "files" / "evals"
    if not (path := home / file.path).is_file():
        wheels = PLACE / "wheels"
        if not list(wheels.glob("evals-*.whl")):
            run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL, "-d", wheels)
        with zipfile.ZipFile(next(wheels.glob("evals-*.whl"))) as archive:
            text = archive.read(file.path).decode()
            named = [
                line.partition("samples_jsonl:")[2].strip() for line in text.splitlines() if "samples_jsonl:" in line
            ]
            there = set(archive.namelist())
            wanted = [f"evals/registry/data/{name}" for name in named if f"evals/registry/data/{name}" in there]
            for each in (file.path, *wanted):
                archive.extract(each, home)
        (home / "evals/registry/data").mkdir(exist_ok=True)
    return path


def run(*command: str | Path, folder: Path | None = None, **own: str) -> bytes:
    """The output of a command.

    Raises:
        Failed: it failed.
    """
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, check=False, env={**os.environ, **own}
    )
    if done.returncode:
        raise Failed(
            f"{' '.join(map(str, command))[:200]}: {(done.stderr or done.stdout).decode(errors='replace')[-800:]}"
        )
    return done.stdout
