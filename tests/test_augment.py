"""Augmentation: plain functions of one picture and a key, the same at every strength but not 0."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.data.augment import chain, cutout, flip, shift
from flaxmill.errors import BadInput

PICTURE = np.arange(1, 6 * 4 + 1, dtype=np.uint8).reshape(6, 4, 1)
KEYS = jax.random.split(jax.random.key(0), 200)


def pictures(transform: Callable[..., Any], **how: Any) -> np.ndarray:
    """Returns what becomes of one picture under many keys."""
    example = {"image": jnp.asarray(PICTURE), "label": jnp.int32(3)}
    found = jax.jit(jax.vmap(lambda key: transform(example, key, **how)))(KEYS)
    assert (found["label"] == 3).all()
    assert found["image"].dtype == jnp.uint8
    return np.asarray(found["image"])[..., 0]


def test_a_flip_mirrors_half_of_the_pictures() -> None:
    found = pictures(flip)
    mirrored = (found == PICTURE[:, ::-1, 0]).all((1, 2))
    assert (mirrored ^ (found == PICTURE[..., 0]).all((1, 2))).all()
    assert 60 < mirrored.sum() < 140  # of 200 fair throws, all but one case in 10^8


def test_a_shift_moves_as_far_as_it_may_and_lets_zeros_in() -> None:
    padded = np.pad(PICTURE[..., 0], 2)
    seen = set()
    for picture in pictures(shift, most=2):
        places = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if (picture == padded[down : down + 6, right : right + 4]).all()
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 25  # all of them, in 200 throws


def test_a_cutout_is_a_square_around_any_pixel() -> None:
    sizes = set()
    for picture in pictures(cutout, side=3):
        rows, columns = np.nonzero(picture == 0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(rows)  # a full rectangle: a square that may stick out
        sizes.add((height, width))
    assert sizes == {(2, 2), (2, 3), (3, 2), (3, 3)}


@pytest.mark.parametrize(
    "nothing", [functools.partial(shift, most=0), functools.partial(cutout, side=0), chain()]
)
def test_at_strength_0_nothing_changes(nothing: Callable[..., Any]) -> None:
    assert (pictures(nothing) == PICTURE[..., 0]).all()


def test_a_chain_draws_each_part_by_itself() -> None:
    found = pictures(chain(flip, flip, functools.partial(shift, most=1)))
    assert len({picture.tobytes() for picture in found}) == 18  # mirrored or not, nine places


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (functools.partial(shift, most=5), "--shift 5 must be from 0 to 4"),
        (functools.partial(cutout, side=-1), "--cutout -1 must be from 0 to 4"),
    ],
)
def test_what_is_larger_than_the_picture_is_refused(
    transform: Callable[..., Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        pictures(transform)
