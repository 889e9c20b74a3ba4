"""Answers every request with the same bytes at once, for `benchmarks/serve.py`.

What a request takes then is the client's own cost, and the kernel's.

    python null_server.py --port 8000 --size 40

A request ends with the first packets that bring as many bytes as its head says.
"""

import argparse
import asyncio
from typing import Any

import uvloop


class Constant(asyncio.Protocol):
    """A connection that is answered without being understood.

    Args:
        answer: Head and body of every response.
    """

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.missing = 0  # bytes of the request that is coming

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what is written to."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answers, if the request is whole."""
        if not self.missing:
            body = data.index(b"\r\n\r\n") + 4
            start = data.index(b"Content-Length: ") + 16
            self.missing = body + int(data[start : data.index(b"\r\n", start)])
        self.missing -= len(data)
        if not self.missing:
            self.transport.write(self.answer)


async def serve(port: int, size: int) -> None:
    """Serves until it is ended."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    answer = head + bytes(size)
    server = await loop.create_server(lambda: Constant(answer), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.size))


if __name__ == "__main__":
    main()
