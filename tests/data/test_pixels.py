"""Arrays of pixels as pictures."""

import numpy as np
import pytest

from flaxmill.data.pictures.pixels import as_picture


@pytest.mark.parametrize(
    ("channels", "mode"), [((), "L"), ((1,), "L"), ((3,), "RGB"), ((4,), "RGBA")]
)
@pytest.mark.parametrize("width", [1, 5])
def test_pixels_are_those_of_the_array(channels: tuple[int, ...], mode: str, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, width, *channels), np.uint8)
    for array in (pixels, pixels[::-1, ::-1]):  # also where they do not lie in their order
        picture = as_picture(array)
        assert (picture.mode, picture.size) == (mode, (width, 4))
        np.testing.assert_array_equal(np.asarray(picture).reshape(array.shape), array)


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(TypeError, match="Cannot handle this data type"):
        as_picture(np.zeros((4, 4, 5), np.uint8))
