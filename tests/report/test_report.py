"""The run as a whole: what is gathered from a model, and the page made of it."""

import json
import re
from dataclasses import replace

import pytest
import torch
from scipy.stats import binomtest

import whence
from tests.helpers.explaining import CLASSES as NAMES
from tests.helpers.explaining import build, build_with_memory, draw_images
from tests.helpers.pages import CLASSES, ORIGIN, answer, explanation, picture
from tests.report.test_page import Page
from whence.cli import main
from whence.evidence.evaluate import evaluate
from whence.evidence.judge import judge
from whence.evidence.suspicious import find_suspicious
from whence.gather.overview import (
    DRAWN,
    FIRST,
    POINTS,
    Use,
    add_use,
    choose_hard,
    confuse,
    describe_use,
    gather_overview,
    list_suspicious,
    name_doubts,
    read_all,
    trace_curve,
)
from whence.gather.overview_json import to_json
from whence.metrics import SIGNALS
from whence.metrics.evidence import MEASURES
from whence.models.using import encode_all
from whence.records.explained import Stored
from whence.records.images import ImageSet
from whence.records.measures import (
    Calibration,
    Evaluation,
    EvidenceMeasures,
    FlagQuality,
    Suspicion,
)
from whence.records.overview import Curve, Hard, Made, MemoryUse, Overview, Used
from whence.report.confusion import LARGEST, mix, say_pairs, shade
from whence.report.curve import STYLES, choose_grid, plot
from whence.report.numbers import percent
from whence.report.overview_page import interval, render_overview, say_head, use_strip
from whence.report.trust import (
    ABSENT,
    SIGNAL_NAMES,
    lay_out_evidence,
    lay_out_signals,
    say_doubt,
    say_evidence,
)

MADE = Made("pets", "pets", "memory-wrap", "small_cnn", 200, 5, drawn=6, draw_batch=9)
CALIBRATION = Calibration(("softmax", "support"), (0.0, 1.0), (1.0, 2.0), (0.7, -0.4), -0.5, 50, 9)


def draw_set(count=41):
    labels = torch.randint(0, 3, (count,), generator=torch.Generator().manual_seed(4))
    return ImageSet(draw_images(count, seed=6), labels, NAMES)


# gathering


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_use_is_what_every_single_answer_says_of_its_evidence(variant):
    model, images = build_with_memory(variant=variant), draw_set()
    weights, wrong, answers = (dict.fromkeys(range(17), 0.0) for _ in range(3))
    misses = 0
    for image, label in zip(images.images, images.labels, strict=True):
        found = whence.predict(model, image[None])[0]
        missed = found.predicted != int(label)
        misses += missed
        for item in found.evidence:
            place = (item.index - 7) // 10
            weights[place] += item.weight
            wrong[place] += item.weight * missed
            answers[place] += 1
    assert 0 < misses < len(images)
    features = encode_all(model, images.images)
    for size in (1, 7, 64):
        readings = read_all(model, features, images.labels, batch_size=size)
        for found, expected in zip(readings.use, (weights, wrong, answers), strict=True):
            numbers = torch.tensor(list(expected.values()), dtype=torch.float64)
            torch.testing.assert_close(found.double(), numbers, rtol=1e-5, atol=1e-5)
        assert readings.predicted.tolist() == model(images.images).argmax(1).tolist()
        assert float(readings.use.weights.sum()) == pytest.approx(len(images))
        assert float(readings.use.wrong.sum()) == pytest.approx(misses)


def test_use_adds_up_by_hand_and_refuses_what_does_not_fit():
    nothing = Use(torch.zeros(3).double(), torch.zeros(3).double(), torch.zeros(3).long())
    weights = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.0, 0.5]])
    places = torch.arange(3).expand(2, 3)
    first = add_use(nothing, places, weights, torch.tensor([False, True]))
    assert first.weights.tolist() == [1.25, 0.25, 0.5]
    assert first.wrong.tolist() == [0.5, 0.0, 0.5]
    assert first.answers.tolist() == [2, 1, 1]
    moved = add_use(first, torch.tensor([[1, 2, 2]]), weights[:1], torch.tensor([True]))
    assert moved.wrong.tolist() == [0.5, 0.75, 0.75]
    assert moved.answers.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"places must be \(B, S\) with S=2, got shape \(1, 3\)"):
        add_use(first, places[:1], weights[:1, :2], torch.tensor([True]))
    with pytest.raises(ValueError, match=r"wrong must be \(B\) with B=2, got shape \(3,\)"):
        add_use(first, places, weights, torch.tensor([True, False, True]))


