# ruff: noqa: E501  (a pair of texts is one line)
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.authoring.document import Document
from tunegate.harness.authoring.yaml_reader import read_yaml
from tunegate.harness.checks.voice.check import KIND, Voice, load
from tunegate.harness.checks.voice.classifier import ReferencePair, auc, auc_interval, fit_classifier
from tunegate.harness.core.errors import AuthoringError, Refused

# A made-up bicycle workshop: warm, plain, brief. The off side is stiff, curt, chirpy or (s) only a little stiff.
PAIRS = """
repair | Your bike's ready. We've fitted new brake pads, so give it a gentle ride first. You can pick it up until six today. | Please be informed that the repair of your bicycle has been completed. New brake pads were fitted. Collection is possible until six today.
repair | We'll need the bike until Friday, as the gear cable's on order. We'll text you as soon as it's in. | Bike stays until Friday. Cable on order. Text to follow.
repair | Your wheel isn't worth mending, so we'd swap it. It's ninety pounds, and you'd have it back on Monday. | Oh wow, that wheel is absolutely done for!!! A brand new one is just ninety pounds and it'll be super ready Monday, yay!
repair | The chain's worn, and that's why it slips. We can change it while you wait on Saturday. | The slipping which you describe is caused by wear of the chain. Replacement can be carried out on Saturday during your visit.
repair s | That noise is a loose spoke. It's safe to ride home, but let's see the bike before the weekend. | The noise is a loose spoke. It is safe to ride home, but we would like to see the bike before the weekend.
repair s | We've looked at your brakes and they're fine. You won't need new pads until spring. | We have looked at your brakes and they are fine. You will not need new pads until the spring.
repair s | Your tyre's split along the side, so we can't patch it. We've got the same one here for twenty pounds. | The tyre is split along the side and cannot be patched. We have the same model available for twenty pounds.
booking | We've got you down for Tuesday at nine. Bring the key for the lock, and we'll do the rest. | Your appointment has been scheduled for Tuesday at nine. Customers are requested to bring the key of the lock.
booking | We're full this week, but Monday's open. Shall we keep ten o'clock for you? | Full this week. Monday ten free. Confirm.
booking | You can move it, no trouble. We've put you in for Thursday at four instead. | No worries at all, lovely! We've totally moved you to Thursday at four, can't wait to see you!!
booking | We don't take bookings for punctures. Just walk in before five and we'll fix it while you wait. | Appointments are not required for the repair of punctures. Attendance before five is recommended.
booking s | Your slot's on Saturday at eleven. It'll take us about an hour, so you might like a coffee next door. | Your slot is on Saturday at eleven. The work will take approximately one hour, so you may wish to have a coffee next door.
booking s | We can't make Wednesday after all, and we're sorry about that. Would Thursday at nine suit you? | Unfortunately, we are not able to keep Wednesday. We are sorry about this. Would Thursday at nine be suitable?
order | Your helmet's here. It's behind the till with your name on, and we'll keep it for two weeks. | We are pleased to inform you that your helmet has arrived. It will be held at the counter for a period of two weeks.
order | The lights you ordered won't come before the tenth. If that's too late, we'll lend you a set. | Lights delayed until tenth. Loan set available.
order | We've sent your parcel today. It'll be with you by Wednesday, and you don't have to sign for it. | Woohoo, your amazing parcel is on its way! It'll land by Wednesday and guess what, no signature needed!
order | That saddle's gone, and they don't make it now. There's one much like it for five pounds more. | The saddle in question has been discontinued by the manufacturer. A comparable item is available at an additional cost of five pounds.
order s | We've only got the blue one left. You'd have the red one in about ten days if we order it now. | Only the blue one is currently available. The red one would take approximately ten days if ordered now.
order s | You've ordered the wrong size, but that's easily put right. Bring it in and we'll swap it. | It appears the wrong size was ordered, but this is easily corrected. Please bring it in and it will be exchanged.
money | We've sent your twelve pounds back. You'll see it on your card by Monday. | A refund of twelve pounds has been processed. The amount will be credited to your card by Monday.
money | That's our mistake, sorry. You paid for two tubes and we gave you one, so we'll put the other aside for you. | Overcharged one tube. Collect second tube at till.
money | The service is sixty pounds, and that's all you'll pay. If we find more, we'll ring you first. | The service is just sixty pounds, how brilliant is that?! Anything extra and we'll totally give you a shout first!
money | You can pay in three parts, and it doesn't cost more. We'll set it up when you come in. | Payment by three instalments is available without additional charge. The arrangement will be made upon your visit.
money s | We don't charge for a quote. Drop the bike off by noon and you'll hear from us the same day. | There is no charge for a quotation. If the bike is left with us before noon, you will receive our answer the same day.
money s | Your voucher's still good. It runs until June, and you can use it on anything in the shop. | Your voucher is still valid. It may be used until June for any item in the shop.
hire | You don't need a deposit, just a card with your name on. We open at eight and you can keep the bike till six. | A deposit is not required. Presentation of a card in your name is necessary. The hire period is from eight until six.
hire | We've got two child seats, and they're free with any hire. Tell us the child's weight and we'll fit the right one. | Two child seats. Free with hire. State weight.
hire | If it rains, we'll move your day for nothing. Just ring us before nine that morning. | Rainy day? Don't panic, guys! We'll happily move it for free, just give us a cheeky ring before nine!
hire | That's a scratch we'd expect, so you won't pay for it. Thanks for telling us before you left. | Damage of this nature is considered to be normal wear; therefore no charge will be made. Your notification is appreciated.
hire | You'll want the electric one for that hill. It's ten pounds more, and it'll take you there and back twice. | For the hill which you mention, the electric model is recommended. The supplement amounts to ten pounds and the range is sufficient for two journeys.
hire s | We can bring the bikes to your hotel by nine. It's five pounds for each trip, whatever you hire. | The bikes can be delivered to your hotel by nine. There is a charge of five pounds for each trip, regardless of what is hired.
care | You'd want oil on the chain once a week. Wipe it first, and don't soak it. | Application of oil to the chain is recommended weekly. Prior cleaning should be ensured and excess should be avoided.
care | Your tyres want air every fortnight. We've a pump outside the door, and it's free to use. | Tyres: air every two weeks. Pump outside. Free.
care | Don't worry about that rust, it's only on the surface. A rag and a drop of oil will shift it. | Aw, don't you worry about a teeny bit of rust, hun! A quick rub with some oil and it'll look absolutely fab!
care | It's best kept indoors, as the damp gets into the bearings. If you can't, we'll show you how to cover it. | Storage indoors is advisable, since moisture may penetrate the bearings. Guidance regarding covers can be provided.
care s | You can wash it with a hose, but don't point it at the hubs. We'd use a bucket and a soft brush. | It can be washed with a hose, but this should not be pointed at the hubs. A bucket and a soft brush are preferable.
"""
RULES = [
    {"id": "no-shouting", "never": ["!"], "say": "let the words be glad"},
    {
        "id": "no-office-speak",
        "never": ["valued customer", "inconvenience", "as an AI"],
        "say": "say it as you would at the till",
    },
]
SAYS = "Your wheel's true again and the bell's fixed. We'll keep the bike for you until Saturday, so there's no rush."
GOOD = "We've trued your wheel and fixed the bell, so it's ready. There's no hurry, as we'll keep it for you until Saturday."
STIFF = (
    "Please be advised that the alignment of the wheel has been completed and the bell has been repaired. "
    "The bicycle will be retained until Saturday, so that collection at the convenience of the owner is possible."
)
PROMPT = "Is my bike done? Notes: wheel trued, bell repaired, the bike can stay with us until Saturday."


