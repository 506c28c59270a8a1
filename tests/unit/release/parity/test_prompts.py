"""What became of a prompt, by name."""

from __future__ import annotations

from types import SimpleNamespace

from tunegate.harness.release.parity.prompts import length_parity, prompt_parity

WORDS = ["<s>", "<end>", "user", "assistant", "be", "kind", "hi", "\n"]


class Toy:
    """A tokenizer whose tokens are words."""

    bos_token = "<s>"
    all_special_tokens = ("<s>",)
    added_tokens_decoder = {1: SimpleNamespace(content="<end>", special=True)}  # noqa: RUF012

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(WORDS[each] for each in ids)


def ids(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split(" ")]


EXPECTED = "<s> user hi <end> \n assistant"


def found(served: str, expected: str = EXPECTED) -> list[str]:
    parity = prompt_parity(Toy(), {"a": ids(expected), "b": ids(EXPECTED)}, {"a": ids(served), "b": ids(EXPECTED)})
    assert (parity.of, parity.same) == (2, 1 if served != expected else 2)
    return [str(each) for each in parity.findings]


def test_the_same_prompt_is_the_same():
    assert found(EXPECTED) == []


def test_what_differs_is_named():
    for served, says in [
        ("<s> user be <end> \n assistant", "template: the prompts differ from character"),
        ("<s> user hi <end> \n", "template: the prompts differ from character"),
        ("<s> user hi \n assistant", "end-of-turn: a turn does not end with <end> (in 1 of 2 prompts: a)"),
        ("<s> user hi assistant", "end-of-turn: a turn does not end with <end> (in 1 of 2 prompts: a)"),
        ("user hi <end> \n assistant", "lost-bos: the text does not begin with <s>, as the evaluated one does"),
    ]:
        [finding] = found(served)
        assert finding.startswith(says)


def test_a_text_that_is_begun_twice_is_named():
    parity = prompt_parity(Toy(), {"a": ids(EXPECTED)}, {"a": [0, *ids(EXPECTED)]})
    assert [str(each) for each in parity.findings] == [
        "doubled-bos: the text begins with <s> twice (in 1 of 1 prompts: a)"
    ]


def test_a_bos_that_judged_prompts_do_not_have_is_named():
    parity = prompt_parity(Toy(), {"a": ids("user hi")}, {"a": ids("<s> user hi")})
    assert str(parity.findings[0]).startswith("doubled-bos: the text begins with <s>, which is added")


def test_two_causes_are_both_named():
    parity = prompt_parity(Toy(), {"a": ids(EXPECTED)}, {"a": [0, *ids("<s> user hi \n assistant")]})
    assert [each.rule for each in parity.findings] == ["doubled-bos", "end-of-turn"]


def test_the_same_text_in_other_tokens_is_named():
    class Glued(Toy):
        def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
            return "always the same"

    parity = prompt_parity(Glued(), {"a": [2, 3]}, {"a": [2, 4]})
    assert [str(each) for each in parity.findings] == [
        "tokenizer: the same text has other token ids from token 1 on (in 1 of 1 prompts: a)"
    ]


def test_of_lengths_alone_the_likely_cause_is_named():
    for count, rule, says in [
        (
            11,
            "doubled-bos",
            "2 of 2 prompts differ in length, by 1 token more most often, as where the BOS is doubled",
        ),
        (8, "template", "2 of 2 prompts differ in length, by 2 tokens fewer most often, as where an end of turn"),
        (19, "template", "2 of 2 prompts differ in length, by 9 tokens more most often; first: a"),
    ]:
        [finding] = length_parity({"a": 10, "b": 10}, {"a": count, "b": count}, begins=True).findings
        assert finding.rule == rule
        assert finding.message.startswith(says)


def test_a_server_that_counts_nothing_shows_nothing():
    parity = length_parity({"a": 10, "b": 10}, {"a": 10, "b": None}, begins=True)
    assert (parity.same, [str(each) for each in parity.findings]) == (
        1,
        ["unseen: the server returned no token count for 1 prompts"],
    )
