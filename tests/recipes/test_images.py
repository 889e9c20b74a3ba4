"""IDX files: read right, and every way in which they can be wrong has its own message."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forbidding import forbidden

from flaxmill.commands import cli
from flaxmill.data.known.idx import CLASS_NAMES, Kind, read_fashion_mnist, read_idx, read_idx_set
from flaxmill.data.known.published import MNIST, DataFile, DataSet
from flaxmill.errors import BadInput

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SIZES = {"train": 6, "t10k": 4}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def contents() -> dict[str, bytes]:
    """The four unpacked files of a tiny set of 3×2 pictures."""
    generator = np.random.default_rng(0)
    files = {}
    for name in NAMES:
        size = SIZES[name.split("-")[0]]
        shape, high = ((size, 3, 2), 256) if "images" in name else ((size,), 10)
        files[name] = idx(generator.integers(0, high, shape, np.uint8))
    return files


@pytest.fixture
def tiny(contents: dict[str, bytes], tmp_path: Path) -> DataSet:
    """Describes the tiny set, whose packed files lie in the test's folder."""
    files = []
    for name, content in contents.items():
        packed = gzip.compress(content)
        (tmp_path / name).write_bytes(packed)
        md5, sha256 = hashlib.md5(packed).hexdigest(), hashlib.sha256(content).hexdigest()
        files.append(DataFile(name, len(packed), md5, sha256))
    return DataSet("tiny", "Tiny", tuple(files), mirrors=())


def test_reads_pictures_and_labels(
    tiny: DataSet, contents: dict[str, bytes], tmp_path: Path
) -> None:
    data = read_idx_set(tmp_path, tiny)
    assert data.train["image"].shape == (6, 3, 2, 1) and data.train["image"].dtype == np.uint8
    assert data.test["image"].tobytes() == contents[NAMES[2]][16:]
    assert data.test["label"].dtype == np.int32
    np.testing.assert_array_equal(data.test["label"], list(contents[NAMES[3]][8:]))
    assert data.digests == {file.name: file.sha256 for file in tiny.files}


def test_reads_unpacked_and_otherwise_packed_files(
    tiny: DataSet, contents: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / NAMES[0]).unlink()
    (tmp_path / NAMES[0].removesuffix(".gz")).write_bytes(contents[NAMES[0]])
    middle = len(contents[NAMES[1]]) // 2
    parts = contents[NAMES[1]][:middle], contents[NAMES[1]][middle:]
    (tmp_path / NAMES[1]).write_bytes(b"".join(gzip.compress(part, 1) for part in parts))
    (tmp_path / NAMES[2]).write_bytes(contents[NAMES[2]])  # unpacked, but still named .gz
    data = read_idx_set(tmp_path, tiny)
    assert data.train["image"].tobytes() == contents[NAMES[0]][16:]
    assert data.digests == {file.name: file.sha256 for file in tiny.files}


PICTURES = idx(np.zeros((2, 3, 2), np.uint8))
LABELS = idx(np.zeros(2, np.uint8))
PACKED = gzip.compress(PICTURES, mtime=0)
NOT_DEFLATE = b"\xff" * 30  # its first bits name a kind of block that does not exist

DAMAGED: dict[str, tuple[str, bytes, Kind, str]] = {
    "empty": ("a.gz", b"", "pictures", "a.gz is empty"),
    "nothing packed": ("a.gz", gzip.compress(b"", mtime=0), "pictures", "a.gz is empty"),
    "not gzip": (
        "a.gz",
        b"\x89PNG....",
        "pictures",
        r"a.gz is not gzip: it begins with b'\\x89PNG",
    ),
    "web page": ("a.gz", b"\n<!DOCTYPE html>", "labels", "a web page was saved in its place"),
    "cut archive": ("a.gz", PACKED[:-9], "pictures", "a.gz is truncated: its gzip data ends early"),
    "bad archive": ("a.gz", PACKED[:10] + NOT_DEFLATE, "pictures", "a.gz is damaged: its gzip"),
    "bad checksum": ("a.gz", PACKED[:-8] + bytes(8), "pictures", "a.gz is damaged: .*CRC"),
    "labels": ("a", LABELS, "pictures", "a labels file where pictures were expected.*swapped"),
    "pictures": ("a", PICTURES, "labels", "a pictures file where labels were expected.*swapped"),
    "not IDX": ("a", b"hello", "labels", "it begins with 68 65 6c 6c, expected 00 00 08 01"),
    "cut header": ("a", PICTURES[:9], "pictures", "ends within its header of 16 bytes"),
    "short": ("a", PICTURES[:-1], "pictures", "truncated: .* 2×3×2 = 12 bytes, but 11 follow"),
    "long": ("a", LABELS + b"!", "labels", "more than it should: .* 2 = 2 bytes, but 3 follow"),
}


