"""Files to import as an attacker would write them: what each tries, and what has to come of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Put = Callable[[Path], object]
CONFIG = "promptfooconfig.yaml"
OK = {"type": "contains", "value": "ok"}
SECRET = "SECRET-OUTSIDE"


@dataclass(frozen=True)
class Attack:
    """A file below the folder `in`, how it is written, and a part of what is printed; `taken` if it is imported."""

    name: str
    put: Put
    says: str
    taken: bool = False


def text(content: str | bytes) -> Put:
    def put(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return put


def config(**more: Any) -> Put:
    """A configuration of promptfoo; JSON is YAML."""
    test = {"vars": {"x": "a"}, "assert": [OK]}
    return text(json.dumps({"prompts": ["Say {{x}}"], "providers": ["echo"], "tests": [test], **more}))


def test(*assertions: Any, **more: Any) -> Put:
    return config(tests=[{"vars": {"x": "a"}, "assert": list(assertions), **more}])


def rows(*each: Any) -> Put:
    return text("".join(json.dumps(row) + "\n" for row in each))


def linked(name: str, target: str, then: Put) -> Put:
    """A link beside the file, which leads elsewhere."""

    def put(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(name).symlink_to(target)
        then(path)

    return put


def large(size: int) -> Put:
    def put(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.truncate(size)

    return put


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b"0" * (1 << 24))
    return buffer.getvalue()


def aliases() -> str:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join([*levels, "prompts: [a]", "tests: []"])


def merges() -> str:
    levels = ["a0: &a0 {" + ", ".join(f"k{n}: 1" for n in range(50)) + "}"]
    levels += [
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], n{n}: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)
    ]
    return "\n".join([*levels, "prompts: [a]", "tests: []"])


def result(**more: Any) -> dict[str, Any]:
    return {
        "testIdx": 0, "promptIdx": 0, "vars": {}, "success": True, "score": 1, "prompt": {"raw": "Hi", "label": "Hi"},
        "provider": {"id": "echo"}, "response": {"output": "ok"}, "testCase": {"assert": [OK]}, **more,
    }  # fmt: skip


def registry(kind: str = "Match", samples: str = "s.jsonl", name: str = "t.dev.v0") -> Put:
    def put(path: Path) -> None:
        text(json.dumps({name: {"class": f"evals.x:{kind}", "args": {"samples_jsonl": samples}}}))(path)
        rows({"input": "a", "ideal": "b"})(path.with_name("s.jsonl"))

    return put


NOT_RUN, OUTSIDE = "which is not run", "found one outside"

ATTACKS: Mapping[str, Attack] = {
    # scripts
    **{f"a prompt in {kind}": Attack(CONFIG, config(prompts=[f"file://evil.{kind}"]), NOT_RUN, taken=True)
       for kind in ("js", "cjs", "mjs", "ts", "py", "rb", "sh", "go")},
    "a prompt of a function": Attack(CONFIG, config(prompts=["file://evil.py:prompt"]), NOT_RUN, taken=True),
    "a prompt of a command": Attack(CONFIG, config(prompts=["exec: ./evil.sh"]), NOT_RUN, taken=True),
    "a prompt of scripts by a star": Attack(
        CONFIG, config(prompts=["file://evil.*"]), "expected 1 to 200 files, found 0", taken=True),
    "tests of a script": Attack(CONFIG, config(tests="file://evil.py"), NOT_RUN),
    "tests of a script with options": Attack(
        CONFIG, config(tests=[{"path": "file://evil.js:make", "config": {}}]), NOT_RUN),
    "a variable of a script": Attack(CONFIG, test(OK, vars={"x": "file://evil.py"}), NOT_RUN),
    "defaults of a script": Attack(CONFIG, config(defaultTest="file://evil.js"), NOT_RUN),
    "scenarios of a script": Attack(CONFIG, config(scenarios=["file://evil.js"]), NOT_RUN),
    "providers and hooks of scripts": Attack(
        CONFIG, config(providers=["file://evil.py"], extensions=["file://evil.js:f"]),
                                             "left out: setting extensions 1", taken=True),
    "an assertion in JavaScript": Attack(CONFIG, test(OK, {"type": "javascript", "value": "process.exit()"}),
                                         "left out: javascript 1 (code, which is not run)", taken=True),
    "an assertion in Python": Attack(CONFIG, test(OK, {"type": "python", "value": "file://evil.py"}),
                                     "left out: python 1 (code, which is not run)", taken=True),
    "a value of a script": Attack(CONFIG, test(OK, {"type": "equals", "value": "file://evil.js"}), NOT_RUN, taken=True),
    "an output that a script changes": Attack(
        CONFIG, test(OK, options={"transform": "file://evil.js"}), "code has changed", taken=True),
    "a column of scripts": Attack("t.csv", text("q,__expected\na,javascript:evil()\nb,file://evil.py\nc,equals:x\n"),
                                  "left out: javascript 1", taken=True),
    "a script by its own name": Attack("evil.py", text("raise SystemExit"), NOT_RUN),
    # templates
    **{f"the template {said}": Attack(CONFIG, config(prompts=[said]), "left out: prompt", taken=True)
       for said in ('{{ range.constructor("return process")() }}', "{{ ''.__class__.__mro__[1] }}",
                    "{% include '/etc/passwd' %}",
                    "{% import 'evil.js' as x %}", "{{ x | attr('__class__') }}", "{{ x.y() }}", "{{ 7 * 7 }}")},
    "a template of attributes": Attack(CONFIG, config(prompts=["{{ x.__class__.__init__ }}."]),
                                       "x.__class__.__init__ has no value: left empty", taken=True),
    "the environment": Attack(CONFIG, config(prompts=["{{ env.PATH }}"]), "a variable of the environment", taken=True),
    # tags and functions
    **{f"the tag {tag}": Attack(CONFIG, text(f"prompts: [a]\ntests:\n  - vars: {tag}\n"), "without a tag")
       for tag in ('!!python/object/apply:os.system ["touch canary"]', "!!python/name:os.system x",
                   "!!js/function 'evil()'",
                   "!include /etc/passwd", "!ENV x", "!!binary aGk=")},
    "a function of a task": Attack(
        "t.yaml", text("task: t\ndataset_path: json\ndoc_to_text: !function evil.f\n"), "!function"),
    "a class of the registry": Attack("t.yaml", registry("Popen"), "Popen has no home here"),
    # bombs
    "aliases that grow": Attack(CONFIG, text(aliases()), "few aliases"),
    "merges that grow": Attack(CONFIG, text(merges()), "few aliases"),
    "an alias inside itself": Attack(CONFIG, text("prompts: &a [*a]\ntests: []\n"), "an alias inside its own anchor"),
    "deep YAML": Attack(CONFIG, text("prompts: " + "[" * 5000 + "]" * 5000), "levels of nesting"),
    "deep JSON": Attack("t.json", text("[" * 100_000 + "]" * 100_000), "levels of nesting"),
    "deep JSON in a prompt": Attack(CONFIG, config(prompts=["[" * 3000 + "]" * 3000 + "{{x}}"]), "1 case", taken=True),
    "a number of a million digits": Attack("t.json", text("[" + "9" * 1_000_000 + "]"), "a number of 1,000,000 digits"),
    "a product of variables": Attack(
        CONFIG, test(OK, vars={f"v{n}": list(range(10)) for n in range(15)}), "at most 20,000"),
    "prompts times tests": Attack(
        CONFIG, config(prompts=["{{x}}"] * 300, tests=[{"vars": {"x": "a"}, "assert": [OK]}] * 300),
                                  "at most 20,000 cases"),
    "variables that double": Attack(CONFIG, config(prompts=["{{v0}}"], tests=[{
        "vars": {f"v{n}": f"{{{{v{n + 1}}}}}" * 99 for n in range(9)}, "assert": [OK]}]), "1,000,000 characters",
                                     taken=True),
    "a pattern that takes for ever": Attack(
        CONFIG, test({"type": "regex", "value": "(a+)+b(?!c)"}), "1 case", taken=True),
    "a ZIP under another name": Attack("t.json", text(zipped()), "a ZIP archive"),
    "gzip under another name": Attack("t.jsonl", text(gzip.compress(b"0" * (1 << 24))), "a gzip archive"),
    "200 MB of rows": Attack("t.jsonl", large(200 << 20), "larger files are not read"),
    "200 MB of YAML": Attack(CONFIG, large(200 << 20), "larger files are not read"),
    "200 MB beside it": Attack(CONFIG, linked("big.txt", "../big", config(prompts=["file://big.txt"])), OUTSIDE,
                                taken=True),
    "a cell of 20 MB": Attack(
        "t.csv", text("q,__expected\na," + "x" * (20 << 20) + "\n"), "field larger than field limit"),
    "sets in sets of assertions": Attack(CONFIG, config(tests=[{"vars": {"x": "a"}, "assert": [json.loads(
        '{"type": "assert-set", "assert": [' * 30 + json.dumps(OK) + "]}" * 30)]}]),
        "assert-set 1 (no check here scores it)", taken=True),
    # out of the folder
    **{f"the path {path}": Attack(CONFIG, config(prompts=[path]), OUTSIDE, taken=True)
       for path in ("file://../secret.txt", "file:///etc/passwd", "file://a/../../secret.txt", "file://../*.txt")},
    **{f"the address {path}": Attack(CONFIG, config(prompts=[path]), "found an address", taken=True)
       for path in ("file:////server/share.txt", "file://\\\\server\\share.txt", "http://127.0.0.1:9/x.txt")},
    "a link to a secret": Attack(CONFIG, linked("in.txt", "../secret.txt", config(prompts=["file://in.txt"])), OUTSIDE,
        taken=True),
    "a folder that is a link": Attack(CONFIG, linked("up", "..", config(prompts=["file://up/secret.txt"])), OUTSIDE,
        taken=True),
    "links by a star": Attack(CONFIG, linked("in.txt", "../secret.txt", config(prompts=["file://*.txt"])), OUTSIDE,
        taken=True),
    "a link to itself": Attack(CONFIG, linked("in.txt", "in.txt", config(prompts=["file://in.txt"])), "expected a",
        taken=True),
    "a null in a path": Attack(CONFIG, text('{"prompts": ["file://a\\u0000.txt"], "tests": []}'), "expected"),
    "samples of the registry outside": Attack("t.yaml", registry(samples="../secret.jsonl"), OUTSIDE),
    "a schema outside": Attack(
        CONFIG, test(OK, {"type": "is-json", "value": "file://../secret.json"}), OUTSIDE, taken=True),
    "a schema that names a file": Attack(CONFIG, test(OK, {"type": "is-json", "value": {"$ref": "file:///etc/passwd"}}),
                                         "left out: is-json 1", taken=True),
    # names that lead outside when written
    "a provider named as a path": Attack("r.json", text(json.dumps({"results": {"stats": {}, "results": [
        result(provider={"id": "../../evil"})]}})), "outputs/r-evil.jsonl", taken=True),
    "an eval named as a path": Attack("t.yaml", registry(name="../../evil"), "1 case", taken=True),
    "a case named as a path": Attack(CONFIG, test(OK, description="../../../evil"), "1 case", taken=True),
    # look-alikes
    "binary rows": Attack("t.csv", text(b"q,__expected\n\xff\x00\xfe,x\n"), "UTF-8 text"),
    "a null in rows": Attack("t.csv", text(b"q,__expected\na\x00b,x\n"), "a null byte"),
    "a key twice": Attack("t.json", text('{"prompts": [], "prompts": []}'), "twice"),
    "an endless device": Attack("t.jsonl", lambda path: path.symlink_to("/dev/zero"), "a device"),
    "a pipe": Attack("t.jsonl", lambda path: os.mkfifo(path), "a pipe"),
    "nothing": Attack("t.jsonl", lambda path: None, "nothing there"),
    "lines of a terminal and a workflow": Attack(
        CONFIG, test(OK, {"type": "\x1b[2J\n::error::evil", "value": "\x1b]0;x\x07"}),
                                                 "\\x1b[2J\\n::error::evil", taken=True),
    "a comment that ends": Attack(CONFIG, test(OK, {"type": "python", "value": "x\nversion: 9\n\u2028evil: true"}),
                                  "left out: python 1", taken=True),
    "half a character": Attack("t.jsonl", text('{"input": "\\ud800", "ideal": "x"}\n'), "half a character"),
}  # fmt: skip
