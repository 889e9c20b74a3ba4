"""The kinds of data that models take and give: one module each, found by listing two folders.

A signature names one input kind and one output kind, so that whoever looks at a model, exports or
serves it needs neither its recipe nor any kind's name. A new kind is a new file; with others beside
it (see `flaxmill.tasks.page_parts`) it has a place on the web page.
"""

import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from flaxmill.errors import BadInput, nearest
from flaxmill.machine import json_forms

_FOLDER = Path(__file__).parent


@runtime_checkable
class Tally(Protocol):
    """What is kept of a model's outputs for some examples: as much as the report needs."""

    @property
    def labels(self) -> Any:
        """The label or labels of each example."""

    @property
    def predicted(self) -> Any:
        """The predicted label or labels of each example."""

    def confusion(self, classes: Sequence[str]) -> Any:
        """Returns the confusions for the report; None where there can be none."""

    def class_metrics(self, classes: Sequence[str]) -> dict[str, Any]:
        """Returns precision, recall and the like of each class, for the report."""

    def mistakes(self, most: int) -> tuple[Any, Any]:
        """Returns the wrong predictions, the most confident first, and their confidence."""

    def most_confident(self) -> list[tuple[int, int]]:
        """Returns for each class the right prediction that the model is surest of."""

    def calibration(self, *, calibrated: bool) -> tuple[Any, float]:
        """Returns the bins of a reliability diagram, and the mean loss."""

    def questions(self) -> Any:
        """Returns what `flaxmill.maths.suspects` goes by."""


@runtime_checkable
class OutputKind(Protocol):
    """The interface of a module of `flaxmill.tasks.answers`.

    Attributes:
        CLASSIFIES: Whether there is a score for each class.
        SEVERAL: Whether an example may have any number of labels.
        ABOUT: What the model predicts of an example: "the class".
        SCORES: What the logits are.
        MEANING: What the probabilities are.
    """

    CLASSIFIES: bool
    SEVERAL: bool
    ABOUT: str
    SCORES: str
    MEANING: str

    def probabilities(self, logits: Any) -> Any:
        """Returns probabilities, in JAX."""

    def outputs(self, logits: Any, signature: Any) -> dict[str, Any]:
        """Returns what an export gives, in JAX, by name; `decode` takes the last of them."""

    def meanings(self, signature: Any) -> dict[str, str]:
        """Returns what each of these means."""

    def ensemble(self, logits: Any) -> Any:
        """Returns the logits of an ensemble from those of its members, in JAX."""

    def log_odds(self, logits: Any, classes: Any) -> Any:
        """Returns the log-odds of one class of each example, in JAX."""

    def predicted(self, scores: Any) -> Any:
        """Returns the predicted label or labels of each example."""

    def agree(self, logits: Any, other: Any) -> Any:
        """Returns for which examples two models predict the same."""

    def correct(self, logits: Any, labels: Any) -> Any:
        """Returns for which examples the prediction is right."""

    def accuracy(self, logits: Any, labels: Any) -> Any:
        """Returns how much of each prediction is right, from 0 to 1."""

    def of_class(self, labels: Any, label: int) -> Any:
        """Returns which examples have a label."""

    def names(self, labels: Any, classes: Sequence[str]) -> list[str]:
        """Returns the labels of each example in words."""

    def counts(self, labels: Any, num_classes: int) -> Any:
        """Counts the examples of each class."""

    def decode(self, probabilities: Any, labels: Sequence[str], top: int) -> dict[str, Any]:
        """Returns the prediction for one example, as JSON."""

    def caption(self, decoded: Mapping[str, Any]) -> str:
        """Returns the caption of an example on a sheet."""

    def fit_temperature(self, logits: Any, labels: Any) -> float:
        """Returns the temperature that calibrates predictions, fitted on held-out examples."""

    def tally(self, logits: Any, labels: Any, temperature: float) -> Tally:
        """Returns what is kept of the logits for some examples."""

    def merge(self, tallies: Sequence[Any]) -> Tally:
        """Returns the tally of the examples of several, one after another."""

    def summary(self, decoded: Mapping[str, Any]) -> str:
        """Returns the prediction for one example in a word or two."""


class Large(BaseException):
    """A request is not a small one; no decoder may take it for an error of its own."""


@dataclass(frozen=True)
class Explanation:
    """What a model's prediction for an example rests on.

    Attributes:
        label: The class.
        html: The example, with what speaks for the class.
        before: Probability of the class.
        after: The same without what speaks for it most.
    """

    label: int
    html: str
    before: float
    after: float


@dataclass(frozen=True)
class Explanations:
    """Explanations of several predictions.

    Attributes:
        lead: How they were computed, and how to read them.
        each: One for each example.
    """

    lead: str
    each: Sequence[Explanation]


