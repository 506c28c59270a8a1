"""Models by the prefix of their name: what a name says, what does not go with it, and what opens it.

Each prefix has one class here, and an instance in `BUILT_IN`; `backend_of` finds it by a name. An installed package
brings further prefixes by entry points of the group `tunegate.models`. What opens a model is imported when one is
opened, so this module stays light, and nothing of a package runs before a change that names it is approved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast
from urllib.parse import urlsplit

from tunegate.harness.core.entry_points import entries_of, entry_place, load_here
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.escaping import shown
from tunegate.harness.core.parts import load_part
from tunegate.harness.models.model_options import AUTO, ModelOptions

if TYPE_CHECKING:
    from tunegate.harness.core.progress import Watch
    from tunegate.harness.models.api import Opened

NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]{0,62}[A-Za-z0-9_+-])?")  # of outputs; it names a folder
NAME_IS = "letters, digits, _ . + and -, at most 64, with a letter, digit or _ first and no dot last"
GROUP = "tunegate.models"
PREFIX = re.compile(r"[a-z][a-z0-9-]+")  # of a package's models: one letter may be a drive of Windows
API_VERSION = re.compile(r"api-version=[\w.-]+")  # the one query that an address may have
#: Options of other models, which a function would not hear of.
NOT_OF_PYTHON = (
    "device", "dtype", "attention", "quantization", "chat-template", "tool-format", "tokenizer", "reasoning-effort",
    "reasoning-tokens", "requests-per-minute", "tokens-per-minute",
)  # fmt: skip


class GivenOptions(Protocol):
    """The options of a run that may not go with its model (harness/models/options/run.py)."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def adapters(self) -> Sequence[Path]: ...  # noqa: D102
    @property
    def requests(self) -> Path | None: ...  # noqa: D102
    @property
    def timing(self) -> bool: ...  # noqa: D102
    @property
    def compared_as(self) -> str: ...  # noqa: D102
    @property
    def uses_baseline(self) -> bool: ...  # noqa: D102
    @property
    def opened(self) -> ModelOptions: ...  # noqa: D102


class Backend:
    """The models of one prefix; by default those without weights, which run elsewhere."""

    prefix = ""
    form = ""  # of a name, as in `--tg-model FORM`
    opens = ""  # the class of its models, MODULE:CLASS
    extra = ""  # of pip, that brings what it needs
    has_weights = False  # here: adapters go with it, and it can be trained on and released
    is_here = False  # in this process
    is_hosted = False  # its inputs leave this machine, and are paid for
    is_supplied = False  # outputs in a file: no model runs
    off_workers = "its outputs are made elsewhere, not on Ray workers"  # why it does not run there; empty if it does

    @property
    def engine(self) -> str:
        """The `backend` in fingerprints of its models."""
        return self.prefix.removesuffix(":")

    @property
    def is_opaque(self) -> bool:
        """Whether its weights are not visible here: its outputs may change under the same name."""
        return not (self.has_weights or self.is_supplied)

    def check(self, name: str) -> None:
        """Refuse a name of another form."""

    def check_weights(self, name: str) -> None:
        """Refuse a model where weights are needed; one that is not refused here is where its weights are looked for."""

    def weights(self, name: str) -> str:
        """The folder, Hub id or embedded model whose weights it runs."""
        return name

    def code(self, name: str) -> tuple[str, str] | None:
        """The source and function of the user's own code that it runs; None if it runs none."""
        return None

    def below(self, root: Path, name: str) -> str:
        """A name in the settings of the project at `root`, with its file as the user would type it here."""
        return name

    def place(self, name: str) -> str:
        """What a candidate keeps of the branch's model: another one in the same place is run in the same way."""
        return name

    def as_recorded(self, name: str, options: ModelOptions, who: Mapping[str, Any]) -> tuple[str, ModelOptions]:
        """The name and options that run the model of a recorded fingerprint, given those of the run."""
        return name, options

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """Yield a message for each option of a run that does not go with its model."""
        yield from ()

    def refuses_elsewhere(self, run: GivenOptions) -> Iterator[str]:
        """Yield a message for each of its own options in a run of another model."""
        yield from ()

    def open(
        self,
        name: str,
        watch: Watch,
        options: ModelOptions | None = None,
        rung: str = "as-is",
        adapter: Path | None = None,
        beside: Opened | None = None,
    ) -> Opened:
        """Open a model with at most one adapter; what a model `beside` it, of the same name, loads is shared."""
        return cast("Opened", load_part(self.opens)(name, watch, options or ModelOptions(), rung))


