"""Comparisons: of two result files of another tool by the gate's rule, or of configurations."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.harness.cli.common import check_apart, console, errors, first_given, project
from tunegate.harness.cli.configurations import compare_configurations
from tunegate.harness.cli.gate import end_with_decision, kept_decision
from tunegate.harness.cli.options import (
    BASELINES,
    FIXTURES,
    Baselines,
    Cases,
    Json,
    OfRung,
    Quiet,
    Repeats,
    opens_model,
    shared,
)
from tunegate.harness.core.errors import Refused, UsageError, show_path
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.formatting import listed
from tunegate.harness.core.printing import print_json
from tunegate.harness.core.typed import as_data
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.options.run import Inconclusive

if TYPE_CHECKING:
    from tunegate.harness.begin.results.pairing import PairedFiles
    from tunegate.harness.begin.results.read import NamedFile
    from tunegate.harness.models.evaluation.record import Record
    from tunegate.harness.review.change.decision import Decision


#: The options of each way to compare; one of the other way is a usage error.
OF_FILES = ("gate", "margin", "better", "policy", "inconclusive", "out", "written")
OF_CONFIGURATIONS = ("model", "unit", "cases", "baselines", "rung", "repeats", "fresh", "timing", "html", "quiet")
OF_ONE_PAIR = ("out", "written", "as_json")  # what holds one comparison
RESULTS = (".eval", ".jsonl", ".csv", ".json")


@opens_model("local", "served", "hosted")
def compare(
    ctx: typer.Context,
    given: Annotated[
        list[str],
        typer.Argument(
            help="Two result files of one tool: OLD, then NEW; of lm-evaluation-harness, also two folders; of "
            "promptfoo, also PROVIDER=FILE twice. Or two or more configurations, each [NAME=]PART[+PART]: a model, "
            "adapter, prompt file, or a record.",
            metavar="A B [C]",
        ),
    ],
    gate: Annotated[bool, shared("gate")] = False,
    margin: Annotated[list[str] | None, shared("margin", "compare")] = None,
    better: Annotated[list[str] | None, shared("better")] = None,
    policy: Annotated[Path | None, shared("policy")] = None,
    inconclusive: Annotated[Inconclusive, shared("inconclusive")] = "block",
    out: Annotated[Path | None, shared("out", "compare")] = None,
    written: Annotated[Path | None, shared("decision")] = None,
    model: Annotated[str, shared("model", "compare")] = "smollm2",
    unit: Annotated[list[str] | None, shared("unit", "compare")] = None,
    cases: Cases = FIXTURES,
    baselines: Baselines = BASELINES,
    rung: OfRung = "as-is",
    repeats: Repeats = 1,
    fresh: Annotated[bool, shared("fresh")] = False,
    timing: Annotated[bool, shared("timing")] = False,
    html: Annotated[Path | None, shared("html")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    *,
    opened: ModelOptions,
) -> None:
    """Compare configurations on the open cases, or two result files of another tool.

    Result files of inspect_ai, lm-evaluation-harness, promptfoo, deepeval, chat messages with tools, or in CSV: samples
    are paired by id, and each metric gets a verdict by the gate's rule. The scores are the tool's: they are not
    re-scored and never released. With --gate the exit code is 1 if a metric blocks; without it, it is 0.

    Configurations: each later one is compared with the first, as in terse=prompts/terse.txt+smollm2. Parts that are
    not named are the project's: its prompts, and --model. Sealed cases are not used, the exit code is 0, and the
    records are no evidence: tunegate gate decides on a change.
    """
    if pairs := _result_files(given):
        if option := first_given(ctx, OF_CONFIGURATIONS):
            raise UsageError(f"{option}: result files are not run; omit it")
        if len(pairs) > 1 and (option := first_given(ctx, OF_ONE_PAIR)):
            raise UsageError(f"{option}: expected the files of one task, found {len(pairs)} tasks; name two files")
        _compare_pairs(pairs, gate, margin or [], better or [], policy, inconclusive, out, written, as_json)
        return
    if option := first_given(ctx, OF_FILES):
        why = "a comparison of configurations has no verdict: tunegate gate decides on a change"
        raise UsageError(f"{option}: {why}; omit it")
    from tunegate.harness.models.options.run import Options

    options = Options(
        project(), model, cases=cases, baselines=baselines, rung=rung, repeats=repeats, fresh=fresh, timing=timing,
        opened=opened,
    )  # fmt: skip
    compare_configurations(given, options, unit or [], html, as_json, quiet)


def _result_files(given: list[str]) -> list[list[NamedFile]]:
    """Return the result files to compare, a list for each comparison; none if configurations are named.

    Raises:
        UsageError: both are named, or a folder of samples lacks a task of the other.
        Refused: a file is not there.
    """
    from tunegate.harness.begin.results.read import A_RESULT, named_file
    from tunegate.harness.core.authoring.utf8 import near_file

    named = [named_file(each) for each in given]
    if pairs := _samples_of_folders([each.path for each in named]):
        return pairs
    files = [each for each in named if _is_result_file(each.path)]
    for each in named if files else ():
        hint = near_file(each.path, [one.path for one in named])
        if not each.path.exists() and (each in files or hint):
            raise Refused(f"{show_path(each.path)}: no such file" + (f"; {hint}" if hint else f"; expected {A_RESULT}"))
        if not each.path.is_file():
            raise UsageError(f"compare: expected result files or configurations, found both: {files[0]} and {each}")
    return [named] if files else []


def _is_result_file(path: Path) -> bool:
    """Whether a path is named like a result file, or nearly so: results.evl, results.tsv."""
    from tunegate.harness.core.authoring.validation import closest

    return bool(closest(path.suffix, RESULTS, least=0.75)) and not _is_record(path)


def _samples_of_folders(paths: list[Path]) -> list[list[NamedFile]]:
    """Return the samples of two folders of lm-evaluation-harness, a pair for each task; none if these are no such."""
    if not all(path.is_dir() for path in paths):
        return []
    from tunegate.harness.begin.results.lm_eval_samples import samples_in
    from tunegate.harness.begin.results.read import NamedFile

    found = [samples_in(path) for path in paths]
    if not any(found):
        return []
    if len(found) != 2:
        raise UsageError(f"compare: expected two folders, OLD and NEW, found {len(found)}")
    old, new = found
    for tasks, others, path in ((old, new, paths[1]), (new, old, paths[0])):
        if lacking := [task for task in tasks if task not in others]:
            raise UsageError(f"compare: {show_path(path)}: expected samples of {listed(lacking)}, found none")
    return [[NamedFile(old[task]), NamedFile(new[task])] for task in old]


def _compare_pairs(pairs: list[list[NamedFile]], *options: Any) -> None:
    """Compare all pairs of result files; end with the largest exit code."""
    codes = {}
    for files in pairs:
        try:
            _compare_files(files, *options)
        except typer.Exit as end:
            codes[files[-1].path.name] = end.exit_code
    if blocked := [name for name, code in codes.items() if code]:
        if len(pairs) > 1:
            errors.print(f"gate: {len(blocked)} of {len(pairs)} tasks blocked: {', '.join(map(shown, blocked))}")
        raise typer.Exit(max(codes.values()))


def _is_record(path: Path) -> bool:
    """Whether a file starts as the records of this tool do."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        start = file.read(200)
    return '"schema_version"' in start and '"partial"' in start


