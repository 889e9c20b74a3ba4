"""CIFAR-10's files: read right, whole or as the copy that lacks records, and refused by name."""

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forbidding import forbidden

from flaxmill.data.download import _is_right
from flaxmill.data.fetch import locate
from flaxmill.data.known.cifar import BATCHES, LABELS, RECORD, Batch, cifar10, read_cifar10
from flaxmill.data.known.digits import digits
from flaxmill.data.known.idx import CLASS_NAMES, LabelledImages
from flaxmill.data.known.published import CIFAR_10, DATA_SETS, DataFile, DataSet
from flaxmill.data.sketches import TEST_FIRST, Sketches
from flaxmill.data.sketches.tinted import Tinted
from flaxmill.errors import BadInput

NAMES = ("one.bin", "two.bin", "test.bin")
ARCHIVE = DataFile("tiny.tar.gz", 1, "", "", holds=NAMES, inside="inner")
TINY = DataSet("tiny", "Tiny", (ARCHIVE,), mirrors=())
WHOLE = 6  # records of a file


def drawn() -> dict[str, np.ndarray]:
    """The records of three files, of which 1 and 4 show a ship and 2 of the second one a horse."""
    generator = np.random.default_rng(0)
    files = {}
    for name in NAMES:
        rows = generator.integers(0, 256, (WHOLE, RECORD), np.uint8)
        rows[:, 0] = [3, 8, 7 if name == "two.bin" else 5, 0, 8, 9]
        files[name] = rows
    return files


def lacking(name: str) -> list[int]:
    return [1, 2, 4] if name == "two.bin" else [1, 4]


RECORDS = drawn()
FEWER = {name: np.delete(rows, lacking(name), axis=0) for name, rows in RECORDS.items()}
TINY_BATCHES = tuple(
    Batch(
        name,
        hashlib.sha256(FEWER[name].tobytes()).hexdigest(),
        ships=(1, 4),
        horses=(2,) if name == "two.bin" else (),
        records=WHOLE,
    )
    for name in NAMES
)


def read(folder: Path) -> LabelledImages:
    return read_cifar10(folder, TINY, TINY_BATCHES)


