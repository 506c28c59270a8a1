"""Trainings on rows in forms of other tools, on the tiny model: what is said, what is recorded, what is refused."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.training import PRODUCTS, Place, refuses

ROWS = [(f"Ticket {number}, please help.", json.dumps({"product": PRODUCTS[number % 2]})) for number in range(12)]


@pytest.fixture
def place(recorded, tmp_path, monkeypatch) -> Place:
    """A place of the test's own with a baseline, as working directory."""
    monkeypatch.chdir(tmp_path)
    return recorded.copy_to(tmp_path)


def write(place: Place, lines: list[dict[str, object]], **recipe: object) -> None:
    (place.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    optim = {"lr": 5e-3, "epochs": 1, "batch": 4, "validation_split": 0.2}
    place.recipe(**{"optim": optim, "diagnosis": {"override": "a test"}, **recipe})


def files(place: Place) -> list[dict[str, object]]:
    return json.loads(place.read("adapter/training.json"))["rows"]


def test_liked_and_disliked_outputs_train_by_kto(place):
    rows = [
        {"prompt": asked, "completion": output if number % 2 else "A tap.", "label": bool(number % 2), "id": number}
        for number, (asked, output) in enumerate(ROWS)
    ]
    write(place, rows, method="kto")

    done = place.train()

    assert done.exit_code == 0, done.output
    assert "rows.jsonl: form kto, 12 rows; columns not used: id\n" in done.output
    assert "triage: 12 rows, all pass the check" in done.output
    [file] = files(place)
    assert (file["form"], file["rows"], file["unused"]) == ("kto", 12, {"id": 12})


def test_a_label_is_refused_by_every_other_method_and_one_kind_of_it_by_kto(place):
    good, bad = ({"prompt": "It drips.", "completion": text, "label": label} for text, label in (("{}", 1), ("-", 0)))
    for row in (good, bad):
        row["label"] = bool(row["label"])
    write(place, [good, bad])
    refuses(place, "rows.jsonl:2: label: expected true, since method sft learns each output, found false; train with "
                   "method kto, or delete the row")  # fmt: skip
    write(place, [good], method="kto")
    refuses(place, "rows.jsonl:1: expected a `rejected` output, or a `label: false`, in at least one row")
    write(place, [bad], method="kto")
    refuses(place, "rows.jsonl:1: label: expected true in at least one row, found false in all")


def test_kto_needs_a_liked_and_a_worse_output_among_the_rows_that_are_left(place):
    liked, worse = ([{"prompt": asked, "completion": output, "label": label} for asked, output in ROWS]
                    for label in (True, False))  # fmt: skip
    copy = {"prompt": "message a", "completion": ROWS[0][1]}
    optim, none = {"lr": 5e-3, "epochs": 1, "batch": 4}, "in at least one row to train on, found none: "
    worse_one = "recipe.yaml: method kto: expected a worse output (`rejected`, or `label: false`) "
    write(place, [*liked, copy | {"label": False}], method="kto", optim=optim)
    refuses(place, f"{worse_one}{none}1 dropped (rows.jsonl:13), 0 set aside for validation")
    write(place, [*worse, copy | {"label": True}], method="kto", optim=optim)
    refuses(place, f"recipe.yaml: method kto: expected a liked output {none}1 dropped (rows.jsonl:13), 0 set aside")
    failing = [row | {"completion": "A tap."} for row in liked[:2]]
    write(place, [*failing, *worse[2:]], method="kto", optim=optim, failing_rows="drop")
    refuses(place, f"expected a liked output {none}2 dropped (rows.jsonl:1, rows.jsonl:2), 0 set aside")
    for seed in range(10):  # until the only one is set aside
        write(place, [*liked[1:], worse[0]], method="kto", seed=seed)
        done = place.train("--dry-run")
        if done.exit_code:
            assert f"{worse_one}{none}0 dropped, 1 set aside for validation (rows.jsonl:12)" in done.output
            return
    raise AssertionError("it is never set aside")


def test_a_chat_with_weights_trains_as_the_rows_that_it_stands_for(place):
    chats, rows = [], []
    for number, (asked, output) in enumerate(ROWS):
        talk = [("user", f"Hello {number}"), ("assistant", "Hm."), ("user", asked), ("assistant", output)]
        turns = [{"role": role, "content": text} for role, text in talk]
        rows.append({"messages": turns})
        chats.append({"messages": [turns[0], {**turns[1], "weight": 0}, *turns[2:]]})
    write(place, chats)
    done = place.train()
    assert done.exit_code == 0, done.output
    assert "rows.jsonl: form chat, 12 rows\n" in done.output

    weights = (place.path / "adapter" / "adapter_model.safetensors").read_bytes()
    write(place, rows)
    done = place.train()
    assert "rows.jsonl: 12 earlier assistant turns are sent, not trained on (`format: chat` trains" in done.output
    assert (place.path / "adapter" / "adapter_model.safetensors").read_bytes() == weights

    write(place, rows, format="chat")
    done = place.train("--dry-run")
    assert "rows.jsonl: form chat, 24 rows\n" in done.output


class Hub:
    """In place of `datasets`' way to the Hub, which is not reached from here."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def load(self, name, **options):
        self.asked.append((name, options))
        if self.rows is None:
            raise ConnectionError("no route")
        return self.rows


REVISION = "3f2a1c" + 34 * "0"


@pytest.fixture
def hub(monkeypatch):
    """The Hub, with a data set of pairs."""
    import datasets

    found = Hub(datasets.Dataset.from_list(
        [{"prompt": asked, "chosen": output, "rejected": "A tap.", "note": None} for asked, output in ROWS]
    ))  # fmt: skip
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", found.load)
    return found


def test_a_data_set_of_the_hub_is_read_at_its_revision(place, hub):
    name = f"hub:desk/pairs@{REVISION}"
    write(place, [], rows=[name], method="dpo")

    done = place.train()

    assert done.exit_code == 0, done.output
    assert f"{name}: form preference, 12 rows\n" in done.output
    assert hub.asked == [("desk/pairs", {"revision": REVISION, "split": "train", "streaming": True})]
    assert files(place)[0]["file"] == name
    write(place, [], rows=[f"{name}#test"], method="dpo")
    place.train("--dry-run")
    assert hub.asked[-1][1]["split"] == "test"


def test_what_the_hub_does_not_deliver_is_named(place, hub):
    hub.rows = None
    write(place, [], rows=[f"hub:desk/pairs@{REVISION}"])
    done = place.train()
    assert done.exit_code == 3
    assert f"hub:desk/pairs@{REVISION}: expected a data set, the hub did not deliver it: no route" in done.output

    (place.path / "desk" / "pairs").mkdir(parents=True)
    before = place.tree()
    done = place.train()
    assert (done.exit_code, place.tree()) == (2, before)
    assert "expected no file or folder desk/pairs here, found one" in done.output
    for name in ("hub:desk/pairs", "hub:desk/pairs@main"):
        write(place, [], rows=[name])
        refuses(place, "rows[0]: expected a data set with its revision: hub:NAME@REVISION")