def test_the_most_used_images_are_ranked_ties_by_index():
    use = Use(
        torch.tensor([1.0, 4.0, 0.0, 1.0, 2.0]).double(),
        torch.tensor([0.5, 0.0, 0.0, 0.25, 2.0]).double(),
        torch.tensor([2, 5, 0, 1, 3]),
    )
    found = describe_use(use, [50, 40, 30, 20, 10], top=3)
    assert (found.size, found.unused) == (5, 1)
    assert found.half == 1
    assert [one.index for one in found.most] == [40, 10, 20]
    assert found.most[0] == Used(40, 4.0, 0.0, 5)
    assert [one.index for one in found.misleading] == [10, 50, 20]
    assert [one.wrong_share for one in found.misleading] == [1.0, 0.5, 0.25]
    assert Used(1, 0.0, 0.0, 0).wrong_share == 0.0
    assert len(describe_use(use, [1, 2, 3, 4, 5]).most) == 4  # never one without use


def test_ranking_looks_only_at_the_tensors_of_the_images_it_lists(monkeypatch, rng):
    """A look at one number of a tensor takes microseconds, and a million images are a million."""
    amounts = torch.randint(0, 5, (3, 300), generator=rng)
    use = Use(amounts[0].double(), amounts[1].double(), amounts[2])
    indices = torch.randperm(300, generator=rng).tolist()
    places = [place for place in range(300) if use.weights[place] > 0]
    places.sort(key=lambda place: (-float(use.weights[place]), indices[place]))
    looks, look = [], torch.Tensor.__getitem__
    monkeypatch.setattr(torch.Tensor, "__getitem__", lambda *given: looks.append(1) or look(*given))
    found = describe_use(use, indices, top=7)
    assert [one.index for one in found.most] == [indices[place] for place in places[:7]]
    assert len(looks) == 2 * 3 * 7


def test_half_of_the_weight_is_the_smallest_number_that_has_it():
    def half(*weights):
        column = torch.tensor(weights, dtype=torch.float64)
        return describe_use(Use(column, column, column.long()), range(len(weights))).half

    assert half(1, 1, 1, 1) == 2
    assert half(1, 1, 1, 1, 1) == 3
    assert half(5, 1, 1, 1) == 1
    assert half(0.1, 0.2, 0.3, 0.4, 0) == 2


def test_confusion_counts_pairs(rng):
    labels = torch.randint(0, 4, (60,), generator=rng)
    predicted = torch.randint(0, 3, (60,), generator=rng)
    found = confuse(labels, predicted, 5)
    expected = torch.zeros(5, 5, dtype=torch.int64)
    for truth, said in zip(labels.tolist(), predicted.tolist(), strict=True):
        expected[truth, said] += 1
    assert torch.equal(found, expected)
    assert not torch.equal(found, found.T)
    with pytest.raises(ValueError, match=r"predicted must be \(N\) with N=60, got shape \(59,\)"):
        confuse(labels, predicted[1:], 5)


def test_a_curve_is_the_error_rate_of_what_is_kept(rng):
    doubts = torch.rand(137, generator=rng)
    errors = torch.rand(137, generator=rng) < doubts
    curve = trace_curve("entropy", doubts, errors)
    assert curve.signal == "entropy"
    assert len(curve.coverages) == POINTS == 96
    assert curve.coverages[0] == FIRST
    assert curve.coverages[-1] == 1
    assert curve.coverages[45] == 0.5
    order = sorted(range(137), key=lambda row: float(doubts[row]))
    for share, risk in zip(curve.coverages, curve.risks, strict=True):
        kept = 0
        while kept < share * 137 - 1e-6:
            kept += 1
        wrong = sum(bool(errors[row]) for row in order[:kept])
        assert risk == pytest.approx(wrong / kept)
    assert curve.risks[0] < curve.risks[-1]


PREDICTED = torch.tensor([0, 1, 2, 0, 1, 2, 0])
TRUTHS = torch.tensor([0, 0, 2, 2, 1, 0, 0])  # 1, 3 and 5 are wrong
UNSURE = torch.tensor([0.1, 0.3, 0.6, 0.2, 0.5, 0.3, 0.6]).double()


def places(hard, errors=None):
    found = choose_hard(PREDICTED, TRUTHS, UNSURE, errors, hard=hard)
    return [(one.place, one.kind) for one in found]


def test_hard_cases_are_sure_errors_and_then_the_most_doubtful():
    assert places(4) == [(3, "sure"), (1, "sure"), (2, "doubtful"), (6, "doubtful")]
    assert places(3) == [(3, "sure"), (1, "sure"), (2, "doubtful")]
    assert places(1) == [(3, "sure")]
    assert places(0) == []
    assert [place for place, _ in places(99)] == [3, 1, 5, 2, 6, 4, 0]
    errors = torch.tensor([0.9, 0.8, 0.1, 0.7, 0.6, 0.2, 0.0])
    assert places(4, errors)[2:] == [(0, "doubtful"), (4, "doubtful")]  # 1 and 3 are there already
    assert len(places(7, errors)) == len(set(places(7, errors))) == 7
    with pytest.raises(ValueError, match=r"hard must be at least 0, got -1\."):
        places(-1)
    with pytest.raises(ValueError, match=r"errors must be \(N\) with N=7, got shape \(6,\)"):
        places(4, errors[1:])


