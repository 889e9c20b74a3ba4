"""Each network through its life: trained in the loop, stopped and gone on with, exported."""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import optax
import pytest
from drawn_networks import answer, drawn, pictures, products, signature_of
from flax import nnx
from jax import export
from small_loop import Config, Runtime, usual_step

from flaxmill.data.batches import Gear, Schedule, batches
from flaxmill.data.source import Arrays
from flaxmill.devices.convolution import fast_convolutions
from flaxmill.export.function import application, exported_signature, stablehlo
from flaxmill.export.graph import onnx_graph
from flaxmill.maths.losses import softmax_cross_entropy
from flaxmill.maths.metrics import Measures
from flaxmill.models.convnext import ConvNeXt
from flaxmill.models.vit import ViT
from flaxmill.models.wide_resnet import WideResNet
from flaxmill.training.loop import compile_steps
from flaxmill.training.state import State, create_state, to_arrays, with_arrays

SIDE, CLASSES, BATCH = 8, 5, 8
NETWORKS: dict[str, Callable[..., nnx.Module]] = {
    "ViT": functools.partial(
        ViT, size=(SIDE, SIDE), patch=4, width=8, depth=2, heads=2, dropout=0.1, drop_path=0.2
    ),
    "ConvNeXt": functools.partial(
        ConvNeXt, stages=(1, 1), widths=(4, 8), patch=2, layer_scale=0.5, dropout=0.1, drop_path=0.2
    ),
    "WideResNet": functools.partial(WideResNet, depth=10, dropout=0.1),
}


def build(name: str, rngs: nnx.Rngs, **how: Any) -> nnx.Module:
    return NETWORKS[name](3, CLASSES, mean=(0.5,), std=(0.3,), rngs=rngs, **how)


def loss(model: Any, batch: Any, *, key: jax.Array) -> Measures:
    logits = model(batch["image"], rngs=nnx.Rngs(dropout=key))
    values = softmax_cross_entropy(logits, batch["label"])
    return {"loss": (values, jnp.ones_like(values))}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_in_the_loop_and_goes_on_where_it_stopped(name: str) -> None:
    labels = np.random.default_rng(0).integers(0, CLASSES, 3 * BATCH).astype(np.int32)
    data = Arrays({"image": pictures(3 * BATCH, SIDE, SIDE, 3), "label": labels})
    tx = optax.sgd(0.1, momentum=0.9)
    fresh = create_state(functools.partial(build, name), (0,), tx)
    schedule = Schedule(Config(epochs=1, batch_size=BATCH), len(data))
    run = Runtime(Gear("resident", 1, 0), schedule)
    train_chunk = compile_steps(usual_step(loss, tx), run)

    def trained(state: State) -> list[dict[str, np.ndarray]]:
        run.step, after = int(state.step), []
        for chunk in batches(data, run):
            state, _ = train_chunk(state, chunk)
            after.append({key: np.array(leaf) for key, leaf in to_arrays(state).items()})
        return after

    whole = trained(jax.tree.map(jnp.copy, fresh))
    assert run.slow == []  # no ordinary convolution is left inside the loop
    assert run.times_compiled == 1
    begun = {key: np.array(leaf) for key, leaf in to_arrays(fresh).items()}
    still = [
        key
        for key, array in begun.items()
        if key.startswith("params.") and (array == whole[-1][key]).all()
    ]
    assert still == []  # every parameter has a gradient
    assert all(np.isfinite(array).all() for array in whole[-1].values())

    resumed = trained(jax.tree.map(jnp.asarray, with_arrays(fresh, whole[0], where="here")))
    assert len(resumed) == len(whole) - 1 == 2
    for key, array in whole[-1].items():
        assert array.tobytes() == resumed[-1][key].tobytes(), key
    assert run.times_compiled == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_is_that_of_the_layers_alone(name: str) -> None:
    half, exact = (
        drawn(functools.partial(build, name, dtype=dtype)) for dtype in (jnp.bfloat16, jnp.float32)
    )
    for model in (half, exact):
        model.eval()
    inputs = pictures(BATCH, SIDE, SIDE, 3)
    graphdef, state = nnx.split(half)
    jaxpr = jax.make_jaxpr(lambda state: nnx.merge(graphdef, state)(jnp.asarray(inputs)))(state)
    *layers, head = products(jaxpr.jaxpr)
    assert set(layers) == {"bfloat16"}
    assert head == "float32"
    assert jaxpr.out_avals[0].dtype == jnp.float32
    # Of softmax, and of normalisation.
    assert set(re.findall(r":(\w+)\[[\d,]*\] = (?:exp|rsqrt)\b", str(jaxpr))) == {"f32"}
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype(jnp.float32)}
    # Each layer rounds to 8 bits; the logits are about 1. Equal ones would mean that none did.
    assert 1e-5 < np.abs(answer(half, inputs) - answer(exact, inputs)).max() < 0.1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_in_the_loop_is_that_of_ordinary_operations(name: str) -> None:
    network = drawn(functools.partial(build, name))
    graphdef, params, rest = nnx.split(network, nnx.Param, ...)
    inputs = jnp.asarray(pictures(BATCH, SIDE, SIDE, 3))
    key, labels = jax.random.key(0), jnp.arange(BATCH) % CLASSES

    def objective(params: Any) -> jax.Array:
        model = nnx.merge(graphdef, params, rest, copy=True)
        values, _ = loss(model, {"image": inputs, "label": labels}, key=key)["loss"]
        return values.mean()

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(params: Any) -> tuple[Any, Any]:
        fast, plain = (jax.value_and_grad(f) for f in (fast_convolutions(objective), objective))
        return fast(params), plain(params)

    mine, theirs = both(params)
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        largest = max(float(np.abs(other).max()), 1e-3)
        np.testing.assert_allclose(one / largest, other / largest, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_answers_the_same(name: str) -> None:
    network, inputs = drawn(functools.partial(build, name)), pictures(16, SIDE, SIDE, 3)
    network.eval()
    expected = answer(network, inputs)
    plain, facts = signature_of((SIDE, SIDE, 3), CLASSES), {"weights_sha256": "none"}
    signature = exported_signature(
        dataclasses.replace(plain, temperature=2.0), licence="", run=facts
    )
    graph = onnx_graph(application(network), signature)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    logits = np.asarray(session.run(["logits"], {"image": inputs})[0])
    assert np.ptp(expected, axis=0).max() > 0.1  # it looks at pictures
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(logits.argmax(-1), expected.argmax(-1))
    kinds = {node.op_type for node in graph.graph.node}
    assert "Conv" in kinds
    assert not kinds & {"Einsum", "Loop", "Scan", "BatchNormalization", "RandomUniform"}
    compiled = export.deserialize(bytearray(stablehlo(application(network), signature)))
    logits = compiled.call(jnp.asarray(inputs))["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
