"""How requests lie in a stream of bytes, read strictly.

What could be understood in two ways is refused: a proxy in front that understood it in the other
way would take for the content of one request what is here another request.

Source: RFC 9112, and section 7.8 of RFC 9110 for Upgrade, which is ignored.
"""

import re
from dataclasses import dataclass

from flaxmill.serve.refusal import Header, Refused

_MOST_FIELDS = 100
_FRAMING = {b"content-length", b"transfer-encoding"}
_FRAMED_BY = 8  # bytes of content for each byte that frames it: no chunks of a byte or two
_ONCE = (
    *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding"),
    *(b"authorization", b"origin", b"inference-header-content-length"),
)

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"
_REQUEST_LINE = re.compile(rb"([A-Z-]{1,20}) ([!\"$-~]++) HTTP/(1\.[01])\r\n")
_FIELD = re.compile(rb"^(%b):[\t ]*+(%b)\r\n" % (_TOKEN, _TEXT), re.MULTILINE)
_ABSOLUTE = re.compile(rb"https?://([^/?@]++)(?=[/?]|\Z)", re.IGNORECASE)
_HOST = re.compile(rb"[0-9A-Za-z.:%_~!$&'()*+,;=\[\]-]*")
_PLAIN = bytes({*range(256)} - {*range(32), 127} | {*b"\t\r\n"})  # bytes that a head may have
_EXTENSION = rb";%b(?:=(?:%b|\"[\t !#-\[\]-~\x80-\xff]*+\"))?" % (_TOKEN, _TOKEN)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:%b)*+\r\n" % _EXTENSION)
_NEXT_CHUNK = re.compile(rb"\r\n" + _CHUNK.pattern)


def malformed(words: str) -> Refused:
    """Returns what a request is refused with that is not framed as it must be."""
    return Refused(400, f"this is not a request in HTTP/1.1: {words}.")


def too_long(most: int) -> Refused:
    """Returns what a request is refused with whose headers have no end."""
    return Refused(431, f"headers may be {most:,} bytes at most.")


@dataclass(slots=True)
class Head:
    """A request without its content.

    Attributes:
        method: As it was sent.
        path: The target's path, encoded.
        query: What follows it.
        version: 1.1 or 1.0.
        fields: The headers, their names in small letters.
        length: Bytes of the content; None if it comes in chunks.
        keep_alive: Whether the client may send another request.
        waits: Whether it sends the content only when told to go on.
    """

    method: str
    path: bytes
    query: bytes
    version: str
    fields: list[Header]
    length: int | None
    keep_alive: bool
    waits: bool


def head_end(received: bytes, seen: int, most: int) -> int:
    """Returns where a request's head ends, or 0 if that is still to come.

    Args:
        received: The request as far as it came.
        seen: How much of that was looked at before.
        most: Bytes that a head may have.

    Raises:
        Refused: It is longer, or this is no head.
    """
    first = 2 if received.startswith(b"\r\n") else 0  # after the last request, as some clients do
    end = received.find(b"\r\n\r\n", max(seen - 3, first)) + 4
    if (end if end > 3 else len(received)) > most:
        raise too_long(most)
    if end > 3:
        return end
    lines = received.count(b"\r\n")
    returns = received.count(b"\r") - received.endswith(b"\r")
    if received[seen:].translate(None, _PLAIN) or not received.count(b"\n") == lines == returns:
        raise malformed("a byte in it belongs into no header")
    return 0


