"""Pictures that lie in files, read when they are asked for."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from flaxmill.data.listings.copies import Copies
from flaxmill.data.listings.digests import digests, stamps
from flaxmill.data.listings.dividing import interleaved
from flaxmill.data.listings.held_out import complete_splits
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Labels, Listing, Subset, name_of
from flaxmill.data.listings.numpy_files import PictureArray
from flaxmill.data.pictures.decode import naming, open_picture
from flaxmill.data.pictures.fit import covering_size, fit
from flaxmill.data.pictures.pixels import as_picture
from flaxmill.data.pictures.plain import WHITES, upright
from flaxmill.data.prepared import PreparedPictures
from flaxmill.data.source import Arrays, Example, Source, Splits, View, cycled
from flaxmill.errors import BadInput


@dataclass(frozen=True)
class Pictures:
    """A source of pictures that are read, decoded and fitted when they are asked for.

    Any number of threads may ask at once; decoding and resizing lets others run.

    Args:
        listing: Which pictures, and their labels.
        size: Height and width to fit them to, in pixels.
        fit: How, see `flaxmill.data.pictures.fit.fit`. Examples of "squash" also have their
            picture's ``aspect``, float32: its width divided by its height, so that nothing is lost.
        share: Share of the sides that a crop leaves.
        channels: 3 for RGB, 1 for grey.
        draft: Decode JPEGs no larger than needed, see
            `flaxmill.data.pictures.decode.open_picture`. Without it the pixels are those of
            decoding whole pictures.
        white: What is white in grey pictures of more than 8 bits.
    """

    listing: Listing
    size: tuple[int, int]
    fit: str = "crop"
    share: float = 1.0
    channels: int = 3
    draft: bool = True
    white: int = WHITES[-1]

    @property
    def files(self) -> Any:
        """What each example is read from."""
        return self.listing.files

    @property
    def labels(self) -> Labels:
        """The label of each example."""
        return self.listing.labels

    def __len__(self) -> int:
        return len(self.listing)

    def __getitem__(self, index: int) -> Example:
        return {name: values[0] for name, values in self.take(np.array([index])).items()}

    def take(self, indices: Int[np.ndarray, " example"]) -> Example:
        """Returns many examples: image uint8 [example, height, width, channel], label, aspect.

        Raises:
            BadInput: A picture is gone, damaged or none at all; the message names it.
        """
        images = np.empty((len(indices), *self.size, self.channels), np.uint8)
        aspects = np.empty(len(indices), np.float32)
        for place, index in enumerate(indices):
            images[place], aspects[place] = self._read(int(index))
        example = {"image": images, "label": self.listing.labels[indices]}
        return example | {"aspect": aspects} if self.fit == "squash" else example

    def _read(self, index: int) -> tuple[UInt8[np.ndarray, "height width channel"], float]:
        """Returns a picture's pixels, and its width divided by its height."""
        file, name = self.files[index], functools.partial(name_of, self.files, index)
        try:
            picture = self._open(file, name)
            picture = upright(picture, self.channels, white=self.white, lean=True, name=name)
        except BadInput:
            if isinstance(file, Path) and not file.exists():
                raise _missing(file) from None
            raise
        left, top, right, bottom = picture.extent
        with naming(name):
            pixels = fit(picture, self.size, self.fit, share=self.share, channels=self.channels)
        return pixels, (right - left) / (bottom - top)

    def _open(self, file: Any, name: Callable[[], str]) -> Image.Image:
        if isinstance(file, np.ndarray):
            return as_picture(file)
        if isinstance(file, Image.Image):
            return file
        least = max(covering_size(self.size, self.share)) if self.draft else None
        return open_picture(file, least=least, name=name())


def _missing(file: Path) -> BadInput:
    if file.is_symlink():
        return BadInput(
            f"{file} is a link that leads to no file: put there what it leads to, or take it away."
        )
    return BadInput(
        f"{file} is gone: it was there when the pictures were listed. Put it back and give the "
        "same command again, which goes on from the last state saved."
    )


def pictures(
    data: str | Mapping[str, Listing],
    *,
    size: int | tuple[int, int],
    train_size: int | tuple[int, int] | None = None,
    validation: int | float = 0.15,
    test: int | float = 0.15,
    overfit: int = 0,
    fit: str = "crop",
    share: float = 1.0,
    channels: int = 3,
    draft: bool = True,
    sign: str = "",
    white: int = WHITES[-1],
) -> Splits:
    """Returns a person's own pictures, divided into training, validation and test.

    Splits that are there are taken as they are; a single one beside training is the test set, since
    what is reported must not have been chosen by. What is lacking is held out of the training
    pictures, with every class in its proportion, and the same whatever the run's seed.

    Args:
        data: What `flaxmill.data.listings.layouts.scan` finds pictures in, or the listings
            themselves.
        size: Height and width to evaluate at, in pixels; one number for a square.
        train_size: The same for training, where they are padded if ``fit`` says so, and else
            squashed, and have their ``aspect``.
        validation: Training pictures to hold out: how many, or which share of them; 0 for none.
        test: The same for the test set, where no folder is given.
        overfit: Train and evaluate on so many training pictures only; 0 for all.
        fit: How to bring pictures to ``size`` for evaluation: crop, pad or squash.
        share: Share of the sides that a crop leaves.
        channels: 3 for RGB, 1 for grey.
        draft: Decode JPEGs no larger than needed.
        sign: What stands between the labels of a picture that has several, in a CSV file.
        white: What is white in grey pictures of more than 8 bits.

    Raises:
        BadInput: There are no pictures as expected, or a number does not fit theirs.
    """
    if white not in WHITES:
        raise BadInput(f"--white {white}: give one of {', '.join(map(str, WHITES))}.")
    how = {"channels": channels, "draft": draft, "white": white}
    evaluation = {"size": _pair("size", size), "fit": fit, "share": share, **how}
    training = {"size": _pair("train-size", train_size or size), "fit": fit_to_train(fit), **how}
    listings, title = _listings(data, sign)
    splits, note = complete_splits(listings, validation, test)
    return _fitted_splits(listings, splits, title, note, overfit, training, evaluation)


