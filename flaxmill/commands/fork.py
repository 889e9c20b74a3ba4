"""`flaxmill fork`: a recipe, copied to be changed."""

from pathlib import Path

from flaxmill.machine import terminal
from flaxmill.machine.program import command_line, quote


def fork(recipe: str, file: Path | None = None, /) -> None:
    """Copy a recipe into a file of yours, to change its loop.

    Args:
        recipe: The recipe to copy.
        file: The new file; by default the recipe's name, here.
    """
    from flaxmill import recipes

    copy = recipes.fork(recipe, file)
    terminal.show(f"wrote {copy}; change it, then: {command_line(f'train {quote(copy)}')}")
