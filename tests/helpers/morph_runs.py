"""Small runs on the digits and an autoencoder of the same images, for the tests of morphing."""

import json
from functools import partial

import torch

import whence
from whence.autoencoders.saved_vae import load_vae
from whence.cli import main
from whence.gather.morphed import Question
from whence.morphing.code import find_codes
from whence.morphing.improve import Descent
from whence.morphing.walk import MorphPlan

RUN = ["--train-examples", "200", "--epochs", "15", "--recipe", "paper", "--device", "cpu"]
AUTOENCODER = [
    *("--train-examples", "300", "--epochs", "10", "--codes", "8", "--device", "cpu"),
    *("--learning-rate", "0.004", "--batch-size", "16"),
]

FEW, IMPROVING = 400, 10
"""Steps of a morph, and of improving a code."""

SHORT = Question(steps=3, plan=MorphPlan(steps=FEW))

SEEDS = (0, 1, 4)
"""Of the sampled codes, in these tests."""


def train_morph_runs(folder):
    """Train a run with a memory, one without, and an autoencoder that fails on some images."""
    train = ["train", "digits", *RUN]
    assert main([*train, "--memory-size", "40", "--out", str(folder / "memory")]) == 0
    assert main([*train, "--variant", "standard", "--out", str(folder / "standard")]) == 0
    assert main(["train-vae", "digits", *AUTOENCODER, "--out", str(folder / "vae")]) == 0
    return folder


def stop_early(monkeypatch):
    """Stop codes and morphs early, as whole ones take seconds; all else is as users have it."""
    monkeypatch.setattr("whence.cli.work.morph.MorphPlan", partial(MorphPlan, steps=FEW))
    monkeypatch.setattr("whence.morphing.code.Descent", partial(Descent, steps=IMPROVING))


def split_by_code(folder, images):
    """Find four images that have a code with every seed, and two that have none with any.

    Each is asked about alone, so that a test that asks about it first has the same samples.
    """
    model, vae = whence.load(folder / "memory").eval(), load_vae(folder / "vae")

    def find(row, seed):
        generator, descent = torch.Generator().manual_seed(seed), Descent(steps=IMPROVING)
        image = images[row : row + 1]
        return find_codes(model, vae, image, generator=generator, descent=descent).how[0] != "none"

    found, missed = [], []
    for row in range(len(images)):
        first = find(row, SEEDS[0])
        if all(find(row, seed) == first for seed in SEEDS[1:]):
            (found if first else missed).append(row)
        if len(found) >= 4 and len(missed) >= 2:
            return found, missed
    raise AssertionError(f"only {len(found)} and {len(missed)} of {len(images)} images")


class Caller:
    """Runs ``whence morph``; a call returns code, standard output and standard error."""

    def __init__(self, runs, capsys):
        self.runs, self.capsys = runs, capsys

    def __call__(self, *words, run="memory", vae="vae"):
        self.capsys.readouterr()
        folders = str(self.runs / run), "--vae", str(self.runs / vae)
        code = main(["morph", folders[0], *map(str, words), *folders[1:]])
        return code, *self.capsys.readouterr()

    def json(self, *words, **options):
        code, output, errors = self(*words, "--format", "json", **options)
        assert code == 0, errors
        return json.loads(output)

    def way(self, *words, **options):
        """The only way to the only image."""
        (image,) = self.json(*words, **options)["images"]
        (way,) = image["ways"]
        return way


def list_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
