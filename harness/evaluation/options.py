"""Every option, once, for pytest and for the commands; the standing values that pyproject.toml may set; a run's own."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunegate.harness.core.errors import Refused, show_path
from tunegate.harness.core.files import same_file
from tunegate.harness.core.project import PROJECT, is_project, project_table
from tunegate.harness.models.model_options import (
    AUTO,
    CACHE_MEGABYTES,
    DEADLINE,
    IN_FLIGHT,
    WORKER_CPUS,
    WORKER_GPUS,
    WORKERS,
    ModelOptions,
    is_server,
    is_vllm,
    split_server,
    template_from,
    vllm_model,
)

if TYPE_CHECKING:
    from tunegate.harness.evaluation.shard_record import Shards
    from tunegate.harness.evaluation.shards import Shard
    from tunegate.harness.models.prompts import (
        RungName,  # too heavy for the plugin, which is loaded wherever pytest runs
    )

REPLAY = "replay:"
BASELINE = "baseline"
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]{0,62}[A-Za-z0-9_+-])?")  # of outputs; it names a folder
NAME_IS = "letters, digits, _ . + and -, at most 64, with a letter, digit or _ first and no dot last"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it is called, what it says, what it takes.

    It is `--tg-NAME` in pytest (where `suites`: pytest takes it), `--NAME` in every command that has it, and the key
    NAME of `[tool.tunegate]` (where `stands`: a standing value makes sense). Without `takes` it is a flag. `least` is
    the smallest number that it takes.
    """

    name: str
    help: str
    takes: str = ""
    type: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    many: bool = False
    suites: bool = False
    stands: bool = False

    @property
    def dest(self) -> str:
        """Its attribute in pytest's options."""
        return f"tg_{self.name.replace('-', '_')}"

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.takes