def _fitted_splits(
    listings: Mapping[str, Listing],
    splits: Mapping[str, Listing],
    title: str,
    note: str,
    overfit: int,
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
) -> Splits:
    """Returns the pictures of listings as a network takes them.

    Args:
        listings: The listings before they were divided.
        splits: As they were divided.
        title: What they are called.
        note: What to tell the person about them.
        overfit: Train and evaluate on so many training pictures only; 0 for all.
        training: Options of `Pictures` for those that are trained on.
        evaluation: Options for those that are evaluated on.
    """
    splits = {name: _mix(listing) for name, listing in splits.items()}
    copies = Copies(splits)
    by_content = digests(splits, copies.add)
    write_stamps, total = stamps(splits), len(splits["train"])
    if overfit:
        splits, title = _few(splits, overfit), f"{title}, {overfit} training examples alone"
    train = _as_arrays(Pictures(splits["train"], **training))

    def source(listing: Listing) -> Source:
        return _as_arrays(Pictures(listing, **evaluation))

    return Splits(
        title=title,
        train=cycled(train, overfit, length=total) if overfit else train,
        validation=source(splits["validation"]),
        test=source(splits["test"]),
        labels=splits["train"].classes,
        digests=by_content,
        stamps=write_stamps,
        seen=bool(overfit),
        note=" ".join(part for part in (note, copies.note()) if part),
        gives="labels" if splits["train"].multi_label else "one_class",
        whole=source(_mix(listings["train"])) if len(listings) == 1 and not overfit else None,
        lacking=listings["train"].lacking,
    )


def fit_to_train(fit: str) -> str:
    """Returns how pictures are brought to the size of training, from how they are to be evaluated.

    Random crops are taken of what is squashed, in the proportions that it had; of what is padded
    they are taken as it is, so that things have the size that they have in evaluation.
    """
    return "pad" if fit == "pad" else "squash"


def _listings(data: str | Mapping[str, Listing], sign: str) -> tuple[Mapping[str, Listing], str]:
    """Returns the listings, which may have to be scanned for, and their title."""
    if not isinstance(data, str):
        return data, "pictures"
    place = Path(data).expanduser().absolute()
    return scan(place, sign=sign), place.name


def _few(splits: Mapping[str, Listing], overfit: int) -> dict[str, Listing]:
    """Returns some training pictures as every split."""
    total = len(splits["train"])
    if not 0 < overfit <= total:
        raise BadInput(f"--overfit {overfit}: give a number from 1 to {total:,}.")
    if isinstance(splits["train"].files, PreparedPictures):
        raise BadInput(
            "--overfit evaluates on training pictures, and these were prepared to be trained on "
            "alone: give the folder that they were made of."
        )
    return dict.fromkeys(splits, splits["train"].select(np.arange(overfit)))


def _as_arrays(source: Pictures) -> Source:
    """Returns pictures as a source of arrays, where they lie in one as they are to become."""
    files, share = source.files, source.share if source.fit == "crop" else 1
    whole = files.whole if isinstance(files, Subset) else files
    shape = (*source.size, source.channels)
    if not isinstance(whole, PictureArray):
        return source
    if isinstance(whole, PreparedPictures):
        whole.check({name: getattr(source, name) for name in whole.how})
    elif whole.array.shape[1:] != shape or share != 1:
        return source
    rows = files.indices if isinstance(files, Subset) else np.arange(len(whole))
    labels = np.zeros((len(whole), *source.labels.shape[1:]), source.labels.dtype)
    labels[rows] = source.labels
    prepared = isinstance(whole, PreparedPictures)
    arrays = whole.examples(labels) if prepared else Arrays({"image": whole.array, "label": labels})
    return View(arrays, len(rows), rows.__getitem__)


def _mix(listing: Listing) -> Listing:
    """Mixes the classes of a listing, unless that was done when it was prepared."""
    return listing if isinstance(listing.files, PreparedPictures) else interleaved(listing)


def _pair(option: str, size: int | tuple[int, int]) -> tuple[int, int]:
    """Returns height and width; one number stands for both."""
    pair = (size, size) if isinstance(size, int) else size
    if min(pair) < 1:
        shown = "×".join(map(str, dict.fromkeys(pair)))
        raise BadInput(f"--{option} {shown}: pictures have 1 pixel a side or more, such as 64.")
    return pair
