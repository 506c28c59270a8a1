"""Mistakes that could fool a gate, and what must catch each of them: the source of tests/golden/mistakes.md.

tests/integration/test_mistakes.py makes every one of them in a copy of a good project, and compares the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.support.spoil import (
    Step,
    again,
    circle,
    claim,
    commit,
    copy,
    cut,
    cut_off,
    drop,
    enter,
    flip,
    forget,
    line,
    move,
    pipe,
    poison,
    put,
    ran,
    remove,
    replace,
    rescaled,
    stamp,
    write,
)

# the commands; each passes where no mistake is made
GATE = "pytest suites/ --tg-adapter=tuned --tg-against=baseline --tg-sealed"
OPEN = GATE.removesuffix(" --tg-sealed")
UNKNOWN = "expected the baseline ( ... ) in the ledger, which names another one as the last; record it again"
BARE = "pytest suites/ --tg-against=baseline"
RECORD = "pytest suites/ --tg-record"
OUTPUTS = "pytest suites/ --tg-model=replay:outputs.jsonl --tg-against=base.json"
RELEASE = "tunegate release tuned"
OF_RUN = "tunegate release tuned --run=run.json"
VERIFY = "tunegate verify tuned"
DIAGNOSIS = "baselines/*/desk/diagnosis.json"
TRAIN = "tunegate train tuned.yaml --output=next"
FORGED = "tunegate release third --run=forged.json"
BY_GATE = "tunegate gate --adapter=tuned --sealed"
ISOLATED = BY_GATE.replace("tuned", "third")
OWN_CHECKS = '[tool.tunegate]\nchecks = "checks.py"'
REACHING = """
import tunegate.harness.gate.rule as rule
import tunegate.harness.review.change.decide as decide
from tunegate import CheckKind
rule.task_blocked = lambda *_: False
decide.blocking = lambda *_: ()
CHECKS = {"mine": CheckKind(kind="pass/fail", options={}, expect={}, load=lambda *_: None, version=1)}
"""
SECOND, THIRD = (GATE.replace("tuned", name) for name in ("second", "third"))

# the files
DESK, BASELINES = "fixtures/desk", "baselines/*/desk"
TRIAGE, WORDING, REPLIES = (f"{DESK}/{unit}.yaml" for unit in ("triage", "wording", "replies"))
POLICY, REFS = f"{DESK}/task.yaml", f"{DESK}/refs"
BASE, LAST = f"{BASELINES}/triage.json", f"{BASELINES}/triage.released.json"
RUN, WEIGHTS = "run.json", "adapter_model.safetensors"
C03 = "cases.desk/triage/c03"

# what several of them say
EDITED = "desk/triage: expected the baseline at ... as it was recorded, found it edited"
DAMAGED = "desk/triage: expected a baseline at ... found a damaged file"
RUN_EDITED = "run.json: expected a record as it was written, found an edited one"
FLAGS = "other tags and critical flags"
LOOSER = "the rules of units are looser than when the baseline was recorded: ..."
UNKNOWN_UNITS = "baselines of units that the fixtures do not have (deleted? renamed?): ..."
NO_RUN = "expected a complete run of this adapter against its baseline under .tunegate/runs, found none"
OTHER_SCORES = "desk/triage: {} does not match its outputs: ... c03"
THE_BASELINE, THE_LAST = "the baseline ( ... )", "the last release ( ... )"


@dataclass(frozen=True)
class Mistake:
    """What goes wrong, and what the command that meets it must come to: its exit code, and what it says.

    The mistake is made by `steps`, or in the command itself; `passes` is a command that passes without it. In `says`,
    ` ... ` stands for any text.
    """

    what: str
    command: str
    code: int
    says: str
    steps: tuple[Step, ...]
    passes: str
    own_cache: bool = False


def caught(
    what: str, command: str, code: int, says: str, *steps: Step, passes: str = "", own_cache: bool = False
) -> Mistake:
    """One mistake; where the command itself is the mistake, `passes` tells the right one."""
    return Mistake(what, command, code, says, steps, passes or command, own_cache)


UNKNOWN_PROMPT = "the prompt of desk/final, desk/replies in the baseline is unknown"


def recorded(why: str, unit: str = "triage") -> str:
    """The refusal of a baseline of other questions, another subject or another engine."""
    return f"desk/{unit}: the baseline ( ... ) was recorded with {why}"


def judged(options: str) -> Step:
    """Judge the adapter with other options, and keep the record as run.json."""
    return ran(f"pytest suites/ --tg-adapter=tuned --tg-against=baseline --tg-out=run.json {options}")


MISTAKES = {
    "Fixtures": (
        caught("the input of a case is edited", GATE, 4, recorded("other inputs"),
               put(TRIAGE, "cases.3.input", "How many?")),
        caught("an expected label is edited", GATE, 4, recorded("other checks"), put(TRIAGE, "cases.39.expect", 4)),
        caught("a tag is edited", GATE, 4, recorded(FLAGS), put(TRIAGE, "cases.0.tags.channel", "post")),
        caught("a case is no longer critical", GATE, 4, recorded(FLAGS), drop(TRIAGE, "cases.20.critical")),
        caught("two cases are put in a group", GATE, 4, recorded("other inputs"),
               put(TRIAGE, "cases.0.group", "g"), put(TRIAGE, "cases.1.group", "g")),
        caught("a schema allows more", GATE, 4, recorded("other references"),
               drop(f"{REFS}/number.schema.json", "minimum")),
        caught("a prompt is reworded", GATE, 4, UNKNOWN_PROMPT,
               put(TRIAGE, "prompt.system", "Count well.")),
        caught("answers may be longer", GATE, 4, UNKNOWN_PROMPT,
               put(TRIAGE, "generate.max_new_tokens", 2)),
        caught("another seed is tried", GATE, 4, UNKNOWN_PROMPT,
               put(TRIAGE, "generate.seed", 7)),
        caught("a house rule is taken out of the voice", GATE, 4,
               f"desk/replies: {THE_LAST} was evaluated with other references",
               drop(f"{REFS}/voice.yaml", "rules.0")),
        caught("a banned term is allowed", GATE, 4, recorded("other references", "wording"),
               drop(f"{REFS}/terms.yaml", "terms.0.banned")),
        caught("a case that fails is deleted", GATE, 4, recorded("other cases (-c03)"), drop(TRIAGE, "cases.3")),
        caught("a case is renamed", GATE, 4, recorded("other cases (+new, -c03)"), put(TRIAGE, "cases.3.id", "new")),
        caught("a case is added", GATE, 4, recorded("other cases (+new)"), again(TRIAGE, "cases.3", id="new")),
        caught("a worked example is edited", GATE, 4, UNKNOWN_PROMPT,
               put(TRIAGE, "shots", [{"input": "How many?", "output": "2"}])),
        caught("the same question stands under two ids, and makes fewer observations", GATE, 0,
               "on 40 cases (39 observations: a group counts once)",
               put(TRIAGE, "cases.4.input", "How many boilers are in house 3?"),
               ran(RECORD), ran(f"{RECORD} --tg-adapter=tuned")),
        caught("a case stands twice", GATE, 4, "expected an id that is unique in its unit, found 'c03' again",
               again(TRIAGE, "cases.3")),
        caught("a unit is deleted", GATE, 4, f"{UNKNOWN_UNITS} desk/wording",
               remove(WORDING), drop(POLICY, "units.wording")),
        caught("a unit is renamed", GATE, 4, f"{UNKNOWN_UNITS} desk/wording",
               put(WORDING, "unit", "words"), replace(POLICY, "wording", "words")),
        caught("a unit is added, without a baseline", GATE, 4, "desk/words: expected a baseline at ... found none",
               copy(WORDING, f"{DESK}/words.yaml"), put(f"{DESK}/words.yaml", "unit", "words")),
        caught("the folder of fixtures is empty", GATE, 4,
               "expected <task>/*.yaml fixture files, found none; nothing to score", remove(DESK)),
        caught("a task's folder is empty", GATE, 4, "expected at least one fixture file (*.yaml), found none",
               remove(f"{DESK}/*.yaml")),
        caught("a fixture file has no cases", GATE, 4, "cases: expected a list of at least one case",
               put(TRIAGE, "cases", [])),
        caught("the folder of suites is empty", GATE, 5, "no tests ran", remove("suites/*.py")),
    ),
    "Policy": (
        caught("a margin is widened", GATE, 4, f"{LOOSER} desk/wording: margin 0.2 -> 0.5",
               put(POLICY, "units.wording.margin", 0.5)),
        caught("a minimum score is taken away", GATE, 4, f"{LOOSER} desk/wording: minimum_score 0.5 -> none",
               drop(POLICY, "units.wording.minimum_score")),
        caught("a target becomes a guard", GATE, 4, f"{LOOSER} desk/triage: role target -> guard",
               put(POLICY, "units.triage.role", "guard"), put(POLICY, "units.final.role", "guard")),
        caught("a target score is taken away", GATE, 4, f"{LOOSER} desk/triage: target_score 0.9 -> none",
               drop(POLICY, "units.triage.target_score")),
        caught("a target's sealed unit no longer proves it", GATE, 4,
               "the rules of units are looser than at the last release: ... desk/final: seals triage -> none",
               drop(POLICY, "units.final.seals")),
        caught("a unit is taken out of task.yaml", GATE, 4, f"{LOOSER} desk/wording: minimum_score 0.5 -> none",
               drop(POLICY, "units.wording")),
        caught("task.yaml is deleted", GATE, 4, f"{LOOSER} desk/triage: role target -> guard", remove(POLICY)),
        caught("a margin is widened since the last release, and the baseline recorded again", SECOND, 4,
               "the rules of units are looser than at the last release: ... desk/wording: margin 0.2 -> 0.5",
               put(POLICY, "units.wording.margin", 0.5), ran(RECORD), passes=GATE),
        caught("a unit is sealed, so that it is judged last", GATE, 4, f"{LOOSER} desk/wording: sealed false -> true",
               put(WORDING, "sealed", True)),
        caught("a unit is sealed, so that it is not judged", OPEN, 4,
               f"{LOOSER} desk/wording: sealed false -> true", put(WORDING, "sealed", True)),
        caught("a margin is widened after the run", OF_RUN, 4,
               "desk/wording: task.yaml changed since run.json was evaluated",
               put(POLICY, "units.wording.margin", 0.5)),
        caught("all cases have one tag, so that no slice can fall (told, not refused)", GATE, 0,
               "Not tested as slices, as they cover nearly the whole unit: channel=phone.",
               *[put(TRIAGE, f"cases.{number}.tags.channel", "phone") for number in range(16)],
               ran(RECORD), ran(f"{RECORD} --tg-adapter=tuned")),
    ),
    "Model and adapter": (
        caught("the base weights are another model's", GATE, 4, "expected the base it was trained on",
               rescaled("model/model.safetensors", "embed_tokens", 1.01)),
        caught("an adapter of another base of the same shape", GATE, 4, "expected the base it was trained on",
               rescaled("model/model.safetensors", "embed_tokens", 1.01), ran(RECORD)),
        caught("the tokenizer is another", GATE, 4, "expected the tokenizer it was trained on",
               put("model/tokenizer.json", "model.unk_token", None)),
        caught("the chat template is another", GATE, 4, "expected the template it was trained on",
               replace("model/chat_template.jinja", "assistant", "helper")),
        caught("the baseline is said to be another backend's", GATE, 4, UNKNOWN,
               put(BASE, "engine.backend", "vllm"), stamp(BASE)),
        caught("the baseline is said to be of another dtype", GATE, 4, UNKNOWN,
               put(BASE, "engine.dtype", "bfloat16"), stamp(BASE)),
        caught("the base is judged on another engine than its baseline's", f"{BARE} --tg-dtype=bfloat16", 1,
               "the baseline was recorded with dtype float32 (now bfloat16): re-run on this engine", passes=GATE),
        caught("the base is on another rung", f"{GATE} --tg-rung=steps", 4, recorded("another rung"), passes=GATE),
        caught("the adapter's folder is missing", GATE, 4, "found no such folder", remove("tuned")),
        caught("the adapter's folder is empty", GATE, 4,
               "expected adapter_config.json and adapter_model.safetensors, found a folder without it",
               remove("tuned/*")),
        caught("the adapter is cut off", OPEN, 4, "expected safetensors, found a damaged file",
               cut(f"tuned/{WEIGHTS}")),
        caught("the adapter's rank is edited", OPEN, 4, "expected one that fits this base; PEFT says",
               put("tuned/adapter_config.json", "r", 8)),
        caught("the adapter names another base, which a server would load", RELEASE, 4,
               'base_model_name_or_path: expected "model", as the training wrote it, found "other"',
               put("tuned/adapter_config.json", "base_model_name_or_path", "other")),
        caught("its training record names that base, too", RELEASE, 4,
               "tuned: it names other as its base, which is another one than evaluated",
               copy("model", "other"), rescaled("other/model.safetensors", "q_proj", 1.01),
               put("tuned/adapter_config.json", "base_model_name_or_path", "other"),
               put("tuned/training.json", "recipe.model", "other"), stamp("tuned/training.json")),
        caught("the adapter does not act: its B is zero", OPEN, 4, "not acting: its logits equal the base's",
               rescaled(f"tuned/{WEIGHTS}", "lora_B", 0.0)),
        caught("two adapters have one name", f"{GATE} --tg-adapter=other/tuned", 4,
               "expected folders of different names, found 2 named 'tuned'", passes=GATE),
        caught("sealed cases are opened for two adapters at once", f"{GATE} --tg-adapter=second", 4,
               "--tg-sealed evaluates desk/final, desk/replies for one chosen adapter, found 2", passes=GATE),
        caught("the model's name is mistyped", f"{GATE} --tg-model=modle", 3,
               "python:FILE.py:FUNCTION; found nothing there",
               passes=GATE),
    ),
    "Verdicts": (
        caught("a target is won and a guard lost", THIRD, 1, "desk/wording: Regressed: worse than the baseline",
               passes=GATE),
        caught("a second tune beats the base and is worse than the last release", SECOND, 1,
               "desk/triage: Regressed: worse than the last release", passes=GATE),
        caught("a blocked adapter is judged until it passes", THIRD, 1, "desk/wording: Regressed",
               ran(THIRD, 1), passes=GATE),
        caught("answers are asked for again until one passes", f"{GATE} --tg-repeats=3", 4,
               "desk/triage: the baseline holds 1 output per case, and this run 3", passes=GATE),
        caught("a critical case breaks inside a green total", OUTPUTS, 1, "Regressed: a critical case regressed (c20)",
               line("desk/triage/c20", "none")),
        caught("a sealed guard has too few cases to be held", GATE, 1,
               "desk/replies: Inconclusive: ... A sealed unit must be held before a release.",
               put(POLICY, "units.replies.margin", 0.05)),
        caught("a slice collapses inside a green total", OUTPUTS, 1,
               "desk/triage: Regressed: the slice channel=chat fell",
               *[line(f"desk/triage/c{number:02}", "none" if number < 8 else "7") for number in range(16)]),
    ),
    "Baselines": (
        caught("an output is edited", GATE, 4, EDITED, put(BASE, "cases.c03.output", "7")),
        caught("a score is edited", GATE, 4, EDITED, put(BASE, "cases.c03.score", 1.0)),
        caught("the mean is edited", GATE, 4, EDITED, put(BASE, "summary.mean", 0.5)),
        caught("a digest is edited", GATE, 4, EDITED, put(BASE, "questions.inputs", "0" * 64)),
        caught("a case is taken out", GATE, 4, EDITED, drop(BASE, "cases.c03")),
        caught("the last release is edited", SECOND, 4,
               "expected the baseline at ... triage.released.json as it was recorded, found it edited",
               put(LAST, "cases.c03.score", 0.0), passes=GATE),
        caught("a merge conflict is left", GATE, 4, DAMAGED, replace(BASE, '"cases"', '<<<<<<< HEAD\n "cases"')),
        caught("a merge left a case twice", GATE, 4, f"{DAMAGED} (the key 'c03' twice, on line ... )",
               replace(BASE, '"c03"', '"c03": {"score": 0.0, "findings": [], "output": ""},\n  "c03"')),
        caught("a score is no number", GATE, 4, f"{DAMAGED} (NaN, which is not a number",
               replace(BASE, '"score": 0.0', '"score": NaN')),
        caught("the file is cut off", GATE, 4, DAMAGED, cut(BASE)),
        caught("the file is deleted", GATE, 4, "desk/triage: expected a baseline at ... found none", remove(BASE)),
        caught("the file is renamed", GATE, 4, f"{UNKNOWN_UNITS} desk/old", move(BASE, "old.json")),
        caught("the folder is renamed", GATE, 4, "found one of another only (other-12345678)",
               move("baselines/model-*", "other-12345678")),
        caught("the file is another unit's", GATE, 4,
               "desk/triage: expected its baseline at ... found that of 'desk/wording'",
               copy(f"{BASELINES}/wording.json", BASE)),
        caught("the file is another model's", GATE, 4, recorded("another base weights"),
               put(BASE, "subject.base", "0" * 64), stamp(BASE)),
        caught("the file is a pipe that nobody writes to", GATE, 4, f"{DAMAGED} (a pipe; write it to a file first)",
               pipe(BASE)),
        caught("another version of the check judged it (told, and scored again)", GATE, 0,
               "desk/triage: the outputs of the baseline were scored again (check version 0 -> 4): 0 of 40 cases "
               "changed their score", put(BASE, "questions.check version", "0"), stamp(BASE), enter(BASE)),
        caught("another tool wrote a score", GATE, 4, OTHER_SCORES.format(THE_BASELINE),
               put(BASE, "cases.c03.score", 1.0), stamp(BASE), enter(BASE)),
        caught("another tool wrote that a case passed", GATE, 4, OTHER_SCORES.format(THE_BASELINE),
               put(BASE, "cases.c03.passed", True), stamp(BASE), enter(BASE)),
        caught("another tool took the findings out", GATE, 4, OTHER_SCORES.format(THE_BASELINE),
               put(BASE, "cases.c03.findings", []), stamp(BASE), enter(BASE)),
        caught("another tool wrote an output that scores otherwise", GATE, 4, OTHER_SCORES.format(THE_BASELINE),
               put(BASE, "cases.c03.output", "7"), stamp(BASE), enter(BASE)),
        caught("another tool took an output out", GATE, 4, OTHER_SCORES.format(THE_BASELINE),
               put(BASE, "cases.c03.output", None), stamp(BASE), enter(BASE)),
        caught("another tool wrote the mean", GATE, 4,
               "desk/triage: the baseline ( ... ) does not match its outputs: the mean of its cases stored as 0.5",
               put(BASE, "summary.mean", 0.5), stamp(BASE), enter(BASE)),
        caught("another tool wrote a mean and another version of the check", GATE, 4,
               "desk/triage: the baseline ( ... ) does not match its outputs: the mean of its cases stored as 0.5",
               put(BASE, "summary.mean", 0.5), put(BASE, "questions.check version", "0"), stamp(BASE), enter(BASE)),
        caught("another tool wrote a score of the last release", SECOND, 4, OTHER_SCORES.format(THE_LAST),
               put(LAST, "cases.c03.score", 0.0), stamp(LAST), enter(LAST), passes=GATE),
        caught("another tool wrote an output of the same score (mended by asking again)", f"{RECORD} --tg-fresh", 0,
               "desk/triage: updated: outputs only",
               put(BASE, "cases.c03.output", "0"), stamp(BASE), enter(BASE), ran(RECORD)),
        caught("a part of a unit is recorded", f"{RECORD} -k c03", 4,
               "--tg-record writes whole units only, found a part of desk/triage", passes=RECORD),
        caught("an adapter is recorded as the base", f"{RECORD} --tg-adapter=second", 4,
               "only the released adapter may renew its files, and it is not the release of desk/triage",
               passes=RECORD),
        caught("what the base answers to sealed cases is recorded before they are opened", f"{RECORD} --tg-sealed", 4,
               "--tg-record with --tg-sealed: nothing is recorded of desk/final, desk/replies", passes=RECORD),
        caught("a run records what it compares with", f"{RECORD} --tg-against=baseline", 4,
               "--tg-record writes the baseline that --tg-against compares with: use one of them", passes=RECORD),
        caught("the last release was asked otherwise", SECOND, 4,
               "desk/triage: the last release ( ... ) was evaluated with other inputs; renew it",
               put(TRIAGE, "cases.3.context", "A house."), ran(RECORD), passes=GATE),
    ),
    "The ledger and the last release": (
        caught("another tool edited a baseline", GATE, 4, UNKNOWN,
               put(BASE, "cases.c03.score", 1.0), stamp(BASE)),
        caught("the ledger is deleted", GATE, 4, "in the ledger, which names none of this model yet; record it again",
               remove("baselines/ledger")),
        caught("an event is edited", GATE, 4,
               "the ledger is not whole: ... expected an event as it was written, found it edited or renamed",
               replace("baselines/ledger/*.json", "desk", "dask")),
        caught("an event is deleted that others came after", GATE, 4,
               "expected the event before ... found none: history was lost; restore it: git log",
               forget("recorded")),
        caught("the outputs of the last release are deleted, or were never committed", SECOND, 4,
               "desk/triage: the ledger knows the last release, adapter ... expected its outputs at ... found none",
               remove(LAST), passes=GATE),
        caught("another tool edited the outputs of the last release", SECOND, 4,
               "expected outputs of a release that the ledger knows, found unknown ones of adapter",
               put(LAST, "cases.c03.score", 0.0), stamp(LAST), passes=GATE),
        caught("a second tune beats the base, whose folder was renamed and recorded again", SECOND, 1,
               "desk/triage: Regressed: worse than the last release",
               move("baselines/model-*", "other-12345678"), ran(RECORD), passes=GATE),
        caught("an adapter that was withdrawn is released again", OF_RUN, 4,
               "desk: adapter ... was withdrawn on ... : it is rude; it cannot be released again",
               ran('tunegate release --withdraw tuned --reason="it is rude"')),
        caught("an adapter that was never released is withdrawn", "tunegate release --withdraw second --reason=none", 4,
               "second: expected an adapter that the ledger knows as released", passes=OF_RUN),
        caught("a guard that a tune breaks is deleted, with its policy and its baselines", GATE, 4,
               "the last release was evaluated on desk/wording too: expected among the fixtures, found none of that "
               "name",
               remove(WORDING), drop(POLICY, "units.wording"), remove(f"{BASELINES}/wording*")),
        caught("a unit is retired that is still among the fixtures", "tunegate retire desk/wording --reason=slow", 2,
               "desk/wording: expected a deleted unit, found it among the cases", passes=GATE),
    ),
    "Asked again": (
        caught("another tool wrote the record of an adapter that passes for one that does not", FORGED, 4,
               "re-run with caching disabled, the adapter: ... cases have another outcome than in its record",
               claim(RUN, "third", "forged.json"), passes=OF_RUN),
        caught("the cache holds other answers, and the adapter is judged on them",
               "tunegate release third --run=third.json", 4,
               "re-run with caching disabled, the adapter: ... cases have another outcome than in its record",
               ran(THIRD, 1), poison("5", "7"), ran(f"{THIRD} --tg-out=third.json"), passes=OF_RUN, own_cache=True),
        caught("the cache holds other answers (mended by asking again)", f"{GATE} --tg-fresh", 0,
               "Release: ", ran(GATE), poison("7", "5"), ran(GATE, 1), own_cache=True),
        caught("a file is added to the adapter's folder before the release", OF_RUN, 4,
               "tuned: expected only files that tunegate wrote, found more.bin too",
               copy(RUN, "tuned/more.bin")),
        caught("a file is added to the adapter's folder after the release", VERIFY, 4,
               "tuned: expected only the released files, found more.bin too", copy(RUN, "tuned/more.bin")),
        caught("the base is another one where it is released", f"{OF_RUN} --model=other", 4,
               "expected the model of the evaluation, found another base, model; set --model",
               copy("model", "other"), rescaled("other/model.safetensors", "q_proj", 1.5), passes=OF_RUN),
        caught("a release was cut off between its files", GATE, 4,
               "baselines/.unfinished.json: expected no unfinished change, found one; run it again: tunegate",
               cut_off("tunegate release tuned")),
    ),
    "Without pytest": (
        caught("conftest.py lets no case be judged", ISOLATED, 1, "gate: blocked by desk/wording, desk",
               write("conftest.py", "def pytest_collection_modifyitems(items): items.clear()"), passes=BY_GATE),
        caught("pytest's options select nothing", ISOLATED, 1, "gate: blocked by desk/wording, desk",
               write("pytest.ini", "[pytest]\naddopts = -k nothing"), passes=BY_GATE),
        caught("a check of one's own reaches into the gate", ISOLATED, 1, "gate: blocked by desk/wording, desk",
               write("checks.py", REACHING), replace("pyproject.toml", "[tool.tunegate]", OWN_CHECKS), passes=BY_GATE),
        caught("inconclusive is made a warning", f"{BY_GATE} --policy-from=HEAD", 1,
               "[tool.tunegate] inconclusive: not set -> warn",
               commit(), replace("pyproject.toml", "[tool.tunegate]", '[tool.tunegate]\ninconclusive = "warn"'),
               passes=BY_GATE),
        caught("a margin is widened, and the baseline recorded again", f"{BY_GATE} --policy-from=HEAD", 4,
               "desk/wording: task.yaml is looser: margin 0.2 -> 0.4",
               commit(), put(POLICY, "units.wording.margin", 0.4), ran(RECORD), passes=BY_GATE),
    ),
    "Records and releases": (
        caught("an output is edited", OF_RUN, 4, RUN_EDITED, put(RUN, f"{C03}.output", "8")),
        caught("a score is edited", OF_RUN, 4, RUN_EDITED, put(RUN, f"{C03}.score", 0.0)),
        caught("a mean is edited", OF_RUN, 4, RUN_EDITED, put(RUN, "units.desk/triage.mean", 0.9)),
        caught("a verdict is edited", OF_RUN, 4, RUN_EDITED, put(RUN, "verdicts.desk/triage.verdict", "held")),
        caught("a partial record is called complete", OF_RUN, 4, RUN_EDITED,
               judged("--tg-sealed -k c03"), put(RUN, "partial", False)),
        caught("a decision is edited", "tunegate release third --run=third.json", 4,
               "third.json: expected a record as it was written, found an edited one",
               put("third.json", "tasks.desk.decision", "release"), passes=OF_RUN),
        caught("another tool wrote another output", OF_RUN, 4, OTHER_SCORES.format(RUN),
               put(RUN, f"{C03}.output", "none"), stamp(RUN)),
        caught("another tool wrote a score", OF_RUN, 4, OTHER_SCORES.format(RUN),
               put(RUN, f"{C03}.score", 0.0), stamp(RUN)),
        caught("another tool wrote a score into the baseline that it was judged against", OF_RUN, 4,
               OTHER_SCORES.format(THE_BASELINE), put(BASE, "cases.c03.score", 1.0), stamp(BASE), enter(BASE)),
        caught("another tool left a case out", OF_RUN, 4,
               "desk/triage: the fixtures changed since run.json was evaluated (other cases (+c03))",
               drop(RUN, C03), stamp(RUN)),
        caught("another tool added a case", OF_RUN, 4,
               "desk/triage: the fixtures changed since run.json was evaluated (other cases (-c99))",
               put(RUN, "cases.desk/triage/c99", {"score": 1.0, "findings": [], "output": "7"}), stamp(RUN)),
        caught("another tool wrote the verdict", OF_RUN, 4,
               "computed again, the verdicts of desk/triage are not those of run.json",
               put(RUN, "verdicts.desk/triage.verdict", "held"), stamp(RUN)),
        caught("another tool wrote the decision", "tunegate release third --run=third.json", 4,
               "desk: not released. Blocked: desk/wording regressed",
               put("third.json", "tasks.desk.decision", "release"), stamp("third.json"), passes=OF_RUN),
        caught("the record is cut off", OF_RUN, 4, "expected a record (JSON), found a mistake in column", cut(RUN)),
        caught("the record is a link to itself", OF_RUN, 4,
               "run.json: expected a record (JSON), found a circular link", circle(RUN)),
        caught("another tool wrote a unit without its questions", OF_RUN, 4,
               "expected a record whose parts belong together, found no questions of desk/triage",
               drop(RUN, "questions.desk/triage"), stamp(RUN)),
        caught("a key stands twice", OF_RUN, 4, "the key 'partial' twice",
               replace(RUN, '"partial": false', '"partial": true, "partial": false')),
        caught("a score is no number", OF_RUN, 4, "NaN, which is not a number",
               replace(RUN, '"score": 1.0', '"score": NaN')),
        caught("only a part was judged", OF_RUN, 4, "run.json: expected a complete record, found a partial one",
               judged("--tg-sealed -k triage")),
        caught("a suite's file was deleted", OF_RUN, 4, "run.json: expected a complete record, found a partial one",
               remove("suites/test_vocabulary.py"), judged("--tg-sealed")),
        caught("the sealed unit was not judged", OF_RUN, 4,
               "desk/final: sealed units must be evaluated for a release", judged("")),
        caught("the fixtures changed since the run", OF_RUN, 4,
               "desk/triage: the fixtures changed since run.json was evaluated",
               put(TRIAGE, "prompt.system", "Count well."), ran(RECORD)),
        caught("the baseline is gone since the run", OF_RUN, 4, "desk/triage: expected a baseline at ... found none",
               remove(BASE)),
        caught("it was judged against a copy of the baselines without the last release",
               "tunegate release second --run=second.json", 4, "desk: not released. Blocked: desk/triage regressed",
               passes=OF_RUN),
        caught("inconclusive was let pass as a warning", OF_RUN, 4,
               "desk: not released. Blocked: desk/wording inconclusive",
               put(POLICY, "units.wording.margin", 0.05), judged("--tg-sealed --tg-inconclusive=warn")),
        caught("the record is another adapter's", "tunegate release tuned --run=second.json", 4,
               "second.json: expected the record of this adapter ( ... ), found that of", passes=OF_RUN),
        caught("the record is of outputs made elsewhere", "tunegate release tuned --run=base.json", 4,
               "base.json: its outputs were supplied, not generated: they can be gated, but not released",
               passes=OF_RUN),
        caught("the adapter was never judged", RELEASE, 4, NO_RUN, remove(".tunegate/runs")),
        caught("the adapter is swapped after the run", OF_RUN, 4, "run.json: expected the record of this adapter",
               copy(f"second/{WEIGHTS}", f"tuned/{WEIGHTS}")),
        caught("a byte of the adapter changes after the run", RELEASE, 4, NO_RUN, flip(f"tuned/{WEIGHTS}")),
        caught("the adapter's alpha changes after the run", RELEASE, 4, NO_RUN,
               put("tuned/adapter_config.json", "lora_alpha", 16)),
        caught("the adapter has no training record", RELEASE, 4,
               "tuned: expected a training record (training.json), found none", remove("tuned/training.json")),
        caught("the training record is another adapter's", RELEASE, 4,
               "tuned: expected the adapter its training record describes, found another one",
               copy("second/training.json", "tuned/training.json")),
        caught("the diagnosis it was trained on is gone", RELEASE, 4, "expected a diagnosis at ... found none",
               remove(DIAGNOSIS)),
        caught("the diagnosis was made again, and names a cheaper remedy", RELEASE, 4,
               "desk: expected a diagnosis that names fine-tuning, found another remedy",
               put(DIAGNOSIS, "units.desk/triage.remedy", "prompt"), stamp(DIAGNOSIS)),
        caught("a released adapter is swapped", VERIFY, 4,
               "tuned: expected the files as released, found adapter_model.safetensors changed or missing",
               copy(f"second/{WEIGHTS}", f"tuned/{WEIGHTS}")),
        caught("the training record is edited", RELEASE, 4,
               "training.json: expected the training record as it was written, found it edited",
               put("tuned/training.json", "recipe.seed", 99)),
        caught("a verdict in the manifest is edited", VERIFY, 4,
               "release.json: expected the release manifest unedited, found it edited",
               put("tuned/release.json", "verdicts.desk/triage", "held")),
        caught("the manifest is another adapter's", VERIFY, 4, "tuned: the adapter does not match its manifest",
               put("tuned/release.json", "adapter", "0" * 64), stamp("tuned/release.json")),
        caught("an adapter that was not released is delivered", "tunegate verify second", 4,
               "expected a release manifest, found none", passes=VERIFY),
    ),
    "Training": (
        caught("there is no baseline yet", TRAIN, 4, "desk/triage: expected a baseline at ... found none; record it",
               remove("baselines")),
        caught("the baseline is another model's", TRAIN, 4,
               "desk/triage: expected a baseline of this model (model- ... ), found one of another only",
               rescaled("model/model.safetensors", "embed_tokens", 1.01)),
        caught("the fixtures changed since the baseline", TRAIN, 4, recorded("other inputs"),
               put(TRIAGE, "cases.3.input", "How many?")),
        caught("there is no diagnosis yet", TRAIN, 4,
               "expected a diagnosis at ... desk/diagnosis.json, found none; run: tunegate diagnose",
               remove(DIAGNOSIS)),
        caught("the diagnosis names a cheaper remedy", TRAIN, 4,
               "desk: expected a diagnosis that names fine-tuning, found another remedy",
               put(DIAGNOSIS, "units.desk/triage.remedy", "retrieval"), stamp(DIAGNOSIS)),
        caught("the diagnosis is edited", TRAIN, 4, "expected a diagnosis as it was written, found it edited",
               put(DIAGNOSIS, "units.desk/triage.remedy", "fine-tune for cost")),
        caught("the fixtures changed since the diagnosis", TRAIN, 4,
               "desk/triage: ... diagnosis.json was made with other inputs; run: tunegate diagnose desk",
               put(TRIAGE, "cases.3.input", "How many?"), ran(RECORD)),
        caught("a diagnosis is overridden without a reason", TRAIN, 4, 'expected heed, or {override: "the reason"}',
               put("tuned.yaml", "diagnosis", {"override": " "})),
        caught("a row repeats a fixture, and the recipe drops none", TRAIN, 4,
               "1 of 8 training rows repeat fixtures; ... tuned.jsonl:4 repeats desk/triage/c03",
               replace("tuned.jsonl", "Ticket 3 asks for a number.", "how many boilers are in HOUSE 3"),
               put("tuned.yaml", "decontaminate", {"refuse": "refuse"})),
        caught("a row holds somebody's address", TRAIN, 4, "Training rows with secrets or personal data: 1",
               replace("tuned.jsonl", "Ticket 3 asks for a number.", "Mail ann.lee@gmail.com the number.")),
        caught("the output is a released adapter", "tunegate train tuned.yaml --output=tuned", 4,
               "tuned holds a released adapter; name another", passes=TRAIN),
    ),
    "Outputs made elsewhere": (
        caught("a line answers no case", OUTPUTS, 4, "expected a case of the fixtures, found 'desk/triage/c99'",
               line("desk/triage/c99", "7")),
        caught("a case is answered twice", OUTPUTS, 4, "expected each case and repeat once, found 'desk/triage/c04'",
               replace("outputs.jsonl", "desk/triage/c03", "desk/triage/c04")),
        caught("a case is not answered", OUTPUTS, 1, "the run has no score for 1 case (c03)",
               replace("outputs.jsonl", '{"case": "desk/triage/c03", "output": "7"}\n', "")),
        caught("an answer is null", OUTPUTS, 1, "the run has no score for 1 case (c03)", line("desk/triage/c03", None)),
        caught("the file is cut off", OUTPUTS, 4, "expected one JSON object", cut("outputs.jsonl")),
        caught("they are compared with a model's baseline", OUTPUTS.replace("base.json", "baseline"), 4,
               "a baseline of supplied outputs needs a name: replay:NAME=FILE", passes=OUTPUTS),
        caught("they are compared with a model's baseline, under a name",
               OUTPUTS.replace("base.json", "baseline").replace("replay:", "replay:gpt="), 4,
               "desk/triage: expected a baseline of this model (replay-gpt), found one of another only",
               passes=OUTPUTS),
        caught("they are recorded, and nothing shows which prompts they answer",
               "tunegate record --from=outputs.jsonl --name=gpt", 4,
               "expected the digest of the request of each output of desk/triage, found none on 40 lines",
               passes=OUTPUTS),
        caught("they answer another prompt than the present one", OUTPUTS, 4,
               "expected the digest of the current request of desk/triage, found that of another request on 1 line "
               "(c03)",
               replace("outputs.jsonl", '{"case": "desk/triage/c03",',
                       f'{{"case": "desk/triage/c03", "digest": "{"0" * 64}",')),
        caught("they are no better on a target than the record", OUTPUTS, 1, "desk: Blocked: no gain on desk/triage",
               *[line(f"desk/triage/c{number:02}", "none") for number in range(8, 16)]),
        caught("a margin is widened since the record", OUTPUTS, 4,
               "base.json: desk/wording has looser rules than when it was evaluated (margin 0.2 -> 0.5)",
               put(POLICY, "units.wording.margin", 0.5)),
        caught("a target becomes a guard since the record", OUTPUTS, 4,
               "base.json: desk/triage has looser rules than when it was evaluated (role target -> guard)",
               put(POLICY, "units.triage.role", "guard"), put(POLICY, "units.final.role", "guard")),
        caught("the record to compare with was asked otherwise", OUTPUTS, 4,
               "base.json: desk/triage was evaluated with other inputs", put(TRIAGE, "cases.3.context", "A house.")),
        caught("the record to compare with is partial", OUTPUTS, 4,
               "base.json: expected a complete record, found a partial one",
               ran("pytest suites/ --tg-model=replay:outputs.jsonl --tg-out=base.json -k wording")),
        caught("another tool wrote a score into the record to compare with", OUTPUTS, 4,
               "desk/wording: the record (base.json) does not match its outputs: ... w03",
               put("base.json", "cases.desk/wording/w03.score", 0.0), stamp("base.json")),
        caught("another tool took out of it what a unit is held to", OUTPUTS, 4,
               "base.json: expected a record whose parts belong together, found no policies of desk/wording",
               drop("base.json", "policies.desk/wording"), stamp("base.json")),
        caught("the record to compare with is edited", OUTPUTS, 4,
               "base.json: expected a record as it was written, found an edited one",
               put("base.json", "cases.desk/wording/w03.score", 0.0)),
    ),
    "The command line": (
        caught("the suites run on several workers", f"{GATE} -n 2", 4, "run them with -n0", passes=GATE),
        caught("nothing is selected", f"{GATE} -k triaeg", 5, "deselected", passes=GATE),
        caught("the folder of fixtures is mistyped", f"{GATE} --tg-cases=fixturse", 4,
               "fixturse: expected a folder of fixtures, found nothing", passes=GATE),
    ),
}  # fmt: skip

INTRODUCTION = """\
# Mistakes that could fool a gate

A gate is worth what it refuses. Every mistake below is made, by test, in a copy of a small project, and the command
then has to end with the exit code and say the words. Without the mistake it passes: also that is tested.

In that project the base model fails the target `desk/triage` and passes the guard `desk/wording`; `desk/replies` is
sealed. The adapter `tuned` is released; `run.json` is the record of its gate. `second` beats the base, but not
`tuned`; `third` wins the target and loses the guard. `outputs.jsonl` holds outputs made elsewhere, and `base.json` the
record that they are compared with. What "another tool" writes has a valid digest.

Exit codes: 0 passed; 1 judged, and blocked; 3 could not run; 4 refused; 5 nothing was collected.
"""


def page() -> str:
    """The mistakes as a page of Markdown tables."""
    return "\n".join([INTRODUCTION, *(line for title, rows in MISTAKES.items() for line in _table(title, rows))])


def _table(title: str, rows: Sequence[Mistake]) -> Iterator[str]:
    yield from (f"## {title}", "", "| the mistake | command | exit code | what it says |", "|---|---|---|---|")
    for row in rows:
        cells = (row.what, f"`{row.command}`", str(row.code), f"`{row.says}`")
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield ""