#: Every option of pytest and of the commands. The plugin and the commands are made from these rows.
TABLE = (
    Option("model", "The model: smollm2 (embedded), a folder, a Hub id, vllm: with one of these, openai:URL#MODEL, or "
           "replay:[NAME=]FILE.jsonl", "MODEL",
           default="smollm2", suites=True, stands=True),
    Option("device", "Where a local model is computed; auto: the first accelerator that there is", "auto|cpu|cuda|mps",
           default="auto", choices=("auto", "cpu", "cuda", "mps"), suites=True, stands=True),
    Option("dtype", "In which precision; auto: as the weights are stored, where the device multiplies that natively",
           "auto|float32|bfloat16|float16", default="auto", choices=("auto", "float32", "bfloat16", "float16"),
           suites=True, stands=True),
    Option("attention", "Which implementation computes attention; auto: the one that transformers takes",
           "auto|eager|sdpa|flash_attention_2", default="auto",
           choices=("auto", "eager", "sdpa", "flash_attention_2"), suites=True, stands=True),
    Option("quantization", "Round a local model's weights when it is loaded, by bitsandbytes on an NVIDIA GPU",
           "none|8bit|4bit", default="none", choices=("none", "8bit", "4bit"), suites=True, stands=True),
    Option("chat-template", "A chat template in Jinja, for a model without one or instead of its own; none: plain text",
           "FILE|none", Path, suites=True, stands=True),
    Option("tokenizer", "Ask a server in token ids, by this model's tokenizer: smollm2, a folder, a Hub id", "MODEL",
           suites=True, stands=True),
    Option("in-flight", "Requests that a server is asked at a time", "N", int, IN_FLIGHT, least=1, suites=True,
           stands=True),
    Option("deadline", "Seconds within which a server has to answer a request", "SECONDS", int, DEADLINE, least=1,
           suites=True, stands=True),
    Option("engine", "Where a local model is computed: in this process, or by workers on Ray", "local|ray",
           default="local", choices=("local", "ray"), suites=True, stands=True),
    Option("workers", "With ray: how many workers there are", "N", int, WORKERS, least=1, suites=True, stands=True),
    Option("worker-cpus", "With ray: CPUs of a worker", "N", int, WORKER_CPUS, least=1, suites=True, stands=True),
    Option("worker-gpus", "With ray: GPUs of a worker", "N", int, WORKER_GPUS, least=0, suites=True, stands=True),
    Option("ray-address", "The cluster; without it that of RAY_ADDRESS, else Ray is started here and stopped again",
           "HOST:PORT", suites=True, stands=True),
    Option("adapter", "Judge this LoRA adapter, or that of a NAME.ref; may be repeated", "DIR", Path, many=True,
           suites=True),
    Option("cases", "The folder of fixtures", "DIR", Path, Path("fixtures"), suites=True, stands=True),
    Option("checks", "A Python file of yours with further kinds of check", "FILE.py", Path, stands=True),
    Option("baselines", "The folder of recorded baselines", "DIR", Path, Path("baselines"), suites=True, stands=True),
    Option("record", "Write the baseline; misses are expected failures", suites=True, type=bool, default=False),
    Option("fresh", "Ask the model again, past the cache and the recorded outputs", suites=True, type=bool,
           default=False),
    Option("cache-size", "Megabytes of answers that are kept; those go first that were not used for the longest time",
           "MB", int, CACHE_MEGABYTES, least=1, suites=True, stands=True),
    Option("noise", "With --tg-record: ask the model a second time, and keep which cases flip by themselves",
           suites=True, type=bool, default=False),
    Option("shard", "Ask and score this share of the cases alone, into --tg-out; tunegate merge joins all of them",
           "NUMBER/COUNT", suites=True),
    Option("against", "The gate: fail if any unit or task blocks", "baseline|RECORD.json", suites=True),
    Option("out", "Also write the record here; a folder if several adapters are judged", "RECORD.json", Path,
           suites=True),
    Option("requests", "What outputs without a digest answer: the file that tunegate prompts wrote", "REQUESTS.jsonl",
           Path, suites=True),
    Option("rung", "Which rung of the ladder to ask on",
           "as-is|constrained|few-shot|few-shot-constrained|context|steps", default="as-is",
           choices=("as-is", "constrained", "few-shot", "few-shot-constrained", "context", "steps"), suites=True,
           stands=True),
    Option("sealed", "Judge sealed units too: for the final look", suites=True, type=bool, default=False),
    Option("repeats", "Answers per case, of sampled decoding or where greedy answers vary, too", "N", int, 1, least=1,
           suites=True, stands=True),
    Option("timing", "Also time base and adapter, one prompt at a time; nothing gates on it", suites=True, type=bool,
           default=False),
    Option("inconclusive", "With warn, an inconclusive unit alone does not fail the run", "block|warn", default="block",
           choices=("block", "warn"), suites=True, stands=True),
    Option("ledger-remote", "Count openings of sealed cases there, too, before anything is asked: a git remote",
           "REMOTE", suites=True, stands=True),
    Option("policy-from", "Judge by the rules of this branch or commit too: where the change comes from", "GITREF"),
    Option("permit", "Let the altered rules of this name pass: exactly these were permitted", "DIGEST"),
    Option("contains", "Refuse if an event of this branch or commit is missing here", "GITREF"),
    Option("withdraw", "Take the release of the adapter back; the one before is the last again", type=bool,
           default=False),
    Option("key", "A PEM key on an elliptic curve: the private one signs, the public one verifies", "FILE.pem", Path),
    Option("reason", "Why the release is withdrawn, or the unit retired", "TEXT"),
    Option("name", "What the outputs are called; their baselines lie in replay-NAME/", "NAME"),
    Option("render", "Also write each prompt as this model's chat template does: smollm2, a folder, a Hub id", "MODEL"),
    Option("suite", "Which suite scores the new cases", "schema|vocabulary|retention", default="schema",
           choices=("schema", "vocabulary", "retention")),
    Option("from", "What it is made from: outputs for record, one a line; a table of examples for init", "FILE", Path),
    Option("input", "The column that holds what is asked", "COLUMN"),
    Option("expect", "A column that holds what is expected; may be repeated", "COLUMN", many=True),
    Option("id", "The column that holds the names of cases; without it they are numbered", "COLUMN"),
    Option("system", "The system message of the prompt; without it, one that asks for what is expected", "TEXT"),
    Option("goal", "What the task is for, in a sentence, for whoever reviews it", "TEXT"),
    # 200 cases hold a margin of five points; more take longer and show little more
    Option("limit", "Cases to make at most, the same ones every time", "N", int, 200, least=1),
    Option("run", "The run to rest on, by its record", "RECORD.json", Path),
    Option("larger", "A larger model, one more rung", "MODEL", stands=True),
    Option("sample", "Cases of a unit to ask, hits and misses alike", "N", int, 40, least=10, stands=True),
    Option("unit", "Only this unit", "TASK/UNIT"),
    Option("margin", "Hold this, .05 for five points, not what is declared", "SHARE", float),
    Option("gain", "Show this, .05 for five points", "SHARE", float),
    Option("flip-rate", "Assume this, .04 for 4 %, not what was measured", "SHARE", float),
    Option("output", "What is made: the folder of the adapter or the merged model, a GGUF file, or rows", "PATH", Path),
    Option("prompts", "Print what the teacher would be asked, for whoever answers elsewhere, and ask nobody", type=bool,
           default=False),
    Option("to", "What is made of the adapter: a merged model folder, or a GGUF file", "merged|gguf", default="merged",
           choices=("merged", "gguf")),
    Option("report", "Where the report on the rows goes", "FILE.json", Path),
    Option("trials", "Train so many times, with other settings and seeds, and keep the best by the rows put aside", "N",
           int, least=2),
    Option("dry-run", "All but the training, with an estimate of it", type=bool, default=False),
    Option("format", "With github, annotations beside the lines of a pull request", "text|github", default="text",
           choices=("text", "github")),
    Option("decision", "Also write what was decided here, for report, view and comment", "FILE.json", Path),
    Option("html", "Write a page with every case, that opens offline: one file, or a folder where they are many",
           "FILE.html|DIR", Path),
    Option("tensorboard", "Also write the scores for TensorBoard here", "DIR", Path),
    Option("page", "Where the page will be found, for links to its cases", "URL"),
    Option("markdown", "Print Markdown, as for the summary of a job", type=bool, default=False),
    Option("strict", "Let warnings fail, too", type=bool, default=False, stands=True),
    Option("report-card", "Show what each voice metric can do; takes seconds", type=bool, default=False),
    Option("home", "Where the demo writes; emptied first", "DIR", Path, Path(".tunegate/demo")),
    Option("full", "All units and rows of the demo, not one target and two guards", type=bool, default=False),
    Option("why", "Say how each verdict was reached: the tests, their levels, p, and the margin's reason", type=bool,
           default=False),
    Option("json", "Print the results as JSON, and nothing else on stdout", type=bool, default=False),
    Option("quiet", "No progress and no chatter: results and errors only", type=bool, default=False),
)  # fmt: skip
OPTIONS: Mapping[str, Option] = {option.name: option for option in TABLE}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run, as given on the command line or in pyproject.toml; paths are absolute or from `root`."""

    root: Path
    model: str = "smollm2"
    adapters: tuple[Path, ...] = ()
    cases: Path = Path("fixtures")
    baselines: Path = Path("baselines")
    out: Path | None = None
    against: str | None = None
    record: bool = False
    fresh: bool = False
    noise: bool = False
    requests: Path | None = None
    rung: RungName = "as-is"
    sealed: bool = False
    repeats: int = 1
    inconclusive: Literal["block", "warn"] = "block"
    timing: bool = False
    ledger_remote: str | None = None
    opened: ModelOptions = field(default_factory=ModelOptions)
    cache_size: int = CACHE_MEGABYTES
    shard: Shard | None = None
    shards: Shards | None = None  # that are merged: they answer, and no model is asked

    @property
    def replays(self) -> bool:
        """Whether outputs made elsewhere are judged, instead of a model's."""
        return self.model.startswith(REPLAY)

    def out_of(self, adapter: Path | None) -> Path | None:
        """Where --tg-out wants the record of an adapter (None: of the model itself); a folder holds several."""
        if self.out and adapter and len(self.adapters) > 1:
            return self.out / f"{adapter.name}.json"
        return self.out

    @property
    def reads(self) -> list[tuple[str, Path]]:
        """The files that options name and that the run reads, with the option."""
        against = Path(self.against) if self.against and self.against != BASELINE else None
        replayed = split_replay(self.model)[1] if self.replays else None
        named = {"--tg-model": replayed, "--tg-requests": self.requests, "--tg-against": against}
        merged = [("merge", path) for path in self.shards.files] if self.shards else []
        return [(name, path) for name, path in named.items() if path] + merged

    @property
    def writes(self) -> list[tuple[str, Path]]:
        """The files that it writes where options say, with the option: each record and its sidecar."""
        from tunegate.harness.evaluation.sidecar import sidecar_path  # too heavy for the plugin

        records = [out for each in self.adapters or (None,) if (out := self.out_of(each)) and out.name]
        return [("--tg-out", path) for record in records for path in (record, sidecar_path(record))]

    def check(self) -> None:
        """Refuse what cannot mean anything, before a model has worked an hour for it.

        Raises:
            Refused: names the options and what to do.
        """
        if is_server(self.model):
            split_server(self.model)
        if is_vllm(self.model):
            vllm_model(self.model)
        wrong = [
            *self._clashes(), *self._bad_replay(), *self._bad_server(), *self._bad_vllm(), *self._bad_adapters(),
            *self._bad_out(), *self._bad_shard(), *self._bad_merge(),
            *self._bad_ray(),
        ]  # fmt: skip
        if self.repeats < 1:
            wrong.append(f"--tg-repeats: expected a whole number from 1, found {self.repeats}")
        if wrong:
            raise Refused("\n".join(wrong))

    def _clashes(self) -> Iterator[str]:
        if self.record and self.against:
            yield "--tg-record writes the baseline that --tg-against compares with: use one of them"
        if self.record and len(self.adapters) > 1:
            yield "--tg-record with several --tg-adapter: only the released adapter renews its files, one at a time"
        if self.fresh and self.replays:
            yield "--tg-fresh with --tg-model replay:FILE: its outputs are there already, no model is asked"
        if self.noise and not self.record:
            yield "--tg-noise is kept with a baseline: use it with --tg-record"
        if self.noise and self.adapters:
            yield "--tg-noise with --tg-adapter: it is the base that is asked twice; measure it without an adapter"
        if self.timing and self.replays:
            yield "--tg-timing with --tg-model replay:FILE: its outputs are there already, nothing is left to be timed"
        elif self.timing and not self.adapters:
            yield "--tg-timing times a base and an adapter side by side: name one with --tg-adapter"

    def _bad_merge(self) -> Iterator[str]:
        if self.shards is None or not self.record:
            return
        who = self.shards.first.record
        if who.fingerprint["subject"].get("adapter"):
            yield "--tg-record: expected shards of a base, found those of an adapter, which is no baseline"
        if who.is_supplied:
            yield "--tg-record: outputs that were supplied are recorded from their file: tunegate record --from FILE"

    def _bad_ray(self) -> Iterator[str]:
        here, ray = "--tg-engine ray", self.opened.ray
        if ray is None:
            return
        if self.replays or is_server(self.model):
            yield f"{here} with --tg-model {self.model}: its answers are made elsewhere, and no worker has it"
        if is_vllm(self.model):
            yield f"{here} with --tg-model {self.model}: workers compute with transformers; name the model alone"
        if self.timing:
            yield f"{here} with --tg-timing: what is timed is one call after another in this process"
        limits = {"workers": (ray.workers, 1), "worker-cpus": (ray.cpus, 1), "worker-gpus": (ray.gpus, 0)}
        for name, (value, least) in limits.items():
            if value < least:
                yield f"--tg-{name}: expected a whole number from {least}, found {value}"

    def _bad_shard(self) -> Iterator[str]:
        here = f"--tg-shard {self.shard}"
        if self.shard is None:
            return
        if self.out is None:
            yield f"{here}: expected a file for it, found none; name one with --tg-out SHARD.json"
        if self.against:
            yield f"{here} with --tg-against: a shard has no verdict; tunegate merge has one, with --against"
        if self.record:
            yield f"{here} with --tg-record: a shard is no baseline; tunegate merge writes one, with --record"
        if self.timing:
            yield f"{here} with --tg-timing: what is timed is base and adapter side by side, and no share of them"
        if len(self.adapters) > 1:
            yield f"{here} with several --tg-adapter: run each of them by itself, in a matrix of adapters and shards"

    def _bad_replay(self) -> Iterator[str]:
        if not self.replays:
            if self.requests:
                yield "--tg-requests: expected --tg-model replay:FILE, whose lines answer them, found another model"
            return
        given, (name, path) = self.model.removeprefix(REPLAY), split_replay(self.model)
        if self.adapters:
            yield "--tg-model replay:FILE with --tg-adapter: the model is the file, and takes no adapter"
        if (self.record or self.against == BASELINE) and not name:
            yield (
                "--tg-model replay:FILE: outputs have a baseline under a name of their own: replay:NAME=FILE; "
                "or keep their record with --tg-out RECORD.json and compare with --tg-against RECORD.json"
            )
        if not path.name:
            yield f"--tg-model {self.model}: expected a file of outputs, found no name of one"
        elif name and not path.exists() and Path(given).exists():
            yield f"--tg-model {self.model}: read as {path} called {name}; for the file {given} write replay:./{given}"
        elif "=" in given and not name and not path.exists():
            yield f"--tg-model {self.model}: expected replay:NAME=FILE, a name of {NAME_IS}, or a file; found neither"

    def _bad_vllm(self) -> Iterator[str]:
        here = "--tg-model vllm:MODEL"
        if not is_vllm(self.model):
            return
        if self.timing:
            yield f"--tg-timing with {here}: what is timed is one call after another of a local model"
        if self.opened.device != AUTO:
            yield f"--tg-device with {here}: vLLM computes where it was built for"
        if self.opened.tokenizer:
            yield f"--tg-tokenizer with {here}: prompts are made by the model's own tokenizer"

    def _bad_limits(self) -> Iterator[str]:
        for name, value in (("in-flight", self.opened.in_flight), ("deadline", self.opened.deadline)):
            if value < 1:
                yield f"--tg-{name}: expected a whole number from 1, found {value}"

    def _bad_server(self) -> Iterator[str]:
        opened, here = self.opened, "--tg-model openai:URL#MODEL"
        if is_server(self.model) or is_vllm(self.model):
            yield from self._bad_limits()
        if not is_server(self.model):
            return
        if self.adapters:
            yield f"{here} with --tg-adapter: name the adapter as the server does, instead of MODEL"
        if self.timing:
            yield f"--tg-timing with {here}: base and adapter are timed side by side on one engine, which is not here"
        if given := opened.given("device", "dtype", "attention", "quantization"):
            yield f"{' and '.join(each.partition('=')[0] for each in given)} with {here}: whoever started it chose that"
        if opened.chat_template and not opened.tokenizer:
            yield f"--tg-chat-template with {here}: name its tokenizer, too (--tg-tokenizer)"

    def _bad_adapters(self) -> Iterator[str]:
        yield from same_names(self.adapters)

    def _bad_out(self) -> Iterator[str]:
        several = len(self.adapters) > 1
        if self.out and self.out.is_dir() and not several:
            yield f"--tg-out {show_path(self.out)}: expected a file for one record, found a folder; name a file in it"
        if self.out and self.out.is_file() and several:
            yield f"--tg-out {show_path(self.out)}: expected a folder for several records, found a file; name a folder"
        for name, path in self.writes:
            if named := same_file(path, self.reads):
                yield f"{name}: expected files of its own, found that {named} reads {show_path(path)}; name another"


