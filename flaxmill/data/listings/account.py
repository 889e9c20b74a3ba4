"""What lies below a folder of pictures and is not used: every file of it is one or the other."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flaxmill.data.pictures.decode import SUFFIXES

NOT_OURS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
"""Folders that archives, servers and Windows leave."""
_THEIRS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")  # files of that kind
_GROUPS = 6  # that a line tells
_SHOWN = 2  # names of a group


def hidden(name: str) -> bool:
    """Says whether nobody who looks at a folder means to see a file or folder of this name."""
    return name.startswith(".") or name in NOT_OURS or name.lower() in _THEIRS


def is_picture(name: str) -> bool:
    """Says whether a name is that of a picture file."""
    return name.lower().endswith(SUFFIXES)


@dataclass
class _Group:
    count: int = 0
    names: list[str] = field(default_factory=list)


class Account:
    """Counts what is not used, by kind and folder, and remembers a few names.

    Args:
        root: The folder that names are below.
    """

    def __init__(self, root: Path) -> None:
        self._above = f"{root}{os.sep}"
        self._groups: dict[tuple[str, str], _Group] = {}
        self._known: set[str] = set()

    def use(self, path: Path | str) -> None:
        """Notes down that a file beside the pictures is used: it is not to be told of."""
        self._known.add(str(path).removeprefix(self._above))

    def leave(self, path: Path | str, kind: str = "", *, reason: str = "") -> None:
        """Notes down that a file is not used.

        Args:
            path: The file, or its name below the folder.
            kind: What it is; found from the name, if nothing is said.
            reason: Why it is not used, where that is not plain.
        """
        name = str(path).removeprefix(self._above)
        if name in self._known:
            return
        if reason:  # it is told once
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

    def words(self) -> str:
        """Says what is not used, in one line; nothing if all is."""
        groups = sorted(self._groups.items(), key=lambda item: item[0][0] != "picture")
        told = [_told(*key, group) for key, group in groups[:_GROUPS]]
        if left := sum(group.count for _, group in groups[_GROUPS:]):
            told.append(f"{left:,} more")
        return f"Not used: {', '.join(told)}." if told else ""


def _told(kind: str, folder: str, group: _Group) -> str:
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
        only: The folders in it to look at, and not below; all, if nothing is said.

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
                self._look(root, folder, (), {})
            return
        above: dict[str, tuple[tuple[int, int], ...]] = {"": ()}
        while above:
            self._look(root, *above.popitem(), above)

    def _look(
        self,
        root: Path,
        folder: str,
        above: tuple[tuple[int, int], ...],
        waiting: dict[str, tuple[tuple[int, int], ...]],
    ) -> None:
        try:
            status = os.stat(root / folder)
            entries = list(os.scandir(root / folder))
        except OSError:
            self.closed.append(folder or ".")
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.closed.append(folder)
            return
        for entry in entries:
            if hidden(entry.name):
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _is(entry.is_dir):
                self.folders.append(name)
                waiting[name] = (*above, here)
            elif is_picture(name) and (_is(entry.is_file) or entry.is_symlink()):
                self.pictures.append(name)
            else:
                self.others.append(name)


def _is(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except OSError:  # a link that leads to itself
        return False
