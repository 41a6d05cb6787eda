"""Files as the paper's code saves them, small, with numbers that a formula fills."""

from functools import cache

import torch

from tests.helpers import authors
from whence.encoders.vit import vit


@cache
def state_of(model_name):
    return {key: t.float() if t.ndim else t for key, t in authors.fill_all(model_name).items()}


def checkpoint(state, **changes):
    fields = {
        "model_state_dict": state,
        "train_examples": 1000,
        "mem_examples": 100,
        "model_name": "shufflenet",
        "num_classes": 10,
        "modality": "encoder_memory",
        "dataset_name": "SVHN",
    }
    return {k: v for k, v in {**fields, **changes}.items() if v is not None}


def write(folder, content):
    torch.save(content, folder / "1.pt")
    return folder / "1.pt"


def with_modality(state, modality, features):
    """The same encoder under the last layers of another variant, filled by the formula."""
    state = {key: tensor for key, tensor in state.items() if not key.startswith("mw.")}
    shapes = {"linear.weight": (10, features), "linear.bias": (10,)}
    if modality == "memory":
        shapes = {
            "mw.classifier.fc1.weight": (2 * features, features),
            "mw.classifier.fc1.bias": (2 * features,),
            "mw.classifier.fc2.weight": (10, 2 * features),
            "mw.classifier.fc2.bias": (10,),
        }
    return state | {key: authors.fill(key, shape).float() for key, shape in shapes.items()}


def old_layout(state):
    return {key.replace("mw.classifier.", "mw.fc."): tensor for key, tensor in state.items()}


def densenet_without(key=None, **tensors):
    state = {k: t for k, t in state_of("densenet").items() if k != key}
    return state | {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def densenet_file(key=None, **changes):
    return checkpoint(densenet_without(key), model_name="densenet", **changes)


VIT_HEADS = {
    "std": ("standard", {"fc.1.weight": (10, 384), "fc.1.bias": (10,)}),
    "memory": (
        "only-memory",
        {
            "mw.classifier.fc1.weight": (768, 384),
            "mw.classifier.fc1.bias": (768,),
            "mw.classifier.fc2.weight": (10, 768),
            "mw.classifier.fc2.bias": (10,),
        },
    ),
    "encoder_memory": (
        "memory-wrap",
        {
            "mw.classifier.fc1.weight": (1536, 768),
            "mw.classifier.fc1.bias": (1536,),
            "mw.classifier.fc2.weight": (10, 1536),
            "mw.classifier.fc2.bias": (10,),
        },
    ),
}


def vit_state(modality, prefix="model."):
    torch.manual_seed(0)
    source = vit().state_dict() | {
        key: authors.fill(key, shape).float() for key, shape in VIT_HEADS[modality][1].items()
    }
    return {prefix + key: tensor for key, tensor in source.items()}
