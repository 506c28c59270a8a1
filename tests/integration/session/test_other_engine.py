"""An adapter on another engine than its baseline's: base and last release are asked again, and judged there."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.session.test_session import local, release, seal, told  # noqa: F401  (a fixture)
from tests.unit.session.test_session import IDS, judged, options  # noqa: F401  (a fixture)
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.progress import quiet
from tunegate.harness.history.baselines import recording
from tunegate.harness.models.adapters import adapter_digest
from tunegate.harness.models.api import Completion, Request
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.evaluation.run_facts import EngineChange
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.options.run import Options
from tunegate.harness.reporting.provenance import provenance
from tunegate.harness.session.run import Session

HALF = ModelOptions("cpu", "bfloat16")
U = "desk/triage"


@pytest.fixture
def desk(local: Options, monkeypatch: pytest.MonkeyPatch) -> Options:  # noqa: F811
    """A task recorded in float32 and judged in bfloat16, with a cache of its own."""
    monkeypatch.setenv("TUNEGATE_CACHE", str(local.root / "cache"))
    return local


def gated(desk: Options, adapter: Path, **more: Any) -> Session:
    return judged(replace(desk, adapters=(adapter,), against="baseline", opened=HALF, **more))


def released(desk: Options, adapter: Path) -> Path:
    """An adapter beside the baselines, released in float32."""
    folder = shutil.copytree(adapter, desk.root / "adapter")
    release(desk, folder)
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """What is asked of models past the cache: the precision, the adapter and the number of cases."""
    found = []
    answer = Local.complete

    def watched(self: Local, requests: Sequence[Request]) -> Iterator[Completion]:
        who = self.fingerprint
        found.append((who.engine["dtype"], (who.subject["adapter"] or "base")[:8], len(requests)))
        yield from answer(self, requests)

    monkeypatch.setattr(Local, "complete", watched)
    return found


def test_the_base_is_asked_again_on_this_engine_once(desk, make_adapter, asked):
    one, two = make_adapter("one"), make_adapter("two")
    session = gated(desk, one)
    names = [adapter_digest(each)[:8] for each in (one, two)]
    assert asked == [("bfloat16", "base", 40), ("bfloat16", names[0], 40)]
    [line] = [note for note in session.notes if "re-run on this engine" in note]
    assert line == (
        "the baseline was recorded with dtype float32 (now bfloat16): re-run on this engine, where the pair is "
        "evaluated"
    )
    gated(desk, two)
    assert asked[2:] == [("bfloat16", names[1], 40)], "the base's answers were kept"
    judged(replace(desk, adapters=(one, two), against="baseline", opened=HALF, fresh=True))
    assert [who for _, who, _ in asked[3:]] == ["base", *names]


def test_the_record_says_what_was_asked_again_and_what_the_engine_alone_changed(desk, tiny_adapter):
    record = read_record(gated(desk, tiny_adapter).records[0].path)
    base = judged(replace(desk, opened=HALF)).records[0]

    [(name, found)] = record.engines.items()
    assert (name, found.engine["dtype"], record.fingerprint["engine"]["dtype"]) == (
        "baseline", "float32", "bfloat16"
    )  # fmt: skip
    plain = judged(desk).records[0]
    others = sum(plain.of_unit(U)[case].output != base.of_unit(U)[case].output for case in IDS)
    assert found.units[U] == EngineChange(20, others, (), ())
    assert record.verdicts[U].reason.endswith(
        "The baseline, recorded on another engine, was re-run on this one; the new engine changed none of 20 cases; "
        f"{others} outputs differ."
    )
    assert provenance(record)["baseline, re-run"] == "recorded with dtype float32 (now bfloat16)"


def test_of_a_part_of_a_unit_that_part_alone_is_asked(desk, tiny_adapter, asked):
    session = Session(replace(desk, adapters=(tiny_adapter,), against="baseline", opened=HALF))
    session.selection.select(session.selection.units()[0].cases[:2], [])
    session.execute(quiet())
    assert [number for _, _, number in asked] == [2, 2]
    assert session.records[0].verdicts == {}


def test_the_pair_is_judged_on_one_engine(desk, tiny_adapter):
    session = gated(desk, tiny_adapter)
    base = judged(replace(desk, opened=HALF)).records[0]
    outputs = {case: each.output for case, each in session.references[0]["baseline"].of_unit(U).items()}
    assert outputs == {case: each.output for case, each in base.of_unit(U).items()}
    assert session.references[0]["baseline"].fingerprint["engine"] == base.fingerprint["engine"]


def test_a_model_without_an_adapter_is_not_held_against_its_own_answers(desk):
    with pytest.raises(Refused) as error:
        judged(replace(desk, against="baseline", opened=HALF))
    assert "was recorded with dtype float32 (now bfloat16); run as it was, with --tg-dtype=float32" in str(error.value)
    assert str(error.value).splitlines()[-1].strip() == (
        "an adapter can be evaluated on any engine, as its base is re-run there; a model without an adapter would be "
        "compared with its own outputs: to see what the engine changes, use --tg-against=RECORD.json"
    )


def test_other_questions_are_refused_on_whatever_engine(desk, tiny_adapter):
    path = desk.cases / "desk" / "triage.yaml"
    path.write_text(path.read_text().replace("message case00", "another message"))
    with pytest.raises(Refused, match=r"recorded with other \w+.*, dtype float32 \(now bfloat16\)"):
        gated(desk, tiny_adapter)


def test_an_edited_baseline_is_refused_before_anybody_is_asked(desk, tiny_adapter, asked):
    [path] = desk.baselines.glob("*/desk/triage.json")
    path.write_text(path.read_text().replace('"passed": false', '"passed": true', 1))
    with pytest.raises(Refused, match="found it edited"):
        gated(desk, tiny_adapter)
    assert asked == []


def test_the_base_is_asked_sealed_cases_at_an_opening_alone(desk, tiny_adapter, asked, monkeypatch):
    sealing = seal(desk)
    assert told(desk, "opened") == []
    answer = Local.complete

    def opened(self: Local, requests: Sequence[Request]) -> Iterator[Completion]:
        assert any("final" in request.key for request in requests)
        assert len(told(desk, "opened")) == 1, "told before the base is asked"
        yield from answer(self, requests)

    gated(desk, tiny_adapter)
    monkeypatch.setattr(Local, "complete", opened)
    assert gated(sealing, tiny_adapter).records[0].sealed_evaluations["desk/final"] == 1


def test_the_same_adapter_on_another_engine_opens_sealed_cases_anew(desk, tiny_adapter):
    sealing = replace(seal(desk), adapters=(tiny_adapter,))
    runs = [judged(sealing), gated(sealing, tiny_adapter), judged(sealing)]
    assert [run.records[0].sealed_evaluations["desk/final"] for run in runs] == [1, 2, 1]
    assert len(told(desk, "opened")) == 2


# --- the last release


def test_the_last_release_is_asked_again_too(desk, make_adapter, asked):
    before = adapter_digest(released(desk, make_adapter("released")))
    asked.clear()
    session = gated(desk, make_adapter("next"))
    now = adapter_digest(make_adapter("next"))
    assert asked == [("bfloat16", who[:8], 40) for who in ("base", before, now)]
    assert list(session.records[0].engines) == ["baseline", "last release"]
    assert len([note for note in session.notes if "re-run on this engine" in note]) == 2


def test_its_outputs_say_where_its_adapter_lies(desk, make_adapter):
    released(desk, make_adapter("released"))
    [path] = desk.baselines.glob("*/desk/triage.released.json")
    assert json.loads(path.read_text())["adapter_at"] == "adapter"


def test_without_its_adapter_nothing_is_judged(desk, make_adapter, asked):
    folder = released(desk, make_adapter("released"))
    shutil.rmtree(folder)
    asked.clear()
    with pytest.raises(Refused) as error:
        gated(desk, make_adapter("next"))
    assert str(error.value).startswith("the last release, adapter ")
    assert "has to run here, beside the evaluated adapter: expected the adapter " in str(error.value)
    assert "adapter.ref, found neither; restore it" in str(error.value)
    assert asked == []
    judged(replace(desk, adapters=(make_adapter("next"),), against="baseline"))  # on its engine nobody is asked


def test_another_adapter_in_its_place_is_refused(desk, make_adapter):
    folder = released(desk, make_adapter("released"))
    shutil.rmtree(folder)
    shutil.copytree(make_adapter("one"), folder)
    with pytest.raises(Refused, match=r"expected the adapter \w{8} at .*adapter, found \w{8}; restore it"):
        gated(desk, make_adapter("next"))


def test_it_is_fetched_by_its_reference_and_kept_by_its_digest(desk, make_adapter):
    folder = released(desk, make_adapter("released"))
    sha, archive = adapter_digest(folder), desk.root / "elsewhere" / "adapter.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as into:
        for file in folder.iterdir():
            into.write(file, f"adapter/{file.name}")
    shutil.rmtree(folder)
    (desk.root / "adapter.ref").write_text(f"version: 1\nadapter: {sha}\nfrom: {archive.as_uri()}\n")
    gated(desk, make_adapter("next"))
    archive.unlink()
    (desk.root / "adapter.ref").unlink()
    gated(desk, make_adapter("one"))
    [kept] = (desk.root / "cache" / "adapters" / sha).glob("[!.]*")
    assert adapter_digest(kept) == sha
    (kept / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(Refused, match="found neither"):
        gated(desk, make_adapter("two"))


def test_outputs_that_do_not_say_where_it_lies_are_to_be_renewed(desk, make_adapter, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(recording, "_adapter_at", lambda *_: "")
        folder = released(desk, make_adapter("released"))
    with pytest.raises(Refused, match="its outputs do not name its adapter's place; renew it: pytest fixtures/ --tg"):
        gated(desk, make_adapter("next"))
    judged(replace(desk, adapters=(folder,), record=True))
    assert "last release" in gated(desk, make_adapter("next")).records[0].engines