@runtime_checkable
class InputKind(Protocol):
    """The interface of a module of `flaxmill.tasks.inputs`.

    Attributes:
        THING: Its name, singular and plural: ("picture", "pictures").
        PREPROCESS: The form of a signature's ``preprocess``.
        COLUMNS: Examples in a row of a sheet.
        CELL: Width and height of one on a sheet, in inches.
        DRAWN: How data that flaxmill drew itself is described: that it did, and what it is.
        IN_JSON: What a list of them in JSON is, in words.
        RANDOM: What `random_batch` makes, in words.
        INSIDE: What the model itself does to what it takes, a sentence.
        BYTES: The name by which a server takes them as files or texts; empty if it takes tensors
            alone.
        SUFFIX: Of a file that holds one.
        SUCH_AS: An argument of ``flaxmill predict``, for the end of a command.
        NEEDS: What the text of `standalone_source` imports.
    """

    THING: tuple[str, str]
    PREPROCESS: json_forms.Form
    COLUMNS: int
    CELL: tuple[float, float]
    DRAWN: tuple[str, str]
    IN_JSON: str
    RANDOM: str
    INSIDE: str
    NEEDS: str
    SUFFIX: str
    SUCH_AS: str
    BYTES: str

    def find(self, words: Sequence[str]) -> list[str]:
        """Returns what command-line arguments stand for: files, or the arguments themselves."""

    def as_sequence(self, value: Any, signature: Any) -> Any:
        """Returns one or many as a sequence."""

    def display_name(self, value: Any, index: int) -> str:
        """Returns the name of an example in a prediction."""

    def preprocess(self, value: Any, signature: Any) -> Any:
        """Turns what a person gives into an example as a model takes it."""

    def collate(self, examples: Sequence[Any], signature: Any) -> Any:
        """Returns several as a batch."""

    def from_json(self, value: Any, name: str) -> bytes:
        """Returns the content of a file that came in JSON."""

    def preprocess_uploads(
        self, files: Sequence[tuple[str, bytes]], signature: Any, limits: Any, *, small: bool
    ) -> Sequence[Any]:
        """Turns clients' files, each with its name, into examples, within limits.

        Raises:
            BadInput: One cannot be read.
            TooLarge: One takes too much.
            Large: Small ones were expected, and these are not.
        """

    def limits_message(self, limits: Any) -> str:
        """Describes how much a client may send."""

    def random_batch(self, signature: Any, count: int) -> Any:
        """Returns a batch of random inputs of every sort, the same each time."""

    def edge_cases(self, signature: Any) -> Iterator[Any]:
        """Yields hard cases for `preprocess`, such as unexpected shapes and types."""

    def to_file(self, example: Any, signature: Any) -> tuple[str, bytes]:
        """Returns suffix and content of a file that `preprocess` turns into this example."""

    def sample(self, source: Any, index: int, signature: Any) -> tuple[str, bytes]:
        """Returns the same for an example of a source, as it was before preprocessing."""

    def standalone_source(self) -> str:
        """Returns the text of a module that preprocesses without flaxmill."""

    def displayable(self, batch: Mapping[str, Any], *, changed: bool = False) -> Sequence[Any]:
        """Returns the examples of a batch, perhaps augmented, as people are to see them."""

    def summary(self, source: Any, indices: Any) -> tuple[str, str]:
        """Describes the examples of a source, and the mean of some of them."""

    def draw(self, panel: Any, example: Any, signature: Any) -> None:
        """Draws one on the axes of a sheet."""

    def render(self, example: Any, signature: Any, words: str) -> str:
        """Returns one as HTML; the words say what it is, where it cannot be seen."""

    def explain(
        self,
        model: Any,
        examples: Any,
        labels: Any,
        kind: OutputKind,
        signature: Any,
        *,
        most: int,
    ) -> Explanations:
        """Finds out what predictions rest on.

        Args:
            model: From a batch to logits.
            examples: A batch.
            labels: Which class each is looked into for.
            kind: What the logits mean.
            signature: Of the model.
            most: Examples that the model may be asked, about.
        """


def kind_names(folder: str) -> list[str]:
    """Returns the names of all kinds: those of "inputs", or of "answers"."""
    files = (_FOLDER / folder).glob("[!_]*.py")
    packages = (_FOLDER / folder).glob("[!_]*/__init__.py")
    return sorted({*(file.stem for file in files), *(file.parent.name for file in packages)})


def output_kind(gives: str) -> OutputKind:
    """Returns an output kind.

    Raises:
        BadInput: There is no such kind.
    """
    return cast(OutputKind, _module("answers", gives))


def input_kind(takes: str) -> InputKind:
    """Returns an input kind.

    Raises:
        BadInput: There is no such kind.
    """
    return cast(InputKind, _module("inputs", takes))


@functools.cache
def _module(folder: str, name: str) -> Any:
    if name not in kind_names(folder):
        raise BadInput(
            f"no kind of {folder} is called {name!r}.{nearest(name, kind_names(folder))}"
        )
    return importlib.import_module(f"flaxmill.tasks.{folder}.{name}")
