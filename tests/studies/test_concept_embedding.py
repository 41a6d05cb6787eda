"""Concept embedding: planted parts, modules and their losses, maps and what the numbers say."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import nn
from torch.testing import assert_close

from whence.records.images import Dataset, ImageSet
from whence.studies.concept_embedding.planted_parts import (
    PART_NAMES,
    draw_part_images,
    list_patterns,
)
from whence.studies.concept_embedding.report import average_methods, judge_embedding
from whence.studies.concept_embedding.study import (
    EmbeddingSizes,
    Setting,
    embed_concepts,
    measure_faithfulness,
)
from whence.studies.parts.concept_maps import (
    join_maps,
    map_unit,
    measure_apartness,
    measure_locality,
    show_highest,
)
from whence.studies.parts.explained_parts import look_at_layer, train_layered
from whence.studies.parts.explanation_module import (
    ExplanationModule,
    ModuleLoss,
    choose_features,
    fit_module,
    log_penalty,
    measure_loss,
    pull_away,
)
from whence.studies.parts.request import StudyRequest

TINY = EmbeddingSizes(60, 24, 2, 5, 3, 3, 2, 0.1, 2, 1)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(5)


def test_an_image_shows_the_two_patterns_of_its_class_and_at_most_one_that_makes_no_pair(rng):
    drawn = draw_part_images(60, rng)
    patterns, further = list_patterns(), 0
    assert len({tuple(one.flatten().tolist()) for one in patterns}) == len(PART_NAMES)
    for image, label, parts in zip(
        drawn.images.images, drawn.images.labels.tolist(), drawn.parts, strict=True
    ):
        shown = set(parts.unique().tolist()) - {-1}
        assert {label, (label + 1) % 6} <= shown
        rest = shown - {label, (label + 1) % 6}
        assert rest <= {(label + 3) % 6, (label + 4) % 6}
        assert len(rest) <= 1
        further += len(rest)
        for part in shown:
            assert int((parts == part).sum()) == int(patterns[part].sum())
        assert float(image[0][parts >= 0].min()) > float(image[0][parts < 0].max())
    assert 20 < further < 40


def test_the_pull_away_term_is_the_mean_squared_cosine(rng):
    concepts = torch.rand(7, 4, generator=rng)
    pairs = [
        (concepts[:, i] @ concepts[:, j] / concepts[:, i].norm() / concepts[:, j].norm()) ** 2
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    assert_close(pull_away(concepts), torch.stack(pairs).mean())


def test_the_loss_is_the_sum_of_its_terms(rng):
    module = ExplanationModule(6, 3).requires_grad_(False)
    features, answers = torch.rand(8, 6, generator=rng), torch.randn(8, generator=rng)
    concepts = module.embed(features)
    missed = ((module(features) - answers) ** 2).mean()
    errors = ((module.rebuild(concepts) - features) ** 2).mean(0)
    none = ModuleLoss(faithful=False, decay=0.0)
    assert float(measure_loss(module, features, answers, none)) == 0
    decay = sum((one**2).sum() for one in module.parameters())
    cases = [
        (ModuleLoss(decay=0.0), missed),
        (ModuleLoss(faithful=False, decay=0.3), 0.3 * decay),
        (ModuleLoss(faithful=False, rebuild=2.0, decay=0.0), 2 * errors.mean()),
        (
            ModuleLoss(faithful=False, rebuild=2.0, sparse=5.0, decay=0.0),
            2 * torch.stack([torch.log(1 + 5 * one) for one in errors]).mean(),
        ),
        (ModuleLoss(faithful=False, apart=0.7, decay=0.0), 0.7 * pull_away(concepts)),
        (ModuleLoss(faithful=False, active=0.4, decay=0.0), 0.4 * concepts.mean()),
    ]
    for by, expected in cases:
        assert_close(measure_loss(module, features, answers, by), expected)
    assert_close(log_penalty(torch.tensor([0.0, 3.0]), 1.0), torch.tensor(math.log(4) / 2))


def test_a_module_learns_an_answer_that_few_features_say(rng):
    features = torch.rand(200, 6, generator=rng)
    answers = 2 * features[:, 1] - features[:, 4]
    module = fit_module(features, answers, ModuleLoss(), concepts=3, steps=300, seed=0)
    assert float((module(features) - answers).abs().mean()) < 0.1
    again = fit_module(features, answers, ModuleLoss(), concepts=3, steps=300, seed=0)
    assert torch.equal(module(features), again(features))
    assert float(module.embed(features).min()) >= 0
    blind = ModuleLoss(faithful=False, rebuild=1.0)
    fitted = fit_module(features, answers, blind, concepts=3, steps=20, seed=0)
    inputs = fitted.embed(features)
    expected = inputs @ torch.linalg.pinv(inputs) @ answers
    assert_close(fitted(features), expected, atol=1e-3, rtol=1e-3)
    assert_close(fitted.weights, fitted.say.weight[0])


def test_the_lasso_takes_the_features_that_say_the_answer(rng):
    features = torch.randn(300, 9, generator=rng)
    answers = 3 * features[:, 2] - 2 * features[:, 7] + 5 + 0.1 * torch.randn(300, generator=rng)
    found = choose_features(features, answers, 2)
    assert sorted(found.places.tolist()) == [2, 7]
    assert float((found(features) - answers).abs().mean()) < 0.2
    assert_close(found.embed(features), features[:, found.places])
    # the last step with two features is scikit-learn's lasso at the penalty where a third enters
    inputs = (features - features.mean(0)).double().numpy()
    outputs = (answers - answers.mean()).double().numpy()
    rest = outputs - inputs[:, found.places] @ found.weights.double().numpy()
    alpha = float(np.abs(inputs.T @ rest).max() / len(inputs))
    expected = Lasso(alpha=alpha, tol=1e-10).fit(inputs, outputs).coef_
    assert_close(found.weights, torch.from_numpy(expected[found.places]).float(), atol=1e-4, rtol=0)


def test_a_map_says_what_excites_less_what_inhibits(rng):
    """Two dense layers: the contrast is taken at the last one, as in the paper's section 3.3."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    with torch.no_grad():
        for layer in (network[1], network[3]):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=rng))
            layer.bias.zero_()
    images = torch.rand(3, 1, 2, 3, generator=rng)
    found = map_unit(lambda some: network(some)[:, 0], images)
    for image, values in zip(images.flatten(1), found, strict=True):
        first, last = network[1].weight.detach(), network[3].weight.detach()[0]
        hidden = (first @ image).relu()
        up, down = hidden * last.clamp_min(0), hidden * (-last).clamp_min(0)
        winners = up / up.sum() - down / down.sum().clamp_min(1e-30)
        expected = torch.zeros(6)
        for winner, weights in zip(winners, first, strict=True):
            excites = image * weights.clamp_min(0)
            expected += winner * excites / excites.sum()
        expected = expected.clamp_min(0)
        assert_close(values.flatten(), expected / expected.sum(), atol=1e-5, rtol=1e-3)


