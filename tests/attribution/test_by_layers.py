"""Deconvnet, guided and excitation backpropagation, DeepLIFT, deep Taylor and CAM; the axioms."""

import pytest
import torch
from captum.attr import Deconvolution, DeepLift, GuidedBackprop
from torch import nn
from torch.testing import assert_close
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import ExcitationBackprop

import whence
from tests.attribution.test_lrp_rules import network, use_zennit
from tests.helpers.layerwise import Busy, randomise, remember

EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture
def model(rng):
    return network(rng)


@pytest.fixture
def asked(rng):
    return torch.rand(2, 2, 10, 14, generator=rng, dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize(
    ("name", "theirs"), [("guided_backprop", GuidedBackprop), ("deconvnet", Deconvolution)]
)
def test_what_rectifiers_pass_back_is_as_in_captum_where_they_are_modules(
    model, asked, name, theirs
):
    found = whence.attribute(model, asked, name, 1)
    expected = theirs(model).attribute(asked.clone().requires_grad_(), target=1)
    assert_close(found.images, expected, **EXACT)
    assert float(expected.abs().max()) > 1e-3


def test_functions_are_rectifiers_too_and_a_bound_above_is_kept():
    class Functional(nn.Module):
        def forward(self, images):
            x = images.flatten(1)
            return torch.stack([nn.functional.relu6(4 * x).sum(1), -x.relu_().sum(1)], 1)

    images = torch.tensor([[[[-1.0, 1.0, 2.0]]]])
    for name, wanted in (
        ("deconvnet", [4.0, 4.0, 0.0]),
        ("guided_backprop", [0.0, 4.0, 0.0]),
    ):
        found = whence.attribute(Functional().eval(), images, name, 0)
        assert_close(found.images.flatten(), torch.tensor(wanted))
        assert float(whence.attribute(Functional().eval(), images, name, 1).images.abs().max()) == 0


def test_without_a_rectifier_it_is_the_gradient_and_said_so(asked):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(280, 3), nn.Tanh()).double().eval()
    for name in ("deconvnet", "guided_backprop"):
        found = whence.attribute(plain, asked, name, 1)
        assert_close(found.images, whence.attribute(plain, asked, "gradient", 1).images, **EXACT)
        assert "the gradient, since the network has no rectifier" in found.sentence


@pytest.mark.filterwarnings("ignore:.*[Ss]etting .*hooks")
def test_deeplift_is_that_of_captum_on_layers_that_are_used_once(model, asked):
    found = whence.attribute(model, asked, "deeplift", 1, baseline="black")
    leaf = asked.clone().requires_grad_()
    expected = DeepLift(model).attribute(leaf, torch.zeros_like(asked), target=1).detach()
    assert_close(found.images, expected, rtol=0, atol=1e-9)
    assert float(found.ledger["unexplained"].abs().max()) < 1e-12


@pytest.mark.parametrize("variant", ["standard", "memory-wrap", "votes"])
def test_deeplift_adds_up_where_layers_are_used_again_and_products_are_made(rng, variant):
    torch.manual_seed(3)
    model, images, stored, labels = remember(randomise(Busy(), rng), variant, (6, 8))
    if model.has_memory:
        model.remember(stored, labels)
    found = whence.attribute(model, images, "deeplift")
    change = (found.score - found.start).abs().min()
    assert float(found.ledger["unexplained"].abs().max()) < 5e-3 * float(change)


def test_deeplift_of_a_product_gives_each_factor_its_change_at_the_mean_of_the_other():
    class Product(nn.Module):
        def forward(self, images):
            x = images.flatten(1)
            return x[:, :1] * x[:, 1:]

    images = torch.tensor([[[[3.0, 5.0]]]])
    baseline = torch.tensor([[[1.0, 1.0]]])
    found = whence.attribute(Product().eval(), images, "deeplift", 0, baseline=baseline)
    assert_close(found.images.flatten(), torch.tensor([2 * 3.0, 4 * 2.0]))


def two_layers():
    """Two layers without biases: hidden units of two inputs, and two answers."""
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)
    )
    with torch.no_grad():
        layers[1].weight.copy_(torch.tensor([[1.0, 1.0], [2.0, -1.0]]))
        layers[3].weight.copy_(torch.tensor([[3.0, 2.0], [-1.0, 4.0]]))
    return layers.eval()


