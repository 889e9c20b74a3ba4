"""`train`: one call, or one command, from a recipe's name to a trained run directory."""

import contextlib
import dataclasses
import errno
import signal
import tempfile
import threading
import time
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flaxmill import directory as directories
from flaxmill import files, recipes
from flaxmill.clock import Clock, process_age
from flaxmill.data.batches import Schedule
from flaxmill.data.source import Splits
from flaxmill.directory import Identity, RunDirectory
from flaxmill.errors import BadInput, CannotGoOn, Stopped, nearest
from flaxmill.manifest import begin_attempt
from flaxmill.progress import Words, duration, figures
from flaxmill.recipes import Recipe
from flaxmill.run import DryRun, NotFinite, Options, Run
from flaxmill.trained import TrainedRun


def train(
    recipe: str,
    *,
    preset: str = "quick",
    seed: int = 0,
    run: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    init_from: str | Path | None = None,
    mesh: str | None = None,
    report: bool = True,
    **fields: Any,
) -> TrainedRun:
    """Trains a recipe, or goes on with a run that was stopped.

    Args:
        recipe: A recipe's name, or the path of a ``.py`` file.
        preset: Which of the recipe's presets to begin with.
        seed: Everything random follows from it.
        run: The run directory; by default one in ``runs`` is found or made.
        fresh: Begin anew; a run that is there is renamed.
        quiet: Say nothing.
        init_from: A run directory or safetensors file to take the first weights from.
        mesh: Devices to spread batches over, such as ``data=8``.
        report: Write report.html at the end.
        fields: Fields of the recipe's config that differ from the preset.

    Returns:
        The trained run.

    Raises:
        BadInput: A name or value is not usable; the message says which and what is.
        CannotGoOn: The run met a NaN, a full disk or the like; its last good state is kept.
    """
    loaded = recipes.load(recipe)
    order = Order(
        recipe=loaded,
        config=configure(loaded, preset, fields),
        preset=preset,
        seed=seed,
        run=None if run is None else Path(run),
        fresh=fresh,
        options=Options(
            mesh=mesh, init_from=None if init_from is None else Path(init_from), report=report
        ),
    )
    try:
        trained = fulfil(order, Words(quiet=quiet), Clock(origin=process_age()))
    except Stopped:
        raise KeyboardInterrupt from None
    assert trained is not None, "only --dry-run trains nothing"
    return trained


@dataclass(frozen=True)
class Order:
    """What is to be trained, where and how.

    Attributes:
        recipe: The recipe.
        config: Its config.
        preset: The name of the preset that the config began as.
        seed: Everything random follows from it.
        run: The run directory; None finds or makes one in ``runs``.
        fresh: Begin anew; a run that is there is renamed.
        options: How the run is carried out.
    """

    recipe: Recipe
    config: Any
    preset: str
    seed: int
    run: Path | None = None
    fresh: bool = False
    options: Options = dataclasses.field(default_factory=Options)

    @property
    def identity(self) -> Identity:
        """What makes two runs the same run."""
        file = self.recipe.file
        return Identity(
            recipe=self.recipe.name,
            recipe_file=None if file is None else str(file),
            recipe_sha256=self.recipe.sha256,
            preset=self.preset,
            seed=self.seed,
            config=dataclasses.asdict(self.config),
        )


def configure(recipe: Recipe, preset: str, fields: dict[str, Any]) -> Any:
    """Returns a preset's config with some fields replaced.

    Raises:
        BadInput: No such preset or field, or a value of the wrong type.
    """
    presets = recipe.module.PRESETS
    if preset not in presets:
        raise BadInput(f"{recipe.name} has no preset {preset!r}.{nearest(preset, presets)}")
    known = typing.get_type_hints(recipe.module.Config)
    for name, value in fields.items():
        if name not in known:
            raise BadInput(f"{recipe.name} has no field {name!r}.{nearest(name, known)}")
        if not _fits(value, known[name]):
            current = getattr(presets[preset], name)
            raise BadInput(
                f"{name}={value!r}: expected {_described(known[name])}, such as {current!r}."
            )
    return dataclasses.replace(presets[preset], **fields)