def same_names(adapters: Iterable[Path]) -> Iterator[str]:
    """What is wrong with adapters of one name: node ids and files of records carry the folder's name alone."""
    for name, count in Counter(adapter.name for adapter in adapters).items():
        if count > 1:
            yield f"--tg-adapter: expected folders of different names, found {count} named {name!r}; rename them"


def configured_cases(root: Path) -> Path | None:
    """The folder of fixtures where `root`'s pyproject.toml has `[tool.tunegate]`; None without that table.

    Nothing is refused here: whoever reads the settings says what is wrong with them.
    """
    if not is_project(root):
        return None
    try:
        cases = project_table(root).get("cases")
    except Refused:
        cases = None
    return root / (cases if isinstance(cases, str) else OPTIONS["cases"].default)


def split_replay(model: str) -> tuple[str, Path]:
    """The name and the file of `replay:NAME=FILE`; the name is empty in `replay:FILE`, whose file may hold a `=`."""
    given = model.removeprefix(REPLAY)
    name, _, path = given.partition("=")
    return (name, Path(path)) if path and NAME.fullmatch(name) else ("", Path(given))


def standing(root: Path) -> dict[str, Any]:
    """What each option is where the command line is silent: what `[tool.tunegate]` of `root` says, else the default.

    Paths count from `root`.

    Raises:
        Refused: see `read_settings`.
    """
    settings = read_settings(root)
    values = {option.name: settings.get(option.name, option.default) for option in TABLE if option.stands}
    return {name: _from(root, name, value) for name, value in values.items()}


