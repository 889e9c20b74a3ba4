import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_loop
from flax import nnx
from small_loop import Model, Runtime, loss, measure, source, usual_step

from flaxmill.data.batches import Gear, batches
from flaxmill.data.permutation import order
from flaxmill.data.source import Arrays
from flaxmill.devices import parallel
from flaxmill.errors import BadInput
from flaxmill.maths.metrics import Sums
from flaxmill.models import weights
from flaxmill.training.loop import TRAINING_BRANCH, compile_evaluation, compile_steps
from flaxmill.training.state import State, create_state

STEPS = 10


def by_hand(steps: int, *, ema: float) -> tuple[Any, Any, Any]:
    """Trains step by step without chunks, loops or transformations."""
    tx, seed = optax.sgd(0.1, momentum=0.9), 3
    model = Model(nnx.Rngs(seed), dropout=0.3)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    opt_state, average = tx.init(params), (params, rest)
    key = jax.random.split(jax.random.fold_in(jax.random.key(seed), TRAINING_BRANCH))[1]
    ids, _ = order(0, steps, 10, 40, seed)

    @jax.jit
    def step(params: Any, rest: Any, opt_state: Any, batch: Any, key: Any) -> Any:
        def objective(params: Any) -> Any:
            model = nnx.merge(graphdef, params, rest, copy=True)
            values, _ = loss(model, batch, key=key)["loss"]
            return values.mean(), nnx.split(model, nnx.Param, ...)[2]

        gradients, rest_after = jax.grad(objective, has_aux=True)(params)
        updates, opt_state = tx.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), rest_after, opt_state

    for number in range(steps):
        batch = source().take(ids[number])
        step_key = jax.random.fold_in(key, number)
        params, rest, opt_state = step(params, rest, opt_state, batch, step_key)
        decay = min(ema, (1 + number) / (10 + number))
        blend = lambda old, new, decay=decay: decay * old + (1 - decay) * new  # noqa: E731
        average = jax.tree.map(blend, average, (params, rest))
    return params, rest, average


@pytest.fixture(scope="module")
def trained() -> tuple[State, list[dict[str, float]], Runtime]:
    run = Runtime()
    state, means = small_loop.train(run, build=dropping, ema=0.5)
    return state, means, run


def dropping(rngs: nnx.Rngs) -> Model:
    return Model(rngs, dropout=0.3)


def test_a_chunk_does_what_the_textbook_loop_does(trained: Any) -> None:
    state = trained[0]
    params, rest, average = by_hand(STEPS, ema=0.5)
    assert int(state.step) == STEPS
    arrays = weights.flatten([state.params, state.model_state, state.average])
    # The same operations, fused otherwise: rounding, through ten steps.
    for name, expected in weights.flatten([params, rest, average]).items():
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_sums_begin_anew_with_every_row(trained: Any) -> None:
    _, means, run = trained
    # Ten steps of ten examples, a row every four steps: chunks end at 4, 8 and 10.
    assert [mean["examples"] for mean in means] == [40, 40, 20]
    assert means[2]["loss"] < means[0]["loss"]
    assert run.times_compiled == 1
    assert run.slow == []
    assert run.seconds > 0


def test_sums_go_on_from_chunk_to_chunk_within_a_row(trained: Any) -> None:
    state, means = small_loop.train(
        Runtime(Gear("resident", 3, 0)), build=dropping, ema=0.5
    )  # chunks end at 3, 4, 7, 8 and 10
    assert [mean["examples"] for mean in means] == [30, 40, 30, 40, 20]
    assert means[1::2] == trained[1][:2]
    assert means[4] == trained[1][2]
    assert weights.digest(state.params) == weights.digest(trained[0].params)


def test_what_is_evaluated_is_the_average_if_there_is_one(trained: Any) -> None:
    assert trained[0].weights is trained[0].average
    plain = create_state(Model, 0, optax.sgd(0.1))
    assert plain.average is None
    assert plain.weights == (plain.params, plain.model_state)


