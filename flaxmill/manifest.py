"""The manifest of a run: versions, hardware and data of every attempt."""

import platform
import shlex
import subprocess
import sys
import time
from importlib import metadata

from flaxmill import files, parallel
from flaxmill.data.source import Splits
from flaxmill.directory import Identity, RunDirectory
from flaxmill.errors import BadInput
from flaxmill.progress import Words
from flaxmill.signature import FORMAT


def begin_attempt(
    directory: RunDirectory, identity: Identity, splits: Splits, mesh: str | None, words: Words
) -> int:
    """Writes down on what this attempt runs; returns the number of attempts.

    Args:
        directory: Of the run.
        identity: Of the run.
        splits: Its data.
        mesh: The devices it is spread over, as asked for.
        words: Says so if the hardware is another than before.

    Raises:
        BadInput: The run was begun on other data.
    """
    path = directory.path / "manifest.json"
    hardware = parallel.description() | {"mesh": mesh}
    earlier = []
    if directory.begun:
        found = directory.read("manifest.json")
        earlier = found["attempts"]
        if found["data"]["digests"] != dict(splits.digests):
            raise BadInput(
                f"{directory.path} was begun on {found['data']['title']} with other content than "
                f"the data given now ({splits.title}): give the data of then with --data, or "
                f"another --run."
            )
        if earlier[-1]["hardware"] != hardware:
            changed = [k for k, v in hardware.items() if earlier[-1]["hardware"].get(k) != v]
            words.say(
                f"This attempt runs on other hardware ({', '.join(changed)}): the order of the "
                f"examples and every random draw stay, the last bits of the weights may differ."
            )
    attempt = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "hardware": hardware,
        "command": shlex.join(sys.argv),
    }
    manifest = {
        "format": FORMAT,
        "recipe": identity.recipe,
        "preset": identity.preset,
        "seed": identity.seed,
        "versions": _versions(),
        "git_commit": _git_commit(),
        "data": {"title": splits.title, "drawn": splits.drawn, "digests": dict(splits.digests)},
        "attempts": [*earlier, attempt],
    }
    files.write_json(path, manifest)
    return len(manifest["attempts"])


def _versions() -> dict[str, str]:
    packages = ("flaxmill", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def _git_commit() -> str | None:
    """Returns the commit of the folder one stands in, if it is a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
