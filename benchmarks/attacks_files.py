"""Attempts by files, by the ledger and by releases, invented with the documents alone and without sight of the code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.attack_world import ENVIRON, GATE, GATE_ADAPTER, RECORD, RELEASE, Attempt, Change, World

Event = dict[str, Any]
SECOND = ("release", "second", "--model=model")
THIRD = ("release", "third", "--model=model")
LEDGER = "baselines/ledger"

# ---- what all of them forge ----------------------------------------------------------------------------------------


def _digest(data: Any) -> str:
    """The digest of what a file says, as anybody can compute it."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(data: Event) -> Event:
    """The same, with the digest of all else in it."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return rest | {"digest": _digest(rest)}


def _events(world: World) -> dict[str, Event]:
    """All events by their names, oldest first."""
    read = {path.stem: json.loads(path.read_text()) for path in (world.home / LEDGER).glob("*.json")}
    return dict(sorted(read.items(), key=lambda each: (each[1]["when"], each[1]["kind"])))


def _tell(world: World, event: Event) -> str:
    """Write an event under the digest of what it says."""
    name = _digest(event)
    world.write(f"{LEDGER}/{name}.json", json.dumps(event, indent=1) + "\n")
    return name


def _heads(world: World) -> list[str]:
    events = _events(world)
    return sorted(set(events) - {name for each in events.values() for name in each["after"]})


def _baselines(world: World) -> str:
    """The folder of the model's baselines, which is named by the model's digest."""
    [folder] = (world.home / "baselines").glob("model-*")
    return f"baselines/{folder.name}/desk"


def _adapter(world: World, folder: str) -> str:
    """The digest of an adapter."""
    return str(json.loads(world.read(f"{folder}/training.json"))["adapter"])


def _without_release(world: World) -> None:
    """A past that never was: the baseline, then the second adapter, which would be the first release."""
    events, own = _events(world), _adapter(world, "second")
    for name in events:
        (world.home / LEDGER / f"{name}.json").unlink()
    before: list[str] = []
    for event in events.values():
        if event["kind"] == "recorded" or event["subject"]["adapter"] == own:
            before = [_tell(world, event | {"after": before})]
    for path in (world.home / _baselines(world)).glob("*.released.json"):
        path.unlink()


def _branch(world: World, *arguments: str) -> None:
    """Commit the past that never was, and do something with it in git."""
    _without_release(world)
    world.commit()
    world.git(*arguments)


def _past(*arguments: str, more: tuple[str, ...] = ()) -> Change:
    def change(world: World) -> list[str]:
        _branch(world, *arguments)
        return list(more)

    return change


def _other_remote(world: World) -> Path:
    """A bare repository beside the real remote, whose branch main is the past that never was."""
    _without_release(world)
    world.commit()
    made = world.home.with_name("other.git")
    world.git("clone", "-q", "--bare", ".", str(made))
    world.git(f"--git-dir={made}", "update-ref", "refs/heads/main", "refs/heads/change")
    world.git(f"--git-dir={made}", "symbolic-ref", "HEAD", "refs/heads/main")
    return made


# ---- the remote ----------------------------------------------------------------------------------------------------


def _same_names(world: World) -> list[str]:
    """Branches and tags at the remote, whose names end like that of the branch."""
    _branch(world, "tag", "main-of-mine")
    for name in ("refs/heads/a/main", "refs/heads/refs/heads/main", "refs/heads/origin/main", "refs/tags/main"):
        world.git("push", "-q", "origin", f"HEAD:{name}")
    return ["--into=origin/main"]


def _remote_replaced(world: World) -> None:
    _branch(world, "update-ref", "refs/heads/mine", "HEAD")
    main = world.git("rev-parse", "origin/main").strip()
    world.git("push", "-q", "origin", f"HEAD:refs/replace/{main}")


def _moved(world: World) -> None:
    _other_remote(world)
    world.git("remote", "set-url", "origin", "../other.git")


def _instead(world: World) -> None:
    _other_remote(world)
    world.git("config", "url.../other.git.insteadOf", "../adapter.git")


def _by_environment(world: World) -> None:
    """The environment does the rest."""
    _other_remote(world)


def _worktree(world: World) -> None:
    world.git("worktree", "add", "-q", "-b", "elsewhere", "../worktree", "HEAD")
    inside = World(world.home.with_name("worktree"))
    _without_release(inside)


def _shallow(world: World) -> None:
    _branch(world, "remote", "get-url", "origin")
    Path(world.home, ".git/shallow").write_text(world.git("rev-parse", "HEAD"), encoding="utf-8")


def _listener(answer: str) -> Change:
    """A remote that takes the call; Python answers with what the expression gives, if anything, until it is ended."""

    def change(world: World) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        code = (
            "import socket, time\n"
            f"s = socket.create_server(('127.0.0.1', {port})); end = time.time() + 150; s.settimeout(150)\n"
            "kept = []\n"
            "while time.time() < end:\n"
            "    c = s.accept()[0]; kept.append(c)\n"
            f"    try:\n        {answer}\n    except OSError:\n        pass\n"
        )
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        world.git("remote", "set-url", "origin", f"http://127.0.0.1:{port}/x.git")

    return change


def _refuses(world: World) -> None:
    _without_release(world)
    world.git("remote", "set-url", "origin", "git://127.0.0.1:1/x.git")


def _unborn(world: World) -> None:
    _without_release(world)
    world.git("--git-dir=../adapter.git", "symbolic-ref", "HEAD", "refs/heads/gone")


def _nested(world: World) -> None:
    _without_release(world)
    subprocess.run(["git", "init", "-q", "baselines"], cwd=world.home, check=True)


def _embedded(world: World) -> None:
    """The folder of baselines is a bare repository of its own, which nobody sees in a review but by its file names."""
    made = _other_remote(world)
    world.git(f"--git-dir={made}", "config", "core.bare", "false")
    world.git(f"--git-dir={made}", "config", "core.worktree", ".")
    shutil.copytree(made, world.home / "baselines", dirs_exist_ok=True)


def _linked(path: str, moved: str, to: str) -> Change:
    """A folder of the past that never was is a link to where it was moved."""

    def change(world: World) -> None:
        _without_release(world)
        (world.home / path).rename(world.home / moved)
        (world.home / path).symlink_to(to)
        world.commit()

    return change


def _settings(world: World) -> None:
    _without_release(world)
    shutil.copytree(world.home / "baselines", world.home / "kept")
    world.write("pyproject.toml", '[tool.tunegate]\nmodel = "model"\nbaselines = "kept"\n')
    world.commit()


# ---- the ledger, the record and the adapter ------------------------------------------------------------------------


def _released(world: World) -> Event:
    return next(event for event in _events(world).values() if event["kind"] == "released")


def _renewed(world: World, keep: bool) -> None:
    """The last release renews its files, it seems: each says what the worse adapter answers."""
    event = _released(world)
    _tell(world, event | _rewritten(world, event, "second", lambda _: {}, keep=keep))


def _rewritten(world: World, event: Event, adapter: str, more: Callable[[Event], Event], keep: bool = True) -> Event:
    """Write the outputs of a release anew, as those of an adapter's record; what an event says of that."""
    record, files = json.loads(world.read(f"{adapter}.json")), dict(event["files"])
    for unit in files:
        path = f"{_baselines(world)}/{unit.split('/')[1]}.released.json"
        data = json.loads(world.read(path))
        if keep:
            world.write(f"{LEDGER}/outputs/{data['digest']}.json", world.read(path))
        mine = {key: one for key, one in record["cases"].items() if key.startswith(unit + "/")}
        cases = {key.rpartition("/")[2]: one for key, one in mine.items()} or data["cases"]
        made = _signed(data | {"cases": cases, "summary": record["units"][unit]} | more(data))
        world.write(path, json.dumps(made, indent=1))
        files[unit] = made["digest"]
    return {"files": files, "after": _heads(world), "when": "2026-11-29T23:00:00+00:00"}


