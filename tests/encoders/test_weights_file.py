"""Files of parameters as people write them: prefixes, entries, averages; and none that could run."""

import argparse
import os

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.networks import SHAPE, Small, plain, snapshot, write
from whence.encoders.adopt import adopt_encoder
from whence.encoders.load_weights import load_weights, read_weights
from whence.encoders.weights import match_names
from whence.encoders.weights_file import AVERAGED, CONTAINERS, read_state_dict
from whence.runs.images import load_to_train
from whence.runs.settings import Settings


def load(encoder, kind, weights):
    return load_weights(encoder, read_weights(kind, weights, SHAPE))


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize(
    "prefix",
    ["", "encoder.", "module.", "_orig_mod.", "model.", "module._orig_mod.", "model.backbone."],
)
def test_weights_come_back_from_a_file(tmp_path, ending, prefix):
    torch.manual_seed(0)
    source = Small()
    file = write(tmp_path / f"w{ending}", {prefix + k: v for k, v in source.state_dict().items()})
    encoder, kind = adopt_encoder(Small(), SHAPE)
    record = load(encoder, kind, file)
    assert_close(snapshot(encoder), {k: v for k, v in source.state_dict().items() if "fc" not in k})
    assert record.startswith(f"weights from w{ending}, sha256 ")
    assert record.endswith("; 2 of its tensors were not used")  # fc.weight and fc.bias
    assert str(tmp_path) not in record


@pytest.mark.parametrize("container", [*CONTAINERS, *AVERAGED, "of_another_name"])
def test_weights_in_a_container(tmp_path, container):
    source = plain()
    file = write(tmp_path / "w.pt", {"epoch": 3, container: source.state_dict()})
    encoder, kind = adopt_encoder(plain(), SHAPE)
    record = load(encoder, kind, str(file))
    assert_close(snapshot(encoder), snapshot(source))
    assert "not used" not in record
    assert load(encoder, kind, str(file)) == record
    with torch.no_grad():
        source[0].bias += 1
    write(file, source.state_dict())
    assert load(encoder, kind, str(file)) != record


def constant(value, prefix=""):
    """The parameters of ``plain()``, all of one value."""
    return {prefix + key: torch.full_like(t, value) for key, t in plain().state_dict().items()}


def loaded(content, tmp_path):
    """The value that all parameters of ``plain()`` have after reading a file, and the record."""
    encoder, kind = adopt_encoder(plain(), SHAPE)
    record = load(encoder, kind, write(tmp_path / "w.pt", content))
    (value,) = torch.cat(
        [tensor.flatten().double() for tensor in snapshot(encoder).values()]
    ).unique()
    return value.item(), record


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("averaged", AVERAGED)
def test_averaged_weights_are_preferred_and_named(tmp_path, container, averaged):
    content = {container: constant(1), "epoch": 3, averaged: constant(2, "module.")}
    value, record = loaded(content, tmp_path)
    assert value == 2
    assert record.startswith(f"weights from w.pt, averaged ({averaged}), sha256 ")
    assert loaded({**content, averaged: None}, tmp_path)[0] == 1
    assert loaded({**content, averaged: {}}, tmp_path)[0] == 1


def test_averaged_weights_among_the_names_are_preferred(tmp_path):
    both = {
        **constant(1, "model."),
        **constant(2, "ema_model.module."),
        "n_averaged": torch.ones(()),
    }
    assert loaded({"state_dict": both}, tmp_path)[0] == 2
    partly = {**constant(1, "model."), "ema.0.bias": torch.zeros(5)}
    assert loaded({"state_dict": partly}, tmp_path)[0] == 1, "the most complete comes first"


def test_what_training_scripts_save_beside_the_parameters_is_read(tmp_path):
    options = argparse.Namespace(lr=0.1, data="photos")
    optimizer = {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]}
    content = {"model": constant(3), "optimizer": optimizer, "args": options, "epoch": 9}
    assert loaded(content, tmp_path)[0] == 3
    assert loaded({"model": {"state_dict": constant(4)}}, tmp_path)[0] == 4
    assert read_state_dict(tmp_path / "w.pt").entry == "model"


def test_a_networks_own_names_are_not_taken_for_a_prefix():
    wanted = {"encoder.layer.weight": torch.zeros(1), "model.bias": torch.zeros(2)}
    found = {**wanted, "layer.weight": torch.ones(1)}
    assert match_names(found, wanted) == (wanted, "")
    behind = {f"module.{key}": tensor for key, tensor in wanted.items()}
    assert match_names(behind, wanted) == (wanted, "module.")


@pytest.mark.parametrize(
    "content, message",
    [
        (
            {"netG": constant(1), "netD": constant(2)},
            "several: netG, netD; save the one that is me",
        ),
        ({"epoch": 3, "best": 0.5}, "it holds none; its entries are epoch, best"),
        ({str(n): n for n in range(999)}, "it holds none; its entries are 0, 1, 2"),
        ([torch.zeros(2)], r"it holds a list\."),
        ({}, r"it holds none\."),
    ],
)
def test_a_file_that_names_no_parameters_is_described(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"w.pt must hold named tensors .* {message}") as caught:
        read_state_dict(write(tmp_path / "w.pt", content))
    assert len(str(caught.value)) < 200 + len(str(tmp_path)) + 100


def test_what_was_chosen_is_said_before_training(tmp_path):
    whole = adopt_encoder("small_cnn", (1, 8, 8))[0].state_dict()
    compiled = {f"_orig_mod.{key}": tensor for key, tensor in whole.items()}
    file = write(tmp_path / "w.pt", {"model": whole, "model_ema": compiled})
    notes = load_to_train(Settings(data="digits", encoder="small_cnn", weights=str(file))).notes
    assert notes[:2] == (
        "The averaged weights in w.pt are taken (model_ema), not those of the last step.",
        "_orig_mod. before the names of the parameters in w.pt is left out.",
    )


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def test_hostile_and_damaged_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder, kind = adopt_encoder(plain(), SHAPE)
    torch.save({"0.weight": Hostile()}, "hostile.pt")
    whole = write(tmp_path / "whole.pt", plain().state_dict()).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pt").touch()
    for name in ("hostile.pt", "cut.pt", "text.pth", "empty.pt"):
        with pytest.raises(ValueError, match=f"{name} must be a whole PyTorch file of tensors"):
            load(encoder, kind, name)
    assert not (tmp_path / "hacked").exists()
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        load(encoder, kind, "cut.safetensors")
    for name in ("none.pt", "none.safetensors"):
        with pytest.raises(FileNotFoundError, match=f"{name} must be a file, there is none"):
            load(encoder, kind, name)
    with pytest.raises(ValueError, match=r"must be a .safetensors, .pt or .pth file, got w.pickle"):
        load(encoder, kind, "w.pickle")