def read_head(head: bytes) -> Head:
    """Takes a request's head apart.

    Args:
        head: With the empty line that ends it.

    Raises:
        Refused: It is not as RFC 9112 has it, or could be understood in two ways.
    """
    head = head.removeprefix(b"\r\n")[:-2]
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise malformed("expected METHOD /PATH HTTP/1.1")
    method, target, version = line.groups()
    fields = _fields(head[line.end() :])
    if len(fields) > _MOST_FIELDS:
        raise Refused(431, f"headers may be {_MOST_FIELDS} fields at most.")
    named = dict(fields)
    if len(named) < len(fields):
        names = [name for name, _ in fields]
        for name in _ONCE:
            if names.count(name) > 1:
                raise malformed(f"it has two headers {name.decode()}")
    host = named.get(b"host")
    if host is None and version == b"1.1":
        raise malformed("it has no header host")
    if not target.startswith(b"/"):
        target, host = _origin_form(method, target, host)
        fields = [field for field in fields if field[0] != b"host"] + [(b"host", host)]
    if host is not None and not _HOST.fullmatch(host):
        raise malformed("its host is none")
    path, _, query = target.partition(b"?")
    tokens = named.get(b"connection", b"").lower()
    return Head(
        method.decode(),
        path,
        query,
        version.decode(),
        fields,
        _length(named, version),
        version == b"1.1" and b"close" not in [token.strip() for token in tokens.split(b",")],
        version == b"1.1" and named.get(b"expect", b"").lower() == b"100-continue",
    )


def _fields(block: bytes) -> list[Header]:
    """Reads lines of headers."""
    pairs = _FIELD.findall(block)
    if len(pairs) != block.count(b"\n"):  # each is one whole line, so that all are fields
        raise malformed("a header is not NAME: VALUE")
    return [(name.lower(), value.rstrip(b"\t ")) for name, value in pairs]


def _origin_form(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes]:
    """Returns path and host of a target that is a whole URL; its host is the one that counts."""
    if target == b"*" and method == b"OPTIONS":
        return target, host or b""
    match = _ABSOLUTE.match(target)
    if match is None:
        raise malformed("its target is neither a path nor a URL")
    rest = target[match.end() :]
    return (rest if rest.startswith(b"/") else b"/" + rest), match[1]


def _length(named: dict[bytes, bytes], version: bytes) -> int | None:
    """Returns the length of the content, or None if it comes in chunks."""
    length, coding = named.get(b"content-length"), named.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or version != b"1.1" or coding.lower() != b"chunked":
            raise malformed("its content is framed by Content-Length, or by chunked alone")
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > 15:
        raise malformed("its Content-Length is no number of bytes")
    return int(length)


class Chunks:
    """Content that comes in chunks, of which the last is followed by trailers, which are dropped.

    Args:
        most: Bytes that chunk extensions and trailers may have together. The lines between chunks
            count too, but for some to what they frame.
    """

    def __init__(self, most: int) -> None:
        self.ended = False
        self._most = most
        self._framing = 0
        self._content = 0
        self._line = _CHUNK
        self._left = 0  # of a chunk
        self._trailers = False

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Returns content, and what of the bytes is to be read again when more come.

        Raises:
            Refused: They are no chunks, or more is between them than may be.
        """
        parts, at = [], 0
        while not self._trailers:
            if self._left:
                parts.append(data[at : at + self._left])
                at += len(parts[-1])
                self._content += len(parts[-1])
                self._left -= len(parts[-1])
                if self._left:
                    break
            line = self._line.match(data, at)
            if line is None:
                if data.find(b"\n", at + 2) >= 0:
                    raise malformed("its chunks do not fit together")
                break
            self._framing += line.end() - at
            at = line.end()
            self._left, self._line = int(line[1], 16), _NEXT_CHUNK
            self._trailers = not self._left
        if self._trailers:
            at = self._read_trailers(data, at)
        waiting = 0 if self.ended else len(data) - at
        if self._framing + waiting > self._most + self._content // _FRAMED_BY:
            raise too_long(self._most)
        return b"".join(parts), data[at:]

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Returns where they end; before that, where they begin."""
        if data.startswith(b"\r\n", at):
            end = at + 2
        elif not (end := data.find(b"\r\n\r\n", at) + 4) > 3:
            return at
        if _FRAMING & {name for name, _ in _fields(data[at : end - 2])}:
            raise malformed("a trailer says how long it is")
        self._framing += end - at
        self.ended = True
        return end