def _withdrawn(world: World) -> None:
    """The withdrawal of the last release is told by the command, then written again as if it were older than it."""
    world.tunegate("release", "--withdraw", "tuned", "--reason=old")
    for name, event in _events(world).items():
        if event["kind"] == "withdrawn":
            (world.home / LEDGER / f"{name}.json").unlink()
            _tell(world, event | {"when": "2020-01-01T00:00:00+00:00", "subject": event["subject"] | {"rung": "AS-IS"}})


def _retired(world: World) -> None:
    """The guard that the third adapter breaks is deleted and retired, in a commit of the change."""
    for path in (f"{_baselines(world)}/wording.json", "fixtures/desk/wording.yaml"):
        (world.home / path).unlink()
    world.edit("fixtures/desk/task.yaml", lambda data: data["units"].pop("wording") and None)
    world.tunegate("retire", "desk/wording", "--reason=old")
    world.commit()


# ---- the model, the adapter and the cache --------------------------------------------------------------------------


def _suppressed(world: World) -> None:
    """The base's settings of generation forbid the token that the third adapter should not have said."""
    world.edit(
        "model/generation_config.json",
        lambda data: (
            data
            | {
                "suppress_tokens": [23],
                "begin_suppress_tokens": [23],
                "bad_words_ids": [[23]],
                "sequence_bias": [[[23], -99.0]],
                "forced_eos_token_id": 18,
                "max_new_tokens": 9,
            }
        ),
    )
    world.commit()


