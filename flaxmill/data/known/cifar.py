"""CIFAR-10: its binary files, read and checked, and its place among the known sets."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from flaxmill.data.known.archives import members, read_limited
from flaxmill.data.known.idx import CLASS_NAMES, LabelledImages
from flaxmill.data.known.published import CIFAR_10, DataSet
from flaxmill.data.known.real_or_drawn import Known, pictures
from flaxmill.data.places import require, stored, whole_copy
from flaxmill.data.source import Source, Splits
from flaxmill.errors import BadInput
from flaxmill.machine.files import opened

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


@dataclass(frozen=True)
class Batch:
    """One of the published files, and what tells its content.

    A copy of the set is in use that lacks some records of each file. A file counts as right if it
    is that copy's, or if it is so without those records, and they have the labels that they should.

    Attributes:
        name: Of the file.
        sha256: Digest of it without the records that the copy lacks.
        ships: Indices of those of them that show a ship.
        horses: Indices of those of them that show a horse.
        records: Number of records as published.
    """

    name: str
    sha256: str
    ships: tuple[int, ...] = ()
    horses: tuple[int, ...] = ()
    records: int = 10_000

    @property
    def lacking(self) -> list[int]:
        """Indices of all records that the copy lacks."""
        return sorted(self.ships + self.horses)


BATCHES = (
    Batch(
        "data_batch_1.bin",
        sha256="2f92f3b32699653cf61a113e8aa9a5380108b7094ac83e812df0ad7c84e6e2e5",
        ships=(4298, 5949, 7066, 7237, 7248, 7630, 8006, 8831, 8968, 9415),
    ),
    Batch(
        "data_batch_2.bin",
        sha256="fcaa46ec9d37667961c1708763e9b61ddd27f3bb58783b413ca998a3bbcb8739",
        ships=(336, 408, 2762, 2834, 3546),
    ),
    Batch(
        "data_batch_3.bin",
        sha256="48ae98d5609282433a3a6da32f59de67291b97fd7f101ebb3da3229452f4efea",
        ships=(5728, 6098, 6927, 7621, 8435, 8728, 9694, 9747),
        horses=(1493,),
    ),
    Batch(
        "data_batch_4.bin",
        sha256="98422cb1bfa67133f9aeb961c5735373b3ee6743228c64bc17acd5f7f58bf93f",
        ships=(
            329,
            1066,
            1367,
            1462,
            1625,
            1663,
            2777,
            3641,
            3661,
            4276,
            4387,
            4825,
            5160,
            5646,
            6733,
            7329,
            7567,
            8384,
            8925,
            9358,
            9385,
            9613,
            9840,
            9971,
        ),
        horses=(4067, 7474, 9888),
    ),
    Batch(
        "data_batch_5.bin",
        sha256="83393c109740c6f6f29c3af96ac013d9885b0e669d595bce9a1ddd3d206f8382",
        ships=(
            805,
            1779,
            2004,
            2389,
            2611,
            3357,
            3883,
            4882,
            5168,
            5240,
            6175,
            6435,
            6538,
            6624,
            7393,
            7597,
            8081,
            8124,
            8333,
            8821,
            8836,
            9321,
            9429,
            9631,
            9830,
            9857,
        ),
    ),
    Batch(
        "test_batch.bin",
        sha256="20243591dbebc9e6ebeb9cc523dcd7efb3fbf00c08e71be49991b16db4157819",
        ships=(
            1259,
            1369,
            1422,
            2245,
            2737,
            2935,
            3695,
            3718,
            4085,
            4496,
            5791,
            5896,
            6286,
            7580,
            7707,
            7724,
            7832,
            8117,
            8551,
        ),
        horses=(9254,),
    ),
)
"""The five files of training and the one of test."""


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
    folder: Path, data_set: DataSet = CIFAR_10, batches: Sequence[Batch] = BATCHES
) -> LabelledImages:
    """Reads CIFAR-10's binary version: 50,000 training and 10,000 test pictures, 32×32, RGB.

    Args:
        folder: Holds the archive as published, or its files.
        data_set: Names the archive.
        batches: Describes its files; the last one is the test's.

    Raises:
        BadInput: A file is missing, damaged, swapped or not the published one; the message says
            which and how to go on.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images";
    https://www.cs.toronto.edu/~kriz/cifar.html has the layout.
    """
    require(folder, data_set)
    place = stored(folder, data_set.files[0])
    assert place is not None, "its absence was refused"
    try:
        contents = _contents(place, data_set.files[0].inside, batches)
        parts = [
            _checked(path, content, batch, batches)
            for (path, content), batch in zip(contents, batches, strict=True)
        ]
    except BadInput as error:
        way = whole_copy(data_set.name, folder)
        raise BadInput(f"{error} Replace the file, or {way}.") from None
    *training, test = parts
    digests = {
        batch.name: hashlib.sha256(rows.tobytes()).hexdigest()
        for batch, rows in zip(batches, parts, strict=True)
    }
    note = _note(data_set.title, batches, [len(rows) for rows in parts])
    return LabelledImages(_arrays(np.concatenate(training)), _arrays(test), digests, note)


def _contents(place: Path, inside: str, batches: Sequence[Batch]) -> Iterator[tuple[Path, bytes]]:
    """Yields the name and content of each file, from a folder or out of the archive."""
    if not place.is_dir():
        names = {batch.name: f"{inside}/{batch.name}" for batch in batches}
        sizes = {names[batch.name]: batch.records * RECORD for batch in batches}
        found = members(place, sizes)
        yield from ((place / name, found[names[name]]) for name in names)
        return
    for batch in batches:
        path = place / batch.name
        try:
            with opened(path) as file:
                yield path, read_limited(path, file, batch.records * RECORD)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInput(f"{path} cannot be read: {reason}.") from None


def _checked(path: Path, content: bytes, batch: Batch, batches: Sequence[Batch]) -> Records:
    """Returns the records of a file that is what was published, or the copy that is known."""
    if not content:
        raise BadInput(f"{path} is empty.")
    if len(content) % RECORD:
        raise BadInput(
            f"{path} is truncated or damaged: {len(content):,} bytes are not a whole number of "
            f"records of {RECORD:,} bytes (a label and 3 × {SIDE} × {SIDE} values)."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if _is(rows, batch):
        return rows
    if other := next((other for other in batches if _is(rows, other)), None):
        raise BadInput(f"{path} has the content of {other.name}: are two files swapped?")
    whole, few = batch.records, batch.records - len(batch.lacking)
    if len(rows) not in (whole, few):
        known = f" (or the {few:,} of a copy that is known to lack some)" if few < whole else ""
        raise BadInput(f"{path} holds {len(rows):,} records, expected {whole:,}{known}.")
    wrong = np.flatnonzero(rows[:, 0] >= len(LABELS))
    if wrong.size:
        raise BadInput(
            f"{path}: label {rows[wrong[0], 0]} of record {wrong[0]:,} (counted from 0) is out of "
            f"range, labels go from 0 to {len(LABELS) - 1}; {wrong.size:,} of {len(rows):,} are."
        )
    raise BadInput(f"{path} is not the published file: its pictures or labels were changed.")


def _is(rows: Records, batch: Batch) -> bool:
    """Says whether records are those of a batch, all of them or without those it may lack."""
    if len(rows) == batch.records:
        labels = {**dict.fromkeys(batch.ships, 8), **dict.fromkeys(batch.horses, 7)}
        if any(rows[index, 0] != label for index, label in labels.items()):
            return False
        rows = np.delete(rows, batch.lacking, axis=0)
    return (
        len(rows) == batch.records - len(batch.lacking)
        and hashlib.sha256(rows.tobytes()).hexdigest() == batch.sha256
    )


def _note(title: str, batches: Sequence[Batch], counts: Sequence[int]) -> str:
    """Says what is missing, if anything is."""
    short = [b for b, count in zip(batches, counts, strict=True) if count < b.records]
    if not short:
        return ""
    ships, horses = sum(len(b.ships) for b in short), sum(len(b.horses) for b in short)
    whole = sum(batch.records for batch in batches)
    return (
        f"This copy of {title} lacks {ships + horses} of {whole:,} pictures: {ships} ships and "
        f"{horses} horses, {whole - batches[-1].records - sum(counts[:-1])} of them of training."
    )


def _arrays(rows: Records) -> dict[str, np.ndarray]:
    planes = rows[:, 1:].reshape(-1, 3, SIDE, SIDE)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return {"image": images, "label": rows[:, 0].astype(np.int32)}


def _draw(count: int, first: int) -> Source:
    from flaxmill.data.sketches import Sketches
    from flaxmill.data.sketches.tinted import Tinted

    return Tinted(Sketches(count, first=first), SIDE)


KNOWN = Known(
    name=CIFAR_10.name,
    title=CIFAR_10.title,
    labels=LABELS,
    licence="none is stated; citing Krizhevsky 2009 is asked for (CIFAR-10)",
    read=read_cifar10,
    drawn_labels=CLASS_NAMES,
    draw=_draw,
)
