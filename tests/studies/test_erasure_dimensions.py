"""Erasure of units of a network and of dimensions of features, by hand and by slow copies."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torch.testing import assert_close

from whence.data.load import load_dataset
from whence.seeds import make_generator
from whence.studies.erasure.dense import (
    DenseNetwork,
    erase_units,
    share_out,
    train_dense,
)
from whence.studies.erasure.dimensions import (
    erase_dimensions,
    judge_dropout,
    judge_replacement,
    squared_correlation,
    train_case,
)
from whence.studies.erasure.tasks import (
    NEAR_WORDS,
    FeatureTasks,
    count_neighbours,
    describe_images,
    describe_words,
    divide_rows,
    find_word_classes,
    scale_alike,
)
from whence.studies.parts.sentences.templates import Sentences
from whence.training.loop import seeded

CPU = torch.device("cpu")


# -- units of a dense network


def test_units_are_erased_one_at_a_time():
    with seeded(0, CPU):
        network = DenseNetwork(5, 3, hidden=4).eval()
    features = torch.rand(7, 5, generator=make_generator(1))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    found = erase_units(network, features, labels, rows=3)

    def losses_without(layer, unit):
        units = features
        for place, linear in enumerate(network.layers):
            units = units if place == 0 else units.tanh()
            if place == layer:
                units = units.clone()
                units[:, unit] = 0
            units = linear(units)
        return torch.nn.functional.cross_entropy(units.double(), labels, reduction="none").detach()

    before = losses_without(-1, 0)
    for layer, width in enumerate((5, 4, 4)):
        assert found[layer].relative.shape == (width,)
        for unit in range(width):
            without = losses_without(layer, unit)
            assert_close(found[layer].nats[unit], (without - before).mean(), rtol=1e-4, atol=1e-6)
            shares = ((without - before) / before).mean()
            assert_close(found[layer].relative[unit], shares, rtol=1e-4, atol=1e-5)


def test_a_dense_network_learns_and_its_dropout_is_of_every_layer():
    features = torch.rand(60, 3, generator=make_generator(0))
    labels = (features[:, 1] > 0.5).long()
    with seeded(0, CPU):
        network = DenseNetwork(3, 2, hidden=6)
        train_dense(network, features, labels, steps=200)
    assert (network(features).argmax(1) == labels).double().mean() > 0.95
    assert not network.training
    dropped = DenseNetwork(3, 2, hidden=6, dropout=1.0).train()
    assert_close(dropped(features), dropped.layers[2].bias.expand(60, 2))


def test_shares_are_of_what_harms():
    found = share_out([torch.tensor([3.0, -1.0, 1.0]), torch.tensor([0.0, 0.0, 2.0])])
    assert_close(found, torch.tensor([[0.75, 0, 0.25], [0, 0, 1]]))


# -- features and their tasks


def test_features_of_images_and_what_is_to_be_told_from_them():
    images = load_dataset("digits").train
    found = describe_images(images, 60, seed=0)
    assert [*found] == ["learned features", "principal components"]
    for one in found.values():
        assert one.features.shape == (60, 50 if one is found["learned features"] else 45)
        assert float(one.features.square().mean()) == pytest.approx(1, abs=1e-4)
    chosen = torch.randperm(len(images), generator=make_generator(0))[:60]
    pixels = images.images[chosen, 0].double() / 255
    tasks = found["learned features"].tasks
    assert torch.equal(tasks["class"], images.labels[chosen])
    for name, values in (
        ("brightness", pixels.sum((1, 2))),
        ("place across", (pixels.sum(1) @ torch.arange(8.0).double()) / pixels.sum((1, 2))),
        ("place down", (pixels.sum(2) @ torch.arange(8.0).double()) / pixels.sum((1, 2))),
    ):
        assert tasks[name].bincount().tolist() == [15] * 4
        assert float(values[tasks[name] == 0].max()) < float(values[tasks[name] == 3].min())
    principal = found["principal components"].features.double()
    known, _ = divide_rows(60, seed=0)
    own = pixels.flatten(1)[known]
    sizes = np.linalg.svd((own - own.mean(0)).numpy(), compute_uv=False)[: principal.shape[1]]
    expected = torch.from_numpy(sizes / sizes[0])
    found = principal[known].norm(dim=0) / principal[known, 0].norm()
    assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_features_know_nothing_of_the_images_that_are_asked_about():
    images = load_dataset("digits").train
    chosen = torch.randperm(len(images), generator=make_generator(3))[:60]
    known, asked = divide_rows(60, seed=3)
    pixels, labels = images.images.clone(), images.labels.clone()
    pixels[chosen[asked]] = 255 - pixels[chosen[asked]]
    labels[chosen[asked]] = 9 - labels[chosen[asked]]
    first = describe_images(images, 60, seed=3)
    second = describe_images(replace(images, images=pixels, labels=labels), 60, seed=3)
    for name, one in first.items():
        parts = [some.features[known] for some in (one, second[name])]
        assert_close(*(part / part.norm() for part in parts), rtol=1e-4, atol=1e-6)


def test_words_that_stand_near_each_other_are_counted():
    sentence = ("a", "b", "x", "x", "x", "x", "a")
    found = count_neighbours([sentence, ("a", "c")], {"a": 0, "b": 1, "c": 2}).toarray()
    assert NEAR_WORDS == 5
    assert found.tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]


def test_words_have_vectors_and_tasks(tmp_path):
    draw = np.random.default_rng(0)
    words = [
        f"{a}{b}{c}"
        for a in "bcdfghm"
        for b in "eiou"
        for c in ("ring", "led", "fly", "p", "t", "k", "m", "l")
    ]
    shares = np.arange(1, 225) ** -0.5
    rows = [tuple(draw.choice(words, 12, p=shares / shares.sum())) for _ in range(400)]
    labels = torch.tensor([int(words.index(row[0]) % 2) for row in rows])
    sentences = Sentences(tuple(rows), labels, ("even", "odd"))
    found = describe_words(sentences)
    counts = Counter(word for row in rows for word in row)
    known = sorted(word for word, count in counts.items() if count >= 5)
    assert found.features.shape == (len(known), 50)
    assert_close(
        found.frequency.exp(), torch.tensor([float(counts[one]) for one in known]).double()
    )
    assert found.tasks["ending"].tolist() == [
        1 if one.endswith("ing") else 2 if one.endswith("ed") else 3 if one.endswith("ly") else 0
        for one in known
    ]
    number = {word: place for place, word in enumerate(known)}
    prefers = find_word_classes(sentences, number)
    for word in known[:5]:
        inside = torch.tensor([word in row for row in rows])
        shares = [float(inside[labels == one].double().mean()) for one in (0, 1)]
        assert int(prefers[number[word]]) == int(shares[1] > shares[0])
    with pytest.raises(ValueError, match="must hold at least 200 words that occur 5 times"):
        describe_words(sentences.take_first(3))


def test_rows_are_divided_and_scaled_alike():
    known, asked = divide_rows(20, seed=1)
    assert sorted([*known.tolist(), *asked.tolist()]) == [*range(20)]
    assert len(asked) == 5
    assert_close(scale_alike(np.array([[3.0, -4.0], [0.0, 5.0]])).norm(), torch.tensor(2.0))


# -- dimensions


def make_tasks(copies):
    """Features of which the first tells the class, as do its copies."""
    features = torch.randn(160, 4 + copies, generator=make_generator(0))
    labels = (features[:, 0] > 0).long()
    features[:, 0] *= 4
    features[:, 4:] = features[:, :1] / 2
    return FeatureTasks(features, {"sign": labels})


def test_a_removed_dimension_is_replaced_where_another_says_the_same():
    told = erase_dimensions(make_tasks(1), 60, 0)
    assert told["removed"] == [0, 4]
    assert told["one removed"]["accuracy"]["sign"] > 0.9
    assert told["one removed"]["top_share"] > told["one removed"]["before"]
    assert judge_replacement(told)
    lost = erase_dimensions(make_tasks(0), 60, 0)
    assert lost["removed"][0] == 0
    assert lost["one removed"]["accuracy"]["sign"] < 0.8
    assert not judge_replacement(lost)
    assert "frequency" not in told


def test_what_is_removed_has_no_importance_and_dropout_is_judged_by_the_features():
    case = train_case(make_tasks(1), 20, 0, removed=(0,))
    assert float(case.shares[0, 0]) == 0
    assert_close(case.shares.sum(1), torch.ones(1).double())
    found = {"plain": {"ginis": [0.5, 0, 1]}, "dropout": {"ginis": [0.4, 1, 1]}}
    assert judge_dropout(found)
    assert not judge_dropout({"plain": found["dropout"], "dropout": found["plain"]})


def test_the_squared_correlation_is_scipys():
    one, other = torch.rand(2, 9, generator=make_generator(0))
    expected = pearsonr(one.numpy(), other.numpy()).statistic ** 2
    assert squared_correlation(one, other) == pytest.approx(expected, rel=1e-4)


def test_units_are_erased_where_the_network_is():
    network = DenseNetwork(3, 2, hidden=4).to("meta")
    features, labels = torch.zeros(5, 3, device="meta"), torch.zeros(5, dtype=int, device="meta")
    with pytest.raises(NotImplementedError, match="no data"):  # only what comes back is read
        erase_units(network, features, labels)
