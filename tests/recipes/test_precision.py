"""``--precision bfloat16``: the promises of the matrix in half precision, and what it costs.

They are tried on the other network and optimizer of a recipe, which the matrix does not train.
"""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
from flax import nnx
from test_recipes import ONE

from flaxmill import recipes
from flaxmill.data.known import real_or_drawn
from flaxmill.errors import Stopped
from flaxmill.models import weights
from flaxmill.trained.run import TrainedRun
from flaxmill.training.options import Options

HALF: dict[str, dict[str, Any]] = {
    name: {"precision": "bfloat16", **small_runs.ALTERNATIVE[name], **small_runs.THOROUGH[name]}
    for name in recipes.names()
}


@pytest.fixture(scope="module")
def unbroken(name: str, folder: Path, small_data: None) -> TrainedRun:
    how = Options(gear="resident", report=False)
    return small_runs.train(name, folder / name, how, **HALF[name])


@pytest.mark.parametrize("name", ONE, indirect=True)
def test_all_that_is_kept_is_float32(unbroken: TrainedRun) -> None:
    floating = {
        tensor: array.dtype.name
        for tensor, array in small_runs.saved(unbroken.path).items()
        if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool
    }
    kinds = {tensor.partition(".")[0] for tensor in floating}
    assert kinds == {"params", "model_state", "opt_state", "average", "sums"}
    assert set(floating.values()) == {"float32"}


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize("name", ONE, indirect=True)
def test_an_evaluation_computes_in_the_type_that_was_trained(unbroken: TrainedRun) -> None:
    again = unbroken.evaluate()
    assert {key: again[key] for key in unbroken.result["test"]} == unbroken.result["test"]
    logits = unbroken.logits(unbroken.splits().test)
    assert logits.dtype == np.float32


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize("name", ONE, indirect=True)
def test_gear_chunks_and_a_stop_leave_the_bits_alone(
    unbroken: TrainedRun, name: str, folder: Path
) -> None:
    run, how = folder / f"{name}-stopped", Options(gear="streaming", chunk=1, report=False)
    with pytest.raises(Stopped) as stopped:
        small_runs.train(name, run, how, words=small_runs.Interrupting(after=11), **HALF[name])
    assert stopped.value.signal == signal.SIGTERM
    assert int(small_runs.saved(run)["step"]) == 13
    how = Options(gear="streaming", chunk=7, report=False)
    resumed = small_runs.train(name, run, how, **HALF[name])
    assert resumed.result["attempts"] == 2
    small_runs.assert_same_run(resumed, unbroken)


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize("name", ONE, indirect=True)
def test_three_steps_change_every_parameter(name: str, folder: Path) -> None:
    run = folder / f"{name}-three-steps"
    fields = HALF[name] | small_runs.PLAIN[name] | {"ema": 0.0, "batch_size": 80, "epochs": 1.5}
    fields |= {"shift": 0, "cutout": 0}
    trained = small_runs.train(name, run, **fields)
    assert trained.result["step"] == 3
    order = small_runs.order(name, run, **fields)
    fresh = order.recipe.module.model(order.config, trained.signature, nnx.Rngs(order.seed))
    before, after = weights.flatten({"params": nnx.state(fresh, nnx.Param)}), trained.arrays()
    unchanged = [tensor for tensor in before if (np.asarray(before[tensor]) == after[tensor]).all()]
    assert unchanged == []


def test_accuracy_is_that_of_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_or_drawn, "TRAIN", 2200)
    monkeypatch.setattr(real_or_drawn, "TEST", 1000)
    real_or_drawn._drawn.cache_clear()
    fields = {"validation": 200, "epochs": 6.0, "channels": (16, 32), "hidden": 64}
    exact, half = (
        small_runs.train("fashion_mnist", tmp_path / precision, precision=precision, **fields)
        for precision in ("float32", "bfloat16")
    )
    real_or_drawn._drawn.cache_clear()
    assert half.result["weights_sha256"] != exact.result["weights_sha256"]
    # 8 bits a product make about a hundredth of a difference in the loss of the first steps.
    assert half.rows[0]["loss"] == pytest.approx(exact.rows[0]["loss"], rel=0.02)
    # On 1,000 pictures each has a standard deviation of 0.012; three of the difference are 0.05.
    accuracies = [run.result["test"]["accuracy"] for run in (exact, half)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.05)
    assert min(accuracies) > 0.75  # guessing among ten classes gives 0.1
