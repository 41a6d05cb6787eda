"""Recurrent networks that classify sentences: plain, LSTM and bidirectional LSTM."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from whence.messages import quote
from whence.studies.parts.sentences.vocabulary import PAD, UNKNOWN, Numbered


class SentenceReader(NamedTuple):
    """A kind of recurrent network: its name for people, its layer, and if it reads both ways."""

    title: str
    layer: type[nn.RNN] | type[nn.LSTM]
    both_ways: bool


SENTENCE_READERS: Mapping[str, SentenceReader] = MappingProxyType(
    {
        "bi-lstm": SentenceReader("Bi-LSTM", nn.LSTM, True),
        "lstm": SentenceReader("LSTM", nn.LSTM, False),
        "rnn": SentenceReader("RNN", nn.RNN, False),
    }
)
"""The three networks of Li et al. (2017), section 4."""

SENTENCE_DROPOUT = 0.2


class SentenceNetwork(nn.Module):
    """Word vectors, a recurrent layer, and a linear layer on its last state.

    Numbers and lengths of words stay on the CPU; vectors and states are where the network is.

    Args:
        kind: a name from ``SENTENCE_READERS``.
        words: of the vocabulary, with the two numbers that are no words.
        classes: K.
        width: numbers of a word vector.
        hidden: numbers of a state; of one that reads both ways, of each of the two.
        dropout: share of the numbers of word vectors and of the last state that are left out in
            training.

    Raises:
        ValueError: on an unknown kind.
    """

    def __init__(
        self,
        kind: str,
        words: int,
        classes: int,
        *,
        width: int = 50,
        hidden: int = 50,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in SENTENCE_READERS:
            raise ValueError(
                f"Unknown network {quote(kind)}. Choose from: {', '.join(SENTENCE_READERS)}."
            )
        reader = SENTENCE_READERS[kind]
        self.kind = kind
        self.embedding = nn.Embedding(words, width, padding_idx=PAD)
        self.recurrent = reader.layer(
            width, hidden, batch_first=True, bidirectional=reader.both_ways
        )
        self.summary_width = hidden * (1 + reader.both_ways)
        keep_states(self.recurrent)
        self.classifier = nn.Linear(self.summary_width, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sentences: Numbered) -> Tensor:
        """Compute logits `(B, K)` of B sentences."""
        return self.classify(look_words_up(self.embedding, sentences.numbers), sentences.lengths)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits `(B, K)` from word vectors `(B, T, W)` and lengths `(B,)`."""
        logits: Tensor = self.classifier(self.dropout(self.summarise(vectors, lengths)))
        return logits

    def summarise(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read word vectors `(B, T, W)`; the last state `(B, S)`, of both ways side by side."""
        return self.read_on(vectors, lengths)[1]

    def read_on(self, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Read word vectors `(B, T, W)` of sentences with lengths `(B,)`.

        Returns:
            The state at every word, `(B, T, S)`, 0 after the end, and the last one, `(B, S)`.
        """
        packed = pack_padded_sequence(
            self.dropout(vectors), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, last = self.recurrent(packed)
        final = last[0] if isinstance(last, tuple) else last  # (ways, B, hidden)
        unpacked, _ = pad_packed_sequence(states, batch_first=True, total_length=vectors.shape[1])
        return unpacked, final.transpose(0, 1).flatten(1)


def look_words_up(embedding: nn.Embedding, numbers: Tensor) -> Tensor:
    """Look the vectors `(B, T, W)` of words `(B, T)` up, where the embedding is."""
    vectors: Tensor = embedding(numbers.to(embedding.weight.device))
    return vectors


@torch.no_grad()
def keep_states(recurrent: nn.Module) -> None:
    """Begin with states that last: orthogonal recurrent weights, and open forget gates of an LSTM.

    Saxe, McClelland and Ganguli (2014), arXiv:1312.6120; Jozefowicz, Zaremba and Sutskever (2015),
    section 3.2.
    """
    for name, parameter in recurrent.named_parameters():
        hidden = recurrent.get_parameter("weight_hh_l0").shape[1]
        if name.startswith("weight_hh"):
            for gate in parameter.split(hidden):
                nn.init.orthogonal_(gate)
        if name.startswith("bias_ih") and isinstance(recurrent, nn.LSTM):
            parameter[hidden : 2 * hidden] = 1  # input, forget, cell, output


class SentenceRecipe(NamedTuple):
    """How a network is trained."""

    epochs: int = 12
    batch_size: int = 32
    rate: float = 3e-3
    forgotten: float = 0.02
    """Share of words that a step sees as unknown, so that new words are nothing new."""


def train_sentences(
    network: SentenceNetwork,
    sentences: Numbered,
    labels: Tensor,
    *,
    recipe: SentenceRecipe,
    generator: torch.Generator,
) -> None:
    """Train a network on B sentences with labels `(B,)`: Adam, its rate falling to 0 in a line.

    The dropout of the network draws from torch's global generator, which the caller seeds.

    Args:
        network: is changed, and in eval mode afterwards.
        sentences: to learn from.
        labels: their classes.
        recipe: how.
        generator: orders the sentences, and chooses the words that are seen as unknown.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    goals = labels.to(network.classifier.weight.device)
    steps = recipe.epochs * -(-len(labels) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(labels), generator=generator)
        for rows in order.split(recipe.batch_size):
            batch = forget_words(sentences.take_rows(rows), recipe.forgotten, generator)
            loss = nn.functional.cross_entropy(network(batch), goals[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()


def learn_sentences(
    kind: str,
    sentences: Numbered,
    labels: Tensor,
    *,
    words: int,
    classes: int,
    epochs: int,
    generator: torch.Generator,
    device: str,
) -> SentenceNetwork:
    """Build one of ``SENTENCE_READERS`` and train it on sentences; its parameters then stay.

    Parameters and dropout are drawn from torch's global generator, which the caller seeds.

    Args:
        kind: of the network.
        sentences: to learn from.
        labels: their classes.
        words: of the vocabulary, with the two numbers that are no words.
        classes: K.
        epochs: of the training.
        generator: as for ``train_sentences``.
        device: of the network.
    """
    network = SentenceNetwork(kind, words, classes, dropout=SENTENCE_DROPOUT).to(device)
    recipe = SentenceRecipe(epochs=epochs)
    train_sentences(network, sentences, labels, recipe=recipe, generator=generator)
    return network.requires_grad_(requires_grad=False)


def forget_words(sentences: Numbered, share: float, generator: torch.Generator) -> Numbered:
    """Make a share of all words unknown."""
    numbers = sentences.numbers
    gone = torch.rand(numbers.shape, generator=generator) < share
    return sentences._replace(numbers=numbers.masked_fill(gone & (numbers != PAD), UNKNOWN))


AnswerVectors = Callable[[Tensor, Tensor], Tensor]
"""Maps word vectors `(n, T, W)` and lengths `(n,)` to log probabilities `(n, K)`."""


def network_answer(network: SentenceNetwork) -> AnswerVectors:
    """Return a network's own answers: float64, so that those that are sure keep their digits."""
    return lambda vectors, lengths: network.classify(vectors, lengths).double().log_softmax(1)


@torch.no_grad()
def answer_sentences(
    answer: AnswerVectors, embedding: nn.Embedding, sentences: Numbered, *, batch: int = 512
) -> Tensor:
    """Compute the log probabilities `(B, K)` of B sentences on the CPU, a part at a time."""
    parts = []
    for rows in torch.arange(len(sentences.lengths)).split(batch):
        some = sentences.take_rows(rows)
        parts.append(answer(look_words_up(embedding, some.numbers), some.lengths))
    return torch.cat(parts).cpu()