class BackendWithWeights(Backend):
    """Models whose weights are here: a base, and adapters on it that share what is loaded once."""

    extra = "models"
    has_weights = True

    def place(self, name: str) -> str:
        """The engine: it runs any model."""
        return self.engine

    def open(
        self,
        name: str,
        watch: Watch,
        options: ModelOptions | None = None,
        rung: str = "as-is",
        adapter: Path | None = None,
        beside: Opened | None = None,
    ) -> Opened:
        """Open a base with at most one adapter."""
        base = cast("Any", beside).base if beside else None
        return cast("Opened", load_part(self._class(options))(name, watch, adapter, rung, base, options))

    def _class(self, options: ModelOptions | None) -> str:
        return self.opens


class LocalBackend(BackendWithWeights):
    """Models without a prefix: a folder, a GGUF file, a Hub id, or the embedded one."""

    engine = "transformers"
    opens = "tunegate.harness.models.local.huggingface:Local"
    on_workers = "tunegate.harness.models.local.ray_model:RayModel"
    is_here = True
    off_workers = ""

    def check(self, name: str) -> None:
        """Refuse a prefix that no package brings: neither an id of the Hub nor the embedded model has a colon."""
        if ":" in name and PREFIX.fullmatch(name.partition(":")[0].lower()) and not Path(name).expanduser().exists():
            raise Refused(f"--tg-model {shown(name)}: {unknown_name(name)}")

    def _class(self, options: ModelOptions | None) -> str:
        return self.on_workers if options and options.ray else self.opens


class VllmBackend(BackendWithWeights):
    """`vllm:MODEL`, which runs in a vLLM that the run starts."""

    prefix, form = "vllm:", "vllm:MODEL"
    opens = "tunegate.harness.models.served.vllm:Vllm"
    off_workers = "Ray workers run transformers; name the model without vllm:"

    def check(self, name: str) -> None:
        """Refuse a name without a model."""
        self.weights(name)

    def weights(self, name: str) -> str:
        """The model in `vllm:MODEL`; Refused if nothing is named."""
        if not (model := name.removeprefix(self.prefix)):
            raise Refused(f"--tg-model {self.form}: expected a folder, a Hub id or smollm2, found nothing")
        return model

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """Timing, and options of other engines."""
        here = f"--tg-model {self.form}"
        if run.timing:
            yield f"--tg-timing with {here}: timing runs one call after another on a local model"
        if run.opened.device != AUTO:
            yield f"--tg-device with {here}: vLLM runs on the device it was built for"
        if run.opened.tokenizer:
            yield f"--tg-tokenizer with {here}: prompts use the model's own tokenizer"

    def refuses_elsewhere(self, run: GivenOptions) -> Iterator[str]:
        """Its length."""
        if run.opened.max_model_len:
            yield f"--tg-max-model-len with --tg-model {run.model}: it is the length of {self.form}"


class HostedBackend(Backend):
    """`openai:URL#MODEL`, behind a server with OpenAI's interface; another dialect of servers is a class below it."""

    prefix, form = "openai:", "openai:URL#MODEL"
    opens = "tunegate.harness.models.served.server:Server"
    extra = "server"
    is_hosted = True

    def check(self, name: str) -> None:
        """Refuse a name that `split_server` does."""
        split_server(name)

    def place(self, name: str) -> str:
        """The host and path of its address, and how it is asked."""
        parts = urlsplit(name.removeprefix(self.prefix).partition("#")[0])
        return f"{self.prefix}{parts.scheme}://{parts.netloc}{parts.path}"

    def as_recorded(self, name: str, options: ModelOptions, who: Mapping[str, Any]) -> tuple[str, ModelOptions]:
        """The model's name in a fingerprint, with the effort of its reasoning there."""
        return hosted_name(who), replace(options, reasoning_effort=who["engine"].get("reasoning_effort"))

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """Adapters, timing, and options that the server decides."""
        opened, here = run.opened, f"--tg-model {self.form}"
        if run.adapters:
            yield f"{here} with --tg-adapter: name the adapter as the server does, instead of MODEL"
        if run.timing and not run.compared_as:
            yield f"--tg-timing with {here}: timing needs base and adapter on one local engine"
        if given := opened.given("device", "dtype", "attention", "quantization"):
            yield f"{_named(given)} with {here}: the server's settings apply"
        if opened.chat_template and not opened.tokenizer:
            yield f"--tg-chat-template with {here}: name its tokenizer, too (--tg-tokenizer)"
        if opened.tool_format:
            yield f"--tg-tool-format with {here}: the server's own template shows tools, and its own parser reads calls"


