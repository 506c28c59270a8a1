"""A transformers model, with or without an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunegate.harness.cases.model import Decoding
from tunegate.harness.checks.base import Can
from tunegate.harness.core.authoring.document import show_value
from tunegate.harness.core.errors import CouldNotRun, Refused, TunegateError, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import digest
from tunegate.harness.core.progress import Watch
from tunegate.harness.models.adapters import adapter_digest, check_base, load_as_digested, unload_adapter, untie
from tunegate.harness.models.api import Completion, Fingerprint, Opened, Request, fingerprint_names
from tunegate.harness.models.identity import identify
from tunegate.harness.models.local.batching import PLANNER, TOKEN_BUDGET, dealt, plan_texts
from tunegate.harness.models.local.constrained import ConstrainedOutput, Grammars, check_constraints, library
from tunegate.harness.models.local.continuous_batching import RequestState, can_join, generate
from tunegate.harness.models.local.loglikelihood import within_memory
from tunegate.harness.models.local.packed_linear import keep_contiguous, pack, unpack
from tunegate.harness.models.local.placement import CUDA, Placement, choose_gpus, free_on_gpu, load_placed, place
from tunegate.harness.models.local.token_budget import TokenBudget, budget_for_outputs, budget_for_texts
from tunegate.harness.models.memory import check_loading, free_memory, loaded_size
from tunegate.harness.models.model_options import CPU, UNSAID, ModelOptions
from tunegate.harness.models.probe import PROBE
from tunegate.harness.models.prompts import CONSTRAINED
from tunegate.harness.models.reasoning import Tags, begins_inside, part_ids, thinking_tags
from tunegate.harness.models.resolve import (
    RESTORE,
    by_library,
    check_layers,
    loaded_weights,
    not_loaded,
    resolve,
)
from tunegate.harness.models.tokenizer import encode, load_tokenizer, render_prompt
from tunegate.harness.models.tool_format import ToolFormat, format_of
from tunegate.harness.models.tool_replies import read_raw
from tunegate.harness.models.whole_model import is_whole_model


class Base:
    """A model in a folder, digested and loaded once for all that run on it; one adapter is active at a time."""

    # PEFT can mix adapters in one batch (`adapter_names`). But after an exception in such a call its hooks stay, and
    # the next call of the same size silently uses the adapters of the previous one.

    def __init__(self, name: str, watch: Watch, options: ModelOptions | None = None) -> None:
        self._watch = watch
        self.options = options or ModelOptions()
        self.folder = resolve(name, watch)
        self.model = identify(name, self.folder, self.options.chat_template, self.options.tool_format)
        self._active: Path | None = None
        self._in_memory: Any = None
        self._budgets: dict[Callable[[Any], TokenBudget], TokenBudget] = {}
        self._is_whole = False  # whether a whole model is in memory, in the place of base and adapter

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, padding on the left."""
        return load_tokenizer(self.folder, self.options.chat_template, self.options.tool_format)

    @cached_property
    def tool_format(self) -> ToolFormat:
        """How the tokenizer shows tools, and how calls are read."""
        return format_of(self.tokenizer)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end outputs, by the model's generation settings and its tokenizer; loads no weights."""
        transformers = quiet_transformers()
        try:
            found = transformers.GenerationConfig.from_pretrained(self.folder, local_files_only=True)
        except OSError:  # a folder without such settings: they are in its config.json
            config = transformers.AutoConfig.from_pretrained(self.folder, local_files_only=True)
            found = transformers.GenerationConfig.from_model_config(config)
        _check_ends(found.eos_token_id, self.folder)
        return frozenset(_plain_generation(found, self.tokenizer).eos_token_id)

    @cached_property
    def thinking(self) -> Tags | None:
        """The reasoning tags of the tokenizer; None if it has none."""
        return thinking_tags(self.folder)

    @cached_property
    def placement(self) -> Placement:
        """The device and precision."""
        return place(self.options, loaded_weights(self.folder))

    @cached_property
    def grammars(self) -> Grammars:
        """The grammars for constrained decoding; loads the model."""
        model = self.with_adapter(self._active)
        size = model.config.get_text_config().vocab_size
        return Grammars(self.tokenizer, model.generation_config.eos_token_id, size)

    def with_adapter(self, adapter: Path | None, expected: str | None = None) -> Any:
        """The model with this adapter (of the `expected` digest), proven to act, or with none.

        A whole model takes the base's place in memory; that it acts was proven when it was adopted.

        Raises:
            Refused: the adapter does not fit, load or act.
            CouldNotRun: the model cannot be loaded.
        """
        if adapter != self._active and (self._is_whole or (adapter and is_whole_model(adapter))):
            self._take_whole(adapter, expected)
        if self._in_memory is None:
            with self._watch(f"Loading {self.model.name}"):
                self._in_memory, self._active = self._load(self.folder), None
        if adapter != self._active:
            self._change(adapter, expected)
        return self._in_memory

    def budget(self, of: Callable[[Any], TokenBudget]) -> TokenBudget:
        """The token budget of the model in memory, kept with what it has learned until the model is forgotten."""
        if of not in self._budgets:
            self._budgets[of] = of(self.with_adapter(self._active))
        return self._budgets[of]

    def lend(self, model: Any) -> None:
        """Use this model, which belongs to a trainer, until `forget`."""
        model.generation_config = _plain_generation(model.generation_config, self.tokenizer)
        self._in_memory, self._active, self._is_whole = model, None, False
        self._budgets.clear()

    def forget(self) -> None:
        """Release the model's memory; the next request loads it again."""
        self._in_memory, self._active, self._is_whole = None, None, False
        self._budgets.clear()

    def merged(self, adapter: Path, expected: str | None = None) -> Any:
        """The model with the adapter (of the `expected` digest) merged into it.

        Raises:
            Refused: see `with_adapter`; or merging gives NaN or infinity.
            CouldNotRun: see `with_adapter`; or PEFT cannot merge it.
        """
        model = self.with_adapter(adapter, expected)
        unpack(model)
        if self._is_whole:
            return model
        untie(model)
        try:
            return model.merge_and_unload(safe_merge=True)
        except Exception as error:  # PEFT raises several kinds
            self.forget()  # some of its layers are merged
            raise _unmerged(adapter, error) from error

    def _take_whole(self, adapter: Path | None, expected: str | None) -> None:
        """Load a whole model, or make room where one is to leave."""
        self.forget()
        self.__dict__.pop("grammars", None)  # a whole model may have end tokens of its own
        if adapter and is_whole_model(adapter):
            with self._watch(f"Loading {adapter.name}, in the place of {self.model.name}"):
                model = self._load(adapter)
            if expected and adapter_digest(adapter) != expected:
                raise Refused(f"adapter {adapter}: expected digest {expected[:8]}, found that it changed meanwhile")
            self._in_memory, self._active, self._is_whole = model, adapter, True

    def _load(self, folder: Path) -> Any:
        model = load_base(folder, self.placement)
        _check_ends(model.generation_config.eos_token_id, folder)
        model.generation_config = _plain_generation(model.generation_config, self.tokenizer)
        if self.placement.device == CPU:
            pack(model, free_memory())
        return model

    def _change(self, adapter: Path | None, expected: str | None) -> None:
        base = unload_adapter(self._in_memory) if self._active else self._in_memory
        self._in_memory = self._active = None  # a failed adapter leaves its layers behind: the base is loaded again
        if adapter:
            with self._watch(f"Loading {adapter.name} on {self.model.name}"):
                probe = self.tokenizer(PROBE, return_tensors="pt").input_ids.to(base.device)
                self._in_memory = load_as_digested(base, adapter, probe, expected)
        else:
            self._in_memory = base
        self._active = adapter


