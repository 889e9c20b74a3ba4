"""The splits of a set of texts: divided, cut into tokens, and padded to a few sizes."""

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
from flaxmill.data.sizes import Sized, choose_sizes
from flaxmill.data.source import Arrays, Splits
from flaxmill.data.text.reading import read
from flaxmill.data.text.tokens import Encoder
from flaxmill.data.text.vocabulary import build_vocabulary
from flaxmill.errors import BadInput


@dataclass(frozen=True)
class TextOptions:
    """How texts become tokens, and tokens batches.

    Attributes:
        kind: What a token is: "characters", "words" or "bpe".
        lower: Whether to ignore capitals.
        most: Tokens in the vocabulary, at most.
        least: How often a token has to occur in the training texts to be in the vocabulary.
        longest: Tokens of a text that are used, at most.
        sizes: Number of lengths that texts are padded to, at most.
        stretch: Training steps, one after another, of one size.
    """

    kind: str = "words"
    lower: bool = True
    most: int = 20_000
    least: int = 1
    longest: int = 64
    sizes: int = 6
    stretch: int = 8


def pad_to_sizes(
    tokens: Sequence[Sequence[int]],
    labels: Int32[np.ndarray, " example"],
    sizes: Sequence[int],
    *,
    texts: Sequence[str] = (),
    stretch: int = 8,
) -> Sized:
    """Returns padded examples: ``tokens`` (int32, padded with zeros) and ``label``.

    Args:
        tokens: Of each text.
        labels: Of each text.
        sizes: Lengths to pad to, smallest first.
        texts: The texts themselves, to be shown.
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


def own_texts(
    data: str,
    options: TextOptions,
    *,
    validation: int | float = 0.15,
    test: int | float = 0.15,
    overfit: int = 0,
    text: str = "",
    label: str = "",
) -> Splits:
    """Returns a user's own texts, divided and cut into tokens.

    Args:
        data: A file or folder for `flaxmill.data.text.reading.read`.
        options: How they become tokens.
        validation: Training texts to hold out: how many, or which share of them; 0 for none.
        test: The same for the test set, where there is none.
        overfit: Train and evaluate on so many training texts only; 0 for all.
        text: The column of the texts, where it has no usual name.
        label: The column of the labels, likewise.

    Raises:
        BadInput: There are no texts as expected, or a number does not fit theirs.
    """
    place = Path(data).expanduser().absolute()
    undivided = read(place, text=text, label=label)
    listings, note = complete_splits(undivided, validation, test)
    listings = {name: interleaved(listing) for name, listing in listings.items()}
    whole = interleaved(undivided["train"]) if len(undivided) == 1 and not overfit else None
    splits = text_splits(place.name, listings, options, overfit=overfit, whole=whole)
    return replace(splits, note=note, lacking=undivided["train"].lacking)


def text_splits(
    title: str,
    listings: Mapping[str, Listing],
    options: TextOptions,
    *,
    overfit: int = 0,
    whole: Listing | None = None,
    **about: Any,
) -> Splits:
    """Returns texts that are divided already, cut into tokens.

    Args:
        title: What the data is called.
        listings: "train", "validation" and "test"; their files are the texts.
        options: How they become tokens.
        overfit: Train and evaluate on so many training texts only; 0 for all.
        whole: All of it, if it came undivided.
        about: Other fields of `Splits`.

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
    how = {
        "lower": options.lower,
        "most": options.most,
        "least": options.least,
        "longest": options.longest,
    }
    description = build_vocabulary(train.files, options.kind, **how)
    encoder = Encoder(description)
    lengths = [len(encoder(text)) for text in train.files]
    if not 1 <= options.sizes <= 8:
        raise BadInput(f"--sizes {options.sizes}: give a number from 1 to 8.")
    sizes = choose_sizes(lengths, most=options.sizes)
    description["longest"] = sizes[-1]
    again = np.arange(total) % overfit if overfit else None
    fit = functools.partial(_encode_splits, listings, whole, again, options.stretch)
    splits = fit(description, sizes)
    return Splits(
        title=title,
        **splits,
        labels=train.classes,
        digests=digests,
        seen=bool(overfit),
        preprocess=description,
        sizes=sizes,
        fitted=fit,
        **about,
    )


def _encode_splits(
    listings: Mapping[str, Listing],
    whole: Listing | None,
    again: np.ndarray | None,
    stretch: int,
    description: Mapping[str, Any],
    sizes: Sequence[int],
) -> dict[str, Any]:
    """Encodes all splits by a description of tokens, which may be another model's."""
    encoder = Encoder(description)

    def source(listing: Listing) -> Sized:
        tokens = [encoder(text) for text in listing.files]
        how = {"texts": listing.files, "stretch": stretch}
        return pad_to_sizes(tokens, listing.labels, sizes, **how)

    train = listings["train"]
    splits = {name: source(listing) for name, listing in listings.items() if name != "train"}
    splits["train"] = source(train if again is None else train.select(again))
    return {**splits, "whole": None if whole is None else source(whole)}


def _digests(listings: Mapping[str, Listing]) -> dict[str, str]:
    """Returns a digest of each split: of its classes, its texts and their labels, in order."""
    digests = {}
    for name, listing in listings.items():
        digest = hashlib.sha256("\n".join(listing.classes).encode())
        for text, label in zip(listing.files, listing.labels.tolist(), strict=True):
            content = text.encode(errors="surrogatepass")
            digest.update(b"%d %d " % (label, len(content)) + content)
        digests[name] = digest.hexdigest()
    return digests