def test_fewer_errors_leave_room_for_doubtful_answers():
    found = choose_hard(PREDICTED, PREDICTED, UNSURE, None, hard=3)
    assert [one.kind for one in found] == ["doubtful"] * 3
    one = choose_hard(PREDICTED, TRUTHS, UNSURE, UNSURE / 2, hard=1)[0]
    assert one == Hard(3, "sure", 2, 0, pytest.approx(0.8), pytest.approx(0.1))
    assert found[0].error_probability is None


@pytest.mark.parametrize("calibrated", [False, True])
def test_an_overview_agrees_with_single_answers(calibrated):
    model, images = build_with_memory(), draw_set()
    if calibrated:
        model.calibration = CALIBRATION
    found = gather_overview(model, images, MADE, hard=6, seed=3, batch_size=16)
    expected = evaluate(model, images, memory_size=6, seed=3, draw_batch=9, batch_size=16)
    assert found.evaluation == expected
    assert (
        found.evaluation.draws
        != gather_overview(model, images, MADE, seed=4, batch_size=16).evaluation.draws
    )
    assert int(found.confusion.trace()) == round(expected.whole_memory * 41)
    assert found.confusion.sum(1).tolist() == images.labels.bincount().tolist()
    drawn = [curve.signal for curve in found.curves]
    assert drawn == [name for name in DRAWN if calibrated or name != "error_probability"]
    for curve in found.curves:
        quality = expected.signals[curve.signal]
        for share, risk in zip(curve.coverages, curve.risks, strict=True):
            if share in quality.risk_coverage:
                assert risk == pytest.approx(quality.risk_coverage[share])
    assert found.suspicious == find_suspicious(model, batch_size=16)
    assert found.class_names == NAMES
    assert len(found.hard) == 6
    for one in found.hard:
        single = model.read(images.images[one.place][None])
        chances = single.logits.softmax(1)[0]
        assert one.predicted == int(chances.argmax())
        assert one.probability == pytest.approx(float(chances.max()), abs=1e-6)
        assert one.truth == int(images.labels[one.place])
        if calibrated:
            assert one.error_probability == pytest.approx(float(judge(model, single)[0]), abs=1e-5)
        else:
            assert one.error_probability is None


def test_every_image_is_encoded_once_and_no_trace_is_left():
    model, images = build_with_memory(), draw_set()
    seen = []
    hook = model.encoder.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gather_overview(model, images, MADE, batch_size=16)
    hook.remove()
    assert seen == [16, 16, 9]
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_all_stored_images_that_are_listed_are_kept_with_their_pixels(monkeypatch):
    monkeypatch.setattr("whence.gather.overview.LISTED", 7)
    model = build_with_memory(90)
    bank = model.bank
    found = gather_overview(model, draw_set(), MADE)
    used = {one.index for one in (*found.memory.most, *found.memory.misleading)}
    listed = {one.index for one in found.suspicious[:7]}
    assert listed - used
    assert {one.index for one in found.suspicious[7:]} - used
    assert set(found.stored) == used | listed
    assert found.memory.size == 90
    for index, stored in found.stored.items():
        place = (index - 7) // 10
        assert torch.equal(stored.image, bank.images[place])
        assert stored.source == f"{place}.png"
        assert stored.label == int(bank.labels[place])
    assert sum(one.weight for one in found.memory.most) <= 41 + 1e-4


def test_doubts_are_named_the_calibrated_one_first():
    model, images = build_with_memory(), draw_set()
    features = encode_all(model, images.images)
    doubts = read_all(model, features, images.labels, batch_size=50).doubts
    plain = name_doubts(model, doubts)
    assert list(plain) == list(SIGNALS)
    model.calibration = CALIBRATION
    columns = name_doubts(model, doubts)
    assert list(columns) == ["error_probability", *SIGNALS]
    torch.testing.assert_close(
        columns["error_probability"], judge(model, model.read(images.images))
    )


def test_a_standard_model_has_accuracy_and_doubt_but_no_memory():
    model, images = build("standard"), draw_set()
    found = gather_overview(model, images, replace(MADE, variant="standard"), hard=4)
    assert found.memory is None
    assert found.suspicious is None
    assert found.stored == {}
    assert [curve.signal for curve in found.curves] == ["softmax", "entropy"]
    assert found.evaluation == evaluate(model, images)
    predicted = model(images.images).argmax(1)
    assert torch.equal(found.confusion, confuse(images.labels, predicted, 3))


def test_without_labels_no_label_is_suspicious():
    model = build().remember(draw_images(9))
    assert list_suspicious(model, batch_size=4) is None
    with pytest.raises(ValueError, match=r"images must hold at least one image to report on"):
        gather_overview(build_with_memory(), draw_set(1).take([]), MADE)
    with pytest.raises(RuntimeError, match=r"The model has no memory yet"):
        gather_overview(build(), draw_set(), MADE)


