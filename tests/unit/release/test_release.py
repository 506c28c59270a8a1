"""A release rests on everything holding; whatever does not is refused in its own words, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from tests.support.records import (
    ENGINE,
    LOCAL,
    answering,
    record,
    save,
    stamp,
    training_record,
    write_desk,
    write_policy,
)
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.cases.rewarding import RewardingCheck, rewarding_check
from tunegate.harness.checks.registry import CHECKS
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused, TunegateError
from tunegate.harness.core.files import file_digest
from tunegate.harness.core.progress import quiet
from tunegate.harness.core.typed import as_data
from tunegate.harness.gate.rule import compare
from tunegate.harness.history.baselines.lookup import baseline_references
from tunegate.harness.history.baselines.store import as_reference, baseline_path, read_baseline
from tunegate.harness.history.ledger.evaluations import case_events
from tunegate.harness.history.ledger.ledger import Event
from tunegate.harness.history.ledger.store import append, event_path, read_ledger
from tunegate.harness.models import backends
from tunegate.harness.models.adapters import CONFIG, CURVES, TRAINING, WEIGHTS, adapter_digest
from tunegate.harness.models.api import Fingerprint
from tunegate.harness.models.evaluation.engines import ask_here
from tunegate.harness.models.evaluation.record import Record, read_record
from tunegate.harness.models.replay import Replay
from tunegate.harness.release.diagnosis.diagnosis import Diagnosis, Recommendation, write_diagnosis
from tunegate.harness.release.manifest import MANIFEST, read_manifest, verify_release
from tunegate.harness.release.parity.result import Artefact
from tunegate.harness.release.release import OpenModel, Unproven, release_adapter
from tunegate.harness.release.served import keep_artefact
from tunegate.harness.release.submission import find_record
from tunegate.harness.session.models import trained_tasks

T, SLUG = "desk/triage", LOCAL["model"]
HALF, MOST = "1" * 30 + "0" * 30, "1" * 57 + "0" * 3
PRODUCT = {"product": "boiler"}
DIAGNOSIS = Diagnosis(
    "desk", LOCAL, {}, None, 40, 0, questions={},
    units={unit: Recommendation("fine-tune for quality", "Fine-tune.", 0.9, ()) for unit in (T, "desk/replies")},
)  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """A task with a baseline of half its cases passed, and adapters of a few bytes that claim to be trained for it."""

    home: Path

    @property
    def fixtures(self) -> Path:
        return self.home / "fixtures"

    def adapter(self, name: str = "adapter", weights: str = "0.1 0.2", **training: Any) -> Path:
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        (folder / WEIGHTS).write_text(weights)
        diagnosis = {
            "digest": DIAGNOSIS.digest, "remedies": {T: "fine-tune for quality"}, "against": [], "override": None,
        }  # fmt: skip
        known = training_record(diagnosis=diagnosis) | training
        config = {"r": 16, "peft_type": "LORA", "base_model_name_or_path": known["recipe"].get("model")}
        (folder / CONFIG).write_text(json.dumps(config))
        stamp(folder / TRAINING, known | {"adapter": adapter_digest(folder)} | training)
        return folder

    def record(self, adapter: Path | None, scores: dict[str, str], **more: Any) -> Record:
        digest = adapter_digest(adapter) if adapter else None
        return record(load_tasks(self.fixtures), scores, digest, **more)

    def record_baseline(self, scores: dict[str, str]) -> None:
        units = [unit for task in load_tasks(self.fixtures) for unit in task.units if unit.key in scores]
        save(self.home / "baselines", self.record(None, scores), units)

    def evaluate(self, adapter: Path, scores: dict[str, str], base: Record | None = None, **more: Any) -> Record:
        """What `pytest fixtures/ --tg-adapter --tg-against baseline` keeps; `base` answers sealed cases beside it."""
        tasks, judged = load_tasks(self.fixtures), self.record(adapter, scores, **more)
        units = [unit for task in tasks for unit in task.units if unit.key in scores]
        fingerprint = Fingerprint(judged.fingerprint["subject"], judged.fingerprint["engine"])
        references = baseline_references(self.home / "baselines", tasks, units, fingerprint, "tiny")
        references, _ = ask_here(references, {"baseline": answering(base)} if base else {}, units, quiet(), 1)
        for event in case_events("opened", fingerprint, [unit for unit in units if unit.sealed]):
            append(self.home / "baselines", event)
        gated = compare(tasks, judged, references, trained_tasks(adapter, [task.name for task in tasks]))
        return gated.write(self.home / "runs" / f"{adapter.name}.json")

    def release(self, adapter: Path, record: Record, **answers: Record) -> Any:
        """Release it; the models answer what their files say, or these records, `tuned` and `base`."""
        opened = self.opener(record, **answers)
        return release_adapter(adapter, record, self.fixtures, self.home / "baselines", quiet(), opened)

    def opener(self, record: Record, **answers: Record) -> OpenModel:
        def open_model(given: Path | None) -> Replay:
            if given:
                return answering(answers.get("tuned", record))
            return answering(answers.get("base") or self.baseline(str(record.fingerprint["subject"]["model"])))

        return open_model

    def card(self, **training: Any) -> str:
        """The card of an adapter that is released with this in its training record."""
        adapter = self.adapter(**training)
        self.release(adapter, self.evaluate(adapter, {T: MOST}))
        return (adapter / "README.md").read_text()

    def baseline(self, slug: str = SLUG) -> Record:
        """The baseline as it is, as a record."""
        root, units = self.home / "baselines", [unit for task in load_tasks(self.fixtures) for unit in task.units]
        paths = {unit.key: baseline_path(root, slug, unit.key) for unit in units}
        return as_reference([read_baseline(path, unit) for unit, path in paths.items() if path.exists()])

    def refuses(self, adapter: Path, record: Record, why: str, **answers: Record) -> None:
        """The release is refused with this message, and leaves every file as it was."""
        before = self.files()
        with pytest.raises(Refused, match=why):
            self.release(adapter, record, **answers)
        assert self.files() == before

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.home).as_posix(): path.read_bytes()
            for path in sorted(self.home.rglob("*"))
            if path.is_file() and path.suffix != ".lock"
        }


@cache
def begun() -> TemporaryDirectory[str]:
    """A desk with its baseline and its diagnosis, made once for all tests of a worker."""
    folder = TemporaryDirectory()
    desk = Desk(Path(folder.name))
    write_desk(desk.fixtures, 60)
    write_policy(desk.fixtures, triage={"role": "target"})
    desk.record_baseline({T: HALF})
    write_diagnosis(desk.home / "baselines", DIAGNOSIS)
    return folder


@cache
def begun_and_released() -> TemporaryDirectory[str]:
    """A desk whose adapter, in the folder `first`, is released."""
    folder = TemporaryDirectory()
    desk = Desk(Path(shutil.copytree(begun().name, folder.name, dirs_exist_ok=True)))
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    return folder


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Desk(Path(shutil.copytree(begun().name, tmp_path, dirs_exist_ok=True)))


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A desk whose first adapter is released."""
    monkeypatch.chdir(tmp_path)
    return Desk(Path(shutil.copytree(begun_and_released().name, tmp_path, dirs_exist_ok=True)))


