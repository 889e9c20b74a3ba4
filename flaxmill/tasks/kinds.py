"""What kinds of data models take and give: modules found by listing two folders.

A signature names one of each, so that whoever looks at a model, exports or serves it needs neither
its recipe nor to know any kind by name. Another kind is another file, and with others beside it
(see `flaxmill.tasks.page_parts`) it has a place on the web page.
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
class Answer(Protocol):
    """What a module of `flaxmill.tasks.answers` has.

    Attributes:
        CLASSIFIES: Whether there is a score for each of the labels.
        SEVERAL: Whether any number of labels may hold of an example.
        ABOUT: What is given of an example: "the class".
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

    def together(self, logits: Any) -> Any:
        """Returns the logits of several models that answer as one, in JAX."""

    def log_odds(self, logits: Any, classes: Any) -> Any:
        """Returns how sure a model is of a class of each example, in JAX."""

    def said(self, scores: Any) -> Any:
        """Returns what each example is taken for."""

    def agree(self, logits: Any, other: Any) -> Any:
        """Says for which examples two models give the same answer."""

    def right(self, logits: Any, labels: Any) -> Any:
        """Says for which examples the answer is right."""

    def accuracy(self, logits: Any, labels: Any) -> Any:
        """Returns how much of the answer to each example is right, from 0 to 1."""

    def of_class(self, labels: Any, label: int) -> Any:
        """Says which examples have a label."""

    def names(self, labels: Any, classes: Sequence[str]) -> list[str]:
        """Returns the labels of each example in words."""

    def counts(self, labels: Any, num_classes: int) -> Any:
        """Counts the examples of each class."""

    def decode(self, probabilities: Any, labels: Sequence[str], top: int) -> dict[str, Any]:
        """Returns what is said of one example, as JSON has it."""

    def caption(self, decoded: Mapping[str, Any]) -> str:
        """Returns what was said of one example for below it, on a sheet."""

    def confusion(self, logits: Any, labels: Any, classes: Sequence[str]) -> Any:
        """Returns what is taken for what, for the report; None where nothing is."""

    def scores(self, logits: Any, labels: Any, classes: Sequence[str]) -> Any:
        """Returns how well each class is found, for the report."""

    def mistakes(self, logits: Any, labels: Any, most: int, temperature: float = 1.0) -> Any:
        """Returns which answers are wrong, the surest first, and how sure they were."""

    def surest(self, logits: Any, labels: Any) -> list[tuple[int, int]]:
        """Returns of each class the example that the model is surest of, and right about."""

    def bins(self, logits: Any, labels: Any, temperature: float) -> Any:
        """Returns how often answers are right beside how sure they were."""

    def loss(self, logits: Any, labels: Any, temperature: float) -> float:
        """Returns the mean loss."""

    def questions(self, logits: Any, labels: Any, temperature: float) -> Any:
        """Returns what `flaxmill.maths.suspects` goes by."""

    def summary(self, decoded: Mapping[str, Any]) -> str:
        """Returns what was said of one example in a word or two."""


class Large(BaseException):
    """A request takes longer to read than small ones; no decoder may take it for its own error."""


