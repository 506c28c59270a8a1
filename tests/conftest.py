"""What all tests share; a fixture costs nothing until a test asks for it."""

from __future__ import annotations

from tests.support.kept import _own_cache, kept, once, shared  # noqa: F401  (fixtures, like all of these)
from tests.support.project import project  # noqa: F401
from tests.support.tiny import make_adapter, tiny_adapter, tiny_model  # noqa: F401
from tests.support.training import recorded, trained  # noqa: F401
