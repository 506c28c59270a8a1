"""Logs of inspect_ai, as the tool wrote them and as it would read them."""

from __future__ import annotations

import json
import tomllib
import zipfile

import pytest

from tests.support.paths import ROOT
from tests.support.results import DATA, json_log, log_entries, log_of, write_log
from tunegate.harness.begin.results import zipped
from tunegate.harness.begin.results.inspect_log import value_of
from tunegate.harness.begin.results.read import read_results
from tunegate.harness.core.errors import Unreadable

OLD = DATA / "inspect_old.eval"


def test_scores_are_those_that_the_tool_itself_sums_up():
    found, header = read_results(OLD), json.loads(log_entries(OLD)["header.json"])

    assert found.metrics == ("match", "letters", "facets.close", "facets.length")
    for each in header["results"]["scores"]:
        metric = each["name"] if each["name"] == each["scorer"] else f"{each['scorer']}.{each['name']}"
        scores = [sample.scores[metric] for sample in found.samples]
        [value] = [each["metrics"][name]["value"] for name in ("accuracy", "mean") if name in each["metrics"]]
        assert sum(scores) / len(scores) == pytest.approx(value)
    assert (found.tool, found.version, found.task, found.model) == ("inspect_ai", "0.3.285", "sums", "mockllm/model")


def test_a_deflated_log_and_one_in_json_are_the_same_samples(tmp_path):
    entries = log_entries(OLD)
    write_log(tmp_path / "deflated.eval", entries)
    (tmp_path / "log.json").write_text(json.dumps(json_log(entries)))

    samples = read_results(OLD).samples
    assert read_results(tmp_path / "deflated.eval").samples == samples
    assert read_results(tmp_path / "log.json").samples == samples


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), ("c", None), ("Yes", 1), ("FALSE", 0), ("0.25", 0.25), (True, 1), (3, 3),
     ("politics", None), ("nan", None), (float("inf"), None), (None, None), ("1_000", None), ("", None),
     (10**400, None)],
)  # fmt: skip
def test_values_are_numbers_as_the_tool_makes_them(value, number):
    assert value_of(value) == number


def test_epochs_are_samples_of_one_id():
    found = read_results(DATA / "inspect_epochs_old.eval")

    assert {len(samples) for samples in found.by_id.values()} == {3}


def test_an_error_and_nan_have_no_score():
    errors, nan = read_results(DATA / "inspect_errors.eval"), read_results(DATA / "inspect_nan.eval")

    assert [each.id for each in errors.samples if not each.scores] == ["sum-004", "sum-009"]
    assert errors.by_id["sum-004"][0].reasons[""] == "RuntimeError('the tool broke')"
    assert [each.id for each in nan.samples if each.scores["maybe_nan"] is None] == ["sum-003"]


def test_an_evaluation_that_failed_is_refused():
    with pytest.raises(Unreadable, match="status success, found the status error; run inspect eval-retry"):
        read_results(DATA / "inspect_failed.eval")


def test_an_evaluation_that_has_not_ended_is_refused(tmp_path):
    entries = {name: content for name, content in log_entries(OLD).items() if name != "header.json"}

    with pytest.raises(Unreadable, match="one of an evaluation that has not ended"):
        read_results(write_log(tmp_path / "log", entries))


def test_a_log_without_some_of_its_samples_or_all_is_refused(tmp_path):
    entries = log_entries(OLD)
    gone = next(name for name in entries if name.startswith("samples/"))
    with pytest.raises(Unreadable, match="with the 27 samples that its header counts, found 26"):
        read_results(write_log(tmp_path / "log", {name: each for name, each in entries.items() if name != gone}))
    with pytest.raises(Unreadable, match="with its samples, found none"):
        read_results(write_log(tmp_path / "log", {"header.json": entries["header.json"]}))


def test_another_zip_file_is_refused(tmp_path):
    with pytest.raises(Unreadable, match=r"a ZIP file without header\.json"):
        read_results(write_log(tmp_path / "log", {"word/document.xml": b"<w/>"}))
    with pytest.raises(Unreadable, match="a header without `status` and `eval`"):
        read_results(write_log(tmp_path / "log", {"header.json": b"{}"}))


