"""What goes into a model and what comes out: enough to use it without knowing its recipe."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput
from flaxmill.machine import files, json_forms

FORMAT = json_forms.NEWEST
EXAMPLE_BYTES = 64 * 2**20
"""One example of a tensor takes no more: that is a picture of 4,700 × 4,700 pixels in colour."""
_SCORES = ("scores before the softmax", "scores before the sigmoid of each")
_CHANNELS = (1, 2, 3, 4)  # so many has a picture: grey or colours, and maybe its opacity
_DARK = "dark: pictures with a light border are inverted"
_LIGHT = 128  # mean of the pixels of a border, from 0 to 255, from which on it is light


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: Its name, as in a batch.
        dtype: Its NumPy type.
        shape: Its shape, with -1 for the batch.
        meaning: What its numbers say.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    meaning: str = ""


@dataclass(frozen=True)
class Signature:
    """What a trained model takes and gives.

    Attributes:
        name: The model's name.
        task: "image-classification", or "image-multilabel-classification" where any number of
            labels may hold.
        inputs: What it takes.
        outputs: What it gives.
        labels: Class names in the order of the outputs.
        preprocess: What to do to a picture or text before the model sees it.
        version: Of the model.
        temperature: What the logits are divided by before they become probabilities; None for
            nothing, where the run held out too few examples to fit it on, or is of a version of
            flaxmill that fitted none when a run finished.
        licence: What the model may be used for, as far as its data says.
        run: What an export came from: its recipe, seed, step, ``weights_sha256`` and more.
        held_out: Number of examples that were held out to fit the temperature on.
        temperatures: Of a run, the temperature of its "final" weights and, where those are others,
            that of its "best".
    """

    name: str
    task: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...]
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1"
    temperature: float | None = None
    licence: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    held_out: int = 0
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def of_weights(self, which: str) -> "Signature":
        """Returns a run's signature with the temperature of its "final" or its "best" weights."""
        found = self.temperatures.get(which, self.temperatures.get("final"))
        return replace(self, temperature=found)

    def save(self, path: Path) -> None:
        """Writes the signature as JSON."""
        files.write_json(path, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> "Signature":
        """Reads a signature, and checks all that it says.

        Raises:
            BadInput: The file is absent, damaged, or of a newer format.
        """
        found: dict[str, Any] = json_forms.read(path, _FORM, cure=_CURE)
        del found["format"]
        for kind in ("inputs", "outputs"):
            found[kind] = tuple(
                Tensor(**one | {"shape": tuple(one["shape"])}) for one in found[kind]
            )
        signature = cls(**found | {"labels": tuple(found["labels"])})
        labels, scores = len(signature.labels), signature.outputs[0].shape[-1]
        if labels != scores:
            raise BadInput(f"{path} has {labels} labels for {scores} scores: {_CURE}")
        return signature


_CURE = "Restore it from a copy, or write it anew: train again, or export the run again."


def _dtype(value: Any, where: str) -> None:
    """Takes the names of NumPy's types, and JAX's, of which a tensor is."""
    json_forms.text(40)(value, where)
    try:
        known = np.dtype(value).name in _DTYPES
    except (TypeError, ValueError, SyntaxError):
        known = False
    if not known:
        json_forms.one_of(*_DTYPES)(value, where)


def _tensor(value: Any, where: str) -> None:
    """Takes a tensor of which one example fits into memory."""
    _TENSOR(value, where)
    size = math.prod(axis for axis in value["shape"] if axis > 0)
    size *= np.dtype(value["dtype"]).itemsize
    if size > EXAMPLE_BYTES:
        raise json_forms.Misfit(
            f"has {value['shape']} at {where}.shape, of which one example takes {size:,} bytes, "
            f"expected up to {EXAMPLE_BYTES:,}"
        )


def _axis(value: Any, where: str) -> None:
    json_forms.whole(-1, 2**31 - 1)(value, where)
    if value == 0:
        raise json_forms.Misfit(f"has 0 at {where}, expected a size, or -1 for one that varies")


_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_DTYPES += ("bfloat16", "float16", "float32", "float64")
_WORD, _TEXT = json_forms.text(1000), json_forms.text()
_TENSOR = json_forms.record(
    {"name": _WORD, "dtype": _dtype, "shape": json_forms.each(_axis, least=1, most=8)},
    {"meaning": _TEXT},
    closed=True,
)
_PREPROCESS = json_forms.record(
    {},
    {
        **dict.fromkeys(("exif", "transparency", "mode", "background", "padding", "resize"), _TEXT),
        "white": json_forms.whole(1, 2**32),
        "light": json_forms.number(0, 255),
        "fit": json_forms.one_of("pad", "pad to a square", "crop", "squash"),
        "share": json_forms.number(0.001, 1),
        "antialias": json_forms.flag,
    },
)
_TEMPERATURE = json_forms.number(1e-6, 1e6)
_FORM = json_forms.record(
    {
        "format": json_forms.whole(1),
        "name": _WORD,
        "task": _WORD,
        "inputs": json_forms.each(_tensor, least=1, most=100),
        "outputs": json_forms.each(_tensor, least=1, most=100),
        "labels": json_forms.each(_TEXT),
    },
    {
        "preprocess": _PREPROCESS,
        "version": _WORD,
        "temperature": json_forms.maybe(_TEMPERATURE),
        "licence": _TEXT,
        "run": json_forms.by_name(json_forms.anything),
        "held_out": json_forms.whole(),
        "temperatures": json_forms.by_name(_TEMPERATURE),
    },
    closed=True,
)


def _preprocess(
    channels: int, fit: str, share: float, white: int, dark_ground: bool
) -> dict[str, Any]:
    """Returns all that is done to a picture, in the order in which it is done."""
    way = "pad to a square" if fit == "pad" else fit
    return {
        "exif": "rotate",
        "white": white,  # of grey pictures of more than 8 bits
        "transparency": "on white",
        "mode": "L" if channels == 1 else "RGB",
        **({"background": _DARK, "light": _LIGHT} if dark_ground else {}),
        "fit": way,
        **({"share": share} if way == "crop" else {}),
        **({"padding": "median of the border"} if way.startswith("pad") else {}),
        "resize": "bilinear",
        "antialias": True,
    }


def picture_signature(
    name: str,
    splits: Splits,
    *,
    fit: str = "pad to a square",
    share: float = 1.0,
    dark_ground: bool = False,
    white: int = 65535,
) -> Signature:
    """Returns the signature of a picture classifier, read off its data.

    Args:
        name: The model's name.
        splits: Their examples have an ``image`` (uint8, height × width × channel) and a ``label``.
            The size is that of the test pictures: training may cut from larger ones.
        fit: What is done to a picture of another shape: "pad to a square", "crop" or "squash".
        share: Share of the shorter side that a crop leaves.
        dark_ground: Whether things lie on a dark ground in the data, so that a person's picture
            with a light border is inverted; never true of photographs.
        white: What is white in grey pictures of more than 8 bits.

    Raises:
        BadInput: They lack one of the two, which pictures and report are made of, or have it in
            another form.
    """
    example = Reading(skip_unreadable=True).first(splits.test)
    if missing := [part for part in ("image", "label") if part not in example]:
        raise BadInput(
            f"the examples of {splits.title} have {', '.join(example)} and lack "
            f"{' and '.join(missing)}: rename the arrays where the recipe's data() makes them."
        )
    _check_example(splits, *(np.asarray(example[part]) for part in ("image", "label")))
    height, width, channels = example["image"].shape
    classes = len(splits.labels)
    return Signature(
        name=name,
        task="image-multilabel-classification" if splits.multi_label else "image-classification",
        inputs=(Tensor("image", "uint8", (-1, height, width, channels), "raw pictures, 0 to 255"),),
        outputs=(Tensor("logits", "float32", (-1, classes), _SCORES[splits.multi_label]),),
        labels=splits.labels,
        preprocess=_preprocess(channels, fit, share, white, dark_ground),
    )


def _check_example(splits: Splits, picture: np.ndarray, label: np.ndarray) -> None:
    """Refuses a picture or a label in another form, and says how it is given.

    Raises:
        BadInput: The message lists all that is to be done, where the recipe's data() makes them.
    """
    has, cures = f"{picture.dtype}[{', '.join(map(str, picture.shape))}]", []
    if picture.dtype != np.uint8:
        cures.append(
            "uint8 from 0 to 255, as they are stored, for the model scales them itself (leave "
            "ToTensor and the like out; np.uint8(np.round(255 * picture)) makes them of 0 to 1)"
        )
    if picture.ndim == 2:
        cures.append("an axis for the one channel of grey ones (picture[..., None])")
    elif picture.ndim != 3:
        cures.append("height × width × channel each")
    elif picture.shape[0] in _CHANNELS and picture.shape[-1] not in _CHANNELS:
        cures.append("the channels last, not first (picture.transpose(1, 2, 0))")
    if cures:
        raise BadInput(
            f"the pictures of {splits.title} are {has}: give them {', and '.join(cures)}, where "
            f"the recipe's data() makes them."
        )
    if label.ndim == 0 and label.dtype.kind not in "iu":
        raise BadInput(
            f"the label of an example of {splits.title} is {label.dtype} ({label}): give a whole "
            f"number, the place of its class in labels, where the recipe's data() makes them."
        )
