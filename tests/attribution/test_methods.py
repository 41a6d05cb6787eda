"""Every method in the table: an exact answer, a ledger, options by name, and no trace left."""

import inspect
import pkgutil
from pathlib import Path

import pytest
import torch
from captum.attr import IntegratedGradients, Saliency
from sklearn.linear_model import Ridge
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, Quadratic, as_pixels, make
from tests.helpers.method_checks import (
    check_exact,
    check_ledger,
    check_no_trace,
    give_options,
    models,
)
from whence.attribution import METHODS, methods
from whence.attribution.method import find_method
from whence.attribution.score import FunctionScore


def integral(formula, start, images):
    """The gradient is linear: its mean on a straight line is its value in the middle."""
    return (images - start) * formula.slope((start + images) / 2)


def along(formula, path):
    """A line from image to image, each as above."""
    pairs = zip(path.unbind(1)[:-1], path.unbind(1)[1:], strict=True)
    return sum(integral(formula, one, other) for one, other in pairs)


def sobel(images):
    """Pixel by pixel, over the mean of the channels, the border continued."""
    grey = images.mean(1)
    found = torch.zeros_like(grey)
    for b, row, column in torch.cartesian_prod(*map(torch.arange, grey.shape)).tolist():
        across, down = 0.0, 0.0
        for i, j in torch.cartesian_prod(torch.arange(-1, 2), torch.arange(-1, 2)).tolist():
            at = min(max(row + i, 0), grey.shape[1] - 1), min(max(column + j, 0), grey.shape[2] - 1)
            across += j * (2 - abs(i)) * float(grey[b][at]) / 8
            down += i * (2 - abs(j)) * float(grey[b][at]) / 8
        found[b, row, column] = (across**2 + down**2) ** 0.5
    return (found / images.shape[1])[:, None].expand_as(images)


def smooth(formula, images, generator):
    """The gradient is linear: its mean is its value at the mean of the noisy images."""
    span = images.flatten(1).amax(1) - images.flatten(1).amin(1)
    drawn = [torch.randn(images.shape, generator=generator).double() for _ in range(3)]
    mean = sum(drawn) / 3
    return formula.slope(images + 0.15 * span[:, None, None, None] * mean)


def hide(formula, images):
    """Two windows that overlap in the third column show the mean colour."""
    losses = []
    for window in (slice(0, 3), slice(2, 4)):
        variant = images.clone()
        variant[..., window] = images.mean((2, 3), keepdim=True)
        losses += [formula(images, torch.arange(3)) - formula(variant, torch.arange(3))]
    left, right = losses
    values = torch.stack([left, left, (left + right) / 2, right], 1) / 2
    return values[:, None, None].expand_as(images)


def halve(formula, images):
    """A linear term goes to its input; of x Q x, half goes to each x and half through Q."""
    linear = formula.weights.view_as(images)
    return images * (linear + (formula.slope(images) - linear) / 2)


def by_squares(formula, images):
    """As above, but half of x Q x goes through Q by the squares of its numbers."""
    linear = formula.weights.view_as(images)
    pairs = (images * (formula.slope(images) - linear) / 4).flatten(1)
    squares = formula.curve.square()
    return images * linear + (pairs + pairs @ (squares / squares.sum(0)).T).view_as(images)


def excite(formula, images):
    """The same for 1 in the place of the score, through the numbers of Q that are above 0."""
    linear, flat = formula.weights.view_as(images), images.flatten(1)
    whole = formula(images, torch.arange(len(images)))[:, None, None, None]
    pairs = (images * (formula.slope(images) - linear) / 4 / whole).flatten(1)
    above = formula.curve.clamp(min=0)
    through = flat * ((pairs / (flat @ above)) @ above.T)
    return images * linear / whole + (pairs + through).view_as(images)


PARTICULAR = {"cam"}
"""Methods that ask for a network of a certain kind; their own tests are elsewhere."""

ANYWHERE = [name for name in METHODS if name not in PARTICULAR]

EXACT_WITH = {"lrp": {"epsilon": 0.0}, "integrated_gradients": {"steps": 32}}
"""Options without which a method is not exact."""


def fit(formula, images, generator):
    """Two regions, three columns and one: scikit-learn's ridge, twice."""
    found = torch.zeros(3, 2).double()
    for _ in range(2):
        shown = torch.rand((12, 2), generator=generator) < 0.5
        shown[0] = True
        values = show(formula, images, shown).numpy()
        counted = torch.exp(-((1 - shown.double().mean(1).sqrt()) ** 2) / 0.25**2).numpy()
        for row in range(3):
            line = Ridge(alpha=1.0).fit(shown.double().numpy(), values[row], counted)
            found[row] += torch.from_numpy(line.coef_) / 2
    return (found[:, [0, 0, 0, 1]] / 2)[:, None, None].expand_as(images)


