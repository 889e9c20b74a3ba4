"""Sheets of a run's answers: chosen by class, split and being wrong, with their files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest
from matplotlib.figure import Figure

from flaxmill import recipes
from flaxmill.commands import cli
from flaxmill.data.folder import pictures
from flaxmill.data.source import Arrays, Splits, View
from flaxmill.errors import BadInput
from flaxmill.report import answered, look
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.trained.run import TrainedRun
from flaxmill.training.evaluation import joined

NAMES = ("cat", "deer", "frog")


class Saying(TrainedRun):
    """A run that says cat of dark pictures and deer of bright ones, the surer the further."""

    def __init__(self, splits: Splits) -> None:
        self.signature = picture_signature("saying", splits)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(inputs), len(self.signature.labels)))
        logits[:, 1] = inputs.mean((1, 2, 3)) - 127.5
        return logits - np.array([0] * 2 + [200] * (logits.shape[1] - 2))

    def scored(self, source: Any, model: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(source), 7):
            found = source.take(np.arange(start, min(start + 7, len(source))))
            yield self.outputs(found["image"]), found["label"]


def splits(several: bool = False) -> Splits:
    """60 pictures, ever brighter; every third is labelled cat, deer, frog."""
    label: Any = np.arange(60, dtype=np.int32) % 3
    label = np.eye(3, dtype=np.float32)[label] if several else label
    image = np.broadcast_to((4 * np.arange(60))[:, None, None, None], (60, 8, 8, 3))
    test = Arrays({"image": image.astype(np.uint8), "label": label})
    few = View(test, 6, lambda indices: indices)
    return Splits(
        "drawn", test, few, test, labels=NAMES, gives="labels" if several else "one_class"
    )


def drawn(path: Path, given: Splits | None = None, **which: Any) -> tuple[list[str], list[int]]:
    """Returns the captions of a sheet, and which of the 60 pictures it shows."""
    given = given or splits()
    made = answered.draw(Saying(given), given, path / "sheet.png", **which)
    panels = [panel for panel in made.figure.axes if panel.images]
    brightness = [np.asarray(panel.images[0].get_array()).mean() for panel in panels]
    return [panel.get_xlabel() for panel in panels], [round(value / 4) for value in brightness]


def test_wrong_answers_come_surest_first(tmp_path: Path) -> None:
    captions, shown = drawn(tmp_path, wrong=True)
    logits, labels = joined(Saying(splits()).scored(splits().test))
    margin = np.abs(logits[:, 1] - logits[:, 0])
    wrong = np.flatnonzero(logits.argmax(-1) != labels)
    assert shown == wrong[np.argsort(-margin[wrong], kind="stable")][:25].tolist()
    assert len(shown) == 25 < len(wrong)
    assert all(caption.startswith("said ") for caption in captions)
    given = splits()
    made = answered.draw(Saying(given), given, tmp_path / "sheet.png", wrong=True)
    assert made.words == f"{len(wrong)} of 60 test examples wrong, the surest 25 first."


@pytest.mark.parametrize("several", [False, True])
def test_classes_can_be_chosen(several: bool, tmp_path: Path) -> None:
    _, shown = drawn(tmp_path, splits(several), classes=["frog"])
    assert sorted(shown) == list(range(2, 60, 3))
    _, shown = drawn(tmp_path, splits(several), classes=["cat", "deer"], wrong=True)
    assert shown and not {index % 3 for index in shown} & {2}


def test_a_split_can_be_chosen(tmp_path: Path) -> None:
    _, shown = drawn(tmp_path, split="validation")
    assert sorted(shown) == list(range(6))
    given = splits()
    with pytest.raises(BadInput, match="no split is called 'valid'"):
        answered.draw(Saying(given), given, tmp_path / "sheet.png", split="valid")


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--class 'dear': no class is called so. Did you mean 'dee"):
        drawn(tmp_path, classes=["dear"])
    many = replace(splits(), labels=tuple(f"class {i}" for i in range(1000)))
    with pytest.raises(BadInput, match=r"'class 19' and 980 more\.$") as refused:
        drawn(tmp_path, many, classes=["?"])
    assert len(str(refused.value)) < 400
    nothing = replace(splits(), validation=View(splits().test, 0, lambda indices: indices))
    for wrong in (False, True):
        with pytest.raises(BadInput, match=r"the split validation has no examples"):
            drawn(tmp_path, nothing, split="validation", wrong=wrong)
    right = replace(splits(), test=View(splits().test, 1, lambda indices: indices))
    with pytest.raises(BadInput, match=r"every answer to the test examples of 'cat' is right"):
        drawn(tmp_path, right, classes=["cat"], wrong=True)


def test_wrong_answers_name_their_files(tmp_path: Path) -> None:
    picture_files.classes(tmp_path / "photos", {"ants": 8, "bees": 8})
    given = pictures(str(tmp_path / "photos"), size=8, test=0.5)
    made = answered.draw(Saying(given), given, tmp_path / "sheet.png", wrong=True)
    first, *named = made.words.splitlines()
    assert first.endswith("wrong, the surest first.")
    captions = [panel.get_xlabel() for panel in made.figure.axes if panel.images]
    assert named and len(named) == len(captions)
    for line, caption in zip(named, captions, strict=True):
        file, _, said = line.strip().partition(": ")
        assert (tmp_path / "photos" / file).is_file()
        assert said.split() == caption.split()[:-1] and caption.endswith(file)


def test_the_data_of_a_class_and_a_split_can_be_drawn(tmp_path: Path) -> None:
    recipe = recipes.load("cifar10")
    how: dict[str, Any] = {"classes": ["deer"], "split": "validation"}
    made = look.data(recipe, recipe.preset(), splits(), tmp_path / "sheet.png", **how)
    assert made.figure.get_suptitle() == "drawn: validation examples of 'deer'"
    assert [panel.get_xlabel() for panel in made.figure.axes if panel.images] == ["deer"] * 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("look cifar10 --wrong", "cifar10 is a recipe: leave --wrong out"),
        ("look cifar10 --augmented --wrong", "leave --wrong out"),
        ("look cifar10 --augmented --split test", "leave --split test out"),
    ],
)
def test_what_does_not_go_together_is_refused(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(typed.split())
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_command_takes_classes_and_a_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def draw(what: str, **how: Any) -> Any:
        asked.update(how, what=what)
        return look.Sheet(Figure(), tmp_path, "words")

    monkeypatch.setattr(look, "draw", draw)
    with pytest.raises(SystemExit):
        cli.main(["look", "run", "--wrong", "--class", "cat", "red ant", "--split", "train"])
    assert (asked["what"], asked["wrong"], asked["split"]) == ("run", True, "train")
    assert asked["classes"] == ("cat", "red ant")
