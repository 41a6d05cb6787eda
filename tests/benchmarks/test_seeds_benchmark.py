"""The benchmark of many seeds on one GPU counts what it says, and hands on what it is told."""

import json
import sys
from argparse import Namespace
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchmarks.authors_way as authors
import benchmarks.seeds_on_one_gpu as seeds
from benchmarks.sides import random_images

OPTIONS = Namespace(
    encoder="resnet18",
    device="cpu",
    workers=2,
    precision="bfloat16",
    seeds=5,
    images=300,
    epochs=3,
    tests=7,
)


@pytest.fixture
def parts():
    images = random_images(130, seed=0)
    return authors.Images(images.images, images.labels, flip=False)


class Elsewhere(nn.Module):
    """Takes images from the device ``meta`` alone, as a model on a GPU takes none from elsewhere."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(10, device="meta"))
        self.seen = []

    def forward(self, images, memory):
        self.seen.append((images.device.type, len(images), memory.device.type, len(memory)))
        if self.training:
            return self.bias.expand(len(images), 10)
        return torch.eye(10)[3].expand(len(images), 10)  # numbers that can be compared


def test_the_authors_way_goes_to_the_device_that_it_is_told(parts):
    model = Elsewhere()
    assert len(list(islice(authors.train_steps(model, parts, "meta"), 2))) == 2
    accuracies = authors.evaluate(model, parts, parts, "meta")
    assert accuracies == [parts.labels.count(3) / 130] * 5
    assert model.seen == [("meta", 128, "meta", 100)] * 2 + [("meta", 130, "meta", 100)] * 5


def test_the_authors_side_trains_every_seed_for_its_steps(monkeypatch):
    steps, evaluated = [], []

    def train_steps(model, train, device):
        while True:
            steps.append((len(train), device))
            yield

    monkeypatch.setattr(seeds, "Model", lambda encoder, features: nn.Linear(1, 1))
    monkeypatch.setattr(seeds, "train_steps", train_steps)
    monkeypatch.setattr(seeds, "evaluate", lambda *given: evaluated.append(given[3]))
    found = seeds.one_after_another(OPTIONS)
    assert steps == [(300, "cpu")] * 30  # 5 seeds of 3 epochs of 2 batches
    assert evaluated == ["cpu"] * 5
    assert found["steps per second"] >= 30 / found["seconds"]


@pytest.mark.parametrize("workers, rounds", [(2, 3), (None, 1), (8, 1), (4, 2)])
def test_steps_per_second_know_of_idle_workers(workers, rounds, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        trained = {str(seed): {"train_seconds": 10.0 + seed} for seed in range(5)}
        return SimpleNamespace(stdout=json.dumps(trained))

    monkeypatch.setattr(seeds, "subprocess", SimpleNamespace(run=run, PIPE=None))
    found = seeds.side_by_side(Namespace(**{**vars(OPTIONS), "workers": workers}))
    assert found["steps per second"] == pytest.approx(5 * 6 / (rounds * 12.0))
    assert found["workers"] == (workers or 5)
    (command,) = commands
    assert command[command.index("--precision") + 1] == "bfloat16"


@pytest.mark.parametrize(
    "more, precision, name",
    [([], "auto", "bfloat16"), (["--precision", "float32"], "float32", "float32")],
)
def test_the_precision_of_both_sides_is_said_and_handed_on(
    more, precision, name, monkeypatch, capsys
):
    handed = []
    monkeypatch.setattr(seeds, "alternate", lambda *given: handed.append(given))
    monkeypatch.setattr("whence.runs.precision.has_bfloat16_units", lambda device: True)
    monkeypatch.setattr(sys, "argv", ["seeds_on_one_gpu", "--device", "cpu", *more])
    seeds.main()
    said = f"authors float32, whence {name} (--precision {precision}):"
    assert capsys.readouterr().out.splitlines()[1] == said
    ((_, _, arguments, repeats),) = handed
    assert arguments[arguments.index("--precision") + 1] == precision
    assert repeats == 3
