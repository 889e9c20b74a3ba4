"""Views of a picture, whose answers are averaged."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from flaxmill.errors import BadInput
from flaxmill.models.cnn import CNN
from flaxmill.models.views import AS_IT_IS, CLOSER, DIAGONAL, STRAIGHT, View, Views

HEIGHT, WIDTH = 8, 10
PICTURES = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 1), np.uint8)


def network() -> CNN:
    return CNN((HEIGHT, WIDTH), 1, 10, channels=(2,), hidden=4, rngs=nnx.Rngs(0))


def moved(view: View, border: Any) -> np.ndarray:
    """Returns the pictures as a view shows them; what it does not enlarge."""
    sides = ((0, 0), (2, 2), (2, 2), (0, 0))
    padded = np.pad(PICTURES, sides, mode="reflect" if border == "reflect" else "constant")
    top, left = 2 - view.down, 2 - view.right
    return padded[:, top : top + HEIGHT, left : left + WIDTH]


@pytest.mark.parametrize("border", ["zero", "reflect"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("views", [AS_IT_IS, STRAIGHT, DIAGONAL, (View(down=-2, right=1),)])
def test_views_are_averaged_in_evaluation_alone(
    views: Sequence[View], mirrored: bool, border: Any
) -> None:
    model = Views(network(), views, mirrored=mirrored, border=border)
    pictures = jnp.asarray(PICTURES)
    np.testing.assert_array_equal(model(pictures), model.network(pictures))
    model.eval()
    expected, weights = np.zeros((3, 10)), 0.0
    for view in views:
        seen = moved(view, border)
        for one in (seen, seen[:, :, ::-1]) if mirrored else (seen,):
            expected += view.weight * np.asarray(model.network(jnp.asarray(one)))
            weights += view.weight
    np.testing.assert_allclose(model(pictures), expected / weights, atol=1e-5)


class Brightness(nnx.Module):
    """Gives back what it is shown, as logits."""

    def __call__(self, pictures: Any, *, rngs: Any = None) -> Any:
        return pictures.reshape(len(pictures), -1)


def test_a_closer_view_is_the_middle_enlarged() -> None:
    model = Views(Brightness(), (View(part=0.5),), mirrored=False)
    model.eval()
    views = np.asarray(model(jnp.asarray(PICTURES))).reshape(-1, HEIGHT, WIDTH) * 255
    box = (WIDTH / 4, HEIGHT / 4, WIDTH * 3 / 4, HEIGHT * 3 / 4)
    for picture, view in zip(PICTURES, views, strict=True):
        image = Image.fromarray(picture[..., 0])
        expected = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)
        # Pillow rounds to bytes after each of the two sides.
        np.testing.assert_allclose(view, np.asarray(expected, np.float32), atol=1.01)


def test_closer_views_leave_an_even_picture_even() -> None:
    model = Views(Brightness(), CLOSER[1:])
    model.eval()
    output = model(jnp.full((1, 6, 6, 1), 100, jnp.uint8))
    np.testing.assert_allclose(output, 100 / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ((), "a model needs a view or more to look at"),
        (
            (View(part=0.0),),
            r"View\(down=0, right=0, part=0.0, weight=1.0\): its part must be above",
        ),
        ((View(weight=-1.0),), "its weight above 0"),
    ],
)
def test_impossible_views_are_refused(views: Sequence[View], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Views(network(), views)
