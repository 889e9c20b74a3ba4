"""Pictures from files: the IDX format of MNIST and its relatives, read and checked."""

import contextlib
import gzip
import hashlib
import io
import math
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from flaxmill.data.known.published import FASHION_MNIST, DataSet
from flaxmill.data.places import download_hint, require, stored_path
from flaxmill.errors import BadInput
from flaxmill.machine.files import open_regular

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""What Fashion-MNIST's labels 0 to 9 mean."""

Kind = Literal["pictures", "labels"]
_MOST = 64 * 2**20  # bytes of a file that are held; 60,000 pictures of 28×28 are 45 MiB

# Two zero bytes, 8 for unsigned bytes, and the number of dimensions.
MAGIC: dict[Kind, bytes] = {"pictures": b"\0\0\x08\x03", "labels": b"\0\0\x08\x01"}


@dataclass(frozen=True)
class LabelledImages:
    """A data set of pictures with one label each.

    Attributes:
        train: ``image``, uint8 [example, height, width, 1], and ``label``, int32 [example].
        test: The same for the examples that are not trained on.
        digests: File name -> SHA-256 of its unpacked content.
        note: A message about the data, such as what it lacks; empty if there is none.
    """

    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    digests: dict[str, str]
    note: str = ""


def read_idx(path: Path, *, expected: Kind) -> UInt8[np.ndarray, "..."]:
    """Reads an IDX file of bytes, packed with gzip or not.

    Args:
        path: The file.
        expected: What it should hold.

    Returns:
        Read-only bytes: [example, height, width] for pictures, [example] for labels.

    Raises:
        BadInput: It cannot be read, is damaged, or holds something else.

    Source: the file format section of http://yann.lecun.com/exdb/mnist/.
    """
    return _parse(path, _unpack(path), expected)


def read_idx_set(folder: Path, data_set: DataSet, num_classes: int = 10) -> LabelledImages:
    """Reads the four IDX files of a data set and makes sure that they are the published ones.

    Args:
        folder: Holds the files, packed or unpacked.
        data_set: Names them and their digests.
        num_classes: Labels are below this.

    Raises:
        BadInput: A file is missing, damaged, swapped, inconsistent with its partner or not the
            published one; the message says which and how to go on.
    """
    require(folder, data_set)
    try:
        return _read_checked(folder, data_set, num_classes)
    except BadInput as error:
        way = download_hint(data_set.name, folder)
        raise BadInput(f"{error} Replace the file, or {way}.") from None


def read_fashion_mnist(folder: Path) -> LabelledImages:
    """Reads Fashion-MNIST: 60,000 training and 10,000 test pictures of clothing, 28×28, grey.

    Args:
        folder: Holds its four files, packed or unpacked.

    Raises:
        BadInput: As `read_idx_set`.

    Source: Xiao, Rasul and Vollgraf, 2017, https://arxiv.org/abs/1708.07747.
    """
    return read_idx_set(folder, FASHION_MNIST, len(CLASS_NAMES))


