"""Makes a converted ONNX graph as plain as one that was written by hand."""

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import numpy_helper

_TO_LAST = {3: [0, 2, 1], 4: [0, 2, 3, 1], 5: [0, 2, 3, 4, 1]}
"""How a result of ``Conv`` is transposed so that its channels come last, by number of axes."""


def tidy(graph: Any) -> None:
    """Puts summands into the convolutions and products before them, and keeps one of each constant.

    Args:
        graph: A ``GraphProto``; it is changed.
    """
    _give_biases(graph)
    _share_constants(graph)


def _give_biases(graph: Any) -> None:
    """Makes the summand of ``Conv`` and ``Gemm`` their own input, as quantisation expects it."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    readers = collections.Counter(name for node in _nodes(graph) for name in node.input)
    readers.update(output.name for output in graph.output)

    for node in graph.node:
        if node.op_type == "Gemm" and _is_nothing(constants.get("".join(node.input[2:]))):
            del node.input[2]
            attributes = [attribute for attribute in node.attribute if attribute.name != "beta"]
            del node.attribute[:]
            node.attribute.extend(attributes)  # a summand counts once unless told otherwise
    for add in [node for node in graph.node if node.op_type == "Add"]:
        summed, constant = add.input if add.input[1] in constants else reversed(add.input)
        if constant not in constants or summed not in makers or readers[summed] != 1:
            continue
        last = maker = makers[summed]
        if last.op_type == "Transpose" and list(_permutation(last)) in _TO_LAST.values():
            maker = makers.get(last.input[0], last)
            if readers[last.input[0]] != 1:
                continue
        values = numpy_helper.to_array(constants[constant])
        direct = maker is last  # a product; a convolution is followed by its transposition
        if maker.op_type != ("Gemm" if direct else "Conv") or len(maker.input) != 2:
            continue
        if values.shape[-1:] != (values.size,) or values.size != _channels(maker, constants):
            continue
        bias = numpy_helper.from_array(values.reshape(-1), f"{maker.output[0]}_bias")
        graph.initializer.append(bias)
        maker.input.append(bias.name)
        last.output[0] = add.output[0]
        makers[add.output[0]] = last
        graph.node.remove(add)
    used = {name for node in _nodes(graph) for name in node.input}
    for name, tensor in constants.items():
        if name not in used:
            graph.initializer.remove(tensor)


def _nodes(graph: Any) -> Iterator[Any]:
    """Yields the nodes of a graph and of those inside it, which read its constants too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):  # a branch of If, the body of Loop
                yield from _nodes(attribute.g)


def _channels(maker: Any, constants: dict[str, Any]) -> int | None:
    """Returns how many channels a node's constant weights make; None if they are not constant."""
    weights = constants.get(maker.input[1])
    if weights is None:
        return None
    turned = any(attribute.name == "transB" and attribute.i for attribute in maker.attribute)
    return weights.dims[0 if maker.op_type == "Conv" or turned else 1]


def _is_nothing(tensor: Any) -> bool:
    return tensor is not None and not tensor.dims and not numpy_helper.to_array(tensor).any()


def _permutation(transpose: Any) -> Any:
    return next((attribute.ints for attribute in transpose.attribute), ())


def _share_constants(graph: Any) -> None:
    """Keeps one of each constant: a network called for several views has its weights once."""
    first_names: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}
    for tensor in list(graph.initializer):
        array: np.ndarray = numpy_helper.to_array(tensor)
        content = (tensor.data_type, array.shape, array.tobytes())
        names[tensor.name] = first_names.setdefault(content, tensor.name)
        if names[tensor.name] != tensor.name:
            graph.initializer.remove(tensor)
    for node in _nodes(graph):
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)
