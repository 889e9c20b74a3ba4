"""Parquet files that list pictures, or hold them as Hugging Face's do; needs pyarrow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flaxmill import files
from flaxmill.data.listings import split_columns
from flaxmill.data.listings.label_columns import column_of
from flaxmill.data.listings.labels import TITLES
from flaxmill.data.listings.tables import Table, existing
from flaxmill.data.listings.written_tables import PATHS, columns
from flaxmill.errors import BadInput
from flaxmill.program import installing

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
        stored = self._column[int(index)]
        content = stored["bytes"] if stored.is_valid and _fields(stored.type) else stored
        if not content.is_valid:
            raise BadInput(f"{self.name(index)} has no picture: take the row out.")
        return content.as_py()

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        stored = self._column[index]
        named = stored.is_valid and "path" in _fields(stored.type)
        path = stored["path"].as_py() if named else None
        return f"{self._place}, row {index + 1}" + (f" ({path})" if path else "")


def lists_pictures(place: Path) -> bool:
    """Says whether a file has columns of pictures, or of their paths, and of labels."""
    try:
        schema = _read(place, "read_schema")
        return "label" in (_picture_columns(schema) or columns(place, schema.names))
    except BadInput:
        return False


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
    schema = _read(first, "read_schema")
    header = schema.names
    at = _picture_columns(schema) or columns(first, header)
    wanted = [header[number] for number in at.values()] if "label" in at else header
    wanted = list(wanted) + [
        name for name in header if name.lower() in split_columns.TITLES and name not in wanted
    ]
    table = _table(places, wanted)
    lines = range(1, table.num_rows + 1)

    def cells(number: int) -> list[Any]:
        return table.column(header[number]).to_pylist()

    names = _class_names(schema).get(header[at["label"]], []) if "label" in at else []
    by_split, words = split_columns.find(first, header, cells, lines)
    meant = at | {f"split {number}": number for number in by_split}
    labels = column_of(first, header, meant, cells, lines, tuple(names))
    splits = None if words is None else split_columns.named(first, lines, words)
    pictures = table.column(header[at["path"]])
    if _holds_pictures(pictures.type):
        given: Any = Embedded(pictures, first, "".join(files.sha256(place) for place in places))
    else:
        given = existing(first, lines, list(map(str, pictures.to_pylist())))
    return Table(first, given, labels, splits, lines)


def _table(places: Sequence[Path], wanted: Sequence[str]) -> Any:
    """Returns some columns of all the files as one table of pyarrow."""
    import pyarrow

    size = sum(place.stat().st_size for place in places)
    if size > _MOST:
        raise BadInput(
            f"the pictures in {places[0].parent} take {size / 2**30:.1f} GiB, and are held in "
            f"memory up to {_MOST / 2**30:.0f} GiB. Load them with datasets.load_dataset, which "
            "keeps them on the disk, in the data() of a recipe of your own (see docs/data.md)."
        )
    first = _read(places[0], "read_schema")
    for place in places:
        schema = _read(place, "read_schema")
        names = schema.names
        if missing := [name for name in wanted if name not in names]:
            raise BadInput(
                f"{place} has no column {missing[0]!r}, which {places[0]} has: files of one split "
                "need the same."
            )
        if other := [n for n in wanted if not schema.field(n).type.equals(first.field(n).type)]:
            kinds = [str(one.field(other[0]).type) for one in (schema, first)]
            raise BadInput(
                f"{place} has a column {other[0]!r} of {kinds[0]}, and {places[0]} one of "
                f"{kinds[1]}: files of one split need the same. Write both with one type."
            )
    table = pyarrow.concat_tables(_read(place, "read_table", columns=wanted) for place in places)
    if not table.num_rows:
        raise BadInput(f"{places[0]} has no rows: expected one for each picture.")
    return table


def _read(place: Path, what: str, **options: Any) -> Any:
    """Has a function of pyarrow read a file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(
            f"{place} is read with pyarrow, which is not installed: {installing('data')}."
        ) from None
    try:
        return getattr(parquet, what)(place, **options)
    except (pyarrow.ArrowException, OSError) as error:
        words = str(error).partition("\n")[0].rstrip(".")
        raise BadInput(f"{place} cannot be read as Parquet ({words}).") from None


def _fields(kind: Any) -> list[str]:
    """Returns the fields of a struct, and none of other types."""
    from pyarrow import types

    return [field.name for field in kind] if types.is_struct(kind) else []


def _holds_pictures(kind: Any) -> bool:
    """Says whether a column's type is that of pictures: bytes, or a struct that has them."""
    from pyarrow import types

    return types.is_binary(kind) or types.is_large_binary(kind) or "bytes" in _fields(kind)


def _picture_columns(schema: Any) -> dict[str, int]:
    """Returns the columns of pictures and labels where the file holds pictures; else nothing."""
    names = [name.lower() for name in schema.names]
    pictures = [at for at, kind in enumerate(schema.types) if _holds_pictures(kind)]
    if not pictures:
        return {}
    names = ["" if name in PATHS else name for name in names]  # a path beside the picture itself
    names[pictures[0]] = PATHS[0]  # whatever it is called
    labelled = [name for name in schema.names if name in _class_names(schema)]
    if labelled and not set(TITLES) & set(names):
        names[schema.names.index(labelled[0])] = TITLES[0]
    return columns(Path("the table"), names)


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Returns the names of classes for each column of which ``datasets`` noted them."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: (kind.get("feature") or kind)["names"]
            for name, kind in noted.items()
            if "names" in (kind.get("feature") or kind)
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
