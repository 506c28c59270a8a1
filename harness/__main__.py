"""`python -m harness` is `tunegate`."""

from harness.cli import main

main()
