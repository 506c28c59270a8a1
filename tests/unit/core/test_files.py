from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunegate.harness.core.files import canonical, digest, file_digest, write_atomically, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def same(one, other) -> bool:
    """Equal as JSON text would be: 1 is not 1.0, true is not 1, -0.0 is not 0.0."""
    return repr(sorted_keys(one)) == repr(sorted_keys(other))


def sorted_keys(value):
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(inner) for inner in value] if isinstance(value, list) else value


@given(JSON)
def test_canonical_json_is_ascii_loses_nothing_and_is_stable(value):
    text = canonical(value)

    assert text.isascii()
    assert same(json.loads(text), value)
    assert canonical(json.loads(text)) == text


@given(JSON, JSON)
def test_digests_are_equal_exactly_for_equal_values(one, other):
    assert (digest(one) == digest(other)) == same(one, other)


@given(st.dictionaries(st.text(), JSON), st.randoms())
def test_the_order_of_keys_does_not_matter_and_that_of_lists_does(value, chance):
    items = list(value.items())
    chance.shuffle(items)

    assert digest(dict(items)) == digest(value)
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_what_json_cannot_say_has_no_digest(value):
    with pytest.raises(ValueError, match="JSON"):
        digest(value)


def test_digests_stay_what_they_are():
    """Baselines hold them."""
    value = {"b": [1, 2.5, None, True], "a": "é"}

    assert canonical(value) == '{"a":"\\u00e9","b":[1,2.5,null,true]}'
    assert digest(value) == "0b8cc543e984d4d7398f5f603a4b91d358a2565f1d6b6a058565d662854e37cf"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_s_digest_reads_all_of_it_and_says_how_far_it_is(tmp_path, size):
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "f").write_bytes(content)
    seen: list[int] = []

    assert file_digest(tmp_path / "f", seen.append) == hashlib.sha256(content).hexdigest()
    assert sum(seen) == size


def test_a_write_makes_folders_keeps_text_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a" / "b.json"

    write_atomically(path, "old\n")
    write_atomically(path, "é\r\n")

    assert path.read_bytes() == "é\r\n".encode()
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half of \ud83d")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))

    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import write_atomically
for turn in range(10**9):
    write_atomically(Path(sys.argv[1]), f"{turn % 10}" * 1_000_000)
    print(turn, flush=True)
"""


def test_a_file_is_whole_whenever_it_is_read_and_when_its_writer_is_killed(tmp_path):
    path, reads = tmp_path / "record.json", random.Random(0).randrange(200, 400)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()  # the file exists, and the next write begins

    assert all(is_whole(path.read_bytes()) for _ in range(reads))
    writer.send_signal(signal.SIGKILL)
    writer.communicate()

    assert writer.returncode == -signal.SIGKILL
    assert is_whole(path.read_bytes())


def is_whole(content: bytes) -> bool:
    return content == content[:1] * 1_000_000


KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from tunegate.harness.core.files import write_atomically

path = Path(sys.argv[1])

def dies(at_step):
    left = at_step

    def trace(frame, event, argument):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    child = os.fork()
    if not child:
        sys.settrace(trace)
        write_atomically(path, "new")
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

path.write_text("old")
step = 1
while dies(step):
    print(path.read_text() or "(empty)")
    path.write_text("old")
    step += 1
"""


def test_a_write_that_is_killed_at_any_of_its_steps_leaves_the_old_file_or_the_new(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path / "a.json")],
        capture_output=True,
        text=True,
        check=True,
    )

    left = run.stdout.split()
    old = left.count("old")
    assert left == ["old"] * old + ["new"] * (len(left) - old)
    assert 10 < old < len(left)


COUNTER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import locked
path = Path(sys.argv[1])
for _ in range(50):
    with locked(path):
        path.write_text(str(int(path.read_text()) + 1))
"""
HOLDER = """
import sys
from pathlib import Path
from tunegate.harness.core.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_keeps_processes_apart(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")

    counters = [subprocess.Popen([sys.executable, "-c", COUNTER, str(path)]) for _ in range(3)]

    assert [counter.wait() for counter in counters] == [0, 0, 0]
    assert path.read_text() == "150"


def test_a_lock_is_released_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "deep" / "file"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )

    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(timeout=0.5)
    holder.kill()
    holder.communicate()

    assert waiter.communicate()[0] == b"held\n"
