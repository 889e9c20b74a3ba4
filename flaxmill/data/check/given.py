"""Pictures that lie in no files of their own: in arrays, in Parquet files, in a recipe's data."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.check.survey import Row, Survey
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.data.source import SPLITS, Splits, known_labels, unwrap_views


def survey_of_splits(place: Path, splits: Splits) -> Survey:
    """Looks at data that is open already, such as that of a recipe.

    Args:
        place: What it is called.
        splits: The data.
    """

    def give(part: str, row: int) -> Any:
        source, rows = unwrap_views(splits[part], np.array([row]))
        files = getattr(source, "files", None)  # as they lie there, not as a network gets them
        return splits[part][row]["image"] if files is None else files[int(rows[0])]

    labels = {part: known_labels(splits[part]) for part in SPLITS}
    return _survey(
        place,
        {part: found for part, found in labels.items() if found is not None},
        splits.labels,
        give,
    )


def survey_of_listings(place: Path, *, sign: str = "") -> Survey:
    """Looks at arrays of pictures, or at a Parquet file.

    Args:
        place: What `flaxmill.data.listings.layouts.scan` finds pictures in.
        sign: What stands between the labels of a picture that has several, in a table.

    Raises:
        BadInput: There are none as expected.
    """
    listings: dict[str, Listing] = scan(place, sign=sign)
    found = _survey(
        place,
        {part: listing.labels for part, listing in listings.items()},
        listings["train"].classes,
        lambda part, row: listings[part].files[row],
    )
    found.labels, found.refusal = listings["train"].note, listings["train"].lacking
    return found


def _survey(
    place: Path,
    labels: Mapping[str, np.ndarray],
    classes: tuple[str, ...],
    give: Callable[[str, int], Any],
) -> Survey:
    def given(name: str) -> Any:
        part, _, number = name.rpartition(" ")
        return give(part, int(number))

    found = Survey(place, place, given=given)
    for part, column in labels.items():
        for number, label in enumerate(np.asarray(column)):
            which = np.flatnonzero(label) if label.ndim else [int(label)]
            found.rows.append(Row(f"{part} {number}", part, tuple(classes[at] for at in which)))
    return found
