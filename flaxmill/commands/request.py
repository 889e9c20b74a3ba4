"""A request to train: recipe, config, seed, run directory and options."""

import argparse
import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaxmill import recipes
from flaxmill.commands import option_aliases
from flaxmill.data.places import path_of
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, nearest
from flaxmill.machine import terminal
from flaxmill.models import weights
from flaxmill.recipes import Recipe
from flaxmill.recipes.loading import border
from flaxmill.recipes.loading.configs import unfit, with_tuples
from flaxmill.training.identity import Identity
from flaxmill.training.options import Options, option_names, training_arguments

_OPTIONS = tuple(field.name for field in dataclasses.fields(Options))


@dataclass(frozen=True)
class TrainRequest:
    """What is to be trained, where and how.

    Attributes:
        recipe: The recipe.
        config: Its config.
        preset: The name of the preset that the config began as.
        seed: Everything random follows from it.
        seeds: Number of models, of as many seeds from ``seed`` on.
        run: The run directory; None finds or makes one in ``runs``.
        fresh: Begin anew; a run that is there is renamed.
        options: How the run is carried out.
        chosen: Why the recipe chose the values of its config that it did, by field.
    """

    recipe: Recipe
    config: Any
    preset: str
    seed: int
    run: Path | None = None
    fresh: bool = False
    options: Options = dataclasses.field(default_factory=Options)
    seeds: int = 1
    chosen: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def resolved(self, initial: Any = None) -> "TrainRequest":
        """Returns the request with its config resolved.

        Args:
            initial: The weights to begin with, if any.
        """
        config, chosen = border.resolved(self.recipe, self.config, initial)
        return dataclasses.replace(self, config=config, chosen=chosen)

    def check_seeds(self) -> None:
        """Refuses seeds that cannot be trained.

        Raises:
            BadInput: They are out of their range, or several are to be spread over devices.
        """
        most = 2**32 - 1  # JAX's keys would take a larger one for a smaller one
        if not 0 <= self.seed <= most:
            raise BadInput(f"--seed {self.seed}: a seed is a number from 0 to {most:,}.")
        if self.seeds < 1:
            raise BadInput(f"--seeds {self.seeds}: give how many models to train, 1 or more.")
        if self.seed + self.seeds - 1 > most:
            raise BadInput(
                f"--seeds {self.seeds} from --seed {self.seed} on: a seed is a number from 0 to "
                f"{most:,}, so at most {most - self.seed + 1:,} are left."
            )
        if self.seeds > 1 and self.options.mesh is not None:
            raise BadInput(
                f"--seeds {self.seeds} with --mesh {self.options.mesh}: several seeds are trained "
                f"on one device. Leave --mesh out, or train the seeds in runs of their own."
            )

    def identity(self, splits: Splits | None, initial: Any = None) -> Identity:
        """Returns what makes two runs the same run.

        Args:
            splits: The data, where it was read already.
            initial: The weights to begin with, if any.
        """
        file = self.recipe.file
        data = None
        if splits is not None:
            data = {"title": splits.title, "drawn": splits.drawn, "digests": dict(splits.digests)}
            if splits.stamps:
                data["stamps"] = dict(splits.stamps)
            if place := path_of(getattr(self.config, "data", None)):
                data["place"] = str(place)  # from another folder, a relative one means another
        return Identity(
            recipe=self.recipe.name,
            recipe_file=None if file is None else str(file),
            recipe_sha256=self.recipe.sha256,
            preset=self.preset,
            seed=self.seed,
            seeds=self.seeds,
            config=dataclasses.asdict(self.config),
            data=data,
            initial=None if initial is None else weights.digest(initial),
            chosen=self.chosen,
        )


