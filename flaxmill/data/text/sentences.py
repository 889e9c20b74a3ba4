"""The built-in sentences: short reviews in three classes, made by a small grammar, without end.

Sentence and label are a pure function of (seed, index): nothing is stored or fetched. Which words
occur does not give away the class: half of the sentences turn theirs round, by a negation, by a
contrast of which the second half counts, by what was expected and what came.
"""

from collections.abc import Callable, Sequence

import numpy as np

from flaxmill.data.permutation import GOLDEN, scramble

VERSION = 1
"""Of the grammar: it goes up when a sentence changes, so that no run is resumed on others."""
CLASSES = ("negative", "mixed", "positive")
"""Names of the labels 0 to 2."""
TEST_FIRST = 2**40
"""Index of the first test sentence; training sentences count from 0 and never come so far."""

_DRAWS = 24  # numbers that a sentence is made of, at most


def _words(text: str) -> list[str]:
    return text.split()


_GOOD = _words("""
    good great fine lovely warm clever bright fresh honest gentle graceful splendid charming lively
    tender witty generous superb delightful elegant moving vivid thoughtful brilliant refreshing
    memorable excellent pleasant wonderful sincere inventive crisp radiant heartfelt flawless subtle
    playful rich gripping assured
""")
_BAD = _words("""
    bad poor dull cold clumsy dreary stale boring harsh awkward dreadful tiresome lifeless bland
    stupid greedy awful annoying ugly shallow muddled careless hopeless tedious forgettable terrible
    unpleasant horrible hollow lazy soggy grim forced broken crude noisy empty sloppy shaky
""")
_THINGS = _words("""
    film play novel album concert hotel café museum lecture tour meal service staff room garden
    story cast music ending script pizza soup coffee bread cake view exhibition market course guide
    teacher game puzzle camera phone bicycle train ferry beach festival
""")
_VERY = _words("really very quite rather so truly simply just")
_PEOPLE = ["my sister", "my brother", "a friend", "the critic", "our neighbour", "the waiter", "he"]
_WHEN = [
    *("last week", "on a rainy day", "after work", "in the spring", "for two hours", "at noon"),
    *("with the children", "on the way home", "by the river", "on the first night"),
]


class _Dice:
    """Throws numbers for one sentence, from those that were drawn for it."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)

    def of(self, count: int) -> int:
        """Returns a number from 0 up to, but not, ``count``."""
        return next(self._numbers) % count

    def one(self, of: Sequence[str]) -> str:
        """Returns one of some words; those that come first come more often."""
        place = next(self._numbers) % (len(of) * len(of))
        return of[len(of) - 1 - int(place**0.5)]

    def chance(self, share: float) -> bool:
        """Returns True for about this share of the calls."""
        return next(self._numbers) % 1000 < 1000 * share


def _word(dice: _Dice, good: bool) -> str:
    word = dice.one(_GOOD if good else _BAD)
    if not dice.chance(0.07):
        return word
    at = 1 + dice.of(len(word) - 2)  # mistyped, as people do
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _judgement(dice: _Dice, good: bool) -> str:
    """Returns words for good, or bad; a third of them negate the opposite."""
    if dice.chance(0.33):
        word = _word(dice, not good)
        how = ("not {}", "never {}", "not {} at all", "anything but {}", "hardly {}", "far from {}")
        return how[dice.of(len(how))].format(word)
    word = _word(dice, good)
    return f"{dice.one(_VERY)} {word}" if dice.chance(0.4) else word


def _plain(dice: _Dice, good: bool) -> str:
    return f"the {dice.one(_THINGS)} was {_judgement(dice, good)}"


def _but(dice: _Dice, good: bool) -> str:
    first, thing = _judgement(dice, not good), dice.one(_THINGS)
    second = _judgement(dice, good)
    how = (
        "the {} was {} at first , but {} in the end",
        "although the {} looked {} , it was {}",
        "they say the {} is {} , i found it {}",
        "i expected a {} that is {} , it turned out {}",
    )
    return how[dice.of(len(how))].format(thing, first, second)


def _turned(dice: _Dice, good: bool) -> str:
    first, thing = _judgement(dice, good), dice.one(_THINGS)
    second = _judgement(dice, not good)
    how = (
        "the {} was {} , even if {} calls it {}",
        "the {} was {} , and whoever says that {} found it {} lies",
        "i thought it {1} , this {0} , though {2} said it was {3}",
    )
    who = dice.one(_PEOPLE)
    return how[dice.of(len(how))].format(thing, first, who, second)


def _mixed(dice: _Dice, good: bool) -> str:
    one, other, thing = _judgement(dice, good), _judgement(dice, not good), dice.one(_THINGS)
    how = (
        "the {0} was {1} in part , and in part {2}",
        "the {0} was {1} , the {3} was {2}",
        "half of the {0} was {1} , the other half {2}",
        "i found the {0} {1} , {4} found it {2} , and both are right",
    )
    return how[dice.of(len(how))].format(thing, one, other, dice.one(_THINGS), dice.one(_PEOPLE))


_WAYS: dict[int, tuple[Callable[[_Dice, bool], str], ...]] = {
    0: (_plain, _plain, _but, _turned),
    1: (_mixed,),
    2: (_plain, _plain, _but, _turned),
}


def sentence(index: int, *, seed: int = 0) -> tuple[str, int]:
    """Returns a sentence, in lower case, and its label.

    Args:
        index: Which, from 0 on.
        seed: Of the whole set.

    >>> sentence(3)[1] in range(3)
    True
    """
    return _build(_numbers(np.array([index]), seed)[0])


def _numbers(indices: np.ndarray, seed: int) -> list[list[int]]:
    """Returns the numbers that sentences are made of, each from its index and the seed alone."""
    with np.errstate(over="ignore"):
        places = np.uint64(seed) + np.arange(1, _DRAWS + 1, dtype=np.uint64) * GOLDEN
        mixed = scramble(places + scramble(indices.astype(np.uint64))[:, None])
    return (mixed >> np.uint64(20)).astype(np.int64).tolist()


def _build(numbers: Sequence[int]) -> tuple[str, int]:
    dice = _Dice(numbers)
    label = (0, 0, 1, 2, 2)[dice.of(5)]
    ways = _WAYS[label]
    text = ways[dice.of(len(ways))](dice, dice.chance(0.5) if label == 1 else label == 2)
    if dice.chance(0.3):
        text = f"{_WHEN[dice.of(len(_WHEN))]} , {text}"
    return text, label


def sentences(count: int, *, first: int = 0, seed: int = 0) -> tuple[list[str], list[int]]:
    """Returns sentences, and their labels.

    Args:
        count: How many.
        first: Index of the first one.
        seed: Of the whole set.
    """
    pairs = [_build(numbers) for numbers in _numbers(np.arange(first, first + count), seed)]
    return [text for text, _ in pairs], [label for _, label in pairs]
