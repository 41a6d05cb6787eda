"""Simple heads on the features of a frozen encoder, tuned on validation images: opponents."""

import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from whence.records.images import Dataset
from whence.runs.kept_features import encode_once
from whence.runs.prepare import Parts, prepare
from whence.runs.settings import Settings
from whence.seeds import make_generator, seed_global

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the linear probe's penalty, of which the validation images choose."""

DECAYS = (0.01, 0.3)
"""Weight decays of the network, of which the validation images choose."""

HIDDEN, BATCH, EPOCHS, LEAST_STEPS, RATE = 512, 128, 60, 300, 1e-3
NEIGHBOURS = 10


class Problem(NamedTuple):
    """One seed's images as features."""

    dataset: Dataset
    parts: Parts
    train: Tensor  # (N, D)
    validation: Tensor  # (V, D)
    test: Tensor  # (T, D)


def encode(settings: Settings, dataset: Dataset, folder: Path) -> Problem:
    """Divide the images by the seed, and look their features up."""
    parts = prepare(settings, dataset)
    model = parts.model.eval()
    train, test = (encode_once(model, one, folder) for one in (dataset.train, parts.test))
    return Problem(dataset, parts, train[parts.indices], train[parts.validation_indices], test)


def standardise(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Bring every feature to mean 0 and deviation 1 on the training images."""
    mean, deviation = problem.train.mean(0), problem.train.std(0) + 1e-3
    train, validation, test = (
        (part - mean) / deviation for part in (problem.train, problem.validation, problem.test)
    )
    return train, validation, test


def judge(log_probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Measure answers `(T, K)` to images with true classes `(T,)`."""
    hits = log_probabilities.argmax(1) == labels
    recalls = [float(hits[labels == one].double().mean()) for one in labels.unique().tolist()]
    return {
        "accuracy": float(hits.double().mean()),
        "balanced": statistics.fmean(recalls),
        "nll": float(F.cross_entropy(log_probabilities, labels)),
    }


def probe(problem: Problem, settings: Settings) -> dict[str, Any]:
    """Logistic regression on standardised features, its penalty chosen on validation images."""
    (train, validation, test), parts = standardise(problem), problem.parts
    best: dict[str, Any] = {}
    for penalty in PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=300)
        fitted.fit(train.numpy(), parts.train.labels.numpy())
        known = fitted.score(validation.numpy(), parts.validation.labels.numpy())
        if not best or known > best["validation"]:
            answers = np.full((len(test), len(parts.train.class_names)), -30.0)
            answers[:, fitted.classes_] = fitted.predict_log_proba(test.numpy())
            best = {"validation": float(known), "chosen": penalty}
            best |= judge(torch.from_numpy(answers), parts.test.labels)
    return best


def network(problem: Problem, settings: Settings) -> dict[str, Any]:
    """A network of one hidden layer, its weight decay chosen on validation images."""
    (train, validation, test), parts = standardise(problem), problem.parts
    labels, total = parts.train.labels, len(train)
    size = min(BATCH, total)
    steps = max(LEAST_STEPS, EPOCHS * (total // size))
    best: dict[str, Any] = {}
    for decay in DECAYS:
        seed_global(settings.seed)
        generator = make_generator(settings.seed)
        net = nn.Sequential(
            nn.Linear(train.shape[1], HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(HIDDEN, len(parts.train.class_names)),
        )
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=decay, fused=True)
        order = torch.empty(0, dtype=torch.int64)
        for step in range(steps):
            if len(order) < size:
                order = torch.randperm(total, generator=generator)
            batch, order = order[:size], order[size:]
            optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.zero_grad()
            F.cross_entropy(net(train[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            net.eval()
            hits = net(validation).argmax(1) == parts.validation.labels
            known = float(hits.double().mean())
            if not best or known > best["validation"]:
                best = {"validation": known, "chosen": decay}
                best |= judge(net(test).log_softmax(1), parts.test.labels)
    return best


def neighbours(problem: Problem, settings: Settings) -> dict[str, Any]:
    """The most frequent label of the nearest training images, by centred cosine."""
    parts, mean = problem.parts, problem.train.mean(0)
    train, validation, test = (
        F.normalize(part - mean, dim=1)
        for part in (problem.train, problem.validation, problem.test)
    )
    votes = F.one_hot(parts.train.labels, len(parts.train.class_names)).double()

    def answer(asked: Tensor) -> Tensor:
        places = (asked @ train.T).topk(min(NEIGHBOURS, len(train))).indices
        return (0.95 * votes[places].mean(1) + 0.05 / votes.shape[1]).log()

    hits = answer(validation).argmax(1) == parts.validation.labels
    found = answer(test)
    shares = (found.exp() - 0.05 / votes.shape[1]) / 0.95
    purity = shares.gather(1, parts.test.labels[:, None]).mean()
    judged = judge(found, parts.test.labels)
    return {"validation": float(hits.double().mean()), **judged, "purity": float(purity)}
