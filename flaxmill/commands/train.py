"""`train`: one call, or one command, from a recipe's name to a trained run directory."""

import errno
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from flaxmill.commands.next_steps import next_commands
from flaxmill.commands.request import TrainRequest, from_call
from flaxmill.data.batches import Schedule
from flaxmill.data.listings.layouts import cached_scans
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, CannotGoOn, NotFinite, Stopped, Unreadable
from flaxmill.machine import stopping
from flaxmill.machine.clock import WAITING, Clock, process_age
from flaxmill.machine.program import command_line, shell_path
from flaxmill.machine.progress import Words, duration, figures
from flaxmill.maths import calibration
from flaxmill.recipes.loading import border, mistakes, trust
from flaxmill.trained.run import TrainedRun
from flaxmill.training import directory as directories
from flaxmill.training.directory import RunDirectory
from flaxmill.training.initial import read_initial
from flaxmill.training.run import Run

_WAITED = 0.1
"""Share of the training that a device may wait for data before a person is told what to do."""


@overload
def train(recipe: str, *, dry_run: Literal[True], **more: Any) -> None: ...


@overload
def train(recipe: str, **more: Any) -> TrainedRun: ...


def train(
    recipe: str,
    *,
    preset: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    run: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    **more: Any,
) -> TrainedRun | None:
    """Trains a recipe, or goes on with a run that was stopped.

    Args:
        recipe: A recipe's name, or the path of a ``.py`` file.
        preset: Which of the recipe's presets to begin with; ``quick`` unless told.
        seed: Everything random follows from it.
        seeds: How many models to train at once, of the seeds from ``seed`` on; together they answer
            as an ensemble.
        run: The run directory; by default one in ``runs`` is found or made.
        fresh: Begin anew; a run that is there is renamed.
        quiet: Say nothing.
        more: Fields of the recipe's config that differ from the preset, and how the run is carried
            out, as `flaxmill.training.options.Options` has it: ``flaxmill train RECIPE --help``
            lists both.

    Returns:
        The trained run; None after ``dry_run=True``.

    Raises:
        BadInput: A name or value is not usable; the message says which and what is.
        CannotGoOn: The run met a NaN, a full disk or the like; its last good state is kept.
    """
    place = {"run": None if run is None else Path(run), "fresh": fresh}
    request = from_call(recipe, preset, more, seed=seed, seeds=seeds, **place)
    try:
        return execute(request, Words(quiet=quiet), Clock(origin=process_age()))
    except Stopped:
        raise KeyboardInterrupt from None


@cached_scans()
def execute(request: TrainRequest, words: Words, clock: Clock) -> TrainedRun | None:
    """Trains what a request asks for, or resumes it; returns None after a dry run.

    Args:
        request: What is to be trained, where and how.
        words: Speaks to the person.
        clock: Where the seconds go.

    Raises:
        BadInput: Something given cannot be used; nothing was changed.
        CannotGoOn: The run met a NaN, a full disk or the like; its last good state is kept.
        Stopped: A signal asked for it; the state is saved.
    """
    request.check_seeds()
    clock.add("import", process_age() - clock.origin)
    path = request.options.init_from
    initial = None if path is None else read_initial(path)
    request = request.resolved(initial)
    place = None if request.run is None else RunDirectory(request.run)
    if place is not None and place.finished and not request.fresh and not request.options.dry_run:
        directories.check_same(request.identity(None, initial), place)
        words.say(f"{place.path} is finished. Its result is below; --fresh begins anew.")
        return _report_result(request, place, words)
    with clock("data"):
        splits = border.trainable_splits(request.recipe, request.config)
    identity = request.identity(splits, initial)
    directory = directories.choose(identity, request.run, fresh=request.fresh)
    recipe = request.recipe
    words.say(splits.note or f"Training {recipe.name} ({request.preset}) on {splits.title}.")
    if request.chosen:
        words.say("Chosen for these pictures (an option of the name changes it):")
        words.facts(request.chosen)
    schedule_of(request, splits)  # what is impossible is refused here, before a file is made

    def train_in(directory: RunDirectory) -> None:
        run_loop(request, open_run(request, splits, initial, directory, words, clock))

    if request.options.dry_run:
        with stopping.temporary_folder() as scratch:
            train_in(RunDirectory(scratch))
        return None
    if request.fresh and directory.begun:
        with directory.locked():
            words.say(f"The old run is now {directories.rename_old(directory)}.")
    if recipe.file is not None and (trouble := trust.remember(recipe.sha256)):
        words.say(trouble)
    with directory.locked():
        if directory.begun:  # also by another process, since the directory was chosen
            directories.check_same(identity, directory)
        train_in(directory)
    return _report_result(request, directory, words, splits)


