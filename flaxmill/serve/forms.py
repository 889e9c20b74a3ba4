"""Forms with files (RFC 7578), taken apart where they lie in memory."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

from flaxmill.serve.refusal import Refused

_MOST_HEAD = 16 << 10  # bytes of what is said of a part
_DISPOSITION = re.compile(rb"^content-disposition[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)
_EXTENDED = re.compile(rb"filename\*=utf-8'[\w-]*'([^;\s]*)", re.IGNORECASE)


def fields(body: bytes, kind: str, most: int) -> Iterator[tuple[str, str | None, bytes]]:
    """Yields the fields of a form: name, the file's name if it is a file, and content.

    Names are UTF-8, whatever charset the client names: some take Python quadratic time.

    Args:
        body: The form.
        kind: The content type, with the boundary.
        most: Fields that it may have.

    Raises:
        Refused: It is damaged, or has more.
    """
    for head, content in _parts(body, kind, most):
        match = _DISPOSITION.search(head)
        disposition = match[1].strip() if match else b""
        if b"filename=" not in disposition:  # older clients write it as RFC 5987 has it
            disposition = _EXTENDED.sub(_plain_name, disposition)
        options = parse_options_header(disposition)[1]
        if b"name" not in options:
            raise _damaged("a part of it has no name")
        file = options.get(b"filename")
        yield text(options[b"name"]), None if file is None else text(file), content


def _parts(body: bytes, kind: str, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields head and content of each part."""
    boundary = parse_options_header(kind)[1].get(b"boundary")
    if not boundary:
        raise _damaged("its content type names no boundary")
    line = b"--" + boundary
    between = b"\r\n" + line
    first = -2 if body.startswith(line) else body.find(between)
    if first == -1:
        raise _damaged("its boundary is not in it")
    at = first + len(between)
    for _ in range(most + 1):
        if body.startswith(b"--", at):
            return
        begin = body.find(b"\r\n", at, at + _MOST_HEAD)
        split = body.find(b"\r\n\r\n", begin, at + _MOST_HEAD)
        end = body.find(between, split + 2)
        if min(begin, split, end) < 0 or body[at:begin].strip(b" \t"):
            raise _damaged("a part of it has no beginning or no end")
        yield body[begin + 2 : split], body[split + 4 : end]
        at = end + len(between)
    raise Refused(413, f"the form has too many parts: send at most {most:,}.")


def text(content: bytes) -> str:
    """Decodes text that should be UTF-8, and may be anything."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _plain_name(match: re.Match[bytes]) -> bytes:
    name = unquote_to_bytes(match[1]).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'filename="' + name + b'"'


def _damaged(why: str) -> Refused:
    return Refused(400, f"the form is damaged: {why}.")
