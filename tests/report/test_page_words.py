"""What the report page says in plain words, and of answers of several labels and many classes."""

from dataclasses import replace
from typing import Any

import numpy as np
from pages import Page, changed, subject

from flaxmill.maths import label_statistics
from flaxmill.maths.calibration import fit_temperature
from flaxmill.report.examples import FileName
from flaxmill.report.page import ReportedRun, render

SPLITS = ("train", "validation")


def several_outcomes() -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model of three labels, and which hold."""
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 3)) < 0.4).astype(np.float32)
    return (rng.normal(0, 1, labels.shape) + 3 * (labels - 0.5)).astype(np.float32), labels


def several(**changes: Any) -> ReportedRun:
    """A run of a model of three labels, any number of which may hold."""
    logits, labels = several_outcomes()
    exact = float(((logits > 0) == (labels > 0)).all(-1).mean())
    test = {"accuracy": 0.9, "exact": exact, "f1": 0.8125, "loss": 0.3, "examples": 300}
    pictures = np.random.default_rng(1).integers(0, 256, (300, 100, 120, 3), dtype=np.uint8)
    return subject(
        gives="labels",
        result={"test": test},
        tested=(logits, labels),
        test_examples=pictures,
        temperature=0.5,
        held_out=300,
        **changes,
    )


def test_a_run_of_several_labels_has_its_own_tables() -> None:
    page = Page(render([several()]))
    sections = [attributes["id"] for attributes in page.all("section")]
    assert "confusion" not in sections and {"classes", "mistakes", "calibration"} <= set(sections)
    assert "test pictures right, with all of their labels" in page.text
    assert "F1 of all labels81.25 %" in page.text
    assert "Label by label" in page.texts["h2"] and "Average precision" in page.texts["th"]
    scores = label_statistics.label_metrics(*several_outcomes())
    cells = [text.strip() for text in page.texts["td"]]
    assert cells[4:15:5] == [f"{100 * share:.1f}\xa0%" for share in scores.average_precision]
    assert "Of the labels given with a probability of, say, 80 %, 80 % should hold" in page.text
    images = [str(image["src"]) for image in page.all("img")]
    assert any(source.startswith("data:image/jpeg") for source in images)  # of 100 × 120 pixels
    assert "Of 100 labels that it gives," in page.text


def test_the_page_says_in_plain_words_what_to_expect_and_what_to_do() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    logits = 8 * np.eye(3)[labels]
    logits[60:75] = [4.0, 0.0, 0.0]  # half of the shirts are taken for coats
    rows = [
        {"step": 1, "epoch": 1, "split": split, "loss": 0.1, "accuracy": accuracy}
        for split, accuracy in (("train", 0.99), ("validation", 0.8))
    ]
    run = subject(
        result={"test": {"accuracy": 0.85, "loss": 0.5, "examples": 100}},
        metrics=rows,
        temperature=1.0,
        tested=(logits, labels),
        test_examples=np.zeros((100, 8, 8, 1), np.uint8),
        test_name=lambda index: FileName(f"test/{index}.jpg", f"/home/me/things/test/{index}.jpg"),
        train_counts=np.array([600, 300, 20]),
        attributed=None,
    )
    page = Page(render([run]))
    text = page.text
    assert (
        "Of 100 new pictures of this kind, about 85 will be right: most likely between 76" in text
    )
    assert "Always saying “Coat” would be right 60 times." in text
    assert "What it mixes up most: Shirt is taken for Coat: 15 of 30 times." in text
    assert "Only 100 pictures were tested" in text
    assert "few pictures to learn from: 20 of “Bag & <b>more</b>”" in text
    assert "The classes are uneven: 600 pictures of “Coat”, 20 of" in text
    assert "Collect more pictures of “Shirt” (50 % found)" in text
    assert "It knows 99 % of its training pictures and 80 % of those held out" in text
    # Sure answers of “Coat” agree with 60 of 75 labels: it is the model that is wrong.
    assert "Look at these files" not in text
    assert "96.5 % suretest/60.jpg" in text and "/home/me" not in text
    names = [span for span in page.all("span") if span.get("class") == "file"]
    assert {"class": "file", "title": "/home/me/things/test/60.jpg"} in names
    seen = Page(render([replace(run, seen=True)]))
    assert "In plain words" not in seen.text


def test_a_model_that_only_guesses_is_called_so() -> None:
    labels = np.repeat([0, 1], [60, 40])
    run = subject(
        labels=["Coat", "Shirt"],
        result={"test": {"accuracy": 0.6, "loss": 0.7, "examples": 100}},
        metrics=[{"step": 1, "epoch": 1, "split": s, "loss": 1, "accuracy": 0.6} for s in SPLITS],
        tested=(np.tile([1.0, 0.0], (100, 1)), labels),
        test_examples=None,
        train_counts=np.array([900, 100]),
        temperature=None,
        held_out=0,
        attributed=None,
    )
    text = Page(render([run])).text
    assert "would be right 60 times: this model is not clearly better than that yet." in text
    assert "More than four in five training examples are “Coat”." in text
    assert "It has not learnt its training examples yet (60 %): train longer (--epochs)" in text


def test_a_thousand_classes_show_the_weakest_and_keep_the_rest() -> None:
    labels = np.arange(1000)
    logits = np.eye(1000, dtype=np.float32)[np.where(labels < 5, labels + 1, labels)]
    names = [f"class {index}" for index in labels]
    run = subject(labels=names, tested=(logits, labels), test_examples=None)
    page = Page(render([changed(run, temperature=None, held_out=0, attributed=None)]))
    assert "The 20 with the lowest F1, of 1000:" in page.text
    tables = [text.count("class ") for text in page.texts["table"]]
    assert 20 in tables and 1000 in tables


def test_files_with_probably_wrong_labels_are_named_where_the_model_can_be_believed() -> None:
    labels = np.repeat([0, 1, 2], 200)
    logits = 8 * np.eye(3)[labels]
    labels[[3, 7, 205]] = [1, 1, 0]
    held_out = logits[::2], np.repeat([0, 1, 2], 100)
    run = subject(
        result={"test": {"accuracy": 0.995, "loss": 0.1, "examples": 600}},
        metrics=[],
        tested=(logits, labels),
        test_examples=np.zeros((600, 8, 8, 1), np.uint8),
        test_name=lambda index: FileName(f"test/{index}.jpg", f"/home/me/test/{index}.jpg"),
        temperature=fit_temperature(*held_out),
        held_out=len(held_out[0]),
        attributed=None,
    )
    page = Page(render([run]))
    assert "Look at these files: more than half of their labels are probably wrong." in page.text
    assert "test/3.jpg: labelled Shirt, taken for Coat" in page.text
    assert "test/205.jpg: labelled Coat, taken for Shirt" in page.text
    assert (
        "of the 200 times that it was at least 90 % sure of that, the label agreed 198" in page.text
    )
    assert {"class": "file", "title": "/home/me/test/3.jpg"} in page.all("code")
    without = Page(
        render([changed(run, temperature=None, held_out=0)])
    )  # nothing says what sureness is worth
    assert "Look at these files" not in without.text


def test_options_are_not_broken_and_a_matrix_is_as_wide_as_its_classes() -> None:
    rows = [{"step": 1, "epoch": 1, "split": s, "loss": 1, "accuracy": 0.6} for s in SPLITS]
    page = Page(render([subject(metrics=rows)]))
    spans = zip(page.texts["span"], page.all("span"), strict=True)
    options = [text for text, attributes in spans if attributes.get("class") == "option"]
    assert options == ["--epochs", "--init-from"]
    (matrix,) = (table for table in page.all("table") if table["class"] == "matrix")
    assert matrix["style"] == "--n:3"
