"""Parquet files that list pictures, or hold them as Hugging Face's do; needs pyarrow."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flaxmill.data.listings import split_columns
from flaxmill.data.listings.label_columns import label_column
from flaxmill.data.listings.labels import TITLES as LABELS
from flaxmill.data.listings.parquet_pages import extent
from flaxmill.data.listings.picture_cells import PIXELS, TITLES, Embedded, fields, paths_alone
from flaxmill.data.listings.raw_tables import PATHS, find_columns
from flaxmill.data.listings.tables import Table, existing_paths, picture_path
from flaxmill.errors import BadInput, listed, quoted
from flaxmill.machine import files, json_forms
from flaxmill.machine.program import install_command

_MOST = 4 * 2**30  # bytes that are held in memory
_FOOTER = 16 * 2**20  # bytes of a footer
_LISTED = 100_000  # groups of rows of a file, and columns
_ROWS, _BATCH = 65_536, 64 * 2**20  # that are read at a time: rows, and bytes where they are many
_WORDS = 80  # letters that a message quotes of pyarrow's
_STORED = ("binary", "large_binary", "binary_view", "string", "large_string", "string_view", "null")


def lists_pictures(place: Path) -> bool:
    """Returns whether a file has columns of pictures, or of their paths, and of labels."""
    try:
        schema = _schema(place)
        return "label" in _columns(place, schema)
    except BadInput:
        return False


def read_parquet(places: Sequence[Path]) -> Table:
    """Reads the files of one split, in which each row has a picture, or its path, and its label.

    Class names are those that Hugging Face's ``datasets`` notes in a file that it writes.

    Args:
        places: The files, all with the same columns. Paths are relative to the first one's folder.

    Raises:
        BadInput: pyarrow is not installed; a file is none of Parquet, or has no such columns; a row
            has no label; the pictures are too many to be held in memory.
    """
    first = places[0]
    schema = _schema(first)
    header = schema.names
    at = _columns(first, schema)
    selected = [header[number] for number in at.values()] if "label" in at else header
    selected = list(selected) + [
        name for name in header if name.lower() in split_columns.TITLES and name not in selected
    ]
    if twice := [name for name in selected if header.count(name) > 1]:
        raise BadInput(f"{first} has two columns called {quoted(twice[0])}: rename one of them.")
    table = _table(places, selected)
    lines = range(1, table.num_rows + 1)

    def cells(number: int) -> list[Any]:
        return _values(first, header[number], table.column(header[number]))

    names = _class_names(schema).get(header[at["label"]], []) if "label" in at else []
    by_split, words = split_columns.find_split_columns(first, header, cells, lines)
    known = at | {f"split {number}": number for number in by_split}
    labels = label_column(first, header, known, cells, lines, tuple(names))
    splits = None if words is None else split_columns.splits_of(first, lines, words)
    column = table.column(header[at["path"]])
    digest = "".join(files.sha256(place) for place in places)
    contents: Any = Embedded(column, first, digest)
    if not _holds_pictures(column.type):
        paths = ["" if path is None else str(path) for path in cells(at["path"])]
        contents = existing_paths(first, lines, paths)
    elif len(paths := paths_alone(column)) == len(column):
        contents = existing_paths(first, lines, paths)
    return Table(first, contents, labels, splits, lines)


def _columns(place: Path, schema: Any) -> dict[str, int]:
    """Returns which column holds the pictures or their paths, and which may hold label and split.

    A name says more than a place among the columns: the first that holds bytes may be a mask.

    Raises:
        BadInput: None holds pictures; or several do, and no name tells which is meant.
    """
    names = [name.strip().lower() for name in schema.names]
    labelled = [name for name in schema.names if name in _class_names(schema)]
    if labelled and not set(LABELS) & set(names):
        names[schema.names.index(labelled[0])] = LABELS[0]
    own = [
        number
        for number, kind in enumerate(schema.types)
        if _holds_pictures(kind) and names[number] not in LABELS
    ]
    known = [*TITLES, *PATHS]
    own.sort(
        key=lambda number: known.index(names[number]) if names[number] in known else len(known)
    )
    is_named = bool(own) and names[own[0]] in known
    text = [number for number, kind in enumerate(schema.types) if _holds_text(kind)]
    listing = {names[number] for number in text} & set(PATHS)
    if own and not is_named and listing and _paths_exist(place, schema, names, text):
        own = []
    if len(own) > 1 and not is_named:
        raise BadInput(
            f"{place} holds pictures in the columns {listed(schema.names[n] for n in own)}, and "
            f"none is called {TITLES[0]}: rename the one to learn from to that, or choose it with "
            f"hugging_face(data, image={quoted(schema.names[own[0]])}) in a recipe of your own."
        )
    if own:
        names = ["" if name in PATHS else name for name in names]  # a path beside the picture
        names[own[0]] = PATHS[0]  # whatever it is called
    else:
        find_columns(place, schema.names)  # whose message names them as they are
    meaning = find_columns(place, names)
    kind = schema.types[meaning["path"]]
    if not own and not _may_be_path(kind):
        raise BadInput(
            f"the column {quoted(schema.names[meaning['path']])} of {place} is of {_type(kind)}: "
            f"{PIXELS}"
        )
    return meaning


def _table(places: Sequence[Path], selected: Sequence[str]) -> Any:
    """Returns some columns of all the files as one table of pyarrow."""
    import pyarrow

    size = sum(place.stat().st_size for place in places)
    if size > _MOST:
        raise BadInput(
            f"the pictures in {places[0].parent} take {size / 2**30:.1f} GiB, and are held in "
            f"memory up to {_MOST / 2**30:.0f} GiB. Load them with datasets.load_dataset, which "
            "keeps them on the disk, in the data() of a recipe of your own (see docs/data.md)."
        )
    first = _schema(places[0])
    for place in places:
        schema = _schema(place)
        names = schema.names
        if missing := [name for name in selected if name not in names]:
            raise BadInput(
                f"{place} has no column {quoted(missing[0])}, which {places[0]} has: files of one "
                "split need the same."
            )
        if other := [n for n in selected if not schema.field(n).type.equals(first.field(n).type)]:
            kinds = [_type(one.field(other[0]).type)[9:] for one in (schema, first)]
            raise BadInput(
                f"{place} has a column {quoted(other[0])} of {kinds[0]}, and {places[0]} one of "
                f"{kinds[1]}: files of one split need the same. Write both with one type."
            )
    table = pyarrow.concat_tables(_read_columns(place, selected) for place in places)
    if not table.num_rows:
        raise BadInput(f"{places[0]} has no rows: expected one for each picture.")
    return table


def _read_columns(place: Path, selected: Sequence[str], rows: int | None = None) -> Any:
    """Returns some columns of a file, each of their values as often as it is there.

    What they unpack to is known before it is read. Values that are there many times, for a few
    bytes each, are unpacked some at a time and added up.

    Args:
        place: The file.
        selected: The names of the columns.
        rows: How many rows to read, at least; None for all.

    Raises:
        BadInput: It cannot be read, or unpacks to far more than its size.
    """
    import pyarrow

    packed = place.stat().st_size
    with _open(place) as file:
        with files.open_regular(place) as content:
            total = extent(content, file.metadata, file.schema, selected)
        files.check_unpacked(place, total.size, packed)
        files.check_rows(place, max(total.values, file.metadata.num_rows), packed)
        together = max(1, min(_ROWS, _BATCH // max(1, total.longest)))
        tables, size, count = [], 0, 0
        for batch in file.iter_batches(together, columns=list(selected)):
            tables.append(_decode_dictionaries(pyarrow.Table.from_batches([batch])))
            size, count = size + tables[-1].nbytes, count + len(batch)
            files.check_unpacked(place, size, packed)
            if rows is not None and count >= rows:
                break
        schema = pyarrow.schema([file.schema_arrow.field(name) for name in selected])
        return pyarrow.concat_tables(tables or [_decode_dictionaries(schema.empty_table())])


def _schema(place: Path) -> Any:
    """Returns the columns of a file, as pyarrow has them."""
    with _open(place) as file:
        return file.schema_arrow


@contextlib.contextmanager
def _open(place: Path) -> Iterator[Any]:
    """Opens a file with pyarrow, whose errors while it is read become `BadInput`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(
            f"{place} is read with pyarrow, which is not installed: {install_command('data')}."
        ) from None
    try:
        _check_footer(place)
        limits = {"thrift_container_size_limit": _LISTED, "thrift_string_size_limit": _FOOTER}
        with parquet.ParquetFile(place, pre_buffer=False, **limits) as file:
            yield file
    except BadInput:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, LookupError) as error:
        words = str(error).partition("\n")[0].rstrip(".")[:_WORDS]
        raise BadInput(f"{place} cannot be read as Parquet ({words}).") from None


