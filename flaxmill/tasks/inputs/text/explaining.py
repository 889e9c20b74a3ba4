"""Which tokens of a text a model's answer rests on, and what taking them away does to the answer.

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
from flaxmill.tasks.inputs.text import showing
from flaxmill.tasks.kinds import Answer, Explained, Explanation
from flaxmill.tasks.signature import Signature

TAKEN = 0.15
"""Share of a text's tokens that is taken away, those with the highest weights; one at least."""
_LEAST = 8  # texts that are explained, however many tokens these have

Tokens = Int[np.ndarray, "text time"]


def explained(
    model: Callable[[Any], Any],
    texts: Tokens,
    classes: Int[np.ndarray, " text"],
    kind: Answer,
    signature: Signature,
    *,
    most: int,
) -> Explained:
    """Finds out what answers rest on.

    Args:
        model: From tokens to logits.
        texts: Tokens, padded with zeros.
        classes: Which class each is looked into for.
        kind: What the logits mean.
        signature: Of the model.
        most: Texts that it may be given with a token taken away, if that is enough for some.

    Returns:
        Explanations of all texts, or of the first of them.
    """
    count = min(len(texts), max(_LEAST, most // texts.shape[1]))
    asked = jax.jit(lambda shown: model(shown))
    each = [
        _one(asked, row, int(label), kind, signature)
        for row, label in zip(texts[:count], classes[:count], strict=True)
    ]
    lead = (
        f"The text of each class that it is surest of, with what speaks for that class: the "
        f"stronger a token is marked, the more the answer falls when it alone is not known (Li, "
        f"Monroe and Jurafsky 2016); what is struck through speaks against. Below, the class's "
        f"probability, and what is left of it without the strongest {100 * TAKEN:.0f}\xa0% of the "
        f"tokens: hardly less means that its answer rests on much else."
    )
    return Explained(lead, each)


def _one(
    asked: Callable[[Any], Any],
    tokens: Int[np.ndarray, " time"],
    label: int,
    kind: Answer,
    signature: Signature,
) -> Explanation:
    places = np.flatnonzero(tokens != PADDING)
    weights = falls(asked, tokens, label, kind)
    strongest = places[np.argsort(-weights[places], kind="stable")]
    without = tokens.copy()
    without[strongest[: max(1, math.ceil(TAKEN * len(places)))]] = UNKNOWN
    before, after = (
        float(np.asarray(kind.probabilities(_logits(asked, one[None])), np.float64)[0, label])
        for one in (tokens, without)
    )
    top = np.abs(weights).max() or 1.0
    marked = showing.marked(tokens[places], weights[places] / top, signature.preprocess)
    return Explanation(label, marked, before, after)


def falls(
    asked: Callable[[Any], Any], tokens: Int[np.ndarray, " time"], label: int, kind: Answer
) -> Float[np.ndarray, " time"]:
    """Returns how far the log-odds of a class fall without each token; 0 for padding.

    Args:
        asked: From tokens to logits.
        tokens: Of one text.
        label: The class.
        kind: What the logits mean.
    """
    # One more row than there are places, so that texts of one size are one shape.
    rows = np.repeat(tokens[None], len(tokens) + 1, axis=0)
    places = np.flatnonzero(tokens != PADDING)
    rows[places, places] = UNKNOWN
    classes = np.full(len(rows), label)
    odds = np.asarray(kind.log_odds(_logits(asked, rows), classes), np.float64)
    found = odds[-1] - odds[:-1]
    return np.where(tokens != PADDING, found, 0.0)


def _logits(asked: Callable[[Any], Any], tokens: Sequence[Any] | np.ndarray) -> jax.Array:
    return jnp.asarray(asked(np.asarray(tokens))).astype(jnp.float32)
