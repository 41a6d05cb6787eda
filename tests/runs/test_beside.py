"""Simple classifiers beside a head: against scikit-learn, and what is said about them."""

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from whence.runs.beside import Beside, ask_neighbours, measure_beside, say_beside
from whence.training.labelled import Labelled
from whence.training.probe import fit_probe


@pytest.fixture
def known(rng):
    labels = torch.arange(60) % 3
    return Labelled(torch.eye(3, 7)[labels] + torch.randn(60, 7, generator=rng), labels)


def test_neighbours_answer_as_scikit_learn_does(known, rng):
    asked = torch.randn(50, 7, generator=rng)
    mean = known.features.mean(0)
    oracle = KNeighborsClassifier(10, metric="cosine", algorithm="brute")
    oracle.fit((known.features - mean).numpy(), known.labels.numpy())
    expected = oracle.predict((asked - mean).numpy())
    assert ask_neighbours(known, asked, 3).tolist() == expected.tolist()
    few = known.take(torch.arange(4))
    assert ask_neighbours(few, asked, 3).tolist() == [0] * 50  # two of four are of class 0


def test_accuracies_are_those_of_the_two_answers(known):
    probe = fit_probe(known, None, 3)
    asked = known.take(torch.arange(0, 60, 3).repeat(2)[:25])  # all of class 0
    asked = asked._replace(labels=torch.cat([torch.zeros(20), torch.ones(5)]).long())
    found = measure_beside(Beside(probe, known), asked, ("a", "b", "c"))
    answers = probe.log_probabilities(asked.features).argmax(1)
    right = answers == asked.labels
    assert found["linear_probe"]["accuracy"] == float(right.double().mean())
    recalls = [float(right[asked.labels == y].double().mean()) for y in (0, 1)]
    assert found["linear_probe"]["balanced_accuracy"] == pytest.approx(sum(recalls) / 2)
    nearest = ask_neighbours(known, asked.features, 3) == asked.labels
    assert found["nearest_neighbours"]["accuracy"] == float(nearest.double().mean())


@pytest.mark.parametrize(
    ("accuracy", "has_memory", "end"),
    [
        (0.853, True, ": showing the evidence gains 1.30 points."),
        (0.84, True, ": showing the evidence costs nothing."),
        (0.83, True, ": showing the evidence costs 1.00 points."),
        (0.83, False, ": this head costs 1.00 points."),
    ],
)
def test_one_sentence_says_what_evidence_costs(accuracy, has_memory, end):
    beside = {"linear_probe": {"accuracy": 0.84}, "nearest_neighbours": {"accuracy": 0.799}}
    start = "On the same features a linear probe has 84.00% right, the ten nearest images 79.90%"
    assert say_beside(accuracy, beside, has_memory) == start + end
    said = say_beside(accuracy, beside, has_memory, decided=True)
    assert said == f"{start}, both by the highest probability, without a threshold."
