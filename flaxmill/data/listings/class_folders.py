"""Folders of class folders: one folder a class, its pictures somewhere inside it."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flaxmill.data.listings.account import Account, hidden, is_picture
from flaxmill.data.listings.listing import Listing, class_order, normal, split_of
from flaxmill.data.listings.same import File, once
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

    def words(self) -> str:
        """Names what there is."""
        kinds = Counter(
            f"{os.path.splitext(name)[1].lower()} file".lstrip() for name in self.others
        )
        counts = Counter(folder=len(self.folders), picture=len(self.pictures)) | kinds
        found = [f"{n:,} {noun}{'s' * (n > 1)}" for noun, n in counts.items() if n]
        return " and ".join(", ".join(found).rsplit(", ", 1)) or "nothing"


def present(place: Path) -> bool:
    """Says whether a folder, or the ``train`` in it, has folders with pictures for two classes."""
    top = _look(place)
    folder = _look(place / parts["train"]) if (parts := _parts(top)) else top
    filled = (name for name in folder.folders if any(_within(folder, name, Account(place))))
    return next(filled, None) is not None and next(filled, None) is not None


def splits(place: Path) -> dict[str, str]:
    """Returns the folders of the splits in a folder, by split; none where it holds classes.

    Raises:
        BadInput: It cannot be read, or has two folders for one split.
    """
    return _parts(_look(place))


def read_folders(place: Path, account: Account) -> dict[str, Listing]:
    """Lists the pictures of a folder of class folders, or of ``train``, ``val`` and ``test``.

    Hidden files and folders are passed over. Symbolic links are followed, but no folder is gone
    into twice for one class, and a file counts once, however often it lies there.

    Args:
        place: The folder.
        account: Is told what is not used.

    Raises:
        BadInput: It has another layout, its classes do not fit each other, or a file is in two
            splits or classes.
    """
    top = _look(place)
    parts = _parts(top)
    folders = {name: _look(place / folder) for name, folder in parts.items()} or {"train": top}
    if parts:
        for name in (*top.pictures, *top.others):
            account.leave(place / name)
        for name in top.folders:
            if name not in parts.values():
                _leave(place / name, account)
    found = {name: _classes(folder, account) for name, folder in folders.items()}
    lacking = _check_training(folders["train"], found["train"])
    notes = []
    if "test" in found and not any(found["test"].values()):
        notes.append(
            f"{place / parts['test']} has no pictures in class folders, so it tells nothing: it is "
            "not used."
        )
        del found["test"]
    for name in found:
        if name != "train":
            _check_known(place, parts, name, found)
    if empty := [
        f"{parts[name]}/{label}"
        for name in found
        for label, files in found[name].items()
        if not files
    ]:
        notes.append(f"Empty: {', '.join(empty)}.")
    kept = once(place, found, account)
    classes = class_order(kept["train"])
    return {
        name: replace(
            _listing(place, {label: inside.get(label, []) for label in classes}, " ".join(notes)),
            lacking=lacking,
        )
        for name, inside in kept.items()
    }


def _look(place: Path) -> _Folder:
    """Lists a folder, sorted, without what is hidden.

    Raises:
        BadInput: It may not be read.
    """
    found = _Folder(place)
    try:
        entries = sorted(os.scandir(place), key=lambda entry: (normal(entry.name), entry.name))
    except OSError as error:
        raise _unreadable(place, error) from None
    for entry in entries:
        if hidden(entry.name):
            continue
        if _is_folder(entry):
            found.folders.append(entry.name)
        elif is_picture(entry.name):
            found.pictures[entry.name] = -1 if entry.is_symlink() else entry.inode()
        else:
            found.others.append(entry.name)
    return found


def _unreadable(place: Path, error: OSError) -> BadInput:
    words = (error.strerror or str(error)).lower()
    return BadInput(f"the folder {place} cannot be read: {words}.")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _parts(top: _Folder) -> dict[str, str]:
    """Returns the folders of the splits, if there are such and not classes of these names."""
    parts: dict[str, str] = {}
    for name in top.folders:
        part = split_of(name)
        if part and part in parts:
            raise BadInput(
                f"in {top.place} there are both {parts[part]} and {name}: leave one of them."
            )
        if part:
            parts[part] = name
    if "train" not in parts:
        return {}
    inside = _look(top.place / parts["train"])
    own = len(parts) == len(top.folders) or (inside.folders and not inside.pictures)
    return {part: parts[part] for part in SPLITS if part in parts} if own else {}


def _classes(folder: _Folder, account: Account) -> dict[str, list[File]]:
    """Returns the pictures of each class folder in a folder, by the class's name.

    Args:
        folder: What lies in it.
        account: Is told what is not used.

    Raises:
        BadInput: Two names differ in their Unicode form only.
    """
    found: dict[str, list[File]] = {}
    stored: dict[str, str] = {}
    for name in folder.folders:
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are no UTF-8
            raise BadInput(
                f"in {folder.place} there is a folder called {name!a}: its name is no readable "
                "text, as from an archive in another encoding. Rename it, for it names a class."
            )
        label = normal(name)
        if label in found:
            raise BadInput(
                f"in {folder.place} two folders are called {label!r}: their names are stored in "
                f"two forms of Unicode ({stored[label]!a} and {name!a}). Move the pictures of one "
                "into the other."
            )
        stored[label] = name
        found[label] = list(_within(folder, name, account))
    for name in (*folder.pictures, *folder.others):
        account.leave(folder.place / name)
    return found


def _leave(place: Path, account: Account) -> None:
    """Notes down that nothing in a folder is used."""
    try:
        for file in _inside(place, _above(place.parent), set(), account):
            account.leave(file.path)
    except BadInput:  # it may not be looked into
        account.leave(place, "closed folder")


def _within(folder: _Folder, name: str, account: Account) -> Iterator[File]:
    """Yields the pictures in one of the folders in a folder."""
    return _inside(folder.place / name, _above(folder.place), set(), account)


def _inside(
    place: Path, above: set[_Id], seen: set[_Id], account: Account, deep: int = 0
) -> Iterator[File]:
    """Yields the pictures in a folder and its folders; each folder once, whatever leads to it.

    Args:
        place: The folder.
        above: The folders that it lies in, into which a link would lead round and round.
        seen: The folders gone into.
        account: Is told what is not used.
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
    if here in seen or here in above:
        if here in above:
            account.leave(place, "looping link")
        return
    seen.add(here)
    found = _look(place)
    for name in found.others:
        account.leave(place / name)
    for name, inode in found.pictures.items():
        yield File(place / name, here[0] << 64 | inode if inode >= 0 else _led_to(place / name))
    for name in found.folders:
        yield from _inside(place / name, above | {here}, seen, account, deep + 1)


