"""The page's files, served from memory."""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from flaxmill.serve.refusal import Header
from flaxmill.tasks import page_parts

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent.

    Attributes:
        content: Its bytes.
        headers: Its type and digest.
        etag: The digest, by which a browser asks whether it has changed.
    """

    content: bytes
    headers: tuple[Header, ...]
    etag: bytes


def static_file(name: str, content: bytes) -> StaticFile:
    """Returns a file with the headers that it is sent with."""
    suffix = "." + name.rpartition(".")[2]
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
    headers = (
        (b"content-type", kind.encode()),
        (b"etag", etag),
        (b"cache-control", b"no-cache"),  # kept, but asked about each time
    )
    return StaticFile(content, headers, etag)


def page_files() -> dict[str, StaticFile]:
    """Reads the page, and what it has of each kind of data: path below page/ -> file."""
    page = {path: static_file(path, content) for path, content in page_parts.files().items()}

    def walk(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            elif not entry.name.startswith("."):
                page[prefix + entry.name] = static_file(entry.name, entry.read_bytes())

    folder = files("flaxmill.serve") / "page"
    if folder.is_dir():
        walk(folder, "")
    return page
