"""One file under several names is one picture: links, hard links, and other spellings of paths."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from picture_files import classes, photo

from flaxmill.data.folder import pictures
from flaxmill.data.listings import same_files
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.data.listings.unused import UnusedFiles
from flaxmill.errors import BadInput

Link = Callable[[Path, Path], None]
LINKS: dict[str, Link] = {"hard link": os.link, "symbolic link": os.symlink}


def names(listing: Listing) -> list[str]:
    return [str(file.relative_to(listing.root)) for file in listing.files]


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_test_picture_that_is_a_link_to_a_training_picture_is_refused(
    link: Link, tmp_path: Path
) -> None:
    for name in ("train", "test"):
        classes(tmp_path / name, {"ant": 2, "bee": 2})
    for label in ("ant", "bee"):
        link(tmp_path / "train" / label / "0.png", tmp_path / "test" / label / "x.png")
    with pytest.raises(
        BadInput,
        match=r"2 pictures of test are the same files as some of train \(test/ant/x\.png = "
        r"train/ant/0\.png, test/bee/x\.png = train/bee/0\.png\): what is trained on must not be",
    ):
        scan(tmp_path)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_file_in_two_classes_is_refused(link: Link, tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 2, "bee": 2})
    link(tmp_path / "ant/0.png", tmp_path / "bee/x.png")
    with pytest.raises(
        BadInput,
        match=r"1 picture of class bee is the same file as one of class ant \(bee/x\.png = "
        r"ant/0\.png\)",
    ):
        scan(tmp_path)
    shutil.move(tmp_path / "bee/x.png", tmp_path / "ant/x.png")
    listing = scan(tmp_path)["train"]
    assert names(listing) == ["ant/0.png", "ant/1.png", "bee/0.png", "bee/1.png"]
    assert listing.note == "Not used: ant/x.png (the same file as 0.png)."


def test_a_folder_that_is_a_link_to_another_class_is_refused(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 2, "bee": 2})
    (tmp_path / "wasp").symlink_to(tmp_path / "bee")
    with pytest.raises(BadInput, match=r"2 pictures of class wasp are the same files as some of"):
        scan(tmp_path)


def test_inodes_that_a_file_system_makes_up_are_not_believed(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 2, "bee": 2})
    by_label = {
        label: [same_files.File(path, 1) for path in sorted((tmp_path / label).iterdir())]
        for label in ("ant", "bee")
    }
    unique = same_files.deduplicate(tmp_path, {"train": by_label}, UnusedFiles(tmp_path))
    assert sum(map(len, unique["train"].values())) == 4


@pytest.mark.parametrize("spelling", ["./a/0.png", "a/../a/0.png", "b/link.png", "b/hard.png"])
def test_a_table_knows_a_file_by_all_its_names(spelling: str, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "a").mkdir(exist_ok=True)
        photo(number, 12, 8).save(tmp_path / f"a/{number}.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/link.png").symlink_to("../a/0.png")
    os.link(tmp_path / "a/0.png", tmp_path / "b/hard.png")
    place = tmp_path / "labels.csv"
    rows = "path,label,split\na/0.png,ant,train\na/1.png,bee,train\n"
    place.write_text(f"{rows}{spelling},ant,test\n")
    with pytest.raises(
        BadInput, match=r"line 4: the picture \S+ is for test, and for train too \(\S+, line 2"
    ):
        scan(place)
    place.write_text(f"{rows}{spelling},bee,train\n")
    with pytest.raises(BadInput, match=r"lines 2 and 4: the picture .* has the label 'ant' and"):
        scan(place)
    place.write_text(f"{rows}{spelling},ant,train\n")
    assert names(scan(place)["train"]) == ["a/0.png", "a/1.png"]


def test_equal_files_in_two_splits_or_under_two_labels_are_told(tmp_path: Path) -> None:
    for seed, name in enumerate(["train/ant", "train/bee", "test/ant", "test/bee"] * 3):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        photo(seed, 12, 8).save(tmp_path / name / f"{seed}.png")
    assert pictures(str(tmp_path), size=8).note == ""
    shutil.copy(tmp_path / "train/ant/0.png", tmp_path / "test/ant/copy.png")
    note = pictures(str(tmp_path), size=8).note
    assert note == (
        "1 picture is in two splits, byte for byte (train/ant/0.png = test/ant/copy.png): what is "
        "trained on, or chosen by, must not be tested on. flaxmill check names all."
    )
    shutil.copy(tmp_path / "train/ant/0.png", tmp_path / "train/bee/copy.png")
    assert (
        "2 pictures are under two labels, byte for byte (test/"
        in pictures(str(tmp_path), size=8).note
    )
