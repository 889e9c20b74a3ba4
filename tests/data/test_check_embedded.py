"""`flaxmill check` of pictures that lie in arrays, or that a recipe gives."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import small_runs
from commands import command
from picture_files import photo, photographs

from flaxmill.commands.check import checked_data
from flaxmill.data.check import check

pytestmark = pytest.mark.usefixtures("cache")


def test_arrays_are_checked_as_files_are(tmp_path: Path, cache: Path) -> None:
    pictures = np.stack([np.asarray(photo(seed, 32, 32)) for seed in range(24)])
    labels = np.arange(24) % 2
    pictures[7], pictures[9] = pictures[4], pictures[3]
    np.savez(tmp_path / "set.npz", images=pictures, labels=labels)
    checked = check(tmp_path / "set.npz")
    findings = {finding.kind: finding for finding in checked.findings}
    assert findings["contradiction"].names == ("train 4", "train 7")
    assert findings["duplicate"].names == ("train 3", "train 9")
    assert checked.facts.counts() == {"train": {"0": 12, "1": 12}}
    assert checked.kinds() == {"RGB": 24}
    assert not cache.exists()


def test_the_data_of_a_recipe_is_checked(
    small_data: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edits = [
        (f"{field} = {old}  #", f"{field} = {new}  #")
        for field, old, new in (
            ("data: str", '"fashion-mnist"', '"sketches"'),
            ("validation: int | float", "5000", "40"),
        )
    ]
    file = small_runs.fork(tmp_path / "mine.py", *edits)
    sheet = tmp_path / "odd.png"
    status, output, _ = command(capsys, "check", str(file), "--sheet", str(sheet))
    assert status == 0
    assert "mine.py: 240 pictures; 240 read now" in output
    assert "train       160 pictures in 10 classes" in output
    assert "Ankle boot 4" in output
    assert sheet.exists()


def test_a_recipe_is_checked_by_its_files_and_not_by_what_its_network_gets(
    tmp_path: Path,
) -> None:
    folder = photographs(tmp_path / "my pictures")
    shutil.copy(folder / "train" / "개" / "사진 1.png", folder / "val" / "개" / "copy.png")
    edits = [('data: str = "photos"', f"data: str = {str(folder)!r}")]
    file = small_runs.fork(tmp_path / "mine.py", *edits, recipe="images")
    kinds = {finding.kind for finding in checked_data(file).findings}
    assert "leak" in kinds and "small" not in kinds
