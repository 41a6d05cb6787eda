"""Models that are saved, and folders of them that somebody damaged."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import whence
from whence.models.about import DONE
from whence.storage.plain_files import hash_file, read_json

SHAPE = (1, 8, 8)


def draw_images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (7, *SHAPE), dtype=torch.uint8, generator=generator)


class Own(nn.Module):
    """A user's encoder with a classifier of its own, tied weights and a mode that matters."""

    def __init__(self, width=6, kernel=3):
        super().__init__()
        self.layer = nn.Conv2d(1, width, kernel)
        self.norm = nn.BatchNorm2d(width)
        self.tied = nn.Parameter(self.layer.weight)
        self.fc = nn.Linear(width, 4)

    def forward(self, images):
        features = nn.functional.conv2d(images, self.tied) + self.layer(images)
        return self.fc(nn.functional.dropout(self.norm(features), 0.5, self.training).mean((2, 3)))


def make(memory, encoder="small_cnn", variant="memory-wrap", shape=SHAPE, **options):
    """A model whose every number differs from a new one's, in eval mode, with a bank."""
    torch.manual_seed(0)
    model = whence.wrap(encoder, ("ä", "b", "c"), variant=variant, image_shape=shape, **options)
    model.train()
    for _ in range(2):  # statistics of BatchNorm
        model.encode(memory)
    model.eval()
    if model.has_memory:
        labels, indices = torch.tensor([0, 1, 2, 0, -1, 2]), torch.tensor([9, 3, 5, 40, 1, 2])
        model.remember(memory, labels, indices, [f"ä/{i}.png" for i in range(6)])
    return model


def assert_same_bank(found, expected, *, pixels=True):
    for name in ("features", "indices", "labels", "predicted"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=0)
    assert found.hashes == expected.hashes
    assert found.sources == expected.sources
    if pixels:
        assert_close(found.images, expected.images, rtol=0, atol=0)
    else:
        assert found.images is None


LARGEST = 128 * 128 * 9 * 4
"""Bytes of the largest tensor of the good model."""


class Largest(TorchDispatchMode):
    """Remember the largest tensor that takes memory, in bytes."""

    size = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        results = function(*arguments, **(options or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
                self.size = max(self.size, tensor.numel() * tensor.element_size())
        return results


def refused(folder, message, kind=ValueError):
    """Loading must fail with one short sentence, and take no more memory than a good load."""
    with Largest() as largest, pytest.raises(kind, match=message) as caught:
        whence.load(folder)
    assert largest.size <= LARGEST
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value).strip()
    assert len(str(caught.value)) < 1000
    assert str(folder) in str(caught.value)


def edit(folder, **fields):
    """Change fields of whence.json; ... removes one."""
    about = {**read_json(folder / DONE), **fields}
    content = {name: value for name, value in about.items() if value is not ...}
    (folder / DONE).write_text(json.dumps(content))


def forge(folder, name, content):
    """Replace a file and its hash."""
    (folder / name).write_bytes(content)
    hashes = read_json(folder / DONE)["sha256"]
    edit(folder, sha256={**hashes, name: hash_file(folder / name)})


def forge_tensors(folder, name, **changed):
    """Replace tensors of a file and its hash; None removes one."""
    tensors = {**load_file(folder / name), **changed}
    path = folder / "forged"
    save_file({key: value for key, value in tensors.items() if value is not None}, path)
    content = path.read_bytes()
    path.unlink()
    forge(folder, name, content)


def header(content, *, length=None, body=b""):
    """Lay out a safetensors file by hand."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def nan(tensor):
    tensor.view(-1)[-1] = float("nan")
    return tensor
