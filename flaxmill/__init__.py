"""flaxmill trains, looks at, ships and serves deep-learning models on JAX and Flax.

>>> import flaxmill
>>> [name for name in dir(flaxmill) if name[0].islower()][:4]
['check', 'fetch', 'fork', 'load']
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flaxmill.commands.calls import check, fetch, load, look, lr_find, prepare
    from flaxmill.commands.train import train
    from flaxmill.errors import BadInput, CannotGoOn
    from flaxmill.recipes import fork
    from flaxmill.trained.exported import Exported
    from flaxmill.trained.run import TrainedRun

    __version__: str

__all__ = [
    "BadInput",
    "CannotGoOn",
    "Exported",
    "TrainedRun",
    "__version__",
    "check",
    "fetch",
    "fork",
    "load",
    "look",
    "lr_find",
    "prepare",
    "train",
]

_HOMES = {
    **dict.fromkeys(("BadInput", "CannotGoOn"), "flaxmill.errors"),
    **dict.fromkeys(
        ("check", "fetch", "load", "look", "lr_find", "prepare"), "flaxmill.commands.calls"
    ),
    "Exported": "flaxmill.trained.exported",
    "TrainedRun": "flaxmill.trained.run",
    "fork": "flaxmill.recipes",
    "train": "flaxmill.commands.train",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that the command line starts at once."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("flaxmill")
    if name not in _HOMES:
        raise AttributeError(f"module 'flaxmill' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Lists what there is to use."""
    return sorted(__all__)