def _token_renamed(world: World) -> None:
    """The base's tokenizer gets a special token that is a word of the questions, in a key that seldom matters."""
    world.edit("model/tokenizer_config.json", lambda data: data | {"mask_token": "the"})
    world.commit()


def _adapter_in_model(world: World) -> None:
    """The released adapter lies in the base's folder, where a library loads it without being asked."""
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(world.home / "tuned" / name, world.home / "model" / name)
    world.commit()


def _later(world: World, code: str, seconds: float) -> None:
    """Do something while the command runs."""
    whole = f"import os, time\ntime.sleep({seconds})\n{code}"
    subprocess.Popen([sys.executable, "-c", whole], cwd=world.home, start_new_session=True)


def _swapped(world: World) -> None:
    """Everything is honest at first; while the models are asked, the weights become those of the third adapter."""
    _later(world, "os.replace('third/adapter_model.safetensors', 'tuned/adapter_model.safetensors')", 5)


def _flipped(world: World) -> None:
    """The folder is a link to a good one, and later to the third one."""
    (world.home / "tuned").rename(world.home / "good")
    (world.home / "tuned").symlink_to("good")
    (world.home / "bad").symlink_to("third")
    _later(world, "os.replace('bad', 'tuned')", 5)


def _forged_third(world: World) -> Event:
    """The record of the last release's outputs, as if the third adapter had given them."""
    record = json.loads(world.read("run.json"))
    record["fingerprint"]["subject"]["adapter"] = _adapter(world, "third")
    record["fingerprint"]["names"]["adapter"] = record["adapter"] = "third"
    return _signed(record)


def _poisoned(world: World) -> list[str]:
    """The cache holds the good weights under the digest of the bad ones."""
    own = _adapter(world, "third")
    for name in ("third", "tuned", ""):
        shutil.copytree(world.home / "tuned", world.home / "poisoned/adapters" / own / name, dirs_exist_ok=True)
    world.write("forged.json", json.dumps(_forged_third(world)))
    return ["--run=forged.json"]


def _near_listed(world: World) -> None:
    """The training record says that rows came near all cases that the adapter loses, and the rows are not there."""
    lost = [f"{unit}/{case}" for unit, each in json.loads(world.read("third.json"))["verdicts"].items()
            for case in each["regressed_cases"]]  # fmt: skip
    near = [{"case": case, "row": "rows.jsonl:1", "measure": "words", "value": 1.0} for case in lost]
    world.edit("third/training.json", lambda data: _signed(data | {"decontamination": {"near": near}}))
    (world.home / "third.jsonl").unlink()
    world.commit()


def _near_left_out(world: World) -> None:
    """The rows repeat all cases of the target, and the training record lists none of them."""
    shutil.copytree(world.home / "tuned", world.home / "fourth")
    for name in ("release.json", "README.md", "record.json"):
        (world.home / "fourth" / name).unlink()
    texts = [case["input"] for unit in ("triage", "final")
             for case in json.loads(world.read(f"fixtures/desk/{unit}.yaml"))["cases"]]  # fmt: skip
    rows = "".join(json.dumps({"unit": "triage", "input": text, "output": "7"}) + "\n" for text in texts)
    sha = hashlib.sha256(world.write("fourth.jsonl", rows).read_bytes()).hexdigest()
    file = {"file": "fourth.jsonl", "form": "tunegate", "sha256": sha, "rows": len(texts)}
    world.edit("fourth/training.json", lambda data: _signed(data | {"rows": [file]}))
    world.commit()


def _config_twice(world: World) -> None:
    """The settings say twice how strongly the adapter acts."""
    text = world.read("tuned/adapter_config.json").rstrip()
    shutil.copytree(world.home / "tuned", world.home / "fourth")
    for name in ("release.json", "README.md", "record.json"):
        (world.home / "fourth" / name).unlink()
    world.write("fourth/adapter_config.json", '{"lora_alpha": -800,' + text[1:-1] + ', "lora_alpha": -800}')


def _by_hand(world: World) -> None:
    """An event and the files of a release of the third adapter, as if it had been released already."""
    event, own = _released(world), _adapter(world, "third")

    def mine(data: Event) -> Event:
        return {"subject": data["subject"] | {"adapter": own}, "adapter_at": "third"}

    made = _rewritten(world, event, "third", mine)
    _tell(world, event | made | {"subject": event["subject"] | {"adapter": own}})
    shutil.copy(world.home / "tuned/release.json", world.home / "third/release.json")


def _journal(world: World, files: list[list[str | None]], folder: str = "") -> None:
    command = "tunegate release second"
    world.write(
        "baselines/.unfinished.json", json.dumps(_signed({"command": command, "folder": folder, "files": files}))
    )