def _check_footer(place: Path) -> None:
    """Refuses a footer that is too long to describe pictures and labels.

    Raises:
        BadInput: It is too long. A file without a footer is left to pyarrow.
    """
    with files.open_regular(place) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
    if _FOOTER < length < size:
        raise BadInput(
            f"{place} has a footer of {length:,} bytes: up to {_FOOTER >> 20} MiB are read. Write "
            f"it with larger groups of rows."
        )


def _decode_dictionaries(table: Any) -> Any:
    """Returns a table without dictionary-encoded columns."""
    from pyarrow import types

    for number, field in enumerate(table.schema):
        if types.is_dictionary(field.type):
            plain = table.column(number).cast(field.type.value_type)
            table = table.set_column(number, field.name, plain)
    return table


def _values(place: Path, name: str, column: Any) -> list[Any]:
    """Returns a column's cells as Python has them.

    Raises:
        BadInput: Python has no such values: a date beyond its years, text that is no UTF-8.
    """
    import pyarrow

    try:
        return column.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError, LookupError, ImportError) as error:
        words = str(error).partition("\n")[0].rstrip(".")
        raise BadInput(
            f"the column {quoted(name)} of {place}, of {_type(column.type)}, cannot be read "
            f"({words[:_WORDS]}): write it as text, or as numbers."
        ) from None


