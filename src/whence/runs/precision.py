"""In which precision a model is trained when the settings leave it open."""

import torch
from torch import nn

from whence.models.classifier import Classifier

SLOWER_IN_BFLOAT16 = ("efficientnet_b0", "shufflenet_v2")
"""Measured on AVX-512 BF16, forward and backward: 2.2 and 1.4 times slower than float32."""


def choose_bfloat16(precision: str, model: Classifier, device: str) -> bool:
    """Decide whether to train in bfloat16; "auto" does where it was seen to be faster."""
    if precision != "auto":
        return precision == "bfloat16"
    on_gpu = torch.device(device).type == "cuda"
    return has_bfloat16_units(device) and (on_gpu or gains_from_bfloat16(model))


def gains_from_bfloat16(model: Classifier) -> bool:
    """Say whether a network trains faster in bfloat16 on a CPU that has it.

    Depthwise convolutions do not, as a rule; of ours, MobileNet-v2 does all the same.
    """
    if model.kind.family == "whence":
        return model.kind.name not in SLOWER_IN_BFLOAT16
    convolutions = (m for m in model.encoder.modules() if isinstance(m, nn.Conv2d))
    return all(convolution.groups == 1 for convolution in convolutions)


def has_bfloat16_units(device: str = "cpu") -> bool:
    """Say whether a GPU, or the CPU (AMX or AVX-512 BF16), multiplies bfloat16 in hardware."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
