"""How an export is compared with its model, and what is too far away."""

import numpy as np
import pytest

from flaxmill.errors import CannotGoOn
from flaxmill.export import parity


def test_differences_are_found() -> None:
    reference = np.array([[1.0, 2.0], [4.0, -8.0]], np.float32)
    outputs = reference + np.array([[1.5, 0], [0, 0.25]], np.float32)
    found = parity.compared(outputs, reference, np.array([1, 0]))
    assert found == {
        "max_abs_difference": 1.5,
        "max_relative_difference": 0.75,
        "disagreements": 1,
        "accuracy": 0.5,
    }


def test_the_same_zeros_do_not_differ() -> None:
    nothing = np.zeros((2, 3), np.float32)
    found = parity.compared(nothing, nothing, np.array([0, 1]))
    assert parity.exact(found, "onnx")["max_relative_difference"] == 0
    with pytest.raises(CannotGoOn, match="differs from the trained model by"):
        parity.exact(parity.compared(nothing + 1, nothing, np.array([0, 1])), "onnx")


def test_what_differs_too_much_is_refused() -> None:
    found = {"accuracy": 0.8, "max_abs_difference": 0.1}
    with pytest.raises(CannotGoOn, match=r"cost 1\.00 points of accuracy, where 0\.3 are allowed"):
        parity.rounded(found, 0.81, 10_000)
    not_a_number = {"max_relative_difference": float("nan"), "disagreements": 3}
    with pytest.raises(CannotGoOn, match=r"differs from the trained model by nan"):
        parity.exact(not_a_number, "onnx")