@dataclass(frozen=True)
class Explanation:
    """What a model's answer to an example rests on.

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
class Explained:
    """Explanations of several answers.

    Attributes:
        lead: How they came about, and how to read them.
        each: One for each example.
    """

    lead: str
    each: Sequence[Explanation]


@runtime_checkable
class Input(Protocol):
    """What a module of `flaxmill.tasks.inputs` has.

    Attributes:
        THING: What one is called, and many are: ("picture", "pictures").
        PREPROCESS: The form of what a signature says of how they are made ready.
        COLUMNS: How many stand beside each other where many are shown.
        CELL: Width and height of one on a sheet, in inches.
        DRAWN: What is said of data that flaxmill drew itself: that it did, and what it is.
        IN_JSON: What a list of them in JSON is, in words.
        MADE: What `made` makes, in words.
        INSIDE: What the model itself does to what it takes, a sentence.
        BYTES: The name by which a server takes them as files or texts; empty if it takes tensors
            alone.
        SUFFIX: Of a file that holds one.
        SUCH_AS: What may be given to ``flaxmill predict``, for the end of a command.
        NEEDS: What the text of `standalone_source` imports.
    """

    THING: tuple[str, str]
    PREPROCESS: json_forms.Form
    COLUMNS: int
    CELL: tuple[float, float]
    DRAWN: tuple[str, str]
    IN_JSON: str
    MADE: str
    INSIDE: str
    NEEDS: str
    SUFFIX: str
    SUCH_AS: str
    BYTES: str

    def find(self, words: Sequence[str]) -> list[str]:
        """Returns what a person means by some words: names of files, or the words themselves."""

    def many(self, given: Any, signature: Any) -> Any:
        """Returns what is given in Python, one or many, as a sequence."""

    def called(self, given: Any, index: int) -> str:
        """Returns what one of several that are given is called in an answer."""

    def read(self, given: Any, signature: Any) -> Any:
        """Returns one as a model takes it."""

    def collate(self, examples: Sequence[Any], signature: Any) -> Any:
        """Returns several as a batch."""

    def unpacked(self, value: Any, name: str) -> bytes:
        """Returns the content of a file that JSON brings."""

    def received(
        self, files: Sequence[tuple[str, bytes]], signature: Any, limits: Any, *, small: bool
    ) -> Sequence[Any]:
        """Returns files of strangers, each with its name, as a model takes them, within limits.

        Raises:
            BadInput: One cannot be read.
            TooLarge: One takes too much.
            Large: Small ones were expected, and these are not.
        """

    def at_most(self, limits: Any) -> str:
        """Says how much a client may send."""

    def made(self, signature: Any, count: int) -> Any:
        """Returns a batch of inputs of every sort, made at random, the same each time."""

    def odd(self, signature: Any) -> Iterator[Any]:
        """Yields what `read` finds hard, such as of a shape or type that is not expected."""

    def written(self, example: Any, signature: Any) -> tuple[str, bytes]:
        """Returns the suffix and the content of a file that `read` makes into an example."""

    def sample(self, source: Any, index: int, signature: Any) -> tuple[str, bytes]:
        """Returns the same of an example of a source, as it was before it was made ready."""

    def standalone_source(self) -> str:
        """Returns a module that makes one ready for a model without flaxmill."""

    def shown(self, batch: Mapping[str, Any], *, changed: bool = False) -> Sequence[Any]:
        """Returns the examples of a batch, maybe changed by augmentation, as they are shown."""

    def summary(self, source: Any, indices: Any) -> tuple[str, str]:
        """Says what examples are, and what some of a source are in the mean."""

    def draw(self, panel: Any, example: Any, signature: Any) -> None:
        """Draws one on the axes of a sheet."""

    def render(self, example: Any, signature: Any, words: str) -> str:
        """Returns one as HTML; the words say what it is, where it cannot be seen."""

    def explain(
        self, model: Any, examples: Any, labels: Any, answer: Answer, signature: Any, *, most: int
    ) -> Explained:
        """Finds out what answers rest on.

        Args:
            model: From a batch to logits.
            examples: A batch.
            labels: Which class each is looked into for.
            answer: What the logits mean.
            signature: Of the model.
            most: Examples that the model may be asked, about.
        """


def listed(folder: str) -> list[str]:
    """Returns the kinds that are known: those of "inputs", or of "answers"."""
    files = (_FOLDER / folder).glob("[!_]*.py")
    packages = (_FOLDER / folder).glob("[!_]*/__init__.py")
    return sorted({*(file.stem for file in files), *(file.parent.name for file in packages)})


def answer_kind(gives: str) -> Answer:
    """Returns what is known of a kind of answers.

    Raises:
        BadInput: There is no such kind.
    """
    return cast(Answer, _module("answers", gives))


def input_kind(takes: str) -> Input:
    """Returns what is known of a kind of input.

    Raises:
        BadInput: There is no such kind.
    """
    return cast(Input, _module("inputs", takes))


@functools.cache
def _module(folder: str, name: str) -> Any:
    if name not in listed(folder):
        raise BadInput(f"no kind of {folder} is called {name!r}.{nearest(name, listed(folder))}")
    return importlib.import_module(f"flaxmill.tasks.{folder}.{name}")
