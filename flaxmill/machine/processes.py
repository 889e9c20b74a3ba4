"""Processes that this one starts, which are to run no code but flaxmill's."""

import contextlib
import os
import threading
from collections.abc import Iterator

_SAFE_PATH = "PYTHONSAFEPATH"
_starting = threading.Lock()


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """Keeps Python processes that are started inside from importing from the current folder.

    ``multiprocessing`` begins one with ``python -c``, which looks for the standard library in the
    current folder first: a ``pickle.py`` there, in somebody else's run, would be run.
    """
    with _starting:
        before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_SAFE_PATH]
            else:
                os.environ[_SAFE_PATH] = before
