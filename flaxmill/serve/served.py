"""The served model, loaded from an export; a new one can take its place under load."""

import asyncio
import heapq
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine import files
from flaxmill.serve import trial
from flaxmill.serve.batcher import Batcher
from flaxmill.serve.open_inference import Inference
from flaxmill.serve.response import DATATYPES
from flaxmill.serve.settings import Settings
from flaxmill.serve.static import StaticFile, static_file
from flaxmill.tasks.signature import FORMAT, Signature
from flaxmill.trained.exported import Exported

_LARGE_SECONDS = 3e-4  # an example's time on one core, from which on a model has all cores
_TIMED_SECONDS = 0.2  # each batch size is timed for so long, at most
_EXAMPLES = 32  # files of an export that are offered to be tried, at most; ten are written
_EXAMPLE_BYTES = 2 << 20  # of each: 800 × 800 pixels in colour, if they are noise

logger = logging.getLogger(__name__)


class LoadedExport:
    """One export, loaded: compiled, timed, with a thread of its own.

    Attributes:
        signature: What the model takes and gives.
        digest: SHA-256 of the weights.
        inference: The protocol's view of it.
        batcher: Answers.
        signature_file: The signature as the export has it; of an older format, as today's has it.
        examples: File name -> file, the examples that the export brings.
    """

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        on_batch: Callable[[int, float], None],
    ) -> None:
        limits = settings.limits
        model = _load(settings)
        self.signature = model.signature
        self.digest = model.digest
        self.inference = Inference(self.signature, limits.queue)
        trial.check(model, self.inference)
        model.compile(limits.sizes)
        shape = self.signature.example_shape
        self.batcher = Batcher(
            model.outputs,
            shape,
            self.inference.dtype,
            _timings(model, limits.sizes, shape, self.inference.dtype),
            capacity=limits.queue,
            loop=loop,
            max_wait=limits.max_wait,
            on_batch=on_batch,
        )
        self.signature_file = _signature_file(settings.model / "signature.json", self.signature)
        self.examples = _examples(settings.model / "examples", self.signature.input_kind.SUFFIX)

    def identity(self) -> dict[str, Any]:
        """Returns the model's name, version and digest."""
        return {
            "name": self.signature.name,
            "version": self.signature.version,
            "weights_sha256": self.digest,
        }


def _signature_file(path: Path, signature: Signature) -> StaticFile:
    """Returns the signature, in today's format, which the page needs."""
    content = files.read_bytes(path)
    if json.loads(content)["format"] < FORMAT:
        content = json.dumps(signature.as_json(), ensure_ascii=False).encode()
    return static_file(path.name, content)


def _examples(folder: Path, suffix: str) -> dict[str, StaticFile]:
    """Reads the examples of an export: what is shown to strangers must lie in it itself.

    Whoever made the export might have put links there that lead to files of this machine.
    """
    if folder.is_symlink() or not folder.is_dir():
        return {}
    names = (entry.name for entry in os.scandir(folder))
    chosen = heapq.nsmallest(_EXAMPLES, (name for name in names if name.endswith(suffix)))
    examples = {}
    for name in chosen:
        try:
            content = files.read_bytes(folder / name, _EXAMPLE_BYTES, links=False)
            if not name.isprintable():
                raise BadInput(f"{name!r} is no name that can be shown.")
        except (BadInput, OSError) as trouble:
            logger.warning("an example of the export is left out: %s", trouble)
        else:
            examples[name] = static_file(name, content)
    return examples


def _load(settings: Settings) -> Exported:
    """Loads the export; chooses a number of threads if the settings leave that open.

    One core is enough for a small model, and the others are for the clients: threads that share
    out microseconds cost more than they bring. A large model takes all cores.
    """
    cores = max(1, available_cores() // settings.workers)
    if settings.engine == "jax":  # reads this as it starts
        os.environ.setdefault("PJRT_NPROC", str(settings.threads or cores))
        return _open(settings, None)
    if settings.threads:
        return _open(settings, settings.threads)
    model = _open(settings, 1)
    size, tensor = settings.limits.max_batch, model.signature.inputs[0]
    model.compile([size])
    seconds = _timings(model, (size,), model.signature.example_shape, np.dtype(tensor.dtype))[size]
    if cores == 1 or seconds < _LARGE_SECONDS * size:
        return model
    return _open(settings, cores)


def _open(settings: Settings, threads: int | None) -> Exported:
    """Opens the export, if batches can be made of what its model takes."""
    model = Exported(settings.model, engine=settings.engine, threads=threads)
    tensor = model.signature.inputs[0]
    if len(model.signature.inputs) > 1 or tensor.dtype not in DATATYPES or -1 in tensor.shape[1:]:
        raise BadInput(
            f"{settings.model} cannot be served: its model must take one tensor, of numbers that "
            f"the protocol knows, and all sizes but the batch must be fixed."
        )
    return model


def available_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _timings(
    model: Exported, sizes: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype
) -> dict[int, float]:
    """Returns the seconds that a batch of each size takes: the shortest of a few.

    Raises:
        BadInput: The model's answers are not numbers.
    """
    seconds = {}
    for size in sizes:
        batch = np.zeros((size, *shape), dtype)
        spent: list[float] = []
        while len(spent) < 3 and sum(spent) < _TIMED_SECONDS:
            begun = time.perf_counter()
            outputs = model.outputs(batch)
            spent.append(time.perf_counter() - begun)
            for name, array in outputs.items():
                if len(array) != size or not np.isfinite(array).all():
                    raise BadInput(
                        f"{model.path} cannot be served: {name} of an input of zeros is not finite."
                    )
        seconds[size] = min(spent)
    return seconds


class ServedModel:
    """The export that answers at the moment, which a reload replaces.

    A request keeps the `LoadedExport` that it began with; one that was replaced ends with its last
    request.

    Args:
        settings: Of the server.
        on_batch: Called after each batch with its examples and seconds.
    """

    def __init__(self, settings: Settings, on_batch: Callable[[int, float], None]) -> None:
        self._settings = settings
        self._on_batch = on_batch
        self._turn = asyncio.Lock()
        self._loaded: LoadedExport | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a model yet."""
        return self._loaded is not None

    @property
    def current(self) -> LoadedExport:
        """The export that answers new requests."""
        assert self._loaded is not None
        return self._loaded

    async def load(self) -> None:
        """Loads the export as it is now, and lets it answer.

        Raises:
            BadInput: It cannot be served; whatever answered before goes on.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            self._loaded = await loop.run_in_executor(
                None, LoadedExport, self._settings, loop, self._on_batch
            )
