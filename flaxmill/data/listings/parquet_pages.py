"""What the pages of a Parquet file unpack to: read from their headers, before memory is taken.

A page says how large it becomes and how many values it has, and pyarrow takes memory for that,
whatever the footer says. Source: https://github.com/apache/parquet-format (README, parquet.thrift)
and Thrift's compact protocol, in which headers are written.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

_HEADER = 2**16  # bytes of a header, at most: the smallest and largest value are in it
_DEEPEST = 8  # structs within one another; those of a header are three
_DICTIONARY, _PREFIXES = 2, 7  # a kind of page, and an encoding (DELTA_BYTE_ARRAY)


@dataclass(frozen=True)
class Extent:
    """What columns of a file come to.

    Attributes:
        size: Bytes of all pages, unpacked.
        values: Of the column with the most: rows, or elements of lists in them.
        longest: Bytes of the largest value that may be there many times for a few bytes each.
    """

    size: int
    values: int
    longest: int


def extent(file: IO[bytes], metadata: Any, schema: Any, names: Iterable[str]) -> Extent:
    """Returns what some columns of a file come to.

    Args:
        file: The file, open.
        metadata: Of pyarrow: the content of its footer.
        schema: Of pyarrow: its Parquet schema.
        names: The names of the columns.

    Raises:
        ValueError: A page lies outside of the file, or its header is damaged.
    """
    size, longest, values = 0, 0, [0]
    end = file.seek(0, 2)
    for column in range(metadata.num_columns):
        path = f"{schema.column(column).path}."
        if not any(path.startswith(f"{name}.") for name in names):
            continue
        count = 0
        for group in range(metadata.num_row_groups):
            chunk = metadata.row_group(group).column(column)
            for page in _pages(file, end, chunk):
                size += page.size
                count += page.values
                if page.shared:
                    longest = max(longest, page.size)
        width = max(0, schema.column(column).length)  # of values that all have one length
        size += width * count  # which nulls take too
        values.append(count)
    return Extent(size, max(values), longest)


@dataclass(frozen=True)
class _Page:
    """What the header of a page says: its bytes, unpacked; its values; whether one is many."""

    size: int
    values: int
    shared: bool


def _pages(file: IO[bytes], end: int, chunk: Any) -> Iterator[_Page]:
    """Yields the pages of a column in a group of rows."""
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    at, stop = min(starts), min(starts) + chunk.total_compressed_size
    if at < 4 or not at <= stop <= end:
        raise ValueError("a column lies outside of the file")
    while at < stop:
        file.seek(at)
        reader = _Compact(file.read(_HEADER))
        header = reader.struct()
        size, packed = _number(header, 2), _number(header, 3)
        old, new = (header.get(field, {}) for field in (5, 8))  # forms of a data page's own header
        if not isinstance(old, dict) or not isinstance(new, dict):
            raise ValueError("the header of a page is damaged")
        values = _number(old, 1, 0) + _number(new, 1, 0)
        encodings = (_number(old, 2, 0), _number(new, 4, 0))
        shared = _number(header, 1, 0) == _DICTIONARY or _PREFIXES in encodings
        yield _Page(size, values, shared)
        at += reader.at + packed


def _number(header: dict[int, Any], field: int, otherwise: int = -1) -> int:
    """Returns a number in a header that is not negative.

    Raises:
        ValueError: There is something else, or nothing where it must be there.
    """
    number = header.get(field, otherwise)
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"field {field} in the header of a page is damaged")
    return number


class _Compact:
    """Reads Thrift's compact protocol, as far as headers of pages need it.

    Args:
        content: Begins with a struct.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def _byte(self) -> int:
        if self.at >= len(self._content):
            raise ValueError("the header of a page is cut short")
        self.at += 1
        return self._content[self.at - 1]

    def _varint(self) -> int:
        number, shift = 0, 0
        while shift < 70:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise ValueError("the header of a page has a number without end")

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def struct(self, deep: int = 0) -> dict[int, Any]:
        """Returns the fields of a struct by their numbers: those that are integers or structs."""
        if deep > _DEEPEST:
            raise ValueError("the header of a page is nested too deep")
        fields: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._integer()
            fields[field] = self._value(kind & 15, deep)
        return fields

    def _value(self, kind: int, deep: int) -> Any:
        match kind:
            case 1 | 2:  # true and false are their kinds
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._integer()
            case 7:
                self.at += 8
            case 8:
                length = self._varint()
                self.at += length
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._varint()
                for _ in range(min(count, len(self._content))):
                    self._value(head & 15, deep + 1)
            case 12:
                return self.struct(deep + 1)
            case _:
                raise ValueError("the header of a page is damaged")
        return None