# tables, curves and sentences


def test_cells_are_shaded_by_their_share():
    confusion = torch.tensor([[6, 2, 0], [1, 9, 0], [0, 0, 0]])
    rows = shade(confusion, CLASSES)
    assert [row.name for row in rows] == list(CLASSES)
    assert [[cell.number for cell in row.cells] for row in rows] == confusion.tolist()
    blue, amber = (31, 95, 153), (176, 98, 16)
    assert rows[0].cells[0].colour == mix(blue, 0.75)
    assert rows[1].cells[1].colour == mix(blue, 0.9)
    assert rows[0].cells[1].colour == mix(amber, 1.0)  # the largest share of errors
    assert rows[1].cells[0].colour == mix(amber, 0.4)
    assert rows[2].cells[2].colour == rows[0].cells[2].colour == "#ffffff"
    assert rows[0].cells[1].title == "2 of 8 images of cat answered dog"
    perfect = shade(torch.eye(2, dtype=torch.int64), ("a", "b"))
    assert perfect[0].cells[1].colour == "#ffffff"


def test_figures_stay_readable_on_the_darkest_cell():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    ink = luminance("#1d2733")
    for colour in ((31, 95, 153), (176, 98, 16)):
        assert (luminance(mix(colour, 1.0)) + 0.05) / (ink + 0.05) > 4.5


def test_pairs_are_named_most_images_first():
    confusion = torch.tensor([[6, 2, 1], [2, 0, 0], [1000, 0, 9]])
    assert say_pairs(confusion, CLASSES, pairs=3) == (
        "fox taken for cat: 1,000 of 1,009 images (99.1%)",
        "cat taken for dog: 2 of 9 images (22.2%)",
        "dog taken for cat: 2 of 2 images (100%)",
    )
    assert len(say_pairs(confusion, CLASSES, pairs=99)) == 4
    assert say_pairs(torch.eye(3).long(), CLASSES, pairs=3) == ()


def test_a_plot_places_its_points():
    curves = [Curve("softmax", (0.5, 1.0), (0.1, 0.16)), Curve("entropy", (0.5, 1.0), (0.0, 0.16))]
    found = plot(curves, ["first", "second"])
    assert [tick.text for tick in found.up] == ["0%", "5%", "10%", "15%", "20%"]
    assert [tick.text for tick in found.across] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    middle, high = (found.left + found.right) / 2, found.bottom - found.top
    assert found.lines[0].path == (
        f"M{middle:.1f} {found.bottom - high / 2:.1f} "
        f"L{found.right:.1f} {found.bottom - 0.8 * high:.1f}"
    )
    assert found.lines[1].path.startswith(f"M{middle:.1f} {found.bottom:.1f} ")
    assert [line.name for line in found.lines] == ["first", "second"]
    assert (found.up[0].place, found.up[-1].place) == (found.bottom, pytest.approx(found.top))
    assert (found.across[0].place, found.across[-1].place) == (found.left, found.right)
    small = plot([Curve("softmax", (1.0,), (0.003,))], ["x"])
    assert [tick.text for tick in small.up] == ["0.0%", "0.1%", "0.2%", "0.3%"]


def test_lines_differ_in_more_than_colour():
    assert len({dashes for _, dashes, _ in STYLES}) == len(STYLES) == len(DRAWN)
    curve = Curve("softmax", (1.0,), (0.5,))
    for number in (0, 5):
        with pytest.raises(ValueError, match=rf"curves must be 1 to 4, got {number}\."):
            plot([curve] * number, ["x"] * number)


def test_grids_reach_the_highest_point_with_few_lines():
    for number in range(1001):
        step, lines = choose_grid(number / 1000)
        assert 1 <= lines <= 5
        assert step * lines >= number / 1000 - 1e-9
        assert number == 0 or step * (lines - 1) < number / 1000 or lines == 1
    with pytest.raises(ValueError, match=r"highest must be a share in \[0, 1\], got 1\.5\."):
        choose_grid(1.5)


def test_the_interval_is_wilsons():
    for hits, images in ((0, 7), (7, 7), (5, 12), (8320, 10000)):
        wanted = binomtest(hits, images).proportion_ci(0.95, method="wilson")
        assert interval(hits, images) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def quality(auroc=0.8, ece=None, wrong=0.16):
    risks = {0.5: wrong / 8, 0.8: wrong * 0.4375, 0.9: wrong / 2, 0.95: wrong / 1.5, 1.0: wrong}
    return FlagQuality(auroc, ece, 0.05, risks)