class AnthropicBackend(HostedBackend):
    """`anthropic:URL#MODEL`, behind Anthropic's messages API."""

    prefix, form = "anthropic:", "anthropic:URL#MODEL"
    opens = "tunegate.harness.models.served.anthropic:AnthropicServer"

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """As other hosted models, and a tokenizer."""
        yield from super().refuses(run)
        if run.opened.tokenizer:
            yield f"--tg-tokenizer with --tg-model {self.form}: its prompts are sent as chat messages"


class PythonBackend(Backend):
    """`python:FILE.py:FUNCTION`, or `python:MODULE:FUNCTION`: a function of the user's, which may ask anything."""

    prefix, form = "python:", "python:FILE.py:FUNCTION"
    opens = "tunegate.harness.models.python_model:PythonModel"

    def check(self, name: str) -> None:
        """Refuse a name that `code` does."""
        self.code(name)

    def check_weights(self, name: str) -> None:
        """A function has none."""
        raise Refused(
            f"model {shown(name)}: expected a model with weights, found a function, which is evaluated and gated, but "
            "never trained or released; name a folder, a Hub id or smollm2"
        )

    def code(self, name: str) -> tuple[str, str]:
        """The source and function of a name; Refused if it is of another form."""
        source, _, function = name.removeprefix(self.prefix).rpartition(":")
        is_named = is_python_file(source) or all(part.isidentifier() for part in source.split("."))
        if not is_named or not function.isidentifier() or not source.isprintable():
            raise Refused(
                f"--tg-model {self.form}: expected a file or an installed module, and a function in it, such as "
                f"{self.prefix}bot.py:reply, found {shown(name)}"
            )
        return source, function

    def below(self, root: Path, name: str) -> str:
        """With the path of its file; a module has none."""
        source, function = self.code(name)
        return f"{self.prefix}{os.path.relpath(root / source)}:{function}" if is_python_file(source) else name

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """Adapters, timing, and options of other models."""
        here = f"--tg-model {self.form}"
        if run.adapters:
            yield f"{here} with --tg-adapter: a function takes no adapter"
        if run.timing and not run.compared_as:
            yield f"--tg-timing with {here}: timing needs base and adapter on one local engine"
        if given := run.opened.given(*NOT_OF_PYTHON):
            yield f"{_named(given)} with {here}: the function decides that"


