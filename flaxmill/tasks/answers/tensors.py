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
        "this model gives tensors, of which nothing is known: what is said of classes (report, "
        "look, predict's words, calibration) is not to be had of them. Its signature says so."
    )


probabilities = log_odds = predicted = agree = correct = accuracy = of_class = counts = _refused
fit_temperature = tally = merge = _refused


def ensemble(outputs: Any) -> Any:
    """Returns the mean of the members' outputs."""
    return outputs.mean(0)


def names(labels: Any, classes: Sequence[str]) -> list[str]:
    """Returns each label as it is."""
    return [str(label) for label in np.asarray(labels)]


def decode(probabilities: Any, labels: Sequence[str], top: int) -> dict[str, Any]:
    """Returns the numbers of one example, as JSON has them."""
    return {"output": np.asarray(probabilities).tolist()}


def summary(decoded: Mapping[str, Any]) -> str:
    """Returns the numbers of one example, as many as go into a line."""
    return f"{decoded['output']!s:.60}"


def caption(decoded: Mapping[str, Any]) -> str:
    """Returns the caption of an example on a sheet."""
    return summary(decoded)
