"""flaxmill trains, looks at, ships and serves deep-learning models on JAX and Flax.

>>> import flaxmill
>>> sorted(flaxmill.__all__)
['BadInput', 'CannotGoOn', 'Exported', 'TrainedRun', 'fork', 'load', 'train']
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flaxmill.errors import BadInput, CannotGoOn
    from flaxmill.exported import Exported
    from flaxmill.recipes import fork
    from flaxmill.trained import TrainedRun
    from flaxmill.trained import TrainedRun as load
    from flaxmill.training import train

__all__ = ["BadInput", "CannotGoOn", "Exported", "TrainedRun", "fork", "load", "train"]

_HOMES = {
    "BadInput": ("flaxmill.errors", "BadInput"),
    "CannotGoOn": ("flaxmill.errors", "CannotGoOn"),
    "Exported": ("flaxmill.exported", "Exported"),
    "TrainedRun": ("flaxmill.trained", "TrainedRun"),
    "fork": ("flaxmill.recipes", "fork"),
    "load": ("flaxmill.trained", "TrainedRun"),
    "train": ("flaxmill.training", "train"),
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that the command line starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'flaxmill' has no attribute {name!r}")
    import importlib

    home, original = _HOMES[name]
    return getattr(importlib.import_module(home), original)