def schedule_of(request: TrainRequest, splits: Splits) -> Schedule:
    """Returns the durations of a run.

    Raises:
        BadInput: They are not to be had with so many examples, devices or parts.
    """
    schedule = Schedule(border.durations(request.recipe, request.config), len(splits.train))
    request.options.check(schedule.batch_size, splits.train)
    return schedule


def open_run(
    request: TrainRequest,
    splits: Splits,
    initial: Mapping[str, np.ndarray] | None,
    directory: RunDirectory,
    words: Words,
    clock: Clock | None = None,
    on_loss: Callable[[float], bool] | None = None,
) -> Run:
    """Returns the run that is passed to the recipe's loop; nothing is written yet.

    Args:
        request: What is to be trained, resolved.
        splits: Its data.
        initial: The weights to begin with; None begins with the model's own.
        directory: Where its files go.
        words: Speaks to the person.
        clock: Where the seconds go.
        on_loss: Takes the losses in the place of a log, as `Run` has it.
    """
    signature = border.signature(request.recipe, request.config, splits)
    if note := border.model(request.recipe, request.config, splits, signature):
        words.say(note)
    return Run(
        directory=directory,
        identity=request.identity(splits, initial),
        signature=signature,
        options=request.options,
        clock=clock or Clock(),
        words=words,
        splits=splits,
        schedule=schedule_of(request, splits),
        measure=request.recipe.module.measure,
        recipe=request.recipe.text,
        initial=initial,
        on_loss=on_loss,
    )


def _report_result(
    request: TrainRequest, directory: RunDirectory, words: Words, splits: Splits | None = None
) -> TrainedRun:
    """Writes the report of a finished run, if it is missing, and prints the summary."""
    trained = TrainedRun(directory.path, recipe=request.recipe)
    if request.options.report and not trained.has_report:
        began = time.perf_counter()
        command = command_line(f"report {shell_path(directory.path)}")
        with stopping.scope(f"stopped; the run is finished, and {command} makes its report."):
            TrainedRun(directory.path, recipe=request.recipe, opened=splits).report()
        words.say(f"The report took {duration(time.perf_counter() - began)}.")
    print_summary(words, trained)
    return trained


def run_loop(request: TrainRequest, run: Run) -> None:
    """Runs the recipe's own loop, which puts its result into the directory.

    Args:
        request: What is to be trained.
        run: Where and how; one that ends early has no result.

    Raises:
        BadInput: The recipe's loop ended without a result.
        CannotGoOn: The run met a NaN, a full disk or the like; its last good state is kept.
        Stopped: A signal asked for it.
    """
    nan_step = None
    try:
        with run.asked.handling(), run.early.awaited(), run.clock("train"):
            request.recipe.module.train(request.config, run)
    except NotFinite as trouble:
        nan_step = trouble.step  # looked into below, when what the loop held is let go
    except CannotGoOn:
        run.check_place()  # which would say why
        raise
    except Unreadable as trouble:
        raise Unreadable(
            f"{trouble} As for this run: {run.describe_saved()} Or give --skip-unreadable too. "
            f"Pictures that were changed are other data, which takes a run of its own."
        ) from trouble
    except Exception as error:
        if isinstance(error, OSError):
            run.check_place()
        failure = _as_cannot_go_on(error, run) or mistakes.as_bad_input(error, request.recipe.file)
        if failure is None:
            raise
        raise failure from error
    finally:
        run.close()
    if nan_step is not None:
        raise CannotGoOn(_not_finite(run, nan_step))
    if run.result is None and not run.early.ended:
        raise BadInput(
            f"train() in {request.recipe.file or request.recipe.name} ended without a result: it "
            f"calls run.finish(state, evaluate(state, splits.test)) at its end."
        )


