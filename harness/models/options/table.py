"""The table of all options, shared by pytest and the commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tunegate.harness.models.model_options import (
    CACHE_MEGABYTES,
    DEADLINE,
    DEVICE,
    DEVICE_IS,
    GGUF_TYPES,
    IN_FLIGHT,
    STALL,
    WORKER_CPUS,
    WORKER_GPUS,
    WORKERS,
)

Suite = Literal["schema", "vocabulary", "retention", "voice", "refusal", "rubric", "cost", "tools", "scored"]
SUITES: tuple[Suite, ...] = get_args(Suite)  # those that ship: every other place is held to this list by a test
FROM_EXAMPLES = SUITES[:3]  # those that `init` makes of a table of examples


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, help text and value.

    It is `--tg-NAME` in pytest (if `suites`), `--NAME` in every command that has it, and the key NAME of
    `[tool.tunegate]` (if `stands`). Without `takes` it is a flag. `least` is its minimum, `pattern` what it looks like
    (and what people call that) where its values are not listed by `choices`. `by` holds help texts that differ by
    command, `takes_by` values that do. `group` is its section in the help.
    """

    name: str
    help: str
    takes: str = ""
    type: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    pattern: tuple[re.Pattern[str], str] | None = None
    least: int | None = None
    many: bool = False
    suites: bool = False
    stands: bool = False
    group: str = ""
    by: Mapping[str, str] = field(default_factory=dict)
    takes_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def dest(self) -> str:
        """Its attribute in pytest's options."""
        return f"tg_{self.name.replace('-', '_')}"

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.takes


def _flag(name: str, text: str, **more: Any) -> Option:
    """Return an option without a value."""
    return Option(name, text, type=bool, default=False, **more)


def _setting(name: str, text: str, *takes: Any, **more: Any) -> Option:
    """Return an option of the commands that pytest and `[tool.tunegate]` have, too."""
    return replace(Option(name, text, *takes, **more), suites=True, stands=True)


def _choice_of(*choices: str) -> dict[str, Any]:
    """Return what an option has that takes one of these values, by default the first."""
    return {"takes": "|".join(choices), "choices": choices, "default": choices[0]}


#: Groups of options in the help of a command; `-h` shows only their names.
LOCAL, SERVER, WORKERS_ON_RAY, OUTPUT = "Local model", "Server", "Ray", "Output"
OPTIMISE = "Optimised prompt"