def test_locality_is_the_entropy_over_parts():
    parts = torch.tensor([[[0, 0, 1], [2, -1, -1]]])
    one = torch.tensor([[[0.5, 0.3, 0.0], [0.0, 0.2, 0.0]]])
    assert measure_locality(one, parts, 3) == 0
    two = torch.tensor([[[0.2, 0.1, 0.3], [0.0, 0.4, 0.0]]])
    assert measure_locality(two, parts, 3) == pytest.approx(math.log(2), abs=1e-6)
    assert measure_locality(torch.tensor([[[0.0, 0, 0], [0, 1.0, 0]]]), parts, 3) is None


def test_apartness_is_of_the_correlations(rng):
    maps = torch.rand(3, 4, 5, 5, generator=rng)
    maps[2] = maps[0] + 0.5 * maps[2]
    correlations = np.corrcoef(maps.flatten(1).numpy())
    first, second = measure_apartness(torch.cat([maps, torch.zeros(1, 4, 5, 5)]))
    assert first == pytest.approx(np.linalg.norm(correlations) - np.sqrt(3), abs=1e-5)
    assert second == pytest.approx(-np.log(np.linalg.det(correlations)), abs=1e-4)
    assert measure_apartness(maps[:1]) is None


def test_masks_show_the_highest_pixels_and_join_what_adds_to_the_answer():
    images = torch.ones(1, 2, 2, 2)
    maps = torch.tensor([[[0.1, 0.9], [0.2, 0.3]]])
    assert show_highest(images, maps, 0.5)[0, 1].tolist() == [[0, 1], [0, 1]]
    some = torch.tensor([[[[0.5, 0.0]]], [[[0.0, 0.2]]], [[[0.9, 0.9]]]])
    joined = join_maps(some, torch.tensor([[4.0, 1.0, -2.0]]))
    assert joined[0, 0].tolist() == [1.0, 0.25]


