"""A run while it trains: what it starts from, what it logs, when it saves, how it ends."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from flaxmill.data.batches import Gear, Schedule
from flaxmill.data.source import Splits
from flaxmill.devices import parallel
from flaxmill.errors import BadInput, NotFinite
from flaxmill.machine import signals, stopping
from flaxmill.machine.clock import Clock
from flaxmill.machine.meter import Meter
from flaxmill.machine.progress import Words, figures
from flaxmill.maths.metrics import Measures, Sums, spread
from flaxmill.tasks.signature import Signature
from flaxmill.training import checkpoint, facts, manifest
from flaxmill.training import result as results
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.directory import RunDirectory
from flaxmill.training.early import Early
from flaxmill.training.identity import Identity
from flaxmill.training.log import Log
from flaxmill.training.loop import TrainChunk
from flaxmill.training.options import Options
from flaxmill.training.state import State, begin_with, to_arrays, with_arrays

_CALL_SECONDS = 0.5  # that a call of the compiled function takes: a signal is answered soon


@dataclass
class Run:
    """What a recipe's ``train`` takes beside its config.

    Attributes:
        directory: Its files.
        identity: Recipe, config and seed.
        signature: What goes into the model and comes out.
        options: How it is carried out.
        clock: Where its seconds go.
        words: Speaks to the person.
        step: Training steps done before this attempt.
        splits: The data.
        schedule: All durations, in steps.
        measure: The recipe's; needed where several seeds are trained.
        recipe: The text of the recipe.
        initial: Weights to begin with, by name; None begins with the model's own.
        on_loss: Takes each step's loss in place of log and checkpoints; True ends the loop.
        early: Ends the recipe's loop once all that is needed of it is known.
    """

    directory: RunDirectory
    identity: Identity
    signature: Signature
    options: Options
    clock: Clock
    words: Words
    splits: Splits
    schedule: Schedule
    measure: Callable[..., Measures] | None = None
    recipe: str = ""
    initial: Mapping[str, np.ndarray] | None = None
    step: int = 0
    on_loss: Callable[[float], bool] | None = None

    def __post_init__(self) -> None:
        self.seed, self.seeds = self.identity.seed, self.identity.every_seed
        self.mesh = parallel.make_mesh(self.options.mesh)
        self.gear = Gear(self.options.gear, self.options.chunk, self.options.prefetch)
        self.reading = self.options.reading()
        self.checkpoints = Checkpoints(self.directory.checkpoints)
        self.result: dict[str, Any] | None = None
        self._log = Log(self.directory.path)
        self.attempts, self._place = 0, self.directory.place()
        self._first_state: State | None = None
        self._form: State | None = None
        self.train_chunk: TrainChunk | None = None
        self._line: list[str] = []
        self._saved_at = time.monotonic()
        self.meter = Meter(self.clock)
        self.early, self._examples = Early(), self.schedule.batch_size * len(self.seeds)  # a step
        self.asked = stopping.StopRequest(lambda: f"stopped; {self.describe_saved()}")

    # Before the loop.

    def restore(self, state: State, *, own: Sequence[str] = ()) -> State:
        """Returns the state to go on from: the last checkpoint's, ``init_from``, or the fresh one.

        Args:
            state: The fresh state.
            own: Parts that stay fresh where those of ``init_from`` have another shape: ("head",).

        Raises:
            BadInput: The state is not of as many models as there are seeds, or weights do not fit.
        """
        if state.members != len(self.seeds):
            raise BadInput(
                f"the recipe's train() made {state.members} model(s) for {len(self.seeds)} seeds: "
                f"have it give run.seeds, not run.seed, to create_state."
            )
        restored = self.checkpoints.restore_newest()
        if restored is not None:
            arrays, saved = restored
            state = with_arrays(state, arrays, where=f"the checkpoint in {self.directory.path}")
            self.step = int(state.step)
            self.clock.earlier = saved.get("seconds", {})
            self.clock.compilations = saved.get("compilations", 0)
            self.reading.unreadable.update(dict.fromkeys(saved.get("unreadable", ())))
            self._log.restore(saved["rows"])
        elif self.initial is not None:
            state, notes = begin_with(state, self.initial, own)
            for note in notes:
                self.words.say(note)
        self._first_state = jax.tree.map(np.array, state)  # to find a first bad step from
        self._form = jax.eval_shape(lambda: state)
        self.meter = Meter(self.clock, self.step)
        self._introduce(state)
        if self.step == self.schedule.steps:  # nothing is left to train: no compilation follows
            self._begin()
        if not self.options.dry_run:
            self.checkpoints.warm_up()
        return parallel.replicate(state, self.mesh)

    def _begin(self) -> None:
        """Records that a run was begun here.

        Not before its loss was traced, so that a value which only the loss can refuse leaves
        nothing behind.
        """
        if self.attempts:
            return
        recorded = (self.directory, self.identity, self.signature, self.recipe)
        self.attempts = manifest.begin_attempt(*recorded, self.options.mesh, self.words)
        self._log.cut(self.step)
        self._place = self.directory.place()

    def check_place(self) -> None:
        """Ends a run (`CannotGoOn`) whose directory was renamed, replaced or deleted meanwhile."""
        if self.attempts:
            self.directory.check_place(self._place, self.identity)

    def _introduce(self, state: State) -> None:
        gear, place = self.gear.choose(self.splits.train).name, str(self.directory.path)
        summary = facts.describe_run(self.splits, self.schedule, state, self.seeds, self.mesh, gear)
        self.words.facts(summary if self.options.dry_run else {**summary, "run": place})
        if self.step:
            self.words.say(f"Resuming at step {self.step:,} of {self.schedule.steps:,}.")
        elif self._log.rows:
            self.words.say("No checkpoint of this run is there: it begins again.")

    def last_good(self) -> State | None:
        """Returns the state of the newest checkpoint, or else the one this attempt began with."""
        self.checkpoints.wait()
        restored = self.checkpoints.restore_newest()
        if restored is None or self._form is None:
            return self._first_state
        state = with_arrays(self._form, restored[0], where=str(self.checkpoints.folder))
        return replace(state, finite=np.bool_(True))

    def compiled(self, train_chunk: TrainChunk, step_seconds: float, slow: list[str]) -> None:
        """Takes the compiled training function, and tells the person how long training will take.

        Raises:
            BadInput: The recipe did not call `restore`.
        """
        if self._form is None:
            raise BadInput("the recipe's train() must call run.restore(state) first.")
        self.train_chunk = train_chunk
        self.clock.compilations += len(train_chunk.programs)
        if self.on_loss is None:
            left = step_seconds * (self.schedule.steps - self.step)
            for line in facts.describe_compilation(self.clock, left, slow):
                self.words.say(line)
            if self.options.dry_run:
                self.words.facts(facts.describe_step(train_chunk.programs[-1], step_seconds))
                self.early.end()
            self._begin()
            self.asked.can_save = True
        self.words.begin(self.step, self.schedule.steps)
        self.meter.begin(step_seconds)

    def steps_per_call(self) -> int:
        """Returns how many steps one call may have, so that the host can answer signals soon."""
        seconds = self.meter.step_seconds
        return max(1, int(_CALL_SECONDS / seconds)) if seconds else 1

    # In the loop.

    def log(self, split: str, step: int, sums: Sums) -> None:
        """Logs metrics: those of training when a row is due, those of an evaluation at once.

        Args:
            split: What they were computed on: a split of the data, or a name of the recipe's own.
            step: Training steps done.
            sums: For training, since the last row.

        Raises:
            NotFinite: A figure is NaN or infinite.
        """
        if self.on_loss is not None:
            if split == "train":
                self._pass_on(step, sums, self.on_loss)
            return
        if split == "train":
            self.meter.track(sums)
            if not self.schedule.logs(step):
                if self.words.due():
                    self._show(step, spread(sums.finite_means(step))[0])
                return
        self._begin()
        self.check_place()
        each = sums.finite_means(step)
        if split == "train":
            clock = self.meter.training_speed(step, self._examples)
        else:
            examples = sums.examples or float(np.mean(sums.weights["loss"]))
            clock = self.meter.evaluation_speed(examples * len(self.seeds))
        place = {"step": step, "epoch": self.schedule.epoch(step), "split": split}
        self._log_unreadable(place)
        for seed, means in zip(self.seeds, each, strict=True):
            named = {"seed": seed} if len(self.seeds) > 1 else {}
            self._log.append({**place, **named, **means, **clock})
        self._line.append(f"{split} {figures(*spread(each))}")

    def _show(self, step: int, means: Mapping[str, float]) -> None:
        seconds, idle = self.meter.pace(step)
        self.words.show(step, self.schedule.steps, means, seconds, self._examples, idle)

    def _pass_on(self, step: int, sums: Sums, on_loss: Callable[[float], bool]) -> None:
        """Passes on the loss of a step, and ends the recipe's loop once ``on_loss`` says so."""
        self.meter.track(sums)
        loss = sums.means()["loss"]
        if self.words.due():
            self._show(step, {"loss": loss})
        if on_loss(loss) or step == self.schedule.steps:
            self.early.end()

    def _log_unreadable(self, place: dict[str, Any]) -> None:
        """Logs and shows which examples were found unreadable since the last row."""
        for why in self._log.skip(self.reading.unreadable, place):
            self.words.say(f"Skipped: {why}")

    def save_if_due(self, step: int, state: State) -> None:
        """Saves when it is time to, at a best result, at the end, or when a signal came.

        Raises:
            NotFinite: The state is poisoned; it is not saved.
            Stopped: A signal asked for it; the state is saved.
            CannotGoOn: Saving failed; the last good checkpoint is kept.
        """
        if self.on_loss is not None:
            return
        if self._line:
            epoch = round(self.schedule.epoch(step), 2)
            self.words.say(f"Epoch {epoch:g}: {' | '.join(self._line)}")
            self._line = []
        self.asked.can_save = True
        last = step == self.schedule.steps
        due = time.monotonic() - self._saved_at >= self.options.save_every
        best = step == checkpoint.best_step(self._log.rows)
        if last or due or best or self.asked.number is not None:
            jax.block_until_ready(state.finite)  # counts as training, not as saving
            with self.clock("save"):
                self._save(step, state)
                if (number := self.asked.number) is not None:
                    self.words.say(f"{signals.name(number)}: saving step {step:,} …")
                if last or number is not None:
                    self._close_saving()

    def _close_saving(self) -> None:
        """Waits for the last save; from here on, a signal needs no more saving."""
        self.checkpoints.wait()
        self.asked.can_save = False
        self.asked.check()  # it may have come during the wait

    def _save(self, step: int, state: State) -> None:
        self._begin()
        self.check_place()
        if not bool(state.finite):
            raise NotFinite(step)
        self._log.flush()
        arrays = {name: np.array(leaf) for name, leaf in to_arrays(state).items()}  # copies
        best = checkpoint.best_step(self._log.rows)
        saved = {
            "seconds": self.clock.seconds(),
            "compilations": self.clock.compilations,
            "unreadable": list(self.reading.unreadable),
            "rows": list(self._log.rows),  # so that the log can be lost, and no figure with it
        }
        keep = set() if best is None else {best}
        self.checkpoints.save(step, arrays, saved, keep, self.options.keep)
        if self.checkpoints.steps():
            self._first_state = None  # a newer state is safe: do not hold this one for hours
        self._saved_at = time.monotonic()

    def describe_saved(self) -> str:
        """Describes where the same command goes on."""
        if not (steps := self.checkpoints.steps()):
            return "nothing was saved yet, so the same command begins again."
        return (
            f"step {steps[-1]:,} is saved in {self.directory.path}, and the same command (without "
            f"--fresh) goes on from there."
        )

    # After the loop.

    def finish(self, state: State, test: Sums) -> None:
        """Writes the result of a trained run into its directory.

        Args:
            state: After the last step.
            test: The exact test figures.
        """
        self.words.end()
        step = int(state.step)
        if step not in self.checkpoints.steps():  # a loop that ended before its schedule
            self.words.say(f"train() ended after {step:,} of {self.schedule.steps:,} steps.")
            self._save(step, state)
        self._close_saving()
        each = test.finite_means(step)
        with self.clock("evaluate"):
            how = (self.signature, self.measure, self.splits.test, self.reading)
            together = results.ensemble_figures(state, *how) if state.members > 1 else each[0]
            states = results.states(state, self._log.rows, self.checkpoints)
            how = (self.signature, self.splits, self.reading)
            self.signature = results.calibrated(states, *how)
        tests = each, together, test.examples or len(self.splits.test)
        self._log_unreadable({"step": step, "epoch": self.schedule.epoch(step)})
        self._log.close()
        self.result = {
            **results.gather(self.identity, state, self._log.rows, *tests),
            **results.about_data(self.reading, self.splits.train),
            "seconds": self.clock.seconds(),
            "compilations": self.clock.compilations,
            "attempts": self.attempts,
        }
        self.check_place()
        results.write(self.directory, self.signature, self.result)

    def close(self) -> None:
        """Closes the log and the checkpoints, whatever they are doing."""
        self.words.end()
        self.checkpoints.close()
        with contextlib.suppress(OSError):  # a full disk was reported already
            self._log.close()
