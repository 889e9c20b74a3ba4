"""Pictures in the cells of a table: the content of their files, or where these lie.

Parquet files and Hugging Face's data sets keep them alike, and both are read here.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flaxmill.data.listings.digests import contents
from flaxmill.data.listings.tables import picture_path
from flaxmill.errors import BadInput, quoted

TITLES = ("image", "picture", "img", "photo", "image_bytes", "jpg", "jpeg", "png", "webp")
"""What a column of pictures is called, the likeliest first."""
PIXELS = (
    "expected the content of picture files (bytes), or their paths. Put arrays of pixels into a "
    "file of NumPy's: np.savez('set.npz', images=pixels.astype('uint8'), labels=labels)."
)
"""What to do with pictures that are neither."""
_LONG = 80  # characters of a path that a name has


def content_or_path(cell: Any, folder: Path, name: str) -> bytes | Path:
    """Returns a picture file's content, or its path, whichever a cell has.

    Args:
        cell: Bytes; a path; or a dictionary of ``bytes`` and ``path``, of which one may be None.
        folder: What paths are relative to.
        name: What messages call the cell.

    Raises:
        BadInput: There is none, or no file where it should be.
    """
    content, path = cell, None
    if isinstance(cell, dict):
        content, path = cell.get("bytes"), cell.get("path")
    elif isinstance(cell, str):
        content, path = None, cell
    if isinstance(content, bytes) and content:
        return content
    if content and not isinstance(content, bytes):
        raise BadInput(f"{name} holds {quoted(content, 24)}: {PIXELS}")
    if not path:
        raise BadInput(f"{name} has no picture: take the row out.")
    file = picture_path(folder, str(path))
    if file is None:
        raise BadInput(
            f"{name} has no picture, but a path, {quoted(path)}, at which there is no file. Paths "
            f"are taken from {folder}."
        )
    return file


class Embedded(Sequence[Any]):
    """Picture files that lie in a column of Parquet files, and are held in memory as they are.

    Args:
        column: A column of pyarrow: bytes, or structs that have ``bytes`` and maybe ``path``.
        place: The file, or the first of several, for messages; paths are relative to its folder.
        digest: What tells this content from any other.
    """

    def __init__(self, column: Any, place: Path, digest: str) -> None:
        self._column, self._place, self._digest = column, place, digest

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: Any) -> Any:
        """Returns the content of a picture's file, or its path.

        Raises:
            BadInput: The row has none.
        """
        cell = self._column[int(index)].as_py()
        return content_or_path(cell, self._place.parent, self.name(int(index)))

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        cell = self._column[index]
        path = cell["path"].as_py() if cell.is_valid and "path" in fields(cell.type) else None
        shown = path if path and path.isprintable() and len(path) <= _LONG else quoted(path)
        return f"{self._place}, row {index + 1}" + (f" ({shown})" if path else "")

    @property
    def digest(self) -> str:
        """What tells these pictures from any others; those in files of their own are read."""
        outside = paths_alone(self._column)
        if not outside:
            return self._digest
        summed = hashlib.sha256(self._digest.encode())
        paths = [picture_path(self._place.parent, path) for path in outside]
        for content in contents([str(path or "") for path in paths]):
            summed.update(content)
        return summed.hexdigest()


def paths_alone(column: Any) -> list[str]:
    """Returns the paths, in a column of pyarrow, of pictures whose content is not beside them."""
    names = fields(column.type)
    if "path" not in names:
        return []
    parts = dict(zip(names, column.flatten(), strict=True))
    if "bytes" in parts:
        parts["path"] = parts["path"].filter(parts["bytes"].is_null())
    return parts["path"].drop_null().to_pylist()


def fields(kind: Any) -> list[str]:
    """Returns the fields of a struct of pyarrow, and none of other types."""
    from pyarrow import types

    return [field.name for field in kind] if types.is_struct(kind) else []
