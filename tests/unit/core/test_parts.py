"""Parts that may be missing from an installation."""

from __future__ import annotations

import pytest

from tunegate.harness.core.crashes import as_tunegate_error
from tunegate.harness.core.errors import CouldNotRun
from tunegate.harness.core.extras import lacking_of
from tunegate.harness.core.parts import find_part, load_part


def test_what_is_there_is_loaded():
    assert load_part("tunegate.harness.core.errors:CouldNotRun") is CouldNotRun
    assert find_part("tunegate.harness.core.errors:CouldNotRun") is CouldNotRun


@pytest.mark.parametrize(
    "place", ["tunegate.elsewhere:it", "tunegate.elsewhere.further:it", "tunegate.harness.nothing:it"]
)
def test_a_part_that_is_not_there_is_said_in_a_line(place, tmp_path):
    assert find_part(place) is None

    with pytest.raises(ModuleNotFoundError) as missing:
        load_part(place)
    said = as_tunegate_error(missing.value, tmp_path)
    assert isinstance(said, CouldNotRun)
    assert str(said) == (
        f"expected {missing.value.name}, found none: this installation has only a part of tunegate; install all of it"
    )


def test_a_part_that_is_there_and_fails_is_not_missing(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere") as failed:
        find_part("half:it")
    assert lacking_of(failed.value) is None
