"""The models of the study: one encoder, one recipe, seven heads."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.data.memory_draw import draw_memory
from whence.data.stratify import stratified
from whence.memory.attention import recall, score, weigh
from whence.memory.feature_heads import FeatureHead, Standard
from whence.memory.heads import Head, build_head
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.wrap import wrap
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator, seed_global
from whence.studies.few_shot_rivals.examples import Explained
from whence.studies.few_shot_rivals.heads import MatchingHead, PrototypicalHead
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

SYSTEMS = (
    "Standard",
    "Memory Wrap",
    "Only Memory",
    "votes",
    "Matching Networks",
    "Matching Networks, full context",
    "Prototypical Networks",
)
"""In the order of the table; all but votes learn for the head that they are asked with."""

VARIANT_OF_SYSTEM = {
    "Standard": "standard",
    "Memory Wrap": "memory-wrap",
    "Only Memory": "only-memory",
    "votes": "votes",
}
"""Those of the package, by the names of their variants."""


class RivalSizes(NamedTuple):
    """How large the study is.

    Attributes:
        encoder: by name.
        trained: labelled images.
        epochs: of training.
        memory_size: M.
        asked: test images, at most.
        searched: asked images, at most, for which counterfactuals are searched for.
        known: training images, at most, that the autoencoders learn from.
        seeds: from 0.
    """

    encoder: str = "small_cnn"
    trained: int = 300
    epochs: int = 40
    memory_size: int = 100
    asked: int = 500
    searched: int = 60
    known: int = 4000
    seeds: int = 3


FULL_SIZES = RivalSizes("mobilenet_v2", 1000, 40, 100, 10_000, 1000, 50_000, 15)
"""The smallest setting of the publication: 1,000 images, 15 seeds."""

ROUND_SIZE = 500
"""Asked images that share a memory, as in the publication."""

RIVAL_RECIPE = Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", batch_size=64)


def draw_few(data: Dataset, sizes: RivalSizes, seed: int) -> tuple[ImageSet, ImageSet]:
    """Draw the labelled images and the asked ones, each class in proportion.

    Raises:
        ValueError: if there are fewer training images than the study or its two memories need.
    """
    generator = make_generator(seed)
    if len(data.train) < 2 * sizes.memory_size:
        raise ValueError(
            f"The study needs at least {2 * sizes.memory_size} training images for two memories "
            f"that share none, {data.name} has {len(data.train)}."
        )
    few = min(sizes.trained, len(data.train) - len(data.train.class_names))
    few = max(few, 2 * sizes.memory_size)
    some = stratified(data.train.labels, few, generator=generator, leave_one=False)
    asked = torch.randperm(len(data.test), generator=generator)[: sizes.asked]
    return data.train.take(some), data.test.take(asked)


def train_system(name: str, train: ImageSet, sizes: RivalSizes, seed: int) -> Classifier:
    """Train one of ``SYSTEMS``; all start with the same encoder and see the same batches."""
    channels, height, width = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        model = wrap(
            sizes.encoder,
            train.class_names,
            variant="standard",
            image_shape=(channels, height, width),
        )
        if name != "Standard":
            model.head = build_rival_head(name, model.features, len(train.class_names))
    plan = Plan(sizes.epochs, memory_size=sizes.memory_size, seed=seed)
    fit(model, train, recipe=RIVAL_RECIPE, plan=plan)
    return model


def build_rival_head(name: str, features: int, classes: int) -> Head:
    """Build the head of a system."""
    if name in VARIANT_OF_SYSTEM:
        return build_head(
            VARIANT_OF_SYSTEM[name], features, classes, similarity="cosine", classifier=None
        )
    if name == "Prototypical Networks":
        return PrototypicalHead(features, classes)
    return MatchingHead(features, classes, context=name.endswith("full context"))


class Round(NamedTuple):
    """Asked images that share a memory, and a second memory that the stored ones are asked with."""

    asked: ImageSet
    stored: ImageSet
    second: ImageSet


def draw_rounds(asked: ImageSet, few: ImageSet, sizes: RivalSizes, seed: int) -> list[Round]:
    """Divide the asked images and draw two memories for each part, which share no image."""
    generator = make_generator(seed)
    rounds = []
    for places in torch.arange(len(asked)).split(ROUND_SIZE):
        drawn = draw_memory(len(few), 2 * sizes.memory_size, generator=generator)
        one, two = drawn.chunk(2)
        rounds.append(Round(asked.take(places), few.take(one), few.take(two)))
    return rounds


def ask(model: Classifier, round_: Round) -> Explained:
    """Answer for the asked images of a round, and for its stored ones with the second memory."""
    with evaluating(model):
        of_asked, of_stored, of_second = (
            model.encode_features(part.images)
            for part in (round_.asked, round_.stored, round_.second)
        )
        if isinstance(model.head, Standard):
            last: Tensor = model.head.classifier.get_parameter("weight")
            answers = (model.head(of_asked), model.head(of_stored))
            return Explained(answers[0], of_asked, answers[1], of_stored, last.detach(), None)
        head = model.memory_head
        one, two = round_.stored.labels, round_.second.labels
        if isinstance(head, FeatureHead):
            hidden, weights = read_hidden(head, of_asked, of_stored)
            of_memory, _ = read_hidden(head, of_stored, of_second)
            output: nn.Module = head.classifier.get_submodule("2")
            return Explained(
                output(hidden),
                hidden,
                output(of_memory),
                of_memory,
                output.get_parameter("weight").detach(),
                weights,
            )
        queries, stored, second = (head.embed(part) for part in (of_asked, of_stored, of_second))
        read = head(queries, stored, labels=one)
        of_memory = head.logits(stored, second, labels=two)
        return Explained(read.logits, of_asked, of_memory, of_stored, None, read.weights)


def read_hidden(head: FeatureHead, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what the last layer of Memory Wrap or Only Memory reads, `(B, Z)`, and weights."""
    weights = weigh(score(queries, memory, similarity=head.similarity))
    vectors = recall(weights, memory)
    joined = vectors if head.memory_alone else torch.cat([queries, vectors], -1)
    hidden: Tensor = head.classifier.get_submodule("0")(joined).relu()
    return hidden, weights
