"""Few-shot rivals: heads, choices, the guided search and what the numbers say of the claim."""

import json

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from tests.helpers.study_images import draw_shapes
from whence.studies.few_shot_rivals.counterfactuals import (
    Known,
    answer_from,
    find_read,
    judge_counterfactuals,
    leave_out_stored,
)
from whence.studies.few_shot_rivals.examples import (
    Explained,
    choose_in_class,
    input_difference,
    order_by_choice,
    prediction_difference,
    vote_of_active,
)
from whence.studies.few_shot_rivals.guided_search import (
    Guidance,
    lead,
    mean_prototypes,
    measure_change,
    nearest_prototypes,
    search_with_prototype,
    shrink_change,
)
from whence.studies.few_shot_rivals.report import (
    COLUMNS_OF_RIVALS,
    answer_rows,
    counterfactual_rows,
    judge_rivals,
)
from whence.studies.few_shot_rivals.study import compare_rivals
from whence.studies.few_shot_rivals.trained import (
    SYSTEMS,
    RivalSizes,
    ask,
    draw_few,
    draw_rounds,
    train_system,
)
from whence.studies.parts.class_autoencoders import Autoencoders, train_autoencoder
from whence.studies.parts.request import StudyRequest

SMALL = RivalSizes("small_cnn", 24, 1, 12, 9, 4, 30, 1)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def few_shapes():
    return draw_shapes()


def make_explained(rng, *, weights=None, last=None):
    logits, stored = torch.randn(4, 3, generator=rng), torch.randn(6, 3, generator=rng)
    hidden, of_stored = torch.randn(4, 5, generator=rng), torch.randn(6, 5, generator=rng)
    return Explained(logits, hidden, stored, of_stored, last, weights)


def test_twins_are_the_nearest_by_contributions_and_by_what_the_last_layer_reads(rng):
    last = torch.randn(3, 5, generator=rng)
    weights = torch.tensor([[0.0, 0.7, 0.3, 0.0, 0.0, 0.0]]).expand(4, 6)
    asked = make_explained(rng, weights=weights, last=last)
    orders = order_by_choice(asked, rng)
    assert list(orders) == ["weight", "CHP", "KNN*", "random"]
    own, stored = asked.logits.argmax(1), asked.stored_logits.argmax(1)
    near = NearestNeighbors(n_neighbors=6).fit((last[stored] * asked.stored_hidden).numpy())
    expected = near.kneighbors((last[own] * asked.hidden).numpy(), return_distance=False)
    assert orders["CHP"].argsort(1).tolist() == expected.tolist()
    near = NearestNeighbors(n_neighbors=6).fit(asked.stored_hidden.numpy())
    expected = near.kneighbors(asked.hidden.numpy(), return_distance=False)
    assert orders["KNN*"].argsort(1).tolist() == expected.tolist()
    assert orders["weight"][0].tolist() == pytest.approx([torch.inf, -0.7, -0.3] + [torch.inf] * 3)
    assert list(order_by_choice(make_explained(rng), rng)) == ["KNN*", "random"]


def test_an_example_has_a_weight_and_the_answered_class():
    order = torch.tensor([[-0.7, -0.3, torch.inf], [torch.inf, torch.inf, -1.0]])
    allowed = torch.tensor([[False, True, True], [True, True, False]])
    assert choose_in_class(order, allowed).tolist() == [1, -1]


def test_measures_of_examples_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    example = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    assert_close(input_difference(logits, example), torch.tensor([2.0, 0.5]))
    expected = torch.tensor([np.log(1 + np.exp(2.0)), np.log(2.0)]).float()
    assert_close(prediction_difference(logits, example), expected)
    with pytest.raises(ValueError, match="of_example must be"):
        input_difference(logits, example[:1])


def test_votes_count_images_not_weights():
    weights = torch.tensor([[0.8, 0.1, 0.1, 0.0], [0.5, 0.0, 0.0, 0.5]])
    assert vote_of_active(weights, torch.tensor([2, 1, 1, 0]), 3).tolist() == [1, 0]


