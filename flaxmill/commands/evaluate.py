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
    from flaxmill.commands import inference
    from flaxmill.machine.progress import figures

    opened = inference.open_model(model, format=format, checkpoint=checkpoint, **recipe.arguments())
    metrics = inference.evaluate(opened, data, split=split, **recipe.arguments())
    if json:
        terminal.show_json(metrics)
    else:
        terminal.show(f"{metrics['split']}: {figures(metrics)} on {metrics['examples']:,} examples")
        if absent := metrics.get("absent"):
            names = listed(absent, len(absent))
            terminal.show(f"none of them is of {names}: of that, nothing is known")
        terminal.show(f"step {metrics['step']:,}, weights {metrics['weights_sha256'][:16]}")
