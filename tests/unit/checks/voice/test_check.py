# ruff: noqa: E501  (a pair of texts is one line)
"""The voice check: its reference file, and the statistics of its report card."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.checks.voice.check import KIND, LEAST_PAIRS, Voice, load
from tunegate.harness.checks.voice.classifier import LEAST_AUC, ReferencePair, auc, auc_interval, fit_classifier
from tunegate.harness.core.authoring.yaml_reader import read_yaml
from tunegate.harness.core.errors import AuthoringError

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


def test_a_metric_without_subtle_pairs_is_not_accepted():
    pairs = tuple(ReferencePair(pair.on, pair.off) for pair in pairs_of(references()) if not pair.subtle)

    assert "100% of the subtle off-brand texts pass" in str(fit_classifier(pairs).card)


@given(st.integers(2, 200), st.floats(0, 1))
def test_the_interval_of_an_auc_holds_it_and_never_collapses(texts, area):
    low, high = auc_interval(area, texts, texts)

    assert 0 <= low <= area + 1e-9
    assert area - 1e-9 <= high <= 1
    assert high - low > 0.2 / texts


def test_an_auc_of_one_from_few_texts_is_not_certain():
    few, many = auc_interval(1.0, 20, 20)[0], auc_interval(1.0, 80, 80)[0]

    assert (round(few, 2), round(many, 2)) == (0.9, 0.98)


def test_the_least_number_of_pairs_can_pass_the_bound_and_one_fewer_cannot():
    assert auc_interval(1.0, LEAST_PAIRS, LEAST_PAIRS)[0] >= LEAST_AUC
    assert auc_interval(1.0, LEAST_PAIRS - 1, LEAST_PAIRS - 1)[0] < LEAST_AUC


def test_auc_counts_ties_as_half():
    import numpy as np

    assert auc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875


def test_every_mistake_of_a_reference_file_is_reported_at_once(tmp_path):
    data = references()
    data["pairs"][1]["id"] = "p0"
    data["pairs"][2]["off"] = data["pairs"][2]["on"].upper()
    data["pairs"][3]["on"] += " Thank you, valued customer."
    data["pairs"][4]["on"] = "It's a spoke."

    said = mistakes(tmp_path, data)

    assert said.startswith("4 mistakes to fix")
    assert "pairs[1].id: expected a unique id, found 'p0' again (first on line" in said
    assert "pairs[2].off: expected a text that occurs once in the file" in said
    assert "pairs[3].on: expected an on-brand text that passes this check, found 'valued" in said
    assert "pairs[4].on: expected an on-brand text that passes this check, found 3 words" in said


def test_shape_mistakes_come_with_their_place(tmp_path):
    data = references(bran="x")
    data["pairs"][0]["on"] = " "
    data["rules"] = [{"id": "r", "never": [], "say": "x"}]

    said = mistakes(tmp_path, data)

    assert (
        "bran: expected one of the keys brand, language, pairs, rules, version, found 'bran'; did you mean 'brand'?"
        in said
    )
    assert "pairs[0].on: expected text that is not empty, found ' '" in said
    assert "rules[0].never" in said


def test_few_pairs_and_few_subtle_pairs_are_mistakes(tmp_path):
    plain = [pair for pair in references()["pairs"] if not pair["subtle"]]

    assert "at least 21 pairs, found 20; 60 to 80" in mistakes(tmp_path, references(pairs=plain[:20]))
    assert "at least 4 pairs with `subtle: true`, found 0" in mistakes(tmp_path, references(pairs=plain))


def test_a_broken_house_rule_is_found_in_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    voice = written(tmp_path, references(), content=False)
    lines = ["", *(tmp_path / "voice.yaml").read_text().splitlines()]

    findings = voice("Dear valued customer, we are sorry for the delay.", None, "").findings

    [place, line] = next(each.source for each in findings if each.rule == "house rule").split(":")
    assert (place, lines[int(line)]) == ("voice.yaml", "- id: no-office-speak")
    assert {each.source for each in findings if each.rule != "house rule"} <= {""}


def test_a_missing_reference_file_is_named_where_it_is_asked_for(tmp_path):
    path = tmp_path / "replies.yaml"
    path.write_text("check: {references: vioce.yaml}\n", encoding="utf-8")

    with pytest.raises(
        AuthoringError, match=r"replies\.yaml:1: check\.references: expected a file, found nothing at .*vioce"
    ):
        load({"references": "vioce.yaml"}, read_yaml(path), ("check",))


def test_the_row_of_the_table_says_what_the_suite_needs():
    assert (KIND.kind, KIND.needs_expect, KIND.embeds) == ("pass/fail", True, True)
