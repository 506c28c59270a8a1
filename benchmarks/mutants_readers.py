"""Mutants of every file that Tunegate reads: does any end in an unexpected error, too late, or in too much memory?

They are read in processes of their own, which may take so much processor time for each, so much memory, and no more.
The memory is the peak of such a process where a file raised it, else what it had.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir
from dataclasses import astuple, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.frame import Failed
from benchmarks.gate_markdown import table
from benchmarks.mutants_data import Form, mutant
from tests.support.paths import ROOT
from tunegate.harness.authoring.document import Document
from tunegate.harness.baselines.store import read_baseline
from tunegate.harness.cases.loader import load_tasks
from tunegate.harness.checks.vocabulary.terms import read_terms
from tunegate.harness.checks.voice import check as voice
from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.errors import TunegateError, Unexpected
from tunegate.harness.core.progress import Watch, quiet
from tunegate.harness.diagnosis.diagnosis import read_diagnosis
from tunegate.harness.evaluation.record import Record, read_record
from tunegate.harness.evaluation.shard_record import ShardRecord, read_shard
from tunegate.harness.evaluation.shards import parse_shard
from tunegate.harness.evaluation.sidecar import read_sidecar, sidecar_path
from tunegate.harness.ledger.ledger import read_ledger
from tunegate.harness.models.adapter_reference import adapter_folder
from tunegate.harness.models.adapters import adapter_digest, training_record
from tunegate.harness.models.replay import read_replay
from tunegate.harness.models.request_file import read_digests
from tunegate.harness.options.settings import standing
from tunegate.harness.parity.result import PARITY, Artefact, artefacts_text, known_artefacts
from tunegate.harness.release.manifest import read_manifest
from tunegate.harness.reporting.decision import read_inputs
from tunegate.harness.reporting.report import report_of
from tunegate.trainers.config.recipe import read_recipe
from tunegate.trainers.data.examples import read_examples

SECONDS = 5.0  # of processor time, for one file
OF_A_PART = 220  # mutants
MEMORY = 1 << 30  # bytes, beside what the program itself takes
KINDS = ("refused", "read", "unexpected error", "too slow", "too much memory")
BAD = KINDS[2:]
UNIT = "desk/triage"
HERE = Path()


@dataclass(frozen=True)
class Reader:
    """A kind of file: where one stands, in what form, what reads it, and whether it carries a digest."""

    name: str
    file: str
    form: Form
    read: Callable[[Path], object]
    is_stamped: bool = False


@dataclass(frozen=True)
class Reading:
    """What came of a mutant: one of `KINDS`, and the processor time (s) and memory (bytes) that it took."""

    reader: str
    what: str
    seconds: float = 0.0
    memory: int = 0
    detail: str = ""


def _tasks(_: Path) -> object:
    return load_tasks(HERE / "fixtures")


def _record(path: Path) -> object:
    return report_of((read_record(path),))


def _sidecar(path: Path) -> object:
    record = read_record(path.with_name(path.name.removesuffix(".cases.jsonl") + ".json"))
    return read_sidecar(replace(record, sidecar=hashlib.sha256(path.read_bytes()).hexdigest()))


def _released(path: Path) -> object:
    return read_manifest(path.parent), training_record(path.parent)


def _parity(path: Path) -> object:
    return known_artefacts(path.parent, adapter_digest(path.parent), read_record(path.parent / "record.json"))


READERS = (
    Reader("fixtures", "fixtures/desk/triage.yaml", "yaml", _tasks),
    Reader("task.yaml", "fixtures/desk/task.yaml", "yaml", _tasks),
    Reader("a schema", "fixtures/desk/refs/product.schema.json", "json", _tasks),
    Reader("terms", "terms.yaml", "yaml", read_terms),
    Reader("voice references", "voice.yaml", "yaml",
           lambda path: voice.load({"references": path.name}, Document(path, None, {}), ())),
    Reader("recipe", "recipe.yaml", "yaml", read_recipe),
    Reader("rows", "rows.jsonl", "lines", lambda path: read_examples([path], load_tasks(HERE / "fixtures")[0])),
    Reader("settings", "pyproject.toml", "toml", lambda _: standing(HERE)),
    Reader("record", "run.json", "json", _record, is_stamped=True),
    Reader("sidecar", "run.cases.jsonl", "lines", _sidecar),
    Reader("outputs", "outputs.jsonl", "lines",
           lambda path: read_replay(path, {f"{UNIT}/c{number:03}": 0 for number in range(60)})),
    Reader("requests", "requests.jsonl", "lines", read_digests),
    Reader("parity", f"adapter/{PARITY}", "json", _parity, is_stamped=True),
    Reader("shard", "shard.json", "json", read_shard, is_stamped=True),
    Reader("baseline", "baselines/replay-gpt/desk/triage.json", "json", lambda path: read_baseline(path, UNIT),
           is_stamped=True),
    Reader("released baseline", "released/triage.json", "json", lambda path: read_baseline(path, UNIT),
           is_stamped=True),
    Reader("diagnosis", "diagnosis.json", "json", read_diagnosis, is_stamped=True),
    Reader("training record", "adapter/training.json", "json", _released, is_stamped=True),
    Reader("manifest", "adapter/release.json", "json", _released, is_stamped=True),
    Reader("ledger event", "baselines/ledger/*.json", "json", lambda _: read_ledger(HERE / "baselines")),
    Reader("decision", "decision.json", "json", lambda path: read_inputs([path]).report()),
    Reader("adapter reference", "tuned.ref", "yaml", lambda path: adapter_folder(path, quiet())),
)  # fmt: skip


def keep_released(home: Path) -> None:
    """Put the outputs of the release and its diagnosis where they stay, before the baselines go."""
    [outputs] = home.glob("baselines/*/desk/triage.released.json")
    (home / "released").mkdir()
    shutil.copy(outputs, home / "released" / "triage.json")
    shutil.copy(outputs.with_name("diagnosis.json"), home / "diagnosis.json")


def prepare(home: Path, run: Callable[[Sequence[str]], tuple[int, str]], gate: Sequence[str]) -> None:
    """Write what else is read into the project at `home`."""
    with chdir(home):
        code, said = run([*gate, "--decision=decision.json"])
        if code:
            raise Failed(said)
        [judged, *_] = sorted(path for path in Path(".tunegate/runs").glob("*.json"))
        shutil.copy(judged, "run.json")
        shutil.copy(sidecar_path(judged), sidecar_path(Path("run.json")))
        for name in ("terms", "voice"):
            shutil.copy(ROOT / "fixtures" / "support" / "refs" / f"{name}.yaml", f"{name}.yaml")
        Path("recipe.yaml").write_text(RECIPE)
        rows = [{"unit": "triage", "input": f"row {n}", "output": '{"product": "boiler"}'} for n in range(12)]
        Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        Path("pyproject.toml").write_text(SETTINGS)
        adapter, record = Path("adapter"), read_record(Path("run.json"))
        _write_parity(adapter)
        _write_shard(record)
        reference = {"version": 1, "adapter": adapter_digest(adapter), "from": "adapter"}
        Path("tuned.ref").write_text(json.dumps(reference))


RECIPE = """version: 1
model: tiny
task: desk
output: out
rows: [rows.jsonl]
method: sft
seed: 3
lora: {r: 8, alpha: 16}
optim: {lr: 1e-3, epochs: 2, batch: 4, validation_split: 0.2}
"""
SETTINGS = """[tool.tunegate]
cases = "fixtures"
baselines = "baselines"
repeats = 2
inconclusive = "block"
"""


def _write_parity(adapter: Path) -> None:
    artefact = Artefact("gguf/model.gguf", "gguf", "a" * 64, True, "2026-01-01", ("the same",), {})
    record = read_record(adapter / "record.json")
    (adapter / PARITY).write_text(artefacts_text(adapter_digest(adapter), record, [artefact]))


def _write_shard(record: Record) -> None:
    shard = ShardRecord(parse_shard("1/1"), "gpt", 1, (), record.questions, replace(record, partial=True))
    shard.write(Path("shard.json"))


def readings(home: Path, count: int, watch: Watch) -> list[Reading]:
    """What came of so many mutants, the readers in turn; the project stays as it is."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with chdir(home):
        for whole in _read_apart(range(-len(READERS), 0)):
            if whole.what != "read":
                raise Failed(f"{whole.reader}, unchanged: {whole.what}: {whole.detail}")
    parts = [range(begin, min(begin + OF_A_PART, count)) for begin in range(0, count, OF_A_PART)]
    found: list[Reading] = []
    parallel = ProcessPoolExecutor(os.cpu_count(), get_context("fork"))
    with watch(f"{count:,} mutants of what is read", count) as done, parallel as pool:
        for part in pool.map(_readings, [home] * len(parts), parts):
            found += part
            done(len(part))
    return found


