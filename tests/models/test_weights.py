import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.training.initial import read_initial


def tree() -> dict[str, Any]:
    return {"dense": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}}


def test_names_are_paths() -> None:
    assert list(weights.flatten(tree())) == ["dense.bias", "dense.kernel"]
    assert list(weights.flatten({"a": [np.zeros(1), (np.zeros(1),)]})) == ["a.0", "a.1.0"]


def test_the_variables_of_a_model_have_the_names_of_its_attributes() -> None:
    class Model(nnx.Module):
        def __init__(self) -> None:
            self.layers = nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0))])
            self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

    _, params, rest = nnx.split(Model(), nnx.Param, ...)
    expected = ["layers.0.bias", "layers.0.kernel", "norm.bias", "norm.scale"]
    assert sorted(weights.flatten(params)) == expected
    assert sorted(weights.flatten(rest)) == ["norm.mean", "norm.var"]
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
    filled = weights.unflatten(tree(), arrays, where="here")
    assert filled["dense"]["kernel"] is arrays["dense.kernel"]
    assert filled["dense"]["bias"] is arrays["dense.bias"]


def test_all_that_does_not_fit_is_listed() -> None:
    arrays = {"dense.kernels": np.ones((2, 3)), "dense.bias": np.zeros(4, np.float64)}
    with pytest.raises(BadInput) as refused:
        weights.unflatten(tree(), arrays, where="the file x.safetensors")
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
        read_initial(tmp_path)  # such as an export
    with pytest.raises(BadInput, match="absent cannot be read as safetensors"):
        weights.read_safetensors(tmp_path / "absent")


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """Returns a safetensors file whose header says anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(dtype: str = "F32", shape: Any = (1,), end: int = 4) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [0, end]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (safetensors({"a": tensor("F8_E4M3")}, bytes(4)), r"'a' is of the type 'F8_E4M3', which"),
        (safetensors({"a": tensor(shape=(0,), end=0)}), r"has 0 at a\.shape\[0\], expected a who"),
        (safetensors({"a": tensor(shape=(2**60,))}), r"at a\.shape\[0\], expected a whole number"),
        (safetensors({"a": tensor(shape=(2**40,))}, bytes(4)), "cannot be read as safetensors: "),
        (safetensors({"a": {}}), r"lacks a\.dtype, a\.shape, a\.data_offsets"),
        (safetensors({"a": 3}), "has 3 at a, expected values by name"),
        (safetensors([1]), r"has \[1\] at its top, expected values by name"),
        (safetensors(b"[" * 5000), "cannot be read as safetensors: it is nested more than 50 deep"),
        (safetensors(b'{"a": 1, "a": 2}'), "cannot be read as safetensors: 'a' is there twice"),
        (safetensors({}, length=10**6), "it is cut short, or begins otherwise"),
        (
            safetensors({str(n): 0 for n in range(12_000)}),
            "has 12,000 values at its top, expected up to",
        ),
        (b"", "cannot be read as safetensors: "),
    ],
)
def test_a_header_is_checked_before_any_tensor_is_read(
    content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=rf"w\.safetensors:? .*{words}"):
        weights.read_safetensors(tmp_path / "w.safetensors")


def test_a_long_header_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.write((2**30).to_bytes(8, "little"))
        file.truncate(2**31)
    with pytest.raises(BadInput, match=r"has a header of 1,073,741,824 bytes: up to 8 MiB are"):
        weights.read_safetensors(tmp_path / "w.safetensors")


def test_half_precision_is_read(tmp_path: Path) -> None:
    content = safetensors({"a": tensor("BF16", (2,)), "__metadata__": {"by": "me"}}, bytes(4))
    (tmp_path / "w.safetensors").write_bytes(content)
    assert weights.form(weights.read_safetensors(tmp_path / "w.safetensors")["a"]) == "bfloat16[2]"
