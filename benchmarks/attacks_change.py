"""Attempts by the author of a pull request, invented with the documents alone and without sight of the code."""

from __future__ import annotations

import importlib.util
import io
import json
import marshal
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.attack_world import CANARY, ENVIRON, GATE, GATE_ADAPTER, PASSES_ALL, Attempt, Change, World

SCORES = "return Outcome(float(len(output) < 60))"
EVIL_COMMAND = "echo CANARY-RAN >&2; cat /proc/$PPID/environ >/tmp/tg-canary/ran; false"
#: The settings of a bare repository whose missing commits come from a remote, which is a command.
LAZY = f"""[core]
    repositoryformatversion = 1
    bare = true
[extensions]
    partialclone = evil
[remote "evil"]
    url = .
    promisor = true
    uploadpack = "{EVIL_COMMAND}"
"""
HOOK = f"#!/bin/sh\n{EVIL_COMMAND.removesuffix('; false')}\n"
COMPILED = """#include <stdlib.h>
__attribute__((constructor)) static void f(void) { if (system("echo CANARY-RAN >&2")) return; }
void *PyInit_helper(void) { return 0; }
"""
FIRST = "import ctypes, glob, os, resource, sys, time\n"
#: Shortens the life of the process that decides: a limit is set on it, which is no signal.
LIMITS = FIRST + "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))\n"
DEEP = FIRST + (
    "os.chdir(os.environ['TMPDIR'])\n"
    "for _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    "os.chdir(os.path.dirname(os.path.abspath(__file__)))\n"
)
#: A grandchild outlives the gate for half a minute, and sets a limit on each later tunegate.
STAYS = FIRST + (
    "mine, end = os.getppid(), time.time() + 30\n"
    "if os.fork() == 0:\n"
    "    if os.fork():\n        os._exit(0)\n"
    "    while time.time() < end:\n"
    "        for each in glob.glob('/proc/[0-9]*/cmdline'):\n"
    "            try:\n"
    "                if int(each.split('/')[2]) != mine and b'-m\\0tunegate\\0gate' in open(each, 'rb').read():\n"
    "                    resource.prlimit(int(each.split('/')[2]), resource.RLIMIT_CPU, (1, 1))\n"
    "            except OSError:\n                pass\n"
    "        time.sleep(0.05)\n"
    "    os._exit(0)\n"
)
REACHES = FIRST + (
    "import socket\n"
    "def _try(what):\n"
    "    try:\n        return what()\n"
    "    except Exception:\n        return None\n"
    "for _pid in ('self', str(os.getppid()), '1'):\n"
    "    for _name in ('environ', 'mem', 'maps', 'fd', 'cwd/hacked', 'root/tmp/tg-canary/x'):\n"
    "        _try(lambda: sys.stderr.write(repr(open(f'/proc/{_pid}/{_name}', 'rb').read(10**6))))\n"
    "_try(lambda: ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0))\n"
    "_try(lambda: os.kill(os.getppid(), 9))\n"
    "_try(lambda: os.killpg(os.getpgid(os.getppid()), 9))\n"
    "for _family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):\n"
    "    if _try(lambda: socket.socket(_family, socket.SOCK_RAW)):\n        print('CANARY-TOKEN')\n"
    "for _file in ('/dev/shm/hacked', '/tmp/tg-canary/hush', '/dev/tty', '/proc/self/oom_score_adj'):\n"
    "    if _try(lambda: open(_file, 'w')):\n        print('CANARY-TOKEN')\n"
    "for _home in glob.glob('/tmp/tunegate-attacks-*/*/checks'):\n"
    "    _try(lambda: open(_home + '/hacked', 'w'))\n"
    "    _try(lambda: os.symlink('x', _home + '/hacked'))\n"
    "    _try(lambda: os.link(__file__, _home + '/hacked'))\n"
    "    _try(lambda: os.mkfifo(_home + '/hacked'))\n"
    "    _try(lambda: os.rename(__file__, _home + '/hacked'))\n"
    "    _try(lambda: os.truncate(_home + '/outputs.jsonl', 0))\n"
)
SPEAKS = (
    "import os, sys\n"
    "for _text in ('::set-env name=a::b', '\\r::add-path::x', '\\x1b[2J\\n::stop-commands::x', '\\x0b::add-mask::y'):\n"
    "    os.write(1, _text.encode() + b'\\n')\n    os.write(2, _text.encode() + b'\\n')\n"
)
FORKS = FIRST + (
    "_b = b'x' * (1 << 20)\n"
    "for _n in range(150):\n    if os.fork() == 0:\n        time.sleep(3)\n        os._exit(0)\n"
    "for _n in range(2):\n"
    "    with open(os.environ['TMPDIR'] + f'/{_n}', 'wb') as _f:\n"
    "        for _ in range(100):\n            _f.write(_b)\n"
)


