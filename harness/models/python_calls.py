"""The process of a `python:` model: load its function, and call it for each request until the input ends."""

from __future__ import annotations

import ctypes
import importlib
import json
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tunegate.harness.checks.box import END_WITH_PARENT
from tunegate.harness.checks.own import load_module, loading_source
from tunegate.harness.core.child import responses_only
from tunegate.harness.core.errors import AuthoringError

MOST_SAID = 500  # characters of an exception
Response = tuple[str, int, Any]  # its kind, the line where it failed, and the output or the exception


def serve_function() -> None:
    """Respond to each line of the input: to the first with the loaded file, then with the function's outputs."""
    responses = responses_only()
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)  # a call that hangs does not outlive the run
    source, name = sys.argv[1:]
    function: Callable[..., Any] | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        if function is None:
            function, response = _loaded(source, name)
        else:
            response = _called(function, asked, source)
        json.dump(response, responses)
        responses.write("\n")
        responses.flush()


def _loaded(source: str, name: str) -> tuple[Callable[..., Any] | None, Response]:
    try:
        module = _module(source)
    except AuthoringError as error:
        [problem] = error.problems
        return None, ("failed", problem.line, problem.found)
    except (Exception, SystemExit) as error:  # a third-party module can raise anything on import
        return None, ("failed", 0, _said(error))
    function = getattr(module, name, None)
    if not callable(function):
        found = "nothing of that name" if function is None else type(function).__name__
        return None, ("failed", 0, found)
    return function, ("loaded", 0, str(Path(str(module.__file__)).resolve()))


def _module(source: str) -> ModuleType:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    loading_source(Path(source).parent)
    return load_module(Path(source))


def _called(function: Callable[..., Any], asked: Mapping[str, Any], source: str) -> Response:
    try:
        output = function(asked["messages"], asked["decoding"], *([asked["tools"]] if "tools" in asked else []))
    except (Exception, SystemExit) as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == source]
        return "failed", lines[-1] or 0 if lines else 0, _said(error)
    if isinstance(output, str):
        return "output", 0, str(output)
    if flaw := _flaw_of(output) if "tools" in asked else "is no text":
        return "failed", 0, f"{type(output).__name__}, which {flaw}"
    return "output", 0, output


def _flaw_of(output: Any) -> str:
    """What keeps an output from being a message with calls, as OpenAI's; empty if it is one."""
    if not isinstance(output, dict):
        return "is no text and no message"
    try:
        json.dumps(output)
    except (TypeError, ValueError, RecursionError):
        return "is no JSON"
    return "" if "tool_calls" in output else "has no tool_calls"


def _said(error: BaseException) -> str:
    """The exception in words, on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}..."
