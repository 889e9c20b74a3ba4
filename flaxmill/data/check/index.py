"""What each picture file of a folder is: read whole once, and cached until the file changes.

The records are in the user's cache, one file for each folder, under each file's name, size and
times of change. It is replaced as a whole, so two processes cannot spoil it, and read with its
checksums, so a damaged one is made anew.
"""

import contextlib
import hashlib
import io
import os
import stat
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from jaxtyping import Shaped
from PIL import ExifTags, Image

from flaxmill.data.check import duplicates
from flaxmill.data.pictures.decode import header, naming, open_picture
from flaxmill.data.pictures.pixels import as_picture
from flaxmill.data.pictures.plain import own_white, plain
from flaxmill.data.places import cache_folder
from flaxmill.errors import BadInput
from flaxmill.machine import files

RECORD = np.dtype(
    [
        ("bytes", "i8"),  # of the file
        ("modified", "i8"),  # when it was changed last, in nanoseconds
        ("placed", "i8"),  # when that, its name or its place was: no copying sets this one back
        ("file", "S32"),  # SHA-256 of its bytes
        ("pixels", "S32"),  # SHA-256 of its size and of its pixels, upright and as RGB
        ("width", "i4"),  # in pixels, upright
        ("height", "i4"),
        ("mode", "S8"),  # as Pillow names it, such as RGB
        ("format", "S8"),  # such as JPEG
        ("bits", "i1"),  # of a channel, in the file
        ("frames", "i4"),  # more than 1 in an animation
        ("orientation", "i1"),  # of the EXIF data; 1 is upright
        ("brightness", "f4"),  # mean grey level, from 0 to 255
        ("contrast", "f4"),  # standard deviation of the grey levels; 0 if all pixels are equal
        ("hash", "u8"),  # see flaxmill.data.check.duplicates
        ("mirrored", "u8"),
        ("small", "u1", (256,)),
    ]
)
"""What is known of a readable picture file."""
_STAMP = ("bytes", "modified", "placed")  # a file where these are equal is the one that was read

_VERSION = f"3, Pillow {PIL.__version__}"  # another one may decode otherwise
_TOGETHER = 32  # files that a thread reads at a time
_MOST = 2 * 2**30  # bytes of a file
_STRIP = 1 << 20  # pixels that are hashed at a time


@dataclass(frozen=True, eq=False)
class Index:
    """What the files of a folder are.

    Attributes:
        root: The folder.
        names: Of the files, below the folder.
        records: One `RECORD` for each; zeros for a file with an error.
        errors: Why a file cannot be used, by its place among the names.
        read: How many files were read now; the others were known.
        note: Why the records could not be cached; empty if they were.
    """

    root: Path
    names: tuple[str, ...]
    records: Shaped[np.ndarray, " file"]
    errors: dict[int, str]
    read: int
    note: str = ""


def index(
    root: Path,
    names: Sequence[str],
    *,
    load: Callable[[str], Any] | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Index:
    """Returns what the files of a folder are; only new and changed ones are read.

    Args:
        root: The folder.
        names: Of picture files below it.
        load: Loads pictures that have no files of their own by their names: a picture file's
            content, a Pillow picture, or an array. They are read each time.
        workers: Threads that read; 0 takes one for each processor.
        progress: Called with how many files are read, of how many.
    """
    cache, note = None, ""
    if load is None:
        try:
            cache = _cache_path(root)
        except BadInput as error:  # no home directory
            note = str(error)
    records, unread = np.zeros(len(names), RECORD), np.ones(len(names), bool)
    if cache is not None:
        records, unread = _cached(cache, root, names)
    errors: dict[int, str] = {}
    indices = np.flatnonzero(unread).tolist()
    groups = [indices[at : at + _TOGETHER] for at in range(0, len(indices), _TOGETHER)]
    done = 0

    def fill_in(group: list[int], read: tuple[np.ndarray, dict[int, str]]) -> None:
        nonlocal done
        records[group], wrong = read
        errors.update({group[at]: words for at, words in wrong.items()})
        unread[group] = False
        done += len(group)

    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="index")
    pending: dict[int, Future[tuple[np.ndarray, dict[int, str]]]] = {}
    try:
        for number, group in enumerate(groups):
            pending[number] = pool.submit(_read, root, [names[at] for at in group], load)
        for number, group in enumerate(groups):
            fill_in(group, pending[number].result())
            del pending[number]
            progress(done, len(indices))
    finally:  # also after Ctrl-C: what was read is known next time
        pool.shutdown(wait=True, cancel_futures=True)
        for number, future in pending.items():
            if not future.cancelled() and future.exception() is None:
                fill_in(groups[number], future.result())
        stored = [at for at in np.flatnonzero(~unread).tolist() if at not in errors]
        if done and cache is not None:
            note = _store(cache, [names[at] for at in stored], records[stored])
    return Index(root, tuple(names), records, errors, done, note)


