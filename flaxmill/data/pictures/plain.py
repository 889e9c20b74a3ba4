"""Pictures of every kind, made alike: upright, opaque, of 8 bits, grey or RGB."""

import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from flaxmill.data.pictures.decode import EXTENT, extent, name_of, naming
from flaxmill.errors import BadInput

_Pixels = TypeVar("_Pixels", int, float)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The inverse of each orientation that a camera may write (Exif 2.3, section 4.6.4, tag 274)."""

WHITES = (255, 1023, 4095, 16383, 65535)
"""Values of white in pictures of 16 bits: instruments use 8, 10, 12, 14 or all of them."""
_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that make rows columns."""
_BACK = {6: 8, 8: 6}
"""Orientations that are not their own inverse."""
_GREY = ("1", "L", "LA")
_STRIP = 2**18  # pixels that are converted or resized at a time


def plain(
    picture: Image.Image,
    channels: int,
    *,
    white: int = WHITES[-1],
    lean: bool = False,
    name: str | Callable[[], str] = "",
) -> Image.Image:
    """Makes any picture an upright one of 8 bits, grey or RGB; arguments as of `upright`.

    Raises:
        BadInput: As of `upright` and `Upright.crop`.
    """
    return upright(picture, channels, white=white, lean=lean, name=name).whole()


def upright(
    picture: Image.Image,
    channels: int,
    *,
    white: int = WHITES[-1],
    lean: bool = False,
    name: str | Callable[[], str] = "",
) -> "Upright":
    """Returns a picture that is converted as its parts are asked for.

    It is turned as its EXIF data says and put on white where it is transparent; 16 bits become the
    upper 8 of those that the data set fills.

    Args:
        picture: Of any mode.
        channels: 1 for grey, 3 for RGB.
        white: The value that is white in a grey picture of more than 8 bits, one of `WHITES`; what
            lies above is white as well.
        lean: Whether a grey picture may stay grey where RGB is wanted, in a fourth of the memory.
        name: What messages call it, or a function that returns that; empty for its ``filename``.

    Raises:
        BadInput: Its numbers are no colours: they are floating-point ones.
    """
    name = name or name_of(picture)
    if picture.mode == "F":
        raise BadInput(
            f"{name if isinstance(name, str) else name()} holds floating-point numbers, and "
            "nothing says which of them is white: save it with 8 or 16 bits."
        )
    convert = None
    with naming(name):
        deep = is_deep(picture)
        if deep:
            convert = functools.partial(_shallow, white=white)
        elif picture.has_transparency_data:
            convert = _on_white
        grey = channels == 1 or (lean and (picture.mode in _GREY or deep))
        return Upright(picture, "L" if grey else "RGB", _orientation(picture), convert, name=name)


