from __future__ import annotations

import json

import pytest

from tests.support.units import write_outputs
from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import AuthoringError
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.replay import read_replay

CASES = ["desk/triage/a", "desk/triage/b", "desk/triage/c"]
KNOWN = dict.fromkeys(CASES, 0)


def ask(*keys: str, repeats: int = 1) -> list[Request]:
    return [Request(key, (("user", "hi"),), Decoding(), repeat) for key in keys for repeat in range(repeats)]


def mistakes(tmp_path, *lines) -> list[str]:
    path = tmp_path / "out.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    with pytest.raises(AuthoringError) as caught:
        read_replay(path, KNOWN)
    return [str(problem).rpartition("out.jsonl:")[2] for problem in caught.value.problems]


def test_outputs_are_given_back_in_the_order_asked(tmp_path):
    model = read_replay(write_outputs(tmp_path / "o.jsonl", {CASES[0]: "A", CASES[1]: "B"}), KNOWN)

    assert [answer.output for answer in model.complete(ask(CASES[1], CASES[0]))] == ["B", "A"]


def test_null_and_a_missing_case_are_unscored(tmp_path):
    model = read_replay(write_outputs(tmp_path / "o.jsonl", {CASES[0]: None, CASES[1]: ""}), KNOWN)

    assert [answer.output for answer in model.complete(ask(*KNOWN))] == [None, "", None]


def test_counts_times_and_repeats_are_kept(tmp_path):
    path = tmp_path / "o.jsonl"
    line = {"case": CASES[0], "output": "A", "tokens_in": 3, "tokens_out": 1, "latency_s": 0.5}
    path.write_text(json.dumps(line) + "\n\n" + json.dumps({"case": CASES[0], "output": "B", "repeat": 1}) + "\n")

    answers = list(read_replay(path, KNOWN).complete(ask(CASES[0], repeats=3)))

    assert answers == [
        Completion(CASES[0], "A", 3, 1, 0.5, repeat=0),
        Completion(CASES[0], "B", repeat=1),
        Completion(CASES[0], None, repeat=2),
    ]


def test_every_character_is_kept_and_windows_files_are_read(tmp_path):
    output = "one\u2028two\x85three \U0001f525"
    line = json.dumps({"case": CASES[0], "output": output}, ensure_ascii=False)
    (tmp_path / "o.jsonl").write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")

    (answer,) = read_replay(tmp_path / "o.jsonl", KNOWN).complete(ask(CASES[0]))

    assert answer.output == output


LINES = {
    "not JSON": ("{'case': 1}", "expected one JSON object, found a mistake in column 2 "),
    "cut off": ('{"case": "desk/triage/a", "outp', "expected one JSON object, found a mistake in column 27 "),
    "a key twice": (
        '{"case": "desk/triage/a", "output": "A", "output": "B"}',
        "expected one JSON object, found the key 'output' twice",
    ),
    "NaN": (
        '{"case": "desk/triage/a", "output": "A", "latency_s": NaN}',
        "expected one JSON object, found NaN, which is not a number",
    ),
    "a bomb": ("[" * 100_000, "expected one JSON object, found more than 100 levels of nesting"),
    "a list": (
        ["desk/triage/a", "A"],
        'expected a mapping with case, found ["desk/triage/a", "A"]; '
        'write {"case": "<task>/<unit>/<id>", "output": "..."}',
    ),
    "no output": (
        {"case": "desk/triage/a"},
        "expected output, which is what its case asks for, found neither (desk/triage/a)",
    ),
    "a misspelt key": (
        {"case": "desk/triage/a", "ouput": "A"},
        "ouput: expected one of the keys case, digest, latency_s, logprobs, output, repeat, "
        "tokens_in, tokens_out, tool_calls, found 'ouput'; "
        "did you mean 'output'?",
    ),
    "an output that is JSON": (
        {"case": "desk/triage/a", "output": {"product": "boiler"}},
        'output: expected text or nothing, found {"product": "boiler"}; put it in quotes',
    ),
    "a negative count": (
        {"case": "desk/triage/a", "output": "A", "tokens_out": -1},
        "tokens_out: expected a whole number from 0, found -1",
    ),
    "an unknown case": (
        {"case": "desk/triaje/a", "output": "A"},
        "case: expected a case of the fixtures, found 'desk/triaje/a'; did you mean 'desk/triage/a'?",
    ),
}


