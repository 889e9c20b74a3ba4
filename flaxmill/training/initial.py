"""Weights from elsewhere that a run begins with."""

from pathlib import Path

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.directory import RunDirectory


def read_initial(path: Path) -> dict[str, np.ndarray]:
    """Reads weights that a run may start from.

    Args:
        path: A run directory, finished or not, or a safetensors file.

    Raises:
        BadInput: There is no such directory or file, or no whole checkpoint in it.
    """
    if path.is_file():
        return weights.read_safetensors(path)
    if not path.is_dir():
        raise BadInput(f"--init-from {path}: there is no such run directory or safetensors file.")
    run = RunDirectory(path)
    if run.begun and (seeds := run.read("config.json").get("seeds", 1)) > 1:
        raise BadInput(
            f"--init-from {path}: this run holds {seeds} models, one for each of its seeds; give a "
            f"run of one seed."
        )
    checkpoint = Checkpoints(path / "checkpoints").restore_newest(set_aside=False)
    if checkpoint is None:
        inside = path / "weights.safetensors"
        cure = f" Give {inside}." if inside.is_file() else ""
        raise BadInput(f"--init-from {path}: there is no whole checkpoint in it.{cure}")
    return weights.to_evaluate(checkpoint[0])
