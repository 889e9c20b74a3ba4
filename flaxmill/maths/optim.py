"""Learning-rate schedules and optimizers, with every part in the order that is right."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from flaxmill.errors import BadInput

Rate = float | optax.Schedule


class Ramp(float):
    """Learning rates that grow exponentially with the step, in the place of a config's single one.

    A range test gives it to a recipe as ``config.learning_rate``. The schedules of this module
    leave it as it is, and the optimizers take it as the schedule that it is; a multiple of it is
    one too. As a number it is NaN, so that whatever else computes with it fails visibly.

    Args:
        first: The rate of the first step.
        last: The rate of the last step.
        steps: Number of steps, 2 or more.

    >>> ramp = 10 * Ramp(0.001, 0.1, 3)
    >>> [round(float(ramp(step)), 4) for step in range(3)]
    [0.01, 0.1, 1.0]
    """

    first: float
    last: float
    steps: int

    def __new__(cls, first: float, last: float, steps: int) -> "Ramp":
        """Makes the ramp: a float cannot be changed once it is made."""
        ramp = super().__new__(cls, math.nan)
        ramp.first, ramp.last, ramp.steps = first, last, steps
        return ramp

    def __getnewargs__(self) -> tuple[float, float, int]:  # type: ignore[override]
        """Returns what a copy is made from: for a float, that would be the number alone."""
        return self.first, self.last, self.steps

    def __call__(self, step: Any) -> jax.Array:
        """Returns the learning rate of a step, counted from 0."""
        share = jnp.asarray(step, jnp.float32) / (self.steps - 1)
        return self.first * jnp.exp(share * math.log(self.last / self.first))

    def __mul__(self, factor: float) -> "Ramp":
        return Ramp(self.first * factor, self.last * factor, self.steps)

    def __truediv__(self, factor: float) -> "Ramp":
        return self * (1 / factor)

    __rmul__ = __mul__


def one_cycle(peak: Rate, steps: int, *, warmup: float = 0.2, final: float = 0.0) -> optax.Schedule:
    """Rises linearly to the peak, then falls linearly (Smith 2018, section 4, in its plain form).

    Args:
        peak: Highest learning rate; a schedule, such as a `Ramp`, stays as it is.
        steps: Training steps in all.
        warmup: Share of the steps spent rising.
        final: Learning rate at the end, as a share of the peak.

    Raises:
        BadInput: The peak or the warmup is out of its range.
    """
    if callable(peak):
        return peak
    rising = max(1, _rising(peak, steps, warmup))
    return optax.join_schedules(
        [
            optax.linear_schedule(peak / rising, peak, rising),
            optax.linear_schedule(peak, peak * final, max(1, steps - rising)),
        ],
        [rising],
    )


def cosine(peak: Rate, steps: int, *, warmup: float = 0.1) -> optax.Schedule:
    """Rises linearly to the peak, then falls to 0 along half a wave of the cosine.

    Args:
        peak: Highest learning rate; a schedule, such as a `Ramp`, stays as it is.
        steps: Training steps in all.
        warmup: Share of the steps spent rising.

    Raises:
        BadInput: The peak or the warmup is out of its range.

    Source: Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    equation 5, without restarts.
    """
    if callable(peak):
        return peak
    rising = _rising(peak, steps, warmup)
    left = max(1, steps - rising)

    def falls(step: Any) -> jax.Array:
        share = jnp.clip(jnp.asarray(step, jnp.float32) / left, 0, 1)
        return peak * 0.5 * (1 + jnp.cos(math.pi * share))

    return optax.join_schedules([optax.linear_schedule(0.0, peak, max(1, rising)), falls], [rising])


def _rising(peak: float, steps: int, warmup: float) -> int:
    """Returns the steps spent rising to a peak."""
    _check_rate(peak)
    if not 0 <= warmup <= 1:
        raise BadInput(f"--warmup {warmup} must be a share from 0 to 1.")
    return round(warmup * steps)


def falling(
    peak: Rate,
    steps: int,
    *,
    after: Sequence[float] = (0.3, 0.6, 0.8),
    factor: float = 0.2,
    warmup: float = 0.0,
) -> optax.Schedule:
    """Stays at the peak, and falls by a factor a few times (Zagoruyko and Komodakis 2016, 3).

    Args:
        peak: Learning rate at first; a schedule, such as a `Ramp`, stays as it is.
        steps: Training steps in all.
        after: Shares of the steps after which it falls, rising.
        factor: What it is multiplied by each time.
        warmup: Share of the steps spent rising to the peak before that (Goyal et al. 2017, 2.2).

    Raises:
        BadInput: The peak is out of its range.
    """
    if callable(peak):
        return peak
    rising = _rising(peak, steps, warmup)
    rates = [optax.constant_schedule(peak * factor**times) for times in range(len(after) + 1)]
    ends = [round(share * steps) for share in after]
    if rising:
        rates, ends = [optax.linear_schedule(0.0, peak, rising), *rates], [rising, *ends]
    return optax.join_schedules(rates, ends)


def waiting(steps: int, schedule: optax.Schedule) -> optax.Schedule:
    """Stays at 0 for some steps, and follows a schedule from its beginning after those.

    Args:
        steps: Training steps to wait for.
        schedule: What follows; a `Ramp` belongs to the steps of the whole training, and is not
            begun later.
    """
    begun = 0 if isinstance(schedule, Ramp) else steps

    def rate(step: Any) -> jax.Array:
        step = jnp.asarray(step)
        return jnp.where(step < steps, 0.0, schedule(step - begun))

    return rate


def sgd(
    learning_rate: Rate,
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
    _checked_momentum(momentum)
    _check_decay(weight_decay)
    parts = [optax.trace(momentum, nesterov=nesterov)]
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay, mask=_kernels))
    return optax.chain(*parts, _scale(learning_rate))


def adamw(
    learning_rate: Rate, *, weight_decay: float = 0.1, clip: float = 1.0, momentum: float = 0.9
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay of the kernels, and gradients of bounded norm.

    Args:
        learning_rate: A rate, or a schedule from step to rate.
        weight_decay: Share of each kernel taken away per unit of learning rate (Loshchilov and
            Hutter 2019, "Decoupled weight decay regularization"); biases and scales are spared.
        clip: Norm that the gradients of a step have at most; 0 for no limit.
        momentum: Decay of the running mean of the gradients.

    Raises:
        BadInput: A number is out of its range.
    """
    _check_decay(weight_decay)
    if not 0 <= clip < math.inf:
        raise BadInput(f"--clip {clip} must be 0, for no limit, or greater.")
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    parts.append(_lenient(optax.scale_by_adam(b1=_checked_momentum(momentum))))
    parts.append(optax.add_decayed_weights(weight_decay, mask=_kernels))
    return optax.chain(*parts, _scale(learning_rate))


