"""Whether an export answers as the trained model does, measured on real examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from flaxmill import answers, files
from flaxmill.errors import CannotGoOn

RELATIVE = 1e-4
"""How far an output may lie from the trained model's, as a share of its largest number.

Another order of float32's sums moves an output by about 1e-6 of that; a wrong weight, a thousandth
or more."""
INT8_LOSS = 0.003
"""How much accuracy eight-bit integers may cost."""


def compared(
    outputs: Float[np.ndarray, "example class"],
    reference: Float[np.ndarray, "example class"],
    labels: Integer[np.ndarray, " example"] | Float[np.ndarray, "example class"],
) -> dict[str, Any]:
    """Returns how far outputs lie from those of the trained model.

    Args:
        outputs: Logits through an export.
        reference: Those of the trained model, in float32.
        labels: True classes, or a row of zeros and ones each.

    Returns:
        Largest absolute difference; largest difference as a share of the largest logit of its
        example; number of examples whose class, or set of labels, differs; accuracy.
    """
    difference = np.abs(outputs - reference).max(-1)
    largest = np.maximum(np.abs(reference).max(-1), np.finfo(np.float32).tiny)  # all may be zero
    kind = answers.of_labels(labels)
    return {
        "max_abs_difference": float(difference.max()),
        "max_relative_difference": float((difference / largest).max()),
        "disagreements": int((~kind.agree(outputs, reference)).sum()),
        "accuracy": float(kind.accuracy(outputs, labels).mean()),
    }


def exact(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns the figures of a format in float32 with its tolerance.

    Raises:
        CannotGoOn: It differs by more.
    """
    difference = found["max_relative_difference"]
    if not difference <= RELATIVE:  # not a number is no good either
        raise CannotGoOn(
            f"the format {name} differs from the trained model by {difference:.2g} of its largest "
            f"logit, where {RELATIVE:g} is allowed ({found['disagreements']} of the test examples "
            f"get another answer): nothing was exported."
        )
    return {**found, "tolerance": {"max_relative_difference": RELATIVE}}


def rounded(found: dict[str, Any], accuracy: float, examples: int) -> dict[str, Any]:
    """Returns the figures of the quantised format with its tolerance.

    Args:
        found: Its figures.
        accuracy: Of the trained model.
        examples: How many both were measured on.

    Raises:
        CannotGoOn: It costs more accuracy.
    """
    allowed = max(INT8_LOSS, 1 / examples)  # of a few examples, one may change its class
    if not accuracy - found["accuracy"] <= allowed + 1e-9:
        raise CannotGoOn(
            f"eight-bit integers cost {100 * (accuracy - found['accuracy']):.2f} points of "
            f"accuracy, where {100 * allowed:g} are allowed: nothing was exported. Leave "
            f"--quantize out."
        )
    return {**found, "tolerance": {"accuracy_loss": allowed}}


def of_file(path: Path) -> dict[str, Any]:
    """Returns what tells a file of an export from any other."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": files.sha256(path)}


def words(name: str, row: Mapping[str, Any]) -> str:
    """Says in a line how a format compares with the trained model."""
    return (
        f"{name:11}  {row['file']:19}  {size(row['bytes']):>8}  "
        f"accuracy {100 * row['accuracy']:.2f} %, other answers {row['disagreements']:,}, "
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
