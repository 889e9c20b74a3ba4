"""The recipe images as a person meets it: what is wrong with a folder is said, and what to do."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest
import small_runs
from commands import command, words

from flaxmill.errors import BadInput, Stopped
from flaxmill.machine.progress import Words
from flaxmill.recipes import imagenet, images
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.trained.run import TrainedRun
from flaxmill.training.options import Options

TINY: dict[str, Any] = {
    "stages": (1,),
    "width": 4,
    "size": 16,
    "network": "small",
    "epochs": 1.0,
    "batch_size": 8,
}
OPTIONS = small_runs.flags(TINY)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"train/cat": 9}, "there is one class only, 'cat': expected a folder for each of two"),
        ({"train/cat": 9, "train/dog": 9, "train/fox": 0}, "fox has no pictures"),
        (
            {"train/cat": 9, "train/dog": 9, "val/cat": 2, "val/fox": 2},
            "has the class 'fox', which",
        ),
        ({"train/cat": 2, "train/dog": 1}, "too few pictures to be divided, 3: every class keeps"),
    ],
)
def test_a_folder_that_nothing_can_be_learnt_from(
    counts: dict[str, int], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture_files.classes(tmp_path / "photos", counts)
    place = (
        tmp_path / "photos" if any("val" in name for name in counts) else tmp_path / "photos/train"
    )
    run = ["--run", str(tmp_path / "run")]
    status, _, error = command(capsys, "train", "images", "--data", str(place), *OPTIONS, *run)
    assert status == 2
    assert expected in words(error)
    assert not (tmp_path / "run").exists()


def test_resuming_a_run_that_began_with_given_weights_is_bitwise(tmp_path: Path) -> None:
    """Its head is trained alone at first, and its batch statistics stay as they were given."""
    pretrained = small_runs.train("images", tmp_path / "given", epochs=0.5)
    fields = {"optimizer": "sgd", "frozen": 0.6, "ema": 0.9}  # the rest from step 15 of 25 on
    how = {"init_from": pretrained.path, "report": False}
    whole = small_runs.train("images", tmp_path / "whole", Options(**how), **fields)
    stopping = small_runs.Interrupting(after=11)
    with pytest.raises(Stopped):
        run = tmp_path / "stopped"
        small_runs.train("images", run, Options(**how, chunk=1), words=stopping, **fields)
    assert int(small_runs.saved(run)["step"]) == 13
    resumed = small_runs.train("images", run, Options(**how), **fields)
    small_runs.assert_same_run(resumed, whole)
    before, after = pretrained.arrays(), whole.arrays()
    moved = {name for name, array in after.items() if (array != before[name]).any()}
    assert any("head" in name for name in moved)
    assert any("stem" in name for name in moved)
    assert not any(name.startswith("model_state.") for name in moved)


class Deleting(Words):
    """Takes a file away as soon as training is about to begin."""

    def __init__(self, file: Path) -> None:
        super().__init__(quiet=True)
        self.file = file

    def say(self, text: str) -> None:
        if text.startswith("Compiled"):
            self.file.unlink()


def test_a_file_that_goes_away_while_training_is_named_and_the_run_goes_on(tmp_path: Path) -> None:
    photos = tmp_path / "내 사진"
    picture_files.classes(photos, {"개 1": 30, "고양이": 30})
    config = images.Config(**TINY, data=str(photos))
    gone = Path(images.data(replace(config, white=255, fit="crop")).test.files[3])
    copy = shutil.copy(gone, tmp_path / "kept.png")
    fields = TINY | {"data": str(photos), "validation": 0.15}
    with pytest.raises(BadInput) as refused:
        small_runs.train("images", tmp_path / "run", words=Deleting(gone), **fields)
    message = str(refused.value)
    assert f"{gone} is gone: it was there when the pictures were listed. Put it back" in message
    shutil.copy(copy, gone)
    trained = small_runs.train("images", tmp_path / "run", **fields)
    assert trained.result["attempts"] == 2
    assert trained.signature.labels == ("개 1", "고양이")
    assert trained.predict(gone)[0]["predictions"][0]["label"] in trained.signature.labels


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run of a model of two labels, any number of which may hold, from a CSV file."""
    place = tmp_path_factory.mktemp("tagged")
    lines = ["path,labels"]
    for number in range(60):
        labels = [name for bit, name in ((1, "red"), (2, "blue")) if number & bit]
        colour = (200 * (number & 1), number, 100 * (number & 2))
        picture_files.save(place / f"{number}.png", (20, 16), colour)
        lines.append(f"{number}.png,{'|'.join(labels)}")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    fields: dict[str, Any] = TINY | {"data": str(place / "labels.csv"), "epochs": 12.0}
    fields |= {"colour": 0.0, "ema": 0.0, "dropout": 0.0, "validation": 0.2, "log_every": 1.0}
    fields |= {"learning_rate": 0.1, "evaluate_every": 6.0}
    return small_runs.train("images", place / "run", **fields)


def test_several_labels_are_learnt_from_a_table(tagged: TrainedRun) -> None:
    assert tagged.signature.gives == "labels"
    test = tagged.result["test"]
    assert test.keys() == {"loss", "accuracy", "exact", "f1", "examples"}
    assert test["accuracy"] > 0.8 and test["f1"] > 0.8  # flat colours; half would be a guess
    assert tagged.evaluate()["f1"] == test["f1"]


def test_several_labels_are_said_shown_and_exported(tagged: TrainedRun, tmp_path: Path) -> None:
    (answer,) = tagged.predict(np.full((16, 16, 3), (200, 5, 200), np.uint8), top=2)
    shares = {one["label"]: one["probability"] for one in answer["predictions"]}
    assert answer["labels"] == [name for name in shares if shares[name] > 0.5]
    page = tagged.report(tmp_path / "report.html").read_text("utf-8")
    assert "Label by label" in page and "<td>cifar: for 16×16 pixels" in page
    assert "test examples are right" in tagged.look(tmp_path / "look.png").words
    place = tagged.export(tmp_path / "export")
    card = (place / "README.md").read_text("utf-8")
    assert "It says for each of 2 labels whether it holds" in card
    assert "plain sigmoid of each logit, not calibrated: the" in card


def test_a_signature_says_how_pictures_are_fitted(tagged: TrainedRun) -> None:
    assert tagged.signature.preprocess["fit"] == "crop"
    assert "background" not in tagged.signature.preprocess  # photographs are never inverted
    splits = tagged.splits()
    dark = picture_signature("x", splits, fit="squash", dark_ground=True).preprocess
    assert dark["fit"] == "squash" and "share" not in dark and dark["background"].startswith("dark")


def test_imagenet_learns_one_class_of_each(tagged: TrainedRun) -> None:
    config = imagenet.Config(data=tagged.config.data, size=16, validation=0.2)
    with pytest.raises(BadInput, match="several labels a picture, and imagenet learns one class"):
        imagenet.data(config)
