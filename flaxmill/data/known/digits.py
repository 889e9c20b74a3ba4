"""Handwritten digits: MNIST, or drawn garments in their place."""

from pathlib import Path

from flaxmill.data.known.clothing import FASHION
from flaxmill.data.known.idx import LabelledImages, read_idx_set
from flaxmill.data.known.published import MNIST
from flaxmill.data.known.real_or_drawn import KnownPictures, pictures
from flaxmill.data.source import Splits


def read_mnist(folder: Path) -> LabelledImages:
    """Reads MNIST: 60,000 training and 10,000 test pictures of digits, 28×28, grey.

    Args:
        folder: Holds its four files, packed or unpacked.

    Raises:
        BadInput: As `read_idx_set`.

    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document
    recognition".
    """
    return read_idx_set(folder, MNIST)


KNOWN = KnownPictures(
    name=MNIST.name,
    title=MNIST.title,
    labels=tuple("0123456789"),
    licence="CC BY-SA 3.0 (MNIST, Y. LeCun and C. Cortes)",
    read=read_mnist,
    drawn_labels=FASHION.labels,
    draw=FASHION.draw,
)


def digits(data: str, *, validation: int | float = 0, overfit: int = 0) -> Splits:
    """Returns pictures of digits and their labels, 28×28, grey.

    Args:
        data: ``mnist``, a folder that holds its four files, ``sketches`` or ``auto``, as
            `flaxmill.data.known.real_or_drawn.pictures` says.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.

    Raises:
        BadInput: The data is not there or not right.
    """
    return pictures(KNOWN, data, validation=validation, overfit=overfit)
