"""Measures of faithfulness: files, table and oracles are the same, and what each measure owes."""

import inspect
import pkgutil

import numpy as np
import pytest
import torch
from scipy.stats import entropy, spearmanr
from torch.testing import assert_close

from tests.helpers.faithful import make_linear_case, seeded, take_row
from whence.metrics import faithfulness
from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness import FAITHFULNESS
from whence.metrics.faithfulness_measure import (
    FaithfulnessMeasure,
    MeasuredFaithfulness,
    find_measure,
)


def hide_slowly(case, row, places):
    image = case.images[row].clone()
    for place in places:
        image[:, place // image.shape[2], place % image.shape[2]] = 0
    return case.logits(image[None], torch.tensor([row]))[0]


def walk(case, row, *, most_first, steps=20):
    """Logits at every step of hiding pixels one after another."""
    order = case.relevance[row].flatten().argsort(descending=most_first).tolist()
    return [hide_slowly(case, row, order[: round(20 * step / steps)]) for step in range(steps + 1)]


def mean_fall(case, row, most_first):
    scores = [logits[case.classes[row]] for logits in walk(case, row, most_first=most_first)]
    return float(scores[0] - sum(scores) / len(scores))


def area(case, row, most_first):
    shares = [
        float(one.softmax(0)[case.classes[row]]) for one in walk(case, row, most_first=most_first)
    ]
    return float(np.trapezoid(shares, dx=1 / 20))


def flips(case, row):
    order = case.relevance[row].flatten().argsort(descending=True).tolist()
    for count in range(21):
        image = case.images[row].flatten(1).clone()
        image[:, order[:count]] = 1 - image[:, order[:count]]
        logits = case.logits(image.view(1, *case.images.shape[1:]), torch.tensor([row]))
        if int(logits.argmax()) != int(case.classes[row]):
            return count / 20
    return 1.0


def stage_maps(case):
    rows = torch.arange(len(case.images))
    return [explain(case.images, rows) for _, explain in case.explain.cascade()]


def rank(one, other):
    return float(spearmanr(one.flatten(), other.flatten()).statistic)


def bits(relevance):
    return entropy(np.histogram(relevance.numpy(), bins=100)[0])


def blend_noise(case):
    return 0.01 * torch.randn(case.images.shape[1:], generator=seeded())


def kept_answers(case, row, most_first):
    """A dense system for every step, one pixel after another."""
    _, height, width = case.images.shape[1:]
    order = case.relevance[row].flatten().argsort(descending=most_first).tolist()
    kept = []
    for step in range(1, 10):
        hidden = order[: round(20 * step / 10)]
        matrix, known = np.eye(20), case.images[row].flatten(1).numpy().T.copy()
        for place in hidden:
            near = {
                (place // width + i) * width + place % width + j: 1 / 12 if i and j else 1 / 6
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if (i or j) and 0 <= place // width + i < height and 0 <= place % width + j < width
            }
            known[place] = 0
            for other, weight in near.items():
                matrix[place, other] = -weight / sum(near.values())
        filled = np.linalg.solve(matrix, known)
        filled[hidden] += blend_noise(case).flatten(1).numpy().T[hidden]
        image = torch.from_numpy(filled.clip(0, 1).T.copy()).view(1, *case.images.shape[1:])
        kept.append(int(case.logits(image, torch.tensor([row])).argmax()) == int(case.classes[row]))
    return sum(kept) / len(kept)


def furthest(case, row):
    found, rng = 0.0, seeded()
    for _ in range(10):
        change = (2 * torch.rand(case.images.shape[1:], generator=rng) - 1) * 0.02
        near = (case.images[row] + change).clamp(0, 1)
        moved = case.explain(near[None], torch.tensor([row]))[0] - case.relevance[row]
        found = max(found, float(moved.norm() / case.relevance[row].norm()))
    return found


def smooth_stages(case, row):
    noise = 0.1 * torch.randn((5, *case.images.shape[1:]), generator=seeded())
    noisy = torch.stack([(case.images[row] + one).clamp(0, 1) for one in noise])
    rows = torch.full((5,), row)
    own = case.explain(noisy, rows).mean(0)
    maps = [explain(noisy, rows).mean(0) for _, explain in case.explain.cascade()]
    return float(np.mean([rank(own, one) for one in maps]))


def other_class(case):
    further = int(torch.randint(1, 3, (), generator=seeded()))
    model = case.explain.toward((case.classes + further) % 3)
    return model(case.images, torch.arange(len(case.images)))


def patch_falls(case, row):
    """Patches of 4 x 4 in an image of 5 x 4: the first two rows are one band."""
    bands = [[0, 1], [2], [3], [4]]
    patches = [[i * 4 + column for i in band] for band in bands for column in range(4)]
    chosen, whole = case.classes[row], hide_slowly(case, row, [])
    falls = [float((whole - hide_slowly(case, row, some))[chosen]) for some in patches]
    sums = [float(case.relevance[row].flatten()[some].sum()) for some in patches]
    return float(spearmanr(sums, falls).statistic)


def inside(case, row):
    positive = case.relevance[row].clamp_min(0)
    return float(positive[case.truth[row]].sum() / positive.sum())


def top_inside(case, row):
    truth, count = case.truth[row].flatten(), int(case.truth[row].sum())
    return int(truth[case.relevance[row].flatten().topk(count).indices].sum()) / count


def missing(case, row):
    lines = [float(amounts[row]) for amounts in case.ledger.values()]
    return abs(lines[-1]) / max(abs(one) for one in [*lines, sum(lines)])


ORACLES = {  # measure -> the answer for one image of a linear case, worked out slowly
    "aopc_morf": lambda case, row: mean_fall(case, row, True),
    "aopc_lerf": lambda case, row: mean_fall(case, row, False),
    "deletion": lambda case, row: area(case, row, True),
    "insertion": lambda case, row: area(case, row, False),
    "road_morf": lambda case, row: kept_answers(case, row, True),
    "road_lerf": lambda case, row: kept_answers(case, row, False),
    "sensitivity_n": lambda case, row: 1.0,
    "infidelity": lambda case, row: 0.0,
    "class_flip": flips,
    "unexplained": missing,
    "idsds": patch_falls,
    "max_sensitivity": furthest,
    "mprt": lambda case, row: float(
        np.mean([rank(case.relevance[row], one[row]) for one in stage_maps(case)])
    ),
    "smprt": smooth_stages,
    "emprt": lambda case, row: bits(stage_maps(case)[-1][row]) / bits(case.relevance[row]) - 1,
    "random_logit": lambda case, row: rank(case.relevance[row], other_class(case)[row]),
    "trigger_mass": inside,
    "trigger_rank": top_inside,
}


def draws_of(measure):
    return {"generator": seeded()} if measure.draws else {}


def check_measure(measure, oracle):
    """The answer of an oracle, the same for every image alone; nothing is changed."""
    case = make_linear_case()
    kept = case.images.clone(), case.relevance.clone()
    found = measure(case, **draws_of(measure))
    expected = torch.tensor([oracle(case, row) for row in range(5)], dtype=torch.float64)
    assert_close(found.values, expected, rtol=0, atol=1e-10)
    for row in range(5):
        alone = measure(take_row(case, row), **draws_of(measure))
        assert_close(alone.values, found.values[[row]], rtol=0, atol=1e-10)
        if found.curve is not None:
            assert_close(alone.curve, found.curve[[row]], rtol=0, atol=1e-10)
    again = measure(case, **draws_of(measure))  # from what was kept
    assert_close(again.values, found.values, rtol=0, atol=0)
    assert_close((case.images, case.relevance), kept, rtol=0, atol=0)
    assert measure.better in ("lower", "higher")
    assert measure.question.endswith(".")
    parameters = [*inspect.signature(measure.compute).parameters.values()]
    assert parameters[0].name == "attributed"
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[1:])


def test_the_table_the_files_and_the_oracles_are_the_same():
    files = {module.name for module in pkgutil.iter_modules(faithfulness.__path__)}
    assert files == set(FAITHFULNESS) == set(ORACLES)
    assert all(find_measure(name).name == name for name in FAITHFULNESS)


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_a_measure_is_exact_on_a_linear_score(name):
    check_measure(find_measure(name), ORACLES[name])


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_a_measure_says_what_it_lacks(name):
    measure, case = find_measure(name), make_linear_case()
    bare = Attributed(case.images, case.relevance, case.classes, case.logits, case.refill)
    if not measure.needs:
        assert len(measure(bare, **draws_of(measure)).values) == 5
        return
    with pytest.raises(ValueError, match=f"{name} needs (the|a|images)"):
        measure(bare, **draws_of(measure))
    with pytest.raises(ValueError, match=" must "):
        measure.compute(bare, **draws_of(measure))


def first_pixel_drop(attributed, *, size=1):
    """By how much the score falls when the most relevant pixel is filled; higher is better."""
    most = attributed.relevance.flatten(1).topk(size).indices
    hidden = torch.zeros_like(attributed.relevance, dtype=torch.bool).flatten(1)
    hidden = hidden.scatter(1, most, True).view(attributed.relevance.shape)
    fall = attributed.score(attributed.images) - attributed.score(attributed.hide(hidden))
    return MeasuredFaithfulness(fall)


FIRST_PIXEL_DROP = FaithfulnessMeasure(
    "first_pixel_drop", first_pixel_drop, better="higher", question="How much it hurts."
)


def test_a_new_measure_is_a_file_a_line_and_an_oracle():
    check_measure(FIRST_PIXEL_DROP, lambda case, row: float(case.relevance[row].max()))
    with pytest.raises(
        ValueError, match=r"Unknown faithfulness measure 'drop'\. Choose from: aopc_"
    ):
        find_measure("drop")


def test_a_measure_that_is_wrong_is_noticed():
    wrong = FaithfulnessMeasure(
        "wrong",
        lambda attributed: MeasuredFaithfulness(attributed.score(attributed.images)),
        better="lower",
        question="Nothing.",
    )
    with pytest.raises(AssertionError):
        check_measure(wrong, lambda case, row: float(case.relevance[row].max()))
