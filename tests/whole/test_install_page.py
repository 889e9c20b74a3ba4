"""What the pages say about installing and about accelerators is so."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install.md").read_text("utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


def test_every_extra_is_told_and_exists() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.M)) == set(EXTRAS)
    for page in [*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), ROOT / "Dockerfile"]:
        assert "install 'flaxmill" not in page.read_text("utf-8"), page  # no index has it
        for named in re.findall(r"\.\[([\w,]+)\]", page.read_text("utf-8")):
            assert set(named.split(",")) <= set(EXTRAS), page
    # What accelerators need, JAX knows under these names.
    (cuda,), (tpu,) = EXTRAS["cuda"], EXTRAS["tpu"]
    offered = metadata.metadata("jax").get_all("Provides-Extra") or []
    assert {re.findall(r"jax\[(\w+)\]", one)[0] for one in (cuda, tpu)} <= set(offered)


def test_what_was_measured_on_an_accelerator_is_what_was_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import table

    found = table.summaries()
    rows = dict(re.findall(r"^\| (quick|good|best) \| (.* \| .*) \|$", PAGE, flags=re.M))
    expected = {}
    for preset in ("quick", "good", "best"):
        measured = found[f"targets {preset}"]
        assert measured["machine"]["accelerator"] == "NVIDIA H200"
        assert (measured["machine"]["jax"], measured["seeds"]) == ("0.11.2", 1)
        cores = found[f"accuracy {preset}"]
        assert cores["machine"]["cores"] == 2
        there = measured["contestants"]["flaxmill"]["seconds"]
        expected[preset] = f"{there} | {cores['seconds_median']:.0f}"
    assert rows == expected
    for name in ("README.md", "README.ko.md"):
        text = (ROOT / name).read_text("utf-8")
        told = re.search(r"H200\D*`good`\D*([\d.]+)\D*`best`\D*([\d.]+\d)", text)
        assert told, name
        assert told.groups() == tuple(expected[one].split(" | ")[0] for one in ("good", "best"))
    epoch = found["accelerator"]["seconds_an_epoch"]
    said = PAGE.replace("\n", " ")
    assert f"takes {epoch['flaxmill, article']:.2f} s there" in said
    assert f"in PyTorch {epoch['PyTorch']:.2f} s" in said
    assert f"loop of Flax {epoch['plain loop (JAX, Flax)']:.2f} s" in said
