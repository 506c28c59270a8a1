"""Commands that show results: reports, the ledger, and the demo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunegate.harness.cli.common import RUNS, console, errors, open_page, project
from tunegate.harness.cli.options import BASELINES, Baselines, Json, shared
from tunegate.harness.core.errors import UsageError, show_path
from tunegate.harness.core.files import same_file
from tunegate.harness.core.printing import Printer, print_json, print_line

if TYPE_CHECKING:
    from tunegate.harness.reporting.decision import Inputs
    from tunegate.harness.reporting.report import Report


ReportFormat = Literal["text", "github", "csv"]
Records = Annotated[
    list[Path],
    typer.Argument(
        help="Records from --tg-out or .tunegate/runs/, or decisions from gate --decision.", metavar="RECORD.json"
    ),
]


def report(
    record: Records,
    why: Annotated[bool, shared("why")] = False,
    html: Annotated[Path | None, shared("html")] = None,
    markdown: Annotated[bool, shared("markdown")] = False,
    page: Annotated[str | None, shared("page")] = None,
    style: Annotated[ReportFormat, shared("format", "report")] = "text",
    key: Annotated[Path | None, shared("key")] = None,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
) -> None:
    """Show a record: the verdict, every regressed case with its difference, the table. Several: side by side.

    The page and --json add each unit's history from the ledger in --baselines, and whether the adapter is signed;
    with --key, it must be signed by that key.
    """
    from tunegate.harness.reporting.annotations import case_annotations
    from tunegate.harness.reporting.case_table import case_table
    from tunegate.harness.reporting.decision import read_inputs
    from tunegate.harness.reporting.markdown import markdown_report
    from tunegate.harness.reporting.report import with_addresses
    from tunegate.harness.reporting.why import why_lines

    printed = sum([markdown, style != "text", as_json])
    if printed > 1:
        raise UsageError("--markdown, --format and --json: expected at most one of them, found several")
    inputs = read_inputs(record)
    found = with_addresses(inputs.report(), page, os.environ)
    if html or as_json:
        found = _whole(found, inputs, baselines, key)
    elif key:
        raise UsageError(
            "--key shows an adapter's signature in the page and in JSON: expected --html or --json with it"
        )
    if html:
        written = write_page(html, record, inputs, found)
        (errors if printed else console).print(f"page: {show_path(written)}")
    if as_json:
        print_json(found.as_dict())
    elif markdown:
        print_line(markdown_report(found))
    elif style == "csv":
        print_line(case_table(found))
    elif style == "github":
        for line in case_annotations(found):
            print_line(line)
    elif not html:
        _print_inputs(inputs)
        console.lines(line for each in inputs.records if why for line in why_lines(each))


def _whole(found: Report, inputs: Inputs, baselines: Path, key: Path | None = None) -> Report:
    """Add each unit's history and the state of each adapter's signature to the report."""
    from tunegate.harness.models.signing import signature_line
    from tunegate.harness.reporting.history import with_history
    from tunegate.harness.reporting.report import with_provenance

    if key and not all(each.adapter for each in inputs.records):
        raise UsageError("--key: expected records of adapters, which can be signed, found one of a model")
    digests = [str(each.fingerprint["subject"].get("adapter")) for each in inputs.records]
    lines = [
        signature_line(Path(each.adapter), digest, key) if each.adapter else ""
        for each, digest in zip(inputs.records, digests, strict=True)
    ]
    return with_provenance(with_history(found, inputs.records, baselines, project() / RUNS), "signature", lines)


def write_page(path: Path, named: Sequence[Path], inputs: Inputs, found: Report) -> Path:
    """Write the page, but never over its own inputs or over a file of other origin."""
    from tunegate.harness.models.evaluation.sidecar import sidecar_path
    from tunegate.harness.reporting.html import is_page, page_file, write_html

    records = [each.path for each in inputs.records if each.path]
    read = [("read", each) for each in (*named, *records, *(sidecar_path(each) for each in records))]
    for page in (path, page_file(path)):
        if same_file(page, read):
            raise UsageError(f"the page: expected a file of its own, found its input {show_path(page)}")
    there = page_file(path)
    if there.is_file() and not is_page(there):
        raise UsageError(
            f"the page: expected no file or a page of ours, found another file at {show_path(there)}; move it away"
        )
    return write_html(path, found)


def _print_inputs(inputs: Inputs) -> None:
    from tunegate.harness.reporting.decision import change_lines
    from tunegate.harness.reporting.edited import edited_lines
    from tunegate.harness.reporting.headline import head
    from tunegate.harness.reporting.leaderboard import MANY, print_leaderboard
    from tunegate.harness.reporting.record import print_record, print_side_by_side

    if inputs.decisions:
        found = inputs.report()
        rules = found.rules
        changed = change_lines(rules.modified, rules.added, rules.approved)
        edited = edited_lines(rules.configuration)
        first, rest = head(found)
        lines = (first, *rest, *_side_lines(found), *edited, *changed, rules.refused, *rules.by_rules)
        console.lines(filter(None, lines))
    if len(inputs.records) > MANY:
        print_leaderboard(console, inputs.records)
    elif len(inputs.records) > 1:
        print_side_by_side(console, inputs.records)
    for record in inputs.records if len(inputs.records) == 1 else ():
        print_record(console, record, limit=None)


def _side_lines(found: Report) -> Iterator[str]:
    """Yield what is compared with what, of a single candidate."""
    for candidate in found.candidates if len(found.candidates) == 1 else ():
        yield from (f"  {side.name}: {side.configuration}" for side in candidate.compared)


def view(record: Records, baselines: Baselines = BASELINES) -> None:
    """Write the page of a record next to it, and open it in a browser."""
    from tunegate.harness.reporting.decision import read_inputs
    from tunegate.harness.reporting.html import page_beside

    inputs = read_inputs(record)
    found = _whole(inputs.report(), inputs, baselines)
    page = write_page(page_beside(record[0], found), record, inputs, found)
    console.print(f"page: {show_path(page)}")
    address = page.resolve().as_uri()
    if not open_page(address):
        console.print(f"no browser was started: open {address}")


def comment(
    record: Records,
    page: Annotated[str | None, shared("page")] = None,
    gate_result: Annotated[str | None, shared("gate-result")] = None,
) -> None:
    """Post the result as a job summary and as one pull-request comment that is kept up to date.

    Reads GitHub Actions' GITHUB_ variables, and the token in GITHUB_TOKEN. Without permission to comment, as on a pull
    request from a fork, only the summary is written. Exits with 0 once it is posted, whatever the gate decided.
    Records are read from the folder of the decision that names them; links are not followed.
    """
    from tunegate.harness.reporting.decision import of_artefact
    from tunegate.harness.reporting.markdown import markdown_report
    from tunegate.harness.reporting.pull_request import NoRight, add_to_summary, comment_body, pull_request_of
    from tunegate.harness.reporting.report import with_addresses

    found = with_addresses(of_artefact(record, gate_result or ""), page, os.environ)
    markdown = markdown_report(found)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        add_to_summary(Path(summary), markdown)
    pull = pull_request_of(os.environ)
    if pull is None:
        print_line("no pull request: written to the summary only" if summary else markdown)
        return
    try:
        known = pull.known()
        done = pull.say(comment_body(found, known, os.environ), known)
        console.print(f"comment: {done} on {pull.repository}#{pull.number}")
    except NoRight as error:
        console.print(f"no permission to comment ({error}): written to the summary only")


def ledger(
    task: Annotated[str | None, typer.Argument(help="Only this task.", show_default=False)] = None,
    contains: Annotated[str | None, shared("contains")] = None,
    baselines: Baselines = BASELINES,
    as_json: Json = False,
) -> None:
    """Show the ledger's events, oldest first, and check that none is missing.

    With --contains, fail if a branch knows an event that is missing here.
    """
    from tunegate.harness.history.ledger.ledger_git import check_contains
    from tunegate.harness.history.ledger.store import read_ledger
    from tunegate.harness.reporting.ledger import ledger_lines

    found = read_ledger(baselines)
    if contains:
        check_contains(baselines, found, contains)
    shown = [event for event in found.in_order if task in (None, event.task)]
    if as_json:
        print_json([event.as_dict() | {"digest": event.digest} for event in shown])
        return
    console.lines(ledger_lines(found, shown))


def demo(
    home: Annotated[Path, shared("home")] = Path(".tunegate/demo"),
    full: Annotated[bool, shared("full")] = False,
) -> None:
    """Run the whole loop on the embedded model: baseline, diagnosis, LoRA, gate, release."""
    from tunegate.harness.cli.demo import run

    code = run(Printer(), home, full)
    if code:
        raise typer.Exit(code)