class SuppliedBackend(Backend):
    """`replay:[NAME=]FILE`: outputs that were made elsewhere (replay.py, which needs the cases to read them)."""

    prefix, form = "replay:", "replay:[NAME=]FILE.jsonl"
    is_supplied = True

    def check_weights(self, name: str) -> NoReturn:
        """Outputs have none."""
        raise Refused(
            f"--model {name}: expected a model that generates, found recorded outputs; name a model, such as "
            "--model=smollm2, or a folder"
        )

    def open(self, name: str, *_: Any, **__: Any) -> NoReturn:
        """Nothing of them generates."""
        self.check_weights(name)

    def split(self, name: str) -> tuple[str, Path]:
        """The name and the file of `replay:NAME=FILE`; no name in `replay:FILE`, whose file may hold a `=`."""
        given = name.removeprefix(self.prefix)
        called, _, path = given.partition("=")
        return (called, Path(path)) if path and NAME.fullmatch(called) else ("", Path(given))

    def join(self, called: str, path: str | Path) -> str:
        """The name of outputs in a file, called so; without a name if `called` is empty."""
        return f"{self.prefix}{called}{'=' if called else ''}{path}"

    def below(self, root: Path, name: str) -> str:
        """With the path of its file."""
        called, file = self.split(name)
        return self.join(called, os.path.relpath(root / file))  # it is shown, and most runs start at the root

    def refuses(self, run: GivenOptions) -> Iterator[str]:
        """Adapters, a baseline without a name, and a file that is not there under its name."""
        given, (name, path) = run.model.removeprefix(self.prefix), self.split(run.model)
        if run.adapters:
            yield "--tg-model replay:FILE with --tg-adapter: supplied outputs take no adapter"
        if run.uses_baseline and not name:
            yield (
                "--tg-model replay:FILE: a baseline of supplied outputs needs a name: replay:NAME=FILE; "
                "or keep their record with --tg-out RECORD.json and compare with --tg-against RECORD.json"
            )
        if not path.name:
            yield f"--tg-model {run.model}: expected a file of outputs, found no file name"
        elif name and not path.exists() and Path(given).exists():
            yield f"--tg-model {run.model}: read as {path} named {name}; for the file {given} write replay:./{given}"
        elif "=" in given and not name and not path.exists():
            yield f"--tg-model {run.model}: expected replay:NAME=FILE (NAME: {NAME_IS}) or a file; found neither"

    def refuses_elsewhere(self, run: GivenOptions) -> Iterator[str]:
        """The requests of its outputs."""
        if run.requests:
            yield "--tg-requests: expected --tg-model replay:FILE, found another model"


class InstalledBackend(HostedBackend):
    """Models of an installed package, `PREFIX:ADDRESS#MODEL`; nothing is known of them but that they may be hosted."""

    extra = ""

    def __init__(self, entry: EntryPoint) -> None:
        self.entry = entry
        self.prefix = f"{entry.name}:"
        self.form = f"{self.prefix}ADDRESS#MODEL"

    def check(self, name: str) -> None:
        """Refuse a name that cannot be shown, or names nothing; its package knows what a name may be."""
        if not name.isprintable() or not name.removeprefix(self.prefix).strip():
            raise Refused(f"--tg-model {self.form}: expected a model's name, found {shown(name)}")

    def place(self, name: str) -> str:
        """Its address."""
        return hosted_address(name)

    def open(
        self,
        name: str,
        watch: Watch,
        options: ModelOptions | None = None,
        rung: str = "as-is",
        adapter: Path | None = None,
        beside: Opened | None = None,
    ) -> Opened:
        """Import the package, and open a model; Refused if it is none, or its records would not name it."""
        from tunegate.harness.models.api import Opened  # too heavy for the pytest plugin

        here = entry_place(self.entry)
        opened = load_here(self.entry)
        if not (isinstance(opened, type) and Opened in opened.__mro__):
            raise Refused(f"{here}: expected a class below tunegate.Opened, found {shown(repr(opened)[:80])}")
        model = cast("Opened", opened(name, watch, options or ModelOptions(), rung))
        who = model.fingerprint  # a record with another engine or name could not be asked again
        named = {"engine.backend": who.engine.get("backend"), "names.model": who.names.get("model")}
        for part, expected in {"engine.backend": self.engine, "names.model": name}.items():
            if named[part] != expected:
                found = shown(repr(named[part]))
                raise Refused(f"{here}: fingerprint: {part}: expected {shown(expected)}, found {found}")
        return model


LOCAL, REPLAY, OPENAI, ANTHROPIC, VLLM, PYTHON = (
    LocalBackend(), SuppliedBackend(), HostedBackend(), AnthropicBackend(), VllmBackend(), PythonBackend(),
)  # fmt: skip
BUILT_IN: tuple[Backend, ...] = (LOCAL, REPLAY, OPENAI, ANTHROPIC, VLLM, PYTHON)
_BY_PREFIX = {each.prefix: each for each in BUILT_IN}
_BY_ENGINE = {each.engine: each for each in BUILT_IN}


def backend_of(name: str) -> Backend:
    """The backend of a model's name."""
    prefix, mark, _ = name.partition(":")
    return _BY_PREFIX.get(prefix + mark) or (_installed(prefix) if mark else None) or LOCAL


