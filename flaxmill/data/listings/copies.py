"""Pictures whose files are equal byte for byte, found while the digest of a set is taken."""

from collections.abc import Mapping

from flaxmill.data.listings.listing import Listing, name_of
from flaxmill.machine.program import command_line

_SHOWN = 2  # pairs that a note names


class Copies:
    """Finds files of equal content in several splits, or under several labels.

    Args:
        splits: The listings.
    """

    def __init__(self, splits: Mapping[str, Listing]) -> None:
        self._splits = splits
        self._first: dict[bytes, tuple[str, int]] = {}
        self._across: list[str] = []
        self._torn: list[str] = []

    def add(self, split: str, index: int, content: bytes) -> None:
        """Adds a file.

        Args:
            split: Where it is; that which is trained on comes first.
            index: Its place in the listing.
            content: A digest of all that is in it.
        """
        other, before = self._first.setdefault(content, (split, index))
        if (other, before) == (split, index):
            return
        pair = f"{self._name(split, index)} = {self._name(other, before)}"
        labels = self._splits[split].labels[index], self._splits[other].labels[before]
        if (labels[0] != labels[1]).any():
            self._torn.append(pair)
        elif other != split:
            self._across.append(pair)

    def _name(self, split: str, index: int) -> str:
        listing = self._splits[split]
        return name_of(listing.files, index).removeprefix(f"{listing.root}/")

    def note(self) -> str:
        """Returns a note on the copies; empty if there are none."""
        sentences = []
        if self._torn:
            sentences.append(
                f"{_counted(self._torn)} under two labels, byte for byte {_pairs(self._torn)}: "
                "nobody can learn both."
            )
        if self._across:
            sentences.append(
                f"{_counted(self._across)} in two splits, byte for byte {_pairs(self._across)}: "
                "what is trained on, or chosen by, must not be tested on."
            )
        return " ".join([*sentences, f"{command_line('check')} names all."]) if sentences else ""


def _counted(pairs: list[str]) -> str:
    return "1 picture is" if len(pairs) == 1 else f"{len(pairs):,} pictures are"


def _pairs(pairs: list[str]) -> str:
    more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
    return f"({', '.join(pairs[:_SHOWN])}{more})"
