"""Parquet files that list pictures, or hold them as Hugging Face's do; needs pyarrow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flaxmill import files
from flaxmill.data.tables import PATHS, Table, columns, existing, named, named_splits
from flaxmill.errors import BadInput

_MOST = 4 * 2**30  # bytes that are held in memory


class Embedded(Sequence[Any]):
    """Picture files that lie in a column of Parquet files, and are held in memory as they are.

    Args:
        column: A column of pyarrow: bytes, or structs that have ``bytes`` and maybe ``path``.
        place: The file, or the first of several, for messages.
        digest: What tells this content from any other.
    """

    def __init__(self, column: Any, place: Path, digest: str) -> None:
        self._column, self._place, self.digest = column, place, digest

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: Any) -> Any:
        """Returns the content of a picture's file.

        Raises:
            BadInput: The row has none.
        """
        content = self._column[int(index)].as_py()
        if isinstance(content, dict):
            content = content["bytes"]
        if content is None:
            raise BadInput(f"{self.name(index)} has no picture: take the row out.")
        return content

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        content = self._column[int(index)].as_py()
        path = content.get("path") if isinstance(content, dict) else None
        return f"{self._place}, row {index + 1}" + (f" ({path})" if path else "")


def read_parquet(places: Sequence[Path]) -> Table:
    """Reads the files of one split, in which each row has a picture, or its path, and its label.

    Class names are those that Hugging Face's ``datasets`` notes in the file, if it wrote it.

    Args:
        places: The files, all with the same columns. Paths are relative to the first one's folder.

    Raises:
        BadInput: pyarrow is not installed; a file is none of Parquet, or has no such columns; a row
            has no label; the pictures are too many to be held in memory.
    """
    first = places[0]
    table = _table(places)
    header = table.schema.names
    at = _picture_columns(table) or columns(first, header)
    lines = range(1, table.num_rows + 1)
    label = header[at["label"]]
    classes = _class_names(table).get(label)
    labels = named(table.column(label).to_pylist(), classes, first, start=1)
    splits = None
    if "split" in at:
        splits = named_splits(first, lines, [str(v) for v in table.column(at["split"]).to_pylist()])
    pictures = table.column(at["path"])
    if _holds_pictures(pictures.type):
        digest = "".join(files.sha256(place) for place in places)
        return Table(
            first, Embedded(pictures, first, digest), labels, splits, lines, tuple(classes or ())
        )
    paths = existing(first, lines, [str(value) for value in pictures.to_pylist()])
    return Table(first, paths, labels, splits, lines, tuple(classes or ()))


def _table(places: Sequence[Path]) -> Any:
    """Returns the files as one table of pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(
            f"{places[0]} is read with pyarrow, which is not installed: pip install "
            "'flaxmill[data]'."
        ) from None
    size = sum(place.stat().st_size for place in places)
    if size > _MOST:
        raise BadInput(
            f"the pictures in {places[0].parent} take {size / 2**30:.1f} GiB, and are held in "
            f"memory up to {_MOST / 2**30:.0f} GiB. Load them with datasets.load_dataset, which "
            "keeps them on the disk, in the data() of a recipe of your own (see docs/data.md)."
        )
    read = []
    for place in places:
        try:
            read.append(parquet.read_table(place))
        except (pyarrow.ArrowException, OSError) as error:
            words = str(error).partition("\n")[0].rstrip(".")
            raise BadInput(f"{place} cannot be read as Parquet ({words}).") from None
        if read[-1].schema.names != read[0].schema.names:
            raise BadInput(
                f"{place} has the columns {', '.join(read[-1].schema.names)}, but {places[0]} has "
                f"{', '.join(read[0].schema.names)}: files of one split need the same."
            )
    table = pyarrow.concat_tables(read)
    if not table.num_rows:
        raise BadInput(f"{places[0]} has no rows: expected one for each picture.")
    return table


def _holds_pictures(kind: Any) -> bool:
    """Says whether a column's type is that of pictures: bytes, or a struct that has them."""
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _picture_columns(table: Any) -> dict[str, int]:
    """Returns the columns of pictures and labels where the file holds pictures; else nothing."""
    names = table.schema.names
    pictures = [at for at, kind in enumerate(table.schema.types) if _holds_pictures(kind)]
    if not pictures:
        return {}
    named = [name.lower() for name in names]
    named[pictures[0]] = PATHS[0]  # whatever it is called
    labelled = [name for name in _class_names(table) if name in names]
    if labelled and "label" not in named:
        named[names.index(labelled[0])] = "label"
    return columns(Path("the table"), named) if "label" in named else {}


def _class_names(table: Any) -> dict[str, list[str]]:
    """Returns the names of classes for each column of which ``datasets`` noted them."""
    try:
        noted = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: (kind.get("feature") or kind)["names"]
            for name, kind in noted.items()
            if "names" in (kind.get("feature") or kind)
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
