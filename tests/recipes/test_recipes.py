"""The matrix: every promise of the design for every file in ``flaxmill/recipes``."""

import dataclasses
import functools
import itertools
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
import optax
import pytest
import small_runs
from small_runs import GEARED, NAMES, PLAIN, THOROUGH

from flaxmill import recipes
from flaxmill.commands import cli, train
from flaxmill.commands.request import TrainRequest
from flaxmill.data.batches import Schedule
from flaxmill.errors import Stopped
from flaxmill.export import export
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import Words
from flaxmill.models import weights
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training import loop
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.directory import RunDirectory
from flaxmill.training.options import Options
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state

pytestmark = pytest.mark.usefixtures("small_data")
STEPS = 25
ONE = ["fashion_mnist"]
"""What depends on the loop, and not on a recipe, is tried on one of them."""

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
ASKING = dict(zip(recipes.names(), itertools.cycle(_SIGNALS)))
"""The signal that each recipe's training is stopped by: no recipe knows which."""


@pytest.fixture(scope="module")
def words(name: str) -> small_runs.Listening:
    return small_runs.Listening()


@pytest.fixture(scope="module")
def unbroken(name: str, folder: Path, small_data: None, words: small_runs.Listening) -> TrainedRun:
    """A run from its beginning to its end, with everything that has a state or draws numbers."""
    jax.monitoring.register_event_duration_secs_listener(words.count)
    try:
        gear = small_runs.GEARS.get(name, "resident")
        how = Options(gear=gear, chunk=64, prefetch=4, report=False)
        return small_runs.train(name, folder / name, how, words=words, **THOROUGH[name])
    finally:
        jax.monitoring.unregister_event_duration_listener(words.count)


def test_rows_fall_on_steps_fixed_by_the_config(unbroken: TrainedRun) -> None:
    rows = small_runs.figures(unbroken.path)
    assert [row["step"] for row in rows if row["split"] == "train"] == [5, 10, 15, 20, 25]
    assert [row["step"] for row in rows if row["split"] == "validation"] == [10, 20, 25]
    assert [row["epoch"] for row in rows if row["split"] == "validation"] == [1.0, 2.0, 2.5]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_the_result_says_what_was_trained(unbroken: TrainedRun, name: str) -> None:
    result = unbroken.result
    assert (result["recipe"], result["preset"], result["step"]) == (
        name,
        recipes.load(name).default_preset,
        STEPS,
    )
    assert result["weights"] == "average"
    assert result["attempts"] == 1
    assert result["test"]["examples"] == small_runs.TEST
    again = unbroken.evaluate()
    assert again["weights_sha256"] == result["weights_sha256"]
    assert {key: again[key] for key in result["test"]} == result["test"]


def test_the_export_is_the_model(unbroken: TrainedRun, folder: Path, name: str) -> None:
    written = export(unbroken, folder / f"{name}-export")
    rows = written.parity["formats"]
    assert rows.keys() == {"stablehlo", "onnx", "safetensors"}
    for engine in ("jax", "onnx"):
        again = Exported(written.path, engine=engine).evaluate(small_runs.small(name)["data"])
        assert again["weights_sha256"] == unbroken.result["weights_sha256"]
        for figure, value in unbroken.result["test"].items():
            assert again[figure] == pytest.approx(value, rel=1e-4)  # sums in another order


def test_one_compilation_for_each_size_of_examples(
    unbroken: TrainedRun, words: small_runs.Listening
) -> None:
    assert unbroken.result["compilations"] == small_runs.SIZES.get(unbroken.recipe_name, 1)
    assert len(unbroken.result.get("sizes", [1])) == unbroken.result["compilations"]
    assert len(words.at_line) == 5
    assert words.at_line[0] > 0  # the listener does notice compilations
    after_first_evaluation = words.at_line[1:]
    assert len(set(after_first_evaluation)) == 1


@pytest.mark.parametrize("name", ONE, indirect=True)
def test_prefetching_leaves_the_bits_alone(unbroken: TrainedRun, name: str, folder: Path) -> None:
    how = Options(gear="streaming", chunk=1, prefetch=4, report=False)
    ahead = small_runs.train(name, folder / f"{name}-ahead", how, **THOROUGH[name])
    small_runs.assert_same_run(ahead, unbroken)


@pytest.mark.parametrize("name", NAMES, indirect=True)
def test_gear_chunks_and_a_stop_in_mid_epoch_leave_the_bits_alone(
    unbroken: TrainedRun, name: str, folder: Path
) -> None:
    run = folder / f"{name}-stopped"
    how = Options(gear="streaming", chunk=1, report=False)
    with pytest.raises(Stopped) as stopped:
        # Every step asks but those that end a row: 1 to 4, 6 to 9, 11, 12, and 13, the eleventh.
        words = small_runs.Interrupting(after=11, by=ASKING[name])
        small_runs.train(name, run, how, words=words, **THOROUGH[name])
    assert stopped.value.signal == ASKING[name]
    assert int(small_runs.saved(run)["step"]) == 13
    assert [row["step"] for row in small_runs.figures(run)][-1] == 10
    how = Options(gear="streaming", chunk=7, prefetch=0, report=False)
    resumed = small_runs.train(name, run, how, **THOROUGH[name])
    assert resumed.result["attempts"] == 2
    small_runs.assert_same_run(resumed, unbroken)


