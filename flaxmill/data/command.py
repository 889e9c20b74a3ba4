"""The commands about data: their options, and nothing heavy before they are understood."""

from json import dumps
from pathlib import Path

from flaxmill.errors import BadInput


def fetch(name: str, /, *, to: Path | None = None) -> None:
    """Download a data set and check it.

    Args:
        name: A data set, such as fashion-mnist.
        to: The folder to put its files in; by default one in the user's cache.
    """
    from flaxmill.data import fetch as data
    from flaxmill.progress import Download

    with Download() as progress:
        folder = data.fetch(name, to, on_progress=progress)
    print(f"{name} is in {folder}")


def check(
    place: Path,
    /,
    *,
    sheet: Path | None = None,
    size: int = 0,
    workers: int = 0,
    json: bool = False,
) -> None:
    """Check pictures: read each once, and say what is wrong and what to do.

    The exit status is 2 where something would stop a training or make its result worth little.

    Args:
        place: A folder of class folders, with splits or without, or a CSV file that lists pictures.
        sheet: Also write a PNG of the oddest pictures, each with the reason.
        size: Side of the pictures that the model will take; smaller ones are named.
        workers: Threads that read; 0 takes one for each processor.
        json: Print JSON.
    """
    from flaxmill.data import check as checks
    from flaxmill.progress import Reading

    if size < 0 or workers < 0:
        raise BadInput(f"--size {size} --workers {workers}: give 0 or more.")
    with Reading() as progress:
        checked = checks.check(place, size=size, workers=workers, progress=progress)
    if json:
        print(dumps(checked.json(), ensure_ascii=False))
    else:
        print("\n".join(checked.lines()))
    if sheet is not None:
        from flaxmill.report import oddest

        written = oddest.draw(checked, sheet)
        if not json:
            print("\n".join(written))
    if checked.serious:
        raise BadInput(
            f"{checked.serious} of {len(checked.findings)} findings in {place} would stop a "
            f"training or make its result worth little."
        )
