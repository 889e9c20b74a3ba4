"""A server's settings: which model, where to listen, how much to take from a client."""

import ipaddress
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from flaxmill.errors import BadInput
from flaxmill.machine import files, terminal
from flaxmill.recipes.loading.trust import RECORDED, RecipeText
from flaxmill.serve.limits import Limits
from flaxmill.trained.exported import is_export

TOKEN = "FLAXMILL_TOKEN"
"""The environment variable that holds the token which clients must show."""

Engine = Literal["jax", "onnx", "int8"]


@dataclass(frozen=True)
class Settings:
    """Everything a worker process must know.

    Attributes:
        model: The export directory.
        engine: What computes.
        threads: Of the engine, for one call of the model; 0 chooses.
        host: The address to listen at, or a name of it.
        address: What that came to, an IP address.
        port: The port; 0 takes a free one.
        workers: Processes that share the port.
        token: What clients must show as a bearer token; empty asks for none.
        allow_hosts: Names that a request may call this server, besides those of ``host``.
        quiet: Whether answered requests are left out of the log.
        limits: How much it takes from clients.
    """

    model: Path
    engine: Engine = "jax"
    threads: int = 0
    host: str = "127.0.0.1"
    address: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    token: str = field(default="", repr=False)
    allow_hosts: tuple[str, ...] = ()
    quiet: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def own_names(self) -> frozenset[str]:
        """What requests may call a server that other machines do not reach; of others, nothing."""
        address = ipaddress.ip_address(self.address)
        plain = getattr(address, "ipv4_mapped", None) or address
        if not plain.is_loopback:
            return frozenset()
        names = {"127.0.0.1", "::1", self.host, self.address, str(address), str(plain)}
        hosts = (f"[{name}]" if ":" in name else name.lower().rstrip(".") for name in names)
        return frozenset({"localhost", *hosts})


def settings(
    model: Path,
    *,
    engine: Engine | None,
    token_file: Path | None,
    limits: Limits,
    recipe: RecipeText = RECORDED,
    **more: Any,
) -> Settings:
    """Makes the settings of the options of the command line.

    Raises:
        BadInput: A number is out of range, or the token cannot be had.
    """
    if limits.max_batch < 1 or limits.max_batch & (limits.max_batch - 1):
        raise BadInput(f"--max-batch {limits.max_batch}: expected a power of two, such as 64.")
    if limits.queue < limits.max_batch:
        raise BadInput(
            f"--queue {limits.queue}: must hold a batch, of {limits.max_batch}, or more."
        )
    if more["workers"] < 1:
        raise BadInput(f"--workers {more['workers']}: expected 1 or more.")
    if more["threads"] < 0:
        raise BadInput(f"--threads {more['threads']}: expected 1 or more, or 0 to choose.")
    positive = (
        *("deadline", "max_body_bytes", "max_buffered_bytes", "max_pictures", "max_pixels"),
        *("max_request_pixels", "max_json_values", "read_seconds", "read_bytes"),
        *("max_head_bytes", "connections"),
        *("head_seconds", "body_seconds", "write_seconds", "keep_alive"),
    )
    for name in positive:
        if getattr(limits, name) <= 0:
            raise BadInput(f"--{name.replace('_', '-')}: expected more than 0.")
    place = _export_of(model, recipe)
    if engine is None:
        has_onnx = find_spec("onnxruntime") and (place / "model.onnx").is_file()
        engine = "onnx" if has_onnx else "jax"
    return Settings(place, engine, token=_token(token_file), limits=limits, **more)


def _token(file: Path | None) -> str:
    """Returns the token from a file or the environment, and takes it out of the latter.

    What is around it, such as the end of its line, is no part of it: no client could send that.
    """
    text = os.environ.pop(TOKEN, None)
    where, cure = TOKEN, "set it to the token that clients must show, or unset it to ask for none"
    if file is not None:
        where, cure = f"--token-file {file}", "write the token into it"
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{where} cannot be read: {error}.") from None
    if text is None:
        return ""
    if not (token := text.strip()):  # a secret that failed to arrive must not open the door
        raise BadInput(f"{where} is empty: {cure}.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(f"{where} must hold ASCII characters without spaces: {cure}.")
    return token


def _export_of(model: Path, recipe: RecipeText) -> Path:
    """Returns the export directory that a run or an export means; a run is exported if need be."""
    if is_export(model):
        files.clear_leftovers(Path(os.path.realpath(model)))
        return model
    from flaxmill import export  # with all that training needs, which an export does without

    place = export.directory_of(model, terminal.complain, **recipe.arguments())
    files.clear_leftovers(Path(os.path.realpath(place)))
    return place
