from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.maths.classification import macro_f1
from flaxmill.maths.metrics import Measures, Sums, accuracy

# Sums of whole numbers below 2**24 are exact in float32, whatever their order: compared exactly.


def measures(seed: int, batch: int = 8) -> Measures:
    rng = np.random.default_rng(seed)

    def whole(low: int, high: int, *rest: int) -> jax.Array:
        return jnp.asarray(rng.integers(low, high, (batch, *rest)), jnp.float32)

    return {
        "loss": (whole(-9, 9), whole(0, 4)),
        "accuracy": (whole(0, 2), jnp.ones(batch)),
        "token": (whole(-9, 9, 3), whole(0, 2, 3)),
    }


def assert_equal(one: Sums, other: Sums) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_merging_is_commutative_and_associative_with_an_identity() -> None:
    a, b, c = (Sums.of(measures(seed)) for seed in range(3))
    assert_equal(a.merge(b), b.merge(a))
    assert_equal(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert_equal(a.merge(Sums.empty(a)), a)
    assert_equal(Sums.empty(a).merge(a), a)


def test_batches_merged_are_the_whole() -> None:
    whole = measures(0, batch=10)
    first = {name: (v[:3], w[:3]) for name, (v, w) in whole.items()}
    rest = {name: (v[3:], w[3:]) for name, (v, w) in whole.items()}
    assert_equal(Sums.of(first).merge(Sums.of(rest)), Sums.of(whole))


@pytest.mark.parametrize("padding", [0.0, np.nan, np.inf])
def test_masked_is_filtered_whatever_the_padding_holds(padding: float) -> None:
    mask = jnp.asarray([True, False, True, True, False, True, False, True])
    filtered = measures(1)
    poisoned: Any = {
        name: tuple(
            jnp.where(mask.reshape(-1, *[1] * (part.ndim - 1)), part, padding) for part in both
        )
        for name, both in filtered.items()
    }
    filtered = {name: (value[mask], weight[mask]) for name, (value, weight) in filtered.items()}
    assert_equal(Sums.of(poisoned, mask), Sums.of(filtered))


def test_gradients_are_finite_under_the_mask() -> None:
    mask = jnp.asarray([True, False])

    def total(x: jax.Array) -> jax.Array:
        return Sums.of({"loss": (x * x, jnp.ones(2))}, mask).totals["loss"]

    np.testing.assert_array_equal(jax.grad(total)(jnp.asarray([3.0, 4.0])), [6.0, 0.0])


def test_means_are_weighted_and_of_nothing_zero() -> None:
    values, weights = jnp.asarray([1.0, 5.0]), jnp.asarray([3.0, 1.0])
    assert Sums.of({"loss": (values, weights)}).means() == {"loss": 2.0}
    assert Sums.of({"loss": (values, 0 * weights)}).means() == {"loss": 0.0}


def test_what_has_no_weight_does_not_count_whatever_it_is() -> None:
    values, weights = jnp.asarray([jnp.nan, 5.0, jnp.inf]), jnp.asarray([0.0, 2.0, 0.0])
    assert Sums.of({"loss": (values, weights)}).means() == {"loss": 5.0}


def test_sums_are_float32_whatever_is_measured() -> None:
    half = jnp.ones(4, jnp.bfloat16)
    sums = Sums.of({"loss": (half, half), "hits": (jnp.ones(4, jnp.int32), jnp.ones(4, bool))})
    assert {leaf.dtype for leaf in jax.tree.leaves(sums)} == {jnp.dtype("float32")}
    assert sums.means() == {"loss": 1.0, "hits": 1.0}


def test_accuracy_takes_indices_and_distributions() -> None:
    logits = jnp.asarray([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    labels = jnp.asarray([1, 2, 2])
    np.testing.assert_array_equal(accuracy(logits, labels), [1, 0, 1])
    mixed = jnp.asarray([[0.1, 0.6, 0.3], [0.0, 0.3, 0.7], [0.2, 0.2, 0.6]])
    np.testing.assert_array_equal(accuracy(logits, mixed), [1, 0, 1])


def test_macro_f1_is_exact_in_whatever_batches() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    logits[:, 3] -= 9  # neither is nor is said: it does not count
    predicted, each = logits.argmax(-1), []
    for label in range(3):
        right = int(((predicted == label) & (labels == label)).sum())
        each.append(2 * right / int((predicted == label).sum() + (labels == label).sum()))

    def sums(start: int, stop: int) -> Sums:
        mask = jnp.arange(start, stop) < 60
        rows = np.minimum(np.arange(start, stop), 59)
        parts = macro_f1(jnp.asarray(logits[rows]), jnp.asarray(labels[rows]))
        return Sums.of(parts, mask)

    whole, parts = sums(0, 60), sums(0, 25).merge(sums(25, 50)).merge(sums(50, 75))
    assert whole.means() == parts.means() == pytest.approx({"macro_f1": np.mean(each)})