def test_a_state_is_a_function_of_its_seed() -> None:
    def digest(seed: int) -> str:
        return weights.digest(create_state(Model, seed, optax.sgd(0.1)).params)

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_model_that_keeps_random_keys_is_refused() -> None:
    def keeping(rngs: nnx.Rngs) -> nnx.Dropout:
        return nnx.Dropout(0.5, rngs=rngs)

    with pytest.raises(
        BadInput, match=r"the model keeps random keys of its own.* rngs= at the call"
    ):
        create_state(keeping, 0, optax.sgd(0.1))


def test_the_average_must_be_asked_for_in_the_state_and_the_training_alike() -> None:
    run, data, tx = Runtime(), source(), optax.sgd(0.1)
    chunk = next(batches(data, run))
    for created, used in ((0, 0.5), (0.5, 0)):
        state = create_state(Model, 3, tx, ema=created)
        with pytest.raises(BadInput, match=r"give create_state and State\.after the same ema"):
            compile_steps(usual_step(loss, tx, ema=used), run)(state, chunk)
    with pytest.raises(BadInput, match=r"--ema 1\.0 must be from 0 up to, but not, 1"):
        create_state(Model, 3, tx, ema=1.0)


def test_a_step_gives_a_state_and_sums() -> None:
    run, tx = Runtime(Gear("resident", 1, 0)), optax.sgd(0.1)
    chunk = next(batches(small_loop.source(), run))
    for result, words in ((3, "an int (3)"), ((1, 2), "a tuple ((1, 2))")):
        state = create_state(Model, 3, tx)
        step: Any = functools.partial(lambda result, *_: result, result)
        with pytest.raises(BadInput) as caught:
            compile_steps(step, run)(state, chunk)
        assert f"given to compile_steps, returned {words}: return the new state" in str(
            caught.value
        )


def test_a_mean_of_nothing_is_nothing() -> None:
    zero = jnp.float32(0)
    assert float(Sums({"loss": zero}, {"loss": zero}).mean("loss")) == 0
    assert float(Sums({"loss": jnp.float32(6)}, {"loss": jnp.float32(4)}).mean("loss")) == 1.5


def drawing(example: Any, key: jax.Array) -> Any:
    return {**example, "draw": jax.random.uniform(key)}


def show_draws(model: Any, batch: Any, *, key: jax.Array) -> Any:
    return {**loss(model, batch, key=key), "draw": (batch["draw"], jnp.ones_like(batch["draw"]))}


def draws(batch_size: int) -> list[float]:
    run = Runtime(Gear("streaming", 8, 0))
    how = {"augment": drawing, "objective": show_draws, "epochs": 2.0, "batch_size": batch_size}
    return [means["draw"] for means in small_loop.train(run, **how)[1]]


def test_what_augmentation_draws_belongs_to_the_example_and_its_epoch() -> None:
    tens, fives = draws(10), draws(5)
    # The mean over an epoch's examples is the same whatever the batches, but for rounding.
    assert tens == pytest.approx(fives, rel=1e-5)
    assert tens[0] != pytest.approx(tens[1], rel=1e-3)


@jax.custom_vjp
def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution with a gradient of its own, which is left alone."""
    return jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", None, None, ("NWC", "WIO", "NWC"))


convolve.defvjp(
    lambda x, kernel: (convolve(x, kernel), (x, kernel)),
    lambda saved, gradient: jax.vjp(convolve.fun, *saved)[1](gradient),
)


class Own(nnx.Module):
    """Ends in a convolution that stays as it is."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (3, 2, 2)))

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        return convolve(jnp.stack([x, -x], axis=-1), self.kernel[...]).mean((1, 2))


def test_steps_with_slow_convolutions_are_dispatched_one_by_one() -> None:
    runs = [Runtime(Gear("streaming", chunk, 0)) for chunk in (1, 8)]
    states = [small_loop.train(run, build=Own) for run in runs]
    for run in runs:
        assert run.slow[0] == "float32[10,3,2] with kernel float32[3,2,2]"
        assert len(run.slow) == 4  # and its gradient: once more, by the input, by the kernel
        assert run.times_compiled == 1
    digests = {weights.digest(state.params) for state, _ in states}
    assert len(digests) == 1
    assert int(states[1][0].step) == STEPS
    assert len(states[1][1]) == 3


