"""The command lr-find: its options, and its answer in words, in JSON and as a picture."""

from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any

from flaxmill.commands.order import of, parse
from flaxmill.commands.range_test import Found, check, find
from flaxmill.data.listings.layouts import cached_scans
from flaxmill.machine import terminal
from flaxmill.machine.progress import Words
from flaxmill.recipes import Recipe
from flaxmill.report import figures, rates
from flaxmill.training.initial import read_initial
from flaxmill.training.options import training_arguments


def arguments(config: type) -> type:
    """Returns what ``lr-find`` takes beside recipe and preset: the options of train, and its own.

    Args:
        config: The recipe's kind of config.
    """
    from tyro.conf import arg

    def said(form: Any, words: str, **how: Any) -> Any:
        return Annotated[form, arg(help=words, **how)]

    of_test = [
        ("steps", said(int, "Training steps to try rates in."), 150),
        ("first", said(float, "The lowest rate.", name="from"), 1e-5),
        ("last", said(float, "The highest rate.", name="to"), 10.0),
        ("out", said(Path | None, "The PNG to write; by default RECIPE-lr-find.png here."), None),
        ("json", said(bool, "Print JSON."), False),
    ]
    return make_dataclass("Arguments", of_test, bases=(training_arguments(config),), frozen=True)


@cached_scans()
def command(recipe: Recipe, given: list[str], program: str) -> None:
    """Tries rates as a command says, writes the curve, and prints what is suggested.

    Args:
        recipe: The recipe that was named.
        given: What follows it.
        program: What was typed before them, for the help.
    """
    preset, asked = parse(recipe, given, program, arguments(recipe.module.Config))
    order = of(recipe, preset, asked)
    check(order, asked.steps, asked.first, asked.last)
    path = order.options.init_from
    initial = None if path is None else read_initial(path)
    order = order.settled(initial)
    words = Words(quiet=asked.json)
    found = find(order, words, asked.steps, asked.first, asked.last, initial)
    out = asked.out or Path(f"{recipe.name}-lr-find.png")
    now = order.config.learning_rate
    title = f"{recipe.name} ({preset}): loss of {len(found.losses)} steps of growing rate"
    figures.save_png(rates.draw(found, now=now, title=title), out)
    if asked.json:
        terminal.show_json(found.json() | {"learning_rate": now, "picture": str(out)})
    else:
        terminal.show(*said(found, now), f"wrote {out}")


def said(found: Found, now: float) -> list[str]:
    """Says what was found, a line each.

    Args:
        found: What was found.
        now: The learning rate of the recipe as it is.
    """
    first, last, curve = found.rates[0], found.rates[-1], found.smoothed
    end = "it diverged" if found.diverged else f"it was {curve[-1]:.3f}"
    lines = [
        f"The loss began at {curve[0]:.3f} and fell to {curve.min():.3f}; at {last:.2g} {end}."
    ]
    if found.suggestion is None:
        return [
            *lines,
            f"No rate from {first:.2g} to {last:.2g} made the loss fall: nothing is suggested. Try "
            f"more --steps, or another range with --from and --to.",
        ]
    lines += [
        f"Up to {found.suggestion:g} it stayed about as low as it ever was: the highest rate of a "
        f"schedule that rises and falls.",
        f"A rate that stays the same may have to be lower: the loss fell fastest at "
        f"{found.steepest:.2g}, and a tenth of the rate where it was lowest is {found.tenth:.2g}.",
        f"suggested --learning-rate {found.suggestion:g}   (now {now:g})",
    ]
    if found.suggestion > 0.9 * last:
        lines.insert(1, "The highest rate did no harm: a higher --to may tell more.")
    return lines
