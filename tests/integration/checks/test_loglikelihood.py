"""Likelihood units: the numbers against the model's own, the checks, and the whole way through a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import Project
from tests.unit.checks.test_loglikelihood import (
    PAIR,
    PASSAGES,
    passages,
    write,
    write_pairs,
    write_passages,
    write_questions,
)
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.api import Request
from tunegate.harness.models.local.huggingface import Local, load_base
from tunegate.harness.models.tokenizer import encode, load_tokenizer, render_prompt

MESSAGES = (("system", "Reply."), ("user", "It drips."))


def ask(*texts: str, messages: Any = ()) -> list[Request]:
    return [
        Request(f"desk/passages/{number}", messages, Decoding(), texts=(text,)) for number, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> Local:
    return Local(str(tiny_model), quiet())


# --- the numbers


def by_hand(folder: Path, before: list[int], text: list[int]) -> list[float]:
    """Token after token, each from a forward pass of its own."""
    import torch

    model = load_base(folder)
    found = []
    for place, token in enumerate(text):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*before, *text[:place]]])).logits[0, -1].double()
        found.append(float(torch.log_softmax(logits, 0)[token]))
    return found


def test_a_passage_is_scored_from_its_first_token(local: Local, tiny_model: Path) -> None:
    text = PASSAGES["fog"]
    (answer,) = local.complete(ask(text))
    tokenizer = load_tokenizer(tiny_model)
    expected = by_hand(tiny_model, [tokenizer.bos_token_id], tokenizer(text, add_special_tokens=False).input_ids)
    assert answer.output is None
    assert answer.logprobs == (pytest.approx(expected, abs=1e-4),)


def test_a_pair_is_scored_as_answers_to_the_prompt(local: Local, tiny_model: Path) -> None:
    request = Request("desk/pairs/who", MESSAGES, Decoding(), texts=tuple(PAIR.values()))
    (answer,) = local.complete([request])
    tokenizer = load_tokenizer(tiny_model)
    before = tokenizer(render_prompt(tokenizer, request), add_special_tokens=False).input_ids
    for text, found in zip(PAIR.values(), answer.logprobs, strict=True):
        expected = by_hand(tiny_model, before, tokenizer(text, add_special_tokens=False).input_ids)
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_batch_gives_the_numbers_of_one_at_a_time(local: Local) -> None:
    asked = ask(*PASSAGES.values(), "?")
    together = {answer.key: answer.logprobs for answer in local.complete(asked)}
    alone = {answer.key: answer.logprobs for request in asked for answer in local.complete([request])}
    assert together.keys() == alone.keys()
    for key, found in together.items():
        assert found == (pytest.approx(alone[key][0], abs=2e-4),)


def test_an_adapter_moves_the_numbers(local: Local, tiny_model: Path, tiny_adapter: Path) -> None:
    asked = ask(*PASSAGES.values())
    tuned = Local(str(tiny_model), quiet(), tiny_adapter)
    assert [each.logprobs for each in tuned.complete(asked)] != [each.logprobs for each in local.complete(asked)]


def test_generating_and_telling_likelihoods_mix_in_one_run(local: Local) -> None:
    generate = Request("desk/triage/a", MESSAGES, Decoding(max_new_tokens=4))
    answers = {answer.key: answer for answer in local.complete([*ask("Fog."), generate])}
    assert answers["desk/triage/a"].output is not None
    assert answers["desk/triage/a"].logprobs == ()
    assert answers["desk/passages/0"].logprobs


def test_what_decides_a_number_is_in_its_generation_digest(local: Local) -> None:
    one, other = ask("Fog.", "Rain.")
    chat = ask("Fog.", messages=MESSAGES)[0]
    digests = {local.fingerprint.generation(request) for request in (one, other, chat)}
    assert len(digests) == 3


def test_a_passage_longer_than_the_model_can_see_is_refused(local: Local) -> None:
    with pytest.raises(Refused, match=r"desk/passages/0: expected prompt and output within the 4096 tokens .* found"):
        list(local.complete(ask("fog " * 2000)))


def test_a_failure_is_no_number_but_an_outage(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Local(str(tiny_model), quiet())
    _, model = local._loaded

    def fail(**_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "forward", fail)
    with pytest.raises(CouldNotRun, match=r"failed on a batch of 1 \(desk/passages/0 \.\.\.\): .*out of memory"):
        list(local.complete(ask("Fog.")))


def test_a_text_without_a_prompt_follows_the_token_that_begins_every_text(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    assert encode(tokenizer, None, "a")[0] == [tokenizer.bos_token_id]
    tokenizer.bos_token = None
    assert encode(tokenizer, None, "a")[0] == [tokenizer.eos_token_id]


# --- the checks


# --- replay


def lines(project: Project, *raw: dict[str, Any]) -> Path:
    path = project.path / "outputs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in raw))
    return path


def replay(project: Project, *raw: dict[str, Any], more: tuple[str, ...] = ()) -> pytest.RunResult:
    lines(project, *raw)
    return project.run("--tg-model=replay:outputs.jsonl", "--tg-out=record.json", *more)


def test_log_probabilities_made_elsewhere_are_judged(project: Project) -> None:
    write_passages(project.fixtures)
    write_pairs(project.fixtures)
    result = replay(project, *passages(), {"case": "desk/pairs/who", "logprobs": [[-1, -1], [-2, -3]]})
    assert result.ret == 0
    record = project.record()
    assert record["cases"]["desk/passages/fog"]["score"] == -2.0
    assert "passed" not in record["cases"]["desk/passages/fog"]
    assert record["cases"]["desk/pairs/who"] | {"findings": []} == {
        "score": 1.5, "findings": [], "output": None, "rates": {"preferred": True}, "logprobs": [[-1, -1], [-2, -3]],
    }  # fmt: skip
    assert record["units"]["desk/pairs"]["rates"] == {"preferred": 1.0}


def test_a_null_is_unscored_and_fails(project: Project) -> None:
    write_pairs(project.fixtures)
    result = replay(project, {"case": "desk/pairs/who", "logprobs": None})
    assert result.ret == 1
    assert project.record()["units"]["desk/pairs"]["unscored"] == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"output": "fog"}, "expected logprobs, which is what its case asks for, found output (desk/pairs/who)"),
        ({}, "expected logprobs, which is what its case asks for, found neither (desk/pairs/who)"),
        ({"logprobs": [-1.0]}, "expected log-probabilities of 2 texts, found those of 1"),
        ({"logprobs": [[-1.0], [0.5]]}, "-1e6 to 0"),
        ({"logprobs": []}, "-1e6 to 0"),
        ({"logprobs": [[], [-1]]}, "-1e6 to 0"),
    ],
)
def test_lines_that_cannot_be_are_refused_with_file_and_line(project: Project, line: dict[str, Any], told: str) -> None:
    write_pairs(project.fixtures)
    result = replay(project, {"case": "desk/pairs/who", **line})
    assert result.ret == 4
    said = " ".join((result.stdout.str() + result.stderr.str()).split())
    assert "outputs.jsonl:1" in said
    assert told in said


def test_log_probabilities_for_a_case_that_asks_for_an_output_are_refused(project: Project) -> None:
    write_questions(project.fixtures)
    result = replay(project, {"case": "desk/questions/france", "logprobs": [-1]})
    assert result.ret == 4
    assert "expected output" in " ".join((result.stdout.str() + result.stderr.str()).split())


def test_the_gate_sees_a_fall_of_likelihood_beyond_the_margin(project: Project) -> None:
    cases = [{"id": f"p{index}", "input": f"passage {index}"} for index in range(40)]
    write(project.fixtures, "passages", "retention", {"measure": "passages"}, cases=cases)
    project.policy(passages={"role": "guard", "margin": 0.2, "collapse": 0.1})
    before = [{"case": f"desk/passages/p{index}", "logprobs": [-2 - index / 100]} for index in range(40)]
    after = [
        {"case": each["case"], "logprobs": [each["logprobs"][0] - 0.5 - number / 200]}
        for number, each in enumerate(before)
    ]
    replay(project, *before, more=("--tg-out=base.json",))
    result = replay(project, *after, more=("--tg-against=base.json",))
    assert result.ret == 1
    verdict = project.record()["verdicts"]["desk/passages"]
    assert verdict["verdict"] == "regressed"
    assert math.isclose(verdict["difference"], -0.5975, abs_tol=1e-6)
    assert replay(project, *before, more=("--tg-against=base.json",)).ret == 0
    assert project.record()["verdicts"]["desk/passages"]["verdict"] == "held"


# --- a real model, however small


def test_the_whole_way_record_reuse_and_the_gate(project: Project, tiny_model: Path, tiny_adapter: Path) -> None:
    write_passages(project.fixtures)
    write_pairs(project.fixtures)
    write_questions(project.fixtures)
    project.policy(passages={"role": "guard", "margin": 0.1}, pairs={"role": "target"}, questions={"role": "guard"})
    model = f"--tg-model={tiny_model}"
    assert project.run(model, "--tg-record").ret == 0
    files = {path: path.read_bytes() for path in (project.path / "baselines").rglob("*.json")}
    assert len(files) == 3 + 2  # the units, and two events of the ledger
    assert project.run(model, "--tg-record").ret == 0
    assert files == {path: path.read_bytes() for path in (project.path / "baselines").rglob("*.json")}
    result = project.run(model, f"--tg-adapter={tiny_adapter}", "--tg-against=baseline", "--tg-out=record.json")
    assert result.ret == 1
    assert project.record()["verdicts"]["desk/pairs"]["verdict"] == "ungated"
    assert project.record()["verdicts"]["desk/passages"]["difference"] != 0


def test_an_edited_log_probability_in_a_baseline_is_refused(project: Project, tiny_model: Path) -> None:
    write_passages(project.fixtures)
    assert project.run(f"--tg-model={tiny_model}", "--tg-record").ret == 0
    [path] = (project.path / "baselines").rglob("passages.json")
    data = json.loads(path.read_text())
    data["cases"]["fog"]["logprobs"][0][0] -= 1
    path.write_text(json.dumps(data))
    result = project.run(f"--tg-model={tiny_model}", "--tg-against=baseline")
    assert result.ret == 4
    assert "edited" in result.stderr.str() + result.stdout.str()


def test_repeats_ask_for_likelihoods_once(project: Project, tiny_model: Path) -> None:
    write_passages(project.fixtures)
    project.unit(["a"], generate={"max_new_tokens": 2, "temperature": 1.0})
    project.run(f"--tg-model={tiny_model}", "--tg-repeats=3", "--tg-out=record.json")
    cases = project.record()["cases"]
    assert len(cases["desk/triage/a"]["repeats"]) == 3
    assert "repeats" not in cases["desk/passages/fog"]
    result = project.run(f"--tg-model={tiny_model}", "--tg-repeats=3", "--tg-against=record.json", "-k", "passages")
    assert result.ret == 0