def _unmerged(adapter: Path, error: Exception) -> TunegateError:
    if "NaN" in str(error):
        return Refused(
            f"adapter {show_path(adapter)}: expected finite weights once merged, found NaN or infinity; train it again"
        )
    return CouldNotRun(
        f"{show_path(adapter)}: merging failed: {str(error).rstrip('.')}; serve it unmerged, or train it again "
        "without what cannot be merged"
    )


def load_base(folder: Path, placement: Placement | None = None) -> Any:
    """The model of a folder, in evaluation mode; without `placement`, in float32 on the CPU.

    Raises:
        CouldNotRun: the library is not installed or cannot read it, or it does not fit into the memory.
        Refused: it needs custom code.
    """
    load = partial(
        quiet_transformers().AutoModelForCausalLM.from_pretrained,
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False,
    )  # fmt: skip
    check_layers(folder)
    placement = placement or Placement()
    gpus = _check_room(folder, placement)
    try:
        model = load_placed(load, placement, gpus).eval()
    except TunegateError:
        raise
    except Exception as error:
        raise not_loaded(folder, "a model", error) from error
    keep_contiguous(model)
    return model


def _check_room(folder: Path, placement: Placement) -> tuple[int, ...]:
    """The GPUs of a model, none on another device; refuses one that fits neither there nor here."""
    weights, bits = loaded_weights(folder), placement.quantization
    gpus = choose_gpus(placement, loaded_size(weights, placement.dtype, bits))
    where = f"{CUDA}:{gpus[0]}" if len(gpus) == 1 else f"{len(gpus)} GPUs" if gpus else ""
    free = sum(map(free_on_gpu, gpus)) if gpus else None
    check_loading(folder, weights, placement.dtype, bits, free, where)
    return gpus


