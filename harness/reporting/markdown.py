"""The report as Markdown, for a job summary and a pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tunegate.harness.core.escaping import shown_in_markdown, shown_lines
from tunegate.harness.core.formatting import change, difference, level, percent, points
from tunegate.harness.reporting.differences import difference_lines, word_diff
from tunegate.harness.reporting.edited import EditedPart, by_text
from tunegate.harness.reporting.headline import head
from tunegate.harness.reporting.report import (
    CandidateReport,
    CaseReport,
    Report,
    UnitReport,
    case_address,
    case_command,
)

SHOWN_WORST = 3  # folded cases
MOST_LINES = 40  # per list
UNFOLDED = 12  # lines of a diff
MOST_LINE = 500  # characters per line
MOST_TEXT = 4_000  # characters of a quoted text
MOST_CHARACTERS = 60_000  # GitHub accepts 65,536 per comment
LEFT_OUT = "The rest is too long for a comment: see the page."
SIGNS = {"passed": "✅", "blocked": "❌", "refused": "⚠️", "scored": "📋"}
#: What GitHub turns into a mention, a reference, a formula or a link, even in text without Markdown.
_ACTIVE = re.compile(r"[@#$]|:(?=//|[\w+-]+:)|(?<=www)(?=\.)|(?<=GH)(?=-)", re.IGNORECASE)


def escaped(text: str) -> str:
    """Return a text for a line of GitHub Markdown, literally: no markup, HTML, link, mention, emoji or formula."""
    # entities become text before GitHub looks for mentions; an invisible comment splits the text
    return _ACTIVE.sub(r"\g<0><!-- -->", shown_in_markdown(text))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LINE else f"{text[:MOST_LINE]}... ({len(text):,} characters)"


def quoted(text: str) -> str:
    """Return a text as a code block; its fence is longer than any in the text."""
    text = shown_lines(text)  # Markdown is also printed in logs
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}... ({len(text):,} characters)"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def fitted(blocks: Iterable[str], most: int) -> str:
    """Join blocks; beyond `most` characters keep the first that fit, and a sentence that says so."""
    kept: list[str] = []
    room = most - len(LEFT_OUT) - 2
    for block in blocks:
        room -= len(block) + 1
        if room < 0:
            return "\n".join([*kept, "", LEFT_OUT])
        kept.append(block)
    return "\n".join(kept)


def markdown_report(report: Report, most: int = MOST_CHARACTERS) -> str:
    """Return the report: the verdict, rule changes, then the table and the worst cases of each candidate.

    Beyond `most` characters, the cases are omitted, then the tables, then the rest that does not fit.
    """
    head = list(_head(report))
    for worst in (SHOWN_WORST, 0):
        text = "\n".join([*head, *_tables(report, worst)])
        if len(text) <= most:
            return text
    return fitted([*head, "", "The tables are too long for a comment: see the page."], most)


def _head(report: Report) -> Iterator[str]:
    first, rest = head(report)
    yield f"### {SIGNS[report.outcome]} {escaped(_cut(first))}"
    if rest:
        yield from ("", *_listed(rest))
    if about := list(_about(report)):
        yield from ("", *about)
    rules = report.rules
    if rules.configuration:
        yield from ("", "**This change edits the configuration**, which is compared with what is in service:", "")
        yield from _edited(by_text(rules.configuration))
    if rules.untrue:
        yield from ("", "**Records that the gate does not find so:**", "", *_listed(rules.untrue))
    if rules.modified:
        if rules.approved:
            yield from ("", "**Rule changes, approved:**", "")
        else:
            yield from ("", "> [!CAUTION]", "> **Rule changes: they block until a reviewer approves them.**", "")
        yield from _listed(rules.modified)
        if rules.approve and not rules.approved and not rules.refused:
            yield from ("", f"To approve exactly these: `--approve={rules.approve}`")
    if rules.added:
        yield from ("", "Added, blocking nothing:", "", *_listed(rules.added))
    if rules.refused:
        yield from ("", "**Could not evaluate:**", "", quoted(rules.refused))
    if len(rules.by_rules) > 1:
        yield from ("", *_listed(rules.by_rules))


def _about(report: Report) -> Iterator[str]:
    """Yield where the report comes from, and what is compared; a line each."""
    if origin := report.origin:
        commit = f", commit [{origin.commit[:8]}]({origin.commit_address})" if origin.commit else ""
        kind = "Pull request" if origin.number else "Repository"
        yield f"- {kind} [{escaped(origin.name)}]({origin.address}){commit}"
    for candidate in report.candidates if len(report.candidates) == 1 else ():
        yield from (f"- {escaped(side.name)}: {escaped(_cut(side.configuration))}" for side in candidate.compared)


def _edited(parts: Sequence[EditedPart]) -> Iterator[str]:
    """Yield the edited parts; numbers and names in a line, prompts as a folded word diff."""
    for each in parts[:MOST_LINES]:
        if each.is_short:
            yield f"- {escaped(_cut(each.name))}: {escaped(each.before or '(none)')} → {escaped(each.now or '(none)')}"
        else:
            diff = quoted(word_diff(each.before, each.now))
            if diff.count("\n") <= UNFOLDED:
                yield from (f"- {escaped(_cut(each.name))}", "", diff, "")
            else:
                yield from (f"<details><summary>{escaped(_cut(each.name))}</summary>", "", diff, "", "</details>", "")
    if len(parts) > MOST_LINES:
        yield f"- and {len(parts) - MOST_LINES} more"


def _tables(report: Report, most: int) -> Iterator[str]:
    for candidate in report.candidates:
        yield from ("", *_candidate(report, candidate, most))
    if report.notes:
        yield from ("", *_listed(report.notes))


def _listed(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"- {escaped(_cut(line))}" for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"- and {len(lines) - MOST_LINES} more"


def _candidate(report: Report, candidate: CandidateReport, most: int) -> Iterator[str]:
    if len(report.candidates) > 1:
        yield from (f"#### {escaped(candidate.name)}: {escaped(candidate.verdict)}", "")
    if any(unit.verdict for unit in candidate.units):
        before, now = map(escaped, candidate.columns)
        yield (
            f"| unit | role | cases | {before} | {now} | difference [interval] | margin | regressed / fixed | verdict |"
        )
        yield "|---|---|--:|--:|--:|--:|--:|--:|---|"
    else:
        yield from ("| unit | cases | score |", "|---|--:|--:|")
    yield from (_row(unit) for unit in candidate.units)
    for unit in candidate.units:
        if unit.blocks:
            yield from ("", f"**{escaped(unit.key)}**: {escaped(unit.reason)} {escaped(unit.driver)}".rstrip())
    if most:
        yield from (line for unit in candidate.units for line in _parts(unit, candidate.columns))
    if candidate.outcome != "scored":
        yield from ("", "To reproduce:", "", quoted(candidate.whole_command))
    if most and (worst := candidate.worst):
        rest = f", {most} of them here" if len(worst) > most else ""
        yield from ("", f"<details><summary>{len(worst)} regressed{rest}</summary>", "")
        for case in worst[:most]:
            yield from _case(candidate, case, case_address(report, case))
        yield "</details>"


def _row(unit: UnitReport) -> str:
    if not unit.verdict:
        return f"| {escaped(unit.key)} | {unit.n} | {escaped(level(unit.mean, unit.kind))} |"
    margin = "" if unit.margin is None else change(unit.margin, unit.kind, signed=False)
    cells = (
        unit.key, unit.role + (", sealed" if unit.sealed else ""), str(unit.n), level(unit.base, unit.kind),
        level(unit.mean, unit.kind), difference(unit.difference, unit.interval, unit.kind), margin,
        f"{unit.regressed} / {unit.fixes}",
    )  # fmt: skip
    verdict = escaped(unit.verdict)
    marked = f"**{verdict}**" if unit.blocks else verdict
    return f"| {' | '.join(escaped(cell) for cell in cells)} | {marked} |"


def _parts(unit: UnitReport, columns: tuple[str, str]) -> Iterator[str]:
    """Yield the parts of a unit's pass rule, folded; nothing for a single part, which equals the score."""
    if len(unit.parts) < 2:
        return
    yield from ("", f"<details><summary>{escaped(unit.key)}: its parts</summary>", "")
    before, now = map(escaped, columns)
    yield from (f"| part | cases | {before} | {now} | margin | confusions |", "|---|--:|--:|--:|--:|---|")
    for part in unit.parts[:MOST_LINES]:
        margin = "" if part.margin is None else points(part.margin, signed=False)
        cells = (part.label, str(part.n), percent(part.base), percent(part.mean), margin, _cut(part.remarks))
        line = " | ".join(escaped(cell) for cell in cells)
        yield f"| **fell**: {line} |" if part.fell else f"| {line} |"
    if len(unit.parts) > MOST_LINES:
        yield from ("", f"and {len(unit.parts) - MOST_LINES} more")
    yield from ("", "</details>")


def _case(candidate: CandidateReport, case: CaseReport, address: str) -> Iterator[str]:
    named = [f"**{escaped(case.key)}**{' (critical)' if case.critical else ''}"]
    if address:
        named.append(f"[on the page]({address})")
    if case.context:
        named.append(escaped(f"{case.context.file}:{case.context.line}"))
    yield ", ".join(named)
    if case.has_output:
        yield from ("", quoted("\n".join(difference_lines(case.previous, case.now))))
    yield from (f"- {escaped(_cut(finding.sourced))}" for finding in case.findings)
    if command := case_command(candidate, case):
        yield from ("", quoted(command))
    yield ""
