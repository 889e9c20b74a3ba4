"""The machine and the versions that a figure was measured with, for the summary of a benchmark."""

import platform
from importlib import metadata

from flaxmill import parallel


def machine() -> dict[str, str | int]:
    """Returns the processor's model, its cores, and the versions of what computes."""
    versions = {name: metadata.version(name) for name in ("jax", "flax", "optax")}
    return {
        "processor": parallel.processor(),
        "cores": parallel.threads(),
        "python": platform.python_version(),
        **versions,
    }
