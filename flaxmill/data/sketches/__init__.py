"""The built-in data set: drawn garments of Fashion-MNIST's ten classes, any number of them.

Picture and label are a pure function of (seed, index): nothing is stored, fetched or drawn before
it is asked for. Numpy cuts the garments of many pictures at once (``garments``), a compiled
function lays their parts over each other as signed distance fields.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Integer, UInt8, UInt32, UInt64

from flaxmill.data.permutation import GOLDEN, scramble
from flaxmill.data.sketches.cloth import FIELDS, Dice
from flaxmill.data.sketches.garments import GARMENTS, PARTS
from flaxmill.errors import BadInput

CLASSES = tuple(garment.name for garment in GARMENTS)
"""Names of the labels 0 to 9."""
VERSION = 1
"""Of the drawing: it goes up when a picture changes, so that no run is resumed on others."""
SIDE = 28
"""Height and width of a picture."""
TEST_FIRST = 2**40
"""Index of the first test picture; training pictures count from 0 and never come so far."""
BLOCK = 128
"""Pictures drawn by one call of the compiled function, whatever number is asked for."""
CHUNK = 16 * BLOCK
"""Pictures that one thread cuts and draws at a time."""

Plane = Float[Array, "28 28"]
Number = Any  # one for each picture while cut in numpy, a traced scalar while drawn


class Manner(NamedTuple):
    """How a garment lies, what it is woven like, and how it is lit."""

    size_x: Number
    size_y: Number
    shear_x: Number
    shear_y: Number
    shift_x: Number
    shift_y: Number
    bend: Number
    ripple: Number
    ripple_often: Number
    ripple_start: Number
    often_x: Number
    often_y: Number
    stripes: Number
    bars: Number
    dots: Number
    folds: Number
    folds_often: Number
    folds_start: Number
    light_x: Number
    light_y: Number
    grain: Number


def manner(dice: Dice, patterned: float) -> Manner:
    """Throws how the pictures' garments lie and look.

    Args:
        dice: One throw a picture.
        patterned: Share of the garments with stripes, checks or dots.
    """
    size, turn, often = dice.between(0.78, 1.05), dice.between(-0.18, 0.18), dice.between(1.5, 4.2)
    kind, upright = dice.between(0.0, 1.0), dice.chance(0.3)
    strong = np.where(dice.chance(patterned), dice.between(0.08, 0.35), 0.0)
    slant = often * np.where(dice.chance(0.3), dice.between(-0.6, 0.6), 0.0)
    return Manner(
        size_x=1.0 / (size * dice.between(0.88, 1.06)),
        size_y=1.0 / size,
        shear_x=turn + dice.between(-0.05, 0.05),
        shear_y=-turn,
        shift_x=dice.between(-0.14, 0.14),
        shift_y=dice.between(-0.12, 0.12),
        bend=dice.between(-0.12, 0.12),
        ripple=dice.between(0.0, 0.025),
        ripple_often=dice.between(0.5, 1.8),
        ripple_start=dice.between(0.0, 1.0),
        often_x=np.where(upright, often, slant),
        often_y=np.where(upright, slant, often),
        stripes=np.where(kind < 0.7, strong, 0.0),
        bars=np.where((kind > 0.4) & (kind < 0.7), strong, 0.0),
        dots=np.where(kind > 0.7, strong, 0.0),
        folds=dice.between(0.0, 0.2),
        folds_often=dice.between(0.6, 1.6),
        folds_start=dice.between(0.0, 1.0),
        light_x=dice.between(-0.15, 0.15),
        light_y=dice.between(-0.15, 0.1),
        grain=dice.between(0.02, 0.14),
    )


def wave(turns: Float[Array, "..."]) -> Float[Array, "..."]:
    """A smooth wave from -1 to 1, highest at whole turns: a polynomial, cheaper than a cosine."""
    near = jnp.abs(turns - jnp.floor(turns) - 0.5) * 2.0
    return near * near * (3.0 - 2.0 * near) * 2.0 - 1.0


def noise(key: UInt32[Array, "2"]) -> Plane:
    """Grain from -1 to 1 for each pixel, from an integer hash (lowbias32, C. Wellons, 2018)."""
    bits = jnp.arange(SIDE * SIDE, dtype=jnp.uint32).reshape(SIDE, SIDE)
    for word in key:
        bits = (bits + word) ^ ((bits + word) >> np.uint32(16))
        bits = bits * np.uint32(0x7FEB352D)
        bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
        bits = bits ^ (bits >> np.uint32(16))
    low, high = bits & np.uint32(0xFFFF), bits >> np.uint32(16)
    return (low.astype(jnp.float32) + high.astype(jnp.float32)) * (1.0 / 65536.0) - 1.0


def distance(corners: Float[Array, "4 2"], bulge: Float[Array, "4"], x: Plane, y: Plane) -> Plane:
    """Signed distance from a part's outline, negative inside; each edge is a parabola."""
    following = jnp.roll(corners, -1, axis=0)
    along, middle = following - corners, (corners + following) * 0.5
    length = jnp.sqrt(jnp.sum(along * along, axis=1)) + 1e-6
    area = jnp.sum(corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0])
    outward = jnp.where(area > 0.0, jnp.float32(1.0), jnp.float32(-1.0))
    edges = []
    for edge in range(4):
        across, down = along[edge] / length[edge]
        middle_x, middle_y = middle[edge]
        straight = down * x - across * y - (down * middle_x - across * middle_y)
        run = across * x + down * y - (across * middle_x + down * middle_y)
        run = run * (2.0 / length[edge])  # -1 at one corner, 1 at the next
        edges.append(outward * straight - bulge[edge] * (1.0 - run * run))
    return jnp.maximum(jnp.maximum(edges[0], edges[1]), jnp.maximum(edges[2], edges[3]))


