"""Parquet files of every make: which column is the picture, and every type is read or explained."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from picture_files import encoded, save, textured
from pyarrow import parquet

from flaxmill.data.check import check
from flaxmill.data.choices import picture_facts
from flaxmill.data.folder import Pictures, pictures
from flaxmill.data.listings.digests import digests
from flaxmill.data.listings.foreign import hugging_face
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput

STORED = [encoded(textured((9, 8), seed=number), "png") for number in range(4)]
MASKS = [encoded(textured((5, 5), seed=9), "png")] * 4
NAMES = [f"{number}.png" for number in range(4)]
LABELS = ["ant", "bee", "ant", "bee"]
PIXELS = pyarrow.array([[[[0, 1, 2]] * 60] * 60] * 4, pyarrow.list_(
    pyarrow.list_(pyarrow.list_(pyarrow.uint8()))))  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the four pictures as files."""
    folder = tmp_path_factory.mktemp("stored")
    for name, content in zip(NAMES, STORED, strict=True):
        (folder / name).write_bytes(content)
    return folder


def listed(place: Path, columns: Any) -> Listing:
    table = columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns)
    parquet.write_table(table, place / "x.parquet")
    return scan(place / "x.parquet")["train"]


def read(listing: Listing) -> list[bytes]:
    """Returns the contents of a listing's picture files."""
    files = [listing.files[number] for number in range(len(listing))]
    return [file.read_bytes() if isinstance(file, Path) else file for file in files]


@pytest.mark.parametrize(
    "columns",
    [
        {"mask": MASKS, "image": STORED},
        {"mask": MASKS, "Picture": STORED},
        {"mask": MASKS, "img": [{"bytes": each, "path": None} for each in STORED]},
        {"mask": MASKS, "image": NAMES},
        {"mask": MASKS, "file_name": NAMES},
        {"content": STORED},
        {"content": STORED, "path": ["photos of somebody/1.png"] * 4},
        {"image": pyarrow.array(STORED).dictionary_encode()},
        {"image": pyarrow.array(NAMES).dictionary_encode()},
        {"image": pyarrow.array(STORED, pyarrow.large_binary())},
        {"image": pyarrow.array(NAMES, pyarrow.large_string())},
        {"image": [{"bytes": None, "path": name} for name in NAMES]},
        {"image": [{"bytes": STORED[0], "path": "of another.png"},
                   *({"bytes": None, "path": name} for name in NAMES[1:])]},
        {"image": [{"path": name} for name in NAMES]},
    ],
)  # fmt: skip
def test_the_picture_is_found_by_its_name_before_its_place(
    columns: dict[str, Any], place: Path
) -> None:
    assert read(listed(place, columns | {"label": LABELS})) == STORED


def test_of_two_columns_without_a_known_name_none_is_guessed(place: Path) -> None:
    words = (
        r"x\.parquet holds pictures in the columns 'mask', 'scan', and none is called image: "
        r"rename the one to learn from to that, or choose it with hugging_face\(data, image="
    )
    with pytest.raises(BadInput, match=words):
        listed(place, {"mask": MASKS, "scan": STORED, "label": LABELS})


def test_bytes_in_the_column_of_labels_are_no_pictures(place: Path) -> None:
    labels = [b"ant", "개미".encode()] * 2
    listing = listed(place, {"path": NAMES, "label": labels})
    assert (listing.classes, read(listing)) == (("ant", "개미"), STORED)
    with pytest.raises(BadInput, match=r"line 1: the label is b'\\xff', and no text in UTF-8"):
        listed(place, {"path": NAMES, "label": [b"\xff", b"a"] * 2})