def unknown_name(name: str, found: str = "no such prefix", file: str = "config.json") -> str:
    """What was expected where a name is no model's, and which one may have been meant."""
    from tunegate.harness.models.conversion import EMBEDDED

    backends = [*BUILT_IN, *filter(None, map(_installed, entries_of(GROUP)))]
    forms = ", ".join(each.form for each in backends if each.form)
    known = f"one of {', '.join(EMBEDDED)}, a folder with a {file}, a GGUF file, a Hub id (owner/name), {forms}"
    meant = _meant(name, {each.prefix.removesuffix(":"): each for each in backends if each.prefix}, [*EMBEDDED])
    return f"expected {known}; found {found}" + (f"; did you mean {shown(meant)!r}?" if meant else "")


def _meant(name: str, by_word: Mapping[str, Backend], embedded: Sequence[str]) -> str:
    """The name that may have been meant; empty if none resembles it."""
    from tunegate.harness.core.authoring.validation import closest

    word, _, rest = re.sub("[:=/]+", ":", name, count=1).partition(":")
    nearest = closest(word.lower(), [*by_word, *embedded])
    if nearest in by_word:
        return by_word[nearest].prefix + rest if rest else by_word[nearest].form
    endings = {REPLAY.prefix: ".jsonl", PYTHON.prefix: ".py"}
    file = name.partition(":")[0]
    return nearest or next((prefix + name for prefix, ending in endings.items() if file.endswith(ending)), "")


def backend_of_engine(engine: Mapping[str, Any]) -> Backend | None:
    """The backend whose models have such an engine in their fingerprints; None for what no model of a name made."""
    name = str(engine.get("backend"))
    return _BY_ENGINE.get(name) or _installed(name)


def _installed(name: str) -> InstalledBackend | None:
    """The backend that a package brings under a name; Refused if two packages do."""
    entry = entries_of(GROUP).get(name) if PREFIX.fullmatch(name) else None
    return InstalledBackend(entry) if entry else None


def refused_with(run: GivenOptions) -> Iterator[str]:
    """Yield a message for each option of a run that does not go with its model."""
    own = backend_of(run.model)
    for each in dict.fromkeys([*BUILT_IN, own]):
        yield from each.refuses(run) if each is own else each.refuses_elsewhere(run)


def opener(name: str, watch: Watch, options: ModelOptions, rung: str = "as-is") -> Callable[[Path | None], Opened]:
    """A function that opens a model with or without an adapter; all of them share what is loaded once."""
    opened: list[Opened] = []

    def open_on(adapter: Path | None) -> Opened:
        beside = opened[-1] if opened else None
        opened[:] = [backend_of(name).open(name, watch, options, rung, adapter, beside)]
        return opened[0]

    return open_on


def hosted_name(who: Mapping[str, Any]) -> str:
    """The name of the hosted model in a recorded fingerprint; empty if it is of none."""
    backend, names = backend_of_engine(who["engine"]), who.get("names", {})
    return str(names.get("hosted") or names.get("model", "")) if backend and backend.is_hosted else ""


def split_server(model: str) -> tuple[str, str]:
    """The address, without a slash at the end of its path, and the model's name in `PREFIX:URL#MODEL`.

    Refused if it is not of this form, or the address holds a secret or a query other than api-version.
    """
    prefix, _, address = model.partition(":")
    url, _, name = address.partition("#")
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and bool(parts.hostname and name.strip()) and parts.port != 0
    except ValueError:  # an incomplete IPv6 address, or an invalid port
        found = False
    if not found or not name.isprintable():
        raise Refused(
            f"--tg-model {prefix}:URL#MODEL: expected a name such as {prefix}:http://localhost:8000/v1#my-model"
        )
    versioned = not parts.query or API_VERSION.fullmatch(parts.query)
    if parts.username is not None or parts.password is not None or not versioned:
        # the address is part of the model's name, which appears in records and messages
        raise Refused(
            f"--tg-model {prefix}:URL#MODEL: expected an address without a user, a password and a query other than "
            "api-version, found one; a key is read from the environment (docs/servers.md)"
        )
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/')}{mark}{query}", name


def hosted_address(name: str) -> str:
    """What stands before the `#` in a hosted model's name; the whole name without one."""
    return name.rpartition("#")[0] or name


def is_python_file(source: str) -> bool:
    """Whether the source of a `python:` model is a file, not a module."""
    return source.endswith(".py")


def _named(options: Sequence[str]) -> str:
    return " and ".join(each.partition("=")[0] for each in options)
