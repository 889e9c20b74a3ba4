"""Pictures that are the same, or nearly the same: hashes of what is seen, groups of alike ones.

A picture's hash tells which of its 64 lowest frequencies are above their median (Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions", section 3.2.1): scaling and
recompression hardly change it. Pairs of near hashes are found without comparing all with all:
hashes that differ in at most d bits are equal in at least one of d + 1 bands of bits (Norouzi,
Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing").
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8, UInt64
from PIL import Image

SIDE = 32
"""Rows and columns of the small grey picture that a hash is made of."""
DISTANCE = 4
"""Most bits, of 64, by which the hashes of two alike pictures differ."""

_FREQUENCIES = 8  # along each axis
_SMALL = 16  # rows and columns of the picture that a pair is compared by
_DETAIL = 4.0  # least standard deviation of the grey levels; below, a hash is noise
_DIFFERENCE = 0.1  # of two alike pictures, as a share of their own standard deviation
_PAIRS = 1 << 18  # candidates looked at together: this bounds memory


def thumbnail(picture: Image.Image) -> UInt8[np.ndarray, "32 32"]:
    """Returns a grey picture as small as a hash needs it.

    The filter must be smooth: under a box filter, the mirrored picture would not come to the
    mirrored thumbnail.
    """
    smooth = Image.Resampling.HAMMING
    return np.asarray(picture.resize((SIDE, SIDE), smooth, reducing_gap=3.0))


def hashes(
    thumbnails: UInt8[np.ndarray, "picture 32 32"],
) -> tuple[UInt64[np.ndarray, " picture"], UInt64[np.ndarray, " picture"]]:
    """Returns the hash of each picture, and of each mirrored left to right.

    Args:
        thumbnails: The pictures, grey and small.
    """
    place = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    cosines = np.cos(np.arange(_FREQUENCIES)[:, None] * place).astype(np.float32)
    waves = cosines @ thumbnails.astype(np.float32) @ cosines.T
    # Mirroring turns the sign of every second frequency along the rows, and does nothing else.
    mirrored = waves * (-1.0) ** np.arange(_FREQUENCIES)
    return _signs(waves), _signs(mirrored)


def _signs(waves: Float[np.ndarray, "picture 8 8"]) -> UInt64[np.ndarray, " picture"]:
    flat = waves.reshape(len(waves), -1)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def small(
    thumbnails: UInt8[np.ndarray, "picture 32 32"],
) -> UInt8[np.ndarray, "picture 256"]:
    """Returns what pairs of pictures are compared by, which takes a quarter of the memory."""
    blocks = thumbnails.reshape(len(thumbnails), _SMALL, 2, _SMALL, 2)
    return np.round(blocks.mean((2, 4), dtype=np.float32)).astype(np.uint8).reshape(len(blocks), -1)


def alike(
    hashed: UInt64[np.ndarray, " picture"],
    mirrored: UInt64[np.ndarray, " picture"],
    pictures: UInt8[np.ndarray, "picture 256"],
) -> list[list[int]]:
    """Returns groups of pictures that look the same, also mirrored; each picture in one at most.

    Two are alike where their hashes differ in at most `DISTANCE` bits and what is left of them in
    16×16 pixels is the same but for brightness, contrast and a tenth of the deviation. Pictures
    without detail, such as blank ones, are like no other.

    Args:
        hashed: From `hashes`.
        mirrored: From `hashes`.
        pictures: From `small`.
    """
    detailed = np.flatnonzero(pictures.std(axis=1, dtype=np.float32) >= _DETAIL)
    distinct, first = np.unique(hashed[detailed], return_index=True)
    representatives = detailed[first]  # one picture of each hash stands for the others
    flipped = pictures.reshape(-1, _SMALL, _SMALL)[..., ::-1].reshape(pictures.shape)
    groups = _Groups(len(hashed))

    def confirm(other: np.ndarray, rows: np.ndarray, matches: np.ndarray) -> None:
        same = _same(other[rows], pictures[matches]) & (rows != matches)
        groups.join(rows[same], matches[same])

    confirm(pictures, detailed, representatives[np.searchsorted(distinct, hashed[detailed])])
    for queries, other in ((hashed, pictures), (mirrored, flipped)):
        for rows, matches in near(queries[representatives], distinct, DISTANCE):
            confirm(other, representatives[rows], representatives[matches])
    return groups.listed()


def _same(
    one: UInt8[np.ndarray, "pair 256"], other: UInt8[np.ndarray, "pair 256"]
) -> Bool[np.ndarray, " pair"]:
    """Returns which pairs are the same but for brightness and contrast."""

    def standardized(pixels: np.ndarray) -> np.ndarray:
        centred = pixels.astype(np.float32)
        centred -= centred.mean(axis=1, keepdims=True)
        return centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)

    return ((standardized(one) - standardized(other)) ** 2).mean(axis=1) <= _DIFFERENCE**2


def near(
    queries: UInt64[np.ndarray, " query"], known: UInt64[np.ndarray, " known"], most: int
) -> Iterator[tuple[Integer[np.ndarray, " pair"], Integer[np.ndarray, " pair"]]]:
    """Yields all pairs of hashes that differ in few bits, some twice.

    Args:
        queries: Hashes.
        known: Hashes that they are looked up in.
        most: Most bits that differ.

    Yields:
        Indices into the queries and into the known ones, as many as fit into little memory.
    """
    edges = np.linspace(0, 64, most + 2).astype(np.uint64)
    for low, high in itertools.pairwise(edges):
        mask = (np.uint64(1) << (high - low)) - np.uint64(1)
        bands = (known >> low) & mask
        order = np.argsort(bands)
        query_bands = (queries >> low) & mask
        begin = np.searchsorted(bands[order], query_bands, "left")
        counts = np.searchsorted(bands[order], query_bands, "right") - begin
        ends = np.cumsum(counts)
        start = 0
        while start < len(queries):
            done = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS, "right")))
            rows = np.repeat(np.arange(start, stop), counts[start:stop])
            within = np.arange(len(rows)) - np.repeat(
                ends[start:stop] - counts[start:stop] - done, counts[start:stop]
            )
            matches = order[begin[rows] + within]
            close = np.bitwise_count(queries[rows] ^ known[matches]) <= most
            yield rows[close], matches[close]
            start = stop


class _Groups:
    """Joins numbers into groups (union-find)."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def join(self, ones: Sequence[int] | np.ndarray, others: Sequence[int] | np.ndarray) -> None:
        for one, other in zip(ones, others, strict=True):
            low, high = sorted((self._root(int(one)), self._root(int(other))))
            self._parent[high] = low

    def _root(self, number: int) -> int:
        while (parent := int(self._parent[number])) != number:
            self._parent[number] = self._parent[parent]
            number = parent
        return number

    def listed(self) -> list[list[int]]:
        """Returns the groups of more than one, in the order of their first numbers."""
        members: dict[int, list[int]] = {}
        for number in np.flatnonzero(self._parent != np.arange(len(self._parent))).tolist():
            root = self._root(number)
            members.setdefault(root, [root]).append(number)
        return [members[root] for root in sorted(members)]


def equal(digests: Sequence[bytes]) -> list[list[int]]:
    """Returns groups of equal digests, in the order of their first places.

    >>> equal([b"a", b"b", b"a"])
    [[0, 2]]
    """
    places: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        places.setdefault(digest, []).append(place)
    return [group for group in places.values() if len(group) > 1]
