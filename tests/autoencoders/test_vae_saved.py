"""Autoencoders on disk: what is written comes back, and what is damaged is refused."""

import json

import pytest
import torch
from torch.testing import assert_close

from whence.autoencoders import VAES
from whence.autoencoders.saved_vae import load_vae, read_about_vae, save_vae
from whence.autoencoders.vae import decode_codes, encode_images
from whence.storage.tensors import write_tensors

SHAPE = (2, 13, 16)


def make(name="thesis_mnist"):
    torch.manual_seed(0)
    vae = VAES[name](SHAPE, codes=3).train()
    with torch.no_grad():
        vae.bound(torch.rand(4, *SHAPE), torch.randn(4, 3))  # statistics that are not the first
    return vae


@pytest.fixture
def saved(tmp_path):
    save_vae(make(), tmp_path / "vae", about={"dataset": "ants"})
    return tmp_path / "vae"


def rewrite(folder, **changes):
    path = folder / "vae.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["residual", "thesis_mnist"])
def test_it_comes_back(tmp_path, name, rng):
    vae, images = make(name), torch.rand(5, *SHAPE, generator=rng)
    vae.variance.fill_(0.03)
    save_vae(vae, tmp_path)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    loaded = load_vae(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert_close(loaded.state_dict(), vae.state_dict(), rtol=0, atol=0)
    assert (loaded.training, vae.training) == (False, True)
    assert (loaded.name, loaded.codes, loaded.image_shape) == (name, 3, SHAPE)
    assert loaded.calibrated == vae.calibrated
    mean = encode_images(vae.eval(), images).mean
    assert_close(encode_images(loaded, images).mean, mean, rtol=0, atol=0)
    assert_close(decode_codes(loaded, mean), decode_codes(vae, mean), rtol=0, atol=0)


def test_what_is_written(saved):
    about = read_about_vae(saved)
    assert sorted(path.name for path in saved.iterdir()) == ["vae.json", "vae.safetensors"]
    assert about["parameters"] == sum(parameter.numel() for parameter in make().parameters())
    assert about["run"] == {"dataset": "ants"}
    assert about["versions"].keys() == {"whence", "torch"}
    assert load_vae(saved, device="cpu").variance.device.type == "cpu"


def test_saving_twice_is_refused(saved):
    before = (saved / "vae.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match=r"vae already holds vae.json; save to another"):
        save_vae(make("residual"), saved)
    assert (saved / "vae.safetensors").read_bytes() == before


def test_nan_is_not_saved(tmp_path):
    vae = make()
    with torch.no_grad():
        vae.means.bias[1] = torch.nan
    with pytest.raises(ValueError, match=r"vae must hold finite numbers, means.bias has NaN"):
        save_vae(vae, tmp_path / "vae")
    vae = make()
    vae.name = "own"
    with pytest.raises(ValueError, match=r"vae must name a vae of residual, .*it cannot be saved"):
        save_vae(vae, tmp_path / "vae")
    assert not (tmp_path / "vae").exists()


def test_nothing_there(tmp_path, saved):
    (tmp_path / "empty").mkdir()
    for name, what in (("none", "No autoencoder"), ("empty", "No finished autoencoder")):
        message = f"{what} in .*{name}; train one with: whence train-vae DATA --out"
        with pytest.raises(FileNotFoundError, match=message):
            load_vae(tmp_path / name)
    (saved / "vae.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"vae.safetensors is missing"):
        load_vae(saved)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": 2}, "written by a newer whence"),
        ({"format": True}, "must name its format, got True; it is damaged"),
        ({"vae": "gan"}, "must name a vae of residual, thesis_mnist, .*, got 'gan'; it is damaged"),
        ({"vae": ["residual"]}, "must name a vae of"),
        ({"image_shape": [2, 13]}, r"must give image_shape as \[C, H, W\]"),
        ({"image_shape": [2, 13, 0]}, "must have image_shape W in 1 to 512, got 0"),
        ({"image_shape": [2, 13, 16.0]}, "must have image_shape W in 1 to 512, got 16.0"),
        ({"codes": 2**16 + 1}, "must have codes in 1 to 65536, got 65537"),
        ({"sha256": None}, "must give the hash of vae.safetensors"),
        ({"sha256": "0" * 64}, "vae.safetensors must have the hash in vae.json, it is damaged"),
        ({"run": []}, r"must have an object run, got \[\]"),
        ({"codes": 4}, r"means.weight"),
        ({"vae": "residual"}, r"trunk.0.weight"),
        ({"image_shape": [2, 16, 17]}, "thesis_mnist cannot decode images of 16 x 17 pixels"),
    ],
)
def test_damaged_descriptions(saved, changes, message):
    rewrite(saved, **changes)
    with pytest.raises(ValueError, match=message):
        load_vae(saved)


def test_a_variance_of_zero_is_refused(saved):
    vae = make()
    vae.variance.zero_()
    digest = write_tensors(saved / "vae.safetensors", vae.state_dict())
    rewrite(saved, sha256=digest)
    with pytest.raises(ValueError, match="must hold a positive variance, it is damaged"):
        load_vae(saved)


def test_a_link_is_refused(saved, tmp_path):
    (tmp_path / "other.safetensors").write_bytes((saved / "vae.safetensors").read_bytes())
    (saved / "vae.safetensors").unlink()
    (saved / "vae.safetensors").symlink_to(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"must be a plain file, it is a link"):
        load_vae(saved)
