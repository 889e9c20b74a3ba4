"""Arrays that nothing is known of: they are returned as they are.

Whatever takes labels to be classes has no meaning here, and is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from flaxmill.errors import BadInput

CLASSIFIES = False
SEVERAL = False
ABOUT = "numbers"
SCORES = "numbers of the model's own"
MEANING = "as the model gives them"


def _refused(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuses whatever needs classes.

    Raises:
        BadInput: Always.
    """
    raise BadInput(
        "this model gives tensors, as its signature says: sheets of predictions, tables of classes "
        "and probabilities are there only for one that gives one_class or labels."
    )


probabilities = log_odds = predicted = correct = of_class = counts = _refused
fit_temperature = tally = merge = _refused


def outputs(array: Any, signature: Any) -> dict[str, Any]:
    """Returns what an export of the model gives, in JAX: what the model itself does."""
    return {signature.outputs[0].name: array}


def meanings(signature: Any) -> dict[str, str]:
    """Returns what it means."""
    return {signature.outputs[0].name: signature.outputs[0].meaning}


def agree(outputs: Any, other: Any) -> np.ndarray:
    """Returns that no example is told another class, for there are none."""
    return np.ones(len(outputs), bool)


def accuracy(outputs: Any, labels: Any) -> np.ndarray:
    """Returns that it is no number, for any example."""
    return np.full(len(outputs), np.nan)


def ensemble(outputs: Any) -> Any:
    """Returns the mean of the members' outputs."""
    return outputs.mean(0)


def names(labels: Any, classes: Sequence[str]) -> list[str]:
    """Returns each label as it is."""
    return [str(label) for label in np.asarray(labels)]


def decode(output: Any, labels: Sequence[str], top: int) -> dict[str, Any]:
    """Returns the numbers of one example, as JSON has them."""
    return {"output": np.asarray(output).tolist()}


def summary(decoded: Mapping[str, Any]) -> str:
    """Returns the numbers of one example, as many as go into a line."""
    return f"{decoded['output']!s:.60}"


def caption(decoded: Mapping[str, Any]) -> str:
    """Returns the caption of an example on a sheet."""
    return summary(decoded)
