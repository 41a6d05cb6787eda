"""Surrogates: students, exemplars and what the numbers say."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch.testing import assert_close

from tests.helpers.study_images import draw_shapes, make_linear_model
from whence.data.augment import to_float
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.teachers import FULL_SURROGATES, LARGER_SURROGATES, SurrogateSizes
from whence.studies.surrogates.compare import agree_by_image
from whence.studies.surrogates.exemplars import ExemplarPlan, in_pixels, search_exemplars
from whence.studies.surrogates.page import HIDDEN_SHADE, keep_regions
from whence.studies.surrogates.region_variants import (
    cut_regions,
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
    surrogates,
    try_surrogates,
)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(7)


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
        "lines agree": {"1600": 0.8},
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


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("students", "line that learnt labels", "fidelity"), "Not every student was taught."),
        (("exemplars", "kinds", "xGEM, on the manifold", "to real"), "No image was changed by "),
        (
            ("exemplars", "kinds", "the same search in pixels", "second agrees"),
            "No image was changed by every way.",
        ),
    ],
)
def test_a_missing_number_is_no_zero(keys, told):
    missing = make_surrogate_part()
    *above, last = keys
    place = missing
    for name in above:
        place = place[name]
    place[last] = None
    others = dict(make_surrogate_part(), rules=missing["rules"] | {"anchors": []})
    assert judge_surrogates([others, missing]) == judge_surrogates([make_surrogate_part()])
    holds, verdict = judge_surrogates([missing])
    assert not holds
    assert verdict.startswith("2 of 3 parts of the claim held: ")
    assert told in verdict


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
    assert named["LIME's numbers, 1,600 variants"]["same again"] == 0.8


def test_a_small_study_is_whole_and_goes_on(tmp_path, monkeypatch):
    def find(network, images, *_, **__):
        return images, torch.ones(len(images), dtype=torch.bool)

    def walk(network, vae, codes, *_, **__):
        return SimpleNamespace(codes=codes, found=torch.ones(len(codes), dtype=torch.bool))

    monkeypatch.setattr("whence.studies.surrogates.compare.search_exemplars", find)
    monkeypatch.setattr("whence.studies.surrogates.compare.morph_codes", walk)
    data = draw_shapes(8, 8, 90, 30)
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


@pytest.mark.parametrize(
    ("side", "full", "sizes"),
    [
        (16, False, SurrogateSizes()),
        (17, False, LARGER_SURROGATES),
        (17, True, FULL_SURROGATES),
    ],
)
def test_with_larger_images_less_is_done(monkeypatch, side, full, sizes):
    data = draw_shapes(side, 18, 6, 6)
    monkeypatch.setattr("whence.studies.surrogates.study.load_subject", lambda _: data)
    monkeypatch.setattr("whence.studies.surrogates.study.try_surrogates", lambda *asked: asked[2])
    assert surrogates(StudyRequest(full=full)) == sizes