def test_shrinking_solves_its_problem_pixel_by_pixel(rng):
    images = torch.rand(2, 1, 3, 3, generator=rng)
    moved = images + torch.randn(images.shape, generator=rng)
    found = shrink_change(moved, images, 0.2)
    grid = torch.linspace(0, 1, 4001)
    costs = (grid - moved[..., None]) ** 2 / 2 + 0.2 * (grid - images[..., None]).abs()
    assert_close(found, grid[costs.argmin(-1)], atol=3e-4, rtol=0)
    change = torch.tensor([[[[0.5, -1.0]]]])
    assert_close(measure_change(change, 0.1), torch.tensor([0.15 + 1.25]))


def test_lead_is_of_probabilities_and_never_below_zero():
    logits = torch.tensor([[np.log(0.6), np.log(0.3), np.log(0.1)]])
    assert_close(lead(logits, torch.tensor([0])), torch.tensor([0.3]).to(logits))
    assert lead(logits, torch.tensor([1])).tolist() == [0]


def test_the_search_comes_to_rest_where_the_sum_is_least():
    """With a linear classifier and a quadratic guide the best point is known."""
    images = torch.tensor([0.2, 0.4]).view(1, 1, 1, 2)
    proto = torch.tensor([[0.9, 0.4]])

    def logits(at):
        first = at.flatten(1)[:, :1]
        return torch.cat([0 * first, (first - 0.35) * 50], 1)

    plan = Guidance(400, 0.05, 1, prediction=0.0, sparsity=0.0, realism=0.0, prototype=3.0)
    found = search_with_prototype(
        images,
        torch.tensor([1]),
        proto,
        logits=logits,
        embed=lambda at: at.flatten(1),
        rebuild=lambda at: at,
        guidance=plan,
    )
    assert found.found.tolist() == [True]
    first, second = found.images.flatten().tolist()
    assert 0.35 < first < 0.42  # the nearest on the way, not the end at (0.2 + 3 * 0.9) / 4
    assert second == pytest.approx(0.4)
    far = search_with_prototype(
        images,
        torch.tensor([1]),
        torch.tensor([[0.0, 0.4]]),
        logits=logits,
        embed=lambda at: at.flatten(1),
        rebuild=lambda at: at,
        guidance=plan,
    )
    assert far.found.tolist() == [False]
    assert torch.equal(far.images, images)


def test_a_larger_weight_of_the_prediction_is_tried_where_nothing_is_found():
    images = torch.full((1, 1, 1, 2), 0.2)

    def logits(at):
        first = at.flatten(1)[:, :1]
        return torch.cat([0 * first, (first - 0.35) * 10], 1)

    def search(doublings):
        return search_with_prototype(
            images,
            torch.tensor([1]),
            images.flatten(1),
            logits=logits,
            embed=lambda at: at.flatten(1),
            rebuild=lambda at: at,
            guidance=Guidance(150, 0.02, doublings, 0.05, 0.0, 0.0, 1.0),
        ).found.tolist()

    assert search(1) == [False]
    assert search(2) == [True]


def test_prototypes_are_means_of_codes_and_nearest_images(rng):
    codes, classes = torch.randn(8, 3, generator=rng), torch.tensor([0, 0, 1, 1, 1, 2, 2, 2])
    means = mean_prototypes(codes, classes, torch.tensor([2, 0]))
    assert_close(means, torch.stack([codes[5:].mean(0), codes[:2].mean(0)]))
    stored, images = torch.rand(8, 1, 2, 3, generator=rng), torch.rand(2, 1, 2, 3, generator=rng)
    found = nearest_prototypes(images, stored, classes, torch.tensor([1, 2]))
    for row, label in enumerate((1, 2)):
        of_class = stored[classes == label].flatten(1)
        away = (of_class - images[row].flatten()).square().sum(1)
        assert_close(found[row], of_class[away.argmin()])


