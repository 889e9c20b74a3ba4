"""The signature of a model of pictures, read off its data."""

from typing import Any

import numpy as np

from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput
from flaxmill.machine import json_forms
from flaxmill.tasks import kinds
from flaxmill.tasks.signature import Signature, Tensor

LIGHT = 128
"""Mean of the pixels of a border, from 0 to 255, from which on it is light."""
_CHANNELS = (1, 2, 3, 4)  # grey or colours, and maybe opacity
_DARK = "dark: pictures with a light border are inverted"

PREPROCESS = json_forms.record(
    {},
    {
        **dict.fromkeys(
            ("exif", "transparency", "mode", "background", "padding", "resize"), json_forms.text()
        ),
        "white": json_forms.whole(1, 2**32),
        "light": json_forms.number(0, 255),
        "fit": json_forms.one_of("pad", "pad to a square", "crop", "squash"),
        "share": json_forms.number(0.001, 1),
        "antialias": json_forms.flag,
    },
)
"""How pictures are preprocessed, as a signature has it."""


def _preprocess(
    channels: int, fit: str, share: float, white: int, dark_ground: bool
) -> dict[str, Any]:
    """Returns the steps of preprocessing, in their order."""
    way = "pad to a square" if fit == "pad" else fit
    return {
        "exif": "rotate",
        "white": white,  # of grey pictures of more than 8 bits
        "transparency": "on white",
        "mode": "L" if channels == 1 else "RGB",
        **({"background": _DARK, "light": LIGHT} if dark_ground else {}),
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
    classes, scores = len(splits.labels), kinds.output_kind(splits.gives).SCORES
    return Signature(
        name=name,
        takes="picture",
        gives=splits.gives,
        inputs=(Tensor("image", "uint8", (-1, height, width, channels), "raw pictures, 0 to 255"),),
        outputs=(Tensor("logits", "float32", (-1, classes), scores),),
        labels=splits.labels,
        preprocess=_preprocess(channels, fit, share, white, dark_ground),
    )


def _check_example(splits: Splits, picture: np.ndarray, label: np.ndarray) -> None:
    """Refuses a picture or a label of the wrong form, and says how to mend it.

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
