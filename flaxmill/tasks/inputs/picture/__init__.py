"""Pictures, preprocessed for a model as its signature says."""

import glob
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from flaxmill.data.pictures import decode
from flaxmill.data.pictures.decode import SUFFIXES, naming, open_picture
from flaxmill.data.pictures.fit import border, fit
from flaxmill.data.pictures.pixels import as_picture
from flaxmill.data.pictures.plain import WHITES, upright
from flaxmill.data.source import Source
from flaxmill.errors import BadInput
from flaxmill.tasks import kinds
from flaxmill.tasks.inputs.picture import display
from flaxmill.tasks.inputs.picture.signature import LIGHT
from flaxmill.tasks.inputs.picture.signature import PREPROCESS as PREPROCESS
from flaxmill.tasks.inputs.picture.signature import picture_signature as picture_signature
from flaxmill.tasks.inputs.picture.upload import from_json as from_json
from flaxmill.tasks.inputs.picture.upload import limits_message as limits_message
from flaxmill.tasks.inputs.picture.upload import preprocess_uploads as preprocess_uploads
from flaxmill.tasks.signature import Signature

IN_JSON = "a list of base64 texts or data: URLs"
BYTES = ""  # of pictures there may be any number of pixels: they are uploaded
SUFFIX = ".png"
SUCH_AS = "PICTURE.png"
RANDOM = "random spots"
INSIDE = "Scaling is inside the model."
NEEDS = "NumPy and Pillow"
THING = ("picture", "pictures")
COLUMNS = 5
CELL = (1.5, 1.5)
DRAWN = (
    "Drawn sketches, not photographs.",
    "garments that flaxmill draws itself, as a stand-in for real ones: the figures show that "
    "training works, and say nothing about real clothing.",
)
CHANNELS = (1, 3, 4)
"""Grey, colours, or colours with transparency."""


def find(words: Sequence[str]) -> list[str]:
    """Returns the picture files that arguments stand for.

    Args:
        words: Files, folders (the pictures in them, in the order of their names), patterns such as
            ``shoes/*.png`` that a shell has left as they are, or ``-`` for standard input.

    Returns:
        Each file once.

    Raises:
        BadInput: A folder holds no pictures, or nothing matches a pattern.
    """
    files: list[str] = []
    for name in words:
        if not name:
            raise BadInput("one of the names is empty: give pictures, folders or patterns.")
        path = Path(name)
        if path.is_dir():
            pictures = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            inside = sorted(str(p) for p in pictures if p.is_file() and p.name[0] != ".")
            if not inside:
                raise BadInput(f"the folder {name} holds no pictures ({', '.join(SUFFIXES)}).")
            files += inside
        elif glob.has_magic(name) and not path.exists():
            matching = sorted(glob.glob(name, recursive=True))
            if not matching:
                raise BadInput(f"no file matches {name}: check the pattern.")
            files += [match for match in matching if not Path(match).is_dir()]
        else:
            files.append(name)
    if files.count("-") > 1:
        raise BadInput("- stands for standard input, which holds one picture: give it once.")
    return list(dict.fromkeys(files))


def preprocess(value: Any, signature: Signature) -> UInt8[np.ndarray, "height width channel"]:
    """Turns a picture into what a model takes.

    Files and Pillow pictures are made plain (see `flaxmill.data.pictures.plain.upright`), inverted
    if their border is light and the model knows things on a dark ground, and fitted as the
    signature says: padded to a square, cropped or squashed. So are arrays of another shape; one of
    the right shape goes in as it is.

    Args:
        value: A path, a Pillow picture, or an array.
        signature: Of the model.

    Raises:
        BadInput: It is no picture, or an array of another shape or type.
    """
    height, width, channels = signature.inputs[0].shape[1:]
    picture = open_picture(value) if isinstance(value, str | Path) else value
    if not isinstance(picture, Image.Image):
        array = _checked(np.asarray(picture), (height, width, channels))
        if array.shape == (height, width, channels):
            return array
        picture = as_picture(array)
    options, name = signature.preprocess, decode.name_of(picture)
    white = int(options.get("white", WHITES[-1]))
    picture = upright(picture, channels, white=white, lean=True, name=name)
    dark_ground = str(options.get("background", "")).startswith("dark")
    method = str(options.get("fit", "pad")).partition(" ")[0]  # "pad to a square"
    with naming(name):
        light = float(options.get("light", LIGHT))
        if dark_ground and border(picture).mean() >= light:
            picture = picture.inverted()
        share = float(options.get("share", 1))
        return fit(picture, (height, width), method, share=share, channels=channels)


def _checked(
    array: np.ndarray, shape: tuple[int, ...]
) -> UInt8[np.ndarray, "height width channel"]:
    """Returns the pixels of a picture with an axis for channels.

    Raises:
        BadInput: They are none.
    """
    pixels = array[..., None] if array.ndim == 2 else array
    known = pixels.ndim == 3 and pixels.size and pixels.shape[2] in CHANNELS
    if not known and pixels.shape != shape:
        raise BadInput(
            f"expected a picture [height, width], or with 1, 3 or 4 channels as its last axis, not "
            f"an array of shape {array.shape}."
        )
    if array.dtype != np.uint8:
        scaled = array.dtype.kind == "f" and float(np.nanmax(array)) <= 1
        way = "(255 * picture).round()" if scaled else "picture"
        raise BadInput(
            f"expected a picture of type uint8 (0 to 255), not {array.dtype}: give "
            f"{way}.astype(np.uint8)."
        )
    return pixels


