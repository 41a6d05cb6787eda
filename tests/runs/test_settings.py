"""Settings: files, defaults, and what is refused."""

from dataclasses import fields, replace

import pytest
import torch
from torch.testing import assert_close

import whence
from whence.data.load import load_dataset
from whence.runs import precision as precision_module
from whence.runs.images import is_foreign, load_data
from whence.runs.parse import from_mapping
from whence.runs.precision import choose_bfloat16
from whence.runs.prepare import prepare
from whence.runs.recipe_and_plan import choose_recipe
from whence.runs.settings import FIELDS, Settings, first_difference, read_toml, to_toml
from whence.training.recipes import RECIPES


def test_toml_round_trip(tmp_path):
    settings = Settings(data="digits", milestones=(3, 5), mean=(0.5,), std=(0.25,), seed=7)
    path = tmp_path / "settings.toml"
    path.write_bytes(to_toml(settings))
    assert from_mapping(read_toml(path), Settings, where=str(path)) == settings


def test_first_difference_sees_every_setting():
    base = Settings(data="digits")
    assert first_difference(base, replace(base, data_root="elsewhere")) is None
    for setting in fields(Settings):
        if setting.name == "data_root":
            continue
        other = replace(base, **{setting.name: "something else"})
        assert first_difference(base, other).startswith(f"{setting.name} (")
    assert first_difference(base, base) is None


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "must name its data"),
        ({"data": "digits", "epoch": 3}, "unknown setting 'epoch'. Choose from: data"),
        ({"data": "digits", "epochs": "many"}, "epochs must be a whole number, got 'many'"),
        (
            {"data": "digits", "variant": "std"},
            "variant must be one of votes, memory-wrap, only-memory",
        ),
        ({"data": "digits", "milestones": ["a"]}, "milestones must be a list, each a whole number"),
    ],
)
def test_refused_values(values, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(values, Settings, where="settings.toml")


def test_every_setting_explains_itself():
    assert all(setting.metadata["help"] for setting in FIELDS.values())


def test_defaults_on_digits():
    settings = Settings(data="digits", train_examples=60)
    dataset = load_data(settings)
    parts = prepare(settings, dataset)
    assert (len(parts.train), len(parts.test)) == (60, 500)
    assert (parts.plan.epochs, parts.plan.memory_size) == (2000, 60)
    assert parts.recipe == RECIPES["default"]
    assert not parts.plan.self_attention
    assert set(parts.indices.tolist()).isdisjoint(
        i for i in range(len(dataset.train)) if i not in parts.indices
    )
    assert_close(dataset.train.images[parts.indices], parts.train.images)
    pixels = parts.train.images.double() / 255
    assert float(parts.model.mean) == pytest.approx(float(pixels.mean()), abs=1e-5)
    assert float(parts.model.std) == pytest.approx(float(pixels.std()), abs=1e-5)


def test_seed_decides_start_and_split_whatever_the_global_state_is():
    settings = Settings(data="digits", train_examples=60)
    dataset = load_data(settings)
    first = prepare(settings, dataset)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again, other = prepare(settings, dataset), prepare(replace(settings, seed=1), dataset)
    assert torch.equal(torch.get_rng_state(), state)
    name = "encoder.0.weight"
    assert torch.equal(first.model.state_dict()[name], again.model.state_dict()[name])
    assert not torch.equal(first.model.state_dict()[name], other.model.state_dict()[name])
    assert first.indices.tolist() == again.indices.tolist() != other.indices.tolist()


def test_recipe_follows_encoder_and_weights():
    assert choose_recipe(Settings(data="x", encoder="vit")) == RECIPES["vit"]
    assert choose_recipe(Settings(data="x", weights="w.pt")) == RECIPES["finetune"]
    assert choose_recipe(Settings(data="x", weights="w.pt", recipe="paper")) == RECIPES["paper"]
    assert choose_recipe(Settings(data="x", encoder="resnet18")) == RECIPES["default"]
    assert choose_recipe(Settings(data="cifar10", recipe="paper")).augmentation == "flip"
    with pytest.raises(ValueError, match=r"batch_size must be at least 2, got 1"):
        choose_recipe(Settings(data="x", batch_size=1))


def test_settings_that_do_not_go_together():
    dataset = load_dataset("digits")
    for settings, message in (
        (Settings(data="digits", mean=(0.5,)), "mean and std must be given together"),
        (Settings(data="digits", freeze_encoder=True), "freeze_encoder needs weights"),
        (
            Settings(data="digits", train_examples=20, memory_size=30),
            "memory_size must be at most 20, the number of training images, got 30",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            prepare(settings, dataset)


def test_auto_is_bfloat16_where_it_pays(monkeypatch):
    def chosen(encoder, precision="auto", units=True):
        monkeypatch.setattr(precision_module, "has_bfloat16_units", lambda _: units)
        return choose_bfloat16(precision, whence.wrap(encoder, 2), "cpu")

    assert chosen("small_cnn")
    assert chosen("torchvision:resnet18")
    assert not chosen("small_cnn", units=False)
    assert not chosen("efficientnet_b0")
    assert not chosen("torchvision:mobilenet_v2")
    assert chosen("efficientnet_b0", "bfloat16", units=False)
    assert not chosen("small_cnn", "float32")


def test_foreign_encoders_get_three_channels():
    assert is_foreign("torchvision:resnet18")
    assert not is_foreign("resnet18")
    assert load_data(Settings(data="digits", encoder="timm:x")).train.images.shape[1] == 3


def test_a_run_gets_the_head_that_is_nothing_but_its_evidence():
    assert Settings(data="digits").head == "votes"
    assert Settings(data="digits", recipe="paper").head == "memory-wrap"
    frozen = Settings(data="digits", weights="default", freeze_encoder=True)
    assert frozen.head == "votes"
    assert replace(frozen, variant="standard").head == "standard"
