"""A recipe's loop that ends early."""

import contextlib

import pytest

from flaxmill.training.early import Early


def test_the_end_goes_through_what_a_loop_catches() -> None:
    early, cleaned = Early(), []
    with early.awaited():
        try:
            with contextlib.suppress(Exception):
                early.end()
        finally:
            cleaned.append(True)
        cleaned.append(False)
    assert early.ended
    assert cleaned == [True]


def test_errors_are_errors() -> None:
    early = Early()
    with pytest.raises(ValueError, match="other"), early.awaited():
        raise ValueError("other")
    assert not early.ended
