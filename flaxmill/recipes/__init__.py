"""Recipes: one readable file each, from data to trained model; found by listing this folder."""

import ast
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from flaxmill import files
from flaxmill.errors import BadInput, nearest

FOLDER = Path(__file__).parent

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
    return _source(name, None).read_text(encoding="utf-8")


def headline(recipe: str) -> str:
    """Returns the first line of a recipe's docstring, given its text; nothing is imported."""
    return (ast.get_docstring(ast.parse(recipe)) or "").partition("\n")[0]


@dataclass(frozen=True)
class Recipe:
    """A recipe that was loaded.

    Attributes:
        name: Its name, or a fork's file name without ``.py``.
        module: Holds the recipe's parts.
        file: Where a fork lies; None for a recipe that comes with flaxmill.
        sha256: Digest of its text.
    """

    name: str
    module: ModuleType
    file: Path | None
    sha256: str

    @property
    def text(self) -> str:
        """The recipe's text."""
        return _source(self.name, self.file).read_text(encoding="utf-8")


def load(recipe: str) -> Recipe:
    """Loads a recipe by name (hyphens and underscores alike), or from a ``.py`` file.

    Raises:
        BadInput: There is no such recipe or file, the file cannot be run, or it lacks a part.
    """
    if recipe.endswith(".py"):
        file = Path(recipe).resolve()
        if not file.is_file():
            raise BadInput(f"there is no recipe file {recipe}: check the path.")
        return Recipe(file.stem, _module_of(file), file, files.sha256(file))
    name = recipe.replace("-", "_")
    if name not in names():
        raise BadInput(
            f"no recipe is called {recipe!r}.{nearest(name, names())} A recipe of your own is "
            f"given by its file, such as ./{name}.py."
        )
    module = importlib.import_module(f"flaxmill.recipes.{name}")
    return Recipe(name, module, None, files.sha256(_source(name, None)))


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


def _source(name: str, file: Path | None) -> Path:
    return file or FOLDER / f"{name}.py"


def _module_of(file: Path) -> ModuleType:
    """Runs a recipe file as a module."""
    name = f"flaxmill_fork_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadInput(f"{file}, line {error.lineno}: {error.msg}.") from None
    except ImportError as error:
        raise BadInput(f"{file} imports what is not there: {error}.") from None
    missing = [part for part in PARTS if not hasattr(module, part)]
    if missing:
        raise BadInput(
            f"{file} is not a recipe: it lacks {', '.join(missing)}. "
            f"Start from a copy: flaxmill fork fashion_mnist {file.name}"
        )
    return module
