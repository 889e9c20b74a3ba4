"""Processes that this one starts, which are to run flaxmill's code and nobody else's."""

import contextlib
import os
import threading
from collections.abc import Iterator

_SAFE_PATH = "PYTHONSAFEPATH"
_starting = threading.Lock()


@contextlib.contextmanager
def beginning() -> Iterator[None]:
    """Has Python processes that are started inside take no module from the current folder.

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
