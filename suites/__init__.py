"""The fixture suites: one file per kind of check, collected by pytest; `pytest fixtures/` does not need them."""
