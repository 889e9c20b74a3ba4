from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths import optim
from flaxmill.maths.optim import falling, muon, one_cycle, sgd

Params = dict[str, Any]


def params() -> Params:
    return {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)}


def stepped(tx: optax.GradientTransformation, gradients: list[Params]) -> Any:
    now: Any = params()
    state = tx.init(now)
    for gradient in gradients:
        updates, state = tx.update(gradient, state, now)
        now = optax.apply_updates(now, updates)
    return now


def test_decay_shrinks_kernels_and_nothing_else() -> None:
    zero = jax.tree.map(jnp.zeros_like, params())
    updated = stepped(sgd(0.1, weight_decay=0.5), [zero] * 3)
    np.testing.assert_allclose(updated["kernel"], 2.0 * (1 - 0.1 * 0.5) ** 3, rtol=1e-6)
    np.testing.assert_array_equal(updated["bias"], 2.0)


def test_without_gradient_or_decay_nothing_moves() -> None:
    zero = jax.tree.map(jnp.zeros_like, params())
    np.testing.assert_array_equal(stepped(sgd(0.1), [zero] * 3)["kernel"], 2.0)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_the_textbooks(nesterov: bool) -> None:
    gradients = [
        jax.tree.map(lambda leaf, g=g: jnp.full_like(leaf, g), params()) for g in (1, -3, 2)
    ]
    expected, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0, 2.0):
        velocity = 0.9 * velocity + gradient
        expected -= 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    updated = stepped(sgd(0.1, nesterov=nesterov), gradients)
    np.testing.assert_allclose(updated["kernel"], expected, rtol=1e-5)
    np.testing.assert_allclose(updated["bias"], expected, rtol=1e-5)


def test_a_gradient_step_goes_downhill_under_decay() -> None:
    one = jax.tree.map(jnp.ones_like, params())
    updated = stepped(sgd(0.1, weight_decay=0.5), [one])
    np.testing.assert_allclose(updated["kernel"], 2.0 - 0.1 * (1 + 0.5 * 2.0), rtol=1e-6)
    np.testing.assert_allclose(updated["bias"], 2.0 - 0.1, rtol=1e-6)


def test_one_cycle_rises_to_the_peak_and_falls_to_the_end() -> None:
    schedule = one_cycle(0.4, 100, warmup=0.2, final=0.1)
    rates = np.asarray([schedule(step) for step in range(101)])
    assert rates[0] == pytest.approx(0.4 / 20)
    assert rates.argmax() == 20
    assert rates.max() == pytest.approx(0.4)
    assert rates[100] == pytest.approx(0.04)
    assert (np.diff(rates[:21]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    straight = {"atol": 1e-7}  # a straight line up, another down: rounding of numbers below 1
    np.testing.assert_allclose(np.diff(rates[:21], 2), 0, **straight)
    np.testing.assert_allclose(np.diff(rates[20:], 2), 0, **straight)


def test_falling_is_a_staircase() -> None:
    schedule = falling(0.4, 20, after=(0.3, 0.5), factor=0.5)
    rates = [float(np.asarray(schedule(step))) for step in range(20)]
    np.testing.assert_allclose(rates, [0.4] * 6 + [0.2] * 4 + [0.1] * 10, rtol=1e-6)


@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_one_cycle_of_any_length_is_finite_and_never_above_the_peak(
    steps: int, warmup: float
) -> None:
    rates = np.asarray([one_cycle(0.4, steps, warmup=warmup)(step) for step in range(steps)])
    assert np.isfinite(rates).all()
    assert (rates >= 0).all()
    assert rates.max() == pytest.approx(0.4, rel=0.5)
    assert rates[0] > 0  # the first step does something


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("rate", [0.0, -0.1, NAN, INFINITE])
def test_impossible_learning_rates_are_refused(rate: float) -> None:
    for make in (sgd, lambda rate: one_cycle(rate, 10), lambda rate: falling(rate, 10)):
        with pytest.raises(BadInput, match=f"--learning-rate {rate} must be a number greater than"):
            make(rate)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"momentum": 1.0}, "--momentum 1.0 must be from 0 up to, but not, 1"),
        ({"momentum": -0.1}, "--momentum -0.1 must be"),
        ({"momentum": NAN}, "--momentum nan must be"),
        ({"weight_decay": -1e-4}, "--weight-decay -0.0001 must be 0 or greater"),
        ({"weight_decay": INFINITE}, "--weight-decay inf must be 0 or greater"),
    ],
)
def test_impossible_momentum_and_decay_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        sgd(0.1, **fields)


@pytest.mark.parametrize("warmup", [-0.1, 1.1, NAN])
def test_an_impossible_warmup_is_refused(warmup: float) -> None:
    with pytest.raises(BadInput, match=f"--warmup {warmup} must be a share from 0 to 1"):
        one_cycle(0.1, 10, warmup=warmup)


