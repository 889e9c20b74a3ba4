"""Checkpoints are whole or not there, and damage is noticed."""

import errno
import json
import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.training import checkpoint
from flaxmill.training.checkpoint import Checkpoints, best_step, check_saved
from flaxmill.training.integrity import Damaged, verify

ARRAYS: dict[str, np.ndarray] = {
    "params.dense.kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "step": np.array(7, np.int32),
    "average.0.scale": np.ones(5, np.float16),
}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Two checkpoints, of steps 5 and 7."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (5, 7):
        checkpoints.save(step, ARRAYS, {"seconds": {"total": 1.5}}, keep=set(), last=3)
    checkpoints.wait()
    return checkpoints


def test_what_is_restored_is_what_was_saved(checkpoints: Checkpoints) -> None:
    arrays, facts = checkpoints.restore(7)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert facts["step"] == 7
    assert facts["seconds"] == {"total": 1.5}


def test_the_last_ones_and_those_to_keep_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 7):
        checkpoints.save(step, ARRAYS, {}, keep={2}, last=2)
    checkpoints.wait()
    assert checkpoints.steps() == [2, 5, 6]


def test_every_file_is_watched(checkpoints: Checkpoints) -> None:
    folder = checkpoints.folder / "7"
    draw = random.Random(0)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size):
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        for damaged in (bytes(flipped), content[: draw.randrange(len(content))]):
            path.write_bytes(damaged)
            with pytest.raises(Damaged, match=path.name.replace(".", r"\.")):
                verify(folder)
        path.write_bytes(content)
        verify(folder)


def test_a_missing_or_added_file_is_noticed(checkpoints: Checkpoints) -> None:
    folder = checkpoints.folder / "7"
    (folder / "more").write_text("x")
    with pytest.raises(Damaged, match="more"):
        verify(folder)
    (folder / "more").unlink()
    (folder / "facts.json").unlink()
    with pytest.raises(Damaged, match=r"facts\.json is missing"):
        verify(folder)


def test_a_damaged_one_is_set_aside_and_the_one_before_is_used(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / "7" / "facts.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"step 7 is damaged: .*facts\.json is not as it was"):
        restored = checkpoints.restore_newest()
    assert restored is not None
    assert restored[1]["step"] == 5
    assert checkpoints.steps() == [5]
    assert (checkpoints.folder / "damaged-7").is_dir()


def test_what_a_kill_left_is_cleared(checkpoints: Checkpoints) -> None:
    left = checkpoints.folder / ".partial-9"
    left.mkdir()
    assert checkpoints.restore_newest() is not None
    assert not left.exists()


def test_nothing_saved_is_nothing_restored(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").restore_newest() is None


def test_a_failed_save_names_the_checkpoint_that_remains(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:  # a disk cannot be filled in a test without harm to others
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flaxmill.machine.files.write_json", full)
    checkpoints.save(9, ARRAYS, {}, keep=set(), last=3)
    with pytest.raises(CannotGoOn, match=r"No space left.*checkpoint of step 7 is kept"):
        checkpoints.wait()
    monkeypatch.undo()
    assert checkpoints.steps() == [5, 7]
    verify(checkpoints.folder / "7")


def test_a_disk_that_fills_is_told_in_one_line(
    checkpoints: Checkpoints, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    numbers = np.random.default_rng(0).standard_normal(100_000)  # nothing that packs well
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # fails where a full disk would
    try:
        checkpoints.save(9, {"weights": numbers}, {}, keep=set(), last=3)
        with pytest.raises(CannotGoOn, match=r"File too large|EFBIG") as failed:
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(failed.value)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert checkpoints.steps() == [5, 7]


@pytest.mark.parametrize("moment", ["_orbax", "encoded_rows", "seal"])
def test_a_save_does_not_make_a_renamed_directory_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, aside = tmp_path / "run", tmp_path / "aside"
    run.mkdir()
    checkpoints = Checkpoints(run / "checkpoints")
    ordinary = getattr(checkpoint, moment)

    def renamed(*given: Any) -> Any:
        run.rename(aside)
        return ordinary(*given)

    monkeypatch.setattr(checkpoint, moment, renamed)
    checkpoints.save(5, ARRAYS, {}, keep=set(), last=3)
    with pytest.raises(CannotGoOn, match="No such file"):
        checkpoints.wait()
    assert not run.exists()
    assert not Checkpoints(aside / "checkpoints").steps()


def test_the_best_step_is_that_of_the_highest_accuracy_and_the_first_of_equals() -> None:
    rows = [
        {"step": 1, "split": "validation", "accuracy": 0.5, "loss": 1.0},
        {"step": 2, "split": "validation", "accuracy": 0.7, "loss": 2.0},
        {"step": 3, "split": "validation", "accuracy": 0.7, "loss": 0.5},
        {"step": 4, "split": "test", "accuracy": 0.9, "loss": 0.1},
    ]
    assert best_step(rows) == 2
    without = [{k: v for k, v in row.items() if k != "accuracy"} for row in rows]
    assert best_step(without) == 3
    assert best_step(rows[3:]) is None


def test_a_step_that_is_not_kept_is_refused_with_those_that_are(checkpoints: Checkpoints) -> None:
    check_saved(checkpoints, 7, "final")
    with pytest.raises(
        BadInput, match=r"best checkpoint \(step 6\) is not there; kept are: 5, 7\. .*--fresh"
    ):
        check_saved(checkpoints, 6, "best")


def test_a_newer_format_is_no_damage(checkpoints: Checkpoints) -> None:
    listing = checkpoints.folder / "7" / "digests.json"
    listing.write_text(json.dumps(json.loads(listing.read_text()) | {"format": 99}))
    with pytest.raises(BadInput, match=r"7 has format 99; this flaxmill reads up to 1: install a"):
        checkpoints.restore_newest()
    assert checkpoints.steps() == [5, 7]


def test_folders_within_one_another_are_not_followed_for_ever(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / "7" / "arrays" / "/".join("d" * 30)).mkdir(parents=True)
    with pytest.raises(Damaged, match=r"cannot be read .* folders more than 20 deep"):
        verify(checkpoints.folder / "7")


def test_arrays_far_larger_than_their_files_are_not_read(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(9, {"zeros": np.zeros(2**22, np.float32)}, {}, keep=set(), last=3)
    checkpoints.wait()
    assert not checkpoints.restore(9)[0]["zeros"].any()
    monkeypatch.setattr("flaxmill.machine.files.UNPACKED_ANYWAY", 2**20)
    with pytest.raises(
        Damaged, match=r"arrays has [\d,]+ bytes and says that 16,777,216 are packed"
    ):
        checkpoints.restore(9)


def test_the_listing_of_digests_is_sealed(checkpoints: Checkpoints) -> None:
    listing = checkpoints.folder / "7" / "digests.json"
    content = json.loads(listing.read_text())
    name = next(iter(content["files"]))
    content["files"][name] = "0" * 64
    listing.write_text(json.dumps(content, indent=2, sort_keys=True))
    with pytest.raises(Damaged, match=r"digests\.json is not as it was written"):
        verify(checkpoints.folder / "7")


def test_what_a_newer_version_wrote_is_not_called_damaged(checkpoints: Checkpoints) -> None:
    listing = checkpoints.folder / "7" / "digests.json"
    listing.write_text(json.dumps({"format": 2, "files": {}, "seal": "of another kind"}))
    with pytest.raises(BadInput, match="has format 2; this flaxmill reads up to 1"):
        checkpoints.restore_newest()
    assert checkpoints.steps() == [5, 7]  # nothing was set aside
