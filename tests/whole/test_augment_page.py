"""What the page on augmentation shows is true."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flaxmill.data import augment

PAGE = (Path(__file__).parents[2] / "docs" / "augment.md").read_text("utf-8")


def test_the_code_of_the_page_runs() -> None:
    found: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S):
        exec(compile(block, "augment.md", "exec"), found)
    assert found["changed"]["image"].shape == (28, 28, 1)
    assert (np.asarray(found["changed"]["image"]) != found["example"]["image"]).any()
    batch = {
        "image": jnp.stack([found["example"]["image"], found["changed"]["image"]]),
        "label": jnp.array([0, 1], jnp.int32),
    }
    mixing = found["mixing"](None, 10)
    values, _ = found["loss"](found["model"], batch, key=jax.random.key(0), mixing=mixing)["loss"]
    assert np.isfinite(values).all()
    assert (found["dimmed"](found["example"], jax.random.key(0))["image"] <= 255).all()
    for model in (found["model"], found["closer"]):
        model.eval()
        assert model(batch["image"]).shape == (2, 10)


def test_the_page_names_everything_that_there_is() -> None:
    table = PAGE[PAGE.index("| change | does |") : PAGE.index("Changes of colour, and")]
    firsts = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    named = {name for first in firsts for name in re.findall(r"`(\w+)`", first)}
    elsewhere = {"Mixing", "Transform", "chain", "mix", "mixup", "cutmix"}
    assert named == set(augment.__all__) - elsewhere
    assert all(f"`{name}`" in PAGE or f"{name}(" in PAGE for name in ("chain", "mix", "mixup"))
