"""CIFAR-10: its binary files, read and checked, and its place among the known sets."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from flaxmill.data.known.archives import read_limited, read_members
from flaxmill.data.known.idx import CLASS_NAMES, LabelledImages
from flaxmill.data.known.published import CIFAR_10, DataFile, DataSet
from flaxmill.data.known.real_or_drawn import KnownPictures, pictures
from flaxmill.data.places import download_hint, require, stored_path
from flaxmill.data.source import Source, Splits
from flaxmill.errors import BadInput
from flaxmill.machine.files import open_regular

LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""What CIFAR-10's labels 0 to 9 mean."""
SIDE = 32
"""Height and width of a picture."""
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of a label and of the red, green and blue planes of its picture."""


Records = UInt8[np.ndarray, "record 3073"]
Counts = Mapping[str, tuple[int, ...]]
"""File -> how many records of each class it has."""

BATCHES: Counts = {
    "data_batch_1.bin": (1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981),
    "data_batch_2.bin": (984, 1007, 1010, 995, 1010, 988, 1008, 1026, 987, 985),
    "data_batch_3.bin": (994, 1042, 965, 997, 990, 1029, 978, 1015, 961, 1029),
    "data_batch_4.bin": (1003, 963, 1041, 976, 1004, 1021, 1004, 981, 1024, 983),
    "data_batch_5.bin": (1014, 1014, 952, 1016, 997, 1025, 980, 977, 1003, 1022),
    "test_batch.bin": (1000,) * len(LABELS),
}
"""The five files of training and the one of test, and how many records of each class they have.

