"""ConvNeXt: its sizes and shapes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from drawn_networks import answer, drawn, pictures
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.models.convnext import ConvNeXt, convnext_small, convnext_tiny


@pytest.mark.parametrize(
    ("size", "expected"), [(convnext_tiny, 28_589_128), (convnext_small, 50_223_688)]
)
def test_parameters_are_as_many_as_is_published(size: Any, expected: int) -> None:
    network = nnx.eval_shape(lambda: size(3, 1000, rngs=nnx.Rngs(0)))
    assert weights.count(nnx.state(network, nnx.Param)) == expected


def small(**fields: Any) -> ConvNeXt:
    possible: dict[str, Any] = {"stages": (1, 1), "widths": (4, 8), "patch": 2}
    return drawn(lambda rngs: ConvNeXt(3, 5, **possible | fields, rngs=rngs))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stages": (1, 0)}, r"--stages \(1, 0\), --widths \(4, 8\) and --patch 2: every number"),
        ({"stages": (1,)}, "and each stage needs one width"),
        ({"patch": 0}, "--patch 0: every number must be at least 1"),
        ({"mean": (0.5, 0.5)}, r"mean \(0.5, 0.5\) and std \(1.0,\): .* of the 3 channels, or one"),
        ({"dropout": -1.0}, "--dropout -1.0 must be from 0 up to, but not, 1"),
        ({"drop_path": 1.0}, "--drop-path 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        small(**fields)


def test_pictures_that_are_too_small_are_refused() -> None:
    network = small()
    with pytest.raises(BadInput, match="of 3×9 pixels are too small: 2 stages need 4 p"):
        network(jnp.zeros((1, 3, 9, 3)))
    assert answer(network, pictures(2, 4, 9, 3)).shape == (2, 5)  # a column is left over


def test_a_block_begins_almost_as_its_shortcut() -> None:
    block = ConvNeXt(3, 5, stages=(1,), widths=(4,), patch=1, rngs=nnx.Rngs(0)).stages[0][0]
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    assert 0 < np.abs(answer(block, x) - x).max() < 1e-5
    block.layer_scale[...] = jnp.ones(4)
    assert np.abs(answer(block, x) - x).max() > 1e-3


def test_a_channel_is_convolved_by_itself() -> None:
    layer = small().stages[0][0].depthwise
    assert layer.feature_group_count == layer.in_features == layer.out_features == 4
    assert layer.kernel.shape == (7, 7, 1, 4)
    assert layer.padding == ((3, 3), (3, 3))
