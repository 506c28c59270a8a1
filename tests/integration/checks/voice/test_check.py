# ruff: noqa: E501  (a pair of texts is one line)
from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.units import write_unit
from tests.unit.checks.voice.test_check import references, written
from tunegate.harness.checks.voice.check import Voice, load
from tunegate.harness.checks.voice.classifier import ReferencePair, fit_classifier
from tunegate.harness.core.authoring.document import Document
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import Refused
from tunegate.harness.review.lint.rules import lint_fixtures, report_cards

# A made-up bicycle workshop: warm, plain, brief. The off side is stiff, curt, chirpy or (s) only a little stiff.
SAYS = "Your wheel's true again and the bell's fixed. We'll keep the bike for you until Saturday, so there's no rush."
GOOD = "We've trued your wheel and fixed the bell, so it's ready. There's no hurry, as we'll keep it for you until Saturday."
STIFF = (
    "Please be advised that the alignment of the wheel has been completed and the bell has been repaired. "
    "The bicycle will be retained until Saturday, so that collection at the convenience of the owner is possible."
)
PROMPT = "Is my bike done? Notes: wheel trued, bell repaired, the bike can stay with us until Saturday."


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Voice:
    return written(tmp_path_factory.mktemp("voice"), references())


@pytest.fixture(scope="module")
def rules(voice):
    def evaluate(output: str, says: str = SAYS, prompt: str = PROMPT) -> set[str]:
        return {finding.rule for finding in voice(output, {"says": says}, prompt).findings}

    return evaluate


def test_the_metric_earns_the_right_to_judge(voice):
    voice.prepare()

    assert voice.report_card.accepted, voice.report_card
    assert str(voice.report_card).startswith("accepted (36 pairs, 11 of them subtle; AUC ")


def test_on_and_off_need_no_quotes(tmp_path, voice):
    """YAML 1.1 reads a bare `on` as true; the files that people edit are read without that."""
    text = yaml.safe_dump(references(), sort_keys=False).replace("'on':", "on:").replace("'off':", "off:")
    (tmp_path / "bare.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "replies.yaml").write_text("check: {references: bare.yaml}\n", encoding="utf-8")

    bare = load({"references": "bare.yaml"}, read_yaml(tmp_path / "replies.yaml"), ("check",))

    assert bare.report_card == voice.report_card


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_labels_are_refused_with_the_report_card_in_words(tmp_path, seed):
    data = references(rules=[])
    for pair in data["pairs"]:
        if random.Random(f"{seed}{pair['id']}").random() < 0.5:
            pair["on"], pair["off"] = pair["off"], pair["on"]
    data["pairs"] = [
        pair for pair in data["pairs"] if len(pair["on"].split()) > 8
    ]  # the curt ones are no on-brand text

    with pytest.raises(
        Refused, match=r"cannot recognize this voice: not measurable: the AUC's lower bound is 0\.\d+, and 0\.9"
    ):
        written(tmp_path, data).prepare()


def test_style_is_judged_and_not_topic():
    """On-brand texts of three topics and off-brand ones of the others; judged on exactly the opposite."""
    data = references()["pairs"]
    on_topics = {"repair", "order", "hire"}
    on = [pair["on"] for pair in data if pair["topic"] in on_topics]
    off = [pair["off"] for pair in data if pair["topic"] not in on_topics]
    metric = fit_classifier(tuple(ReferencePair(*texts) for texts in zip(on, off, strict=False)))

    unseen_on = [metric.score(pair["on"]) for pair in data if pair["topic"] not in on_topics]
    unseen_off = [metric.score(pair["off"]) for pair in data if pair["topic"] in on_topics]
    assert sum(one > other for one in unseen_on for other in unseen_off) > 0.9 * len(unseen_on) * len(unseen_off)


def test_an_on_brand_answer_that_says_the_right_thing_passes(voice):
    outcome = voice(GOOD, {"says": SAYS}, PROMPT)

    assert outcome.findings == ()
    assert outcome.score == 1.0
    assert outcome.rates == {"style": True, "rules": True, "content": True}


def test_an_off_brand_answer_is_told_why_in_an_editors_words(voice):
    outcome = voice(STIFF, {"says": SAYS}, PROMPT)

    (finding,) = outcome.findings
    assert finding.message.startswith("does not sound like Spoke and Bell (0.")
    assert "passive verbs" in finding.message
    assert outcome.rates == {"style": False, "rules": True, "content": True}


def test_an_empty_answer_is_a_finding_without_an_embedding(voice, monkeypatch):
    monkeypatch.setattr("tunegate.harness.checks.voice.content.embed", None)

    outcome = voice(" \n", {"says": SAYS}, PROMPT)

    assert [finding.rule for finding in outcome.findings] == ["empty"]
    assert outcome.rates == {"style": False, "rules": False, "content": False}


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ("It's ready now.", "length"),
        (" ".join([GOOD, SAYS] * 5), "length"),
        ("We've fixed your bike for you. " * 6, "repetition"),
        (references()["pairs"][0]["on"], "copied"),
        (references()["pairs"][0]["on"] + " Bye for now.", "copied"),
        (PROMPT, "echo"),
        ("wheel bell bike Saturday workshop repair ready collect trued fixed keep customer", "no sentences"),
        ("it is we will you and so the have for that and to", "no sentences"),
    ],
)
def test_each_degenerate_answer_is_a_finding(rules, output, rule):
    assert rule in rules(output)


