"""Votes learn together with a linear layer on the same features, which is dropped at the end.

Votes alone train an encoder less well than the layer does: an image learns little where no stored
image that was drawn is like it.
"""

from typing import cast

import torch
from torch import Tensor, nn

from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.training.distributed import Team, rows_of
from whence.training.shared_step import gather
from whence.training.step import Batch


class VotesAndLinear(nn.Module):
    """Answer a process's rows of a batch by votes, and once more by a linear layer.

    The stored images that were drawn vote, and so do the other images of the batch: of each of
    both kinds a process encodes its share.

    Args:
        model: with a head of votes.
        team: the processes that train together.
    """

    def __init__(self, model: Classifier, team: Team) -> None:
        super().__init__()
        self.model = model
        self.linear = nn.Linear(model.features, len(model.class_names)).to(model.mean.device)
        self.team = team

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the logits `(b, K)` of the votes, and those of the layer."""
        model, total = self.model, len(batch.images)
        # torch gives every submodule the type Module, and a memory is always drawn for votes
        memory, known = cast("Tensor", batch.memory), cast("Tensor", batch.memory_labels)
        rows = rows_of(total, self.team)
        features = model.encode_features(batch.images[rows])  # (b, D)
        asked = at_least_float32(model.head.embed(features))  # (b, E)
        own = model.encode(memory[rows_of(len(memory), self.team)])
        voters = torch.cat(
            [
                gather(at_least_float32(own), len(memory), self.team),
                gather(asked, total, self.team),
            ]
        )  # (M + B, E)
        mask = batch.mask
        if mask is None:
            mask = torch.ones(total, len(memory), dtype=torch.bool, device=asked.device)
        order = torch.arange(total, device=asked.device)
        places = order if batch.places is None else batch.places
        others = places[:, None] != places  # (B, B), also where an image was drawn twice
        may_vote = torch.cat([mask, others], dim=1)[rows]  # (b, M + B)
        votes = model.memory_head.logits(
            asked, voters, may_vote, labels=torch.cat([known, batch.labels])
        )
        return votes, self.linear(features)
