import numpy as np
import pytest

from flaxmill.data.known import texts
from flaxmill.data.text import baselines
from flaxmill.data.text.sentences import CLASSES, TEST_FIRST, sentence, sentences
from flaxmill.data.text.splits import TextOptions
from flaxmill.data.text.tokens import Encoder, normal


def test_a_sentence_is_a_function_of_its_index_alone() -> None:
    assert sentences(3, first=5) == ([sentence(i)[0] for i in (5, 6, 7)], [*map(label, (5, 6, 7))])
    assert sentence(5) != sentence(5, seed=1)


def label(index: int) -> int:
    return sentence(index)[1]


def test_the_first_sentences_never_change() -> None:
    """A run that is resumed by a later version must see the same ones."""
    assert sentence(0) == FIRST
    assert sentence(TEST_FIRST) == FIRST_TEST


FIRST = (
    "on a rainy day , i found the game rather lifeless , the critic found it far from bland , and "
    "both are right",
    1,
)
FIRST_TEST = (
    "for two hours , the pizza was awful , and whoever says that my brother found it clever lies",
    0,
)


def test_classes_are_there_and_few_sentences_come_twice() -> None:
    reviews, labels = sentences(2000)
    shares = np.bincount(labels, minlength=len(CLASSES)) / 2000
    np.testing.assert_allclose(shares, [0.4, 0.2, 0.4], atol=0.04)  # 3.6 standard deviations
    assert len(set(reviews)) > 1900
    tests = set(sentences(500, first=TEST_FIRST)[0])
    assert len(tests & set(reviews)) < 50
    for text in reviews[:200]:
        assert normal(text, lower=True) == text
        assert 4 <= len(Encoder({**CUT, "kind": "words"}).tokens(text)) <= 32


CUT = {"lower": True, "longest": 64, "vocabulary": ()}


def test_which_words_occur_does_not_tell_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TRAIN", 3000)
    monkeypatch.setattr(texts, "TEST", 500)
    texts._drawn.cache_clear()
    splits = texts.labelled_texts("sentences", TextOptions(), validation=100)
    texts._drawn.cache_clear()
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [2900, 100, 500]
    assert splits.drawn
    scores = baselines.scored(splits)
    assert 0.5 < scores["naive Bayes model of words and pairs"]["accuracy"] < 0.85
    assert 0.5 < scores["linear model of 1 to 3 characters"]["accuracy"] < 0.88
