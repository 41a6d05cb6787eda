"""Cells of the comparison of recipes, and the tables that are made of them."""

from dataclasses import replace

import pytest
import torch

from benchmarks.from_scratch import (
    CELLS,
    CHANGES,
    RECIPES,
    RIVALS,
    compare,
    pick,
    print_tables,
    vote_beside,
)
from benchmarks.kept_cells import read_cells
from whence.evidence.predict import predict
from whence.models.using import encode_frozen
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.training.labelled import Labelled
from whence.training.voting import read_votes


def cell(head, recipe, seed, accuracy, validation=0.5, **more):
    here = {"images": "cells", "train_examples": 9, "encoder": "small_cnn", **more}
    numbers = {"accuracy": accuracy, "validation": validation}
    return {**here, "head": head, "recipe": recipe, "seed": seed, **numbers}


CASES = [
    cell("standard", "default", 0, 0.50, 0.6, votes_beside=0.51),
    cell("standard", "default", 1, 0.52, 0.4, votes_beside=0.54),
    cell("standard", "paper", 0, 0.46, votes_beside=0.90),
    cell("standard", "paper", 1, 0.47),
    cell("memory-wrap", "default", 0, 0.54, 0.5),
    cell("memory-wrap", "default", 1, 0.51, 0.5),
    cell("votes", "default", 0, 0.53),
    cell("votes", "default", 1, 0.53),
    cell("votes", "default", 2, 0.99),  # without rivals
    cell("votes", "paper", 0, 0.99),
    cell("standard", "default without shifts", 0, 0.48),
    cell("standard", "default without shifts", 1, 0.49),
]


def test_votes_are_compared_with_the_rival_that_validation_chooses():
    assert compare(CASES, "default") == pytest.approx([3, 2])


def test_cells_of_a_head_and_a_recipe_by_seed():
    assert pick(CASES, "standard", "paper") == {0: 0.46, 1: 0.47}


def test_tables_by_hand(capsys):
    print_tables(CASES)
    lines = capsys.readouterr().out.splitlines()
    # differences 4 and 5: mean 4.5, deviation .707, t of one degree of freedom 12.706
    row = "| cells | 9 | small_cnn | standard | 2 | 51.00 ± 1.00 | 46.50 ± 0.50 |  | +4.50 | -1.85 to +10.85 |"
    assert row in lines
    assert "| cells | 9 | small_cnn | memory-wrap | 2 | 52.50 ± 1.50 |  |  |  |  |" in lines
    assert "| cells | 9 | small_cnn | 2 | +2.50 | -3.85 to +8.85 |" in lines
    assert (
        "| cells | 9 | small_cnn | standard | without shifts | 2 | 48.50 ± 0.50 | -2.50 | -8.85 to +3.85 |"
        in lines
    )
    assert lines[-1] == "| cells | 9 | small_cnn | 2 | +1.50 | -4.85 to +7.85 |"


def test_published_cells_are_whole_and_none_stands_twice():
    cells = read_cells(CELLS)
    names = ("images", "train_examples", "encoder", "head", "recipe", "seed")
    assert len({tuple(one[name] for name in names) for one in cells}) == len(cells)
    for one in cells:
        assert 0 < one["accuracy"] <= 1
        assert one["recipe"] in {*RECIPES, *(f"default {change}" for change in CHANGES)}
        assert one["head"] in (*RIVALS, "votes")


def test_votes_beside_a_layer_compare_the_features_of_its_encoder():
    settings = Settings(
        data="digits", train_examples=40, validation_examples=50, variant="standard"
    )
    dataset = load_data(settings)
    dataset = replace(dataset, test=dataset.test.take(range(80)))
    parts = prepare(settings, dataset)
    found = vote_beside(replace(parts, model=parts.model.eval()))
    voting = prepare(replace(settings, variant="votes"), dataset).model.eval()
    voting.encoder.load_state_dict(parts.model.encoder.state_dict())
    features = encode_frozen(voting, parts.train.images)
    voting.head.compare_plainly(features)
    asked = Labelled(encode_frozen(voting, parts.validation.images), parts.validation.labels)
    read_votes(voting.head, Labelled(features, parts.train.labels), asked, parts.plan)
    voting.remember(parts.train)
    answers = torch.tensor([one.predicted for one in predict(voting, dataset.test.images)])
    assert found == pytest.approx(float((answers == dataset.test.labels).double().mean()))
    assert found > 0.3
