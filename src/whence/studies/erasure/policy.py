"""A policy that learns which words to leave out so that an answer changes, by policy gradient."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.studies.erasure.smallest_sets import AnswerWords, SmallestSet, answer_sets
from whence.studies.parts.sentences.networks import (
    AnswerVectors,
    SentenceNetwork,
    answer_sentences,
    look_words_up,
    network_answer,
)
from whence.studies.parts.sentences.vocabulary import Numbered, drop_words, pad_rows


class PolicyRecipe(NamedTuple):
    """How a policy is trained."""

    epochs: int = 6
    batch_size: int = 16
    draws: int = 8
    """Of each sentence at every step; their mean reward is the baseline of the others."""

    rate: float = 0.02
    smoothness: float = 0.02
    """Gamma, what every change between leaving out and keeping costs."""


class ErasurePolicy(nn.Module):
    """The probability that each word is left out, from the network's state at it.

    Args:
        width: S, numbers of a state.
        start: the probability at the beginning.
    """

    def __init__(self, width: int, *, start: float = 0.2) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 1)
        nn.init.zeros_(self.layer.weight)
        nn.init.constant_(self.layer.bias, float(torch.logit(torch.tensor(start))))

    def forward(self, states: Tensor) -> Tensor:
        """Compute probabilities `(B, T)` from states `(B, T, S)`."""
        probabilities: Tensor = self.layer(states).squeeze(-1).sigmoid()
        return probabilities


def reward_erasures(gone: Tensor, lengths: Tensor, changed: Tensor, smoothness: float) -> Tensor:
    """Compute the rewards of leaving words out.

    Li et al. (2017), section 5: one over the number of words that are left out where the answer
    changes, 0 where it does not, less gamma for every place where leaving out begins or ends.

    Args:
        gone: `(B, T)` bool.
        lengths: `(B,)` words of each sentence.
        changed: `(B,)` bool, the answer is another one.
        smoothness: gamma.
    """
    inside = torch.arange(gone.shape[1]) < lengths[:, None]
    counts = (gone & inside).sum(1)
    won = (changed & (counts > 0)).double() / counts.clamp_min(1)
    steps = (gone[:, 1:] != gone[:, :-1]) & inside[:, 1:]
    return won - smoothness * steps.sum(1)


def train_policy(
    policy: ErasurePolicy,
    network: SentenceNetwork,
    sentences: Numbered,
    *,
    recipe: PolicyRecipe,
    generator: torch.Generator,
) -> list[float]:
    """Train a policy on B sentences by the gradient of log pi times (reward - baseline).

    Returns:
        The mean reward of every epoch.
    """
    answer = network_answer(network)
    labels = answer_sentences(answer, network.embedding, sentences).argmax(1)
    optimizer = torch.optim.Adam(policy.parameters(), lr=recipe.rate)
    means = []
    for _ in range(recipe.epochs):
        order, rewards = torch.randperm(len(labels), generator=generator), []
        for rows in order.split(recipe.batch_size):
            some = sentences.take_rows(rows)
            chances = policy(read_states(network, some)).cpu()  # (n, T)
            inside = torch.arange(chances.shape[1]) < some.lengths[:, None]
            shape = (recipe.draws, *chances.shape)
            gone = (torch.rand(shape, generator=generator) < chances.detach()) & inside
            reward = torch.stack(
                [
                    judge_draw(network, answer, some, one, labels[rows], recipe.smoothness)
                    for one in gone
                ]
            )  # (draws, n)
            baseline = (reward.sum(0) - reward) / (recipe.draws - 1)
            said = torch.where(gone, chances, 1 - chances).clamp_min(1e-6).log()
            gain = ((said * inside).sum(2) * (reward - baseline)).mean()
            optimizer.zero_grad()
            (-gain).backward()
            optimizer.step()
            rewards.append(reward.mean(0))
        means.append(float(torch.cat(rewards).mean()))
    return means


@torch.no_grad()
def read_states(network: SentenceNetwork, sentences: Numbered) -> Tensor:
    """Compute a network's states `(B, T, S)` at every word."""
    return network.read_on(look_words_up(network.embedding, sentences.numbers), sentences.lengths)[
        0
    ]


def judge_draw(
    network: SentenceNetwork,
    answer: AnswerVectors,
    sentences: Numbered,
    gone: Tensor,
    labels: Tensor,
    smoothness: float,
) -> Tensor:
    """Leave words `(B, T)` out of B sentences and compute the rewards `(B,)`."""
    left = pad_rows(
        [
            drop_words(numbers[:length], ~some[None, :length]).numbers[0]
            for numbers, length, some in zip(
                sentences.numbers, sentences.lengths.tolist(), gone, strict=True
            )
        ]
    )
    becomes = answer_sentences(answer, network.embedding, left).argmax(1)
    return reward_erasures(gone, sentences.lengths, becomes != labels, smoothness)


def draw_smallest(
    answer: AnswerWords,
    words: Tensor,
    chances: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
) -> SmallestSet:
    """Draw sets of words, and return the smallest that changes the answer.

    Args:
        answer: the network.
        words: `(T,)` numbers of one sentence.
        chances: `(T,)` of leaving each word out.
        draws: how many sets; one more leaves out every word whose chance is over a half.
        generator: of the draws.
    """
    gone = torch.rand(draws, len(words), generator=generator) < chances
    gone = torch.cat([gone, (chances > 0.5)[None]])
    sets = [tuple(row.nonzero().squeeze(1).tolist()) for row in gone.unique(dim=0)]
    said = answer_sets(answer, words, [(), *sets])
    label, becomes = int(said[0].argmax()), said[1:].argmax(1).tolist()
    hits = [
        (len(one), one, new) for one, new in zip(sets, becomes, strict=True) if new != label and one
    ]
    if not hits:
        return SmallestSet(None, -1, 0)
    size, places, new = min(hits)
    return SmallestSet(places, new, size)
