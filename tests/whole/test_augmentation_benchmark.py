"""What augmentation costs and is worth is published from what its benchmark prints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flaxmill.commands import cli
from flaxmill.commands.request import configure
from flaxmill.recipes import load
from flaxmill.training.options import training_arguments

MACHINE = {"processor": "one", "cores": 2}


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the scripts importable, as they are for each other."""
    folder = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_costs_have_a_table(benchmarks: Path) -> None:
    import table

    changes = {"erase": {"milliseconds": 1.234, "share_of_a_step": 0.00123}}
    row: dict[str, Any] = {"rounds": 3, "step_milliseconds": 1234.5, "machine": MACHINE}
    row |= {"changes": changes, "step_with_policy_to_without": 1.0123}
    page = table.page({"augmentation cost": row})
    assert "a step of a ResNet-18, which takes 1,234 ms" in page
    assert "With the whole policy, that step takes 1.2% longer." in page
    assert "| erase | 1.23 | 0.12% |" in page
    assert "Device" not in page
    device = {**row, "step_milliseconds": 6.21, "machine": {**MACHINE, "accelerator": "H1"}}
    page = table.page({"augmentation cost": row, "augmentation cost on an accelerator": device})
    assert "## What augmentation costs on an accelerator" in page
    assert "a step of a ResNet-18, which takes 6.2 ms." in page
    assert "took turns. Device: H1." in page
    row["step_with_policy_to_without"] = 0.99
    assert "that step took no longer (it took 1.0% less, by chance)" in table.page(
        {"augmentation cost": row}
    )


def test_worth_has_a_table(benchmarks: Path) -> None:
    import augmentation
    import table

    one: dict[str, Any] = {"train_accuracy": 0.987, "train_seconds": 60.4, "sd": 0.0021}
    cases = {name: {**one, "validation_accuracy": 0.7} for name in augmentation.WORTH}
    cases["… and CutMix"] = {**one, "validation_accuracy": 0.7125, "sd": None}
    row = {"seeds": 3, "examples": 5000, "options": "--epochs 9", "cases": cases}
    page = table.page({"augmentation worth": {**row, "machine": MACHINE}})
    assert "5,000 pictures of CIFAR-10 (`train cifar10 --epochs 9`), of 3 seeds" in page
    assert "| flip and shift | 70.00% ± 0.21 points | +0.00 | 98.7% | 60 |" in page
    assert "| … and CutMix | 71.25% | +1.25 | 98.7% | 60 |" in page
    assert "at the same time" not in page
    row["together"] = 8
    page = table.page({"augmentation worth": {**row, "machine": MACHINE}})
    assert "So many trained at the same time: 8." in page


def test_the_setting_is_one_of_the_recipe(benchmarks: Path) -> None:
    import augmentation

    recipe = load("cifar10")
    kind = training_arguments(recipe.module.Config)
    default = kind(config=configure(recipe, "quick", {}))
    cli._parse(kind, "train", augmentation.SETTING, default=default)


def test_a_case_trains_on_few_pictures_changed_as_it_says(benchmarks: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import augmentation; "
        "from flaxmill.data.known import real_or_drawn as known; "
        "known.TRAIN, known.TEST = 400, 40; "
        "augmentation.FEW = 60; augmentation.SETTING = sys.argv[3:]; "
        "augmentation.train_here('… and mixup or CutMix', 'sketches', 1, sys.argv[2])"
    )
    setting = "--validation 40 --epochs 1 --batch-size 20 --channels 4 4 4 --residual 0 0 0"
    command = [sys.executable, "-c", code, str(benchmarks), str(tmp_path / "run")]
    ended = subprocess.run([*command, *setting.split()], capture_output=True, text=True, check=True)
    assert "60 train" in ended.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["step"] == 3


def test_changes_are_timed_in_the_loop(benchmarks: Path) -> None:
    import augmentation

    trainings = {
        "mixup": augmentation.Training(augmentation.Mean, None, augmentation.MIXING["mixup"], 2)
    }
    (times,) = augmentation.turns(trainings, 2).values()
    assert len(times) == 4
    assert min(times) > 0
