"""What an augmentation draws is as far from nothing as it may be, and no farther."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from flaxmill.data import augment
from flaxmill.data.augment import sometimes
from flaxmill.errors import BadInput

COUNT = 300
KEYS = jax.random.split(jax.random.key(0), COUNT)
PICTURE = np.random.default_rng(0).integers(90, 170, (16, 20, 3)).astype(np.uint8)  # far from ends


def changed(change: Callable[..., Any], picture: np.ndarray = PICTURE, **how: Any) -> np.ndarray:
    """Returns what many keys make of one picture."""
    example = {"image": jnp.asarray(picture), "label": jnp.int32(3)}
    images = jax.jit(jax.vmap(lambda key: change(example, key, **how)))(KEYS)
    assert (images["label"] == 3).all()
    assert images["image"].dtype == picture.dtype
    return np.asarray(images["image"])


NOTHING: dict[str, dict[str, Any]] = {
    "brightness": {"most": 0},
    "contrast": {"most": 0},
    "colour": {"most": 0},
    "sharpness": {"most": 0},
    "posterise": {"most": 0},
    "solarise": {"most": 0},
    "blur": {"most": 0},
    "rotate": {"most": 0},
    "shear": {"most": 0},
    "affine": {"linear": False},
    "erase": {"probability": 0},
}
BYTES = {name: NOTHING[name] for name in list(NOTHING)[:6]}


@pytest.mark.parametrize("name", NOTHING)
def test_at_strength_0_nothing_changes(name: str) -> None:
    assert (changed(getattr(augment, name), **NOTHING[name]) == PICTURE).all()


@pytest.mark.parametrize("name", ["equalise", "autocontrast", "invert"])
def test_what_has_no_strength_is_done_to_a_share(name: str) -> None:
    change = getattr(augment, name)
    always = np.asarray(change({"image": jnp.asarray(PICTURE)}, KEYS[0])["image"])
    images = changed(sometimes(change, probability=0.3))
    same, done = ((images == one).all((1, 2, 3)) for one in (PICTURE, always))
    assert (same ^ done).all()
    assert 50 < done.sum() < 135  # of 300, 90 are expected, with a deviation of 8
    if name == "invert":
        assert (always == 255 - PICTURE).all()


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("colour", ImageEnhance.Color),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_factors_are_even_around_1(name: str, enhancer: Any) -> None:
    """Read off the distance from Pillow's picture of factor 0, which grows with the factor."""
    without = np.asarray(enhancer(Image.fromarray(PICTURE)).degenerate.convert("RGB"), np.float32)
    images = changed(getattr(augment, name), most=0.4).astype(np.float32)
    distance = (PICTURE - without).astype(np.float32)
    factors = ((images - without) * distance).sum((1, 2, 3)) / (distance**2).sum()
    slack = 0.03  # fractions of a level are cut off
    assert 0.6 - slack < factors.min() < 0.65
    assert 1.35 < factors.max() < 1.4 + slack
    assert abs(factors.mean() - 1) < 0.06


def test_bits_and_thresholds_are_drawn_up_to_the_most() -> None:
    bits = changed(augment.posterise, most=3)
    every = [(PICTURE >> drop << drop).tobytes() for drop in range(4)]
    assert {one.tobytes() for one in bits} == set(every)
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (1, 256, 1))
    inverted = (changed(augment.solarise, ramp, most=0.5) != ramp).sum((1, 2, 3))
    assert 0 <= inverted.min() < 5
    assert 123 < inverted.max() <= 128


def test_a_blur_is_as_wide_as_it_may_be() -> None:
    point = np.zeros((31, 31, 1), np.float32)
    point[15, 15] = 1
    images = changed(augment.blur, point, most=2.0)[..., 0]
    places = np.arange(31, dtype=np.float32) - 15
    sigmas = np.sqrt((images.sum(1) * places**2).sum(1))
    np.testing.assert_allclose(images.sum((1, 2)), 1, atol=1e-5)
    # Not quite the drawn ones: a narrow Gaussian is read at few places, a wide one is cut at 8.
    assert sigmas.min() < 0.1
    assert 1.9 < sigmas.max() < 2.0


def maps(**how: Any) -> tuple[np.ndarray, np.ndarray]:
    """Reads off affine maps: how far each pixel looks, and where the picture's middle looks to.

    In a picture of floats whose channels say how far right and down a pixel lies.
    """
    along = np.arange(33, dtype=np.float32) - 16
    grid = np.stack(np.meshgrid(along, along, indexing="xy"), -1)
    images = changed(augment.affine, grid, **how)
    right = (images[:, 16, 18] - images[:, 16, 14]) / 4
    down = (images[:, 18, 16] - images[:, 14, 16]) / 4
    return np.stack([right, down], -1), images[:, 16, 16]


def test_a_turn_is_a_rotation_about_the_middle() -> None:
    matrices, middle = maps(rotate=30)
    np.testing.assert_allclose(middle, 0, atol=1e-3)
    gram = matrices.transpose(0, 2, 1) @ matrices
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(2), gram.shape), atol=1e-3)
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert -30.1 < angles.min() < -28
    assert 28 < angles.max() < 30.1


