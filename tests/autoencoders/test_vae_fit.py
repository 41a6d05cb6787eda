"""The training of an autoencoder: the same bits after every stop, the best epoch kept."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from whence.autoencoders import VAES
from whence.autoencoders.fit_vae import (
    VAEPlan,
    check_end_of_vae,
    check_vae_plan,
    cosine,
    fit_vae,
    measure_bound,
)
from whence.autoencoders.measure_vae import measure_reconstruction
from whence.autoencoders.vae import VAE
from whence.encoders.weights import copy_into
from whence.storage.checkpoint import Checkpoint, read_newest_checkpoint, write_checkpoint
from whence.training.progress import DivergedError

SHAPE = (1, 13, 13)
PLAN = VAEPlan(epochs=3, batch_size=7, learning_rate=3e-3, seed=5)


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(13)[:, None].expand(13, 13)
    low = torch.randint(0, 12, (30, 1, 1, 1), generator=generator)
    return (200 * (rows >= low) + torch.randint(0, 50, (30, *SHAPE), generator=generator)).byte()


def make(name="residual"):
    torch.manual_seed(0)
    return VAES[name](SHAPE, codes=3)


def assert_same(one, other):
    assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def keep_all(images, plan, validation, name="residual"):
    """Train, and keep a checkpoint of every step with the number of reports before it."""
    vae, kept, reports = make(name), [], []
    fit_vae(
        vae,
        images,
        validation,
        plan=plan,
        on_step=lambda make: kept.append((make(), len(reports))),
        on_epoch=reports.append,
    )
    return vae, kept, reports


@pytest.mark.parametrize("name", ["residual", "thesis_mnist"])  # calibrated; with dropout
def test_resume_at_every_step(images, tmp_path, name):
    expected, kept, reports = keep_all(images[:22], PLAN, images[22:], name)
    assert len(kept) == 9  # 22 images make 3 batches of 7, in each of 3 epochs
    for place, (checkpoint, before) in enumerate(kept):
        folder = tmp_path / str(place)
        folder.mkdir()
        write_checkpoint(folder, checkpoint)
        again, later = make(name), []
        torch.manual_seed(place)  # whatever the state is
        fit_vae(
            again,
            images[:22],
            images[22:],
            plan=PLAN,
            resume=read_newest_checkpoint(folder),
            on_epoch=later.append,
        )
        assert_same(again, expected)
        assert later == reports[before:]


def test_every_parameter_and_statistic_changes(images):
    start, (trained, _, reports) = make().state_dict(), keep_all(images, PLAN, images[:0])
    state = trained.state_dict()
    assert [name for name, tensor in state.items() if tensor.equal(start[name])] == []
    assert [report.validation_elbo for report in reports] == [None] * 3
    assert reports[-1].train_elbo > reports[0].train_elbo


def test_training_by_hand(images):
    """A slow second implementation of the whole loop, without early stop."""
    plan = replace(PLAN, epochs=2)
    trained, _, reports = keep_all(images[:23], plan, images[:0])
    vae, generator = make().train(), torch.Generator().manual_seed(5)
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3, fused=True)
    for epoch in range(2):
        order, bounds = torch.randperm(23, generator=generator), []
        for place in range(3):
            step = 3 * epoch + place
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 + math.cos(math.pi * step / 6)) / 2
            batch = images[order[7 * place : 7 * place + 7]]
            elbo = vae.bound(batch, torch.randn(7, 3, generator=generator)).elbo.mean()
            optimizer.zero_grad()
            (-elbo).backward()
            optimizer.step()
            bounds.append(float(elbo.detach()))
        assert reports[epoch].train_elbo == pytest.approx(sum(bounds) / 3)
        assert reports[epoch].learning_rate == optimizer.param_groups[0]["lr"]
        assert reports[epoch].epoch == epoch + 1
    assert_same(trained, vae)
    assert not trained.training


def test_seeds_differ_and_the_global_state_stays(images):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = make("thesis_mnist"), make("thesis_mnist")
    torch.set_rng_state(before)
    for vae, seed in ((one, 1), (other, 2)):
        fit_vae(vae, images, images[:0], plan=replace(PLAN, epochs=1, seed=seed))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(one.means.weight, other.means.weight)


class Worse(VAE):
    """An autoencoder whose bound of validation images is what a list says."""

    def __init__(self, bounds):
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2)))
        super().__init__(nn.Flatten(), 4, layer, codes=2, name="worse", image_shape=(1, 2, 2))
        self.bounds, self.seen = bounds, []

    def bound(self, images, noise):
        found = super().bound(images, noise)
        if self.training:
            return found
        self.seen.append({key: t.clone() for key, t in self.state_dict().items()})
        return found._replace(elbo=torch.full_like(found.elbo, self.bounds.pop(0)))


@pytest.mark.parametrize(
    "patience, bounds, epochs, best",
    [
        (2, [1.0, 3.0, 2.0, 3.0, 9.0], 4, 1),  # an equal bound is no better
        (1, [1.0, 0.0, 9.0, 9.0, 9.0], 2, 0),
        (0, [1.0, 3.0, 2.0, 2.0, 2.0], 5, 1),
        (2, [1.0, 0.0, 2.0, 1.0, 3.0], 5, 4),
    ],
)
def test_it_stops_when_nothing_gets_better_and_keeps_the_best(patience, bounds, epochs, best, rng):
    vae, reports = Worse(bounds), []
    images = torch.randint(0, 256, (8, 1, 2, 2), dtype=torch.uint8, generator=rng)
    plan = VAEPlan(epochs=5, batch_size=4, patience=patience, learning_rate=0.1)
    fit_vae(vae, images, images[:3], plan=plan, on_epoch=reports.append)
    assert len(reports) == len(vae.seen) == epochs
    assert_close(vae.state_dict(), vae.seen[best], rtol=0, atol=0)
    assert not vae.seen[best]["means.weight"].equal(vae.seen[best - 1]["means.weight"])


def test_a_stop_is_kept_in_the_checkpoint(rng):
    images = torch.randint(0, 256, (8, 1, 2, 2), dtype=torch.uint8, generator=rng)
    plan, kept = VAEPlan(epochs=9, batch_size=4, patience=1, learning_rate=0.1), []
    vae = Worse([2.0, 1.0])
    fit_vae(vae, images, images[:3], plan=plan, on_step=lambda make: kept.append(make()))
    again, reports = Worse([]), []
    fit_vae(again, images, images[:3], plan=plan, resume=kept[-1], on_epoch=reports.append)
    assert reports == []
    assert_same(again, vae)


def test_the_best_bound_is_kept_in_the_checkpoint(rng):
    images = torch.randint(0, 256, (8, 1, 2, 2), dtype=torch.uint8, generator=rng)
    plan, kept = VAEPlan(epochs=3, batch_size=4, patience=0, learning_rate=0.1), []
    vae = Worse([3.0, 1.0, 2.0])
    fit_vae(vae, images, images[:3], plan=plan, on_step=lambda make: kept.append(make()))
    again = Worse([1.0, 2.0])
    fit_vae(again, images, images[:3], plan=plan, resume=kept[1])
    assert_same(again, vae)
    assert_close(vae.state_dict(), vae.seen[0], rtol=0, atol=0)


def test_cosine():
    assert [cosine(0), cosine(0.5), cosine(1)] == pytest.approx([1, 0.5, 0])


def test_the_bound_is_the_mean_over_images_and_repeats(images):
    vae = make().eval()
    found = measure_bound(vae, images[:11], seed=4, batch_size=11)
    noise = torch.randn(11, 3, generator=torch.Generator().manual_seed(4))
    assert found == measure_bound(vae, images[:11], seed=4)
    assert found != measure_bound(vae, images[:11], seed=5)
    with pytest.raises(RuntimeError, match=r"The VAE must be in eval mode to answer; call .eval"):
        measure_bound(vae.train(), images[:11], seed=4)
    with torch.no_grad():
        assert found == pytest.approx(float(vae.eval().bound(images[:11], noise).elbo.mean()))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 500])
def test_the_bound_does_not_depend_on_the_batch_size(batch_size, images):
    vae = make().eval()
    noise = torch.randn(len(images), 3, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = float(vae.bound(images, noise).elbo.double().mean())
    assert measure_bound(vae, images, seed=4, batch_size=batch_size) == pytest.approx(expected)


def test_reconstruction_by_hand(images):
    vae = make().eval()
    found = measure_reconstruction(vae, images[:11], seed=4, batch_size=4)
    with torch.no_grad():
        mean, deviation = vae.distribution(images[:11])
        difference = vae.decode(mean) - images[:11] / 255
        prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
        here = torch.distributions.Normal(mean, deviation)
        nats = torch.distributions.kl_divergence(here, prior).sum(1).mean()
    assert found.images == 11
    assert found.mse == pytest.approx(float(difference.square().mean()), rel=1e-5)
    assert found.l1 == pytest.approx(float(difference.abs().mean()), rel=1e-5)
    assert found.divergence == pytest.approx(float(nats), rel=1e-4)
    assert found.elbo == measure_bound(vae, images[:11], seed=4, batch_size=4)
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        measure_reconstruction(vae, images[:0])
    with pytest.raises(
        ValueError, match=r"images must be \(B, 1, 13, 13\), .* got shape \(2, 1, 12, 13\)"
    ):
        measure_reconstruction(vae, torch.zeros(2, 1, 12, 13))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2, got 1"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"seed": -1}, r"seed must be in 0 to 2\*\*63 - 1, got -1"),
        ({"seed": 2**63}, "seed must be in 0 to 2"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate must be a number, got nan"),
    ],
)
def test_plans_that_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check_vae_plan(replace(PLAN, **change), 2)


def test_too_few_images(images):
    with pytest.raises(ValueError, match="images must be at least 2, got 1"):
        fit_vae(make(), images[:1], images[:0], plan=PLAN)


def test_a_bound_that_is_not_finite_stops_the_training(images):
    kept = []
    with pytest.raises(ValueError, match=r"The bound became .* at step 2; try a lower learning"):
        fit_vae(
            make(),
            images,
            images[:0],
            plan=replace(PLAN, learning_rate=1e30),
            on_step=lambda make: kept.append(make()),
        )
    assert len(kept) == 1


@pytest.mark.parametrize("validated", [True, False])
def test_a_bound_that_ends_far_below_the_worst_images_is_refused(images, validated):
    reports, shown = [], images[22:] if validated else images[:0]
    with pytest.raises(
        DivergedError, match=r"The bound ended at -.*e\+\d+ nats, far below the -240 "
    ):
        fit_vae(
            make(), images[:22], shown, plan=replace(PLAN, learning_rate=5), on_epoch=reports.append
        )
    assert all(math.isfinite(report.train_elbo) for report in reports)


def test_the_bound_of_the_worst_images_by_hand():
    """Each of 169 pixels is off by 1, which is one deviation, or two of a fixed variance 1/4."""
    vae = make()
    worst = 169 * torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(1.0))
    check_end_of_vae(vae, 9.99 * float(worst))
    with pytest.raises(DivergedError, match=r"-2.4e\+03 nats, far below the -240 of images"):
        check_end_of_vae(vae, 10.01 * float(worst))
    vae.calibrated = False
    vae.variance.fill_(0.25)
    worst = 169 * torch.distributions.Normal(0.0, 0.5).log_prob(torch.tensor(1.0))
    check_end_of_vae(vae, 9.99 * float(worst))
    with pytest.raises(DivergedError, match="try a lower learning rate"):
        check_end_of_vae(vae, 10.01 * float(worst))


@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf])
def test_a_bound_of_the_validation_images_that_is_not_finite_stops_the_training(bound, rng):
    images = torch.randint(0, 256, (8, 1, 2, 2), dtype=torch.uint8, generator=rng)
    plan, reports = VAEPlan(epochs=3, batch_size=4, learning_rate=0.1), []
    with pytest.raises(
        DivergedError, match=r"validation images became -?(nan|inf) in epoch 2; try"
    ):
        fit_vae(Worse([1.0, bound]), images, images[:3], plan=plan, on_epoch=reports.append)
    assert [report.epoch for report in reports] == [1]


def test_reconstructions_that_are_not_finite_are_refused(images):
    vae = make().eval()
    with torch.no_grad():
        vae.variance.fill_(0.0)
    with pytest.raises(
        ValueError, match=r"finite numbers, elbo of these images is -?(nan|inf); train"
    ):
        measure_reconstruction(vae, images)


CHANGES = {
    "a tensor of the model": lambda t, n: t.pop("model.means.bias"),
    "the shape of a tensor": lambda t, n: t.update({"model.means.bias": torch.zeros(4)}),
    "the best tensor": lambda t, n: t.pop("best.means.bias"),
    "an optimiser's tensor": lambda t, n: t.update({"optimizer.0.exp_avg": torch.zeros(2)}),
    "an optimiser's step": lambda t, n: t.pop("optimizer.0.step"),
    "an optimiser's step of another shape": lambda t, n: t.update(
        {"optimizer.0.step": torch.zeros(3)}
    ),
    "the order": lambda t, n: t.update(order=torch.ones(22, dtype=torch.int64)),
    "an order of numbers that are not whole": lambda t, n: t.update(order=torch.arange(22.0)),
    "the losses": lambda t, n: t.update(losses=torch.zeros(3)),
    "a random state": lambda t, n: t.pop("random.draws"),
    "the step": lambda t, n: n.update(step=5.0),
    "the place": lambda t, n: n.update(place=2),
    "a place that is not whole": lambda t, n: n.update(place=1.0),
    "a step after the last": lambda t, n: n.update(step=10),
    "the epochs since": lambda t, n: n.update(worse=None),
    "the best bound": lambda t, n: n.update(best_elbo="1"),
    "no best bound": lambda t, n: n.pop("best_elbo"),
    "an infinite best bound": lambda t, n: n.update(best_elbo=math.inf),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_checkpoint_that_does_not_fit_changes_nothing(images, what):
    _, kept, _ = keep_all(images[:22], PLAN, images[22:])
    checkpoint = kept[3][0]  # step 4: after the first epoch
    tensors, numbers = dict(checkpoint.tensors), dict(checkpoint.numbers)
    CHANGES[what](tensors, numbers)
    vae = make()
    before = {key: t.clone() for key, t in vae.state_dict().items()}
    with pytest.raises(ValueError, match="The checkpoint must hold"):
        fit_vae(vae, images[:22], images[22:], plan=PLAN, resume=Checkpoint(tensors, numbers))
    assert_close(vae.state_dict(), before, rtol=0, atol=0)


def test_copies_of_the_best_are_not_the_parameters(images):
    """Else the best would change with every step."""
    _, kept, _ = keep_all(images[:22], PLAN, images[22:])
    tensors = kept[4][0].tensors  # step 5, the best is of step 3
    vae = make()
    copy_into(vae, {name: tensors[f"best.{name}"] for name in vae.state_dict()})
    assert not torch.equal(tensors["best.means.weight"], tensors["model.means.weight"])
    assert torch.equal(tensors["best.means.weight"], kept[2][0].tensors["model.means.weight"])
