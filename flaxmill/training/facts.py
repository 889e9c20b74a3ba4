"""What a person reads about a run before its first step."""

from collections.abc import Sequence
from typing import Any

import jax

from flaxmill.data.batches import Schedule
from flaxmill.data.sizes import Sized
from flaxmill.data.source import SPLITS, Source, Splits
from flaxmill.devices import parallel
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import duration
from flaxmill.models import weights
from flaxmill.training.state import State


def describe_run(
    splits: Splits,
    schedule: Schedule,
    state: State,
    seeds: Sequence[int],
    mesh: jax.sharding.Mesh | None,
    gear: str,
) -> dict[str, str]:
    """Returns data, parameters, steps and device, in words.

    Args:
        splits: The data.
        schedule: All durations of the run.
        state: Before the first step.
        seeds: Of its models.
        mesh: The devices that each batch is divided over; None for one.
        gear: How the examples reach them.
    """
    counts = ", ".join(f"{len(splits[part]):,} {part}" for part in SPLITS if len(splits[part]))
    parameters = f"{weights.count(state.params) // state.members:,}"
    if len(seeds) > 1:
        parameters += f" in each of {len(seeds)} models (seeds {seeds[0]} to {seeds[-1]})"
    threads = f", {parallel.threads()} threads" if jax.default_backend() == "cpu" else ""
    return {
        "data": f"{splits.title}: {counts}",
        **_describe_sizes(splits.train),
        "parameters": parameters,
        "steps": f"{schedule.steps:,} of {schedule.batch_size} examples "
        f"(epochs: {round(schedule.epoch(schedule.steps), 2):g})",
        "device": f"{mesh.size if mesh else 1} × {jax.default_backend()}{threads}, {gear} data",
    }


def _describe_sizes(source: Source) -> dict[str, str]:
    """Describes what examples of many sizes are padded to, and how much of that is padding."""
    if not isinstance(source, Sized):
        return {}
    sizes = ", ".join(map(str, source.sizes))
    return {
        "sizes": f"{sizes}: compiled once each; {100 * source.padding:.1f} % of what is computed "
        f"is padding"
    }


def describe_compilation(clock: Clock, seconds_left: float, slow: Sequence[str]) -> list[str]:
    """Describes how long compiling took and training will take, a line each.

    Args:
        clock: Of the run.
        seconds_left: What the steps will take.
        slow: The convolutions, by shape, that make each step a call of its own.
    """
    lines = []
    if slow:
        lines.append(
            f"Steps are dispatched one at a time: {len(slow)} convolution(s) have no form that is "
            f"fast inside a loop on CPU ({slow[0]})."
        )
    compiling = duration(clock.seconds()["compile"] - clock.earlier.get("compile", 0.0))
    return [*lines, f"Compiled in {compiling}; training takes about {duration(seconds_left)}."]


def describe_step(program: Any, step_seconds: float) -> dict[str, str]:
    """Describes the time and memory that a step takes.

    Args:
        program: The compiled training function, which knows how much memory it needs.
        step_seconds: Measured.
    """
    short = step_seconds < 0.9995  # which is 1000 of three digits
    costs = {"a step": f"{1000 * step_seconds:.3g} ms" if short else duration(step_seconds)}
    needs = None if program is None else program.memory_analysis()
    if needs is not None:
        held = needs.argument_size_in_bytes + needs.generated_code_size_in_bytes
        new = needs.output_size_in_bytes + needs.temp_size_in_bytes - needs.alias_size_in_bytes
        costs["memory"] = (
            f"{(held + new) / 1e6:,.0f} MB on the device: {held / 1e6:,.0f} for state and data, "
            f"{new / 1e6:,.0f} for computing"
        )
    return costs