def _readings(home: Path, numbers: range) -> list[Reading]:
    """Some of the mutants, in a copy of the project; one that ends its process is followed by a new one."""
    found: list[Reading] = []
    with tempfile.TemporaryDirectory() as made:
        while len(found) < len(numbers):
            shutil.copytree(home, made, dirs_exist_ok=True)
            with chdir(made):
                found += _read_apart(numbers[len(found) :])
    return found


def _path(reader: Reader) -> Path:
    [path, *_] = sorted(HERE.glob(reader.file))
    return path


def _read_apart(numbers: Sequence[int]) -> list[Reading]:
    """Read mutants in a process that is forked from this one: all, or those up to one that ends it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            with os.fdopen(writing, "w", errors="backslashreplace") as pipe:
                for number in numbers:
                    pipe.write(f"{json.dumps(astuple(_read(number)))}\n")
                    pipe.flush()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = [Reading(*json.loads(line)) for line in pipe]
    _, status, _ = os.wait4(child, 0)
    if len(found) < len(numbers):
        number, signals = numbers[len(found)], {signal.SIGXCPU, signal.SIGKILL}
        what = "too slow" if os.WIFSIGNALED(status) and os.WTERMSIG(status) in signals else "unexpected error"
        found.append(Reading(READERS[number % len(READERS)].name, what, SECONDS, 0, f"number {number}: {status}"))
    return found


def _read(number: int) -> Reading:
    """Read the mutant of a number, or for one below 0 the file as it is; the file is as it was afterwards."""
    reader, chance = READERS[number % len(READERS)], random.Random(number)  # noqa: S311
    path = _path(reader)
    whole = path.read_bytes()
    if number >= 0:
        path.write_bytes(mutant(whole, reader.form, chance, reader.is_stamped and chance.random() < 1 / 2))
    shown = path.read_bytes()[:200]
    _limit()
    before, begun = _peak(), time.process_time()
    what, detail = _outcome(reader, path)
    seconds = time.process_time() - begun
    path.write_bytes(whole)
    what = "too slow" if seconds > SECONDS else what
    detail = f"{detail}; number {number}; the file: {shown!r}" if what in BAD else detail
    peak = _peak()
    return Reading(reader.name, what, seconds, peak if peak > before else _pages(1), detail)


def _peak() -> int:
    """The most memory (bytes) that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _pages(column: int) -> int:
    """The memory (bytes) of this process: 0 is its addresses, 1 what it has."""
    return int(Path("/proc/self/statm").read_text().split()[column]) * resource.getpagesize()