def put(folder: Path, files: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        (folder / name).write_bytes(rows.tobytes())
    return folder


def packed(folder: Path, files: dict[str, np.ndarray]) -> Path:
    with tarfile.open(folder / ARCHIVE.name, "w:gz") as archive:
        for name, rows in files.items():
            entry = tarfile.TarInfo(f"inner/{name}")
            entry.size = rows.nbytes
            archive.addfile(entry, io.BytesIO(rows.tobytes()))
    return folder


def test_the_planes_become_the_channels_of_pixels(tmp_path: Path) -> None:
    data = read(put(tmp_path, RECORDS))
    assert data.train["image"].shape == (2 * WHOLE, 32, 32, 3)
    assert data.test["label"].tolist() == [3, 8, 5, 0, 8, 9] and data.test["label"].dtype == "int32"
    record = RECORDS["two.bin"][3]
    np.testing.assert_array_equal(
        data.train["image"][WHOLE + 3, 5, 7], record[1 + 5 * 32 + 7 :: 1024]
    )
    expected = {name: hashlib.sha256(rows.tobytes()).hexdigest() for name, rows in RECORDS.items()}
    assert data.digests == expected
    assert data.note == ""  # nothing is missing


def test_a_copy_that_lacks_records_says_which_once(tmp_path: Path) -> None:
    data = read(put(tmp_path, FEWER))
    assert len(data.train["image"]) == 7
    assert data.note == (
        "This copy of Tiny lacks 7 of 18 pictures: 6 ships and 1 horses, 5 of them of training."
    )
    mixed = read(put(tmp_path, {"two.bin": RECORDS["two.bin"]}))  # each file counts by itself
    assert mixed.note == (
        "This copy of Tiny lacks 4 of 18 pictures: 4 ships and 0 horses, 2 of them of training."
    )


@pytest.mark.parametrize("where", ["folder", "inner", "archive"])
def test_the_files_are_found(tmp_path: Path, where: str) -> None:
    if where == "archive":
        packed(tmp_path, RECORDS)
    else:
        put(tmp_path / "inner" if where == "inner" else tmp_path, RECORDS)
    assert len(read(tmp_path).train["image"]) == 2 * WHOLE


def test_the_archive_goes_before_what_was_unpacked(tmp_path: Path) -> None:
    assert read(packed(put(tmp_path, FEWER), RECORDS)).note == ""
    # `fetch` downloads the archive to where files that lack something lie
    assert not _is_right(put(tmp_path, FEWER), ARCHIVE)


def changed(rows: np.ndarray, index: tuple[int, int], value: int) -> np.ndarray:
    rows = rows.copy()
    rows[index] = value
    return rows


ONE = RECORDS["one.bin"]
SPOILT: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "cut": (
        {"one.bin": ONE.reshape(-1)[:-1]},
        r"one.bin is truncated or damaged: 18,437 bytes are not a whole number of records of 3,073",
    ),
    "empty": ({"two.bin": ONE[:0]}, "two.bin is empty"),
    "short": (
        {"test.bin": RECORDS["test.bin"][:5]},
        r"test.bin holds 5 records, expected 6 \(or the 4",
    ),
    "swapped": (
        {"one.bin": RECORDS["test.bin"], "test.bin": ONE},
        "one.bin has the content of test.bin: are two files swapped",
    ),
    "swapped and few": (
        {"two.bin": FEWER["one.bin"]},
        "two.bin has the content of one.bin: are two files swapped",
    ),
    "label": (
        {"one.bin": changed(ONE, (3, 0), 10)},
        r"one.bin: label 10 of record 3 \(counted from 0\) is out of range.* 0 to 9; 1 of 6 are",
    ),
    "pixel": ({"two.bin": changed(RECORDS["two.bin"], (3, 9), 1)}, "two.bin is not the published"),
    "no ship": ({"one.bin": changed(ONE, (4, 0), 7)}, "one.bin is not the published file"),
}


@pytest.mark.parametrize(("files", "words"), SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_refused(tmp_path: Path, files: dict[str, np.ndarray], words: str) -> None:
    put(tmp_path, RECORDS | files)
    with pytest.raises(BadInput, match=words) as caught:
        read(tmp_path)
    assert "or let `flaxmill fetch tiny` download the set into your cache" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"one.bin": ONE})
    with pytest.raises(BadInput, match=r"lacks two.bin, test.bin; it holds one.bin"):
        read(tmp_path)
    (tmp_path / "one.bin").unlink()
    (tmp_path / "other").touch()
    with pytest.raises(BadInput, match=r"lacks tiny.tar.gz; it holds other"):
        read(tmp_path)


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path, RECORDS)
    with forbidden(tmp_path), pytest.raises(BadInput, match="permission denied"):
        read(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    packed(tmp_path, {"one.bin": ONE})
    with pytest.raises(BadInput, match=r"not the published archive: inner/two.bin is not found"):
        read(tmp_path)
    archive = packed(tmp_path, RECORDS) / ARCHIVE.name
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(BadInput, match=r"tiny.tar.gz is damaged or cut short"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("said", "nothing", "words"),
    [
        ({}, 2_000_000, "damaged or cut short: it unpacks to more than was published"),
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, 0, "inner/one.bin is not found"),
        ({"type": tarfile.CHRTYPE}, 0, "inner/one.bin is not found"),
        ({"pax_headers": {"comment": "x" * 2_000_000}}, 0, "more than was published"),
        ({"name": "../one.bin"}, 0, "inner/one.bin is not found"),
    ],
)
def test_an_archive_is_not_unpacked_further_than_what_was_published(
    tmp_path: Path, said: dict[str, Any], nothing: int, words: str
) -> None:
    with tarfile.open(tmp_path / ARCHIVE.name, "w:gz") as archive:
        entry = tarfile.TarInfo("nothing")
        entry.size = nothing
        archive.addfile(entry, io.BytesIO(bytes(nothing)))
        for name, rows in RECORDS.items():
            entry = tarfile.TarInfo(f"inner/{name}")
            entry.size = rows.nbytes
            if name == "one.bin":
                for attribute, value in said.items():
                    setattr(entry, attribute, value)
            archive.addfile(entry, io.BytesIO(rows.tobytes()))
    with pytest.raises(BadInput, match=words):
        read(tmp_path)
    longer = put(tmp_path / "inner", RECORDS | {"one.bin": np.zeros((9, RECORD), np.uint8)})
    with pytest.raises(BadInput, match=r"one.bin holds more than the 18,438 bytes"):
        read(longer)


