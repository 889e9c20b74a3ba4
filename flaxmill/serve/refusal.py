"""Errors of requests: a status, and a message for the client."""

import json

Header = tuple[bytes, bytes]


class Refused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        message: What was wrong, what was expected, what to do.
        headers: Headers of the answer besides the usual ones.
        last: Whether the connection ends with it, for what the client sends is not read.
    """

    def __init__(
        self, status: int, message: str, headers: tuple[Header, ...] = (), *, last: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.last = last

    @property
    def body(self) -> bytes:
        """The answer's content, as the Open Inference Protocol has it."""
        return error_body(self.message)


class Busy(Refused):
    """There is no room at the moment: 503, and when to come again."""

    def __init__(self, message: str, seconds: int = 1, *, last: bool = False) -> None:
        super().__init__(503, message, ((b"retry-after", b"%d" % seconds),), last=last)


def error_body(message: str) -> bytes:
    """Returns an error as JSON.

    >>> error_body("no")
    b'{"error": "no"}'
    """
    return json.dumps({"error": message}).encode()
