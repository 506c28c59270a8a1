"""Cases to requests: the prompt of a case under each prompting strategy, cheapest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tunegate.harness.cases.conversation import ASSISTANT, SYSTEM, TOOL, USER, WITH_CALLS
from tunegate.harness.cases.model import Case, Prompt, Shot, Unit
from tunegate.harness.checks.base import constraint_of_check
from tunegate.harness.checks.outputs.message import read_output
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.formatting import listed
from tunegate.harness.models.api import Messages, Request
from tunegate.harness.models.model_options import RungName

#: Outputs are constrained to the schema of their check, if it has one.
CONSTRAINED: frozenset[str] = frozenset({"constrained", "few-shot-constrained"})
WITH_SHOTS: frozenset[str] = frozenset({"few-shot", "few-shot-constrained"})
#: Prompting strategies whose prompts are, token for token, those of a training.
TRAINED: frozenset[str] = frozenset({"as-is", "constrained"})
CONTEXT = "Use this passage:\n"
STEPS = "Think step by step. Then write a last line that begins with 'Answer:' and holds the answer alone."
DONE = "ok"  # what the tools of worked examples return
STEPS_TOKENS = 4  # a chain of thought needs room: this many times the unit's own limit


def requests(units: Iterable[Unit], rung: RungName = "as-is", repeats: int = 1) -> Iterator[Request]:
    """Every request of the units, `repeats` times each; none for units that are derived from another.

    Refused if a unit lacks what the prompting strategy needs.
    """
    for unit in units:
        if unit.of:
            continue
        if not unit.check_kind.texts:
            _check(unit, rung, repeats)
        # likelihoods are requested once, since they hardly vary
        times = 1 if unit.check_kind.texts else repeats
        yield from (request(unit, case, rung, repeat) for case in unit.cases for repeat in range(times))


def request(unit: Unit, case: Case, rung: RungName = "as-is", repeat: int = 0) -> Request:
    """The request of a case: for an output to its messages, or for the likelihood of texts."""
    if unit.check_kind.texts:
        asked = messages(unit, case, rung) if unit.check_kind.chat else ()
        return Request(case.key, asked, case.decoding, texts=unit.texts(case))
    decoding = case.decoding
    if rung == "steps":
        decoding = replace(decoding, max_new_tokens=decoding.max_new_tokens * STEPS_TOKENS)
    constraint = constraint_of_check(case.check) if rung in CONSTRAINED else None
    return Request(case.key, messages(unit, case, rung), decoding, repeat, constraint=constraint, tools=case.tools)


def _check(unit: Unit, rung: RungName, repeats: int) -> None:
    if rung in WITH_SHOTS and not unit.shots:
        raise Refused(f"{unit.key}: --tg-rung {rung} needs `shots:` in its fixture file, found none")
    if rung in CONSTRAINED and any(case.tools for case in unit.cases):
        raise Refused(
            f"{unit.key}: --tg-rung {rung}: calls are not constrained to the schemas of their tools; leave the "
            "unit out, or use a prompting strategy without constrained decoding"
        )
    lacking = [case.id for case in unit.cases if not case.context]
    if rung == "context" and lacking:
        found = f"found none on {listed(lacking)}"
        raise Refused(f"{unit.key}: --tg-rung context needs a `context:` on every case, {found}")
    if repeats < 1:
        raise Refused(f"--tg-repeats {repeats}: expected at least 1")


def messages(unit: Unit, case: Case, rung: RungName = "as-is") -> Messages:
    """The chat messages of a case; a training row with the same prompt and input must give the same messages.

    In a conversation the template, the passage and the steps apply to the last turn, if it is the
    user's; other turns stay as written.
    """
    user = case.prompt.fill(case.input, case.context) if case.role == USER else case.input
    if rung == "context" and "{context}" not in case.prompt.template:
        user = f"{CONTEXT}{case.context}\n\n{user}"
    if rung == "steps" and case.role == USER:
        user = f"{user}\n\n{STEPS}"
    system = [(SYSTEM, case.prompt.system)] if case.prompt.system is not None and not case.has_system else []
    asked = (*system, *case.earlier, (case.role, user))
    return with_shots(unit, case.prompt, asked) if rung in WITH_SHOTS else asked


def with_shots(unit: Unit, prompt: Prompt, asked: Messages) -> Messages:
    """The messages of a prompt, after the worked examples of its unit."""
    head = 1 if asked[0][0] == SYSTEM else 0
    worked = [turn for number, shot in enumerate(unit.shots) for turn in _worked(unit, prompt, shot, number)]
    return (*asked[:head], *worked, *asked[head:])


def _worked(unit: Unit, prompt: Prompt, shot: Shot, number: int) -> Messages:
    reply = _with_calls(shot.output, number) if unit.configuration.tools else ((ASSISTANT, shot.output),)
    return (*shot.earlier, (USER, prompt.fill(shot.input, None)), *reply)


def _with_calls(output: str, number: int) -> Messages:
    """The turns of a worked example's output, where there are tools; each call has a result, as servers demand."""
    message = read_output(output)
    if not message.calls:
        return ((ASSISTANT, message.content),)
    # nine letters and digits, which is the form that Mistral's templates demand
    calls = tuple(replace(call, id=f"shot{number:03d}{at:02d}") for at, call in enumerate(message.calls))
    said = replace(message, calls=calls).write(with_ids=True)
    return ((WITH_CALLS, said), *((f"{TOOL}:{call.id}", DONE) for call in calls))


def final(rung: RungName, output: str) -> str:
    """The part of an output that is scored: under `steps` the text after the last `Answer:`."""
    if rung != "steps":
        return output
    # the last one, since the steps may use the word; without any the whole output is scored
    return output.rpartition("Answer:")[2].strip()
