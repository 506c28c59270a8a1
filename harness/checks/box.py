"""The sandbox of a project's own checks: which environment variables they see, and what the system denies them.

Reviewers approve the code of a check, but it needs no access to a job's token, the network, or the files of the
install and of the repository. Landlock (Linux 5.13) makes all files outside its scratch folder read-only, and seccomp
blocks the network. On other systems only the environment and the limits apply: SECURITY.md has the table.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Environment variables that a check sees: settings for text and numbers, no secrets.
PASSED = frozenset({
    "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES",
})  # fmt: skip
PASSED_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_")
SECRETS = ("TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL")  # names with these words are never passed

MEMORY = 4 << 30  # bytes
PROCESSOR = 3600  # seconds, for all cases together
FILE = 256 << 20  # bytes per file that it writes

END_WITH_PARENT, NO_NEW_PRIVILEGES, SECCOMP, DROP_CAPABILITY = 1, 38, 22, 24  # options of prctl
CAPABILITIES = 64  # upper bound; Linux has 41
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls; same numbers on every processor
VERSION_ASKED, PATH_BENEATH = 1, 1
WRITE_FILE, TRUNCATE = 1 << 1, 1 << 14
#: Landlock's write rights, by the version that introduced them; reading stays allowed.
WRITES = {1: WRITE_FILE | sum(1 << bit for bit in range(4, 13)), 2: 1 << 13, 3: TRUNCATE}
TCP, SCOPED = 0b11, 0b11  # bind and connect (version 4); abstract sockets and signals (version 6)
#: Denied system calls: sockets, and io_uring, which can create them; reading or writing other processes; leaving the
#: process group that is killed with the check; locks on read-only files; modes, owners, times and attributes of files;
#: memory and messages that outlive the process; namespaces.
REFUSED = (
    "socket", "io_uring_setup", "ptrace", "process_vm_writev", "setsid", "setpgid", "flock", "chmod", "fchmod",
    "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
    "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
    "shmget", "msgget", "semget", "mq_open", "memfd_create", "add_key", "request_key", "keyctl", "unshare", "setns",
)  # fmt: skip
OF_ITSELF = "prlimit64"  # only allowed for the process itself
#: Per processor: its seccomp name, and its numbers of `REFUSED` (None: no such call) and `OF_ITSELF`.
PROCESSORS: Mapping[str, tuple[int, tuple[int | None, ...], int]] = {
    "x86_64": (0xC000003E, (
        41, 425, 101, 311, 112, 109, 73, 90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198,
        199, 463, 466, 29, 68, 64, 240, 319, 248, 249, 250, 272, 308,
    ), 302),
    "aarch64": (0xC00000B7, (
        198, 425, 117, 271, 157, 154, 32, None, 52, 53, 452, None, 55, None, 54, None, None, None, 88, 5, 6, 7, 14, 15,
        16, 463, 466, 194, 186, 190, 180, 279, 217, 218, 219, 97, 268,
    ), 261),
}  # fmt: skip
X32 = 0x40000000  # marks the x32 system calls on x86_64
ALLOWED, DENIED = 0x7FFF0000, 0x00050000 | 13  # EACCES


@dataclass(frozen=True, slots=True)
class Box:
    """What the system denies a check: writing `files` of others, using the `network`, exceeding `limits`."""

    files: bool
    network: bool
    limits: bool

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the check can still do, in words."""
        open_ways = (
            ("write files", self.files), ("use the network", self.network),
            ("take memory and processor time without a limit", self.limits),
            ("leave programs running", hasattr(os, "killpg")),
        )  # fmt: skip
        return tuple(what for what, kept in open_ways if not kept)


def scrubbed(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The environment of a check: the variables of `PASSED`, and its scratch folder as home and temporary folder."""
    kept = {
        name: value for name, value in environment.items()
        if (name in PASSED or name.startswith(PASSED_PREFIXES)) and not any(word in name for word in SECRETS)
    }  # fmt: skip
    return kept | dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(scratch))


def enter(scratch: Path) -> Box:
    """Move this process into the sandbox, before any code of a check is loaded; it cannot leave.

    It can write to `scratch` only.

    Raises:
        RuntimeError: other threads exist; they would stay outside.
    """
    limits = _limit()
    with suppress(FileNotFoundError):  # no /proc
        if len([*Path("/proc/self/task").iterdir()]) > 1:
            raise RuntimeError("expected no other threads when entering the sandbox")
    if platform.system() != "Linux":
        return Box(files=False, network=False, limits=limits)
    system: Any = ctypes.CDLL(None, use_errno=True)
    system.syscall.restype = ctypes.c_long
    system.prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)  # even if the gate is killed
    if system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return Box(files=False, network=False, limits=limits)
    _drop_capabilities(system)
    return Box(_hold_files(system, scratch), _hold_network(system), limits)


def _limit() -> bool:
    """Limit memory, processor time and file size; return whether the system supports it."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    for what, most in (
        (resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CPU, PROCESSOR), (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        with suppress(ValueError, OSError):  # the limit is already lower
            resource.setrlimit(what, (most, most))
    return True


def _drop_capabilities(system: Any) -> None:
    """Drop root's capabilities, such as reading the environment of other processes; a no-op for other users."""
    for capability in range(CAPABILITIES):
        system.prctl(DROP_CAPABILITY, capability, 0, 0, 0)
    system.capset(struct.pack("Ii", 0x20080522, 0), bytes(24))  # API version 3; this process; no capabilities


def _hold_files(system: Any, scratch: Path) -> bool:
    """Make all files outside `scratch` read-only, and block TCP and signals if the kernel supports it."""
    version = system.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_ASKED)
    if version < 1:
        return False
    writes = sum(rights for since, rights in WRITES.items() if version >= since)
    rules = struct.pack("QQQ", writes, TCP if version >= 4 else 0, SCOPED if version >= 6 else 0)
    ruleset = system.syscall(CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    writable = ((scratch, writes), (Path(os.devnull), writes & (WRITE_FILE | TRUNCATE)))
    try:
        is_allowed = all(_allow(system, ruleset, *each) for each in writable)
        return is_allowed and not system.syscall(RESTRICT_SELF, ctypes.c_int(ruleset), 0)
    finally:
        os.close(ruleset)


def _allow(system: Any, ruleset: int, path: Path, rights: int) -> bool:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, opened)
        return not system.syscall(ADD_RULE, ctypes.c_int(ruleset), PATH_BENEATH, rule, 0)
    finally:
        os.close(opened)


def _hold_network(system: Any) -> bool:
    """Deny the calls of `REFUSED` with EACCES."""
    if platform.machine() not in PROCESSORS:
        return False
    name, refused, limits = PROCESSORS[platform.machine()]
    load_call, load_process, equal, at_least, end = 0x20, 0x20, 0x15, 0x35, 0x06  # opcodes of the BPF filter
    program = [(0x20, 0, 0, 4), (equal, 1, 0, name), (end, 0, 0, DENIED)]  # calls of another architecture
    program += [(load_call, 0, 0, 0), (at_least, 0, 1, X32), (end, 0, 0, DENIED)]
    for call in refused:
        program += [(equal, 0, 1, call), (end, 0, 0, DENIED)] if call is not None else []
    program += [(equal, 0, 3, limits), (load_process, 0, 0, 16), (equal, 1, 0, 0), (end, 0, 0, DENIED)]
    program.append((end, 0, 0, ALLOWED))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    filters = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    return not system.prctl(SECCOMP, 2, filters, 0, 0)
