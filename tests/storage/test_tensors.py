"""Tensors go to a file without a copy of the whole; safetensors itself reads what came out."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close

from whence.storage.tensors import DTYPES, layouts_of, read_layouts, to_safetensors, write_tensors


@pytest.fixture
def tensors(rng):
    found = {
        f"of {name}": (torch.rand(3, 5, 2, generator=rng) * 9).to(dtype)
        for name, dtype in DTYPES.items()
    }
    images = torch.rand(2, 3, 4, 5, generator=rng)
    return found | {
        "number": torch.tensor(7),
        "nothing": torch.zeros(0, 4),
        "odd": torch.arange(7, dtype=torch.uint8),
        "channels last": images.contiguous(memory_format=torch.channels_last),
        "transposed": images.transpose(1, 3),
        "same": images,
        "same again": images,
        "learned": torch.nn.Parameter(images[0]),
        'a "name"\n': images[1],
    }


def test_safetensors_reads_what_was_written(tmp_path, tensors):
    path = tmp_path / "tensors.safetensors"
    digest = write_tensors(path, tensors)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert_close(found[name], tensor.detach().contiguous(), rtol=0, atol=0, equal_nan=True)
    assert read_layouts(path) == layouts_of(tensors)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() is None


def test_every_tensor_begins_where_its_numbers_may(tmp_path, tensors):
    length, header, *pieces = to_safetensors(tmp_path / "x", tensors)
    assert int.from_bytes(length, "little") == len(header)
    assert len(header) % 8 == 0
    for name, entry in json.loads(header).items():
        assert entry["data_offsets"][0] % tensors[name].element_size() == 0
    assert len(pieces) == len(tensors)


def test_pieces_are_the_tensors_own_bytes(tmp_path):
    pixels = torch.zeros(4, 3, dtype=torch.uint8)
    *_, piece = to_safetensors(tmp_path / "x", {"pixels": pixels})
    pixels[2, 1] = 9
    assert bytes(piece)[7] == 9


def test_other_types_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold ordinary tensors, wide is torch\.complex128"):
        write_tensors(tmp_path / "x", {"wide": torch.zeros(2, dtype=torch.complex128)})
    assert not list(tmp_path.iterdir())