No two files have the same numbers of classes, which sum to 10,000 records a file, and to 5,000 of
each class of training.
"""


def cifar10(data: str, *, validation: int | float = 0, overfit: int = 0) -> Splits:
    """Returns pictures of vehicles and animals and their labels, 32×32, in colour.

    Args:
        data: ``cifar-10``, a folder that holds its files, ``sketches`` or ``auto``, as
            `flaxmill.data.known.real_or_drawn.pictures` says. Drawn garments are tinted.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.

    Raises:
        BadInput: The data is not there or not right.
    """
    return pictures(KNOWN, data, validation=validation, overfit=overfit)


def read_cifar10(
    folder: Path,
    data_set: DataSet = CIFAR_10,
    batches: Counts = BATCHES,
) -> LabelledImages:
    """Reads CIFAR-10's binary version: 50,000 training and 10,000 test pictures, 32×32, RGB.

    The archive is known by its digest. Files that were unpacked, or packed again, are checked by
    how many records of each class they have: one that has too many is refused, and one that lacks
    some is used, with a note.

    Args:
        folder: Holds the archive as published, or its files.
        data_set: Names the archive.
        batches: Its files, and the number of records of each class in them; the last is the test's.

    Raises:
        BadInput: A file is missing, damaged, swapped or not the published one; the message says
            which and how to go on.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images";
    https://www.cs.toronto.edu/~kriz/cifar.html has the layout.
    """
    require(folder, data_set)
    file = data_set.files[0]
    place = stored_path(folder, file)
    assert place is not None, "its absence was refused"
    try:
        contents = _contents(place, file.inside, batches)
        parts = {path.name: _check_records(path, content, batches) for path, content in contents}
        notes = _lacking(data_set.title, batches, parts), _packed_again(place, file)
    except BadInput as error:
        way = download_hint(data_set.name, folder)
        raise BadInput(f"{error} Replace the file, or {way}.") from None
    *training, test = parts.values()
    digests = {name: hashlib.sha256(rows.tobytes()).hexdigest() for name, rows in parts.items()}
    note = " ".join(filter(None, notes))
    return LabelledImages(_arrays(np.concatenate(training)), _arrays(test), digests, note)


def _contents(place: Path, inside: str, batches: Counts) -> Iterator[tuple[Path, bytes]]:
    """Yields the name and content of each file, from a folder or out of the archive."""
    sizes = {name: sum(counts) * RECORD for name, counts in batches.items()}
    if not place.is_dir():
        files = read_members(place, {f"{inside}/{name}": size for name, size in sizes.items()})
        yield from ((place / name, files[f"{inside}/{name}"]) for name in sizes)
        return
    for name, size in sizes.items():
        path = place / name
        try:
            with open_regular(path) as file:
                yield path, read_limited(path, file, size)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInput(f"{path} cannot be read: {reason}.") from None


def _check_records(path: Path, content: bytes, batches: Counts) -> Records:
    """Returns the records of a file, which has no more of any class than the published one."""
    if not content:
        raise BadInput(f"{path} is empty.")
    if len(content) % RECORD:
        raise BadInput(
            f"{path} is truncated or damaged: {len(content):,} bytes are not a whole number of "
            f"records of {RECORD:,} bytes (a label and 3 × {SIDE} × {SIDE} values)."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    wrong = np.flatnonzero(rows[:, 0] >= len(LABELS))
    if wrong.size:
        raise BadInput(
            f"{path}: label {rows[wrong[0], 0]} of record {wrong[0]:,} (counted from 0) is out of "
            f"range, labels go from 0 to {len(LABELS) - 1}; {wrong.size:,} of {len(rows):,} are."
        )
    counts = _class_counts(rows)
    if (more := np.flatnonzero(counts > batches[path.name])).size:
        if other := next((name for name in batches if (counts <= batches[name]).all()), None):
            raise BadInput(f"{path} has the records of {other}: are two files swapped?")
        raise BadInput(
            f"{path} is not the published file: it has {counts[more[0]]:,} records of "
            f"{LABELS[more[0]]}, and that has {batches[path.name][more[0]]:,}."
        )
    return rows


def _class_counts(rows: Records) -> Int[np.ndarray, " class"]:
    """Returns how many records of each class there are."""
    return np.bincount(rows[:, 0], minlength=len(LABELS))


def _lacking(title: str, batches: Counts, parts: Mapping[str, Records]) -> str:
    """Describes how many records each file lacks, and of which classes; empty if none."""
    details, lost = [], 0
    for name, rows in parts.items():
        fewer = batches[name] - _class_counts(rows)
        if fewer.any():
            kinds = (f"{count:,} {LABELS[label]}" for label, count in enumerate(fewer) if count)
            details.append(f"{name} {fewer.sum():,} ({', '.join(kinds)})")
            lost += fewer.sum()
    whole = sum(map(sum, batches.values()))
    message = f"This copy of {title} lacks {lost:,} of {whole:,} pictures: {', '.join(details)}."
    return message if lost else ""


def _packed_again(place: Path, file: DataFile) -> str:
    """Describes an archive that is not the published one, so that not all of it was checked."""
    if place.is_dir():
        return ""
    with open_regular(place) as content:
        # Against damage, not against harm: another digest of the archive was never published.
        digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    if digest.hexdigest() == file.md5:
        return ""
    return (
        f"{file.name} was packed by somebody else (its MD5 is not the published one): how many "
        "pictures of each class it has was checked, and not what they show."
    )


def _arrays(rows: Records) -> dict[str, np.ndarray]:
    planes = rows[:, 1:].reshape(-1, 3, SIDE, SIDE)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))  # [example, height, width, channel]
    return {"image": images, "label": rows[:, 0].astype(np.int32)}


def _draw(count: int, first: int) -> Source:
    from flaxmill.data.sketches import Sketches
    from flaxmill.data.sketches.tinted import Tinted

    return Tinted(Sketches(count, first=first), SIDE)


KNOWN = KnownPictures(
    name=CIFAR_10.name,
    title=CIFAR_10.title,
    labels=LABELS,
    licence="none is stated; citing Krizhevsky 2009 is asked for (CIFAR-10)",
    read=read_cifar10,
    drawn_labels=CLASS_NAMES,
    draw=_draw,
)