def _later(first: str, then: Mapping[str, str | bytes], before: Mapping[str, str] | None = None) -> Change:
    """An approved check that begins so, and the files that a later change adds or edits."""

    def change(world: World) -> None:
        world.write("checks.py", first + world.own)
        for path, text in (before or {}).items():
            world.write(path, text)
        world.approve()
        for path, data in then.items():
            world.write(path, data)
        world.commit()

    return change


def _files(files: Mapping[str, str | bytes]) -> Change:
    """Files that the change adds or replaces."""

    def change(world: World) -> None:
        for path, text in files.items():
            world.write(path, text)
        world.commit()

    return change


def _link(path: str, to: str) -> Change:
    """A symbolic link in the place of a file or a folder."""

    def change(world: World) -> None:
        target = world.home / path
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(to)
        world.commit()

    return change


def _linked_page(world: World) -> None:
    world.tunegate(*GATE)
    _link("record.html", "hacked")(world)


def _compiled(name: str, text: str) -> bytes:
    """Bytecode that Python takes without a look at its source."""
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
    return head + marshal.dumps(compile(text, name, "exec"))


# ---- git -----------------------------------------------------------------------------------------------------------


def _lazy(folder: str) -> Change:
    """A bare repository among the files of the change, which git takes for the one that it stands in."""
    return _files({
        f"{folder}/HEAD": "ref: refs/heads/main\n",
        f"{folder}/config": LAZY,
        f"{folder}/objects/.keep": "",
        f"{folder}/refs/remotes/origin/main": "1" * 40 + "\n",
    })  # fmt: skip


def _embed(world: World, folder: str) -> None:
    """Put a bare repository at a folder, whose origin/main is this very change."""
    world.commit()
    made = world.home / folder
    fake = world.home.with_name("fake.git")
    world.git("clone", "-q", "--bare", ".", str(fake))
    inside = f"--git-dir={fake}"
    world.git(inside, "update-ref", "refs/remotes/origin/main", "refs/heads/change")
    world.git(inside, "config", "core.bare", "false")
    world.git(inside, "config", "core.worktree", os.path.relpath(world.home, made))
    for name in ("refs/heads", "refs/tags"):
        Path(fake, name, ".keep").parent.mkdir(parents=True, exist_ok=True)
        Path(fake, name, ".keep").write_text("", encoding="utf-8")
    shutil.copytree(fake, made, dirs_exist_ok=True)
    world.commit()


def _below(world: World) -> None:
    """The project has always been in the folder b."""
    (world.home / "b").mkdir()
    for name in ("fixtures", "baselines", "pyproject.toml", "outputs.jsonl", "requests.jsonl"):
        world.git("mv", name, f"b/{name}")
    world.approve()


def _without_critical(data: dict[str, list[dict[str, object]]]) -> None:
    for each in data["cases"]:
        each.pop("critical", None)


def _loosen(world: World, folder: str) -> None:
    """A guard that may lose everything, without a critical case, whose baseline are the bad outputs."""
    world.edit(
        f"{folder}fixtures/desk/task.yaml", lambda data: data["units"]["triage"].update(role="guard", margin=0.9)
    )
    world.edit(f"{folder}fixtures/desk/triage.yaml", _without_critical)
    world.tunegate(
        "record", f"--from={folder}outputs.jsonl", "--name=gpt", f"--requests={folder}requests.jsonl",
        f"--cases={folder}fixtures", f"--baselines={folder}baselines",
    )  # fmt: skip


def _bare_project(world: World) -> None:
    _below(world)
    _loosen(world, "b/")
    _embed(world, "b")


def _bare_ledger(world: World) -> None:
    for path in (world.home / "baselines/ledger").glob("*.json"):
        path.unlink()
    _embed(world, "baselines")


def _bare_code_below(world: World) -> None:
    _below(world)
    _lazy("b")(world)


def _reference(*arguments: str) -> Change:
    """A reference, made from the loosened change, which another name may lead to."""

    def change(world: World) -> None:
        _loosen(world, "")
        world.commit()
        world.git(*arguments)

    return change


def _replaced(world: World) -> None:
    _loosen(world, "")
    world.commit()
    world.git("replace", "origin/main", "HEAD")


