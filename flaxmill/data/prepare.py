"""Prepares pictures once: decoded, brought to their size, and packed into arrays on the disk.

Training then reads no picture files any more: the arrays are mapped into memory, and lie on the
device as a whole if they fit there. What a run computes stays the same to the bit.
"""

import contextlib
import errno
import fcntl
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from flaxmill.data import choices
from flaxmill.data.folder import fit_to_train, pictures
from flaxmill.data.pictures.fit import usual_share
from flaxmill.data.pictures.plain import WHITES
from flaxmill.data.prepared import FORMAT, MANIFEST_NAME, digests_of, file_of, is_prepared
from flaxmill.data.reading.readers import Filled, Reading, read_ahead
from flaxmill.data.source import SPLITS, Example, Source, Splits
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine import files

_TOGETHER = 64  # pictures that are written at a time
_PLAN = "plan.json"


@dataclass(frozen=True)
class Preparation:
    """What pictures are made into; see `flaxmill.data.folder.pictures`, which has the same names.

    Attributes:
        size: Side to evaluate at, in pixels.
        train_size: Side to train at; 0 for the same.
        fit: How to bring pictures to ``size``.
        share: Share of the sides that a crop leaves.
        channels: 3 for RGB, 1 for grey.
        draft: Decode JPEGs no larger than needed.
        validation: How many training pictures to hold out, or which share of them.
        test: The same for the test set.
        sign: What stands between several labels.
        white: What is white in grey pictures of more than 8 bits.
    """

    size: int = 224
    train_size: int = 0
    fit: str = "crop"
    share: float = 1.0
    channels: int = 3
    draft: bool = True
    validation: int | float = 0.15
    test: int | float = 0.15
    sign: str = ""
    white: int = WHITES[-1]

    def splits(self, data: str) -> Splits:
        """Returns the pictures as a training would read them."""
        return pictures(data, **asdict(self) | {"train_size": self.train_size or None})

    def how(self, split: str) -> dict[str, Any]:
        """Returns what is done to the pictures of a split."""
        trained = (self.train_size or self.size, fit_to_train(self.fit), 1.0)
        side, fit, share = trained if split == "train" else (self.size, self.fit, self.share)
        how = {"channels": self.channels, "draft": self.draft, "white": self.white}
        return {"size": [side, side], "fit": fit, "share": share, **how}

    def bytes(self, split: str) -> int:
        """Returns the size of a picture of a split."""
        height, width = self.how(split)["size"]
        return height * width * self.channels


def default_preparation(
    data: str,
    *,
    size: int = 0,
    train_size: int = 0,
    fit: str = "auto",
    share: float = 0,
    white: int = 0,
    **more: Any,
) -> Preparation:
    """Returns what the recipe images makes of pictures, where options leave it open.

    Args:
        data: The pictures.
        size: Side to evaluate at; 0 for the one that the recipe takes without given weights.
        train_size: Side to train at; 0 for what ``size`` is cut from.
        fit: How to bring pictures to ``size``; "auto" for what suits most of them.
        share: Share of the sides that a crop leaves; 0 for the usual one.
        white: What is white in grey pictures of more than 8 bits; 0 for what their values fill.
        more: Fields of `Preparation`.

    Raises:
        BadInput: There are no pictures as expected.
    """
    rest = Preparation(**more)
    shares = {"validation": rest.validation, "test": rest.test}
    facts = choices.picture_facts(data, sign=rest.sign, **shares)
    size, fit = size or choices.usual_size(facts), choices.fitting_way(facts, fit)[0]
    return Preparation(
        size,
        train_size or round(size / (share or usual_share(size))),
        fit=fit,
        share=share or usual_share(size, fit),
        white=white or facts.white,
        **more,
    )


def prepare(
    data: str,
    to: Path,
    preparation: Preparation,
    *,
    readers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda words: None,
) -> Path:
    """Packs pictures into arrays, or goes on with that.

    Until all is written, it lies in a folder beside the target whose name ends with ``.partial``.

    Args:
        data: What `flaxmill.data.listings.layouts.scan` finds pictures in.
        to: The folder to make.
        preparation: What the pictures are made into.
        readers: Threads that decode; 0 for as many as there are cores.
        progress: Called with how many pictures are packed, of how many.
        say: Called with how the pictures were divided, and what is not used, if anything.

    Returns:
        The folder.

    Raises:
        BadInput: There are no pictures as expected, one cannot be read, there is something at the
            target, or the disk has too little room.
        CannotGoOn: The disk is full; what is packed is kept.
    """
    target, reading = to.expanduser().absolute(), Reading(readers)
    _check_places(data, to)
    splits = preparation.splits(data)
    if splits.lacking:
        raise BadInput(splits.lacking)
    if splits.note:
        say(splits.note)
    plan: dict[str, Any] = {"manner": asdict(preparation), "source": dict(splits.digests)}
    plan["pillow"] = PIL.__version__
    partial = target.with_name(f"{target.name}.partial")
    _check_room(partial, sum(preparation.bytes(split) * len(splits[split]) for split in SPLITS))
    try:
        with _locked(partial, plan):
            about = _pack(partial, splits, reading, progress)
            for split in SPLITS:
                about[split]["how"] = preparation.how(split)
                about[split]["multi_label"] = splits.gives == "labels"
            facts = {"format": FORMAT, "classes": list(splits.labels), "splits": about, **plan}
            files.write_json(partial / MANIFEST_NAME, facts)
            (partial / _PLAN).unlink()
            os.rename(partial, target)
        files.sync_folder(target.parent)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CannotGoOn(
            f"the disk with {target.parent} is full. Make room and give the same command again: it "
            f"goes on with what is packed in {partial}."
        ) from error
    return target


