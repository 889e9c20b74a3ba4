"""Recipes: one readable file each, from data to trained model; found by listing this folder."""

import ast
import dataclasses
import hashlib
import importlib
import inspect
import io
import json
import linecache
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from flaxmill.errors import BadInput, describe, nearest
from flaxmill.machine import files
from flaxmill.machine.program import command_line, quote
from flaxmill.recipes.loading import mistakes

FOLDER = Path(__file__).parent

_MOST = 4_000_000
"""Most characters of a recipe: a run of somebody else may name any file, which is then read."""

# What a recipe file has, in this order.
PARTS = (
    "Config",
    "PRESETS",
    "data",
    "signature",
    "model",
    "optimizer",
    "augment",
    "loss",
    "measure",
    "train",
)


def names() -> list[str]:
    """Returns the names of the recipes that come with flaxmill."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def text(name: str) -> str:
    """Returns the text of a recipe that comes with flaxmill."""
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def headline(recipe: str) -> str:
    """Returns the first line of a recipe's docstring, given its text; nothing is imported."""
    return _docstring(recipe).partition("\n")[0]


def expectation(recipe: str) -> str:
    """Returns the sentences about data and result in a recipe's docstring, given its text."""
    whole = " ".join(_docstring(recipe).split())
    return " ".join(re.findall(r"\b(?:Data|Expected): .*?\.(?= |$)", whole))  # a sentence each


def listed(width: int) -> list[str]:
    """Returns lines that list the recipes with what is expected of each.

    Args:
        width: Columns of a line.
    """
    indent, lines = max(map(len, names())) + 2, []
    for name in names():
        for column, words in ((name, headline(text(name))), ("", expectation(text(name)))):
            lines += textwrap.wrap(
                words,
                max(width, 40),
                initial_indent=f"{column:{indent}}",
                subsequent_indent=" " * indent,
                break_on_hyphens=False,
            )
    return lines


def _docstring(recipe: str) -> str:
    return ast.get_docstring(ast.parse(recipe)) or ""