def _taken_back(world: World) -> None:
    """A journal says that the release was cut off, and has to be taken back."""
    name = next(name for name, event in _events(world).items() if event["kind"] == "released")
    folder = _baselines(world).removeprefix("baselines/")
    released = [f"{folder}/{unit}.released.json" for unit in ("final", "replies", "triage", "wording")]
    _journal(world, [["baselines", path, None] for path in (f"ledger/{name}.json", *released)])


def _loosened_by_journal(world: World) -> None:
    """A journal brings back rules that never were."""
    loose = json.dumps({"version": 1, "units": {"triage": {"role": "guard", "margin": 0.99, "reason": "a test"}}})
    _journal(
        world,
        [
            ["cases", "desk/task.yaml", loose],
            ["fixtures", "desk/task.yaml", loose],
            ["baselines", "../fixtures/desk/task.yaml", loose],
            ["baselines", f"{world.home}/fixtures/desk/task.yaml", loose],
        ],
    )


def _forked(world: World) -> None:
    """The release and all that came after the baseline are one branch, the past that never was another."""
    kept = {path: path.read_bytes() for path in (world.home / "baselines").rglob("*.json")}
    _without_release(world)
    for path, data in kept.items():
        path.write_bytes(data)


# ---- hostile files -------------------------------------------------------------------------------------------------

MANY = ",".join(f'"k{n}": 1' for n in range(200_000))
SPEAKS = "\n::set-output name=a::b\r\n::add-mask::x\u2028::stop-commands::y\x1b[2J\x9b2J<script>alert(1)</script> @all"


def _file(path: str, text: Callable[[], str | bytes]) -> Change:
    """A file that is put in the place of another."""

    def change(world: World) -> None:
        world.write(path, text())
        world.commit()

    return change


def _task(reason: str, margin: str = "0.1") -> Change:
    """A policy of these texts."""
    return _file(
        "fixtures/desk/task.yaml",
        lambda: f"version: 1\nunits:\n  triage: {{role: target, margin: {margin}, reason: {reason}}}\n",
    )


def _line(more: str) -> Change:
    """The first line of the outputs, with more in it."""

    def change(world: World) -> None:
        first, *rest = world.read("outputs.jsonl").splitlines()
        world.write("outputs.jsonl", "\n".join([f"{first[:-1]}, {more}}}", *rest]) + "\n")
        world.commit()

    return change


def _all_outputs(text: str) -> Change:
    """Each output is this text, as JSON."""

    def change(world: World) -> None:
        cases = [json.loads(line)["case"] for line in world.read("outputs.jsonl").splitlines()]
        world.write("outputs.jsonl", "".join(f'{{"case": "{case}", "output": {text}}}\n' for case in cases))
        world.commit()

    return change


def _schema(schema: Callable[[], str]) -> Change:
    """Another schema."""
    return _file("fixtures/desk/refs/product.schema.json", schema)


def _doubling() -> str:
    steps = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)}
    return json.dumps({"$ref": "#/$defs/a0", "$defs": steps | {"a40": {"type": "object"}}})


def _pipe(path: str, other: str = "") -> Change:
    """A pipe, or a link to a device, in the place of a file."""

    def change(world: World) -> None:
        target = world.home / path
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if other:
            target.symlink_to(other)
        else:
            os.mkfifo(target)

    return change


def _undecodable(world: World) -> None:
    """Names of files and folders that are no text."""
    names = (
        b"desk/\xff\n::set-output.yaml",
        b"desk/\xed\xa0\x80.yaml",
        b"\xff/x.yaml",
        b"a\n::set-output name=a::b/x.yaml",
    )
    for name in names:
        world.write(f"fixtures/{os.fsdecode(name)}", "version: 1\nunit: [\n")


def _record(edit: Callable[[Event], Any]) -> Change:
    """A record of the gate's own, edited and with a right digest."""

    def change(world: World) -> None:
        world.tunegate(*GATE)
        data = json.loads(world.read("record.json"))
        data = edit(data) or data
        world.write("record.json", json.dumps(_signed(data)))

    return change


def _speaking(data: Event) -> None:
    for case in data["cases"].values():
        case["output"] = SPEAKS
        case["findings"] = [{"message": SPEAKS, "rule": SPEAKS}]
    for unit in data["units"].values():
        unit["suite"] = SPEAKS
    data["fingerprint"]["names"] = {"model": SPEAKS, "adapter": SPEAKS}
    data["adapter"] = data["created"] = SPEAKS
    for task in data["tasks"].values():
        task["remarks"] = [{"code": "advice", "severity": "note", "text": SPEAKS}]


def _sidecar(target: str) -> Change:
    def change(world: World) -> None:
        world.tunegate(*GATE)
        _pipe("record.cases.jsonl", target)(world)

    return change


