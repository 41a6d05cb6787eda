"""What comes back of a model that was saved."""

import json
import shutil
import socket

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision import models

import whence
from tests.helpers.saved_models import SHAPE, Largest, Own, assert_same_bank, make
from whence.encoders import ENCODERS
from whence.models.about import BANK, DONE, MODEL
from whence.storage.plain_files import read_json

VARIANTS = ["memory-wrap", "only-memory", "standard"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("classifier", ["mlp", "linear"])
def test_round_trip(saved_images, stored_images, tmp_path, variant, classifier):
    model = make(stored_images, variant=variant, classifier=classifier, mean=[0.3], std=[0.2])
    whence.save(model, tmp_path / "new" / "x")
    assert not model.training
    state = torch.random.get_rng_state()
    loaded = whence.load(str(tmp_path / "new" / "x"))
    assert torch.random.get_rng_state().equal(state)
    assert not any(module.training for module in loaded.modules())
    assert loaded.class_names == ("ä", "b", "c")
    assert loaded.image_shape == SHAPE
    assert loaded.variant == variant
    assert loaded.kind == model.kind
    assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert_close(loaded(saved_images), model(saved_images), rtol=0, atol=0)
    if variant == "standard":
        assert loaded.bank is None
        assert not (tmp_path / "new" / "x" / BANK).exists()
    else:
        assert_same_bank(loaded.bank, model.bank)
        loaded.checked_bank()
        assert_close(
            loaded(saved_images, stored_images), model(saved_images, stored_images), rtol=0, atol=0
        )


@pytest.mark.parametrize("similarity", ["l2", "dot"])
def test_similarity_comes_back(saved_images, stored_images, tmp_path, similarity):
    model = make(stored_images, similarity=similarity)
    whence.save(model, tmp_path)
    assert_close(whence.load(tmp_path)(saved_images), model(saved_images), rtol=0, atol=0)
    about = read_json(tmp_path / DONE)
    (tmp_path / DONE).write_text(json.dumps({**about, "similarity": "cosine"}))
    assert not whence.load(tmp_path)(saved_images).equal(model(saved_images))


def test_without_pixels(saved_images, stored_images, tmp_path):
    model = make(stored_images)
    whence.save(model, tmp_path / "with")
    whence.save(model, tmp_path / "without", pixels=False)
    loaded = whence.load(tmp_path / "without")
    assert_same_bank(loaded.bank, model.bank, pixels=False)
    assert_close(loaded(saved_images), model(saved_images), rtol=0, atol=0)
    secret = stored_images.numpy().tobytes()
    assert secret in (tmp_path / "with" / BANK).read_bytes()
    assert secret not in (tmp_path / "without" / BANK).read_bytes()


def test_a_bank_of_floats_without_labels_and_sources(saved_images, tmp_path):
    model = make(saved_images[:6]).remember(saved_images[:3] / 255 * 0.77)
    whence.save(model, tmp_path)
    loaded = whence.load(tmp_path)
    assert loaded.bank.images.dtype == torch.float32
    assert loaded.bank.sources is None
    assert loaded.bank.labels.tolist() == [-1, -1, -1]
    assert_same_bank(loaded.bank, model.bank)


def test_without_a_bank(saved_images, stored_images, tmp_path):
    whence.save(make(stored_images), tmp_path / "x")  # with one, for the name of the file
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", 3, image_shape=SHAPE)
    whence.save(model, tmp_path / "y")
    loaded = whence.load(tmp_path / "y")
    assert sorted(p.name for p in (tmp_path / "y").iterdir()) == [MODEL, DONE]
    assert loaded.bank is None
    model.eval()
    assert_close(
        loaded(saved_images, stored_images), model(saved_images, stored_images), rtol=0, atol=0
    )


@pytest.mark.parametrize("drop", ["auto", False])
def test_own_encoder(saved_images, stored_images, tmp_path, drop):
    """Also one that keeps its classifier, and one with tied weights."""
    model = make(stored_images, Own(), drop_classifier=drop)
    whence.save(model, tmp_path)
    other = Own()
    loaded = whence.load(tmp_path, encoder=other)
    assert loaded.encoder is other
    assert loaded.kind == model.kind
    assert_close(loaded(saved_images), model(saved_images), rtol=0, atol=0)
    assert_same_bank(loaded.bank, model.bank)
    with pytest.raises(ValueError, match=r"an encoder of its user's own \(Own\); pass that module"):
        whence.load(tmp_path)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Own(width=5), r"must hold encoder.* \(5, 1, 3, 3\) float32, got \(6, 1, 3, 3\) float32; is this"),
        (Own(kernel=2), r"must hold encoder.* \(6, 1, 2, 2\) float32, got"),
        (nn.Sequential(Own()), r"must hold encoder.0.tied \(6, 1, 3, 3\) float32, it is missing; is this"),
        (nn.Flatten(), r"must not hold encoder.layer.bias, which the model does not have; is this"),
        (Own().double(), r"must hold encoder.* float64, got .* float32; is this"),
    ],
    ids=["width", "kernel", "names", "extra", "type"],
)  # fmt: skip
def test_a_wrong_encoder_is_refused(stored_images, tmp_path, encoder, message):
    whence.save(make(stored_images, Own()), tmp_path)
    with pytest.raises(ValueError, match=message):
        whence.load(tmp_path, encoder=encoder)


