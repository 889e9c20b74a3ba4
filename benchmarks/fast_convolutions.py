"""Says whether XLA has made `fast_convolutions` needless: on CPU, it is slow in loops without.

    python benchmarks/fast_convolutions.py [--rounds 5] [--steps 4] [--only 3×3]

A convolution and both of its gradients, as a training step has them: inside a loop as XLA does it,
inside a loop in the forms of `flaxmill.devices.convolution`, and outside of one, a call a step. The
three take turns. The forms are needless for a shape where the plain convolution in the loop takes
no more than 1.1 times as long as they do; they can go when they are for all. Prints JSON lines.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from machine import machine

from flaxmill.devices import parallel
from flaxmill.devices.convolution import fast_convolutions, product_options

NEEDLESS = 1.1
"""Times the fast form's seconds that a plain convolution in a loop may take."""
BATCH = 64


@dataclass(frozen=True)
class Case:
    """A convolution, of square pictures and with a square kernel.

    Attributes:
        side: Pixels a side.
        kernel: The same of the kernel.
        given: Channels that come in.
        made: Channels that go out.
        stride: Pixels from one place to the next.
    """

    side: int
    kernel: int
    given: int
    made: int
    stride: int = 1


CASES = {
    "3×3, 28×28, 1 to 32": Case(28, 3, 1, 32),
    "3×3, 14×14, 32 to 64": Case(14, 3, 32, 64),
    "5×5, 14×14, 32 to 64": Case(14, 5, 32, 64),
    "3×3, 32×32, 32 to 32": Case(32, 3, 32, 32),
    "3×3 by 2, 32×32, 32 to 64": Case(32, 3, 32, 64, stride=2),
    "1×1, 16×16, 64 to 64": Case(16, 1, 64, 64),
}
"""Those of the networks that the recipes train: the first layers, the middle, a smaller stage."""

Pair = tuple[jax.Array, jax.Array]


def ways(case: Case, count: int) -> dict[str, Callable[[], Any]]:
    """Returns what does so many steps with a convolution, compiled, in each of the three ways."""
    generator = np.random.default_rng(0)
    shapes = (BATCH, case.side, case.side, case.given), (case.kernel, case.kernel)
    pictures = jnp.asarray(generator.standard_normal(shapes[0]), jnp.float32)
    kernel = jnp.asarray(0.1 * generator.standard_normal((*shapes[1], case.given, case.made)))
    start: Pair = pictures, kernel.astype(jnp.float32)

    def loss(pictures: jax.Array, kernel: jax.Array) -> jax.Array:
        found = lax.conv_general_dilated(
            pictures,
            kernel,
            (case.stride, case.stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return jnp.square(found).mean()

    def step(loss: Callable[..., jax.Array], state: Pair) -> Pair:
        gradients = jax.grad(loss, argnums=(0, 1))(*state)
        return jax.tree.map(lambda old, slope: old - 1e-3 * slope, state, gradients)

    def looped(loss: Callable[..., jax.Array]) -> Callable[[], Any]:
        def many(state: Pair, steps: jax.Array) -> Pair:
            return lax.fori_loop(0, steps, lambda _, state: step(loss, state), state)

        steps = jnp.int32(count)
        traced = jax.jit(many).trace(start, steps)
        options: dict[str, Any] = parallel.training_options()
        options |= product_options(traced.jaxpr.jaxpr)
        compiled = traced.lower().compile(compiler_options=options)
        return lambda: compiled(start, steps)

    one = jax.jit(lambda state: step(loss, state))

    def outside() -> Pair:
        state = start
        for _ in range(count):
            state = one(state)
        return state

    return {"plain": looped(loss), "fast": looped(fast_convolutions(loss)), "outside": outside}


def compared(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Returns the medians of rounds, how the ways compare, and the verdict.

    Args:
        rounds: The seconds of a step in each of the three ways.
    """
    medians = {way: statistics.median(one[way] for one in rounds) for way in rounds[0]}
    to_fast = statistics.median(one["plain"] / one["fast"] for one in rounds)
    to_outside = statistics.median(one["plain"] / one["outside"] for one in rounds)
    return {
        "seconds_a_step": medians,
        "plain_to_fast": round(to_fast, 3),
        "plain_to_outside": round(to_outside, 3),
        "verdict": "needless" if to_fast <= NEEDLESS else "needed",
    }


def timed(case: Case, rounds: int, count: int) -> dict[str, Any]:
    """Times a convolution; the first round warms up."""
    found: list[dict[str, float]] = []
    for run in (by := ways(case, count)).values():
        jax.block_until_ready(run())
    for _ in range(rounds):
        seconds = {}
        for way, run in by.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            seconds[way] = (time.perf_counter() - began) / count
        found.append(seconds)
    return compared(found)


def main() -> None:
    """Prints a line for each convolution, and the summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", default="", help="convolutions whose name holds this")
    options = parser.parse_args()
    rows = {}
    with jax.default_device(jax.devices("cpu")[0]):
        for name, case in CASES.items():
            if options.only in name:
                rows[name] = timed(case, options.rounds, options.steps)
                line = json.dumps({"convolution": name, **rows[name]}, ensure_ascii=False)
                print(line, flush=True)
    if not options.only:
        needless = all(row["verdict"] == "needless" for row in rows.values())
        summary = {"benchmark": "fast_convolutions", "batch_size": BATCH, "rounds": options.rounds}
        summary |= {"rows": rows, "verdict": "needless" if needless else "needed"}
        print(json.dumps({**summary, "machine": machine()}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
