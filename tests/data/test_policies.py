"""Policies draw what their papers say, whatever the batch."""

import collections
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_loop
from small_loop import Runtime

from flaxmill.data.augment import rand_augment, trivial_augment
from flaxmill.data.augment.policies import CHANGES, PUBLISHED, WIDE, apply_change
from flaxmill.data.source import Arrays
from flaxmill.errors import BadInput

COUNT = 1400
PICTURE = np.random.default_rng(0).integers(30, 200, (20, 18, 3)).astype(np.uint8)


def changed(policy: Callable[..., Any], **how: Any) -> np.ndarray:
    """Returns what many keys make of one picture."""
    example = {"image": jnp.asarray(PICTURE), "label": jnp.int32(3)}
    keys = jax.random.split(jax.random.key(0), COUNT)
    images = jax.jit(jax.vmap(lambda key: policy(example, key, **how)))(keys)
    assert (images["label"] == 3).all()
    assert images["image"].dtype == jnp.uint8
    return np.asarray(images["image"])


def outcomes(most: Any, strengths: Any) -> dict[bytes, set[str]]:
    """Returns every picture that one change can give, and the names of the changes that do."""
    far = np.concatenate([np.negative(strengths), strengths]).astype(np.float32)
    changes, fars = np.repeat(np.arange(len(CHANGES)), len(far)), np.tile(far, len(CHANGES))

    def one(change: Any, far: Any) -> Any:
        return apply_change(jnp.asarray(PICTURE), change, far, most, 128)

    names = collections.defaultdict(set)
    for picture, change in zip(
        np.asarray(jax.jit(jax.vmap(one))(changes, fars)), changes, strict=True
    ):
        names[picture.tobytes()].add(CHANGES[change])
    return names


def test_one_change_is_drawn_of_fourteen_evenly_and_to_either_side() -> None:
    possible = outcomes(PUBLISHED, [0.5])
    counts = collections.Counter(
        picture.tobytes() for picture in changed(rand_augment, count=1, magnitude=5)
    )
    assert set(counts) == set(possible)
    by_name = collections.Counter()
    for picture, count in counts.items():
        (name,) = possible[picture]
        by_name[name] += count
    assert set(by_name) == set(CHANGES)
    # Each is drawn 100 times of 1,400 on average, with a deviation of 10.
    assert all(50 < count < 150 for count in by_name.values())
    sideless = {"nothing", "autocontrast", "equalise", "solarise", "posterise"}
    assert len(possible) == 2 * len(set(CHANGES) - sideless) + len(sideless)


def test_the_strength_of_trivial_augment_is_one_of_31() -> None:
    possible = outcomes(WIDE, np.arange(31) / 30)
    images = [picture.tobytes() for picture in changed(trivial_augment)]
    unknown = [one for one in images if one not in possible]
    assert len(unknown) < 30  # the strength was divided elsewhere: a pixel may be on an edge
    assert len(set(images)) > 300


def test_several_changes_are_made_one_after_another() -> None:
    twice = {picture.tobytes() for picture in changed(rand_augment, count=2, magnitude=5)}
    once = outcomes(PUBLISHED, [0.5])
    assert len(twice) > 5 * len(once)
    assert len(twice & set(once)) > 5  # where one of the two is nothing


@pytest.mark.parametrize("how", [{"count": 0}, {"magnitude": 0}])
def test_at_strength_0_only_what_has_no_strength_is_done(how: dict[str, Any]) -> None:
    images = changed(rand_augment, **how)
    same = (images == PICTURE).all((1, 2, 3))
    if "count" in how:
        assert same.all()
    else:  # two of fourteen have none, and two are drawn
        assert 0.68 < same.mean() < 0.79


def test_a_grey_picture_stays_grey() -> None:
    example = {"image": jnp.asarray(PICTURE[..., :1])}
    images = jax.jit(lambda key: rand_augment(example, key))(jax.random.key(3))
    assert images["image"].shape == (20, 18, 1)


def shown(batch_size: int) -> list[float]:
    """Trains with a policy; returns a figure of each epoch that tells its pictures."""
    pictures = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    data = Arrays({**small_loop.source().resident()[0], "image": pictures})
    places = jnp.cos(jnp.arange(8 * 8 * 3, dtype=jnp.float32)).reshape(1, 8, 8, 3)

    def objective(model: Any, batch: Any, *, key: jax.Array) -> Any:
        values = (places * batch["image"].astype(jnp.float32)).sum((1, 2, 3))
        return {**small_loop.loss(model, batch, key=key), "shown": (values, jnp.ones_like(values))}

    policy = functools.partial(rand_augment, count=1)
    how = {"augment": policy, "objective": objective, "epochs": 2.0, "batch_size": batch_size}
    return [means["shown"] for means in small_loop.train(Runtime(), data=data, **how)[1]]


def test_what_is_drawn_belongs_to_the_example_and_its_epoch() -> None:
    tens, fives = shown(10), shown(5)
    # The mean over an epoch's examples is the same whatever the batches, but for rounding.
    assert tens == pytest.approx(fives, rel=1e-4)
    assert tens[0] != pytest.approx(tens[1], rel=1e-3)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (functools.partial(rand_augment, count=-1), "--rand-augment-count -1 must be 0, for none"),
        (functools.partial(rand_augment, magnitude=11), "--rand-augment 11 must be a magnitude fr"),
        (functools.partial(rand_augment, fill=256), "--fill 256 must be a brightness from 0 to 25"),
        (functools.partial(trivial_augment, fill=-1), "--fill -1 must be a brightness from 0"),
    ],
)
def test_an_impossible_policy_is_refused(policy: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        changed(policy)