def show(formula, images, shown):
    """Score images with some of two regions shown, the mean colour elsewhere; `(B, N)`."""
    grey = images.mean((2, 3), keepdim=True)
    found = [
        formula(torch.where(one[[0, 0, 0, 1]], images, grey), torch.arange(3)) for one in shown
    ]
    return torch.stack(found, 1)


def play(formula, images, generator):
    """Two players: half of what each adds alone, and half of what it adds last."""
    coalitions = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    none, left, right, both = show(formula, images, coalitions).T
    values = [(left - none + both - right) / 2 / 18, (right - none + both - left) / 2 / 6]
    return torch.stack(values, 1)[:, None, None, [0, 0, 0, 1]].expand_as(images)


def expand(formula, images, rivals):
    """On a line the score is a parabola, whose root is known."""
    rows, found = torch.arange(3), []
    begin, middle, end = (
        formula(rivals + time * (images - rivals), rows) for time in (0.0, 0.5, 1.0)
    )
    level = torch.where(begin * end <= 0, 0, (begin + end) / 2)
    square, slope = 2 * (begin + end) - 4 * middle, 4 * middle - 3 * begin - end
    for a, b, c in zip(square, slope, begin - level, strict=True):
        root = (b * b - 4 * a * c).sqrt()
        found += [next(t for t in ((root - b) / (2 * a), (-root - b) / (2 * a)) if 0 <= t <= 1)]
    assert 0 < int((level == 0).sum()) < 3
    roots = rivals + torch.stack(found)[:, None, None, None] * (images - rivals)
    return (images - roots) * formula.slope(roots)


IMAGE_ALONE = {"path_integrated_gradients", "kernel_shap", "taylor"}
"""Methods for which the evidence stays as it is."""

ELSEWHERE = {"cam": "test_by_layers", "grad_cam": "test_grad_cam", "mask": "test_mask"}
"""Methods that need more than a formula, or search, and where they are compared with what is exact."""

ORACLES = {  # the exact answer for ``Quadratic``, worked out from its formula
    "gradient": lambda formula, images: formula.slope(images),
    "integrated_gradients": lambda formula, images: integral(
        formula, torch.ones_like(images), images
    ),
    "expected_gradients": lambda formula, images, generator, baselines: sum(
        integral(formula, baselines[place], images) / 3
        for place in torch.randint(len(baselines), (3,), generator=generator).tolist()
    ),
    "path_integrated_gradients": lambda formula, images, path: along(formula, path),
    "gradient_x_input": lambda formula, images: images * formula.slope(images),
    "smoothgrad": smooth,
    "occlusion": hide,
    "lime": fit,
    "kernel_shap": play,
    "taylor": expand,
    "edges": lambda formula, images: sobel(images),
    "lrp": halve,
    "deep_taylor": by_squares,
    "deeplift": lambda formula, images: integral(formula, torch.ones_like(images), images),
    "excitation_backprop": excite,
    "guided_backprop": lambda formula, images: formula.slope(images),
    "deconvnet": lambda formula, images: formula.slope(images),
    "random": lambda formula, images, generator: torch.rand(
        (len(images), 1, *images.shape[2:]), generator=generator
    ).expand_as(images),
}


def test_the_table_the_files_and_the_oracles_are_the_same():
    files = {module.name for module in pkgutil.iter_modules(methods.__path__)}
    assert files == set(METHODS) == set(ORACLES) | set(ELSEWHERE)
    assert all(Path(__file__).with_name(f"{one}.py").exists() for one in ELSEWHERE.values())
    for name in METHODS:
        method = find_method(name)
        assert method.name == method.compute.__name__ == name
        assert method.compute.__module__ == f"whence.attribution.methods.{name}"


