"""From the command to a server that answers: the model, the port, one process or several."""

import dataclasses
import socket

import uvloop

from flaxmill.errors import BadInput
from flaxmill.machine import stopping, terminal
from flaxmill.serve.server import BACKLOG, serve
from flaxmill.serve.settings import Settings
from flaxmill.serve.workers import Workers


def run(settings: Settings) -> None:
    """Serves until told to stop.

    Raises:
        BadInput: The model cannot be served, or the port cannot be had.
    """
    with listen(settings.host, settings.port) as listening:
        address, port, *_ = listening.getsockname()
        settings = dataclasses.replace(settings, address=address, port=port)
        with stopping.handled_by_others():
            if settings.workers > 1:
                Workers(settings, listening).run(lambda: announce(settings))
            else:
                uvloop.run(serve(settings, listening, lambda: announce(settings)))


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens at an address.

    From now on the port is this server's alone: two that are merely bound to one could both go on
    until one of them listens. Clients that come before the model is loaded wait in the socket.

    Raises:
        BadInput: The host is unknown or not of this machine, or the port is taken.
    """
    if not 0 <= port <= 65535:
        raise BadInput(f"--port {port}: expected 1 to 65535, or 0 for any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise BadInput(
            f"--host {host}: there is no such host; 127.0.0.1 is this machine alone, 0.0.0.0 all "
            f"its addresses."
        ) from None
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        way = "give another --port, or 0 for any that is free" if port else "give another --host"
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot listen at {host}, port {port}: {reason}; {way}.") from None
    listening.setblocking(False)
    return listening


def announce(settings: Settings) -> None:
    """Says that the server answers, and where."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    sizes = ", ".join(map(str, settings.limits.sizes))
    processes = f"{settings.workers} workers, " if settings.workers > 1 else ""
    try:
        terminal.show(
            f"serving {settings.model} at http://{host}:{settings.port}/ "
            f"({processes}engine {settings.engine}, batches of {sizes} compiled)",
            flush=True,
        )
    except OSError:  # nobody reads it, or the disk is full; the server goes on
        terminal.drop_output()
