"""The command behind docs/results-morphing.md measures what it says."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import benchmarks.intervals as intervals
import benchmarks.morph_bench as morph_bench
import benchmarks.morph_figures as figures
import benchmarks.morph_quality as quality
import whence.studies.parts.class_autoencoders as small
from tests.helpers.morphing_parts import CLASSES, build, build_vae, draw_images
from whence.data.augment import to_float
from whence.morphing.answers import classify_images
from whence.morphing.entropy import measure_entropy
from whence.morphing.mistakes import find_mistakes
from whence.morphing.walk import MorphPlan
from whence.records.images import Dataset, ImageSet


@pytest.fixture(scope="module")
def bench():
    model = build("memory-wrap", scale=20.0)
    images = draw_images(60, seed=4)
    labels = classify_images(model, images).argmax(1)
    labels[:28] = torch.arange(28) % 4  # every class has five, and some are wrong
    test = ImageSet(images, labels, CLASSES)
    return morph_bench.Bench(
        model=model,
        second=build(seed=3),
        vae=build_vae(),
        train=ImageSet(draw_images(40, seed=6), torch.arange(40) % 4, CLASSES),
        test=test,
        shown=test.take(range(3, 34)),
        plan=MorphPlan(steps=2500, weight=0.01, lead_after=None),
        seed=5,
    )


def read_tables(text):
    """Read Markdown tables back: of each, the header and the rows by their first cell."""
    tables = []
    for block in text.split("\n\n"):
        lines = [
            line for line in block.splitlines() if line.startswith("| ") and "| ---" not in line
        ]
        if lines:
            cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            tables.append((cells[0], {row[0]: row[1:] for row in cells[1:]}))
    return tables


def train_briefly(images, labels, *, classes, seed):
    return small.train_autoencoders(images, labels, classes=classes, seed=seed, steps=3)


@pytest.mark.parametrize("count, total", [(0, 7), (3, 7), (7, 7), (10, 1000), (990, 1000)])
def test_wilson_is_where_the_share_is_196_deviations_away(count, total):
    low, high = intervals.wilson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            deviation = (end * (1 - end) / total) ** 0.5
            assert abs(count / total - end) == pytest.approx(1.96 * deviation)
    assert (low == 0) == (count == 0)


def test_shares_in_words():
    assert intervals.share(1, 4) == "0.250 (0.046 to 0.699)"
    assert intervals.share_of(torch.tensor([0.0, 1.0, 0.0, 0.0])) == intervals.share(1, 4)
    assert intervals.share(0, 0) == "none"


def test_averages_in_words():
    # deviation 2, of three numbers: 1.96 * 2 / sqrt(3) = 2.26
    assert intervals.average(torch.tensor([1.0, 3.0, 5.0])) == "3 ± 2.3"
    assert intervals.average(torch.tensor([1.0, torch.nan, 3.0, 5.0])) == "3 ± 2.3, 1 undefined"
    assert intervals.average(torch.tensor([4.0])) == "4"
    assert intervals.average(torch.tensor([torch.nan])) == "none"


def test_a_table_is_markdown(capsys):
    intervals.print_table(("a", "b"), [("x", 1), ("y", 2.5)])
    assert capsys.readouterr().out == "\n| a | b |\n| --- | --- |\n| x | 1 |\n| y | 2.5 |\n"


def test_correlation_by_pixel():
    generator = torch.Generator().manual_seed(2)
    entropies = torch.rand(7, 5, generator=generator)
    values = entropies[:, :, None] * torch.rand(7, 5, 3, generator=generator)
    found = quality.correlate_each(entropies, values, torch.Generator().manual_seed(0))
    many = entropies[:, :, None].repeat(1, 1, 3)
    expected = np.corrcoef(many.flatten().numpy(), values.flatten().numpy())[0, 1]
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low < found.value < found.high
    assert found.paths == 7
    whole = quality.correlate_each(entropies, values[:, :, 0], torch.Generator())
    expected = np.corrcoef(entropies.flatten().numpy(), values[:, :, 0].flatten().numpy())[0, 1]
    assert whole.value == pytest.approx(expected, abs=1e-6)


def test_realism_image_by_image():
    shift = [nn.Identity(), lambda x: x * 0.5, lambda x: x + 0.25]
    coders = small.Autoencoders((shift[1], shift[2], lambda x: x * 0.9), lambda x: x * 0.75)
    images = to_float(draw_images(5)).double()
    classes = torch.tensor([[0, 1], [1, 0], [2, 0], [0, 2], [0, 1]])
    one, two = small.measure_realism(coders, images, classes)
    for row, (own, other) in enumerate(classes.tolist()):
        image = images[row]
        by_own, by_other = coders.of_class[own](image), coders.of_class[other](image)
        near, far = ((image - made).square().sum() for made in (by_other, by_own))
        torch.testing.assert_close(one[row], near / (far + 1e-8))
        apart = (by_other - coders.of_all(image)).square().sum()
        torch.testing.assert_close(two[row], apart / (image.abs().sum() + 1e-8))
    assert len(set(one.tolist())) == 5


def test_codes_are_counted(bench, capsys):
    quality.show_codes(bench)
    text = capsys.readouterr().out
    [(_, rows)] = read_tables(text)
    how = bench.codes.how
    sampled, found = how.count("sampled"), 31 - how.count("none")
    assert 0 < sampled <= found
    assert rows["40 samples"][0] == intervals.share(sampled, 31)
    assert rows["and descent"][0] == intervals.share(found, 31)
    missing = [i for i, one in enumerate(how) if one == "none"]
    named = [CLASSES[bench.codes.classes[i, 0]] for i in missing]
    for name in set(named):
        assert f"- no code: {named.count(name)} of class {name}" in text


def test_misses_are_named_by_class(bench, capsys):
    changed = replace(bench)
    how = ("none", "sampled", "optimised", "none", *bench.codes.how[4:])
    changed.__dict__["codes"] = replace(bench.codes, how=how)
    quality.show_codes(changed)
    text = capsys.readouterr().out
    one, two = (CLASSES[bench.codes.classes[i, 0]] for i in (0, 3))
    assert text.count("- no code") >= len({one, two})
    [(_, rows)] = read_tables(text)
    assert rows["and descent"][0] == intervals.share(sum(x != "none" for x in how), 31)
    assert rows["40 samples"][0] == intervals.share(how.count("sampled"), 31)


def test_morphs_are_counted(bench, capsys):
    quality.show_morphs(bench)
    text = capsys.readouterr().out
    [(_, rows)] = read_tables(text)
    made = bench.morphs
    failed = sum(reason is not None for reason in made.reasons)
    assert len(made) == int(bench.codes.found.sum())
    assert 0 < failed < len(made)
    assert rows["failed, of images with a code"] == [intervals.share(failed, len(made))]
    seen = classify_images(bench.second, made.decoded).argmax(1)
    right = [int(seen[i] == made.classes[i, 1]) for i in range(len(made)) if made.found[i]]
    assert rows["of those found, valid on the second classifier"] == [
        intervals.share(sum(right), len(right))
    ]
    assert text.count("- No morph to") == min(failed, 8)
    counts = [int(line.split()[2]) for line in text.splitlines() if line.startswith("- failed:")]
    assert sum(counts) == failed


def test_morphs_of_sampled_codes_are_counted_apart(bench, capsys):
    how = tuple("optimised" if row % 3 == 0 else "sampled" for row in range(31))
    changed = replace(bench)
    changed.__dict__["codes"] = replace(bench.codes, how=how)
    changed.__dict__["morphs"] = bench.morphs
    assert bench.codes.found.all()
    quality.show_morphs(changed)
    [(_, rows)] = read_tables(capsys.readouterr().out)
    failed = [not bench.morphs.found[row] for row in range(31) if row % 3]
    assert rows["of images with a sampled code"] == [intervals.share(sum(failed), 20)]


def test_entropy_and_gradients_along_the_way(bench):
    others = bench.morphs
    entropies, readings = quality.follow_paths(bench, others, bench.asked.codes)
    assert entropies.shape == (len(others), 100)
    last = classify_images(bench.model, bench.vae.decode(bench.asked.codes))
    expected = measure_entropy(last, others.classes)
    torch.testing.assert_close(entropies[:, -1], expected, atol=1e-4, rtol=1e-4)
    ends = bench.vae.decode(bench.asked.codes).detach().requires_grad_()
    own = bench.model(ends).softmax(1)[torch.arange(len(others)), others.classes[:, 0]]
    (slope,) = torch.autograd.grad(own.sum(), ends)
    norm, pixels = readings["norm, all classes"], readings["single pixels, all classes"]
    torch.testing.assert_close(norm[:, -1], slope.flatten(1).norm(dim=1), atol=1e-4, rtol=1e-3)
    chosen = slope.flatten(1).abs()[:, bench.some_pixels]
    torch.testing.assert_close(pixels[:, -1], chosen, atol=1e-4, rtol=1e-3)
    assert len(set(bench.some_pixels.tolist())) == 30


def test_the_correlation_is_of_the_nearest_others(bench, capsys):
    quality.show_correlation(bench)
    [(header, rows)] = read_tables(capsys.readouterr().out)
    others = quality.OTHERS.find("nearest")(bench.model, bench.vae, bench.asked, bench.stored)
    entropies, readings = quality.follow_paths(bench, others, bench.asked.codes)
    for place, values in enumerate(readings.values()):
        if values.dim() == 3:
            one = entropies[:, :, None].expand_as(values).flatten()
        else:
            one = entropies.flatten()
        expected = np.corrcoef(one.numpy(), values.flatten().numpy())[0, 1]
        assert float(rows["all"][1 + place].split()[0]) == pytest.approx(expected, abs=6e-4)
    assert header[2:] == list(readings)
    counted = [int(cells[0]) for name, cells in rows.items() if name != "all"]
    assert int(rows["all"][0]) == len(others) >= sum(counted)


def test_the_kinds_of_other_side_by_side(bench, capsys, monkeypatch):
    monkeypatch.setattr(morph_bench, "train_autoencoders", train_briefly)
    quality.show_others(bench)
    own, same, real = read_tables(capsys.readouterr().out)
    assert list(own[1]) == list(same[1]) == ["nearest", "memory", "morph"]
    made = {
        kind: quality.OTHERS.find(kind)(bench.model, bench.vae, bench.asked, bench.stored)
        for kind in ("nearest", "memory")
    } | {"morph": bench.morphs}
    every = [all(o.found[i] for o in made.values()) for i in range(len(bench.asked.codes))]
    assert 0 < sum(every) < len(every)
    place = own[0].index("valid") - 1
    for kind, others in made.items():
        assert own[1][kind][0] == str(int(others.found.sum()))
        assert same[1][kind][0] == str(sum(every))
        good = [int(others.valid[i]) for i in range(len(others)) if others.found[i]]
        assert own[1][kind][place] == intervals.share(sum(good), len(good))
    numbers = quality.measure_others(bench, made["memory"])
    assert list(numbers) == own[0][2:]
    pixels = to_float(bench.asked.images)
    apart = (pixels - made["memory"].decoded).abs().sum((1, 2, 3))
    torch.testing.assert_close(numbers["L1 in pixels"], apart)
    assert own[1]["memory"][3] == intervals.average(apart[made["memory"].found])
    wanted = int(made["memory"].classes[0, 1])
    stored = to_float(bench.train.images[bench.train.labels == wanted])
    far = (stored - made["memory"].decoded[0]).square().sum((1, 2, 3)).sqrt().sort().values
    torch.testing.assert_close(numbers["distance to 5 real"][0], far[:5].mean())
    own_class = bench.asked.classes[:, 0]
    decoded = bench.codes.decoded[bench.codes.found]
    stored = to_float(bench.train.images)
    nearest = quality.distance_to_real(decoded, own_class, stored, bench.train.labels)
    assert real[1]["test images, decoded"][0] == intervals.average(nearest)
    assert len(real[1]["test images, decoded"]) == 3


def test_without_a_memory_two_kinds_are_compared(bench, capsys, monkeypatch):
    monkeypatch.setattr(morph_bench, "train_autoencoders", train_briefly)
    quality.show_others(replace(bench, model=build(scale=20.0)))
    own, *_ = read_tables(capsys.readouterr().out)
    assert list(own[1]) == ["nearest", "morph"]


def test_masks_are_compared_by_the_gain_they_keep(bench, capsys):
    quality.show_masks(bench, 6)
    text = capsys.readouterr().out
    [(_, rows)] = read_tables(text)
    assert text.startswith("\n6 masks, 0 broken")
    assert len(rows) == 5
    kept = {name: float(cells[0].split()[0]) for name, cells in rows.items()}
    assert kept["Integrated Gradients"] > kept["random order"]
    assert kept["path mask without blur"] > kept["random order"]


def test_mistakes_go_back_to_the_right_label(bench, capsys):
    quality.show_mistakes(bench, 9)
    text = capsys.readouterr().out
    [(header, rows)] = read_tables(text)
    wrong = find_mistakes(bench.model, bench.test.images, bench.test.labels)
    assert len(wrong) > 9
    assert header[0] == "wrongly classified images, 9"
    assert rows["wrong, of the test images"] == [intervals.share(len(wrong), 60)]
    logits = classify_images(bench.model, bench.test.images[wrong.rows[:9]])
    second = logits.topk(2).indices[:, 1] == bench.test.labels[wrong.rows[:9]]
    assert rows["their right label is the second best"] == [intervals.share(int(second.sum()), 9)]
    images, classes = bench.test.images[wrong.rows[:9]], wrong.classes[:9]
    codes = quality.find_codes(bench.model, bench.vae, images, generator=bench.draws)
    asked = quality.Asked(images, codes.codes, classes, named=True)
    made = quality.OTHERS.find("morph")(
        bench.model, bench.vae, asked, bench.stored, plan=bench.plan
    )
    good = [bool(codes.found[i] and made.found[i]) for i in range(9)]
    assert 0 < sum(good) < 9
    assert rows["morphed to the right label, of those"] == [
        intervals.share(sum(good), int(codes.found.sum()))
    ]
    seen = classify_images(bench.second, made.decoded).argmax(1)
    right = [int(seen[i] == classes[i, 1]) for i in range(9) if good[i]]
    assert rows["and after the morph"] == [intervals.share(sum(right), len(right))]
    counts = [int(line.split()[1]) for line in text.splitlines() if " taken for " in line]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) <= len(wrong)


@pytest.fixture
def folders(monkeypatch):
    """Stand in for runs on disk, and say what was asked of them."""
    models = {"a": build(), "b": build(seed=3), "c": build(seed=4)}
    models["c"].class_names = ("ant", "bee", "cow", "elk")
    test = ImageSet(draw_images(9, seed=8), torch.arange(9) % 4, CLASSES)
    monkeypatch.setattr(morph_bench.whence, "load", lambda folder, device: models[folder])
    monkeypatch.setattr(morph_bench, "load_vae", lambda folder, device: build_vae())
    monkeypatch.setattr(morph_bench, "load_data", lambda _: Dataset("mnist", test, test))
    monkeypatch.setattr(
        morph_bench, "read_settings", lambda folder: SimpleNamespace(data="notmnist")
    )
    options = {"vae": "v", "run": "a", "second": "b", "seed": 3, "images": 4, "steps": 700}
    return SimpleNamespace(**options, weight=None, norm="proximal", lead_after=900)


def test_images_are_drawn_and_the_weight_is_that_of_the_data(folders):
    bench = morph_bench.load_bench(folders, "cpu")
    assert bench.plan == MorphPlan(weight=10.0, steps=700, lead_after=900)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))[:4]
    assert torch.equal(bench.shown.images, bench.test.images[order])
    folders.weight = 0.5
    assert morph_bench.load_bench(folders, "cpu").plan.weight == 0.5
    folders.lead_after, folders.norm = -1, "gradient"
    plan = morph_bench.load_bench(folders, "cpu").plan
    assert plan.lead_after is None
    assert plan.norm == "gradient"


def test_runs_of_other_classes_are_refused(folders):
    folders.second = "c"
    with pytest.raises(ValueError, match=r"Both runs must have the same class_names, got .*elk"):
        morph_bench.load_bench(folders, "cpu")


def test_the_command_measures_the_parts_that_are_named(folders, monkeypatch, capsys):
    arguments = ["morph_quality", "a", "v", "b", "--images", "5", "--parts", "mistakes", "codes"]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.setattr(quality, "Path", str)
    quality.main()
    text = capsys.readouterr().out
    assert text.index("images with a code by") < text.index("wrongly classified images")
    assert "s of processor" in text
    assert "entropy at" not in text


def test_red_grows_and_blue_falls():
    increase, decrease = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    increase[0, 0, 1], decrease[0, 1, 2] = 1.0, 0.5
    masks = SimpleNamespace(increase=increase, decrease=decrease)
    image = torch.zeros(1, 2, 3)
    image[0, 1, 0] = 1.0
    picture = figures.overlay(image, masks, 0)
    assert picture[0, 0].tolist() == [1.0, 1.0, 1.0]
    assert picture[0, 1].tolist() == [1.0, 0.0, 0.0]
    assert picture[1, 2].tolist() == [0.5, 0.5, 1.0]
    assert picture[1, 0].tolist() == [0.75, 0.75, 0.75]


def test_figures_show_every_image(bench):
    bench = replace(bench, test=bench.test.take(range(40)))
    for draw in (figures.draw_mistakes, figures.draw_morphs):
        axes = draw(bench).axes
        assert len(axes) == 4 * figures.DRAWN
        titles = [axis.get_title() for axis in axes[:4]]
        assert titles[0].startswith("input: ")
        assert titles[2].startswith("morph: ")
        assert titles[0][7:] != titles[2][7:]


def test_one_colour_is_shown_as_grey():
    image = torch.rand(1, 2, 4)
    torch.testing.assert_close(figures.colours(image)[1, 3], image[0, 1, 3].expand(3))
    image = torch.rand(3, 2, 4)
    torch.testing.assert_close(figures.colours(image)[1, 3], image[:, 1, 3])


def test_entropy_is_drawn_by_where_it_lies(bench):
    axes = figures.draw_paths(bench).axes
    assert len(axes) == 6
    others = figures.OTHERS.find("nearest")(bench.model, bench.vae, bench.asked, bench.stored)
    window = figures.follow(bench, others).window
    left = int(((window.low <= 0) & (window.high < 99)).sum())
    assert axes[3].get_title() == f"left: {left} of {len(others)} pairs"
    assert len(axes[0].lines) == 21
    starts = [line.get_ydata()[0] for line in axes[0].lines[:20]]
    assert starts == pytest.approx([line.get_ydata()[0] for line in axes[1].lines[:20]])
