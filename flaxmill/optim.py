"""Learning-rate schedules and optimizers, with every part in the order that is right."""

import math

import jax
import optax

from flaxmill.errors import BadInput


def one_cycle(
    peak: float, steps: int, *, warmup: float = 0.2, final: float = 0.0
) -> optax.Schedule:
    """Rises linearly to the peak, then falls linearly (Smith 2018, section 4, in its plain form).

    Args:
        peak: Highest learning rate.
        steps: Training steps in all.
        warmup: Share of the steps spent rising.
        final: Learning rate at the end, as a share of the peak.

    Raises:
        BadInput: The peak or the warmup is out of its range.
    """
    _check_rate(peak)
    if not 0 <= warmup <= 1:
        raise BadInput(f"--warmup {warmup} must be a share from 0 to 1.")
    rising = max(1, round(warmup * steps))
    return optax.join_schedules(
        [
            optax.linear_schedule(peak / rising, peak, rising),
            optax.linear_schedule(peak, peak * final, max(1, steps - rising)),
        ],
        [rising],
    )


def sgd(
    learning_rate: float | optax.Schedule,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum and decoupled weight decay of the kernels.

    The decay is added to the update *before* the learning rate turns its sign; chained after
    ``optax.sgd`` it would make the weights grow.

    Args:
        learning_rate: A rate, or a schedule from step to rate.
        momentum: Decay of the running sum of gradients.
        nesterov: Whether to look ahead (Nesterov momentum).
        weight_decay: Share of each kernel taken away per unit of learning rate (Loshchilov and
            Hutter 2019, "Decoupled weight decay regularization"); biases and scales are spared.

    Raises:
        BadInput: A number is out of its range.
    """
    if not callable(learning_rate):
        _check_rate(learning_rate)
    if not 0 <= momentum < 1:
        raise BadInput(f"--momentum {momentum} must be from 0 up to, but not, 1.")
    if not 0 <= weight_decay < math.inf:
        raise BadInput(f"--weight-decay {weight_decay} must be 0 or greater.")
    parts = [optax.trace(momentum, nesterov=nesterov)]
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay, mask=_kernels))
    return optax.chain(*parts, optax.scale_by_learning_rate(learning_rate))


def _check_rate(rate: float) -> None:
    if not 0 < rate < math.inf:
        raise BadInput(f"--learning-rate {rate} must be a number greater than 0.")


def _kernels(params: optax.Params) -> optax.Params:
    """Marks the parameters of two or more dimensions: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
