"""Changes to a picture are Pillow's, where Pillow has an equal."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage

from flaxmill.data.augment import neighbours, tables
from flaxmill.data.augment.policies import CHANGES, PUBLISHED, WIDE, apply_change
from flaxmill.data.augment.resampling import resize, warp

HEIGHT, WIDTH = 20, 26


def drawn() -> np.ndarray:
    """Pictures of noise, of a slope, and of dark colours: every value, and few of them."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (HEIGHT, WIDTH, 3))
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = np.stack([right * 7 + 20, down * 9, down * 3 + right * 4], -1)
    dark = random.integers(0, 256, (HEIGHT, WIDTH, 3)) ** 2 // 512 + 20
    return np.stack([noise, slope + random.integers(0, 20, slope.shape), dark]).astype(np.uint8)


PICTURES = drawn()
RGB = [Image.fromarray(picture) for picture in PICTURES]
FACTORS = (0.0, 0.37, 1.0, 1.63, 1.9)
SMOOTHED = {False: Image.Resampling.NEAREST, True: Image.Resampling.BILINEAR}


def ours(change: Callable[..., Any], *numbers: Any) -> np.ndarray:
    """Returns what a change makes of the pictures, compiled, for numbers that are drawn later."""
    compiled = jax.jit(jax.vmap(change, (0, *(None for _ in numbers))))
    floats = [jnp.float32(number) for number in numbers]
    return np.asarray(compiled(jnp.asarray(PICTURES), *floats)).astype(int)


def theirs(change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Returns what Pillow makes of the pictures."""
    return np.stack([np.asarray(change(picture)) for picture in RGB]).astype(int)


ENHANCED: dict[str, tuple[Any, Callable[..., Any]]] = {
    "brightness": (
        ImageEnhance.Brightness,
        lambda image, factor: tables.look_up(image, tables.brightened(3, factor)),
    ),
    "contrast": (
        ImageEnhance.Contrast,
        lambda image, factor: tables.look_up(image, tables.contrasted(image, factor)),
    ),
    "colour": (
        ImageEnhance.Color,
        lambda image, factor: tables.blend(tables.grey(image), image, factor),
    ),
    "sharpness": (ImageEnhance.Sharpness, neighbours.sharpen),
}


@pytest.mark.parametrize("name", ENHANCED)
def test_factors_are_pillows(name: str) -> None:
    enhancer, change = ENHANCED[name]
    for factor in FACTORS:
        expected = theirs(lambda picture, by=factor: enhancer(picture).enhance(by))
        values = ours(change, factor)
        # Equal, but where a product is a whole number to within float32: XLA may multiply and add
        # in one rounding, Pillow does in two, and both cut fractions off.
        assert np.abs(values - expected).max() <= 1
        assert (values != expected).mean() < 0.001


@pytest.mark.parametrize("bits", range(8))
def test_posterising_is_pillows(bits: int) -> None:
    values = ours(lambda image, dropped: tables.look_up(image, tables.posterised(3, dropped)), bits)
    np.testing.assert_array_equal(values, theirs(lambda one: ImageOps.posterize(one, 8 - bits)))


@pytest.mark.parametrize("threshold", [0, 77, 256])
def test_solarising_is_pillows(threshold: int) -> None:
    values = ours(lambda image, at: tables.look_up(image, tables.solarised(3, at)), threshold)
    np.testing.assert_array_equal(values, theirs(lambda one: ImageOps.solarize(one, threshold)))


def test_equalising_is_pillows() -> None:
    values = ours(lambda image: tables.look_up(image, tables.equalised(image)))
    np.testing.assert_array_equal(values, theirs(ImageOps.equalize))


def test_autocontrast_is_pillows() -> None:
    values = ours(lambda image: tables.look_up(image, tables.stretched(image)))
    expected = theirs(ImageOps.autocontrast)
    assert np.abs(values - expected).max() <= 1  # Pillow's float64 may fall just short of a level
    assert (values != expected).mean() < 0.02


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_picture_of_one_value_stays_as_it_is(value: int) -> None:
    even = jnp.full((5, 5, 3), value, jnp.uint8)
    for table in (tables.stretched(even), tables.equalised(even)):
        assert (tables.look_up(even, table) == value).all()


def test_a_blur_is_a_gaussian() -> None:
    for sigma in (0.5, 1.0, 2.0):
        values = ours(lambda image, by: neighbours.gaussian_blur(image, by, most=2.0), sigma)
        axes = (0, sigma, sigma, 0)
        exact = ndimage.gaussian_filter(PICTURES.astype(np.float64), axes, mode="nearest")
        assert np.abs(values - exact).max() < 0.502  # rounded to bytes
        # Pillow averages over boxes, three times, and rounds each time; beyond the border lie not
        # the picture's pixels but what a box made of them, so the border is left out here.
        boxes = theirs(lambda one, by=sigma: one.filter(ImageFilter.GaussianBlur(by)))
        inner = np.s_[:, 7:-7, 7:-7]
        assert np.abs(values - boxes)[inner].max() <= 4
        assert np.abs(values - boxes)[inner].mean() < 1.1


@pytest.mark.parametrize("box", [(3.3, 4.2, 10.5, 20.7), (0, 0, HEIGHT, WIDTH), (5, 5, 4, 6)])
@pytest.mark.parametrize("size", [(32, 24), (8, 8), (HEIGHT, WIDTH)])
def test_a_part_is_resized_as_pillow_does(box: tuple[float, ...], size: tuple[int, int]) -> None:
    top, left, height, width = box
    edges = (left, top, left + width, top + height)
    how = {"resample": Image.Resampling.BILINEAR, "box": edges}
    expected = theirs(lambda one: one.resize(size[::-1], **how))
    values = ours(lambda image, *box: resize(image, size, box), *box)
    assert np.abs(values - expected).max() <= 1  # Pillow rounds after each of the two sides


def about_the_middle(degrees: float) -> tuple[float, ...]:
    """Returns the map that turns a picture counterclockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x = (WIDTH - cos * WIDTH + sin * HEIGHT) / 2
    y = (HEIGHT - sin * WIDTH - cos * HEIGHT) / 2
    return cos, -sin, x, sin, cos, y


def agree(values: np.ndarray, expected: np.ndarray, *, linear: bool) -> None:
    if linear:
        assert np.abs(values - expected).max() <= 1  # Pillow cuts fractions off
    else:
        # Equal, but where a place is halfway between two pixels to within Pillow's 1/65536.
        assert (values != expected).any(-1).mean() < 0.002


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("degrees", [0, 10, 33.3, 90, 180, -77])
def test_a_turn_is_pillows(degrees: float, linear: bool) -> None:
    values = ours(
        lambda image, *six: warp(image, six, linear=linear, fill=7), *about_the_middle(degrees)
    )
    how = {"resample": SMOOTHED[linear], "fillcolor": (7, 7, 7)}
    expected = theirs(lambda one: one.rotate(degrees, **how))
    agree(values, expected, linear=linear)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    "six", [(1.0313, 0.3127, -2.19, 0.1, 0.929, 3.1), (0.513, 0, 5.3, 0.2, 1.71, -3)]
)
def test_an_affine_map_is_pillows(six: tuple[float, ...], linear: bool) -> None:
    values = ours(lambda image, *six: warp(image, six, linear=linear, fill=7), *six)
    expected = theirs(lambda one: mapped(one, six, SMOOTHED[linear], fill=7))
    agree(values, expected, linear=linear)