def _type(kind: Any) -> str:
    """Returns what messages call a type, which may have any number of fields."""
    text = str(kind)
    return f"the type {text if len(text) <= _WORDS else text[:_WORDS] + '…'}"


def _value_type(kind: Any) -> Any:
    """Returns a type, or that of the values where it is dictionary-encoded."""
    from pyarrow import types

    return kind.value_type if types.is_dictionary(kind) else kind


def _holds_pictures(kind: Any) -> bool:
    """Returns whether a column's type is that of pictures: bytes, or a struct that has them."""
    from pyarrow import types

    kind = _value_type(kind)
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view)
    tests += (types.is_fixed_size_binary,)
    return any(test(kind) for test in tests) or _has_bytes(kind)


def _has_bytes(kind: Any) -> bool:
    """Returns whether a struct has ``bytes``, or ``path`` alone, as datasets stores files."""
    names = fields(kind)
    types = [str(kind.field(name).type) for name in names if name in ("bytes", "path")]
    return bool(types) and all(type in _STORED for type in types)


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    tests = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(_value_type(kind)) for test in tests)


def _may_be_path(kind: Any) -> bool:
    """Returns whether a cell may name a file: by text, by a number, or by nothing."""
    from pyarrow import types

    return _holds_text(kind) or types.is_integer(_value_type(kind)) or types.is_null(kind)


def _paths_exist(place: Path, schema: Any, names: Sequence[str], text: Sequence[int]) -> bool:
    """Returns whether the first path in a column of paths, by its title, leads to a file."""
    order = [number for name in PATHS for number in text if names[number] == name]
    name = schema.names[order[0]]
    first = _read_columns(place, [name], rows=1).column(name)
    return bool(len(first)) and picture_path(place.parent, str(first[0].as_py() or "")) is not None


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Returns the class names that ``datasets`` noted, by column."""
    try:
        features = files.parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        classes = {
            name: (kind.get("feature") or kind)["names"]
            for name, kind in features.items()
            if "names" in (kind.get("feature") or kind)
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
    fits = json_forms.each(json_forms.text())
    with contextlib.suppress(json_forms.Misfit):
        json_forms.by_name(fits)(classes, "")
        return classes
    return {}