#: Every option of pytest and of the commands. The plugin and the commands are made from these rows.
TABLE = (
    _setting("model", "Model to run: smollm2 (embedded), a folder, a GGUF file, a Hub id, "
             "vllm:MODEL, openai:URL#MODEL, anthropic:URL#MODEL, python:FILE.py:FUNCTION, or "
             "replay:[NAME=]FILE.jsonl",
             "MODEL", default="smollm2",
             by={"compare": "Model of configurations without one",
                 "parity": "The served model: a merged folder, a GGUF file, openai:URL#MODEL, or "
                     "vllm:MODEL",
                 "release": "The base of the adapter",
                 "adopt": "The declared base of the adapter",
                 "distil": "The teacher: a folder, a Hub id, vllm:MODEL, openai:URL#MODEL, "
                     "anthropic:URL#MODEL, python:FILE.py:FUNCTION, or replay:NAME=FILE.jsonl",
                 "init": "Model to write into the new files, if you name one or give --rows"}),
    _setting("device", "Device of a local model; auto: the first accelerator found",
             "auto|cpu|cuda|cuda:N|mps", default="auto", pattern=(DEVICE, DEVICE_IS),
             group=LOCAL),
    _setting("dtype", "Precision of a local model; auto: as its weights are stored, if possible",
             **_choice_of("auto", "float32", "bfloat16", "float16"), group=LOCAL),
    _setting("attention", "Attention implementation; auto: the default of transformers",
             **_choice_of("auto", "eager", "sdpa", "flash_attention_2"), group=LOCAL),
    _setting("quantization", "Quantize a local model with bitsandbytes, on an NVIDIA GPU",
             **_choice_of("none", "8bit", "4bit"), group=LOCAL),
    _setting("chat-template",
             "Jinja chat template to use instead of the model's; none: plain text", "FILE|none",
             Path, group=LOCAL),
    _setting("tool-format",
             "TRL's template of this name, with its parser of calls, instead of the model's own",
             "NAME", group=LOCAL),
    _setting("tokenizer", "Send token ids to the server, from the tokenizer of this model", "MODEL",
             group=SERVER),
    _setting("in-flight", "Concurrent requests to a server", "N", int, IN_FLIGHT, least=1,
             group=SERVER),
    _setting("deadline", "Seconds per request to a server or function, retries included",
             "SECONDS", int, DEADLINE, least=1, group=SERVER),
    _setting("stall", "Seconds without a byte of a server, after which a request is sent again",
             "SECONDS", int, STALL, least=1, group=SERVER),
    _setting("max-model-len", "Maximum tokens of prompt and output of vllm:MODEL; by default its "
             "own, at most 8,192", "N", int, least=1, group=SERVER),
    _setting("reasoning-effort", "Reasoning effort of a hosted model, such as low", "EFFORT",
             group=SERVER),
    _setting("reasoning-tokens", "Reasoning tokens of a hosted model, added to max_new_tokens",
             "N", int, 0, least=0, group=SERVER),
    _setting("requests-per-minute", "Maximum requests per minute", "N", int, least=1, group=SERVER),
    _setting("tokens-per-minute", "Maximum tokens per minute, prompts and outputs together", "N",
             int, least=1, group=SERVER),
    _setting("engine", "Where a local model runs: in this process, or on Ray workers",
             **_choice_of("local", "ray"), group=WORKERS_ON_RAY),
    _setting("workers", "Number of Ray workers", "N", int, WORKERS, least=1, group=WORKERS_ON_RAY),
    _setting("worker-cpus", "CPUs per Ray worker", "N", int, WORKER_CPUS, least=1,
             group=WORKERS_ON_RAY),
    _setting("worker-gpus", "GPUs per Ray worker", "N", int, WORKER_GPUS, least=0,
             group=WORKERS_ON_RAY),
    _setting("ray-address", "Ray cluster; by default RAY_ADDRESS, or one started for the run",
             "HOST:PORT", group=WORKERS_ON_RAY),
    Option("adapter", "LoRA adapter to evaluate, or an adopted whole model: a folder or a "
           "NAME.ref; repeatable", "DIR", Path, many=True, suites=True,
           by={"distil": "LoRA adapter of the teacher, a folder"}),
    _setting("cases", "Folder of fixtures", "DIR", Path, Path("fixtures")),
    # not configurable: a repository must not choose which of the user's files are read
    Option("traffic", "Folder of traffic snapshots; by default $TUNEGATE_TRAFFIC, or in the user's "
           "data folder", "DIR", Path, suites=True),
    Option("allow-personal", "Why inputs with secrets or personal data are kept", "REASON"),
    Option("checks", "Python file with your own kinds of check", "FILE.py", Path, stands=True),
    _setting("baselines", "Folder of recorded baselines", "DIR", Path, Path("baselines")),
    _flag("record", "Record the baseline; failing cases are expected failures", suites=True),
    _flag("fresh", "Run the model again with caching disabled", suites=True),
    _setting("cache-size", "Maximum cache size in MB; the least recently used outputs are evicted",
             "MB", int, CACHE_MEGABYTES, least=1),
    _flag("noise", "Run the model twice, and store which cases differ", suites=True),
    Option("shard", "Score only this share of the cases, into --tg-out; tunegate merge joins them",
           "NUMBER/COUNT", suites=True),
    Option("against", "Run the gate: fail if any unit or task blocks", "baseline|RECORD.json",
           suites=True, by={"coverage": "Also compare with this earlier snapshot"},
           takes_by={"coverage": "OTHER.jsonl"}),
    Option("out", "Also write the record to this file, or to a folder for several adapters",
           "RECORD.json", Path, suites=True,
           by={"compare": "Also write NEW's record to this file"}),
    Option("write", "Also write missing inputs as cases without an expectation", "FILE.yaml", Path),
    Option("requests", "Requests of outputs without a digest, from tunegate prompts",
           "REQUESTS.jsonl", Path, suites=True),
    _setting("rung", "Prompting strategy",
             **_choice_of("as-is", "constrained", "few-shot", "few-shot-constrained", "context",
             "steps")),
    _flag("sealed", "Include sealed units, for the final decision", suites=True),
    _setting("repeats", "Outputs per case, if outputs vary between runs", "N", int, 1, least=1),
    _flag("timing", "Also time each model, one prompt at a time", suites=True),
    _setting("inconclusive", "warn: inconclusive units do not fail the run",
             **_choice_of("block", "warn")),
    _setting("ledger-remote", "Git remote that counts evaluations of sealed cases across clones",
             "REMOTE"),
    Option("policy-from", "Also apply the rules of this branch or commit, the base of the change",
           "GITREF"),
    Option("anchor", "Why this record becomes the anchor of later configurations", "REASON"),
    Option("approve", "Approve the rule changes with this digest", "DIGEST"),
    Option("contains", "Fail if an event of this branch or commit is missing here", "GITREF"),
    # not configurable: otherwise the released change could choose what it is compared with
    Option("into", "Branch to merge the release into, whose ledger is compared; by default that of "
           "origin or of the only remote", "REMOTE/BRANCH"),
    _flag("withdraw", "Withdraw the release of the adapter, and restore the previous one"),
    Option("key", "PEM key on an elliptic curve: the private key signs, the public key verifies",
           "FILE.pem", Path),
    Option("reason", "Why the release is withdrawn", "TEXT",
           by={"retire": "Why the unit is retired", "adopt": "Why no rows are known"}),
    Option("name", "Name of the outputs; their baselines go to replay-NAME/", "NAME",
           by={"case": "Id of the case; by default from the input's first words"},
           takes_by={"case": "ID"}),
    _flag("critical", "Make the case critical: one failed output blocks"),
    Option("render", "Also write each prompt as this model's chat template renders it", "MODEL"),
    Option("suite", "Suite that scores the new cases",
           **_choice_of(*FROM_EXAMPLES)),
    Option("from", "Outputs to record, one per line", "FILE", Path,
           by={"init": "Table of examples: .csv, .tsv, .json, .jsonl, .parquet, or "
           "hub:NAME@REVISION; or a file that `import` takes",
           "case": "Production log, one JSON object per line: id, input or messages, and perhaps "
           "output"}),
    Option("root", "Folder below which the files that it names lie; by default its own", "DIR", Path),
    Option("tools", "Tools that may be called; --from is then a log of chat messages", "FILE.json", Path),
    Option("input", "Column with the inputs", "COLUMN"),
    Option("expect", "Column with expected values; repeatable", "COLUMN", many=True,
           by={"case": "Expected output, or YAML as in a case; asked for if missing"},
           takes_by={"case": "VALUE"}),
    Option("match", "How targets are compared if the file names no scorer",
           "exact|starts|includes", choices=("exact", "starts", "includes")),
    Option("text", "Expected column that allows any text; repeatable", "COLUMN", many=True),
    Option("label", "Expected column that allows only the labels of the table; repeatable",
           "COLUMN", many=True),
    Option("absent", "Expected column where an empty cell means that the output lacks this key; repeatable",
           "COLUMN", many=True),
    Option("id", "Column with the ids of cases; by default, numbers", "COLUMN",
           by={"case": "The line of the log, by its id"}, takes_by={"case": "ID"}),
    Option("system", "System message of the prompt; by default one that asks for what is expected",
           "TEXT"),
    Option("goal", "What the task is for, in a sentence, for reviewers", "TEXT"),
    # 200 cases support a margin of five points; more take longer and add little
    Option("limit", "Maximum number of cases", "N", int, 200,
           least=1, by={"record": "Maximum number of requests in this run"}),
    Option("run", "Record to use instead of the newest complete one", "RECORD.json", Path),
    Option("larger", "A larger model to try as well", "MODEL", stands=True),
    Option("optimise-with", "Model that rewrites the prompts of units below their goal, on --rows",
           "MODEL", group=OPTIMISE),
    Option("rows", "Training rows for --optimise-with, or a recipe with them; repeatable",
           "FILE.jsonl|RECIPE.yaml", Path, many=True, group=OPTIMISE,
           by={"init": "Keep this many rows for training, not as cases, and write a recipe",
           "adopt": "Claimed training rows, in any format of a recipe; repeatable; or none, with "
           "--reason"}, takes_by={"init": "N", "adopt": "FILE|none"}),
    Option("reward", "Unit whose check was the reward of the training; repeatable", "UNIT",
           many=True),
    Option("trainer", "Who trained the adapter and claims the rows", "NAME"),
    Option("task", "Task that the adapter was trained for; by default the only one", "TASK"),
    Option("override", "Why the adapter is adopted without or against a diagnosis", "REASON"),
    Option("optimise-budget", "Maximum number of row evaluations per unit", "N", int, 400, least=60,
           group=OPTIMISE),
    Option("optimise-seed", "Seed that divides the rows and selects the proposals", "N", int, 0,
           least=0, group=OPTIMISE),
    Option("sample", "Cases to sample per unit", "N", int, 40, least=10, stands=True),
    Option("unit", "Only this unit", "TASK/UNIT",
           by={"compare": "Only this unit; repeatable", "init": "Name of the unit; by default its suite's"},
           takes_by={"init": "NAME"}),
    Option("margin", "Use this margin instead of the declared one; .05 is five points", "SHARE",
           float, by={"compare": "Margin of every metric from 0 to 1, or METRIC=NUMBER; repeatable"}),
    _flag("gate", "Exit with 1 if a metric blocks"),
    Option("better", "Whether higher or lower is better, where the file does not say; repeatable",
           "METRIC=higher|lower", many=True),
    Option("policy", "Margins, targets and minimum scores of the metrics", "FILE.yaml", Path),
    Option("gain", "Plan for this improvement; .05 is five points", "SHARE", float),
    Option("flip-rate", "Assume this flip rate instead of the measured one; .04 is 4 %", "SHARE",
           float),
    Option("near", "Share of the cases that training rows come near, for an adapter; prompts have none; .2 is 20 %",
           "SHARE", float, 0.0),
    Option("output", "Folder of the adapter", "PATH", Path,
           by={"adopt": "Folder of the adopted adapter; by default adapters/NAME",
               "distil": "File of rows to write",
               "export": "Folder of the merged model, or the GGUF file"}),
    Option("samples", "Sample this many outputs per input; distinct outputs that pass become rows",
           "N", int, least=2),
    Option("temperature", "Temperature of --samples", "T", float, 0.8),
    _flag("pairs", "With --samples: also write preference pairs of a passing and a failing sample"),
    _flag("prompts", "Print the prompts for the teacher, without running it"),
    Option("gguf",
           f"Write a GGUF file of this type: {', '.join(GGUF_TYPES)}",
           "TYPE", choices=GGUF_TYPES),
    Option("report", "Where to write the report on the rows", "FILE.json", Path),
    Option("trials", "Train this many times with other settings, and keep the best on the "
           "validation split", "N", int, least=2),
    _flag("added", "Only record added cases of which nothing is recorded yet; what is recorded stays as it is"),
    _flag("dry-run", "Only run all checks and estimate the work"),
    Option("labels",
           "File of labels to append to; by default NAME.labels.jsonl beside the questions",
           "FILE.jsonl", Path),
    Option("by", "Who labels; by default git's user.name", "NAME"),
    Option("double", "Number of questions that two people label, to estimate the error rate", "N",
           int, 0, least=0),
    _flag("adjudicate", "Decide the questions on which people's labels differ"),
    Option("judge", "The unit's judge, which labels all outputs that differ; the sample is drawn by "
           "its labels", "MODEL"),
    _flag("terminal", "Label in the terminal instead of on a page"),
    Option("format", "text, or github: annotations on a pull request", "FORMAT",
           default="text",
           by={"report": "text, github: annotations on a pull request, or csv: one line per case"}),
    Option("decision", "Also write the decision to this file, for report, view and comment",
           "FILE.json", Path),
    Option("junit", "Also write the decision as JUnit XML", "FILE.xml", Path),
    Option("html", "Write an offline page of all cases: a file, or a folder",
           "FILE.html|DIR", Path, by={"coverage": "Also draw a map of the inputs"},
           takes_by={"coverage": "FILE.html"}),
    Option("page", "URL of the page, for links to its cases", "URL"),
    Option("gate-result", "Result of the gate's job; a contradicting decision is not shown",
           "success|failure|cancelled|skipped"),
    _flag("markdown", "Print Markdown, for a job summary", group=OUTPUT),
    _flag("take", "Take the newer versions of the package"),
    _flag("agents", "Write the skill for coding agents, below .agents/ and .claude/; without TASK, only that"),
    Option("no-guards", "Why the new project has none of the guards that ship", "REASON"),
    _flag("strict", "Treat warnings as errors", stands=True),
    _flag("report-card", "Show what each voice metric can detect"),
    Option("home", "Folder the demo writes to; emptied first", "DIR", Path, Path(".tunegate/demo")),
    _flag("full", "All units and rows of the demo"),
    _flag("why", "Explain each verdict: tests, levels, p-values, the margin's reason"),
    _flag("json", "Print only JSON to stdout", group=OUTPUT),
    _flag("quiet", "Print only results and errors", group=OUTPUT),
)  # fmt: skip
OPTIONS: Mapping[str, Option] = {option.name: option for option in TABLE}
