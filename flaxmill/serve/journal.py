"""The log: a line of JSON for each request and for whatever else happens.

Lines are written by a thread, many at a time: a request costs no system call, and whoever reads
the log slowly holds up nobody.
"""

import json
import logging
import queue
import sys
import threading
import time
import traceback
from functools import lru_cache
from typing import Any, TextIO

_MOST_WAITING = 50_000  # lines; beyond, they are dropped and counted


@lru_cache(maxsize=1024)  # most requests are for the same few paths
def _where(client: str, method: str, path: str) -> str:
    return json.dumps({"client": client, "method": method, "path": path})[1:-1]


class Journal(logging.Handler):
    """Writes lines of JSON; also what is logged in Python's way, from warnings on.

    Args:
        stream: Where to write.
        quiet: Whether requests that were answered without an error are left out.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        super().__init__(logging.INFO)
        self.quiet = quiet
        self._stream = stream or sys.stderr
        self._waiting: list[str] = []
        self._lost = 0
        self._inbox: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def request(
        self, request_id: str, scope: Any, status: int, seconds: float, error: str | None
    ) -> None:
        """Notes a request."""
        if self.quiet and status < 400:
            return
        client = scope.get("client")
        where = _where(client[0] if client else "", scope["method"], scope["path"][:200])
        error = f', "error": {json.dumps(error[:500])}' if error else ""
        self._add(
            f'{{"time": {time.time():.3f}, "request": "{request_id}", {where}, '
            f'"status": {status}, "ms": {seconds * 1e3:.2f}{error}}}'
        )

    def event(self, words: str, **facts: Any) -> None:
        """Notes anything else, at once."""
        self._add(json.dumps({"time": round(time.time(), 3), "event": words, **facts}))
        self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Notes what was logged in Python's way, with its traceback if it has one."""
        facts: dict[str, Any] = {"level": record.levelname.lower()}
        if record.exc_info:
            facts["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        self.event(record.getMessage(), **facts)

    def _add(self, line: str) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(line)
        else:
            self._lost += 1

    def flush(self) -> None:
        """Hands what has gathered to the thread that writes; called a few times a second."""
        if self._inbox.qsize() > 2:  # it is behind: let lines gather, up to a limit
            return
        lines, self._waiting = self._waiting, []
        if self._lost:
            lines.append(json.dumps({"event": "log lines were lost", "lines": self._lost}))
            self._lost = 0
        if lines:
            self._inbox.put(lines)

    def close(self) -> None:
        """Writes what is left."""
        self._inbox.put(self._waiting)
        self._inbox.put(None)
        self._thread.join(timeout=2)
        super().close()

    def _write(self) -> None:
        while (lines := self._inbox.get()) is not None:
            try:
                self._stream.write("\n".join(lines) + "\n" if lines else "")
                self._stream.flush()
            except OSError:  # whoever read it has gone; the server goes on
                continue
