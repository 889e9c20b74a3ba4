from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from flaxmill import weights
from flaxmill.errors import BadInput


def tree() -> dict[str, Any]:
    return {"dense": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}}


def test_names_are_paths() -> None:
    assert list(weights.named(tree())) == ["dense.bias", "dense.kernel"]
    assert list(weights.named({"a": [np.zeros(1), (np.zeros(1),)]})) == ["a.0", "a.1.0"]


def test_the_variables_of_a_model_have_the_names_of_its_attributes() -> None:
    class Model(nnx.Module):
        def __init__(self) -> None:
            self.layers = nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0))])
            self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

    _, params, rest = nnx.split(Model(), nnx.Param, ...)
    expected = ["layers.0.bias", "layers.0.kernel", "norm.bias", "norm.scale"]
    assert sorted(weights.named(params)) == expected
    assert sorted(weights.named(rest)) == ["norm.mean", "norm.var"]
    assert weights.count(params) == 3 + 6 + 3 + 3


def test_a_digest_changes_with_name_type_shape_and_value() -> None:
    kernel = tree()["dense"]["kernel"]
    nearly = kernel.copy()
    nearly[1, 2] = np.nextafter(np.float32(1), np.float32(2))  # one bit
    others = [
        {"dense": {"kernel": kernel}},
        {"other": {"kernel": kernel}},
        {"dense": {"kernels": kernel}},
        {"dense": {"kernel": kernel.astype(np.float64)}},
        {"dense": {"kernel": kernel.view(np.int32)}},
        {"dense": {"kernel": kernel.reshape(3, 2)}},
        {"dense": {"kernel": kernel.reshape(6)}},
        {"dense": {"kernel": nearly}},
        {"dense": {"kernel": -kernel}},
        {"dense": {"kernel": jnp.asarray(kernel, jnp.bfloat16)}},
    ]
    assert len({weights.digest(other) for other in others}) == len(others)


def test_a_digest_depends_on_nothing_else() -> None:
    kernel, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32)
    expected = weights.digest({"a": kernel, "b": bias})
    assert weights.digest({"b": bias, "a": kernel}) == expected
    assert weights.digest({"a": jnp.asarray(kernel), "b": jnp.asarray(bias)}) == expected
    assert weights.digest({"a": kernel.astype(">f4"), "b": bias}) == expected
    assert weights.digest({"a": np.asfortranarray(kernel), "b": bias}) == expected
    assert weights.digest({"a": np.repeat(kernel, 2, axis=1)[:, ::2], "b": bias}) == expected


def test_named_arrays_take_their_places() -> None:
    arrays = {"dense.kernel": np.full((2, 3), 5, np.float32), "dense.bias": np.ones(3, np.float32)}
    found = weights.renamed(tree(), arrays, where="here")
    assert found["dense"]["kernel"] is arrays["dense.kernel"]
    assert found["dense"]["bias"] is arrays["dense.bias"]


def test_all_that_does_not_fit_is_listed() -> None:
    arrays = {"dense.kernels": np.ones((2, 3)), "dense.bias": np.zeros(4, np.float64)}
    with pytest.raises(BadInput) as refused:
        weights.renamed(tree(), arrays, where="the file x.safetensors")
    assert str(refused.value).splitlines() == [
        "the file x.safetensors does not fit this model.",
        "  missing: dense.kernel Did you mean 'dense.kernels'?",
        "  unexpected: dense.kernels",
        "  misshapen: dense.bias is float64[4], expected float32[3]",
    ]


def test_safetensors_are_read_and_anything_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"a.b": np.arange(3, dtype=np.float32)}, file)
    np.testing.assert_array_equal(weights.read_safetensors(file)["a.b"], [0, 1, 2])
    file.write_bytes(b"no weights at all")
    with pytest.raises(BadInput, match=r"weights.safetensors cannot be read as safetensors: "):
        weights.read_safetensors(file)
    (tmp_path / "resnet18.pth").write_bytes(b"PK\3\4 and more")
    with pytest.raises(BadInput, match=r"It looks like PyTorch's: .*torch\.save_file"):
        weights.read_safetensors(tmp_path / "resnet18.pth")
    with pytest.raises(BadInput, match=r"no whole checkpoint in it\. Give .*\.safetensors\."):
        weights.read_initial(tmp_path)  # such as an export
    with pytest.raises(BadInput, match="absent cannot be read as safetensors"):
        weights.read_safetensors(tmp_path / "absent")