def _not_finite(run: Run, seen: int) -> str:
    """Describes which step and tensor went wrong first, and what is saved."""
    from flaxmill.training.nonfinite import find_nonfinite

    try:
        place = find_nonfinite(run, run.splits.train, seen)
    except (MemoryError, RuntimeError, TypeError, ValueError):
        place = None  # looking closer may take more than the run did; what is known is said
    steps = run.checkpoints.steps()  # by now, a save that was under way has ended
    where = (
        f"at step {place[0]:,}{f' of seed {place[1]}' if len(run.seeds) > 1 else ''}: {place[2]}"
        if place
        else f"in the steps up to {seen:,} (doing them again did not show where)"
    )
    remains = (
        f"the checkpoint of step {steps[-1]:,} in {run.directory.path} is kept"
        if steps
        else "no checkpoint had been saved yet"
    )
    return (
        f"The training is not finite any more {where}; {remains}. A lower --learning-rate is the "
        f"usual cure: begin a new run with it."
    )


def _as_cannot_go_on(error: Exception, run: Run) -> CannotGoOn | None:
    """Turns trouble with the machine into a message; None for anything else: a defect of ours."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full:
        return CannotGoOn(
            f"the disk with {run.directory.path} is full. Make room. As for this run: "
            f"{run.describe_saved()}"
        )
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return CannotGoOn(
            "the memory of the device is full: try a smaller --batch-size, smaller pictures where "
            "the recipe has --size, or --gear streaming. What the run saved before is kept."
        )
    return None


def waiting_hint(seconds: Mapping[str, float]) -> str:
    """Describes what to do if the device waited for data; empty if it hardly did.

    Args:
        seconds: Of the run, by phase.
    """
    waited = seconds.get(WAITING, 0.0)
    if not waited or waited < _WAITED * seconds["train"]:
        return ""
    share = 100 * waited / seconds["train"]
    return (
        f"For {duration(waited)} of the training ({share:.0f} %) the device "
        f"waited for data. Pictures can be made ready once "
        f"({command_line('prepare DATA --to DIR')}), or smaller; where cores are "
        f"idle, more --readers help."
    )


def print_summary(words: Words, trained: TrainedRun) -> None:
    """Prints the result, where things are, and what to try next."""
    result, where = trained.result, trained.path
    seconds = result["seconds"]
    phases = (name for name in seconds if name not in (WAITING, "total"))
    spent = ", ".join(f"{name} {seconds[name]:.1f}" for name in phases)
    words.say("")
    examples = result["test"]["examples"]
    test = f"{figures(result['test'])} on {examples:,} example{'s' if examples > 1 else ''}."
    if seeds := result.get("seeds"):
        apart = figures(result["test_mean"], result["test_sd"])
        words.say(f"Test: {apart} (mean ± standard deviation of {len(seeds)} seeds).")
        words.say(f"Test of the {len(seeds)} models together: {test}")
    else:
        words.say(f"Test: {test}")
    if (signature := trained.signature).output_kind.CLASSIFIES:
        how_sure = calibration.describe(signature.temperature, signature.held_out)
        words.say(f"Probabilities: {how_sure}.")
    words.say(f"Seconds: {spent}; {seconds['total']:.1f} in all.")
    if hint := waiting_hint(seconds):
        words.say(hint)
    if left_out := result.get("unreadable", {}).get("count"):
        words.say(
            f"Left out: {left_out:,} example(s) that could not be read, as metrics.jsonl says."
        )
    words.say(
        f"Run: {where}" + (f"   Report: {where / 'report.html'}" if trained.has_report else "")
    )
    words.say("Try next:")
    for command in next_commands(trained):
        words.say(f"  {command}")
