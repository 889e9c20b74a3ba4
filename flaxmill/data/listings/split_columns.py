"""The columns of a table that name the split of each row."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flaxmill.data.listings.listing import SPLIT_NAMES, split_of
from flaxmill.errors import BadInput, nearest, quoted

TITLE = "split"
_MAYBE = ("subset", "set", "partition", "usage", "phase")  # where all cells are names of splits
_FLAGS = {"is_valid": "validation", "is_val": "validation", "is_validation": "validation"}
_FLAGS |= {"is_test": "test"}
TITLES = (TITLE, *_MAYBE, *_FLAGS)
"""What columns are called that may say it."""
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")


def find_split_columns(
    place: Path,
    header: Sequence[str],
    cells: Callable[[int], Sequence[Any]],
    lines: Sequence[int],
) -> tuple[list[int], list[str] | None]:
    """Returns the columns that name the split of each row, and their cells.

    Args:
        place: The file, for messages.
        header: The titles of its columns. One is called split; or subset, set, partition, usage or
            phase, if it holds nothing but names of splits; or there are flags as fastai's is_valid.
        cells: Gives the cells of a column by its place.
        lines: The number of each row.

    Returns:
        The places of the columns, and the cells of a column of splits, or what flags say; no
        columns and None, if there are none. Folds are not guessed.

    Raises:
        BadInput: A flag is neither true nor false.
    """
    names = [str(name).strip().lower() for name in header]
    if TITLE in names:
        at = names.index(TITLE)
        return [at], [str(cell) for cell in cells(at)]
    for title in _MAYBE:
        if title in names:
            words = [str(cell) for cell in cells(names.index(title))]
            if all(split_of(word) for word in set(words)):
                return [names.index(title)], words
    flags = [at for at, name in enumerate(names) if name in _FLAGS]
    if not flags:
        return [], None
    splits = ["train"] * len(lines)
    for at in flags:
        for row, cell in enumerate(cells(at)):
            if _flag(place, header[at], cell, lines[row]):
                splits[row] = _FLAGS[names[at]]
    return flags, splits


def _flag(place: Path, title: str, cell: Any, line: int) -> bool:
    word = str(cell).strip().lower()
    if word not in _TRUE + _FALSE:
        raise BadInput(
            f"{place}, line {line}: {title} is {quoted(cell)}: expected True or False in each row."
        )
    return word in _TRUE


def splits_of(place: Path, lines: Sequence[int], column: Sequence[str]) -> list[str]:
    """Returns the splits that a column names, as flaxmill calls them.

    Raises:
        BadInput: A cell is the name of none.
    """
    known = {cell: split_of(cell) for cell in set(column)}
    for line, cell in zip(lines, column, strict=True):
        if not known[cell]:
            raise BadInput(
                f"{place}, line {line}: no split is called {quoted(cell)}."
                f"{nearest(cell, SPLIT_NAMES)}"
            )
    return [known[cell] for cell in column]
