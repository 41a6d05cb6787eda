"""Encoders are filled from files, or from what their library publishes: in whole or not at all."""

import errno
import json
import os
import subprocess
import sys
from email.message import Message
from urllib.error import HTTPError, URLError

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.networks import SHAPE, plain, snapshot, write
from whence.encoders.adopt import EncoderKind, adopt_encoder
from whence.encoders.load_weights import is_of_disk, load_weights, read_weights


def load(encoder, kind, weights):
    return load_weights(encoder, read_weights(kind, weights, SHAPE))


def test_weights_of_a_whole_network_by_name(tmp_path):
    import torchvision

    whole = torchvision.models.get_model("mnasnet0_5", weights=None)
    file = write(tmp_path / "mnasnet.safetensors", whole.state_dict())
    encoder, kind = adopt_encoder("torchvision:mnasnet0_5", (3, 32, 32))
    load(encoder, kind, file)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert_close(whole.eval().classifier(encoder.eval()(images)), whole(images))


def test_batch_counters_of_old_files_may_be_missing(tmp_path):
    source, (encoder, kind) = plain(), adopt_encoder(plain(), SHAPE)
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("tracked")}
    load(encoder, kind, write(tmp_path / "w.pt", state))
    assert_close(snapshot(encoder), snapshot(source))


