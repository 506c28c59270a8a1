"""How far an adapter moves its base, told."""

from __future__ import annotations

from tunegate.trainers.training.update_size import APART, LARGE, UpdateSize


def test_an_even_update_is_told_in_a_line():
    size = UpdateSize({"q": 0.02, "k": 0.03, "v": 0.04})

    assert list(size.render()) == ["  update size: 0.030 of the weights' norm in the median module, at most 0.040 (v)"]
    assert size.as_dict() == {"modules": 3, "median": 0.03, "most": 0.04, "odd": {}}


def test_a_module_that_is_moved_far_apart_from_the_others_is_odd():
    size = UpdateSize({"q": 0.02, "k": 0.02, "v": 0.02 * APART + 0.01})

    assert set(size.odd) == {"v"}
    assert "  warning: unusually large update in 1 module (v): lower optim.lr" in list(size.render())


def test_where_all_are_moved_as_far_as_the_weights_are_large_all_are_odd():
    assert set(UpdateSize({"q": LARGE + 0.1, "k": LARGE + 0.2}).odd) == {"q", "k"}


def test_a_base_of_which_nothing_can_be_measured_has_no_size():
    assert list(UpdateSize({}).render()) == []
    assert UpdateSize({}).as_dict() == {"modules": 0}
