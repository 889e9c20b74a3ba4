"""Folders of class folders: one folder a class, its pictures somewhere inside it."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flaxmill.data.listings.listing import Listing, class_order, normal, split_of
from flaxmill.data.listings.same_files import File, deduplicate
from flaxmill.data.listings.unused import UnusedFiles, is_hidden, is_picture
from flaxmill.data.pictures.decode import SUFFIXES
from flaxmill.data.source import SPLITS
from flaxmill.errors import BadInput, nearest

_DEEPEST = 100  # folders within one another
_Id = tuple[int, int]  # device and inode, which tell a folder whatever leads to it


@dataclass
class _Folder:
    """What lies in a folder: its folders, its pictures with their inodes, and the rest."""

    place: Path
    folders: list[str] = field(default_factory=list)
    pictures: dict[str, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Returns what there is, in words."""
        kinds = Counter(
            f"{os.path.splitext(name)[1].lower()} file".lstrip() for name in self.others
        )
        counts = Counter(folder=len(self.folders), picture=len(self.pictures)) | kinds
        counted = [f"{n:,} {noun}{'s' * (n > 1)}" for noun, n in counts.items() if n]
        return " and ".join(", ".join(counted).rsplit(", ", 1)) or "nothing"


def exist_in(place: Path) -> bool:
    """Returns whether a folder, or ``train`` in it, has folders with pictures for two classes."""
    top = _scan(place)
    folder = _scan(place / names["train"]) if (names := _split_folders(top)) else top
    filled = (
        name for name in folder.folders if any(_pictures_in(folder, name, UnusedFiles(place)))
    )
    return next(filled, None) is not None and next(filled, None) is not None


def split_folders(place: Path) -> dict[str, str]:
    """Returns the folders of the splits in a folder, by split; none where it holds classes.

    Raises:
        BadInput: It cannot be read, or has two folders for one split.
    """
    return _split_folders(_scan(place))


def read_folders(place: Path, unused: UnusedFiles) -> dict[str, Listing]:
    """Lists the pictures of a folder of class folders, or of ``train``, ``val`` and ``test``.

    Hidden files and folders are passed over. Symbolic links are followed, but no folder is gone
    into twice for one class, and a file counts once, however often it lies there.

    Args:
        place: The folder.
        unused: Collects what is not used.

    Raises:
        BadInput: It has another layout, its classes do not fit each other, or a file is in two
            splits or classes.
    """
    top = _scan(place)
    names = _split_folders(top)
    folders = {name: _scan(place / folder) for name, folder in names.items()} or {"train": top}
    if names:
        for name in (*top.pictures, *top.others):
            unused.add(place / name)
        for name in top.folders:
            if name not in names.values():
                _add_unused(place / name, unused)
    pictures = {name: _pictures_by_class(folder, unused) for name, folder in folders.items()}
    lacking = _check_training(folders["train"], pictures["train"])
    notes = []
    if "test" in pictures and not any(pictures["test"].values()):
        notes.append(
            f"{place / names['test']} has no pictures in class folders, so it tells nothing: it "
            "is not used."
        )
        del pictures["test"]
    for name in pictures:
        if name != "train":
            _check_classes(place, names, name, pictures)
    if empty := [
        f"{names[name]}/{label}"
        for name in pictures
        for label, files in pictures[name].items()
        if not files
    ]:
        notes.append(f"Empty: {', '.join(empty)}.")
    unique = deduplicate(place, pictures, unused)
    classes = class_order(unique["train"])
    return {
        name: replace(
            _listing(place, {label: by_label.get(label, []) for label in classes}, " ".join(notes)),
            lacking=lacking,
        )
        for name, by_label in unique.items()
    }


def _scan(place: Path) -> _Folder:
    """Lists a folder, sorted, without what is hidden.

    Raises:
        BadInput: It may not be read.
    """
    folder = _Folder(place)
    try:
        entries = sorted(os.scandir(place), key=lambda entry: (normal(entry.name), entry.name))
    except OSError as error:
        raise _unreadable(place, error) from None
    for entry in entries:
        if is_hidden(entry.name):
            continue
        if _is_folder(entry):
            folder.folders.append(entry.name)
        elif is_picture(entry.name):
            folder.pictures[entry.name] = -1 if entry.is_symlink() else entry.inode()
        else:
            folder.others.append(entry.name)
    return folder


def _unreadable(place: Path, error: OSError) -> BadInput:
    words = (error.strerror or str(error)).lower()
    return BadInput(f"the folder {place} cannot be read: {words}.")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _split_folders(top: _Folder) -> dict[str, str]:
    """Returns the folders of the splits, if there are such and not classes of these names."""
    folders: dict[str, str] = {}
    for name in top.folders:
        split = split_of(name)
        if split and split in folders:
            raise BadInput(
                f"in {top.place} there are both {folders[split]} and {name}: leave one of them."
            )
        if split:
            folders[split] = name
    if "train" not in folders:
        return {}
    inside = _scan(top.place / folders["train"])
    are_splits = len(folders) == len(top.folders) or (inside.folders and not inside.pictures)
    return {split: folders[split] for split in SPLITS if split in folders} if are_splits else {}


