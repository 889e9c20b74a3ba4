"""Stochastic depth (Huang et al. 2016, "Deep Networks with Stochastic Depth")."""

from flax import nnx

from flaxmill.errors import BadInput


class DropPath(nnx.Dropout):
    """In training, drops a residual block's whole branch for a share of the examples.

    What is left counts for more, by so much that the expectation is the same. In evaluation, and
    with rate 0, the branch is as it is.

    Args:
        rate: The share.
        axes: Of a branch, with the one for the batch: 4 for pictures, 3 for tokens.
    """

    def __init__(self, rate: float, *, axes: int) -> None:
        super().__init__(rate, broadcast_dims=tuple(range(1, axes)))  # one draw an example


def drop_path_rates(most: float, blocks: int) -> list[float]:
    """Returns the rate of each block: from 0 for the first, evenly, to the highest for the last.

    Args:
        most: The last block's rate.
        blocks: Their number.

    Raises:
        BadInput: The rate is not from 0 up to, but not, 1.
    """
    if not 0 <= most < 1:
        raise BadInput(f"--drop-path {most} must be from 0 up to, but not, 1.")
    return [most * block / max(blocks - 1, 1) for block in range(blocks)]
