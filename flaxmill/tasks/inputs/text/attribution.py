"""Which tokens of a text a model's prediction rests on, and what taking them away does to it.

Each token is replaced by the unknown one, by itself, and the fall of the answer's log-odds is its
weight (leave-one-out; Li, Monroe and Jurafsky 2016, "Understanding neural networks through
representation erasure"). Log-odds neither saturate, as probabilities do, nor change with a number
that is added to all logits.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from flaxmill.data.text.tokens import PADDING, UNKNOWN
from flaxmill.tasks.inputs.text import display
from flaxmill.tasks.kinds import Explanation, Explanations, OutputKind
from flaxmill.tasks.signature import Signature

TAKEN = 0.15
"""Share of a text's tokens that is taken away, those with the highest weights; one at least."""
_LEAST = 8  # texts that are explained, however many tokens these have

Tokens = Int[np.ndarray, "text time"]


def explanations(
    model: Callable[[Any], Any],
    texts: Tokens,
    classes: Int[np.ndarray, " text"],
    kind: OutputKind,
    signature: Signature,
    *,
    most: int,
) -> Explanations:
    """Finds out what predictions rest on.

    Args:
        model: From tokens to logits.
        texts: Tokens, padded with zeros.
        classes: The class that each is explained for.
        kind: What the logits mean.
        signature: Of the model.
        most: Texts that it may be given with a token taken away, if that is enough for some.

    Returns:
        Explanations of all texts, or of the first of them.
    """
    count = min(len(texts), max(_LEAST, most // texts.shape[1]))
    compiled = jax.jit(lambda shown: model(shown))
    each = [
        _one(compiled, row, int(label), kind, signature)
        for row, label in zip(texts[:count], classes[:count], strict=True)
    ]
    lead = (
        f"The text of each class that it is surest of, with what speaks for that class: the "
        f"stronger a token is marked, the more the answer falls when it alone is not known (Li, "
        f"Monroe and Jurafsky 2016); what is struck through speaks against. Below, the class's "
        f"probability, and what is left of it without the strongest {100 * TAKEN:.0f}\xa0% of the "
        f"tokens: hardly less means that its answer rests on much else."
    )
    return Explanations(lead, each)


def _one(
    compiled: Callable[[Any], Any],
    tokens: Int[np.ndarray, " time"],
    label: int,
    kind: OutputKind,
    signature: Signature,
) -> Explanation:
    places = np.flatnonzero(tokens != PADDING)
    weights = falls(compiled, tokens, label, kind)
    strongest = places[np.argsort(-weights[places], kind="stable")]
    without = tokens.copy()
    without[strongest[: max(1, math.ceil(TAKEN * len(places)))]] = UNKNOWN
    before, after = (
        float(np.asarray(kind.probabilities(_logits(compiled, one[None])), np.float64)[0, label])
        for one in (tokens, without)
    )
    top = np.abs(weights).max() or 1.0
    highlighted = display.highlighted(tokens[places], weights[places] / top, signature.preprocess)
    return Explanation(label, highlighted, before, after)


def falls(
    compiled: Callable[[Any], Any], tokens: Int[np.ndarray, " time"], label: int, kind: OutputKind
) -> Float[np.ndarray, " time"]:
    """Returns how far the log-odds of a class fall without each token; 0 for padding.

    Args:
        compiled: From tokens to logits.
        tokens: Of one text.
        label: The class.
        kind: What the logits mean.
    """
    # One more row than there are places, so that texts of one size are one shape.
    rows = np.repeat(tokens[None], len(tokens) + 1, axis=0)
    places = np.flatnonzero(tokens != PADDING)
    rows[places, places] = UNKNOWN
    classes = np.full(len(rows), label)
    odds = np.asarray(kind.log_odds(_logits(compiled, rows), classes), np.float64)
    drops = odds[-1] - odds[:-1]
    return np.where(tokens != PADDING, drops, 0.0)


def _logits(compiled: Callable[[Any], Any], tokens: Sequence[Any] | np.ndarray) -> jax.Array:
    return jnp.asarray(compiled(np.asarray(tokens))).astype(jnp.float32)