def test_a_shear_moves_rows_sideways() -> None:
    matrices, middle = maps(shear=0.3)
    np.testing.assert_allclose(middle, 0, atol=1e-3)
    slopes = matrices[:, 0, 1].copy()
    matrices[:, 0, 1] = 0
    np.testing.assert_allclose(matrices, np.broadcast_to(np.eye(2), matrices.shape), atol=1e-3)
    assert -0.301 < slopes.min() < -0.28
    assert 0.28 < slopes.max() < 0.301


def test_zooming_and_moving_are_as_even_one_way_as_the_other() -> None:
    matrices, middle = maps(zoom=0.25, move=0.1)
    sizes = np.linalg.det(matrices) ** -0.5
    assert 0.799 < sizes.min() < 0.82
    assert 1.22 < sizes.max() < 1.251
    moved = -middle * sizes[:, None]  # in the result's pixels, of 33
    assert (np.abs(moved) < 3.31).all()
    assert (moved.min(0) < -3.1).all()
    assert (moved.max(0) > 3.1).all()


def test_outside_lies_what_is_asked_for() -> None:
    white = np.full((9, 9, 1), 255, np.uint8)
    images = changed(augment.rotate, white, most=180, fill=7)
    assert set(np.unique(images)) == {7, 255}


def erased(fill: str, **how: Any) -> np.ndarray:
    """Returns pictures of one value, of which parts were erased."""
    even = np.full((20, 30, 3), 200, np.uint8)
    even[0, 0] = 56  # so that the mean is not the value itself
    return changed(augment.erase, even, fill=fill, **how)


def test_a_rectangle_is_erased_of_the_area_and_shape_asked_for() -> None:
    how = {"scale": (0.1, 0.3), "ratio": (0.5, 2.0)}
    images = erased("black", probability=0.6, **how)
    sizes = []
    for picture in images:
        rows, columns = np.nonzero((picture == 0).any(-1))
        if len(rows):
            sizes.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
            assert np.prod(sizes[-1]) == len(rows)
            assert (picture[rows, columns] == 0).all()
    assert 140 < len(sizes) < 220  # of 300, 180 are expected, with a deviation of 8.5
    height, width = np.array(sizes).T
    # Sides are rounded to pixels.
    assert 0.08 < (height * width / 600).min() < 0.13
    assert 0.27 < (height * width / 600).max() < 0.33
    assert 0.4 < (width / height).min() < 0.65
    assert 1.6 < (width / height).max() < 2.4


def test_what_is_erased_is_filled_as_asked_for() -> None:
    how = {"probability": 1, "scale": (0.2, 0.2)}
    assert set(np.unique(erased("mean", **how)[:, 1:])) == {199, 200}
    noise = erased("noise", **how)
    values = noise[(noise != 200).any(-1)].astype(np.float32)
    assert 120 < values.mean() < 135
    assert len(np.unique(values)) == 256
    assert np.abs(np.corrcoef(values.T)[0, 1:]).max() < 0.02  # channels are drawn apart
    floats = changed(augment.erase, PICTURE.astype(np.float32) / 255, **how)
    assert 0 <= floats.min() < 0.01
    assert 0.99 < floats.max() <= 1


def test_changes_of_colour_need_bytes() -> None:
    floats = PICTURE.astype(np.float32)
    changes = [functools.partial(getattr(augment, name), **how) for name, how in BYTES.items()]
    for change in (*changes, augment.equalise, augment.rand_augment, augment.trivial_augment):
        with pytest.raises(BadInput, match=r"bytes \(uint8\), and this one is of float32: put the"):
            change({"image": jnp.asarray(floats)}, KEYS[0])


def test_a_grey_picture_has_no_colour_to_change() -> None:
    grey = PICTURE[..., :1]
    assert (changed(augment.colour, grey, most=0.9) == grey).all()
    with pytest.raises(BadInput, match="a picture of 2 channels has no luminance: 1, grey, or 3"):
        changed(augment.colour, PICTURE[..., :2], most=0.9)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("brightness", {"most": 1.5}, "--brightness 1.5 must be from 0, for none, to 1"),
        ("contrast", {"most": -0.1}, "--contrast -0.1 must be"),
        ("colour", {"most": 2}, "--colour 2 must be"),
        ("sharpness", {"most": float("nan")}, "--sharpness nan must be"),
        ("posterise", {"most": 9}, "--posterise 9 must be a number of bits from 0 to 8"),
        ("solarise", {"most": 1.1}, "--solarise 1.1 must be from 0, for none, to 1"),
        ("blur", {"most": -1}, "--blur -1 must be a number of pixels, 0 or more"),
        ("rotate", {"most": 200}, "--rotate 200 must be from 0, for none, to 180"),
        ("shear", {"most": 2}, "--shear 2 must be from 0, for none, to 1"),
        ("affine", {"zoom": -1}, "--zoom -1 must be from 0, for none, to 10"),
        ("affine", {"move": 1.5}, "--move 1.5 must be from 0, for none, to 1"),
        ("affine", {"fill": 300}, "--fill 300 must be a brightness from 0 to 255"),
        ("erase", {"probability": 1.5}, "--erase 1.5 must be a probability, from 0 to 1"),
        ("erase", {"probability": 1, "scale": (0, 1)}, "--erase-scale 0 1 must be two shares"),
        ("erase", {"probability": 1, "ratio": (2, 1)}, "--erase-ratio 2 1 must be two widths"),
    ],
)
def test_an_impossible_strength_is_refused(name: str, how: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        changed(functools.partial(getattr(augment, name), **how))