def kernels() -> Params:
    """A convolution, a dense kernel, and a bias."""
    draw = np.random.default_rng(0)
    shapes = {"convolution": (3, 3, 4, 6), "dense": (5, 2), "bias": (6,)}
    return {name: jnp.asarray(draw.normal(size=s), jnp.float32) for name, s in shapes.items()}


def test_muon_turns_a_kernel_along_the_orthogonal_part_of_its_gradient() -> None:
    now, gradient = kernels(), kernels()
    now["convolution"] = now["convolution"][::-1]  # else the two are parallel
    tx = muon(0.1, momentum=0.0, newton_schulz_steps=30)
    updates: Any = tx.update(gradient, tx.init(now), now)[0]
    before = now["convolution"]
    length = np.sqrt(before.shape[-1])
    on_sphere = before * (length / np.linalg.norm(before))
    step = np.asarray(on_sphere - (before + updates["convolution"])).reshape(36, 6) / 0.1
    left, _, right = np.linalg.svd(np.asarray(gradient["convolution"]).reshape(36, 6), False)
    # Newton and Schulz's iteration with Jordan's factors ends between 0.7 and 1.2, not at 1.
    along = left.T @ step @ right.T
    assert (np.abs(along - np.diag(np.diag(along))) < 0.02).all()
    assert ((np.diag(along) > 0.6) & (np.diag(along) < 1.3)).all()


def test_muon_keeps_the_norm_and_leaves_the_rest_to_momentum() -> None:
    now, gradient = kernels(), kernels()
    tx = muon(1e-6, dense=2e6, bias=3e6)
    updates: Any = tx.update(gradient, tx.init(now), now)[0]
    moved: Any = optax.apply_updates(now, updates)
    assert np.linalg.norm(moved["convolution"]) == pytest.approx(np.sqrt(6), rel=1e-4)
    for name, rate in (("dense", 2.0), ("bias", 3.0)):
        expected = now[name] - rate * 1.9 * gradient[name]  # Nesterov's first step: 1 + 0.9
        np.testing.assert_allclose(moved[name], expected, rtol=1e-4, atol=1e-5)


def test_muon_follows_a_schedule_in_all_its_parts() -> None:
    now, gradient = kernels(), kernels()
    updates = [muon(rate, dense=2.0).update for rate in (lambda step: 0.1, 0.1)]
    states = [muon(rate, dense=2.0).init(now) for rate in (lambda step: 0.1, 0.1)]
    one, other = (update(gradient, s, now)[0] for update, s in zip(updates, states, strict=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one, other)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dense": 0.0}, "--dense-rate 0.0 must be a number greater than 0"),
        ({"bias": INFINITE}, "--bias-rate inf must be a number greater than 0"),
        ({"momentum": 1.0}, "--momentum 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_impossible_rates_of_muon_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        muon(0.1, **fields)


def test_a_cosine_rises_and_falls_smoothly() -> None:
    rate: Any = optim.cosine(0.4, 100, warmup=0.2)
    rates = np.array([float(rate(jnp.int32(step))) for step in range(101)])
    np.testing.assert_allclose(rates[:21], np.linspace(0, 0.4, 21), rtol=1e-6)
    expected = 0.2 * (1 + np.cos(np.pi * np.arange(81) / 80))
    np.testing.assert_allclose(rates[20:], expected, atol=1e-7)
    with pytest.raises(BadInput, match=r"--warmup 1\.5 must be a share from 0 to 1"):
        optim.cosine(0.1, 10, warmup=1.5)


def test_a_falling_rate_may_rise_first() -> None:
    rate: Any = optim.falling(1.0, 90, after=(1 / 3, 2 / 3), factor=0.1, warmup=1 / 9)
    rates = [float(rate(step)) for step in (0, 5, 10, 29, 30, 59, 60, 89)]
    np.testing.assert_allclose(rates, [0, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_adamw_decays_kernels_alone_and_bounds_gradients() -> None:
    tx = optim.adamw(0.1, weight_decay=0.5, clip=1.0)
    params = {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full((2,), 2.0)}
    zero = jax.tree.map(jnp.zeros_like, params)
    updates: Any = tx.update(zero, tx.init(params), params)[0]
    np.testing.assert_allclose(updates["kernel"], -0.1 * 0.5 * 2.0, rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], 0)
    with pytest.raises(BadInput, match="--clip -1 must be 0, for no limit, or greater"):
        optim.adamw(0.1, clip=-1)


def test_parts_of_a_model_have_optimizers_of_their_own() -> None:
    tx = optim.apart({"head": optim.sgd(1.0, momentum=0.0)}, optim.sgd(0.1, momentum=0.0))
    params = {"network": {"head": {"bias": jnp.ones(2)}, "stem": jnp.ones(2)}}
    updates: Any = tx.update(params, tx.init(params), params)[0]
    np.testing.assert_allclose(updates["network"]["head"]["bias"], -1.0)
    np.testing.assert_allclose(updates["network"]["stem"], -0.1)
