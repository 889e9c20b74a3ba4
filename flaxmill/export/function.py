"""What is exported of a model: one pure function from raw inputs to named answers."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import export

from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature, Tensor

Apply = Callable[[Any], Any]
"""From a batch of inputs to the model's output."""

PLATFORMS = ("cpu", "cuda", "tpu")


def application(model: nnx.Module) -> Apply:
    """Returns a model's call as a pure function; its weights become constants.

    Args:
        model: In evaluation mode.
    """
    graphdef, state = nnx.split(model)
    return lambda inputs: nnx.merge(graphdef, state, copy=True)(inputs)


def answering(apply: Apply, signature: Signature) -> Callable[[Any], dict[str, Any]]:
    """Returns the function whose answers have the names of the signature's outputs.

    Args:
        apply: Returns the model's output, in any floating type.
        signature: Of the export: its output kind and temperature make probabilities of logits.
    """
    kind = signature.output_kind
    return lambda inputs: kind.outputs(apply(inputs).astype(jnp.float32), signature)


def exported_signature(signature: Signature, *, licence: str, run: dict[str, Any]) -> Signature:
    """Returns the signature of an export: a run's, with what the export adds.

    Args:
        signature: The run's, with the temperature of the weights that are exported.
        licence: In words.
        run: What the export came from; at least its ``weights_sha256``.

    Raises:
        BadInput: The model does not give what its output kind says.
    """
    names, kind = [output.name for output in signature.outputs], signature.output_kind
    if len(names) != 1 or (kind.CLASSIFIES and names != ["logits"]):
        raise BadInput(
            f"{signature.name} gives {', '.join(names)}: only models that give logits, or one "
            f'tensor (gives="tensors" in its signature), can be exported.'
        )
    outputs = tuple(
        Tensor(name, signature.outputs[0].dtype, signature.outputs[0].shape, meaning)
        for name, meaning in kind.meanings(signature).items()
    )
    return dataclasses.replace(
        signature, outputs=outputs, licence=licence, run=run, temperatures={}
    )


def input_shape(signature: Signature) -> jax.ShapeDtypeStruct:
    """Returns the form of an input whose batch, and other axes that have a name, may be any."""
    taken = signature.inputs[0]
    shape = export.symbolic_shape(", ".join(["batch", *map(str, taken.shape[1:])]))
    return jax.ShapeDtypeStruct(shape, taken.dtype)


def stablehlo(apply: Apply, signature: Signature) -> bytes:
    """Returns the function as StableHLO, for CPU, CUDA and TPU, and batches of any size.

    ``jax.export.deserialize(content).call(inputs)`` runs it.

    Args:
        apply: Returns the model's logits.
        signature: Of the export.
    """
    function = jax.jit(answering(apply, signature))
    # Unless the file itself says so, a GPU or TPU rounds what it multiplies to fewer bits.
    with jax.default_matmul_precision("highest"), _without_places():
        exported = export.export(function, platforms=PLATFORMS)(input_shape(signature))
    return bytes(exported.serialize())


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Keeps JAX from noting, for each operation, in which file of this machine it was written."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