def configure(recipe: Recipe, preset: str, fields: dict[str, Any]) -> Any:
    """Returns a preset's config with some fields replaced.

    Raises:
        BadInput: No such preset or field, or a value of the wrong type.
    """
    chosen = recipe.preset(preset)
    known = typing.get_type_hints(recipe.module.Config)
    for name in fields:
        if name not in known:
            every = [*known, *_OPTIONS]
            raise BadInput(f"{recipe.name} has no field {name!r}.{nearest(name, every)}")
    return _replaced(chosen, fields)


def from_call(
    recipe: str, preset: str | None, values: Mapping[str, Any], **more: Any
) -> TrainRequest:
    """Makes a request of the arguments of a call in Python.

    Args:
        recipe: A recipe's name, or the path of a ``.py`` file.
        preset: Which of the recipe's presets to begin with; None takes the usual one.
        values: Fields of the recipe's config, and options, as on the command line.
        more: Other attributes of the request: seeds, and the run directory.

    Raises:
        BadInput: A name or value is not usable; the message says which and what is.
    """
    loaded = recipes.load(recipe)
    preset = preset or loaded.default_preset
    options = {name: value for name, value in values.items() if name in _OPTIONS}
    if isinstance(options.get("init_from"), str):
        options["init_from"] = Path(options["init_from"])
    own: dict[str, Any] = {
        name: values[name] for name in ("seed", "seeds", "run", "fresh") if name in values
    }
    fields = {n: value for n, value in values.items() if n not in options and n not in own}
    request = TrainRequest(
        recipe=loaded,
        config=configure(loaded, preset, fields),
        preset=preset,
        seed=0,
        options=_replaced(Options(), options),
    )
    return dataclasses.replace(request, **own, **more)


def _replaced(values: Any, given: Mapping[str, Any]) -> Any:
    """Returns a dataclass with some fields replaced; lists will do for tuples.

    Raises:
        BadInput: A value is of the wrong type.
    """
    converted = {name: with_tuples(value) for name, value in given.items()}
    if wrong := unfit(type(values), converted):
        name, expected = wrong
        current = getattr(values, name)
        such = "" if current is None else f", such as {current!r}"
        raise BadInput(f"{name}={given[name]!r}: expected {expected}{such}.")
    return dataclasses.replace(values, **converted)


def from_command(recipe: Recipe, arguments: list[str], program: str) -> TrainRequest:
    """Reads the options of ``flaxmill train RECIPE``.

    Args:
        recipe: The recipe that was named.
        arguments: What follows it.
        program: What was typed before them, for the help.
    """
    kind = training_arguments(recipe.module.Config)
    return from_arguments(recipe, *parse(recipe, arguments, program, kind))


def parse(recipe: Recipe, arguments: list[str], program: str, kind: type) -> tuple[str, Any]:
    """Reads options that begin with those of a recipe's config.

    The preset is read first, for it gives the other options their defaults.

    Args:
        recipe: The recipe that was named.
        arguments: What follows it.
        program: What was typed before them, for the help.
        kind: `flaxmill.training.options.training_arguments`, or more than those.

    Returns:
        The name of the preset, and the parsed options.
    """
    import tyro

    presets = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    presets.add_argument("--preset", default=recipe.default_preset)
    chosen, rest = presets.parse_known_args(arguments)
    option_aliases.refuse(recipe.name, rest, set(option_names(kind)), program)
    with terminal.plain_parser_errors(rest):
        parsed = tyro.cli(
            kind,
            args=rest,
            prog=program,
            default=kind(config=configure(recipe, chosen.preset, {})),
            description=f"{recipes.headline(recipe.text)} Presets, chosen with --preset NAME: "
            f"{', '.join(recipe.module.PRESETS)}; the options change single fields of one.",
        )
    return chosen.preset, parsed


def from_arguments(recipe: Recipe, preset: str, arguments: Any) -> TrainRequest:
    """Makes a request of parsed options."""
    return TrainRequest(
        recipe=recipe,
        config=arguments.config,
        preset=preset,
        seed=arguments.seed,
        seeds=arguments.seeds,
        run=arguments.run,
        fresh=arguments.fresh,
        options=arguments.options,
    )
