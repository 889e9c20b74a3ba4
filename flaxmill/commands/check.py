"""`flaxmill check`: pictures, or the data of a recipe, looked over."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flaxmill.errors import BadInput, nearest
from flaxmill.machine import terminal

if TYPE_CHECKING:
    from flaxmill.data.check import Checked


def check(
    place: Path,
    /,
    *,
    sheet: Path | None = None,
    size: int = 0,
    separator: str = "",
    workers: int = 0,
    json: bool = False,
) -> None:
    """Check pictures: read each once, and say what is wrong and what to do.

    The exit status is 2 where something would stop a training or make its result worth little.

    Args:
        place: Pictures in any form that training takes, or a recipe, for its data.
        sheet: Also write a PNG of the oddest pictures, each with the reason.
        size: Side of the pictures that the model will take; smaller ones are named.
        separator: What stands between several labels of a picture, in a table.
        workers: Threads that read; 0 takes one for each processor.
        json: Print JSON.
    """
    from flaxmill.machine.progress import ReadingProgress

    if size < 0 or workers < 0:
        raise BadInput(f"--size {size} --workers {workers}: give 0 or more.")
    with ReadingProgress() as progress:
        how = {"size": size, "sign": separator, "workers": workers, "progress": progress}
        checked = checked_data(place, **how)
    if json:
        terminal.show_json(checked.json())
    else:
        terminal.show(*checked.lines())
    if sheet is not None:
        from flaxmill.report import oddest

        written = oddest.draw(checked, sheet)
        if not json:
            terminal.show(*written)
    if checked.serious:
        raise BadInput(
            f"{checked.serious} of {len(checked.findings)} findings in {place} would stop a "
            f"training or make its result worth little."
        )


def checked_data(place: Path, **how: Any) -> "Checked":
    """Checks pictures, or the data of a recipe; options as of `flaxmill.data.check.check`.

    Raises:
        BadInput: There is no such place or recipe, or its data is not there.
    """
    from flaxmill import recipes
    from flaxmill.data.check import check
    from flaxmill.recipes.loading import border

    if recipes.is_recipe(str(place)) and not place.is_dir():
        recipe = recipes.load(str(place))
        config, _ = border.resolved(recipe, recipe.preset())
        return check(place, splits=recipe.call("data", config), **how)
    if not place.exists():
        raise BadInput(
            f"there is no {place}: give a folder of pictures, a CSV file that lists them, or a "
            f"recipe.{nearest(place.name, recipes.names())}"
        )
    return check(place, **how)