def test_what_was_read_is_active_and_of_another_class():
    weights = torch.tensor([[0.6, 0.4, 0.0], [0.6, 0.0, 0.4]])
    logits, stored = torch.eye(3)[[0, 0]], torch.eye(3)[[0, 1, 0]]
    asked = Explained(logits, logits, stored, stored, None, weights)
    assert find_read(asked).tolist() == [1, -1]
    with pytest.raises(ValueError, match="asked must be answers of a model with a memory"):
        find_read(asked._replace(weights=None))


def test_counterfactuals_are_judged_by_the_autoencoders_of_their_own_classes(few_shapes):
    images, labels = few_shapes.train.images.float() / 255, few_shapes.train.labels
    coders = Autoencoders((lambda x: x * 0.9, lambda x: x * 0.8, lambda x: x * 0.5), lambda x: x)
    guide = train_autoencoder(few_shapes.train.images, seed=0, steps=1)
    second = train_system("Standard", few_shapes.train, SMALL, 0)
    made, answers, targets = images[:4], torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 2, 0])
    known = Known(images, labels, coders, guide)
    found = judge_counterfactuals(made, answers, targets, known, second)
    factors = torch.tensor([0.1, 0.2, 0.5])
    assert_close(found["IM1"], factors[targets] ** 2 / factors[answers] ** 2, rtol=1e-4, atol=1e-4)
    energy = made.flatten(1).square().sum(1)
    expected = factors[targets] ** 2 * energy / made.flatten(1).sum(1)
    assert_close(found["IM2"], expected, rtol=1e-4, atol=1e-4)
    assert set(found["second"].tolist()) <= {0.0, 1.0}
    others = leave_out_stored(known, images[[1, 4]])
    kept = [row for row in range(len(images)) if row not in (1, 4)]
    assert_close(others.images, images[kept])
    assert_close(others.labels, labels[kept])


def test_answers_of_a_round_are_those_of_the_model(few_shapes):
    few, asked = draw_few(few_shapes, SMALL, 0)
    (round_,) = draw_rounds(asked, few, SMALL, 0)
    places = {tuple(image.flatten().tolist()) for image in round_.stored.images}
    assert not places & {tuple(image.flatten().tolist()) for image in round_.second.images}
    for name in SYSTEMS:
        model = train_system(name, few, SMALL, 0)
        one = ask(model, round_)
        if name == "Standard":
            assert_close(one.logits, model(round_.asked.images))
            assert_close(one.hidden @ one.last.T + model.head.classifier.bias, one.logits)
            continue
        memory, labels = round_.stored.images, round_.stored.labels
        read = model.read(round_.asked.images, memory, memory_labels=labels)
        assert_close(one.logits, read.logits, atol=1e-5, rtol=1e-4)
        assert_close(one.weights, read.weights, atol=1e-5, rtol=1e-4)
        second = model.read(memory, round_.second.images, memory_labels=round_.second.labels)
        assert_close(one.stored_logits, second.logits, atol=1e-5, rtol=1e-4)
        again = answer_from(model, round_.stored)(round_.asked.images.float() / 255)
        assert_close(again, read.logits, atol=1e-5, rtol=1e-4)
        if one.last is not None:
            bias = model.head.classifier[2].bias
            assert_close(one.hidden @ one.last.T + bias, one.logits, atol=1e-5, rtol=1e-4)


def test_too_few_images_for_two_memories_are_refused(few_shapes):
    with pytest.raises(ValueError, match=r"needs at least 200 training images .* shapes has 60"):
        draw_few(few_shapes, RivalSizes(), 0)


