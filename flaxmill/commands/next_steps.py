"""What can be done with a run that was just trained: commands that run as they are printed."""

from typing import Any

from flaxmill.machine.program import command_line, quote, shell_path
from flaxmill.trained.run import TrainedRun


def next_commands(trained: TrainedRun) -> list[str]:
    """Returns commands to try next, each with why where its name does not say it.

    Args:
        trained: The run.
    """
    run = quote(trained.path)
    kind = trained.signature.output_kind
    page = "a page to try it, and " if kind.CLASSIFIES else ""
    return [
        *([command_line(f"look {run}")] if kind.CLASSIFIES else []),
        f"{command_line(f'predict {run}')} {trained.signature.input_kind.SUCH_AS}",
        f"{command_line(f'serve {run}')}    # {page}a service that clients speak to",
        f"{command_line(f'export {run}')}    # files that run elsewhere",
        _change(trained),
    ]


def _change(trained: TrainedRun) -> str:
    """Returns how to change the loop: copy it, or if it is a copy already, train it again."""
    identity = trained.identity
    if identity["recipe_file"] is None:
        fork = command_line(f"fork {trained.recipe_name} mine.py")
        return f"{fork}    # change the loop, then train mine.py"
    words = ["train", shell_path(identity["recipe_file"])]
    if identity["preset"] != trained.recipe.default_preset:
        words += ["--preset", quote(identity["preset"])]
    data = identity["config"].get("data")
    if data != _usual_data(trained):
        words += ["--data", quote(data)]
    return f"{command_line(' '.join(words))}    # after another edit: a run of its own"


def _usual_data(trained: TrainedRun) -> Any:
    return getattr(trained.recipe.preset(trained.identity["preset"]), "data", None)