@pytest.fixture
def released(served):
    """The folder of a released adapter."""
    return served.home / "first"


def test_an_adapter_is_released_when_everything_holds(desk):
    adapter = desk.adapter()
    done = desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    manifest = json.loads(done.manifest.read_text())
    assert (manifest["adapter"], manifest["task"]) == (adapter_digest(adapter), "desk")
    assert manifest["decision"]["decision"] == "release"
    assert manifest["verdicts"] == {T: "improved"}
    assert sorted(manifest["files"]) == sorted([WEIGHTS, CONFIG, TRAINING, "record.json", "README.md"])
    assert read_record(adapter / "record.json").tasks["desk"].decision == "release"


def test_an_override_of_the_diagnosis_stands_in_the_model_card(desk):
    overridden = {
        "digest": DIAGNOSIS.digest, "remedies": {T: "retrieval"}, "against": [T], "override": "To show that it fails.",
    }  # fmt: skip
    said = "The diagnosis names another remedy for desk/triage (retrieval); it was overridden: To show"
    assert said in desk.card(diagnosis=overridden)


def test_the_model_card_is_silent_about_what_was_not_done(desk):
    card = desk.card()
    assert [word for word in ("diagnosis", "continues the", "validation split", "constrained") if word in card] == []


def test_the_words_of_the_model_card_are_apart(desk):
    against = {"digest": DIAGNOSIS.digest, "remedies": {T: "retrieval", "desk/b": "prompt"}, "against": [T, "desk/b"]}
    recipe = json.loads((desk.adapter() / TRAINING).read_text())["recipe"]
    recipe["lora"] |= {"rslora": True}
    card = desk.card(recipe=recipe, diagnosis=against | {"override": "To show that it fails."})

    assert "for the task `desk` on tiny (base weights" in card
    assert "rank 16 (scaled by its root) on " in card
    assert "for desk/triage (retrieval), desk/b (prompt); it was overridden" in card


def test_the_release_is_what_the_next_tune_is_held_to(desk):
    adapter = desk.adapter()
    done = desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    released = read_baseline(baseline_path(desk.home / "baselines", SLUG, T, released=True), T)
    assert released.subject["adapter"] == adapter_digest(adapter)
    assert released.summary.mean == 0.95
    assert done.files[0].startswith("desk/triage: recorded 60 cases, mean 0.950")


def test_the_model_card_shows_the_verdicts_and_feeds_a_model_index(desk):
    adapter = desk.adapter(name="desk: first")  # YAML must not trip over it
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    _, front, body = (adapter / "README.md").read_text().split("---\n", 2)
    index = yaml.safe_load(front)["model-index"][0]
    assert index["name"] == "desk: first"
    (result,) = index["results"]
    assert result["dataset"] == {"name": T, "type": "tunegate-fixtures"}
    [metric] = result["metrics"]
    assert (metric["type"], metric["name"], metric["value"]) == ("schema", "share of cases passed", 0.95)
    assert "| desk/triage | 60 | 50.0 % | 95.0 % | +45.0 [+34.7, +56.2] | 0 | 27 | improved |\n" in body
    assert "42 rows, none of which repeats a fixture; method sft, LoRA rank 16" in body
    assert "learning rate 0.001, 1 epoch, seed 1." in body


def test_the_model_card_is_read_by_the_hub_with_its_verdicts(desk):
    adapter = desk.adapter(name="desk: first")
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    found = ModelCard.load(adapter / "README.md").data
    assert (found.model_name, found.base_model, found.library_name) == ("desk: first", "tiny", "peft")
    [result] = found.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == (T, "schema", 0.95)
    assert [round(bound, 3) for bound in result.metric_args.pop("interval")] == [0.347, 0.562]
    assert result.metric_args == {
        "verdict": "improved", "reference": "baseline", "base": 0.5, "difference": 0.45, "margin": 0.05,
    }  # fmt: skip


STEP = {"step": 10, "loss": 0.5, "score": 0.75, "kl": 0.125}


@pytest.mark.parametrize(("step", "chosen_by", "told"), [
    (STEP, "score", ["of 40 by the task's own scores); method", "a score of 0.750, a loss of 0.500, 0.125 nats"]),
    (STEP | {"score": None}, "loss", ["by its loss, since no check of the task can score it", "a loss of 0.500"]),
    (STEP | {"kl": None, "loss": None}, "score", ["reached a score of 0.750, no finite number of nats"]),
])  # fmt: skip
def test_the_model_card_tells_what_the_checkpoint_came_to(desk, step, chosen_by, told):
    training = {"best_step": 10, "steps": 40, "chosen_by": chosen_by, "validation": [step | {"step": 5}, step]}
    body = desk.card(validation={"rows": 4}, training=training)

    assert all(text in body for text in [*told, "(4 of them in the validation split, which selected step 10 of 40"])
    assert body.count("On the validation split this step reached") == 1


def test_the_model_card_tells_of_a_search_and_its_seeds(desk):
    search = {"trials": 6, "chosen": 3, "why": "trial 3 of 6 is kept", "each": []}
    body = desk.card(search=search, seeds={"tried": [0, 1], "note": "2 seeds came to scores from .6 to .7"})

    assert "A search selected it: trial 3 of 6 is kept." in body
    assert "Seeds: 2 seeds came to scores from .6 to .7." in body


def test_a_picture_of_the_training_is_released_with_it(desk):
    adapter = desk.adapter()
    (adapter / CURVES).write_text("<svg/>")
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    verify_release(adapter)

    (adapter / CURVES).write_text("<svg>another</svg>")

    with pytest.raises(Refused, match=r"found training.svg changed or missing"):
        verify_release(adapter)


def test_an_evaluation_of_another_type_is_refused_before_the_card(desk):
    with pytest.raises(TunegateError, match=r"training.json: expected a training record"):
        desk.card(validation={"rows": 4}, training={"best_step": 10, "validation": [STEP | {"kl": "none"}]})


def test_the_model_card_does_not_count_rows_that_were_dropped(desk):
    assert "39 rows, none of which repeats a fixture; method" in desk.card(grading={"rows": 42, "trained": 39})


def test_the_model_card_tells_of_rows_that_came_near_to_fixtures_and_of_private_data(desk):
    clean = {"dropped": {"refuse": 2, "review": 5, "sha256": "ab" * 32}}
    (desk.adapter() / "dropped.jsonl").write_text("{}\n")
    body = desk.card(decontamination=clean, private_data={"policy": {"override": "a made-up *key*"}, "rows": 1})

    assert (
        "42 rows, none of which repeats a fixture (7 too similar to one were dropped, see `dropped.jsonl`); method sft"
    ) in body
    assert "**Trained on secrets or personal data**, in 1 row: a made-up \\*key\\*\n" in body