def test_the_finite_flag_falls_and_stays_down() -> None:
    data = source()
    data.arrays["x"][7] = np.nan
    state, _ = small_loop.train(Runtime(), data=data, epochs=1.0)
    assert not bool(state.finite)
    good, _ = small_loop.train(Runtime(), epochs=1.0)
    assert bool(good.finite)


def test_counters_are_kept_up_in_the_average_and_not_blended() -> None:
    class Counting(Model):
        def __init__(self, rngs: nnx.Rngs) -> None:
            super().__init__(rngs)
            self.calls = nnx.Variable(jnp.int32(0))

        def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
            self.calls[...] = self.calls[...] + 1
            return super().__call__(x, rngs=rngs)

    state, _ = small_loop.train(Runtime(), build=Counting, ema=0.9)
    assert weights.flatten(state.model_state)["calls"] == STEPS
    assert weights.flatten(state.average)["1.calls"] == STEPS


# Evaluation.


def evaluated(length: int, mesh: str | None, size: int) -> tuple[dict[str, float], Sums]:
    run = Runtime(mesh=parallel.make_mesh(mesh))
    state = parallel.replicate(create_state(dropping, 3, optax.sgd(0.1)), run.mesh)
    sums = compile_evaluation(measure, run, batch_size=size)(state, source(length))
    return sums.means(), sums


@pytest.mark.parametrize(
    ("length", "size", "mesh"), [(23, 8, None), (8, 8, None), (5, 8, None), (23, 6, "data=8")]
)
def test_evaluation_counts_every_example_once(length: int, size: int, mesh: str | None) -> None:
    means, sums = evaluated(length, mesh, size)
    model = dropping(nnx.Rngs(3))
    model.eval()  # no dropout, and the statistics that the model keeps
    data = source(length).arrays
    error = np.asarray(model(jnp.asarray(data["x"])), np.float64) - data["y"]
    assert sums.weights["loss"] == length
    assert sums.totals["loss"].dtype == np.float64
    assert means["loss"] == pytest.approx((error**2).mean(), rel=1e-5)  # float32 in the model
    assert means["y"] == pytest.approx(data["y"].astype(np.float64).mean(), rel=1e-5)


def test_evaluation_changes_nothing() -> None:
    state = create_state(dropping, 3, optax.sgd(0.1))
    before = weights.digest([state.params, state.model_state])
    evaluate = compile_evaluation(measure, Runtime(), batch_size=8)
    first, second = evaluate(state, source(23)), evaluate(state, source(23))
    assert first.means() == second.means()
    assert weights.digest([state.params, state.model_state]) == before


def test_an_empty_split_cannot_be_evaluated() -> None:
    empty = Arrays({name: array[:0] for name, array in source().arrays.items()})
    state = create_state(Model, 3, optax.sgd(0.1))
    with pytest.raises(BadInput, match="the split is empty"):
        compile_evaluation(measure, Runtime())(state, empty)


class Plain(nnx.Module):
    """Without batch statistics, which would be those of each part."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense, self.head = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(nnx.tanh(self.dense(x)))[:, 0]


def weighted(model: Any, batch: Any, *, key: jax.Array) -> Any:
    """Examples that count differently, moved by what augmentation drew for them."""
    error = model(batch["x"]) - batch["y"] - batch.get("draw", 0.0)
    return {"loss": (error**2, jnp.abs(batch["x"][:, 0]))}


@pytest.mark.parametrize("augment", [None, drawing])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(augment: Any) -> None:
    results = []
    for parts in (1, 2, 5):
        run = Runtime(Gear("streaming", 8, 0))
        state, means = small_loop.train(
            run, build=Plain, objective=weighted, augment=augment, accumulate=parts
        )
        results.append((jax.tree.leaves(state.params), means))
    (whole, means), *others = results
    for params, figures in others:
        for one, other in zip(params, whole, strict=True):  # sums in another order: rounding
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        for one, other in zip(figures, means, strict=True):
            assert one == pytest.approx(other, rel=1e-5)


def test_a_batch_that_does_not_divide_into_parts_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--accumulate 4: a batch of 10 .* nearest number is 5"):
        small_loop.train(Runtime(), accumulate=4)