def _named_like_a_commit(world: World) -> list[str]:
    commit = world.git("rev-parse", "origin/main").strip()
    _loosen(world, "")
    world.commit()
    world.git("update-ref", f"refs/heads/{commit}", "HEAD")
    world.git("update-ref", f"refs/tags/{commit}", "HEAD")
    return [f"--policy-from={commit}"]


def _attributes(world: World) -> None:
    _loosen(world, "")
    lines = [
        "* export-ignore",
        "*.yaml export-subst ident eol=crlf working-tree-encoding=ISO-8859-1 filter=evil diff=evil",
    ]
    for folder in ("", "fixtures/", "baselines/", "fixtures/desk/"):
        world.write(f"{folder}.gitattributes", "\n".join(lines) + "\n")
    world.write(".gitconfig", f'[filter "evil"]\nsmudge = {EVIL_COMMAND}\n[core]\nfsmonitor = "{EVIL_COMMAND}"\n')
    world.git("add", "-A", "-f")
    world.git("commit", "-qm", "change")


def _linked_project(world: World) -> None:
    _below(world)
    _loosen(world, "b/")
    world.git("mv", "b", "c")
    (world.home / "b").symlink_to("c")
    world.commit()


def _submodule(world: World) -> None:
    _loosen(world, "")
    world.git("clone", "-q", ".", "../part")
    shutil.rmtree(world.home / "fixtures")
    shutil.copytree(world.home.with_name("part"), world.home / "fixtures/desk")
    world.git("add", "-A", "-f")
    world.git("commit", "-qm", "a submodule")


def _ledger_remote(address: str) -> Change:
    """A repository among the files of the change counts the openings, and its hooks run where it is told one."""

    def change(world: World) -> None:
        world.git("clone", "-q", "--bare", ".", "../counts.git")
        shutil.copytree(world.home.with_name("counts.git"), world.home / "counts")
        for name in ("pre-receive", "update", "reference-transaction", "post-receive"):
            world.write(f"counts/hooks/{name}", HOOK).chmod(0o755)
        for name in ("refs/heads", "refs/tags"):
            world.write(f"counts/{name}/.keep", "")
        world.write("pyproject.toml", f'[tool.tunegate]\nmodel = "model"\nledger-remote = "{address}"\n')
        world.commit()

    return change


# ---- settings, fixtures and outputs --------------------------------------------------------------------------------


def _forged_rung(world: World) -> None:
    """Outputs on another rung, of which no baseline exists, are compared with worse ones."""
    world.outputs(8)
    world.write("pyproject.toml", '[tool.tunegate]\nrung = "constrained"\n')
    asked = world.tunegate("prompts", "--rung=constrained").stdout
    world.write("requests.jsonl", asked)
    digests = {each["case"]: each["digest"] for each in map(json.loads, asked.splitlines())}
    lines = [json.loads(line) for line in world.read("outputs.jsonl").splitlines()]
    for name, text in (("outputs.jsonl", None), ("worse.jsonl", "no")):
        made = [
            each | {"digest": digests.get(each["case"], "0" * 64), "output": text or each["output"]} for each in lines
        ]
        world.write(name, "".join(json.dumps(each) + "\n" for each in made))
    world.tunegate("record", "--from=worse.jsonl", "--name=gpt", "--rung=constrained")
    world.commit()


def _each_output(change: Callable[[str], str]) -> Change:
    """Each line of the outputs, written otherwise."""

    def edit(world: World) -> None:
        world.write("outputs.jsonl", "".join(change(line) + "\n" for line in world.read("outputs.jsonl").splitlines()))
        world.commit()

    return edit


def _good(line: str) -> str:
    return json.dumps(json.loads(line) | {"output": '{"product": "boiler"}'})


def _twice(line: str) -> str:
    return _good(line)[:-1] + ", " + line[1:]


def _repeats(line: str) -> str:
    return line + "\n" + json.dumps(json.loads(_good(line)) | {"repeat": 1})


def _repeat_of_another_kind(line: str) -> str:
    return line + "\n" + json.dumps(json.loads(_good(line)) | {"repeat": False})


def _other_spelling(line: str) -> str:
    data = json.loads(_good(line))
    return line + "\n" + json.dumps(data | {"case": data["case"].replace("c", "\uff43", 1)})


def _requests_twice(world: World) -> None:
    """The request of each case stands twice, the second time with a prompt that nobody asks."""
    lines = world.read("requests.jsonl").splitlines()
    forged = [json.dumps(json.loads(line) | {"messages": [], "digest": "0" * 64}) for line in lines]
    world.write("requests.jsonl", "\n".join([*lines, *forged]) + "\n")
    world.commit()