def apart(
    parts: dict[str, optax.GradientTransformation], rest: optax.GradientTransformation
) -> optax.GradientTransformation:
    """Gives parts of a model optimizers of their own.

    Args:
        parts: The name of a part, such as ``head``, and its optimizer.
        rest: The optimizer of all else.
    """

    def labels(params: optax.Params) -> optax.Params:
        def label(path: tuple[Any, ...], _: Any) -> str:
            names = {str(getattr(key, "key", getattr(key, "name", ""))) for key in path}
            return next((name for name in parts if name in names), "")

        return jax.tree_util.tree_map_with_path(label, params)

    return optax.partition({**parts, "": rest}, labels)


def muon(
    learning_rate: Rate,
    *,
    dense: float = 1.0,
    bias: float = 1.0,
    momentum: float = 0.9,
    newton_schulz_steps: int = 3,
) -> optax.GradientTransformation:
    """Muon for the kernels of convolutions, Nesterov momentum for all else.

    A kernel's momentum is made orthogonal, as a matrix from inputs to outputs (Jordan 2024, "Muon:
    an optimizer for hidden layers in neural networks"). Under batch normalisation a kernel's norm
    does not matter but for how fast it turns, so it is kept at the root of its number of outputs.

    Args:
        learning_rate: Of the convolutions; a rate, or a schedule from step to rate.
        dense: Learning rate of dense kernels, per unit of the convolutions'.
        bias: Learning rate of biases and scales, per unit of the convolutions'.
        momentum: Decay of the running sum of gradients.
        newton_schulz_steps: Iterations towards the orthogonal matrix.

    Raises:
        BadInput: A number is out of its range.
    """
    for name, factor in (("dense", dense), ("bias", bias)):
        if not 0 < factor < math.inf:
            raise BadInput(f"--{name}-rate {factor} must be a number greater than 0.")
    spread = contrib.MuonDimensionNumbers((0, 1, 2), 3)
    orthogonal = contrib.scale_by_muon(
        ns_steps=newton_schulz_steps,
        beta=_checked_momentum(momentum),
        weight_dimension_numbers=lambda updates: jax.tree.map(lambda _: spread, updates),
    )
    optimizers: dict[Hashable, optax.GradientTransformation] = {
        "convolution": optax.chain(_lenient(orthogonal), _scale(learning_rate), _keep_norm()),
        "dense": sgd(_times(learning_rate, dense), momentum=momentum, nesterov=True),
        "vector": sgd(_times(learning_rate, bias), momentum=momentum, nesterov=True),
    }
    kinds = {4: "convolution", 2: "dense"}

    def labels(params: optax.Params) -> optax.Params:
        return jax.tree.map(lambda leaf: kinds.get(leaf.ndim, "vector"), params)

    return optax.partition(optimizers, labels)


def _lenient(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Lets a library's optimizer promote dtypes where a program has JAX refuse that."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return tx.update(updates, state, params)

    return optax.GradientTransformation(tx.init, update)


def _keep_norm() -> optax.GradientTransformation:
    """Changes the updates so that each kernel's norm becomes the root of its number of outputs."""

    def update(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
        def rescale(update: jax.Array, kernel: jax.Array) -> jax.Array:
            norm = jnp.sqrt((kernel * kernel).sum())
            return update + kernel * (math.sqrt(kernel.shape[-1]) / norm - 1)

        return jax.tree.map(rescale, updates, params)

    return optax.stateless(update)


def _times(rate: Rate, factor: float) -> Rate:
    return (lambda step: factor * rate(step)) if callable(rate) else factor * rate


def _scale(learning_rate: Rate) -> optax.GradientTransformation:
    if not callable(learning_rate):
        _check_rate(learning_rate)
    return optax.scale_by_learning_rate(learning_rate)


def _checked_momentum(momentum: float) -> float:
    if not 0 <= momentum < 1:
        raise BadInput(f"--momentum {momentum} must be from 0 up to, but not, 1.")
    return momentum


def _check_decay(weight_decay: float) -> None:
    if not 0 <= weight_decay < math.inf:
        raise BadInput(f"--weight-decay {weight_decay} must be 0 or greater.")


def _check_rate(rate: float) -> None:
    if not 0 < rate < math.inf:
        raise BadInput(f"--learning-rate {rate} must be a number greater than 0.")


def _kernels(params: optax.Params) -> optax.Params:
    """Marks the parameters of two or more dimensions: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
