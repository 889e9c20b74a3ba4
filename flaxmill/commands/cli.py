"""The commands: parse, import what is needed, do, print.

Nothing heavy is imported before a command asks for it, so that help comes at once. Parameters
before the ``/`` of a command are its positional arguments, the others its options.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from flaxmill.commands import exit_status
from flaxmill.commands.check import check
from flaxmill.commands.fetch import fetch
from flaxmill.commands.prepare import prepare
from flaxmill.commands.report import look, report
from flaxmill.commands.serve import serve
from flaxmill.errors import BadInput, listed, nearest
from flaxmill.machine import stopping, terminal
from flaxmill.machine.program import quote, typed
from flaxmill.recipes.loading.trust import RECORDED, RecipeText

_WIDEST = 100
"""Columns of a line for people, at most."""

Checkpoint = Literal["final", "best"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its status.

    Args:
        arguments: By default those of this process, which is the command's own then.
    """
    own = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    exit_status.speak_plainly()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        exit_status.print_if_read(*_overview())
    elif arguments[0] == "--version":
        from importlib import metadata

        terminal.show(f"flaxmill {metadata.version('flaxmill')}")
    else:
        exit_status.leave_with(lambda: _status(*arguments), own=own)


def _overview() -> list[str]:
    width = max(map(len, COMMANDS))
    lines = [
        "flaxmill trains, looks at, ships and serves deep-learning models on JAX and Flax.",
        "",
        f"  {typed('train fashion_mnist')}     a trained clothing classifier in 15 seconds",
        "",
        f"Commands ({typed('COMMAND --help')} says more):",
    ]
    for name, command in COMMANDS.items():
        headline = (command.__doc__ or "").partition("\n")[0].rstrip(".")
        lines.append(f"  {name:{width}}  {headline}")
    return lines


def _status(name: str, *arguments: str) -> int:
    """Runs a command; returns the exit status that its end deserves."""

    def command() -> None:
        if name not in COMMANDS:
            raise BadInput(f"there is no command {name!r}.{nearest(name, COMMANDS)}")
        if name in ("train", "lr-find"):
            COMMANDS[name](list(arguments))
        else:
            _parse(COMMANDS[name], typed(name), list(arguments), flag_pairs=False)

    return exit_status.after(command, usual=name == "serve")  # from its first moment on


def _parse(
    target: Any, program: str, arguments: list[str], *, flag_pairs: bool = True, **how: Any
) -> Any:
    import tyro
    from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

    for name, kind in getattr(target, "__annotations__", {}).items():
        if name.endswith("_"):  # a word of Python, which the option's name may be
            target.__annotations__[name] = Annotated[kind, arg(name=name[:-1])]
    style = (OmitArgPrefixes,) if flag_pairs else (OmitArgPrefixes, FlagCreatePairsOff)
    with terminal.parsing(arguments):
        return tyro.cli(target, args=arguments, prog=program, config=style, **how)


# The commands, in the order of their help.


def list_recipes() -> None:
    """List the recipes: what each trains, on which data, and what to expect."""
    from flaxmill import recipes

    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    terminal.show(*recipes.listed(width))


def train(arguments: list[str]) -> None:
    """Train a recipe; the same command again goes on where it stopped."""
    if (recipe := _recipe_of("train", arguments)) is None:
        return
    from flaxmill.commands.order import from_command
    from flaxmill.commands.train import fulfil
    from flaxmill.machine.clock import Clock
    from flaxmill.machine.progress import Words

    order = from_command(recipe, arguments[1:], typed(f"train {arguments[0]}"))
    fulfil(order, Words(), Clock())


def lr_find(arguments: list[str]) -> None:
    """Find a learning rate for a recipe: try a range of them in one short training."""
    if (recipe := _recipe_of("lr-find", arguments)) is None:
        return
    from flaxmill.commands.lr_find import command

    command(recipe, arguments[1:], typed(f"lr-find {arguments[0]}"))


def _recipe_of(command: str, arguments: list[str]) -> Any:
    """Returns the recipe that a command names first; None where it asks for help alone."""
    from flaxmill import recipes

    if arguments and not arguments[0].startswith("-"):
        return recipes.load(arguments[0])
    if not arguments or arguments[0] not in ("-h", "--help"):
        raise BadInput(
            f"{command} takes the recipe first: {typed(f'{command} RECIPE [OPTIONS]')}."
            + nearest("", recipes.names())
        )
    terminal.show(f"usage: {typed(command)} RECIPE [--preset NAME] [OPTIONS]", "")
    list_recipes()
    terminal.show("", f"{typed(f'{command} RECIPE --help')} lists all options of a recipe.")
    return None


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
    from flaxmill.commands import predict
    from flaxmill.machine.progress import figures

    asked = predict.open_model(model, format=format, checkpoint=checkpoint, **recipe.said())
    found = predict.evaluate(asked, data, split=split, **recipe.said())
    if json:
        terminal.show_json(found)
    else:
        terminal.show(f"{found['split']}: {figures(found)} on {found['examples']:,} examples")
        if absent := found.get("absent"):
            names = listed(absent, len(absent))
            terminal.show(f"none of them is of {names}: of that, nothing is known")
        terminal.show(f"step {found['step']:,}, weights {found['weights_sha256'][:16]}")


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
    from flaxmill.commands import predict

    if not files:
        raise BadInput(f"predict takes pictures after the model: {typed('predict RUN PICTURE …')}")
    if top < 1:
        raise BadInput(f"--top {top}: give 1 or more.")
    asked = predict.open_model(model, format=format, checkpoint=checkpoint, **recipe.said())
    predict.predict(asked, files, top=top, json=json, look=look)


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
            TrainedRun(run, checkpoint=checkpoint, **recipe.said()),
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


def fork(recipe: str, file: Path | None = None, /) -> None:
    """Copy a recipe into a file of yours, to change its loop.

    Args:
        recipe: The recipe to copy.
        file: The new file; by default the recipe's name, here.
    """
    from flaxmill import recipes

    made = recipes.fork(recipe, file)
    terminal.show(f"wrote {made}; change it, then: {typed(f'train {quote(made)}')}")


def doctor() -> None:
    """Say what is installed and found here, what is wrong, and how to mend it."""
    from flaxmill.commands import doctor as checks

    checks.examine()


COMMANDS: dict[str, Callable[..., None]] = {
    "recipes": list_recipes,
    "train": train,
    "lr-find": lr_find,
    "evaluate": evaluate,
    "predict": predict,
    "look": look,
    "report": report,
    "export": export,
    "serve": serve,
    "fork": fork,
    "fetch": fetch,
    "check": check,
    "prepare": prepare,
    "doctor": doctor,
}