def test_the_file_of_dropped_rows_is_released_with_the_adapter_and_verified(desk):
    adapter = desk.adapter()
    (adapter / "dropped.jsonl").write_text("{}\n")
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    assert any(line.startswith("dropped.jsonl: ") for line in verify_release(adapter))

    (adapter / "dropped.jsonl").unlink()

    with pytest.raises(Refused, match=r"found dropped\.jsonl changed or missing"):
        verify_release(adapter)


def test_a_file_of_dropped_rows_that_came_after_the_release_is_refused(desk):
    adapter = desk.adapter()
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}))
    (adapter / "dropped.jsonl").write_text("{}\n")

    with pytest.raises(Refused, match="its manifest differs from its files in files"):
        verify_release(adapter)


ROWS = {"file": "rows.jsonl"}


def test_the_model_card_of_a_preference_training_names_its_start(desk):
    first = {"adapter": "ab" * 32, "recipe": {"method": "sft"}, "rows": [ROWS | {"rows": 30}, ROWS | {"rows": 5}]}
    first |= {"memorization": training_record()["memorization"], "start": None}
    recipe = json.loads((desk.adapter() / TRAINING).read_text())["recipe"]
    body = desk.card(recipe={**recipe, "method": "dpo", "dpo": {"beta": 0.2}}, start=first)

    assert "method dpo (direct preference optimisation, beta 0.2), LoRA rank 16" in body
    assert "It continues the adapter `abababababab` (method sft, 35 rows)." in body


RECITED = {"rows": 90, "asked": 64, "memorized": [], "secrets": [], "tried": 0, "leaked": []}
RECITES_ONE = RECITED | {"memorized": [{"row": "rows.jsonl:3", "words": 31}]}
MODEL = {key: LOCAL[key] for key in ("base", "tokenizer", "template")} | {"name": "tiny"}


def test_the_model_card_says_what_the_adapter_recites(desk):
    body = desk.card(memorization=RECITED)

    assert "it reproduces none of 64 verbatim, of 90 that are long enough." in body


def test_the_model_card_says_why_an_adapter_that_recites_was_released(desk):
    recipe = training_record()["recipe"] | {"memorization": {"override": "The rows are public."}}
    body = desk.card(memorization=RECITES_ONE, recipe=recipe)

    assert "it **reproduces 1 of 64 verbatim**." in body
    assert "Memorization does not block this release: The rows are public." in body


def test_several_units_stand_in_one_table(desk):
    write_desk(desk.fixtures, 60, "replies")
    desk.record_baseline({"desk/replies": MOST})
    adapter = desk.adapter()
    desk.release(adapter, desk.evaluate(adapter, {T: MOST, "desk/replies": MOST}))
    lines = (adapter / "README.md").read_text().splitlines()
    start = lines.index("|---|---|---|---|---|---|---|---|")
    assert [line.split(" | ")[0] for line in lines[start + 1 : start + 3]] == ["| desk/replies", "| desk/triage"]
    assert [line for line in lines if line.startswith("- **")][1].startswith("- **desk/triage**: Improved")
    assert len(yaml.safe_load("\n".join(lines).split("---\n")[1])["model-index"][0]["results"]) == 2


def test_the_model_card_names_the_check_that_rewarded_the_adapter(desk):
    reward = RewardingCheck("desk/replies", "voice", "1" * 64)
    adapter = desk.adapter(rewards=[as_data(reward)])
    desk.release(adapter, desk.evaluate(adapter, {T: MOST}, rewards=(reward,)))

    assert (
        "**Its outputs were rewarded** by the voice check of desk/replies: what" in (adapter / "README.md").read_text()
    )


# what is refused


def test_when_the_reward_saw_the_only_gain(desk):
    [unit] = load_tasks(desk.fixtures)[0].units
    reward = rewarding_check(unit)
    adapter = desk.adapter(rewards=[as_data(reward)])
    judged = desk.evaluate(adapter, {T: MOST}, rewards=(reward,))

    why = r"desk: not released. Blocked: desk/triage \(50.0 % -> 95.0 %\) improved; but the adapter's reward saw"
    desk.refuses(adapter, judged, why)
    desk.refuses(adapter, desk.evaluate(adapter, {T: MOST}), "expected the rewards that .* was decided with, found oth")


