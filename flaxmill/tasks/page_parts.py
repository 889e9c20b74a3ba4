"""What the web page has for each input and output kind: files beside the Python modules.

The page itself knows no kind. It reads ``kinds.json``, and imports the files of the kinds that a
signature names.
"""

import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from flaxmill.tasks import kinds

FIELD = "field.js"
"""What a folder of a kind of input holds if the page has a place where one is given."""
_SUFFIXES = (".js", ".css", ".html")


def files(takes: str | None = None, gives: str | None = None) -> dict[str, bytes]:
    """Returns the files that belong to kinds of data: path below the page's folder -> content.

    Args:
        takes: An input kind; by default all that the page knows.
        gives: An output kind; likewise.

    Returns:
        ``inputs/<kind>/…``, ``answers/<kind>.js`` and what these share, and ``kinds.json``, which
        names the kinds.
    """
    folder = resources.files("flaxmill.tasks")
    inputs = {
        kind: dict(_files(folder / "inputs" / kind))
        for kind in kinds.kind_names("inputs")
        if takes in (None, kind) and (folder / "inputs" / kind / FIELD).is_file()
    }
    scripts = dict(_files(folder / "answers"))
    answers = [kind for kind in kinds.kind_names("answers") if f"{kind}.js" in scripts]
    others = {f"{kind}.js" for kind in answers if gives not in (None, kind)}
    names = {"inputs": [*inputs], "answers": [one for one in answers if f"{one}.js" not in others]}
    return {
        **{
            f"inputs/{kind}/{name}": content
            for kind, contents in inputs.items()
            for name, content in contents.items()
        },
        **{f"answers/{name}": content for name, content in scripts.items() if name not in others},
        "kinds.json": json.dumps(names).encode(),
    }


def _files(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_file() and entry.name.endswith(_SUFFIXES):
            yield entry.name, entry.read_bytes()
