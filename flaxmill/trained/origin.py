"""Where a model came from: the recipe, config and data that its identity names."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flaxmill import recipes
from flaxmill.data.matching import match_classes
from flaxmill.data.places import path_of
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, nearest, quoted, short
from flaxmill.machine.program import quote
from flaxmill.recipes import Recipe
from flaxmill.recipes.loading import border, trust
from flaxmill.recipes.loading.configs import unfit, with_tuples
from flaxmill.tasks.signature import Signature

_UNDIVIDED = {"validation": 0, "test": 0.15}
"""Fields of a config that divide few examples as well as many."""


_MESSAGE = 600  # most letters of a message about data, which may quote any name


class Origin:
    """Finds the recipe, config and data of a run, or of an export of it.

    Args:
        where: The run or export, for messages.
        identity: The content of the run's ``config.json``.
        recipe: The recipe, if it is loaded already, or the path of a file that holds its text.
        record: Where the run recorded the recipe's text; it need not be there.
        trust: Whether a recipe file may be run that was never trained here.
    """

    def __init__(
        self,
        where: str,
        identity: Mapping[str, Any],
        recipe: Recipe | str | None = None,
        *,
        record: str | Path,
        trust: bool = False,
    ) -> None:
        self._where, self._identity, self._recipe_or_path = where, identity, recipe
        self._record, self._trust = Path(record), trust

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The recipe that was trained: one of flaxmill's by its name, a file of one's own by text.

        That text is looked for where the file lay, and then in the run's record of it.

        Raises:
            BadInput: It is nowhere; or it was never trained here, and ``trust`` is False.
        """
        if isinstance(self._recipe_or_path, Recipe):
            return self._recipe_or_path
        file = self._identity["recipe_file"]
        if self._recipe_or_path is None and file is None:
            name = self._identity["recipe"]
            if name not in recipes.names():  # such as a path, which would be run
                raise BadInput(
                    f"{self._where} was trained by the recipe {name!r} of flaxmill, and there is "
                    f"none.{nearest(name, recipes.names())}"
                )
            return recipes.load(name)
        digest = self._identity["recipe_sha256"]
        if self._recipe_or_path is not None:
            file = self._recipe_or_path
            return self._of(Path(file), self._text_of_file(file, digest))
        for place in (Path(file), self._record):
            text = _text_in(place)
            if text is None or recipes.digest(text) != digest:
                continue
            if not (self._trust or trust.knows(digest)):
                raise BadInput(
                    f"{self._where} was trained by a recipe file of its own, which was not trained "
                    f"on this machine by you, and nothing is run unasked. Read {place}; then give "
                    f"--trust to run it, or --recipe {quote(place)}."
                )
            return self._of(place, text)
        changed = "was edited since" if Path(file).is_file() else "is gone"
        raise BadInput(
            f"the recipe of {self._where} lay at {file} and {changed}: give --recipe FILE with "
            f"the text of then. {self._describe_record(digest)}"
        )

    @property
    def recorded(self) -> str:
        """The run's record of its recipe's text; empty where there is none, or another."""
        text = _text_in(self._record) or ""
        return text if recipes.digest(text) == self._identity["recipe_sha256"] else ""

    def _text_of_file(self, file: str, digest: str) -> str:
        """Returns the text of the file of ``--recipe``, which may run because a person named it."""
        if not Path(file).is_file():
            raise BadInput(
                f"--recipe {file}: there is no such file. {self._describe_record(digest)}"
            )
        text = recipes.read(file)
        if recipes.digest(text) != digest:
            raise BadInput(
                f"--recipe {file} is not what {self._where} was trained by: its text has the "
                f"digest {recipes.digest(text)[:12]}, not {digest[:12]}. Give one with the text "
                f"of then. {self._describe_record(digest)}"
            )
        return text

    def _of(self, file: Path, text: str) -> Recipe:
        return recipes.executed(file.resolve(), text, self._identity["recipe"])

    def _describe_record(self, digest: str) -> str:
        text = _text_in(self._record)
        if text is None:
            return f"There is no record of it at {self._record}."
        if recipes.digest(text) != digest:
            return f"{self._record} is no record of it any more: its text was changed."
        return f"A record of it is {self._record}."

    @functools.cached_property
    def config(self) -> Any:
        """The config that was trained, as the recipe's own class."""
        fields = {name: with_tuples(value) for name, value in self._identity["config"].items()}
        module = self.recipe.module
        fields = getattr(module, "BEFORE", {}) | fields
        # A recipe file of one's own may have fields of any type.
        if self.recipe.file is None and (wrong := unfit(module.Config, fields)):
            name, expected = wrong
            raise BadInput(
                f"{self._where} says that it was trained with {name}={quoted(fields[name], 40)}, "
                f"expected {expected}: its config was damaged or edited by hand. Restore it from a "
                f"copy, or train again."
            )
        try:
            return module.Config(**fields)
        except TypeError as error:
            raise BadInput(
                f"{self._where} was trained by another version of {self._identity['recipe']}, "
                f"whose config had other fields ({error}): give --recipe FILE with the text of "
                f"then. {self._describe_record(self._identity['recipe_sha256'])}"
            ) from None

    def splits(self, data: str | None = None, signature: Signature | None = None) -> Splits:
        """Returns the data that was trained on, or the same kind of data from another place.

        Args:
            data: The other place. All of it is the test, unless it says itself what is, or has what
                the run was trained on: then the test is what it was then.
            signature: Of the model: the classes of the data there are matched with its own by name,
                in any order, and may be fewer.

        Raises:
            BadInput: The run's own data is not there, or has other content than when it trained;
                or the data of the other place has a class that the model does not know.
        """
        if data is not None:
            splits = self._elsewhere(data)
            if signature is not None and splits.fitted is not None:  # as this model takes it
                own = splits.fitted(signature.preprocess, signature.sizes)
                splits = dataclasses.replace(splits, **own)
            if signature is not None and signature.labels:
                how = {"gives": signature.gives, "where": self._where}
                splits = match_classes(splits, signature.labels, **how)
            digests = self._identity.get("data", {}).get("digests")
            if splits.whole is None or dict(splits.digests) == digests:
                return splits
            return dataclasses.replace(splits, test=splits.whole)
        trained_on = self._identity["data"]
        try:
            splits = self._own(trained_on)
        except OSError as error:  # such as a name that is too long
            raise BadInput(
                f"the data that {self._where} was trained on cannot be read "
                f"({(error.strerror or str(error)).lower()}): give its place with --data."
            ) from None
        except BadInput as trouble:
            if "--data" in str(trouble):
                raise
            first, *more = trouble.lines
            raise BadInput(
                f"{short(first, _MESSAGE)} That is the data which {self._where} was trained on: "
                "--data gives another place.",
                *more,
            ) from trouble
        if dict(splits.digests) != trained_on["digests"]:
            raise BadInput(
                f"{self._where} was trained on {trained_on['title']}; what is here now "
                f"({splits.title}) has other content: put the data of then back, or give --data."
            )
        return splits

    def _own(self, trained_on: Mapping[str, Any]) -> Splits:
        """Returns the data that was trained on, wherever it lies now."""
        config = self.config
        if getattr(config, "data", None) == "auto":  # what it came to then, not what it is now
            data = "sketches" if trained_on["drawn"] else type(config).data
            config = dataclasses.replace(config, data=data)
        elif place := trained_on.get("place"):  # where it lay; else as the config says, from here
            path = path_of(config.data)
            config = dataclasses.replace(
                config, data=str(path) if path and not Path(place).exists() else place
            )
        return border.splits(self.recipe, config)

    def _elsewhere(self, data: str) -> Splits:
        """Returns the data of another place, divided as the run divided its own where that fits.

        Fewer examples than the run held out may be there, and be a test for all that.
        """
        config = dataclasses.replace(self.config, data=data)
        try:
            return border.splits(self.recipe, config)
        except BadInput:
            undivided = {name: share for name, share in _UNDIVIDED.items() if hasattr(config, name)}
            fixed = any(isinstance(getattr(config, name), int) for name in undivided)
            if not fixed or not Path(data).exists():
                raise
            try:
                return border.splits(self.recipe, dataclasses.replace(config, **undivided))
            except BadInput:
                pass  # the number of examples was not the problem
            raise


def _text_in(file: Path) -> str | None:
    """Returns the text of a recipe file; None where there is none that can be read."""
    try:
        return recipes.read(file) if file.is_file() else None
    except BadInput:
        return None