def test_without_a_training_record(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    (adapter / TRAINING).unlink()
    desk.refuses(adapter, judged, r"expected a training record \(training\.json\), found none; tunegate train")


def test_with_a_training_record_that_is_none(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    stamp(adapter / TRAINING, {"task": "desk", "model": {}})
    desk.refuses(adapter, judged, "expected a training record, found .*'adapter' is a required property")


def test_with_a_training_record_that_the_card_cannot_tell_of(desk):
    judged = desk.evaluate(desk.adapter(), {T: MOST})
    adapter = desk.adapter(recipe={"method": "sft"})
    desk.refuses(adapter, judged, r"expected a training record, found .*'lora' is a required property")
    adapter = desk.adapter(validation={"rows": 7})
    desk.refuses(adapter, judged, "expected a training record with every value of the model card, found .*training")


@pytest.mark.parametrize(("training", "why"), [
    ({"adapter": "f" * 64}, "expected the adapter its training record describes, found"),
    ({"task": "shop"}, "shop: expected the task it was trained for among the fixtures"),
    ({"memorization": RECITES_ONE}, r"it reproduces 1 of 64 tested rows verbatim: .*rows.jsonl:3 \(31 words\)"),
    *(
        ({"model": MODEL | {part: "x"}}, f"it was trained on another {name} than the evaluated one")
        for part, name in [("base", "base weights"), ("tokenizer", "tokenizer"), ("template", "chat template")]
    ),
])  # fmt: skip
def test_with_a_training_record_of_something_else(desk, training, why):
    adapter = desk.adapter(**training)
    desk.refuses(adapter, desk.evaluate(adapter, {T: MOST}), why)


def test_on_a_partial_record(desk):
    adapter = desk.adapter()
    judged = replace(desk.evaluate(adapter, {T: MOST}), partial=True)
    desk.refuses(
        adapter, judged, r"runs/adapter\.json: expected a complete record, found a partial one; evaluate without -k"
    )


def test_on_the_record_of_another_adapter(desk):
    other = desk.evaluate(desk.adapter("other", weights="0.3"), {T: MOST})
    desk.refuses(desk.adapter(), other, r"expected the record of this adapter \(\w{8}\), found that of \w{8}")


def test_on_the_record_of_the_base(desk):
    desk.refuses(desk.adapter(), desk.record(None, {T: MOST}), "found that of a model without an adapter")


def test_without_a_task_yaml(desk):
    (desk.fixtures / "desk" / "task.yaml").unlink()
    desk.record_baseline({T: HALF})
    adapter = desk.adapter()
    desk.refuses(adapter, desk.evaluate(adapter, {T: MOST}), "desk: expected a task.yaml that names its targets")


def test_when_task_yaml_is_stricter_than_it_was(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    write_policy(desk.fixtures, triage={"role": "target", "margin": 0.04})
    desk.refuses(adapter, judged, r"desk/triage: task.yaml changed since .*adapter.json was evaluated; evaluate again")


def test_when_task_yaml_is_looser_than_the_baseline_knows(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    write_policy(desk.fixtures, triage={"role": "target", "margin": 0.09})
    with pytest.raises(Refused, match=r"desk/triage: margin 0.05 -> 0.09; if that is meant, record it again: pytest"):
        desk.evaluate(adapter, {T: MOST})
    desk.record_baseline({T: HALF})
    desk.refuses(adapter, judged, "task.yaml changed since")
    assert desk.release(adapter, desk.evaluate(adapter, {T: MOST})).record.policies[T]["margin"] == 0.09


@pytest.mark.parametrize("more", [
    {"prompt": {"system": "Else."}}, {"check": {"schema": {"type": "object"}}}, {"generate": {"max_new_tokens": 9}},
])  # fmt: skip
def test_when_the_fixtures_changed_since(desk, more):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    write_desk(desk.fixtures, 60, **more)
    desk.refuses(adapter, judged, r"desk/triage: the fixtures changed since .*runs/adapter\.json was evaluated")


def test_when_a_unit_was_added_since(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    write_desk(desk.fixtures, 10, "replies")
    desk.refuses(adapter, judged, "desk/replies: the fixtures changed since")


def test_when_a_unit_was_deleted_since_with_its_baseline_or_without(desk):
    write_desk(desk.fixtures, 60, "replies")
    desk.record_baseline({"desk/replies": HALF})
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST, "desk/replies": HALF})
    for path in (desk.fixtures / "desk/replies.yaml", baseline_path(desk.home / "baselines", SLUG, "desk/replies")):
        path.unlink()
        desk.refuses(adapter, judged, r"desk/replies is not among the fixtures \(deleted\? renamed\?\)")


def test_when_scored_again_a_score_differs(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    changed = dict(judged.cases)
    changed[f"{T}/c059"] = replace(changed[f"{T}/c059"], score=1.0, passed=True)
    desk.refuses(
        adapter, replace(judged, cases=changed), "does not match its outputs: .*c059 score stored as 1.0, now 0.0"
    )


def test_when_an_output_is_gone(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    cases = {key: result for key, result in judged.cases.items() if not key.endswith("c000")}
    desk.refuses(adapter, replace(judged, cases=cases), "desk/triage: the fixtures changed since")


def test_without_a_baseline(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    for path in (desk.home / "baselines").glob("*/desk/*.json"):
        if path.name != "diagnosis.json":  # which is asked for first
            path.unlink()
    desk.refuses(
        adapter,
        judged,
        r"expected a baseline at .*, found none; record it: pytest .*fixtures/ --tg-record --tg-model=tiny",
    )


def test_when_the_decision_blocks(desk):
    adapter = desk.adapter()
    desk.refuses(adapter, desk.evaluate(adapter, {T: HALF}), "desk: not released. Blocked: no gain on desk/triage")


def test_when_another_task_blocks(desk):
    write_desk(desk.fixtures, 60, task="shop")
    write_policy(desk.fixtures, "shop", triage={"role": "target"})
    desk.record_baseline({"shop/triage": MOST})
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST, "shop/triage": HALF})
    desk.refuses(adapter, judged, "shop: not released. Blocked: shop/triage regressed")


def test_when_the_baseline_changed_since_and_with_it_the_verdicts(desk):
    write_desk(desk.fixtures, 60, "replies")
    write_policy(desk.fixtures, triage={"role": "target"}, replies={})
    desk.record_baseline({"desk/replies": HALF})
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST, "desk/replies": MOST})
    desk.record_baseline({"desk/replies": "0" * 60})  # held before, and now it cannot fall
    desk.refuses(
        adapter, judged, r"the verdicts of desk/replies are not those of .*: a baseline or a task\.yaml changed"
    )


def test_when_a_sealed_unit_was_not_judged(desk):
    write_desk(desk.fixtures, 20, "final", sealed=True)
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    assert judged.tasks["desk"].decision == "release"
    desk.refuses(
        adapter, judged, r"desk/final: sealed units must be evaluated for a release; run again with --tg-sealed"
    )


def test_a_sealed_unit_has_to_be_held(desk):
    write_desk(desk.fixtures, 20, "final", sealed=True)
    adapter, sealed = desk.adapter(), {"desk/final": "1" * 10 + "0" * 10}
    base = desk.record(None, {T: HALF} | sealed)
    judged = desk.evaluate(adapter, {T: MOST} | sealed, base, sealed=True)
    desk.refuses(adapter, judged, "desk: not released. Blocked: desk/final inconclusive", base=base)

    write_policy(desk.fixtures, triage={"role": "target"}, final={"margin": 0.3})
    desk.record_baseline({T: HALF})
    judged = desk.evaluate(adapter, {T: MOST} | sealed, base, sealed=True)
    done = desk.release(adapter, judged, base=base)
    assert done.manifest.exists()
    assert "sealed: desk/final; evaluated beside the adapter: the baseline" in done.notes


@pytest.mark.parametrize(("others", "said"), [
    (0, "evaluation 1 of its sealed cases, by the ledger of this clone. 2 more evaluations of "),
    (1, "evaluation 2 of its sealed cases, by the ledger of this clone. 1 more evaluation of them is "),
    (2, "evaluation 3 of its sealed cases, by the ledger of this clone. They are used up: write "),
])  # fmt: skip
def test_the_card_says_at_which_evaluation_sealed_cases_were_and_what_more_are_worth(desk, others, said):
    write_desk(desk.fixtures, 60, "final", lambda index: {"input": f"late message {index}"}, sealed=True)
    write_policy(desk.fixtures, triage={"role": "target"}, final={"margin": 0.15})
    desk.record_baseline({T: HALF})
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units if unit.sealed]
    for letter in "12"[:others]:
        for event in case_events("opened", Fingerprint(LOCAL | {"adapter": letter * 64}, {}), units):
            append(desk.home / "baselines", event)
    adapter, sealed = desk.adapter(), {"desk/final": "1" * 30 + "0" * 30}
    base = desk.record(None, {T: HALF} | sealed)
    judged = desk.evaluate(adapter, {T: MOST} | sealed, base, sealed=True)

    assert said in desk.release(adapter, judged, base=base).card.read_text()


def test_the_card_says_at_which_run_an_open_guard_was_held(desk):
    write_desk(desk.fixtures, 60, "replies", lambda index: {"input": f"reply {index}"})
    write_policy(desk.fixtures, triage={"role": "target"}, replies={"margin": 0.15})
    same = {"desk/replies": "1" * 50 + "0" * 10}
    desk.record_baseline({T: HALF} | same)
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units if unit.name == "replies"]
    for letter in "1234":
        for event in case_events("run", Fingerprint(LOCAL | {"adapter": letter * 64}, {}), units):
            append(desk.home / "baselines", event)
    adapter = desk.adapter()
    card = desk.release(adapter, desk.evaluate(adapter, {T: MOST} | same)).card.read_text()

    worth = "of 5 candidates that each lose as much as the margin, one or more gets held 18 % of the time"
    assert f"Held at a late run of its cases: desk/replies at the 5th; {worth}" in card


