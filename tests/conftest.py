"""Strict switches for every test: set before JAX is imported anywhere."""

import atexit
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Most of the time of a test is XLA's: what is asked here makes its programs in half of it, and they
# compute more slowly, which no test notices. `make matrix` compiles as it is done for users.
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
# Eight virtual devices, so that data-parallel training is tested on any machine.
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", QUICK), "--xla_force_host_platform_device_count=8"]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Many tests train the same small recipe: what one process compiled, no other compiles again.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="flaxmill-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.setdefault("MPLBACKEND", "agg")
# Messages name the program as a shell finds it: as it does in an environment that was activated.
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
# What nohup and shells that start in the background ignore, programs that are tested would too.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
if "FLAXMILL_DATA" in os.environ:
    os.environ["FLAXMILL_DATA"] = str(Path(os.environ["FLAXMILL_DATA"]).resolve())

from jaxtyping import install_import_hook  # noqa: E402

# Annotations mean what they mean to a type checker: an int will do where a float is expected.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
hook = install_import_hook("flaxmill", CHECKER)
hook.__enter__()  # for the whole session: annotations are checked at every call of flaxmill

import flax.linen  # noqa: E402
import flax.nnx  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from https_server import Server, serving  # noqa: E402

from flaxmill import recipes  # noqa: E402

# They are loaded, all under one name, and hold no tests.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def average_pool(*args: Any, **kwargs: Any) -> jax.Array:
    """Flax's own, which divides float32 by a NumPy int64: there alone types may be promoted."""
    with jax.numpy_dtype_promotion("standard"):
        return FLAX_AVERAGE_POOL(*args, **kwargs)


FLAX_AVERAGE_POOL = flax.linen.avg_pool
flax.linen.avg_pool = flax.nnx.avg_pool = average_pool


@pytest.fixture(scope="session", autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the list of the recipes that were trained here apart from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLAXMILL_TRUSTED", str(tmp_path_factory.mktemp("settings") / "trusted"))
        yield


@pytest.fixture(scope="module", params=recipes.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each recipe in turn."""
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the runs of a module."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def small_data() -> Iterator[None]:
    """Leaves few of the drawn pictures, so that training runs are short."""
    import small_runs

    from flaxmill.data.known import real_or_drawn, texts

    with pytest.MonkeyPatch.context() as patch:
        for drawn in (real_or_drawn, texts):
            patch.setattr(drawn, "TRAIN", small_runs.TRAIN)
            patch.setattr(drawn, "TEST", small_runs.TEST)
            drawn._drawn.cache_clear()
        yield
    for drawn in (real_or_drawn, texts):
        drawn._drawn.cache_clear()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> Any:
    """A small run, finished."""
    import small_runs

    return small_runs.train("fashion_mnist", tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a small run, for all tests that serve one."""
    import small_runs

    from flaxmill.data.known import real_or_drawn
    from flaxmill.export import export

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_or_drawn, "TRAIN", small_runs.TRAIN)
        patch.setattr(real_or_drawn, "TEST", small_runs.TEST)
        real_or_drawn._drawn.cache_clear()
        run = small_runs.train("fashion_mnist", tmp_path_factory.mktemp("runs") / "shipped")
        written = export(run)
    real_or_drawn._drawn.cache_clear()
    return written.path


@pytest.fixture
def real_data() -> Path:
    """The folder with Fashion-MNIST's four files; the test is skipped, and says so, without it."""
    root = os.environ.get("FLAXMILL_DATA")
    folder = Path(root or "absent") / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip(
            "needs the real pictures: set FLAXMILL_DATA to the folder that holds fashion-mnist/"
        )
    return folder


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's machine on which no data set lies anywhere; returns the current directory."""
    for name in ("FLAXMILL_DATA", "FLAXMILL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A running server whose certificate is trusted, and no proxy in between."""
    trusted = tmp_path_factory.mktemp("certificate") / "server.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(trusted) as running:
        yield running


@pytest.fixture
def python() -> str:
    """The interpreter to start commands with."""
    return sys.executable


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place where `flaxmill check` keeps what it has read: a folder of the test's own."""
    monkeypatch.setenv("FLAXMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checked"
