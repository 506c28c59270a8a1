"""Run as a program, in the place of vLLM's server: it takes the same arguments, and misbehaves as FAKE_VLLM says.

honest    each model answers in its own way
ignores   adapters are listed, and answer as the base does
misses    adapters are not even listed
dies      it ends while it loads
leaves    it ends at the second request
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SELF = Path(__file__)
WRAPPER = """#!/bin/sh
# as a Python that has vLLM: asked for its versions, or to run the server
if [ "$2" = -c ]; then echo '{"vllm": "9.9.1", "torch": "2.13.0+cpu"}'; exit; fi
shift 3
exec PYTHON SERVER "$@"
"""


def install(folder: Path) -> Path:
    """A Python that seems to have vLLM, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python"
    python.write_text(WRAPPER.replace("PYTHON", sys.executable).replace("SERVER", str(SELF)))
    python.chmod(0o755)
    return python


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def option(name: str) -> list[str]:
    """The values behind an option."""
    start = sys.argv.index(name) + 1
    return sys.argv[start : next((at for at in range(start, len(sys.argv)) if sys.argv[at][:2] == "--"), None)]


def names() -> list[str]:
    modules = option("--lora-modules") if "--lora-modules" in sys.argv else []
    adapters = [] if MANNER == "misses" else [each.partition("=")[0] for each in modules]
    return [*option("--served-model-name"), *adapters]


class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        self.send({"data": [{"id": name} for name in names()]})

    def do_POST(self) -> None:
        Handler.asked += 1
        if MANNER == "leaves" and Handler.asked > 1:
            say("out of memory")
            os._exit(9)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = 0 if MANNER == "ignores" else names().index(body["model"])
        ids = body["prompt"]
        text = "{}" if body.get("response_format") else f"answer {number}"
        choice: dict[str, Any] = {"text": text, "finish_reason": "stop"}
        if body.get("echo"):
            choice["logprobs"] = {"token_logprobs": [None, *(-1.0 - number for _ in ids[1:]), -0.5]}
        if body.get("return_token_ids"):  # those of a tokenizer with a token a letter
            choice["token_ids"] = [int(each) for each in os.environ.get("FAKE_VLLM_TOKENS", "").split()]
        usage = {"prompt_tokens": len(ids), "completion_tokens": 2}
        held = body.get("response_format")
        say(json.dumps({"asked": body["model"], "stops": body.get("stop_token_ids"), "format": held}))
        self.send({"model": body["model"], "choices": [choice], "usage": usage})

    def send(self, data: Any) -> None:
        content = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


MANNER = os.environ.get("FAKE_VLLM", "honest")

if __name__ == "__main__":
    say(f"pid {os.getpid()}")
    say(f"files {sorted(path.name for path in Path(option('--model')[0]).iterdir())}")
    if MANNER == "dies":
        say("ValueError: not enough memory for the cache")
        sys.exit(1)
    server = ThreadingHTTPServer(("127.0.0.1", int(option("--port")[0])), Handler)
    threading.Thread(target=server.serve_forever).start()
