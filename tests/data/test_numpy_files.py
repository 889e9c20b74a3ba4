"""Arrays of pictures in NumPy's files, in memory and mapped from the disk."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.data.folder import Pictures, pictures
from flaxmill.data.listings.layouts import scan
from flaxmill.errors import BadInput

NPZ: list[dict[str, Any]] = [
    {"images": (8, 6, 6, 3), "labels": [0, 1] * 4},
    {"x_train": (8, 6, 6), "y_train": [0, 1] * 4, "x_test": (2, 6, 6), "y_test": [1, 0]},
    {"train_images": (8, 6, 6, 3), "train_labels": [[0], [1]] * 4, "val_images": (2, 6, 6, 3),
     "val_labels": [[1], [1]], "test_images": (2, 6, 6, 3), "test_labels": [[0], [1]]},
]  # fmt: skip


def arrays(kinds: dict[str, Any]) -> dict[str, Any]:
    """Draws pictures of the shapes asked for; labels are as they are given."""
    dice = np.random.default_rng(0)
    return {
        name: dice.integers(0, 256, value, np.uint8)
        if isinstance(value, tuple)
        else np.array(value)
        for name, value in kinds.items()
    }


def test_other_arrays_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    for name, array in arrays(NPZ[0]).items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "notes.npy", np.array([{}]))
    (tmp_path / "._images.npy").write_bytes(b"of macOS")
    assert len(scan(tmp_path)["train"]) == 8


@pytest.mark.parametrize("kinds", NPZ, ids=["one part", "as keras", "as MedMNIST"])
@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_lie_ready_or_are_fitted(
    kinds: dict[str, Any], mapped: bool, tmp_path: Path
) -> None:
    made = arrays(kinds)
    if mapped:
        place = tmp_path
        for name, array in made.items():
            np.save(tmp_path / f"{name}.npy", array)
    else:
        place = tmp_path / "set.npz"
        np.savez(place, **made)
    channels = 3 if next(iter(made.values())).ndim == 4 else 1
    splits = pictures(str(place), size=6, validation=2, test=2, channels=channels)
    assert splits.labels == ("0", "1")
    assert hasattr(splits.train, "resident")  # as they lie there
    whole = next(iter(made.values())).reshape(8, 6, 6, channels)
    for part in (splits.train, splits.validation if len(made) == 2 else splits.train):
        batch = part.take(np.arange(len(part)))
        for picture, label in zip(batch["image"], batch["label"], strict=True):
            rows = np.flatnonzero((whole == picture).all((1, 2, 3)))
            assert rows.size == 1
            assert rows[0] % 2 == label
    larger = pictures(str(place), size=12, validation=2, test=2, channels=channels)
    assert not hasattr(larger.train, "resident")
    assert larger.train[0]["image"].shape == (12, 12, channels)
    assert pictures(str(place), size=12, validation=2, test=2).digests == larger.digests


def test_labels_of_arrays_may_be_names_or_rows(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4), np.uint8)

    def labelled(labels: Any, **more: Any) -> Any:
        np.savez(tmp_path / "set.npz", images=images, labels=np.array(labels), **more)
        return scan(tmp_path / "set.npz")["train"]

    assert labelled(["bee", "ant", "bee"]).classes == ("ant", "bee")
    assert labelled([2, 0, 0], classes=["x", "y", "z"]).classes == ("x", "y", "z")
    assert labelled([10, 9, 9]).labels.tolist() == [1, 0, 0]
    assert labelled([1.0, 0.0, 0.0]).classes == ("0", "1")
    one_hot = labelled([[1, 0], [0, 1], [1, 0]])
    assert one_hot.labels.tolist() == [0, 1, 0]
    several = labelled([[1, 1], [0, 1], [0, 0]], classes=["x", "y"])
    assert several.multi_label
    assert several.labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    with pytest.raises(
        BadInput, match=r"train row 0: the label 3 is none of 3 classes, numbered from 0"
    ):
        labelled([3, 0, 0], classes=["x", "y", "z"])


U8 = np.zeros((2, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": U8}, r"holds a \(2, 4, 4\); expected images and labels, or train_images, train_lab"
         r".* test_labels: give the arrays these names \(numpy\.savez\(FILE, images=…, labels"),
        ({"images": U8, "labels": [0, 1], "pictures_test": U8, "x_val": U8},
         r"holds images \(2, 4, 4\), labels \(2,\), pictures_test .*, x_val .*; expected images"),
        ({"images": U8 / 255, "labels": [0, 1]}, r"images in \S+ is of the type float64: expected "
         r"uint8, from 0 to 255\. .* \(255 \* images\)"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8), "labels": [0, 1]}, "channels first"),
        ({"images": U8[0], "labels": [0, 1]}, r"has the shape \(4, 4\): expected \[example"),
        ({"images": U8, "labels": [0, 1, 1]}, "holds 2 pictures, but there are 3 labels"),
        ({"images": U8, "labels": [[0, 5], [1, 1]]}, r"expected rows of zeros and ones, 2 in each"),
        ({"images": U8, "x": U8, "labels": [0, 1]}, r"holds images .* of which "
         "images and x are both images for train; expected images and labels"),
        ({"x_train": U8, "y_train": [0, 1], "x_test": U8, "y_test": [1, 7]},
         r"the class '7' is among the labels for test and not among those for training"),
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_explained(
    arrays: dict[str, Any], words: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(BadInput, match=words):
        scan(tmp_path / "set.npz")


@pytest.mark.parametrize(
    "names",
    [
        ("images", "labels"), ("image", "label"), ("X", "y"), ("data", "targets"),
        ("train_images", "train_labels"), ("X_train", "y_train"), ("train_x", "targets_train"),
    ],
)  # fmt: skip
def test_the_usual_names_are_understood(names: tuple[str, str], tmp_path: Path) -> None:
    held_out = {"validation_data": U8, "valid_label": [0, 1], "x_test": U8, "test_y": [0, 1]}
    arrays: dict[str, Any] = {names[0]: U8, names[1]: [0, 1], **held_out}
    np.savez(tmp_path / "set.npz", **arrays)
    assert set(scan(tmp_path / "set.npz")) == {"train", "validation", "test"}


def test_other_names_are_not_guessed(tmp_path: Path) -> None:
    for name in ("images", "labels", "images_test", "test_labels", "train_image", "train_label"):
        np.save(tmp_path / f"{name}.npy", U8 if "image" in name else [0, 1])
    with pytest.raises(BadInput, match=r"both images for train; .* names \(rename the files\)"):
        scan(tmp_path)


def test_nothing_is_learnt_from_one_class(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=U8, labels=[0, 0])
    listing = scan(tmp_path / "set.npz")["train"]
    assert re.search(r"set\.npz has one class only, '0': expected two or more\.", listing.lacking)


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=U8, labels=[0, 1])
    content = (tmp_path / "set.npz").read_bytes()
    for wrong in (content[:-40], b"", b"text"):
        (tmp_path / "set.npz").write_bytes(wrong)
        with pytest.raises(BadInput, match=r"set\.npz cannot be read as an \.npz file: .+\.$"):
            scan(tmp_path / "set.npz")
    np.save(tmp_path / "images.npy", U8)
    (tmp_path / "images.npy").rename(tmp_path / "set.npz")
    with pytest.raises(BadInput, match=r"set\.npz is an \.npy file: give the folder of such"):
        scan(tmp_path / "set.npz")
    np.save(tmp_path / "images.npy", U8)
    np.save(tmp_path / "labels.npy", np.array([{}, {}]))
    with pytest.raises(BadInput, match=r"labels\.npy cannot be read .*: it holds Python objects"):
        scan(tmp_path)
    (tmp_path / "labels.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(BadInput, match=r"labels\.npy cannot be read as an \.npy file: .+\.$"):
        scan(tmp_path)


def header(kind: str, shape: tuple[int, ...]) -> bytes:
    """Returns the beginning of an array's file."""
    content = io.BytesIO()
    form = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, form)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("|u1", (2, 65536, 65536, 1)), "says that 8,589,934,6.. are packed in it"),
        (header("<U100000000", (4,)), "says that 1,600,000,0.. are packed in it"),
        (header("|u1", (3_000_000,)) + bytes(3_000_000), "says to have 3,000,000 rows or labels"),
        (header("|u1", (2**40, 2**40)), "its header says that it has the shape"),
        (header("|u1", (-2, 4)), "its header says that it has the shape"),
        (header("|O", (4,)), "it holds Python objects"),
        (b"\x93NUMPY\1\0\x10\x27" + b"(" * 10_000, r"EOF in multi-line|cannot be read as"),
        (b"\x93NUMPY\7\0", r"cannot be read as"),
        (b"text", "cannot be read as"),
    ],
)
def test_arrays_that_lie_take_no_memory(content: bytes, words: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header("|u1", (4, 4, 4)) + bytes(64))
        archive.writestr("labels.npy", content)
        archive.writestr("other.npy", header("|u1", (2, 65536, 65536, 1)))  # which nobody asks for
    with pytest.raises(BadInput, match=rf"set\.npz .*({words})"):
        scan(tmp_path / "set.npz")
    np.save(tmp_path / "images.npy", U8)
    (tmp_path / "labels.npy").write_bytes(content)
    with pytest.raises(BadInput, match=r"labels\.npy (cannot be read as|.*rows or labels)"):
        scan(tmp_path)


