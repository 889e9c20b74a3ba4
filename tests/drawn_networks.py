"""Networks with numbers drawn by NumPy, called in one compiled function: quick to make and to ask.

A fresh network hides mistakes behind scales of 1, biases of 0 and the like; and made operation by
operation, it takes seconds of small compilations.
"""

import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.models import weights
from flaxmill.tasks.signature import Signature, Tensor


def drawn(build: Callable[[nnx.Rngs], Any]) -> Any:
    """Returns a network all of whose numbers are drawn, the same for the same name and shape."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    arrays = [_array(name, leaf.shape) for name, leaf in weights.flatten(state).items()]
    return nnx.merge(graphdef, jax.tree.unflatten(jax.tree.structure(state), arrays))


def _array(name: str, shape: tuple[int, ...]) -> jax.Array:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.rpartition(".")[2]
    if kind in ("scale", "var", "layer_scale"):
        found = generator.uniform(0.5, 1.5, shape)
    elif kind == "kernel":
        found = generator.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
    else:
        found = generator.normal(size=shape) * 0.3
    return jnp.asarray(found, jnp.float32)


def answer(network: nnx.Module, pictures: Any, seed: int = 0) -> np.ndarray:
    """Returns the logits of a network, given a seed for what it drops."""
    return np.asarray(_answer(*nnx.split(network), jnp.asarray(pictures), jax.random.key(seed)))


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def _answer(graphdef: Any, state: Any, pictures: jax.Array, key: jax.Array) -> jax.Array:
    return nnx.merge(graphdef, state)(pictures, rngs=nnx.Rngs(dropout=key))


def pictures(*shape: int) -> np.ndarray:
    """Returns raw pictures."""
    return np.random.default_rng(7).integers(0, 256, shape).astype(np.uint8)


def signature_of(shape: tuple[int, ...], classes: int) -> Signature:
    """Returns the signature of a classifier of pictures."""
    return Signature(
        name="tried",
        takes="picture",
        gives="one_class",
        inputs=(Tensor("image", "uint8", (-1, *shape)),),
        outputs=(Tensor("logits", "float32", (-1, classes)),),
        labels=tuple(map(str, range(classes))),
    )


def products(jaxpr: Any) -> list[str]:
    """Lists the types that convolutions and matrix products multiply, outermost first."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            found.append(str(equation.invars[0].aval.dtype))
        for value in equation.params.values():
            if hasattr(value, "jaxpr"):
                found += products(value.jaxpr)
    return found