def test_an_encoder_must_be_a_module(stored_images, tmp_path):
    whence.save(make(stored_images, Own()), tmp_path)
    with pytest.raises(TypeError, match=r"encoder must be an nn.Module or None, got '"):
        whence.load(tmp_path, encoder="small_cnn")


@pytest.mark.parametrize(
    "encoder",
    [
        "torchvision:shufflenet_v2_x0_5",
        "torchvision:mnasnet0_5",
        "torchvision:regnet_y_400mf",
        "timm:mobilenetv3_small_050",
    ],
)
def test_networks_of_others_are_built_without_download(tmp_path, monkeypatch, encoder):
    def refuse(*_):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(models._api, "load_state_dict_from_url", refuse)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator)
    model = make(images, encoder, shape=(3, 32, 32))
    whence.save(model, tmp_path)
    assert_close(whence.load(tmp_path)(images), model(images), rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_of_ours_is_outlined_without_memory(name):
    with torch.device("meta"), Largest() as largest:
        whence.wrap(ENCODERS[name](1, 32), 3, image_shape=(1, 32, 32), drop_classifier=False)
    assert largest.size < 100


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_come_back(saved_images, stored_images, tmp_path, dtype):
    model = make(stored_images).to(dtype).remember(stored_images)
    whence.save(model, tmp_path)
    loaded = whence.load(tmp_path)
    assert loaded.mean.dtype == loaded.bank.features.dtype == dtype
    assert_close(loaded(saved_images), model(saved_images), rtol=0, atol=0)


def test_device(stored_images, tmp_path):
    whence.save(make(stored_images), tmp_path)
    loaded = whence.load(tmp_path, device="meta")
    assert loaded.mean.is_meta
    assert loaded.bank.features.is_meta
    assert whence.load(tmp_path, device=torch.device("cpu")).mean.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_back(saved_images, stored_images, tmp_path):
    model = make(stored_images)
    whence.save(model, tmp_path / "cpu")
    loaded = whence.load(tmp_path / "cpu", device="cuda")
    assert loaded.bank.features.is_cuda
    assert_close(loaded(saved_images).cpu(), model(saved_images), rtol=1e-3, atol=1e-3)
    whence.save(loaded, tmp_path / "gpu")
    assert_close(whence.load(tmp_path / "gpu")(saved_images), model(saved_images), rtol=0, atol=0)


def test_a_folder_that_moved_and_is_a_link_is_fine(saved_images, stored_images, tmp_path):
    model = make(stored_images)
    whence.save(model, tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("b", target_is_directory=True)
    assert_close(whence.load(tmp_path / "c")(saved_images), model(saved_images), rtol=0, atol=0)
