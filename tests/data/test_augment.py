"""Augmentation: plain functions of one picture and a key, the same at every strength but not 0."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.data.augment import chain, cutout, flip, random_resized_crop, shift, sometimes
from flaxmill.errors import BadInput

PICTURE = np.arange(1, 6 * 4 + 1, dtype=np.uint8).reshape(6, 4, 1)
KEYS = jax.random.split(jax.random.key(0), 200)


def pictures(transform: Callable[..., Any], **how: Any) -> np.ndarray:
    """Returns what becomes of one picture under many keys."""
    example = {"image": jnp.asarray(PICTURE), "label": jnp.int32(3)}
    images = jax.jit(jax.vmap(lambda key: transform(example, key, **how)))(KEYS)
    assert (images["label"] == 3).all()
    assert images["image"].dtype == jnp.uint8
    return np.asarray(images["image"])[..., 0]


def test_a_flip_mirrors_half_of_the_pictures() -> None:
    images = pictures(flip)
    mirrored = (images == PICTURE[:, ::-1, 0]).all((1, 2))
    assert (mirrored ^ (images == PICTURE[..., 0]).all((1, 2))).all()
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


def test_a_reflected_border_repeats_no_pixel() -> None:
    padded = np.pad(PICTURE[..., 0], 2, mode="reflect")
    places = [(down, right) for down in range(5) for right in range(5)]
    every = {padded[down : down + 6, right : right + 4].tobytes() for down, right in places}
    assert len(every) == 25
    assert {picture.tobytes() for picture in pictures(shift, most=2, border="reflect")} == every


def crops(picture: np.ndarray, *, count: int = 2000, aspect: Any = None, **how: Any) -> np.ndarray:
    """Returns what many keys cut out of one picture."""
    example = {"image": jnp.asarray(picture)} | ({} if aspect is None else {"aspect": aspect})
    keys = jax.random.split(jax.random.key(1), count)
    images = jax.jit(jax.vmap(lambda key: random_resized_crop(example, key, **how)))(keys)
    assert list(images) == ["image"]  # the aspect holds no more
    return np.asarray(images["image"])


def ramps(side: int) -> np.ndarray:
    """A picture whose first channel says how far right a pixel lies, and the second how far down.

    As shares of the picture, in floats, so that they can be read off with no rounding.
    """
    along = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.stack(np.meshgrid(along, along, indexing="xy"), -1)


def rectangles(images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Reads off what part of `ramps` each crop shows: left, top, width and height, as shares.

    The inner pixels alone count, for the outermost tents are cut at the picture's border.
    """
    size = images.shape[1]
    first, last = 1 + size // 8, size - 2 - size // 8
    right, down = images[:, size // 2, :, 0], images[:, :, size // 2, 1]
    width, height = ((c[:, last] - c[:, first]) / (last - first) * size for c in (right, down))
    left, top = (
        c[:, first] - (first + 0.5) / size * extent
        for c, extent in ((right, width), (down, height))
    )
    return left, top, width, height


@pytest.mark.parametrize("aspect", [None, 0.6, 2.0])
def test_a_random_crop_has_the_area_and_the_shape_asked_for(aspect: float | None) -> None:
    how = {"scale": (0.1, 0.4), "ratio": (0.75, 1.5)}
    ratio = None if aspect is None else jnp.float32(aspect)
    left, top, width, height = rectangles(crops(ramps(64), size=32, aspect=ratio, **how))
    area, shape = width * height, width / height * (aspect or 1)
    slack = 1e-2  # a ramp that is read at pixels' middles is not quite even between them
    assert 0.1 - slack < area.min() < 0.11
    assert 0.39 < area.max() < 0.4 + slack
    assert 0.75 - slack < shape.min() < 0.77
    assert 1.47 < shape.max() < 1.5 + slack
    for first, extent in ((left, width), (top, height)):
        assert first.min() > -slack
        assert (first + extent).max() < 1 + slack
        places = first / (1 - extent)  # even between the two borders
        assert abs(places.mean() - 0.5) < 0.04


def test_of_a_panorama_the_middle_is_taken_in_an_allowed_shape() -> None:
    images = crops(ramps(64), count=4, size=32, aspect=jnp.float32(9), scale=(1.0, 1.0))
    left, top, width, height = rectangles(images)
    np.testing.assert_allclose(width * 9 / height, 4 / 3, atol=1e-2)
    np.testing.assert_allclose(height, 1, atol=2e-3)
    np.testing.assert_allclose(left, (1 - width) / 2, atol=2e-3)
    np.testing.assert_allclose(top, 0, atol=2e-3)


def test_a_crop_of_everything_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    images = crops(picture, count=3, size=16, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert (images == picture).all()


def test_a_crop_may_be_no_square() -> None:
    assert crops(ramps(16), count=2, size=(8, 12)).shape == (2, 8, 12, 2)


def test_sometimes_is_as_often_as_asked_for() -> None:
    def darker(example: Any, key: jax.Array) -> Any:
        return {**example, "image": example["image"] // 2}

    images = pictures(sometimes(darker, probability=0.2))
    changed = (images != PICTURE[..., 0]).any((1, 2))
    assert 15 < changed.sum() < 70  # of 200 throws, 40 are expected
    assert (images[changed] == PICTURE[..., 0] // 2).all()


def test_a_cutout_may_have_a_colour() -> None:
    fill = (10, 128, 255)
    for kind, levels in ((np.uint8, fill), (np.float32, np.array(fill) / 255)):
        example = {"image": jnp.ones((6, 6, 3), kind)}
        image = np.asarray(cutout(example, jax.random.key(0), side=3, fill=fill)["image"])
        assert image.dtype == kind
        changed = image[(image != 1).any(-1)]
        assert len(changed)
        np.testing.assert_allclose(changed, np.broadcast_to(levels, changed.shape), rtol=1e-6)


def test_a_cutout_is_a_square_around_any_pixel() -> None:
    sizes = set()
    for picture in pictures(cutout, side=3):
        rows, columns = np.nonzero(picture == 0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(rows)  # a full rectangle: a square that may stick out
        sizes.add((height, width))
    assert sizes == {(2, 2), (2, 3), (3, 2), (3, 3)}


@pytest.mark.parametrize(
    "nothing",
    [
        functools.partial(shift, most=0),
        functools.partial(shift, most=0, border="reflect"),
        functools.partial(cutout, side=0),
        sometimes(functools.partial(cutout, side=3), probability=0),
        chain(),
    ],
)
def test_at_strength_0_nothing_changes(nothing: Callable[..., Any]) -> None:
    assert (pictures(nothing) == PICTURE[..., 0]).all()


def test_a_chain_draws_each_part_by_itself() -> None:
    images = pictures(chain(flip, flip, functools.partial(shift, most=1)))
    assert len({picture.tobytes() for picture in images}) == 18  # mirrored or not, nine places


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (functools.partial(shift, most=5), "--shift 5 must be from 0 to 4"),
        (functools.partial(shift, most=4, border="reflect"), "--shift 4 must be from 0 to 3, one"),
        (functools.partial(cutout, side=-1), "--cutout -1 must be from 0 to 4"),
        (functools.partial(random_resized_crop, size=0), "--crop-size 0×0 must be at least 1"),
        (
            functools.partial(random_resized_crop, size=4, scale=(0.5, 0.2)),
            "--crop-scale 0.5 0.2 must be two shares of the area, above 0 and up to 1, the smaller",
        ),
        (
            functools.partial(random_resized_crop, size=4, ratio=(0.0, 1.0)),
            r"--crop-ratio 0.0 1.0 must be two widths divided by heights, above 0, the smaller",
        ),
        (lambda *_: sometimes(flip, probability=2), "--probability 2 must be from 0 to 1"),
    ],
)
def test_an_impossible_strength_is_refused(transform: Callable[..., Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        pictures(transform)
