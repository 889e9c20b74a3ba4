"""The command serve: its options, and nothing heavy before they are understood."""

from pathlib import Path
from typing import Literal

from flaxmill.serve import check_installed


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
    max_batch: int = 64,
    max_wait: float = 0.0,
    queue: int = 1024,
    deadline: float = 10.0,
    max_body_bytes: int = 16 << 20,
    max_pictures: int = 32,
    max_pixels: int = 25_000_000,
    connections: int = 2048,
    head_seconds: float = 10.0,
    body_seconds: float = 30.0,
    write_seconds: float = 30.0,
    keep_alive: float = 75.0,
    grace: float = 30.0,
    quiet: bool = False,
) -> None:
    """Serve a model over HTTP, with a page to try it.

    It answers the Open Inference Protocol and /predict, until SIGTERM or Ctrl-C; SIGHUP loads the
    export anew. Clients must show a token if the environment holds FLAXMILL_TOKEN.

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
        max_batch: Examples in one call of the model; a power of two.
        max_wait: Seconds to wait for a fuller batch while the model is free.
        queue: Examples that may wait at a time; beyond, clients are told to come again.
        deadline: Seconds that an example may wait.
        max_body_bytes: Bytes in one request.
        max_pictures: Pictures in one request.
        max_pixels: Width times height of a picture.
        connections: Connections open at a time.
        head_seconds: Seconds until a request's headers must be here.
        body_seconds: Seconds until its content must be here.
        write_seconds: Seconds until a client must have read some of its answer.
        keep_alive: Seconds that a connection may idle between requests.
        grace: Seconds to finish what was begun when asked to stop.
        quiet: Leave requests that were answered without error out of the log.
    """
    check_installed()
    from flaxmill.serve.launch import run
    from flaxmill.serve.settings import Limits, settings

    limits = Limits(
        max_batch=max_batch,
        max_wait=max_wait,
        queue=queue,
        deadline=deadline,
        max_body_bytes=max_body_bytes,
        max_pictures=max_pictures,
        max_pixels=max_pixels,
        connections=connections,
        head_seconds=head_seconds,
        body_seconds=body_seconds,
        write_seconds=write_seconds,
        keep_alive=keep_alive,
        grace=grace,
    )
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
            limits=limits,
        )
    )
