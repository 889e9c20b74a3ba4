"""`flaxmill check`: what is wrong with pictures is found, and told with its cure."""

import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import command
from forbidding import forbidden
from picture_files import bomb, photo, photographs
from PIL import Image

from flaxmill.commands.check import checked_data
from flaxmill.data.check import Checked, check
from flaxmill.data.check.finding import Finding
from flaxmill.data.listings.layouts import scan
from flaxmill.errors import BadInput
from flaxmill.report import oddest

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with which nothing is wrong."""
    return photographs(tmp_path / "my pictures")


def kinds(checked: Checked) -> dict[str, Finding]:
    findings = {finding.kind: finding for finding in checked.findings}
    assert len(findings) == len(checked.findings)
    return findings


def test_a_good_folder_is_described_and_nothing_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output, trouble = command(capsys, "check", str(folder))
    assert (status, trouble) == (0, "")
    assert "40 pictures" in output
    assert "train       30 pictures in 2 classes: 개 20, 고양이 10" in output
    assert "validation  10 pictures in 2 classes: 개 5, 고양이 5" in output
    assert "width       90\n" in output
    assert "40 PNG RGB" in output
    assert output.endswith("Nothing is wrong.\n")


Spoil = Callable[[Path], object]


def truncated(train: Path) -> None:
    photo(100, 400, 300).save(train / "x.jpg", quality=95)
    whole = (train / "x.jpg").read_bytes()
    (train / "x.jpg").write_bytes(whole[: len(whole) // 2])


def animated(train: Path) -> None:
    photo(1).save(train / "x.gif", save_all=True, append_images=[photo(102), photo(103)])


def copied(train: Path, *, to: str) -> None:
    target = train.parent.parent / to
    target.parent.mkdir(exist_ok=True)
    photo(104).save(train / "one.png")
    photo(104).save(target)


def link(train: Path) -> None:
    (train / "round").symlink_to(train.parent)


CASES: list[tuple[Spoil, str, bool, str]] = [
    (truncated, "unreadable", True, "1 picture cannot be read"),
    (lambda t: (t / "x.png").touch(), "unreadable", True, "it is empty"),
    (lambda t: (t / "x.png").write_text("hello"), "unreadable", True, "no picture that can be"),
    (
        lambda t: (t / "x.png").write_bytes(bomb()),
        "unreadable",
        True,
        "too large a picture to be opened safely",
    ),
    (lambda t: (t / "x.png").symlink_to("gone"), "unreadable", True, "no such file"),
    (lambda t: (t / "x.png").symlink_to("x.png"), "unreadable", True, "symbolic links"),
    (lambda t: (t.parent / "leer").mkdir(), "empty", True, "1 class folder is empty: train/leer"),
    (lambda t: copied(t, to="val/개/two.bmp"), "leak", True, "in more than one split"),
    (lambda t: copied(t, to="val/개/two.jpg"), "near-leak", False, "in more than one split"),
    (lambda t: copied(t, to="train/고양이/two.png"), "contradiction", True, "different labels"),
    (lambda t: copied(t, to="train/개/two.png"), "duplicate", False, "again in the same split"),
    (lambda t: copied(t, to="val/쥐/two.webp"), "unknown-class", True, "1 class that train lacks"),
    (
        lambda t: (t.parent / "쥐").mkdir() or photo(105).save(t.parent / "쥐" / "x.png"),
        "untested-class",
        False,
        "validation has no pictures of 1 class: 쥐",
    ),
    (
        lambda t: (t.parent / "쥐").mkdir() or photo(105).save(t.parent / "쥐" / "x.png"),
        "uneven",
        False,
        "개 has 20 pictures in train, 쥐 has 1",
    ),
    (
        lambda t: (t.parent / "쥐").mkdir() or photo(105).save(t.parent / "쥐" / "x.png"),
        "few",
        False,
        "of 1 class there are fewer than 10 pictures",
    ),
    (lambda t: shutil.copytree(t, t.parent.parent / "val" / "개들"), "leak", True, "20 pictures"),
    (lambda t: (t / "notes.txt").touch(), "others", False, "1 file among the pictures is not used"),
    (lambda t: os.mkfifo(t / "x.png"), "others", False, "train/개/x.png"),
    (link, "closed", False, "it lies in itself (a link to a folder above): train/개/round"),
    (lambda t: photo(106).save(t / "x.jpg", "PNG"), "ending", False, "another kind than the name"),
    (lambda t: Image.new("L", (50, 50), 7).save(t / "x.png"), "blank", False, "has no content"),
    (lambda t: photo(107).point(lambda v: v // 14).save(t / "x.png"), "dark", False, "very dark"),
    (lambda t: photo(107).point(lambda v: 238 + v // 15).save(t / "x.png"), "bright", False, "is"),
    (lambda t: photo(108, 8, 8).save(t / "x.png"), "small", False, "fewer than 16 pixels"),
    (lambda t: photo(109, 500, 40).save(t / "x.png"), "long", False, "3 times as long as wide"),
    (
        lambda t: (
            (t.parent.parent / "more").mkdir()
            or photo(1).save(t.parent.parent / "more/x.png")
            or photo(2).save(t.parent / "loose.png")
        ),
        "layout",
        True,
        "would be taken for 2 classes",
    ),
    (
        lambda t: [os.rename(t.parents[1] / n, t.parents[1] / f"my {n}") for n in ("train", "val")],
        "layout",
        True,
        "my train, my val would be taken for 2 classes",
    ),
    (
        lambda t: (t.parents[1] / "train.csv").write_text("path,label\n"),
        "table",
        False,
        "beside what is used, train.csv (no rows) is not",
    ),
    (
        lambda t: (photo(110).save(t / "a.png"), photo(111).save(t / "A.png")),
        "names",
        False,
        "differ in case",
    ),
    (
        lambda t: [
            photo(112 + len(f)).save(t / unicodedata.normalize(f, "가.png"))
            for f in ("NFC", "NFKD")
        ],
        "names",
        False,
        "form of Unicode",
    ),
]


@pytest.mark.parametrize(("spoil", "kind", "serious", "words"), CASES)
def test_each_trouble_is_found_and_told(
    folder: Path, spoil: Spoil, kind: str, serious: bool, words: str
) -> None:
    spoil(folder / "train" / "개")
    findings = kinds(check(folder))
    assert findings[kind].serious == serious
    assert words in " ".join([findings[kind].words, *findings[kind].details])
    assert findings[kind].advice.endswith(".")


def test_near_equal_class_names_and_unused_pictures(folder: Path) -> None:
    for name in ("Maine Coon", "maine-coons"):
        for part in ("train", "val"):
            shutil.copytree(folder / part / "개", folder / part / name)
    photo(120).save(folder / "loose.png")
    findings = kinds(check(folder))
    assert "'Maine Coon' / 'maine-coons'" in findings["class-names"].words
    assert findings["unlisted"].names == ("loose.png",)


def test_every_unreadable_file_is_named_and_the_status_tells_scripts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(23):
        (folder / "train" / "개" / f"leer {number:02}.png").touch()
    sheet = tmp_path / "odd.png"
    status, output, trouble = command(capsys, "check", str(folder), "--sheet", str(sheet))
    assert status == 2
    assert "1 of 1 findings" in trouble
    assert "would stop a training" in trouble
    assert "leer 19.png" in output
    assert "and 3 more, which --json lists" in output
    assert f"wrote {sheet}" in output
    with Image.open(sheet) as drawn:
        assert drawn.width > 1000
    status, output, _ = command(capsys, "check", str(folder), "--json")
    assert status == 2
    report = json.loads(output)
    assert (report["pictures"], report["serious"], len(report["unreadable"])) == (63, 1, 23)
    assert report["splits"]["train"] == {"개": 43, "고양이": 10}
    assert report["sizes"]["width"] == [90, 90, 90, 90, 90]


def test_a_sheet_has_a_title_whatever_the_folder_is_called(folder: Path, tmp_path: Path) -> None:
    place = folder.rename(tmp_path / "\ue000")  # a letter that no font has
    lines = oddest.draw(check(place), tmp_path / "odd.png")
    assert not any("\ue000" in line for line in lines)
    assert lines[-1].startswith(f"wrote {tmp_path / 'odd.png'}, with")


def test_special_files_are_counted(folder: Path) -> None:
    train = folder / "train" / "개"
    photo(130).convert("CMYK").save(train / "cmyk.jpg")
    deep = np.random.default_rng(0).integers(0, 65536, (40, 40)).astype(np.uint16)
    Image.fromarray(deep).save(train / "deep.png")
    animated(train)
    turned = Image.Exif()
    turned[0x112] = 6
    photo(131).save(train / "turned.jpg", exif=turned)
    counts = check(folder).kinds()
    assert counts["JPEG CMYK"] == 1
    assert counts["of 16 bits"] == counts["animated"] == counts["turned by their EXIF data"] == 1
    assert check(folder).sizes()["height"] == [40, 60, 60, 60, 90]  # turned: 60 wide, 90 high


def test_a_copy_that_no_split_has_is_no_copy(folder: Path) -> None:
    for to in ("loose.png", "loose.jpg"):
        copied(folder / "train" / "개", to=to)
    findings = kinds(check(folder))
    assert findings["unlisted"].names == ("loose.jpg", "loose.png")
    assert findings.keys() == {"unlisted"}


def test_what_no_split_has_may_be_broken(folder: Path) -> None:
    """Training never reads it, so it does not stop one."""
    for name in ("loose.png", "._loose.png"):
        (folder / "train" / name).write_bytes(b"")
    checked = check(folder)
    assert kinds(checked).keys() == {"unlisted", "unreadable"}
    assert not checked.serious
    assert kinds(checked)["unreadable"].words == "1 picture cannot be read, and is in no split:"


def test_two_that_are_apart_are_named_of_a_group(folder: Path) -> None:
    content = (folder / "train/개/사진 1.png").read_bytes()
    (folder / "train/개/사진 1 again.png").write_bytes(content)
    (folder / "val/개/x.png").write_bytes(content)
    assert "train/개/사진 1 again.png = val/개/x.png" in kinds(check(folder))["leak"].words


def test_names_that_are_no_text_are_written_as_escapes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an archive of Windows leaves them, in the encoding of Korean before Unicode."""
    train = os.fsencode(folder / "train")
    (folder / "val/개/copy.png").write_bytes((folder / "train/개/사진 1.png").read_bytes())
    os.rename(folder / "train/개/사진 1.png", train + "/개/".encode() + b"\xb3\xaa.png")
    status, output, _ = command(capsys, "check", str(folder), "--json")
    assert status == 2
    [leak] = [each for each in json.loads(output)["findings"] if each["kind"] == "leak"]
    assert leak["names"][0] == "train/개/\udcb3\udcaa.png"
    os.rename(folder / "train/고양이", train + b"/\xb0\xed")
    assert "Rename it, for it names a class" in kinds(check(folder))["refused"].words


