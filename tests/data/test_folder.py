"""Pictures read from files when they are asked for, and how a person's own become splits."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import bomb, classes, encoded, save, textured
from PIL import Image

from flaxmill.data.folder import Pictures, pictures
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.data.pictures.fit import fit
from flaxmill.data.prepare import Preparation, prepare
from flaxmill.data.source import Source
from flaxmill.errors import BadInput


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Ten ants and six bees, no two alike."""
    return classes(tmp_path / "animals", {"ant": 10, "bee": 6})


def held(source: Any) -> set[str]:
    return {"/".join(file.parts[-2:]) for file in source.files}


def resized(picture: Image.Image, size: int, resized_to: tuple[int, int]) -> np.ndarray:
    """What torchvision's Resize and CenterCrop are documented to do to a Pillow picture."""
    picture = picture.resize(resized_to, Image.Resampling.BILINEAR)
    left, top = (round((side - size) / 2) for side in resized_to)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize(
    ("original", "size", "share", "resized_to"),
    [
        ((500, 375), 224, 0.875, (341, 256)),  # 341.33
        ((375, 500), 224, 0.875, (256, 341)),
        ((64, 64), 224, 1.0, (224, 224)),
        ((301, 200), 32, 0.8, (60, 40)),  # 60.2
        ((100, 3), 5, 1.0, (166, 5)),
        ((7, 7), 7, 1.0, (7, 7)),
    ],
)
def test_a_crop_is_torchvisions(
    original: tuple[int, int], size: int, share: float, resized_to: tuple[int, int]
) -> None:
    picture = textured(original)
    expected = resized(picture, size, resized_to)
    np.testing.assert_array_equal(fit(picture, (size, size), "crop", share=share), expected)


def test_a_crop_covers_sizes_that_are_no_squares() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    seen = fit(Image.fromarray(wide), (20, 10), "crop")
    assert seen.shape == (20, 10, 3)
    assert (seen == 255).all()
    tall = fit(Image.fromarray(np.swapaxes(wide, 0, 1)), (10, 20), "crop")
    np.testing.assert_array_equal(tall, np.swapaxes(seen, 0, 1))


def test_squashing_keeps_everything_but_the_proportions() -> None:
    halves = np.zeros((10, 40), np.uint8)
    halves[:, 20:] = 200
    seen = fit(Image.fromarray(halves), (8, 8), "squash")[..., 0]
    assert (seen[:, :3] == 0).all()
    assert (seen[:, 5:] == 200).all()


def test_other_ways_to_fit_are_refused() -> None:
    with pytest.raises(BadInput, match=r"is called 'corp'\. Did you mean 'crop'\?"):
        fit(textured((8, 8)), (4, 4), "corp")
    for share in (0, 1.5, float("nan")):
        with pytest.raises(BadInput, match=f"a share above 0 and at most 1, not {share}"):
            fit(textured((8, 8)), (4, 4), "crop", share=share)


def test_pictures_are_a_source(animals: Path) -> None:
    listing = scan(animals)["train"]
    source = Pictures(listing, (6, 8))
    assert isinstance(source, Source)
    assert len(source) == 16
    batch = source.take(np.array([12, 3, 12]))
    assert sorted(batch) == ["image", "label"]
    assert batch["image"].shape == (3, 6, 8, 3)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].tolist() == [1, 0, 1]
    for place, index in enumerate((12, 3, 12)):
        np.testing.assert_array_equal(source[index]["image"], batch["image"][place])
    assert Pictures(listing, (6, 8), channels=1)[0]["image"].shape == (6, 8, 1)


def test_a_squashed_picture_tells_its_aspect(tmp_path: Path) -> None:
    for name, size in (("a/wide.png", (30, 10)), ("b/tall.png", (10, 20))):
        save(tmp_path / name, size)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (30, 10)).save(tmp_path / "b/turned.jpg", exif=exif)
    source = Pictures(scan(tmp_path)["train"], (8, 8), "squash")
    batch = source.take(np.arange(3))
    assert batch["aspect"].dtype == np.float32
    assert batch["aspect"].tolist() == [3, 0.5, np.float32(1 / 3)]
    assert source[1]["aspect"] == 0.5