def _compare_files(
    file: list[NamedFile], gate: bool, margin: list[str], better: list[str], policy: Path | None,
    inconclusive: Inconclusive, out: Path | None, written: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare two result files of another tool; a decision names the record beside it, unless --out says where."""
    from tunegate.harness.begin.results.pairing import pair_files
    from tunegate.harness.begin.results.read import read_pair
    from tunegate.harness.begin.results.settings import read_compare_settings
    from tunegate.harness.models.evaluation.sidecar import sidecar_path

    old, new = _two(file)
    path = out or (written and written.with_name(f"{written.stem}.record.json"))
    sidecar = path and sidecar_path(path)
    reads = {"OLD": old.path, "NEW": new.path, "--policy": policy}
    check_apart(
        [("--out", path), ("the sidecar of --out", sidecar), ("--decision", written)],
        [(name, each) for name, each in reads.items() if each],
    )
    command = _command(old, new, margin, better, policy)
    with kept_decision(written) as keep:
        settings = read_compare_settings(policy, margin, better)
        paired = pair_files(*read_pair(old, new), settings)
        record = _compared(paired, command, inconclusive, path)
        _check_gated(record, gate)
        decision = _decision(record, paired)
        mistakes = _mistakes(paired, any(each.blocks for each in decision.by_rules))
        keep(replace(decision, notes=(*mistakes, *decision.notes)))
    _show(decision, mistakes, record, paired, gate, as_json)


def _two(files: list[NamedFile]) -> tuple[NamedFile, NamedFile]:
    if len(files) == 1:
        raise UsageError(f"compare: expected two result files, OLD and NEW, found 1{_columns_of(files[0])}")
    if len(files) != 2:
        raise UsageError(f"compare: expected two result files, OLD and NEW, found {len(files)}")
    old, new = files
    if old.column == new.column and old.path.exists() and new.path.exists() and old.path.samefile(new.path):
        raise UsageError(f"compare: expected two files, found {old} twice{_columns_of(old)}")
    return old, new


def _columns_of(file: NamedFile) -> str:
    """How to compare the providers or prompts of one file of promptfoo; nothing where it has none."""
    from tunegate.harness.begin.results.read import NamedFile, read_results

    columns = read_results(file.path).columns
    if len(columns) < 2:
        return ""
    command = shlex.join(["tunegate", "compare", *(str(NamedFile(file.path, each)) for each in columns[:2])])
    return (
        f"; it holds results of {listed([shown(each) for each in columns])}: name OLD and NEW, as in {shown(command)}"
    )


def _command(old: NamedFile, new: NamedFile, margins: list[str], better: list[str], policy: Path | None) -> str:
    options = [f"--margin={each}" for each in margins] + [f"--better={each}" for each in better]
    options += [f"--policy={policy}"] if policy else []
    return shlex.join(["tunegate", "compare", str(old), str(new), "--gate", *options])


def _compared(paired: PairedFiles, command: str, inconclusive: Inconclusive, path: Path | None) -> Record:
    from tunegate.harness.begin.results.project import compare_supplied
    from tunegate.harness.models.evaluation.sidecar import write_with_sidecar

    made = compare_supplied(paired, command, inconclusive, with_sidecar=path is not None)
    return write_with_sidecar(made.record, made.sidecar, path) if path else made.record


def _check_gated(record: Record, gate: bool) -> None:
    """Refuse a gate without anything to hold."""
    if gate and all(each.verdict == "ungated" for each in record.verdicts.values()):
        names = ", ".join(key.partition("/")[2] for key in record.verdicts)
        raise Refused(f"--gate: expected a metric with a margin, found none ({names}); add --margin METRIC=NUMBER")


def _decision(record: Record, paired: PairedFiles) -> Decision:
    from tunegate.harness.gate import rule
    from tunegate.harness.review.change.decision import Decision, RulesVerdict

    soft = rule.exempted(record, record.inconclusive)
    units = [key for key, each in record.verdicts.items() if rule.unit_blocked(key, each, soft)]
    tasks = [name for name, each in record.tasks.items() if rule.task_blocked(each, soft)]
    return Decision((RulesVerdict("", record, (*units, *tasks)),), notes=paired.notes)


def _mistakes(paired: PairedFiles, is_blocked: bool) -> list[str]:
    """What rows with tools do wrong more often than before, in a line; nothing of other files."""
    from tunegate.harness.begin.results.tool_rows import MOST_SAID, ToolRows, more_mistakes

    if not (isinstance(paired.old, ToolRows) and isinstance(paired.new, ToolRows)):
        return []
    said = more_mistakes(paired.old, paired.new)
    more = f"; and {len(said) - MOST_SAID} kinds more" if len(said) > MOST_SAID else ""
    return [f"{'Blocked' if is_blocked else 'Found'}: {'; '.join(said[:MOST_SAID])}{more}."] if said else []


def _show(
    decision: Decision, mistakes: Sequence[str], record: Record, paired: PairedFiles, gate: bool, as_json: bool
) -> None:  # fmt: skip
    """Print the result, with the mistakes as its first lines; under --gate end as it says."""
    from tunegate.harness.reporting.record import print_record

    metrics = {key: as_data(each) | {"reason": each.reason} for key, each in record.verdicts.items()}
    more = {"tool": paired.old.tool, "gated": gate, "metrics": metrics}
    if as_json:
        decision = replace(decision, notes=(*mistakes, *decision.notes))
    else:
        console.lines(mistakes)
        console.print(_heading(paired))
    if gate:
        end_with_decision(decision, as_json, more)
    elif as_json:
        print_json(decision.as_dict() | more)
    else:
        print_record(console, record)
        console.lines(decision.notes)
        console.print("shown, not gated: with --gate the exit code is 1 if a metric blocks")


def _heading(paired: PairedFiles) -> str:
    """Which tool wrote the files, and how much is in them."""
    old, new = paired.old, paired.new
    tool = " ".join([old.tool, *dict.fromkeys(each.version for each in (old, new) if each.version)])
    counts = f"OLD {old.name} has {len(old.samples):,} samples, NEW {new.name} has {len(new.samples):,}"
    questions = len({paired.observations.of[name] for name in paired.after})
    asked = f", {questions:,} question{'s' if questions > 1 else ''}" if questions < len(paired.after) else ""
    return f"results of {tool}: {counts}; paired: {len(paired.after):,} ids{asked}"