def test_a_closed_folder_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        photographs(place / "photos")
        with forbidden(place / "photos"), pytest.raises(BadInput) as refused:
            scan(place / "photos")
    assert str(refused.value) == f"the folder {place / 'photos'} cannot be read: permission denied."


def test_a_closed_folder_does_not_hide_the_rest() -> None:
    with tempfile.TemporaryDirectory() as folder:  # that others than root may enter
        place = Path(folder)
        place.chmod(0o755)
        for name in ("ants", "bees", "wasps"):
            (place / name).mkdir()
            photo(len(name)).save(place / name / "x.png")
        with forbidden(place / "ants"):
            checked = check(place)
        findings = kinds(checked)
    assert findings["closed"].names == ("ants",)
    assert "cannot be read" in findings["refused"].words
    assert checked.facts.index.read == 2


def test_two_folders_for_one_split_do_not_hide_the_rest(folder: Path) -> None:
    shutil.copytree(folder / "val", folder / "valid")
    checked = check(folder)
    assert "refused" in kinds(checked)
    assert checked.facts.index.read == 50


def test_what_windows_left_is_no_class(folder: Path) -> None:
    (folder / "train" / "$RECYCLE.BIN").mkdir()
    (folder / "train" / "$RECYCLE.BIN" / "old.png").write_bytes(b"")
    assert not check(folder).findings


def test_places_that_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no .*fashion_mist: .* Did you mean 'fashion_mnist'\?"):
        checked_data(tmp_path / "fashion_mist")
    (tmp_path / "x.zip").touch()
    with pytest.raises(BadInput, match=r"x\.zip is packed: unpack it, and give its folder"):
        check(tmp_path / "x.zip")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no column of paths"):
        check(tmp_path / "bad.csv")


def test_a_place_without_any_readable_picture(tmp_path: Path) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    assert kinds(check(tmp_path / "empty")).keys() == {"refused", "empty"}
    (tmp_path / "empty" / "cat" / "x.png").touch()
    checked = check(tmp_path / "empty")
    assert kinds(checked).keys() == {"refused", "unreadable"}
    assert checked.lines()[0].endswith("empty: 1 picture; 1 read now, 0 known from before.")
