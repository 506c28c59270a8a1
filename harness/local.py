"""A transformers model, with or without a LoRA adapter, as a subject: left-padded batches, longest prompts together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.adapters import adapter_digest, check_base, load_adapter
from harness.cases import Decoding
from harness.errors import CouldNotRun, Refused
from harness.files import digest
from harness.models import identify, resolve
from harness.progress import Watch
from harness.subject import Answer, Can, Identity, Request

PLANNER = "1"  # raise when the way batches are made changes
TOKEN_BUDGET = 8192  # tokens of a batch, prompt and answer, padding included
PROBE = "The quick brown fox jumps over the lazy dog and asks: what is the capital of France?"
ENGINE_PACKAGES = ("torch", "transformers", "peft")


class Local:
    """A base model from a folder, and at most one adapter on it. Weights load at the first answer."""

    can: frozenset[Can] = frozenset({"generate"})

    def __init__(self, name: str, watch: Watch, adapter: Path | None = None, rung: str = "as-is") -> None:
        self._adapter = adapter
        self._watch = watch
        # the cheap refusals first: a missing adapter must not cost a conversion
        self._adapter_digest = adapter_digest(adapter) if adapter else None
        self.folder = resolve(name, watch)
        self.model = identify(name, self.folder)
        if adapter:
            check_base(adapter, self.model)
        self._rung = rung

    @cached_property
    def identity(self) -> Identity:
        """Digests of base, adapter, tokenizer and template (always the base's), and the engine."""
        subject = {
            "model": self.model.slug,
            "base": self.model.base,
            "tokenizer": self.model.tokenizer,
            "template": self.model.template,
            "adapter": self._adapter_digest,
            "rung": self._rung,
        }
        names = {"model": self.model.name} | ({"adapter": str(self._adapter)} if self._adapter else {})
        return Identity(subject, engine(), names)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise CouldNotRun(f"models need the extra: pip install 'tunegate[models]' ({error})") from error
        import torch

        logging.disable_progress_bar()
        with self._watch(f"Loading {self.model.name}" + (f" with {self._adapter.name}" if self._adapter else "")):
            tokenizer = AutoTokenizer.from_pretrained(self.folder, padding_side="left")
            model = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32).eval()
            if tokenizer.chat_template is None:
                raise Refused(f"{self.folder}: expected a chat template, found none; the suites ask in chat messages")
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            if self._adapter:
                model = load_adapter(model, self._adapter, tokenizer(PROBE, return_tensors="pt").input_ids)
        return tokenizer, model

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer in batches, longest prompts first; a batch holds one kind of decoding."""
        tokenizer, _ = self._loaded
        prompts = [render(tokenizer, request) for request in requests]
        lengths = [len(tokenizer(prompt, add_special_tokens=False).input_ids) for prompt in prompts]
        for batch in plan([request.decoding for request in requests], lengths):
            yield from self._batch([requests[index] for index in batch], [prompts[index] for index in batch])

    def _batch(self, requests: Sequence[Request], prompts: Sequence[str]) -> Iterator[Answer]:
        import torch

        tokenizer, model = self._loaded
        decoding = requests[0].decoding
        inputs = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
        if decoding.temperature:
            torch.manual_seed(int(digest([decoding.seed, requests[0].key, requests[0].repeat])[:15], 16))
        try:
            with torch.inference_mode():
                tokens = model.generate(**inputs, **_settings(decoding), pad_token_id=tokenizer.pad_token_id)
        except (RuntimeError, MemoryError) as error:
            raise CouldNotRun(f"{self.model.name} failed on a batch of {len(requests)}: {error}") from error
        ends = _end_tokens(model)
        width = inputs.input_ids.shape[1]
        for request, row, mask in zip(requests, tokens[:, width:].tolist(), inputs.attention_mask, strict=True):
            length = next((place + 1 for place, token in enumerate(row) if token in ends), None)
            yield Answer(
                key=request.key,
                output=tokenizer.decode(row[:length], skip_special_tokens=True),
                tokens_in=int(mask.sum()),
                tokens_out=length or len(row),
                finish="stop" if length else "length",
                repeat=request.repeat,
            )


def engine() -> dict[str, str]:
    """Backend, library minor versions, dtype, device and planner: what may move a score without a change of model."""
    versions = {name: ".".join(version(name).split("+")[0].split(".")[:2]) for name in ENGINE_PACKAGES}
    return {
        "backend": "transformers", **versions, "dtype": "float32", "device": "cpu",
        "planner": PLANNER, "token_budget": str(TOKEN_BUDGET),
    }  # fmt: skip


def render(tokenizer: Any, request: Request) -> str:
    """The prompt text of a request, up to where the answer begins."""
    turns = [{"role": role, "content": text} for role, text in request.messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def plan(decodings: Sequence[Decoding], lengths: Sequence[int]) -> list[list[int]]:
    """Batches of request indices: one decoding each, longest first, within the token budget; sampled ones alone.

    A sampled answer would depend on its neighbours in a batch, so it gets none.
    """
    order = sorted(range(len(lengths)), key=lambda index: (str(decodings[index]), -lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        decoding = decodings[index]
        current = batches[-1] if batches else []
        fits = current and decodings[current[0]] == decoding and not decoding.temperature
        widest = lengths[current[0]] if current else 0
        if fits and (widest + decoding.max_new_tokens) * (len(current) + 1) <= TOKEN_BUDGET:
            current.append(index)
        else:
            batches.append([index])
    return batches


def _settings(decoding: Decoding) -> dict[str, Any]:
    if not decoding.temperature:
        # the model's own generation_config may ask for sampling: say greedy outright
        return {
            "max_new_tokens": decoding.max_new_tokens, "do_sample": False, "num_beams": 1,
            "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0,
        }  # fmt: skip
    return {
        "max_new_tokens": decoding.max_new_tokens, "do_sample": True, "num_beams": 1,
        "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0, "repetition_penalty": 1.0,
    }  # fmt: skip


def _end_tokens(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}
