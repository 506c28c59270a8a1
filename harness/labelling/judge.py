"""A judge model says of outputs whether a rubric calls them right: one at a time, without names or another output."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunegate.harness.cases.model import Case, Decoding, Judge, LabelSource
from tunegate.harness.cases.traffic.labels import Label, Pair, append_label, read_labels
from tunegate.harness.core.errors import CouldNotRun, UsageError
from tunegate.harness.core.progress import Watch
from tunegate.harness.labelling.of_unit import case_note
from tunegate.harness.models.api import Model, Request
from tunegate.harness.models.backends import REPLAY, backend_of
from tunegate.harness.models.model_options import ModelOptions
from tunegate.harness.models.replay import read_replay

# a model that thinks aloud needs room; the verdict is one word
DECODING = Decoding(max_new_tokens=512)
ASKED = "Is the output right? Answer with one word: RIGHT or WRONG."
_WORD = re.compile(r"\b(?:RIGHT|WRONG)\b", re.IGNORECASE)


def judge_requests(judge: Judge, outputs: Mapping[Pair, Case]) -> dict[Pair, Request]:
    """Return a request for each output; those of one case are numbered as repeats."""
    count: dict[str, int] = {}
    found = {}
    for pair, case in outputs.items():
        repeat = count[case.key] = count.get(case.key, -1) + 1
        context = f"Context:\n{case.context}" if case.context else ""
        text = "\n\n".join(filter(None, [case.text, context, case_note(case), f"Output:\n{pair[1]}", ASKED]))
        found[pair] = Request(case.key, (("system", judge.rubric), ("user", text)), DECODING, repeat)
    return found


def judge_outputs(
    source: LabelSource, outputs: Mapping[Pair, Case], name: str, watch: Watch, opened: ModelOptions
) -> int:
    """Append what the judge says of outputs to its file, each as it comes; return how many it was asked about.

    What it said before is not asked again. An output without one of the two words counts as wrong, with a note.

    Raises:
        UsageError: the unit has no judge, or another one.
        CouldNotRun: the model gave nothing for an output; earlier verdicts are saved.
    """
    judge, called = source.judge, REPLAY.split(name)[0] if backend_of(name).is_supplied else name
    if judge is None or judge.model != called:
        expected = f"`judge: {{model: {called}, rubric: ...}}` in the unit's labels"
        raise UsageError(f"--judge: expected {expected}, found {judge.model if judge else 'no judge'}")
    known = read_labels(source.judge_file).given(judge.by)
    asked = {pair: each for pair, each in judge_requests(judge, outputs).items() if pair not in known}
    if asked:
        model = _open(name, outputs, watch, opened)
        pairs = {(each.key, each.repeat): pair for pair, each in asked.items()}
        for done in model.complete(list(asked.values())):
            if done.output is None:
                raise CouldNotRun(f"--judge: {name} gave no output for {done.key}; run the same command again")
            append_label(source.judge_file, _label(judge, pairs[done.key, done.repeat], done.output))
    return len(asked)


def _open(name: str, outputs: Mapping[Pair, Case], watch: Watch, opened: ModelOptions) -> Model:
    backend = backend_of(name)
    if backend.is_supplied:
        called, path = REPLAY.split(name)
        return read_replay(path, {case.key: 0 for case in outputs.values()}, called)
    return backend.open(name, watch, opened)


def _label(judge: Judge, pair: Pair, said: str) -> Label:
    right = judge_verdict(said)
    return Label(*pair, right or False, judge.by, note="neither word" if right is None else "")


def judge_verdict(said: str) -> bool | None:
    """Return the verdict in a text, True for right; None without one. A model that thinks aloud ends with it."""
    words = _WORD.findall(said)
    return words[-1].upper() == "RIGHT" if words else None