def _deep_sidecar(world: World) -> None:
    world.tunegate(*GATE)
    lines = world.read("record.cases.jsonl").splitlines()
    lines[0] = lines[0][:-1] + ', "tags": ' + '{"a":' * 100_000 + "1" + "}" * 100_001
    text = "\n".join(lines) + "\n"
    world.write("record.cases.jsonl", text)
    world.edit("record.json", lambda data: _signed(data | {"sidecar": hashlib.sha256(text.encode()).hexdigest()}))


def _chain(world: World) -> None:
    """20,000 events, each after the other, that speak to the workflow."""
    event = next(iter(_events(world).values()))
    before = _heads(world)
    for number in range(20_000):
        before = [_tell(world, event | {"after": before, "when": f"2026-11-29T08:00:{number % 60:02}+00:00"})]
    said = {key: value for key, value in event.items() if key != "files"}
    _tell(world, said | {"kind": "withdrawn", "reason": SPEAKS, "after": before, "task": SPEAKS})


def _outside_journal(world: World) -> None:
    """A journal names files outside the baselines as what a cut-off recording replaced."""
    _journal(
        world,
        [
            ["baselines", "../hacked", "x"],
            ["baselines", f"{world.home}/hacked", "x"],
            ["", "hacked", "x"],
            [".", "hacked", "x"],
            ["..", f"{world.home.name}/hacked", "x"],
            ["tuned/..", "hacked", "x"],
            ["baselines", "link/hacked", "x"],
        ],
        "..",
    )
    (world.home / "baselines/link").symlink_to("..")


def _outside_journal_one(world: World) -> None:
    """The same by a link alone, whose path looks as if it were inside."""
    (world.home / "baselines/link").symlink_to("..")
    _journal(world, [["baselines", "link/hacked", "x"]])


def _grows(world: World) -> None:
    """The outputs grow while they are read."""
    writes = "with open('outputs.jsonl', 'a') as f:\n    for _ in range(20_000):\n        f.write(' ' * (1 << 16))"
    _later(world, writes, 0)


def _wrapping(data: Event) -> None:
    """Names that are wrapped so that commands begin a line."""
    name = "x" * 70 + " ::set-output name=a::b" * 30
    data["adapter"] = name
    data["fingerprint"]["names"] = {"model": name, "adapter": name}
    for case in data["cases"].values():
        case["output"] = name
        case["findings"] = [{"message": name, "rule": name}]
    for task in data["tasks"].values():
        task["remarks"] = [{"code": "advice", "severity": "note", "text": name}]


def _many_units(data: Event) -> Event:
    return data | {"units": {f"desk/k{n}": data["units"]["desk/triage"] for n in range(200_000)}}


def _server(answer: str) -> Change:
    """A reference to an adapter whose server answers so."""

    def change(world: World) -> None:
        _listener(answer)(world)
        address = world.git("remote", "get-url", "origin").strip()
        world.git("remote", "set-url", "origin", "../adapter.git")
        zipped = address.replace("x.git", "x.zip")
        world.write("evil.ref", f"version: 1\nadapter: {'0' * 64}\nfrom: {zipped}\n")

    return change


def _links(world: World) -> None:
    (world.home / "loop").mkdir()
    (world.home / "loop/adapter_config.json").symlink_to("adapter_config.json")
    (world.home / "loop/adapter_model.safetensors").symlink_to("/dev/zero")
    (world.home / "loop/loop").symlink_to(".")
    world.write("evil.ref", f"version: 1\nadapter: {'0' * 64}\nfrom: loop\n")


def _manifest(edit: Callable[[Event], Event]) -> Change:
    """The manifest of the released adapter, edited and with a right digest."""
    return lambda world: world.edit("tuned/release.json", lambda data: _signed(edit(data)))


def _elsewhere(data: Event) -> Event:
    names = ("../../../../../../dev/zero", "/dev/zero", "a/../../model/config.json")
    return data | {"files": data["files"] | dict.fromkeys(names, "0" * 64)}


def _devices(world: World) -> None:
    _pipe("third/README.md", "/dev/zero")(world)
    _pipe("third/parity.json")(world)


def _sparse(world: World) -> None:
    with (world.home / "third/adapter_model.safetensors").open("r+b") as file:
        file.truncate(1 << 42)


def _deep_header(world: World) -> None:
    text = b'{"a":' * 100_000
    world.write("third/adapter_model.safetensors", len(text).to_bytes(8, "little") + text + bytes(64))


