"""The authors' train.yaml becomes our settings."""

from dataclasses import replace

import pytest

from tests.helpers.authors_yaml import AUTHORS
from whence.compat.train_yaml import read_authors_yaml
from whence.runs.parse import from_mapping
from whence.runs.recipe_and_plan import choose_plan, choose_recipe
from whence.runs.settings import Settings
from whence.training.recipes import RECIPES


@pytest.fixture
def yaml(tmp_path):
    def write(text):
        path = tmp_path / "train.yaml"
        path.write_text(text)
        return path

    return write


def test_authors_yaml_word_for_word(yaml):
    values, runs = read_authors_yaml(yaml(AUTHORS))
    assert runs == 15
    settings = from_mapping(values, Settings, where="train.yaml")
    assert settings == Settings(
        data="svhn",
        data_root="datasets",
        encoder="mobilenet_v2",
        train_examples=1000,
        recipe="paper",
        batch_size=128,
        draw_batch=500,
        learning_rate=0.1,
        weight_decay=5e-4,
        momentum=0.9,
        nesterov=True,
        epochs=40,
        milestones=(20, 30),
        memory_size=100,
        keep_model=True,
        compat="authors",
    )
    recipe = choose_recipe(settings)
    assert recipe == replace(RECIPES["paper"], milestones=(20, 30))
    assert choose_plan(settings, recipe, 1000, True).self_attention


def test_authors_hundred_thousand_means_everything(yaml):
    values, _ = read_authors_yaml(
        yaml(
            AUTHORS.replace("examples: 1000\n", "examples: 100000\n").replace(
                "name: SVHN", "name: CIFAR10"
            )
        )
    )
    assert "train_examples" not in values
    assert (values["data"], values["epochs"], values["milestones"]) == ("cifar10", 300, [150, 225])
    assert choose_recipe(from_mapping(values, Settings, where="x")).augmentation == "flip"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("model: mobilenet", "model: alexnet", "unknown model 'alexnet'. Choose from: mobilenet"),
        ("runs: 15\n", "", "must give runs, it is missing"),
        ("runs: 15", "runs: 0", "runs of at least 1, got 0"),
        ("runs: 15", "runns: 15", "unknown setting runns. Choose from"),
        ("1e-1", "fast", "a number for learning_rate, got 'fast'"),
        ("name: SVHN", "name: MNIST", "must name a dataset_name that it has a block for"),
        ("num_classes: 10", "num_classes: 3", "num_classes 10, got 3"),
        ("    momentum: 0.9\n", "", "must give optimizer.momentum, it is missing"),
        ("model: mobilenet", "model: [", "must be YAML, it cannot be read"),
    ],
)
def test_authors_yaml_refused(yaml, old, new, message):
    assert old in AUTHORS
    with pytest.raises(ValueError, match=message):
        read_authors_yaml(yaml(AUTHORS.replace(old, new, 1)))


def test_every_name_of_a_model_is_taken(yaml):
    """Their code builds the small DenseNet under a second name too."""
    values, _ = read_authors_yaml(yaml(AUTHORS.replace("mobilenet", "densenet169")))
    assert values["encoder"] == "densenet"