def as_sequence(value: Any, signature: Signature) -> Any:
    """Returns pictures as a sequence.

    Args:
        value: One or many paths, Pillow pictures, or arrays, uint8 [height, width] or [height,
            width, channel]; several arrays may be one, with a first axis that counts them.
        signature: Of the model.
    """
    if isinstance(value, np.ndarray):
        return value if _is_batch(value.shape, signature) else value[None]
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _is_batch(shape: tuple[int, ...], signature: Signature) -> bool:
    """Returns whether an array holds several pictures, grey ones perhaps without a channel axis."""
    _, height, width, channels = signature.inputs[0].shape
    if len(shape) != 3:
        return len(shape) == 4
    grey_batch = channels == 1 and shape[1:] == (height, width)
    return grey_batch or not (shape == (height, width, channels) or shape[2] in CHANNELS)


def display_name(value: Any, index: int) -> str:
    """Returns the name of a picture: its file, or its number."""
    return str(value) if isinstance(value, str | Path) else f"picture {index}"


def collate(
    examples: Sequence[UInt8[np.ndarray, "height width channel"]], signature: Signature
) -> UInt8[np.ndarray, "picture height width channel"]:
    """Stacks preprocessed pictures into a batch."""
    return np.stack(examples)


def random_batch(
    signature: Signature, count: int
) -> UInt8[np.ndarray, "picture height width channel"]:
    """Returns random spots of every coarseness, from one colour to many.

    They are the same at each call; whatever a network looks for, some of it is there.
    """
    _, height, width, channels = signature.inputs[0].shape
    rng = np.random.default_rng(0)
    sides = [1, *(2**power for power in range(1, 12) if 2**power < 2 * max(height, width))]
    pictures = np.empty((count, height, width, channels), np.uint8)
    for number, picture in enumerate(pictures):
        side = sides[number % len(sides)]
        for channel in range(channels):
            spots = Image.fromarray(rng.integers(0, 256, (side, side), np.uint8))
            sharp = number // len(sides) % 2
            how = Image.Resampling.NEAREST if sharp else Image.Resampling.BILINEAR
            picture[..., channel] = np.asarray(spots.resize((width, height), how))
    return pictures


def edge_cases(signature: Signature) -> Iterator[Image.Image]:
    """Yields a wide picture in colour with transparency, and a tall grey one of 16 bits."""
    ramp = np.linspace(0, 65535, 21).reshape(7, 3).astype(np.uint16)
    colours = np.stack([ramp.T >> 8] * 4, axis=-1).astype(np.uint8)
    for pixels in (colours, ramp):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        yield open_picture(file.getvalue(), name="a picture")


def to_file(
    example: UInt8[np.ndarray, "height width channel"], signature: Signature
) -> tuple[str, bytes]:
    """Returns a picture as a PNG."""
    file = io.BytesIO()
    as_picture(example).save(file, "PNG")
    return SUFFIX, file.getvalue()


def sample(source: Source, index: int, signature: Signature) -> tuple[str, bytes]:
    """Returns a picture of a source as a PNG, as the model takes it."""
    return to_file(source[index][signature.inputs[0].name], signature)


def standalone_source() -> str:
    """Returns the text of `flaxmill.tasks.inputs.picture.standalone`."""
    return (Path(__file__).parent / "standalone.py").read_text(encoding="utf-8")


def displayable(
    batch: Mapping[str, Any], *, changed: bool = False
) -> list[UInt8[np.ndarray, "height width channel"]]:
    """Returns the pictures of a batch as they are shown: in their own proportions, as bytes."""
    return display.in_own_proportions(batch, changed=changed)


def summary(source: Source, indices: np.ndarray) -> tuple[str, str]:
    """Describes the pictures of a source, and the mean brightness of some."""
    some = source.take(indices)["image"]
    height, width, channels = some.shape[1:]
    return (
        f"pictures of {height}×{width}, {channels} channel(s), bytes",
        f"mean brightness {some.mean():.1f} of 255",
    )


def draw(
    panel: Any, example: UInt8[np.ndarray, "height width channel"], signature: Any = None
) -> None:
    """Draws a picture on the axes of a sheet."""
    display.draw(panel, example)


def render(
    example: UInt8[np.ndarray, "height width channel"], signature: Signature, words: str
) -> str:
    """Returns a picture as HTML."""
    return f'<img src="{display.picture_uri(example)}" alt="{html.escape(words)}">'


def explain(
    model: Callable[[Any], Any],
    examples: UInt8[np.ndarray, "picture height width channel"],
    labels: np.ndarray,
    kind: kinds.OutputKind,
    signature: Signature,
    *,
    most: int,
) -> kinds.Explanations:
    """Finds out what in pictures predictions rest on (`flaxmill.tasks.inputs.picture.attribution`).

    Args:
        model: From pictures to logits.
        examples: The pictures.
        labels: The class that each is explained for.
        kind: What the logits mean.
        signature: Of the model.
        most: Pictures that it may be shown with parts covered.
    """
    from flaxmill.tasks.inputs.picture import attribution  # a server needs none of it

    attributions = attribution.attributions(model, examples, labels, kind, most=most)
    how = attribution.BY_FEATURES if attributions.by_features else attribution.BY_COVERING
    lead = (
        f"Beside the picture of each class that it is surest of, what speaks for that class: the "
        f"brighter, the more. {how} Below, the class's probability, and what is left of it when "
        f"the brightest {attribution.COVERED:.0%} of the pixels are blurred: hardly less means "
        f"that its answer rests on much else.".replace("%", "\xa0%")
    )
    each = []
    for one in attributions.each:
        name = signature.labels[one.label]
        seen = render(one.picture, signature, name)
        lit, words = display.lit_uri(one.picture, one.heat), html.escape(name)
        pair = f'<div class="pair">{seen}<img src="{lit}" alt="{words}: what speaks for it"></div>'
        each.append(kinds.Explanation(one.label, pair, one.before, one.after))
    return kinds.Explanations(lead, each)
