"""Output kinds: a module each, with the functions of `flaxmill.tasks.kinds.OutputKind`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float


def likeliest(
    probabilities: Float[np.ndarray, " class"], labels: Sequence[str], top: int
) -> list[dict[str, Any]]:
    """Returns the labels with the highest probabilities, the likeliest first.

    Args:
        probabilities: One for each class.
        labels: Class names, in the same order.
        top: How many; at least one is named.
    """
    order = np.argsort(-probabilities, kind="stable")[: max(1, min(top, len(labels)))]
    return [{"label": labels[i], "probability": float(probabilities[i])} for i in order]
