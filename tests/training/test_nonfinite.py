from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_loop
import small_runs
from flax import nnx
from small_loop import Runtime

from flaxmill.data.batches import Gear, batches
from flaxmill.errors import CannotGoOn
from flaxmill.maths.metrics import Measures
from flaxmill.training.loop import compile_steps
from flaxmill.training.nonfinite import first_bad_tensor
from flaxmill.training.options import Options
from flaxmill.training.state import create_state


def line(rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(3, 1, rngs=rngs)


def first_bad(
    objective: Callable[..., Measures], learning_rate: float = 0.1, parts: int = 1
) -> str:
    """Trains one step, and asks what went wrong in it."""
    tx, run = optax.sgd(learning_rate), Runtime(Gear("resident", 1, 0))
    data, state = small_loop.source(), create_state(line, run.seed, tx)
    train_chunk = compile_steps(small_loop.usual_step(objective, tx, accumulate=parts), run)
    chunk = next(batches(data, run))
    before = jax.tree.map(jnp.copy, state)
    after, _ = train_chunk(state, chunk)
    assert not bool(after.finite)
    return first_bad_tensor(train_chunk, before, after, chunk.inputs)


def logarithm_of_nothing(model: Any, batch: Any, *, key: jax.Array) -> Measures:
    outputs = model(batch["x"])[:, 0]
    values = jnp.log(jax.nn.relu(outputs) * 0) * 2  # here
    return {"loss": (values, jnp.ones_like(values))}


def root_at_zero(model: Any, batch: Any, *, key: jax.Array) -> Measures:
    values = jnp.sqrt(model(batch["x"])[:, 0] * 0)  # its slope at 0 is infinite
    return {"loss": (values, jnp.ones_like(values))}


def test_an_operation_on_the_way_to_the_loss_is_named_with_its_line() -> None:
    text = Path(__file__).read_text().splitlines()
    line = next(number for number, code in enumerate(text, 1) if code.endswith("# here"))
    tensor = first_bad(logarithm_of_nothing)
    assert tensor.startswith("the output of log float32[10] (")
    assert f"test_nonfinite.py:{line}" in tensor
    assert tensor.endswith(", on the way to the loss")


def test_an_operation_of_a_part_is_named_as_one_of_the_whole() -> None:
    tensor = first_bad(logarithm_of_nothing, parts=2)
    assert tensor.startswith("the output of log float32[5] (")
    assert tensor.endswith(", on the way to the loss")


def test_a_gradient_is_named() -> None:
    tensor = first_bad(root_at_zero)
    assert tensor.startswith("the gradient of bias: the output of div float32[10] (")
    assert "test_nonfinite.py" in tensor


def squares(model: Any, batch: Any, *, key: jax.Array) -> Measures:
    values = (model(batch["x"])[:, 0] - batch["y"]) ** 2
    return {"loss": (values, jnp.ones_like(values))}


def test_what_an_update_spoils_is_named() -> None:
    assert first_bad(squares, learning_rate=np.inf) == "params.bias after the update"


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_run_that_diverges_names_step_and_tensor_and_keeps_its_last_good_state(
    tmp_path: Path, save_every: float
) -> None:
    how = Options(chunk=1, save_every=save_every, report=False)
    with pytest.raises(CannotGoOn) as stopped:
        small_runs.train("fashion_mnist", tmp_path, how, learning_rate=1e30, schedule="constant")
    message = str(stopped.value)
    assert "The training is not finite any more at step 2: " in message
    assert "on the way to the loss" in message or "the gradient of " in message
    assert "A lower --learning-rate is the usual cure" in message
    assert not (tmp_path / "result.json").exists()
    if save_every:
        assert "no checkpoint had been saved yet" in message
        assert not list((tmp_path / "checkpoints").glob("*"))
    else:
        assert f"the checkpoint of step 1 in {tmp_path} is kept" in message
        saved = small_runs.saved(tmp_path)
        assert saved["step"] == 1
        assert all(np.isfinite(array).all() for array in saved.values())