def test_a_release_tells_that_it_opens_sealed_cases_of_a_run_that_was_told_elsewhere(desk):
    write_desk(desk.fixtures, 20, "final", sealed=True)
    adapter, sealed = desk.adapter(), {"desk/final": "1" * 10 + "0" * 10}
    base = desk.record(None, {T: HALF} | sealed)
    judged = desk.evaluate(adapter, {T: MOST} | sealed, base, sealed=True)
    [event] = read_ledger(desk.home / "baselines").of("desk", "opened")
    event_path(desk.home / "baselines", event.digest).unlink()
    with pytest.raises(Refused, match="desk/final inconclusive"):
        desk.release(adapter, judged, base=base)
    [told] = read_ledger(desk.home / "baselines").of("desk", "opened")
    assert (told.look(T), told.cases) == (event.look(T), event.cases)


def test_what_the_base_answers_to_sealed_cases_is_asked_at_the_release(desk):
    """No file says it: who records that the base failed them is not asked."""
    write_desk(desk.fixtures, 40, "final", sealed=True)
    write_policy(desk.fixtures, triage={"role": "target"}, final={"margin": 0.3})
    adapter, sealed = desk.adapter(), {"desk/final": "1" * 15 + "0" * 25}
    claimed, true = (desk.record(None, {T: HALF, "desk/final": each}) for each in ("0" * 40, "1" * 40))
    desk.record_baseline({T: HALF})
    judged = desk.evaluate(adapter, {T: MOST} | sealed, claimed, sealed=True)
    units = [unit for task in load_tasks(desk.fixtures) for unit in task.units if unit.sealed]
    save(desk.home / "baselines", claimed, units)
    assert desk.release(adapter, judged, base=claimed).manifest.exists()
    desk.refuses(adapter, judged, "desk: not released. Blocked: desk/final regressed", base=true)


def test_a_record_of_outputs_made_elsewhere(desk):
    adapter = desk.adapter()
    subject = {"model": "replay:o.jsonl", "file": "f" * 64, "rung": "as-is", "adapter": adapter_digest(adapter)}
    judged = desk.record(adapter, {T: MOST}, fingerprint={"subject": subject, "engine": {"backend": "replay"}})
    desk.refuses(adapter, judged, "its outputs were supplied, not generated: they can be gated, but not released")


def test_a_record_of_scores_of_another_tool(desk):
    adapter = desk.adapter()
    subject = {"model": "gpt", "adapter": adapter_digest(adapter)}
    engine = {"backend": "supplied scores"}
    scored = desk.record(adapter, {T: MOST}, fingerprint={"subject": subject, "engine": engine})
    desk.refuses(
        adapter, scored, "its scores were supplied by another tool: they are not re-scored, and never released"
    )


def test_a_record_of_a_comparison(desk):
    adapter = desk.adapter()
    compared = desk.record(adapter, {T: MOST}, compared_as="terse")
    desk.refuses(adapter, compared, "a record of tunegate compare is for information only, and never released")


# the second release


def test_a_second_tune_that_lost_what_the_first_won(desk):
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    second = desk.adapter("second", weights="0.7")
    judged = desk.evaluate(second, {T: "1" * 45 + "0" * 15})
    assert judged.verdicts[T].reference == "last release"
    desk.refuses(second, judged, "desk: not released. Blocked: desk/triage regressed")


def test_a_second_tune_that_holds_takes_its_place(desk):
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    second = desk.adapter("second", weights="0.7")
    done = desk.release(second, desk.evaluate(second, {T: MOST}))
    assert done.files[0].startswith("desk/triage: updated: another adapter")
    released = read_baseline(baseline_path(desk.home / "baselines", SLUG, T, released=True), T)
    assert released.subject["adapter"] == adapter_digest(second)