def test_a_damaged_entry_is_refused(tmp_path):
    content = bytearray(OLD.read_bytes())
    with zipfile.ZipFile(OLD) as archive:
        entry = archive.getinfo("samples/sum-000_epoch_1.json")
    content[entry.header_offset + 200] ^= 0xFF
    (tmp_path / "log").write_bytes(content)

    with pytest.raises(Unreadable, match=r"a damaged entry samples/sum-000_epoch_1\.json"):
        read_results(tmp_path / "log")


def test_an_entry_that_is_larger_than_it_says_is_not_unpacked_whole(monkeypatch):
    bomb = zipped.zstd.compress(b"0" * 10_000_000)

    assert len(zipped.decompressed(bomb, 100)) == 101
    assert zipped.decompressed(zipped.zstd.compress(b"a") + zipped.zstd.compress(b"b"), 2) == b"ab"


def test_an_entry_of_too_many_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(zipped, "MOST_ENTRY", 100)

    with pytest.raises(Unreadable, match="at most 100 are read"):
        read_results(OLD)


def test_the_first_command_of_the_readme_runs_on_the_base_install():
    assert "tunegate compare old.eval new.eval --gate" in (ROOT / "README.md").read_text("utf-8")
    with zipfile.ZipFile(OLD) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipped.ZSTANDARD}
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert any(each.startswith("backports.zstd") for each in needs)


def test_a_scorer_without_numbers_is_left_out_and_one_with_some_is_unscored(tmp_path):
    found = read_results(log_of(tmp_path / "log", {"a": "politics", "b": "sport"}))
    assert found.left_out == {"accuracy": "its values are no numbers (politics)"}

    found = read_results(log_of(tmp_path / "log", {"a": "politics", "b": 1}))
    assert found.left_out == {}
    assert found.samples[0].scores == {"accuracy": None}


def test_lists_and_dicts_are_metrics_of_their_own(tmp_path):
    found = read_results(log_of(tmp_path / "log", {"a": {"x": 1, "y": None}, "b": [1, 0]}))

    assert found.samples[0].scores == {"accuracy.x": 1.0, "accuracy.y": None}
    assert found.samples[1].scores == {"accuracy.0": 1.0, "accuracy.1": 0.0}


def test_the_ids_of_messages_are_no_part_of_the_question(tmp_path):
    def asked(number: int, text: str) -> str:
        log = json.loads(log_of(tmp_path / "log", {"a": 1}).read_text())
        log["samples"][0]["input"] = [{"id": f"m{number}", "role": "user", "content": text}]
        (tmp_path / "log").write_text(json.dumps(log))
        return read_results(tmp_path / "log").samples[0].question

    assert asked(1, "hello") == asked(2, "hello") != asked(2, "goodbye")


def test_an_invalidated_sample_has_no_score(tmp_path):
    log = json.loads(log_of(tmp_path / "log", {"a": 1, "b": 1}).read_text())
    log["samples"][0]["invalidation"] = {"author": "me"}
    (tmp_path / "log").write_text(json.dumps(log))

    assert [each.scores["accuracy"] for each in read_results(tmp_path / "log").samples] == [None, 1.0]


@pytest.mark.parametrize("samples", [[1], [{"epoch": 1}], [{"id": 1, "scores": [1]}], "text"])
def test_samples_that_are_none_are_refused(tmp_path, samples):
    log_of(tmp_path / "log", {"a": 1}, samples=samples)

    with pytest.raises(Unreadable):
        read_results(tmp_path / "log")


def test_letters_say_that_more_is_better_unless_the_name_says_otherwise(tmp_path):
    log = log_of(tmp_path / "log", {"a": 1})
    value = json.loads(log.read_text())
    value["samples"][0]["scores"] = {
        "refused": {"value": "C"}, "counted": {"value": 1}, "toxicity": {"value": "C"}, "parts": {"value": {"x": "I"}},
    }  # fmt: skip
    log.write_text(json.dumps(value))

    assert read_results(log).higher == {"refused": "C is correct", "parts.x": "C is correct"}