def test_archives_of_other_makes_are_no_npz_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("images.npy", header("|u1", (4, 4, 4)) + bytes(64))
    with pytest.raises(BadInput, match=r"'images\.npy' is packed in a way that NumPy does not"):
        scan(tmp_path / "set.npz")
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(BadInput, match=r"it has 1,001 arrays, more than 1,000"):
        scan(tmp_path / "set.npz")


def test_arrays_of_other_sizes_are_pictures_too(tmp_path: Path) -> None:
    images = arrays({"images": (4, 6, 6, 4)})["images"]
    images[..., 3] = 0  # transparent, so white
    np.savez(tmp_path / "set.npz", images=images, labels=[0, 1, 0, 1])
    source = Pictures(scan(tmp_path / "set.npz")["train"], (3, 3))
    assert (source.take(np.arange(4))["image"] == 255).all()


def test_names_that_are_bytes_are_text(tmp_path: Path) -> None:
    place = tmp_path / "set.npz"
    images = np.zeros((4, 6, 6), np.uint8)
    words = np.array(["개미".encode(), b"bee"] * 2)
    np.savez(place, images=images, labels=words)
    assert scan(place)["train"].classes == ("bee", "개미")
    np.savez(place, images=images, labels=[0, 1, 1, 0], classes=words[:2])
    assert scan(place)["train"].classes == ("개미", "bee")
    np.savez(place, images=images, labels=np.array([b"\xff", b"bee"] * 2))
    with pytest.raises(BadInput, match=r"labels in .*set\.npz are bytes that are no UTF-8"):
        scan(place)


def test_classes_are_names_and_not_their_number(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 6, 6), np.uint8), labels=[0, 1], classes=2)
    with pytest.raises(BadInput, match=r"the classes in .* have the shape \(\): expected"):
        scan(tmp_path / "set.npz")
