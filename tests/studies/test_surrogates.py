"""Surrogates: bounds, the search for anchors, students, exemplars and what the numbers say."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import entropy
from sklearn.linear_model import LinearRegression
from torch import nn
from torch.testing import assert_close

import whence
from whence.data.augment import to_float
from whence.records.images import Dataset, ImageSet
from whence.studies.parts.request import StudyRequest
from whence.studies.surrogates.anchors import (
    AnchorPlan,
    Tally,
    find_anchor,
    pick_best,
    settle_rule,
)
from whence.studies.surrogates.bounds_of_shares import (
    bound_above,
    bound_below,
    diverge,
    find_level,
)
from whence.studies.surrogates.compare import agree_by_image
from whence.studies.surrogates.exemplars import ExemplarPlan, in_pixels, search_exemplars
from whence.studies.surrogates.page import HIDDEN_SHADE, keep_regions
from whence.studies.surrogates.region_variants import (
    cut_regions,
    draw_kept,
    draw_variants,
    measure_agreement,
    read_regions,
    score_answers,
    top_rule,
)
from whence.studies.surrogates.students import (
    Lesson,
    ask_more,
    fit_line,
    grow_tree,
    measure_student,
)
from whence.studies.surrogates.study import (
    COLUMNS_OF_SURROGATES,
    judge_surrogates,
    rows_of_rules,
    try_surrogates,
)
from whence.studies.surrogates.teachers import SurrogateSizes

QUICK = AnchorPlan(draws=40, most=4000)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(7)


def make_linear_model(weights):
    """A classifier of `(1, H, W)` images by a linear map `(K, H * W)`."""
    model = whence.wrap(
        nn.Flatten(), len(weights), variant="standard", image_shape=(1, *weights.shape[1:])
    )
    with torch.no_grad():
        model.head.classifier.weight.copy_(weights.flatten(1))
        model.head.classifier.bias.zero_()
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 1.0])
def test_bounds_are_where_the_divergence_reaches_the_level(share):
    for level in (0.003, 0.2):

        def excess(other, level=level):
            coins = [share, 1 - share], [other, 1 - other]
            return entropy(*coins) - level

        low = 0.0 if excess(1e-12) < 0 else brentq(excess, 1e-12, max(share, 1e-11))
        high = 1.0 if excess(1 - 1e-12) < 0 else brentq(excess, min(share, 1 - 1e-11), 1 - 1e-12)
        assert bound_below(share, level) == pytest.approx(low, abs=1e-6)
        assert bound_above(share, level) == pytest.approx(high, abs=1e-6)
    assert diverge(0.3, 0.0) == np.inf


def test_the_level_grows_with_looks_and_arms_and_falls_with_the_risk():
    assert find_level(2, 1, 0.05) == pytest.approx(
        np.log(405.5 * 2 / 0.05) + np.log(np.log(405.5 * 2 / 0.05))
    )
    assert find_level(2, 9, 0.05) > find_level(2, 1, 0.05) > find_level(1, 1, 0.05)
    assert find_level(2, 1, 0.5) < find_level(2, 1, 0.05)


def draw_from(precision, rng):
    """Draws of rules whose precision is known."""

    def draw(rule, count):
        return int((torch.rand(count, generator=rng) < precision(rule)).sum())

    return draw


def test_the_anchor_is_the_shortest_rule_that_is_precise_enough(rng):
    """Regions 1 and 4 together decide; every rule is tried by hand."""

    def precision(rule):
        return 1.0 if {1, 4} <= rule else 0.8 if rule & {1, 4} else 0.4

    found = find_anchor(6, draw_from(precision, rng), QUICK)
    sure = [
        frozenset(rule)
        for length in range(4)
        for rule in itertools.combinations(range(6), length)
        if precision(frozenset(rule)) > QUICK.precision
    ]
    assert found.rule == sure[0]
    assert found.precision == 1.0
    assert found.bound > 0.95
    assert found.drawn > 0


def test_of_two_anchors_of_one_length_the_more_precise_is_taken(rng):
    found = find_anchor(3, draw_from(lambda rule: 1.0 if 2 in rule else 0.985, rng), QUICK)
    assert found.rule == {2}


def test_without_a_precise_rule_there_is_no_anchor(rng):
    plan = replace(QUICK, longest=2)
    assert find_anchor(4, draw_from(lambda rule: 0.9 + 0.02 * len(rule), rng), plan) is None


def test_the_best_rules_are_picked_with_most_draws_where_it_is_close(rng):
    precision = {frozenset({i}): share for i, share in enumerate((0.2, 0.95, 0.9, 0.55, 0.5))}
    tallies = {rule: Tally() for rule in precision}
    plan = replace(QUICK, beam=2, tolerance=0.05)
    best = pick_best(tallies, draw_from(precision.get, rng), plan)
    assert set(best) == {frozenset({1}), frozenset({2})}
    drawn = [tallies[rule].drawn for rule in precision]
    assert drawn[0] < drawn[3]
    assert drawn[0] < drawn[2]


def test_a_rule_is_drawn_until_it_is_settled(rng):
    rule = frozenset({0})
    for share, sign in ((0.999, 1), (0.6, -1)):
        tally = Tally()
        bound = settle_rule(tally, rule, draw_from(lambda _, share=share: share, rng), 5, QUICK)
        assert (bound > QUICK.precision) == (sign > 0)
        assert tally.drawn < QUICK.most
    tally = Tally()
    settle_rule(tally, rule, draw_from(lambda _: 0.95, rng), 5, replace(QUICK, most=200))
    assert tally.drawn == 200


def test_variants_keep_the_rule_and_half_of_the_rest(rng):
    image = torch.ones(1, 4, 4)
    numbers = torch.arange(4).view(2, 2).repeat_interleave(2, 0).repeat_interleave(2, 1)
    others = torch.zeros(3, 1, 4, 4)
    found = draw_variants(image, numbers, frozenset({2}), others, 4000, rng)
    assert float(found[:, 0, 2:, :2].min()) == 1
    for rows, columns in ((slice(0, 2), slice(0, 2)), (slice(2, 4), slice(2, 4))):
        region = found[:, 0, rows, columns].flatten(1)
        assert torch.equal(region.amin(1), region.amax(1))
        assert float(region.mean()) == pytest.approx(0.5, abs=0.03)
    mixed = draw_variants(image, numbers, frozenset(), torch.rand(9, 1, 4, 4), 5, rng)
    assert len(mixed.flatten(1).unique(dim=0)) == 5


def test_precision_is_exact_where_it_can_be_counted(rng):
    """The answer stays exactly where region 0 does: 1/2 of all variants, all with the rule."""
    weights = torch.zeros(2, 4, 4)
    weights[1, :2, :2] = 1
    weights[0, 3, 3] = 0.5
    model, image = make_linear_model(weights), torch.ones(1, 4, 4)
    regions = cut_regions(torch.ones(1, 1, 8, 8))
    assert int(regions.counts[0]) == 16
    numbers = torch.arange(4).view(2, 2).repeat_interleave(2, 0).repeat_interleave(2, 1)
    others = torch.zeros(1, 1, 4, 4)
    draw = draw_kept(model, image, numbers, others, rng)
    assert draw(frozenset({0}), 300) == 300
    assert draw(frozenset({1}), 4000) / 4000 == pytest.approx(0.5, abs=0.03)
    assert find_anchor(4, draw, QUICK).rule == {0}


def test_numbers_of_regions_are_read_off_a_map(rng):
    images = torch.rand(2, 1, 8, 8, generator=rng)
    regions = cut_regions(images)
    values = torch.randn(2, 16, generator=rng)
    maps = values.gather(1, regions.numbers.flatten(1)).view(2, 1, 8, 8).expand(-1, 2, -1, -1) / 2
    assert_close(read_regions(maps, regions), values)
    assert top_rule(values[0], 2) == set(values[0].topk(2).indices.tolist())


def test_the_score_is_the_probability_of_the_answer(rng):
    model = make_linear_model(torch.randn(3, 4, 4, generator=rng))
    images = torch.rand(2, 1, 4, 4, generator=rng)
    score = score_answers(model, images)
    assert_close(score(images), model(images).softmax(1).amax(1))
    assert_close(
        score.take(torch.tensor([1]))(images[:1]),
        model(images[:1]).softmax(1)[:, model(images[1:]).argmax()],
    )


def test_agreement_is_the_mean_correlation(rng):
    values = torch.randn(3, 2, 6, generator=rng)
    pairs = [
        np.corrcoef(values[one, image], values[two, image])[0, 1]
        for one, two in ((0, 1), (0, 2), (1, 2))
        for image in range(2)
    ]
    assert measure_agreement(values) == pytest.approx(np.mean(pairs))
    items = [
        {"image": 0, "rule": [1, 2]},
        {"image": 0, "rule": [2, 3]},
        {"image": 1, "rule": [4]},
        {"image": 1, "rule": None},
    ]
    assert agree_by_image(items, "rule") == pytest.approx(1 / 3)
    assert agree_by_image(items[2:], "rule") is None


def test_a_line_recovers_a_linear_network_and_a_tree_a_threshold(rng):
    rows = torch.rand(200, 5, generator=rng).double().numpy()
    told = rows @ np.arange(15).reshape(5, 3)
    line = fit_line(Lesson(rows, told))
    expected = LinearRegression().fit(rows, told)
    assert np.abs(line.predict(rows) - expected.predict(rows)).max() < 1
    teacher = told.argmax(1)
    labels = teacher.copy()
    labels[:10] = (labels[:10] + 1) % 3
    found = measure_student(line, rows, teacher, labels)
    assert found["fidelity"] > 0.97
    assert found["accuracy"] == pytest.approx(np.mean(line.predict(rows).argmax(1) == labels))
    tree = grow_tree(Lesson(rows, (rows[:, 2] > 0.5).astype(int)), 0)
    assert tree.get_n_leaves() == 2
    assert measure_student(tree, rows, tree.predict(rows), tree.predict(rows)) == {
        "fidelity": 1.0,
        "accuracy": 1.0,
        "on mistakes": None,
    }


def test_more_images_are_pairs_of_those_that_are_known(rng):
    images = torch.rand(6, 1, 3, 3, generator=rng)
    found = ask_more(images, 2, rng)
    assert torch.equal(found[:6], images)
    flat = images.flatten(1).numpy()
    pairs = [flat[[one, two]].T for one, two in itertools.combinations(range(6), 2)]
    for made in found[6:].flatten(1).numpy():
        rests = [np.linalg.lstsq(pair, made, rcond=None)[1].sum() for pair in pairs]
        assert min(rests) < 1e-8


def test_the_exemplar_is_the_nearest_image_of_the_class():
    """Two classes of one pixel, with the border at 1/2, and a manifold that is the square."""
    weights = torch.tensor([[[0.0]], [[1.0]]])
    model = make_linear_model(weights)
    with torch.no_grad():
        model.head.classifier.weight.mul_(40)
        model.head.classifier.bias.copy_(torch.tensor([0.0, -20.0]))
    images = torch.full((1, 1, 1, 1), 0.2)
    plan = ExemplarPlan(300, rate=0.01, weight=1.0)
    found = search_exemplars(model, images, torch.tensor([1]), images, in_pixels, plan)
    assert found.found.tolist() == [True]
    assert 0.5 <= float(found.images) < 0.53
    start = torch.full((1, 1), 0.2**0.5)
    curved = search_exemplars(
        model, images, torch.tensor([1]), start, lambda z: z.square().view(-1, 1, 1, 1), plan
    )
    assert 0.5 <= float(curved.images) < 0.53
    short = search_exemplars(
        model, images, torch.tensor([1]), images, in_pixels, replace(plan, steps=2)
    )
    assert short.found.tolist() == [False]
    assert float(short.images) == pytest.approx(0.22, abs=1e-3)  # the last, two steps on


def test_a_rule_shades_what_it_says_nothing_about():
    image = torch.full((1, 2, 2), 9, dtype=torch.uint8)
    shown = keep_regions(image, torch.tensor([[0, 1], [2, 3]]), [1])
    assert shown[:, 0, 1].tolist() == [9, 9, 9]
    assert shown[:, 1, 1].tolist() == list(HIDDEN_SHADE)


def make_surrogate_part(*, precision=0.99, lime=0.7, tree=0.8, real=1.0, second=0.6):
    anchors = [
        {
            "image": 0,
            "rule": [1, 2],
            "LIME": [0, 1],
            "without": 0.4,
            "precision": {"anchor": precision, "LIME": lime, "random": 0.5},
        },
        {"image": 1, "rule": None, "without": 0.2},
    ]
    told = ("labels", "answers", "answers to more images")
    students = {
        f"{kind} that learnt {one}": {
            "fidelity": 0.7 if one == "labels" else tree if kind == "tree" else 0.9,
            "accuracy": 0.7,
            "on mistakes": None,
        }
        for one in told
        for kind in ("tree", "line")
    }
    kinds = {
        "xGEM, on the manifold": {"found": 1.0, "to real": real, "second agrees": second},
        "the same search in pixels": {"found": 1.0, "to real": 2.0, "second agrees": 0.1},
    }
    rules = {
        "anchors": anchors,
        "same anchors": 0.5,
        "same LIME": None,
        "lines agree": {"100": 0.8},
        "pictures": [],
    }
    return {
        "rules": rules,
        "students": {"network": 0.9, **students},
        "exemplars": {"kinds": kinds, "pictures": []},
    }


@pytest.mark.parametrize(
    ("changed", "won"),
    [
        ({}, "All 3 parts of the claim held: rules, students, exemplars."),
        (
            {"precision": 0.9},
            "2 of 3 parts of the claim held: students, exemplars; not held: rules.",
        ),
        ({"lime": 0.995}, "2 of 3 parts of the claim held: students, exemplars; not held: rules."),
        ({"tree": 0.6}, "2 of 3 parts of the claim held: rules, exemplars; not held: students."),
        ({"real": 2.5}, "2 of 3 parts of the claim held: rules, students; not held: exemplars."),
        ({"second": 0.05}, "2 of 3 parts of the claim held: rules, students; not held: exemplars."),
    ],
)
def test_every_part_of_the_claim_is_judged_by_its_numbers(changed, won):
    holds, verdict = judge_surrogates([make_surrogate_part(**changed)])
    assert verdict.startswith(won)
    assert holds == (not changed)


def test_rows_of_rules_are_means_and_coverage_is_counted():
    parts = [make_surrogate_part(), make_surrogate_part(precision=0.97)]
    named = {
        row[0]: dict(zip(COLUMNS_OF_SURROGATES, row, strict=True)) for row in rows_of_rules(parts)
    }
    assert named["no rule"]["precision"] == 0.3
    assert named["rule: anchor"]["precision"] == 0.98
    assert named["rule: anchor"]["coverage"] == 0.25
    assert named["rule: anchor"]["found"] == 0.5
    assert named["rule: anchor"]["same again"] == 0.5
    assert named["rule: as many regions, LIME"]["precision"] == 0.7
    assert named["LIME's numbers, 100 variants"]["same again"] == 0.8


def test_a_small_study_is_whole_and_goes_on(tmp_path, monkeypatch):
    def find(network, images, *_, **__):
        return images, torch.ones(len(images), dtype=torch.bool)

    def walk(network, vae, codes, *_, **__):
        return SimpleNamespace(codes=codes, found=torch.ones(len(codes), dtype=torch.bool))

    monkeypatch.setattr("whence.studies.surrogates.compare.search_exemplars", find)
    monkeypatch.setattr("whence.studies.surrogates.compare.morph_codes", walk)
    draw = torch.Generator().manual_seed(0)
    patterns = torch.rand(3, 1, 8, 8, generator=draw)

    def make(total):
        labels = torch.arange(total) % 3
        noise = 0.2 * torch.rand(total, 1, 8, 8, generator=draw)
        return ImageSet(((0.8 * patterns[labels] + noise) * 255).byte(), labels, ("a", "b", "c"))

    data = Dataset("shapes", make(90), make(30))
    sizes = SurrogateSizes("small_cnn", 90, 2, 1, 4, 20, 2, 1, 2, 1, 50, 1, 1)
    request = StudyRequest(out=tmp_path)
    found = try_surrogates(data, request, sizes)
    assert [figure.name for figure in found.figures] == ["rules", "exemplars"]
    judged = {row[0] for row in found.rows}
    assert judged > {"no rule", "the network", "tree that learnt labels"}
    assert judged > {"exemplar: morph of the package", "LIME's numbers, 400 variants"}
    real = dict(zip(found.columns, found.rows[-1], strict=True))
    assert real["what is judged"] == "real test images of the class"
    assert real["to real"] > 0
    assert 0 <= real["second agrees"] <= 1
    assert real["found"] is real["change"] is None
    path = tmp_path / "surrogates-parts" / "students-0.json"
    kept = json.loads(path.read_text())
    kept["found"]["network"] = 0.123
    path.write_text(json.dumps(kept))
    again = try_surrogates(data, request, sizes)
    named = {row[0]: row for row in again.rows}
    assert named["the network"][5] == 0.123
    assert to_float(data.test.images).dtype == torch.float32
