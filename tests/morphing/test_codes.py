"""The code of an image: sampled where a sample will do, else improved, else a reason."""

from dataclasses import fields

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.coding import CLASSES, SHAPE, draw_images, make_model, make_vae, snapshot
from whence.autoencoders.vae import absolute_distance
from whence.morphing.answers import (
    check_fit,
    classify_codes,
    classify_images,
    top_two,
)
from whence.morphing.code import Codes, find_codes
from whence.morphing.improve import MARGIN, Descent, lack_of_order

VARIANTS = ["standard", "memory-wrap", "only-memory"]
THESIS = Descent(steps=0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def slowly(model, vae, images, *, samples):
    """Section 5.1 of the thesis, one code after the other; of a miss, what lacks least."""
    generator = seeded()
    for image in images:
        wanted = classify_images(model, image[None]).argsort(descending=True)[0, :2]
        mean, deviation = vae.distribution(image[None])
        noise = torch.randn(samples, 4, generator=generator)
        best, least = (float("inf"), None), (float("inf"), None)
        for one in [*noise, torch.zeros(4)]:
            code = mean + deviation * one
            decoded = vae.decode(code)
            logits = model(decoded)
            distance = float((decoded - image / 255).abs().mean())
            if logits.argsort(descending=True)[0, :2].equal(wanted) and one.any():
                best = min(best, (distance, code[0]), key=lambda pair: pair[0])
            lacking = float(lack_of_order(logits, wanted[None]))
            least = min(least, (lacking, code[0]), key=lambda pair: pair[0])
        yield best[1] is not None, least[1] if best[1] is None else best[1]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("batch_size", [1, 13, 500])
def test_sampling_is_that_of_the_thesis(variant, batch_size):
    model, vae, images = make_model(variant), make_vae(), draw_images(12)
    found = find_codes(
        model,
        vae,
        images,
        generator=seeded(),
        samples=5,
        descent=THESIS,
        batch_size=batch_size,
    )
    expected = list(slowly(model, vae, images, samples=5))
    assert found.found.tolist() == [there for there, _ in expected]
    assert 1 < found.found.sum() < 12, "else one of the two kinds is not tested"
    assert_close(found.codes, torch.stack([code for _, code in expected]), rtol=1e-4, atol=1e-5)
    assert {*found.how} == {"sampled", "none"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_comes_with_the_codes(variant):
    model, vae, images = make_model(variant), make_vae(), draw_images(12)
    found = find_codes(model, vae, images, generator=seeded(), samples=3, descent=Descent(30, 0.05))
    assert len(found) == 12
    assert found.codes.shape == (12, 4)
    assert_close(found.decoded, vae.decode(found.codes))
    assert found.decoded.shape == (12, *SHAPE)
    assert_close(found.distances, absolute_distance(found.decoded, images / 255))
    assert_close(found.classes, top_two(model(images)))
    assert_close(found.decoded_classes, top_two(model(found.decoded)))
    assert ((found.classes == found.decoded_classes).all(1) >= found.found).all()
    assert [reason is None for reason in found.reasons] == found.found.tolist()
    assert not any(
        getattr(found, field.name).requires_grad
        for field in fields(found)
        if isinstance(getattr(found, field.name), torch.Tensor)
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_descent_finds_what_sampling_does_not(variant):
    model, vae, images = make_model(variant), make_vae(), draw_images(40)
    options = {"generator": seeded(), "samples": 3}
    first = find_codes(model, vae, images, descent=THESIS, **options)
    options["generator"] = seeded()
    found = find_codes(model, vae, images, descent=Descent(300, 0.05), **options)
    assert first.found.sum() < found.found.sum()
    assert found.found[first.found].all()
    assert_close(found.codes[first.found], first.codes[first.found], rtol=0, atol=0)
    rows = torch.tensor([how == "optimised" for how in found.how])
    assert rows.tolist() == (found.found & ~first.found).tolist()
    lacking = lack_of_order(model(found.decoded[rows]), found.classes[rows], margin=MARGIN - 1e-3)
    assert (lacking == 0).all()


def test_the_samples_come_from_the_generator_alone():
    model, vae, images = make_model(), make_vae(), draw_images(6)
    torch.manual_seed(1)
    one = find_codes(model, vae, images, generator=seeded(), descent=THESIS)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    same = find_codes(model, vae, images, generator=seeded(), descent=THESIS)
    assert torch.equal(torch.get_rng_state(), state)
    assert_close(same.codes, one.codes, rtol=0, atol=0)
    other = find_codes(model, vae, images, generator=seeded(1), descent=THESIS)
    assert not torch.equal(other.codes, one.codes)
    alone = find_codes(model, vae, images[:2], generator=seeded(), descent=THESIS)
    assert_close(alone.codes, one.codes[:2], rtol=1e-5, atol=1e-6)


def test_more_samples_are_no_worse():
    model, vae, images = make_model(), make_vae(), draw_images(1)
    few, many = (
        find_codes(model, vae, images, generator=seeded(), samples=samples, descent=THESIS)
        for samples in (5, 200)
    )
    assert many.found.all()
    assert many.distances < few.distances or not few.found.any()


def test_the_mean_is_no_code_but_a_place_to_start_from():
    """The thesis draws its codes. These samples are far out, and most of them wrong."""
    model, vae, images = make_model(), make_vae(deviation=30.0), draw_images(60)
    found = find_codes(model, vae, images, generator=seeded(), samples=1, descent=THESIS)
    mean = vae.distribution(images).mean
    missed = (lack_of_order(model(vae.decode(mean)), found.classes) == 0) & ~found.found
    assert missed.any()
    assert_close(found.codes[missed], mean[missed], rtol=1e-4, atol=1e-5)
    found = find_codes(model, vae, images, generator=seeded(), samples=1)
    assert_close(found.codes[missed], mean[missed], rtol=1e-4, atol=1e-5)
    assert {found.how[row] for row in missed.nonzero().squeeze(1)} == {"optimised"}


def test_a_reason_says_what_was_tried_and_what_came_nearest():
    model, vae, images = make_model(), make_vae(), draw_images(12)
    with torch.no_grad():
        vae.decoder.layer.weight.mul_(1e-3)  # every code gives the same picture
    for descent, tried in (
        (THESIS, "none of 3 samples"),
        (Descent(steps=4), "none of 3 samples and 4 steps of improving one"),
    ):
        found = find_codes(model, vae, images, generator=seeded(), samples=3, descent=descent)
        assert 0 < found.found.sum() < 12
        for row in (~found.found).nonzero().squeeze(1).tolist():
            one, two = (CLASSES[place] for place in found.classes[row])
            near, next_to_it = (CLASSES[place] for place in found.decoded_classes[row])
            assert found.reasons[row] == (
                f"The autoencoder is not good enough for this image: in {tried} does the model "
                f"clearly see {one} before {two}, as in the image. The nearest is off by "
                f"{found.distances[row]:.1%} of the range of a pixel on average, and the model "
                f"sees {near} before {next_to_it} in it. Train the autoencoder longer."
            )


def test_two_classes():
    model, vae = make_model(classes=("ant", "bee")), make_vae()
    found = find_codes(model, vae, draw_images(9), generator=seeded())
    assert found.found.all()
    assert (found.classes.sum(1) == 1).all()


def test_an_image_of_the_memory_is_classified_without_itself():
    model = make_model("memory-wrap")
    images = draw_images(11, seed=5)  # the memory
    mask = ~torch.eye(11, dtype=torch.bool)
    assert_close(classify_images(model, images, batch_size=4), model(images, mask=mask))
    assert not torch.allclose(classify_images(model, images), model(images))
    others = draw_images(7)
    assert_close(classify_images(model, others, batch_size=3), model(others))
    found = find_codes(model, make_vae(), images, generator=seeded())
    assert_close(found.classes, top_two(model(images, mask=mask)))


def test_codes_are_classified_in_batches():
    model, vae = make_model("memory-wrap"), make_vae()
    codes = torch.randn(7, 4, generator=seeded())
    images, logits = classify_codes(model, vae, codes, batch_size=3)
    assert_close(images, vae.decode(codes))
    assert_close(logits, model(images))


def test_top_two():
    logits = torch.tensor([[0.1, 3.0, -2.0, 2.0], [5.0, 1.0, 2.0, 0.0]])
    assert top_two(logits).tolist() == [[1, 3], [0, 2]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_left_behind(variant):
    model, vae = make_model(variant).requires_grad_(), make_vae().requires_grad_()
    images = draw_images(9)
    before = snapshot(model, vae, images)
    find_codes(model, vae, images, generator=seeded(), samples=2, descent=Descent(steps=5))
    assert snapshot(model, vae, images) == before


def test_nothing_is_left_behind_by_an_error():
    model, vae = make_model().requires_grad_(), make_vae().requires_grad_()
    before = snapshot(model, vae)
    calls = []

    def fail(*_):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("enough")

    handle = model.head.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="enough"):
        find_codes(model, vae, draw_images(9), generator=seeded(), samples=1)
    handle.remove()
    assert snapshot(model, vae) == before


def test_what_is_refused():
    model, vae, images = make_model(), make_vae(), draw_images(3)
    find = lambda **options: find_codes(
        options.pop("model", model),
        options.pop("vae", vae),
        options.pop("images", images),
        generator=seeded(),
        **options,
    )
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        find(samples=0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        find(batch_size=0)
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        find(images=images[:0])
    with pytest.raises(ValueError, match=r"must be \(B, 2, 3, 5\), .* got shape \(3, 2, 3, 4\)"):
        find(images=images[..., :4])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        find(images=images.float())
    vae.image_shape = (2, 3, 6)
    with pytest.raises(ValueError, match=r"vae must be of images \(2, 3, 5\) as the classifier"):
        check_fit(model, vae)
    with pytest.raises(ValueError, match=r"got \(2, 3, 6\); train one on the same images"):
        find()
    forgetful = make_model("memory-wrap")
    forgetful.bank = None
    with pytest.raises(RuntimeError, match="The model has no memory yet"):
        find_codes(forgetful, make_vae(), images, generator=seeded())


def test_the_record():
    found = Codes(*[torch.zeros(2, 3)] * 5, ("none", "sampled"), ("because", None))
    assert found.found.tolist() == [False, True]
    assert len(found) == 2
