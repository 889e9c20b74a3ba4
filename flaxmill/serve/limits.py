"""How much a server takes from its clients; also the options of the command that starts it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much a server takes; beyond it, it answers with an error and goes on.

    Attributes:
        max_batch: Examples in one call of the model; a power of two.
        queue: Examples that may wait at a time, from all clients together.
        deadline: Seconds that an example may wait before the model begins with it.
        max_wait: Seconds that the model waits for a fuller batch when it is free.
        max_body_bytes: Bytes of one request, also once unpacked.
        max_buffered_bytes: Bytes of all bodies held at a time; of unread answers, a quarter.
        max_pictures: Pictures in one request for predictions.
        max_pixels: Width × height of a picture.
        max_request_pixels: Width × height of all pictures of a request; a JPEG's once for each ten
            passes that are made over it.
        max_json_values: Numbers, texts and lists in the JSON of a request.
        read_seconds: Seconds that it may take to read what a request says: JSON, forms, pictures.
        read_bytes: Memory that it may take to do so.
        max_head_bytes: Bytes of a request's first line, headers and trailers.
        head_seconds: Seconds until a request's headers must be here.
        body_seconds: Seconds until its body must be here.
        write_seconds: Seconds until a client must have taken some of its answer.
        keep_alive: Seconds that a connection may idle between requests.
        connections: Connections open at a time.
        grace: Seconds that a stopping server takes to finish what it has.
    """

    max_batch: int = 64
    queue: int = 1024
    deadline: float = 10.0
    max_wait: float = 0.0
    max_body_bytes: int = 16 << 20
    max_buffered_bytes: int = 64 << 20
    max_pictures: int = 32
    max_pixels: int = 25_000_000
    max_request_pixels: int = 100_000_000
    max_json_values: int = 2_000_000
    read_seconds: float = 10.0
    read_bytes: int = 176 << 20
    max_head_bytes: int = 32 << 10
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    keep_alive: float = 75.0
    connections: int = 2048
    grace: float = 30.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes that are compiled: 1, 2, 4, … up to the largest."""
        return tuple(1 << power for power in range(self.max_batch.bit_length()))

    @property
    def max_unread_bytes(self) -> int:
        """Bytes of all answers that clients have not read."""
        return self.max_buffered_bytes // 4

    @property
    def max_side(self) -> int:
        """The longest side of a picture: it is padded to a square, of at most 4 × the pixels."""
        return int(2 * self.max_pixels**0.5)


USUAL = Limits()
