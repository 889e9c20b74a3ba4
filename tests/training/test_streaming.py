"""Runs on pictures that are read from files while they train."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
from PIL import Image

from flaxmill.data.batches import Gear
from flaxmill.data.folder import pictures as own_pictures
from flaxmill.data.prepare import Preparation, prepare
from flaxmill.data.source import known_labels
from flaxmill.errors import Stopped, Unreadable
from flaxmill.export.int8 import _Examples
from flaxmill.machine.progress import Words
from flaxmill.report.look import draw
from flaxmill.trained.run import TrainedRun
from flaxmill.training.log import UNREADABLE, read_rows
from flaxmill.training.options import Options

FIELDS: dict[str, Any] = {"validation": 0.2, "epochs": 2.6, "batch_size": 6, "log_every": 1.0}
SPLIT: dict[str, Any] = {"validation": 0.2, "test": 0.2, "size": 28, "channels": 1}
EACH, CLASSES = 30, ("ant", "bee", "cat")
TRAIN, HELD_OUT = 57, 18  # pictures for training, and for each of validation and test
ONE = {"gear": "streaming", "readers": 1, "prefetch": 0, "report": False}
MANY = {"gear": "streaming", "readers": 3, "prefetch": 4, "chunk": 2, "report": False}


class Acting(Words):
    """Does something when the run asks for the n-th time whether to show figures."""

    def __init__(self, after: int, act: Callable[[], None]) -> None:
        super().__init__(quiet=True)
        self.left, self.act = after, act
        self.said: list[str] = []

    def due(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.act()
        return False

    def say(self, text: str) -> None:
        self.said.append(text)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Path:
    """The recipe fashion_mnist with pictures of one's own."""
    return small_runs.fork(
        folder / "own.py",
        (
            "from flaxmill.data.known.clothing import clothing",
            "from flaxmill.data.folder import pictures",
        ),
        (
            "return clothing(config.data, validation=config.validation, overfit=config.overfit)",
            f"return pictures(config.data, overfit=config.overfit, **{SPLIT})",
        ),
    )


@pytest.fixture(scope="module")
def pictures(folder: Path) -> Path:
    """A folder of class folders: ninety small pictures of several sizes."""
    random = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(EACH):
            side = random.integers(20, 40, 2)
            grey = random.integers(0, 80, side) + 80 * number
            place = folder / "pictures" / name / f"{index}.png"
            Image.fromarray(grey.astype(np.uint8)).save(place)
    return folder / "pictures"


@pytest.fixture
def damaged(pictures: Path, tmp_path: Path) -> Iterator[Path]:
    """The same folder, in which some of the pictures are none."""
    copy = tmp_path / "damaged"
    shutil.copytree(pictures, copy)
    for name in CLASSES:
        for index in (3, 4, 17):
            (copy / name / f"{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n, or not")
    yield copy


def train(recipe: Path, run: Path, data: Path, how: dict[str, Any], **more: Any) -> TrainedRun:
    return small_runs.train(str(recipe), run, Options(**how), data=str(data), **FIELDS, **more)


@pytest.fixture(scope="module")
def unbroken(recipe: Path, pictures: Path, folder: Path) -> TrainedRun:
    return train(recipe, folder / "unbroken", pictures, ONE)


def test_a_run_on_files_says_where_its_time_went(unbroken: TrainedRun) -> None:
    rows = [row for row in read_rows(unbroken.path / "metrics.jsonl") if row["split"] == "train"]
    assert all(0 <= row["idle"] <= 1 for row in rows)
    seconds = unbroken.result["seconds"]
    assert 0 < seconds["waiting"] <= seconds["train"]  # nothing is read ahead
    assert unbroken.result["test"]["examples"] == HELD_OUT
    assert "unreadable" not in unbroken.result


def test_readers_and_a_stop_in_mid_epoch_leave_the_bits_alone(
    unbroken: TrainedRun, recipe: Path, pictures: Path, folder: Path
) -> None:
    with pytest.raises(Stopped):
        train(recipe, folder / "stopped", pictures, MANY, words=Acting(6, stop))
    step = int(small_runs.saved(folder / "stopped")["step"])
    assert 0 < step < unbroken.result["step"]
    resumed = train(recipe, folder / "stopped", pictures, {**MANY, "readers": 2, "chunk": 64})
    assert resumed.result["attempts"] == 2
    small_runs.assert_same_run(resumed, unbroken)