def test_excitation_backprop_is_as_worked_out_by_hand():
    images = torch.tensor([[[[1.0, 1.0]]]])  # hidden units 2 and 1
    found = whence.attribute(two_layers(), images, "excitation_backprop", 0)
    hidden = 6 / 8, 2 / 8  # 2 * 3 and 1 * 2 of answer 0
    wanted = torch.tensor([hidden[0] / 2 + hidden[1], hidden[0] / 2])
    assert_close(found.images.flatten(), wanted)
    other = whence.attribute(two_layers(), images, "excitation_backprop", 1)
    assert_close(other.images.flatten(), torch.tensor([1.0, 0.0]))  # 4 of unit 1 alone
    against = whence.attribute(
        two_layers(), images, "excitation_backprop", 1, contrastive=True
    )  # turned round, only the first unit excites answer 1
    assert_close(against.images.flatten(), torch.tensor([1.0 - 0.5, 0.0 - 0.5]))


@pytest.mark.parametrize("normalised", [False, True])
def test_excitation_backprop_is_that_of_zennit_without_biases_and_stabiliser(
    rng, asked, normalised
):
    """A norm that multiplies by positive numbers cancels out, merged or not."""
    model = network(rng, norm_epsilon=0.0)
    if not normalised:
        model[1] = nn.Identity().eval()
    theirs = ExcitationBackprop(
        stabilizer=1e-30, zero_params="bias", canonizers=[SequentialMergeBatchNorm()]
    )
    for target in (0, 2):
        found = whence.attribute(model, asked, "excitation_backprop", target)
        expected = use_zennit(theirs, model, asked, target, one=True)
        assert_close(found.images, expected, rtol=0, atol=1e-12)
        assert_close(expected.sum((1, 2, 3)), torch.ones(2).double(), **EXACT)


def test_excitation_backprop_passes_through_a_norm_that_turns_signs_as_its_authors_do():
    """Merged, the first unit would be excited by the second input, of which its sum is -2."""
    layers = nn.Sequential(
        nn.Conv2d(1, 2, (1, 2), bias=False), nn.BatchNorm2d(2, eps=0.0), nn.Flatten()
    )
    last = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[1.0, -3.0], [1.0, 1.0]])[:, None, None])
        layers[1].weight.copy_(torch.tensor([-1.0, 1.0]))
        last.weight.fill_(1.0)
    model, images = nn.Sequential(*layers, last).eval(), torch.ones(1, 1, 1, 2)
    found = whence.attribute(model, images, "excitation_backprop", 0).images.flatten()
    assert_close(found, torch.tensor([0.5 + 0.25, 0.25]))
    theirs = ExcitationBackprop(
        stabilizer=1e-30, zero_params="bias", canonizers=[SequentialMergeBatchNorm()]
    )
    merged = use_zennit(theirs, model, images, 0, one=True).flatten()
    assert_close(merged, torch.tensor([0.25, 0.5 + 0.25]))


def test_deep_taylor_is_z_plus_with_a_box_around_the_pixels(model, asked):
    found = whence.attribute(model, asked, "deep_taylor", 1, low=0.0, high=1.0)
    boxed = whence.attribute(model, asked, "lrp", 1, rule="box", epsilon=0.0, spread_biases=True)
    assert_close(found.images, boxed.images, **EXACT)
    assert float(found.ledger["unexplained"].abs().max()) < 1e-12
    plain = whence.attribute(model, asked, "deep_taylor", 1)
    assert not torch.equal(plain.images, found.images)
    with pytest.raises(ValueError, match=r"low and high must both be given, or neither"):
        whence.attribute(model, asked, "deep_taylor", 1, low=0.0)


def test_cam_weighs_feature_maps_as_the_linear_layer_does(rng):
    torch.manual_seed(1)
    body = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).double()
    images = torch.rand(2, 2, 6, 8, generator=rng, dtype=torch.float64)
    found = whence.attribute(model.eval(), images, "cam", 2)
    with torch.no_grad():
        maps = torch.einsum("bkhw,k->bhw", body(images), model[3].weight[2])
        wide = nn.functional.interpolate(maps[:, None], (6, 8), mode="bilinear") / 2
        assert_close(found.images, wide.expand(-1, 2, -1, -1), **EXACT)
        assert_close(maps.mean((1, 2)) + model[3].bias[2], model(images)[:, 2], **EXACT)


