"""Texts, preprocessed for a model as its signature says."""

import glob
import html
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from flaxmill.data.source import Source, Splits, unwrap_views
from flaxmill.data.text.reading import read_utf8
from flaxmill.data.text.tokens import KINDS, encode
from flaxmill.errors import BadInput, describe
from flaxmill.machine import json_forms
from flaxmill.tasks import kinds
from flaxmill.tasks.inputs.text import display
from flaxmill.tasks.inputs.text.upload import from_json as from_json
from flaxmill.tasks.inputs.text.upload import limits_message as limits_message
from flaxmill.tasks.inputs.text.upload import preprocess_uploads as preprocess_uploads
from flaxmill.tasks.signature import Signature, Tensor

THING = ("text", "texts")
COLUMNS = 1
CELL = (7.5, 0.5)
DRAWN = (
    "Made-up sentences, not people's.",
    "sentences that flaxmill makes itself, as a stand-in for real ones: the figures show that "
    "training works, and say nothing about what people write.",
)
IN_JSON = "a list of texts"
BYTES = "text"
SUFFIX = ".txt"
SUCH_AS = '"a text"'
RANDOM = "tokens at random"
INSIDE = "Shorter texts of a batch are filled up with zeros."
NEEDS = "Python"
_MOST = 1_000_000  # characters of one text


def find(words: Sequence[str]) -> list[str]:
    """Returns the texts that a person means.

    Args:
        words: Each is a file that ends in ``.txt``, or a pattern that matches such files: each line
            in them that is not blank is a text. Or ``-``, for standard input, likewise. All else is
            a text itself, as ``flaxmill predict RUN "a fine film"`` has it.

    Raises:
        BadInput: A file holds no text or is none, a pattern matches nothing, or there is no word.
    """
    texts: list[str] = []
    if words.count("-") > 1:
        raise BadInput("- stands for standard input, which is read once: give it once.")
    for word in words:
        if word == "-":
            texts += _lines(sys.stdin.buffer.read().decode("utf-8-sig", "replace"), word)
        elif word.endswith(SUFFIX) and glob.has_magic(word) and not Path(word).exists():
            matching = sorted(glob.glob(word, recursive=True))
            if not matching:
                raise BadInput(f"no file matches {word}.")
            for path in matching:
                texts += _lines(read_utf8(Path(path)), path)
        elif word.endswith(SUFFIX) and "\n" not in word:
            path = Path(word)
            if not path.is_file():
                raise BadInput(
                    f"there is no file {word}: give a file with a text in each line, or the text "
                    f"itself in quotation marks."
                )
            texts += _lines(read_utf8(path), word)
        elif word.strip():
            texts.append(word)
        else:
            raise BadInput("one of the texts is empty: give a text, a .txt file, or -.")
    return texts


def _lines(content: str, name: str) -> list[str]:
    lines = [line.strip() for line in content.split("\n")]
    if not any(lines):
        raise BadInput(f"{'standard input' if name == '-' else name} holds no text.")
    return [line for line in lines if line]


def as_sequence(value: Any, signature: Signature) -> Sequence[Any]:
    """Returns one text or many as a sequence."""
    return [value] if isinstance(value, str) else value


def display_name(value: Any, index: int) -> str:
    """Returns the name of a text in a prediction: itself, or if it came as tokens, its number."""
    return value if isinstance(value, str) else f"text {index}"


def preprocess(value: Any, signature: Signature) -> Int32[np.ndarray, " time"]:
    """Turns a text into the numbers of its tokens, one or more.

    Args:
        value: A text, or an array of such numbers, which goes in as it is.
        signature: Of the model.

    Raises:
        BadInput: It is no text, or far too long, or the numbers are of no token.
    """
    if isinstance(value, str):
        if len(value) > _MOST:
            raise BadInput(
                f"a text has {len(value):,} characters, expected up to {_MOST:,}: give it in parts."
            )
        return np.array(encode(value, signature.preprocess), np.int32)
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise BadInput(f"expected a text, or the numbers of its tokens, not {describe(value)}.")
    known, longest = len(signature.preprocess["vocabulary"]), signature.sizes[-1]
    if len(array) > longest or array.min() < 0 or array.max() >= known:
        raise BadInput(
            f"tokens are numbers from 0 to {known - 1:,}, up to {longest:,} of them: found "
            f"{len(array):,} from {array.min():,} to {array.max():,}."
        )
    return array.astype(np.int32)


def collate(
    examples: Sequence[Int32[np.ndarray, " ..."]], signature: Signature
) -> Int32[np.ndarray, "text time"]:
    """Returns texts as a batch, padded with zeros to the smallest size that holds the longest."""
    longest = max(map(len, examples))
    size = next((size for size in signature.sizes if size >= longest), longest)
    batch = np.zeros((len(examples), size), np.int32)
    for row, example in enumerate(examples):
        batch[row, : len(example)] = example
    return batch


