"""A cache of the Hugging Face hub that stands in for the user's, with no network behind it."""

import timm
import torch
from safetensors.torch import save_file


def use_hub(monkeypatch, home):
    """Let the hub's files be in a folder, as HF_HOME and HF_HUB_OFFLINE do in a new process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def put_network(home):
    """Put a network into such a cache; return what of it an encoder of grey images holds."""
    torch.manual_seed(0)
    whole = timm.create_model("resnet10t", num_classes=1000)
    repository = home / "hub" / "models--timm--resnet10t.c3_in1k"
    for part in ("refs", "snapshots/1"):
        (repository / part).mkdir(parents=True)
    (repository / "refs" / "main").write_text("1")
    save_file(whole.state_dict(), repository / "snapshots" / "1" / "model.safetensors")
    expected = {key: t for key, t in whole.state_dict().items() if not key.startswith("fc.")}
    expected["conv1.0.weight"] = expected["conv1.0.weight"].sum(1, keepdim=True)
    return expected
