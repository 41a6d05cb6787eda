"""What the authors' models hold and compute, for weights and images that a formula fills.

``authors_keys.csv`` lists keys and shapes of their Memory Wrap checkpoints, ``authors_outputs.json``
the features, weights and logits that their code gives in float64 and eval mode.
"""

import csv
import json
import math
from pathlib import Path

import torch

HERE = Path(__file__).parent
OUTPUTS = json.loads((HERE / "authors_outputs.json").read_text())
ENCODER_OF = {  # their name -> ours
    "mobilenet": "mobilenet_v2",
    "efficientnet": "efficientnet_b0",
    "resnet18": "resnet18",
    "googlenet": "googlenet",
    "densenet": "densenet",
    "shufflenet": "shufflenet_v2",
    "wide-resnet": "wide_resnet_28_10",
}


def shapes_of(model_name):
    """Every key of a Memory Wrap checkpoint with its shape."""
    with (HERE / "authors_keys.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model_name"] == model_name]
    return {row["key"]: tuple(map(int, filter(None, row["shape"].split("x")))) for row in rows}


def noise(shape, phase):
    """2 frac(43758.5453 sin(12.9898 (i mod 9973) + 78.233 phase + 0.37 floor(i / 9973))) - 1."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    angle = 12.9898 * (i % 9973) + 78.233 * phase + 0.37 * (i // 9973)
    return (2 * (43758.5453 * angle.sin()).remainder(1) - 1).reshape(shape)


def fill(key, shape):
    """The tensor of one key: a BatchNorm near identity, other weights scaled by their inputs."""
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    values = noise(shape, sum(key.encode()) % 101)
    if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
        return 1 + 0.1 * values
    if key.endswith(("running_mean", "bias")):
        return 0.1 * values
    return values * math.sqrt(6 / (math.prod(shape) / shape[0]))


def fill_all(model_name):
    """A Memory Wrap state dict in the authors' layout."""
    return {key: fill(key, shape) for key, shape in shapes_of(model_name).items()}


def input_images():
    return noise((2, 3, 32, 32), 0)


def memory_images():
    return noise((5, 3, 32, 32), 1)
