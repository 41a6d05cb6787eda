"""Semantic morphing: change a code until its decoding is of another class (section 4.5)."""

import math
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE, check_number
from whence.kinds import check_fields
from whence.memory.attention import at_least_float32
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.morphing.answers import blank_broken, check_fit
from whence.morphing.entropy import measure_entropy, pair_logits
from whence.morphing.norms import Norms, mean_norms, norm_range
from whence.morphing.strides import check_strides, pace, scale_to, stride_on
from whence.records.show import show_record
from whence.shapes import check_batch_size, check_shape

NORM_WEIGHTS = {"mnist": 0.1, "notmnist": 10.0, "fashion_mnist": 10.0}
"""The thesis's weights of the norm by data (sections 5.1 to 5.3)."""


@dataclass(frozen=True)
class MorphPlan:
    """How codes are morphed.

    Attributes:
        weight: of the squared distance of the code's norm from the mean norm of the other class.
        steps: of the thesis's Adam, at most.
        stride: how many of those one update stands for; 1 is the thesis's way.
        entropy: bits; below that, and with a probability above one half, a morph is done.
        norm: how the norm is kept. "gradient" is the thesis's way: the penalty is a part of what
            Adam goes down on. It is steep, so that its swings take up Adam's steps and a large
            weight stops the morph. "proximal" goes down on the logit alone, and after each step
            moves the norm to where the penalty and the way back are smallest together.
        lead_after: steps after which the aim is no longer the logit of other but its lead over all
            other classes, which a morph needs to come to its end; None is the thesis's way: never.
    """

    weight: float = 0.1
    steps: int = 5000
    stride: int = 20
    entropy: float = 0.01
    norm: Literal["proximal", "gradient"] = "proximal"
    lead_after: int | None = 2000

    def __post_init__(self) -> None:
        check_fields(self)
        check_number("steps", self.steps)
        check_number("stride", self.stride)
        check_strides(self.steps, self.stride)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"weight must be a number of at least 0, got {self.weight}.")
        if not 0 < self.entropy <= 1:
            raise ValueError(f"entropy must be above 0 and at most 1 bit, got {self.entropy}.")
        if self.lead_after is not None and self.lead_after < 0:
            raise ValueError(f"lead_after must be at least 0 or None, got {self.lead_after}.")
        if self.norm not in ("proximal", "gradient"):
            raise ValueError(f"norm must be 'proximal' or 'gradient', got {quote(self.norm)}.")


@dataclass(frozen=True, eq=False, repr=False)
class Morphs:
    """Morphed codes; on the CPU.

    Attributes:
        codes: `(B, Z)`; of an image that could not be morphed, the nearest miss: the code with the
            highest probability of other.
        found: `(B,)` bool, True where the morph came to its end.
        steps: `(B,)` int64 steps taken, in steps of the thesis.
        reasons: per image None, or a sentence that says why it could not be morphed.
    """

    codes: Tensor
    found: Tensor
    steps: Tensor
    reasons: tuple[str | None, ...]

    __repr__ = show_record


@dataclass
class Walk:
    """The rows still on their way, `(b, ...)` each; they get fewer as images come to an end."""

    rows: Tensor  # which image each is
    at: Tensor
    first: Tensor
    second: Tensor
    goals: Tensor  # sums so far, for the running averages
    penalties: Tensor

    def take(self, kept: Tensor) -> "Walk":
        """Keep the rows where `(b,)` ``kept`` is True."""
        return Walk(*(getattr(self, field.name)[kept] for field in fields(self)))


@dataclass
class Seen:
    """What one look at codes `(b, Z)` says."""

    gradient: Tensor  # (b, Z)
    nearness: Tensor  # (b,) logarithm of the probability of other among all classes
    entropy: Tensor  # (b,) bits
    reached: Tensor  # (b,) bool, the end but for the norm
    finite: Tensor  # (b,) bool


@dataclass
class Ends:
    """What became of each image, `(B, ...)`, while others go on."""

    codes: Tensor
    nearness: Tensor
    entropies: Tensor
    found: Tensor
    steps: Tensor
    left_range: Tensor
    broken: Tensor


