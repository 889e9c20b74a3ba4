"""Sources of examples: random access by index, one duck type for everything.

A source has ``len(source)``, ``source[i]`` (one example) and ``take(indices)`` (many at once). An
example is a dictionary of arrays, such as ``{"image": uint8[28, 28, 1], "label": int32[]}``. A
source that can put all its data on the device also has ``resident()``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flaxmill.errors import BadInput, nearest

SPLITS = ("train", "validation", "test")
Example = Mapping[str, np.ndarray]
IndexMap = Callable[[np.ndarray], np.ndarray]
"""From indices into a source to indices, or rows, of what lies behind it."""


@runtime_checkable
class Source(Protocol):
    """What a run reads examples from."""

    def __len__(self) -> int:
        """Returns the number of examples."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Returns one example."""
        ...

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples, stacked along a new first axis."""
        ...


@dataclass(frozen=True)
class Arrays:
    """Examples that lie in memory, one array for each name.

    Args:
        arrays: Name -> array whose first axis counts the examples.
    """

    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise BadInput(f"arrays of one source need one length, not {lengths}.")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> Example:
        return {name: array[index] for name, array in self.arrays.items()}

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples."""
        return {name: array[indices] for name, array in self.arrays.items()}

    def resident(self) -> tuple[Mapping[str, np.ndarray], IndexMap]:
        """Returns all the data, and a map from indices to its rows."""
        return self.arrays, lambda indices: indices


@dataclass(frozen=True)
class View:
    """Some examples of another source, in another order or more than once.

    Args:
        source: The other source.
        length: Number of examples in the view.
        rows: From indices into the view to indices into the source.
    """

    source: Any
    length: int
    rows: IndexMap

    def __post_init__(self) -> None:
        if hasattr(self.source, "resident"):  # a view is resident exactly where its source is
            object.__setattr__(self, "resident", self._resident)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        return self.source[int(self.rows(self._within(np.asarray(index))))]

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples."""
        return self.source.take(self.rows(self._within(np.asarray(indices))))

    def _within(self, indices: np.ndarray) -> np.ndarray:
        """Resolves negative indices; refuses those outside, which other views may have."""
        if ((indices < -self.length) | (indices >= self.length)).any():
            raise IndexError(f"index {indices} is out of range for {self.length:,} examples.")
        return np.where(indices < 0, indices + self.length, indices)

    def _resident(self) -> tuple[Mapping[str, np.ndarray], IndexMap]:
        arrays, rows = self.source.resident()
        return arrays, lambda indices: rows(self.rows(indices))


@dataclass(frozen=True)
class Items:
    """Anything with ``len`` and ``[i]`` as a source: a PyTorch map-style dataset, Grain's sources.

    Its ``__getitems__``, which reads many items at once, is used where it has one, as both may.

    Args:
        items: Returns tuples (named by ``names``) or dictionaries of things NumPy understands.
        names: What the parts of a tuple are called.
        read: Makes such a tuple or dictionary of an item, where that is something else, such as
            the bytes of a record.
    """

    items: Any
    names: tuple[str, ...] = ("image", "label")
    read: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        return self._example(self.items[int(index)])

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples."""
        at_once = getattr(self.items, "__getitems__", None)
        listed = [int(index) for index in indices]
        items = at_once(listed) if at_once else [self.items[index] for index in listed]
        examples = [self._example(item) for item in items]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    def _example(self, item: Any) -> Example:
        if self.read is not None:
            item = self.read(item)
        if not isinstance(item, Mapping):
            try:
                parts = list(item)
            except TypeError:  # a picture alone, a number
                parts = [item]
            if len(parts) != len(self.names):
                raise BadInput(
                    f"an item of {type(self.items).__name__} is a {type(item).__name__} of "
                    f"{len(parts)} part(s): expected {', '.join(self.names)}. Items(…, names=(…)) "
                    f"says what its parts are called, and read=… makes a tuple or dictionary of "
                    f"anything else."
                )
            item = dict(zip(self.names, parts, strict=True))
        return {name: np.asarray(value) for name, value in item.items()}


def unwrap_views(source: Any, indices: np.ndarray) -> tuple[Any, np.ndarray]:
    """Returns the source behind all views, and the indices of the examples in it.

    >>> source, indices = unwrap_views(cycled(Items("abcd"), 3), np.array([0, 4]))
    >>> source.items, indices
    ('abcd', array([0, 1]))
    """
    while isinstance(source, View):
        source, indices = source.source, source.rows(indices)
    return source, indices


def known_labels(source: Any) -> np.ndarray | None:
    """Returns the labels of all examples if they are known without reading these, else None."""
    source, indices = unwrap_views(source, np.arange(len(source)))
    if isinstance(source, Arrays):
        return source.arrays["label"][indices] if "label" in source.arrays else None
    labels = getattr(source, "labels", None)
    return None if labels is None else np.asarray(labels)[indices]