@pytest.mark.parametrize("size", [(6, 8), (12, 8)])
def test_cam_is_grad_cam_times_the_places_where_it_is_above_0(rng, size):
    """The slope of a mean over n places is a weight over n; Grad-CAM then rectifies the maps."""
    torch.manual_seed(1)
    body = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).double()
    images = torch.rand(2, 2, *size, generator=rng, dtype=torch.float64)
    own = whence.attribute(model.eval(), images, "cam", 2)
    grad = whence.attribute(model, images, "grad_cam", 2, layer="0")
    places = size[0] * size[1] / 4
    with torch.no_grad():
        maps = torch.einsum("bkhw,k->bhw", body(images), model[3].weight[2])[:, None]
    assert bool((maps < 0).any())
    assert bool((maps > 0).any())
    wide = nn.functional.interpolate(maps.relu(), size, mode="bilinear")
    assert_close(places * grad.images.sum(1), wide[:, 0], **EXACT)
    flat = nn.functional.interpolate(maps, size, mode="bilinear")
    assert_close(own.images.sum(1), flat[:, 0], **EXACT)
    with torch.no_grad():
        model[3].weight.abs_()
    own, grad = (
        whence.attribute(model, images, name, 2, **options)
        for name, options in (("cam", {}), ("grad_cam", {"layer": "0"}))
    )
    assert_close(own.images, places * grad.images, **EXACT)  # nothing is left to rectify
    assert float(own.images.min()) > 0


def test_cam_is_found_through_a_linear_head_and_refused_elsewhere(model, asked):
    wrapped, images, *_ = remember("small_cnn", "standard", (8, 9))
    assert whence.attribute(wrapped, images, "cam").images.shape == images.shape
    with pytest.raises(ValueError, match=r"cam needs a network that ends in a global average pool"):
        whence.attribute(model, asked, "cam", 1)


class Two(nn.Module):
    """Functions f and g of two numbers, which are the same (Sundararajan et al. 2017)."""

    def __init__(self, before, after):
        super().__init__()
        self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 1)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(2))
            self.first.bias.copy_(torch.tensor([before, 0.0]))
            self.last.weight.copy_(torch.tensor([[1.0, -1.0]]))
            self.last.bias.fill_(after)
        self.double().eval()

    def forward(self, images):
        return self.last(self.first(images.flatten(1)).relu()).relu()


F, G = (0.0, -1.0), (-1.0, 0.0)
POINT = torch.tensor([[[[3.0, 1.0]]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "options", "of_f", "of_g"),
    [
        (
            "integrated_gradients",
            {"baseline": torch.zeros(1, 1, 2), "steps": 32},
            (1.5, -0.5),
            (1.5, -0.5),
        ),
        ("deeplift", {"baseline": torch.zeros(1, 1, 2)}, (1.5, -0.5), (2.0, -1.0)),
        ("lrp", {"spread_biases": True, "epsilon": 0.0}, (1.5, -0.5), (2.0, -1.0)),
        ("lrp", {"epsilon": 0.0}, (3.0, -1.0), (3.0, -1.0)),
    ],
)
def test_two_networks_of_one_function_have_the_numbers_that_are_printed(name, options, of_f, of_g):
    for biases, wanted in ((F, of_f), (G, of_g)):
        found = whence.attribute(Two(*biases), POINT, name, 0, **options)
        assert_close(found.images.flatten(), torch.tensor(wanted).double(), **EXACT)
        if name == "lrp" and "spread_biases" not in options:
            assert_close(found.ledger["biases"], torch.tensor([-1.0]).double(), **EXACT)


def test_deconvnet_and_guided_backpropagation_give_the_second_number_nothing():
    for x1, x2 in ((3.0, 1.0), (3.0, 0.5), (2.0, 0.1)):
        point = torch.tensor([[[[x1, x2]]]], dtype=torch.float64)
        for name in ("deconvnet", "guided_backprop"):
            found = whence.attribute(Two(*F), point, name, 0)
            assert_close(found.images.flatten(), torch.tensor([1.0, 0.0]).double(), **EXACT)
        assert float(whence.attribute(Two(*F), point, "gradient", 0).images[0, 0, 0, 1]) == -1


class Kink(nn.Module):
    """One number x, and 1 - relu(1 - x); a second number that is not looked at."""

    def forward(self, images):
        return 1 - (1 - images.flatten(1)[:, :1]).relu()


def test_sensitivity_and_a_number_that_is_not_looked_at():
    point = torch.tensor([[[[2.0, 7.0]]]], dtype=torch.float64)
    for name, wanted in (("gradient", 0.0), ("integrated_gradients", 1.0), ("deeplift", 1.0)):
        options = {} if name == "gradient" else {"baseline": torch.zeros(1, 1, 2)}
        options |= {"steps": 32} if name == "integrated_gradients" else {}
        found = whence.attribute(Kink().eval(), point, name, 0, **options).images.flatten()
        assert_close(found, torch.tensor([wanted, 0.0]).double(), **EXACT)
    for name in ("lrp", "guided_backprop", "deconvnet", "excitation_backprop"):
        assert float(whence.attribute(Kink().eval(), point, name, 0).images[0, 0, 0, 1]) == 0
