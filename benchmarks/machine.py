"""The machine and the versions that a figure was measured with, for the summary of a benchmark."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from flaxmill.devices import parallel
from flaxmill.machine.memory_pages import environment_for_large_pages, libc_version, policy


def machine() -> dict[str, str | int]:
    """Returns the processor's model, its cores, and the versions of what computes."""
    versions = {name: metadata.version(name) for name in ("jax", "flax", "optax")}
    return {
        "processor": parallel.processor(),
        "cores": parallel.threads(),
        "python": platform.python_version(),
        **versions,
        "commit": commit(),
    }


def commit() -> str:
    """Returns the commit that is checked out here, with a + where files were changed since."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def large_pages() -> dict[str, str]:
    """Returns the environment in which a peer has large memory pages too, where there are any.

    A command of flaxmill asks for them itself.
    """
    found = environment_for_large_pages(os.environ, policy(), libc_version())
    return found or dict(os.environ)


def accelerator() -> str:
    """Returns the device that JAX computes on, "cpu" if it finds no other.

    A process of its own asks, for JAX reserves most of the memory of a card that it has seen.
    """
    asked = "import jax; print(jax.devices()[0].device_kind)"
    command = [sys.executable, "-c", asked]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
