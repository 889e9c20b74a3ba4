"""The commands about data: their options, and nothing heavy before they are understood."""

from pathlib import Path


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
