"""The commands: parse, import what is needed, do, print.

Nothing heavy is imported before a command asks for it, so that help comes at once. Parameters
before the ``/`` of a command are its positional arguments, the others its options.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from flaxmill.commands import exit_status
from flaxmill.commands.check import check
from flaxmill.commands.evaluate import evaluate
from flaxmill.commands.export import export
from flaxmill.commands.fetch import fetch
from flaxmill.commands.fork import fork
from flaxmill.commands.predict import predict
from flaxmill.commands.prepare import prepare
from flaxmill.commands.recipes import list_recipes
from flaxmill.commands.report import look, report
from flaxmill.commands.serve import serve
from flaxmill.errors import BadInput, nearest
from flaxmill.machine import terminal
from flaxmill.machine.program import command_line


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
        exit_status.exit_with(lambda: _status(*arguments), own=own)


def _overview() -> list[str]:
    width = max(map(len, COMMANDS))
    lines = [
        "flaxmill trains, looks at, ships and serves deep-learning models on JAX and Flax.",
        "",
        f"  {command_line('train fashion_mnist')}     a trained clothing classifier in 15 seconds",
        "",
        f"Commands ({command_line('COMMAND --help')} says more):",
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
            _parse(COMMANDS[name], command_line(name), list(arguments), flag_pairs=False)

    return exit_status.run_command(command, usual=name == "serve")  # from its first moment on


def _parse(
    target: Any, program: str, arguments: list[str], *, flag_pairs: bool = True, **how: Any
) -> Any:
    import tyro
    from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

    for name, kind in getattr(target, "__annotations__", {}).items():
        if name.endswith("_"):  # a word of Python, which the option's name may be
            target.__annotations__[name] = Annotated[kind, arg(name=name[:-1])]
    style = (OmitArgPrefixes,) if flag_pairs else (OmitArgPrefixes, FlagCreatePairsOff)
    with terminal.plain_parser_errors(arguments):
        return tyro.cli(target, args=arguments, prog=program, config=style, **how)


# The commands, in the order of their help.


def train(arguments: list[str]) -> None:
    """Train a recipe; the same command again goes on where it stopped."""
    if (recipe := _recipe_of("train", arguments)) is None:
        return
    from flaxmill.commands.request import from_command
    from flaxmill.commands.train import execute
    from flaxmill.machine.clock import Clock
    from flaxmill.machine.progress import Words

    request = from_command(recipe, arguments[1:], command_line(f"train {arguments[0]}"))
    execute(request, Words(), Clock())


def lr_find(arguments: list[str]) -> None:
    """Find a learning rate for a recipe: try a range of them in one short training."""
    if (recipe := _recipe_of("lr-find", arguments)) is None:
        return
    from flaxmill.commands.lr_find import command

    command(recipe, arguments[1:], command_line(f"lr-find {arguments[0]}"))


def _recipe_of(command: str, arguments: list[str]) -> Any:
    """Returns the recipe that a command names first; None where it asks for help alone."""
    from flaxmill import recipes

    if arguments and not arguments[0].startswith("-"):
        return recipes.load(arguments[0])
    if not arguments or arguments[0] not in ("-h", "--help"):
        raise BadInput(
            f"{command} takes the recipe first: {command_line(f'{command} RECIPE [OPTIONS]')}."
            + nearest("", recipes.names())
        )
    terminal.show(f"usage: {command_line(command)} RECIPE [--preset NAME] [OPTIONS]", "")
    list_recipes()
    terminal.show("", f"{command_line(f'{command} RECIPE --help')} lists all options of a recipe.")
    return None


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
