"""A trial of a model before any client asks: whole requests, all the way to the JSON.

A signature may say what nothing can be made of, and that shows only where it is used: a reload
would let such an export take the place of one that answers.
"""

import json

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.serve.open_inference import Inference
from flaxmill.serve.refusal import Refused
from flaxmill.serve.response import DATATYPES
from flaxmill.trained.exported import Exported
from flaxmill.trained.prediction import decode


def check(model: Exported, inference: Inference) -> None:
    """Tries a model with what clients may send.

    Args:
        model: The export.
        inference: The protocol's view of it.

    Raises:
        BadInput: It cannot be served; the message says what fails.
    """
    try:
        _check_names(model)
        _infer(model, inference)
        if model.signature.output_kind.CLASSIFIES:
            _predict(model)
    except Exception as trouble:  # a signature may be wrong in ways that nobody has thought of
        known = isinstance(trouble, BadInput | Refused)
        reason = str(trouble) if known else f"{type(trouble).__name__}: {trouble}."
        raise BadInput(
            f"{model.path} cannot be served: {reason} Export the run again, or correct its "
            f"signature.json."
        ) from None


def _check_names(model: Exported) -> None:
    """Refuses a name or version that cannot stand in the path of a request."""
    for name in (model.signature.name, model.signature.version):
        if not name or "/" in name or not name.isprintable():
            raise BadInput(f"requests name it in their path, and {name!r} cannot stand there.")


def _infer(model: Exported, inference: Inference) -> None:
    """Asks for tensors as bytes, and in JSON: for the likeliest class, where there are any."""
    example = bytes(inference.example_bytes)
    classes = model.signature.output_kind.CLASSIFIES
    classified = {"parameters": {"classification": 1}} if classes else {}
    tensor = {
        "name": inference.input.name,
        "datatype": DATATYPES[inference.input.dtype],
        "shape": [1, *inference.shape[1:]],
        "parameters": {"binary_data_size": len(example)},
    }
    outputs_asked = [{"name": one.name, **classified} for one in model.signature.outputs]
    header = json.dumps({"inputs": [tensor], "outputs": outputs_asked}).encode()
    for split, body in ((0, example), (len(header), header + example)):
        request, pixels = inference.read(body, b"%d" % split)
        batch = np.frombuffer(pixels, inference.dtype).reshape(1, *inference.shape[1:])
        outputs = model.outputs(batch)
        for one in model.signature.outputs:
            array = outputs[one.name]
            if array.dtype != one.dtype or array.shape != (1, *one.shape[1:]):
                raise BadInput(
                    f"its {one.name} is {array.dtype}{[*array.shape]} for one example, and "
                    f"signature.json says {one.dtype}{[*one.shape]}."
                )
        inference.respond(request, outputs)


def _predict(model: Exported) -> None:
    """Asks for the classes of what is hard to read."""
    signature = model.signature
    for example in signature.input_kind.edge_cases(signature):
        preprocessed = signature.input_kind.preprocess(example, signature)
        (probabilities,) = model.classify(signature.input_kind.collate([preprocessed], signature))
        prediction = decode(probabilities, signature, len(signature.labels))
        json.dumps(prediction, ensure_ascii=False, allow_nan=False).encode()
