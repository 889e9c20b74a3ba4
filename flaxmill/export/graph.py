"""The ONNX graph of a model, for ONNX Runtime, browsers and other servers."""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import jax

from flaxmill.errors import BadInput
from flaxmill.export.folding import evaluate
from flaxmill.export.function import Apply, answering, input_shape
from flaxmill.machine.program import install_command
from flaxmill.tasks.signature import Signature
from flaxmill.trained.engines import onnxruntime

OPSET = 18
"""Old enough for the runtimes in use, new enough for every operation that is needed."""


def check_installed() -> None:
    """Refuses to go on where the packages that write ONNX are missing.

    Raises:
        BadInput: The message says how to get them.
    """
    try:
        onnxruntime()  # before the converter, which imports it too
        import jax2onnx  # noqa: F401
    except ImportError as missing:
        raise BadInput(
            f"ONNX cannot be written, for {missing.name} is not installed: "
            f"{install_command('onnx')}, or leave the format onnx out."
        ) from None


def onnx_graph(apply: Apply, signature: Signature) -> Any:
    """Returns the ONNX model of a function, for batches of any size.

    Its input and outputs have the signature's names. Convolutions are ``Conv`` nodes with batch
    normalisation folded into them, and only what depends on the input is computed.

    Args:
        apply: Returns the model's logits.
        signature: Of the export.

    Raises:
        BadInput: The model does what cannot be written in ONNX.
    """
    try:
        return _converted(apply, signature)
    except Exception as error:  # whatever the converter or the checker stumbles over
        first = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"the model cannot be written as ONNX ({type(error).__name__}: {first}): leave the "
            f"format onnx out, as with --format stablehlo safetensors."
        ) from error


def _converted(apply: Apply, signature: Signature) -> Any:
    import jax2onnx
    import onnx

    from flaxmill.export.tidy import tidy

    form = input_shape(signature)
    traced = jax.make_jaxpr(apply)(form)
    answers = answering(lambda inputs: evaluate(traced, inputs)[0], signature)
    with quiet():
        model: Any = jax2onnx.to_onnx(
            lambda inputs: tuple(answers(inputs).values()),
            inputs=[form],
            model_name=signature.name,
            opset=OPSET,
            input_names=[signature.inputs[0].name],
            output_names=[output.name for output in signature.outputs],
        )
    tidy(model.graph)
    model.producer_name = "flaxmill"
    model.doc_string = (
        f"{signature.output_kind.ABOUT} of {signature.input_kind.THING[1]}; see signature.json"
    )
    facts = {"labels": list(signature.labels), "weights_sha256": signature.run["weights_sha256"]}
    onnx.helper.set_model_props(
        model, {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    )
    onnx.checker.check_model(model, full_check=True)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what the converter, and what quantises, say of shapes that they did not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
