"""What benchmarks on frozen features share: options become settings, and images are thinned."""

import torch

from benchmarks.frozen_features import build_parser, choose_counts, read_problem, train_votes
from benchmarks.simple_heads import encode

WORDS = ["--encoder", "small_cnn", "--pool", "200", "--test", "30"]


def test_options_become_settings_and_few_images(tmp_path):
    words = [*WORDS, "--weights", "w", "--size", "12", "--features", str(tmp_path)]
    options = build_parser("What it is.\n\nMore.", tmp_path / "cells").parse_args(
        ["digits", *words]
    )
    settings, dataset = read_problem(options, variant="votes", **choose_counts(1000))
    assert (settings.encoder, settings.weights, settings.size) == ("small_cnn", "w", 12)
    assert (settings.freeze_encoder, settings.variant) == (True, "votes")
    assert (settings.train_examples, settings.validation_examples) == (1000, 200)
    assert choose_counts(100)["validation_examples"] == 150
    assert (len(dataset.train), len(dataset.test)) == (200, 30)
    assert dataset.test.images.shape[-1] == 12
    assert (options.name, options.cells, options.seeds) == ("digits", tmp_path / "cells", 5)


def test_votes_are_those_of_the_command(tmp_path):
    """They remember the training images, and answer in eval mode by the features that were kept."""
    words = [*WORDS, "--weights", str(save_weights(tmp_path)), "--features", str(tmp_path / "kept")]
    options = build_parser("x", tmp_path / "cells").parse_args(["digits", *words])
    counts = {"train_examples": 40, "validation_examples": 30}
    settings, dataset = read_problem(options, epochs=2, **counts)
    problem = encode(settings, dataset, tmp_path / "kept")
    model = train_votes(problem, settings)
    assert (model.variant, model.training, len(model.bank)) == ("votes", False, 40)
    with torch.no_grad():
        assert torch.equal(model.bank.features, model.head.embed(problem.train))
    assert float(model.head.spread.std()) > 0, "else the keys were not fitted"


def save_weights(folder):
    from safetensors.torch import save_file

    from whence.encoders import ENCODERS

    torch.manual_seed(0)
    save_file(ENCODERS["small_cnn"](1, 8).state_dict(), folder / "w.safetensors")
    return folder / "w.safetensors"
