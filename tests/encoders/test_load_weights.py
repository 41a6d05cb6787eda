"""Encoders are filled from files, or from what their library publishes: in whole or not at all."""

import errno
from email.message import Message
from urllib.error import HTTPError, URLError

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.hub import put_network, use_hub
from tests.helpers.networks import SHAPE, plain, snapshot, write
from whence.encoders.adopt import EncoderKind, adopt_encoder
from whence.encoders.load_weights import is_of_disk, load_weights, read_weights


def load(encoder, kind, weights, shape=SHAPE):
    return load_weights(encoder, read_weights(kind, weights, shape))


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


def test_default_weights_of_timm(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    expected = put_network(tmp_path)
    encoder, kind = adopt_encoder("timm:resnet10t", (1, 32, 32))
    record = load(encoder, kind, "default", (1, 32, 32))
    assert record.startswith("weights from timm:resnet10t, sha256 ")
    assert_close(encoder.state_dict(), expected)


def test_weights_that_timm_cannot_get(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path / "empty")
    encoder, kind = adopt_encoder("timm:resnet10t", SHAPE)
    message = r"^The pretrained weights of timm:resnet10t could not .*--weights FILE$"
    with pytest.raises(ConnectionError, match=message):
        load(encoder, kind, "default")


def test_a_cache_that_cannot_be_written_to_is_named_as_what_it_is(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file" / "torch"))
    monkeypatch.setenv("https_proxy", NOWHERE)
    encoder, kind = adopt_encoder("torchvision:squeezenet1_1", (3, 32, 32))
    message = r"kept in the cache: .*file.*: Not a directory; name a folder .* variable TORCH_HOME"
    with pytest.raises(PermissionError, match=message):
        load(encoder, kind, "default")
    use_hub(monkeypatch, tmp_path / "file" / "hub")
    encoder, kind = adopt_encoder("timm:resnet10t", SHAPE)
    message = "weights of timm:resnet10t could not be .*Not a directory.* variable HF_HOME"
    with pytest.raises(PermissionError, match=message):
        load(encoder, kind, "default")


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
