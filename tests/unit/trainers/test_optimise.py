"""A prompt is optimised on rows, by a scripted model and a scripted reflecting one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Completion, Fingerprint, Request
from tunegate.harness.models.cache import Cached, Store
from tunegate.harness.release.diagnosis.optimised import Optimisation
from tunegate.harness.rows.examples import read_examples
from tunegate.trainers.optimise.optimiser import RowOptimiser, repeated
from tunegate.trainers.optimise.rows import prompt_rows

pytest.importorskip("gepa")

RIGHT = '{"product": "boiler"}'
BETTER = "Reply with JSON only: the key product, boiler or radiator."
FENCED = f"Here it is:\n```\n{BETTER}\n```"


class Scripted:
    """Responds to each request with what `say` returns, and keeps the requests."""

    can = frozenset({"generate"})

    def __init__(self, name: str, say: Callable[[Request], str | None], finish: str = "stop") -> None:
        self.fingerprint = Fingerprint({"model": name}, {"backend": "script"}, {"model": name})
        self.say, self.finish = say, finish
        self.asked: list[Request] = []

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            output = self.say(request)
            key = self.fingerprint.generation(request)
            yield Completion(request.key, output, 20, 5, finish=self.finish, repeat=request.repeat, generation=key)


def system_of(request: Request) -> str:
    return dict(request.messages).get("system", "")


def needs_json(request: Request) -> str:
    return RIGHT if "JSON" in system_of(request) else "Certainly, a boiler."


def place(folder, rows: int = 30, **more):
    """The unit, and what its prompt is optimised on."""
    write_unit(folder, ["a", "b"], **({"prompt": {"system": "Sort it."}} | more))
    lines = [{"input": f"Ticket {number}: it drips.", "output": RIGHT} for number in range(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    [task] = load_tasks(folder)
    return task.units[0], prompt_rows(read_examples([folder / "rows.jsonl"], task), task, {"rows.jsonl": "0" * 64}, {})


def optimised(folder, model, reflecting, budget: int = 100, seed: int = 0, **more):
    unit, rows = place(folder, **more)
    return RowOptimiser("critic", rows, budget, seed)([unit], model, reflecting, quiet())


def test_a_prompt_that_scores_better_on_the_rows_is_found_with_what_it_cost(tmp_path):
    model, critic = Scripted("small", needs_json), Scripted("critic", lambda _: FENCED)

    found = optimised(tmp_path, model, critic).units["desk/triage"]

    assert (found.before, found.system, found.is_new) == ("Sort it.", BETTER, True)
    assert (found.score_before, found.score) == (0.0, 1.0)
    assert (found.rows, found.validation, found.file) == (15, 15, "triage.yaml")
    assert found.evaluations == 15 + 2 * 3 + 15
    assert found.proposals == 1, "the better prompt passes every row: there is nothing left to reflect on"
    distinct = {request.digest for request in model.asked}
    assert (found.model.requests, found.model.tokens) == (len(distinct), 25 * len(distinct))
    assert (found.reflecting.requests, found.reflecting.tokens) == (1, 25)


def test_the_reflecting_model_reads_rows_findings_and_the_prompt_and_no_case(tmp_path):
    critic = Scripted("critic", lambda _: FENCED)

    optimised(tmp_path, Scripted("small", needs_json), critic)

    [(_, text)] = critic.asked[0].messages
    assert "Sort it." in text
    assert text.count(f"An output that passes:\n{RIGHT}") == 3
    assert "- json" in text
    assert "message a" not in text
    assert "message b" not in text


@pytest.mark.parametrize(("output", "finish", "reason"), [
    ("", "stop", "empty"),
    ("```\n```", "stop", "empty"),
    (FENCED, "length", "cut at the limit of tokens"),
    ("Reply with JSON. " * 300, "stop", "longer than 4,000 characters"),
    ("JSON\x1b[2J only", "stop", "with invisible characters"),
    ("JSON \u202eylno", "stop", "with invisible characters"),
    ("Reply with JSON for {input}", "stop", "with a placeholder, which a system message does not fill"),
    ("Sort it.", "stop", "unchanged"),
])  # fmt: skip
def test_a_proposal_that_cannot_be_used_is_not_tried(tmp_path, output, finish, reason):
    model = Scripted("small", needs_json)

    found = optimised(tmp_path, model, Scripted("critic", lambda _: output, finish)).units["desk/triage"]

    assert found.rejected == {reason: found.proposals}
    assert found.proposals > 1
    assert found.system == "Sort it."
    assert {system_of(request) for request in model.asked} == {"Sort it."}


def test_the_budget_bounds_the_row_evaluations(tmp_path):
    for budget in (60, 77, 150):
        numbers = iter(range(1000))
        critic = Scripted("critic", lambda _, numbers=numbers: f"Attempt {next(numbers)}.")
        found = optimised(tmp_path, Scripted("small", needs_json), critic, budget).units["desk/triage"]
        assert budget - 35 < found.evaluations <= budget


def untimed(found: Optimisation) -> Optimisation:
    """Without the minutes, which depend on the machine."""
    units = {
        key: replace(each, **{side: replace(getattr(each, side), minutes=0.0) for side in ("model", "reflecting")})
        for key, each in found.units.items()
    }
    return replace(found, units=units)


def test_a_stopped_run_continues_with_its_outputs_and_ends_as_if_it_had_not_been(tmp_path):
    def partly(request: Request) -> str:
        passed = int(request.key.rpartition(":")[2]) % 10 < 2 + system_of(request).count("JSON")
        return RIGHT if passed else "no"

    def longer(request: Request) -> str:
        return f"{request.messages[0][1].split('```')[1].strip()} JSON"

    def run(store: str, say: Callable[[Request], str]):
        models = Scripted("small", partly), Scripted("critic", say)
        with closing(Store(tmp_path.with_name(f"{tmp_path.name}-cache") / store)) as kept:
            return optimised(tmp_path, *(Cached(each, kept) for each in models), 200), models

    whole, models = run("whole.sqlite", longer)
    stopped: list[Request] = []

    def dies(request: Request) -> str:
        stopped.append(request)
        if len(stopped) == 4:
            raise KeyboardInterrupt
        return longer(request)

    with suppress(KeyboardInterrupt):
        run("again.sqlite", dies)
    again, later = run("again.sqlite", longer)

    found = whole.units["desk/triage"]
    assert found.is_new
    assert found.proposals > 4
    assert untimed(again) == untimed(whole)
    assert len(later[1].asked) == len(models[1].asked) - 3
    assert len(later[0].asked) < len(models[0].asked)


def test_another_seed_draws_other_rows(tmp_path):
    drawn = []
    for seed in (0, 1, 0):
        model = Scripted("small", needs_json)
        optimised(tmp_path, model, Scripted("critic", lambda _: ""), seed=seed)
        drawn.append([request.key for request in model.asked])
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize("of", ["small", "critic"])
def test_a_model_that_fails_ends_the_run_with_its_own_error(tmp_path, of):
    def fails(request: Request) -> str:
        raise CouldNotRun("the server is gone")

    say = {"small": needs_json, "critic": lambda _: FENCED} | {of: fails}
    critic = Scripted("critic", say["critic"])

    with pytest.raises(CouldNotRun, match="the server is gone"):
        optimised(tmp_path, Scripted("small", say["small"]), critic)
    assert len(critic.asked) == (of == "critic"), "it is not asked again"


def test_units_without_enough_rows_are_skipped_with_the_reason(tmp_path):
    never = Scripted("small", lambda _: pytest.fail("asked"))

    unit, rows = place(tmp_path, rows=9)
    found = RowOptimiser("critic", rows)([unit], never, never, quiet())

    assert found.skipped == {"desk/triage": "expected at least 10 rows, found 9"}


def test_rows_whose_unit_has_several_checks_are_not_used(tmp_path):
    cases = [{"id": "a", "input": "x", "check": {"schema": {"type": "object"}}}, {"id": "b", "input": "y"}]
    never = Scripted("small", lambda _: pytest.fail("asked"))

    found = optimised(tmp_path, never, never, cases=cases)

    assert found.skipped == {"desk/triage": "its cases have 2 different checks"}


def test_a_prompt_that_cases_do_not_use_is_not_optimised(tmp_path):
    cases = [{"id": "a", "input": "x", "prompt": {"system": "Mine."}, "expect": {"product": "boiler"}}]
    never = Scripted("small", lambda _: pytest.fail("asked"))

    found = optimised(tmp_path, never, never, cases=cases)

    assert found.skipped == {"desk/triage": "its cases have system prompts of their own"}


def test_a_unit_without_a_system_prompt_gets_one(tmp_path):
    model = Scripted("small", needs_json)

    found = optimised(tmp_path, model, Scripted("critic", lambda _: FENCED), prompt={"template": "Sort: {input}"})

    each = found.units["desk/triage"]
    assert (each.before, each.system) == (None, BETTER)
    assert model.asked[0].messages[0][0] == "user", "an empty system prompt is not sent"
    assert model.asked[-1].messages[0] == ("system", BETTER)
    assert model.asked[-1].messages[1][1].startswith("Sort: Ticket")


def test_a_prompt_that_is_no_better_leaves_the_old_one(tmp_path):
    found = optimised(tmp_path, Scripted("small", lambda _: "no"), Scripted("critic", lambda _: FENCED))
    each = found.units["desk/triage"]
    assert (each.system, each.is_new, each.score) == ("Sort it.", False, 0.0)


def test_rows_that_a_prompt_repeats_are_counted(tmp_path):
    _, rows = place(tmp_path, rows=12)
    every = rows.units["triage"]
    assert repeated('For example:\n{"product":\n "boiler"}', "Sort it.", every) == 12
    assert repeated(f"As before: {RIGHT}", f"As in {RIGHT}.", every) == 0
    assert repeated("Sort it.", "Sort it.", every) == 0
    short = [replace(row, output="boiler") for row in every]
    assert repeated("Reply with boiler or radiator.", "Sort it.", short) == 0, "a label is no row"
