"""The fixture suites: one file for each kind of check, collected by pytest; `pytest fixtures/` needs none of them."""
