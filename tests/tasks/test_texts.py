import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.commands.inference import predict
from flaxmill.data.text.splits import TextOptions, own_texts
from flaxmill.errors import BadInput
from flaxmill.tasks import kinds
from flaxmill.tasks.inputs import text
from flaxmill.tasks.inputs.text import text_signature
from flaxmill.tasks.signature import Signature
from flaxmill.trained.exported import Exported

KIND = kinds.input_kind("text")


@pytest.fixture
def signature(tmp_path: Path) -> Signature:
    lines = [f"a {'fine long' if i % 2 else 'poor'} film {i},{i % 2}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *lines]))
    return text_signature("t", own_texts(str(tmp_path / "a.csv"), TextOptions(sizes=2, least=2)))


def test_the_signature_says_how_texts_become_tokens(signature: Signature, tmp_path: Path) -> None:
    assert (signature.takes, signature.gives) == ("text", "one_class")
    assert signature.inputs[0].shape == (-1, "time")
    assert signature.sizes == (4, 5)
    assert signature.labels == ("0", "1")
    signature.save(tmp_path / "signature.json")
    assert Signature.load(tmp_path / "signature.json") == signature


def test_texts_become_batches_of_a_declared_size(signature: Signature) -> None:
    words = signature.preprocess["vocabulary"]
    one = KIND.preprocess("A fine film", signature)
    assert one.dtype == np.int32
    assert [words[number] for number in one] == ["a", "fine", "film"]
    batch = KIND.collate([one, KIND.preprocess("film", signature)], signature)
    assert batch.shape == (2, 4)
    assert batch[1].tolist() == [words.index("film"), 0, 0, 0]
    assert KIND.collate([KIND.preprocess("a " * 99, signature)], signature).shape == (1, 5)
    assert KIND.preprocess("", signature).tolist() == [1]


def test_tokens_may_be_given_as_they_are(signature: Signature) -> None:
    assert KIND.preprocess([2, 3], signature).tolist() == [2, 3]
    with pytest.raises(BadInput, match="tokens are numbers from 0 to"):
        KIND.preprocess([2, 10_000], signature)
    with pytest.raises(BadInput, match="expected a text, or the numbers of its tokens"):
        KIND.preprocess(3.5, signature)
    with pytest.raises(BadInput, match="a text has 1,000,001 characters"):
        KIND.preprocess("a" * 1_000_001, signature)


def test_one_text_or_many(signature: Signature) -> None:
    assert KIND.as_sequence("a film", signature) == ["a film"]
    assert KIND.as_sequence(["a", "b"], signature) == ["a", "b"]
    assert (KIND.display_name("a film", 3), KIND.display_name([2, 3], 3)) == ("a film", "text 3")


def test_words_are_texts_files_of_texts_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.txt").write_text("\ufeffa fine film\n\n  poor \r\n", encoding="utf-8")
    Path("two.txt").write_text("so so", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("영화\nfilm\n".encode())))
    texts = KIND.find(["what a film?", "one.txt", "-"])
    assert texts == ["what a film?", "a fine film", "poor", "영화", "film"]
    assert KIND.find(["*.txt"]) == ["a fine film", "poor", "so so"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.txt"], "there is no file absent.txt: give a file with a text in each line"),
        (["no*.txt"], r"no file matches no\*.txt"),
        ([" "], "one of the texts is empty"),
        (["-", "-"], "give it once"),
        (["blank.txt"], "blank.txt holds no text"),
    ],
)
def test_what_is_no_text_is_said(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blank.txt").write_text("\n \n")
    with pytest.raises(BadInput, match=message):
        text.find(words)


def test_kinds_are_found_as_files_and_as_folders() -> None:
    assert {"picture", "text"} <= set(kinds.kind_names("inputs"))


def test_data_that_does_not_say_how_it_is_cut_has_no_signature() -> None:
    from small_loop import source

    from flaxmill.data.source import Splits

    arrays: Any = source()
    splits = Splits("x", arrays, arrays, arrays, ("a", "b"))
    with pytest.raises(BadInput, match="x does not say how its texts become tokens"):
        text_signature("t", splits)


def test_a_text_that_is_given_twice_is_answered_twice(
    signature: Signature, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fixed(Exported):
        def __init__(self) -> None:
            self.signature = signature

        def predict(self, pictures: Any, *, top: int = 1) -> list[dict[str, Any]]:
            likely = {"label": "1", "probability": 0.75}
            return [{"text": f"text {i}", "predictions": [likely]} for i in range(len(pictures))]

    (tmp_path / "lines.txt").write_text("a fine film\n\na fine film\na poor film\n")
    model = Fixed()
    predict(model, [str(tmp_path / "lines.txt")], top=1, json=True, look=False)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["a fine film", "a fine film", "a poor film"]
