"""Augmentation: plain functions of one example and a key, run on the device in the compiled chunk.

The key belongs to the example and its epoch, so that what is drawn depends on neither the batch
nor the gear that brought the example. Mixing is of a batch: a recipe's loss calls it.
"""

from flaxmill.data.augment.chains import Mixing, Transform, chain, sometimes
from flaxmill.data.augment.colour import (
    autocontrast,
    blur,
    brightness,
    colour,
    contrast,
    equalise,
    invert,
    posterise,
    sharpness,
    solarise,
)
from flaxmill.data.augment.erase import cutout, erase
from flaxmill.data.augment.geometry import (
    affine,
    alternating_flip,
    flip,
    random_resized_crop,
    rotate,
    shear,
    shift,
)
from flaxmill.data.augment.mix import cutmix, mix, mixup
from flaxmill.data.augment.policies import rand_augment, trivial_augment

__all__ = [
    "Mixing",
    "Transform",
    "affine",
    "alternating_flip",
    "autocontrast",
    "blur",
    "brightness",
    "chain",
    "colour",
    "contrast",
    "cutmix",
    "cutout",
    "equalise",
    "erase",
    "flip",
    "invert",
    "mix",
    "mixup",
    "posterise",
    "rand_augment",
    "random_resized_crop",
    "rotate",
    "sharpness",
    "shear",
    "shift",
    "solarise",
    "sometimes",
    "trivial_augment",
]
