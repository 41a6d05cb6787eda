"""Features with several tasks: of images what they show and how, of words what they are like."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA
from torch import Tensor

from whence.data.augment import to_float
from whence.records.images import ImageSet
from whence.seeds import make_generator, make_numpy_generator
from whence.studies.erasure.dense import DenseNetwork, train_dense
from whence.studies.parts.sentences.templates import Sentences
from whence.training.loop import seeded

DIMENSIONS = 50
"""Of a feature vector, as in the paper."""

NEAR_WORDS, FREQUENT = 5, 5
"""Words on each side that count as neighbours; occurrences without which a word has no vector."""

KEPT_SHARE = 0.25
LEARNED_STEPS = 100
WORD_ENDINGS = ("ing", "ed", "ly", "s", "er", "al")


class FeatureTasks(NamedTuple):
    """Feature vectors and what is to be told from them."""

    features: Tensor  # (N, D)
    tasks: Mapping[str, Tensor]  # name to classes (N,)
    frequency: Tensor | None = None  # (N,) logarithm of a word's occurrences


def describe_images(train: ImageSet, most: int, *, seed: int) -> dict[str, FeatureTasks]:
    """Make two kinds of features of images.

    The units of a layer of a network that learned the classes, which say much several times over,
    as word vectors do; and principal components of the pixels, of which none says what another
    says, as large as they vary. Both are learned from the rows that ``divide_rows`` gives to learn
    from with the same seed, so that those asked about are new to them.

    Args:
        train: the images.
        most: of them that are taken.
        seed: of the choice, of the division, and of the network.

    Returns:
        By name. Tasks: the class, and quarters of brightness, of where it is brightest across and
        down, and of the contrast.
    """
    chosen = torch.randperm(len(train), generator=make_generator(seed))[:most]
    pixels = to_float(train.images[chosen]).mean(1)  # (N, H, W)
    flat, labels = pixels.flatten(1), train.labels[chosen]
    known, _ = divide_rows(len(flat), seed=seed)
    with seeded(seed, torch.device("cpu")):
        network = DenseNetwork(flat.shape[1], len(train.class_names), hidden=DIMENSIONS)
        train_dense(network, flat[known], labels[known], steps=LEARNED_STEPS)
    with torch.no_grad():
        learned = network.find_units(flat)[1].double().numpy()
    components = PCA(min(DIMENSIONS, *flat[known].shape), svd_solver="full")
    components.fit(flat[known].double().numpy())
    principal = components.transform(flat.double().numpy())
    height, width = pixels.shape[1:]
    whole = pixels.sum((1, 2)).clamp_min(1e-6)
    across = (pixels.sum(1) * torch.arange(width)).sum(1) / whole
    down = (pixels.sum(2) * torch.arange(height)).sum(1) / whole
    tasks = {
        "class": labels,
        "brightness": divide_in_quarters(whole),
        "place across": divide_in_quarters(across),
        "place down": divide_in_quarters(down),
        "contrast": divide_in_quarters(flat.std(1)),
    }
    both = {"learned features": learned, "principal components": principal}
    return {name: FeatureTasks(scale_alike(one), tasks) for name, one in both.items()}


def describe_words(sentences: Sentences) -> FeatureTasks:
    """Make vectors of words: singular vectors of how often they stand near each other.

    The paper took GloVe and word2vec; ours are of the sentences themselves, logarithms of counts
    within a window, scaled by their singular values.

    Returns:
        Tasks: quarters of frequency and length, the ending, the first letter's half of the
        alphabet, and the class of most of the sentences that a word stands in.

    Raises:
        ValueError: if too few words are frequent enough.
    """
    counts = Counter(word for words in sentences.words for word in words)
    known = sorted(word for word, count in counts.items() if count >= FREQUENT and word.isalpha())
    if len(known) < 4 * DIMENSIONS:
        raise ValueError(
            f"the table must hold at least {4 * DIMENSIONS} words that occur {FREQUENT} times, "
            f"got {len(known)}."
        )
    number = {word: place for place, word in enumerate(known)}
    near = count_neighbours(sentences.words, number)
    near.data = np.log1p(near.data)
    left, sizes, _ = svds(near, k=DIMENSIONS, random_state=make_numpy_generator(0))
    order = np.argsort(-sizes)
    frequency = torch.tensor([counts[word] for word in known]).double().log()
    return FeatureTasks(
        scale_alike(left[:, order] * sizes[order]),
        {
            "frequency": divide_in_quarters(frequency),
            "sentiment": find_word_classes(sentences, number),
            "ending": torch.tensor([find_ending(word) for word in known]),
            "length": divide_in_quarters(torch.tensor([float(len(word)) for word in known])),
            "first letter": torch.tensor([int(word[0] > "m") for word in known]),
        },
        frequency,
    )


def count_neighbours(sentences: Sequence[tuple[str, ...]], number: Mapping[str, int]) -> csr_array:
    """Count how often two words stand at most ``NEAR_WORDS`` apart, `(V, V)`."""
    pairs: Counter[tuple[int, int]] = Counter()
    for words in sentences:
        places = [number.get(word, -1) for word in words]
        for here, one in enumerate(places):
            for other in places[here + 1 : here + 1 + NEAR_WORDS]:
                if one >= 0 and other >= 0:
                    pairs[one, other] += 1
                    pairs[other, one] += 1
    rows, columns = zip(*pairs, strict=True)
    values = np.array([*pairs.values()], dtype=np.float64)
    return csr_array((values, (rows, columns)), shape=(len(number), len(number)))


def find_word_classes(sentences: Sentences, number: Mapping[str, int]) -> Tensor:
    """Find the class that a word prefers, `(V,)`: where its share of sentences is largest."""
    totals = sentences.labels.bincount(minlength=len(sentences.class_names)).double()
    found: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros_like(totals))
    for words, label in zip(sentences.words, sentences.labels.tolist(), strict=True):
        for word in set(words) & number.keys():
            found[word][label] += 1
    return torch.stack([found[word] / totals for word in number]).argmax(1)


def find_ending(word: str) -> int:
    """Number the ending of a word; 0 for none of those in ``WORD_ENDINGS``.

    >>> find_ending("moving"), find_ending("film")
    (1, 0)
    """
    return next((n for n, ending in enumerate(WORD_ENDINGS, 1) if word.endswith(ending)), 0)


def divide_in_quarters(values: Tensor) -> Tensor:
    """Divide values `(N,)` into four classes of about the same size.

    >>> divide_in_quarters(torch.tensor([5.0, 1.0, 9.0, 3.0]))
    tensor([2, 0, 3, 1])
    """
    ends = values.double().quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    return torch.bucketize(values.double(), ends)


def scale_alike(features: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Tensor:
    """Divide all features `(N, D)` by one number, so that their mean square is 1."""
    return torch.from_numpy(features / np.sqrt((features**2).mean())).float()


def divide_rows(total: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Divide rows in three quarters to learn from and a quarter to ask about."""
    order = torch.randperm(total, generator=make_generator(seed))
    asked = round(total * KEPT_SHARE)
    return order[asked:], order[:asked]
