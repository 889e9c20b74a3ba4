"""How an export is compared with its model, and what is too far away."""

from typing import Any

import numpy as np
import pytest

from flaxmill.errors import CannotGoOn
from flaxmill.export import parity
from flaxmill.tasks.kinds import OutputKind, output_kind

ONE, SEVERAL = (output_kind(gives) for gives in ("one_class", "labels"))

ROUNDING = np.float32(2.0**-22)  # of what was summed up, in another order


def honest(reference: np.ndarray, terms: float, seed: int = 0) -> np.ndarray:
    """Returns logits with the rounding of sums whose terms are of a size."""
    noise = np.random.default_rng(seed).uniform(-1, 1, reference.shape)
    return reference + (ROUNDING * terms * noise).astype(np.float32)


def compare(
    outputs: np.ndarray, reference: np.ndarray, labels: np.ndarray | None, kind: OutputKind
) -> dict[str, Any]:
    """Returns the figures of a comparison that is done in two batches, if it can be."""
    found = parity.Comparison(kind)
    for rows in (slice(len(outputs) // 2), slice(len(outputs) // 2, None)):
        if len(outputs[rows]):
            known = None if labels is None else labels[rows]
            found.add(outputs[rows], reference[rows], known)
    assert found.examples == len(outputs)
    return found.figures()


def test_differences_are_found() -> None:
    reference = np.array([[1.0, 2.0], [4.0, -8.0]], np.float32)  # 4.6 in the quadratic mean
    outputs = reference + np.array([[1.5, 0], [0, 0.25]], np.float32)
    found = compare(outputs, reference, np.array([1, 0]), ONE)
    assert found == {
        "max_abs_difference": 1.5,
        "max_relative_difference": pytest.approx(1.5 / np.sqrt((1 + 4 + 16 + 64) / 4)),
        "disagreements": 1,
        "accuracy": 0.5,
    }
    unknown = compare(outputs, reference, None, ONE)
    assert unknown == {**found, "accuracy": None}


@pytest.mark.parametrize("examples", [1, 40, 300_000])
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("classes", [2, 10])
def test_rounding_is_no_difference_whatever_the_logits(
    examples: int, size: float, classes: int
) -> None:
    """Of two classes, some logits of many examples are as close to 0 as one likes."""
    logits = np.random.default_rng(1).normal(0, size, (examples, classes)).astype(np.float32)
    logits[::3] *= np.float32(1e-6)  # a third of them lies at the boundary
    if examples == 1:
        logits = np.full_like(logits, size)
    for kind in (ONE, SEVERAL):
        found = compare(honest(logits, size), logits, None, kind)
        assert parity.check_exact(found, "onnx")["max_relative_difference"] < 1e-5


def test_a_far_outlier_hides_nothing_and_is_not_refused_itself() -> None:
    logits = np.random.default_rng(2).normal(0, 1, (1000, 2)).astype(np.float32)
    logits[7] *= 1000
    outputs = logits.copy()
    outputs[7] += 1e-3  # as rounding does, where sums are so large
    assert parity.check_exact(compare(outputs, logits, None, ONE), "onnx")
    outputs[8] += 1e-2
    with pytest.raises(CannotGoOn):
        parity.check_exact(compare(outputs, logits, None, ONE), "onnx")


def test_the_same_zeros_do_not_differ() -> None:
    nothing = np.zeros((2, 3), np.float32)
    found = compare(nothing, nothing, None, ONE)
    assert parity.check_exact(found, "onnx")["max_relative_difference"] == 0
    lost = compare(nothing + np.float32(1e-39), nothing, None, ONE)
    assert parity.check_exact(lost, "onnx")  # some engines take numbers so small for 0
    with pytest.raises(CannotGoOn, match="differs from the trained model by"):
        parity.check_exact(compare(nothing + 1, nothing, None, ONE), "onnx")


def test_what_cancels_out_is_measured_by_what_rounding_does_to_it() -> None:
    """Terms of size 1000 whose sums are of size 0.01: their last digits are a share of 0.01."""
    rng = np.random.default_rng(3)
    features = rng.normal(0, 30, (200, 64)).astype(np.float32)
    kernel = rng.normal(0, 30, (64, 2)).astype(np.float32)
    exact = features.astype(np.float64) @ kernel
    reference = (1e-2 * rng.normal(0, 1, exact.shape)).astype(np.float32)
    bias = reference - exact  # whatever it takes, per example

    def logits(weights: dict[str, np.ndarray]) -> np.ndarray:
        return (features @ weights["kernel"] + bias).astype(np.float32)

    arrays = {"kernel": kernel}
    allowed = parity.allowed(reference, logits(parity.perturb(arrays)))
    assert allowed > 10 * parity.RELATIVE
    found = compare(logits(arrays), reference, None, ONE)
    assert found["max_relative_difference"] > parity.RELATIVE
    tolerance = parity.check_exact(found, "onnx", allowed)["tolerance"]
    assert tolerance == {"max_relative_difference": allowed}


def test_weights_are_moved_by_their_last_place_alone() -> None:
    arrays = {"kernel": np.array([1.0, -3.0, 0.0], np.float32), "count": np.array([7], np.int32)}
    found = parity.perturb(arrays)
    assert found["kernel"].dtype == np.float32
    difference = np.abs(found["kernel"] - arrays["kernel"])
    assert (difference[:2] > 0).all() and (difference[:2] < 4e-7).all()
    assert found["kernel"][2] == 0 and found["count"] is arrays["count"]


def test_what_differs_too_much_is_refused() -> None:
    found = {"accuracy": 0.8, "max_abs_difference": 0.1}
    with pytest.raises(CannotGoOn, match=r"cost 1\.00 points of accuracy, where 0\.3 are allowed"):
        parity.check_int8(found, 0.81, 10_000)
    not_a_number = {"max_relative_difference": float("nan"), "disagreements": 3}
    with pytest.raises(CannotGoOn, match=r"differs from the trained model by nan"):
        parity.check_exact(not_a_number, "onnx")
