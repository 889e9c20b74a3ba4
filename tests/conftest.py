"""Strict switches for every test: set before JAX is imported anywhere."""

import os
import sys
from pathlib import Path

# Eight virtual devices, so that data-parallel training is tested on any machine.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
if "FLAXMILL_DATA" in os.environ:
    os.environ["FLAXMILL_DATA"] = str(Path(os.environ["FLAXMILL_DATA"]).resolve())

from jaxtyping import install_import_hook  # noqa: E402

hook = install_import_hook("flaxmill", "beartype.beartype")
hook.__enter__()  # for the whole session: annotations are checked at every call of flaxmill

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def real_data() -> Path:
    """The folder with Fashion-MNIST's four files; the test is skipped, and says so, without it."""
    root = os.environ.get("FLAXMILL_DATA")
    folder = Path(root or "absent") / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip("needs the real pictures: set FLAXMILL_DATA to the folder that holds fashion-mnist/")
    return folder


@pytest.fixture
def python() -> str:
    """The interpreter to start commands with."""
    return sys.executable
