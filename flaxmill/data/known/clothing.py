"""Clothing in ten classes: the real pictures of Fashion-MNIST, or drawn ones."""

from flaxmill.data.known.idx import CLASS_NAMES, read_fashion_mnist
from flaxmill.data.known.real_or_drawn import KnownPictures, pictures
from flaxmill.data.source import Source, Splits


def _draw(count: int, first: int) -> Source:
    from flaxmill.data.sketches import Sketches

    return Sketches(count, first=first)


FASHION = KnownPictures(
    name="fashion-mnist",
    title="Fashion-MNIST",
    labels=CLASS_NAMES,
    licence="MIT (Fashion-MNIST, Zalando SE)",
    read=read_fashion_mnist,
    drawn_labels=CLASS_NAMES,
    draw=_draw,
)


def clothing(data: str, *, validation: int | float = 0, overfit: int = 0) -> Splits:
    """Returns pictures of clothing and their labels, 28×28, grey.

    Args:
        data: ``fashion-mnist``, a folder that holds its four files, ``sketches`` or ``auto``, as
            `flaxmill.data.known.real_or_drawn.pictures` says.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.

    Raises:
        BadInput: The data is not there or not right.
    """
    return pictures(FASHION, data, validation=validation, overfit=overfit)