def _check_places(data: str, to: Path) -> None:
    """Refuses to prepare what is prepared, or to write where something is, or would be read.

    Raises:
        BadInput: The message says where to write instead, or what to train with.
    """
    target = to.expanduser().absolute()
    if Path(data).expanduser().resolve() in target.resolve().parents:
        raise BadInput(
            f"--to {to} lies in {data}, and would be taken for pictures of it: choose a place "
            "beside it."
        )
    if is_prepared(Path(data).expanduser()):
        raise BadInput(f"{data} is prepared already: train with --data {data}.")
    if os.path.lexists(target):
        raise BadInput(f"{target} is there already: give another place with --to.")


def _check_room(partial: Path, needed: int) -> None:
    """Refuses to begin, or to go on, with what the disk has no room for.

    Raises:
        BadInput: The message says how much it would take.
    """
    missing = needed - sum(path.stat().st_size for path in partial.glob("*.npy"))
    there = next(folder for folder in partial.parents if folder.is_dir())
    if missing > (free := shutil.disk_usage(there).free):
        raise BadInput(
            f"the disk with {there} has room for {free / 1e9:,.1f} GB, and this takes "
            f"{missing / 1e9:,.1f} GB: make room, choose a smaller --size, or another place."
        )


@contextlib.contextmanager
def _locked(partial: Path, plan: dict[str, Any]) -> Iterator[None]:
    """Locks a folder that is begun; one that was begun with another plan is begun anew.

    Raises:
        BadInput: Another process has locked it, or it cannot be made.
    """
    place = partial / _PLAN
    try:
        partial.mkdir(parents=True, exist_ok=True)
        file = open(place, "a+", encoding="utf-8", opener=files.open_own)  # noqa: SIM115
    except OSError as error:
        raise BadInput(f"{partial} cannot be written: {(error.strerror or '').lower()}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{partial} is being written by another process: wait for it.") from None
        except OSError as error:
            raise BadInput(
                f"{partial} cannot be locked ({error.strerror}): its file system has no locks. "
                "Prepare the pictures in another place."
            ) from None
        file.seek(0)
        words = json.dumps(plan, sort_keys=True)
        if file.read() != words:
            for path in partial.glob("*.npy"):
                path.unlink()
            file.truncate(0)
            file.write(words)
            file.flush()
        yield


def _pack(
    partial: Path, splits: Splits, reading: Reading, progress: Callable[[int, int], None]
) -> dict[str, dict[str, Any]]:
    """Writes the arrays of all splits; returns an entry of the manifest for each."""
    total, before, about = sum(len(splits[split]) for split in SPLITS), 0, {}
    for split in SPLITS:
        source = splits[split]
        # A split may be empty; test never is, and its examples are alike.
        example = dict(reading.first(source if len(source) else splits.test))
        example["digest"] = digests_of(example["image"][None])[0]
        places = {name: file_of(partial, split, name) for name in example}
        for done in _write_missing(source, example, places, reading):
            progress(before + done, total)
        before += len(source)
        sums = {name: files.sha256(places[name]) for name in places if name != "image"}
        about[split] = {"count": len(source), "sha256": sums}
    return about


def _write_missing(
    source: Source, example: Example, places: dict[str, Path], reading: Reading
) -> Iterator[int]:
    """Writes what is missing in the files of a split; yields how many examples they hold."""
    length = len(source)
    with contextlib.ExitStack() as stack:
        arrays = {
            name: stack.enter_context(_Array(path, example[name], length))
            for name, path in places.items()
        }
        done = min(array.count() for array in arrays.values())
        for array in arrays.values():
            array.cut(done)
        if done == length:
            return

        def requests() -> Iterator[tuple[np.ndarray, int]]:
            for start in range(done, length, _TOGETHER):
                ids = np.arange(start, start + _TOGETHER)
                yield np.where(ids < length, ids, -1), min(_TOGETHER, length - start)

        def examples(count: int, filled: Filled) -> dict[str, np.ndarray]:
            rows = {name: array[:count] for name, array in filled.arrays.items()}
            return rows | {"digest": digests_of(rows["image"])}

        for rows in read_ahead(source, requests(), reading, ahead=2, finish=examples):
            for name, array in arrays.items():
                array.append(rows[name])
            done += len(next(iter(rows.values())))
            yield done


class _Array:
    """A file of NumPy's that grows by rows, and is whole when it has all of them.

    It is written, not mapped: a full disk is then an error, and does not kill the process.

    Args:
        path: The file.
        row: One of the rows.
        length: How many there will be.
    """

    def __init__(self, path: Path, row: np.ndarray, length: int) -> None:
        header = io.BytesIO()
        form = {"descr": row.dtype.str, "fortran_order": False, "shape": (length, *row.shape)}
        np.lib.format.write_array_header_1_0(header, form)
        self._header, self.row = header.getvalue(), row.nbytes
        self._file = open(path, "r+b" if path.exists() else "w+b", opener=files.open_own)  # noqa: SIM115

    def __enter__(self) -> "_Array":
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def count(self) -> int:
        """Returns how many rows the file holds."""
        size = self._file.seek(0, os.SEEK_END)
        return max(0, size - len(self._header)) // self.row

    def cut(self, count: int) -> None:
        """Leaves so many rows."""
        self._file.seek(0)
        self._file.write(self._header)
        self._file.truncate(len(self._header) + count * self.row)
        self._file.seek(0, os.SEEK_END)

    def append(self, rows: np.ndarray) -> None:
        """Writes more rows."""
        self._file.write(rows.tobytes())
