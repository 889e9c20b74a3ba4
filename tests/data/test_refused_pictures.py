"""Picture files that are refused: none at all, damaged, or far larger than their bytes."""

import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from forbidding import forbidden
from picture_bases import tiff_of, tiff_tags
from picture_files import bomb, encoded, save, textured
from PIL import Image

from flaxmill.data.pictures.decode import header, open_picture
from flaxmill.data.pictures.plain import plain
from flaxmill.errors import BadInput


def test_what_cannot_be_opened_is_named_and_explained(tmp_path: Path) -> None:
    whole = encoded(textured((64, 48)))
    bad = {
        "cut.jpg": (whole[: len(whole) // 2], "is a damaged picture .*: save it anew"),
        "start.png": (encoded(textured((64, 48)), "png")[:200], "is a damaged picture"),
        "empty.jpg": (b"", "is no picture that can be read: it is empty"),
        "text.png": (b"path,label\n", "is no picture that can be read: expected PNG, JPEG,"),
        "huge.png": (
            bomb(),
            r"is too large a picture to be opened safely: it has more than 178,956,970 pixels "
            r"\(such as 13,377 × 13,377\)\. Save it smaller, or leave it out",
        ),
    }
    for name, (content, words) in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=rf"{name} {words}"):
            open_picture(tmp_path / name)
        with pytest.raises(BadInput, match=rf"row 7 {words}"):
            open_picture(content, name="row 7")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadInput, match=r"folder\.png is a folder: give picture files"):
        open_picture(tmp_path / "folder.png")
    with pytest.raises(BadInput, match=r"there is no picture .*none\.png: check the path"):
        open_picture(tmp_path / "none.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(BadInput, match=r"loop\.png cannot be read: too many levels of symbolic"):
        open_picture(tmp_path / "loop.png")


def test_a_picture_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "secret.png")
    with (
        forbidden(path),
        pytest.raises(BadInput, match=r"secret\.png cannot be read: you lack the permission"),
    ):
        open_picture(path)


def test_a_large_picture_below_the_limit_gives_no_warning(tmp_path: Path, python: str) -> None:
    save(tmp_path / "large.png", (12, 9))
    code = (
        "from PIL import Image\n"
        "from flaxmill.data.pictures.decode import open_picture\n"
        "Image.MAX_IMAGE_PIXELS = 60\n"  # Pillow refuses twice as many
        "print(open_picture('large.png').size)\n"
    )
    command = [python, "-W", "error", "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("(12, 9)\n", "")


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), TypeError("no"), KeyError("no"), AssertionError("no")]
)
def test_whatever_a_decoder_raises_names_the_file(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path = save(tmp_path / "a.png")
    whole = open_picture(path)
    with monkeypatch.context() as patch:
        patch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
        with pytest.raises(BadInput, match=r"a\.png is a damaged picture \('?no'?\): save it anew"):
            open_picture(path)
    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.Image.getexif", fail)
        assert plain(whole, 3).size == whole.size  # it counts as upright
    monkeypatch.setattr("PIL.Image.Image.convert", fail)
    with pytest.raises(BadInput, match=r"a\.png is a damaged picture \('?no'?\): save it anew"):
        plain(whole, 1)
    with pytest.raises(BadInput, match=r"row 3 is a damaged picture"):
        plain(whole, 1, name=lambda: "row 3")


def test_a_picture_without_room_in_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(BadInput, match="row 1 takes more memory than there is: save it smaller"):
        open_picture(encoded(textured((16, 12)), "png"), name="row 1")


def many_scans(count: int) -> bytes:
    """Returns a JPEG whose last scan comes so many times more."""
    content = encoded(textured((64, 48)), progressive=True)
    at = content.rindex(b"\xff\xda")
    return content[:-2] + content[at:-2] * count + content[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    assert open_picture(many_scans(60)).size == (64, 48)
    words = "endless is too large a picture to be opened safely: it has more than 100 scans"
    with pytest.raises(BadInput, match=words):
        open_picture(many_scans(1000), name="endless")
    film = b"\0\xff\xda" * 1000  # behind the picture, as telephones add it
    assert open_picture(encoded(textured((64, 48))) + film).size == (64, 48)
    small = Image.Exif()
    small[0x927C] = many_scans(200)[:60_000]  # a picture within the camera's data
    assert open_picture(encoded(textured((64, 48)), exif=small)).size == (64, 48)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as flaxmill does
def test_a_small_file_that_says_it_is_a_huge_picture_is_refused_by_its_header() -> None:
    """Blank pages and drawings of two colours are large in few bytes; they take little memory."""
    words = r"small is too large a picture .* 13,000 × 9,000 pixels, and no such picture has room"
    for kind, at, form in (("bmp", 18, "<ii"), ("gif", 6, "<HH")):
        content = bytearray(encoded(textured((16, 12)), kind))
        struct.pack_into(form, content, at, 13_000, 9_000)
        with pytest.raises(BadInput, match=words), header(bytes(content), name="small"):
            pass
    thin = encoded(Image.new("1", (24, 4_000_000), 1), "png")
    with pytest.raises(BadInput, match=r"24 × 4,000,000 pixels"), header(thin, name="small"):
        pass
    drawing = encoded(Image.new("1", (13_000, 9_000), 1), "tiff", compression="group4")
    assert len(drawing) < 30_000
    with header(drawing) as opened:
        assert opened.size == (13_000, 9_000)


def test_a_tiff_whose_tiles_are_larger_than_memory_is_refused_by_its_header() -> None:
    for wide, long in ((16_777_216, 16), (2**27, 16)):
        tags = tiff_tags(8, 1) | {322: (4, [wide]), 323: (4, [long])}
        with pytest.raises(BadInput, match=rf"tiled is too large .* its tiles have {wide:,} × 16"):
            open_picture(tiff_of(tags, [b"\0" * 300], offsets=324), name="tiled")
    only_long = tiff_of(tiff_tags(8, 1) | {323: (4, [1 << 24])}, [b"\0" * 300])
    with pytest.raises(BadInput, match=r"tiled is too large .* its tiles have 24 × 16,777,216"):
        open_picture(only_long, name="tiled")
    tags = tiff_tags(8, 1, t259=8) | {322: (4, [4096]), 323: (4, [4096])}
    whole = tiff_of(tags, [zlib.compress(bytes(4096 * 4096))], offsets=324)
    assert open_picture(whole).size == (24, 18)


def test_a_bmp_of_a_few_runs_is_no_picture_of_millions_of_pixels() -> None:
    numbers = (40, 1 << 20, 18, 1, 8, 1, 64, 0, 0, 0, 0)
    header = struct.pack("<2sIII", b"BM", 118, 0, 54) + struct.pack("<IiiHHIIiiII", *numbers)
    with pytest.raises(BadInput, match=r"runs is too large .* 1,048,576 × 18 pixels, and no such"):
        open_picture(header + bytes(2000), name="runs")


def test_a_jpeg_that_says_its_size_twice_is_damaged() -> None:
    content = encoded(textured((64, 48)))
    at = content.index(b"\xff\xc0")
    frame = content[at : at + 2 + int.from_bytes(content[at + 2 : at + 4])]
    huge = frame[:5] + struct.pack(">HH", 60_000, 60_000) + frame[9:]
    with pytest.raises(BadInput, match=r"is a damaged picture .it says its size twice.: save it"):
        open_picture(content[:at] + huge + content[at:])
