"""How requests are shared among workers, and what is refused before or instead of asking them."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tunegate.harness.cases.model import Decoding
from tunegate.harness.core.errors import CouldNotRun, Refused, Unreadable
from tunegate.harness.models.api import Fingerprint, Request
from tunegate.harness.models.local.batching import TOKEN_BUDGET
from tunegate.harness.models.local.worker_pool import Worker, WorkerPool, batches_for, check_same
from tunegate.harness.models.model_options import ModelOptions, RayOptions
from tunegate.harness.models.options.run import Options

WHO = Fingerprint({"model": "one", "base": "b"}, {"backend": "transformers", "dtype": "float32"})


def request(number: int, letters: int = 40, system: str = "", repeat: int = 0) -> Request:
    opening = ((("system", system),) if system else ()) + (("user", "x" * letters),)
    return Request(f"desk/triage/c{number}", opening, Decoding(max_new_tokens=20), repeat)


@given(sizes=some.lists(some.integers(0, 200_000), max_size=60), workers=some.integers(1, 9))
def test_every_request_is_in_one_batch_and_no_batch_is_much_more_than_its_share(sizes, workers):
    asked = [request(number, size) for number, size in enumerate(sizes)]
    batches = [list(each.values()) for each in batches_for(asked, workers)]
    assert sorted(each.key for batch in batches for each in batch) == sorted(each.key for each in asked)
    most = max(sum(each.work for each in asked) / (4 * workers), TOKEN_BUDGET)
    assert all(batch for batch in batches)
    assert all(len(batch) == 1 or sum(each.work for each in batch) <= most for batch in batches)


def test_a_few_requests_keep_all_workers_busy():
    assert len(list(batches_for([request(number) for number in range(40)], 4))) == 4


def test_prompts_that_begin_alike_are_asked_together():
    asked = [request(number, system="ab"[number % 2]) for number in range(400)]
    mixed = [each for each in batches_for(asked, 2) if len({r.messages[0] for r in each.values()}) > 1]
    assert len(mixed) <= 1


def test_several_answers_to_a_case_are_several_requests():
    asked = [request(1, repeat=repeat) for repeat in range(3)]
    assert sorted(key for each in batches_for(asked, 2) for key in each) == [("desk/triage/c1", n) for n in range(3)]


@pytest.mark.parametrize(("found", "said"), [
    (replace(WHO, subject={**WHO.subject, "base": "c"}), "another model than expected (base)"),
    (replace(WHO, engine={"backend": "vllm"}), "another engine than expected (backend, dtype)"),
])  # fmt: skip
def test_a_worker_of_another_kind_is_refused(found, said):
    with pytest.raises(Refused) as caught:
        check_same(found, WHO)
    assert str(caught.value) == (
        f"a worker has {said}: every machine needs the same files, at the same paths, and the same versions"
    )


def test_what_a_worker_is_called_does_not_count():
    check_same(replace(WHO, names={"model": "/elsewhere"}), WHO)


def test_an_error_of_a_worker_can_travel():
    def refuses(adapter):
        raise Unreadable(Path("model"), "weights", "none")

    with pytest.raises(Refused) as caught:
        Worker(refuses).fingerprint(None)
    assert type(caught.value) is Refused
    assert str(pickle.loads(pickle.dumps(caught.value))) == "model: expected weights, found none"  # noqa: S301


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CouldNotRun, match=r"expected ray, found none; run: pip install 'tunegate\[ray\]'"):
        WorkerPool(lambda adapter: None, RayOptions()).fingerprint(None)


def test_a_client_is_no_cluster(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(CouldNotRun, match="expected HOST:PORT, found the address of Ray's client; start the run on a"):
        WorkerPool(lambda adapter: None, RayOptions(address="ray://head:10001")).fingerprint(None)


def test_what_workers_cannot_do_is_refused():
    for more, said in [
        ({"model": "replay:out.jsonl"}, "its outputs are made elsewhere, not on Ray workers"),
        ({"model": "openai:http://localhost/v1#m"}, "its outputs are made elsewhere, not on Ray workers"),
        ({"model": "vllm:smollm2"}, "Ray workers run transformers; name the model without vllm:"),
        ({"timing": True, "adapters": (Path("a"),)}, "timing runs one call after another in this process"),
    ]:
        with pytest.raises(Refused) as caught:
            Options(Path(), **({"opened": ModelOptions(ray=RayOptions())} | more)).check()
        assert said in str(caught.value)


def test_numbers_of_workers_are_checked():
    with pytest.raises(Refused) as caught:
        Options(Path(), opened=ModelOptions(ray=RayOptions(0, 0, -1))).check()
    assert str(caught.value).splitlines() == [
        "--tg-workers: expected a whole number from 1, found 0",
        "--tg-worker-cpus: expected a whole number from 1, found 0",
        "--tg-worker-gpus: expected a whole number from 0, found -1",
    ]
