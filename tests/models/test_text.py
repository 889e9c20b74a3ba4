from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models.text import Grams, TextCNN, shifted


def network(**fields: object) -> TextCNN:
    how = {"width": 6, "windows": (1, 2, 3), "channels": 5, "buckets": 50, "gram_width": 4}
    model = TextCNN(30, 3, **{**how, **fields}, rngs=nnx.Rngs(0))  # pyrefly: ignore
    model.eval()
    return model


TOKENS = jnp.array([[4, 5, 6, 7], [8, 9, 0, 0], [3, 0, 0, 0]])


def test_what_fills_a_text_up_changes_nothing() -> None:
    model = network()
    expected = model(TOKENS)
    assert expected.shape == (3, 3)
    for more in (1, 3, 9):
        longer = jnp.pad(TOKENS, ((0, 0), (0, more)))
        np.testing.assert_allclose(model(longer), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model(TOKENS[2:, :1])[0], expected[2], rtol=1e-6, atol=1e-6)


def test_the_order_of_tokens_counts() -> None:
    model = network()
    turned = model(TOKENS[:1, ::-1])
    assert np.abs(np.asarray(turned - model(TOKENS[:1]))).max() > 1e-4
    alone = network(windows=(1,), grams=(1,))  # sees each token by itself
    np.testing.assert_allclose(alone(TOKENS[:1, ::-1]), alone(TOKENS[:1]), rtol=1e-5, atol=1e-6)


def _of(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns a layer's kernel and bias."""
    return np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])


def test_convolutions_are_what_they_say() -> None:
    model = network(windows=(2,), grams=())
    vectors = np.asarray(model.embed.embedding[...])[np.asarray(TOKENS[0])]
    vectors = np.concatenate([vectors, np.zeros((1, 6))])
    kernel, bias = _of(model.convolutions[0])
    out = np.array([np.concatenate(vectors[i : i + 2]) @ kernel + bias for i in range(4)])
    out = np.maximum(out, 0)
    features = np.concatenate([out.max(0), out.mean(0)])
    kernel, bias = _of(model.head)
    expected = features @ kernel + bias
    np.testing.assert_allclose(model(TOKENS[:1])[0], expected, rtol=1e-5, atol=1e-6)


def test_runs_of_tokens_have_vectors_by_their_hash() -> None:
    grams = Grams((1, 2), 50, 4, rngs=nnx.Rngs(0))
    table = np.asarray(grams.table.embedding[...])

    def bucket(*tokens: int) -> int:
        code = len(tokens)
        for token in tokens:
            code = (code * 8191 + token) % 50
        return code

    found = grams(jnp.array([[4, 5, 0]]), jnp.array([[1.0, 1.0, 0.0]]))
    rows = [bucket(4), bucket(5), bucket(4, 5)]
    np.testing.assert_allclose(found[0], table[rows].sum(0) / 3**0.5, rtol=1e-5)
    repeated = grams(jnp.array([[4, 4, 4, 4, 0]]), jnp.array([[1.0, 1.0, 0.0, 1.0, 0.0]]))
    rows = [bucket(4), bucket(4, 4)]  # each counts once, however often it is there
    np.testing.assert_allclose(repeated[0], table[rows].sum(0) / 2**0.5, rtol=1e-5)


def test_dropping_is_for_training_alone() -> None:
    model = network(dropout=0.5, token_dropout=0.5)
    np.testing.assert_array_equal(model(TOKENS), model(TOKENS))
    model.train()
    one, other = (model(TOKENS, rngs=nnx.Rngs(dropout=jax.random.key(i))) for i in (0, 1))
    assert np.abs(np.asarray(one - other)).max() > 1e-3


def test_half_precision_gives_logits_of_float32() -> None:
    half = network(dtype=jnp.bfloat16)
    found = half(TOKENS)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, network()(TOKENS), atol=0.02)


def test_gradients_are_finite_and_reach_everything() -> None:
    model = network()

    def loss(model: TextCNN) -> jax.Array:
        return (model(TOKENS) ** 2).sum()

    slopes = jax.tree.leaves(nnx.grad(loss)(model))
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert all(np.abs(slope).max() > 0 for slope in slopes)


def test_what_comes_later() -> None:
    assert shifted(TOKENS, 1)[0].tolist() == [5, 6, 7, 0]
    assert shifted(TOKENS, 0) is TOKENS
    assert not shifted(TOKENS, 9).any()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"windows": (0,)}, r"--windows \(0,\)"),
        ({"width": 0}, "--width 0"),
        ({"buckets": 0}, "--buckets 0"),
        ({"buckets": 2**20}, "at most 262,144"),
        ({"dropout": 1.0}, "--dropout 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        network(**fields)


def test_so_many_tokens_that_a_hash_would_overflow_are_refused() -> None:
    with pytest.raises(BadInput, match="--vocabulary 262,145: give at most 262,144, or no --grams"):
        TextCNN(2**18 + 1, 3, rngs=nnx.Rngs(0))
