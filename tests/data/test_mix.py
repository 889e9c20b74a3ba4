"""Mixing of a batch: what is in a picture is what its label says."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.data.augment import cutmix, mix, mixup
from flaxmill.errors import BadInput

CLASSES = 5
SIZE = 402


def batch(**more: Any) -> dict[str, Any]:
    """Pictures of one brightness each, which tells them apart, and labels."""
    brightness = np.arange(SIZE) % 251
    image = np.broadcast_to(brightness[:, None, None, None], (SIZE, 8, 12, 3)).astype(np.uint8)
    label = (np.arange(SIZE) % CLASSES).astype(np.int32)
    return {"image": jnp.asarray(image), "label": jnp.asarray(label)} | more


@functools.cache
def mixing(method: Any, **how: Any) -> Any:
    """Compiles a way to mix."""
    return jax.jit(lambda original, key: method(original, key=key, num_classes=CLASSES, **how))


def mixed(
    method: Any = mix, original: Any = None, seed: int = 0, **how: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what becomes of the batch: pictures and labels."""
    mixed = mixing(method, **how)(original or batch(), jax.random.key(seed))
    assert mixed["label"].dtype == jnp.float32
    return np.asarray(mixed["image"]), np.asarray(mixed["label"])


WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mixup": (mixup, {"alpha": 0.4}),
    "cutmix": (cutmix, {"alpha": 1.0}),
    "both": (mix, {"mixup": 0.8, "cutmix": 1.0}),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_mass_of_a_label_is_kept(way: str) -> None:
    method, how = WAYS[way]
    _, label = mixed(method, **how)
    np.testing.assert_allclose(label.sum(1), 1, atol=1e-6)
    assert label.min() >= 0
    assert len(np.unique(label.max(1))) > 20  # drawn for each example anew


@pytest.mark.parametrize("way", WAYS)
def test_labels_say_how_much_of_each_picture_is_there(way: str) -> None:
    method, how = WAYS[way]
    image, label = mixed(method, **how)
    own, other = (np.roll(np.arange(SIZE), shift) % 251 for shift in (0, 1))
    share = label[np.arange(SIZE), np.arange(SIZE) % CLASSES]
    values = image.mean((1, 2, 3)) * (255 if image.dtype == np.float32 else 1)
    np.testing.assert_allclose(values, share * own + (1 - share) * other, atol=1e-3)


def test_mixup_averages_whole_pictures_by_a_share_from_beta() -> None:
    image, label = mixed(mixup, alpha=0.4)
    assert image.dtype == np.float32
    assert (image == image[:, :1, :1, :1]).all()
    share = label[np.arange(SIZE), np.arange(SIZE) % CLASSES]
    # Beta(a, a) has mean 1/2 and variance 1/(8a + 4): 0.139; its mean of 401 deviates by 0.019.
    assert abs(share.mean() - 0.5) < 0.08
    assert abs(share.var() - 1 / (8 * 0.4 + 4)) < 0.03


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 8.0])
def test_shares_follow_beta_at_every_strength(alpha: float) -> None:
    many = {"image": jnp.zeros((20_000, 1, 1, 1), jnp.uint8), "label": jnp.arange(20_000) % 2}
    label = mixup(many, key=jax.random.key(0), num_classes=2, alpha=alpha)["label"]
    share = np.sort(np.asarray(label)[np.arange(20_000), np.arange(20_000) % 2])
    expected = np.sort(np.random.default_rng(0).beta(alpha, alpha, 20_000))
    # The largest distance of two such samples passes 0.027 once in a million draws (Kolmogorov and
    # Smirnov); values are compared apart from the ends, where float32 has but 0 and 1.
    places = np.linspace(0.001, 0.999, 999)
    drawn, ideal = (np.searchsorted(values, places) / 20_000 for values in (share, expected))
    assert abs(drawn - ideal).max() < 0.027


def test_no_draw_is_repeated_until_it_is_accepted() -> None:
    """Such a loop costs an accelerator more than all else that a mixing does."""
    every = functools.partial(mix, num_classes=CLASSES, mixup=0.2, cutmix=1.0)
    traced = jax.jit(lambda original, key: every(original, key=key)).trace(
        batch(), jax.random.key(0)
    )
    assert "while" not in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_cutmix_pastes_a_rectangle_of_the_other_picture_as_it_is() -> None:
    image, label = mixed(cutmix, alpha=1.0)
    assert image.dtype == np.uint8
    areas = []
    for at in range(SIZE):
        pasted = image[at, ..., 0] != at % 251
        if pasted.any():
            rows, columns = np.nonzero(pasted)
            assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)
            assert (image[at][pasted] == (at - 1) % SIZE % 251).all()
        areas.append(pasted.mean())
        assert label[at, at % CLASSES] == pytest.approx(1 - areas[-1], abs=1e-6)


def test_rectangles_of_every_size_stick_out_where_they_must() -> None:
    large = {"image": jnp.zeros((SIZE, 64, 64, 1), jnp.uint8), "label": batch()["label"]}
    _, label = mixed(cutmix, large, alpha=1.0)
    pasted = 1 - label[np.arange(SIZE), np.arange(SIZE) % CLASSES]
    # Of a side s, s - s²/4 lies within on average; with s² even between 0 and 1, that makes
    # 1/2 - 1/5 + 1/48 = 0.32 of the area. The mean of 402 deviates by 0.012; rounding takes 0.01.
    assert abs(pasted.mean() - 0.31) < 0.05
    assert pasted.min() < 0.02
    assert pasted.max() > 0.7


def test_one_half_is_mixed_in_each_way() -> None:
    image, _ = mixed(mix, mixup=0.8, cutmix=1.0)
    averaged = (image == image[:, :1, :1, :1]).all((1, 2, 3))  # few rectangles cover nothing or all
    assert 0.4 < averaged.mean() < 0.7


def test_what_is_mixed_belongs_to_the_key() -> None:
    one, same, other = (mixed(cutmix, seed=seed, alpha=1.0)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_distributions_are_mixed_as_they_are() -> None:
    several = jnp.zeros((SIZE, CLASSES)).at[:, :2].set(1.0)  # two labels at once
    _, label = mixed(mixup, batch(label=several), alpha=0.4)
    np.testing.assert_allclose(label, several, atol=1e-6)


def test_at_strength_0_nothing_changes() -> None:
    original = batch()
    assert mix(original, key=jax.random.key(0), num_classes=CLASSES, mixup=0, cutmix=0) is original


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"mixup": -0.1, "cutmix": 1.0}, "--mixup -0.1 must be 0, for none, or more"),
        ({"mixup": 0.0, "cutmix": float("nan")}, "--cutmix nan must be 0, for none, or more"),
    ],
)
def test_an_impossible_strength_is_refused(how: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        mixed(mix, **how)