def changed(**tensors):
    state = {**plain().state_dict(), **{k.replace("__", "."): t for k, t in tensors.items()}}
    return {key: tensor for key, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    "tensors, message",
    [
        (changed(**{"0__weight": None}), r"0.weight \(5, 3, 3, 3\) is missing \(1 of 7 do not fit"),
        (changed(**{"0__bias": torch.zeros(4)}), r"0.bias must have shape \(5,\), got \(4,\)"),
        (changed(**{"0__bias": torch.zeros(5, dtype=torch.int32)}), "must be torch.float32, got t"),
        (changed(**{"1__bias": torch.full((5,), torch.nan)}), "finite numbers, 1.bias has NaN"),
        (
            {"a": torch.zeros(2)},
            r"0.weight .* is missing; 0.bias .* is missing; 1.weight .* \.\.\.",
        ),
        ({"a": 3}, "must hold named tensors"),
        ([torch.zeros(2)], "must hold named tensors"),
        ({"0.bias": torch.zeros(5, device="meta")}, "ordinary tensors, 0.bias is of another kind"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, tensors, message):
    encoder, kind = adopt_encoder(plain(), SHAPE)
    before = snapshot(encoder)
    with pytest.raises(ValueError, match=message):
        load(encoder, kind, write(tmp_path / "w.pt", tensors))
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


NOWHERE = "http://127.0.0.1:9"  # a port that nobody listens on


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torchvision's folder of downloads, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", NOWHERE)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_default_weights_of_torchvision(cache):
    import torchvision

    weights = torchvision.models.get_model_weights("densenet121").DEFAULT
    whole = torchvision.models.get_model("densenet121", weights=None)
    old_names = {
        key.replace(".norm1", ".norm.1").replace(".norm2", ".norm.2"): tensor
        for key, tensor in whole.state_dict().items()
    }
    assert old_names.keys() != whole.state_dict().keys()
    torch.save(old_names, cache / weights.url.split("/")[-1])
    encoder, kind = adopt_encoder("torchvision:densenet121", (3, 32, 32))
    record = load(encoder, kind, "default")
    assert "torchvision:densenet121 DenseNet121_Weights.IMAGENET1K_V1, sha256" in record
    assert_close(
        snapshot(encoder), {k: v for k, v in whole.state_dict().items() if k[:10] != "classifier"}
    )


def test_default_weights_without_a_network(cache):
    encoder, kind = adopt_encoder("torchvision:squeezenet1_1", (3, 32, 32))
    before = snapshot(encoder)
    with pytest.raises(ConnectionError, match=r"torchvision:squeezenet1_1 .* --weights FILE"):
        load(encoder, kind, "default")
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


LOAD_FROM_TIMM = """
import json, sys, torch
from whence.encoders.adopt import adopt_encoder
from whence.encoders.load_weights import load_weights, read_weights
encoder, kind = adopt_encoder("timm:resnet10t", (1, 32, 32))
try:
    record = load_weights(encoder, read_weights(kind, "default", (1, 32, 32)))
except (OSError, ValueError) as error:
    record = f"{type(error).__name__}: {error}"
torch.save(encoder.state_dict(), sys.argv[1])
print(json.dumps(record))
"""


def load_from_timm(hub, folder):
    """What a fresh process gets from timm when the hub's cache is ``hub``: record and encoder."""
    environment = {**os.environ, "HF_HOME": str(hub), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD_FROM_TIMM, str(folder / "found.pt")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True, cwd=folder
    )
    return json.loads(done.stdout), torch.load(folder / "found.pt")


def test_default_weights_of_timm(tmp_path):
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("resnet10t", num_classes=1000)
    repository = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k"
    for part in ("refs", "snapshots/1"):
        (repository / part).mkdir(parents=True)
    (repository / "refs" / "main").write_text("1")
    write(repository / "snapshots" / "1" / "model.safetensors", whole.state_dict())
    record, found = load_from_timm(tmp_path, tmp_path)
    assert record.startswith("weights from timm:resnet10t, sha256 ")
    expected = {key: t for key, t in whole.state_dict().items() if not key.startswith("fc.")}
    expected["conv1.0.weight"] = expected["conv1.0.weight"].sum(1, keepdim=True)  # grey images
    assert_close(found, expected)


def test_weights_that_timm_cannot_get(tmp_path):
    record, _ = load_from_timm(tmp_path / "empty", tmp_path)
    assert record.startswith("ConnectionError: The pretrained weights of timm:resnet10t could not")
    assert record.endswith("--weights FILE")


def test_a_cache_that_cannot_be_written_to_is_named_as_what_it_is(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file" / "torch"))
    monkeypatch.setenv("https_proxy", NOWHERE)
    encoder, kind = adopt_encoder("torchvision:squeezenet1_1", (3, 32, 32))
    message = r"kept in the cache: .*file.*: Not a directory; name a folder .* variable TORCH_HOME"
    with pytest.raises(PermissionError, match=message):
        load(encoder, kind, "default")
    record, _ = load_from_timm(tmp_path / "file" / "hub", tmp_path)
    assert record.startswith(
        "PermissionError: The pretrained weights of timm:resnet10t could not be"
    )
    assert "Not a directory" in record
    assert "variable HF_HOME" in record


@pytest.mark.parametrize(
    "error, of_disk",
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (PermissionError(errno.EACCES, "Permission denied", "/cache"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
        (HTTPError("https://x.org/w.pth", 404, "Not Found", Message(), None), False),
        (URLError("no network here"), False),
        (TimeoutError("timed out"), False),
    ],
)
def test_errors_of_the_disk_are_told_from_those_of_the_network(error, of_disk):
    assert is_of_disk(error) == of_disk


def test_a_damaged_file_in_the_cache_is_named(cache, tmp_path):
    import torchvision

    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    (cache / url.split("/")[-1]).write_bytes(b"PK cut short")
    encoder, kind = adopt_encoder("torchvision:squeezenet1_1", (3, 32, 32))
    with pytest.raises(ValueError, match=r"squeezenet1_1 are damaged .* the cache \(TORCH_HOME\)"):
        load(encoder, kind, "default")


def test_default_weights_exist_for_other_peoples_networks_only():
    for source in (plain(), "small_cnn"):
        encoder, kind = adopt_encoder(source, SHAPE)
        with pytest.raises(ValueError, match="needs a torchvision or timm network, got"):
            load(encoder, kind, "default")
    encoder, _ = adopt_encoder("timm:resnet10t", SHAPE)
    without = EncoderKind("timm", "beit3_giant_patch14_224")
    with pytest.raises(ValueError, match="timm:beit3_giant_patch14_224 has no pretrained weights"):
        load(encoder, without, "default")