def _led_to(link: Path) -> int:
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


def _above(place: Path) -> set[_Id]:
    """Returns a folder and all that it lies in."""
    real = place.resolve()
    return {_id(folder) for folder in (real, *real.parents)}


def _check_training(folder: _Folder, found: Mapping[str, Sequence[File]]) -> str:
    """Makes sure that there are classes, and pictures of each.

    Returns:
        What a listing is said to be lacking, where there is one class only.

    Raises:
        BadInput: There are not.
    """
    place = folder.place
    if not any(found.values()):
        raise BadInput(
            f"found in {place}: {folder.words()}, and no pictures in folders. Expected a folder "
            f"for each class ({place / 'cat'}, {place / 'dog'}) with its pictures in it "
            f"({', '.join(SUFFIXES)}), or train/ and val/ folders of such, or a CSV file that "
            "lists them, with the columns path and label."
        )
    for name in folder.folders:
        if not found[normal(name)]:
            raise BadInput(
                f"the class folder {place / name} has no pictures ({', '.join(SUFFIXES)}). Found "
                f"in it: {_look(place / name).words()}. Put some in, or take it away."
            )
    if len(found) > 1:
        return ""
    deeper = _look(place / folder.folders[0])
    inside = f" If the classes are the folders in it, give {deeper.place}."
    return (
        f"in {place} there is one class only, {folder.folders[0]!r}: expected a folder for "
        f"each of two classes or more.{inside if len(deeper.folders) > 1 else ''}"
    )


def _check_known(
    place: Path, parts: Mapping[str, str], name: str, found: Mapping[str, Mapping[str, object]]
) -> None:
    """Makes sure that training has every class that another split has.

    Raises:
        BadInput: It lacks one, or the split has no classes.
    """
    here, train = place / parts[name], place / parts["train"]
    if not any(found[name].values()):
        raise BadInput(
            f"found in {here}: {_look(here).words()}, and no pictures in folders. Expected a "
            f"folder for each class, as in {train}. Sort its pictures into such folders, or take "
            "it away: then a share of the training pictures is held out instead."
        )
    for label in found[name]:
        if found[name][label] and not found["train"].get(label):
            raise BadInput(
                f"{here} has the class {label!r}, which {train} lacks, so it cannot be learnt."
                f"{nearest(label, found['train'])} Put pictures of it there, or take the folder "
                "away."
            )


def _listing(place: Path, found: Mapping[str, Sequence[Path]], note: str) -> Listing:
    classes = class_order(found)
    labels = np.repeat(np.arange(len(classes)), [len(found[label]) for label in classes])
    files = tuple(file for label in classes for file in found[label])
    return Listing(files, labels.astype(np.int32), classes, place, note)