def references(**changes) -> dict:
    rows = [line.split(" | ") for line in PAIRS.strip().splitlines()]
    pairs = [
        {"id": f"p{n}", "topic": topic.split()[0], "subtle": topic.endswith(" s"), "on": on, "off": off}
        for n, (topic, on, off) in enumerate(rows)
    ]
    return {"version": 1, "brand": "Spoke and Bell", "rules": RULES, "pairs": pairs, **changes}


def written(folder: Path, data: dict, **options) -> Voice:
    (folder / "voice.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    (folder / "replies.yaml").write_text("check: {references: voice.yaml}\ncases: []\n", encoding="utf-8")
    return load({"references": "voice.yaml", **options}, read_yaml(folder / "replies.yaml"), ("check",))


def mistakes(folder: Path, data: dict) -> str:
    with pytest.raises(AuthoringError) as caught:
        written(folder, data)
    return str(caught.value)


def pairs_of(data: dict) -> tuple[ReferencePair, ...]:
    return tuple(ReferencePair(pair["on"], pair["off"], pair["subtle"]) for pair in data["pairs"])


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


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_are_refused_with_the_report_card_in_words(tmp_path, seed):
    data = references(rules=[])
    for pair in data["pairs"]:
        if random.Random(f"{seed}{pair['id']}").random() < 0.5:
            pair["on"], pair["off"] = pair["off"], pair["on"]
    data["pairs"] = [
        pair for pair in data["pairs"] if len(pair["on"].split()) > 8
    ]  # the curt ones are no on-brand text

    with pytest.raises(
        Refused, match=r"cannot see this voice: not measurable: the AUC's lower bound is 0\.\d+, and 0\.9"
    ):
        written(tmp_path, data).prepare()


def test_a_metric_without_subtle_pairs_is_not_accepted():
    pairs = tuple(ReferencePair(pair.on, pair.off) for pair in pairs_of(references()) if not pair.subtle)

    assert "100% of the subtle off-brand texts pass" in str(fit_classifier(pairs).card)


def test_style_is_scored_and_not_topic():
    """On-brand texts of three topics and off-brand ones of the others; judged on exactly the opposite."""
    data = references()["pairs"]
    on_topics = {"repair", "order", "hire"}
    on = [pair["on"] for pair in data if pair["topic"] in on_topics]
    off = [pair["off"] for pair in data if pair["topic"] not in on_topics]
    metric = fit_classifier(tuple(ReferencePair(*texts) for texts in zip(on, off, strict=False)))

    unseen_on = [metric.score(pair["on"]) for pair in data if pair["topic"] not in on_topics]
    unseen_off = [metric.score(pair["off"]) for pair in data if pair["topic"] in on_topics]
    assert sum(one > other for one in unseen_on for other in unseen_off) > 0.9 * len(unseen_on) * len(unseen_off)


@given(st.integers(2, 200), st.floats(0, 1))
def test_the_interval_of_an_auc_holds_it_and_never_collapses(texts, area):
    low, high = auc_interval(area, texts, texts)

    assert 0 <= low <= area + 1e-9
    assert area - 1e-9 <= high <= 1
    assert high - low > 0.2 / texts


def test_an_auc_of_one_from_few_texts_is_not_certain():
    few, many = auc_interval(1.0, 20, 20)[0], auc_interval(1.0, 80, 80)[0]

    assert (round(few, 2), round(many, 2)) == (0.9, 0.98)


def test_auc_counts_ties_as_half():
    import numpy as np

    assert auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875


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
    monkeypatch.setattr("tunegate.harness.checks.voice.check.embed", None)

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
    assert "does not say what it had to say (similarity 0." in outcome.findings[0].message
    assert outcome.rates == {"style": True, "rules": True, "content": False}


def test_the_same_references_score_the_same_in_another_process_and_any_order(voice, tmp_path):
    script = (
        "import sys; from pathlib import Path; from tunegate.harness.checks.voice.check import load; from tunegate.harness.authoring.yaml_reader import read_yaml\n"
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


def test_every_mistake_of_a_reference_file_is_reported_at_once(tmp_path):
    data = references()
    data["pairs"][1]["id"] = "p0"
    data["pairs"][2]["off"] = data["pairs"][2]["on"].upper()
    data["pairs"][3]["on"] += " Thank you, valued customer."
    data["pairs"][4]["on"] = "It's a spoke."

    said = mistakes(tmp_path, data)

    assert said.startswith("4 mistakes to fix")
    assert "pairs[1].id: expected an id of its own, found 'p0' again (first on line" in said
    assert "pairs[2].off: expected a text that stands nowhere else in the file" in said
    assert "pairs[3].on: expected an on-brand text that this check itself would pass, found 'valued" in said
    assert "pairs[4].on: expected an on-brand text that this check itself would pass, found 3 words" in said


def test_schema_mistakes_come_with_their_place(tmp_path):
    data = references(bran="x")
    data["pairs"][0]["on"] = " "
    data["rules"] = [{"id": "r", "never": [], "say": "x"}]

    said = mistakes(tmp_path, data)

    assert "bran: expected one of the keys brand, pairs, rules, version, found 'bran'; did you mean 'brand'?" in said
    assert "pairs[0].on: expected text that is not empty, found ' '" in said
    assert "rules[0].never" in said


def test_few_pairs_and_few_subtle_pairs_are_mistakes(tmp_path):
    plain = [pair for pair in references()["pairs"] if not pair["subtle"]]

    assert "at least 20 pairs, found 19; 60 to 80" in mistakes(tmp_path, references(pairs=plain[:19]))
    assert "at least 4 pairs with `subtle: true`, found 0" in mistakes(tmp_path, references(pairs=plain))


def test_a_missing_reference_file_is_named_where_it_is_asked_for(tmp_path):
    path = tmp_path / "replies.yaml"
    path.write_text("check: {references: vioce.yaml}\n", encoding="utf-8")

    with pytest.raises(
        AuthoringError, match=r"replies\.yaml:1: check\.references: expected a file, found nothing at .*vioce"
    ):
        load({"references": "vioce.yaml"}, read_yaml(path), ("check",))


@pytest.mark.parametrize(
    ("says", "said"),
    [
        (
            "  ",
            "cases[0].expect.says: expected what the answer must say, found nothing; write it as Spoke and Bell would",
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
        "import sys; from pathlib import Path; from tunegate.harness.checks.voice.check import KIND; from tunegate.harness.authoring.yaml_reader import read_yaml\n"
        "v = KIND.load({'references': 'voice.yaml'}, read_yaml(Path(sys.argv[1]) / 'replies.yaml'), ('check',))\n"
        "print(*{'torch', 'sklearn', 'sentence_transformers'} & set(sys.modules))"
    )
    folder = voice.document.path.parent

    loaded = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)

    assert loaded.stdout == "\n"


def test_the_kind_of_check_says_what_the_suite_needs():
    assert (KIND.kind, KIND.needs_expect, KIND.embeds) == ("pass/fail", True, True)