def morph_codes(
    model: Classifier,
    vae: VAE,
    codes: Tensor,
    classes: Tensor,
    norms: Norms,
    *,
    plan: MorphPlan | None = None,
    batch_size: int = BATCH_SIZE,
) -> Morphs:
    """Morph codes of one class into another, all at once, each stopping on its own.

    Adam goes down on ``-logit of other + weight * scale * (norm - mean norm of other)^2``, where
    ``scale`` brings the penalty to the logit by the running averages of their absolute values. A
    morph is done when the entropy between the two classes is small and the probability of other,
    among all classes, is above one half. The thesis leaves open whether that probability is among
    all or two; among all, a morph that is done is classified as other. Two more things differ, both
    to come to an end more often: how the norm is kept, and the aim of morphs that take long
    (``MorphPlan``).

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        vae: of images of the same size; left as it was.
        codes: `(B, Z)` of self.
        classes: `(B, 2)` the classes of self and of other.
        norms: of the stored images.
        plan: weight, steps and end; None is the default.
        batch_size: images at once; changes memory use, and the result by rounding only.

    Raises:
        ValueError: if shapes or sizes do not fit, the two classes of an image are equal, or the
            class of other has no stored image.
    """
    plan = plan or MorphPlan()
    check_batch_size(batch_size)
    check_fit(model, vae)
    sizes = check_shape("codes", codes, "B Z", Z=vae.codes)
    check_shape("classes", classes, "B two", B=sizes["B"], two=2)
    check_classes(model.class_names, classes)
    targets = mean_norms(model.class_names, classes[:, 1], norms)
    device = vae.variance.device
    codes, classes = at_least_float32(codes.to(device, vae.variance.dtype)), classes.to(device)
    low, high = norm_range(norms)
    parts = [
        walk(model, vae, *batch, (low, high), plan)
        for batch in zip(
            codes.split(batch_size),
            classes.split(batch_size),
            targets.to(codes).split(batch_size),
            strict=True,
        )
    ]
    reasons: list[str | None] = []
    for ends, pairs in zip(parts, classes.split(batch_size), strict=True):
        reasons += explain_ends(model.class_names, ends, pairs[:, 1], (low, high), plan)
    return Morphs(
        codes=torch.cat([ends.codes for ends in parts]).cpu(),
        found=torch.cat([ends.found for ends in parts]).cpu(),
        steps=torch.cat([ends.steps for ends in parts]).cpu(),
        reasons=tuple(reasons),
    )


def walk(
    model: Classifier,
    vae: VAE,
    codes: Tensor,
    classes: Tensor,
    targets: Tensor,
    norm_range: tuple[float, float],
    plan: MorphPlan,
) -> Ends:
    """Morph one batch."""
    count, device = len(codes), codes.device
    nowhere = torch.zeros(count, dtype=torch.bool, device=device)
    zeros = codes.new_zeros(count)
    updates = plan.steps // plan.stride
    ends = Ends(
        codes=codes.clone(),
        nearness=torch.full_like(zeros, -torch.inf),
        entropies=zeros.clone(),
        found=nowhere.clone(),
        steps=torch.full((count,), plan.steps, device=device),
        left_range=nowhere.clone(),
        broken=nowhere.clone(),
    )
    still = torch.zeros_like(codes)
    on = Walk(torch.arange(count, device=device), codes.clone(), still, still, zeros, zeros)
    with evaluating(model), evaluating(vae):
        for update in range(updates + 1):
            step = update * plan.stride
            seen = look(model, vae, on, classes[on.rows], targets[on.rows], plan, step=step)
            norm = on.at.norm(dim=1)
            inside = (norm >= norm_range[0]) & (norm <= norm_range[1])
            note(ends, on, seen, inside, step)
            going = seen.finite & ~(seen.reached & inside)
            on, gradient = on.take(going), seen.gradient[going]
            if len(on.rows) == 0 or update == updates:
                break
            on.at, on.first, on.second = stride_on(
                on.at, gradient, on.first, on.second, update + 1, plan.stride
            )
            if plan.norm == "proximal":
                on.at = keep_norm(on, targets[on.rows], update + 1, plan)
    return ends