def _read_checked(folder: Path, data_set: DataSet, num_classes: int) -> LabelledImages:
    paths = [path for file in data_set.files if (path := stored_path(folder, file))]
    kinds: tuple[Kind, ...] = ("pictures", "labels", "pictures", "labels")
    with ThreadPoolExecutor(len(paths)) as pool:  # zlib and hashlib let other threads run
        contents = list(pool.map(_unpack, paths))
        sums = pool.map(_sha256, contents)
        arrays = [_parse(*each) for each in zip(paths, contents, kinds, strict=True)]
    splits = []
    for start in (0, 2):
        images, labels = arrays[start : start + 2]
        _check_pair(paths[start], images, paths[start + 1], labels, num_classes)
        splits.append({"image": images[..., None], "label": labels.astype(np.int32)})
    digests = dict(zip((file.name for file in data_set.files), sums, strict=True))
    # Last, because a damaged or swapped file has a wrong digest too, which says less.
    for path, file in zip(paths, data_set.files, strict=True):
        if digests[file.name] != file.sha256:
            raise BadInput(
                f"{path} is not the published file of {data_set.title}: the SHA-256 of its "
                f"content, unpacked, is {digests[file.name]}, expected {file.sha256}."
            )
    return LabelledImages(train=splits[0], test=splits[1], digests=digests)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unpack(path: Path) -> bytes:
    """Returns a file's content, unpacked if it begins as gzip does."""
    try:
        with open_regular(path) as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from None
    if content.startswith(b"\x1f\x8b"):
        try:
            content = _gunzip(content)
        except EOFError:
            raise BadInput(
                f"{path} is truncated: its gzip data ends early, after {len(content):,} bytes."
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise BadInput(
                f"{path} is damaged: its gzip data cannot be unpacked ({error})."
            ) from None
    elif content and path.suffix == ".gz" and not content.startswith(b"\0\0"):
        page = " (a web page was saved in its place)" if content.lstrip()[:1] == b"<" else ""
        raise BadInput(f"{path} is not gzip: it begins with {content[:8]!r}{page}.")
    if not content:
        raise BadInput(f"{path} is empty.")
    if len(content) > _MOST:
        raise BadInput(
            f"{path} holds more than {_MOST >> 20} MiB, and no file of the known sets so much."
        )
    return content


def _gunzip(packed: bytes) -> bytes:
    """Unpacks gzip data, up to one byte more than there may be."""
    with contextlib.suppress(zlib.error):  # which gzip puts better
        unpacking = zlib.decompressobj(31)
        content = unpacking.decompress(packed, _MOST + 1)
        if len(content) > _MOST or (unpacking.eof and not unpacking.unused_data):
            return content
    return gzip.GzipFile(fileobj=io.BytesIO(packed)).read(_MOST + 1)  # slower, of several members


def _parse(path: Path, content: bytes, expected: Kind) -> UInt8[np.ndarray, "..."]:
    """Returns the array in an unpacked IDX file."""
    magic = content[:4]
    for kind, begin in MAGIC.items():
        if magic == begin and kind != expected:
            raise BadInput(
                f"{path} is a {kind} file where {expected} were expected: are two files swapped?"
            )
    if magic != MAGIC[expected]:
        raise BadInput(
            f"{path} is not an IDX file of {expected}: it begins with {magic.hex(' ')}, "
            f"expected {MAGIC[expected].hex(' ')}."
        )
    start = 4 + 4 * magic[3]
    if len(content) < start:
        raise BadInput(f"{path} is truncated: it ends within its header of {start} bytes.")
    shape = struct.unpack_from(f">{magic[3]}I", content, 4)
    announced, present = math.prod(shape), len(content) - start
    if present != announced:
        state = "is truncated" if present < announced else "holds more than it should"
        raise BadInput(
            f"{path} {state}: its header announces {'×'.join(map(str, shape))} = {announced:,} "
            f"bytes, but {present:,} follow."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _check_pair(
    images_path: Path,
    images: UInt8[np.ndarray, "example height width"],
    labels_path: Path,
    labels: UInt8[np.ndarray, " labelled"],
    num_classes: int,
) -> None:
    """Checks that every picture has a label and every label a class."""
    if len(images) != len(labels):
        raise BadInput(
            f"{labels_path} holds {len(labels):,} labels, but {images_path} holds {len(images):,} "
            f"pictures: are training and test files swapped?"
        )
    if images.size == 0:
        raise BadInput(f"{images_path} holds no pictures.")
    wrong = np.flatnonzero(labels >= num_classes)
    if wrong.size:
        raise BadInput(
            f"{labels_path}: label {labels[wrong[0]]} of example {wrong[0]:,} (counted from 0) is "
            f"out of range, labels go from 0 to {num_classes - 1}; {wrong.size:,} of "
            f"{len(labels):,} are."
        )
