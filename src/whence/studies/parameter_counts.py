"""Table 11 of the Memory Wrap paper: parameters of the models, counted and as published."""

from collections.abc import Mapping
from types import MappingProxyType

import torch

from whence.models.wrap import wrap
from whence.studies.parts.findings import Findings
from whence.studies.parts.request import StudyRequest
from whence.tables.paper_tables import SIDE

CLASSES = 10

PARAMETERS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("mobilenet_v2", "standard"): 2_296_922,
        ("mobilenet_v2", "only-memory"): 5_589_082,
        ("mobilenet_v2", "memory-wrap"): 15_447_642,
        ("efficientnet_b0", "standard"): 3_599_686,
        ("efficientnet_b0", "only-memory"): 3_808_326,
        ("efficientnet_b0", "memory-wrap"): 4_429_766,
        ("resnet18", "standard"): 11_173_962,
        ("resnet18", "only-memory"): 11_704_394,
        ("resnet18", "memory-wrap"): 13_288_522,
    }
)
"""Encoder and variant to the published number (La Rosa et al. 2021, arXiv:2106.01440)."""


def parameter_counts(_: StudyRequest) -> Findings:
    """Count the parameters of the nine models of table 11, beside the published numbers."""
    counts = {pair: (count_parameters(*pair), theirs) for pair, theirs in PARAMETERS.items()}
    equal = sum(ours == theirs for ours, theirs in counts.values())
    return Findings(
        columns=("encoder", "variant", "whence", "paper", "difference"),
        rows=tuple((*pair, ours, theirs, ours - theirs) for pair, (ours, theirs) in counts.items()),
        holds=equal == len(counts),
        verdict=f"{equal} of {len(counts)} models have the published number of parameters.",
    )


def count_parameters(encoder: str, variant: str) -> int:
    """Count the parameters of a model for 32 x 32 colour images of ten classes.

    >>> count_parameters("resnet18", "standard")
    11173962
    """
    with torch.device("meta"):  # shapes alone, no memory is taken
        model = wrap(encoder, CLASSES, variant=variant, image_shape=(3, SIDE, SIDE))
    return sum(parameter.numel() for parameter in model.parameters())
