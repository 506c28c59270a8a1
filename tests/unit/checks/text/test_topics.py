"""The topics of cases: by a tag where one tells them, else by what words go together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.text.topics import Topics, topic_count, topics

ABOUT = {
    "parcel": "parcel courier tracking doorstep driver depot postcode signature",
    "refund": "refund money bank card charged twice invoice statement",
    "login": "password login account locked reset email code username",
    "size": "shoes size tight sleeve jacket width exchange label",
    "broken": "broken cracked screen battery dead warranty repair smoke",
    "opening": "opening hours sunday holiday branch closed parking street",
}
SAID = "the a my is to i it of and in for you have with was that not can please me what how when but"
PROMPT = "You are the assistant of a shop. Answer in one sentence, name no competitor, and never promise a date. " * 40


def asked(each: int, share: float = 0.4, about: dict[str, str] = ABOUT) -> tuple[list[str], list[str]]:
    """So many texts of each topic, and their topics."""
    random, texts, known = np.random.default_rng(5), [], []
    for topic, words in about.items():
        for _ in range(each):
            telling = max(1, round(share * 14))
            picked = [*random.choice(words.split(), telling), *random.choice(SAID.split(), 14 - telling)]
            texts.append(" ".join(random.permutation(picked)))
            known.append(topic)
    return texts, known


def untagged(texts: list[str]) -> list[dict[str, str]]:
    return [{} for _ in texts]


def purity(labels: tuple[int, ...], known: list[str]) -> float:
    """The share of the texts that are of the topic most of their cluster is of."""
    pairs = list(zip(labels, known, strict=True))
    return sum(max(pairs.count((label, topic)) for topic in set(known)) for label in set(labels)) / len(known)


def found(texts: list[str]) -> Topics:
    result = topics(texts, untagged(texts))
    assert result is not None
    return result


def test_words_that_go_together_make_topics():
    texts, known = asked(20)
    result = found(texts)
    assert result.source == "their words"
    assert purity(result.labels, known) > 0.95
    assert len(set(result.labels)) == topic_count(len(set(texts)))


def test_a_long_prompt_that_all_share_changes_nothing():
    for where in ["before", "after", "around"]:
        texts, known = asked(20)
        before, after = PROMPT * (where != "after"), PROMPT * (where != "before")
        longer = found(
            [
                f"{before} {text} {after}" if where != "around" else f"{PROMPT[:900]} {text} {PROMPT[:900]}"
                for text in texts
            ]
        )
        assert purity(longer.labels, known) > 0.95


def test_words_of_a_script_without_spaces():
    about = {
        "parcel": "包裹快递 物流信息 收件地址 送货上门",
        "refund": "申请退款 银行账户 重复扣款 发票金额",
        "login": "登录密码 账号锁定 验证邮箱 重置用户",
        "size": "鞋子尺码 衣服偏小 更换颜色 袖子太长",
        "broken": "屏幕碎裂 电池损坏 保修期限 维修网点",
    }
    texts, known = asked(16, 0.3, about)
    texts = ["".join(word for word in text.split() if not word.isascii()) + f"请问{i}" for i, text in enumerate(texts)]
    assert purity(found(texts).labels, known) > 0.9


def test_equal_texts_and_texts_without_a_word_are_together():
    texts, _ = asked(10)
    labels = found([*texts, "", "  ", "?!", texts[0], texts[0]]).labels
    assert labels[-1] == labels[-2] == labels[0]
    assert len(set(labels[-5:-2])) == 1


def test_texts_that_tell_nothing_have_no_topics():
    for texts in [
        ["a question"] * 100, [""] * 100, [f"w{'x' * i}" for i in range(60)],
        ["one two", "three four"] * 40, asked(4)[0], [], [f"{PROMPT} {i}" for i in range(50)],
    ]:  # fmt: skip
        assert topics(texts, untagged(texts)) is None


def tagged(**values: list[str]) -> list[dict[str, str]]:
    """A dictionary a case; an empty value is no tag."""
    return [
        {key: value for key, value in zip(values, row, strict=True) if value}
        for row in zip(*values.values(), strict=True)
    ]


def test_the_tag_with_the_most_values_is_taken():
    texts, known = asked(10)
    result = topics(texts, tagged(intent=known, language=["en", "de", "fr", "it", "es"] * 12))
    assert result == Topics(tuple(i // 10 for i in range(60)), "the tag `intent`")


def test_cases_without_the_tag_are_a_topic():
    texts, known = asked(10)
    result = topics(texts, tagged(intent=[*known[:52], *[""] * 8]))
    assert result is not None
    assert len(set(result.labels[52:])) == 1
    assert len(set(result.labels)) == len(set(known[:52])) + 1


def test_a_tag_that_tells_no_topics_is_left_alone():
    for values in [
        ["a", "b", "c", "d"] * 15, [f"case-{i}" for i in range(60)], [*"abcde" * 9, *[""] * 15],
        ["a"] * 54 + list("bcdefg"),
    ]:  # fmt: skip
        texts, _ = asked(10)
        result = topics(texts, tagged(tag=values))
        assert result is not None
        assert result.source == "their words"


def test_the_order_of_the_cases_is_of_no_consequence():
    texts, _ = asked(12)
    order = np.random.default_rng(2).permutation(len(texts))
    first, second = found(texts).labels, found([texts[i] for i in order]).labels
    pairs = {(first[i], label) for i, label in zip(order, second, strict=True)}
    assert len(pairs) == len(set(first)) == len(set(second))


@given(st.lists(st.text(max_size=40), max_size=80))
def test_any_texts_have_topics_or_none_and_the_same_again(texts):
    result = topics(texts, untagged(texts))
    assert result == topics(texts, untagged(texts))
    if result is not None:
        assert len(result.labels) == len(texts)
        assert set(result.labels) == set(range(len(set(result.labels))))


@given(
    st.lists(st.sampled_from(("ab", "bc", "cd", "de", "ef", "fg", "gh", "hi")), min_size=240, max_size=400),
    st.integers(0, 9),
)
def test_texts_of_few_words_have_topics_or_none(words, length):
    texts = [" ".join(words[i : i + 2 + length]) for i in range(0, len(words), 3)]
    result = topics(texts, untagged(texts))
    assert result is None or len(result.labels) == len(texts)


def test_thousands_of_long_texts_are_read():
    texts, known = asked(300, 0.3)
    long = [f"{text} {PROMPT} {i}" for i, text in enumerate(texts)]
    labels = found(long).labels
    assert len(labels) == len(known)


def test_tags_of_other_cases_are_refused():
    with pytest.raises(ValueError, match="expected tags for each of 2 texts, found 1"):
        topics(["a", "b"], [{}])
