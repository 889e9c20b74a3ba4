"""`flaxmill fetch`: a known data set, downloaded."""

from pathlib import Path

from flaxmill.machine import terminal


def fetch(name: str, /, *, to: Path | None = None) -> None:
    """Download a data set and check it.

    Args:
        name: A data set, such as fashion-mnist.
        to: The folder to put its files in; by default one in the user's cache.
    """
    from flaxmill.data import fetch as fetching
    from flaxmill.machine.progress import DownloadProgress

    with DownloadProgress() as progress:
        folder = fetching.fetch(name, to, on_progress=progress)
    terminal.show(f"{name} is in {folder}")
