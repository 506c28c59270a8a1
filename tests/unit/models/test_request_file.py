from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.units import write_unit
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.model import Decoding, Unit
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.models.api import RenderedPrompt, Request
from tunegate.harness.models.prompts import requests
from tunegate.harness.models.replay import read_replay
from tunegate.harness.models.request_file import check_digests, read_digests, request_line

IDS = ["a", "b", "c", "d", "e"]
SHOTS = [{"input": "cold", "output": '{"product": "boiler"}'}]
OTHER = "0" * 64


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return made(tmp_path)


def made(root: Path, **more: object) -> Unit:
    write_unit(root / "fixtures", IDS, shots=SHOTS, **more)
    return load_tasks(root / "fixtures")[0].units[0]


def outputs(root: Path, lines: list[dict]) -> Path:
    path = root / "outputs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def answered(unit: Unit, rung: str = "as-is", repeats: int = 1) -> list[dict]:
    """A line of output for each request, with its digest."""
    return [
        {"case": each.key, "output": "{}", "repeat": each.repeat, "digest": each.digest}
        for each in requests([unit], rung, repeats)
    ]


def check(root: Path, unit: Unit, lines: list[dict], rung="as-is", given=None, needed=True) -> int:
    replay = read_replay(outputs(root, lines), {case.key: 0 for case in unit.cases})
    return check_digests(replay, [unit], rung, given or {}, needed)


def refused(*arguments, **more) -> list[str]:
    with pytest.raises(AuthoringError) as caught:
        check(*arguments, **more)
    return [str(problem).rpartition("outputs.jsonl:")[2] for problem in caught.value.problems]


# --- what is written


def test_a_request_is_messages_decoding_and_digest(unit):
    asked = next(requests([unit]))
    assert request_line(asked, "as-is") == {
        "case": "desk/triage/a", "rung": "as-is", "messages": [{"role": "user", "content": "message a"}],
        "max_new_tokens": 4, "temperature": 0.0, "digest": asked.digest,
    }  # fmt: skip


def test_sampled_repeats_have_a_seed_and_a_digest_each(tmp_path):
    unit = made(tmp_path, generate={"temperature": 0.5, "seed": 7})
    lines = [request_line(each, "as-is") for each in requests([unit], repeats=3)][:3]
    assert [(line.get("repeat", 0), line["seed"], line["top_p"]) for line in lines] == [
        (0, 7, 1.0),
        (1, 8, 1.0),
        (2, 9, 1.0),
    ]
    assert len({line["digest"] for line in lines}) == 3


def test_texts_are_asked_about_without_decoding():
    asked = Request("desk/passages/p", (), Decoding(), texts=("one", "two"))
    line = request_line(asked, "as-is", render=lambda _: pytest.fail("there is no prompt"))
    assert line == {"case": "desk/passages/p", "rung": "as-is", "texts": ["one", "two"], "digest": asked.digest}


def test_a_prompt_can_be_rendered(unit):
    line = request_line(
        next(requests([unit])), "as-is", render=lambda asked: RenderedPrompt(f"<{asked.messages[0][1]}>", (7, 8, 9))
    )
    assert (line["prompt"], line["tokens_in"]) == ("<message a>", 3)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"prompt": {"system": "Be brief."}}, False),
        ({"generate": {"max_new_tokens": 9}}, False),
        ({"generate": {"max_new_tokens": 4, "temperature": 0.5}}, False),
        ({"generate": {"max_new_tokens": 4, "seed": 9}}, True),  # greedy: it decides nothing
        ({"check": {"schema": "refs/product.schema.json", "extract": "fenced"}}, True),  # not what is asked
    ],
)
def test_a_digest_is_of_what_is_asked_and_of_nothing_else(tmp_path, unit, change, same):
    before = [each.digest for each in requests([unit])]
    assert ([each.digest for each in requests([made(tmp_path, **change)])] == before) == same


def test_a_digest_is_of_the_messages_that_a_rung_makes(unit):
    assert len({next(requests([unit], rung)).digest for rung in ("as-is", "few-shot", "steps")}) == 3


# --- what is read


def test_digests_are_read_back_by_case_and_repeat(tmp_path, unit):
    path = tmp_path / "requests.jsonl"
    path.write_text("\n".join(json.dumps(request_line(each, "as-is")) for each in requests([unit])))
    assert read_digests(path) == {(each.key, 0): each.digest for each in requests([unit])}


