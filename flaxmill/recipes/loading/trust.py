"""Whose code runs: the texts of recipe files that were trained here, by their digests.

What flaxmill ships is run by its name, and a recipe file because a command names it. What a run or
an export brings along is neither: its text is run if it is the very text of one that this user has
trained, or if a command says so. There is no prompt.
"""

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PLACE = "FLAXMILL_TRUSTED"
"""The environment variable that names another file for the list."""


@dataclass(frozen=True)
class RecipeText:
    """The options of a command about the text that a run was trained by.

    Attributes:
        recipe: A file that holds the text, where it was edited since or is gone.
        trust: Run the recipe file that the run was trained by, though you never trained it here.
    """

    recipe: str | None = None
    trust: bool = False

    def arguments(self) -> dict[str, Any]:
        """Returns the options as arguments of a call."""
        return asdict(self)


RECORDED = RecipeText()
"""Without options, the text lies where it did, or else in the run's record of it."""


def place() -> Path:
    """Returns the user's list, a digest a line; it need not exist.

    Returns:
        The file ``$FLAXMILL_TRUSTED`` if that is set, else one in ``$XDG_CONFIG_HOME/flaxmill`` or
        where the platform keeps a user's settings.

    Raises:
        OSError: The user has no home directory, and neither variable is set.
    """
    if file := os.environ.get(PLACE):
        return Path(file).absolute()
    usual = "~/Library/Application Support" if sys.platform == "darwin" else "~/.config"
    root = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser(usual)
    if root == usual:
        raise OSError(f"there is no home directory, and {PLACE} names no file")
    return Path(root).absolute() / "flaxmill" / "trusted"


def knows(sha256: str) -> bool:
    """Returns whether a recipe's text is one that this user has trained.

    A list that cannot be read knows nothing, and a line that is no digest is none.

    Args:
        sha256: Of the text.
    """
    try:
        return sha256.encode() in place().read_bytes().split()
    except OSError:
        return False


def remember(sha256: str) -> str:
    """Adds the text of a recipe that is trained to the list.

    Args:
        sha256: Of the text.

    Returns:
        A message if the list cannot be written, else nothing: the training goes on either way.
    """
    if knows(sha256):
        return ""
    try:
        path = place()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        try:
            size = os.fstat(handle).st_size
            begun = size and os.pread(handle, 1, size - 1) != b"\n"  # by a write that was cut off
            # At the end and in one go: of two that train at once, neither loses the other's line.
            os.write(handle, b"\n" * bool(begun) + sha256.encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as trouble:
        return (
            f"This recipe cannot be noted as one of yours ({trouble}): where its file is edited or "
            f"gone later, the run's record of it is read with --trust alone."
        )
    return ""