@pytest.mark.parametrize(
    "answer", ["...", "!!! ???", "\u2003", "\U0001f600" * 40, "\u4f60\u597d", "a" * 5000, "\x00 \ud800"]
)
def test_odd_answers_are_findings_and_no_crashes(rules, answer):
    assert rules(answer)


def test_a_house_rule_vetoes_and_quotes_the_hit_and_what_to_say(voice):
    outcome = voice(GOOD + " Sorry for the Inconvenience!", {"says": SAYS}, PROMPT)

    messages = [finding.message for finding in outcome.findings if finding.rule == "house rule"]
    assert messages == [
        "'!' breaks the house rule 'no-shouting': let the words be glad",
        "'Inconvenience' breaks the house rule 'no-office-speak': say it as you would at the till",
    ]
    assert outcome.rates["rules"] is False


@pytest.mark.parametrize(
    ("addition", "hit"),
    [
        ("You're a valued\n customer.", True),
        ("As an AI, I can't ride.", True),
        ("As an **A**I, I can't ride.", True),
        ("You're a valu\u00aded customer.", True),
        ("Grand\uff01", True),
        ("You can have an air pump.", False),
        ("Your inconveniences are over.", False),
    ],
)
def test_house_rules_see_whole_words_over_line_breaks(rules, addition, hit):
    assert ("house rule" in rules(f"{GOOD} {addition}")) is hit


def test_an_on_brand_answer_about_something_else_fails_on_content_alone(voice):
    outcome = voice(
        "You'll find our prices on the wall. If it's a puncture, just walk in before five.", {"says": SAYS}, PROMPT
    )

    assert [finding.rule for finding in outcome.findings] == ["content"]
    assert "lacks the required content (similarity 0." in outcome.findings[0].message
    assert outcome.rates == {"style": True, "rules": True, "content": False}


def test_the_same_references_score_the_same_in_another_process_and_any_order(voice, tmp_path):
    script = (
        "import sys; from pathlib import Path; from tunegate.harness.checks.voice.check import load; from tunegate.harness.core.authoring.yaml_reader import read_yaml\n"
        "v = load({'references': 'voice.yaml'}, read_yaml(Path(sys.argv[1]) / 'replies.yaml'), ('check',))\n"
        "print(repr(v.report_card), v.references)"
    )
    folder = voice.document.path.parent

    again = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)

    assert again.stdout == f"{voice.report_card!r} {voice.references}\n"


def test_the_digest_covers_texts_and_options_but_no_spelled_out_default(voice, tmp_path):
    changed = references()
    changed["pairs"][0]["off"] += " Indeed."

    assert written(tmp_path, references()).references == voice.references
    assert written(tmp_path, references(), content=0.4).references == voice.references
    assert written(tmp_path, references(), content=0.5).references != voice.references
    assert written(tmp_path, changed).references != voice.references


