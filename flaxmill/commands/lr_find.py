"""The command lr-find: its options, and its answer in words, in JSON and as a picture."""

from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any

from flaxmill.commands.range_test import RateCurve, check, find
from flaxmill.commands.request import from_arguments, parse
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

    def option(form: Any, words: str, **how: Any) -> Any:
        return Annotated[form, arg(help=words, **how)]

    fields = [
        ("steps", option(int, "Training steps to try rates in."), 150),
        ("first", option(float, "The lowest rate.", name="from"), 1e-5),
        ("last", option(float, "The highest rate.", name="to"), 10.0),
        ("out", option(Path | None, "The PNG to write; by default RECIPE-lr-find.png here."), None),
        ("json", option(bool, "Print JSON."), False),
    ]
    return make_dataclass("Arguments", fields, bases=(training_arguments(config),), frozen=True)


@cached_scans()
def command(recipe: Recipe, rest: list[str], program: str) -> None:
    """Tries rates as a command says, writes the curve, and prints what is suggested.

    Args:
        recipe: The recipe that was named.
        rest: What follows it.
        program: What was typed before them, for the help.
    """
    preset, options = parse(recipe, rest, program, arguments(recipe.module.Config))
    request = from_arguments(recipe, preset, options)
    check(request, options.steps, options.first, options.last)
    path = request.options.init_from
    initial = None if path is None else read_initial(path)
    request = request.resolved(initial)
    words = Words(quiet=options.json)
    trial = find(request, words, options.steps, options.first, options.last, initial)
    out = options.out or Path(f"{recipe.name}-lr-find.png")
    now = request.config.learning_rate
    title = f"{recipe.name} ({preset}): loss of {len(trial.losses)} steps of growing rate"
    figures.save_png(rates.draw(trial, now=now, title=title), out)
    if options.json:
        terminal.show_json(trial.json() | {"learning_rate": now, "picture": str(out)})
    else:
        terminal.show(*describe(trial, now), f"wrote {out}")


def describe(trial: RateCurve, now: float) -> list[str]:
    """Describes what was found, a line each.

    Args:
        trial: The range test.
        now: The learning rate of the recipe as it is.
    """
    first, last, curve = trial.rates[0], trial.rates[-1], trial.smoothed
    end = "it diverged" if trial.diverged else f"it was {curve[-1]:.3f}"
    lines = [
        f"The loss began at {curve[0]:.3f} and fell to {curve.min():.3f}; at {last:.2g} {end}."
    ]
    if trial.suggestion is None:
        return [
            *lines,
            f"No rate from {first:.2g} to {last:.2g} made the loss fall: nothing is suggested. Try "
            f"more --steps, or another range with --from and --to.",
        ]
    lines += [
        f"Up to {trial.suggestion:g} it stayed about as low as it ever was: the highest rate of a "
        f"schedule that rises and falls.",
        f"A rate that stays the same may have to be lower: the loss fell fastest at "
        f"{trial.steepest:.2g}, and a tenth of the rate where it was lowest is {trial.tenth:.2g}.",
        f"suggested --learning-rate {trial.suggestion:g}   (now {now:g})",
    ]
    if trial.suggestion > 0.9 * last:
        lines.insert(1, "The highest rate did no harm: a higher --to may tell more.")
    return lines
