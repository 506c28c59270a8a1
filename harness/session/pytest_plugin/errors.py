"""End pytest's run on Tunegate's errors and on internal errors, with one line and Tunegate's exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.escaping import shown_lines


@contextmanager
def ending(config: pytest.Config) -> Iterator[None]:
    """End pytest's run with the error's own exit code, where pytest would report its own internal error.

    Do not use it during collection, where pytest reports any exception as a failure of the collected module.
    """
    try:
        yield
    except pytest.UsageError:
        raise
    except Exception as error:
        ours = as_tunegate_error(error, config.rootpath if config.inipath else config.invocation_params.dir)
        # pytest then prints no traceback, and sets the exit code itself
        said = shown_lines(str(ours))
        if ours.exit_code == pytest.ExitCode.USAGE_ERROR:
            raise pytest.UsageError(said) from error
        pytest.exit(said, returncode=ours.exit_code)
