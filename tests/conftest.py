"""What all tests share; a fixture costs nothing until a test asks for it."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.support.data import pytest_runtest_makereport, pytest_runtest_setup  # noqa: F401  (hooks)
from tests.support.kept import _own_cache, kept, once, shared  # noqa: F401  (fixtures, like all of these)
from tests.support.project import project  # noqa: F401
from tests.support.tiny import bare_model, make_adapter, tied_model, tiny_adapter, tiny_model  # noqa: F401
from tests.support.training import recorded, trained  # noqa: F401
from tests.support.untouched import _committed_ledger  # noqa: F401

# A commit passes or not each time alike: its tests try the same few examples. `make fuzz` tries others, and many.
if tried := os.environ.get("TUNEGATE_EXAMPLES"):
    settings.register_profile("fuzz", max_examples=int(tried), deadline=None, print_blob=True)
    settings.load_profile("fuzz")
else:
    settings.register_profile("same", derandomize=True, max_examples=25, deadline=None)
    settings.load_profile("same")
