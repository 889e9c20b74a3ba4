"""Runs, exports and data that somebody else wrote: what is no file in them is not waited for."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import save

from flaxmill import recipes
from flaxmill.data import prepare
from flaxmill.data.folder import pictures
from flaxmill.data.pictures.decode import open_picture
from flaxmill.errors import BadInput
from flaxmill.machine import files
from flaxmill.trained.run import TrainedRun
from flaxmill.training.directory import RunDirectory
from flaxmill.training.initial import read_initial


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """Ends a test that waits for somebody to write into a pipe."""

    def fail(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def device(place: Path) -> None:
    place.symlink_to("/dev/zero")


OTHERS = pytest.mark.parametrize("other", [pipe, device])


@pytest.fixture(scope="module")
def received(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(shipped.parent, tmp_path_factory.mktemp("received") / "run")


def look_at(run: Path) -> None:
    """Opens all that a run holds."""
    opened = TrainedRun(run)
    assert opened.rows and opened.manifest
    opened.arrays()
    recipes.read(run / "recipe.py")


def in_all(run: Path) -> list[Path]:
    checkpoint = max((run / "checkpoints").iterdir())
    named = ("config.json", "manifest.json", "result.json", "signature.json", "metrics.jsonl")
    inside = [path for path in checkpoint.rglob("*") if path.is_file()]
    return [*(run / name for name in (*named, "recipe.py")), *inside]


@OTHERS
def test_a_run_in_which_a_file_is_something_else(
    received: Path, other: Callable[[Path], None]
) -> None:
    look_at(received)
    for place in in_all(received):
        content = place.read_bytes()
        place.unlink()
        other(place)
        with pytest.raises(BadInput, match=place.name.replace(".", r"\.")):
            look_at(received)
        place.unlink()
        place.write_bytes(content)
    more = in_all(received)[-1].with_name("more")
    other(more)
    with pytest.raises(BadInput, match=r"more is (a named pipe|a device)"):
        look_at(received)
    more.unlink()
    look_at(received)


@OTHERS
def test_a_file_of_data_that_is_something_else(
    tmp_path: Path, other: Callable[[Path], None]
) -> None:
    doors: dict[str, Callable[[Path], Any]] = {
        "picture.png": open_picture,
        "weights.safetensors": read_initial,
        "table.csv": lambda place: pictures(str(place), size=8),
        "arrays.npz": lambda place: pictures(str(place), size=8),
        "table.parquet": lambda place: pictures(str(place), size=8),
    }
    for name, door in doors.items():
        other(tmp_path / name)
        with pytest.raises(BadInput, match=name):
            door(tmp_path / name)
    folder = tmp_path / "folder"
    for label in ("cat", "dog"):
        for number in range(10):
            save(folder / label / f"{number}.png", (9, 9 + number))
    other(folder / "cat" / "more.png")
    splits = pictures(str(folder), size=8)  # which reads each file for its digest
    with pytest.raises(BadInput, match=r"more\.png"):
        for part in (splits.train, splits.validation, splits.test):
            part.take(np.arange(len(part)))


def test_what_is_written_over_is_the_folders_own(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "folder"
    mine.write_text("all that I have")
    folder.mkdir()
    doors: dict[str, Callable[[], Any]] = {
        "lock": RunDirectory(folder).locked,
        "plan.json": lambda: prepare._locked(folder, {}),
        "train-image.npy": lambda: prepare._Array(folder / "train-image.npy", np.zeros(1), 1),
    }
    for name, door in doors.items():
        (folder / name).symlink_to(mine)
        with pytest.raises(BadInput, match=f"{name} is a link, and a file is expected"), door():
            pass
        assert mine.read_text() == "all that I have"


def test_links_lead_to_files_where_nobody_else_sees_them(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"{}")
    (tmp_path / "link").symlink_to("there")
    assert files.read_json(tmp_path / "link") == {}
    assert files.read_bytes(tmp_path / "there", 2, links=False) == b"{}"
    with pytest.raises(BadInput, match="link is a link, and a file is expected"):
        files.read_bytes(tmp_path / "link", links=False)
    with pytest.raises(BadInput, match="there has more than 0 MiB"):
        files.read_bytes(tmp_path / "there", 1)
