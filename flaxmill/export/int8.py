"""An ONNX model in eight-bit integers: a quarter of the size, and faster where it is supported.

Static quantisation (Jacob et al. 2018): the range of every tensor is measured on training
examples, weights get a scale for each channel, and the graph says with QuantizeLinear and
DequantizeLinear nodes where the integers begin and end. Any runtime that knows those runs it.
"""

from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from flaxmill.data.source import Source
from flaxmill.export.graph import quiet
from flaxmill.machine import stopping
from flaxmill.tasks.signature import Signature

CALIBRATION_EXAMPLES = 1000
"""Training examples that the ranges are measured on, evenly spread over all of them."""
_BATCH = 100


class _Examples(quantization.CalibrationDataReader):
    """Yields training examples to the calibration of ranges."""

    def __init__(self, source: Source, signature: Signature) -> None:
        count = min(CALIBRATION_EXAMPLES, len(source))
        self._indices = np.linspace(0, len(source) - 1, count).astype(np.int64)
        self._source, self._name, self._next = source, signature.inputs[0].name, 0

    def get_next(self) -> Any:
        """Returns the next batch; None after the last."""
        chosen = self._indices[self._next : self._next + _BATCH]
        self._next += _BATCH
        return {self._name: self._source.take(chosen)[self._name]} if len(chosen) else None


def quantized_model(model: Any, train: Source, signature: Signature) -> Any:
    """Returns an ONNX model whose convolutions and products compute in eight-bit integers.

    Args:
        model: In float32.
        train: Training examples, on which ranges are measured.
        signature: Of the export.
    """
    with stopping.temporary_folder() as folder, quiet():
        plain, preprocessed, small = (folder / name for name in ("plain", "ready", "small"))
        onnx.save(model, plain)
        quant_pre_process(str(plain), str(preprocessed), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(preprocessed),
            str(small),
            _Examples(train, signature),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        )
        quantized = onnx.load(small)
    onnx.helper.set_model_props(quantized, {prop.key: prop.value for prop in model.metadata_props})
    return quantized