def test_a_small_study_is_whole_and_goes_on(few_shapes, tmp_path):
    request = StudyRequest(out=tmp_path)
    found = compare_rivals(few_shapes, request, SMALL, fit_steps=3)
    assert found.figures[0].name == "measures"
    judged = {row[0] for row in found.rows}
    assert judged > {f"{name}: answers" for name in SYSTEMS}
    assert judged > {"Memory Wrap: example by CHP", "votes: counterfactual CFProto, k-d trees"}
    assert "Memory Wrap: real test images of the class" in judged
    path = tmp_path / "few_shot_rivals-parts" / "seed-0.json"
    kept = json.loads(path.read_text())
    kept["found"]["answers"]["Memory Wrap"]["accuracy"] = 0.123
    path.write_text(json.dumps(kept))
    again = compare_rivals(few_shapes, request, SMALL, fit_steps=3)
    assert "Memory Wrap answers 12.3% right" in again.verdict
    assert again.made_with["data"] == "shapes"


def make_part(*, ours=0.9, input_=0.1, im1=0.2):
    rules = {
        rule: {"input": 0.5, "prediction": 0.5, "label": 1.0, "first": 1.0, "share": 1.0}
        for rule in ("weight", "CHP", "KNN*", "random")
    }
    rules["weight"] |= {"input": input_, "prediction": 0.1}
    kinds = {
        kind: {"found": 1.0, "IM1": 1.0, "IM2": 0.5, "real": 1.0, "second": 1.0}
        for kind in ("read from memory", "CFProto, codes", "CFProto, k-d trees")
    }
    kinds["read from memory"] |= {"IM1": im1, "IM2": 0.1}
    answers = {
        name: {"accuracy": ours if name == "Memory Wrap" else 0.8, "labels": None}
        for name in SYSTEMS
    }
    counterfactuals = {"Memory Wrap": {"readable": 0.5, "searched": 4, "kinds": kinds}}
    examples = {"Memory Wrap": rules}
    return {
        "answers": answers,
        "examples": examples,
        "counterfactuals": counterfactuals,
        "pictures": [],
    }


@pytest.mark.parametrize(
    ("changed", "won"),
    [
        ({}, "All 3 parts of the claim held: answers, examples, counterfactuals."),
        (
            {"ours": 0.8},
            "2 of 3 parts of the claim held: examples, counterfactuals; not held: answers.",
        ),
        (
            {"input_": 0.6},
            "2 of 3 parts of the claim held: answers, counterfactuals; not held: examples.",
        ),
        (
            {"im1": 1.5},
            "2 of 3 parts of the claim held: answers, examples; not held: counterfactuals.",
        ),
        (
            {"ours": 0.1, "input_": 0.6, "im1": 1.5},
            "None of the 3 parts of the claim held: answers, examples, counterfactuals.",
        ),
    ],
)
def test_the_claim_holds_where_every_part_does(changed, won):
    holds, verdict = judge_rivals([make_part(**changed)])
    assert verdict.startswith(won)
    assert holds == (not changed)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("answers", "Prototypical Networks", "accuracy"), "Not every system has answers."),
        (("examples", "Memory Wrap", "CHP", "input"), "Not every rule has examples."),
        (
            ("counterfactuals", "Memory Wrap", "kinds", "CFProto, codes", "IM2"),
            "No image had counterfactuals of every kind.",
        ),
    ],
)
def test_a_missing_number_is_no_zero(keys, told):
    missing = make_part()
    *above, last = keys
    place = missing
    for name in above:
        place = place[name]
    place[last] = None
    assert judge_rivals([make_part(), missing]) == judge_rivals([make_part()])
    holds, verdict = judge_rivals([missing])
    assert not holds
    assert verdict.startswith("2 of 3 parts of the claim held: ")
    assert told in verdict


def test_rows_are_means_over_the_seeds():
    parts = [make_part(ours=0.9), make_part(ours=0.8)]
    rows = [*answer_rows(parts), *counterfactual_rows(parts)]
    named = {row[0]: dict(zip(COLUMNS_OF_RIVALS, row, strict=True)) for row in rows}
    assert named["Memory Wrap: answers"]["right"] == 0.85
    assert named["Memory Wrap: counterfactual read from memory"]["found"] == 0.5
    assert named["Memory Wrap: counterfactual CFProto, codes"]["IM1"] == 1.0
    assert named["Memory Wrap: counterfactual read from memory"]["IM1"] == 0.2
