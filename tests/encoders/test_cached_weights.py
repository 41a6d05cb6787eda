"""Published weights that may not be fetched: read from a cache, or refused, and nobody is asked."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from whence.encoders.adopt import kind_of
from whence.encoders.load_weights import read_weights

NOWHERE = "http://127.0.0.1:9"  # a port that nobody listens on
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


READ_FROM_TIMM = """
import json, sys, torch
from whence.encoders.adopt import kind_of
from whence.encoders.load_weights import read_weights
tensors = {}
try:
    tensors = dict(read_weights(kind_of("timm:resnet10t"), "default", (1, 32, 32), download=False).tensors)
    said = "read"
except (OSError, ValueError) as error:
    said = f"{type(error).__name__}: {error}"
torch.save(tensors, "found.pt")
print(json.dumps(said))
"""


def read_from_timm(hub, folder):
    """What a fresh process gets when the hub's cache is ``hub`` and the hub cannot be reached."""
    (folder / "model.safetensors").write_text("not this one")  # lies in the working folder
    environment = {**os.environ, "HF_HOME": str(hub), "HF_ENDPOINT": NOWHERE}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", READ_FROM_TIMM]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True, cwd=folder
    )
    return json.loads(done.stdout), torch.load(folder / "found.pt")


def test_weights_of_timm(tmp_path):
    import timm

    said, _ = read_from_timm(tmp_path, tmp_path)
    assert said.startswith("ValueError: The pretrained weights of timm:resnet10t are not here")
    whole = timm.create_model("resnet10t", num_classes=1000)
    repository = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k"
    for part in ("refs", "snapshots/1"):
        (repository / part).mkdir(parents=True)
    (repository / "refs" / "main").write_text("1")
    save_file(whole.state_dict(), repository / "snapshots" / "1" / "model.safetensors")
    said, found = read_from_timm(tmp_path, tmp_path)
    assert said == "read"
    expected = {key: t for key, t in whole.state_dict().items() if not key.startswith("fc.")}
    expected["conv1.0.weight"] = expected["conv1.0.weight"].sum(1, keepdim=True)  # grey images
    assert_close(found, expected)