def random_batch(signature: Signature, count: int) -> Int32[np.ndarray, "text time"]:
    """Returns texts of known and unknown tokens at random, of every length, the same each time."""
    rng, longest = np.random.default_rng(0), signature.sizes[-1]
    tokens = rng.integers(1, len(signature.preprocess["vocabulary"]), (count, longest), np.int32)
    lengths = rng.integers(1, longest + 1, count)
    return np.where(np.arange(longest) < lengths[:, None], tokens, 0).astype(np.int32)


def edge_cases(signature: Signature) -> Iterator[str]:
    """Yields a text without known tokens, a long one, and one with letters of many alphabets."""
    yield "\N{SNOWMAN}"
    yield "word " * 10 * signature.sizes[-1]
    yield "Ça, 한국어 \N{GRINNING FACE} e\u0301 \u2028 ẞ\u0130 \ud800"


def to_file(example: Int32[np.ndarray, " time"], signature: Signature) -> tuple[str, bytes]:
    """Returns a text as a file, as far as its tokens keep it."""
    return SUFFIX, display.text_of(example, signature.preprocess).encode()


def sample(source: Source, index: int, signature: Signature) -> tuple[str, bytes]:
    """Returns an example of a source as a file: the text itself, where the source has it."""
    whole, rows = unwrap_views(source, np.array([index]))
    if texts := getattr(whole, "texts", ()):
        return SUFFIX, texts[int(rows[0])].encode(errors="replace")
    return to_file(source[index][signature.inputs[0].name], signature)


def standalone_source() -> str:
    """Returns the text of `flaxmill.tasks.inputs.text.standalone`."""
    return (Path(__file__).parent / "standalone.py").read_text(encoding="utf-8")


def displayable(
    batch: Mapping[str, Any], *, changed: bool = False
) -> list[Int32[np.ndarray, " time"]]:
    """Returns the texts of a batch: their tokens."""
    return list(np.asarray(batch["tokens"]))


def summary(source: Source, indices: np.ndarray) -> tuple[str, str]:
    """Describes how long texts are, and how many tokens some of a source have in the mean."""
    tokens = np.asarray(source.take(indices)["tokens"])
    mean = (tokens != 0).sum(1).mean()
    return f"texts of up to {tokens.shape[1]:,} tokens", f"{mean:.1f} tokens a text"


def draw(panel: Any, example: Int32[np.ndarray, " time"], signature: Signature) -> None:
    """Writes a text on the axes of a sheet."""
    display.draw(panel, display.text_of(example, signature.preprocess))


def render(example: Int32[np.ndarray, " time"], signature: Signature, words: str) -> str:
    """Returns a text as HTML."""
    return f'<p class="text">{html.escape(display.text_of(example, signature.preprocess))}</p>'


def explain(
    model: Callable[[Any], Any],
    examples: Int32[np.ndarray, "text time"],
    labels: np.ndarray,
    kind: kinds.OutputKind,
    signature: Signature,
    *,
    most: int,
) -> kinds.Explanations:
    """Finds out which tokens predictions rest on; see `flaxmill.tasks.inputs.text.attribution`.

    Args:
        model: From tokens to logits.
        examples: The texts' tokens.
        labels: The class that each is explained for.
        kind: What the logits mean.
        signature: Of the model.
        most: Texts that it may be given with a token taken away.
    """
    from flaxmill.tasks.inputs.text.attribution import explanations  # JAX; a server may need none

    return explanations(model, examples, labels, kind, signature, most=most)


PREPROCESS = json_forms.record(
    {
        "kind": json_forms.one_of(*KINDS),
        "lower": json_forms.flag,
        "normal": json_forms.one_of("NFC"),
        "longest": json_forms.whole(1, 2**20),
        "vocabulary": json_forms.each(json_forms.text(10_000), least=2, most=1_000_000),
        "merges": json_forms.each(json_forms.text(10_000), most=1_000_000),
    },
    closed=True,
)
"""How texts become tokens, as a signature has it; `flaxmill.data.text.tokens` has the rules."""


def text_signature(name: str, splits: Splits) -> Signature:
    """Returns the signature of a text model, read off its data.

    Args:
        name: The model's name.
        splits: Their examples have ``tokens`` (int32) and a ``label``; they say how texts become
            tokens, and which sizes they are padded to.

    Raises:
        BadInput: The data does not say so.
    """
    if not splits.preprocess or not splits.sizes:
        raise BadInput(
            f"{splits.title} does not say how its texts become tokens: make its splits with "
            f"flaxmill.data.text.splits."
        )
    classes, scores = len(splits.labels), kinds.output_kind(splits.gives).SCORES
    return Signature(
        name=name,
        takes="text",
        gives=splits.gives,
        inputs=(Tensor("tokens", "int32", (-1, "time"), "numbers of tokens; 0 fills up"),),
        outputs=(Tensor("logits", "float32", (-1, classes), scores),),
        labels=splits.labels,
        preprocess=splits.preprocess,
        sizes=splits.sizes,
    )