def lay(canvas: Plane, part: Float[Array, " field"], x: Plane, y: Plane, pattern: Plane) -> Plane:
    """Lays one part (see ``cloth.part``) over what is drawn already."""
    tone, rim, weave, line, dashes_x, dashes_y, twin, shown = part[12:]
    x = jnp.where(twin > 0.0, jnp.abs(x), x)
    inside = distance(part[:8].reshape(4, 2), part[8:12], x, y)
    inside = jnp.where(line > 0.0, jnp.abs(inside) - line, inside)
    cover = shown * jnp.clip(0.5 - inside * (SIDE / 2), 0.0, 1.0)  # the edge is a pixel wide
    dash = jnp.clip(wave(dashes_x * x + 0.25) + wave(dashes_y * y + 0.25) - 0.2, 0.0, 1.0)
    cover = jnp.where(dashes_x + dashes_y > 0.0, cover * dash, cover)
    near_edge = jnp.clip(1.0 + inside * 6.0, 0.0, 1.0)
    colour = tone * (1.0 - rim * near_edge * near_edge) * (1.0 + weave * pattern)
    return canvas + cover * (colour - canvas)


def render(
    parts: Float[Array, "part field"], numbers: Float[Array, " number"], key: UInt32[Array, "2"]
) -> UInt8[Array, "28 28 1"]:
    """Draws one picture.

    Args:
        parts: The garment's parts, from the lowest to the uppermost.
        numbers: The fields of its ``Manner``.
        key: For the grain.
    """
    way = Manner(*numbers)
    middles = (jnp.arange(SIDE, dtype=jnp.float32) + 0.5) * (2.0 / SIDE) - 1.0
    right, down = middles[None, :] - way.shift_x, middles[:, None] - way.shift_y
    y = way.shear_y * right + way.size_y * down
    x = way.size_x * right + way.shear_x * down
    x = x + way.bend * y * y + way.ripple * wave(way.ripple_often * y + way.ripple_start)

    stripe = wave(way.often_x * x + way.often_y * y)
    bar = wave(way.often_y * x - way.often_x * y)
    pattern = way.stripes * stripe + way.bars * bar + way.dots * stripe * bar
    fold = wave(way.folds_often * (x + 0.4 * y) + way.folds_start)
    fold = fold * wave(way.folds_often * (0.7 * y - 0.5 * x) - way.folds_start)
    light = (1.0 + way.light_x * x + way.light_y * y) * (1.0 + way.folds * fold)

    def over(canvas: Plane, part: Float[Array, " field"]) -> tuple[Plane, None]:
        return lay(canvas, part, x, y, pattern), None

    canvas, _ = jax.lax.scan(over, jnp.zeros((SIDE, SIDE), jnp.float32), parts)
    # Grain on the cloth only, relatively stronger on dark cloth, whose details it hides.
    grain = way.grain * noise(key) * (2.0 * jnp.minimum(canvas, 0.3) + canvas)
    bright = jnp.clip(canvas * light + grain, 0.0, 1.0)
    return jnp.round(bright * 255.0).astype(jnp.uint8)[..., None]


