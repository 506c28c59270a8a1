"""How an error of ours, or one that nobody foresaw, ends pytest's run: one line and an exit code of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.escaping import shown_lines


@contextmanager
def ending(config: pytest.Config) -> Iterator[None]:
    """End pytest's run with an error's own exit code, where pytest would call it its own internal error.

    Not while it collects: there pytest takes whatever is raised for a failure of the module that it collects.
    """
    try:
        yield
    except pytest.UsageError:
        raise
    except Exception as error:
        ours = as_tunegate_error(error, config.rootpath if config.inipath else config.invocation_params.dir)
        # pytest says it without a trace then, and gives the exit code itself
        said = shown_lines(str(ours))
        if ours.exit_code == pytest.ExitCode.USAGE_ERROR:
            raise pytest.UsageError(said) from error
        pytest.exit(said, returncode=ours.exit_code)
