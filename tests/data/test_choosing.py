"""Tables beside folders of pictures: which of both counts, what splits say, what is not used."""

import json
from pathlib import Path

import pytest
from commands import command
from picture_files import classes, photo, save

from flaxmill.data.check import check
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput


def filled(folder: Path, count: int) -> list[Path]:
    """Makes a folder of so many pictures, no two of which are alike."""
    folder.mkdir(parents=True)
    paths = [folder / f"{folder.name} {number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        photo(sum(map(ord, folder.name)) + number, 12, 8).save(path)
    return paths


def table(place: Path, paths: list[Path], *, header: str = "path,label", more: str = "") -> Path:
    """Writes a table in which every other picture is a cat."""
    rows = [
        f"{path.relative_to(place.parent).as_posix()},{'cat' if number % 2 else 'dog'}{more}"
        for number, path in enumerate(paths)
    ]
    place.write_text("\n".join([header, *rows, ""]))
    return place


def counts(listings: dict[str, Listing]) -> dict[str, int]:
    return {name: len(listing) for name, listing in listings.items()}


def test_a_table_counts_where_folders_are_no_classes(tmp_path: Path) -> None:
    """As Kaggle has it: train.csv, test.csv without labels, a form, and pictures in two folders."""
    train, test = filled(tmp_path / "train_images", 6), filled(tmp_path / "test_images", 3)
    table(tmp_path / "train.csv", train)
    (tmp_path / "test.csv").write_text("path\n" + "".join(f"test_images/{p.name}\n" for p in test))
    table(tmp_path / "sample_submission.csv", test)
    listings = scan(tmp_path)
    assert (counts(listings), listings["train"].classes) == ({"train": 6}, ("cat", "dog"))
    assert listings["train"].note.endswith(
        "Not used: 3 pictures in test_images (test_images/test_images 0.png, "
        "test_images/test_images 1.png, …), test.csv (no column of labels), sample_submission.csv "
        "(a form for answers, by its name)."
    )


def test_a_table_counts_where_folders_are_parts(tmp_path: Path) -> None:
    parts = filled(tmp_path / "part1", 4) + filled(tmp_path / "part2", 4)
    table(tmp_path / "labels.csv", parts)
    listings = scan(tmp_path)
    assert (counts(listings), listings["train"].classes) == ({"train": 8}, ("cat", "dog"))
    assert "Listed by labels.csv: the names of the folders do not count." in listings["train"].note


def test_a_table_that_says_otherwise_than_class_folders_is_refused(tmp_path: Path) -> None:
    both = filled(tmp_path / "ant", 2) + filled(tmp_path / "bee", 2)
    place = table(tmp_path / "labels.csv", both)
    with pytest.raises(
        BadInput,
        match=r"labels\.csv lists other classes than the folders have: of ant 0\.png it says "
        r"'dog', and the folder 'ant'\. So it is open which count\. Give \S+labels\.csv, or "
        r"move it away, to train on the names of the folders\.",
    ):
        scan(tmp_path)
    assert scan(place)["train"].classes == ("cat", "dog")
    place.rename(tmp_path.parent / "labels.csv")
    assert scan(tmp_path)["train"].classes == ("ant", "bee")


def test_a_table_of_some_of_the_pictures_in_class_folders_is_refused(tmp_path: Path) -> None:
    ants, bees = filled(tmp_path / "ant", 3), filled(tmp_path / "bee", 3)
    rows = [f"ant/{path.name},ant" for path in ants] + [f"bee/{bees[0].name},bee"]
    (tmp_path / "some.csv").write_text("\n".join(["path,label", *rows, ""]))
    with pytest.raises(BadInput, match=r"lists only 4 of 6 pictures that are in class folders\."):
        scan(tmp_path)


def test_a_table_that_says_what_class_folders_say_takes_nothing_away(tmp_path: Path) -> None:
    ants, bees = filled(tmp_path / "ant", 2), filled(tmp_path / "bee", 2)
    for names, words in ((("ant", "bee"), ""), (("0", "1"), ", in other words")):
        rows = [f"{p.parent.name}/{p.name},{names[p in bees]}" for p in ants + bees]
        (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows, ""]))
        listing = scan(tmp_path)["train"]
        assert listing.classes == ("ant", "bee")
        note = f"Not used: labels.csv (it says what the names of folders do{words})."
        assert listing.note == note