def part(source: Source, start: int, stop: int) -> View:
    """Returns the examples from ``start`` up to ``stop`` of a source."""
    return View(source, stop - start, lambda indices: indices + start)


def cycled(source: Source, count: int, *, length: int | None = None) -> View:
    """Returns the first ``count`` examples over and over, by default as long as the source."""
    return View(source, len(source) if length is None else length, lambda indices: indices % count)


@dataclass(frozen=True)
class Splits:
    """A data set in its splits.

    Attributes:
        title: What the pictures and the report call the data.
        train: Examples to train on.
        validation: Held-out training data; everything that is chosen is chosen by it. Empty for 0.
        test: Read once at the end (and by presets that only show its figures).
        labels: Class names in the order of their indices.
        digests: Identify the content, for the manifest and for resuming.
        drawn: Whether the data was drawn by flaxmill and not collected.
        seen: Whether validation and test are training examples, as under ``--overfit``.
        note: A message about the choice of data; empty if there is none.
        licence: Of the data, and whose it is; empty if that is not known.
        gives: What its labels are, one of `flaxmill.tasks.answers`: "one_class", the number of a
            class each; or "labels", any number of them, as float32 with a 1 for each class that
            holds and a 0 for each other.
        whole: All of it in one source, fitted as for a test, where it came undivided and was
            divided here: for models that were trained elsewhere.
        stamps: When its files were written, where they are too many, or too large, to be read whole
            for the digests.
        lacking: Why nothing can be learnt from it, though a model can be evaluated on it; empty if
            something can.
        preprocess: How texts become tokens, see `flaxmill.data.text.tokens`; empty where there are
            no texts.
        sizes: Lengths that examples are padded to, smallest first; empty where they have one.
        fitted: Makes train, validation, test and whole, by name, of the same data with the
            preprocess and the sizes of another model; None where they depend on no model.
    """

    title: str
    train: Any
    validation: Any
    test: Any
    labels: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    drawn: bool = False
    seen: bool = False
    note: str = ""
    licence: str = ""
    gives: str = "one_class"
    whole: Any = None
    stamps: Mapping[str, str] = field(default_factory=dict)
    lacking: str = ""
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    fitted: Callable[..., Mapping[str, Any]] | None = None

    def __getitem__(self, name: str) -> Source:
        """Returns a split by name."""
        if name not in SPLITS:
            raise BadInput(f"no split is called {name!r}.{nearest(name, SPLITS)}")
        return getattr(self, name)


def hold_out(source: Source, validation: int | float) -> tuple[Source, Source]:
    """Divides training data into examples to train on, and the last ones, held out.

    Args:
        source: All the training data.
        validation: How many examples to hold out; a share of them if it is a fraction below 1.

    Returns:
        The training part and the held-out part.

    Raises:
        BadInput: The number is negative, leaves nothing to train on, or is a share of not even one.
    """
    total = len(source)
    share = isinstance(validation, float)
    fits = 0 <= validation < (1 if share else total)  # NaN does not
    count = int(round(validation * total) if share else validation) if fits else -1
    if not fits or count == total or bool(count) != bool(validation):
        raise BadInput(
            f"--validation {validation} does not fit {total:,} training examples: give "
            f"{_valid_counts(total)}."
        )
    return part(source, 0, total - count), part(source, total - count, total)


def _valid_counts(total: int) -> str:
    """Describes how many of so many examples can be held out, or which share of them."""
    if total < 2:
        return "0"
    return f"a number from 0 to {total - 1:,}, or a share such as {0.1 if total > 5 else 0.5}"


def divide(
    title: str,
    train: Source,
    test: Source,
    *,
    labels: tuple[str, ...],
    digests: Mapping[str, str],
    validation: int | float = 0,
    overfit: int = 0,
    drawn: bool = False,
    licence: str = "",
    note: str = "",
) -> Splits:
    """Divides a data set of training and test examples into splits.

    Args:
        title: See `Splits`, as for all that is not explained here.
        train: All the training data.
        test: All the test data.
        labels: Class names.
        digests: Identify the content.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.
        drawn: Whether flaxmill drew the data.
        licence: Of the data.
        note: A message about the choice of data.

    Raises:
        BadInput: One of the two numbers does not fit the training data.
    """
    trained, held_out = hold_out(train, validation)
    if overfit:
        if not 0 < overfit <= len(trained):
            raise BadInput(f"--overfit {overfit}: give a number from 1 to {len(trained):,}.")
        trained = cycled(trained, overfit)
        held_out = test = cycled(train, overfit, length=overfit)
        title += f", the first {overfit} training examples alone"
    return Splits(
        title=title,
        train=trained,
        validation=held_out,
        test=test,
        labels=labels,
        digests=digests,
        licence=licence,
        drawn=drawn,
        seen=bool(overfit),
        note=note,
    )
