"""What makes two runs the same run: recipe, config, seed, data, and first weights."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from flaxmill.machine import json_forms


@dataclass(frozen=True)
class Attempt:
    """The code that an attempt at a run was trained by.

    Attributes:
        version: Of flaxmill.
        recipe_sha256: Digest of the recipe's text.
    """

    version: str
    recipe_sha256: str

    def edited(self, recipe_sha256: str) -> bool:
        """Returns whether a recipe of flaxmill's was edited since, within the same version."""
        return self.version == version() and self.recipe_sha256 != recipe_sha256


def version() -> str:
    """Returns the version of flaxmill that is installed."""
    return metadata.version("flaxmill")


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same run.

    Attributes:
        recipe: The recipe's name.
        recipe_file: Where a fork lies; None for a recipe of flaxmill's.
        recipe_sha256: Digest of the recipe's text.
        preset: The preset the config began as; a name only.
        seed: The run's seed.
        config: Every field of the config.
        data: Title and digests of the data; None while they are not known.
        initial: Digest of the weights of ``--init-from``; None begins with the model's own.
        seeds: Number of models, of as many seeds from ``seed`` on.
        chosen: Why the config has the values that the recipe resolved, by field; for people.
    """

    recipe: str
    recipe_file: str | None
    recipe_sha256: str
    preset: str
    seed: int
    config: Mapping[str, Any]
    data: Mapping[str, Any] | None = None
    initial: str | None = None
    seeds: int = 1
    chosen: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def every_seed(self) -> tuple[int, ...]:
        """The seeds of all the models that are trained."""
        return tuple(range(self.seed, self.seed + self.seeds))

    def json(self) -> dict[str, Any]:
        """Returns what ``config.json`` holds: the number of seeds only where there are several."""
        fields = dataclasses.asdict(self)
        del fields["chosen"]
        if self.seeds == 1:
            del fields["seeds"]
        return {"format": json_forms.NEWEST, **fields}

    def differences(self, saved: Mapping[str, Any], last: Attempt | None = None) -> list[str]:
        """Lists how a recorded run differs, a line each; where the data lies does not count.

        Args:
            saved: The content of its ``config.json``.
            last: Its last attempt. A recipe of flaxmill's may have another text in another
                version, and the run goes on, but not in the same one.
        """
        lines = []
        if saved["seed"] != self.seed:
            lines.append(f"seed: {saved['seed']} there, {self.seed} now")
        if (seeds := saved.get("seeds", 1)) != self.seeds:
            lines.append(f"seeds: {seeds} there, {self.seeds} now")
        if self.data is not None and saved["data"]["digests"] != self.data["digests"]:
            lines.append(
                f"the data: {saved['data']['title']} there; what is given now "
                f"({self.data['title']}) has other content"
            )
        if saved["initial"] != self.initial:
            starts = [
                f"weights {d[:12]}" if d else "fresh" for d in (saved["initial"], self.initial)
            ]
            lines.append(f"--init-from: {starts[0]} there, {starts[1]} now")
        then = saved["config"]
        for name in sorted(then.keys() | self.config.keys()):
            before, now = then.get(name, "absent"), _through_json(self.config.get(name, "absent"))
            if name != "data" and before != now:
                lines.append(f"{name}: {before} there, {now} now")
        if (saved["recipe_file"] is None) != (self.recipe_file is None):
            places = [f or "the one of flaxmill" for f in (saved["recipe_file"], self.recipe_file)]
            lines.append(f"the recipe: {places[0]} there, {places[1]} now")
        elif self.recipe_file is not None and saved["recipe_sha256"] != self.recipe_sha256:
            lines.append(
                f"the recipe {self.recipe_file} was edited: its text had the digest "
                f"{saved['recipe_sha256'][:12]}, it has {self.recipe_sha256[:12]} now "
                f"(the text of then is in the run directory's recipe.py)"
            )
        elif self.recipe_file is None and last is not None and last.edited(self.recipe_sha256):
            lines.append(
                f"the recipe {self.recipe} of flaxmill {last.version} was edited: its text had "
                f"the digest {last.recipe_sha256[:12]}, it has {self.recipe_sha256[:12]} now "
                f"(the text that the run was begun by is in its recipe.py)"
            )
        return lines


def _through_json(value: Any) -> Any:
    """Returns a value as it comes back from JSON."""
    return json.loads(json.dumps(value))