@dataclass(frozen=True)
class Recipe:
    """A recipe that was loaded.

    Attributes:
        name: Its name, or a fork's file name without ``.py``.
        module: Holds the recipe's parts.
        file: Where a fork lies; None for a recipe that comes with flaxmill.
        text: What was loaded.
    """

    name: str
    module: ModuleType
    file: Path | None
    text: str

    @property
    def sha256(self) -> str:
        """Digest of its text."""
        return digest(self.text)

    @property
    def default_preset(self) -> str:
        """The preset of a command that names none: ``quick``, or the first."""
        presets = self.module.PRESETS
        return "quick" if "quick" in presets else next(iter(presets))

    def takes(self, part: str, *args: Any, **kwargs: Any) -> bool:
        """Returns whether a part can be called with so many values."""
        try:
            inspect.signature(getattr(self.module, part)).bind(*args, **kwargs)
        except TypeError:
            return False
        except ValueError:  # a function without a signature
            return True
        return True

    def call(self, part: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a part of the recipe.

        Raises:
            BadInput: Something went wrong in a file of one's own; the message names the line.
        """
        function = getattr(self.module, part)
        if self.file is not None and not self.takes(part, *args, **kwargs):
            raise BadInput(
                f"{part}() in {self.file} takes {inspect.signature(function)}, and is called with "
                f"{len(args) + len(kwargs)} value(s), as that of fashion_mnist: see docs/fork.md."
            )
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if (message := mistakes.as_bad_input(error, self.file)) is None:
                raise
            raise message from error

    def preset(self, name: str | None = None) -> Any:
        """Returns the config of a preset, by default of the default one.

        Raises:
            BadInput: There is no such preset.
        """
        name, presets = name or self.default_preset, self.module.PRESETS
        if name not in presets:
            raise BadInput(f"{self.name} has no preset {name!r}.{nearest(name, presets)}")
        return presets[name]


def is_recipe(word: str) -> bool:
    """Returns whether a word means a recipe: the name of one, or a ``.py`` file."""
    return word.endswith(".py") or word.replace("-", "_") in names()


def load(recipe: str) -> Recipe:
    """Loads a recipe by name (hyphens and underscores alike), or from a ``.py`` file.

    Raises:
        BadInput: There is no such recipe or file, the file cannot be run, or it lacks a part.
    """
    if recipe.endswith(".py"):
        file = Path(recipe).resolve()
        return executed(file, read(recipe), file.stem)
    name = recipe.replace("-", "_")
    if name not in names():
        if Path(recipe).is_dir():
            raise BadInput(
                f"{recipe} is a folder, not a recipe: the recipe images trains on the pictures in "
                f"a folder ({command_line(f'train images --data {quote(recipe)}')})."
            )
        raise BadInput(
            f"no recipe is called {recipe!r}.{nearest(name, names())} A recipe of your own is "
            f"given by its file, such as ./{name}.py."
        )
    return Recipe(name, importlib.import_module(f"flaxmill.recipes.{name}"), None, text(name))


def read(file: str | Path) -> str:
    """Returns the text of a recipe file; nothing of it is run.

    Raises:
        BadInput: There is no such file, or it is no text, or far more than a recipe is.
    """
    try:
        with io.TextIOWrapper(files.open_regular(file), encoding="utf-8") as text:
            content = text.read(_MOST + 1)
    except FileNotFoundError:
        raise BadInput(f"there is no recipe file {file}: check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the recipe file {file} cannot be read: {error}.") from None
    if len(content) > _MOST:
        raise BadInput(f"the recipe file {file} has more than {_MOST:,} characters.")
    return content


def executed(file: Path, content: str, name: str) -> Recipe:
    """Runs the text of a recipe file; returns the recipe.

    Args:
        file: Where it lies.
        content: The very text that is run, whatever the file holds by now.
        name: What the recipe is called.

    Raises:
        BadInput: It cannot be run, or it lacks a part of a recipe.
    """
    return Recipe(name, _module_of(file, content), file, content)


def digest(content: str) -> str:
    """Returns the digest that identifies the text of a recipe."""
    return hashlib.sha256(content.encode()).hexdigest()


def fork(recipe: str, to: Path | None = None) -> Path:
    """Copies a recipe into a file of one's own.

    Args:
        recipe: Name of a recipe.
        to: The new file; by default the recipe's name in the current folder.

    Raises:
        BadInput: There is no such recipe, or the file exists.
    """
    source = load(recipe)
    target = to or Path(f"{source.name}.py")
    if target.suffix != ".py":
        raise BadInput(f"{target}: a recipe is a Python file; give a name that ends in .py.")
    if target.exists():
        raise BadInput(f"{target} exists and is not overwritten: give another name.")
    files.write_atomic(target, source.text)
    return target


def _module_of(file: Path, content: str) -> ModuleType:
    """Runs a recipe file as a module: the very text, never compiled code of an older one."""
    # Two versions of a file, of two runs that are compared, are two modules.
    module = ModuleType(f"flaxmill_fork_{file.stem}_{digest(content)[:12]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses look their module up by name
    lines = content.splitlines(keepends=True)  # what messages quote, though the file be edited
    linecache.cache[str(file)] = (len(content), None, lines, str(file))
    try:
        exec(compile(content, str(file), "exec"), module.__dict__)
    except SyntaxError as error:
        raise BadInput(f"{file}, line {error.lineno}: {error.msg}.") from None
    except Exception as error:
        raise mistakes.as_bad_input(error, file) or BadInput(f"{file}: {error}.") from error
    _check(file, module)
    return module


def _check(file: Path, module: ModuleType) -> None:
    """Refuses a module that is no recipe: a part is missing, or is of another kind."""
    missing = [part for part in PARTS if not getattr(module, part, None)]
    if missing:
        raise BadInput(
            f"{file} is not a recipe: it lacks {', '.join(missing)}. "
            f"Start from a copy: {command_line(f'fork fashion_mnist {quote(file.name)}')}"
        )
    for part in PARTS:
        if part != "PRESETS" and not callable(getattr(module, part)):
            raise BadInput(
                f"{file}: {part} is {describe(getattr(module, part))}, and not a function."
            )
    config = module.Config
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise BadInput(
            f"{file}: Config is no dataclass: write @dataclass(frozen=True) above its class, and a "
            f"type for each field, such as epochs: float = 2.0."
        )
    presets = module.PRESETS
    if not isinstance(presets, Mapping) or not all(isinstance(name, str) for name in presets):
        raise BadInput(
            f"{file}: PRESETS is {describe(presets)}: give names and configs, "
            f'{{"quick": Config()}}.'
        )
    for name, preset in presets.items():
        if not isinstance(preset, config):
            raise BadInput(
                f"{file}: PRESETS[{name!r}] is {describe(preset)}: give a Config, such as Config()."
            )
        for field, value in dataclasses.asdict(preset).items():
            _check_field(f"{file}: {field} of PRESETS[{name!r}]", value)


def _check_field(where: str, value: Any) -> None:
    """Refuses a value that a run could not write into its config.json."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise BadInput(
            f"{where} is {describe(value)}: a field holds a number, a text, a truth value, None, "
            f"or a tuple of such, for it is written down and compared when the run goes on."
        ) from None
