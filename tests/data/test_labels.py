"""Labels in tables: one rule, whatever reads the cells, and what was understood is said."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from picture_files import save
from pyarrow import parquet

from flaxmill.data.check import check
from flaxmill.data.listings import written_lists
from flaxmill.data.listings.foreign import hugging_face
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing, class_order
from flaxmill.errors import BadInput

NAMES = [f"{number}.png" for number in range(8)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        save(folder / name, (8, 8))
    return folder


def in_csv(place: Path, cells: Sequence[Any], title: str, sign: str) -> Listing:
    rows = ["path," + title]
    for name, cell in zip(NAMES, cells, strict=False):
        text = "" if cell is None or cell != cell else str(cell)
        rows.append(f'{name},"{text.replace(chr(34), 2 * chr(34))}"')
    (place / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return scan(place / "labels.csv", sign=sign)["train"]


def in_parquet(place: Path, cells: Sequence[Any], title: str, sign: str) -> Listing:
    made = pyarrow.table({"path": NAMES[: len(cells)], title: cells})
    parquet.write_table(made, place / "labels.parquet")
    return scan(place / "labels.parquet", sign=sign)["train"]


def in_hugging_face(place: Path, cells: Sequence[Any], title: str, sign: str) -> Listing:
    import datasets

    paths = [str(place / name) for name in NAMES[: len(cells)]]
    made = datasets.Dataset.from_dict({"image": paths, title: list(cells)})
    made = made.cast_column("image", datasets.Image())
    return hugging_face({"train": made}, label=title, sign=sign)["train"]


READERS = [in_csv, in_parquet, in_hugging_face]
Reader = Callable[[Path, Sequence[Any], str, str], Listing]


def read(listing: Listing) -> list[list[str]]:
    """Returns the class names of each picture."""
    labels = listing.labels
    which = [np.flatnonzero(each) if labels.ndim == 2 else [each] for each in labels]
    return [[listing.classes[int(number)] for number in each] for each in which]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("title", "cells", "expected"),
    [
        ("labels", ["['cat', 'dog']", "['cat']", "[]"], [["cat", "dog"], ["cat"], []]),
        ("label", ['["cat"]', '["dog", "cat"]'], [["cat"], ["cat", "dog"]]),
        ("labels", ["['cat' 'dog']", "['dog']"], [["cat", "dog"], ["dog"]]),
        ("labels", ["[np.str_('cat')]", "['it\\'s', \"b\"]"], [["cat"], ["b", "it's"]]),
        ("labels", ["[0 2]", "[10]", "[]"], [["0", "2"], ["10"], []]),
        ("labels", ["[cat, polar bear]", "[cat]"], [["cat", "polar bear"], ["cat"]]),
        ("labels", ["('cat', 'dog')", "cat"], [["cat", "dog"], ["cat"]]),
        ("label", ["[unknown]", "cat"], [["[unknown]"], ["cat"]]),
        ("label", ["tench, Tinca tinca", "cat|dog", "개미"],
         [["tench, Tinca tinca"], ["cat|dog"], ["개미"]]),
        ("labels", ["cat|dog", "dog", ""], [["cat", "dog"], ["dog"], []]),
        ("labels", ["sea, sand", "sand, sun", "sun, sea"],
         [["sand", "sea"], ["sand", "sun"], ["sea", "sun"]]),
        ("labels", ["red,round", "blue", "red"], [["red", "round"], ["blue"], ["red"]]),
        ("label", ["1.0", "1", "2"], [["1"], ["1"], ["2"]]),
        ("label", ["007", "1e3", "1.5"], [["007"], ["1e3"], ["1.5"]]),
        ("label", ["true", "FALSE", "True"], [["True"], ["False"], ["True"]]),
        ("label", [True, False, True], [["True"], ["False"], ["True"]]),
        ("label", [3, 3, 12], [["3"], ["3"], ["12"]]),
        ("label", [3.0, 3.0, 12.0], [["3"], ["3"], ["12"]]),
        ("label", [-1, 1, 1], [["-1"], ["1"], ["1"]]),
        ("label", ["None", "cat", "none"], [["None"], ["cat"], ["none"]]),
        ("label", [date(2020, 1, 2), date(2021, 1, 2)], [["2020-01-02"], ["2021-01-02"]]),
    ],
)  # fmt: skip
def test_the_same_rows_have_the_same_classes_in_every_table(
    reader: Reader, title: str, cells: list[Any], expected: list[list[str]], place: Path
) -> None:
    assert read(reader(place, cells, title, "")) == expected


@pytest.mark.parametrize("reader", READERS)
def test_a_separator_that_was_given_is_used_by_every_reader(reader: Reader, place: Path) -> None:
    listing = reader(place, ["cat+dog", "dog"], "label", "+")
    assert read(listing) == [["cat", "dog"], ["dog"]]
    listing = reader(place, ["tench, Tinca tinca", "cat"], "labels", ",")
    assert read(listing) == [["Tinca tinca", "tench"], ["cat"]]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("title", "cells", "words"),
    [
        ("labels", ["cat", "tench, Tinca tinca", "tench, Tinca tinca"],
         "the label 'tench, Tinca tinca' may be one name, or several with commas between them. "
         "If it is one, call the column label, and not labels; if several, say so with --separ"),
        ("label", ["cat", ""], r" (1|2|3): the label is empty\. Write one, or take the row out; if "
         "pictures may have none, call the column labels"),
        ("label", ["cat", None, "dog"], "the label is empty"),
        ("label", [1.0, float("nan"), 2.0], "the label is empty"),
        ("label", ["cat", "nan"], "the label is 'nan', which programs write where there is none. "
         "Leave the cell empty, or take the row out; if a class is called so, call it otherwise"),
        ("labels", ["cat|NaN", "dog"], "the label is 'NaN', which programs write"),
        ("labels", ["['cat', None]", "['dog']"], "a label in the list is empty"),
        ("labels", ["['cat', 'dog", "['dog']"],
         r"the label \"\['cat', 'dog\" begins as a list, and does not go on as one: expected"),
    ],
)  # fmt: skip
def test_what_is_no_label_or_may_be_two_things_is_refused_with_the_ways_out(
    reader: Reader, title: str, cells: list[Any], words: str, place: Path
) -> None:
    with pytest.raises(BadInput, match=words):
        reader(place, cells, title, "")


def test_lists_and_other_types_of_parquet_are_labels_too(place: Path) -> None:
    def classes(cells: Any) -> tuple[str, ...]:
        return in_parquet(place, cells, "label", "").classes

    assert classes([Decimal("1.00"), Decimal("2.50")]) == ("1", "2.5")
    assert classes([["a", "b"], ["b"]]) == ("a", "b")
    assert classes(pyarrow.array(["b", "a", "b"]).dictionary_encode()) == ("a", "b")
    assert classes(pyarrow.array([1, -3, 1], pyarrow.int8())) == ("-3", "1")
    with pytest.raises(BadInput, match=r"line 1: a label in the list is empty"):
        classes([["a", None], ["b"]])
    with pytest.raises(BadInput, match=r"line 1: a label in the list is a list in a list"):
        classes([[["a"]], [["b"]]])
    with pytest.raises(BadInput, match=r"line 1: the label is \{'x': 1\}: expected a name, a num"):
        classes([{"x": 1}, {"x": 2}])


def test_numbers_that_are_none_of_the_named_classes_are_refused_with_the_cure(place: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["nan", "dog"])  # a name that is given is a name
    paths = [str(place / name) for name in NAMES[:2]]
    kinds = datasets.Features({"image": datasets.Image(), "label": names})
    made = datasets.Dataset.from_dict({"image": paths, "label": [0, 1]}, features=kinds)
    assert read(hugging_face({"train": made})["train"]) == [["nan"], ["dog"]]
    made = datasets.Dataset.from_dict({"image": paths, "label": [-1, 1]}, features=kinds)
    words = r"the label is -1, which is none of 2 classes, and often says .*: take such rows out"
    with pytest.raises(BadInput, match=words):
        hugging_face({"train": made})


def columns(place: Path, text: str) -> Listing:
    (place / "columns.csv").write_text(text)
    return scan(place / "columns.csv")["train"]


def test_columns_of_zeros_and_ones_are_classes(place: Path) -> None:
    one = columns(place, "image,cat,dog\n0.png,1,0\n1.png,0,1\n2.png,0,1.0\n")
    assert (one.classes, one.labels.tolist()) == (("cat", "dog"), [0, 1, 1])
    several = columns(place, "image,cat,dog\n0.png,1,1\n1.png,0,1\n2.png,0,0\n")
    assert (several.classes, several.labels.tolist()) == (("cat", "dog"), [[1, 1], [0, 1], [0, 0]])
    celeb = columns(place, "image,Smiling,Young\n0.png,1,-1\n1.png,1,1\n")
    assert read(celeb) == [["Smiling"], ["Smiling", "Young"]]
    table = {"path": NAMES[:3], "b": [True, False, True], "a": [False, True, False]}
    parquet.write_table(pyarrow.table(table), place / "flags.parquet")
    assert read(scan(place / "flags.parquet")["train"]) == [["b"], ["a"], ["b"]]
    assert "from columns of 0 and 1: ['cat'], ['dog'], ['dog']." in one.note
    words = (
        r"no column of labels: .* 2 columns are of 0 and 1, which may be classes, but 'id' is not: "
        r"leave in the table what is a class, or write a column labels with \| between the names"
    )
    with pytest.raises(BadInput, match=words):
        columns(place, "image,id,cat,dog\n0.png,7,1,0\n1.png,8,0,1\n")
    with pytest.raises(BadInput, match=r"no column of labels: .*expected one called label or la"):
        columns(place, "image,cat,dog\n0.png,-1,0\n1.png,0,1\n")


def test_rows_of_arrays_follow_the_same_rule(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4), np.uint8)

    def labelled(labels: Any, sign: str = "") -> Listing:
        np.savez(tmp_path / "set.npz", images=images, labels=np.array(labels))
        return scan(tmp_path / "set.npz", sign=sign)["train"]

    assert read(labelled(["['a', 'b']", "['a']", "[]"])) == [["a", "b"], ["a"], []]
    assert read(labelled(["a, b", "c", "c"])) == [["a, b"], ["c"], ["c"]]
    assert read(labelled(["a, b", "c", "c"], ",")) == [["a", "b"], ["c"], ["c"]]
    assert read(labelled([[1, -1], [-1, 1], [1, -1]])) == [["0"], ["1"], ["0"]]
    with pytest.raises(
        BadInput, match=r"train row 1: the label is empty\. Write one, or take the row out\.$"
    ):
        labelled([1.0, float("nan"), 2.0])
    with pytest.raises(BadInput, match=r"zeros and ones, 2 in each, as \(labels > 0\)\.astype"):
        labelled([[1, -1], [0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("title", "cells", "sign", "note"),
    [
        ("label", ["cat", "dog", "dog", "cat"], "",
         "Labels: one of 2 classes a picture, from the column 'label': 'cat', 'dog', 'dog', …"),
        ("labels", ["cat|dog", "", "dog"], "",
         "Labels: any of 2 classes a picture (0 to 2 of them), from the column 'labels', "
         "with '|' between them: 'cat|dog', '', 'dog'."),
        ("labels", ["['cat']", "['dog']"], "",
         "Labels: any of 2 classes a picture (1 of them), from the column 'labels', which "
         "holds lists: \"['cat']\", \"['dog']\". Each list has one label: written as plain names, "
         "one class of all would be learnt."),
        ("label", ["cat", "None"], "",
         "Labels: one of 2 classes a picture, from the column 'label': 'cat', 'None'. 'None' "
         "counts as a class: if it says that there is none, take those rows out."),
        ("label", ["-1", "0", "1"], "",
         "Labels: one of 3 classes a picture, from the column 'label': '-1', '0', '1'. '-1' counts "
         "as a class: if it says that there is none, take those rows out."),
        ("label", ["cat|dog", "dog"], "",
         "Labels: one of 2 classes a picture, from the column 'label': 'cat|dog', 'dog'. '|' "
         "counts as part of a name: if it separates several labels, give --separator '|'."),
        ("label", ["scab", "rust", "scab rust"], "",
         "Labels: one of 3 classes a picture, from the column 'label': 'scab', 'rust', 'scab rust'"
         ". ' ' counts as part of a name: if it separates several labels, give --separator ' '."),
        ("labels", ["cat", "dog"], ";",
         "Labels: any of 2 classes a picture (1 of them), from the column 'labels', with "
         "';' between them: 'cat', 'dog'. --separator ';' stands in no cell."),
    ],
)  # fmt: skip
def test_what_was_understood_is_said_by_training_and_by_check(
    title: str, cells: list[str], sign: str, note: str, place: Path, cache: Path
) -> None:
    for read, kind in ((in_csv, "csv"), (in_parquet, "parquet")):
        words, _, unused = read(place, cells, title, sign).note.partition(" Not used: ")
        assert words == note
        assert len(cells) == 8 or unused  # of the eight pictures there
        lines = check(place / f"labels.{kind}", sign=sign).lines()
        assert any(line.startswith(f"  {note}") for line in lines)


def test_long_cells_are_quoted_in_part(place: Path) -> None:
    note = in_csv(place, ["x" * 5000, "y" * 5000], "label", "").note
    assert f"'{'x' * 24}…' (5,000 characters)" in note and len(note) < 300
    with pytest.raises(BadInput) as refused:
        in_csv(place, ["['" + "x" * 5000, "y"], "label", "")
    assert '…" (5,002 characters) begins as a list' in str(refused.value)
    assert len(str(refused.value)) < 400


def test_any_text_in_brackets_is_a_list_or_a_name_or_refused() -> None:
    dice = np.random.default_rng(0)
    letters = list("[]({})'\",\\ x1.\nnp_가")
    for _ in range(3000):
        text = "".join(dice.choice(letters, dice.integers(0, 12)))
        for cell in (text, f"['{text}"):
            try:
                items = written_lists.read(cell.strip(), bare=bool(dice.integers(2)))
            except BadInput:
                continue
            assert items is None or isinstance(items, list)
    for items in (["a", "it's", 'say "b"', "가", "\xa0", "back\\slash", "line\nbreak"], ["x"]):
        assert written_lists.read(str(items)) == items  # as Python writes them


def test_numbers_of_any_length_are_sorted_by_their_value() -> None:
    assert class_order(["9" * 5000, "10", "01", "1", "0"]) == ("0", "01", "1", "10", "9" * 5000)
