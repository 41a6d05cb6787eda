"""Whether a training mirrors images: the user, the dataset's name, or the images decide."""

from dataclasses import replace

import pytest
import torch

from whence.records.images import Dataset, ImageSet
from whence.runs.images import load_data
from whence.runs.mirroring import describe_mirroring
from whence.runs.prepare import prepare
from whence.runs.recipe_and_plan import choose_plan, choose_recipe
from whence.runs.settings import Settings


@pytest.fixture
def arrows(rng):
    """Images bright on the left or on the right, as a folder would hold them."""
    labels = torch.arange(40) % 2
    images = torch.randint(0, 60, (40, 1, 8, 8), generator=rng)
    images[labels == 0, :, :, :3] += 150
    images[labels == 1, :, :, 5:] += 150
    both = ImageSet(images.to(torch.uint8), labels, ("left", "right"))
    return Dataset("arrows", both, both.take(range(0)))


def augmentation(dataset, **settings):
    chosen = Settings(data="arrows", train_examples=30, validation_examples=10, **settings)
    return prepare(chosen, dataset).recipe.augmentation


def test_the_images_decide_unless_the_user_does(arrows):
    assert augmentation(arrows, recipe="default") == "shift"
    assert augmentation(arrows, recipe="default", mirror="yes") == "shift_flip"
    assert augmentation(arrows, recipe="default", augmentation="flip") == "flip"
    alike = ImageSet(arrows.train.images.mT, arrows.train.labels, ("top", "bottom"))
    assert (
        augmentation(Dataset("rows", alike, alike.take(range(0))), recipe="default") == "shift_flip"
    )


def test_other_recipes_mirror_only_when_told(arrows):
    assert augmentation(arrows, recipe="paper") == "none"
    assert augmentation(arrows, recipe="paper", mirror="yes") == "flip"
    paper = Settings(data="cifar10", recipe="paper")
    assert choose_recipe(paper).augmentation == "flip"
    assert choose_recipe(replace(paper, mirror="no")).augmentation == "none"


def test_digits_are_known(tmp_path):
    settings = Settings(data="digits", recipe="default", data_root=str(tmp_path))
    digits = load_data(settings)
    assert prepare(settings, digits).recipe.augmentation == "shift"
    assert describe_mirroring(settings, digits) == []


def test_what_the_images_told_is_said(arrows):
    settings = Settings(data="arrows", recipe="default", train_examples=30, validation_examples=10)
    assert describe_mirroring(settings, arrows) == [
        "Training does not mirror images left to right: of 40 the nearest other image has the same "
        "class for 40, and for 0 once they are mirrored; --mirror yes decides otherwise."
    ]
    assert describe_mirroring(Settings(data="arrows", mirror="yes"), arrows) == []


def test_nothing_of_the_paper_is_in_our_recipe():
    """Its epochs and its augmentation of CIFAR-10 belong to its own recipe."""
    settings = Settings(data="cifar10")
    recipe = choose_recipe(settings, mirror=True)
    assert recipe.augmentation == "shift_flip"
    assert choose_plan(settings, recipe, 1000, has_memory=True).epochs == 65
    paper = Settings(data="cifar10", recipe="paper")
    assert choose_plan(paper, choose_recipe(paper), 1000, has_memory=True).epochs == 300