def mapped(
    picture: Image.Image, six: Any, how: Image.Resampling = SMOOTHED[False], *, fill: int = 128
) -> Image.Image:
    """Maps a picture with Pillow."""
    kind = Image.Transform.AFFINE
    return picture.transform((WIDTH, HEIGHT), kind, six, how, fillcolor=(fill,) * 3)


def published(change: str, far: float, most: Any) -> Callable[..., Image.Image]:
    """Returns a policy's change as Pillow does it."""
    factor, strength = 1 + far * most.factor, abs(far)
    down, right = (most.move if most.move > 1 else most.move * size for size in (HEIGHT, WIDTH))
    turn = {"resample": SMOOTHED[False], "fillcolor": (128, 128, 128)}
    return {
        "nothing": lambda one: one,
        "autocontrast": ImageOps.autocontrast,
        "equalise": ImageOps.equalize,
        "rotate": lambda one: one.rotate(far * most.rotate, **turn),
        "solarise": lambda one: ImageOps.solarize(one, math.ceil(256 * (1 - strength))),
        "colour": lambda one: ImageEnhance.Color(one).enhance(factor),
        "posterise": lambda one: ImageOps.posterize(one, 8 - round(strength * most.bits)),
        "contrast": lambda one: ImageEnhance.Contrast(one).enhance(factor),
        "brightness": lambda one: ImageEnhance.Brightness(one).enhance(factor),
        "sharpness": lambda one: ImageEnhance.Sharpness(one).enhance(factor),
        "shear right": lambda one: mapped(one, (1, far * most.shear, 0, 0, 1, 0)),
        "shear down": lambda one: mapped(one, (1, 0, 0, far * most.shear, 1, 0)),
        "move right": lambda one: mapped(one, (1, 0, far * right, 0, 1, 0)),
        "move down": lambda one: mapped(one, (1, 0, 0, 0, 1, far * down)),
    }[change]


@pytest.mark.parametrize("most", [PUBLISHED, WIDE], ids=["published", "wide"])
def test_the_changes_of_a_policy_are_pillows(most: Any) -> None:
    compiled = jax.jit(
        jax.vmap(
            lambda image, change, far: apply_change(image, change, far, most, 128), (0, None, None)
        )
    )
    for number, change in enumerate(CHANGES):
        for far in (0.0, 0.47, -0.47, -0.97):
            numbers = jnp.int32(number), jnp.float32(far)
            values = np.asarray(compiled(jnp.asarray(PICTURES), *numbers)).astype(int)
            expected = theirs(published(change, far, most))
            different = (values != expected).any(-1)
            # Such as the tests above allow for: float32 just beside a level, or a pixel's border.
            assert different.mean() < (0.05 if change == "autocontrast" else 0.005), change
