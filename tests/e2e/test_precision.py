"""The embedded model in the precision of its committed baselines, and in another one."""

from __future__ import annotations

import json

import pytest

from tests.support.paths import ROOT
from tunegate.harness.cases.loader import find_unit, load_tasks
from tunegate.harness.core.progress import quiet
from tunegate.harness.models.local.huggingface import Local
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.prompts import requests

pytestmark = pytest.mark.real


def local(dtype: str) -> Local:
    return Local("smollm2", quiet(), options=ModelOptions("cpu", dtype))


def test_the_committed_baselines_are_of_the_precision_that_auto_comes_to():
    recorded = [json.loads(path.read_text())["engine"] for path in ROOT.glob("baselines/smollm2-*/*/*.json")]
    now = dict(local("auto").fingerprint.engine)

    assert now["dtype"] == "float32"
    assert recorded
    assert {(each["backend"], each["dtype"], each["device"]) for each in recorded} == {
        (now["backend"], now["dtype"], now["device"])
    }


def test_it_answers_in_bfloat16_as_another_engine():
    unit = find_unit(load_tasks(ROOT / "fixtures"), "support/questions")
    asked = list(requests([unit]))[:1]
    plain, half = (local(dtype) for dtype in ("float32", "bfloat16"))

    assert all(answer.output for answer in half.complete(asked))
    assert half.fingerprint.subject == plain.fingerprint.subject
    assert half.fingerprint.engine == plain.fingerprint.engine | {"dtype": "bfloat16"}
