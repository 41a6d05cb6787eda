"""Relevance of pixels, in units of the score that it explains."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Heatmaps:
    """Relevance of every pixel of images and of their evidence, in units of the score.

    Attributes:
        images: `(B, C, H, W)` relevance of the input's pixels, float32 as all of these (float64
            from a float64 model).
        evidence: for each image `(A, C, H, W)`, of its evidence images, highest weight first.
        rest: `(B,)`, what falls on stored images outside the evidence; None unless the whole
            memory was moved.
        score_change: `(B,)`, the score at the end of the path minus at its start.
        completeness_error: `(B,)`, absolute difference between that and the sum of all relevance.
        baseline: where the path starts.
        steps: points on the path.
    """

    images: Tensor
    evidence: tuple[Tensor, ...]
    rest: Tensor | None
    score_change: Tensor
    completeness_error: Tensor
    baseline: str
    steps: int


@dataclass(frozen=True)
class SimilarityMaps:
    """Relevance of every pixel for the similarity of images and one evidence image of each.

    Attributes:
        images: `(B, C, H, W)` relevance of the input's pixels, in units of the similarity, float32
            (float64 from a float64 model).
        evidence: `(B, C, H, W)` of the evidence image's pixels.
        similarity_change: `(B,)`, the similarity of the two minus that of their baselines.
        completeness_error: `(B,)`, absolute difference between that and the sum of all relevance.
        baseline: where the path starts.
        steps: points on the path.
    """

    images: Tensor
    evidence: Tensor
    similarity_change: Tensor
    completeness_error: Tensor
    baseline: str
    steps: int