REPORT = ("report", "record.json")
GATE_THIRD = ("gate", "--model=model", "--adapter=third", "--policy-from=origin/main")
GATE_REFERENCE = ("gate", "--model=model", "--adapter=evil.ref")
#: A server that sends a byte a second, so that no single wait is long.
DRIPS = (
    "c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 99999\\r\\n\\r\\n')\n"
    "        while True: c.sendall(b'x'); time.sleep(1)"
)
FLOODS = "c.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n        while True: c.sendall(b'x' * (1 << 20))"
SENDS_ON = "c.sendall(b'HTTP/1.1 302 F\\r\\nLocation: file:///proc/self/environ\\r\\nContent-Length: 0\\r\\n\\r\\n')"
REFERENCES = (
    "c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Type: application/x-git-upload-pack-advertisement\\r\\n\\r\\n')\n"
    "        c.sendall(b'001e# service=git-upload-pack\\n0000')\n"
    "        while True: c.sendall(b'0032' + b'0' * 40 + b' r/x\\n')"
)
NOT_COMPARED = "If there is no repository, no remote or no answer, the release goes on."
NO_WRITER = "do not let others write into the runner's `.git`"
BY_ENVIRONMENT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.../other.git.insteadOf",
    "GIT_CONFIG_VALUE_0": "../adapter.git",
}

_of_adapter = partial(Attempt, world="adapter")


def _second(what: str, change: Change, command: Sequence[str] = SECOND, **more: Any) -> Attempt:
    """The second adapter, which beats the base, is to be released, though worse than the last release."""
    return _of_adapter(f"{what} The second adapter is worse than the last release.", change, command, **more)


def _third(what: str, change: Change, command: Sequence[str] = THIRD, **more: Any) -> Attempt:
    """The third adapter, which loses a guard, is to be released or to pass."""
    return _of_adapter(f"The third adapter loses a guard{what}", change, command, **more)


