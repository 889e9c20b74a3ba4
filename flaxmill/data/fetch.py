"""A known data set, brought to this machine where it is not here.

Read by commands that must answer at once: what talks to the network is imported when it is needed.
"""

import os
from pathlib import Path

from flaxmill.data.places import (
    Progress,
    absolute,
    cache_folder,
    data_set,
    fetch_command,
    find,
    listed_files,
    missing_files,
    places,
    strips_hint,
)
from flaxmill.errors import BadInput


def locate(
    name: str, folder: str | Path | None = None, *, on_progress: Progress | None = None
) -> Path:
    """Finds a data set on this machine or else downloads it.

    Args:
        name: Such as ``fashion-mnist``.
        folder: The very folder that holds it; then nothing is downloaded.
        on_progress: Called for every piece of a download.

    Returns:
        The folder as an absolute path.

    Raises:
        BadInput: The data is not here and cannot be had; the message says where it was looked for,
            why the download failed, and what to do.
        CannotGoOn: The disk is full.
    """
    if found := find(name, folder):
        return found
    known = data_set(name)
    lines = [f"{known.title} is not on this machine. Looked in:"]
    for place in places(name):
        absent = missing_files(place, known)
        state = f"lacks {listed_files(absent)}" if place.is_dir() else "no such folder"
        packed = strips_hint(place, os.listdir(place)) if os.access(place, os.R_OK) else ""
        lines.append(f"  {place}: {packed or state}")
    try:
        return fetch(name, on_progress=on_progress, hurried=True)
    except BadInput as error:
        lines += [
            *error.lines,
            "Ways out:",
            f"  {fetch_command(name)} where there is a network",
            "  --data DIR names the folder that holds the files; FLAXMILL_DATA the one it is in",
            "  --data sketches trains on drawn garments and needs no files",
        ]
        raise BadInput(*lines) from error


def fetch(
    name: str,
    to: str | Path | None = None,
    *,
    on_progress: Progress | None = None,
    hurried: bool = False,
) -> Path:
    """Downloads what is missing of a data set, and checks it.

    Args:
        name: Such as ``fashion-mnist``.
        to: The very folder to put the files in; by default one in the user's cache.
        on_progress: Called for every piece that arrives.
        hurried: Give up within 5 seconds where there is no network.

    Returns:
        The folder as an absolute path; every file in it has the published content.

    Raises:
        BadInput: The name is unknown, the folder cannot be written, or no mirror served a file.
        CannotGoOn: The disk is full.
    """
    from flaxmill.data.download import HURRIED, PATIENT, download

    folder = cache_folder(name) if to is None else absolute(to)
    patience = HURRIED if hurried else PATIENT
    return download(data_set(name), folder, on_progress=on_progress, patience=patience)
