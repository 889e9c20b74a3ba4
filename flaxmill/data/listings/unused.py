"""The files below a folder of pictures, and which of them are not used."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flaxmill.data.pictures.decode import SUFFIXES

SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
"""Folders that archives, servers and Windows leave."""
_SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")  # files of that kind
_GROUPS = 6  # that a line names
_SHOWN = 2  # names of a group


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder of this name is hidden, or one that systems leave."""
    return name.startswith(".") or name in SYSTEM_FOLDERS or name.lower() in _SYSTEM_FILES


def is_picture(name: str) -> bool:
    """Returns whether a name is that of a picture file."""
    return name.lower().endswith(SUFFIXES)


@dataclass
class _Group:
    count: int = 0
    names: list[str] = field(default_factory=list)


class UnusedFiles:
    """Counts what is not used, by kind and folder, and remembers a few names.

    Args:
        root: The folder that names are below.
    """

    def __init__(self, root: Path) -> None:
        self._above = f"{root}{os.sep}"
        self._groups: dict[tuple[str, str], _Group] = {}
        self._known: set[str] = set()

    def mark_used(self, path: Path | str) -> None:
        """Notes that a file beside the pictures is used, so that it is not reported."""
        self._known.add(str(path).removeprefix(self._above))

    def add(self, path: Path | str, kind: str = "", *, reason: str = "") -> None:
        """Notes that a file is not used.

        Args:
            path: The file, or its name below the folder.
            kind: What it is; taken from the name if empty.
            reason: Why it is not used, where that is not plain.
        """
        name = str(path).removeprefix(self._above)
        if name in self._known:
            return
        if reason:  # it is reported once
            self._known.add(name)
        folder = os.path.dirname(name) if is_picture(name) else ""
        ending = os.path.splitext(name)[1].lower()
        kind = kind or ("picture" if is_picture(name) else f"{ending} file".lstrip())
        if kind == "picture":
            folder = folder.split(os.sep)[0]
        key = (name, reason) if reason else (kind, folder)
        group = self._groups.setdefault(key, _Group())
        group.count += 1
        if len(group.names) <= _SHOWN:
            group.names.append(f"{name} ({reason})" if reason else name)

    def describe(self) -> str:
        """Returns what is not used, in one line; nothing if all is."""
        groups = sorted(self._groups.items(), key=lambda item: item[0][0] != "picture")
        parts = [_describe(*key, group) for key, group in groups[:_GROUPS]]
        if left := sum(group.count for _, group in groups[_GROUPS:]):
            parts.append(f"{left:,} more")
        return f"Not used: {', '.join(parts)}." if parts else ""


def _describe(kind: str, folder: str, group: _Group) -> str:
    if group.count == 1:
        return group.names[0]
    more = ", …" if group.count > _SHOWN else ""
    where = f" in {folder}" if folder else ""
    return f"{group.count:,} {kind}s{where} ({', '.join(group.names[:_SHOWN])}{more})"


class Tree:
    """All that lies below a folder but what is hidden; links are followed, never round and round.

    Names are below the folder, with slashes.

    Args:
        root: The folder.
        only: The folders in it to look at, and not below; None for all.

    Attributes:
        pictures: Files that are pictures by their names.
        others: Other files.
        folders: Folders.
        closed: Folders that could not be read, or lie in themselves.
    """

    def __init__(self, root: Path, only: Iterable[str] | None = None) -> None:
        self.pictures: list[str] = []
        self.others: list[str] = []
        self.folders: list[str] = []
        self.closed: list[str] = []
        if only is not None:
            for folder in sorted(set(only)):
                self._read_folder(root, folder, (), {})
            return
        pending: dict[str, tuple[tuple[int, int], ...]] = {"": ()}
        while pending:
            self._read_folder(root, *pending.popitem(), pending)

    def _read_folder(
        self,
        root: Path,
        folder: str,
        ancestors: tuple[tuple[int, int], ...],
        pending: dict[str, tuple[tuple[int, int], ...]],
    ) -> None:
        try:
            status = os.stat(root / folder)
            entries = list(os.scandir(root / folder))
        except OSError:
            self.closed.append(folder or ".")
            return
        here = (status.st_dev, status.st_ino)
        if here in ancestors:
            self.closed.append(folder)
            return
        for entry in entries:
            if is_hidden(entry.name):
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _holds(entry.is_dir):
                self.folders.append(name)
                pending[name] = (*ancestors, here)
            elif is_picture(name) and (_holds(entry.is_file) or entry.is_symlink()):
                self.pictures.append(name)
            else:
                self.others.append(name)


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:  # a link that leads to itself
        return False