ATTEMPTS: Mapping[str, Attempt] = {
    # what a release compares: the second adapter, which beats the base, must not be released, for it is worse than the
    # last release, which is taken out of the past
    "past-tracking-moved": _second(
        "The tracking reference names a past without the release.",
        _past("update-ref", "refs/remotes/origin/main", "HEAD"),
    ),
    "past-branch-named-head": _second(
        "The remote has a branch named HEAD, whose past lacks the release.",
        _past("push", "-q", "origin", "HEAD:refs/heads/HEAD"),
    ),
    "past-names-that-end-alike": _second(
        "Branches and a tag at the remote have names that end like the branch's.", _same_names
    ),
    "past-into-a-branch-of-mine": _second(
        "The release is compared with a branch that the attacker pushed a minute ago.",
        _past("push", "-q", "origin", "HEAD:refs/heads/mine", more=("--into=origin/mine",)),
        limit="Whoever releases names the branch, and may push one of their own",
    ),
    "past-commit-replaced": _second(
        "A replacement of the branch's commit is pushed to the remote.",
        _remote_replaced,
    ),
    "past-address-moved": _second(
        "The address of the remote is another one.",
        _moved,
        limit=NO_WRITER,
    ),
    "past-instead-of": _second(
        "The repository's own configuration rewrites the remote's address with insteadOf.",
        _instead,
        limit=NO_WRITER,
    ),
    "past-instead-of-by-environment": _second(
        "Variables of the environment rewrite the remote's address.",
        _by_environment,
        environment=BY_ENVIRONMENT,
        limit="everything else from your own",
    ),
    "past-git-dir": _second(
        "Variables of the environment name another repository.",
        _by_environment,
        environment={"GIT_DIR": "../other.git", "GIT_WORK_TREE": "."},
    ),
    "past-work-tree": _second(
        "The release is made in a second work tree, whose past lacks the release.",
        _worktree,
        ("release", "../adapter/second", "--model=../adapter/model"),
        folder="../worktree",
    ),
    "past-shallow": _second("The repository says that its past begins today.", _shallow),
    "past-remote-hangs": _second("The remote takes the call and never answers.", _listener("pass")),
    "past-remote-endless": _second(
        "The remote lists references without end.",
        _listener(REFERENCES),
    ),
    "past-remote-refuses": _second("The remote does not answer.", _refuses, limit=NOT_COMPARED),
    "past-remote-without-default": _second("The remote's default branch does not exist.", _unborn),
    "past-nested-repository": _second(
        "The baselines are a repository of their own, without a remote.",
        _nested,
    ),
    "past-bare-repository": _second(
        "The folder of baselines holds the files of a bare repository.",
        _embedded,
    ),
    "past-baselines-linked-out": _second(
        "The baselines are a link to a folder that no repository holds.",
        _linked("baselines", "../elsewhere", "../elsewhere"),
    ),
    "past-baselines-linked": _second(
        "The baselines are a link to a folder that the branch does not have.",
        _linked("baselines", "other", "other"),
    ),
    "past-ledger-linked": _second(
        "The ledger alone is a link to a folder that the branch does not have.",
        _linked(LEDGER, "events", "../events"),
    ),
    "past-settings": _second("The settings name a copy of the baselines.", _settings),
    # events, journals, adapters and the cache
    "renewal-forged": _second(
        "An event says that the last release renewed its outputs, which are now as bad as the candidate's.",
        lambda world: _renewed(world, keep=True),
    ),
    "renewal-forged-alone": _second(
        "The same, and the outputs before it are gone.", lambda world: _renewed(world, keep=False)
    ),
    "withdrawal-backdated": _second(
        "The last release was withdrawn years before it was made.",
        _withdrawn,
    ),
    "guard-retired": _third(", which is deleted and retired.", _retired),
    "release-by-hand": _third(
        "; an event and the files of a release say that it was released before.",
        _by_hand,
    ),
    "past-forked": _second("The past has two heads, and one lacks the release.", _forked),
    "journal-takes-back": _second(
        "A journal says that the last release was cut off, and has to be taken back.", _taken_back
    ),
    "journal-brings-back": _second(
        "A journal brings looser rules back that never were.",
        _loosened_by_journal,
    ),
    "base-suppresses": _third(
        "; the base's settings of generation forbid the token that loses it.",
        _suppressed,
        (*GATE_THIRD, "--sealed", "--fresh"),
    ),
    "base-renames-a-token": _of_adapter(
        "The base's tokenizer reads a word of every question as a special token; the cache holds the outputs before.",
        _token_renamed,
        GATE_ADAPTER,
    ),
    "base-with-an-adapter": _third(
        "; the released adapter lies in the base's folder, where libraries load it.",
        _adapter_in_model,
        (*GATE_THIRD, "--fresh"),
    ),
    "weights-swapped": _of_adapter(
        "The weights of a released adapter become those of a bad one while the models are asked.",
        _swapped,
        RELEASE,
    ),
    "folder-flipped": _of_adapter(
        "The adapter's folder is a link to a good one, and after five seconds to a bad one.",
        _flipped,
        RELEASE,
    ),
    "cache-poisoned": _third(
        "; the cache holds good weights under its digest, and its record is that of the good one.",
        _poisoned,
        environment={"TUNEGATE_CACHE": "poisoned"},
    ),
    "adapter-says-it-twice": _of_adapter(
        "An adapter acts 100 times as strongly the other way, by a second value of a key, and was never evaluated.",
        _config_twice,
        ("release", "fourth", "--model=model"),
    ),
    "near-listed": _third("; its training record lists the cases that it loses as near.", _near_listed, GATE_THIRD),
    "near-left-out": _of_adapter(
        "An adapter's rows repeat all cases that it gains on, and its training record lists none as near.",
        _near_left_out,
        ("gate", "--model=model", "--adapter=fourth", "--sealed", "--policy-from=origin/main"),
    ),
    "adapter-of-devices": _third("; its card is endless and its parity a pipe.", _devices),
    # files that are read
    "settings-deep": Attempt(
        "pyproject.toml is 100,000 lists deep",
        _file("pyproject.toml", lambda: f"[tool.tunegate]\ncases = {'[' * 100_000}"),
    ),
    "settings-tables": Attempt(
        "pyproject.toml has 600,000 small tables, in 8 MB",
        _file("pyproject.toml", lambda: "[tool.tunegate]\n" + "".join(f"[a{n}.b.c]\n" for n in range(600_000))),
    ),
    "settings-number": Attempt(
        "A number of pyproject.toml has 10,000 digits",
        _file("pyproject.toml", lambda: f"[tool.tunegate]\nrepeats = {'9' * 10_000}\n"),
    ),
    "policy-deep": Attempt("task.yaml is 100,000 lists deep", _task("[" * 100_000)),
    "policy-keys-twice": Attempt(
        "task.yaml has the same key 200,000 times",
        _file("fixtures/desk/task.yaml", lambda: "{" + '"version": 1,' * 200_000 + "}"),
    ),
    "policy-number": Attempt(
        "A margin in base sixty has 200,000 parts",
        _task("x", "1" + ":1" * 200_000),
    ),
    "outputs-keys": Attempt("A line of the outputs has 200,000 unknown keys", _line(MANY)),
    "outputs-half-characters": Attempt(
        "The outputs are half a character and none",
        _all_outputs('"\\ud800\\u0000"'),
    ),
    "outputs-deep": Attempt(
        "The outputs are JSON, 100,000 lists deep",
        _all_outputs(json.dumps('{"product": ' + "[" * 100_000)),
    ),
    "outputs-grow": Attempt("The outputs grow while they are read", _grows),
    "outputs-large": Attempt(
        "A line of the outputs has 500 MB",
        _file("outputs.jsonl", lambda: '{"case": "desk/triage/c00", "output": "' + "x" * 500_000_000 + '"}'),
    ),
    "outputs-empty": Attempt(
        "The outputs are 7,000,000 empty objects, in 21 MB",
        _file("outputs.jsonl", lambda: "{}\n" * 7_000_000),
        RECORD,
    ),
    "requests-empty": Attempt(
        "The requests are 7,000,000 empty objects, in 21 MB",
        _file("requests.jsonl", lambda: "{}\n" * 7_000_000),
        RECORD,
    ),
    "requests-device": Attempt(
        "The requests are an endless device",
        _pipe("requests.jsonl", "/dev/zero"),
    ),
    "schema-doubles": Attempt(
        "A schema takes twice as many steps with each of 40 definitions; its outputs fail, in no time",
        _schema(_doubling),
        RECORD,
        may_pass=True,
    ),
    "schema-elsewhere": Attempt(
        "A schema names the environment of the process",
        _schema(lambda: f'{{"$ref": "file://{ENVIRON}"}}'),
        RECORD,
    ),
    "decision-pipe": Attempt("The decision is a pipe that nobody reads", _pipe("decision.json")),
    "event-device": Attempt(
        "An event is an endless device",
        _pipe(f"{LEDGER}/{'0' * 64}.json", "/dev/zero"),
        ("ledger",),
    ),
    "events-many": Attempt(
        "A chain of 20,000 events, the last of which speaks",
        _chain,
        ("ledger",),
        may_pass=True,
    ),
    "names-undecodable": Attempt(
        "Names of files are no text, or commands of the workflow",
        _undecodable,
        ("lint",),
    ),
    "names-undecodable-github": Attempt(
        "The same, told as annotations",
        _undecodable,
        ("lint", "--format=github"),
    ),
    "record-speaks": Attempt(
        "Outputs, findings and names of a record are commands and markup",
        _record(_speaking),
        (*REPORT, "--why"),
        may_pass=True,
    ),
    "record-speaks-markdown": Attempt(
        "The same in Markdown", _record(_speaking), (*REPORT, "--markdown"), may_pass=True
    ),
    "record-speaks-github": Attempt(
        "The same as annotations", _record(_speaking), (*REPORT, "--format=github"), may_pass=True
    ),
    "record-speaks-page": Attempt(
        "The same as a page", _record(_speaking), (*REPORT, "--html=page.html"), may_pass=True
    ),
    "record-wraps": Attempt(
        "Names of a record are wrapped so that commands begin a line",
        _record(_wrapping),
        (*REPORT, "--why"),
        may_pass=True,
    ),
    "record-units": Attempt("A record has 200,000 units", _record(_many_units), REPORT),
    "record-of-other-kinds": Attempt(
        "The parts of a record are lists, numbers and nothing",
        _record(lambda data: data | {"units": [], "tasks": 1, "verdicts": None, "fingerprint": [], "claims": 7}),
        REPORT,
    ),
    "shards-forged": Attempt(
        "Records that call themselves shards are merged",
        _record(lambda data: data | {"shard": [1, 10**9]}),
        ("merge", "record.json", "record.json"),
    ),
    "sidecar-device": Attempt(
        "The sidecar of a record is an endless device",
        _sidecar("/dev/zero"),
        (*REPORT, "--html=page.html"),
    ),
    "sidecar-deep": Attempt(
        "The sidecar of a record is 100,000 levels deep",
        _deep_sidecar,
        (*REPORT, "--html=page.html"),
    ),
    "journal-outside": Attempt(
        "A journal names files elsewhere to be written",
        _outside_journal,
        RECORD,
    ),
    "journal-outside-by-link": Attempt("The same by a link", _outside_journal_one, RECORD),
    "reference-drips": _of_adapter(
        "The server that has a reference's adapter sends a byte a second",
        _server(DRIPS),
        GATE_REFERENCE,
        limit="A `.ref` is fetched for at most 60 minutes and 4 GB",
    ),
    "reference-floods": _of_adapter("It sends without end", _server(FLOODS), GATE_REFERENCE),
    "reference-sends-on": _of_adapter("It sends on to a file", _server(SENDS_ON), GATE_REFERENCE),
    "reference-of-links": _of_adapter(
        "A reference names a folder of links to themselves and to devices", _links, GATE_REFERENCE
    ),
    "manifest-outside": _of_adapter(
        "A manifest lists devices and files elsewhere", _manifest(_elsewhere), ("verify", "tuned")
    ),
    "manifest-speaks": _of_adapter(
        "A manifest speaks",
        _manifest(lambda data: data | {"task": SPEAKS, "verdicts": {SPEAKS: SPEAKS}}),
        ("verify", "tuned"),
    ),
    "weights-endless": _of_adapter("The weights end after 4 TB of nothing", _sparse, GATE_THIRD),
    "weights-deep": _of_adapter(
        "The header of the weights is 100,000 levels deep",
        _deep_header,
        GATE_THIRD,
    ),
}
