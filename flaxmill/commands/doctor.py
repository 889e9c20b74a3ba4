"""`flaxmill doctor`: what is here, how fast it is, what is wrong and how to mend it."""

import os
import platform
import shutil
import time
from importlib import metadata
from pathlib import Path

from flaxmill.data import places
from flaxmill.data.known.published import DATA_SETS
from flaxmill.errors import BadInput
from flaxmill.machine import terminal
from flaxmill.machine.program import command_line, install_command

PACKAGES = ("flaxmill", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tyro")
EXTRAS = {
    "onnx": ("jax2onnx", "onnx", "onnxruntime"),
    "serve": ("fastapi", "uvloop", "prometheus-client"),
}
"""What some commands need beside; nothing is wrong without it."""
_LITTLE_DISK = 2e9
_SLOW = 20.0  # GFLOP/s; two laptop cores reach 100 and more


def examine() -> None:
    """Prints what was found; what is wrong comes last, each with its cure."""
    rows, troubles = [], []
    for check in (_python, _packages, _extras, _computing, _data, _disk):
        checked, wrong = check()
        rows += checked
        troubles += wrong
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        terminal.show(f"{name:{width}}  {value}")
    for trouble in troubles:
        terminal.show(f"! {trouble}")
    terminal.show("All is well." if not troubles else f"{len(troubles)} thing(s) to look at.")


Findings = tuple[list[tuple[str, str]], list[str]]


def _python() -> Findings:
    return [("python", f"{platform.python_version()} on {platform.system()}")], []


def _packages() -> Findings:
    rows, wrong = [], []
    for name in PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is not installed: {install_command()}")
    return rows, wrong


def _extras() -> Findings:
    rows = []
    for extra, names in EXTRAS.items():
        try:
            here = ", ".join(f"{name} {metadata.version(name)}" for name in names)
        except metadata.PackageNotFoundError:
            here = f"not here: {install_command(extra)}"
        rows.append((f"extra {extra}", here))
    return rows, []


def _computing() -> Findings:
    from flaxmill.devices import parallel

    try:
        parallel.check_platform()
    except BadInput as trouble:
        return [("devices", "none")], [str(trouble)]
    (devices, odd), (speed, slow) = _devices(), _speed()
    return devices + speed, odd + slow


PAGES = {
    "always": "large, as all programs here get",
    "madvise": "large, as commands of flaxmill ask for",
    "never": "small: a step of a larger network takes up to 1.4 times as long on CPU",
}
"""What Linux's policy about large memory pages means."""


def _devices() -> Findings:
    import jax

    from flaxmill.devices import parallel
    from flaxmill.machine import memory_pages

    backend = jax.default_backend()
    kinds = ", ".join(sorted({device.device_kind for device in jax.devices()}))
    rows = [
        ("devices", f"{jax.device_count()} × {backend} ({kinds})"),
        ("CPU threads", f"{parallel.threads()} of {os.cpu_count()}"),
        ("memory free", f"{parallel.free_bytes() / 2**30:.1f} GiB"),
        ("memory pages", PAGES[memory_pages.in_use()]),
    ]
    wrong = []
    if backend == "cpu" and shutil.which("nvidia-smi"):
        wrong.append(f"there is an NVIDIA GPU that JAX does not use: {install_command('cuda')}")
    return rows, wrong


def _speed() -> Findings:
    import jax
    import jax.numpy as jnp

    side = 1024
    matrix = jnp.ones((side, side), jnp.float32)
    multiply = jax.jit(lambda a: a @ a)
    multiply(matrix).block_until_ready()
    fastest = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        multiply(matrix).block_until_ready()
        fastest = min(fastest, time.perf_counter() - start)
    speed = 2 * side**3 / fastest / 1e9
    wrong = []
    if speed < _SLOW:
        wrong.append(
            f"float32 matrix products reach only {speed:.0f} GFLOP/s: is another program busy?"
        )
    return [("speed", f"{speed:.0f} GFLOP/s in float32 matrix products")], wrong


def _data() -> Findings:
    rows, wrong = [], []
    for name in DATA_SETS:
        try:
            folder = places.find(name)
        except BadInput as trouble:
            folder = None
            wrong.append(str(trouble))
        rows.append((name, str(folder) if folder else f"not here: {command_line(f'fetch {name}')}"))
    rows.append(("sketches", "built in"))
    return rows, wrong


def _disk() -> Findings:
    free = shutil.disk_usage(Path.cwd()).free
    wrong = []
    if free < _LITTLE_DISK:
        wrong.append(f"only {free / 1e9:.1f} GB are free in {Path.cwd()}: runs need room")
    if not os.access(Path.cwd(), os.W_OK):
        wrong.append(f"{Path.cwd()} cannot be written: give train another place with --run DIR")
    return [("disk free", f"{free / 1e9:.0f} GB here")], wrong
