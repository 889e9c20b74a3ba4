"""Many clients in one process, for `benchmarks/serve.py`: each asks, checks the answer, asks again.

    python benchmarks/load/client.py PLAN.npz --port 8000 --clients 128 [--seconds 4] [--warm 1]

PLAN.npz holds ``head``, the bytes of a request before its picture, ``pictures``, and ``expected``,
the answer that each picture must get, whose float32 numbers are the last bytes of a response. The
client i has a connection of its own, and sends the picture i alone. A client that is told to come
again later does. Prints one line of JSON.

Written on sockets and epoll, for whatever a client costs is taken from the server beside it.
"""

import argparse
import collections
import heapq
import itertools
import json
import math
import resource
import selectors
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np

PAUSE = 0.1  # seconds before a client asks again after an error that says no other time
PATIENCE = 60.0  # seconds that the last answers may take


class Connection:
    """One client: its socket, its request, and what it may be answered."""

    __slots__ = ("accepted", "buffer", "expected", "request", "sent", "socket")

    def __init__(self, request: bytes, expected: np.ndarray) -> None:
        self.request, self.expected = request, expected
        # Answers that were compared once; of one picture there are few, one for each batch size.
        self.accepted: set[bytes] = set()
        self.buffer = b""
        self.sent = 0.0  # when it asked; 0 if it waits for nothing
        self.socket: socket.socket | None = None


class Load:
    """Clients that all ask one server.

    Args:
        plan: What `PLAN.npz` holds.
        port: Where the server listens, on this machine.
        clients: How many.
        tolerance: How far an answer may be from what is expected.
    """

    def __init__(self, plan: Any, port: int, clients: int, tolerance: float) -> None:
        self.port, self.tolerance = port, tolerance
        head, pictures, expected = bytes(plan["head"]), plan["pictures"], plan["expected"]
        self.size = expected[0].nbytes
        self.connections = [
            Connection(head + pictures[i % len(pictures)].tobytes(), expected[i % len(pictures)])
            for i in range(clients)
        ]
        self.selector = selectors.DefaultSelector()
        self.waiting: list[tuple[float, int, Connection]] = []  # who asks again, and when
        self.order = itertools.count()
        self.asking = True
        self.largest_difference = 0.0
        self.forget()

    def forget(self) -> None:
        """Begins to count anew."""
        self.latencies: list[float] = []
        self.statuses: collections.Counter[str] = collections.Counter()
        self.wrong = self.lost = 0

    def connect(self, connection: Connection) -> None:
        """Opens a client's connection, and asks."""
        try:
            connection.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        except OSError:
            self.fail(connection)
            return
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket.setblocking(False)
        connection.buffer = b""
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        self.ask(connection)

    def ask(self, connection: Connection) -> None:
        """Sends a client's request, if it is still time to ask."""
        if not self.asking:
            connection.sent = 0.0
            return
        if connection.socket is None:
            self.connect(connection)
            return
        connection.sent = time.perf_counter()
        try:
            if connection.socket.send(connection.request) < len(connection.request):
                raise OSError("a request does not fit into the socket's buffer")
        except OSError:
            self.fail(connection)

    def later(self, connection: Connection, seconds: float) -> None:
        """Lets a client ask again after so many seconds."""
        connection.sent = 0.0
        due = time.perf_counter() + seconds
        heapq.heappush(self.waiting, (due, next(self.order), connection))

    def fail(self, connection: Connection) -> None:
        """Gives up a connection; what was asked on it is lost."""
        self.lost += connection.sent > 0
        if connection.socket is not None:
            self.close(connection)
        else:
            self.statuses["refused"] += 1
        self.later(connection, PAUSE)

    def close(self, connection: Connection) -> None:
        """Closes a client's connection."""
        assert connection.socket is not None
        self.selector.unregister(connection.socket)
        connection.socket.close()
        connection.socket = None

    def leave(self) -> None:
        """Closes every connection."""
        for connection in self.connections:
            if connection.socket is not None:
                self.close(connection)
        self.selector.close()

    def receive(self, connection: Connection) -> None:
        """Takes what has come for a client; asks again, if that was the whole answer."""
        assert connection.socket is not None
        try:
            data = connection.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.fail(connection)
            return
        if connection.buffer:
            data = connection.buffer + data
        end = data.find(b"\r\n\r\n") + 4
        connection.buffer = data
        if end < 4:
            return
        head = data[:end].lower()
        if len(data) - end < field(head, b"\r\ncontent-length:"):
            return
        connection.buffer = b""
        status = data[9:12]
        if status == b"200":
            self.latencies.append(time.perf_counter() - connection.sent)
            answer = data[-self.size :]
            if answer not in connection.accepted:
                self.compare(connection, answer)
        else:
            self.statuses[status.decode()] += 1
        connection_closes = b"\r\nconnection: close" in head
        if connection_closes:
            self.close(connection)
        if status == b"200":
            self.ask(connection)
        else:
            self.later(connection, field(head, b"\r\nretry-after:") or PAUSE)

    def compare(self, connection: Connection, answer: bytes) -> None:
        """Notes whether an answer is the one to this client's picture."""
        found = np.frombuffer(answer, np.float32) if len(answer) == self.size else np.nan
        difference = float(np.abs(found - connection.expected).max())
        if difference <= self.tolerance:
            self.largest_difference = max(self.largest_difference, difference)
            connection.accepted.add(answer)
        else:
            self.wrong += 1

    def run_until(self, done: Any) -> None:
        """Lets the clients ask until ``done`` says so, which is told the time."""
        while not done(now := time.perf_counter()):
            while self.waiting and self.waiting[0][0] <= now:
                self.ask(heapq.heappop(self.waiting)[2])
            for key, _ in self.selector.select(0.05):
                self.receive(key.data)