def test_a_draft_is_only_taken_of_what_is_twice_as_large(tmp_path: Path) -> None:
    for name, size in (("a/small.jpg", (190, 110)), ("b/large.jpg", (400, 300))):
        save(tmp_path / name)
        textured(size).save(tmp_path / name, quality=90)
    listing = scan(tmp_path)["train"]
    draft, whole = (
        Pictures(listing, (56, 56), share=0.875, draft=draft)
        .take(np.arange(2))["image"]
        .astype(int)
        for draft in (True, False)
    )
    np.testing.assert_array_equal(draft[0], whole[0])
    assert 0 < np.abs(draft[1] - whole[1]).max() < 40
    with Image.open(listing.files[1]) as picture:
        expected = resized(picture.convert("RGB"), 56, (85, 64))
    np.testing.assert_array_equal(whole[1], expected)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    for number in range(24):
        path = save(tmp_path / f"{number % 2}/{number}.jpg")
        textured((300 + number, 200), seed=number).save(path, quality=80)
    source = Pictures(scan(tmp_path)["train"], (24, 24))
    expected = source.take(np.arange(24))["image"]
    together = threading.Barrier(8)

    def read(start: int) -> np.ndarray:
        together.wait()
        return source.take((np.arange(24) + start) % 24)["image"]

    with ThreadPoolExecutor(8) as pool:
        for start, seen in enumerate(pool.map(read, range(8))):
            np.testing.assert_array_equal(np.roll(seen, start, axis=0), expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(textured((64, 64)))[:600], "is a damaged picture"),
        (b"", "is no picture that can be read: it is empty"),
        (b"label,path", "is no picture that can be read: expected PNG"),
        (bomb(), "is too large a picture to be opened safely"),
        (None, r"is gone: it was there when the pictures were listed\. Put it back and give the "
         "same command again, which goes on from the last state saved"),
    ],
)  # fmt: skip
def test_a_bad_picture_is_named(content: bytes | None, words: str, animals: Path) -> None:
    source = Pictures(scan(animals)["train"], (8, 8))
    path = animals / "ant/2.png"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert source.take(np.array([1, 3]))["label"].tolist() == [0, 0]
    with pytest.raises(BadInput, match=rf"ant/2\.png {words}"):
        source.take(np.array([1, 2, 3]))


def test_a_link_to_nothing_is_named_when_it_is_read(animals: Path) -> None:
    (animals / "ant/2.png").unlink()
    (animals / "ant/2.png").symlink_to("elsewhere.png")
    splits = pictures(str(animals), size=8)  # for a run may be told to skip it
    name, where = next(
        (name, at)
        for name in ("train", "validation", "test")
        for at, file in enumerate(getattr(splits, name).files)
        if file.name == "2.png" and file.parent.name == "ant"
    )
    with pytest.raises(BadInput, match=r"ant/2\.png is a link that leads to no file: put there"):
        splits[name].take(np.array([where]))


def test_kinds_that_a_folder_may_mix(tmp_path: Path) -> None:
    """CMYK, 16 bits, an animation, grey with transparency, two colours: all come out as RGB."""
    red = Image.new("RGB", (12, 12), (255, 0, 0))
    made = {
        "cmyk.jpg": encoded(red.convert("CMYK"), quality=95),
        "deep.png": encoded(Image.fromarray(np.full((12, 12), 0xFF00, np.uint16)), "png"),
        "moving.gif": encoded(
            red, "gif", save_all=True, append_images=[Image.new("RGB", (12, 12))]
        ),
        "clear.png": encoded(Image.new("LA", (12, 12), (0, 0)), "png"),
        "bits.png": encoded(Image.new("1", (12, 12), 1), "png"),
    }
    for name, content in made.items():
        for label in "ab":
            save(tmp_path / label / name).write_bytes(content)
    source = Pictures(scan(tmp_path)["train"], (6, 6))
    means = source.take(np.arange(5))["image"].astype(int).mean((1, 2))
    white, red_one = [255, 255, 255], [255, 0, 0]
    expected = [white, white, red_one, white, red_one]  # bits, clear, cmyk, deep, moving
    assert np.abs(means - expected).max() <= 3  # JPEG loses a little


def test_a_folder_is_divided_by_class(animals: Path) -> None:
    splits = pictures(str(animals), size=8, validation=0.2, test=0.2)
    assert splits.title == "animals"
    assert splits.labels == ("ant", "bee")
    counts = [
        np.bincount(s.labels).tolist() for s in (splits.train, splits.validation, splits.test)
    ]
    assert counts == [[6, 4], [2, 1], [2, 1]]
    parts = [held(splits[name]) for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 16
    assert splits.note == (
        "Held out of each class, the same at every run: 3 pictures for validation, 3 for the test."
    )
    again = pictures(str(animals), size=8, validation=0.2, test=0.2)
    assert again.digests == splits.digests
    assert held(again.test) == held(splits.test)
    moved = animals.rename(animals.with_name("moved"))
    assert pictures(str(moved), size=8, validation=0.2, test=0.2).digests == splits.digests


def test_one_given_part_is_the_test(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"ant": 10, "bee": 10})
    classes(tmp_path / "val", {"ant": 2, "bee": 3})
    splits = pictures(str(tmp_path), size=8, validation=0.1)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [18, 2, 5]
    assert splits.note.startswith("The pictures given for validation are kept for the test, and a")
    classes(tmp_path / "test", {"ant": 1, "bee": 1})
    splits = pictures(str(tmp_path), size=8, validation=0.1)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [20, 5, 2]
    assert splits.note.startswith("7 pictures are in two splits, byte for byte (val/")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (
            {"validation": 16},
            "--validation 16 does not fit 13 pictures of 2 classes, .* a number from 0 to 11,",
        ),
        (
            {"test": -1},
            "--test -1 does not fit 16 pictures of 2 classes, .*: give a number from 0 to 14,",
        ),
        (
            {"validation": 0.4, "test": 0.6},
            "--validation 0.4 and --test 0.6 leave nothing to train on: together .* below 1",
        ),
        ({"size": -5}, "--size -5: pictures have 1 pixel a side or more"),
        ({"train_size": (8, -1)}, "--train-size 8×-1: pictures have 1 pixel a side or more"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    numbers: dict[str, Any], words: str, animals: Path
) -> None:
    numbers = {"size": 8, **numbers}
    with pytest.raises(BadInput, match=words):
        pictures(str(animals), **numbers)


