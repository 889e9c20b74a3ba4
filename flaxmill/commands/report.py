"""The commands look and report: their options, and nothing heavy before they are understood."""

from pathlib import Path
from typing import Literal

from flaxmill.errors import BadInput
from flaxmill.machine import terminal
from flaxmill.machine.program import command_line
from flaxmill.recipes.loading.trust import RECORDED, RecipeText


def look(
    what: str,
    /,
    *,
    augmented: bool = False,
    wrong: bool = False,
    class_: tuple[str, ...] = (),
    split: Literal["train", "validation", "test"] | None = None,
    preset: str | None = None,
    data: str | None = None,
    recipe: RecipeText = RECORDED,
    to: Path | None = None,
) -> None:
    """Draw a sheet of a recipe's data, or of a run's predictions.

    Args:
        what: A recipe, or a run directory.
        augmented: Show training examples as augmentation changes them.
        wrong: Of a run, show wrong answers alone, the surest first.
        class_: Show examples with these labels alone.
        split: Which part of the data; by default a recipe's train, and a run's test.
        preset: Which of the recipe's presets.
        data: Another place to take the data from.
        recipe: Which text the run was trained by.
        to: The PNG to write.
    """
    from flaxmill.report import look as sheets

    sheet = sheets.draw(
        what,
        augmented=augmented,
        wrong=wrong,
        classes=class_,
        split=split,
        preset=preset,
        data_from=data,
        **recipe.arguments(),
        to=to,
    )
    terminal.show(*sheet.words.split("\n"), f"wrote {sheet.path}")


def report(
    runs: tuple[Path, ...],
    /,
    *,
    data: str | None = None,
    to: Path | None = None,
    open: bool = False,
    recipe: tuple[str, ...] = (),
    trust: bool = False,
) -> None:
    """Write one HTML page of a run, or of a comparison of several.

    Args:
        runs: Run directories.
        data: Another place to take their data from.
        to: The page to write; by default report.html in the run, or comparison.html here.
        open: Show it in the browser.
        recipe: Files with the texts that the runs were trained by, where they are not at hand.
        trust: Run the recipe files that the runs were trained by, though you never did here.
    """
    from flaxmill.report import evidence, page
    from flaxmill.report.compared import opened

    if not runs:
        raise BadInput(f"report takes run directories: {command_line('report RUN [RUN …]')}")
    target = to or (runs[0] / "report.html" if len(runs) == 1 else Path("comparison.html"))
    trained = opened(runs, recipe, trust=trust)
    page.write_page([evidence.subject(one, data) for one in trained], target)
    terminal.show(f"wrote {target}")
    if open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())