def look(
    model: Classifier,
    vae: VAE,
    on: Walk,
    classes: Tensor,
    targets: Tensor,
    plan: MorphPlan,
    *,
    step: int,
) -> Seen:
    """Measure where codes are, add to their running sums, and take the gradient of the aim."""
    with torch.enable_grad():
        leaf = on.at.detach().requires_grad_()
        images, whole = blank_broken(vae.decode(leaf))
        logits = at_least_float32(model.logits(images)).to(leaf)
        goal = pair_logits(logits, classes)[:, 1]
        if plan.lead_after is not None and step >= plan.lead_after:
            goal = goal - logits.scatter(1, classes[:, 1:], -torch.inf).logsumexp(1)
        penalty = (leaf.norm(dim=1) - targets).square()
        on.goals = on.goals + goal.detach().abs()
        on.penalties = on.penalties + penalty.detach()
        aim = -goal
        if plan.norm == "gradient":
            aim = aim + plan.weight * scale_to(on.goals, on.penalties) * penalty
        (gradient,) = torch.autograd.grad(aim.sum(), leaf)
    logits = logits.detach()
    entropy = measure_entropy(logits, classes)
    nearness = logits.log_softmax(1).gather(1, classes[:, 1:]).squeeze(1)
    return Seen(
        gradient=gradient,
        nearness=nearness,
        entropy=entropy,
        reached=(entropy < plan.entropy) & (nearness.exp() > 0.5),
        finite=whole & logits.isfinite().all(1) & gradient.isfinite().all(1),
    )


def keep_norm(on: Walk, targets: Tensor, update: int, plan: MorphPlan) -> Tensor:
    """Move codes `(b, Z)` along their own direction towards the mean norm of other `(b,)`.

    The new norm is the smallest of ``weight * scale * (norm - target)^2 + (norm - old)^2 / 2 pace``
    with the pace of Adam's last step, the mean over the numbers of the code.
    """
    pull = 2 * plan.weight * scale_to(on.goals, on.penalties)
    pull = pull * pace(on.second, update, plan.stride).mean(1)
    norm = on.at.norm(dim=1)
    wanted: Tensor = (norm + pull * targets) / (1 + pull)
    scale: Tensor = wanted / norm.clamp_min(1e-12)
    return on.at * scale[:, None]


def note(ends: Ends, on: Walk, seen: Seen, inside: Tensor, step: int) -> None:
    """Write down the rows that are done, that broke, and that are nearer than ever."""
    done = seen.finite & seen.reached & inside
    better = seen.finite & (done | (seen.nearness > ends.nearness[on.rows]))
    rows = on.rows[better]
    ends.codes[rows] = on.at[better]
    ends.nearness[rows] = seen.nearness[better].to(ends.nearness)
    ends.entropies[rows] = seen.entropy[better].to(ends.entropies)
    ends.left_range[rows] = (seen.reached & ~inside)[better]
    ends.found[on.rows[done]] = True
    ends.broken[on.rows[~seen.finite]] = True
    ends.steps[on.rows[done | ~seen.finite]] = step


def explain_ends(
    names: tuple[str, ...],
    ends: Ends,
    others: Tensor,
    norm_range: tuple[float, float],
    plan: MorphPlan,
) -> list[str | None]:
    """Say of each image why it could not be morphed; None where it could."""
    norms = ends.codes.norm(dim=1).tolist()
    probabilities = ends.nearness.exp().tolist()
    reasons: list[str | None] = []
    for row, other in enumerate(others.tolist()):
        start = f"No morph to {names[other]}: "
        if bool(ends.found[row]):
            reasons.append(None)
        elif bool(ends.broken[row]):
            reasons.append(
                f"{start}a number became NaN or infinite at step {int(ends.steps[row])}; the "
                "nearest miss before is kept."
            )
        elif bool(ends.left_range[row]):
            reasons.append(
                f"{start}the norm of the code, {norms[row]:.2f}, left the range "
                f"{norm_range[0]:.2f} to {norm_range[1]:.2f} of stored images."
            )
        else:
            reasons.append(
                f"{start}in {plan.steps:,} steps its probability came to "
                f"{probabilities[row]:.3f}, with an entropy of {ends.entropies[row]:.3f} bits "
                f"between the two classes; above 0.5 and below {plan.entropy} was asked for."
            )
    return reasons


def check_classes(names: tuple[str, ...], classes: Tensor) -> None:
    """Refuse classes `(B, 2)` that are equal, or that the model does not have.

    Raises:
        ValueError: with the first image that is wrong.
    """
    for place, (one, other) in enumerate(classes.tolist()):
        if not (0 <= one < len(names) and 0 <= other < len(names)):
            raise ValueError(
                f"classes must be in 0 to {len(names) - 1}, got {one} and {other} "
                f"for image {place}."
            )
        if one == other:
            raise ValueError(
                f"The other class must differ from the answer, got {names[one]} for both of image "
                f"{place}; name another class."
            )
