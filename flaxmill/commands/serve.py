"""The command serve: its options, and nothing heavy before they are understood."""

from pathlib import Path
from typing import Literal

from flaxmill.machine import stopping
from flaxmill.recipes.loading.trust import RECORDED, RecipeText
from flaxmill.serve import check_installed
from flaxmill.serve.limits import USUAL, Limits


def serve(
    model: Path,
    /,
    *,
    engine: Literal["jax", "onnx", "int8"] | None = None,
    threads: int = 0,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    token_file: Path | None = None,
    allow_hosts: tuple[str, ...] = (),
    quiet: bool = False,
    recipe: RecipeText = RECORDED,
    limits: Limits = USUAL,
) -> None:
    """Serve a model over HTTP, with a page to try it.

    It answers the Open Inference Protocol and /predict, until SIGTERM or Ctrl-C; SIGHUP loads the
    export anew. Clients must show a token if the environment holds FLAXMILL_TOKEN, or
    --token-file names one.

    Args:
        model: A run, or an export directory.
        engine: What computes: jax, onnx (ONNX Runtime), or int8 (the same, quantised); by default
            onnx where it is installed and exported, else jax.
        threads: Threads that compute a batch, on a processor; 0 chooses.
        host: The address to listen at; 0.0.0.0 lets other machines in.
        port: The port; 0 takes any that is free.
        workers: Processes that share the port.
        token_file: A file that holds the token that clients must show.
        allow_hosts: Names under which clients may reach it, such as that of a proxy.
        quiet: Leave requests that were answered without error out of the log.
        recipe: Which text a run that is not exported yet was trained by.
        limits: How much the server takes from its clients.
    """
    check_installed()
    from flaxmill.serve.launch import run
    from flaxmill.serve.settings import settings

    with stopping.scope("stopped before it served anything.", usual=True):
        run(
            settings(
                model,
                engine=engine,
                threads=threads,
                host=host,
                port=port,
                workers=workers,
                token_file=token_file,
                allow_hosts=allow_hosts,
                quiet=quiet,
                recipe=recipe,
                limits=limits,
            )
        )
