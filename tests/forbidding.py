"""Takes rights away from this process, also where it is root's."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def forbidden(path: Path, *, mode: int = 0) -> Iterator[None]:
    """Takes the rights to a file or folder away, but for those of a mode."""
    before, user = path.stat().st_mode, os.geteuid()
    path.chmod(mode)
    if user == 0:
        os.seteuid(NOBODY)  # root's rights do not depend on modes
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(before)