class Upright:
    """A picture that is upright, opaque, of 8 bits, and grey or RGB.

    Its parts are converted as they are asked for: a second copy of a large one would fill memory.

    Args:
        picture: As it was stored.
        mode: L or RGB, or the picture's own.
        turn: How the camera was held (Exif 2.3, section 4.6.4, tag 274); 1 is upright.
        convert: Makes a part of it opaque and of 8 bits, if it is not.
        inverted: Whether it is the negative of that.
        name: What messages call it, or a function that returns that.

    Attributes:
        mode: L, RGB or the picture's own.
        size: Width and height, in pixels.
        extent: Where it lies in these; see `flaxmill.data.pictures.decode.extent`.
    """

    def __init__(
        self,
        picture: Image.Image,
        mode: str,
        turn: int = 1,
        convert: Callable[[Image.Image], Image.Image] | None = None,
        *,
        inverted: bool = False,
        name: str | Callable[[], str] = "the picture",
    ) -> None:
        self._stored, self._turn, self._convert, self._name = picture, turn, convert, name
        self._inverted = inverted
        self.mode = mode
        self.size = picture.size[::-1] if turn in _SIDEWAYS else picture.size
        self.extent = _turn_box(extent(picture), picture.size, turn)

    @property
    def width(self) -> int:
        """Pixels of a row."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.size[1]

    @property
    def bands(self) -> int:
        """Channels of a pixel."""
        return Image.getmodebands(self.mode)

    @property
    def is_stored(self) -> bool:
        """Whether the stored picture needs no conversion."""
        changed = self._convert is not None or self._inverted or self._turn in _TURNS
        return self._stored.mode == self.mode and not changed

    def inverted(self) -> "Upright":
        """Returns its negative."""
        return Upright(
            *(self._stored, self.mode, self._turn, self._convert),
            inverted=not self._inverted,
            name=self._name,
        )

    def whole(self) -> Image.Image:
        """Returns all of it; the stored picture itself where that is plain.

        Raises:
            BadInput: As of `crop`.
        """
        if self.is_stored:
            return self._stored
        if len(list(strips(self.size))) == 1:
            whole = self.crop((0, 0, *self.size))
        else:
            whole = self._assemble(self.mode, lambda strip: strip)
        whole.info = {EXTENT: self.extent}  # not that it is to be turned
        return whole

    def band(self, index: int) -> Image.Image:
        """Returns one channel, as a grey picture.

        Raises:
            BadInput: As of `crop`.
        """
        return self._assemble("L", lambda strip: strip.getchannel(index))

    def _assemble(self, mode: str, part: Callable[[Image.Image], Image.Image]) -> Image.Image:
        """Puts a picture together from a part of each strip."""
        whole = Image.new(mode, self.size)
        for top, bottom in strips(self.size):
            whole.paste(part(self.crop((0, top, self.width, bottom))), (0, top))
        return whole

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Returns a part: what lies from its left and top to its right and bottom, in pixels.

        Raises:
            BadInput: The picture has a mode that has no meaning as colours, or what its decoder
                left for later fails.
        """
        with naming(self._name):
            part = self._stored
            if box != (0, 0, *self.size):
                part = part.crop(_turn_box(box, self.size, _BACK.get(self._turn, self._turn)))
            if self.is_stored:
                return part
            try:
                part = part if self._convert is None else self._convert(part)
                part = part if part.mode == self.mode else part.convert(self.mode)
            except ValueError:
                name = self._name if isinstance(self._name, str) else self._name()
                raise BadInput(
                    f"{name} has the colours {self._stored.mode}, which cannot be made "
                    f"{self.mode}: save it as RGB."
                ) from None
            part = part.transpose(_TURNS[self._turn]) if self._turn in _TURNS else part
            return ImageOps.invert(part) if self._inverted else part


def strips(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yields the first row, and the one behind the last, of each strip to convert at a time.

    Args:
        size: Width and height.
    """
    width, height = size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture.convert("RGBA"))
    return ground


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture is a grey one of more than 8 bits."""
    return picture.mode.startswith("I")


def _shallow(picture: Image.Image, white: int) -> Image.Image:
    """Converts a grey picture of 16 bits to 8; the value that means transparent becomes white."""
    deep = np.asarray(picture)
    clear = deep == picture.info.get("transparency", -1)
    upper = np.clip(deep >> (white.bit_length() - 8), 0, 255)
    return Image.fromarray(np.where(clear, 255, upper).astype(np.uint8))


def greatest(picture: Image.Image) -> int:
    """Returns the greatest value in a grey picture of more than 8 bits, which it decodes."""
    return int(np.asarray(picture).max())


def own_white(picture: Image.Image) -> int:
    """Returns the value of white in a picture that belongs to no data set."""
    return white_of(greatest(picture)) if is_deep(picture) else WHITES[-1]


def white_of(greatest: int) -> int:
    """Returns the value of white in pictures by the greatest value in them.

    >>> white_of(3071), white_of(4096), white_of(70_000)
    (4095, 16383, 65535)
    """
    return next((white for white in WHITES if greatest <= white), WHITES[-1])


def _turn_box(
    box: tuple[_Pixels, _Pixels, _Pixels, _Pixels], size: tuple[int, int], turn: int
) -> tuple[_Pixels, _Pixels, _Pixels, _Pixels]:
    """Returns where a part of a picture lies once the picture was turned.

    Args:
        box: Its left, top, right and bottom.
        size: Width and height of the picture before.
        turn: One of the orientations.
    """
    (left, top, right, bottom), (width, height) = box, size
    if turn in _SIDEWAYS:  # rows become columns
        left, top, right, bottom = top, left, bottom, right
        width, height = height, width
    if turn in (2, 3, 6, 7):
        left, right = width - right, width - left
    if turn in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _orientation(picture: Image.Image) -> int:
    """Returns how the camera was held; a picture whose EXIF data is damaged counts as upright."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # it may be anything: bytes that say nothing, text where numbers belong
        return 1