def _cache_path(root: Path) -> Path:
    """Returns where the records of a folder are cached."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()
    return cache_folder("checked") / f"{digest[:24]}.npz"


def _cached(place: Path, root: Path, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cached records of files that have not changed, and which files to read."""
    records, unread = np.zeros(len(names), RECORD), np.ones(len(names), bool)
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if archive["version"].item() != _VERSION or archive["records"].dtype != RECORD:
                return records, unread
            rows, stored = archive["records"], os.fsdecode(archive["names"].tobytes()).split("\0")
    except Exception:  # there is none, or it is damaged: NumPy, zip and zlib say so in many ways
        return records, unread
    at = {name: row for row, name in enumerate(stored)} if len(stored) == len(rows) else {}
    for number, name in enumerate(names):
        if (row := at.get(name)) is None:
            continue
        with contextlib.suppress(OSError):
            now = os.stat(root / name)
            stamp = tuple(rows[row][name] for name in _STAMP)
            if (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == stamp:
                records[number], unread[number] = rows[row], False
    return records, unread


def _store(place: Path, names: Sequence[str], records: np.ndarray) -> str:
    """Caches records; returns why that failed, if it did."""
    content = io.BytesIO()
    joined = np.frombuffer(os.fsencode("\0".join(names)), np.uint8)
    np.savez(content, version=np.array(_VERSION), names=joined, records=records)
    try:
        files.write_atomic(place, content.getvalue())
    except OSError as error:
        return f"{place} could not be written ({error.strerror}): all is read again next time."
    return ""


def _read(
    root: Path, names: Sequence[str], load: Callable[[str], Any] | None = None
) -> tuple[np.ndarray, dict[int, str]]:
    """Reads some files; returns their records, and why some cannot be used."""
    records, errors = np.zeros(len(names), RECORD), {}
    thumbnails = np.zeros((len(names), duplicates.SIDE, duplicates.SIDE), np.uint8)
    for at, name in enumerate(names):
        try:
            item = _content(root / name, records[at]) if load is None else load(name)
            with naming(str(root / name)):
                thumbnails[at] = _describe(item, str(root / name), records[at])
        except BadInput as error:
            errors[at] = str(error)
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            errors[at] = f"{root / name} cannot be read ({words})."
        if at in errors:
            records[at] = np.zeros((), RECORD)
    records["hash"], records["mirrored"] = duplicates.hashes(thumbnails)
    records["small"] = duplicates.small(thumbnails)
    records["brightness"] = thumbnails.mean((1, 2))
    varied = records["contrast"] > 0
    records["contrast"] = np.where(varied, np.maximum(thumbnails.std((1, 2)), 0.01), 0)
    return records, errors


def _content(path: Path, record: np.void) -> bytes:
    """Returns what is in a file, and notes its size and when it was changed."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST:
        raise BadInput(f"{path} is no file, or one of more than {_MOST / 2**30:.0f} GiB.")
    record["bytes"] = status.st_size
    record["modified"], record["placed"] = status.st_mtime_ns, status.st_ctime_ns
    return path.read_bytes()


def load_picture(item: Any, name: str) -> Image.Image:
    """Returns a picture as Pillow's, from whatever holds it.

    Args:
        item: A picture file's path or content, a Pillow picture, or an array.
        name: What messages call it.

    Raises:
        BadInput: It is no picture.
    """
    if isinstance(item, np.ndarray):
        return as_picture(item)
    return item if isinstance(item, Image.Image) else open_picture(item, name=name)


def _describe(item: Any, name: str, record: np.void) -> np.ndarray:
    """Fills in the record of a picture; returns it grey and small."""
    picture = load_picture(item, name)
    upright = plain(picture, 3, white=own_white(picture), lean=True, name=name)
    record["pixels"] = record["file"] = _digest(upright)
    record["width"], record["height"] = upright.size
    record["mode"], record["format"] = picture.mode.encode(), (picture.format or "").encode()
    record["bits"], record["frames"], record["orientation"] = 8, 1, 1
    if isinstance(item, bytes):
        record["file"] = hashlib.sha256(item).digest()
        record["bits"], record["frames"], record["orientation"] = _header(item)
    grey = upright if upright.mode == "L" else upright.convert("L")
    low, high = np.ravel(grey.getextrema())
    record["contrast"] = float(high > low)  # made exact when the others of the group are read
    return duplicates.thumbnail(grey)


def _digest(picture: Image.Image) -> bytes:
    """Returns the SHA-256 of a picture's size and pixels, without a copy of them all."""
    width, height = picture.size
    digest = hashlib.sha256(struct.pack("<II", width, height))
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        digest.update(strip.convert("RGB").tobytes())
    return digest.digest()


def _header(content: bytes) -> tuple[int, int, int]:
    """Returns bits a channel, number of frames and orientation, which a picture forgets."""
    with header(content) as picture:
        stored = str(picture.tile[0].args) if picture.tile else ""
        deep = "16" in stored or picture.mode.startswith(("I", "F"))
        frames, orientation = 1, 1
        with contextlib.suppress(Exception):  # whatever a decoder stumbles over here
            orientation = int(picture.getexif().get(ExifTags.Base.Orientation, 1))
        with contextlib.suppress(Exception):
            frames = min(int(getattr(picture, "n_frames", 1)), 2**31 - 1)
        return 16 if deep else 8, frames, orientation if 1 <= orientation <= 8 else 1