def test_classes_that_the_test_lacks_are_named(tmp_path: Path) -> None:
    classes(tmp_path, {"ant": 4, "bee": 4, "cat": 1, "dog": 1, "elk": 1, "fox": 1})
    note = pictures(str(tmp_path), size=8).note
    assert (
        "The test has no pictures of 'cat', 'dog', 'elk' and 1 more classes, so nothing is known "
        "of how these do."
    ) in note


def test_nothing_is_held_out_for_validation_if_told_so(animals: Path) -> None:
    splits = pictures(str(animals), size=8, validation=0, test=4)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [12, 0, 4]
    with pytest.raises(
        BadInput, match=r"--test 0: there must be pictures to test on; give a number"
    ):
        pictures(str(animals), size=8, test=0)


def test_training_pictures_are_squashed_and_the_others_fitted(animals: Path) -> None:
    cropped = pictures(str(animals), size=8, train_size=12, fit="crop", share=0.9)
    assert set(cropped.train[0]) == {"image", "label", "aspect"}
    splits = pictures(str(animals), size=8, train_size=12, fit="pad", share=0.9)
    assert splits.train[0]["image"].shape == cropped.train[0]["image"].shape == (12, 12, 3)
    assert set(splits.train[0]) == set(splits.test[0]) == {"image", "label"}  # padded, both
    assert splits.test[0]["image"].shape == (8, 8, 3)
    picture = Image.open(splits.test.files[0])
    np.testing.assert_array_equal(splits.test[0]["image"], fit(picture, (8, 8), "pad"))


def test_overfitting_takes_something_of_every_class(animals: Path) -> None:
    splits = pictures(str(animals), size=8, overfit=4)
    assert splits.seen
    assert splits.title == "animals, 4 training examples alone"
    assert len(splits.train) == 11
    labels = splits.train.take(np.arange(8))["label"]
    assert labels[:4].tolist() == labels[4:].tolist() == splits.test.labels.tolist()
    assert sorted(labels[:4].tolist()) == [0, 0, 1, 1]
    assert held(splits.test) == held(splits.validation)
    for wrong in (-1, 12):
        with pytest.raises(BadInput, match=rf"--overfit {wrong}: give a number from 1 to 11\."):
            pictures(str(animals), size=8, overfit=wrong)


def test_overfitting_on_prepared_pictures_is_refused(animals: Path, tmp_path: Path) -> None:
    made = prepare(str(animals), tmp_path / "ready", Preparation(8, 8, share=1.0))
    with pytest.raises(BadInput, match=r"--overfit evaluates on training pictures, .* give the fo"):
        pictures(str(made), size=8, train_size=8, overfit=4)


def test_listings_may_be_given(animals: Path) -> None:
    listing = scan(animals)["train"]
    splits = pictures({"train": listing, "test": listing}, size=8, validation=3)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (13, 3, 16)
    many = Listing(
        listing.files, np.eye(2, dtype=np.float32)[listing.labels], listing.classes, animals
    )
    splits = pictures({"train": many}, size=8)
    assert splits.gives == "labels"
    assert splits.train[0]["label"].shape == (2,)
    assert splits.train[0]["label"].dtype == np.float32


def test_the_real_pictures() -> None:
    place = Path(os.environ.get("FLAXMILL_DATA", "absent")) / "imagefolder/hymenoptera"
    if not place.is_dir():
        pytest.skip("needs real pictures: set FLAXMILL_DATA to the folder that holds imagefolder/")
    splits = pictures(str(place), size=64, train_size=72, share=0.875, validation=0.2)
    assert splits.labels == ("ants", "bees")
    assert np.bincount(splits.test.labels).tolist() == [29, 34]
    assert len(splits.train) + len(splits.validation) == 113
    batch = splits.train.take(np.arange(8))
    assert batch["image"].shape == (8, 72, 72, 3)
    assert batch["image"].std() > 30  # photographs, not grounds of one colour
    assert (batch["aspect"] != 1).any()
