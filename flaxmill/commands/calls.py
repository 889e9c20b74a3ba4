"""What the commands do, as calls for notebooks and scripts: they return what the commands print."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flaxmill.errors import BadInput

if TYPE_CHECKING:
    from flaxmill.commands.range_test import RateCurve
    from flaxmill.data.check import Checked
    from flaxmill.report.look import Sheet
    from flaxmill.trained.exported import Exported
    from flaxmill.trained.run import TrainedRun


def load(
    path: str | Path,
    *,
    format: str | None = None,
    checkpoint: str = "final",
    recipe: str | None = None,
    trust: bool = False,
) -> "TrainedRun | Exported":
    """Opens a run, or an export.

    Args:
        path: Its directory.
        format: Of an export: stablehlo, onnx or int8; by default the first that it holds.
        checkpoint: Of a run: "final", or "best" by validation.
        recipe: A file that holds the text of a run's recipe.
        trust: Run the recipe file that a run was trained by, though it was never trained here.

    Returns:
        Either has ``evaluate`` and ``predict``; a run also ``look``, ``report`` and ``export``.

    Raises:
        BadInput: It is neither, or what is asked for belongs to the other.
    """
    from flaxmill.commands import inference

    how = {"checkpoint": checkpoint, "recipe": recipe, "trust": trust}
    return inference.open_model(Path(path), format=format, **how)


def check(
    place: str | Path,
    *,
    sheet: str | Path | None = None,
    size: int = 0,
    separator: str = "",
    workers: int = 0,
) -> "Checked":
    """Checks pictures: reads each once, and finds what is wrong.

    Args:
        place: A folder of class folders, with splits or without; a table that lists pictures; or a
            recipe, for its data.
        sheet: Also write a PNG of the oddest pictures, each with the reason.
        size: Side of the pictures that the model will take; smaller ones are named.
        separator: What stands between several labels of a picture, in a table.
        workers: Threads that read; 0 takes one for each processor.

    Returns:
        What was found: ``lines()`` says it, ``json()`` is for programs, ``serious`` counts what
        would stop a training.

    Raises:
        BadInput: There is no such place, or a number is below 0.
    """
    from flaxmill.commands.check import checked_data

    if size < 0 or workers < 0:
        raise BadInput(f"size {size}, workers {workers}: give 0 or more.")
    checked = checked_data(Path(place), size=size, sign=separator, workers=workers)
    if sheet is not None:
        from flaxmill.report import oddest

        oddest.draw(checked, Path(sheet))
    return checked


def fetch(name: str, *, to: str | Path | None = None) -> Path:
    """Downloads a data set and checks it; returns its folder.

    Args:
        name: A data set, such as ``fashion-mnist``.
        to: The folder to put its files in; by default one in the user's cache.

    Raises:
        BadInput: The name is unknown, or the data cannot be had.
    """
    from flaxmill.data import fetch as fetching

    return fetching.fetch(name, to)


def prepare(data: str | Path, *, to: str | Path, readers: int = 0, **manner: Any) -> Path:
    """Makes pictures ready once, so that no training has to decode them again.

    Args:
        data: Pictures in any form that training takes.
        to: The folder to make; train with ``data=`` it.
        readers: Threads that decode; 0 takes one for each core.
        manner: What ``flaxmill prepare --help`` lists beside, such as ``size``.

    Returns:
        The folder.

    Raises:
        BadInput: There are no pictures as expected, or something given cannot be used.
    """
    from flaxmill.commands import prepare as command
    from flaxmill.data import prepare as preparing

    made_into = command.manner(str(data), **manner)
    return preparing.prepare(str(data), Path(to), made_into, readers=readers)


def look(
    what: str | Path,
    *,
    augmented: bool = False,
    wrong: bool = False,
    classes: Sequence[str] = (),
    split: str | None = None,
    preset: str | None = None,
    data: str | Path | None = None,
    recipe: str | None = None,
    trust: bool = False,
    to: str | Path | None = None,
) -> "Sheet":
    """Draws a sheet of a recipe's data, or of a run's predictions; a notebook shows it.

    Args:
        what: A recipe, or a run directory.
        augmented: Show training examples as augmentation changes them.
        wrong: Of a run, show wrong answers alone, the surest first.
        classes: Show examples with these labels alone.
        split: Which part of the data; by default a recipe's train, and a run's test.
        preset: Which of the recipe's presets.
        data: Another place to take the data from.
        recipe: A file that holds the text of a run's recipe.
        trust: Run the recipe file that a run was trained by, though it was never trained here.
        to: The PNG to write.

    Raises:
        BadInput: There is no such recipe or run, or something given cannot be used.
    """
    from flaxmill.report import look as sheets

    return sheets.draw(
        str(what),
        augmented=augmented,
        wrong=wrong,
        classes=tuple(classes),
        split=split,
        preset=preset,
        data_from=None if data is None else str(data),
        recipe=recipe,
        trust=trust,
        to=None if to is None else Path(to),
    )


def lr_find(
    recipe: str,
    *,
    preset: str | None = None,
    steps: int = 150,
    first: float = 1e-5,
    last: float = 10.0,
    quiet: bool = False,
    **fields: Any,
) -> "RateCurve":
    """Finds a learning rate for a recipe: tries a range of them in one short training.

    Args:
        recipe: A recipe's name, or the path of a ``.py`` file.
        preset: Which of the recipe's presets; the usual one unless told.
        steps: Training steps to try rates in.
        first: The lowest rate.
        last: The highest rate.
        quiet: Say nothing.
        fields: What `flaxmill.train` takes beside.

    Returns:
        What was found: ``suggestion`` is the highest rate that does no harm, or None.

    Raises:
        BadInput: Something given cannot be used.
    """
    from flaxmill.commands import range_test
    from flaxmill.commands.request import from_call
    from flaxmill.data.listings.layouts import cached_scans
    from flaxmill.machine.progress import Words
    from flaxmill.training.initial import read_initial

    request = from_call(recipe, preset, fields)
    range_test.check(request, steps, first, last)
    path = request.options.init_from
    initial = None if path is None else read_initial(path)
    with cached_scans():
        request = request.resolved(initial)
        return range_test.find(request, Words(quiet=quiet), steps, first, last, initial)