def quiet_transformers() -> Any:
    """The library, without its progress bars.

    Raises:
        CouldNotRun: it is not installed, or torch is not.
    """
    need("torch")  # without it transformers loads, but has no models
    transformers = need("transformers")
    transformers.utils.logging.disable_progress_bar()  # its progress bars would overwrite ours
    return transformers


def _check_ends(ends: Any, folder: Path) -> None:
    every = ends if isinstance(ends, list) else [ends]
    if not all(end is None or isinstance(end, int) for end in every):
        place = f"{show_path(folder / 'generation_config.json')}: eos_token_id"
        raise CouldNotRun(f"{place}: expected a token's number or a list of them, found {show_value(ends)}; {RESTORE}")


def _plain_generation(found: Any, tokenizer: Any) -> Any:
    """Only the tokens that end outputs: a model's suggested sampling or penalties are not the fixtures' decoding.

    The tokenizer's end token counts too, because training teaches it.
    """
    ends = found.eos_token_id if isinstance(found.eos_token_id, list) else [found.eos_token_id]
    every = {end for end in [*ends, tokenizer.eos_token_id] if end is not None}
    return type(found)(eos_token_id=sorted(every), pad_token_id=tokenizer.pad_token_id)


#: Options that affect its outputs.
SET_BY = ("device", "dtype", "attention", "quantization", "chat-template", "tool-format")
ENGINE_PACKAGES = ("torch", "transformers", "peft")