def field(head: bytes, name: bytes) -> int:
    """Returns a header's number, 0 if it is not there."""
    start = head.find(name)
    if start < 0:
        return 0
    start += len(name)
    return int(head[start : head.index(b"\r\n", start)])


def percentile(values: list[float], share: float) -> float | None:
    """Returns the value that so large a share of the values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def measured(load: Load, *, warm: float, seconds: float) -> dict[str, Any]:
    """Lets the clients ask for some time; returns what they found.

    Each client is answered once, or told to come later, before the clock starts, and there are
    twice as many answers as clients before it stops, unless that would take ten times as long.
    """
    clients = len(load.connections)
    for connection in load.connections:
        load.connect(connection)
    begin = time.perf_counter()

    def passed(now: float, least: float, answers: int) -> bool:
        gone = now - begin
        answered = len(load.latencies) + sum(load.statuses.values())
        return (gone >= least and answered >= answers) or gone >= 10 * least

    load.run_until(lambda now: passed(now, warm, clients))
    load.forget()
    begin, processor = time.perf_counter(), time.process_time()
    load.run_until(lambda now: passed(now, seconds, 2 * clients))
    gone = time.perf_counter() - begin
    processor = time.process_time() - processor
    latencies, load.asking = load.latencies, False
    load.latencies = []
    begin = time.perf_counter()
    load.run_until(
        lambda now: now - begin > PATIENCE or not any(one.sent for one in load.connections)
    )
    unanswered = sum(one.sent > 0 for one in load.connections)
    load.leave()
    return {
        "clients": clients,
        "seconds": round(gone, 3),
        "answers": len(latencies),
        "requests_per_second": round(len(latencies) / gone, 1),
        "p50_ms": in_milliseconds(percentile(latencies, 0.50)),
        "p99_ms": in_milliseconds(percentile(latencies, 0.99)),
        "statuses": dict(load.statuses),
        "wrong": load.wrong,
        "lost": load.lost + unanswered,
        "largest_difference": load.largest_difference,
        "client_cores": round(processor / gone, 3),
    }


def in_milliseconds(seconds: float | None) -> float | None:
    """Returns seconds in milliseconds."""
    return None if seconds is None else round(1000 * seconds, 3)


def raise_descriptor_limit() -> None:
    """Lets this process, and those that it starts, open as many files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    raise_descriptor_limit()
    with np.load(arguments.plan) as plan:
        load = Load(plan, arguments.port, arguments.clients, arguments.tolerance)
    print(json.dumps(measured(load, warm=arguments.warm, seconds=arguments.seconds)))


if __name__ == "__main__":
    main()