def kill_one_of_two(name: str, folder: Path, seeds: int) -> None:
    """Trains twice in processes of their own, kills one in mid-epoch, resumes and compares.

    They are compiled as a user's are, and the killed one goes on in the other gear and chunk.
    """
    # 42 steps of ten an epoch; a checkpoint after every third at the latest, a row every seven.
    durations = {"epochs": 4.2, "log_every": 0.7}
    fields = small_runs.flags(small_runs.small(name) | THOROUGH[name] | durations)
    options = [*fields, "--save-every", "0", "--no-report", "--seeds", str(seeds)]
    gears = small_runs.GEARS.get(name, "resident"), "streaming"
    first, other = (
        ["--gear", gear, "--chunk", str(n)] for gear, n in zip(gears, (3, 7), strict=True)
    )
    how: dict[str, Any] = {
        "cwd": folder,
        "env": {**os.environ, "PYTHONUNBUFFERED": "1", "XLA_FLAGS": ""}
        | {"JAX_ENABLE_COMPILATION_CACHE": "false"},  # each compiles by itself
        "stdout": subprocess.PIPE,
        "text": True,
    }
    options += ["--run", "killed"]
    killed, again = (small_runs.command("train", name, *options, *g) for g in (first, other))
    whole = small_runs.command("train", name, *options[:-1], "whole", *first)
    with subprocess.Popen(killed, **how) as process, subprocess.Popen(whole, **how) as beside:
        assert process.stdout is not None
        guard = threading.Timer(120, process.terminate)
        guard.start()
        reached = any(line.startswith("Epoch 2.1:") for line in process.stdout)
        process.kill()
        guard.cancel()
        assert "Resuming" not in beside.communicate()[0]
    assert reached
    assert process.returncode == -signal.SIGKILL
    assert beside.returncode == 0
    newest = Checkpoints(folder / "killed" / "checkpoints").steps()[-1]
    assert 10 <= newest < 42
    ended = subprocess.run(again, check=True, **how)
    assert f"Resuming at step {newest} of 42." in ended.stdout
    small_runs.assert_same_run(TrainedRun(folder / "killed"), TrainedRun(folder / "whole"))


@pytest.mark.parametrize("name", GEARED, indirect=True)
def test_resuming_is_bitwise_after_a_kill_in_mid_epoch(name: str, tmp_path: Path) -> None:
    kill_one_of_two(name, tmp_path, seeds=1)


@pytest.mark.parametrize("name", ONE, indirect=True)
def test_resuming_several_seeds_is_bitwise_after_a_kill(name: str, tmp_path: Path) -> None:
    kill_one_of_two(name, tmp_path, seeds=2)


@pytest.fixture(scope="module")
def two_seeds(name: str, folder: Path, small_data: None) -> TrainedRun:
    """Two models at once, the first of them with the seed of the unbroken run."""
    how = Options(gear=small_runs.GEARS.get(name, "resident"), chunk=64, report=False)
    return small_runs.train(name, folder / f"{name}-seeds", how, seeds=2, **THOROUGH[name])


@pytest.mark.parametrize("name", NAMES, indirect=True)
def test_each_of_several_seeds_is_the_model_that_it_would_be_alone(
    unbroken: TrainedRun, two_seeds: TrainedRun
) -> None:
    alone, both = small_runs.saved(unbroken.path), small_runs.saved(two_seeds.path)
    assert both.keys() == alone.keys()
    for tensor, array in alone.items():
        if tensor != "step":  # 25 steps; another program may round otherwise
            assert both[tensor].shape == (2, *array.shape)
            np.testing.assert_allclose(both[tensor][0], array, 1e-5, 1e-5, err_msg=tensor)
    rows = [row for row in small_runs.figures(two_seeds.path) if row.pop("seed") == 0]
    for ours, theirs in zip(rows, small_runs.figures(unbroken.path), strict=True):
        assert ours.pop("split") == theirs.pop("split")
        assert ours == pytest.approx(theirs, rel=1e-5)
    first, second = two_seeds.result["seeds"]
    assert first["test"] == pytest.approx(unbroken.result["test"], rel=1e-5)
    assert first["weights_sha256"] != second["weights_sha256"]
    assert two_seeds.result["compilations"] == unbroken.result["compilations"]


@pytest.mark.parametrize("name", ONE, indirect=True)
def test_gears_and_a_stop_leave_the_bits_of_several_seeds_alone(
    two_seeds: TrainedRun, name: str, folder: Path
) -> None:
    run, how = folder / f"{name}-seeds-stopped", Options(gear="streaming", chunk=1, report=False)
    fields: dict[str, Any] = {"seeds": 2, **THOROUGH[name]}
    with pytest.raises(Stopped):
        small_runs.train(name, run, how, words=small_runs.Interrupting(after=11), **fields)
    assert int(small_runs.saved(run)["step"]) == 13
    how = Options(gear="streaming", chunk=7, prefetch=0, report=False)
    small_runs.assert_same_run(small_runs.train(name, run, how, **fields), two_seeds)