class Local(Opened):
    """A base model with at most one adapter. Weights load at the first request; several may share a `base`."""

    can: frozenset[Can] = frozenset({"generate", "loglik", "tools"})

    def __init__(
        self,
        name: str,
        watch: Watch,
        adapter: Path | None = None,
        rung: str = "as-is",
        base: Base | None = None,
        options: ModelOptions | None = None,
    ) -> None:
        # the cheap checks first: a missing adapter must not cost a conversion
        self._adapter_digest = adapter_digest(adapter) if adapter else None
        self._adapter = adapter
        self.base = base or Base(name, watch, options)
        self.model = self.base.model
        if adapter:
            check_base(adapter, self.model, self._adapter_digest or "")
        self._rung = rung

    @property
    def folder(self) -> Path:
        """The folder of the base."""
        return self.base.folder

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The model and its engine."""
        more = {"reasoning": f"cut at {self.base.thinking[1]}"} if self.base.thinking else {}
        more |= {"constraint": library()} if self._rung in CONSTRAINED else {}
        return Fingerprint(self.subject, engine(self.base.placement) | more, self.names)

    @property
    def subject(self) -> dict[str, str | None]:
        """Digests of base, adapter, tokenizer and template (always the base's), and the prompting strategy."""
        return self.model.subject(self._adapter_digest, self._rung)

    @property
    def names(self) -> dict[str, str]:
        """The names of the model and its adapter, and the options that it is opened with."""
        return fingerprint_names(self.model.name, self._adapter, self.base.options.given(*SET_BY))

    @property
    def tokenizer(self) -> Any:
        """The tokenizer: always the base's."""
        return self.base.tokenizer

    @property
    def _loaded(self) -> tuple[Any, Any]:
        # for each batch: another adapter may have been activated in the meantime
        return self.tokenizer, self.base.with_adapter(self._adapter, self._adapter_digest)

    def complete(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Run the requests in batches, longest first: those for outputs, then those for likelihoods.

        Raises:
            Refused: before anything runs: a prompt is too long, outputs cannot be constrained to a schema, or the
                tokenizer shows no tools.
            CouldNotRun: the machine or a library failed.
        """
        check_constraints(requests)
        if any(request.tools for request in requests):
            _ = self.base.tool_format  # before the weights are loaded
        yield from self._generate([request for request in requests if not request.texts])
        yield from self._likelihoods([request for request in requests if request.texts])

    def _generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Outputs of prompts, each as soon as it is finished."""
        tokenizer, _ = self._loaded
        prompts = [render_prompt(tokenizer, request) for request in requests]
        # the chat template wrote the special tokens: a tokenizer that adds its own would repeat the first
        encoded = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in prompts]
        rows = [_row(*each, self._constrained(*each)) for each in zip(requests, encoded, strict=True)]
        self._check_room(requests, [row.room for row in rows])
        asked = dict(zip(rows, requests, strict=True))
        for repeat, part in _apart(asked):
            with self._trouble([request.key for request in requests]):
                for row in self._finished(part, repeat + 1):
                    yield self._completion(asked[row], row)

    def continue_tokens(self, prompts: Sequence[tuple[list[int], int]]) -> list[str]:
        """Continue each list of token ids greedily, by at most so many tokens; without special tokens.

        Raises:
            CouldNotRun: the machine or a library failed.
        """
        rows = [RequestState(ids, "", Decoding(max_new_tokens=most), seed=0) for ids, most in prompts]
        with self._trouble([row.key for row in rows]):
            list(self._finished(rows))
        return [self.tokenizer.decode(row.tokens, skip_special_tokens=True) for row in rows]

    def _finished(self, rows: Sequence[RequestState], parts: int = 1) -> Iterator[RequestState]:
        tokenizer, model = self._loaded
        budget = self.base.budget(budget_for_outputs)
        if can_join(model):
            yield from generate(lambda: self._loaded[1], rows, tokenizer.pad_token_id, budget, parts)
            return
        for row in rows:
            with budget.alone(row.key, row.room):
                found = _generate_one(self._loaded[1], row)
            yield found

    def _constrained(self, request: Request, prompt: list[int]) -> ConstrainedOutput | None:
        """The constraint of an output; if its prompt opened a reasoning, it starts after the reasoning."""
        if request.constraint is None:
            return None
        thinks = self.base.thinking and begins_inside(prompt, *self._thinking_ids)
        return self.base.grammars.constrain(request.constraint, self._thinking_ids[1] if thinks else None)

    def _completion(self, request: Request, row: RequestState) -> Completion:
        ends = self._loaded[1].generation_config.eos_token_id
        raw = self.tokenizer.decode(row.tokens) if request.tools else ""
        reasoning, output = ("", None) if raw else self._parted(row.tokens, row.prompt)
        completion = Completion(
            key=request.key,
            output=output,
            tokens_in=len(row.prompt),
            tokens_out=len(row.tokens),
            finish="stop" if row.tokens[-1] in ends else "length",
            repeat=request.repeat,
            reasoning=reasoning,
            raw=raw,
        )
        return self.read(request, completion)

    def read(self, request: Request, completion: Completion) -> Completion:
        """A completion, whose raw text, if it has one, is read as a message with calls."""
        return read_raw(completion, request, self.tokenizer, self.base.tool_format) if completion.raw else completion

    def _parted(self, output: list[int], prompt: list[int]) -> tuple[str, str]:
        """The reasoning and the output, as texts."""
        decode = partial(self.tokenizer.decode, skip_special_tokens=True)
        if not self.base.thinking:
            return "", decode(output)
        thought, said = part_ids(output, *self._thinking_ids, prompt)
        return decode(thought).strip("\n"), decode(said).lstrip("\n")

    @cached_property
    def _thinking_ids(self) -> tuple[int, int]:
        """The token ids of the reasoning tags."""
        opening, closing = self.tokenizer.convert_tokens_to_ids(list(self.base.thinking or ()))
        return opening, closing

    def _likelihoods(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """The log-probabilities of given texts, as outputs of a prompt or by themselves."""
        tokenizer, model = self._loaded
        prompts = [render_prompt(tokenizer, request) if request.messages else None for request in requests]
        pairs = zip(prompts, requests, strict=True)
        texts = [[encode(tokenizer, prompt, text) for text in request.texts] for prompt, request in pairs]
        self._check_room(requests, [max(len(before) + len(text) for before, text in each) for each in texts])
        budget = self.base.budget(budget_for_texts)
        for indices in dealt(plan_texts(texts, lambda: budget.tokens), requests):
            asked = [(requests[index].key, text) for index in indices for text in texts[index]]
            with self._trouble([key for key, _ in asked]):
                found = within_memory(model, asked, budget)
            left = iter(found)
            for index in indices:
                key, repeat = requests[index].key, requests[index].repeat
                yield Completion(key, None, repeat=repeat, logprobs=tuple(next(left) for _ in texts[index]))

    def _check_room(self, requests: Sequence[Request], lengths: Sequence[int]) -> None:
        """Refuse requests longer than the model's context; `lengths` in tokens, room for an output included."""
        room = getattr(self._loaded[1].config.get_text_config(), "max_position_embeddings", None)
        for request, length in zip(requests, lengths, strict=True):
            limit = "" if request.texts else f" with max_new_tokens {request.decoding.max_new_tokens}"
            if room and length > room:
                raise Refused(
                    f"{request.key}: expected prompt and output within the {room} tokens that {self.model.name} can "
                    f"see, found {length}{limit}; shorten one of them"
                )

    @contextmanager
    def _trouble(self, keys: Sequence[str]) -> Iterator[None]:
        """Turn failures of the machine or the library into CouldNotRun; bad requests are refused earlier."""
        try:
            yield
        except TunegateError:
            raise
        except Exception as error:
            if not isinstance(error, (RuntimeError, MemoryError, ValueError, LookupError)) and not by_library(error):
                raise
            raise CouldNotRun(
                f"{self.model.name} failed on a batch of {len(keys)} ({keys[0]} ...): {error!r} (the model in "
                f"{show_path(self.folder)})"
            ) from error


def engine(placement: Placement) -> dict[str, str]:
    """Backend, library minor versions, dtype, device and planner: what may change a score without a change of model."""
    # without the patch level, and without the +cpu of a build: neither is worth recording every baseline again
    versions = {name: ".".join(version(name).split("+")[0].split(".")[:2]) for name in ENGINE_PACKAGES}
    chosen = {"attention": placement.attention, "quantization": placement.quantization}
    return {
        "backend": "transformers", **versions, "dtype": placement.dtype, "device": placement.device,
        "planner": PLANNER, "token_budget": "by memory" if placement.device == CUDA else str(TOKEN_BUDGET),
        **{name: value for name, value in chosen.items() if value not in UNSAID},
    }  # fmt: skip


def _row(request: Request, prompt: list[int], constrained: ConstrainedOutput | None) -> RequestState:
    # By case and repeat, so that outputs do not depend on the order or selection of cases. 60 bits: torch takes 64.
    seed = int(digest([request.decoding.seed, request.key, request.repeat])[:15], 16)
    return RequestState(
        prompt, str(request.messages[:-1]), request.decoding, seed, constrained=constrained, key=request.key
    )


def _apart(asked: Mapping[RequestState, Request]) -> list[tuple[int, list[RequestState]]]:
    """Rows that may share batches, with their repeat.

    Repeats of greedy outputs get other, smaller batches: in the same batches the outputs would be the same.
    """
    parts: dict[int, list[RequestState]] = {}
    for row, request in asked.items():
        parts.setdefault(0 if request.decoding.temperature else request.repeat, []).append(row)
    return sorted(parts.items())


def _masked(output: ConstrainedOutput, prompt: int, ids: Any, logits: Any) -> Any:
    """A logits processor for the library: adds the last token of the only row, and masks the next."""
    if len(ids[0]) > prompt:
        output.take(int(ids[0, -1]))
    return output.mask(logits[0])[None]


def _generate_one(model: Any, row: RequestState) -> RequestState:
    """Generate one row with the library, for a model that cannot batch."""
    import torch

    decoding = row.decoding
    settings: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, "do_sample": bool(decoding.temperature)}
    if decoding.temperature:
        # 0 switches it off: by default, transformers keeps only the 50 most likely tokens
        settings |= {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
        torch.manual_seed(row.seed)
    if row.constrained:
        settings["logits_processor"] = [partial(_masked, row.constrained, len(row.prompt))]
    with torch.inference_mode():
        prompt = torch.tensor([row.prompt], device=model.device)
        output = model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)
    row.tokens += output[0, len(row.prompt) :].tolist()
    return row