@pytest.mark.parametrize(("line", "message"), LINES.values(), ids=LINES.keys())
def test_a_bad_line_is_told_by_its_number(tmp_path, line, message):
    (said,) = mistakes(tmp_path, {"case": CASES[1], "output": "fine"}, "", line)

    assert said.startswith(f"3: {message}")


def test_a_repeated_case_is_told(tmp_path):
    again = {"case": CASES[0], "output": "A", "repeat": 1}

    assert mistakes(tmp_path, {"case": CASES[0], "output": "A"}, again, again) == [
        "3: case: expected each case and repeat once, found 'desk/triage/a' again"
    ]


def test_all_bad_lines_are_told_at_once(tmp_path):
    said = mistakes(
        tmp_path, "x", {"case": CASES[0], "output": "A"}, *[{"case": f"x{i}", "output": ""} for i in range(40)]
    )

    assert [line.partition(":")[0] for line in said] == ["1", *map(str, range(3, 43))]


def test_a_missing_file_and_one_that_is_not_utf_8_are_told(tmp_path):
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")

    for name, message in [("none", "a JSONL file of outputs, found nothing there"), ("latin", "UTF-8 text")]:
        with pytest.raises(AuthoringError, match=message):
            read_replay(tmp_path / f"{name}.jsonl", KNOWN)


def test_a_line_may_say_which_request_it_answers(tmp_path):
    path = tmp_path / "o.jsonl"
    lines = [{"case": CASES[0], "output": "A", "digest": "a" * 64}, {"case": CASES[1], "output": "B"}]
    path.write_text("\n".join(map(json.dumps, lines)))

    sources = read_replay(path, KNOWN).sources

    assert {key: (source.line, source.digest) for key, source in sources.items()} == {
        (CASES[0], 0): (1, "a" * 64), (CASES[1], 0): (2, ""),
    }  # fmt: skip
    assert mistakes(tmp_path, {**lines[0], "digest": "A" * 64})[0].startswith(
        "1: digest: expected the digest of its request, 64 digits from 0 to f"
    )


def test_a_name_stands_for_any_file_of_its_outputs(tmp_path):
    one, two = (
        read_replay(
            write_outputs(tmp_path / f"{output}.jsonl", {CASES[0]: output}), KNOWN, "gpt", "few-shot"
        ).fingerprint
        for output in "AB"
    )

    assert one.subject == two.subject == {"model": "replay-gpt", "rung": "few-shot"}
    assert one.names == {"model": "replay:gpt", "file": str(tmp_path / "A.jsonl")}


def test_the_model_is_the_file(tmp_path):
    one = read_replay(write_outputs(tmp_path / "o.jsonl", {CASES[0]: "A"}), KNOWN).fingerprint
    same = read_replay(write_outputs(tmp_path / "o.jsonl", {CASES[0]: "A"}), KNOWN).fingerprint
    other = read_replay(write_outputs(tmp_path / "o.jsonl", {CASES[0]: "B"}), KNOWN).fingerprint

    assert one.subject == same.subject
    assert one.subject["file"] != other.subject["file"]
    assert one.subject["model"] == "replay:o.jsonl"


@pytest.mark.parametrize(("slip", "said"), [
    ({"case": "desk/triaje/{}", "output": "A"}, "found 'desk/triaje/a'; did you mean 'desk/triage/a'?"),
    (
        {"case": "desk/triage/{}", "logprobs": [-1]},
        "expected output, which is what its case asks for, found logprobs (desk/triage/a)",
    ),
    ({"case": "desk/triage/{}", "ouput": "A"}, "ouput: expected one of the keys"),
])  # fmt: skip
def test_one_slip_on_every_line_is_told_once_with_its_number(tmp_path, slip, said):
    known = {f"desk/triage/{letter}": 0 for letter in "abcdefgh"}
    lines = [slip | {"case": slip["case"].format(letter)} for letter in "abcdefgh"]
    path = tmp_path / "out.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))

    with pytest.raises(AuthoringError) as caught:
        read_replay(path, known)

    first, line = str(caught.value).splitlines()
    assert first == "8 mistakes to fix before anything can run:"
    assert said in line
    assert line.endswith("(and 7 more like it: lines 2, 3, 4, ...)")