@cache
def renderer() -> Callable[..., Array]:
    """Compiles the drawing of a block, for the CPU: with an accelerator the bits are the same."""
    try:
        device = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to use an accelerator only
        device = jax.local_devices()[0]
    place = jax.sharding.SingleDeviceSharding(device)

    def some(*shape: int, dtype: type = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((BLOCK, *shape), dtype, sharding=place)

    shapes = some(PARTS, FIELDS), some(len(Manner._fields)), some(2, dtype=jnp.uint32)
    return jax.jit(jax.vmap(render)).lower(*shapes).compile()


COMPILING = threading.Lock()  # two readers that start together must not both compile


def picture_keys(
    indices: UInt64[np.ndarray, " picture"], seed: int, purpose: int
) -> UInt64[np.ndarray, " picture"]:
    """Gives each picture a key of its own; no two indices share one."""
    start = scramble(scramble(np.array([seed], np.uint64)) + np.uint64(purpose + 1))
    return scramble(start + indices * GOLDEN)


def labels_of(indices: UInt64[np.ndarray, " picture"], seed: int) -> Int32[np.ndarray, " picture"]:
    """Labels, balanced: ten pictures from a multiple of ten on hold each class once, shuffled."""
    ten, place = np.divmod(indices, np.uint64(10))
    dice = Dice(picture_keys(ten, seed, purpose=0))
    throws = np.stack([dice.between(0.0, 1.0) for _ in CLASSES], axis=1)
    order = np.argsort(throws, axis=1, kind="stable").astype(np.int32)
    return order[np.arange(len(indices)), place.astype(np.int64)]


def cut(
    keys: UInt64[np.ndarray, " picture"], labels: Int32[np.ndarray, " picture"]
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the garments of many pictures.

    Returns:
        Parts, float32 [picture, part, field], and manners, float32 [picture, number].
    """
    parts = np.zeros((len(keys), PARTS, FIELDS), np.float32)
    manners = np.zeros((len(keys), len(Manner._fields)), np.float32)
    for label, garment in enumerate(GARMENTS):
        rows = np.flatnonzero(labels == label)
        if not len(rows):
            continue
        dice = Dice(keys[rows])
        pieces = np.zeros((len(rows), PARTS, FIELDS), np.float32)
        for number, piece in enumerate(garment.cut(dice)):
            for field, value in enumerate(piece):
                pieces[:, number, field] = value
        parts[rows] = pieces
        for number, value in enumerate(manner(dice, garment.patterned)):
            manners[rows, number] = value
    return parts, manners


def draw(
    indices: Integer[np.ndarray, " picture"], *, seed: int = 0
) -> tuple[UInt8[np.ndarray, "picture 28 28 1"], Int32[np.ndarray, " picture"]]:
    """Draws pictures; one index always gives the same bits, whatever it is drawn together with.

    Args:
        indices: Which pictures, from 0; test pictures begin at ``TEST_FIRST``.
        seed: Which of the sets of pictures, 0 to 2⁶⁴ - 1.

    Returns:
        Pictures, uint8 [picture, 28, 28, 1], light on black, and labels, int32 [picture].

    Raises:
        BadInput: If an index or the seed is negative or too large.

    >>> pictures, labels = draw(np.array([0, 1, 2]))
    >>> pictures.shape, [CLASSES[label] for label in labels]
    ((3, 28, 28, 1), ['Bag', 'Trouser', 'Shirt'])
    """
    if not 0 <= seed < 2**64:
        raise BadInput(f"seed of the drawn pictures is {seed}, but must be from 0 to 2**64 - 1.")
    if len(indices) and indices.min() < 0:
        raise BadInput(f"drawn pictures are numbered from 0, there is no number {indices.min()}.")
    with COMPILING:
        block = renderer()
    labels = labels_of(indices.astype(np.uint64), seed)
    pictures = np.empty((len(indices), SIDE, SIDE, 1), np.uint8)

    def fill(start: int) -> None:
        here = slice(start, start + CHUNK)
        keys = picture_keys(indices[here].astype(np.uint64), seed, purpose=1)
        words = np.stack([keys & np.uint64(2**32 - 1), keys >> np.uint64(32)], axis=1)
        inputs = *cut(keys, labels[here]), words.astype(np.uint32)
        padding = -len(keys) % BLOCK
        inputs = [np.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1)) for x in inputs]
        for first in range(0, len(keys), BLOCK):
            drawn = np.asarray(block(*(x[first : first + BLOCK] for x in inputs)))
            space = pictures[here][first : first + BLOCK]
            space[...] = drawn[: len(space)]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, range(0, len(indices), CHUNK)))
    return pictures, labels


class Sketches:
    """A source of drawn garments: any number, none of them stored.

    Args:
        length: Number of pictures.
        first: Index of the first one: 0 for training, ``TEST_FIRST`` for tests.
        seed: Which of the sets of pictures.

    Raises:
        BadInput: If there are no such pictures.

    >>> example = Sketches(10**9)[999_999_999]
    >>> example["image"].shape, CLASSES[example["label"]]
    ((28, 28, 1), 'T-shirt/top')
    """

    def __init__(self, length: int, first: int = 0, seed: int = 0) -> None:
        if length < 0 or first < 0 or first + length > 2**63:
            raise BadInput(
                f"{length} drawn pictures from number {first} on cannot be had: "
                "both must be 0 or more, and their sum at most 2**63."
            )
        self.length, self.first, self.seed = length, first, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Draws one picture, image uint8 [28, 28, 1] and label int32 []."""
        return {name: values[0] for name, values in self.take(np.array([index])).items()}

    def take(self, indices: Integer[np.ndarray, " picture"]) -> dict[str, np.ndarray]:
        """Draws some pictures, image uint8 [picture, 28, 28, 1] and label int32 [picture].

        Raises:
            IndexError: If one of the indices is not from 0 to the length - 1.
        """
        outside = indices[(indices < 0) | (indices >= self.length)]
        if len(outside):
            raise IndexError(f"index {outside[0]} of {self.length} drawn pictures")
        image, label = draw(indices.astype(np.int64) + self.first, seed=self.seed)
        return {"image": image, "label": label}
