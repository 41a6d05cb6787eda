"""How much the loss depends on each training image, and how unevenly."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def measure_sensitivity(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute the L1 norm of the slope of each image's loss by its own pixels, `(N,)`.

    Arpit et al. (2017), section 3.2: g_x = |d L / d x|_1, in nats per unit of a pixel.

    Args:
        network: in eval mode, maps `(N, C, H, W)` to `(N, K)`.
        images: `(N, C, H, W)`.
        labels: `(N,)`.
    """
    asked = images.detach().clone().requires_grad_()
    loss = F.cross_entropy(network(asked), labels, reduction="sum")
    slopes: Tensor = torch.autograd.grad(loss, asked)[0]
    return slopes.abs().flatten(1).sum(1)


def divide_sensitivity(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute the L1 norm of the part of that slope that comes through each class's output.

    Arpit et al. (2017), section 3.2.1, have the term of class i in the cross-entropy. Here that is
    (p_i - y_i) d z_i / d x: these parts add up to the whole slope (p is the answer, y the label, z
    the outputs before the softmax).

    Returns:
        `(N, K)`.
    """
    asked = images.detach().clone().requires_grad_()
    outputs = network(asked)  # (N, K)
    with torch.no_grad():
        away = outputs.softmax(1) - F.one_hot(labels, outputs.shape[1])
    parts = [
        torch.autograd.grad((away[:, k] * outputs[:, k]).sum(), asked, retain_graph=True)[0]
        for k in range(outputs.shape[1])
    ]
    return torch.stack([part.abs().flatten(1).sum(1) for part in parts], 1)


def average_pairs(parts: Tensor, labels: Tensor) -> Tensor:
    """Average parts `(N, K)` over the images of each class; `(K, K)`: by class i, images of j.

    0 in the columns of classes without an image.
    """
    members = F.one_hot(labels, parts.shape[1]).to(parts.dtype)  # (N, K)
    return parts.T @ members / members.sum(0).clamp_min(1)