@pytest.mark.parametrize(
    ("says", "said"),
    [
        (
            "  ",
            "cases[0].expect.says: expected what the output must say, found nothing; write it as Spoke and Bell would",
        ),
        (
            "We're sorry for the inconvenience.",
            "cases[0].expect.says: expected text that keeps the house rules, found 'inconvenience' breaks the house rule",
        ),
        (SAYS, ""),
    ],
)
def test_a_case_may_not_ask_for_what_the_house_rules_forbid(voice, says, said):
    where = ("cases", 0, "expect")
    document = Document(Path("replies.yaml"), {}, {(*where, "says"): 7})

    found = [str(problem) for problem in voice.expect_problems({"says": says}, document, where)]

    assert [f"replies.yaml:7: {said}" in line for line in found] == ([True] if said else [])


def test_loading_fits_nothing_and_importing_brings_in_neither_torch_nor_scikit_learn(voice):
    script = (
        "import sys; from pathlib import Path; from tunegate.harness.checks.voice.check import KIND; from tunegate.harness.core.authoring.yaml_reader import read_yaml\n"
        "v = KIND.load({'references': 'voice.yaml'}, read_yaml(Path(sys.argv[1]) / 'replies.yaml'), ('check',))\n"
        "print(*{'torch', 'sklearn', 'sentence_transformers'} & set(sys.modules))"
    )
    folder = voice.document.path.parent

    loaded = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)

    assert loaded.stdout == "\n"


TEXTS = ROOT / "benchmarks/voice_texts"


def test_references_in_other_languages_earn_the_right_to_judge_by_sound_and_not_by_content():
    name = "finnish"
    document = Document(TEXTS / f"{name}.yaml", {}, {})
    whole = load({"references": f"{name}.yaml"}, document, ())

    assert whole.report_card.accepted, whole.report_card
    with pytest.raises(Refused, match=r"cannot separate contents in 'fi' \(AUC 0\.\d+ .* `content: false`"):
        whole.prepare()

    voice = load({"references": f"{name}.yaml", "content": False}, document, ())
    voice.prepare()
    pair = voice.document.data["pairs"][0]
    outcome = voice(pair["off"], {"says": pair["on"]}, "")
    assert outcome.rates.keys() == {"style", "rules"}
    assert "style" in {finding.rule for finding in outcome.findings}
    assert voice("", {"says": pair["on"]}, "").rates == {"style": False, "rules": False}


def test_german_read_as_english_is_told_apart_worse_and_named_in_the_wrong_words():
    data = read_yaml(TEXTS / "german.yaml").data
    pairs = tuple(ReferencePair(each["on"], each["off"], each.get("subtle", False)) for each in data["pairs"])

    german, english = fit_classifier(pairs, "de"), fit_classifier(pairs)

    assert german.card.auc > english.card.auc
    assert "'Sie' for the reader" in german.traits("Wir bitten Sie, Ihr Rad zu holen, da Sie sonst zahlen.")


def test_the_shorter_an_answer_the_surer_its_sound_has_to_be(voice):
    text = "Your wheel's fine and we've fixed the bell. Leave it here until Saturday or so."

    assert not [each for each in voice(text, {"says": text}, PROMPT).findings if each.rule == "style"]
    [found] = [each.message for each in voice(text, {"says": SAYS}, PROMPT).findings if each.rule in {"style", "curt"}]
    assert re.match(r"does not sound like Spoke and Bell \(0\.\d\d, on-brand from 0\.\d\d at this length\): ", found)


def test_lint_shows_that_content_cannot_be_heard_in_a_language(tmp_path):
    write_unit(tmp_path, ["a"])
    shutil.copy(TEXTS / "german.yaml", tmp_path / "desk/refs")
    head = "version: 1\nsuite: voice\ncheck: {references: refs/german.yaml}\n"
    (tmp_path / "desk/replies.yaml").write_text(
        f"{head}cases:\n  - {{id: a, input: Hallo, expect: {{says: Dein Rad ist da.}}}}\n"
    )

    cards = report_cards(lint_fixtures(tmp_path).tasks)

    assert next(cards).startswith("desk/voice: accepted (36 pairs")
    assert next(cards).startswith("desk/voice: content: not measurable (AUC 0.9")
    with pytest.raises(Refused, match="the voice of desk/voice is not measurable: a run would be refused"):
        next(cards)
