"""CIFAR-10's files: read right, whole or as the copy that lacks records, and refused by name."""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forbidding import forbidden

from flaxmill.data.download import _is_published
from flaxmill.data.fetch import locate
from flaxmill.data.known.cifar import BATCHES as PUBLISHED
from flaxmill.data.known.cifar import LABELS, RECORD, cifar10, read_cifar10
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
    """The records of three files, of which 1 and 4 show a ship; 2 shows something else in each."""
    generator = np.random.default_rng(0)
    files = {}
    for name in NAMES:
        rows = generator.integers(0, 256, (WHOLE, RECORD), np.uint8)
        rows[:, 0] = [3, 8, {"one.bin": 4, "two.bin": 7, "test.bin": 5}[name], 0, 8, 9]
        files[name] = rows
    return files


def lacking(name: str) -> list[int]:
    return [1, 2, 4] if name == "two.bin" else [1, 4]


RECORDS = drawn()
FEWER = {name: np.delete(rows, lacking(name), axis=0) for name, rows in RECORDS.items()}
BATCHES = {
    name: tuple(np.bincount(rows[:, 0], minlength=10).tolist()) for name, rows in RECORDS.items()
}


def read(folder: Path) -> LabelledImages:
    return read_cifar10(folder, TINY, BATCHES)


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
        "This copy of Tiny lacks 7 of 18 pictures: one.bin 2 (2 ship), "
        "two.bin 3 (1 horse, 2 ship), test.bin 2 (2 ship)."
    )
    mixed = read(put(tmp_path, {"two.bin": RECORDS["two.bin"]}))  # each file counts by itself
    assert mixed.note == (
        "This copy of Tiny lacks 4 of 18 pictures: one.bin 2 (2 ship), test.bin 2 (2 ship)."
    )


@pytest.mark.parametrize("where", ["folder", "inner", "archive"])
def test_the_files_are_found(tmp_path: Path, where: str) -> None:
    if where == "archive":
        packed(tmp_path, RECORDS)
    else:
        put(tmp_path / "inner" if where == "inner" else tmp_path, RECORDS)
    assert len(read(tmp_path).train["image"]) == 2 * WHOLE


def test_an_archive_that_was_packed_again_says_what_was_not_checked(tmp_path: Path) -> None:
    archive = packed(tmp_path, RECORDS) / ARCHIVE.name
    assert read(tmp_path).note == (
        "tiny.tar.gz was packed by somebody else (its MD5 is not the published one): how many "
        "pictures of each class it has was checked, and not what they show."
    )
    published = dataclasses.replace(ARCHIVE, md5=hashlib.md5(archive.read_bytes()).hexdigest())
    tiny = dataclasses.replace(TINY, files=(published,))
    assert read_cifar10(tmp_path, tiny, BATCHES).note == ""


def test_the_archive_goes_before_what_was_unpacked(tmp_path: Path) -> None:
    assert len(read(packed(put(tmp_path, FEWER), RECORDS)).test["label"]) == WHOLE
    # `fetch` downloads the archive to where files that lack something lie
    assert not _is_published(put(tmp_path, FEWER), ARCHIVE)


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
    "swapped": (
        {"one.bin": RECORDS["test.bin"], "test.bin": ONE},
        "one.bin has the records of test.bin: are two files swapped",
    ),
    "swapped and few": (
        {"two.bin": np.delete(ONE, 1, axis=0)},
        "two.bin has the records of one.bin: are two files swapped",
    ),
    "label": (
        {"one.bin": changed(ONE, (3, 0), 10)},
        r"one.bin: label 10 of record 3 \(counted from 0\) is out of range.* 0 to 9; 1 of 6 are",
    ),
    "another label": (
        {"one.bin": changed(ONE, (4, 0), 7)},
        "one.bin is not the published file: it has 1 records of horse, and that has 0",
    ),
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
    for splits in (coloured, grey):
        assert splits.drawn and splits.labels == CLASS_NAMES
        assert splits.title.startswith("drawn garments (sketches)")


def test_the_real_pictures(tmp_path: Path) -> None:
    root = os.environ.get("FLAXMILL_DATA")
    strips = Path(root or "absent") / "cifar-10"
    if not (strips / "unpack.py").is_file():
        pytest.skip("needs the real pictures: FLAXMILL_DATA has no folder cifar-10 with unpack.py")
    subprocess.run([sys.executable, str(strips / "unpack.py"), str(tmp_path)], check=True)
    splits = cifar10(str(tmp_path), validation=5000)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (44_923, 5000, 9980)
    assert splits.note == (
        "This copy of CIFAR-10 lacks 97 of 60,000 pictures: data_batch_1.bin 10 (10 ship), "
        "data_batch_2.bin 5 (5 ship), data_batch_3.bin 9 (1 horse, 8 ship), data_batch_4.bin 27 "
        "(3 horse, 24 ship), data_batch_5.bin 26 (26 ship), test_batch.bin 20 (1 horse, 19 ship)."
    )
    # as runs have them in their manifests that were trained before
    known = json.loads((strips / "sha256.json").read_text())
    assert splits.digests == {f"{name}.bin": digest for name, digest in known.items()}
    labels = [LABELS[label] for label in splits.train.take(np.arange(4))["label"]]
    assert labels == ["frog", "truck", "truck", "deer"]
    # the first and last values of the first picture, which many have printed
    first = splits.train[0]["image"].reshape(-1, 3)
    assert first[0].tolist() == [59, 62, 63] and first[-1].tolist() == [123, 92, 72]


def test_the_numbers_of_classes_tell_the_files_apart() -> None:
    *training, test = np.array(list(PUBLISHED.values()))
    assert (np.sum(training, axis=0) == 5000).all() and (test == 1000).all()
    assert [row.sum() for row in training] == [10_000] * 5
    for one, two in itertools.permutations([*training, test], 2):
        assert (one - two).max() > 15  # also where a class lacks some: they are seen when swapped
