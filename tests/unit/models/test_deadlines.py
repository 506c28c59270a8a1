"""A bound in time."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tests.support.systems import posix
from tunegate.harness.models.tokenizer import time_limit


@posix
def test_what_has_no_end_is_ended_and_what_has_one_is_not():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"still running after 0\.05 seconds"), time_limit(0.05):
        time.sleep(60)
    with time_limit(60):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_outside_the_main_thread_there_is_none():
    done = []

    def work():
        with time_limit(0.001):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
