"""The server: an export answers over HTTP, to clients of the Open Inference Protocol and to people.

How a request goes: `connection` reads it from a socket within limits of time and size, as `framing`
says where it ends; `contents` waits until there is `room` for what it brings; `front` decides who
may ask and what the question is; `open_inference` and `uploads` turn it into examples (`intake` has
processes do so where that takes long); `batcher` gathers the examples of many into one call of the
model.
"""

from importlib.util import find_spec

from flaxmill.errors import BadInput
from flaxmill.machine.program import install_command

_NEEDED = ("fastapi", "uvloop", "python_multipart", "prometheus_client")


def check_installed() -> None:
    """Makes sure that what serving needs is installed.

    Raises:
        BadInput: It is not; the message says how to get it.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise BadInput(
            f"serving needs {', '.join(missing)}, which is not installed: "
            f"{install_command('serve')}."
        )
