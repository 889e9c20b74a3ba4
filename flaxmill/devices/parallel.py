"""Devices: the mesh that a run is spread over, and where its arrays lie."""

import contextlib
import math
import os
import platform
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from flaxmill.devices import convolution
from flaxmill.errors import BadInput, nearest

AXES = ("data",)


def make_mesh(text: str | None) -> Mesh | None:
    """Makes a device mesh from text such as ``data=8``.

    Args:
        text: ``axis=size``; batches are divided over the axis ``data``. None for one device.

    Raises:
        BadInput: The text is not of that form, names an unknown axis, or asks for more devices
            than there are.
    """
    if text is None:
        return None
    axis, _, size = text.partition("=")
    if axis not in AXES:
        raise BadInput(f"--mesh {text!r}: no axis {axis!r}.{nearest(axis, AXES)} Give data=N.")
    if not size.isdecimal() or int(size) < 1:
        raise BadInput(f"--mesh {text!r}: expected data=N with a whole number N, such as data=2.")
    available = jax.device_count()
    if int(size) > available:
        raise BadInput(
            f"--mesh {text!r}: this machine has {available} {jax.default_backend()} device(s). "
            f"Give data={available} or fewer."
        )
    devices = np.asarray(jax.devices()[: int(size)])
    return Mesh(devices, AXES, axis_types=(AxisType.Auto,))


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """Puts arrays on every device of the mesh, whole."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()) if mesh else None)


def split_batches(inputs: dict[str, Any], mesh: Mesh | None) -> dict[str, Any]:
    """Puts a chunk's inputs on the devices: ``[step, batch, …]`` arrays divided by batch."""
    if mesh is None:
        return jax.device_put(inputs)

    def place(leaf: np.ndarray | np.generic) -> jax.Array:
        spec = PartitionSpec(None, "data") if leaf.ndim >= 2 else PartitionSpec()
        return jax.device_put(leaf, NamedSharding(mesh, spec))

    return jax.tree.map(place, inputs)


def split_batch(batch: Any, mesh: Mesh | None) -> Any:
    """Keeps one batch divided over the mesh inside a compiled function."""
    if mesh is None:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("data")))


def check_batch_size(batch_size: int, mesh: Mesh | None) -> None:
    """Refuses a batch that does not divide evenly over the devices.

    Raises:
        BadInput: The message gives the nearest batch size that does.
    """
    if mesh is not None and batch_size % mesh.size:
        nearby = max(1, round(batch_size / mesh.size)) * mesh.size
        raise BadInput(
            f"--batch-size {batch_size} does not divide over {mesh.size} devices (--mesh "
            f"data={mesh.size}): give a multiple of {mesh.size}, such as {nearby}."
        )


def check_parts(parts: int, batch_size: int) -> None:
    """Refuses a number of parts that a batch does not divide into.

    Raises:
        BadInput: The message gives the nearest number that it does.
    """
    if parts < 1 or batch_size % parts:
        divisors = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
        closest = min(divisors, key=lambda n: abs(n - parts))
        raise BadInput(
            f"--accumulate {parts}: a batch of {batch_size} does not divide into so many parts; "
            f"the nearest number is {closest}."
        )


def check_platform() -> None:
    """Starts JAX on the platform that ``JAX_PLATFORMS`` names, if any.

    Raises:
        BadInput: It cannot.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as trouble:  # JAX asserts where it lacks the CUDA plugin
        platforms = os.environ.get("JAX_PLATFORMS", "")
        raise BadInput(
            f"JAX cannot use the platform that it was told to: check JAX_PLATFORMS "
            f"(now {platforms!r}), or unset it. {trouble}".rstrip()
        ) from None


def free_bytes() -> float:
    """Returns the memory that the default device has left, in bytes."""
    device = jax.devices()[0]
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    with contextlib.suppress(OSError, StopIteration), open("/proc/meminfo") as lines:
        # Of free pages and of those that only cache files.
        line = next(line for line in lines if line.startswith("MemAvailable"))
        return float(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not known on this system: assume there is room
        return math.inf


def processor() -> str:
    """Returns the processor's model, for its instructions decide how sums are rounded."""
    with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo") as lines:
        line = next(line for line in lines if line.startswith("model name"))
        return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def threads() -> int:
    """Returns the number of CPU threads that XLA uses here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compiler_options() -> dict[str, bool | str]:
    """Returns the options that a run's functions are compiled with here."""
    if jax.default_backend() == "gpu":  # the same bits on every run, as resuming promises
        return {"xla_gpu_deterministic_ops": True}
    return {}


def training_options() -> dict[str, bool | str]:
    """Returns the options that the one function which trains is compiled with here."""
    options = compiler_options() | convolution.compiler_options()
    if jax.default_backend() == "cpu":
        # At the highest level compiling took longer, and steps took as long or longer.
        options |= {"xla_backend_optimization_level": "1"}
    return options


def description() -> dict[str, Any]:
    """Returns what the bits of a run depend on beside config, seed and step."""
    return {
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "processor": processor(),
        "cpu_threads": threads(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compiler_options": training_options(),
    }
