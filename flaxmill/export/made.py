"""Inputs that are made, to check an export on where the run's data is not at hand."""

import numpy as np

from flaxmill.data.source import Arrays, Splits
from flaxmill.tasks.signature import Signature

COUNT = 200
"""How many inputs are made."""


def made_splits(title: str, *, drawn: bool, signature: Signature) -> Splits:
    """Returns what stands in the place of data that is not at hand: made inputs as its test.

    Their labels mean nothing.

    Args:
        title: Of the data that is not at hand.
        drawn: Whether flaxmill drew it.
        signature: Says what the inputs are.
    """
    taken = signature.inputs[0].name
    examples = signature.input_kind.random_batch(signature, COUNT)
    test = Arrays({taken: examples, "label": np.zeros(COUNT, np.int32)})
    nothing = Arrays({name: array[:0] for name, array in test.arrays.items()})
    return Splits(title, nothing, nothing, test, signature.labels, drawn=drawn)