@pytest.mark.usefixtures("cache")
def test_paths_without_bytes_are_pictures_for_every_reader(place: Path) -> None:
    import datasets

    column = [{"bytes": STORED[0], "path": "a.png"}]
    column += [{"bytes": None, "path": str(place / name)} for name in NAMES[1:]]
    for some in (column, column[1:]):
        listing = listed(place, {"image": some, "label": LABELS[: len(some)]})
        theirs = datasets.load_dataset("parquet", data_files=str(place / "x.parquet"),
                                       cache_dir=str(place / "kept"))  # fmt: skip
        theirs = theirs.cast_column("image", datasets.Image())
        other = hugging_face(theirs)["train"]
        assert read(listing) == read(other) == STORED[4 - len(some) :]
        assert not check(place / "x.parquet").facts.index.errors
        assert picture_facts(str(place / "x.parquet"), validation=0, test=1).largest == 9
        splits = pictures(str(place / "x.parquet"), size=8, validation=0, test=1)
        assert splits.train[0]["image"].shape == (8, 8, 3)


def test_pictures_beside_a_parquet_file_count_with_their_content(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    column = [{"bytes": STORED[0], "path": None}, {"bytes": None, "path": "a.png"}]
    columns = {"image": column, "label": ["ant", "bee"]}
    before = digests({"train": listed(tmp_path, columns)})
    assert digests({"train": listed(tmp_path, columns)}) == before
    save(tmp_path / "a.png", colour=(0, 0, 0))
    assert digests({"train": listed(tmp_path, columns)}) != before
    (tmp_path / "a.png").write_bytes(STORED[0] + bytes(100_000))
    before = digests({"train": listed(tmp_path, columns)})
    (tmp_path / "a.png").write_bytes(STORED[0] + bytes(99_999) + b"!")
    assert digests({"train": listed(tmp_path, columns)}) != before  # to its last byte
    (tmp_path / "a.png").unlink()
    source = Pictures(listed(tmp_path, columns), (8, 8))
    words = r"row 2 \(a\.png\) has no picture, but a path, 'a\.png', at which there is no file"
    with pytest.raises(BadInput, match=words):
        source[1]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (PIXELS, r"the column 'image' of \S+x\.parquet is of the type list<.*>: expected the "
         r"content of picture files \(bytes\), or their paths\. Put arrays of pixels .*np\.savez"),
        ([{"height": 1, "pixels": [1]}] * 4, "is of the type struct<height: int64, pixels: list"),
        ([0.5] * 4, "is of the type double: expected"),
        ([None] * 4, r"lists 4 pictures, of which 4 are not there: '' \(line 1\), .* from \S+$"),
        (["x" * 70_000] * 4, r"not there: 'x{80}…' \(70,000 characters\) \(line 1\), "),
        (["a\0b"] * 4, r"'a\\x00b' \(line 1\)"),
        ([str(each) for each in STORED], r"are not there: .* characters\) \(line 1\)"),
    ],
)  # fmt: skip
def test_a_column_of_anything_else_is_explained_in_a_line_or_two(
    column: Any, words: str, place: Path
) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        listed(place, {"image": column, "label": LABELS})
    assert len(str(refused.value)) < 700


