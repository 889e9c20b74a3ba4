from typing import Any

import pytest
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models.cnn import CNN


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden": 0}, r"--channels \(2, 3\) and --hidden 0: every one must be at least 1"),
        ({"channels": (2, 0)}, r"--channels \(2, 0\) and --hidden 4: every one must be at least 1"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
        ({"dropout": -0.1}, "--dropout -0.1 must be"),
        ({"dropout": float("nan")}, "--dropout nan must be"),
        ({"size": (28, 3)}, "28×3 pixels are too small: each of the 2 blocks .* takes 4 pixels"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    possible: dict[str, Any] = {"size": (4, 5), "channels": (2, 3), "hidden": 4, "dropout": 0.5}
    with pytest.raises(BadInput, match=words):
        made(**possible | fields)
    assert made(**possible).head.kernel.shape == (4, 10)


def made(size: tuple[int, int], **fields: Any) -> CNN:
    return CNN(size, 1, 10, rngs=nnx.Rngs(0), **fields)
