"""Commands run in the process of a test, as a person types them; and which options each takes."""

import functools
import inspect
import re

import pytest

from flaxmill import recipes
from flaxmill.commands import cli, lr_find
from flaxmill.training.options import option_names, option_spellings, training_arguments


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs a command in this process; returns its status and what it printed.

    A message that names an option must mean one of this command, or of one that it shows whole.
    """
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments])
    printed = capsys.readouterr()
    if arguments[0] in cli.COMMANDS:
        assert not foreign_options(arguments, printed.err)
    return int(end.value.code or 0), printed.out, printed.err


def words(text: str) -> str:
    """Returns a message without the frame and the line ends that a narrow terminal gives it."""
    return " ".join(text.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


def named_options(text: str) -> list[str]:
    """Returns the options that a text names, whatever commands they are of."""
    found = re.findall(r"(?<![\w(-])--[a-z][a-z0-9-]*|(?<=(?<!var)\()--[a-z][a-z0-9-]*", text)
    return [one for one in found if not one.endswith("-")]  # that is the beginning of some


def foreign_options(arguments: tuple[str, ...], message: str) -> list[str]:
    """Returns the options in a message that no command takes which was typed or is shown in it."""
    shown = re.findall(rf"flaxmill ({'|'.join(cli.COMMANDS)})\b", message)
    known = set().union(*(options(name) for name in {arguments[0], *shown}))
    return [one for one in named_options(message) if one not in known.union(arguments)]


@functools.cache
def options(name: str) -> set[str]:
    """Returns every option of a command; of a training command, those of all recipes."""
    if name in ("train", "lr-find"):
        kind = training_arguments if name == "train" else lr_find.arguments
        configs = [recipes.load(recipe).module.Config for recipe in recipes.names()]
        return {"--help", "--preset"}.union(*(option_names(kind(config)) for config in configs))
    parameters = inspect.signature(cli.COMMANDS[name]).parameters.values()
    found = {"--help"}
    for one in parameters:
        if one.kind == one.KEYWORD_ONLY:
            found.update(option_spellings(one.name, one.annotation))
    return found