def test_faithfulness_counts_classes_that_stay(rng):
    drawn = draw_part_images(30, rng)
    model = train_layered(drawn.images, epochs=1, seed=0)
    known, scale = look_at_layer(model, drawn.images, drawn.parts)
    assert_close(model.head(known.features * scale), known.logits)
    setting = Setting(model, known, known, scale)
    exact = measure_faithfulness(lambda features: model.head(features * scale)[:, 1], setting, 1)
    assert exact["F_reg test"] == pytest.approx(0, abs=1e-5)
    assert exact["F_cls test"] == 1
    high = measure_faithfulness(lambda features: known.logits[:, 1] + 1000, setting, 1)
    assert high["F_reg training"] == pytest.approx(1000)
    expected = float((known.logits.argmax(1) == 1).double().mean())
    assert high["F_cls training"] == pytest.approx(expected)


def make_means(*, same=0.99, apart=0.3, masked=0.8):
    def row(method, faithful, correlated, kept):
        return {"method": method, "F_cls test": faithful, "O1": correlated, "masked": kept}

    return average_methods(
        [
            row("SRAE", same, apart, masked),
            row("NN", 0.99, 1.0, 0.5),
            row("CAE", 0.7, 0.2, 0.5),
            row("Excitation Backprop", None, None, 0.6),
        ]
    )


@pytest.mark.parametrize(
    ("changed", "won"),
    [
        ({}, "All 3 parts of the claim held: faithfulness, features apart, masks."),
        (
            {"same": 0.9},
            "2 of 3 parts of the claim held: features apart, masks; not held: faithfulness.",
        ),
        (
            {"apart": 0.9},
            "2 of 3 parts of the claim held: faithfulness, masks; not held: features apart.",
        ),
        (
            {"apart": None},
            "2 of 3 parts of the claim held: faithfulness, masks; not held: features apart.",
        ),
        (
            {"masked": 0.6},
            "2 of 3 parts of the claim held: faithfulness, features apart; not held: masks.",
        ),
    ],
)
def test_every_part_of_the_claim_is_judged_by_its_numbers(changed, won):
    holds, verdict = judge_embedding(make_means(**changed))
    assert verdict.startswith(won)
    assert holds == (not changed)


def test_means_are_over_what_is_known():
    rows = [{"method": "NN", "O1": 1.0}, {"method": "NN", "O1": 3.0}, {"method": "NN", "O1": None}]
    assert average_methods(rows)["NN"]["O1"] == 2.0
    assert average_methods(rows)["NN"]["O2"] is None


def test_a_small_study_is_whole_and_goes_on(tmp_path):
    request = StudyRequest(out=tmp_path)
    found = embed_concepts(None, request, TINY)
    names = [row[0] for row in found.rows]
    methods = ["Excitation Backprop", "SRAE", "NN", "SAE", "CAE", "lasso", "units of the layer"]
    assert sorted(names) == sorted(methods)
    path = tmp_path / "concept_embedding-parts" / "seed-0.json"
    kept = json.loads(path.read_text())
    for row in kept["found"]["classes"]:
        row["masked"] = 0.25
    path.write_text(json.dumps(kept))
    again = embed_concepts(None, request, TINY)
    assert {row[-1] for row in again.rows} == {0.25}
    assert again.made_with["data"] == "planted parts"


def test_images_of_ones_own_are_explained_without_parts_and_tiny_ones_refused(rng):
    labels = torch.arange(40) % 2
    images = (
        200 * labels[:, None, None, None] + torch.randint(50, (40, 1, 8, 9), generator=rng)
    ).byte()
    own = ImageSet(images, labels, ("dark", "light"))
    found = embed_concepts(Dataset("shades", own, own), StudyRequest(), TINY)
    named = {row[0]: row for row in found.rows}
    assert set(named) == {"Excitation Backprop", "SRAE", "NN", "SAE", "CAE", "lasso"}
    assert named["SRAE"][7] is None
    assert found.made_with["data"] == "shades"
    small = ImageSet(images[:, :, :3], labels, ("dark", "light"))
    with pytest.raises(ValueError, match=r"at least 4 pixels .* those of shades are 3 x 9"):
        embed_concepts(Dataset("shades", small, small), StudyRequest(), TINY)
