"""Sparse attention over stored images, and the heads that read it."""

from whence.table import Table

HEADS = Table(
    "variant",
    {
        "votes": "whence.memory.votes:Votes",
        "memory-wrap": "whence.memory.feature_heads:MemoryWrap",
        "only-memory": "whence.memory.feature_heads:OnlyMemory",
        "standard": "whence.memory.feature_heads:Standard",
    },
)
"""Every head by the name of the variant that it makes of a model; a class that is a ``Head``."""

VARIANT = "memory-wrap"
"""The variant that a model is unless another one is asked for: the paper's."""

OF_RUNS = "votes"
"""The variant that a run trains unless another one, or the paper's recipe, is asked for."""

SIMILARITIES = Table(
    "similarity",
    {
        "cosine": "whence.memory.similarities:COSINE",
        "l2": "whence.memory.similarities:L2",
        "dot": "whence.memory.similarities:DOT",
    },
)
"""Every similarity by name: a ``Similarity`` that compares `(..., B, D)` with `(..., M, D)`."""
