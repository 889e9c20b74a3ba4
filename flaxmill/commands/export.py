"""`flaxmill export`: a run's model as files that run elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from flaxmill.commands import exit_status
from flaxmill.commands.opening import Checkpoint
from flaxmill.machine import stopping, terminal
from flaxmill.machine.program import quote
from flaxmill.recipes.loading.trust import RECORDED, RecipeText


def export(
    run: Path,
    /,
    *,
    format: tuple[Literal["stablehlo", "onnx", "safetensors", "web"], ...] = (),
    quantize: Literal["int8"] | None = None,
    to: Path | None = None,
    data: str | None = None,
    checkpoint: Checkpoint = "final",
    licence: str = "",
    recipe: RecipeText = RECORDED,
    json: bool = False,
) -> None:
    """Write a run's model as files that run elsewhere, and check each of them.

    Args:
        run: A run directory.
        format: What to write; all but web if it is left out.
        quantize: Write the ONNX graph in eight-bit integers too.
        to: The directory to write; by default export in the run.
        data: Another place to take the data from to check on; if it is nowhere, inputs are made.
        checkpoint: The final weights, or the best by validation.
        licence: Of the model, in words; by default what its data says.
        recipe: Which text the run was trained by.
        json: Print the content of parity.json.
    """
    from flaxmill import export as exports
    from flaxmill.export.parity import words
    from flaxmill.trained.run import TrainedRun

    def say(name: str, row: Mapping[str, Any]) -> None:
        if not json:
            exit_status.print_if_read(words(name, row))

    with stopping.scope("stopped; nothing was exported, and what was there before stays."):
        written = exports.export(
            TrainedRun(run, checkpoint=checkpoint, **recipe.arguments()),
            to,
            formats=format,
            quantize=quantize,
            data=data,
            licence=licence,
            done=say,
        )
    if json:
        terminal.show_json(written.parity)
    else:
        terminal.show(f"each on {written.checked_on}; wrote {written.path}")
        if (page := written.path / "web").is_dir():
            way = f"python -m http.server -d {quote(page)}"
            terminal.show(f"{page} is the page: put it on any host, or {way}")
    if written.left_out:
        terminal.complain(f"flaxmill: {written.left_out}")
