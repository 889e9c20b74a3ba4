"""Errors in a recipe file of one's own, as messages with the line, without a traceback."""

import sys
import traceback
from pathlib import Path

from flaxmill.errors import BadInput, CannotGoOn, NotFinite

TRACEBACK = "FLAXMILL_TRACEBACK"
"""The environment variable that shows the whole traceback too."""

_LOOP = "train"  # the function of a recipe that calls what a training is made of
_PACKAGE = Path(__file__).parents[2]
_MOST = 600  # characters of an error, for some list all possible values


def as_bad_input(error: Exception, file: Path | None) -> BadInput | None:
    """Returns an error as a message about a recipe file of one's own; None if it is not its fault.

    It is if the error was raised there, or in something that the file called; but what the loop
    calls of flaxmill's may have a defect of ours, whose traceback is needed.

    Args:
        error: What was raised.
        file: The recipe file; None for a recipe of flaxmill's.
    """
    if file is None or isinstance(error, BadInput | CannotGoOn | NotFinite | MemoryError):
        return None
    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if _is_of_recipe(Path(frame.filename), file)]
    if not own:
        return None
    frame, called = frames[own[-1]], frames[own[-1] + 1 :]
    in_flaxmill = any(Path(inner.filename).is_relative_to(_PACKAGE) for inner in called)
    if frame.name == _LOOP and in_flaxmill:
        return None
    where = "" if frame.name == "<module>" else f", in {frame.name}"
    return BadInput(
        *f"{frame.filename}, line {frame.lineno}{where}: {_describe(error)}".split("\n"),
        *([f"    {frame.line}"] if frame.line else []),
        f"({TRACEBACK}=1 shows how it came to that.)",
    )


def of_inputs(error: Exception, file: Path | None, name: str) -> BadInput | None:
    """Returns the same for an error of asking a model, with what it takes of an example alone.

    Args:
        error: What was raised.
        file: The recipe file; None for a recipe of flaxmill's.
        name: Of what it takes.
    """
    problem = as_bad_input(error, file)
    if problem is None and file is not None and isinstance(error, TypeError):
        return BadInput(f"the model of {file} cannot be asked with its {name} alone: {error}")
    return problem


def _is_of_recipe(place: Path, file: Path) -> bool:
    """Returns whether code is of a recipe file, or of what lies beside it."""
    if place == file:
        return True
    libraries = (_PACKAGE, Path(sys.prefix), Path(sys.base_prefix))
    installed = any(place.is_relative_to(folder) for folder in libraries)
    return place.is_relative_to(file.parent) and not installed


def _describe(error: Exception) -> str:
    words = str(error).strip()
    if len(words) > _MOST:
        words = f"{words[:_MOST]} …"
    if isinstance(error, ModuleNotFoundError):
        words += _moved(error.name or "")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _moved(module: str) -> str:
    """Describes where a module of flaxmill's lies now, for recipes written before it moved."""
    package, _, name = module.rpartition(".")
    if package.partition(".")[0] != _PACKAGE.name:
        return ""
    paths = [*_PACKAGE.rglob(f"{name}.py"), *_PACKAGE.rglob(f"{name}/__init__.py")]
    places = {path.parent if path.stem == "__init__" else path.with_suffix("") for path in paths}
    modules = sorted(".".join(place.relative_to(_PACKAGE.parent).parts) for place in places)
    return f": it is {' or '.join(modules)} now" if modules else ""
