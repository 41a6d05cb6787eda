"""Votes on sentences: the stored sentences that an answer is computed from, and their weights."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.memory.votes import Votes
from whence.studies.parts.sentences.networks import SentenceNetwork, look_words_up
from whence.studies.parts.sentences.vocabulary import Numbered
from whence.studies.parts.stored_votes import train_votes

SENTENCES_AT_ONCE = 512


class SentenceVotes(NamedTuple):
    """A network that reads sentences, and stored sentences that vote on what it read, beside it."""

    network: SentenceNetwork
    head: Votes
    stored: Tensor  # (M, E) keys
    labels: Tensor  # (M,)

    def vote_softly(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Compute log probabilities `(B, K)` from word vectors `(B, T, W)`, for explanations.

        By softmax, as in training: where all votes agree, their sparse weights say the same
        whatever a word changes, and have no gradient.
        """
        keys = self.head.embed(self.network.summarise(vectors, lengths))
        return self.head.score_classes(keys, self.stored, self.labels).summed.log_softmax(1)

    def count_votes(self, weights: Tensor) -> Tensor:
        """Add up weights `(B, M)` of the stored sentences by class, `(B, K)`; on the CPU."""
        return weights @ self.head.values(self.stored, self.labels).cpu()

    def weigh_sentences(self, sentences: Numbered) -> Tensor:
        """Compute the weights `(B, M)` of the stored sentences in B answers; on the CPU."""
        keys = self.head.embed(summarise_all(self.network, sentences))
        weights: Tensor = self.head(keys, self.stored, labels=self.labels).weights
        return weights.detach().cpu()


def store_sentences(
    network: SentenceNetwork, sentences: Numbered, labels: Tensor, *, epochs: int, seed: int
) -> SentenceVotes:
    """Store the sentences that a network learned from, and train the keys of their votes.

    Args:
        network: trained; it stays as it is.
        sentences: M that are stored.
        labels: `(M,)` their classes.
        epochs: of the training of the keys.
        seed: of that.
    """
    features = summarise_all(network, sentences)
    labels = labels.to(features.device)
    classes = network.classifier.out_features
    head = train_votes(features, labels, classes, epochs=epochs, seed=seed)
    return SentenceVotes(network, head, head.embed(features), labels)


@torch.no_grad()
def summarise_all(network: SentenceNetwork, sentences: Numbered) -> Tensor:
    """Read sentences, a part at a time; the last states `(B, S)`."""
    parts = []
    for rows in torch.arange(len(sentences.lengths)).split(SENTENCES_AT_ONCE):
        some = sentences.take_rows(rows)
        parts.append(
            network.summarise(look_words_up(network.embedding, some.numbers), some.lengths)
        )
    return torch.cat(parts)
