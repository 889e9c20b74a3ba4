"""A run while it trains: what it writes when, what it is stopped by, and what it adds up."""

import dataclasses
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs

from flaxmill.data.known import real_or_drawn
from flaxmill.data.known.published import DATA_SETS, FASHION_MNIST
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, Stopped
from flaxmill.trained.run import TrainedRun
from flaxmill.training.log import read_rows
from flaxmill.training.options import Options

pytestmark = pytest.mark.usefixtures("small_data")
SAVE = "run.save_if_due(chunk.stop, state)"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("label_smoothing", 1.5, "--label-smoothing 1.5 must be"),  # the loss alone knows
        ("ema", 99.0, "--ema 99.0 must be from 0 up to, but not, 1."),
        ("ema", float("nan"), "--ema nan must be"),
    ],
)
def test_what_is_refused_on_the_way_leaves_nothing(
    field: str, value: float, words: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fields: dict[str, Any] = {field: value}
    with pytest.raises(BadInput, match=words):
        small_runs.train("fashion_mnist", run, **fields)
    assert not run.exists()
    small_runs.train("fashion_mnist", run, epochs=0.5)  # the corrected command


def test_an_average_is_asked_for_in_both_places(tmp_path: Path) -> None:
    fork = small_runs.fork(tmp_path / "mine.py", ("model_state, ema=config.ema)", "model_state)"))
    with pytest.raises(BadInput, match=r"create_state and State\.after the same ema"):
        small_runs.train(str(fork), tmp_path / "run", ema=0.9)


def test_a_signal_during_the_last_save_stops_the_run(tmp_path: Path) -> None:
    asks = (
        "if chunk.stop == schedule.steps:\n"
        "            wait, times = run.checkpoints.wait, []\n"
        "            def waiting():\n"
        "                times.append(len(times))\n"
        "                if times[-1] == 1:  # the second wait: the last save is under way\n"
        "                    run.asked.handle(15)\n"
        "                wait()\n"
        "            run.checkpoints.wait = waiting\n"
        f"        {SAVE}"
    )
    fork = small_runs.fork(tmp_path / "mine.py", (SAVE, asks))
    with pytest.raises(Stopped, match=r"step 5 is saved in .*run, and the same command") as stopped:
        small_runs.train(str(fork), tmp_path / "run", epochs=0.5)
    assert stopped.value.signal == signal.SIGTERM
    assert not (tmp_path / "run" / "result.json").exists()
    resumed = small_runs.train(str(fork), tmp_path / "run", epochs=0.5)
    assert (resumed.result["step"], resumed.result["attempts"]) == (5, 2)
    assert resumed.result["compilations"] == 1  # of both attempts: the second had nothing to train


def test_a_loop_may_log_under_names_of_its_own(tmp_path: Path) -> None:
    own = f'run.log("noisy", chunk.stop, evaluate(state, splits.train))\n        {SAVE}'
    fork = small_runs.fork(tmp_path / "mine.py", (SAVE, own))
    run = small_runs.train(str(fork), tmp_path / "run", epochs=0.5)
    rows = [row for row in read_rows(run.path / "metrics.jsonl") if row["split"] == "noisy"]
    assert rows[-1]["step"] == 5
    assert rows[-1]["examples_per_second"] > 0


def test_a_metric_may_be_called_value(tmp_path: Path) -> None:
    line = 'class_measures(logits, batch["label"], label_smoothing=label_smoothing)'
    both = (line, f'(found := {line}) | {{"value": found["loss"]}}')
    plain = 'class_measures(model(batch["image"]), batch["label"])'
    named = (plain, f'(found := {plain}) | {{"value": found["loss"]}}')
    stops = (
        SAVE,
        f"run.asked.handle(15) if chunk.stop == 3 and not run.step else None\n        {SAVE}",
    )
    fork = small_runs.fork(tmp_path / "mine.py", both, named, stops)
    how: dict[str, Any] = {"epochs": 0.5, "log_every": 1.0}
    with pytest.raises(Stopped):
        small_runs.train(str(fork), tmp_path / "run", Options(chunk=1, report=False), **how)
    resumed = small_runs.train(str(fork), tmp_path / "run", **how)
    (row,) = [row for row in small_runs.figures(resumed.path) if row["split"] == "train"]
    assert row["value"] == row["loss"]


def test_a_trained_run_goes_with_the_data_that_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_runs.train("fashion_mnist", tmp_path / "run", epochs=0.5)
    assert run.evaluate()["examples"] == small_runs.TEST
    monkeypatch.setattr(real_or_drawn, "TEST", small_runs.TEST + 1)
    real_or_drawn._drawn.cache_clear()
    with pytest.raises(BadInput, match=r"was trained on drawn garments .* has other content"):
        TrainedRun(run.path).evaluate()
    assert TrainedRun(run.path).evaluate("sketches")["examples"] == small_runs.TEST + 1
    real_or_drawn._drawn.cache_clear()


def test_auto_stays_what_it_came_to(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", dataclasses.replace(FASHION_MNIST, mirrors=()))
    run = small_runs.train("fashion_mnist", empty_machine / "run", epochs=0.5, data="auto")
    expected = run.evaluate()

    def real(*_: Any, **__: Any) -> Splits:
        raise AssertionError("the run was trained on drawn pictures")

    monkeypatch.setattr(real_or_drawn, "_real", real)  # by now, they could be had
    monkeypatch.setattr(real_or_drawn, "_locate", lambda *_: empty_machine)
    assert TrainedRun(run.path).evaluate() == expected


def test_arrays_are_told_apart_from_batches(tmp_path: Path) -> None:
    run = small_runs.train("fashion_mnist", tmp_path / "run", epochs=0.5)
    pictures = run.splits().test.take(np.arange(3))["image"]
    expected = run.predict(pictures)
    assert len(expected) == 3
    assert run.predict(pictures[..., 0]) == expected  # grey, without its channel
    assert run.predict(list(pictures)) == expected
    (one,) = run.predict(pictures[0])
    assert run.predict(pictures[0, ..., 0]) == [one]
    (prediction,), (reference,) = one["predictions"], expected[0]["predictions"]
    assert prediction["label"] == reference["label"]
    # A processor may add up a product of one row in another order: a few units in the last place.
    assert prediction["probability"] == pytest.approx(reference["probability"], rel=1e-6)
    with pytest.raises(BadInput, match="given no pictures"):
        run.predict([])