def evaluation(**changes):
    measures = EvidenceMeasures(0.75, 0.9, 0.4, 0.5, 12.5, 11.0)
    control = EvidenceMeasures(0.25, 0.8, 0.7, None)
    fields = {
        "images": 100,
        "whole_memory": 0.84,
        "per_class": (0.9, 0.7, None),
        "draws": (0.8, 0.82),
        "evidence": measures,
        "draws_evidence": (replace(measures, purity=0.3), replace(measures, purity=0.4)),
        "controls": {"random": control, "nearest": replace(control, purity=0.6)},
        "signals": {
            "error_probability": quality(0.9, 0.012),
            "softmax": quality(0.85, 0.2),
            "nearest": quality(None),
        },
        "calibration": replace(CALIBRATION, images=1500, errors=300),
    }
    return Evaluation(**(fields | changes))


def overview(shape=(3, 8, 10), *, pixels=True, **changes):
    stored = {
        index: Stored(index % 3, (index + 1) % 3, None, picture(index, shape) if pixels else None)
        for index in (4, 5, 30, 31)
    }
    fields = {
        "made": MADE,
        "class_names": CLASSES,
        "evaluation": evaluation(),
        "confusion": torch.tensor([[45, 5, 0], [11, 39, 0], [0, 0, 0]]),
        "curves": tuple(Curve(name, (0.05, 1.0), (0.02, 0.16)) for name in DRAWN),
        "hard": (Hard(8, "sure", 0, 1, 0.75, 0.05), Hard(3, "doubtful", 1, 1, 0.4, None)),
        "memory": MemoryUse(
            200, 20, 31, (Used(4, 40.0, 10.0, 60), Used(5, 2.0, 2.0, 3)), (Used(5, 2.0, 2.0, 3),)
        ),
        "suspicious": (
            Suspicion(30, 0, 0, 2, "a/30.png", 0.93, 0.125, 0.5),
            Suspicion(31, 1, 2, 0, None, 0.6, 0.25, 0.5),
        ),
        "stored": stored,
    }
    return Overview(**(fields | changes))


def answers(shape=(3, 8, 10), pixels=True):
    first = answer(shape=shape, pixels=pixels, name="test image 8", truth=0)
    second = answer(shape=shape, pixels=pixels, name="test image 3", truth=1)
    return first, second


def page(found=None, given=None, origin=ORIGIN):
    found = overview() if found is None else found
    return Page(render_overview(found, answers() if given is None else given, origin))


def standard(**changes):
    found = evaluation(
        draws=None,
        evidence=None,
        draws_evidence=None,
        controls={},
        signals={"softmax": quality(0.8, 0.1), "entropy": quality(0.7)},
        calibration=None,
    )
    curves = tuple(Curve(name, (0.05, 1.0), (0.02, 0.16)) for name in ("softmax", "entropy"))
    made = replace(MADE, variant="standard")
    return overview(
        made=made,
        evaluation=found,
        curves=curves,
        memory=None,
        suspicious=None,
        stored={},
        **changes,
    )


def test_the_head_says_what_the_run_is_and_how_good():
    low, high = interval(84, 100)
    assert say_head(overview()) == (
        "Trained on 200 training images from pets: encoder small_cnn, Memory Wrap, seed 5.",
        "It answers 84.0% of 100 test images right with its whole memory of 200 stored images; "
        "16 answers are wrong. With so many test images, the accuracy on new images of the same "
        f"kind is between {percent(low)} and {percent(high)} (95% interval).",
        "By the paper's way, with 6 random stored images for every 9 test images in place of the "
        "whole memory, it is 81.0% (mean of 2 passes, standard deviation 1.00 percentage points).",
    )
    other = say_head(overview(made=replace(MADE, measured_on="zoo", variant="only-memory")))
    assert other[0].endswith("Only Memory, seed 5; measured on zoo.")
    assert "1 answer is wrong" in say_head(overview(evaluation=evaluation(whole_memory=0.99)))[1]
    alone = say_head(standard())
    assert "84.0% of 100 test images right; 16 answers" in alone[1]
    assert alone[2].startswith("This model has no memory")


def test_every_measure_stands_beside_its_controls():
    grid = lay_out_evidence(evaluation())
    assert [line.name.replace(" ", "_") for line in grid.lines] == list(MEASURES)
    assert [line.meaning for line in grid.lines] == list(MEASURES.values())
    assert grid.lines[0].numbers == ("75.0%", "75.0%", "25.0%", "25.0%")
    assert grid.lines[3].numbers == ("50.0%", "35.0%", ABSENT, "60.0%")
    assert grid.lines[4].numbers == ("12.5", "12.5", ABSENT, ABSENT)
    assert len(grid.header) == 4
    assert lay_out_evidence(standard().evaluation) is None


def test_measures_of_the_evidence_in_words():
    found = say_evidence(evaluation().evidence)
    assert found[0].startswith("For 75.0% of the images,")
    assert found[1:] == (
        "Of these answers 90.0% are right, of the others 40.0%.",
        "So a stored image of another class on top is a sign of doubt.",
    )
    assert len(say_evidence(EvidenceMeasures(0.75, 0.4, 0.4))) == 2
    assert len(say_evidence(EvidenceMeasures(1.0, 0.4, None))) == 1


