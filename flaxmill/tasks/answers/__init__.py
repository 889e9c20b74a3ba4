"""Output kinds: a module each, with the functions of `flaxmill.tasks.kinds.OutputKind`."""

import dataclasses
from collections.abc import Callable, Sequence
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


def concatenated(parts: Sequence[Any], *, but: Sequence[str]) -> dict[str, np.ndarray]:
    """Joins each array of several dataclasses, one after another.

    Args:
        parts: Dataclasses of one kind; at least one.
        but: Fields that are no such arrays.
    """
    names = [field.name for field in dataclasses.fields(parts[0]) if field.name not in but]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


def with_probabilities(
    logits: Any, signature: Any, probabilities: Callable[[Any], Any]
) -> dict[str, Any]:
    """Returns logits, and probabilities at the temperature of a signature, by name."""
    temperature = signature.temperature
    scores = logits if temperature is None else logits / temperature
    return {"logits": logits, "probabilities": probabilities(scores)}


def probability_meanings(signature: Any, meaning: str) -> dict[str, str]:
    """Returns what logits and probabilities mean, by name.

    Args:
        signature: Of the model, which gives logits.
        meaning: Of the probabilities, where they are not calibrated.
    """
    if signature.temperature is not None:
        meaning += " divided by the temperature"
    return {"logits": signature.outputs[0].meaning, "probabilities": meaning}
