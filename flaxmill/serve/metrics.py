"""What Prometheus reads at /metrics: of one process, or summed over several workers."""

import os
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names where several workers keep their figures."""

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


disable_created_metrics()  # when each counter began, which nobody asks


class Metrics:
    """Figures of this process.

    Args:
        max_batch: The largest batch.
    """

    def __init__(self, max_batch: int) -> None:
        self._registry = CollectorRegistry()
        if SHARED_FOLDER not in os.environ:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "flaxmill_requests",
            "Requests answered, by route and HTTP status (499: the client left first).",
            ["route", "status"],
            registry=self._registry,
        )
        self._errors = Counter(
            "flaxmill_errors",
            "Requests that ended with an error, by HTTP status.",
            ["status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "flaxmill_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "flaxmill_batch_examples",
            "Examples in each call of the model, without padding.",
            buckets=[1 << power for power in range(max_batch.bit_length())],
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "flaxmill_batch_seconds",
            "Time of each call of the model.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._queue = Gauge(
            "flaxmill_queue_examples",
            "Examples that wait or are being computed.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._connections = Gauge(
            "flaxmill_connections",
            "Open connections.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._reloads = Counter(
            "flaxmill_reloads",
            "Exports loaded anew, by result.",
            ["result"],
            registry=self._registry,
        )
        self._counts: dict[tuple[str, int], Callable[[], None]] = {}
        self._observers: dict[str, Callable[[float], None]] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request."""
        key = route, status
        if (count := self._counts.get(key)) is None:
            count = self._counts[key] = self._requests.labels(route, str(status)).inc
            self._observers[route] = self._seconds.labels(route).observe
        count()
        self._observers[route](seconds)
        if status >= 400:
            self._errors.labels(str(status)).inc()

    def batch(self, examples: int, seconds: float) -> None:
        """Counts a call of the model; another thread may."""
        self._batches.observe(examples)
        self._batch_seconds.observe(seconds)

    def now(self, queue: int, connections: int) -> None:
        """Notes what changes all the time, a few times a second."""
        self._queue.set(queue)
        self._connections.set(connections)

    def reload(self, result: str) -> None:
        """Counts a new export: "done" or "failed"."""
        self._reloads.labels(result).inc()

    def text(self) -> bytes:
        """Returns all figures in Prometheus' format, of all workers."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)
