"""`flaxmill prepare`: pictures decoded, resized and packed once."""

from pathlib import Path
from typing import Any, Literal

from flaxmill.errors import BadInput, nearest
from flaxmill.machine import terminal
from flaxmill.machine.program import quote


def prepare(
    data: str,
    /,
    *,
    to: Path,
    size: int = 0,
    train_size: int = 0,
    fit: Literal["auto", "crop", "pad", "squash"] = "auto",
    share: float = 0.0,
    channels: Literal[1, 3] = 3,
    no_draft: bool = False,
    validation: int | float = 0.15,
    test: int | float = 0.15,
    separator: str = "",
    readers: int = 0,
) -> None:
    """Make pictures ready once, so that no training has to decode them again.

    Stopped, it goes on where it was when the same command is given.

    Args:
        data: Pictures in any form that training takes.
        to: The folder to make; train with --data on it.
        size: Side of the pictures that are evaluated, in pixels; 0 takes one that they fill.
        train_size: Side of those that are trained on; 0 takes what the others are cut from.
        fit: How a picture is brought to that size; auto pads where many pictures are long.
        share: Share of the sides that a crop leaves; 0 takes 0.875, and 1 up to 64 pixels.
        channels: 3 for RGB, 1 for grey.
        no_draft: Decode JPEGs whole; otherwise no larger than needed, which is faster.
        validation: Pictures to hold out for validation if none are given: how many, or a share.
        test: The same for the test.
        separator: What stands between several labels of a picture, in a table.
        readers: Threads that decode; 0 takes one for each core.
    """
    from flaxmill.data import prepare as preparing
    from flaxmill.machine import stopping
    from flaxmill.machine.progress import ReadingProgress

    form = manner(
        data,
        size=size,
        train_size=train_size,
        fit=fit,
        share=share,
        channels=channels,
        draft=not no_draft,
        validation=validation,
        test=test,
        separator=separator,
    )
    stopped = "stopped; the same command goes on with what is packed."
    with stopping.scope(stopped), ReadingProgress() as progress:
        folder = preparing.prepare(
            data, to, form, readers=readers, progress=progress, say=terminal.show
        )
    terminal.show(f"wrote {folder} {_describe(form)} with --data {quote(folder)}")


def _describe(form: Any) -> str:
    """Describes what pictures were made into, and which recipes can train on that."""
    from flaxmill.data.pictures.fit import usual_share

    sides = f"{form.train_size} pixels a side to train on, {form.size} to evaluate"
    sides += {"crop": ", cropped", "pad": ", padded", "squash": ", squashed"}[form.fit]
    as_usual = form.share == usual_share(form.size, form.fit)
    usual = form.channels == 3 and form.draft and as_usual
    return f"({sides}); {'train' if usual else 'a recipe that asks for the same can train'}"


def manner(
    data: str,
    *,
    size: int = 0,
    train_size: int = 0,
    share: float = 0.0,
    separator: str = "",
    **more: Any,
) -> Any:
    """Returns what pictures are to be made into, as the options of `prepare` say.

    Raises:
        BadInput: A number is out of its range, an option is unknown, or there are no pictures as
            expected.
    """
    from flaxmill.data import prepare as preparing

    known = ("fit", "channels", "draft", "validation", "test")
    for name in more:
        if name not in known:
            every = (*known, "size", "train_size", "share", "separator", "readers", "to")
            raise BadInput(f"prepare has no option {name!r}.{nearest(name, every)}")
    if size < 0 or train_size < 0 or not 0 <= share <= 1:
        raise BadInput(f"--size {size} --train-size {train_size} --share {share}: give 0 or more.")
    sides = {"size": size, "train_size": train_size, "share": share}
    return preparing.default_preparation(data, **sides, sign=separator, **more)
