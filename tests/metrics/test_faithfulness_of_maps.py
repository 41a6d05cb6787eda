"""Measures of faithfulness against captum, and on relevance that is not exact."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as infidelity_of_captum
from captum.metrics import sensitivity_max
from torch.testing import assert_close

from tests.helpers.faithful import Linear, black_out, make_linear_case, seeded
from whence.metrics.attributed import Attributed
from whence.metrics.correlation import correlate_ranks, correlate_rows
from whence.metrics.faithfulness.idsds import cut_patches
from whence.metrics.faithfulness.infidelity import draw_squares
from whence.metrics.faithfulness.sensitivity_n import choose_sizes, draw_subsets
from whence.metrics.faithfulness_measure import find_measure
from whence.metrics.noisy_filling import noisy_filling, solve_hidden, weigh_neighbours
from whence.metrics.pixel_order import order_pixels


def curved(case):
    """The same images on scores that are not linear."""

    def logits(variants, rows):
        return case.logits(variants, rows).sin() * 3 + case.logits(variants, rows)

    return replace(case, logits=logits, explain=None, in_domain=None, kept={})


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_is_that_of_captum(scaled):
    case = curved(make_linear_case(exact=False))
    found = find_measure("infidelity")(case, generator=seeded(), squares=30, scaled=scaled)
    squares = draw_squares(30, 5, 4, seeded()).double()[:, None]

    def perturb(images):  # captum repeats each image for all of its squares
        marks = squares.repeat(len(images) // 30, 2, 1, 1)
        return marks, images * (1 - marks)

    expected = infidelity_of_captum(
        lambda images: case.logits(images, torch.zeros(len(images))),
        perturb,
        case.images,
        case.relevance[:, None] * torch.tensor([1.0, 0.0], dtype=torch.float64).view(2, 1, 1),
        target=case.classes,
        n_perturb_samples=30,
        normalize=scaled,
    )
    assert_close(found.values, expected, rtol=0, atol=1e-9)
    assert float(found.values.min()) > 0.01


def test_squares_lie_inside_and_have_every_size():
    squares = draw_squares(500, 7, 6, seeded())
    down, across = squares.any(2).sum(1), squares.any(1).sum(1)
    assert_close(down, across)
    assert_close(squares.sum((1, 2)), down * across)
    assert set(down.tolist()) == {1, 2, 3}
    assert bool(squares.any(0).all())


def test_max_sensitivity_is_that_of_captum():
    case = make_linear_case()
    case = replace(case, images=case.images * 0.9 + 0.05)  # nothing is clipped
    case = replace(case, relevance=case.explain(case.images, case.rows))
    found = find_measure("max_sensitivity")(case, generator=seeded(), samples=4)
    rng, shape = seeded(), case.images.shape[1:]
    changes = torch.stack([(2 * torch.rand(shape, generator=rng) - 1) * 0.02 for _ in range(4)])

    def explain(inputs):
        images = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
        rows = case.rows.repeat_interleave(len(images) // 5)
        return (case.explain(images, rows)[:, None],)

    expected = sensitivity_max(
        explain,
        case.images,
        perturb_func=lambda images: images + changes.repeat(5, 1, 1, 1),
        n_perturb_samples=4,
    )
    assert_close(found.values, expected.double(), rtol=0, atol=1e-9)


def test_filling_adds_noise_to_hidden_pixels_alone():
    case = make_linear_case()
    hidden = torch.rand(case.relevance.shape, generator=seeded(2)) < 0.5
    one, same = (noisy_filling(case, seeded())(case.images, hidden) for _ in "ab")
    other = noisy_filling(case, seeded(6))(case.images, hidden)
    assert torch.equal(one, same)
    changed = (one != other).any(1)
    assert torch.equal(changed, hidden)
    assert float((one - other).abs().max()) < 0.08
    weights = weigh_neighbours(5, 4)
    assert_close(torch.from_numpy(weights.sum(1)).view(5, 4)[1:-1, 1:-1], torch.ones(3, 2).double())
    with pytest.raises(ValueError, match=r"hidden must leave at least one pixel"):
        solve_hidden(case.images[0], torch.ones(5, 4, dtype=torch.bool), weights)
    nothing = solve_hidden(case.images[0], torch.zeros(5, 4, dtype=torch.bool), weights)
    assert torch.equal(nothing, case.images[0])


def test_sensitivity_n_is_a_correlation_over_sets_of_a_size():
    case = curved(make_linear_case(exact=False))
    found, rng = find_measure("sensitivity_n")(case, generator=seeded(), subsets=9), seeded()
    assert found.curve.shape == (5, len(choose_sizes(20)))
    for place, size in enumerate(choose_sizes(20)):
        sets = draw_subsets(9, size, 20, rng)
        assert sets.sum(1).tolist() == [size] * 9
        for row in range(5):
            falls, sums = [], []
            for one in sets:
                image = black_out(case.images[[row]], one.view(1, 5, 4))
                fall = case.logits(case.images[[row]], case.rows[[row]]) - case.logits(
                    image, case.rows[[row]]
                )
                falls.append(float(fall[0, case.classes[row]]))
                sums.append(float(case.relevance[row].flatten()[one].sum()))
            expected = np.corrcoef(falls, sums)[0, 1]
            assert float(found.curve[row, place]) == pytest.approx(expected, abs=1e-10)
    assert_close(found.values, found.curve.mean(1))


def test_maps_without_a_difference_are_not_correlated():
    rows = torch.tensor([[0.3] * 4, [1.0, 2.0, 2.0, 5.0]], dtype=torch.float64)
    other = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 3.0, 1.0]], dtype=torch.float64)
    for correlation in (correlate_rows, correlate_ranks):
        found = correlation(rows, other)
        assert found.isnan().tolist() == [True, False]
    assert float(correlate_ranks(rows, other)[1]) == pytest.approx(-1)
    assert float(correlate_rows(rows, other)[1]) == pytest.approx(
        np.corrcoef(rows[1], other[1])[0, 1]
    )
    flat = replace(make_linear_case(), relevance=torch.zeros(5, 5, 4, dtype=torch.float64))
    for name in ("sensitivity_n", "idsds", "mprt", "emprt", "random_logit", "max_sensitivity"):
        measure = find_measure(name)
        case = replace(flat, in_domain=flat)
        found = measure(case, **({"generator": seeded()} if measure.draws else {}))
        assert bool(found.values.isnan().all()), name
    for name in ("trigger_mass", "unexplained"):
        assert bool(find_measure(name)(flat).values.isfinite().all())


@dataclass(frozen=True, eq=False)
class Silenced(Linear):
    """Another class, and randomised copies, have maps of one number for the first image."""

    level: float = 0.0

    def __call__(self, images, rows):
        maps = super().__call__(images, rows)
        return maps.where(rows[:, None, None] > 0, self.level * images[:, :1, :1, 0])

    def toward(self, classes):
        return replace(self, classes=classes)

    def cascade(self):
        return iter([("all", self)])


@pytest.mark.parametrize("level", [0.0, 0.3])
@pytest.mark.parametrize("name", ["mprt", "smprt", "emprt", "random_logit"])
def test_an_image_whose_other_map_is_one_number_has_none(name, level):
    case, measure = make_linear_case(), find_measure(name)
    silent = Silenced(case.explain.weights, case.classes, level)
    drawn = {"generator": seeded()} if measure.draws else {}
    found = measure(replace(case, explain=silent), **drawn)
    assert found.values.isnan().tolist() == [True, False, False, False, False]


def test_equal_pixels_come_in_an_order_that_all_images_share():
    relevance = torch.zeros(2, 3, 4)
    relevance[:, 1, 2] = 1
    one, other = (order_pixels(relevance, seeded(seed)) for seed in (0, 1))
    assert torch.equal(one[0], one[1])
    assert one[0, 0] == other[0, 0] == 6
    assert not torch.equal(one, other)
    assert sorted(one[0].tolist()) == list(range(12))


def test_inserting_is_deleting_the_least_relevant_backwards():
    case = make_linear_case(exact=False)
    shown = find_measure("insertion")(case, generator=seeded()).curve
    turned = replace(case, relevance=-case.relevance)
    hidden = find_measure("deletion")(turned, generator=seeded()).curve
    assert_close(shown.flip(1), hidden, rtol=0, atol=1e-12)


def test_a_flip_can_wait_for_one_class_and_one_that_never_comes_is_all_pixels():
    case = make_linear_case()
    measure = find_measure("class_flip")
    either = measure(case, generator=seeded()).values
    each = torch.stack([measure(case, generator=seeded(), other=one).values for one in range(3)])
    each[case.classes, torch.arange(5)] = 1
    assert_close(each.amin(0), either)
    stays = replace(case, logits=lambda variants, rows: torch.eye(3)[case.classes[rows]])
    assert measure(stays, generator=seeded()).values.tolist() == [1] * 5
    with pytest.raises(ValueError, match=r"other must be in 0 to 2, got 3\."):
        measure(case, generator=seeded(), other=3)


def test_patches_divide_an_image():
    patches = cut_patches(5, 9, 2)
    assert patches.shape == (4, 5, 9)
    assert torch.equal(patches.sum(0), torch.ones(5, 9, dtype=torch.int64))
    assert sorted(patches.sum((1, 2)).tolist()) == [8, 10, 12, 15]
    with pytest.raises(ValueError, match=r"grid must be in 1 to 5, got 6\."):
        cut_patches(5, 9, 6)


def test_exact_relevance_of_a_linear_score_has_the_best_idsds():
    assert_close(find_measure("idsds")(make_linear_case()).values, torch.ones(5).double())


def test_what_does_not_fit_is_refused():
    case = make_linear_case()

    def put(**other):
        return replace(case, **other)

    with pytest.raises(ValueError, match=r"relevance must be \(B, H, W\) with B=5"):
        put(relevance=case.relevance[:2])
    with pytest.raises(ValueError, match=r"classes must be \(B\) with B=5"):
        put(classes=case.classes[:2])
    with pytest.raises(ValueError, match=r"truth must be \(B, H, W\) with B=5"):
        put(truth=case.truth[:2])
    with pytest.raises(ValueError, match=r"relevance must be finite"):
        put(relevance=case.relevance / 0)
    empty = put(truth=torch.zeros_like(case.truth))
    with pytest.raises(ValueError, match=r"truth must mark at least one pixel of every image"):
        find_measure("trigger_mass")(empty)
    one = Attributed(
        case.images, case.relevance, case.classes * 0, lambda v, r: v[:, 0, 0, :1], black_out
    )
    with pytest.raises(ValueError, match=r"logits must be of at least 2 classes, got 1\."):
        find_measure("random_logit")(replace(one, explain=case.explain), generator=seeded())


def test_what_does_not_depend_on_relevance_is_computed_once():
    known_case, asked = make_linear_case(), []

    def logits(variants, rows):
        asked.append(len(variants))
        return known_case.logits(variants, rows)

    case = replace(known_case, logits=logits)
    measure = find_measure("sensitivity_n")
    first = measure(case, generator=seeded())
    known = len(asked)
    measure(replace(case, relevance=-case.relevance), generator=seeded())
    assert len(asked) == known
    other = measure(case, generator=seeded(6))
    assert len(asked) == 2 * known
    assert_close(first.values, other.values)  # both 1, from other sets
