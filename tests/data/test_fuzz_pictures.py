"""A few hundred damaged pictures; tests/fuzz_pictures.py reads as many as wanted."""

from pathlib import Path

import pytest
from fuzz_pictures import SECONDS, outcome, picture
from picture_bases import bases

from flaxmill.data.pictures.decode import FORMATS, open_picture


def test_good_files_of_every_format_are_there_to_be_damaged() -> None:
    assert set(bases()) == set(FORMATS)
    for kind, contents in bases().items():
        formats = {open_picture(content).format for content in contents}
        assert formats - {"MPO"} == {kind}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_damaged_picture_is_read_or_named(tmp_path: Path, seed: int) -> None:
    """By whatever reads pictures: predict, training, the server, check."""
    came = []
    for number in range(80):
        _, content = picture(seed, number)
        what, faults, seconds = outcome(content, tmp_path / "picture 0")
        assert not faults, f"seed {seed}, number {number}: {faults[0]}"
        assert seconds < SECONDS
        came.append(what)
    assert {"read", "refused"} <= set(came)