def test_tables_of_splits_count_beside_class_folders(tmp_path: Path) -> None:
    ants, bees = filled(tmp_path / "ant", 3), filled(tmp_path / "bee", 3)
    for name, some in (("train", slice(2)), ("val", slice(2, 3))):
        rows = [f"{p.parent.name}/{p.name},{p.parent.name}" for p in ants[some] + bees[some]]
        (tmp_path / f"{name}.csv").write_text("\n".join(["filename,label", *rows, ""]))
    assert counts(scan(tmp_path)) == {"train": 4, "validation": 2}


def test_a_table_of_other_pictures_takes_nothing_away(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 2, "bee": 2})
    (tmp_path / "old.csv").write_text("path,label\n/home/someone/1.jpg,ant\n")
    (tmp_path / "prices.csv").write_text("name,price\nant,3\n")
    listing = scan(tmp_path)["train"]
    assert listing.classes == ("ant", "bee")
    assert listing.note == (
        "Not used: prices.csv (no column of paths), old.csv (none of its pictures is here)."
    )


def test_a_table_of_bare_names_says_where_the_pictures_are(tmp_path: Path) -> None:
    pictures = filled(tmp_path / "train_images", 2) + filled(tmp_path / "test_images", 2)
    text = "".join(f"{path.name},cat\n" for path in pictures[:2])
    (tmp_path / "train.csv").write_text("path,label\n" + text)
    with pytest.raises(
        BadInput,
        match=r"There is a train_images/train_images 0\.png: put the table into \S+train_images, "
        r"if all its pictures are there, or write their paths so\.",
    ):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("is_valid", ("False", "True"), "validation"),
        ("is_valid", ("0", "1"), "validation"),
        ("is_test", ("no", "YES"), "test"),
        ("subset", ("training", "Eval"), "validation"),
        ("split", ("train", "test_set"), "test"),
        ("set", ("A", "B"), ""),  # nobody knows
        ("fold", ("0", "1"), ""),  # nor which of the folds
    ],
)
def test_a_column_may_say_the_split(
    column: str, cells: tuple[str, str], expected: str, tmp_path: Path
) -> None:
    pictures = filled(tmp_path / "pictures", 8)
    rows = [f"pictures/{p.name},{'ab'[n % 2]},{cells[n > 5]}" for n, p in enumerate(pictures)]
    (tmp_path / "labels.csv").write_text("\n".join([f"path,label,{column}", *rows, ""]))
    totals = {"train": 6, expected: 2} if expected else {"train": 8}
    assert counts(scan(tmp_path)) == totals
    checked = check(tmp_path)
    assert checked.facts.totals() == totals


