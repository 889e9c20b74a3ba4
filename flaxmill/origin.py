"""Where a model came from: the recipe, config and data that its identity names."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flaxmill import recipes
from flaxmill.data import fetch
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput
from flaxmill.recipes import Recipe

_SHOWN = 5  # classes that a message names


class Origin:
    """Finds again what a run, or an export of it, was made of.

    Args:
        where: The run or export, for messages.
        identity: The content of the run's ``config.json``.
        recipe: The recipe, if it is loaded already, or a path where a fork lies now.
        record: Where a record of the recipe's text lies, for messages.
    """

    def __init__(
        self,
        where: str,
        identity: Mapping[str, Any],
        recipe: Recipe | str | None = None,
        *,
        record: str,
    ) -> None:
        self._where, self._identity, self._given, self._record = where, identity, recipe, record

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The recipe that was trained.

        Raises:
            BadInput: It is a fork that is gone, or was edited since.
        """
        if isinstance(self._given, Recipe):
            return self._given
        file = self._given or self._identity["recipe_file"]
        if file is None:
            return recipes.load(self._identity["recipe"])
        if not Path(file).is_file():
            if self._given:
                raise BadInput(f"--recipe {file}: there is no such file. {self._record}")
            raise BadInput(
                f"the recipe of {self._where} lay at {file} and is gone: give --recipe FILE. "
                f"{self._record}"
            )
        recipe = recipes.load(str(file))
        if recipe.sha256 != self._identity["recipe_sha256"]:
            raise BadInput(
                f"the recipe {file} was edited since {self._where} was trained: give --recipe FILE "
                f"with the text of then. {self._record}"
            )
        return recipe

    @functools.cached_property
    def config(self) -> Any:
        """The config that was trained, as the recipe's own class."""
        fields = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self._identity["config"].items()
        }
        try:
            return self.recipe.module.Config(**fields)
        except TypeError as error:
            raise BadInput(
                f"{self._where} was trained by another version of {self._identity['recipe']}, "
                f"whose config had other fields ({error}). {self._record}"
            ) from None

    def splits(self, data: str | None = None, *, labels: Sequence[str] = ()) -> Splits:
        """Returns the data that was trained on, or the same kind of data from another place.

        Args:
            data: The other place. All of it is the test, unless it says itself what is, or has what
                the run was trained on: then the test is what it was then.
            labels: The model's class names, which are to be those of the data there.

        Raises:
            BadInput: The run's own data is not there, or has other content than when it trained;
                or the data of the other place has other classes.
        """
        if data is not None:
            splits = self.recipe.module.data(dataclasses.replace(self.config, data=data))
            if labels and tuple(splits.labels) != tuple(labels):
                raise BadInput(
                    f"{self._where} knows {_shown(labels)}; {splits.title} has "
                    f"{_shown(splits.labels)}: give data with the same classes, named alike."
                )
            known = self._identity.get("data", {}).get("digests")
            if splits.whole is None or dict(splits.digests) == known:
                return splits
            return dataclasses.replace(splits, test=splits.whole)
        then, config = self._identity["data"], self.config
        if getattr(config, "data", None) == "auto":  # what it came to then, not what it is now
            data = "sketches" if then["drawn"] else type(config).data
            config = dataclasses.replace(config, data=data)
        elif place := then.get("place"):  # where it lay then; else as the config says it, from here
            here = fetch.path_of(config.data)
            config = dataclasses.replace(
                config, data=str(here) if here and not Path(place).exists() else place
            )
        splits = self.recipe.module.data(config)
        if dict(splits.digests) != then["digests"]:
            raise BadInput(
                f"{self._where} was trained on {then['title']}; what is here now ({splits.title}) "
                f"has other content: put the data of then back, or give --data."
            )
        return splits


def _shown(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return f"the classes {', '.join(map(repr, labels[:_SHOWN]))}{more}"
