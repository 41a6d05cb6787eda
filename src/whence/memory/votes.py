"""Votes: the probability of a class is the weight on the stored images that carry its label."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.memory.attention import at_least_float32, check_mask, recall, score
from whence.memory.class_scores import ClassScores, Sums, sum_classes
from whence.memory.cosine import to_unit_length
from whence.memory.heads import MemoryHead, Read
from whence.memory.keys import (
    KEY,
    DeepKeys,
    build_keys,
    find_directions,
    find_even_directions,
    find_group_directions,
)
from whence.messages import quote

FLOOR = 0.05
"""Share of the probability that logits spread over all classes, so that none is minus infinity."""

PLAIN_SHARE = 1.0
"""Of the features themselves once a class has come that the keys were not trained for."""

WARMTH = 10.0
"""By what cosines are multiplied at the start of training."""


class Votes(MemoryHead):
    """Let stored images vote for their labels, each with its weight.

    Images are compared by the cosine of their keys, which are a learned projection of their
    features. Answers are read with sparsemax (Martins and Astudillo 2016, arXiv:1602.02068) of the
    cosines times ``sharpness``, and

        p(class) = sum of the weights of the stored images with that label.

    In training the weights are a softmax, as of a matching network (Vinyals et al. 2016,
    arXiv:1606.04080) with the learned metric of neighbourhood components analysis (Goldberger et
    al. 2004): every stored image has a gradient then.

    Args:
        features: D, the encoder's output width.
        classes: K.
        similarity: "cosine"; or "dot", which is the same for keys of one length.
        classifier: of the keys: "linear", a projection, or "mlp", a network beside it.

    Raises:
        ValueError: for another similarity or classifier.
    """

    variant, title = "votes", "Votes"
    memory_alone, reads_labels = True, True
    # of votes that all agree, weights say nothing
    telling = ("key_distance", "soft_votes", "similarity_gap")

    mean: Tensor
    """`(D,)` taken off the features; 0 unless ``fit_features`` set it."""

    spread: Tensor
    """`(D,)` that features are then divided by; 1 unless ``fit_features`` set it."""

    sharpness: Tensor
    """By what cosines are multiplied before sparsemax; the larger, the fewer images vote."""

    plain_share: float = 0.0
    """Of the cosine of the features themselves in a score, beside 1 of the cosine of the keys."""

    even_directions: Tensor | None
    """`(R, D)` A that whitens features with a share before they are compared, to x - (x A^T) A;
    None compares them as they are."""

    handicaps: Tensor | None
    """`(K,)` taken off the score of each stored image by its label, so that large classes do not
    win by their number; None for none."""

    def __init__(
        self, features: int, classes: int, *, similarity: str = "cosine", classifier: str = "mlp"
    ) -> None:
        if similarity not in ("cosine", "dot"):
            raise ValueError(
                f"Votes compare images by similarity cosine, got {quote(similarity)}; leave it "
                "out, or choose another variant (--variant memory-wrap)."
            )
        super().__init__(features, last_layers=classifier, similarity="dot")
        self.classes = classes
        self.keys = build_keys(features, classifier)
        self.log_scale = nn.Parameter(torch.tensor(math.log(WARMTH)))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("sharpness", torch.tensor(WARMTH))
        self.register_buffer("handicaps", None, persistent=False)
        self.register_buffer("even_directions", None)

    @property
    def width(self) -> int:
        """Return E, the numbers of a key, and of the features beside it where they have a share."""
        return KEY + self.features if self.plain_share else KEY

    def with_classes(self, classes: int, known: Tensor, labels: Tensor) -> "Votes":
        """Return votes of K or more classes with the same keys; new classes have no handicap.

        Keys tell apart the classes that they were trained for and nothing else, so the features
        themselves have a share in the scores from then on. They are whitened first: the directions
        in which images of one class vary most would else drown what tells a new one apart.

        Args:
            classes: how many there are now.
            known: `(N, D)` features of the stored images, which say how features vary.
            labels: `(N,)` of these.
        """
        grown = copy.copy(self)
        grown._buffers = dict(self._buffers)
        grown.classes = classes
        grown.plain_share = PLAIN_SHARE
        if self.even_directions is None:
            grown.even_directions = find_even_directions(self.level(known), labels)
        if self.handicaps is not None:
            new = self.handicaps.new_zeros(classes - self.classes)
            grown.handicaps = torch.cat([self.handicaps, new])
        return grown

    def embed(self, features: Tensor) -> Tensor:
        """Turn features `(..., D)` into keys `(..., E)`, whose products are scaled cosines.

        Where the features themselves have a share they stand beside the keys, whitened, and
        products are the scaled sum of the cosine of keys and the share of the cosine of features.
        """
        level = self.level(features)
        keys = self.scale_keys(self.keys(level.to(self.mean.dtype)))
        if not self.plain_share:
            return keys
        if self.even_directions is not None:
            even = self.even_directions.to(level.dtype)
            level = level - F.linear(F.linear(level, even), even.T)
        return torch.cat([keys, self.scale_keys(level) * math.sqrt(self.plain_share)], -1)

    def level(self, features: Tensor) -> Tensor:
        """Centre features `(..., D)`, divide them by ``spread``, make their length the root of D.

        Wang et al. (2019), arXiv:1911.04623; they do not divide.
        """
        centred = (at_least_float32(features) - self.mean) / self.spread
        return to_unit_length(centred) * math.sqrt(self.features)

    def scale_keys(self, keys: Tensor) -> Tensor:
        """Bring keys `(..., E)` to the length at which their products are scaled cosines."""
        scale = self.log_scale.exp() if self.training else self.sharpness
        return to_unit_length(at_least_float32(keys)) * scale.sqrt()

    @torch.no_grad()
    def fit_features(self, features: Tensor) -> None:
        """Take the mean of features `(N, D)` off all that come, and divide by their spread.

        The spread is the root of the standard deviation: half the way to features that all vary
        alike, among which the few that tell classes apart are not lost, but nor is much noise made
        loud. A feature that hardly varies counts as one of a hundredth of the mean deviation.
        """
        known = at_least_float32(features)
        deviation = known.std(0, correction=0)
        mean = deviation.mean()
        self.mean.copy_(known.mean(0))
        even = deviation.clamp_min(mean / 100).sqrt()
        self.spread.copy_(even if mean > 0 else torch.ones_like(even))

    @torch.no_grad()
    def compare_plainly(self, features: Tensor) -> None:
        """Make keys that are the features themselves, of which these are `(N, D)`.

        Their mean is taken off. Of more numbers than a key has, it holds the directions in which
        they vary most (principal components).
        """
        known = at_least_float32(features)
        self.mean.copy_(known.mean(0))
        self.spread.fill_(1)
        self.project_plainly(find_directions(self.level(known)))

    @torch.no_grad()
    def compare_within_groups(self, features: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Make keys of the features that do not tell groups of the same class apart.

        Arguments as for ``find_group_directions``.
        """
        self.plain_share, self.even_directions, self.handicaps = 0.0, None, None
        self.fit_features(features)
        level = self.level(features)
        telling = find_group_directions(level, labels, groups)  # (G - 1, D)
        directions = find_directions(level - (level @ telling.T) @ telling)
        self.project_plainly(directions - (directions @ telling.T) @ telling)

    @torch.no_grad()
    def project_plainly(self, directions: Tensor) -> None:
        """Make keys that are the levelled features in some directions `(E, D)`."""
        plain = self.keys.plain if isinstance(self.keys, DeepKeys) else self.keys
        for parameter in self.keys.parameters():
            parameter.zero_()
        plain.get_parameter("weight").copy_(directions)

    def reset(self, keys: nn.Module) -> None:
        """Take other keys, and the scale that training begins with."""
        self.keys = keys
        nn.init.constant_(self.log_scale, math.log(WARMTH))

    @property
    def taken_off(self) -> Tensor | None:
        """Return `(K,)` what is taken off the score of each stored image; None for nothing.

        By its label: the handicap, and in place of it or beside it the head start of a class.
        """
        decision = self.decision
        if decision is None or not decision.head_start:
            return self.handicaps
        none = torch.zeros(self.classes, dtype=self.sharpness.dtype, device=self.sharpness.device)
        found = none if self.handicaps is None else self.handicaps.clone()
        found[decision.place] -= decision.head_start * self.unit
        return found

    @property
    def unit(self) -> Tensor:
        """Return by what a similarity that people see is multiplied to be a score."""
        return self.sharpness * (1 + self.plain_share)

    def pair(self, queries: Tensor, memory: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Lay keys out as they are compared; what is taken off becomes a number more of each.

        The product of the two sides is the scaled cosine less ``taken_off`` for the stored image's
        label, so all that reads a memory by products reads this one, as exactly.

        Args:
            queries: `(..., B, E)`.
            memory: `(..., M, E)`.
            labels: `(..., M)` of the stored images.

        Returns:
            `(..., B, E + 1)` and `(..., M, E + 1)`; as they came where nothing is taken off.

        Raises:
            ValueError: if something is taken off and there are no labels.
        """
        by_class = self.taken_off
        if by_class is None:
            return queries, memory
        if labels is None:
            raise ValueError("Votes need the label of every stored image, got none.")
        queries, memory = at_least_float32(queries), at_least_float32(memory)
        taken = by_class.to(memory.dtype)[labels]  # (..., M)
        ones = torch.ones_like(queries[..., :1])
        return torch.cat([queries, ones], -1), torch.cat([memory, -taken[..., None]], -1)

    def values(self, memory: Tensor, labels: Tensor | None) -> Tensor:
        """Turn the labels `(..., M)` of a memory `(..., M, E)` into votes `(..., M, K)`.

        Raises:
            ValueError: if a stored image has none.
        """
        if labels is None:
            raise ValueError("Votes need the label of every stored image, got none.")
        classes = torch.arange(self.classes, device=labels.device)
        return (labels[..., None] == classes).to(at_least_float32(memory).dtype)

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Read:
        """Classify keys `(B, E)` with a memory `(M, E)` whose labels are `(M,)`.

        Arguments as for ``MemoryHead``.
        """
        if not self.training:
            return super().forward(queries, memory, mask, labels=labels, scale=scale)
        asked, stored = self.pair(queries, memory, labels)
        scores = score(asked, stored, similarity=self.similarity)
        weights = soften(scores, mask)
        vectors = recall(weights, self.values(memory, labels))
        return Read(self.respond(queries, vectors), weights, scores)

    def logits(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits `(B, K)` of ``forward`` alone."""
        if self.training:
            read: Read = self(queries, memory, mask, labels=labels)
            return read.logits
        return super().logits(queries, memory, mask, labels=labels, scale=scale)

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Turn the weight on each label `(B, K)` into logits, the log of it and of the floor."""
        return torch.log(vectors * (1 - FLOOR) + FLOOR / self.classes)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits `(B, K)` back into the weight on each label, float32."""
        shares = (logits.double().softmax(1) - FLOOR / self.classes) / (1 - FLOOR)
        return shares.round(decimals=6).clamp(0, 1).abs().float()

    @property
    def warmth(self) -> Tensor:
        """Return by what scores are multiplied to be those of training."""
        return self.log_scale.detach().exp() / self.sharpness

    def score_classes(
        self, queries: Tensor, memory: Tensor, labels: Tensor, mask: Tensor | None = None
    ) -> ClassScores:
        """Score classes by all of their stored images, summed as in training.

        Arguments as for ``MemoryHead``.
        """
        asked, stored = self.pair(queries, memory, labels)
        found = sum_classes(asked, stored, labels, self.classes, warmth=self.warmth, mask=mask)
        return self.see_classes(found)

    def see_classes(self, found: Sums) -> ClassScores:
        """Add to sums of scores how similar the nearest stored image is, as people see it."""
        highest = found.highest
        places = torch.arange(self.classes, device=highest.device).expand_as(highest)
        return ClassScores(*found, self.unscale(highest, places).amax(1))

    @property
    def handicaps_shown(self) -> Tensor | None:
        """Return `(K,)` what cosines of stored images of each label lose; None for nothing."""
        by_class = self.taken_off
        return None if by_class is None else (by_class / self.unit).cpu()

    def unscale(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn scores, or differences of them, into cosines; means of two by their shares.

        With the labels of the stored images, what was taken off the scores is added again.
        """
        by_class = self.taken_off
        if labels is not None and by_class is not None:
            scores = scores + by_class.to(scores.dtype)[labels]
        return scores / self.unit


def soften(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Turn scores `(B, M)` into weights by a softmax over what the mask `(B, M)` allows."""
    if mask is None:
        return scores.softmax(1)
    check_mask(mask, *scores.shape)
    return scores.masked_fill(~mask, -torch.inf).softmax(1)
