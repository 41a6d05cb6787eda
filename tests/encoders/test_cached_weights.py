"""Published weights that may not be fetched: read from a cache, or refused, and nobody is asked."""

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.hub import put_network, use_hub
from whence.encoders.adopt import kind_of
from whence.encoders.load_weights import read_weights

SHAPE = (3, 32, 32)


def test_weights_of_torchvision(tmp_path, monkeypatch):
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kind = kind_of("torchvision:squeezenet1_1")
    message = r"torchvision:squeezenet1_1 are not here, and are not fetched .*add --download, or"
    with pytest.raises(ValueError, match=message):
        read_weights(kind, "default", SHAPE, download=False)
    state = torchvision.models.get_model("squeezenet1_1", weights=None).state_dict()
    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / url.split("/")[-1])
    assert_close(dict(read_weights(kind, "default", SHAPE, download=False).tensors), dict(state))


def test_weights_of_timm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_text("not this one")  # lies in the working folder
    use_hub(monkeypatch, tmp_path / "home")
    kind, shape = kind_of("timm:resnet10t"), (1, 32, 32)
    message = "The pretrained weights of timm:resnet10t are not here"
    with pytest.raises(ValueError, match=message):
        read_weights(kind, "default", shape, download=False)
    expected = put_network(tmp_path / "home")
    found = read_weights(kind, "default", shape, download=False)
    assert_close(dict(found.tensors), expected)
