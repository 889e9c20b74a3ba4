import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command
from PIL import Image

from flaxmill.data import prepare as preparing
from flaxmill.data.batches import Gear
from flaxmill.data.folder import pictures
from flaxmill.data.prepare import Preparation, default_preparation, prepare
from flaxmill.data.prepared import MANIFEST_NAME
from flaxmill.data.source import SPLITS, Splits
from flaxmill.errors import BadInput, CannotGoOn, Unreadable
from flaxmill.recipes import images

PREPARATION = Preparation(size=12, train_size=16, share=0.875, validation=0.25, test=0.25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of class folders: two hundred pictures of several sizes."""
    random = np.random.default_rng(0)
    for index in range(200):
        name, (height, width) = "개미 bee"[index % 2 :: 2] + "s", random.integers(14, 40, 2)
        place = tmp_path / "pictures" / name / f"{index:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(place)
    return tmp_path / "pictures"


def assert_equal(one: Splits, other: Splits) -> None:
    assert one.labels == other.labels
    assert one.gives == other.gives
    for split in SPLITS:
        assert len(one[split]) == len(other[split])
        indices = np.arange(len(one[split]))
        ours, theirs = one[split].take(indices), other[split].take(indices)
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            np.testing.assert_array_equal(array, theirs[name])


def read(data: Path, preparation: Preparation = PREPARATION) -> Splits:
    return preparation.splits(str(data))


def test_what_was_prepared_is_read_as_the_pictures_would_be(folder: Path, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    options = {"progress": lambda at, of: progress.append((at, of))}
    made = prepare(str(folder), tmp_path / "to", PREPARATION, **options)
    assert progress[-1] == (200, 200)
    assert sorted(progress) == progress
    prepared, plain = read(made), read(folder)
    assert_equal(prepared, plain)
    assert "aspect" in prepared.train[0]
    assert "aspect" not in prepared.test[0]
    assert prepared.digests != plain.digests
    assert Gear().choose(prepared.train).name == "resident"
    assert Gear().choose(plain.train).name == "streaming"
    arrays, _ = prepared.train.resident()
    assert isinstance(arrays["image"], np.memmap)
    assert not (tmp_path / "to.partial").exists()


def test_several_labels_and_an_empty_split_can_be_prepared(folder: Path, tmp_path: Path) -> None:
    lines = ["file,labels", *(f"{p},{'a|b' if i % 3 else 'a'}" for i, p in listed(folder))]
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    preparation = Preparation(size=12, channels=1, fit="squash", validation=0, test=20, sign="|")
    made = prepare(str(tmp_path / "list.csv"), tmp_path / "to", preparation)
    prepared = read(made, preparation)
    assert prepared.gives == "labels"
    assert len(prepared.validation) == 0
    assert_equal(prepared, read(tmp_path / "list.csv", preparation))


def listed(folder: Path) -> list[tuple[int, Path]]:
    return list(enumerate(sorted(folder.rglob("*.png"))))


def test_a_stopped_preparation_goes_on(folder: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 64:
            raise Enough

    with pytest.raises(Enough):
        prepare(str(folder), tmp_path / "to", PREPARATION, progress=stop)
    assert not (tmp_path / "to").exists()
    with pytest.raises(BadInput, match=r"to\.partial"):
        read(tmp_path / "to.partial")
    with (tmp_path / "to.partial" / "train_images.npy").open("ab") as file:
        file.write(b"half a pic")  # as a kill may leave it
    done: list[int] = []
    prepare(str(folder), tmp_path / "to", PREPARATION, progress=lambda at, _: done.append(at))
    assert done[0] > 64
    assert_equal(read(tmp_path / "to"), read(folder))


def test_what_is_made_lies_beside_the_pictures(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"--to .*ready lies in .*pictures, and would be taken for"):
        prepare(str(folder), folder / "ready", PREPARATION)
    assert not list(folder.glob("ready*"))


def test_a_place_without_locks_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(preparing.fcntl, "flock", refuse)
    with pytest.raises(BadInput, match=r"to\.partial cannot be locked \(No locks available\)"):
        prepare(str(folder), tmp_path / "to", PREPARATION)


def test_damaged_facts_are_named(folder: Path, tmp_path: Path) -> None:
    made = prepare(str(folder), tmp_path / "to", PREPARATION)
    facts = json.loads((made / MANIFEST_NAME).read_text())
    for damaged in ({**facts, "splits": {}}, {**facts, "splits": []}):
        (made / MANIFEST_NAME).write_text(json.dumps(damaged))
        with pytest.raises(
            BadInput, match=r"prepared\.json (lacks|has) .*splits.* Prepare the pictures again"
        ):
            read(made)


def test_another_manner_begins_anew(folder: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(str(folder), tmp_path / "to", PREPARATION, progress=stop)
    other = Preparation(size=10)
    assert_equal(read(prepare(str(folder), tmp_path / "to", other), other), read(folder, other))


def test_what_was_prepared_otherwise_is_refused(folder: Path, tmp_path: Path) -> None:
    made = prepare(str(folder), tmp_path / "to", PREPARATION)
    words = r"train in .*to was prepared with size \(16, 16\), and here size \(12, 12\) is wanted"
    with pytest.raises(BadInput, match=words):
        pictures(str(made), size=12, share=0.875)
    words = r"was prepared with fit squash, and here fit pad is wanted"
    with pytest.raises(BadInput, match=words):
        pictures(str(made), size=12, train_size=16, fit="pad")
    with pytest.raises(BadInput, match="is prepared already: train with --data"):
        prepare(str(made), tmp_path / "more", PREPARATION)
    with pytest.raises(BadInput, match="to is there already: give another place with --to"):
        prepare(str(folder), made, PREPARATION)


def test_damage_to_what_was_prepared_is_refused(folder: Path, tmp_path: Path) -> None:
    made = prepare(str(folder), tmp_path / "to", PREPARATION)
    whole = (made / "test_images.npy").read_bytes()
    pictures, again = made / "test_images.npy", "prepare the pictures again"
    for content in (whole[:-5], b"", b"\x93NUMPY\1\0v\0" + 10_000 * b"("):
        pictures.write_bytes(content)
        with pytest.raises(BadInput, match=rf"test_images\.npy cannot be read .*: {again}"):
            read(made)
    np.save(pictures, np.zeros((3, 12, 12, 3), np.uint8))
    words = r"images\.npy holds uint8\[3, 12, 12, 3\], expected uint8\[50, 12, 12, 3\]: prepare"
    with pytest.raises(BadInput, match=words):
        read(made)
    pictures.unlink()
    with pytest.raises(BadInput, match=rf"test_images\.npy is missing: {again}"):
        read(made)
    facts = json.loads((made / MANIFEST_NAME).read_text())
    (made / MANIFEST_NAME).write_text(json.dumps(facts | {"format": 1}))
    with pytest.raises(BadInput, match="was prepared in the format 1, and this flaxmill reads 2"):
        read(made)


def test_what_was_changed_since_it_was_prepared_is_refused(folder: Path, tmp_path: Path) -> None:
    made = prepare(str(folder), tmp_path / "to", PREPARATION)
    assert_equal(read(made), read(folder))
    for name in ("label", "aspect", "digest"):
        place = made / f"train_{name}s.npy"
        whole = place.read_bytes()
        place.write_bytes(whole[:-32] + bytes(32))
        with pytest.raises(BadInput, match=rf"train_{name}s\.npy is not as it was prepared: prep"):
            read(made)
        place.write_bytes(whole)
    pixels = np.load(made / "train_images.npy", mmap_mode="r+")
    pixels[7] = 0  # a picture turns black
    changed = read(made)
    words = r"picture 7 of train in .*to is not the one that was prepared: its file was damaged or"
    with pytest.raises(BadInput, match=words):
        changed.train.take(np.arange(20))
    with pytest.raises(BadInput, match=words):
        changed.train.source.verify()
    assert len(changed.train.take(np.array([0, 6, 8]))["image"]) == 3  # the others are as they were


def test_a_changed_picture_ends_a_training_in_both_gears(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare(str(folder), tmp_path / "to", default_preparation(str(folder)))
    np.load(made / "train_images.npy", mmap_mode="r+")[3] = 0
    for gear in ("resident", "streaming"):
        run = ("--run", str(tmp_path / gear), "--gear", gear, "--batch-size", "50")
        status, _, error = command(capsys, "train", "images", "--data", str(made), *run)
        assert status == 2
        assert "picture 3 of train in" in error


def test_facts_that_lie_are_refused(folder: Path, tmp_path: Path) -> None:
    made = prepare(str(folder), tmp_path / "to", PREPARATION)
    facts = json.loads((made / MANIFEST_NAME).read_text())

    def lie(words: str, **about: Any) -> None:
        splits = facts["splits"] | {"train": facts["splits"]["train"] | about}
        (made / MANIFEST_NAME).write_text(json.dumps(facts | {"splits": splits}))
        with pytest.raises(BadInput, match=words):
            read(made)

    how = facts["splits"]["train"]["how"]
    lie(r"train_aspects\.npy holds float32\[100\], expected float32\[10000000\]", count=10**7)
    lie("has True at splits.train.count, expected a whole number", count=True)
    lie("has 1 values at splits.train.how.size, expected 2", how=how | {"size": [16]})
    lie("has 'splits.train.how.listing', which is unknown", how=how | {"listing": "a field"})
    lie("lacks splits.train.sha256.label", sha256={"digest": "", "aspect": ""})
    lie("has None at splits.train.sha256, expected values by name", sha256=None)
    lie(r"labels\.npy holds int32\[100\], expected float32\[100, 2\]", multi_label=True)
    (made / MANIFEST_NAME).write_text(json.dumps(facts | {"classes": ["one"]}))
    with pytest.raises(BadInput, match=r"labels\.npy has labels from 0 to 1, expected 0 to 0"):
        read(made)


def test_a_picture_that_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    (bad := next(folder.rglob("100.png"))).write_bytes(b"")
    with pytest.raises(Unreadable, match=rf"{bad} is no picture that can be read: it is empty"):
        prepare(str(folder), tmp_path / "to", PREPARATION)


def test_a_disk_without_room_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"has room for [\d,.]+ GB, and this takes 479,999\.8 GB: "):
        prepare(str(folder), tmp_path / "to", Preparation(size=894_427))
    assert list(tmp_path.iterdir()) == [folder]
    limited(monkeypatch, 30_000)
    words = "is full. Make room and give the same command again: it goes on with what is packed in"
    with pytest.raises(CannotGoOn, match=words):
        prepare(str(folder), tmp_path / "to", PREPARATION)
    assert not (tmp_path / "to").exists()


def limited(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Makes a disk full, as Linux says it, once a file has so many bytes."""
    append = preparing._Array.append

    def full(self: Any, rows: np.ndarray) -> None:
        if self._file.tell() > size:
            raise OSError(28, "No space left on device")
        append(self, rows)

    monkeypatch.setattr(preparing._Array, "append", full)


def test_the_command_prepares(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "to a place"
    options = ("--size", "12", "--train-size", "16", "--share", "0.875", "--readers", "2")
    split = ("--validation", "0.25", "--test", "0.25")
    done = command(capsys, "prepare", str(folder), "--to", str(to), *options, *split)
    sides = "16 pixels a side to train on, 12 to evaluate, cropped"
    assert done == (
        0,
        "Held out of each class, the same at every run: 50 pictures for validation, 50 for the "
        "test.\n"
        f"wrote {to} ({sides}); a recipe that asks for the same can train with --data '{to}'\n",
        "",
    )
    assert_equal(read(to), read(folder))
    status, _, trouble = command(capsys, "prepare", str(folder), "--to", str(to))
    assert (status, "is there already" in trouble) == (2, True)
    assert command(capsys, "prepare", str(tmp_path / "x"), "--to", "y")[0] == 2
    assert command(capsys, "prepare", str(folder), "--to", "y", "--size", "-1")[0] == 2


def test_what_nothing_is_said_of_is_chosen_as_the_recipe_chooses_it(
    folder: Path, tmp_path: Path
) -> None:
    preparation = default_preparation(str(folder), validation=0.25)
    assert preparation.size == preparation.train_size == 32  # of 14 to 39 pixels
    assert preparation.share == 1.0
    assert default_preparation(str(folder), size=96) == Preparation(96, 110, share=0.875)
    made = prepare(str(folder), tmp_path / "to", preparation)
    config, why = images.resolve(images.Config(data=str(made)), None)
    assert (config.size, why["size"]) == (32, "32: the pictures were prepared so")
    prepared, plain = images.data(config), images.data(replace(config, data=str(folder)))
    assert prepared.train[0]["image"].shape == plain.train[0]["image"].shape