def test_prepared_pictures_train_the_same_model(
    unbroken: TrainedRun, recipe: Path, pictures: Path, folder: Path
) -> None:
    prepared = folder / "ready"
    prepare(str(pictures), prepared, Preparation(**SPLIT))
    assert Gear().choose(own_pictures(str(prepared), **SPLIT).train).name == "resident"
    resident = train(recipe, folder / "prepared", prepared, {"report": False})
    small_runs.assert_same_run(resident, unbroken)
    streamed = train(recipe, folder / "streamed", prepared, MANY)
    small_runs.assert_same_run(streamed, unbroken)


def test_unreadable_pictures_end_a_run_that_was_not_told_to_skip_them(
    recipe: Path, damaged: Path, tmp_path: Path
) -> None:
    words = (
        rf"{damaged}/\w+/\d+\.png is .*nothing was saved yet.* Or give --skip-unreadable too\. "
        r"Pictures that were changed are other data, which takes a run of its own\."
    )
    with pytest.raises(Unreadable, match=words):
        train(recipe, tmp_path / "run", damaged, ONE)


def test_skipping_unreadable_pictures_depends_on_nothing_but_the_data(
    recipe: Path, damaged: Path, tmp_path: Path
) -> None:
    words = Acting(0, stop)
    one = train(recipe, tmp_path / "one", damaged, ONE | {"skip_unreadable": True}, words=words)
    skip = MANY | {"skip_unreadable": True}
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "many", damaged, skip, words=Acting(6, stop))
    many = train(recipe, tmp_path / "many", damaged, skip)
    small_runs.assert_same_run(one, many)
    assert one.result["unreadable"] == many.result["unreadable"]

    reasons = [row["why"] for row in one.rows if row["split"] == UNREADABLE]
    assert len(set(reasons)) == len(reasons) == one.result["unreadable"]["count"] == 9
    assert one.result["unreadable"]["first"] == reasons
    assert all(str(damaged) in why for why in reasons)
    assert [text for text in words.said if text.startswith("Skipped: ")] == [
        f"Skipped: {why}" for why in reasons
    ]
    tested = own_pictures(str(damaged), **SPLIT).test.files
    bad = [file for file in tested if file.name in ("3.png", "4.png", "17.png")]
    assert len(bad) > 0
    assert one.result["test"]["examples"] == HELD_OUT - len(bad)
    assert one.evaluate()["examples"] == HELD_OUT - len(bad)
    assert one.evaluate()["accuracy"] == one.result["test"]["accuracy"]

    # Whatever reads the training examples later passes over the same ones, as training did.
    splits = one.splits()
    every = splits.train.take(np.arange(len(splits.train)))
    labels = known_labels(splits.train)
    assert labels is not None
    assert len(every["image"]) == len(splits.train) == len(labels)
    assert draw(str(one.path), augmented=True, recipe=str(recipe)).path.exists()
    assert draw(str(one.path), recipe=str(recipe)).path.exists()
    calibration = _Examples(splits.train, one.signature)
    batches = list(iter(calibration.get_next, None))
    assert sum(len(batch["image"]) for batch in batches) == len(every["image"])


def test_a_picture_that_vanishes_while_training_ends_the_run_with_its_state_kept(
    recipe: Path, pictures: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "vanishing"
    shutil.copytree(pictures, copy)

    def delete() -> None:
        for name in CLASSES:
            shutil.rmtree(copy / name)

    words = r"vanishing/\w+/\d+\.png is gone: .* As for this run: step \d+ is saved in .*run, and"
    with pytest.raises(Unreadable, match=words):
        how = ONE | {"save_every": 0.0, "chunk": 1}
        train(recipe, tmp_path / "run", copy, how, words=Acting(6, delete))
    shutil.copytree(pictures, copy, dirs_exist_ok=True)
    finished = train(recipe, tmp_path / "run", copy, ONE)
    assert finished.result["attempts"] == 2
