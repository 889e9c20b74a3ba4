"""Where the page lives: behind our server, or in a folder on any static host."""

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where the page lives.

    Attributes:
        url: Its address.
        root: The folder that is handed out, if it is one.
    """

    url: str
    root: Path = Path()


@contextlib.contextmanager
def serving(exported: Path, *options: str, port: int = 0, token: str = "") -> Iterator[str]:
    """Runs ``flaxmill serve`` as a person would; yields its address."""
    command = [sys.executable, "-m", "flaxmill", "serve", str(exported), "--quiet"]
    command += ["--engine", "onnx", "--port", str(port), *options]
    environment = os.environ | ({"FLAXMILL_TOKEN": token} if token else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            announced = re.search(r"http://\S+", process.stdout.readline())
            assert announced, "the server ended at once"
            yield announced[0]
        finally:
            process.terminate()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Hands out files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Leaves the line out."""


@contextlib.contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """Hands a folder out as any static host does; yields its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{host.server_port}/"
        finally:
            host.shutdown()
            thread.join()