def test_signs_of_doubt_are_compared_the_best_one_marked():
    grid = lay_out_signals(evaluation())
    assert [line.best for line in grid.lines] == [True, False, False]
    assert grid.lines[0].numbers == ("0.900", "0.012", "0.050", "7.0%")
    assert grid.lines[2].numbers == (ABSENT, ABSENT, "0.050", "7.0%")
    assert grid.lines[2].name == "distance to the nearest stored image"
    hopeless = evaluation(signals={"softmax": quality(None, wrong=0.0)})
    assert not lay_out_signals(hopeless).lines[0].best
    assert set(SIGNAL_NAMES) == {"error_probability", *SIGNALS}


def test_leaving_out_doubtful_answers_in_words():
    assert say_doubt(evaluation()) == (
        "Answering only for the 80% of images with least doubt, 7.0% are wrong instead of 16.0%; "
        "for the 50% with least doubt, 2.0%. Doubt is told here by the calibrated probability of "
        "an error.",
        "That probability was calibrated on 1,500 validation images, 300 of them answered wrongly.",
    )
    without = say_doubt(standard().evaluation)
    assert without[0].endswith("Doubt is told here by how far the highest probability is from 1.")
    assert without[1].startswith("This run has no calibrated probability of error")
    right = evaluation(signals={"softmax": quality(wrong=0.0)})
    assert say_doubt(right) == ("No answer is wrong, so no sign of doubt can be judged.",)


def test_bars_compare_uses_with_the_largest_one():
    found = overview()
    most = use_strip(found, found.memory.most, wrong=False)
    assert [card.share for card in most.cards] == [1.0, 0.05]
    assert most.cards[0].lines == ("total weight 40.0", "in 60 answers (60.0%)")
    wrong = use_strip(found, found.memory.most, wrong=True)
    assert [card.share for card in wrong.cards] == [1.0, 0.2]
    assert wrong.cards[0].lines == ("total weight 10.0 in wrong answers", "25.0% of its use")
    assert (wrong.cards[0].label, wrong.cards[0].own) == ("dog", "fox")


# the page


def test_a_page_needs_nothing_but_itself_and_its_links_lead_somewhere():
    found = page()
    tags = {name for name, _ in found.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form"}
    policy = next(m for m in found.all("meta") if m.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'; img-src data:")
    for _, attributes in found.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] for link in found.all("a")]
    assert {"#classes", "#trust", "#used", "#misleading", "#suspicious", "#hard"} <= set(links)
    assert {"#image-1", "#image-2"} <= set(links)
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(
        later - before <= 1
        for before, later in zip(found.headings, found.headings[1:], strict=False)
    )
    assert all("alt" in image for image in found.all("img"))


def test_the_page_says_all_of_it_in_order():
    words = page().words
    parts = [
        "The run runs-7 as a whole",
        "Accuracy per class",
        "90.0% of 50",
        "no image",
        "dog taken for cat: 11 of 50 images (22.0%)",
        "Does the evidence fit the answers?",
        "explanation accuracy",
        "the network before training.",
        "7.0% are wrong instead of 16.0%",
        "calibrated probability of error (best)",
        "The stored images most used as evidence",
        "All but 20 of 200 stored images took part in some answer; 31 carry half of all weight.",
        "total weight 40.0",
        "in 60 answers (60.0%)",
        "The stored images most used in errors",
        "On average 16.0% of the use",
        "total weight 2.0 in wrong answers",
        "100% of its use",
        "Suspicious labels",
        "2 stored images in all",
        "a list to look at, not a list of errors",
        "resembles fox",
        "label probability 12.5%",
        "score 0.93",
        "Hard cases",
        "Wrong with high confidence",
        "dog; it is cat",
        "probability of an error 5.0%",
        "Most doubtful",
        "dog; right",
        "test image 8",
        "The evidence the model used",
        "hash of the memory",
    ]
    place = 0
    for part in parts:
        place = words.find(part, place)
        assert place >= 0, part


def test_thumbnails_are_the_images_and_no_pixels_leave_captions():
    found = page()
    alts = [image["alt"] for image in found.all("img")]
    for index, times in ((4, 1), (5, 2), (30, 1), (31, 1)):
        assert sum(f"training image {index}," in alt for alt in alts) == times
    bare = page(overview(pixels=False), answers(pixels=False))
    assert not any("training image" in image["alt"] for image in bare.all("img"))
    assert "training image 30" in bare.words
    assert "total weight 40.0" in bare.words