def test_a_flag_that_is_neither_is_named(tmp_path: Path) -> None:
    place = table(
        tmp_path / "labels.csv",
        filled(tmp_path / "pictures", 2),
        header="path,label,is_valid",
        more=",maybe",
    )
    with pytest.raises(BadInput, match=r"line 2: is_valid is 'maybe': expected True or False"):
        scan(place)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_table_for_the_folders_of_all_splits(kind: str, tmp_path: Path) -> None:
    """Hugging Face's imagefolder: metadata.csv or .jsonl at the root."""
    pictures = filled(tmp_path / "train", 4) + filled(tmp_path / "test", 2)
    place = table(tmp_path / "metadata.csv", pictures, header="file_name,label")
    if kind == "jsonl":
        rows = [line.split(",") for line in place.read_text().splitlines()]
        place.unlink()
        lines = [json.dumps(dict(zip(rows[0], row, strict=True))) for row in rows[1:]]
        (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    listings = scan(tmp_path)
    assert counts(listings) == {"train": 4, "test": 2}
    assert (
        "Splits: as the folders of the pictures are called (train, test)." in listings["train"].note
    )
    assert check(tmp_path).facts.totals() == {"train": 4, "test": 2}


def test_folders_of_which_some_are_called_as_splits_are_doubted(tmp_path: Path) -> None:
    pictures = [path for name in ("train", "test", "more") for path in filled(tmp_path / name, 2)]
    table(tmp_path / "metadata.csv", pictures, header="file_name,label")
    with pytest.raises(
        BadInput,
        match=r"lists pictures in test and train, which are called as splits are, and in more, "
        r"which is not: add a column split",
    ):
        scan(tmp_path)


def test_a_table_in_each_folder_of_a_split(tmp_path: Path) -> None:
    for name, count in (("train", 4), ("validation", 2)):
        pictures = filled(tmp_path / name, count)
        rows = [{"file_name": p.name, "label": n % 2} for n, p in enumerate(pictures)]
        lines = "\n".join(map(json.dumps, rows))
        (tmp_path / name / "metadata.jsonl").write_text(lines)
    listings = scan(tmp_path)
    assert (counts(listings), listings["train"].classes) == (
        {"train": 4, "validation": 2},
        ("0", "1"),
    )
    (tmp_path / "train/metadata.jsonl").write_text('{"file_name": \n')
    with pytest.raises(BadInput, match=r"metadata\.jsonl, line 1: it is no JSON"):
        scan(tmp_path)
    (tmp_path / "train/metadata.jsonl").write_text("[1]\n")
    with pytest.raises(BadInput, match=r"line 1: expected an object of JSON, such as"):
        scan(tmp_path)
    (tmp_path / "train/metadata.jsonl").write_text("[" * 100_000)
    with pytest.raises(BadInput, match=r"metadata\.jsonl, line 1: it is no JSON"):
        scan(tmp_path)
    strange = "".join(f'{{"file_name": "{n}.png", "name {n}": 1}}\n' for n in range(1500))
    (tmp_path / "train/metadata.jsonl").write_text(strange)
    with pytest.raises(BadInput, match=r"has 1,501 names in its rows, and up to 1,000 columns"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("training_set", "test_set", "test"),
        ("train", "dev", "validation"),
        ("Train", "eval", "validation"),
        ("train2017", "val2017", "validation"),
        ("trainset", "Validate", "validation"),
    ],
)
def test_folders_of_splits_go_by_many_names(
    train: str, other: str, split: str, tmp_path: Path
) -> None:
    for name, count in ((train, 3), (other, 2)):
        classes(tmp_path / name, {"ant": count, "bee": count})
    listings = scan(tmp_path)
    assert (counts(listings), listings["train"].classes) == ({"train": 6, split: 4}, ("ant", "bee"))
    assert listings["train"].note == ""


def test_a_folder_that_no_rule_uses_is_named(tmp_path: Path) -> None:
    for name in ("train", "test", "extra"):
        classes(tmp_path / name, {"ant": 2, "bee": 2})
    (tmp_path / "README.md").write_text("mine")
    assert scan(tmp_path)["train"].note == (
        "Not used: 4 pictures in extra (extra/ant/0.png, extra/ant/1.png, …), README.md."
    )


def test_pictures_beside_those_of_a_table_are_named(tmp_path: Path) -> None:
    pictures = filled(tmp_path / "pictures", 4)
    place = table(tmp_path / "labels.csv", pictures[:3])
    save(tmp_path / "other/1.png")
    assert scan(place)["train"].note.endswith("Not used: pictures/pictures 3.png.")
    assert scan(tmp_path)["train"].note.endswith("Not used: other/1.png, pictures/pictures 3.png.")


def test_training_refuses_folders_of_splits_without_classes_as_check_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train pictures 1", "test pictures 1"):
        filled(tmp_path / name, 2)
    status, _, trouble = command(capsys, "train", "images", "--data", str(tmp_path), "--dry-run")
    assert status == 2
    assert "the folders are called test pictures 1 and train pictures 1, as splits are" in trouble
    assert command(capsys, "check", str(tmp_path))[0] == 2
