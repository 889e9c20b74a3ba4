"""The vision transformer: its sizes, its patches, and where each of them is."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from drawn_networks import answer, drawn, pictures
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.models.vit import ViT, resized_positions, vit_base, vit_small, vit_tiny


@pytest.mark.parametrize(
    ("size", "published"),
    [(vit_tiny, 5_717_416), (vit_small, 22_050_664), (vit_base, 86_567_656)],
)
def test_parameters_are_as_many_as_is_published(size: Any, published: int) -> None:
    network = nnx.eval_shape(lambda: size(3, 1000, size=(224, 224), rngs=nnx.Rngs(0)))
    width = network.class_token.shape[0]  # whose own position is part of it here
    assert weights.count(nnx.state(network, nnx.Param)) == published - width


def small(**fields: Any) -> ViT:
    possible: dict[str, Any] = {"size": (8, 12), "patch": 4, "width": 8, "depth": 1, "heads": 2}
    return drawn(lambda rngs: ViT(3, 10, **possible | fields, rngs=rngs))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"depth": 0}, "--depth 0, --heads 2 and --hidden 4: every one must be at least 1"),
        ({"patch": 0}, "--patch 0, --width 8"),
        ({"heads": 3}, "--width 8 does not divide among --heads 3"),
        (
            {"size": (8, 14)},
            "of 8×14 pixels cannot be cut into patches of 4×4: .* pictures of 8×16",
        ),
        (
            {"size": (0, 8)},
            "pictures of 0×8 pixels .* take pictures of 4×8 .--size., or another size of patches",
        ),
        ({"mean": (0.5, 0.5)}, r"mean \(0.5, 0.5\) and std \(1.0,\): .* of the 3 channels, or one"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
        ({"drop_path": 1.0}, "--drop-path 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        small(**fields)


def test_pictures_that_the_patch_does_not_divide_are_refused() -> None:
    with pytest.raises(
        BadInput, match="of 9×8 pixels cannot be cut into patches of 4×4: take pict"
    ):
        small()(jnp.zeros((1, 9, 8, 3)))


def test_without_positions_the_order_of_patches_is_all_one() -> None:
    network, inputs = small(), pictures(2, 8, 12, 3)
    swapped = np.concatenate([inputs[:, 4:], inputs[:, :4]], axis=1)  # the upper patches below
    assert np.abs(answer(network, inputs) - answer(network, swapped)).max() > 1e-2
    network.positions = nnx.Param(jnp.zeros((2, 3, 8)))
    np.testing.assert_allclose(answer(network, inputs), answer(network, swapped), atol=1e-5)


def test_a_picture_of_another_size_gets_positions_in_between() -> None:
    network, other, inputs = small(), small(size=(16, 8)), pictures(2, 16, 8, 3)
    other.positions = nnx.Param(resized_positions(network.positions[...], (4, 2)))
    np.testing.assert_allclose(answer(network, inputs), answer(other, inputs), atol=1e-5)


def test_resized_positions_keep_what_is_even_and_go_evenly_from_one_to_the_next() -> None:
    learned = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5)), jnp.float32)
    assert resized_positions(learned, (3, 4)) is learned
    even = resized_positions(jnp.ones((3, 4, 5)), (7, 2))
    np.testing.assert_allclose(even, np.ones((7, 2, 5)), atol=1e-6)
    line = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (8, 2, 1))
    middle = resized_positions(line, (16, 2))[4:-4, :, 0]  # at the edges, it has no beyond
    np.testing.assert_allclose(np.diff(middle, axis=0), 0.5, atol=0.1)
