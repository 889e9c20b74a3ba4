"""`flaxmill predict`: what a model says of a person's own."""

from pathlib import Path
from typing import Literal

from flaxmill.commands.opening import Checkpoint
from flaxmill.errors import BadInput
from flaxmill.machine.program import command_line
from flaxmill.recipes.loading.trust import RECORDED, RecipeText


def predict(
    model: Path,
    files: tuple[str, ...],
    /,
    *,
    top: int = 3,
    format: Literal["stablehlo", "onnx", "int8"] | None = None,
    checkpoint: Checkpoint = "final",
    recipe: RecipeText = RECORDED,
    json: bool = False,
    look: bool = False,
) -> None:
    """Classify pictures of yours.

    Args:
        model: A run, or an export directory.
        files: Pictures, folders of them, or patterns; - reads one from standard input.
        top: How many classes to name for each.
        format: Which format of an export.
        checkpoint: The final weights of a run, or the best by validation.
        recipe: Which text the run was trained by.
        json: Print a line of JSON for each picture.
        look: Also write predictions.png, a sheet of the pictures as the model saw them.
    """
    from flaxmill.commands import inference

    if not files:
        raise BadInput(
            f"predict takes pictures after the model: {command_line('predict RUN PICTURE …')}"
        )
    if top < 1:
        raise BadInput(f"--top {top}: give 1 or more.")
    opened = inference.open_model(model, format=format, checkpoint=checkpoint, **recipe.arguments())
    inference.predict(opened, files, top=top, json=json, look=look)
