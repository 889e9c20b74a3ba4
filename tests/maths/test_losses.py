import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths.losses import one_hot, softmax_cross_entropy
from flaxmill.maths.metrics import Sums

# float32 keeps 24 bits: a few units in the last place of numbers near 1.
ROUNDING = 1e-6


def logits(batch: int = 6, classes: int = 4) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(batch, classes)), jnp.float32)


LABELS = np.array([0, 3, 1, 1, 2, 0], np.int32)


def test_it_is_the_negative_log_of_the_labels_probability() -> None:
    exact = np.asarray(logits(), np.float64)
    expected = np.log(np.exp(exact).sum(-1)) - exact[np.arange(6), LABELS]
    np.testing.assert_allclose(
        softmax_cross_entropy(logits(), jnp.asarray(LABELS)), expected, rtol=5 * ROUNDING
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_indices_and_their_distributions_are_the_same(smoothing: float) -> None:
    labels = jnp.asarray(LABELS)
    of_indices = softmax_cross_entropy(logits(), labels, label_smoothing=smoothing)
    rows = one_hot(labels, 4)
    np.testing.assert_array_equal(rows, np.eye(4)[LABELS])
    of_rows = softmax_cross_entropy(logits(), rows, label_smoothing=smoothing)
    np.testing.assert_array_equal(of_indices, of_rows)


def test_smoothing_mixes_in_the_mean_over_all_classes() -> None:
    labels = jnp.asarray(LABELS)
    plain = softmax_cross_entropy(logits(), labels)
    uniform = softmax_cross_entropy(logits(), jnp.full((6, 4), 0.25))
    smoothed = softmax_cross_entropy(logits(), labels, label_smoothing=0.2)
    np.testing.assert_allclose(smoothed, 0.8 * plain + 0.2 * uniform, rtol=5 * ROUNDING)


def test_large_logits_overflow_nowhere() -> None:
    large = jnp.asarray([[1e4, -1e4], [1e4, -1e4]])
    losses = softmax_cross_entropy(large, jnp.asarray([0, 1]))
    np.testing.assert_array_equal(losses, [0.0, 2e4])
    gradient = jax.grad(lambda x: softmax_cross_entropy(x, jnp.asarray([0, 1])).sum())(large)
    np.testing.assert_array_equal(gradient, [[0.0, 0.0], [1.0, -1.0]])


def test_half_precision_is_computed_in_float32() -> None:
    half = logits().astype(jnp.bfloat16)
    losses = softmax_cross_entropy(half, jnp.asarray(LABELS))
    assert losses.dtype == jnp.float32
    wide = softmax_cross_entropy(half.astype(jnp.float32), jnp.asarray(LABELS))
    np.testing.assert_array_equal(losses, wide)


def test_a_masked_mean_is_that_of_the_filtered_batch() -> None:
    mask = jnp.asarray([True, True, False, True, False, True])
    values = softmax_cross_entropy(logits().at[2].set(jnp.nan), jnp.asarray(LABELS))
    masked = Sums.of({"loss": (values, jnp.ones(6))}, mask).means()["loss"]
    filtered = softmax_cross_entropy(logits()[mask], jnp.asarray(LABELS)[mask])
    assert masked == pytest.approx(float(filtered.mean()), rel=5 * ROUNDING)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_an_impossible_smoothing_is_refused(smoothing: float) -> None:
    with pytest.raises(BadInput, match=f"--label-smoothing {smoothing} must be from 0 up to, but"):
        softmax_cross_entropy(logits(), jnp.asarray(LABELS), label_smoothing=smoothing)
