"""What was written is what is read: a digest of every file of a checkpoint, sealed, and verified.

Orbax restores flipped bits without noticing.
"""

import errno
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from flaxmill.errors import BadInput, quoted
from flaxmill.machine import files, json_forms
from flaxmill.training import run_files

FORMAT = 1
_DIGESTS = "digests.json"
_DEEPEST = 20  # folders within one another


class Damaged(Exception):
    """A checkpoint's files are not what was written; the message names the first such file."""


def seal(folder: Path) -> None:
    """Writes the digests of a checkpoint's files beside them."""
    files.write_atomic(folder / _DIGESTS, _sealed_digests(_digests(folder)))


def verify(folder: Path) -> None:
    """Checks every file of a checkpoint against the digests that were saved with it.

    Raises:
        Damaged: The message names the first file that does not match.
        BadInput: A newer version wrote it.
    """
    listing = folder / _DIGESTS
    try:
        content = files.read_json(listing)
    except BadInput as error:
        raise Damaged(f"{listing} is not as it was written: {error}") from None
    number = content.get("format") if isinstance(content, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise BadInput(
            f"{folder} has format {quoted(number, 20)}; this flaxmill reads up to {FORMAT}: "
            f"install a newer flaxmill."
        )
    try:
        run_files.DIGESTS(content, "")
        if listing.read_text(encoding="utf-8") != _sealed_digests(content["files"]):
            raise json_forms.Misfit("has another seal")
    except (OSError, ValueError) as error:
        raise Damaged(f"{listing} is not as it was written: it {error}") from None
    expected = content["files"]
    try:
        digests = _digests(folder)
    except OSError as error:
        raise Damaged(f"{error.filename or folder} cannot be read ({first_line(error)})") from error
    except BadInput as error:  # not a regular file, such as a pipe, for which Orbax would wait
        raise Damaged(str(error).removesuffix(".")) from None
    for name in sorted(expected.keys() | digests.keys()):
        if name not in digests:
            raise Damaged(f"{folder / name} is missing")
        if expected.get(name) != digests[name]:
            raise Damaged(f"{folder / name} is not as it was written")


def all_files(folder: Path) -> list[Path]:
    """Returns the files of a checkpoint, as deep as Orbax makes folders."""
    paths, pending = [], [(folder, 0)]
    while pending:
        parent, depth = pending.pop()
        if depth > _DEEPEST:
            raise OSError(errno.ELOOP, f"folders more than {_DEEPEST} deep", str(parent))
        for path in parent.iterdir():
            if path.is_dir() and not path.is_symlink():
                pending.append((path, depth + 1))
            elif path.name != _DIGESTS:
                paths.append(path)
    return sorted(paths)


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): files.sha256(path) for path in all_files(folder)}


def _sealed_digests(digests: Mapping[str, str]) -> str:
    """Returns the content of the digests file, sealed by a digest of itself."""
    body = json.dumps(digests, indent=2, sort_keys=True)
    seal = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({"format": FORMAT, "files": digests, "seal": seal}, indent=2, sort_keys=True)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error, or its type if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
