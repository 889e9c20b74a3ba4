"""The package has rooms: each uses those below it alone, and nothing goes in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import flaxmill

PACKAGE = Path(flaxmill.__file__).parent
ROOMS = (
    *("commands", "serve", "export", "report", "trained", "recipes", "training", "models"),
    *("tasks", "data", "maths", "devices", "machine", "errors"),
)
"""From the top downwards."""
METHODS = {"flaxmill.trained.run": {"look", "report", "export"}}
"""Methods of an opened run, for whoever has one: they import what they are when they are called."""


def modules() -> dict[str, Path]:
    """Returns the file of each module."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """Yields what a module imports of the package, in functions and for types alone too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    methods = METHODS.get(module, set())
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) and node.name in methods:
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "") in MODULES:
            for name in node.names:
                inside = f"{node.module}.{name.name}"
                yield inside if inside in MODULES else str(node.module)


def room(module: str) -> str:
    """Returns the room that a module is in; nothing for the package itself."""
    return module.split(".")[1] if "." in module else ""


IMPORTS = {module: set(imports(module)) for module in MODULES}


def test_every_module_is_in_a_room_and_they_are_as_few_as_a_person_takes_in() -> None:
    entries = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert entries - {"__init__", "__main__", "__pycache__", "py.typed"} == set(ROOMS)
    assert len(ROOMS) <= 14
    assert max(len(path.relative_to(PACKAGE).parts) for path in MODULES.values()) <= 4


def test_imports_lead_downwards() -> None:
    upwards = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if room(module) in ROOMS
        and room(other)
        and ROOMS.index(room(other)) < ROOMS.index(room(module))
    ]
    assert not upwards


def test_no_files_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as circle:
        raise AssertionError(" -> ".join(circle.args[1])) from None
