"""What counting, and what a linear model, makes of the same texts: to be beaten, or not."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from flaxmill.data.sizes import Sized
from flaxmill.data.source import Splits
from flaxmill.data.text.tokens import Encoder

_SMOOTHED = 1.0  # what is added to every count (Laplace)
_STEPS = 60  # of the optimizer, at most
_LOOSENESS = 8.0  # how much the texts weigh beside the penalty on weights; the same for any data


def scored(splits: Splits) -> dict[str, dict[str, float]]:
    """Returns how well simple models, trained on the training texts, do on the test.

    Args:
        splits: Their sources know their texts. The labels are of one class each.

    Returns:
        By the model's name, its ``accuracy`` and ``macro_f1``; nothing where texts are not known.
    """
    train, test = splits.train, splits.test
    if splits.seen or not all(isinstance(part, Sized) and part.texts for part in (train, test)):
        return {}
    classes = len(splits.labels)
    labels, expected = train.labels, test.labels
    how = dict(splits.preprocess) | {"vocabulary": ()}
    words, letters = (Encoder({**how, "kind": kind}) for kind in ("words", "characters"))
    pairs = [features(map(words.tokens, part.texts), 2) for part in (train, test)]
    triples = [features(map(letters.tokens, part.texts), 3) for part in (train, test)]
    bayes = naive_bayes(*_matrices(*pairs), labels, classes)
    linear = logistic(*_weighted(*_matrices(*triples)), labels, classes)
    return {
        "naive Bayes model of words and pairs": _figures(bayes, expected, classes),
        "linear model of 1 to 3 characters": _figures(linear, expected, classes),
    }


def told(splits: Splits) -> list[str]:
    """Returns what `scored` finds, a sentence for each model."""
    return [
        f"Beside it, a {name}: test accuracy {100 * found['accuracy']:.2f} %, macro F1 "
        f"{found['macro_f1']:.3f}."
        for name, found in scored(splits).items()
    ]


def features(texts: Iterable[Sequence[str]], longest: int) -> list[set[str]]:
    """Returns the runs of up to so many neighbouring tokens that occur in each text.

    >>> [sorted(found) for found in features([["a", "b"]], 2)]
    [['a', 'a b', 'b']]
    """
    return [
        {
            " ".join(tokens[start : start + size])
            for size in range(1, longest + 1)
            for start in range(len(tokens) - size + 1)
        }
        for tokens in texts
    ]


def _matrices(train: list[set[str]], test: list[set[str]]) -> tuple[Any, Any]:
    """Returns which features texts have, as sparse matrices; those of the training texts alone."""
    from scipy import sparse

    numbers = {name: place for place, name in enumerate(sorted(set().union(*train)))}

    def matrix(texts: list[set[str]]) -> Any:
        found = [sorted(numbers[name] for name in text if name in numbers) for text in texts]
        starts = np.cumsum([0, *map(len, found)])
        columns = np.fromiter((c for row in found for c in row), np.int64, starts[-1])
        shape = (len(texts), len(numbers))
        return sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape)

    return matrix(train), matrix(test)


def _weighted(train: Any, test: Any) -> tuple[Any, Any]:
    """Weighs rare features more (inverse document frequency), and gives each text the norm 1."""
    from scipy import sparse

    counts = np.asarray(train.sum(axis=0)).ravel()
    rarity = np.log((1 + train.shape[0]) / (1 + counts)) + 1

    def weigh(matrix: Any) -> Any:
        matrix = matrix @ sparse.diags(rarity)
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return sparse.diags(1 / np.maximum(norms, 1e-12)) @ matrix

    return weigh(train), weigh(test)


def naive_bayes(
    train: Any, test: Any, labels: Int[np.ndarray, " example"], classes: int
) -> Int[np.ndarray, " test"]:
    """Returns the classes that a multinomial naive Bayes model, of whether features occur, says."""
    member = np.eye(classes)[labels]
    counts = (train.T @ member).T + _SMOOTHED  # [class, feature]
    weights = np.log(counts / counts.sum(axis=1, keepdims=True))
    prior = np.log(np.maximum(member.sum(axis=0), 1e-9) / len(labels))
    return (test @ weights.T + prior).argmax(axis=1)


def logistic(
    train: Any, test: Any, labels: Int[np.ndarray, " example"], classes: int
) -> Int[np.ndarray, " test"]:
    """Returns the classes that multinomial logistic regression with a penalty of L2 says."""
    from scipy import optimize

    member, width = np.eye(classes)[labels], train.shape[1]

    def objective(flat: Float[np.ndarray, " weight"]) -> tuple[float, np.ndarray]:
        weights = flat.reshape(width + 1, classes)  # the last row is the bias
        scores = train @ weights[:-1] + weights[-1]
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        rest = np.exp(logs) - member
        penalty = 0.5 * float((weights[:-1] ** 2).sum())
        loss = penalty - _LOOSENESS * float((logs * member).sum())
        slope = np.vstack([_LOOSENESS * (train.T @ rest) + weights[:-1], rest.sum(axis=0)])
        slope[-1] *= _LOOSENESS
        return loss, slope.ravel()

    begin = np.zeros((width + 1) * classes)
    found = optimize.minimize(
        objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}
    )
    weights = found.x.reshape(width + 1, classes)
    return (test @ weights[:-1] + weights[-1]).argmax(axis=1)


def _figures(
    answers: Int[np.ndarray, " test"], labels: Int[np.ndarray, " test"], classes: int
) -> dict[str, float]:
    """Returns the accuracy, and the mean F1 of the classes that are, or are said to be, there."""
    each = []
    for label in range(classes):
        both = int((answers == label).sum() + (labels == label).sum())
        right = int(((answers == label) & (labels == label)).sum())
        each.append(2 * right / both if both else math.nan)
    return {"accuracy": float((answers == labels).mean()), "macro_f1": float(np.nanmean(each))}
