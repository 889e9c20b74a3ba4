"""`flaxmill recipes`: what there is to train."""

import shutil

from flaxmill.machine import terminal

_WIDEST = 100
"""Columns of a line for people, at most."""


def list_recipes() -> None:
    """List the recipes: what each trains, on which data, and what to expect."""
    from flaxmill import recipes

    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    terminal.show(*recipes.listed(width))
