"""Data from elsewhere with its classes as a model has them: matched by name, not by order."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flaxmill.data.source import Arrays, Example, Source, Splits, View, known_labels
from flaxmill.errors import BadInput, nearest

_SHOWN = 5  # classes that a message names
_Relabel = Callable[[Any], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Relabelled:
    """A source whose labels are numbered otherwise.

    Args:
        source: The examples.
        relabel: From labels of theirs, one or many, to those that they get.
    """

    source: Any
    relabel: _Relabel

    @property
    def files(self) -> Any:
        """What each example is read from, where that is known."""
        return getattr(self.source, "files", None)

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each example, where these are known without reading."""
        labels = getattr(self.source, "labels", None)
        return None if labels is None else self.relabel(labels)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        example = self.source[index]
        return {**example, "label": self.relabel(example["label"])}

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples."""
        examples = self.source.take(indices)
        return {**examples, "label": self.relabel(examples["label"])}


def match_classes(splits: Splits, labels: Sequence[str], *, gives: str, where: str) -> Splits:
    """Returns data with the labels of a model in their order, whatever the order there.

    The data may lack classes of the model. Where the model gives several labels and the data has
    one for each example, that one holds.

    Args:
        splits: The data.
        labels: The model's class names.
        gives: What the model gives: one class, or any number of labels.
        where: The model, for messages.

    Raises:
        BadInput: The data has a class that the model does not know, or several labels an example
            where the model gives one class.
    """
    if splits.gives == "labels" and gives != "labels":
        raise BadInput(
            f"{where} tells one class of each picture, and {splits.title} has any number of labels "
            f"for one: give data with one label each."
        )
    if unknown := [name for name in splits.labels if name not in labels]:
        raise BadInput(
            f"{where} knows {_shown(labels)}; {splits.title} has {_shown(unknown)} too, and no "
            f"answer to a picture of {'these' if len(unknown) > 1 else 'that'} could be right."
            f"{nearest(unknown[0], labels)} Name the classes alike, take those pictures away, or "
            f"train a model that knows them."
        )
    if tuple(splits.labels) == tuple(labels) and splits.gives == gives:
        return splits
    table = np.array([labels.index(name) for name in splits.labels], np.int32)
    model_multi, data_multi = gives == "labels", splits.gives == "labels"
    relabel = _relabelling(table, len(labels), model_multi, data_multi)
    names = ("train", "validation", "test", "whole")
    relabelled = {name: _relabel_source(getattr(splits, name), relabel) for name in names}
    return dataclasses.replace(splits, **relabelled, labels=tuple(labels), gives=gives)


def _relabelling(table: np.ndarray, classes: int, model_multi: bool, data_multi: bool) -> _Relabel:
    """Returns the function from labels of data to those of a model.

    Args:
        table: The model's index of each class of the data.
        classes: How many the model knows.
        model_multi: Whether the model gives any number of labels.
        data_multi: Whether the data has any number of labels.
    """
    if not model_multi:
        return lambda labels: table[labels]
    if not data_multi:
        return lambda labels: np.eye(classes, dtype=np.float32)[table[labels]]

    def relabel(labels: Any) -> np.ndarray:
        multi_hot = np.zeros((*np.shape(labels)[:-1], classes), np.float32)
        multi_hot[..., table] = labels
        return multi_hot

    return relabel


def _relabel_source(source: Any, relabel: _Relabel) -> Any:
    """Returns a source with other labels; views stay views, for they tell where examples lie."""
    if source is None:
        return None
    if isinstance(source, View):
        return View(_relabel_source(source.source, relabel), source.length, source.rows)
    if isinstance(source, Arrays):
        return Arrays({**source.arrays, "label": relabel(source.arrays["label"])})
    return Relabelled(source, relabel)


def absent_classes(source: Source, labels: Sequence[str]) -> dict[str, list[str]]:
    """Returns what an evaluation reports as ``absent``: the classes that had no example.

    It is empty where all had one, or where that is not known without reading the examples.
    """
    known = known_labels(source)
    if known is None or known.shape[1:] not in ((), (len(labels),)):
        return {}
    present = set(np.flatnonzero(known.any(0)) if known.ndim == 2 else known.tolist())
    absent = [name for label, name in enumerate(labels) if label not in present]
    return {"absent": absent} if absent else {}


def _shown(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    kind = "class" if len(labels) == 1 else "classes"
    return f"the {kind} {', '.join(map(repr, labels[:_SHOWN]))}{more}"
