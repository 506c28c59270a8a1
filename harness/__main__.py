"""`python -m tunegate` is `tunegate`."""

from tunegate.harness.cli.main import main

main()
