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
    """Surveys data that is open already, such as that of a recipe.

    Args:
        place: What it is called.
        splits: The data.
    """

    def load(split: str, row: int) -> Any:
        source, rows = unwrap_views(splits[split], np.array([row]))
        files = getattr(source, "files", None)  # as they lie there, not as a network gets them
        return splits[split][row]["image"] if files is None else files[int(rows[0])]

    labels = {split: known_labels(splits[split]) for split in SPLITS}
    return _survey(
        place,
        {split: column for split, column in labels.items() if column is not None},
        splits.labels,
        load,
    )


def survey_of_listings(place: Path, *, sign: str = "") -> Survey:
    """Surveys arrays of pictures, or a Parquet file.

    Args:
        place: What `flaxmill.data.listings.layouts.scan` finds pictures in.
        sign: What stands between the labels of a picture that has several, in a table.

    Raises:
        BadInput: There are none as expected.
    """
    listings: dict[str, Listing] = scan(place, sign=sign)
    survey = _survey(
        place,
        {split: listing.labels for split, listing in listings.items()},
        listings["train"].classes,
        lambda split, row: listings[split].files[row],
    )
    survey.labels, survey.refusal = listings["train"].note, listings["train"].lacking
    return survey


def _survey(
    place: Path,
    labels: Mapping[str, np.ndarray],
    classes: tuple[str, ...],
    load: Callable[[str, int], Any],
) -> Survey:
    def load_by_name(name: str) -> Any:
        split, _, index = name.rpartition(" ")
        return load(split, int(index))

    survey = Survey(place, place, load=load_by_name)
    for split, split_labels in labels.items():
        for index, label in enumerate(np.asarray(split_labels)):
            which = np.flatnonzero(label) if label.ndim else [int(label)]
            survey.rows.append(Row(f"{split} {index}", split, tuple(classes[at] for at in which)))
    return survey
