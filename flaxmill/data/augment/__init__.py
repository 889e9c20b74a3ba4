"""Augmentation: plain functions of one example and a key, run on the device in the compiled chunk.

The key belongs to the example and its epoch, so that what is drawn depends on neither the batch
nor the gear that brought the example. Mixing is of a batch: a recipe's loss calls it.
"""

from flaxmill.data.augment.chains import Transform, chain, sometimes
from flaxmill.data.augment.erase import cutout
from flaxmill.data.augment.geometry import flip, random_resized_crop, shift
from flaxmill.data.augment.mix import cutmix, mix, mixup

__all__ = [
    "Transform",
    "chain",
    "cutmix",
    "cutout",
    "flip",
    "mix",
    "mixup",
    "random_resized_crop",
    "shift",
    "sometimes",
]