def test_a_standard_model_is_told_as_one():
    lone = answer(explanation((), flag=False), name="test image 8", truth=0)
    origin = replace(ORIGIN, has_memory=False)
    found = page(standard(), (lone, lone), origin)
    assert "This model has no memory: there are no stored images to show" in found.words
    assert "Suspicious labels" not in found.words
    assert "Does the evidence fit" not in found.words
    assert "entropy of the probabilities" in found.words
    assert "dog taken for cat" in found.words
    assert "#used" not in [link["href"] for link in found.all("a")]


def test_nothing_wrong_and_nothing_suspicious_is_said():
    memory = replace(overview().memory, misleading=(), unused=0, half=1)
    found = overview(
        confusion=torch.tensor([[50, 0, 0], [0, 50, 0], [0, 0, 0]]),
        evaluation=evaluation(whole_memory=1.0, signals={"softmax": quality(None, wrong=0.0)}),
        curves=(Curve("softmax", (0.05, 1.0), (0.0, 0.0)),),
        memory=memory,
        suspicious=(),
        hard=(),
    )
    words = page(found, ()).words
    assert "No image was taken for one of another class." in words
    assert "No answer is wrong, so no stored image was used in an error." in words
    assert "No stored image has a label that the other stored images speak against." in words
    assert "Every one of 200 stored images took part in some answer; 1 carries half" in words
    assert "Hard cases" not in words


def test_many_suspicious_labels_are_counted():
    one = Suspicion(30, 0, 0, 2, None, 0.93, 0.125, 0.5)
    words = page(overview(suspicious=(one,) * 40)).words
    assert words.count("score 0.93") == 24
    assert "40 stored images in all" in words
    assert "Not shown: 16 stored images with lower scores." in words


@pytest.mark.parametrize("classes", [LARGEST, LARGEST + 1])
def test_many_classes_become_lists(classes):
    names = (*CLASSES, *(f"class{number}" for number in range(classes - 3)))
    confusion = torch.full((classes, classes), 1).fill_diagonal_(50)
    confusion[7, 2] = 30
    per_class = tuple(0.5 + 0.01 * number for number in range(classes))
    found = overview(
        class_names=names, confusion=confusion, evaluation=evaluation(per_class=per_class)
    )
    given = [
        replace(
            one,
            explanation=replace(
                one.explanation,
                probabilities=torch.full((classes,), 1 / classes),
                without=torch.zeros(3, classes),
            ),
        )
        for one in answers()
    ]
    html = page(found, given)
    small = classes <= LARGEST
    assert any("matrix" in figure.get("class", "") for figure in html.all("figure")) is small
    assert len(re.findall("(?<!is) taken for", html.words)) == (5 if small else 20)
    assert f"{names[7]} taken for fox: 30 of" in html.words
    assert ("The 20 of 21 classes with the lowest accuracy." in html.words) is not small
    assert ("70.0% of" in html.words) is False  # the best of 21 classes, left out
    assert "50.0% of" in html.words


def test_everything_is_escaped():
    nasty = "<b>&\"'x"
    found = overview(class_names=(nasty, "dog", "fox"), made=replace(MADE, measured_on=nasty))
    html = page(found, answers(), replace(ORIGIN, run=nasty))
    assert nasty in html.words
    raw = render_overview(found, answers(), ORIGIN)
    assert nasty not in raw


def test_records_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"answers must be one per hard case \(2\), got 1\."):
        render_overview(overview(), answers()[:1], ORIGIN)
    with pytest.raises(
        ValueError, match=r"confusion must be \(K, K\) with K=3, got shape \(2, 3\)"
    ):
        overview(confusion=torch.ones(2, 3))


# JSON and the command line


