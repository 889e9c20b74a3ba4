"""Whether an export predicts as the trained model does, measured on real examples."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from flaxmill.errors import CannotGoOn
from flaxmill.machine import files
from flaxmill.tasks.kinds import OutputKind

RELATIVE = 1e-5
"""How far a logit may lie from the trained model's, as a share of the logits' size.

Another order of float32's sums, in XLA and in ONNX Runtime, moved those of twenty small two-class
models by 0.4 to 1.5 millionths of it; one weight of a layer, moved by a tenth of the layer's norm,
by 14 millionths at least, in a branch that counts for next to nothing yet, and by a hundred and
more elsewhere (benchmarks/export_parity.py)."""
ROUNDINGS = 5
"""How many times as far as weights move it that are themselves moved by a unit in the last place.

Those moved the logits about twice as far as another order of the sums did, which leaves ten."""
ROUNDED_EXAMPLES = 500
"""Examples on which that is measured, at most."""
INT8_LOSS = 0.003
"""How much accuracy eight-bit integers may cost."""


def sizes(reference: Float[np.ndarray, "example ..."]) -> Float[np.ndarray, " example"]:
    """Returns what a difference of each example's logits is measured by.

    That is the root mean square of all logits of the set, or the example's own largest, if that is
    larger. Rounding goes with the numbers that are summed up in a network, and these are of one
    size for all examples; a logit is close to 0 wherever two classes are equally likely, and says
    nothing of it.

    Args:
        reference: Logits of the trained model.
    """
    exact = reference.astype(np.float64).reshape(len(reference), -1)
    return _sizes(np.abs(exact).max(-1), math.sqrt(np.square(exact).mean()))


def _sizes(largest: Float[np.ndarray, " example"], usual: float) -> Float[np.ndarray, " example"]:
    smallest = np.finfo(np.float32).tiny / RELATIVE  # what is lost below float32's range is nothing
    return np.maximum(largest, max(usual, smallest))


class Comparison:
    """How far outputs lie from those of the trained model, added up batch by batch.

    Args:
        kind: What the outputs are.
    """

    def __init__(self, kind: OutputKind) -> None:
        self._kind = kind
        self._differences: list[np.ndarray] = []  # largest of each example's logits
        self._largest: list[np.ndarray] = []  # of the reference
        self._squares, self._logits = 0.0, 0
        self._right, self._disagreements = 0.0, 0

    def add(
        self,
        outputs: Float[np.ndarray, "example ..."],
        reference: Float[np.ndarray, "example ..."],
        labels: Shaped[np.ndarray, "example ..."] | None,
    ) -> None:
        """Adds some examples.

        Args:
            outputs: Logits, or what else the model gives, through an export.
            reference: Those of the trained model, in float32.
            labels: As the output kind takes them; None where none are known.
        """
        exact = reference.astype(np.float64).reshape(len(reference), -1)
        differences = np.abs(outputs - reference).reshape(len(reference), -1)
        self._differences.append(differences.max(-1))
        self._largest.append(np.abs(exact).max(-1))
        self._squares += float(np.square(exact).sum())
        self._logits += exact.size
        self._disagreements += int((~self._kind.agree(outputs, reference)).sum())
        self._right += (
            math.nan if labels is None else float(self._kind.accuracy(outputs, labels).sum())
        )

    @property
    def examples(self) -> int:
        """The number of examples that were added."""
        return sum(map(len, self._largest))

    def figures(self) -> dict[str, Any]:
        """Returns the figures of all examples.

        Returns:
            Largest absolute difference of a logit; largest as a share of the logits' `sizes`;
            number of examples whose class, or set of labels, differs; accuracy, None without
            labels.
        """
        difference, largest = np.concatenate(self._differences), np.concatenate(self._largest)
        usual = math.sqrt(self._squares / self._logits)
        accuracy = self._right / len(largest)
        return {
            "max_abs_difference": float(difference.max()),
            "max_relative_difference": float((difference / _sizes(largest, usual)).max()),
            "disagreements": self._disagreements,
            "accuracy": None if math.isnan(accuracy) else accuracy,
        }


def perturb(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns weights of which each is moved by one unit in its last place, up or down."""
    rng = np.random.default_rng(0)
    perturbed = {}
    for name, array in arrays.items():
        perturbed[name] = array
        if np.issubdtype(array.dtype, np.floating):
            away = np.where(rng.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
            perturbed[name] = np.where(array == 0, array, np.nextafter(array, away))
    return perturbed


def allowed(
    reference: Float[np.ndarray, "example ..."], rounded: Float[np.ndarray, "example ..."]
) -> float:
    """Returns how far logits may lie from those of the trained model, as a share of their sizes.

    That is `RELATIVE`, or what rounding alone may do in this network, where that is more: sums in
    another order differ in their last digits, as if the weights did.

    Args:
        reference: Logits of the trained model.
        rounded: Logits for the same examples, with weights from `perturb`.
    """
    differences = np.abs(rounded - reference).reshape(len(reference), -1).max(-1)
    return max(RELATIVE, ROUNDINGS * float((differences / sizes(reference)).max()))


def check_exact(figures: dict[str, Any], name: str, allowed: float = RELATIVE) -> dict[str, Any]:
    """Returns the figures of a format in float32 with its tolerance.

    Args:
        figures: Its figures.
        name: The format.
        allowed: Its tolerance.

    Raises:
        CannotGoOn: It differs by more.
    """
    difference = figures["max_relative_difference"]
    if not difference <= allowed:  # not a number is no good either
        raise CannotGoOn(
            f"the format {name} differs from the trained model by {difference:.2g} of the size of "
            f"its logits, where {allowed:g} is allowed ({figures['disagreements']} of the examples "
            f"get another answer): nothing was exported."
        )
    return {**figures, "tolerance": {"max_relative_difference": allowed}}


def check_int8(figures: dict[str, Any], accuracy: float, examples: int) -> dict[str, Any]:
    """Returns the figures of the quantised format with its tolerance.

    Args:
        figures: Its figures.
        accuracy: Of the trained model.
        examples: How many both were measured on.

    Raises:
        CannotGoOn: It costs more accuracy.
    """
    allowed = max(INT8_LOSS, 1 / examples)  # of a few examples, one may change its class
    if not accuracy - figures["accuracy"] <= allowed + 1e-9:
        raise CannotGoOn(
            f"eight-bit integers cost {100 * (accuracy - figures['accuracy']):.2f} points of "
            f"accuracy, where {100 * allowed:g} are allowed: nothing was exported. Leave "
            f"--quantize out."
        )
    return {**figures, "tolerance": {"accuracy_loss": allowed}}


def of_file(path: Path) -> dict[str, Any]:
    """Returns name, size and digest of a file of an export."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": files.sha256(path)}


def words(name: str, row: Mapping[str, Any]) -> str:
    """Describes in a line how a format compares with the trained model."""
    right = "" if row["accuracy"] is None else f"accuracy {100 * row['accuracy']:.2f} %, "
    return (
        f"{name:11}  {row['file']:19}  {size(row['bytes']):>8}  "
        f"{right}other answers {row['disagreements']:,}, "
        f"logits differ by up to {row['max_abs_difference']:.2g}"
    )


def size(count: int) -> str:
    """Returns a number of bytes in words.

    >>> size(142_596)
    '143 kB'
    >>> size(3_301_587)
    '3.3 MB'
    """
    return f"{max(1, round(count / 1000))} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
