"""Which columns of a table say what its pictures show: one of labels, or many of zeros and ones."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flaxmill.data.listings.labels import PLURAL, TITLES, TRUTHS, Column, plain, word
from flaxmill.errors import BadInput, listed

FLAGS = {"1": True, "True": True, "0": False, "False": False}
"""What a column that has a class's name for its title may hold."""


def label_column(
    place: Path,
    header: Sequence[str],
    at: Mapping[str, int],
    cells: Callable[[int], Sequence[Any]],
    lines: Sequence[int],
    names: tuple[str, ...] = (),
) -> Column:
    """Returns the column of labels of a table, or what columns of 0 and 1 with class names say.

    Args:
        place: The file, for messages.
        header: The titles of its columns.
        at: Which of them have a known meaning, under "label", "path" and others.
        cells: Gives the cells of a column by its place.
        lines: The number of each row.
        names: What numbers in the column of labels mean.

    Raises:
        BadInput: There is neither; or other columns are beside those of 0 and 1.
    """
    if "label" in at:
        return Column(header[at["label"]], cells(at["label"]), place, lines, names)
    rest = [number for number in range(len(header)) if number not in at.values()]
    words = {number: [_flag(cell) for cell in cells(number)] for number in rest}
    kinds = {number: set(column) for number, column in words.items()}
    signed = all(kind <= {"1", "-1"} for kind in kinds.values())  # as CelebA has them
    known = {**FLAGS, "-1": False} if signed else FLAGS
    flags = [number for number in rest if kinds[number] <= known.keys()]
    if len(flags) < 2 or len(flags) < len(rest):
        more = ""
        if len(flags) > 1:
            others = listed(header[number] for number in rest if number not in flags)
            more = (
                f" {len(flags)} columns are of 0 and 1, which may be classes, but {others} "
                f"{'is' if len(rest) == len(flags) + 1 else 'are'} not: leave in the table what is "
                f"a class, or write a column {PLURAL} with | between the names."
            )
        raise BadInput(
            f"{place} has no column of labels: its columns are {listed(header)}; expected one "
            f"called {' or '.join(TITLES)} (in the first row of a CSV file).{more}"
        )
    rows = range(len(lines))
    names_of = [[header[n].strip() for n in flags if known[words[n][row]]] for row in rows]
    return Column("", names_of, place, lines, flags=True, source="columns of 0 and 1")


def _flag(cell: Any) -> str:
    """Returns the name of a 0 or 1 in a cell; of anything else, nothing that is one of both."""
    try:
        cell = plain(cell)
        name = word("" if cell is None else cell)
    except BadInput:
        return ""
    return name.capitalize() if name.lower() in TRUTHS else name
