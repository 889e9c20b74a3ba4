"""LitServe with batching, for `benchmarks/serve.py`.

    python litserve_server.py MODEL.onnx --shape 28 28 1 --port 8000 [--max-batch 64]
        [--batch-timeout 0.002] [--threads 1] [--workers 1] [--servers 1]

POST /predict takes the bytes of one picture and gives the bytes of its logits, computed by ONNX
Runtime. Its fast queue (ZeroMQ) is used.
"""

import argparse
from typing import Annotated

import litserve
import numpy as np
from fastapi import Depends, Request, Response


async def content(request: Request) -> bytes:
    """Reads a request's body."""
    return await request.body()


class Served(litserve.LitAPI):
    """A model that ONNX Runtime runs."""

    def __init__(self, model: str, shape: list[int], threads: int, **how: float) -> None:
        super().__init__(**how)
        self.model, self.shape, self.threads = model, shape, threads

    def setup(self, device: str) -> None:
        """Loads the model, in the worker's process."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        how = {"providers": ["CPUExecutionProvider"]}
        self.session = onnxruntime.InferenceSession(self.model, options, **how)
        self.name = self.session.get_inputs()[0].name

    def decode_request(self, request: Annotated[bytes, Depends(content)]) -> np.ndarray:
        """Returns one picture."""
        return np.frombuffer(request, np.uint8).reshape(self.shape)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the logits of a batch."""
        return self.session.run(["logits"], {self.name: x})[0]

    def encode_response(self, output: np.ndarray) -> Response:
        """Returns one picture's logits."""
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--shape", type=int, nargs=3, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-batch", type=int, default=64)
    parser.add_argument("--batch-timeout", type=float, default=0.002)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--servers", type=int, default=1)
    arguments = parser.parse_args()
    batching = {"max_batch_size": arguments.max_batch, "batch_timeout": arguments.batch_timeout}
    api = Served(arguments.model, arguments.shape, arguments.threads, **batching)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=arguments.workers, fast_queue=True, timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=arguments.port,
        num_api_servers=arguments.servers,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
