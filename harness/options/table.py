"""Every option, once, for pytest and for the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunegate.harness.models.model_options import (
    CACHE_MEGABYTES,
    DEADLINE,
    IN_FLIGHT,
    WORKER_CPUS,
    WORKER_GPUS,
    WORKERS,
)


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
    Option("reasoning-effort", "How much a hosted model is to reason, in its own words: none, minimal, low, high",
           "EFFORT", suites=True, stands=True),
    Option("reasoning-tokens", "Tokens for a hosted model's reasoning, beside max_new_tokens for its answer", "N", int,
           0, least=0, suites=True, stands=True),
    Option("requests-per-minute", "Requests a minute that a server is asked at most", "N", int, least=1, suites=True,
           stands=True),
    Option("tokens-per-minute", "Tokens a minute, of prompts and of what answers may take, at most", "N", int, least=1,
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
    Option("ledger-remote", "A git remote that counts openings of sealed cases for all clones, asked before any model",
           "REMOTE", suites=True, stands=True),
    Option("policy-from", "Judge by the rules of this branch or commit too: where the change comes from", "GITREF"),
    Option("permit", "Approve the rule changes with this digest, and no others", "DIGEST"),
    Option("contains", "Refuse if an event of this branch or commit is missing here", "GITREF"),
    # never a standing value: the change that is released would choose what it is compared with
    Option("into", "The branch that the release will be merged into: its ledger is compared; without it, the default "
           "branch of origin or of the only remote", "REMOTE/BRANCH"),
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
    Option("limit", "At most so many: cases to make, the same ones every time; requests to ask", "N", int, 200,
           least=1),
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
    Option("dry-run", "All but the work itself, with an estimate of it", type=bool, default=False),
    Option("format", "With github, annotations beside the lines of a pull request", "text|github", default="text",
           choices=("text", "github")),
    Option("decision", "Also write what was decided here, for report, view and comment", "FILE.json", Path),
    Option("html", "Write a page with every case, that opens offline: one file, or a folder where they are many",
           "FILE.html|DIR", Path),
    Option("tensorboard", "Also write the scores for TensorBoard here", "DIR", Path),
    Option("page", "Where the page will be found, for links to its cases", "URL"),
    Option("gate-result", "What the job that ran the gate ended with; a decision that says otherwise is not shown",
           "success|failure|cancelled|skipped"),
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
