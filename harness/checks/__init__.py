"""The checks: one function from an output to findings for each kind of suite, and one row in `table`."""