VALUES: dict[str, Any] = {
    "null": pyarrow.array([None, None]),
    "bool": [True, False],
    "int8": pyarrow.array([1, -2], pyarrow.int8()),
    "uint64": pyarrow.array([2**64 - 1, 0], pyarrow.uint64()),
    "float16": pyarrow.array(np.array([1.0, 2.5], np.float16)),
    "float": [float("inf"), 1e300],
    "gap": [float("nan"), 1.0],
    "decimal": [Decimal("1.0"), Decimal("2.5")],
    "huge decimal": pyarrow.array([Decimal(10) ** 70, Decimal(1)], pyarrow.decimal256(76, 0)),
    "date": [date(2020, 1, 1), date(1, 1, 1)],
    "time": [time(1, 2), time(3)],
    "moment": [datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)],
    "nanoseconds": pyarrow.array([1, 2], pyarrow.timestamp("ns")),
    "no such zone": pyarrow.array([1, 2], pyarrow.timestamp("us", tz="Nowhere/City")),
    "beyond all years": pyarrow.array([2**60, 0], pyarrow.timestamp("ms")),
    "a date beyond": pyarrow.array([2**31 - 1, 0], pyarrow.date32()),
    "duration": [timedelta(1), timedelta(seconds=1)],
    "string": ["a", "b" * 100_000],
    "large string": pyarrow.array(["a", "b"], pyarrow.large_string()),
    "no text": pyarrow.array([b"\xff", b"a"]).cast(pyarrow.string(), safe=False),
    "bytes": [b"a", STORED[0]],
    "fixed bytes": pyarrow.array([b"ab", b"cd"], pyarrow.binary(2)),
    "dictionary": pyarrow.array(["a", "b"]).dictionary_encode(),
    "dictionary of numbers": pyarrow.array([1, 2]).dictionary_encode(),
    "list": [["a"], ["b", "a"]],
    "large list": pyarrow.array([["a"], []], pyarrow.large_list(pyarrow.string())),
    "fixed list": pyarrow.array([[1, 2], [3, 4]], pyarrow.list_(pyarrow.int8(), 2)),
    "list with a gap": [["a", None], None],
    "nested list": [[["a"]], [["b"]]],
    "structure": [{"a": 1}, {"a": 2}],
    "picture": [{"bytes": STORED[0], "path": None}, {"bytes": None, "path": None}],
    "structures": [[{"a": 1}], []],
    "map": pyarrow.array([[("a", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int8())),
}


@pytest.mark.parametrize("role", ["label", "labels", "image", "split", "kind"])
@pytest.mark.parametrize("kind", VALUES)
def test_every_type_is_right_or_explained(kind: str, role: str, place: Path) -> None:
    """Each in each column: what comes is a listing that can be read, or one short message."""
    columns = {"image": STORED[:2], "label": LABELS[:2], "split": ["train", "train"]}
    if role == "labels":
        del columns["label"]
    try:
        listing = listed(place, columns | {role: VALUES[kind]})
        source = Pictures(listing, (8, 8))
        for number in range(len(listing)):
            source[number]
        digests({"train": listing})
    except BadInput as refused:
        assert len(str(refused)) < 800, str(refused)[:2000]
        assert role in ("label", "labels", "image", "split")


def test_two_columns_of_one_name_and_names_of_folders_are_no_trouble(tmp_path: Path) -> None:
    columns = [pyarrow.array(STORED), pyarrow.array(LABELS), pyarrow.array(LABELS)]
    twice = pyarrow.Table.from_arrays(columns, names=["image", "label", "label"])
    with pytest.raises(BadInput, match=r"x\.parquet has two columns called 'label': rename one"):
        listed(tmp_path, twice)
    folder = tmp_path / "label=7"
    folder.mkdir()
    assert listed(folder, {"image": STORED, "label": LABELS}).classes == ("ant", "bee")


def test_columns_that_datasets_calls_pictures_are_not_labels(place: Path) -> None:
    features = {"coarse": {"names": ["x", "y"], "_type": "ClassLabel"}}
    note = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pyarrow.table({"img": STORED, "coarse": [0, 1, 1, 0]}).replace_schema_metadata(note)
    listing = listed(place, table)
    assert (listing.classes, listing.labels.tolist()) == (("x", "y"), [0, 1, 1, 0])
    assert "from the column 'coarse'" in listing.note


def test_data_sets_of_another_kind_are_explained(place: Path) -> None:
    import datasets

    made = datasets.Dataset.from_dict({"image": STORED, "label": LABELS})
    assert read(hugging_face({"train": made})["train"]) == STORED  # bytes without a feature
    with pytest.raises(BadInput, match=r"a Dataset is one split: give \{'train': it\}, or what"):
        hugging_face(made)
    with pytest.raises(BadInput, match=r"split train is a IterableDataset, .* without streaming"):
        hugging_face({"train": made.to_iterable_dataset()})
    wide = datasets.Dataset.from_dict({"image": PIXELS.to_pylist(), "label": LABELS})
    with pytest.raises(BadInput, match=r"column 'image' of the split train is of List.*: expected"):
        hugging_face({"train": wide})


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (
            {"image": np.zeros(1_200_000, np.int32), "label": np.zeros(1_200_000, np.int32)},
            {},
            r"says to have 1,200,000 rows or labels: up to 1,000,000 are read of a small file",
        ),
        (
            {"image": STORED, "label": [[0] * 400_000] * 4},
            {"compression": "zstd"},
            "says to have 1,600,000 rows or labels",
        ),
        (
            {"image": [bytes(5_000_000)] * 4, "label": LABELS},
            {"compression": "zstd", "use_dictionary": False},
            r"says that 20,000,\d+ are packed in it: up to 100 times as many",
        ),
        (
            {"image": [bytes(200_000)] * 100, "label": ["ant", "bee"] * 50},
            {"compression": "zstd"},
            r"says that [\d,]+ are packed in it",
        ),
        (
            {"image": [bytes(100_000)] * 200, "label": ["ant", "bee"] * 100},
            {"compression": "zstd", "use_dictionary": False, "column_encoding": {
                "image": "DELTA_BYTE_ARRAY"}},
            r"says that [\d,]+ are packed in it",
        ),
    ],
    ids=["rows", "labels", "packed", "repeated", "prefixes"],
)  # fmt: skip
def test_a_small_file_takes_little_memory(
    columns: dict[str, Any],
    options: dict[str, Any],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = {name: pyarrow.array(values) for name, values in columns.items()}
    if columns["image"].type == pyarrow.int32():  # one picture, each time
        one = pyarrow.array(STORED[:1])
        columns["image"] = pyarrow.DictionaryArray.from_arrays(columns["image"], one)
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet", **options)
    assert (tmp_path / "x.parquet").stat().st_size < 50_000
    monkeypatch.setattr("flaxmill.machine.files.UNPACKED_ANYWAY", 16_000_000)
    before = pyarrow.default_memory_pool().max_memory()
    with pytest.raises(BadInput, match=rf"x\.parquet has [\d,]+ bytes and {words}"):
        scan(tmp_path / "x.parquet")
    assert pyarrow.default_memory_pool().max_memory() <= before + 100_000_000


def test_a_footer_that_says_less_than_the_pages_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"image": [bytes(5_000_000)] * 4, "label": LABELS}
    place = tmp_path / "x.parquet"
    parquet.write_table(pyarrow.table(columns), place, compression="zstd", use_dictionary=False)
    column = parquet.read_metadata(place).row_group(0).column(0)
    size = 2 * column.total_uncompressed_size  # Thrift doubles numbers, and has seven bits a byte
    written = bytes((size >> 7 * at & 127) | (128 if at < 3 else 0) for at in range(4))
    assert place.read_bytes().count(written) == 1
    place.write_bytes(place.read_bytes().replace(written, b"\x80\x80\x80\0"))
    assert parquet.read_metadata(place).row_group(0).column(0).total_uncompressed_size == 0
    monkeypatch.setattr("flaxmill.machine.files.UNPACKED_ANYWAY", 16_000_000)
    with pytest.raises(BadInput, match=r"says that 20,000,\d+ are packed in it"):
        scan(place)


def test_a_footer_and_pages_that_lead_outside_of_the_file_are_refused(tmp_path: Path) -> None:
    table = pyarrow.table({"image": STORED, "label": LABELS})
    parquet.write_table(table, tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    long = bytes(2**25) + (2**24 + 1).to_bytes(4, "little") + b"PAR1"
    for damaged, words in (
        (content[:4] + bytes(300) + content[304:], r"cannot be read as Parquet \("),
        (content + long, "has a footer of 16,777,217 bytes: up to 16 MiB"),
    ):
        (tmp_path / "x.parquet").write_bytes(damaged)
        with pytest.raises(BadInput, match=words):
            scan(tmp_path / "x.parquet")
