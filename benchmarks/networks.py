"""Times a training step of each network in the compiled loop, and as a plain call a step.

    python benchmarks/networks.py [--rounds 5] [--steps 4] [--only ConvNeXt]

The plain call has XLA's own convolutions, which are fast outside a loop; the loop has the forms
that are fast inside one. The same step, on random pictures of 32×32 pixels; the two take turns.
Prints JSON lines.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax
from machine import machine

from flaxmill.devices import parallel
from flaxmill.devices.convolution import fast_convolutions, loop_convolutions, product_options
from flaxmill.maths.losses import softmax_cross_entropy
from flaxmill.models import weights
from flaxmill.models.convnext import ConvNeXt
from flaxmill.models.resnet import ResNet, basic
from flaxmill.models.vit import ViT
from flaxmill.models.wide_resnet import WideResNet

SIZE, BATCH = (32, 32), 64
NETWORKS: dict[str, Callable[..., Any]] = {
    "ResNet": functools.partial(ResNet, block=basic, stages=(1, 1, 1), width=32, stem="cifar"),
    "WideResNet": functools.partial(WideResNet, depth=16, widening=2),
    "ConvNeXt": functools.partial(ConvNeXt, stages=(2, 2, 2), widths=(64, 128, 256), patch=2),
    "ViT": functools.partial(ViT, size=SIZE, patch=4, width=192, depth=4, heads=3),
}
"""Small ones of each kind, of about a million parameters."""


def steps_of(name: str, count: int) -> tuple[dict[str, Callable[[], Any]], dict[str, Any]]:
    """Returns functions that do so many steps, compiled; and what was found in compiling them."""
    network = NETWORKS[name](3, 10, rngs=nnx.Rngs(0))
    graphdef, params, rest = nnx.split(network, nnx.Param, ...)
    tx = optax.sgd(1e-3, momentum=0.9)
    generator = np.random.default_rng(0)
    pictures = jnp.asarray(generator.integers(0, 256, (BATCH, *SIZE, 3)), jnp.uint8)
    labels = jnp.asarray(generator.integers(0, 10, BATCH), jnp.int32)

    def objective(params: Any, rest: Any) -> Any:
        model = nnx.merge(graphdef, params, rest, copy=True)
        mean = softmax_cross_entropy(model(pictures), labels).mean()
        return mean, nnx.split(model, nnx.Param, ...)[2]

    def step(objective: Callable[..., Any], state: Any) -> Any:
        params, rest, opt_state = state
        gradients, rest = jax.grad(objective, has_aux=True)(params, rest)
        updates, opt_state = tx.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), rest, opt_state

    def many(state: Any) -> Any:
        return lax.fori_loop(
            0, count, lambda _, state: step(fast_convolutions(objective), state), state
        )

    state = (params, rest, tx.init(params))
    traced = jax.jit(many).trace(state)
    options: dict[str, Any] = parallel.training_options() | product_options(traced.jaxpr.jaxpr)
    slow = loop_convolutions(traced.jaxpr.jaxpr)
    found: dict[str, Any] = {"parameters": weights.count(params), "slow": slow}
    began = time.perf_counter()
    loop = traced.lower().compile(compiler_options=options)
    found["compile_seconds"] = time.perf_counter() - began
    one = jax.jit(functools.partial(step, objective))

    def plain() -> Any:
        end = state
        for _ in range(count):
            end = one(end)
        return end

    return {"loop": lambda: loop(state), "plain": plain}, found


def timed(name: str, rounds: int, count: int) -> dict[str, Any]:
    """Returns the seconds of a step of one network, both ways."""
    ways, found = steps_of(name, count)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first compiles and warms up
        for way, run in ways.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            if number:
                seconds[way].append((time.perf_counter() - began) / count)
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    ratio = statistics.median(
        one / other for one, other in zip(seconds["loop"], seconds["plain"], strict=True)
    )
    return {"network": name, **found, "seconds_a_step": medians, "loop_to_plain": ratio}


def main() -> None:
    """Prints a line for each network, and the summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", default="", help="networks whose name holds this")
    options = parser.parse_args()
    rows = []
    for name in NETWORKS:
        if options.only in name:
            rows.append(timed(name, options.rounds, options.steps))
            print(json.dumps(rows[-1]), flush=True)
    if not options.only:
        summary = {"benchmark": "networks", "batch_size": BATCH, "rounds": options.rounds}
        print(json.dumps({**summary, "rows": rows, "machine": machine()}), flush=True)


if __name__ == "__main__":
    main()