@pytest.mark.parametrize(("lines", "said"), [
    (["{"], "1: expected one JSON object"),
    (
        ['{"case": "x"}'],
        "1: expected the key 'digest', found only case; add it: the digest of its request, 64 digits",
    ),
    (['{"case": "x", "digest": "abc"}'], "1: digest: expected the digest of its request"),
    (
        [json.dumps({"case": "x", "digest": each * 64}) for each in "01"],
        "2: case: expected each case and repeat once",
    ),
    (["3"], "1: expected a mapping with case, digest, found 3; tunegate prompts writes such lines"),
])  # fmt: skip
def test_what_is_no_request_is_refused(tmp_path, lines, said):
    (tmp_path / "requests.jsonl").write_text("\n".join(lines))
    with pytest.raises(AuthoringError) as caught:
        read_digests(tmp_path / "requests.jsonl")
    assert f"requests.jsonl:{said}" in str(caught.value)


def test_a_missing_file_of_requests_is_refused(tmp_path):
    with pytest.raises(AuthoringError, match="expected a JSONL file of requests, found nothing there"):
        read_digests(tmp_path / "requests.jsonl")


# --- what is held against it


def test_answers_to_the_present_requests_are_taken_in_any_order(tmp_path, unit):
    assert check(tmp_path, unit, answered(unit)[::-1]) == 0


def test_answers_to_an_older_prompt_are_told_once_with_their_number(tmp_path, unit):
    lines = answered(unit)
    newer = made(tmp_path, prompt={"system": "Be brief."})
    assert refused(tmp_path, newer, lines) == [
        "1: digest: expected the digest of the current request of desk/triage, found that of another request on 5 "
        "lines (a, b, c and 2 more); the prompt or the decoding has changed; write the requests again (tunegate "
        "prompts) and run those"
    ]
    assert refused(tmp_path, newer, lines, needed=False)  # a digest that is there is never ignored


def test_the_case_whose_prompt_changed_is_named(tmp_path, unit):
    lines = answered(unit)
    lines[2]["digest"] = OTHER
    assert refused(tmp_path, unit, lines)[0].startswith(
        "3: digest: expected the digest of the current request of desk/triage, found that of another request on 1 "
        "line (c)"
    )


@pytest.mark.parametrize(("answers", "run"), [("few-shot", "as-is"), ("steps", "few-shot"), ("as-is", "steps")])
def test_answers_to_another_rung_are_told_as_such(tmp_path, unit, answers, run):
    assert check(tmp_path, unit, answered(unit, answers), rung=answers) == 0
    assert refused(tmp_path, unit, answered(unit, answers), rung=run) == [
        f"1: digest: expected the digest of the requests of desk/triage with --rung {run}, found that of --rung "
        f"{answers} on 5 lines (a, b, c and 2 more); name the prompting strategy that was used: --rung (pytest: "
        "--tg-rung)"
    ]


def test_the_digest_of_another_case_or_repeat_is_another_request(tmp_path):
    unit = made(tmp_path, generate={"temperature": 0.5})
    lines = answered(unit, repeats=2)
    assert check(tmp_path, unit, lines) == 0
    lines[0]["digest"], lines[1]["digest"] = lines[1]["digest"], lines[0]["digest"]
    assert "that of another request on 2 lines (a)" in refused(tmp_path, unit, lines)[0]


def test_lines_without_a_digest_take_that_of_the_file_of_requests(tmp_path, unit):
    lines = [{"case": line["case"], "output": "{}"} for line in answered(unit)]
    given = {(each.key, 0): each.digest for each in requests([unit])}
    assert check(tmp_path, unit, lines, given=given) == 0
    assert (
        "that of another request on 1 line (b)"
        in refused(tmp_path, unit, lines, given=given | {("desk/triage/b", 0): OTHER})[0]
    )
    del given["desk/triage/b", 0]
    assert refused(tmp_path, unit, lines, given=given) == [
        "2: digest: expected the digest of the request of each output of desk/triage, found none on 1 line (b); the "
        "file of requests is older than these cases: tunegate prompts > REQUESTS.jsonl writes it again"
    ]
    assert check(tmp_path, unit, lines, given=given, needed=False) == 1


def test_a_lines_own_digest_outweighs_the_file_of_requests(tmp_path, unit):
    assert check(tmp_path, unit, answered(unit), given={(case.key, 0): OTHER for case in unit.cases}) == 0


def test_turns_are_messages_of_a_request_and_each_is_in_its_digest(tmp_path):
    def first(*texts: str) -> Request:
        turns = [{role: text} for role, text in zip(("user", "assistant", "user"), texts, strict=True)]
        unit = made(tmp_path, cases=[{"id": "a", "input": turns}])
        return next(iter(requests([unit])))

    request = first("It drips.", "Where?", "Below.")

    assert request_line(request, "as-is")["messages"] == [
        {"role": "user", "content": "It drips."}, {"role": "assistant", "content": "Where?"},
        {"role": "user", "content": "Below."},
    ]  # fmt: skip
    others = [first("It drips!", "Where?", "Below."), first("It drips.", "When?", "Below.")]
    assert len({each.digest for each in (request, *others)}) == 3
