"""Path mask: which pixels must follow a path for the class of self to gain (section 4.6)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.kinds import check_fields
from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.morphing.entropy import check_own, check_path
from whence.morphing.strides import check_strides, scale_to, stride_on
from whence.records.show import show_record
from whence.shapes import check_shape

REACH = 4
"""The Gaussian ends after so many deviations."""


@dataclass(frozen=True)
class MaskPlan:
    """How masks are found.

    Attributes:
        steps: of the thesis's Adam.
        weight: of the mask's L1 norm.
        blur: deviation in pixels of the Gaussian between the variable and its use; 0 for none. The
            thesis blurs, but does not say how much.
        stride: how many of the thesis's steps one update stands for.
        looks: how often the classifier is asked, in equal distances; between looks the gain is
            taken as linear in the mask, which a small step of the path makes it nearly.
        share: of the gradient's absolute sum that the steps looked at again must have; the others,
            where the classifier is sure of itself, are looked at once.
    """

    steps: int = 3000
    weight: float = 1.0
    blur: float = 1.0
    stride: int = 20
    looks: int = 10
    share: float = 0.95

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("steps", "stride", "looks"):
            check_number(name, getattr(self, name))
        check_strides(self.steps, self.stride)
        for name in ("weight", "blur"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, got {value}.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {self.share}.")


@dataclass(frozen=True, eq=False, repr=False)
class PathMasks:
    """Masks and what they do; on the CPU.

    Attributes:
        masks: `(B, H, W)` in [0, 1]; 1 where a pixel follows the path. One for all channels.
        gains: `(B, S - 1)` by how much the probability of self grows at each step when only the
            mask follows it; where on the path the gain lies.
        full_gains: `(B, S - 1)` the same when every pixel follows; they sum to the probability at
            the end of the path minus that at its start.
        increase: `(B, H, W)` the mask times the growth of intensity from other to self, mean over
            channels, in [0, 1]: red in the thesis's figures.
        decrease: `(B, H, W)` the mask times the fall of intensity: blue.
        reasons: per image None, or a sentence that says why its mask is not to be used.
    """

    masks: Tensor
    gains: Tensor
    full_gains: Tensor
    increase: Tensor
    decrease: Tensor
    reasons: tuple[str | None, ...]

    __repr__ = show_record

    def __len__(self) -> int:
        return len(self.masks)


@dataclass
class Slope:
    """The gain of masks `(B, H, W)` near the place where it was looked at."""

    at: Tensor  # (B, H, W)
    value: Tensor  # (B,)
    gradient: Tensor  # (B, H, W)

    def read(self, masks: Tensor) -> Tensor:
        """Estimate the gain `(B,)` of other masks."""
        return self.value + (self.gradient * (masks - self.at)).flatten(1).sum(1)


def path_masks(
    model: Classifier,
    path: Tensor,
    classes: Tensor,
    *,
    plan: MaskPlan | None = None,
    batch_size: int = BATCH_SIZE,
) -> PathMasks:
    """Find the mask of every path, all at once.

    A step of the path is ``m(x_i, x_i+1) = (1 - m) x_i + m x_i+1``. The mask maximises the sum over
    the steps of ``f(m(x_i, x_i+1)) - f(x_i)``, f the probability of self, minus its L1 norm, which
    is brought to the scale of that sum by running averages. The variable starts at one half and is
    kept in [0, 1], which the thesis leaves open; a Gaussian blurs it before it is used.

    Differs from the thesis in the way, not in the aim: the thesis asks the classifier about every
    step of the path in each of 3,000 updates. Here it is asked ``looks`` times, and the updates are
    longer (``strides``). With ``MaskPlan(stride=1, looks=3000, share=1)`` it is the thesis's way.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        path: `(B, S, C, H, W)` images in [0, 1], from other to self.
        classes: `(B,)` the class of self.
        plan: steps and weights; None is the default.
        batch_size: images the classifier is asked about at once; changes memory use, not the
            result.

    Raises:
        ValueError: if the shapes do not fit the model, or a class is not one of its classes.
    """
    plan = plan or MaskPlan()
    sizes = check_path(model, path, batch_size)
    check_shape("classes", classes, "B", B=sizes["B"])
    check_own(model, classes)
    path = at_least_float32(path.detach())
    gain = Gain(model, path, classes, batch_size)
    masks, broken = descend(gain, plan)
    gains = gain.of(masks).cpu()
    change = (path[:, -1] - path[:, 0]).cpu()  # (B, C, H, W)
    masks = masks.cpu()
    return PathMasks(
        masks=masks,
        gains=gains,
        full_gains=gain.of(torch.ones_like(masks).to(path.device)).cpu(),
        increase=masks * change.clamp_min(0).mean(1),
        decrease=masks * (-change).clamp_min(0).mean(1),
        reasons=tuple(
            "The gain became NaN or infinite while the mask was sought; its last mask is kept."
            if one
            else None
            for one in broken.tolist()
        ),
    )


class Gain:
    """The gain of masks along fixed paths; the answers for the paths themselves are kept.

    Args:
        model: the classifier.
        path: `(B, S, C, H, W)`.
        classes: `(B,)`.
        batch_size: images at once.
    """

    def __init__(self, model: Classifier, path: Tensor, classes: Tensor, batch_size: int) -> None:
        self.model = model
        self.path = path
        self.classes = classes.to(path.device)
        self.batch_size = batch_size
        count, steps = path.shape[:2]
        self.pairs = torch.cartesian_prod(torch.arange(count), torch.arange(steps - 1))
        self.pairs = self.pairs.view(-1, 2).to(path.device)  # (B (S - 1), 2) row and step
        with evaluating(model):
            parts = [
                self.probability(images, rows)
                for images, rows in zip(
                    path[:, :-1].flatten(0, 1).split(batch_size),
                    self.pairs[:, 0].split(batch_size),
                    strict=True,
                )
            ]
        self.start = torch.cat(parts).view(count, steps - 1)

    def probability(self, images: Tensor, rows: Tensor) -> Tensor:
        """Return `(n,)` the probability of self of images `(n, C, H, W)`."""
        logits: Tensor = at_least_float32(self.model.logits(images)).to(images.device)
        return logits.softmax(1).gather(1, self.classes[rows, None]).squeeze(1)

    def blend(self, masks: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masked steps `(n, C, H, W)` of pairs `(n, 2)`, and the whole steps."""
        rows, steps = pairs.unbind(1)
        before, after = self.path[rows, steps], self.path[rows, steps + 1]
        mixed = torch.lerp(before, after, masks[rows, None].to(before)).clamp(0, 1)
        return mixed, after - before

    def of(self, masks: Tensor, rows: Tensor | None = None) -> Tensor:
        """Compute the gains `(B, S - 1)` of masks `(B, H, W)`; or `(n, S - 1)` of some paths.

        Args:
            masks: of all paths.
            rows: `(n,)` the paths that are asked about; None is all.
        """
        start = self.start if rows is None else self.start[rows]
        asked = self.pairs.view(*self.start.shape, 2)
        asked = (asked if rows is None else asked[rows]).flatten(0, 1)
        with evaluating(self.model):
            found = [
                self.probability(self.blend(masks, pairs)[0], pairs[:, 0])
                for pairs in asked.split(self.batch_size)
            ]
        return torch.cat(found).view(start.shape) - start

    def look(self, masks: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ask about some steps of the paths.

        Args:
            masks: `(B, H, W)`.
            pairs: `(n, 2)` row and step.

        Returns:
            `(B,)` the sum of their gains, `(B, H, W)` its gradient, and `(n,)` the absolute sum of
            each step's part in that.
        """
        value = self.start.new_zeros(len(masks))
        gradient = torch.zeros_like(masks)
        sizes = []
        with evaluating(self.model):
            for some in pairs.split(self.batch_size):
                rows, steps = some.unbind(1)
                mixed, change = self.blend(masks, some)
                with torch.enable_grad():
                    leaf = mixed.requires_grad_()
                    probability = self.probability(leaf, rows)
                    (slope,) = torch.autograd.grad(probability.sum(), leaf)
                part = (slope * change).sum(1).to(masks)  # (n, H, W)
                value.index_add_(0, rows, probability.detach() - self.start[rows, steps])
                gradient.index_add_(0, rows, part)
                sizes.append(part.abs().flatten(1).sum(1))
        return value, gradient, torch.cat(sizes)


def descend(gain: Gain, plan: MaskPlan) -> tuple[Tensor, Tensor]:
    """Find the masks `(B, H, W)`, and which of them broke, `(B,)` bool."""
    count, _, _, height, width = gain.path.shape
    device, dtype = gain.path.device, gain.path.dtype
    down, across = (blur_matrix(size, plan.blur).to(device, dtype) for size in (height, width))
    variable = torch.full((count, height, width), 0.5, device=device, dtype=dtype)
    first = second = torch.zeros_like(variable)
    goals = penalties = torch.zeros(count, device=device, dtype=dtype)
    broken = torch.zeros(count, dtype=torch.bool, device=device)
    masks = down @ variable @ across.T
    pairs, rest = choose_steps(gain, masks, plan.share)
    updates = plan.steps // plan.stride
    every = max(1, math.ceil(updates / plan.looks))
    slope = rest
    for update in range(updates):
        if update % every == 0:
            slope = look_again(gain, masks, pairs, rest)
            finite = slope.value.isfinite() & slope.gradient.isfinite().flatten(1).all(1)
            broken |= ~finite
        value, norm = slope.read(masks), masks.flatten(1).sum(1)
        goals, penalties = goals + value.abs(), penalties + norm
        pull = plan.weight * scale_to(goals, penalties)  # the gradient of the penalty
        gradient = down.T @ (pull[:, None, None] - slope.gradient) @ across
        moved, first, second = stride_on(variable, gradient, first, second, update + 1, plan.stride)
        variable = torch.where(broken[:, None, None], variable, moved.clamp(0, 1))
        masks = (down @ variable @ across.T).clamp(0, 1)
    return masks, broken


def choose_steps(gain: Gain, masks: Tensor, share: float) -> tuple[Tensor, Slope]:
    """Look at every step once; return the pairs to look at again, and the slope of the others."""
    value, gradient, sizes = gain.look(masks, gain.pairs)
    sizes = sizes.view(gain.start.shape)
    ordered, order = sizes.sort(1, descending=True)
    before = ordered.cumsum(1) - ordered  # what the larger ones have already
    needed = before < share * ordered.sum(1, keepdim=True)
    chosen = torch.zeros_like(needed).scatter(1, order, needed).flatten()
    if bool(chosen.all()):
        return gain.pairs, Slope(masks, torch.zeros_like(value), torch.zeros_like(gradient))
    value, gradient, _ = gain.look(masks, gain.pairs[~chosen])
    return gain.pairs[chosen], Slope(masks, value.to(masks), gradient)


def look_again(gain: Gain, masks: Tensor, pairs: Tensor, rest: Slope) -> Slope:
    """Ask about the chosen pairs and add what the others gave."""
    value, gradient, _ = gain.look(masks, pairs)
    return Slope(masks, value.to(masks) + rest.read(masks), gradient + rest.gradient)


def blur_matrix(size: int, deviation: float) -> Tensor:
    """Build `(size, size)` the Gaussian blur of a line; every row sums to 1, also at the ends.

    >>> blur_matrix(3, 0.0)
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]], dtype=torch.float64)
    """
    if deviation == 0:
        return torch.eye(size, dtype=torch.float64)
    places = torch.arange(size, dtype=torch.float64)
    apart = places[:, None] - places
    weights = (-apart.square() / (2 * deviation**2)).exp()
    weights[apart.abs() > math.ceil(REACH * deviation)] = 0.0
    return weights / weights.sum(1, keepdim=True)
