"""`flaxmill evaluate`: how well a run or an export does, exactly."""

from pathlib import Path
from typing import Literal

from flaxmill.commands.opening import Checkpoint
from flaxmill.errors import listed
from flaxmill.machine import terminal
from flaxmill.recipes.loading.trust import RECORDED, RecipeText


def evaluate(
    model: Path,
    /,
    *,
    format: Literal["stablehlo", "onnx", "int8"] | None = None,
    data: str | None = None,
    split: Literal["test", "validation", "train"] = "test",
    checkpoint: Checkpoint = "final",
    recipe: RecipeText = RECORDED,
    json: bool = False,
) -> None:
    """Evaluate a run or an export exactly on its test data.

    Args:
        model: A run, or an export directory.
        format: Which format of an export.
        data: Another place to take the data from.
        split: Which part of the data.
        checkpoint: The final weights of a run, or the best by validation.
        recipe: Which text the run was trained by.
        json: Print JSON.
    """
    from flaxmill.commands import asking
    from flaxmill.machine.progress import figures

    asked = asking.open_model(model, format=format, checkpoint=checkpoint, **recipe.arguments())
    found = asking.evaluate(asked, data, split=split, **recipe.arguments())
    if json:
        terminal.show_json(found)
    else:
        terminal.show(f"{found['split']}: {figures(found)} on {found['examples']:,} examples")
        if absent := found.get("absent"):
            names = listed(absent, len(absent))
            terminal.show(f"none of them is of {names}: of that, nothing is known")
        terminal.show(f"step {found['step']:,}, weights {found['weights_sha256'][:16]}")
