"""Networks, and slow second ways, for the tests of what goes back layer by layer."""

import torch
from torch import nn
from torch.nn import functional as F

import whence
from whence.attribution.classifier_score import score_classifier
from whence.attribution.own_evidence import score_own


class Busy(nn.Module):
    """One of everything: skips, layers used again, functions, changes in place, gates, branches."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.again = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.before = nn.BatchNorm2d(6)
        self.gate = nn.Conv2d(6, 6, 1)
        self.relu6 = nn.ReLU6(inplace=True)
        self.group = nn.GroupNorm(3, 6)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.layer = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.last = nn.Linear(6, 5)

    def forward(self, images):
        x = F.relu(self.norm(self.first(images)))
        x += F.relu(self.again(self.before(x)))
        x = torch.cat([x[:, 3:], self.relu6(self.again(x))[:, :3]], 1)
        x = x * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(F.silu(x), 1)))
        x = F.gelu(self.group(F.max_pool2d(x, 2)))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        y = self.layer(tokens)
        tokens = tokens + self.attention(y, y, y, need_weights=False)[0]
        return self.last(tokens.mean(1)) - 0.5


def randomise(network, generator):
    """Draw all that training would have moved: biases, and the statistics of BatchNorm."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2, generator=generator)
    return network


def take_biases_away(network):
    """Set all that is added to 0: what is left is rectifiers and products."""
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith(("bias", "running_mean")):
                tensor.zero_()
    return network


def remember(encoder, variant, size, *, mean=0.0):
    """Make a model of an encoder, in float64, that remembers a few images of random pixels."""
    generator = torch.Generator().manual_seed(1)
    images, stored = (
        torch.randint(0, 256, (total, 2, *size), generator=generator, dtype=torch.uint8)
        for total in (2, 4)
    )
    torch.manual_seed(2)
    model = whence.wrap(
        encoder, 3, variant=variant, image_shape=(2, *size), mean=[mean] * 2, std=[0.4, 0.3]
    ).double()
    if model.has_memory:
        labels = torch.tensor([0, 1, 2, 0])
        model.train()(images, stored, memory_labels=labels)  # features of a middle size
        return model.eval(), images, stored, labels
    model.train()(images)
    return model.eval(), images, stored, None


def multiply_by_slopes(model, images):
    """Gradient times input of the score with constant weights, for images and their evidence."""
    score = score_classifier(model, images, None, batch_size=128)
    points = [score.pixels(images)] + ([] if score.evidence is None else [score.evidence])
    leaves = [one.clone().requires_grad_() for one in points]
    total = score_own(score, leaves[0], *(leaves[1:] or [None]), constant=True).sum()
    slopes = torch.autograd.grad(total, leaves)
    return [one * slope for one, slope in zip(points, slopes, strict=True)]


def unexplained(relevance):
    """What a ledger misses, as a part of its largest amount."""
    lines = torch.stack([*relevance.ledger.values()])
    return float(relevance.ledger["unexplained"].abs().max() / lines.abs().max())