def _limit() -> None:
    """Hold this process to so much more memory and processor time."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_pages(0) + MEMORY, resource.RLIM_INFINITY))
    until = int(time.process_time() + SECONDS) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _outcome(reader: Reader, path: Path) -> tuple[str, str]:
    try:
        reader.read(path)
    except MemoryError:
        return "too much memory", ""
    except BaseException as error:
        told = error if isinstance(error, TunegateError) else as_tunegate_error(error, Path("errors"))
        try:
            said = str(told)
            said.encode("utf-8", "backslashreplace")
        except Exception as worse:
            return "unexpected error", repr(worse)
        is_wrong = isinstance(told, Unexpected) or "unexpected error" in said or len(said) > MOST_SAID
        return ("unexpected error", f"{said[:300]!r}, {error!r:.300}") if is_wrong else ("refused", said[:300])
    return "read", ""


MOST_SAID = 200_000  # characters of a message


def report_parts(found: Sequence[Reading]) -> Iterator[str]:
    """The table of what was read, and what went wrong."""
    counts = Counter((each.reader, each.what) for each in found)
    rows = [
        [reader.name, *(str(counts[reader.name, kind]) for kind in KINDS), *_most(found, reader.name)]
        for reader in READERS
    ]
    totals = ["all", *(str(sum(counts[reader.name, kind] for reader in READERS)) for kind in KINDS), *_most(found)]
    yield (
        f"{len(found):,} seeded changes of every file that is read: of its structure (keys and values deleted, "
        "renamed, repeated, swapped, nested, of other types, huge, endless; anchors, aliases, tags and dates of YAML), "
        "its encoding and its bytes; half of those that carry a digest got one that fits. They are read in processes "
        f"of their own; each may take {SECONDS:.0f} s of processor time and {MEMORY >> 20:,} MB."
    )
    yield table(["file", *KINDS, "most s", "most MB"], [*rows, totals])
    wrong = [f"- {each.reader}, {each.what}: {each.seconds:.1f} s; {each.detail}" for each in found if each.what in BAD]
    if wrong:
        yield "\n".join(wrong[:20])


def _most(found: Sequence[Reading], reader: str = "") -> tuple[str, str]:
    those = [each for each in found if reader in ("", each.reader)] or [Reading("", "")]
    return f"{max(each.seconds for each in those):.1f}", f"{max(each.memory for each in those) >> 20}"


def wrong_readings(found: Sequence[Reading]) -> Iterator[str]:
    """The promises that were not kept."""
    counts: Mapping[Any, int] = Counter(each.what for each in found)
    yield from (f"{counts[what]} {what}" for what in BAD if counts.get(what))