@pytest.mark.parametrize(("name", "content", "expected", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused(
    tmp_path: Path, name: str, content: bytes, expected: Kind, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=words):
        read_idx(tmp_path / name, expected=expected)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_is_unpacked_only_as_far_as_the_known_sets_go(tmp_path: Path, packed: bool) -> None:
    content = PICTURES + bytes(2**26)
    (tmp_path / "a").write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(BadInput, match=r"a holds more than 64 MiB, and no file of the known sets"):
        read_idx(tmp_path / "a", expected="pictures")


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(PICTURES)
    with forbidden(path), pytest.raises(BadInput, match="cannot be read: permission denied"):
        read_idx(path, expected="pictures")
    with pytest.raises(BadInput, match="cannot be read: is a directory"):
        read_idx(tmp_path, expected="pictures")


def test_counts_must_agree(tiny: DataSet, contents: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / NAMES[1]).write_bytes(contents[NAMES[3]])
    with pytest.raises(BadInput, match=r"holds 4 labels, but .* 6 pictures: are training and test"):
        read_idx_set(tmp_path, tiny)


def test_no_pictures_are_refused(tiny: DataSet, tmp_path: Path) -> None:
    (tmp_path / NAMES[0]).write_bytes(idx(np.zeros((0, 3, 2), np.uint8)))
    (tmp_path / NAMES[1]).write_bytes(idx(np.zeros(0, np.uint8)))
    with pytest.raises(BadInput, match="holds no pictures"):
        read_idx_set(tmp_path, tiny)


def test_labels_must_be_classes(tiny: DataSet, tmp_path: Path) -> None:
    (tmp_path / NAMES[3]).write_bytes(idx(np.array([0, 9, 10, 255], np.uint8)))
    words = r"label 10 of example 2 \(counted from 0\) .* from 0 to 9; 2 of 4 are"
    with pytest.raises(BadInput, match=words):
        read_idx_set(tmp_path, tiny)


def test_other_content_is_refused_with_both_digests(
    tiny: DataSet, contents: dict[str, bytes], tmp_path: Path
) -> None:
    wrong = contents[NAMES[2]][:-1] + bytes([contents[NAMES[2]][-1] ^ 1])
    (tmp_path / NAMES[2]).write_bytes(gzip.compress(wrong))
    with pytest.raises(BadInput) as caught:
        read_idx_set(tmp_path, tiny)
    message = str(caught.value)
    assert f"{tmp_path / NAMES[2]} is not the published file of Tiny" in message
    assert f"is {hashlib.sha256(wrong).hexdigest()}, expected {tiny.files[2].sha256}" in message
    assert "`flaxmill fetch tiny` download the set into your cache, where --data tiny" in message


def test_structure_is_told_before_digests(
    tiny: DataSet, contents: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / NAMES[0]).write_bytes(contents[NAMES[0]][:-1] + b"?")  # a digest would be wrong
    (tmp_path / NAMES[3]).write_bytes(contents[NAMES[3]][:-1])
    with pytest.raises(BadInput, match="truncated"):
        read_idx_set(tmp_path, tiny)


def test_a_missing_file_is_named(tiny: DataSet, tmp_path: Path) -> None:
    (tmp_path / NAMES[3]).unlink()
    with pytest.raises(BadInput, match=f"lacks {NAMES[3]}; it holds {NAMES[2]}"):
        read_idx_set(tmp_path, tiny)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({0: lambda files: files[0][:-9]}, f"{NAMES[0]} is truncated: its gzip data ends early"),
        ({0: lambda files: files[1], 1: lambda files: files[0]}, "are two files swapped?"),
        ({1: lambda files: files[3]}, "are training and test files swapped?"),
        ({}, f"{NAMES[0]} is not the published file of Fashion-MNIST"),
    ],
    ids=["cut", "swapped", "test labels", "other content"],
)
def test_training_on_a_spoilt_folder_is_refused_and_leaves_nothing(
    spoil: dict[int, Callable[[list[bytes]], bytes]],
    words: str,
    tiny: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [(tmp_path / name).read_bytes() for name in NAMES]
    for number, content in spoil.items():
        (tmp_path / NAMES[number]).write_bytes(content(files))
    monkeypatch.chdir(tmp_path)
    assert cli._status("train", "fashion_mnist", "--data", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "`flaxmill fetch fashion-mnist` download the set into your cache" in error
    assert "--to" not in error  # it may hold another set, whose files have the same names
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


def test_the_real_pictures(real_data: Path) -> None:
    data = read_fashion_mnist(real_data)
    assert data.train["image"].shape == (60_000, 28, 28, 1)
    assert data.test["image"].shape == (10_000, 28, 28, 1)
    # its authors drew the same number of pictures from every class
    np.testing.assert_array_equal(np.bincount(data.train["label"]), [6_000] * len(CLASS_NAMES))
    np.testing.assert_array_equal(np.bincount(data.test["label"]), [1_000] * len(CLASS_NAMES))
    assert CLASS_NAMES[data.train["label"][0]] == "Ankle boot"


def test_the_real_digits(real_data: Path) -> None:
    folder = real_data.parent / "mnist"
    if not folder.is_dir():
        pytest.skip("needs the real digits: FLAXMILL_DATA has no folder mnist")
    data = read_idx_set(folder, MNIST)
    assert list(data.train["label"][:5]) == [5, 0, 4, 1, 9]
    # the mean that everybody normalises these digits by, given to four places
    assert data.train["image"].mean() / 255 == pytest.approx(0.1307, abs=5e-5)
