"""The repository that changes are made in."""

from tests.support.prompted import desk, server

__all__ = ["desk", "server"]
