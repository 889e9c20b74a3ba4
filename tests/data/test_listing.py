"""Folders of pictures: the layouts that are understood or refused, and how they are divided."""

import os
import re
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from forbidding import forbidden
from picture_files import classes, save

from flaxmill.data.listings.digests import digests
from flaxmill.data.listings.dividing import interleaved, stratified_split
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput
from flaxmill.machine.files import remove


def names(listing: Listing) -> list[str]:
    """Returns each picture's path below the root, in the composed form of Unicode."""
    return [
        unicodedata.normalize("NFC", file.relative_to(listing.root).as_posix())
        for file in listing.files
    ]


def many(*counts: int, root: Path = Path("/data")) -> Listing:
    """A listing of files that do not exist, with so many of each class."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    files = tuple(root / f"{label}/{number}.png" for number, label in enumerate(labels))
    return Listing(files, labels, tuple(map(str, range(len(counts)))), root)


def test_a_folder_a_class(tmp_path: Path) -> None:
    classes(tmp_path, {"bee": 2, "ant": 1})
    save(tmp_path / "bee/summer/2024/b.JPG".lower())
    os.rename(tmp_path / "bee/summer/2024/b.jpg", tmp_path / "bee/summer/2024/b.JPEG")
    listings = scan(tmp_path)
    assert list(listings) == ["train"]
    assert listings["train"].classes == ("ant", "bee")
    assert names(listings["train"]) == [
        "ant/0.png",
        "bee/0.png",
        "bee/1.png",
        "bee/summer/2024/b.JPEG",
    ]
    assert listings["train"].labels.tolist() == [0, 1, 1, 1]
    assert not listings["train"].multi_label


def test_what_is_hidden_or_no_picture_is_passed_over(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 1, "bee": 1})
    for junk in (".git/a.png", "__MACOSX/ant/._0.png", ".DS_Store", "ant/Thumbs.db", "ant/._0.png",
                 "ant/.thumbnails/0.png", "README.md", "bee/notes.txt"):  # fmt: skip
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    assert names(scan(tmp_path)["train"]) == ["ant/0.png", "bee/0.png"]


def test_what_might_have_been_meant_is_told(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 1, "bee": 1})
    for name in ("ant/1.HEIC", "bee/more/2.heic", "bee/clip.mp4", "bee/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    save(tmp_path / "stray.png")
    listing = scan(tmp_path)["train"]
    assert listing.note == (
        "Not used: stray.png, 2 .heic files (ant/1.HEIC, bee/more/2.heic), bee/clip.mp4, "
        "bee/notes.txt."
    )


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    classes(tmp_path, {"10": 1, "9": 2, "1": 1})
    listing = scan(tmp_path)["train"]
    assert listing.classes == ("1", "9", "10")
    assert listing.labels.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "Val"])
def test_train_and_val_as_imagenet_has_them(held_out: str, tmp_path: Path) -> None:
    for wnid in ("n01440764", "n01443537"):
        save(tmp_path / f"train/{wnid}/{wnid}_18.png")
        save(tmp_path / f"{held_out}/{wnid}/ILSVRC2012_val_00000293.png")
        os.rename(
            tmp_path / f"train/{wnid}/{wnid}_18.png", tmp_path / f"train/{wnid}/{wnid}_18.JPEG"
        )
    save(tmp_path / "test/ILSVRC2012_test_00000001.png")  # no labels are published for these
    listings = scan(tmp_path)
    assert list(listings) == ["train", "validation"]
    assert names(listings["train"]) == ["train/n01440764/n01440764_18.JPEG",
                                     "train/n01443537/n01443537_18.JPEG"]  # fmt: skip
    assert listings["validation"].classes == listings["train"].classes
    assert listings["train"].note == (
        f"{tmp_path / 'test'} has no pictures in class folders, so it tells nothing: it is not "
        "used. Not used: test/ILSVRC2012_test_00000001.png."
    )


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    classes(tmp_path, {"train": 2, "bus": 1, "test": 1})
    (tmp_path / "train.csv").write_text("path,label\n")
    train = scan(tmp_path)["train"]
    assert train.classes == ("bus", "test", "train")
    assert train.note == (
        "test and train count as classes here: if they are splits, call them train, val and test, "
        "with a folder for each class in them. Not used: train.csv (no rows)."
    )


def test_train_alone_is_a_layout_too(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"ant": 2, "bee": 2})
    assert list(scan(tmp_path)) == ["train"]
    assert names(scan(tmp_path)["train"])[0] == "train/ant/0.png"


def test_a_class_may_be_missing_in_validation_but_not_only_there(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"ant": 2, "bee": 2, "cat": 2})
    classes(tmp_path / "val", {"bee": 1, "cat": 1})
    (tmp_path / "val/ant").mkdir()
    listings = scan(tmp_path)
    assert listings["validation"].classes == ("ant", "bee", "cat")
    assert listings["validation"].labels.tolist() == [1, 2]
    classes(tmp_path / "val", {"bees": 1})
    with pytest.raises(
        BadInput,
        match=r"val has the class 'bees', which \S*train lacks, so it cannot be learnt\. Did you "
        r"mean 'bee'\? Put pictures of it there, or take the folder away\.",
    ):
        scan(tmp_path)


def test_korean_names_with_spaces_in_either_form_of_unicode(tmp_path: Path) -> None:
    """Systems have stored names composed or decomposed, and people copy between them."""
    ant, bee = "개미 사진", "꿀벌 사진"
    for split, form in (("train", "NFC"), ("val", "NFD")):
        for label in (ant, bee):
            save(tmp_path / split / unicodedata.normalize(form, label) / "여름 1.png")
    listings = scan(tmp_path)
    assert listings["train"].classes == listings["validation"].classes == (ant, bee)
    assert names(listings["validation"]) == [f"val/{ant}/여름 1.png", f"val/{bee}/여름 1.png"]
    assert all(file.exists() for file in listings["validation"].files)
    moved = tmp_path / "moved"
    for label in (ant, bee):
        save(
            moved / unicodedata.normalize("NFD", label) / unicodedata.normalize("NFD", "여름 1.png")
        )
    composed = tmp_path / "train"
    assert digests(scan(moved)) == digests(scan(composed))


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        save(tmp_path / unicodedata.normalize(form, "꿀벌") / "0.png")
    with pytest.raises(
        BadInput,
        match=r"two folders are called '꿀벌': their names are stored in two forms of Unicode "
        r"\('\\u1101.*' and '\\uafc0\\ubc8c'\)\. Move the pictures of one into the other",
    ):
        scan(tmp_path)


def test_symbolic_links_are_followed_but_not_round_and_round(tmp_path: Path) -> None:
    classes(tmp_path / "store", {"ant": 2, "bee": 1})
    data = tmp_path / "data"
    data.mkdir()
    (data / "ant").symlink_to("../store/ant")
    save(data / "bee/0.png")
    for number, above in enumerate((data / "bee", data, tmp_path, Path("/"))):
        (data / f"bee/again {number}").symlink_to(above)  # loops
    (data / "bee/self").symlink_to("self")
    (data / "bee/one more.png").symlink_to(tmp_path / "store/bee/0.png")
    listing = scan(data)["train"]
    assert listing.classes == ("ant", "bee")
    assert names(listing) == ["ant/0.png", "ant/1.png", "bee/0.png", "bee/one more.png"]
    assert listing.note == ("Not used: bee/self, 4 looping links (bee/again 0, bee/again 1, …).")


def test_folders_a_thousand_deep_are_named(tmp_path: Path) -> None:
    classes(tmp_path / "pictures", {"ant": 2, "bee": 2})
    deep = os.open(tmp_path / "pictures" / "ant", os.O_RDONLY)
    for _ in range(1200):  # as a whole, the path is longer than some systems open
        os.mkdir("d", dir_fd=deep)
        inside = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inside
    os.close(deep)
    try:
        with pytest.raises(BadInput, match=r"there are more than 100 folders within one another"):
            scan(tmp_path / "pictures")
        remove(tmp_path / "pictures" / "ant")  # as far as it goes, and without an error
    finally:
        subprocess.run(["rm", "-r", tmp_path / "pictures"], check=True)  # which pytest could not


def test_a_folder_that_two_links_lead_to_counts_once(tmp_path: Path) -> None:
    classes(tmp_path / "store", {"more": 2})
    data = classes(tmp_path / "data", {"ant": 1, "bee": 1})
    for name in ("one", "two"):
        (data / "ant" / name).symlink_to(tmp_path / "store/more")
    listing = scan(data)["train"]
    assert names(listing) == ["ant/0.png", "ant/one/0.png", "ant/one/1.png", "bee/0.png"]
    assert listing.note == ""


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            {},
            r"found in \S+: nothing, and no pictures in folders\. Expected a folder for each class",
        ),
        (
            {"ant": 2, "bee": 0},
            r"the class folder \S*bee has no pictures \(.*\)\. Found in it: nothing\. Put some in",
        ),
    ],
)
def test_too_few_classes_are_refused(counts: dict[str, int], words: str, tmp_path: Path) -> None:
    classes(tmp_path, counts)
    with pytest.raises(BadInput, match=words):
        scan(tmp_path)


def test_a_layout_that_is_another_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for number in range(3):
        save(tmp_path / f"{number}.png")
    with pytest.raises(
        BadInput,
        match=r"found in \S+: 3 pictures and 1 \.txt file, and no pictures in folders\. Expected "
        r"a folder for each class \(\S+cat, \S+dog\) with its pictures in it \(\.png, .*\), or "
        r"train/ and val/ folders of such, or a CSV file that lists them, with the columns path",
    ):
        scan(tmp_path)
    inner = classes(tmp_path / "unpacked/photos", {"ant": 1, "bee": 1})
    listings = scan(tmp_path / "unpacked")["train"]  # a model can be judged by one class
    words = r"in \S+unpacked there is one class only, 'photos': expected a folder for each of two "
    assert re.match(words + r"classes or more\. If the classes are the folders", listings.lacking)
    assert len(scan(inner)["train"]) == 2
    heic = tmp_path / "phone"
    classes(heic, {"ant": 1})
    (heic / "bee").mkdir()
    (heic / "bee/IMG_1.HEIC").touch()
    with pytest.raises(BadInput, match=r"bee has no pictures .* Found in it: 1 \.heic file\. Put"):
        scan(heic)


def test_validation_without_class_folders_is_refused(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"ant": 1, "bee": 1})
    save(tmp_path / "val/0.png")
    with pytest.raises(
        BadInput,
        match=r"found in \S+val: 1 picture, and no pictures in folders\. Expected a",
    ):
        scan(tmp_path)
    (tmp_path / "valid").mkdir()
    with pytest.raises(BadInput, match="there are both val and valid: leave one of them"):
        scan(tmp_path)


def test_a_place_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"there is no \S+none: give a folder, a CSV or Parquet file"
    ):
        scan(tmp_path / "none")
    for name, words in (
        ("photos.ZIP", "is packed: unpack it, and give its folder"),
        ("photos.doc", "is a file of a kind that is not known: give a folder, a CSV or"),
    ):
        (tmp_path / name).touch()
        with pytest.raises(BadInput, match=rf"{name} {words}"):
            scan(tmp_path / name)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 1, "bee": 1})
    with (
        forbidden(tmp_path / "bee"),
        pytest.raises(BadInput, match=r"cannot be read: permission denied"),
    ):
        scan(tmp_path)


@pytest.mark.parametrize(("held_out", "each"), [(0.2, [2, 4, 1, 0]), (0.0, [0, 0, 0, 0])])
def test_a_share_has_each_class_in_its_proportion(held_out: float, each: list[int]) -> None:
    train, held = stratified_split(many(10, 20, 2, 1), held_out)
    assert np.bincount(held.labels, minlength=4).tolist() == each
    assert sorted([*train.files, *held.files]) == sorted(many(10, 20, 2, 1).files)
    again = stratified_split(many(10, 20, 2, 1), held_out)[1]
    assert again.files == held.files
    other = stratified_split(many(10, 20, 2, 1), held_out, seed=1)[1]
    assert (other.files != held.files) == (held_out > 0)


@pytest.mark.parametrize("count", [0, 1, 7, 13, 27])
def test_a_number_is_held_out_exactly(count: int) -> None:
    train, held = stratified_split(many(10, 13, 7), count)
    assert (len(train), len(held)) == (30 - count, count)
    expected = count * np.array([10, 13, 7]) / 30
    assert np.abs(np.bincount(held.labels, minlength=3) - expected).max() <= 1


@pytest.mark.parametrize("wrong", [-1, 30, 1.0, -0.1, float("nan")])
def test_what_cannot_be_held_out_is_refused(wrong: float) -> None:
    with pytest.raises(
        BadInput,
        match=rf"--test {wrong} does not fit 30 pictures of 3 classes, each of which keeps one "
        r"to be learnt from: give a number from 0 to 27, or a share such as 0\.1\.",
    ):
        stratified_split(many(10, 13, 7), wrong, option="--test")


def test_several_labels_have_their_proportions_too() -> None:
    dice = np.random.default_rng(0)
    labels = (dice.random((400, 5)) < [0.5, 0.3, 0.1, 0.03, 0.01]).astype(np.float32)
    labels[:, 4] = 0
    labels[7, 4] = 1  # the only one of its kind
    listing = Listing(many(400).files, labels, tuple("abcde"), Path("/data"))
    train, held = stratified_split(listing, 0.25)
    assert len(train) + len(held) == 400
    assert abs(len(held) - 100) <= 2
    assert np.abs(held.labels.sum(axis=0) - labels.sum(axis=0) / 4).max() <= 1
    assert train.labels[:, 4].sum() == 1
    assert stratified_split(listing, 0.25)[1].files == held.files
    assert stratified_split(listing, 0.25, seed=1)[1].files != held.files
    assert len(stratified_split(listing, 0)[1]) == 0
    assert abs(len(stratified_split(listing, 40)[1]) - 40) <= 2


def test_the_beginning_has_something_of_every_class() -> None:
    mixed = interleaved(many(5, 3, 4))
    assert [sorted(mixed.labels[at : at + 3].tolist()) for at in (0, 3, 6)] == [[0, 1, 2]] * 3
    assert sorted(mixed.files) == sorted(many(5, 3, 4).files)
