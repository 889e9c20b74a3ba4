"""What tells one folder of pictures from any other, for resuming."""

import os
from pathlib import Path

import numpy as np
import pytest
from picture_files import classes

from flaxmill.data.listings.digests import digests, stamps
from flaxmill.data.listings.layouts import scan


def test_a_digest_tells_content_and_not_place(tmp_path: Path) -> None:
    first, second = (classes(tmp_path / name, {"ant": 2, "bee": 2}) for name in ("one", "two"))
    known = digests(scan(first))
    assert digests(scan(second)) == known
    assert stamps(scan(first)) == {}  # nothing is asked of what is read whole
    os.utime(second / "ant/0.png", (0, 0))
    assert digests(scan(second)) == known
    (second / "ant/0.png").write_bytes((second / "ant/1.png").read_bytes())
    assert digests(scan(second)) != known
    (second / "ant/0.png").write_bytes((first / "ant/0.png").read_bytes())
    assert digests(scan(second)) == known
    (second / "ant/0.png").rename(second / "bee/2.png")
    assert digests(scan(second)) != known


def test_the_digest_of_a_large_set_takes_sizes_and_some_beginnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path, {"ant": 3, "bee": 3})
    monkeypatch.setattr("flaxmill.data.listings.digests.WHOLE", 100)
    monkeypatch.setattr("flaxmill.data.listings.digests.SAMPLED", 2)  # the first and the fourth
    known, written = digests(scan(tmp_path)), stamps(scan(tmp_path))
    content = (tmp_path / "ant/1.png").read_bytes()
    (tmp_path / "ant/1.png").write_bytes(content[:-1] + b"!")
    os.utime(tmp_path / "ant/1.png", (0, 0))  # in case the clock of the files stood still
    assert digests(scan(tmp_path)) == known  # as its docstring says
    assert stamps(scan(tmp_path)) != written  # but it shows
    (tmp_path / "ant/1.png").write_bytes(content + b"!")
    assert digests(scan(tmp_path)) != known
    (tmp_path / "ant/1.png").write_bytes(content)
    (tmp_path / "ant/0.png").write_bytes(b"!" * (tmp_path / "ant/0.png").stat().st_size)
    assert digests(scan(tmp_path)) != known


def test_a_digest_tells_files_that_cannot_be_read(tmp_path: Path) -> None:
    listings = scan(classes(tmp_path, {"ant": 2, "bee": 2}))
    (tmp_path / "bee/0.png").unlink()
    gone = digests(listings)
    assert gone == digests(listings)
    (tmp_path / "bee/0.png").symlink_to("nowhere.png")
    assert gone == digests(scan(tmp_path))
    (tmp_path / "bee/0.png").unlink()
    (tmp_path / "bee/0.png").touch()
    assert gone != digests(listings)


def test_a_large_array_that_was_written_between_its_samples_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flaxmill.data.listings.numpy_files.WHOLE", 100)
    monkeypatch.setattr("flaxmill.data.listings.numpy_files.SAMPLED", 2)
    np.save(tmp_path / "labels.npy", np.arange(40) % 2)
    np.save(tmp_path / "images.npy", np.zeros((40, 8, 8), np.uint8))
    known, written = digests(scan(tmp_path)), stamps(scan(tmp_path))
    np.load(tmp_path / "images.npy", mmap_mode="r+")[1] = 255
    os.utime(tmp_path / "images.npy", (0, 0))
    assert digests(scan(tmp_path)) == known
    assert stamps(scan(tmp_path)) != written