def _from(root: Path, name: str, value: Any) -> Any:
    """A standing value; its path, or that of the outputs it names, counts from `root`."""
    if name == "chat-template" and value is not None:
        return template_from(root, value)
    if OPTIONS[name].type is Path and value is not None:
        return root / value
    if name == "model" and value.startswith(REPLAY):
        called, file = split_replay(value)
        # as it would be typed here: it is shown, and most runs start at the root
        return f"{REPLAY}{called}{'=' if called else ''}{os.path.relpath(root / file)}"
    return value


def read_settings(root: Path) -> dict[str, Any]:
    """The `[tool.tunegate]` table of `root`'s pyproject.toml; empty where there is none.

    Raises:
        Refused: not TOML, or a key or value that means nothing; all of them.
    """
    path, settings = root / PROJECT, project_table(root)
    wrong = [problem for key, value in settings.items() for problem in _setting_problems(key, value)]
    if wrong:
        raise Refused("\n".join(f"{show_path(path)}: [tool.tunegate] {problem}" for problem in wrong))
    return settings


def _setting_problems(key: str, value: Any) -> Iterator[str]:
    option = OPTIONS.get(key)
    if option is None or not option.stands:
        known = [each.name for each in TABLE if each.stands]
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        yield f"expected one of {', '.join(known)}, found {key!r}{hint}"
    elif not _fits(option, value):
        yield f"{key}: expected {_expected(option)}, found {value!r}"


def _fits(option: Option, value: Any) -> bool:
    if option.type in (int, bool):  # exactly: to Python, true is a number
        return type(value) is option.type and (option.least is None or value >= option.least)
    return isinstance(value, str) and (not option.choices or value in option.choices)


def _expected(option: Option) -> str:
    if option.choices:
        return f"{', '.join(option.choices[:-1])} or {option.choices[-1]}"
    kinds = {bool: "true or false", int: f"a whole number from {option.least}"}
    return kinds.get(option.type, "text in quotes")
