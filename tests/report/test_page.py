"""The report page, read as a browser and a screen reader would: by its elements."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import LABELS, RESULT, Page, changed, outcomes, subject

from flaxmill.errors import BadInput
from flaxmill.maths import statistics
from flaxmill.maths.calibration import log_probabilities
from flaxmill.report.page import render, write_page
from flaxmill.tasks.answers import one_class


def test_page_of_a_run_has_every_section_and_leads_to_each() -> None:
    page = Page(render([subject()]))
    sections = [attributes["id"] for attributes in page.all("section")]
    assert sections[:5] == ["result", "curves", "confusion", "classes", "mistakes"]
    assert sections[5:] == ["calibration", "attributed", "speed", "details"]
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == ["#main", *(f"#{section}" for section in sections)]
    assert {tag for tag, _ in page.elements} >= {"header", "nav", "main", "footer", "h1"}


def test_page_is_one_file_that_loads_nothing() -> None:
    text = render([subject(), subject(1)])
    assert "http:" not in text and "https:" not in text and "url(http" not in text
    page = Page(text)
    assert all(str(image["src"]).startswith("data:image/png") for image in page.all("img"))
    assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
    assert all("src" not in script for script in page.all("script"))
    policy = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert len(policy) == 1 and str(policy[0]).startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize("runs", [1, 2])
def test_page_can_be_read_without_seeing_it(runs: int) -> None:
    page = Page(render([subject(seed) for seed in range(runs)]))
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert page.all("th") and all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    figures = [part for part in page.all("div") if part.get("role") == "img"]
    assert len(figures) == len(page.all("svg")) and all(part["aria-label"] for part in figures)
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    named = {section["aria-labelledby"] for section in page.all("section")}
    assert named <= set(identifiers)


def test_headline_figures() -> None:
    page = Page(render([subject(result={"test": RESULT}, metrics=[])]))
    assert "91.21 % 9,121 of 10,000 test pictures right" in page.text
    # The Wilson interval of 9,121 in 10,000, computed by hand: 0.91178 ± 0.00555.
    assert "lies between 90.6 % and 91.7 % (95 % Wilson interval)" in page.text
    assert "Test loss0.2468" in page.text


def test_tables_hold_the_statistics() -> None:
    logits, labels = outcomes()
    matrix = statistics.confusion_matrix(labels, logits.argmax(-1), 3)
    page = Page(render([subject()]))
    cells = [text.strip() for text in page.texts["td"]]
    assert cells[:9] == [str(count) for count in matrix.ravel()]
    scores = statistics.class_metrics(matrix)
    for index, cell in enumerate((scores.precision, scores.recall, scores.f1)):
        assert cells[9 + index :: 4][:3] == [f"{100 * share:.1f}\xa0%" for share in cell]
    worst, _ = one_class.tally(logits, labels, 1.25).mistakes(20)
    captions = [text for text in page.texts["figcaption"] if "sure" in text]
    assert len(captions) == len(worst) == 20
    answer, truth = LABELS[logits[worst[0]].argmax()], LABELS[labels[worst[0]]]
    assert captions[0].startswith(f"is {truth}said {answer}")


def test_the_temperature_is_that_of_the_run_and_its_weight_is_said() -> None:
    page = Page(render([subject()]))
    assert "With temperature 1.25" in page.text
    assert "on 300 pictures held out of the training data" in page.text
    assert "they decide 55 % of it" in page.text
    few = Page(render([subject(temperature=None, held_out=60)]))
    assert "With temperature" not in few.text
    assert "Not calibrated: the 60 pictures that were held out are too few to" in few.text
    without = Page(render([subject(temperature=None, held_out=0)]))
    assert (
        "No temperature: it must be fitted on pictures that were used neither for" in without.text
    )
    for other in (few, without):
        assert len(other.all("svg")) == len(page.all("svg")) - 1


def test_the_worst_mistakes_are_as_sure_as_predict_says() -> None:
    run = subject(temperature=4.0)
    logits, labels = outcomes()
    (worst,), _ = one_class.tally(logits, labels, 4.0).mistakes(1)
    sure = np.exp(log_probabilities(logits, 4.0))[worst].max()
    captions = [text for text in Page(render([run])).texts["figcaption"] if "sure" in text]
    assert f"{100 * sure:.1f}\xa0% sure" in captions[0]


def test_what_is_missing_is_left_out_and_the_rest_keeps_its_order() -> None:
    bare = subject(tested=None, test_examples=None, attributed=None, metrics=[])
    page = Page(render([bare]))
    assert [part["id"] for part in page.all("section")] == ["result", "speed", "details"]
    assert "test examples right" in page.text  # whatever they are, they are no pictures
    empty = Page(render([replace(bare, result={})]))
    assert [part["id"] for part in empty.all("section")] == ["details"]
    loss_only = Page(render([replace(bare, result={"test": {"loss": 1.5, "examples": 9}})]))
    assert "1.500" in loss_only.text and "Wilson" not in loss_only.text


def test_rows_without_a_figure_leave_gaps_not_errors() -> None:
    rows = [
        {"step": 1, "epoch": 1, "split": "train", "loss": None},
        {"step": 2, "epoch": 2, "split": "train", "loss": float("nan")},
        {"step": 3, "epoch": 3, "split": "train", "loss": 0.25},
    ]
    page = Page(render([subject(metrics=rows)]))
    assert "Loss" in page.texts["h3"] and "Accuracy" not in page.texts["h3"]


def test_a_class_without_predictions_and_a_model_without_mistakes() -> None:
    labels = np.array([0, 0, 1])
    pictures = np.zeros((3, 28, 28, 1), np.uint8)
    logits = 10 * np.eye(3)[labels]
    run = subject(tested=(logits, labels), test_examples=pictures)
    page = Page(render([run]))
    assert "mistakes" not in [part["id"] for part in page.all("section")]
    assert "Most often confused" not in page.text
    assert "– stands where there is nothing to take a share of" in page.text
    assert "–" in [text.strip() for text in page.texts["td"]]


def test_many_classes_show_the_confusions_without_the_table() -> None:
    labels = np.arange(40)
    logits = np.eye(40)[np.roll(labels, 1)]
    names = [f"class {index}" for index in labels]
    run = subject(labels=names, tested=(logits, labels), test_examples=None)
    page = Page(render([changed(run, temperature=None, held_out=0, attributed=None)]))
    assert "40 classes make too large a table" in page.text
    assert "class 0 taken for class 39 (1)" in page.text
    assert not [table for table in page.all("table") if table["class"] == "matrix"]


def test_drawn_sketches_are_said_at_the_top_and_only_then() -> None:
    real = subject(metrics=[], tested=None)  # fewer figures to draw
    sketched = replace(real, drawn=True, data_title="drawn sketches")
    page = Page(render([sketched]))
    assert page.text.index("Drawn sketches, not photographs.") < page.text.index("Result")
    assert "Drawn" not in Page(render([real])).text
    mixed = Page(render([real, sketched]))
    assert "The pictures of run 2 are garments that flaxmill draws itself" in mixed.text
    assert "cannot be compared with one another: 1 saw Fashion-MNIST, 2 saw drawn" in mixed.text


def test_a_test_on_what_was_trained_on_is_no_test_and_says_so() -> None:
    page = Page(render([subject(seen=True, temperature=None, held_out=0)]))
    assert "all of which it was trained on: this says that it can learn them" in page.text
    assert "none of which it was trained on" not in page.text
    assert "Wilson" not in page.text
    assert "No temperature: it must be fitted on pictures that were used neither" in page.text
    assert "validation" in page.text and "validation (held out)" not in page.text
    assert "validation (held out)" in Page(render([subject()])).text
    assert "none of which it was trained on" in Page(render([subject()])).text


def test_names_are_shown_as_they_are_never_as_markup() -> None:
    page = Page(render([subject(name="<script>alert(1)</script>")]))
    assert page.texts["h1"] == ["<script>alert(1)</script>"]
    assert "b" not in page.texts and len(page.all("script")) == 1
    assert LABELS[2] in page.texts["th"]


def test_settings_are_listed_under_dotted_names() -> None:
    text = Page(render([subject()])).text
    assert "optimizer.momentum0.9" in text and "versions.jax0.10.2" in text


def test_comparison_stars_the_best_and_shows_what_differs() -> None:
    better = subject(0, result={"test": RESULT, "parameters": 10, "seconds": {"total": 9.04}})
    other = subject(
        1,
        result={"test": RESULT | {"accuracy": 0.9}, "parameters": 10, "seconds": {"total": 9.0}},
        config={"epochs": 4, "optimizer": {"momentum": 0.9}},
    )
    page = Page(render([better, other]))
    sections = [part["id"] for part in page.all("section")]
    assert sections == ["results", "differences", "curves", "recalls", "each", "details"]
    best = [
        text
        for text, attributes in zip(page.texts["span"], page.all("span"), strict=True)
        if attributes.get("class") == "best"
    ]
    assert "91.21\xa0%" in best and "90.00\xa0%" not in best
    assert "0.2468" not in best and "10" not in best  # equal losses, equal parameters
    assert not {"9.0"} & set(best)  # apart by less than is shown
    differences = page.text[page.text.index("Only the settings") :].split("How training")[0]
    assert "seed01" in differences and "epochs34" in differences
    assert "momentum" not in differences
    assert "differ in nothing but the seed" not in page.text


def test_runs_that_differ_in_the_seed_alone_get_mean_and_deviation() -> None:
    runs = [
        subject(seed, result={"test": RESULT | {"accuracy": accuracy}}, tested=None)
        for seed, accuracy in enumerate((0.90, 0.91, 0.92))
    ]
    text = Page(render(runs)).text
    assert "mean accuracy is 91.00 %, with a standard deviation of 1.00 % between seeds" in text


def test_comparison_leaves_out_what_not_every_run_has() -> None:
    page = Page(render([subject(0), subject(1, tested=None)]))
    assert "recalls" not in [part["id"] for part in page.all("section")]
    renamed = Page(render([subject(0), subject(1, labels=["a", "b", "c"])]))
    assert "recalls" not in [part["id"] for part in renamed.all("section")]


def test_page_is_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    write_page([subject()], tmp_path / "new" / "report.html")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == render([subject()])


def test_page_about_no_run_is_refused() -> None:
    with pytest.raises(BadInput, match="no run to report on: name at least one run directory"):
        render([])