def test_a_release_can_be_made_again_and_changes_nothing(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    desk.release(adapter, judged)
    before = desk.files()
    desk.release(adapter, judged)
    assert desk.files() == before


def test_a_last_release_of_other_questions(desk):
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    write_desk(desk.fixtures, 60, check={"schema": {"minProperties": 1}})
    desk.record_baseline({T: HALF})
    second = desk.adapter("second", weights="0.7")
    judged = desk.record(second, {T: MOST})
    desk.refuses(second, judged, r"the last release \(.*\) was evaluated with other checks, other references; renew")


# which run it rests on


def test_the_newest_complete_run_of_the_adapter_is_found(desk):
    adapter, other = desk.adapter(), desk.adapter("other", weights="0.3")
    runs, judged = desk.home / "all", desk.evaluate(adapter, {T: MOST})
    judged.write(runs / "1.json")
    newest = judged.write(runs / "2.json")
    replace(judged, partial=True).write(runs / "3.json")
    desk.evaluate(other, {T: MOST}).write(runs / "4.json")
    replace(judged, verdicts={}, tasks={}).write(runs / "5.json")
    against_a_record = {T: replace(judged.verdicts[T], reference="record")}
    replace(judged, verdicts=against_a_record).write(runs / "6.json")
    (runs / "7.json").write_text('{"schema_version": 0}')
    assert find_record(runs, adapter_digest(adapter)).path == newest.path


def test_no_run_of_the_adapter_says_how_to_make_one(desk):
    with pytest.raises(
        Refused, match=r"expected a complete run of this adapter .*--tg-adapter=DIR --tg-against baseline"
    ):
        find_record(desk.home / "runs", adapter_digest(desk.adapter()))


# verify


def test_a_released_adapter_verifies_wherever_it_is_moved(released, tmp_path):
    moved = tmp_path / "elsewhere"
    released.rename(moved)
    assert verify_release(moved)[-1] == f"adapter {adapter_digest(moved)[:12]} on tiny: released for desk"


def test_any_file_that_changed_or_is_gone_is_named(released):
    for name in (WEIGHTS, CONFIG, TRAINING, "record.json", "README.md"):
        whole = (released / name).read_text()
        for found in (whole + " ", None):
            (released / name).write_text(found) if found else (released / name).unlink()
            with pytest.raises(Refused, match=f"the files as released, found {name} changed or missing"):
                verify_release(released)
        (released / name).write_text(whole)
    assert verify_release(released)


def test_an_unreleased_adapter_is_refused(desk):
    with pytest.raises(Refused, match=r"release\.json: expected a release manifest, found none") as error:
        verify_release(desk.adapter())
    assert error.value.exit_code == 4


@pytest.mark.parametrize(("change", "told"), [
    ({"files": []}, "found a damaged file"),
    ({"files": {}}, "found README.md, adapter_config.json, adapter_model.safetensors, record.json"),
    ({"adapter": 7}, "found a damaged file .*7 is not of type"),
    ({"adapter": "f" * 64}, "the adapter does not match its manifest"),
    ({"task": "shop"}, "its record does not say release for shop"),
    ({"verdicts": {T: "held"}}, "its manifest differs from its files in verdicts"),
    ({"model": {"base": "held"}}, "its manifest differs from its files in model"),
])  # fmt: skip
def test_a_manifest_of_something_else_is_refused(released, change, told):
    path = released / MANIFEST
    manifest = json.loads(path.read_text())
    changed = {key: manifest[key] | value if key in {"verdicts", "model"} else value for key, value in change.items()}
    stamp(path, manifest | changed)
    with pytest.raises(Refused, match=told):
        verify_release(released)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_manifest_is_refused(released, text):
    (released / MANIFEST).write_text(text)
    with pytest.raises(Refused, match="found a damaged file"):
        verify_release(released)


def test_a_manifest_that_was_edited_is_refused(released):
    manifest = json.loads((released / MANIFEST).read_text())
    for edit in (
        {"verdicts": {T: "held"}},
        {"decision": manifest["decision"] | {"reason": "Because."}},
        {"model": manifest["model"] | {"base": "0" * 64}},
    ):
        (released / MANIFEST).write_text(json.dumps(manifest | edit))
        with pytest.raises(Refused, match="expected the release manifest unedited, found it edited"):
            verify_release(released)


def test_another_adapters_weights_under_a_fresh_manifest_are_refused(released, served):
    other = served.adapter("other", weights="0.3")
    shutil.copy(other / WEIGHTS, released / WEIGHTS)
    manifest = json.loads((released / MANIFEST).read_text())
    manifest["files"][WEIGHTS] = file_digest(released / WEIGHTS)
    stamp(released / MANIFEST, manifest)
    with pytest.raises(Refused, match="the adapter does not match its manifest"):
        verify_release(released)


@pytest.fixture
def commands(desk, monkeypatch):
    """A function that releases and verifies an adapter by the commands, with this option."""
    monkeypatch.chdir(desk.home)
    record = desk.evaluate(desk.adapter(), {T: MOST})
    monkeypatch.setattr(backends, "opener", lambda *_: desk.opener(record))

    def run(option: str) -> list[str]:
        calls = ["release", "adapter", "--run", "runs/adapter.json"], ["verify", "adapter"]
        done = [CliRunner().invoke(app, [*call, option]) for call in calls]
        assert [each.exit_code for each in done] == [0, 0], [each.stderr for each in done]
        return [each.stdout for each in done]

    return run


def test_the_commands_print_json(desk, commands):
    released, verified = map(json.loads, commands("--json"))

    assert (released["manifest"], released["card"]) == ("adapter/release.json", "adapter/README.md")
    assert [line.partition(":")[0] for line in released["baselines"]] == [T]
    assert verified == json.loads((desk.home / "adapter/release.json").read_text())


def test_the_commands_are_quiet(commands):
    assert commands("--quiet") == [
        "model card: adapter/README.md\nrelease manifest: adapter/release.json\nadapter: released\n", "",
    ]  # fmt: skip


# both sides are scored again


@pytest.mark.parametrize("released", [False, True])
def test_a_forged_score_of_a_reference_is_refused_whatever_its_digest(desk, released):
    if released:
        first = desk.adapter("first")
        desk.release(first, desk.evaluate(first, {T: MOST}))
    adapter = desk.adapter("second", weights="0.7")
    judged = desk.evaluate(adapter, {T: MOST})
    path = baseline_path(desk.home / "baselines", SLUG, T, released)
    data = json.loads(path.read_text())
    data["cases"]["c000"] |= {"score": 0.0, "passed": False}
    stamp(path, data)
    told = json.loads(path.read_text())
    append(desk.home / "baselines", Event("released" if released else "recorded", "desk", told["subject"],
                                          files={T: told["digest"]}))  # fmt: skip
    name = "last release" if released else "baseline"
    desk.refuses(adapter, judged, f"{T}: the {name} .*c000 score stored as 0.0, now 1.0")


def test_a_policy_that_is_looser_than_at_the_last_release_is_refused(desk):
    first = desk.adapter("first")
    desk.release(first, desk.evaluate(first, {T: MOST}))
    write_policy(desk.fixtures, triage={"role": "target", "margin": 0.5})
    desk.record_baseline({T: HALF})
    adapter = desk.adapter("second", weights="0.7")
    with pytest.raises(Refused, match=r"looser than at the last release:\n  desk/triage: margin 0\.05 -> 0\.5"):
        desk.evaluate(adapter, {T: MOST})


def test_a_raised_version_of_a_check_costs_neither_the_baseline_nor_the_run(desk, monkeypatch):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    old = CHECKS["schema"].version
    monkeypatch.setitem(CHECKS, "schema", replace(CHECKS["schema"], version=old + 1))
    done = desk.release(adapter, judged)
    assert done.record.rescored.keys() == {"run", "baseline"}
    assert any(
        f"the baseline were scored again (check version {old} -> {old + 1}): 0 of 60" in line for line in done.notes
    )


# both sides are asked again


def test_outputs_that_the_adapter_does_not_give_are_found(desk):
    adapter = desk.adapter()
    honest = desk.record(adapter, {T: "1" * 10 + "0" * 50})
    forged = desk.evaluate(adapter, {T: MOST})
    before = desk.files()
    with pytest.raises(
        Refused,
        match=r"re-run with caching disabled, the adapter: \d+ of \d+ cases have another outcome than in its rec",
    ):
        desk.release(adapter, forged, tuned=honest)
    assert desk.files() == before


def test_a_baseline_that_the_base_does_not_give_is_found(desk):
    honest = desk.record(None, {T: MOST})
    adapter = desk.adapter()
    with pytest.raises(
        Refused, match=r"re-run with caching disabled, the baseline: \d+ of \d+ cases have another outcome"
    ):
        desk.release(adapter, desk.evaluate(adapter, {T: MOST}), base=honest)


def test_one_forged_critical_case_is_found_every_time(tmp_path):
    desk = Desk(tmp_path)
    write_desk(desk.fixtures, 60, case_keys=lambda index: {"critical": True} if index == 7 else {})
    write_policy(desk.fixtures, triage={"role": "target"})
    desk.record_baseline({T: HALF})
    write_diagnosis(tmp_path / "baselines", DIAGNOSIS)
    adapter = desk.adapter()
    forged, honest = desk.evaluate(adapter, {T: MOST}), desk.record(adapter, {T: MOST[:7] + "0" + MOST[8:]})
    for _ in range(5):
        with pytest.raises(Refused, match="desk/triage/c007"):
            desk.release(adapter, forged, tuned=honest)


def test_other_texts_of_the_same_outcome_are_no_difference(desk):
    adapter = desk.adapter()
    record = desk.evaluate(adapter, {T: MOST})
    other = {key: replace(each, output=f" {each.output}") for key, each in record.cases.items()}
    done = desk.release(adapter, record, tuned=replace(record, cases=other))
    assert done.notes[-1].endswith("cases of base and adapter; other outcomes: none")


def test_another_model_or_engine_is_not_asked(desk):
    for part, key, value, says in [
        ("subject", "base", "e" * 64, "expected the model of the evaluation, found another base"),
        ("subject", "adapter", "e" * 64, "expected the model of the evaluation, found another adapter"),
        ("engine", "dtype", "bfloat16", "expected the engine of the evaluation, found another dtype"),
    ]:
        adapter = desk.adapter()
        record = desk.evaluate(adapter, {T: MOST})
        fingerprint = {**record.fingerprint, part: {**record.fingerprint[part], key: value}}
        with pytest.raises(Refused, match=says):
            desk.release(adapter, record, tuned=replace(record, fingerprint=fingerprint))


class ConstrainedDesk(Desk):
    """Base and adapter are asked under constrained decoding."""

    def record(self, adapter: Path | None, scores: dict[str, str], **more: Any) -> Record:
        made = super().record(adapter, scores, **more)
        subject, engine = made.fingerprint["subject"], made.fingerprint["engine"]
        held = {"subject": {**subject, "rung": "constrained"}, "engine": {**engine, "constraint": "llguidance 1.9"}}
        return replace(made, fingerprint={**made.fingerprint, **held})


def test_a_release_under_constrained_decoding_says_so(tmp_path):
    desk = ConstrainedDesk(tmp_path)
    write_desk(desk.fixtures, 60)
    write_policy(desk.fixtures, triage={"role": "target"})
    desk.record_baseline({T: HALF})
    write_diagnosis(tmp_path / "baselines", DIAGNOSIS)
    adapter = desk.adapter()
    done = desk.release(adapter, desk.evaluate(adapter, {T: MOST}))

    assert "**Evaluated with constrained decoding** (prompting strategy `constrained`)" in done.card.read_text()
    assert json.loads(done.manifest.read_text())["rung"] == "constrained"
    assert "evaluated on backend transformers, dtype float32, device cpu, constraint llguidance 1.9" in (
        verify_release(adapter)
    )


def test_it_is_not_held_against_a_baseline_that_was_not_constrained(desk):
    constrained, adapter = ConstrainedDesk(desk.home), desk.adapter()
    with pytest.raises(Refused, match="was recorded with another rung"):
        constrained.evaluate(adapter, {T: MOST})


def test_a_record_of_another_rung_is_not_released(desk):
    adapter = desk.adapter()
    record = desk.evaluate(adapter, {T: MOST})
    steps = {**record.fingerprint, "subject": {**record.fingerprint["subject"], "rung": "steps"}}
    desk.refuses(
        adapter, replace(record, fingerprint=steps),
        "expected the prompting strategy of the training, with which the adapter is served, found steps; evaluate "
        "without --tg-rung, or with --tg-rung=constrained",
    )  # fmt: skip


def test_a_folder_that_holds_more_is_not_released(desk):
    adapter = desk.adapter()
    record = desk.evaluate(adapter, {T: MOST})
    for name in ("tokenizer.json", "modeling.py", "adapter_model.bin", ".hidden", "checkpoint-3"):
        more = adapter / name
        more.mkdir() if "-" in name else more.write_text("more")
        desk.refuses(adapter, record, f"expected only files that tunegate wrote, found {name} too")
        more.rmdir() if "-" in name else more.unlink()


def test_a_file_that_came_after_the_release_is_found(released):
    (released / "adapter_model.bin").write_text("another")
    with pytest.raises(Refused, match=r"found adapter_model\.bin too, which the manifest does not list"):
        verify_release(released)


def changing(desk: Desk, record: Record, change: Callable[[], object]) -> OpenModel:
    """Models that somebody changes something beside while they are asked."""
    opened = desk.opener(record)

    def open_model(given: Path | None) -> Replay:
        if not given:
            change()
        return opened(given)

    return open_model


@pytest.mark.parametrize("what", ["weights", "a file", "a policy", "a case"])
def test_what_changes_while_it_is_asked_is_not_released(desk, what):
    adapter = desk.adapter()
    record = desk.evaluate(adapter, {T: MOST})
    change = {
        "weights": lambda: (adapter / WEIGHTS).write_text("0.3"),
        "a file": lambda: (adapter / "more.bin").write_text("more"),
        "a policy": lambda: write_policy(desk.fixtures, triage={"role": "target", "margin": 0.2}),
        "a case": lambda: write_desk(desk.fixtures, 59),
    }[what]
    with pytest.raises(Refused, match="nothing was released"):
        release_adapter(
            adapter, record, desk.fixtures, desk.home / "baselines", quiet(), changing(desk, record, change)
        )
    assert not (adapter / MANIFEST).exists()


def test_a_journal_by_hand_releases_nothing(desk):
    """Another tool wrote what a release would have left: it is taken back, and all is judged."""
    adapter = desk.adapter()
    honest, forged = desk.record(adapter, {T: HALF}), desk.evaluate(adapter, {T: MOST})
    files = [["folder", MANIFEST, "{}"], ["folder", "README.md", "# released"]]
    found = {"command": f"tunegate release {adapter}", "folder": str(adapter), "files": files}
    stamp(desk.home / "baselines" / ".unfinished.json", found)
    with pytest.raises(Refused, match="re-run with caching disabled, the adapter"):
        desk.release(adapter, forged, tuned=honest)
    with pytest.raises(Refused):
        verify_release(adapter)


def test_a_journal_that_leads_elsewhere_is_refused(desk):
    adapter = desk.adapter()
    record = desk.evaluate(adapter, {T: MOST})
    for file in (["folder", WEIGHTS, "x"], ["baselines", "../x", "x"], ["home", "x", "x"], 7):
        journal = {"command": "", "folder": str(adapter), "files": [file]}
        stamp(desk.home / "baselines" / ".unfinished.json", journal)
        desk.refuses(adapter, record, r"expected what a command left unfinished, found .*; delete it")


@pytest.mark.parametrize("way", ["a folder without an adapter", "a link out of the baselines", "a number for a text"])
def test_a_journal_writes_nowhere_else(desk, way):
    adapter, elsewhere = desk.adapter(), desk.home / "elsewhere"
    record = desk.evaluate(adapter, {T: MOST})
    elsewhere.mkdir()
    (elsewhere / "README.md").write_text("mine")
    (desk.home / "baselines" / "out").symlink_to(elsewhere)
    folder, file = {
        "a folder without an adapter": (elsewhere, ["folder", "README.md", None]),
        "a link out of the baselines": (adapter, ["baselines", "out/README.md", "theirs"]),
        "a number for a text": (adapter, ["folder", "README.md", 7]),
    }[way]
    journal = {"command": "", "folder": str(folder), "files": [file]}
    stamp(desk.home / "baselines" / ".unfinished.json", journal)
    with pytest.raises(
        Refused, match="expected what a command left unfinished, found another file, or files elsewhere"
    ):
        desk.release(adapter, record)
    assert (elsewhere / "README.md").read_text() == "mine"


# what other adapters were asked


def asked(desk, letter, adapter=None):
    """Another adapter was asked all cases, or this one was."""
    subject = LOCAL | {"adapter": adapter_digest(adapter) if adapter else letter * 64}
    for event in case_events("run", Fingerprint(subject, ENGINE), load_tasks(desk.fixtures)[0].units):
        append(desk.home / "baselines", event)


def test_a_gain_on_cases_that_another_adapter_was_asked_before_is_unproven(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    asked(desk, "9")
    before = desk.files()
    with pytest.raises(Unproven, match=r"desk: not released\. Unproven: .* but reused cases prove no gain") as error:
        desk.release(adapter, replace(judged, sealed_evaluations={}))  # whatever its record says
    assert (error.value.exit_code, desk.files()) == (1, before)


def test_whoever_was_asked_first_may_be_released_later(desk):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    asked(desk, "", adapter)
    asked(desk, "9")
    assert desk.release(adapter, judged).manifest.is_file()


# the base that an adapter names


@pytest.mark.parametrize(("key", "found", "said"), [
    ("base_model_name_or_path", "elsewhere/tiny", r'expected "tiny", as the training wrote it, found "elsewhere/t'),
    ("revision", "abc", 'revision: expected null, as the training wrote it, found "abc"'),
    ("auto_mapping", {"parent_library": "os"}, "auto_mapping: expected null"),
])  # fmt: skip
def test_when_its_configuration_sends_who_loads_it_elsewhere(desk, key, found, said):
    adapter = desk.adapter()
    judged = desk.evaluate(adapter, {T: MOST})
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps(config | {key: found}))
    desk.refuses(adapter, judged, said)


def test_when_it_names_a_base_that_is_not_found_here(desk):
    adapter = desk.adapter(recipe=training_record()["recipe"] | {"model": "./elsewhere"})
    judged = desk.evaluate(adapter, {T: MOST})
    desk.refuses(
        adapter, judged, r"it names \./elsewhere as its base, .* name the base as the adapter does: --model=\./elsewhe"
    )


SERVED = Artefact(
    "models/desk [a]", "folder", "e" * 64, True, "2026-11-27", ("prompts: the same token ids in 60 of 60",), {T: "held"}
)


def keep(desk: Desk, adapter: Path, record: Record, *artefacts: Artefact) -> None:
    with chdir(desk.home):
        for each in artefacts:
            keep_artefact(adapter, record, each, desk.home / "baselines")


def test_what_was_compared_before_the_release_stands_on_its_card(desk):
    adapter = desk.adapter()
    run = desk.evaluate(adapter, {T: MOST})
    keep(desk, adapter, run, SERVED, replace(SERVED, name="openai:http://localhost/v1#desk", shown=False))
    desk.release(adapter, run)

    section = (adapter / "README.md").read_text().split("\n## Served\n")[1]
    assert section == (
        "\nThese match the evaluated model in prompts, outputs and verdicts:\n\n"
        "- models/desk \\[a\\] (weights eeeeeeeeeeee), 2026-11-27: prompts: the same token ids in 60 of 60\n"
    )
    assert "served as evaluated: models/desk [a] (2026-11-27)" in verify_release(adapter)


def test_what_is_compared_after_the_release_is_added_to_card_and_manifest(released, served):
    assert "No served model was shown" in (released / "README.md").read_text()
    run = read_record(released / "record.json")
    keep(served, released, run, SERVED, SERVED, replace(SERVED, name="b"))

    card = (released / "README.md").read_text()
    assert (card.count("## Served"), card.count("- models/desk"), card.count("- b (weights")) == (1, 1, 1)
    assert "parity.json" in read_manifest(released)["files"]
    assert verify_release(released)[-3] == "served as evaluated: b (2026-11-27)"


def test_an_artefact_is_known_again_from_another_folder(released, served, monkeypatch):
    run = read_record(released / "record.json")
    keep(served, released, run, SERVED)
    (served.home / "models").mkdir()
    monkeypatch.chdir(served.home / "models")
    keep_artefact(released, run, replace(SERVED, name="desk [a]", shown=False), served.home / "baselines")

    [known] = json.loads((released / "parity.json").read_text())["artefacts"]
    assert (known["name"], known["shown"]) == ("models/desk [a]", False)


@pytest.mark.parametrize("name", ["vllm:smollm2", "vllm:vendor/desk"])
def test_a_model_on_vllm_that_is_no_folder_keeps_its_name(released, served, monkeypatch, name):
    monkeypatch.chdir(served.home / "baselines")
    artefact = replace(SERVED, name=name, kind="vllm")
    keep_artefact(released, read_record(released / "record.json"), artefact, served.home / "baselines")

    [known] = json.loads((released / "parity.json").read_text())["artefacts"]
    assert known["name"] == name
    assert f"- {name} (weights" in (released / "README.md").read_text()


def test_a_folder_on_vllm_is_known_again_from_another_folder(released, served, monkeypatch):
    run, folder = read_record(released / "record.json"), served.home / "models/desk"
    folder.mkdir(parents=True)
    keep(served, released, run, replace(SERVED, name="vllm:models/desk", kind="vllm"))
    monkeypatch.chdir(folder.parent)
    keep_artefact(released, run, replace(SERVED, name="vllm:desk", kind="vllm"), served.home / "baselines")

    [known] = json.loads((released / "parity.json").read_text())["artefacts"]
    assert known["name"] == "vllm:models/desk"


def test_an_artefact_that_is_wrong_now_leaves_the_card(released, served):
    run = read_record(released / "record.json")
    keep(served, released, run, SERVED, replace(SERVED, shown=False))

    assert "models/desk" not in (released / "README.md").read_text()
    assert not any("served as" in line for line in verify_release(released))


def test_a_comparison_with_other_answers_than_the_released_ones_is_refused(released, served):
    other = served.evaluate(released, {T: "1" * 58 + "00"})
    before = served.files()
    with pytest.raises(Refused, match="expected the outputs of its release, found other ones"):
        keep(served, released, other, SERVED)
    assert {**served.files(), "runs/first.json": b""} == {**before, "runs/first.json": b""}


def test_what_was_compared_is_bound_to_the_release(released, served):
    keep(served, released, read_record(released / "record.json"), SERVED)
    path = released / "parity.json"
    for edit in (lambda: path.write_text(path.read_text().replace("2026", "2025")), path.unlink):
        edit()
        with pytest.raises(Refused, match=r"found parity\.json changed or missing"):
            verify_release(released)


def test_what_was_compared_with_another_run_is_not_released(desk):
    adapter = desk.adapter()
    keep(desk, adapter, desk.evaluate(adapter, {T: "1" * 58 + "00"}), SERVED)
    desk.refuses(adapter, desk.evaluate(adapter, {T: MOST}), "expected comparisons with the current outputs of")


def test_a_parity_that_is_put_there_afterwards_is_not_vouched_for(released, served, tmp_path):
    copy = shutil.copytree(released, tmp_path / "copy")
    keep(served, copy, read_record(copy / "record.json"), SERVED)
    shutil.copy(copy / "parity.json", released)
    with pytest.raises(Refused, match="its manifest differs from its files in files"):
        verify_release(released)
