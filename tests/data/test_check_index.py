"""What `flaxmill check` has read it remembers, until the file changes."""

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from picture_files import photo, photographs

from flaxmill.data.check import check
from flaxmill.data.check.index import RECORD, index

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with which nothing is wrong."""
    return photographs(tmp_path / "my pictures")


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))


def test_only_new_and_changed_files_are_read_again(folder: Path) -> None:
    names = files_of(folder)
    first = index(folder, names)
    assert first.read == 40
    again = index(folder, names)
    assert again.read == 0
    assert (again.records == first.records).all()
    photo(140, 30, 30).save(folder / names[3])
    (folder / "new.png").write_bytes((folder / names[0]).read_bytes())
    changed = index(folder, [*names, "new.png"])
    assert changed.read == 2
    assert (changed.records[3]["width"], changed.records[3]["height"]) == (30, 30)
    assert changed.records[-1]["file"] == changed.records[0]["file"]


def test_another_file_with_the_size_and_time_of_the_one_before_is_read(folder: Path) -> None:
    one, other = (folder / name for name in ("one.bmp", "other.bmp"))
    for seed, place in enumerate((one, other)):
        photo(200 + seed, 30, 30).save(place)
        os.utime(place, ns=(0, 0))
    first = index(folder, ["one.bmp", "other.bmp"])
    one.rename(folder / "third.bmp")
    other.rename(one)
    (folder / "third.bmp").rename(other)
    assert one.stat().st_mtime_ns == 0
    swapped = index(folder, ["one.bmp", "other.bmp"])
    assert swapped.read == 2
    assert swapped.records["file"].tolist() == first.records["file"].tolist()[::-1]


def test_trouble_is_looked_at_again(folder: Path) -> None:
    (folder / "x.png").touch()
    for _ in range(2):
        result = index(folder, ["x.png"])
        assert (result.read, list(result.errors)) == (1, [0])
        assert result.records[0] == np.zeros((), RECORD)


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_index_is_made_anew(folder: Path, cache: Path, damage: str) -> None:
    names = files_of(folder)
    whole = index(folder, names).records
    (file,) = cache.glob("*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-200], "flipped": content, "text": b"hello", "empty": b""}
    file.write_bytes(damaged[damage])
    again = index(folder, names)
    assert again.read == 40
    assert (again.records == whole).all()
    assert index(folder, names).read == 0


def test_records_do_not_depend_on_the_number_of_readers(folder: Path, cache: Path) -> None:
    names = files_of(folder)
    one = index(folder, names, workers=1)
    shutil.rmtree(cache)
    many = index(folder, names, workers=7)
    assert many.read == 40
    assert (one.records == many.records).all()


def test_several_may_check_at_once(folder: Path) -> None:
    names, records = files_of(folder), []
    both = threading.Barrier(2)

    def read() -> None:
        both.wait()
        records.append(index(folder, names).records)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (records[0] == records[1]).all()
    assert index(folder, names).read == 0


def test_what_was_read_before_an_interruption_is_known(folder: Path) -> None:
    names = files_of(folder)
    counts: list[int] = []

    def interrupt(done: int, total: int) -> None:
        counts.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(folder, names, progress=interrupt)
    (read,) = counts
    assert 0 < read < 40
    assert index(folder, names).read <= 40 - read  # what was under way was read to its end
    assert index(folder, names).read == 0


def test_a_cache_that_cannot_be_written_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLAXMILL_CACHE", str(tmp_path / "file"))
    checked = check(folder)
    assert checked.facts.index.read == 40
    assert "could not be written" in " ".join(checked.lines())
