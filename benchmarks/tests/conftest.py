"""What the benchmarks' own tests share."""

from __future__ import annotations

from tests.support.kept import _own_cache, kept, shared  # noqa: F401  (fixtures)
from tests.support.tiny import make_adapter, tiny_adapter, tiny_model  # noqa: F401  (fixtures)
from tests.support.untouched import _committed_ledger  # noqa: F401
