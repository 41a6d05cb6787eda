"""Methods on a bench: what measures are given, summaries with intervals, and hidden patches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import draw_asked_and_stored, make
from whence.attribution.refills import find_refill
from whence.gather.faithful import keep_first, make_bench
from whence.gather.faithfulness_table import beats, summarise_cell, summarise_cells
from whence.gather.in_domain import hide_patches, learn_hidden_patches, measure_patches
from whence.metrics.bootstrap import bootstrap_mean
from whence.metrics.faithfulness_measure import find_measure
from whence.models.wrap import wrap
from whence.records.faithfulness import FaithfulnessCell, MeasureFacts
from whence.records.images import ImageSet
from whence.report.faithfulness_page import write_cell
from whence.seeds import make_generator

FACTS = MeasureFacts("deletion", "lower", "How much.", "random", None)


@pytest.fixture
def bench():
    images, stored = draw_asked_and_stored()
    model = make().remember(stored)
    refill = find_refill("black", model.image_shape, make_generator(0))
    return make_bench(model, images, refill, seed=0, batch_size=2)


def test_a_bench_answers_and_explains_as_the_model_does(bench):
    model, images = bench.model, bench.images
    assert torch.equal(bench.classes, model(images).argmax(1))
    rows = torch.tensor([2, 0, 2, 1, 1])
    assert_close(bench.logits(bench.pixels[rows], rows), model(images)[rows].detach())
    found = bench.explain("integrated_gradients", {"baseline": "black", "unknown": 3})
    expected = whence.attribute(model, images, baseline="black")
    assert_close(found.relevance, expected.images.sum(1))
    assert_close(found.ledger["unexplained"], expected.ledger["unexplained"])
    assert found.kept is bench.kept
    with pytest.raises(ValueError, match=r"untrained needs the network before training\."):
        bench.explain("untrained", {})


def test_a_control_is_another_networks_map_for_the_same_classes(bench):
    other = make(spread=2.0).remember(draw_asked_and_stored()[1])
    found = replace(bench, untrained=other).explain("untrained", {})
    expected = whence.attribute(other, bench.images, target=bench.classes).images.sum(1)
    assert_close(found.relevance, expected)
    assert found.explain is None
    assert found.ledger is None


def test_the_first_images_are_measured_as_they_are_among_all(bench):
    whole = bench.explain("gradient", {})
    some = keep_first(whole, 2)
    measure = find_measure("deletion")
    all_values = measure(whole, generator=make_generator(0)).values
    assert_close(measure(some, generator=make_generator(0)).values, all_values[:2])
    sensitivity = find_measure("max_sensitivity")
    found = sensitivity(some, generator=make_generator(0), samples=2).values
    all_found = sensitivity(whole, generator=make_generator(0), samples=2).values
    assert_close(found, all_found[:2], rtol=1e-6, atol=0)
    assert some.kept is not whole.kept


def test_a_mean_has_an_interval_like_that_of_the_normal_distribution():
    values = torch.randn(400, generator=make_generator(1), dtype=torch.float64) + 3
    found = bootstrap_mean(values, make_generator(0))
    error = float(values.std() / 20)
    assert found.mean == pytest.approx(float(values.mean()))
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.15 * error)


def test_a_control_is_beaten_image_by_image():
    control = torch.linspace(0, 10, 20, dtype=torch.float64)
    assert beats(control - 0.1, control, True, 0)
    assert not beats(control - 0.1, control, False, 0)
    assert not beats(control, control, True, 0)
    unknown = control * torch.nan
    assert beats(unknown, control, True, 0) is None
    some = torch.cat([control[:10] - 0.1, unknown[10:]])
    assert beats(some, control, True, 0)


def cell(*values, refused="", curve=None):
    return FaithfulnessCell(values, curve, refused)


def test_a_summary_leaves_out_images_without_a_number():
    found = summarise_cell(cell(0.2, None, 0.4), cell(0.5, 0.5, 0.6), FACTS, "gradient", 0)
    assert (found.mean, found.images, found.passes) == (pytest.approx(0.3), 2, True)
    assert found.looked_at == 3
    assert " of 2" in write_cell(found)
    assert " of " not in write_cell(summarise_cell(cell(0.2, 0.4), None, FACTS, "gradient", 0))
    for own in (cell(None, None, None), cell(refused="no graph")):
        empty = summarise_cell(own, cell(0.5, 0.5, 0.6), FACTS, "gradient", 0)
        assert (empty.mean, empty.images, empty.passes) == (None, 0, None)
        assert empty.refused == own.refused
    limited = replace(FACTS, control="", limit=0.35)
    assert summarise_cell(cell(0.2, 0.4), None, limited, "gradient", 0).passes is True
    assert summarise_cell(cell(0.4, 0.4), None, limited, "gradient", 0).passes is False
    assert summarise_cell(cell(0.4, 0.4), None, limited, "random", 0).passes is None


def test_a_table_names_what_fails_but_no_control():
    cells = {
        ("gradient", "deletion"): cell(0.5, 0.7),
        ("occlusion", "deletion"): cell(0.1, 0.2),
        ("random", "deletion"): cell(0.4, 0.6, curve=(1.0, 0.5)),
    }
    found = summarise_cells(
        cells,
        ["random", "gradient", "occlusion"],
        ["deletion"],
        images=2,
        again=1,
        refill="black",
        seed=0,
    )
    assert found.methods == ("gradient", "occlusion", "random")
    assert found.controls == ("random",)
    assert found.list_failures() == {"deletion": ("gradient",)}
    assert found.cells["random", "deletion"].curve == (1.0, 0.5)


def make_striped(total):
    """Two classes of 8 x 8 images: stripes across, and down."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 80, (total, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(total) % 2
    images[labels == 0, :, ::2] += 150
    images[labels == 1, :, :, ::2] += 150
    return ImageSet(torch.from_numpy(images), torch.from_numpy(labels), ("across", "down"))


def test_one_patch_of_every_image_is_hidden():
    images = make_striped(60).images + 1
    hidden = hide_patches(images, make_generator(0)) == 0
    assert hidden.sum((1, 2, 3)).tolist() == [4] * 60
    assert len({tuple(one.nonzero()[0].tolist()) for one in hidden}) > 10


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_a_copy_learns_with_hidden_patches(variant):
    torch.manual_seed(0)
    train = make_striped(320)
    model = wrap("small_cnn", train.class_names, variant=variant, image_shape=(1, 8, 8)).eval()
    if model.has_memory:
        model.remember(train.images[:8], train.labels[:8])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learner = learn_hidden_patches(model, train, seed=0, batch_size=50, memory_size=8)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    found = measure_patches(learner, train, seed=1, batch_size=50)
    assert found.whole > 0.8
    assert found.hidden > 0.8
    if model.has_memory:
        assert torch.equal(learner.checked_bank().indices, model.bank.indices)
        assert learner(train.images[:2]).shape == (2, 2)


def test_intervals_are_the_same_however_many_numbers_are_held_at_once(monkeypatch):
    values = torch.arange(40.0).square()
    whole = bootstrap_mean(values, make_generator(3))
    monkeypatch.setattr("whence.metrics.bootstrap.NUMBERS_AT_ONCE", 150)
    assert bootstrap_mean(values, make_generator(3)) == whole
    assert whole.low < whole.mean < whole.high