@pytest.mark.parametrize("name", NAMES, indirect=True)
def test_eight_devices_compute_what_one_does(unbroken: TrainedRun, name: str, folder: Path) -> None:
    how = Options(mesh="data=8", report=False)
    spread = small_runs.train(name, folder / f"{name}-mesh", how, **THOROUGH[name])
    ours, theirs = small_runs.figures(spread.path), small_runs.figures(unbroken.path)
    # The sums over a batch are added up in another order. Rounding is 1e-7 of numbers near 1; the
    # 25 steps hardly amplify it, and a wrong mean or draw is off by more than a hundred times that.
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine.pop("split") == yours.pop("split")
        assert mine == pytest.approx(yours, rel=1e-5)
    spread_arrays, arrays = small_runs.saved(spread.path), small_runs.saved(unbroken.path)
    for tensor, array in arrays.items():
        other = spread_arrays[tensor]
        np.testing.assert_allclose(other, array, rtol=1e-5, atol=1e-5, err_msg=tensor)


def test_eight_examples_are_learnt_by_heart_with_every_parameter(name: str, folder: Path) -> None:
    run = folder / f"{name}-overfit"
    fields = PLAIN[name] | {"overfit": 8, "batch_size": 8, "epochs": 4.0}
    trained = small_runs.train(name, run, **fields)
    assert trained.result["test"]["examples"] == 8
    assert trained.result["test"]["accuracy"] == 1.0
    assert trained.result["test"]["loss"] < 0.05  # guessing among ten classes gives 2.3
    order = small_runs.order(name, run, **fields).resolved()
    build = functools.partial(order.recipe.module.model, order.config, trained.signature)
    fresh = create_state(build, order.seed, optax.identity())
    before = weights.flatten({"params": fresh.params})
    after = trained.arrays()
    assert before.keys() == {tensor for tensor in after if tensor.startswith("params.")}
    unchanged = [tensor for tensor in before if (np.asarray(before[tensor]) == after[tensor]).all()]
    assert unchanged == []


def recording(config: Any, reads: set[str]) -> Any:
    """Returns a config that notes which of its fields are read."""
    kind = type(config)

    def read(self: Any, field: str) -> Any:
        reads.add(field)
        return object.__getattribute__(self, field)

    recorder = type("Recording", (kind,), {"__getattribute__": read})
    made = recorder(
        **{field.name: getattr(config, field.name) for field in dataclasses.fields(kind)}
    )
    reads.clear()
    return made


class Traced(Exception):
    """Is raised in the place of a compilation."""


def trace(self: loop.TrainChunk, state: State, inputs: Mapping[str, Any]) -> NoReturn:
    """Does what comes before a compilation, and ends there."""
    jax.jit(self._many).trace(state, inputs)
    raise Traced


def test_every_field_of_the_config_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All fields are read before a training step is compiled: when it is traced at the latest.
    monkeypatch.setattr(loop.TrainChunk, "_compile", trace)
    recipe, reads = recipes.load(name), set()
    fields = {field.name for field in dataclasses.fields(recipe.module.Config)}
    ways = ({}, small_runs.ALTERNATIVE[name])
    for preset, way in itertools.product(recipe.module.PRESETS, ways):
        order = small_runs.order(name, tmp_path, preset=preset, **way).resolved()
        config = recording(order.config, seen := set())
        splits = recipe.module.data(config)
        run = Run(
            directory=RunDirectory(tmp_path),
            identity=order.identity(splits),
            signature=recipe.module.signature(config, splits),
            options=Options(),
            clock=Clock(),
            words=Words(quiet=True),
            splits=splits,
            schedule=Schedule(config, len(splits.train)),
        )
        with pytest.raises(Traced):
            recipe.module.train(config, run)
        run.close()
        reads |= seen
        if fields <= reads:
            break
    assert fields - reads == set()


def test_the_commands_in_the_docstring_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[TrainRequest] = []
    monkeypatch.setattr(train, "execute", lambda request, *_: requests.append(request))
    lines = [line.strip() for line in (recipes.load(name).module.__doc__ or "").splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("flaxmill ")]
    assert ["flaxmill", "train", name] in commands
    for _, command, *arguments in commands:
        assert command == "train"
        cli.train(arguments)
    assert {request.recipe.name for request in requests} == {name}
    presets = {request.preset for request in requests}
    assert presets <= set(recipes.load(name).module.PRESETS)


def test_every_recipe_has_all_parts_in_their_order(name: str) -> None:
    text = recipes.load(name).text
    starts = (rf"^(class {part}:|def {part}\(|{part} =)" for part in recipes.PARTS)
    matches = [re.search(start, text, re.MULTILINE) for start in starts]
    places = [match.start() for match in matches if match]
    assert len(places) == len(recipes.PARTS)
    assert places == sorted(places)
    assert recipes.headline(recipes.text(name))
