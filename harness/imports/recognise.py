"""Which tool wrote a file, by what is in it, and which importer reads it.

An installed package brings further importers by entry points of the group `tunegate.importers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tunegate.harness.begin.results import deepeval_run, inspect_log, lm_eval_samples, promptfoo_results
from tunegate.harness.begin.results.samples import brief
from tunegate.harness.core.entry_points import entries_of, entry_place, load_here
from tunegate.harness.core.errors import Refused, Unreadable, UsageError, show_path
from tunegate.harness.imports import (
    goldens,
    hosted_evals,
    inspect_samples,
    openai_evals,
    promptfoo_config,
    promptfoo_outputs,
)
from tunegate.harness.imports.model import ForeignFile, Imported, Importer
from tunegate.harness.imports.nearby import DATA, MOST_FILES, SCRIPTS, YAMLS, Nearby
from tunegate.harness.imports.scored_results import read_scored_results

GROUP = "tunegate.importers"
A_SOURCE = "tests of promptfoo, OpenAI's evals, deepeval or inspect_ai"
RESULTS = "tunegate compare reads results"
ROWS = "tunegate init --from reads tables and chat rows"
#: What is known and holds no tests, with what to do.
KNOWN: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (lm_eval_samples.is_aggregate, "aggregated results of lm-evaluation-harness", RESULTS),
    (lambda value: isinstance(value, Mapping) and {"task", "doc_to_text"} <= value.keys(),
     "a task of lm-evaluation-harness", "import its logged samples, see docs/coming-from-lm-eval.md"),
    (lambda value: isinstance(value, Mapping) and isinstance(value.get("messages"), list), "chat rows", ROWS),
    (lambda value: isinstance(value, Mapping) and "redteam" in value, "a red-team configuration of promptfoo without "
     "tests", "generate its tests, and import them"),
)  # fmt: skip


def import_source(
    path: Path, match: str | None = None, column: str | None = None, root: Path | None = None
) -> Imported:
    """Import a file, or the one file of a folder that can be.

    Args:
        path: the file or folder.
        match: how targets are compared, if the file names no scorer: one of `MATCHES`.
        column: the column with the prompt, of a CSV of tests without one.
        root: the folder below which the files that it names lie; by default its own.

    Raises:
        Refused: no tool that is known here wrote it, it is damaged, or nothing in it has a home.
        UsageError: the column is missing, or the file is not below the root.
    """
    if root and not (root.is_dir() and path.resolve().is_relative_to(root.resolve())):
        raise UsageError(f"--root {show_path(root)}: expected a folder above {show_path(path)}, found another place")
    if not path.is_dir():
        return _import_file(path, match, column, root)
    nearby = Nearby(path, root=root)
    for name in promptfoo_config.CONFIGS:
        if (path / name).is_file():
            return _import_file(nearby.inside(path / name, name), match, column, root)
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in DATA and each.is_file())
    if len(files) > MOST_FILES:
        raise Refused(
            f"{show_path(path)}: expected at most {MOST_FILES} files, found {len(files):,}; name the file itself"
        )
    files = [nearby.inside(each, each.name) for each in files]
    exports = [each for each in files if each.suffix.lower() == ".json" and hosted_evals.is_eval(_quiet(each))]
    found = exports or [each for each in files if is_foreign(each)]
    if len(found) != 1:
        there = ", ".join(each.name for each in found[:8]) or "none"
        hint = "; name the file itself" if found else ""
        raise Refused(f"{show_path(path)}: expected one file with {A_SOURCE}, found {there}{hint}")
    return _import_file(found[0], match, column, root)


def is_source(path: Path) -> bool:
    """Whether a path is one for `import_source`: a folder, or a file that a known tool wrote."""
    return path.is_dir() or is_foreign(path)


def is_foreign(path: Path) -> bool:
    """Whether a tool that is known here wrote a file; False if it cannot be read."""
    data = _quiet(path)
    return data is not None and _importer(ForeignFile(path, data)) is not None


def _quiet(path: Path) -> Any:
    """The data of a file; None if it cannot be read."""
    try:
        return Nearby(path.parent).data(path)
    except Refused:
        return None


def _import_file(path: Path, match: str | None, column: str | None, root: Path | None) -> Imported:
    kind = path.suffix.lower()
    if kind == ".eval":
        return read_scored_results(path)
    if kind in SCRIPTS:
        raise Unreadable(path, A_SOURCE, "a script, which is not run", "export its tests as data")
    if kind not in DATA and path.exists():
        raise Unreadable(path, f"a name that ends in {', '.join(DATA)}", kind or "no ending")
    data = Nearby(path.parent).data(path)
    file = ForeignFile(path, data, match, column, root)
    if importer := _importer(file):
        return _named(importer, file)
    first = data[0] if isinstance(data, list) and data else data
    for is_it, found, hint in KNOWN:
        if is_it(data) or is_it(first):
            raise Unreadable(path, A_SOURCE, found, hint)
    raise Unreadable(path, A_SOURCE, _described(first))


def _named(importer: Importer, file: ForeignFile) -> Imported:
    """Read a file; an error on what it names begins with the file."""
    try:
        return importer.read(file)
    except Unreadable:
        raise
    except Refused as error:
        if str(error).startswith(show_path(file.path)):
            raise
        raise Refused(f"{show_path(file.path)}: {error}") from None


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"one with the keys {brief(', '.join(map(str, list(value)[:6])), 100) or 'none'}"
    return "an empty file" if value in (None, []) else "no object and no rows of them"


def _importer(file: ForeignFile) -> Importer | None:
    """The importer of a file; None if there is none."""
    return next((each for each in chain(BUILT_IN, _installed()) if each.recognises(file)), None)


def _installed() -> Iterator[Importer]:
    """Yield the importers of installed packages, which see what those here do not know."""
    for entry in entries_of(GROUP).values():
        importer = load_here(entry)
        if not isinstance(importer, Importer):
            raise Refused(f"{entry_place(entry)}: expected an Importer, found {type(importer).__name__}")
        yield importer


def _item_rows(path: Path) -> list[Any]:
    """The rows of the .jsonl files beside a hosted eval."""
    nearby = Nearby(path.parent)
    return [row for file in sorted(path.parent.glob("*.jsonl")) for row in nearby.data(nearby.inside(file, file.name))]


def _lone_items(file: ForeignFile) -> Imported:
    raise Unreadable(
        file.path, "rows with the eval that scores them", "rows of a hosted data set", "put the eval's JSON, with "
        "testing_criteria, beside it and name the folder"
    )  # fmt: skip


#: The importers in the order in which they see a file; those of packages come after them.
BUILT_IN = (
    Importer(lambda file: promptfoo_results.is_results(file.data),
             lambda file: promptfoo_outputs.read_outputs(
                 file.path, file.data["results"]["results"], promptfoo_results.version_of(file.data), file.root)),
    Importer(lambda file: promptfoo_results.is_result(file.first),
             lambda file: promptfoo_outputs.read_outputs(file.path, file.rows, root=file.root)),
    Importer(lambda file: inspect_log.is_log(file.data) or deepeval_run.is_run(file.data)
             or lm_eval_samples.is_sample(file.first), lambda file: read_scored_results(file.path)),
    Importer(lambda file: hosted_evals.is_eval(file.data),
             lambda file: hosted_evals.read_eval(file.path, file.data, _item_rows(file.path))),
    Importer(lambda file: hosted_evals.is_item(file.first), _lone_items),
    Importer(lambda file: file.kind == ".csv" and promptfoo_config.is_tests(file.rows),
             lambda file: promptfoo_config.read_tests(file.path, file.data, file.column)),
    Importer(lambda file: promptfoo_config.is_config(file.data),
             lambda file: promptfoo_config.read_config(file.path, file.data, file.root)),
    Importer(lambda file: file.kind in YAMLS and openai_evals.is_registry(file.data),
             lambda file: openai_evals.read_registry(file.path, file.data)),
    Importer(lambda file: openai_evals.is_samples(file.first),
             lambda file: openai_evals.read_samples_file(file.path, file.rows, file.match)),
    Importer(lambda file: goldens.is_golden(file.first),
             lambda file: goldens.read_goldens(file.path, file.rows, file.match)),
    Importer(lambda file: inspect_samples.is_inspect_sample(file.first),
             lambda file: inspect_samples.read_inspect_samples(file.path, file.rows, file.match)),
)  # fmt: skip