def _edited_unit(edit: Callable[[dict[str, object]], object]) -> Change:
    """The policy of the unit is another one, and its baseline is recorded again from the bad outputs."""

    def change(world: World) -> None:
        world.edit("fixtures/desk/task.yaml", lambda data: edit(data["units"]["triage"]) and None)
        world.record()
        world.commit()

    return change


def _margin(text: str) -> Change:
    """A margin in an odd spelling."""

    def change(world: World) -> None:
        world.write("fixtures/desk/task.yaml", world.read("fixtures/desk/task.yaml").replace("0.1", text))
        world.record()
        world.commit()

    return change


def _one_group(world: World) -> None:
    world.edit("fixtures/desk/triage.yaml", lambda data: data | {"cases": [c | {"group": "g"} for c in data["cases"]]})
    world.write("requests.jsonl", world.tunegate("prompts").stdout)
    world.record()
    world.commit()


def _renamed_unit(world: World) -> None:
    world.edit("fixtures/desk/triage.yaml", lambda data: data | {"unit": "triage\u200b"})
    world.edit(
        "fixtures/desk/task.yaml", lambda data: {"version": 1, "units": {"triage\u200b": data["units"]["triage"]}}
    )
    world.commit()


def _split_file(world: World) -> None:
    """A second file of the unit holds the same ids again, with inputs that anybody answers."""
    data = json.loads(world.read("fixtures/desk/triage.yaml"))
    world.write("fixtures/desk/zz.yaml", json.dumps(data | {"cases": [c | {"expect": {}} for c in data["cases"]]}))
    world.commit()


def _merge_key(world: World) -> None:
    world.write(
        "fixtures/desk/task.yaml",
        "version: 1\nx: &a {role: guard, margin: 0.9, reason: a test}\nunits:\n  triage: {<<: *a}\n",
    )
    world.commit()


def _bomb(world: World) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    world.write("fixtures/desk/task.yaml", "version: 1\nunits: {triage: {role: target, reason: *a9}}\n")
    world.write("fixtures/desk/triage.yaml", "\n".join(lines) + "\n")
    world.commit()


def _withdrawn(world: World) -> None:
    """The event of the baseline is copied under names and kinds of the author's own."""
    for path in list((world.home / "baselines/ledger").glob("*.json")):
        data = json.loads(path.read_text())
        for kind in ("retired", "withdrawn", "released", "recorded"):
            path.with_name(f"{kind:0<64}.json").write_text(json.dumps(data | {"kind": kind, "event": kind}))
    world.commit()


def _filled(world: World) -> None:
    """What an earlier run would have left, by hand: a green decision, a record, errors and a cache."""
    world.outputs(38)
    world.tunegate(*GATE)
    kept = {name: world.read(name) for name in ("decision.json", "record.json", "record.cases.jsonl")}
    shutil.copytree(world.home / ".tunegate", world.home / "kept")
    world.outputs(2)
    for name, text in kept.items():
        world.write(name, text)
    for folder in (".cache/tunegate", ".tunegate/cache", ".tunegate/errors"):
        shutil.copytree(world.home / "kept", world.home / folder, dirs_exist_ok=True)
    world.commit()


def _forged_decision(world: World) -> None:
    """A decision of the author's own, whose names are commands and whose record is another file."""
    world.tunegate(*GATE)
    text = world.read("decision.json").replace("triage", "t\\n::set-env name=a::b\\r::add-mask::x\\u001b[2J")
    world.write("forged.json", text.replace("record.json", f"../../../../../..{ENVIRON}"))
    world.commit()


def _named_with_commands(world: World) -> None:
    bad = "n\n::set-env name=a::b"
    data = json.loads(world.read("fixtures/desk/triage.yaml"))
    case = {"id": bad, "input": "::stop-commands::x", "tags": {bad: bad}, "expect": {bad: 1}}
    world.write(f"fixtures/desk/{bad}.yaml", json.dumps(data | {"unit": bad, "cases": [case], bad: 1}))
    (world.home / "fixtures" / bad).mkdir()
    world.write(f"fixtures/{bad}/x.yaml", "a: [\n")
    world.commit()


# ---- code ----------------------------------------------------------------------------------------------------------


def _linked_check(world: World) -> None:
    (world.home / "checks.py").unlink()
    world.write("fixtures/desk/notes.txt", CANARY + PASSES_ALL)
    (world.home / "checks.py").symlink_to("fixtures/desk/notes.txt")
    world.commit()


