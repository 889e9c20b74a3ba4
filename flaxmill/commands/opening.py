"""How a command says which weights of a run it means."""

from typing import Literal

Checkpoint = Literal["final", "best"]