def test_json_holds_every_number():
    found = json.loads(json.dumps(to_json(overview(), "runs/x"), allow_nan=False))
    assert found["run"] == "runs/x"
    assert found["trained_on"] == "pets"
    assert found["classes"] == list(CLASSES)
    assert found["accuracy"] == 0.84
    assert found["confusion"] == [[45, 5, 0], [11, 39, 0], [0, 0, 0]]
    assert found["curves"]["entropy"] == {"coverages": [0.05, 1.0], "risks": [0.02, 0.16]}
    assert found["memory"]["half"] == 31
    assert found["memory"]["most"][0] == {
        "index": 4,
        "weight": 40.0,
        "wrong": 10.0,
        "answers": 60,
        "wrong_share": 0.25,
        "label": {"index": 1, "name": "dog"},
        "predicted": {"index": 2, "name": "fox"},
        "source": None,
    }
    assert found["suspicious"][0]["resembles"] == {"index": 2, "name": "fox"}
    assert found["suspicious"][0]["label"] == {"index": 0, "name": "cat"}
    assert found["hard"][0] == {
        "place": 8,
        "kind": "sure",
        "truth": {"index": 0, "name": "cat"},
        "predicted": {"index": 1, "name": "dog"},
        "probability": 0.75,
        "error_probability": 0.05,
    }
    alone = to_json(standard(), "runs/x")
    assert alone["memory"] is None
    assert alone["suspicious"] is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with a memory, without pixels, and a standard one, each of a second."""
    root = tmp_path_factory.mktemp("runs")
    quick = ["--train-examples", "60", "--epochs", "4", "--memory-size", "20"]
    for name, more in (
        ("memory", []),
        ("bare", ["--no-pixels"]),
        ("standard", ["--variant", "standard"]),
    ):
        assert main(["train", "digits", *quick, *more, "--out", str(root / name)]) == 0
    return root


def test_the_page_of_a_run(runs, tmp_path, capsys):
    file = tmp_path / "page.html"
    command = ["report", str(runs / "memory"), "--hard", "3", "--out", str(file)]
    assert main(command) == 0
    output = capsys.readouterr()
    assert "3 hard cases explained" in output.out
    assert f"Written: {file}" in output.out
    assert "Measuring 500 test images" in output.err
    found = Page(file.read_text())
    accuracy = json.loads((runs / "memory" / "metrics.json").read_text())["test"]["accuracy"]
    assert f"It answers {percent(accuracy)} of 500 test images right" in found.words
    assert len([one for one in found.elements if re.match("image-", one[1].get("id", ""))]) == 3
    assert "integrated gradients, 16 steps from white" in found.words
    assert "(16 steps)" in found.words
    assert "of 20 draws" in found.words
    assert "500 of digits" in found.words
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*command[:2], "--hard", "0", "--out", str(file), "--force"]) == 0
    assert "Hard cases" not in Page(file.read_text()).words


def test_the_numbers_of_a_run_are_those_of_evaluate(runs, capsys):
    capsys.readouterr()
    assert main(["report", str(runs / "memory"), "--json", "--hard", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(runs / "memory"), "--json", "--no-controls"]) == 0
    expected = json.loads(capsys.readouterr().out)
    same = set(found) & set(expected)
    assert {"accuracy", "accuracy_draws", "flag", "controls", "seed", "variant"} <= same
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    assert found["hard"] == []
    assert sum(map(sum, found["confusion"])) == 500
    assert main(["report", str(runs / "memory"), "--json", "--seed", "7"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert other["accuracy_draws"] != found["accuracy_draws"]
    assert len(other["hard"]) == 8


@pytest.mark.parametrize("name", ["bare", "standard"])
def test_runs_without_pixels_and_without_memory(runs, tmp_path, name, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(runs / name), "--hard", "2"]) == 0
    assert f"Written: {name}-report.html" in capsys.readouterr().out
    found = Page((tmp_path / f"{name}-report.html").read_text())
    if name == "bare":
        assert "saved without its images" in found.words
        assert "total weight" in found.words
        assert not any("training image" in image["alt"] for image in found.all("img"))
    else:
        assert "This model has no memory" in found.words
        assert "Back to the hard cases" in found.words


def test_other_images_can_be_measured(runs, tmp_path, capsys):
    from PIL import Image

    for label in range(10):
        for part, number in (("train", 1), ("test", 2)):
            (tmp_path / "own" / part / str(label)).mkdir(parents=True)
            for place in range(number):
                pixels = picture(100 * label + 10 * place + number, (8, 8)).numpy()
                Image.fromarray(pixels).save(tmp_path / "own" / part / str(label) / f"{place}.png")
    file = tmp_path / "page.html"
    assert (
        main(
            [
                "report",
                str(runs / "memory"),
                "--data",
                str(tmp_path / "own"),
                "--hard",
                "1",
                "--out",
                str(file),
            ]
        )
        == 0
    )
    found = Page(file.read_text())
    assert "measured on own." in found.words
    assert "of 20 test images right" in found.words
    assert re.search(r"test image \d+, (test/)?\d/\d\.png", found.words)


@pytest.mark.parametrize(
    "more, message",
    [
        (["--hard", "-1"], "hard must be at least 0, got -1."),
        (["--batch-size", "0"], "batch-size must be at least 1, got 0."),
        (["--seed", "-2"], "seed must be in 0 to 2**63 - 1, got -2."),
        (["--data", "nothing-here"], "nothing-here"),
        (["--device", "abacus"], "device must be cpu or cuda, got 'abacus'."),
    ],
)
def test_bad_options_are_one_sentence(runs, tmp_path, more, message, capsys):
    capsys.readouterr()
    assert main(["report", str(runs / "memory"), "--out", str(tmp_path / "x.html"), *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_missing_run_and_a_folder_as_page_are_refused(runs, tmp_path, capsys):
    assert main(["report", str(tmp_path / "none"), "--json"]) == 2
    assert "No run in" in capsys.readouterr().err
    assert main(["report", str(runs / "memory"), "--out", str(tmp_path)]) == 2
    assert "is a folder; name a file with --out." in capsys.readouterr().err


def test_tables_name_what_the_page_draws():
    assert set(DRAWN) <= set(SIGNAL_NAMES)
