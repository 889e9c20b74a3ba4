"""Sheets of augmented pictures show what a recipe does to examples, and to a batch of them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill import recipes
from flaxmill.data.source import Arrays, Splits, hold_out
from flaxmill.errors import BadInput
from flaxmill.recipes import cifar10
from flaxmill.report import look

NAMES = ("cat", "deer", "frog")


def splits() -> Splits:
    """Pictures of one colour each: 200, 100 and 0 times as bright as their class says."""
    label = np.arange(30, dtype=np.int32) % 3
    image = np.broadcast_to((200 - 100 * label)[:, None, None, None], (30, 8, 8, 3))
    train, nothing = hold_out(Arrays({"image": image.astype(np.uint8), "label": label}), 0)
    return Splits(title="drawn", train=train, validation=nothing, test=train, labels=NAMES)


def sheet(path: Path, **changes: Any) -> tuple[look.Sheet, list[list[Any]]]:
    """Draws what the recipe for CIFAR-10 does; returns its panels by rows too."""
    recipe = recipes.load("cifar10")
    config = replace(recipe.preset(), **changes)
    drawn = look.data(recipe, config, splits(), path, augmented=True)
    panels = drawn.figure.axes
    return drawn, [panels[row : row + 5] for row in range(0, 25, 5)]


def caption(panel: Any) -> str:
    return panel.xaxis.label.get_text()


def picture(panel: Any) -> np.ndarray:
    return np.asarray(panel.images[0].get_array())


def test_rows_show_an_example_as_stored_and_in_four_epochs(tmp_path: Path) -> None:
    grey = [round(255 * mean) for mean in cifar10.MEAN]
    drawn, rows = sheet(tmp_path / "sheet.png", cutout=4)
    assert drawn.path.stat().st_size > 10_000
    assert drawn.figure.get_suptitle() == "drawn: as stored, and in four epochs"
    for row in rows:
        assert caption(row[0]) in NAMES
        assert [caption(panel) for panel in row[1:]] == [f"epoch {n}" for n in (1, 2, 3, 4)]
        stored = picture(row[0])
        for panel in row[1:]:
            assert set(np.unique(picture(panel))) <= {*grey, stored.max()}  # the square has it


def test_where_a_recipe_mixes_captions_say_how_much_of_each_class_is_there(tmp_path: Path) -> None:
    drawn, rows = sheet(tmp_path / "sheet.png", mixup=1.0, cutmix=1.0)
    assert drawn.figure.get_suptitle() == "drawn: as stored, in two epochs, and mixed in two"
    several = 0
    for row in rows:
        assert [caption(panel) for panel in row[1:3]] == ["epoch 1", "epoch 2"]
        for panel in row[3:]:
            parts = re.findall(r"(\d+)% (\w+)", caption(panel))
            assert sum(int(share) for share, _ in parts) in (99, 100, 101)  # each is rounded
            brightness = sum(int(share) / 100 * (200 - 100 * NAMES.index(n)) for share, n in parts)
            assert abs(picture(panel).mean() - brightness) < 3
            several += len(parts) == 2
    assert several >= 4


def test_a_recipe_that_only_mixes_has_something_to_show(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"flip": False, "shift": 0, "cutout": 0}
    _, rows = sheet(tmp_path / "sheet.png", **plain, cutmix=1.0)
    assert (picture(rows[0][0]) == picture(rows[0][1])).all()
    with pytest.raises(BadInput, match=r"cifar10 trains without augmentation under this config\."):
        sheet(tmp_path / "sheet.png", **plain)