def _pictures_by_class(folder: _Folder, unused: UnusedFiles) -> dict[str, list[File]]:
    """Returns the pictures of each class folder in a folder, by the class's name.

    Args:
        folder: What lies in it.
        unused: Collects what is not used.

    Raises:
        BadInput: Two names differ in their Unicode form only.
    """
    by_label: dict[str, list[File]] = {}
    stored: dict[str, str] = {}
    for name in folder.folders:
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are no UTF-8
            raise BadInput(
                f"in {folder.place} there is a folder called {name!a}: its name is no readable "
                "text, as from an archive in another encoding. Rename it, for it names a class."
            )
        label = normal(name)
        if label in by_label:
            raise BadInput(
                f"in {folder.place} two folders are called {label!r}: their names are stored in "
                f"two forms of Unicode ({stored[label]!a} and {name!a}). Move the pictures of one "
                "into the other."
            )
        stored[label] = name
        by_label[label] = list(_pictures_in(folder, name, unused))
    for name in (*folder.pictures, *folder.others):
        unused.add(folder.place / name)
    return by_label


def _add_unused(place: Path, unused: UnusedFiles) -> None:
    """Notes that nothing in a folder is used."""
    try:
        for file in _walk(place, _ancestors(place.parent), set(), unused):
            unused.add(file.path)
    except BadInput:  # it may not be looked into
        unused.add(place, "closed folder")


def _pictures_in(folder: _Folder, name: str, unused: UnusedFiles) -> Iterator[File]:
    """Yields the pictures in one of the folders in a folder."""
    return _walk(folder.place / name, _ancestors(folder.place), set(), unused)


def _walk(
    place: Path, ancestors: set[_Id], visited: set[_Id], unused: UnusedFiles, deep: int = 0
) -> Iterator[File]:
    """Yields the pictures in a folder and its folders; each folder once, whatever leads to it.

    Args:
        place: The folder.
        ancestors: The folders that it lies in, into which a link would lead round and round.
        visited: The folders gone into.
        unused: Collects what is not used.
        deep: How many folders it lies in, from the first of them on.

    Raises:
        BadInput: It may not be read, or folders lie in one another as in no set of pictures.
    """
    if deep > _DEEPEST:
        raise BadInput(
            f"in {place} there are more than {_DEEPEST} folders within one another: move the "
            f"pictures up, or take it away."
        )
    here = _id(place)
    if here in visited or here in ancestors:
        if here in ancestors:
            unused.add(place, "looping link")
        return
    visited.add(here)
    folder = _scan(place)
    for name in folder.others:
        unused.add(place / name)
    for name, inode in folder.pictures.items():
        yield File(place / name, here[0] << 64 | inode if inode >= 0 else _target(place / name))
    for name in folder.folders:
        yield from _walk(place / name, ancestors | {here}, visited, unused, deep + 1)


def _target(link: Path) -> int:
    try:
        device, inode = _id(link)
    except BadInput:  # a link to nothing: whoever reads the picture says so
        return -1
    return device << 64 | inode


def _id(place: Path) -> _Id:
    try:
        status = place.stat()
    except OSError as error:
        raise _unreadable(place, error) from None
    return status.st_dev, status.st_ino


def _ancestors(place: Path) -> set[_Id]:
    """Returns a folder and all that it lies in."""
    real = place.resolve()
    return {_id(folder) for folder in (real, *real.parents)}


def _check_training(folder: _Folder, by_label: Mapping[str, Sequence[File]]) -> str:
    """Checks that there are classes, and pictures of each.

    Returns:
        What the listing lacks, where there is one class only; else nothing.

    Raises:
        BadInput: There are none.
    """
    place = folder.place
    if not any(by_label.values()):
        raise BadInput(
            f"found in {place}: {folder.describe()}, and no pictures in folders. Expected a folder "
            f"for each class ({place / 'cat'}, {place / 'dog'}) with its pictures in it "
            f"({', '.join(SUFFIXES)}), or train/ and val/ folders of such, or a CSV file that "
            "lists them, with the columns path and label."
        )
    for name in folder.folders:
        if not by_label[normal(name)]:
            raise BadInput(
                f"the class folder {place / name} has no pictures ({', '.join(SUFFIXES)}). Found "
                f"in it: {_scan(place / name).describe()}. Put some in, or take it away."
            )
    if len(by_label) > 1:
        return ""
    deeper = _scan(place / folder.folders[0])
    inside = f" If the classes are the folders in it, give {deeper.place}."
    return (
        f"in {place} there is one class only, {folder.folders[0]!r}: expected a folder for "
        f"each of two classes or more.{inside if len(deeper.folders) > 1 else ''}"
    )


def _check_classes(
    place: Path, names: Mapping[str, str], split: str, files: Mapping[str, Mapping[str, object]]
) -> None:
    """Checks that training has every class that another split has.

    Raises:
        BadInput: It lacks one, or the split has no classes.
    """
    here, train = place / names[split], place / names["train"]
    if not any(files[split].values()):
        raise BadInput(
            f"found in {here}: {_scan(here).describe()}, and no pictures in folders. "
            f"Expected a folder for each class, as in {train}. Sort its pictures into such "
            "folders, or take it away: then a share of the training pictures is held out instead."
        )
    for label in files[split]:
        if files[split][label] and not files["train"].get(label):
            raise BadInput(
                f"{here} has the class {label!r}, which {train} lacks, so it cannot be learnt."
                f"{nearest(label, files['train'])} Put pictures of it there, or take the folder "
                "away."
            )


def _listing(place: Path, by_label: Mapping[str, Sequence[Path]], note: str) -> Listing:
    classes = class_order(by_label)
    labels = np.repeat(np.arange(len(classes)), [len(by_label[label]) for label in classes])
    files = tuple(file for label in classes for file in by_label[label])
    return Listing(files, labels.astype(np.int32), classes, place, note)
