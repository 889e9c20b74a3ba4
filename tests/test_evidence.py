"""What the report gathers from a run is true of its model."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.models.scaling import unit_interval
from flaxmill.report.evidence import _saliency
from flaxmill.trained import TrainedRun


class Linear(nnx.Module):
    """Scores that are weighted sums of the pixels, less what they are in the mean."""

    def __init__(self) -> None:
        self.scores = nnx.Linear(12, 3, rngs=nnx.Rngs(0))

    def __call__(self, pictures: jax.Array) -> jax.Array:
        return self.scores(unit_interval(pictures).reshape(len(pictures), -1) - 0.5)


class Asked(TrainedRun):
    """A run that is asked for nothing but its model."""

    def __init__(self, model: nnx.Module) -> None:
        self.__dict__["model"] = model


def test_the_saliency_of_a_linear_model_is_the_size_of_its_weights() -> None:
    model = Linear()
    pictures = np.random.default_rng(0).integers(0, 256, (40, 4, 3, 1), np.uint8)
    logits = np.asarray(model(jnp.asarray(pictures)))
    labels = logits.argmax(-1).astype(np.int32)
    labels[:3] = (labels[:3] + 1) % 3  # three of them are mistakes
    found = _saliency(Asked(model), logits, {"image": pictures, "label": labels})
    assert [label for label, _, _ in found] == [0, 1, 2]
    probabilities = np.array(jax.nn.softmax(logits))
    probabilities[:3] = 0
    kernel = np.asarray(model.scores.kernel[...])
    for label, picture, gradient in found:
        surest = np.where(labels == label, probabilities[:, label], 0).argmax()
        np.testing.assert_array_equal(picture, pictures[surest])
        np.testing.assert_array_equal(gradient, np.abs(kernel[:, label]).reshape(4, 3))
