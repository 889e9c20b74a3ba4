"""Texts as a run takes them: divided, cut into tokens, and padded to a few sizes."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from flaxmill.data.listings.dividing import interleaved
from flaxmill.data.listings.held_out import complete_splits
from flaxmill.data.listings.listing import Listing
from flaxmill.data.sizes import Sized, chosen
from flaxmill.data.source import Arrays, Splits
from flaxmill.data.text.reading import read
from flaxmill.data.text.tokens import Encoder
from flaxmill.data.text.vocabulary import described
from flaxmill.errors import BadInput


@dataclass(frozen=True)
class Cut:
    """How texts become tokens, and tokens batches.

    Attributes:
        kind: What a token is: "characters", "words" or "bpe".
        lower: Take no notice of capitals.
        most: Tokens that are known, at most.
        least: How often a token has to occur in the training texts to be known.
        longest: Tokens of a text that are looked at.
        sizes: Lengths that texts are padded to, at most so many.
        stretch: Training steps, one after another, of one size.
    """

    kind: str = "words"
    lower: bool = True
    most: int = 20_000
    least: int = 1
    longest: int = 64
    sizes: int = 6
    stretch: int = 8


def sized(
    tokens: Sequence[Sequence[int]],
    labels: Int32[np.ndarray, " example"],
    sizes: Sequence[int],
    *,
    texts: Sequence[str] = (),
    stretch: int = 8,
) -> Sized:
    """Returns examples with ``tokens`` (int32, padded with zeros) and a ``label``.

    Args:
        tokens: Of each text.
        labels: Of each text.
        sizes: Lengths to pad to, smallest first.
        texts: What the tokens were made of, to be shown.
        stretch: Training steps, one after another, of one size.
    """
    lengths = np.array([len(some) for some in tokens], np.int64)
    which, sources = np.searchsorted(np.asarray(sizes), lengths), []
    for size, length in enumerate(sizes):
        members = np.flatnonzero(which == size)
        padded = np.zeros((len(members), length), np.int32)
        for row, member in enumerate(members.tolist()):
            padded[row, : len(tokens[member])] = tokens[member]
        sources.append(Arrays({"tokens": padded, "label": labels[members]}))
    return Sized(tuple(sources), tuple(sizes), lengths, ("tokens",), stretch, tuple(texts))


def texts(
    data: str,
    cut: Cut,
    *,
    validation: int | float = 0.15,
    test: int | float = 0.15,
    overfit: int = 0,
    text: str = "",
    label: str = "",
) -> Splits:
    """Returns a person's own texts, divided and cut.

    Args:
        data: What `flaxmill.data.text.reading.read` finds texts in.
        cut: How they become tokens.
        validation: Training texts to hold out: how many, or which share of them; 0 for none.
        test: The same for the test set, where none is given.
        overfit: Train and evaluate on so many training texts only; 0 for all.
        text: The column of the texts, where it has no usual name.
        label: The column of the labels, likewise.

    Raises:
        BadInput: There are no texts as expected, or a number does not fit theirs.
    """
    place = Path(data).expanduser().absolute()
    found = read(place, text=text, label=label)
    listings, note = complete_splits(found, validation, test)
    listings = {name: interleaved(listing) for name, listing in listings.items()}
    whole = interleaved(found["train"]) if len(found) == 1 and not overfit else None
    splits = divided_texts(place.name, listings, cut, overfit=overfit, whole=whole)
    return replace(splits, note=note, lacking=found["train"].lacking)


def divided_texts(
    title: str,
    listings: Mapping[str, Listing],
    cut: Cut,
    *,
    overfit: int = 0,
    whole: Listing | None = None,
    **about: Any,
) -> Splits:
    """Returns texts that are divided already, cut by what the training texts say.

    Args:
        title: What the data is called.
        listings: "train", "validation" and "test"; their files are the texts.
        cut: How they become tokens.
        overfit: Train and evaluate on so many training texts only; 0 for all.
        whole: All of it, where nothing said which part is which.
        about: What else `Splits` has.

    Raises:
        BadInput: A number does not fit the texts.
    """
    digests, total = _digests(listings), len(listings["train"])
    if overfit:
        if not 0 < overfit <= total:
            raise BadInput(f"--overfit {overfit}: give a number from 1 to {total:,}.")
        few = listings["train"].select(np.arange(overfit))
        listings = dict.fromkeys(listings, few)
        title = f"{title}, {overfit} training texts alone"
    train = listings["train"]
    how = {"lower": cut.lower, "most": cut.most, "least": cut.least, "longest": cut.longest}
    description = described(train.files, cut.kind, **how)
    encoder = Encoder(description)
    lengths = [len(encoder(text)) for text in train.files]
    if not 1 <= cut.sizes <= 8:
        raise BadInput(f"--sizes {cut.sizes}: give a number from 1 to 8.")
    sizes = chosen(lengths, most=cut.sizes)
    description["longest"] = sizes[-1]
    again = np.arange(total) % overfit if overfit else None
    fit = functools.partial(_fitted, listings, whole, again, cut.stretch)
    made = fit(description, sizes)
    return Splits(
        title=title,
        **made,
        labels=train.classes,
        digests=digests,
        seen=bool(overfit),
        preprocess=description,
        sizes=sizes,
        fitted=fit,
        **about,
    )


def _fitted(
    listings: Mapping[str, Listing],
    whole: Listing | None,
    again: np.ndarray | None,
    stretch: int,
    description: Mapping[str, Any],
    sizes: Sequence[int],
) -> dict[str, Any]:
    """Returns all parts of the data as a description says, which may be another model's."""
    encoder = Encoder(description)

    def source(listing: Listing) -> Sized:
        tokens = [encoder(text) for text in listing.files]
        how = {"texts": listing.files, "stretch": stretch}
        return sized(tokens, listing.labels, sizes, **how)

    train = listings["train"]
    found = {name: source(listing) for name, listing in listings.items() if name != "train"}
    found["train"] = source(train if again is None else train.select(again))
    return {**found, "whole": None if whole is None else source(whole)}


def _digests(listings: Mapping[str, Listing]) -> dict[str, str]:
    """Returns a digest of each part: of its classes, its texts and their labels, in order."""
    found = {}
    for name, listing in listings.items():
        digest = hashlib.sha256("\n".join(listing.classes).encode())
        for text, label in zip(listing.files, listing.labels.tolist(), strict=True):
            content = text.encode(errors="surrogatepass")
            digest.update(b"%d %d " % (label, len(content)) + content)
        found[name] = digest.hexdigest()
    return found
