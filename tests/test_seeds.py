"""Seeds of up to 64 bits: torch's own numbers below 2**32, and no two seeds with the same above."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import whence
from tests.helpers.image_folders import write_images
from whence.attribution.method import find_method
from whence.autoencoders.fit_vae import measure_bound
from whence.cli.explain import build
from whence.cli.work.explain import choose_options
from whence.data.split import split
from whence.evidence.answers import SECOND_MEMORY
from whence.evidence.random_memories import plan_draws
from whence.records.images import ImageSet
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.runs.vae_run import prepare_vae
from whence.runs.vae_settings import VAESettings
from whence.seeds import STATE_WORDS, make_generator, seed_global
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

SMALL = (0, 5, 2**31, 2**32 - 1)
LARGE = (2**32, 5 + 2**32, 5 + 2**33, 2**62 + 2**31, 2**63 - 1)
RANGE = 2**20
"""Of drawn numbers: below 2**28 each takes one word."""

PAIR = (5, 5 + 2**32)
"""Two seeds with the same low bits."""


def draw(generator):
    return torch.empty(2000, dtype=torch.int64).random_(0, RANGE, generator=generator)


@pytest.mark.parametrize("seed", SMALL)
def test_small_seeds_are_torchs(seed):
    expected = torch.Generator().manual_seed(seed)
    assert torch.equal(make_generator(seed).get_state(), expected.get_state())
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        assert torch.equal(torch.get_rng_state(), expected.get_state())


@pytest.mark.parametrize("seed", LARGE)
def test_large_seeds_give_the_numbers_of_numpys_generator_of_two_words(seed):
    words = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32])
    expected = words.randint(0, 2**32, size=2000, dtype=np.uint32).astype(np.int64)
    assert draw(make_generator(seed)).tolist() == (expected % RANGE).tolist()
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        assert draw(None).tolist() == (expected % RANGE).tolist()
    assert make_generator(seed).initial_seed() == seed


def test_the_words_are_where_they_are_written():
    state = torch.Generator().manual_seed(5).get_state()[STATE_WORDS].numpy().view("<u8")
    assert state.tolist() == np.random.RandomState(5).get_state()[1].tolist()


def test_no_two_seeds_give_the_same_numbers():
    seeds = {*SMALL, *LARGE, *(seed ^ SECOND_MEMORY for seed in (*SMALL, *LARGE))}
    assert len({tuple(draw(make_generator(seed)).tolist()) for seed in seeds}) == len(seeds)


def test_nothing_else_seeds_anything():
    source = Path(whence.__file__).parent
    found = [
        path.relative_to(source).as_posix()
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr
        in ("manual_seed", "manual_seed_all", "seed_all", "RandomState", "default_rng")
    ]
    assert set(found) == {"seeds.py"}


# everywhere a seed is taken ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return whence.load_dataset("digits")


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(24) % 3, ("a", "b", "c"))


def make_model():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", ["a", "b", "c"], image_shape=(1, 8, 8))


def fitted(images, seed, **changes):
    model = make_model()
    recipe = Recipe(batch_size=8, **changes)
    fit(model, images, recipe=recipe, plan=Plan(1, memory_size=24, seed=seed))
    return model.encoder[0].weight.detach()


def test_runs_are_divided_and_begun_by_the_whole_seed(digits):
    some = replace(digits, train=digits.train.take(range(100)))
    first, second = (prepare(Settings(data="digits", seed=seed), some) for seed in PAIR)
    assert not torch.equal(first.indices, second.indices)
    assert not torch.equal(first.model.encoder[0].weight, second.model.encoder[0].weight)
    large = [split(torch.zeros(20_000, dtype=torch.int64), seed=seed).train for seed in PAIR]
    assert not torch.equal(*large)


def test_a_folder_is_divided_by_the_whole_seed(tmp_path):
    write_images(tmp_path, {"green": 30, "red": 30})
    first, second = (whence.load_dataset(str(tmp_path), seed=seed) for seed in PAIR)
    assert first.test.sources != second.test.sources


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_training_follows_the_whole_seed(images, augmentation):
    first, second = (fitted(images, seed, augmentation=augmentation) for seed in PAIR)
    assert not torch.equal(first, second)
    assert torch.equal(first, fitted(images, PAIR[0], augmentation=augmentation))


def test_dropout_follows_the_whole_seed():
    with torch.random.fork_rng(devices=[]):
        drawn = []
        for seed in PAIR:
            seed_global(seed)
            drawn.append(torch.nn.functional.dropout(torch.ones(100), 0.5))
    assert not torch.equal(*drawn)


def test_memories_are_drawn_by_the_whole_seed(images):
    model = make_model().eval().remember(images)
    first, second = (
        plan_draws(model.bank, draws=2, memory_size=6, seed=seed).places for seed in PAIR
    )
    assert not torch.equal(first[0], second[0])
    measured = [
        whence.evaluate(model, images, memory_size=3, draws=9, seed=seed).draws_evidence
        for seed in PAIR
    ]
    assert measured[0] != measured[1]


def test_autoencoders_follow_the_whole_seed(digits):
    some = replace(digits, train=digits.train.take(range(60)))
    vaes = [prepare_vae(VAESettings(data="digits", seed=seed), some).vae.eval() for seed in PAIR]
    first, second = (next(vae.parameters()) for vae in vaes)
    assert not torch.equal(first, second)
    bounds = [measure_bound(vaes[0], some.test.images[:9], seed=seed) for seed in PAIR]
    assert bounds[0] != bounds[1]


def test_the_random_method_follows_the_whole_seed():
    drawn = []
    for seed in PAIR:
        options = build().parse_args(["run", "image.png", "--seed", str(seed)])
        chosen = choose_options(find_method("random"), options)
        drawn.append(torch.rand(5, generator=chosen["generator"]))
    assert not torch.equal(*drawn)
