"""The manifest of a run: versions, hardware and data of every attempt."""

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from flaxmill.devices import parallel
from flaxmill.machine import files, json_forms
from flaxmill.machine.progress import Words
from flaxmill.tasks.signature import Signature
from flaxmill.training.directory import RunDirectory, is_lost
from flaxmill.training.identity import Identity, version


def begin_attempt(
    directory: RunDirectory,
    identity: Identity,
    signature: Signature,
    recipe: str,
    mesh: str | None,
    words: Words,
) -> int:
    """Records what is trained and on what; returns the number of attempts.

    The config is written last: with it, a run is begun.

    Args:
        directory: Of the run.
        identity: Of the run.
        signature: Of its model.
        recipe: The recipe's text.
        mesh: The devices that it is spread over, as in ``--mesh``.
        words: Tells the person if hardware or versions have changed.
    """
    environment = parallel.description() | {"mesh": mesh, "versions": _versions()}
    before = _before(directory, words)
    earlier = before["attempts"]
    _say_changes(directory, identity, environment, earlier, words)
    _say_written(before["data"], identity.data or {}, words)
    attempt = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "command": shlex.join(sys.argv),
        "recipe_sha256": identity.recipe_sha256,
        **environment,
    }
    manifest = {
        "format": json_forms.NEWEST,
        "recipe": identity.recipe,
        "preset": identity.preset,
        "seed": identity.seed,
        **({"seeds": identity.seeds} if identity.seeds > 1 else {}),
        **({"chosen": dict(identity.chosen)} if identity.chosen else {}),
        "git_commit": _git_commit(),
        "data": identity.data,
        "command": attempt["command"],
        "versions": attempt["versions"],
        "devices": attempt["devices"],
        "attempts": [*earlier, attempt],
    }
    files.write_json(directory.path / "manifest.json", manifest)
    record = directory.path / "recipe.py"
    if not directory.begun:
        signature.save(directory.path / "signature.json")
        files.write_atomic(record, recipe)
        files.write_json(directory.path / "config.json", identity.json())
    elif is_lost(record) and _begun_by(directory) == identity.recipe_sha256:
        words.say(f"{record} is missing or empty: it is written again.")
        files.write_atomic(record, recipe)
    return len(earlier) + 1


def _begun_by(directory: RunDirectory) -> str:
    return directory.read("config.json")["recipe_sha256"]


def _before(directory: RunDirectory, words: Words) -> dict[str, Any]:
    """Returns the manifest so far, or an empty one; tells the person if it was lost."""
    path = directory.path / "manifest.json"
    if directory.begun and not is_lost(path):
        return directory.read(path.name)
    if directory.begun:
        words.say(
            f"{path} is missing or empty: what it said of the attempts before is lost, and the "
            f"run goes on."
        )
    return {"attempts": [], "data": {}}


def _say_changes(
    directory: RunDirectory,
    identity: Identity,
    environment: Mapping[str, Any],
    earlier: Sequence[Mapping[str, Any]],
    words: Words,
) -> None:
    """Tells the person what differs between this attempt and the one before, if any."""
    if not earlier:
        return
    changed = [name for name, value in environment.items() if earlier[-1].get(name) != value]
    if changed:
        words.say(
            f"This attempt differs from the one before in {', '.join(changed)}: the order of the "
            f"examples and every random draw stay, the last bits of the weights may differ."
        )
    last = directory.last_attempt()
    if last is not None and last.recipe_sha256 != identity.recipe_sha256:
        words.say(
            f"The recipe {identity.recipe} has another text in flaxmill {version()} than in "
            f"{last.version}, which this run was trained by so far: the rest of it is trained by "
            f"the text of now. --init-from {directory.path} with another --run begins a run that "
            f"is trained by one text."
        )


def _say_written(then: Mapping[str, Any], now: Mapping[str, Any], words: Words) -> None:
    """Tells the person if files were rewritten that are too many to compare by their content."""
    stamps = [data.get("stamps") for data in (then, now)]
    if all(stamps) and stamps[0] != stamps[1]:
        words.say(
            f"The files of {now['title']} were written or copied since the attempt before. They "
            f"are too many to be compared as a whole: their names and sizes are the same, and "
            f"about a thousand of them. If any was changed, begin anew with --fresh."
        )


def _versions() -> dict[str, str]:
    packages = ("flaxmill", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    installed = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **installed}


def _git_commit() -> str | None:
    """Returns the commit of the folder one stands in, if it is a git checkout."""
    try:
        command = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return command.stdout.strip() or None