def test_strips_are_to_be_unpacked(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strips = empty_machine / "sets" / "cifar-10"
    strips.mkdir(parents=True)
    for name in ("unpack.py", "test_batch-00.webp"):
        (strips / name).touch()
    words = (
        rf"holds the pictures as WebP strips: unpack them with `python {strips}/unpack.py TARGET`"
    )
    with pytest.raises(BadInput, match=words):
        cifar10(str(strips))
    monkeypatch.setenv("FLAXMILL_DATA", "sets")
    monkeypatch.setitem(DATA_SETS, "cifar-10", dataclasses.replace(CIFAR_10, mirrors=()))
    with pytest.raises(BadInput, match=words):  # among the places that were looked in
        locate("cifar-10")


def test_tinted_pictures_are_a_function_of_their_index() -> None:
    tinted = Tinted(Sketches(300), 32)
    some = np.array([7, 299, 0])
    taken, grey = tinted.take(some), Sketches(300).take(some)
    assert taken["image"].shape == (3, 32, 32, 3) and taken["image"].dtype == np.uint8
    np.testing.assert_array_equal(taken["image"][1], tinted[299]["image"])
    np.testing.assert_array_equal(taken["label"], grey["label"])
    corners = taken["image"][:, 0, 0]  # the ground, in which nothing lies at the border
    assert (taken["image"][:, 0] == corners[:, None]).all()
    assert len(np.unique(corners, axis=0)) == 3
    test = Tinted(Sketches(300, first=TEST_FIRST), 32)
    assert (test[0]["image"][0, 0] != tinted[0]["image"][0, 0]).any()


@pytest.mark.usefixtures("small_data")
def test_drawn_pictures_stand_in_for_both_sets() -> None:
    coloured, grey = cifar10("sketches", validation=40), digits("sketches", overfit=8)
    assert coloured.train[0]["image"].shape == (32, 32, 3)
    assert grey.train[0]["image"].shape == (28, 28, 1) and len(grey.test) == 8
    for found in (coloured, grey):
        assert found.drawn and found.labels == CLASS_NAMES
        assert found.title.startswith("drawn garments (sketches)")


def test_the_real_pictures(tmp_path: Path) -> None:
    root = os.environ.get("FLAXMILL_DATA")
    strips = Path(root or "absent") / "cifar-10"
    if not (strips / "unpack.py").is_file():
        pytest.skip("needs the real pictures: FLAXMILL_DATA has no folder cifar-10 with unpack.py")
    subprocess.run([sys.executable, str(strips / "unpack.py"), str(tmp_path)], check=True)
    found = cifar10(str(tmp_path), validation=5000)
    assert (len(found.train), len(found.validation), len(found.test)) == (44_923, 5000, 9980)
    assert "lacks 97 of 60,000 pictures: 92 ships and 5 horses, 77 of them" in found.note
    labels = [LABELS[label] for label in found.train.take(np.arange(4))["label"]]
    assert labels == ["frog", "truck", "truck", "deer"]
    # the first and last values of the first picture, which many have printed
    first = found.train[0]["image"].reshape(-1, 3)
    assert first[0].tolist() == [59, 62, 63] and first[-1].tolist() == [123, 92, 72]
    assert sum(batch.records - len(batch.lacking) for batch in BATCHES) == 59_903