def _fits(value: Any, hint: Any) -> bool:
    """Says whether a value is of a field's type; an int will do where a float is expected."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is Literal:
        return value in parts
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        parts = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if isinstance(value, bool) or hint is bool:
        return hint is type(value)
    return isinstance(value, int | float if hint is float else hint)


def _described(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint)


def fulfil(order: Order, words: Words, clock: Clock) -> TrainedRun | None:
    """Trains what was ordered, or goes on with it; returns None after a dry run.

    Args:
        order: What is to be trained, where and how.
        words: Speaks to the person.
        clock: Where the seconds go.

    Raises:
        BadInput: Something given cannot be used; nothing was changed.
        CannotGoOn: The run met a NaN, a full disk or the like; its last good state is kept.
        Stopped: A signal asked for it; the state is saved.
    """
    if not 0 <= order.seed < 2**32:  # JAX's keys would take a larger one for a smaller one
        raise BadInput(f"--seed {order.seed}: a seed is a number from 0 to {2**32 - 1:,}.")
    clock.add("import", process_age() - clock.origin)
    directory = directories.choose(order.identity, order.run, fresh=order.fresh)
    if directory.finished and not order.fresh and not order.options.dry_run:
        words.say(f"{directory.path} is finished. Its result is below; --fresh begins anew.")
        trained = TrainedRun(directory.path)
        closing_words(words, trained)
        return trained
    with clock("data"):
        splits = order.recipe.module.data(order.config)
    words.say(splits.note or f"Training {order.recipe.name} ({order.preset}) on {splits.title}.")
    # What is impossible is refused here, before a file is made.
    batch_size = Schedule(order.config, len(splits.train)).batch_size
    order.options.check(batch_size, splits.train)
    if order.options.dry_run:
        with tempfile.TemporaryDirectory() as nowhere:
            _train(order, RunDirectory(Path(nowhere)), splits, words, clock)
        return None
    if order.fresh and directory.begun:
        with directory.locked():
            words.say(f"The old run is now {directories.rename_old(directory)}.")
    with directory.locked():
        _train(order, directory, splits, words, clock)
    trained = TrainedRun(directory.path, recipe=order.recipe)
    if order.options.report:
        began = time.perf_counter()
        trained.report()
        words.say(f"The report took {duration(time.perf_counter() - began)}.")
    closing_words(words, trained)
    return trained


def _train(
    order: Order, directory: RunDirectory, splits: Splits, words: Words, clock: Clock
) -> None:
    """Runs the recipe's own loop, and puts its result into the directory."""
    module, config = order.recipe.module, order.config
    begun = directory.read("config.json") if directory.begun else None
    mesh = order.options.mesh
    attempts = begin_attempt(directory, order.identity, splits, mesh, words)
    run = Run(
        directory=directory,
        identity=order.identity,
        signature=module.signature(config, splits),
        options=order.options,
        clock=clock,
        words=words,
        splits=splits,
        attempts=attempts,
    )
    if begun is None:
        run.signature.save(directory.path / "signature.json")
        files.write_atomic(directory.path / "recipe.py", order.recipe.text)
        files.write_json(directory.path / "config.json", order.identity.json())
    try:
        with _answering_signals(run), clock("train"):
            module.train(config, run)
    except DryRun:
        return
    except NotFinite as trouble:
        run.words.end()
        raise CannotGoOn(_not_finite(run, splits, trouble.step)) from None
    except CannotGoOn:
        raise
    except (MemoryError, OSError, RuntimeError) as error:
        raise _known(error, directory) from error
    finally:
        run.close()
    if run.result is None:
        raise BadInput(f"{order.recipe.name}: its train() ended without calling run.finish().")
    files.write_json(directory.path / "result.json", run.result)


@contextlib.contextmanager
def _answering_signals(run: Run) -> Iterator[None]:
    """Has the run save its state on SIGTERM and Ctrl-C; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, run.stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_finite(run: Run, splits: Splits, seen: int) -> str:
    """Says which step and tensor went wrong first, and what is kept."""
    from flaxmill.nonfinite import locate

    found = locate(run, splits.train)
    kept = run.checkpoints.steps()  # by now, a save that was under way has ended
    where = (
        f"at step {found[0]:,}: {found[1]}"
        if found
        else f"in the steps up to {seen:,} (doing them again did not show where)"
    )
    remains = (
        f"the checkpoint of step {kept[-1]:,} in {run.directory.path} is kept"
        if kept
        else "no checkpoint had been saved yet"
    )
    return (
        f"The training is not finite any more {where}; {remains}. A lower --learning-rate is the "
        f"usual cure: begin a new run with it."
    )


def _known(error: Exception, directory: RunDirectory) -> Exception:
    """Turns trouble with the machine into a message; anything else is a defect, and stays."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full:
        return CannotGoOn(
            f"the disk with {directory.path} is full. Make room and give the same command again: "
            f"it goes on from the last checkpoint."
        )
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return CannotGoOn(
            "the memory of the device is full: try a smaller --batch-size, or --gear streaming. "
            f"What was saved in {directory.path} is kept."
        )
    return error


def closing_words(words: Words, trained: TrainedRun) -> None:
    """Says the result, where things are, and what to try next."""
    result, where = trained.result, trained.path
    seconds = result["seconds"]
    spent = ", ".join(f"{name} {seconds[name]:.1f}" for name in seconds if name != "total")
    words.say("")
    words.say(f"Test: {figures(result['test'])} on {result['test']['examples']:,} examples.")
    words.say(f"Seconds: {spent}; {seconds['total']:.1f} in all.")
    words.say(
        f"Run: {where}" + (f"   Report: {where / 'report.html'}" if trained.has_report else "")
    )
    words.say("Try next:")
    words.say(f"  flaxmill look {where}")
    words.say(f"  flaxmill predict {where} PICTURE.png")
    words.say(
        f"  flaxmill fork {trained.recipe_name} mine.py    # change the loop, then train mine.py"
    )
