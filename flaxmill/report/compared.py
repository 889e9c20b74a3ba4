"""Opens the runs of one page, whose recipes may be versions of one file."""

from collections.abc import Sequence
from pathlib import Path

from flaxmill import recipes
from flaxmill.errors import BadInput
from flaxmill.trained.run import TrainedRun
from flaxmill.training.directory import RunDirectory


def opened(
    paths: Sequence[Path], texts: Sequence[str] = (), *, trust: bool = False
) -> list[TrainedRun]:
    """Opens several runs, whose recipes may be versions of one file.

    Args:
        paths: The run directories.
        texts: Files that hold their recipes' texts; each serves the runs that were trained by it.
        trust: Run the recipe files that the runs were trained by, though never trained here.

    Raises:
        BadInput: A directory is no run, or none of them was trained by one of the files.
    """
    files = {recipes.digest(recipes.read(file)): file for file in texts}
    digests = [RunDirectory(path).read("config.json")["recipe_sha256"] for path in paths]
    for digest, file in files.items():
        if digest not in digests:
            runs = ", ".join(f"{path} ({it[:12]})" for path, it in zip(paths, digests, strict=True))
            raise BadInput(
                f"--recipe {file} is not what any of the runs was trained by: its text has the "
                f"digest {digest[:12]}, those of the runs have others: {runs}. Each run keeps a "
                f"record of its own in recipe.py."
            )
    return [
        TrainedRun(path, recipe=files.get(digest), trust=trust)
        for path, digest in zip(paths, digests, strict=True)
    ]