@pytest.mark.parametrize("name", ORACLES)
def test_a_method_is_exact_on_a_formula(name):
    check_exact(find_method(name), ORACLES[name], **EXACT_WITH.get(name, {}))


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_method_takes_a_score_images_and_options_by_name(name):
    parameters = [*inspect.signature(find_method(name).compute).parameters.values()]
    assert [one.name for one in parameters[:2]] == ["score", "images"]
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[2:])


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize("kind", ["memory-wrap", "only-memory", "votes", "standard", "module"])
def test_a_method_keeps_a_ledger_or_says_that_it_does_not(images, name, kind):
    found = check_ledger(name, find_method(name), models()[kind], as_pixels(images))
    counts = [len(one) for one in found.evidence]
    if kind in ("standard", "module") or name in IMAGE_ALONE:
        assert counts == [0, 0, 0]
    else:
        assert min(counts) >= 1


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize("kind", ["memory-wrap", "standard", "module"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_method_leaves_no_trace_even_when_it_fails(images, name, kind, broken):
    model = models()[kind]
    check_no_trace(name, find_method(name), model, as_pixels(images), broken=broken)


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_method_gives_the_same_for_every_batch_size(images, name):
    model, method = models()["memory-wrap"], find_method(name)
    few = {"steps": 4} if "steps" in method.options else {}

    def find(size):
        options = give_options(method, as_pixels(images)) | few
        return whence.attribute(model, images, name, batch_size=size, **options)

    one, two, all_three = map(find, (1, 2, 100))
    for parts in (one, two):
        assert_close(parts.images, all_three.images, rtol=0, atol=1e-10)
        for a, b in zip(parts.evidence, all_three.evidence, strict=True):
            assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_method_works_where_gradients_are_off(images, name):
    model, method = make("standard"), find_method(name)
    expected = whence.attribute(model, images, name, **give_options(method, as_pixels(images)))
    with torch.inference_mode():
        options = give_options(method, as_pixels(images))
        found = whence.attribute(model, as_pixels(images), name, **options)
    assert_close(found.images, expected.images, rtol=0, atol=1e-10)


def test_gradients_and_integrated_gradients_are_those_of_captum():
    torch.manual_seed(0)
    network = Net().double().eval()
    images, classes = torch.rand(3, 2, 8, 7, dtype=torch.float64), torch.tensor([1, 4, 0])
    slopes = whence.attribute(network, images, "gradient", classes)
    expected = Saliency(network).attribute(
        images.clone().requires_grad_(), target=classes, abs=False
    )
    assert_close(slopes.images, expected, rtol=0, atol=1e-12)
    shares = whence.attribute(network, images, target=classes, steps=7, baseline="black")
    expected = IntegratedGradients(network).attribute(
        images, target=classes, n_steps=7, method="riemann_middle"
    )
    assert_close(shares.images, expected, rtol=0, atol=1e-8)


def test_a_gradient_is_that_of_image_and_evidence(images, stored):
    model = make().remember(stored)
    found = whence.attribute(model, images, "gradient", batch_size=2)
    for row, image in enumerate(as_pixels(images)):
        leaf = image[None].requires_grad_()
        leaves = as_pixels(stored).requires_grad_()
        read = model.head(model.encode(leaf), model.encode(leaves))
        slope, slopes = torch.autograd.grad(read.logits.max(), (leaf, leaves))
        order = read.weights[0].argsort(descending=True)[: int((read.weights > 0).sum())]
        assert_close(found.images[row], slope[0], rtol=0, atol=1e-10)
        assert_close(found.evidence[row], slopes[order], rtol=0, atol=1e-10)


def test_a_path_must_lead_to_the_images(images):
    formula = Quadratic()
    path = torch.stack([formula.images * 0, formula.images], 1)
    call, score = find_method("path_integrated_gradients"), formula.score()
    with pytest.raises(ValueError, match=r"must end at the images, its last image is up to 0\.\d"):
        call(score, formula.images, path=path.flip(1))
    with pytest.raises(ValueError, match=r"path must hold at least 2 images for each image, got 1"):
        call(score, formula.images, path=path[:, 1:])
    with pytest.raises(ValueError, match=r"path must be \(B, S, C, H, W\) with C=2"):
        call(score, formula.images, path=path[:, :, :1])


def test_chance_is_the_same_in_all_channels_and_another_each_time():
    formula, generator = Quadratic(), torch.Generator().manual_seed(1)
    one, two = (
        METHODS["random"](formula.score(), formula.images, generator=generator) for _ in "ab"
    )
    assert_close(one.images[:, 0], one.images[:, 1])
    assert len(one.images.unique()) == 3 * 12
    assert not torch.equal(one.images, two.images)


def test_a_score_without_a_gradient_is_refused():
    constant = FunctionScore(lambda images, rows: images.detach().sum((1, 2, 3)))
    with pytest.raises(RuntimeError, match=r"lets no gradient through .* remove no_grad"):
        METHODS["gradient"](constant, torch.rand(2, 1, 3, 3))


class Constant(nn.Module):
    """Logits that no pixel reaches, though they have a gradient."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return self.bias.expand(len(images), 3)


def test_a_network_that_does_not_look_is_refused():
    for name in ("gradient", "integrated_gradients"):
        with pytest.raises(RuntimeError, match=r"lets no gradient through"):
            whence.attribute(Constant().eval(), torch.rand(2, 1, 3, 3), name)


def test_a_scores_part_knows_which_images_it_is_of():
    formula = Quadratic()
    rows = torch.tensor([2, 0, 2])
    whole = formula.score()(formula.images)
    assert_close(formula.score().take(rows)(formula.images[rows]), whole[rows])
    again = formula.score().take(rows).take(torch.tensor([1]))
    assert_close(again(formula.images[:1]), whole[:1])