def _unread_encoding(world: World) -> None:
    """As it is read it is a comment, as it is run it is code."""
    hidden = "".join(f"\\u{ord(each):04x}" for each in "\n" + CANARY)
    world.write("checks.py", f"# coding: raw_unicode_escape\n# {hidden}\n{world.own}")
    world.commit()


def _utf7(world: World) -> None:
    hidden = ("\n" + CANARY).encode("utf-7").decode()
    world.write("checks.py", f"# coding: utf-7\n#+AAo-{hidden}\n{world.own}")
    world.commit()


def _permit_of_another(world: World) -> list[str]:
    """A harmless edit is permitted; its permit is then used with files that no digest might have."""
    world.write("checks.py", "try:\n    import helper\nexcept ImportError:\n    helper = None\n" + world.own)
    world.commit()
    said = world.tunegate(*GATE).stdout
    approve = said.partition("--approve=")[2].split()[0] if "--approve=" in said else "none"
    made = _compiled("helper.py", CANARY)
    for path in ("helper.pyc", "__pycache__/helper.cpython-311.pyc", "helper/__init__.pyc"):
        world.write(path, made)
    world.commit()
    return [f"--approve={approve}"]


def _installed_in_the_change(world: World) -> None:
    for folder in ("evil-1.0.dist-info", "evil.egg-info", "src/evil-1.0.dist-info"):
        world.write(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        world.write(f"{folder}/entry_points.txt", "[tunegate.checks]\nbad = evil:CHECK\n[pytest11]\nbad = evil\n")
    world.write("evil.py", CANARY + world.own + "CHECK = CHECKS['short']\n")
    world.edit("fixtures/desk/triage.yaml", lambda data: data | {"suite": "bad", "check": {}})
    world.commit()


def _shared_object(world: World) -> None:
    """A compiled module beside the source that it hides."""
    world.write("checks.py", "import helper\n" + world.own)
    world.write("helper.py", "LIMIT = 60\n")
    world.approve()
    source = world.write("helper.c", COMPILED)
    target = str(world.home / "helper.cpython-311-x86_64-linux-gnu.so")
    if shutil.which("gcc") is None or subprocess.run(["gcc", "-shared", "-fPIC", "-o", target, str(source)]).returncode:
        Path(target).write_bytes(b"\x7fELF")
    world.commit()


def _after_a_first_gate(world: World) -> None:
    world.write("checks.py", STAYS + world.own)
    world.approve()
    world.tunegate(*GATE)


def _adapter_config(**more: object) -> Change:
    def change(world: World) -> None:
        world.edit("third/adapter_config.json", lambda data: data | more)
        for path in ("evil.py", "third/evil.py", "model/evil.py", "model/modeling_evil.py"):
            world.write(path, CANARY)
        world.commit()

    return change


def _model_code(world: World) -> None:
    """The base names code of its own, in every place where a library looks."""
    names = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M", "AutoTokenizer": ["evil.T", "evil.T"]}
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        world.edit(f"model/{name}", lambda data: data | {"auto_map": names, "custom_generate": "evil.py"})
    world.write("model/evil.py", CANARY)
    world.write("model/custom_generate/generate.py", CANARY)
    world.commit()


def _reference_archive(world: World) -> None:
    """A reference to an adapter lies about its archive, which has links and paths that lead out."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("third/adapter_config.json")
        link.type, link.linkname = tarfile.SYMTYPE, ENVIRON
        archive.addfile(link)
        for name in ("../hacked", "../../hacked", f"{world.home}/hacked", "third/../../hacked"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
    world.write("evil.tar.gz", made.getvalue())
    world.write("evil.ref", f"version: 1\nadapter: {'0' * 64}\nfrom: evil.tar.gz\n")
    world.commit()


IMPORTS = "import helper\n"
MAYBE = "try:\n    import helper\nexcept ImportError:\n    pass\n"
PART = {"helper.py": "LIMIT = 60\n"}
SEALED = (*GATE_ADAPTER, "--sealed")
THIRD = ("gate", "--model=model", "--adapter=third", "--policy-from=origin/main", "--decision=decision.json")

_of_adapter, _of_checks = partial(Attempt, world="adapter"), partial(Attempt, world="checks")


def _approved(what: str, text: str, **more: Any) -> Attempt:
    """A check of this text is approved; what it reaches for is not."""

    def change(world: World) -> None:
        world.write("checks.py", text)
        world.approve()

    return _of_checks(what, change, approved=True, **more)


ATTEMPTS: Mapping[str, Attempt] = {
    # git
    "bare-repository": Attempt(
        "The folder of a project below the root is also a bare repository, whose origin/main is the loosened change",
        _bare_project,
        folder="b",
    ),
    "bare-repository-code": Attempt(
        "The folder of baselines is also a bare repository, whose missing commit a command has to bring",
        _lazy("baselines"),
    ),
    "bare-repository-code-below": Attempt(
        "The same in the folder of a project below the root", _bare_code_below, folder="b"
    ),
    "bare-repository-code-ledger": Attempt(
        "The same in the baselines, and the ledger is compared",
        _lazy("baselines"),
        ("ledger", "--contains=origin/main"),
    ),
    "bare-repository-ledger": Attempt(
        "All events are deleted, and the folder of baselines is a bare repository whose origin/main lacks them, too",
        _bare_ledger,
        ("ledger", "--contains=origin/main"),
    ),
    "tag-of-the-branch": Attempt("A tag is named origin/main", _reference("tag", "origin/main")),
    "tag-of-the-reference": Attempt(
        "A tag is named refs/remotes/origin/main",
        _reference("update-ref", "refs/tags/refs/remotes/origin/main", "HEAD"),
    ),
    "branch-of-the-branch": Attempt(
        "A local branch is named origin/main",
        _reference("branch", "origin/main"),
    ),
    "branch-of-a-commit": Attempt(
        "A branch and a tag are named like the base's commit",
        _named_like_a_commit,
    ),
    "replaced-commit": Attempt(
        "The base's commit is replaced in git by that of the change",
        _replaced,
    ),
    "attributes": Attempt(
        "Attributes leave the base's files out, recode them and filter them",
        _attributes,
    ),
    "project-linked": Attempt(
        "The project's folder is a link to another one",
        _linked_project,
        folder="b",
    ),
    "submodule": Attempt("The fixtures are a repository of their own", _submodule),
    "ledger-remote-hooks": _of_adapter(
        "The remote that counts openings is a folder of the change, with hooks",
        _ledger_remote("./counts"),
        SEALED,
    ),
    "ledger-remote-command": _of_adapter(
        "The remote that counts openings is a command",
        _ledger_remote("ext::touch /tmp/tg-canary/ran"),
        SEALED,
    ),
    "ledger-remote-option": _of_adapter(
        "The remote that counts openings is an option of git",
        _ledger_remote("--upload-pack=touch /tmp/tg-canary/ran"),
        SEALED,
    ),
    # settings and links
    "settings-look-alike": Attempt(
        "A byte order mark, a dotted key and a key with a Cyrillic letter",
        _files({"pyproject.toml": '\ufeff[tool]\ntunegate.inconclusive = "warn"\ntunegate."\u0441ases" = "b"\n'}),
    ),
    "settings-twice": Attempt(
        "The table stands twice",
        _files({"pyproject.toml": '[tool]\ntunegate = {}\n[tool.tunegate]\ncases = "b"\n'}),
    ),
    "settings-linked": Attempt(
        "pyproject.toml leads to the environment of the process", _link("pyproject.toml", ENVIRON)
    ),
    "settings-look-alike-lint": Attempt(
        "The settings name a check outside, and lint reads it",
        _files({"pyproject.toml": '[tool.tunegate]\nchecks = "../../../tmp/tg-evil.py"\n'}),
        ("lint",),
        may_pass=True,
    ),
    "checks-named-elsewhere": _of_checks(
        "The settings name another file as the check, which is no Python by its name",
        _files(
            {"pyproject.toml": '[tool.tunegate]\nchecks = "fixtures/../notes.txt"\n', "notes.txt": CANARY + PASSES_ALL}
        ),
    ),
    "rung": Attempt(
        "The rung is another one, and its baseline made of worse outputs",
        _forged_rung,
    ),
    "policy-linked": Attempt(
        "task.yaml leads to the environment",
        _link("fixtures/desk/task.yaml", ENVIRON),
    ),
    "outputs-linked": Attempt(
        "The outputs lead to the environment",
        _link("outputs.jsonl", ENVIRON),
    ),
    "fixtures-loop": Attempt(
        "A task of the fixtures is a link to the folder above",
        _link("fixtures/loop", ".."),
    ),
    "fixtures-linked": Attempt(
        "The fixtures lead through /proc to themselves",
        _link("fixtures", "/proc/self/cwd/fixtures"),
    ),
    "fixtures-linked-to-themselves": Attempt(
        "The fixtures are a link to themselves",
        _link("fixtures", "fixtures"),
    ),
    "baselines-linked-to-themselves": Attempt(
        "The baselines are a link to themselves", _link("baselines", "baselines")
    ),
    "reference-linked-to-itself": Attempt(
        "A schema is a link to itself",
        _link("fixtures/desk/refs/product.schema.json", "product.schema.json"),
    ),
    "check-linked-to-itself": _of_checks(
        "The check is a link to itself",
        _link("checks.py", "checks.py"),
    ),
    "decision-linked": Attempt(
        "The decision leads to a file elsewhere",
        _link("decision.json", "hacked"),
    ),
    "record-linked": Attempt(
        "The record leads to a file elsewhere",
        _link("record.json", "hacked"),
    ),
    "state-linked": Attempt(
        "The folder of runs leads to one elsewhere",
        _link(".tunegate", "hacked"),
    ),
    "runs-linked": Attempt(
        "The runs' lock leads to a file elsewhere",
        _link(".tunegate/runs/.naming.lock", "../../hacked"),
    ),
    "lock-linked": Attempt(
        "The baselines' lock leads to a file elsewhere",
        _link("baselines/.recording.lock", "../hacked"),
    ),
    "page-linked": Attempt(
        "The page that view writes leads to a file elsewhere",
        _linked_page,
        ("view", "record.json"),
        may_pass=True,
        environment={"BROWSER": "true"},
    ),
    "state-filled": Attempt("A green decision, its record and its runs lie there already", _filled),
    "decision-forged": Attempt(
        "A decision names commands of the workflow and the environment as its record",
        _forged_decision,
        ("report", "forged.json", "--format=github"),
        may_pass=True,
    ),
    "decision-forged-comment": Attempt(
        "The same, and comment reads it",
        _forged_decision,
        ("comment", "forged.json"),
        may_pass=True,
    ),
    "names-with-commands": Attempt(
        "Names of files, tasks, units, cases and tags are commands of the workflow",
        _named_with_commands,
        ("lint", "--format=github"),
        may_pass=True,
    ),
    # fixtures, outputs, ledger
    "outputs-keys-twice": Attempt("Each line has an output twice", _each_output(_twice)),
    "outputs-repeats": Attempt("Good outputs are those of another repeat", _each_output(_repeats)),
    "outputs-repeat-false": Attempt(
        "Good outputs are those of the repeat `false`", _each_output(_repeat_of_another_kind)
    ),
    "outputs-look-alike": Attempt(
        "Good outputs name the cases with letters that look alike", _each_output(_other_spelling)
    ),
    "requests-twice": Attempt("Each request stands twice", _requests_twice),
    "margin-infinite": Attempt("The margin is infinite", _margin(".inf")),
    "margin-odd": Attempt("The margin is 1e308", _margin("1e308")),
    "margin-sixty": Attempt("The margin is in base sixty", _margin("0:54")),
    "unit-sealed": Attempt(
        "The unit is sealed and seals itself",
        _edited_unit(lambda unit: unit.update(seals="triage")),
    ),
    "unit-look-alike": Attempt("The unit's name has a letter that nobody sees", _renamed_unit),
    "unit-in-two-files": Attempt(
        "A second file has the unit's cases again, expecting nothing",
        _split_file,
    ),
    "cases-in-one-group": Attempt("All cases are one observation", _one_group),
    "merge-keys": Attempt("The policy comes from an anchor by a merge key", _merge_key),
    "anchors": Attempt("Anchors of anchors make a text of ten thousand million words", _bomb),
    "yaml-tags": Attempt(
        "A tag of YAML asks for a command",
        _files(
            {"fixtures/desk/task.yaml": f"version: !!python/object/apply:os.system ['{EVIL_COMMAND}']\nunits: {{}}\n"}
        ),
    ),
    "ledger-by-hand": Attempt("Events of every kind are written by hand", _withdrawn),
    # code that nobody approved
    "check-linked": _of_checks("The check is a link to a text among the fixtures", _linked_check),
    "check-recoded": _of_checks(
        "The check is a comment in one encoding and code in another",
        _unread_encoding,
    ),
    "check-recoded-lint": _of_checks(
        "The same, and lint reads it",
        _unread_encoding,
        ("lint",),
        may_pass=True,
    ),
    "check-utf-7": _of_checks(
        "The same in UTF-7, and plan reads it",
        _utf7,
        ("plan",),
        may_pass=True,
    ),
    "helper-package": _of_checks(
        "A package hides the module that a check imports",
        _later(IMPORTS, {"helper/__init__.py": CANARY}, PART),
    ),
    "helper-in-a-namespace": _of_checks(
        "A folder without a file of its own becomes a package with code",
        _later("from kit import limits\n", {"kit/__init__.py": CANARY}, {"kit/limits.py": ""}),
    ),
    "helper-in-advance": _of_checks(
        "A module that an approved check would like to have", _later(MAYBE, {"helper.py": CANARY})
    ),
    "helper-by-name": _of_checks(
        "The same, imported by a name that is put together",
        _later(MAYBE.replace("import helper", "__import__('hel' + 'per')"), {"helper.py": CANARY}),
    ),
    "helper-bytecode": _of_checks(
        "Bytecode that is not compared with its source, beside a module and beside the check itself",
        _later(
            IMPORTS,
            {
                "__pycache__/helper.cpython-311.pyc": _compiled("helper.py", CANARY),
                "__pycache__/checks.cpython-311.pyc": _compiled("checks.py", CANARY + World.own),
            },
            PART,
        ),
    ),
    "helper-bytecode-alone": _of_checks(
        "Bytecode without a source, which an approved check would like to have",
        _later(MAYBE, {"helper.pyc": _compiled("helper.py", CANARY)}),
    ),
    "helper-compiled": _of_checks(
        "A compiled module hides the one that a check imports",
        _shared_object,
    ),
    "helper-libraries": _of_checks(
        "Modules with the names of libraries that may be missing, a .pth and start-up modules",
        _later(
            "",
            {f"{name}.py": CANARY for name in ("orjson", "pint", "sitecustomize", "usercustomize", "regex")}
            | {"evil.pth": "import pint\n"},
        ),
    ),
    "package-in-the-change": _of_checks(
        "An entry point of a package that lies in the change", _installed_in_the_change
    ),
    "data-run": _of_checks(
        "An approved check runs a data file, which the change edits",
        _later("exec(open('rules.txt').read())\n", {"rules.txt": CANARY}, {"rules.txt": "LIMIT = 60\n"}),
        limit="A check may execute a data file, which is code that no digest of imports covers",
    ),
    "permit-used-again": _of_checks(
        "A permit is used again after bytecode was added",
        _permit_of_another,
    ),
    "adapter-library": _of_adapter(
        "The adapter names a module as its library",
        _adapter_config(
            megatron_core="evil",
            megatron_config={"x": 1},
            auto_mapping={"base_model_class": "X", "parent_library": "evil"},
        ),
        THIRD,
    ),
    "model-code": _of_adapter("The base names code of its own", _model_code, THIRD),
    "adapter-archive": _of_adapter(
        "An archive that an adapter's reference names leads out",
        _reference_archive,
        ("gate", "--model=model", "--adapter=evil.ref", "--policy-from=origin/main"),
    ),
    # an approved check that reaches out
    "check-limits-parent": _approved(
        "An approved check limits the processor time of the process that decides",
        LIMITS + World.own,
    ),
    "check-limits-later": _of_checks(
        "A grandchild of an approved check outlives the gate, and limits the next one",
        _after_a_first_gate,
        approved=True,
    ),
    "check-deep-folder": _approved(
        "An approved check leaves folders in folders, 3,000 deep",
        DEEP + World.own,
    ),
    "check-reaches": _approved(
        "An approved check tries memory, files, signals, sockets, devices and shared memory",
        REACHES + World.own,
    ),
    "check-speaks": _approved(
        "An approved check prints commands of the workflow and of the terminal", SPEAKS + World.own
    ),
    "check-forks": _approved(
        "An approved check makes 150 processes and writes 200 MB",
        FORKS + World.own,
    ),
    "check-answers-itself": _approved(
        "An approved check writes into the descriptor of the answers, about another unit",
        World.own.replace(
            SCORES, 'import os; os.write(3, b\'[{"score": 1.0, "case": "desk/triage/c02"}]\\n\' * 99); ' + SCORES
        ),
    ),
    "check-odd-outcomes": _approved(
        "An approved check says rates of other units, and text that is no text",
        World.own.replace(SCORES, 'return Outcome(1.0, (), {"desk/triage": True, "\\n::add-mask::x": True})'),
    ),
    "check-named-as-a-suite": _approved(
        "An approved check calls itself schema, and takes the place of the suite that ships",
        World.own + 'CHECKS["schema"] = CHECKS["short"]\nif True:\n    CHECKS = CHECKS | {"voice": CHECKS["short"]}\n',
    ),
    "check-waits": _approved(
        "An approved check sleeps 50 seconds over each output",
        World.own.replace(SCORES, "import time; time.sleep(50); " + SCORES),
        limit="4 GB of memory, one hour of processor time for all cases, 60 seconds for one",
    ),
}
