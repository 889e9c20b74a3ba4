"""What is held out of a person's pictures, where not all splits are given."""

from collections.abc import Mapping
from itertools import zip_longest

import numpy as np

from flaxmill.data.listings.dividing import spare, stratified_split
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput, quoted

_SHOWN = 3  # classes that a note names


def complete_splits(
    listings: Mapping[str, Listing], validation: int | float, test: int | float
) -> tuple[dict[str, Listing], str]:
    """Returns the three splits, and a note on them.

    Args:
        listings: The splits that there are, from `flaxmill.data.listings.layouts.scan`.
        validation: How many training pictures to hold out, or which share of them.
        test: The same for the test set, where none is given.

    Raises:
        BadInput: A number does not fit the pictures.
    """
    train, things = listings["train"], listings["train"].things
    notes = [train.note]
    present = [name for name in ("test", "validation") if name in listings]
    splits = dict(listings)
    if not present:
        if not test:
            raise BadInput(
                f"--test 0: there must be {things} to test on; give a number, or a share."
            )
        _check_room(train, validation)
        train, splits["test"] = stratified_split(train, test, option="--test")
        if isinstance(validation, float) and isinstance(test, float):
            if validation >= 1 - test:
                raise BadInput(
                    f"--validation {validation} and --test {test} leave nothing to train on: "
                    f"together they must be below 1, such as 0.15 each."
                )
            validation = validation / (1 - test)  # a share of all there was
    if len(present) < 2:
        splits["test"] = splits["test" if "test" in splits else "validation"]
        if validation and not present and not spare(train):
            raise BadInput(_all_tested(listings["train"], test, len(splits["test"])))
        splits["train"], splits["validation"] = stratified_split(
            train, validation, option="--validation"
        )
    elif validation and not len(splits["validation"]):
        raise BadInput(
            f"{train.root} has no {things} for validation, as it was prepared: give --validation 0."
        )
    if present == ["validation"]:
        notes.append(
            f"The {things} given for validation are kept for the test, and a share of those "
            f"for training is held out in their place."
        )
    elif not present:
        first = f"{len(splits['validation']):,} {things} for validation, " * bool(validation)
        notes.append(
            f"Held out of each class, the same at every run: {first}"
            f"{len(splits['test']):,}{f' {things}' * (not validation)} for the test."
        )
    notes.append(_untested(splits["test"]))
    return splits, " ".join(filter(None, notes))


def _check_room(train: Listing, validation: int | float) -> None:
    """Checks that a picture can be held out for each split that is lacking.

    Raises:
        BadInput: There are too few.
    """
    if (most := spare(train)) < (needed := 2 if validation else 1):
        cure = (
            ", or give --validation 0" if most else f", or a folder of {train.things} for the test"
        )
        raise BadInput(
            f"{train.root} has too few {train.things} to be divided, {len(train):,}: every class "
            f"keeps one to be learnt from, so {most or 'none'} can be held out, and "
            f"{'the test and validation take one each' if needed == 2 else 'the test takes one'}. "
            f"Add {train.things}{cure}."
        )


def _all_tested(whole: Listing, test: int | float, count: int) -> str:
    """Returns how to leave something for validation, where the test takes all there is to spare."""
    half = spare(whole) // 2
    share = "" if whole.multi_label else f"--test {spare(whole) - half} --validation {half}, or "
    return (
        f"--test {test} holds out {count:,} of {len(whole):,} {whole.things}. Every class keeps "
        f"one to be learnt from, so none is left for validation: give {share}--validation 0, or "
        f"add {whole.things}."
    )


def _untested(test: Listing) -> str:
    """Returns a note on the classes without a picture in the test; empty if all have one."""
    groups = test.labels.sum(axis=0) if test.multi_label else np.bincount(test.labels)
    missing = [name for name, count in zip_longest(test.classes, groups, fillvalue=0) if not count]
    if not missing:
        return ""
    shown = ", ".join(map(quoted, missing[:_SHOWN]))
    more = f" and {len(missing) - _SHOWN:,} more classes" if len(missing) > _SHOWN else ""
    return f"The test has no {test.things} of {shown}{more}, so nothing is known of how these do."
