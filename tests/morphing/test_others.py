"""Others of three kinds, entropy along paths, measures of quality, and all of it together."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.morphing_parts import (
    CLASSES,
    CODES,
    SHAPE,
    build,
    build_vae,
    draw,
    draw_images,
    same_state,
    state_of,
)
from whence.autoencoders import VAES
from whence.autoencoders.vae import encode_images
from whence.data.fingerprint import content_hashes
from whence.morphing import OTHERS
from whence.morphing.code import find_codes
from whence.morphing.entropy import (
    measure_path,
)
from whence.morphing.interpolate import decode_path, radial
from whence.morphing.mistakes import find_mistakes
from whence.morphing.morph import follow, morph
from whence.morphing.nearest import nearest_of_class
from whence.morphing.others import Asked, choose_classes
from whence.morphing.path_mask import MaskPlan, path_masks
from whence.morphing.stored_codes import store_codes
from whence.morphing.walk import MorphPlan, morph_codes


def make_case(variant="memory-wrap", count=6):
    model, vae, images = build(variant), build_vae(), draw_images(count, seed=8)
    with torch.no_grad():
        classes = choose_classes(model(images), CLASSES)
    stored = store_codes(
        vae,
        draw_images(40, seed=4),
        torch.arange(40) % 4,
        classes=4,
        generator=torch.Generator().manual_seed(0),
    )
    return model, vae, Asked(images, draw(count, CODES, seed=3), classes), stored


# Others


def test_what_is_stored():
    vae = build_vae()
    images, labels = draw_images(40, seed=4), torch.arange(40) % 4
    stored = store_codes(
        vae, images, labels, classes=4, generator=torch.Generator().manual_seed(0), batch_size=7
    )
    mean, deviation = encode_images(vae, images)
    assert_close(stored.codes, mean)
    sampled = mean + deviation * torch.randn(40, CODES, generator=torch.Generator().manual_seed(0))
    assert_close(stored.norms.norms, sampled.norm(dim=1).double())
    assert_close(stored.norms.means[2], sampled.norm(dim=1)[labels == 2].double().mean())
    generator = torch.Generator()
    with pytest.raises(ValueError, match="at least one image to store, got none"):
        store_codes(vae, images[:0], labels[:0], classes=4, generator=generator)
    with pytest.raises(ValueError, match=r"labels must be \(40,\), .* got shape \(39,\)"):
        store_codes(vae, images, labels[1:], classes=4, generator=generator)


def test_classes_by_hand():
    logits = torch.tensor([[1.0, 3, 2, 0], [5, 4, -1, 6]])
    assert choose_classes(logits, CLASSES).tolist() == [[1, 2], [3, 0]]
    assert choose_classes(logits, CLASSES, to=torch.tensor([3, 1])).tolist() == [[1, 3], [3, 1]]
    with pytest.raises(
        ValueError, match="must differ from the answer, got bee for both of image 0"
    ):
        choose_classes(logits, CLASSES, to=torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="classes must be in 0 to 3, got 3 and -1 for image 1"):
        choose_classes(logits, CLASSES, to=torch.tensor([0, -1]))
    with pytest.raises(ValueError, match=r"to must be \(B\) with B=2"):
        choose_classes(logits, CLASSES, to=torch.tensor([0]))


@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_other(name):
    model, vae, asked, stored = make_case()
    before = state_of(model, vae)
    others = OTHERS[name](model, vae, asked, stored)
    same_state(before, state_of(model, vae))
    assert others.kind == name
    assert len(others) == 6
    assert torch.equal(others.classes[:, 0], asked.classes[:, 0])
    with torch.no_grad():
        decoded = vae.decode(others.codes)
        assert_close(others.decoded, decoded)
        assert_close(others.logits, model(decoded))
    assert torch.equal(others.valid, others.logits.argmax(1) == others.classes[:, 1])
    assert [reason is None for reason in others.reasons] == others.found.tolist()
    parts = OTHERS[name](model, vae, asked, stored, batch_size=4)
    assert_close(parts.codes, others.codes, rtol=1e-3, atol=1e-3)
    with pytest.raises(
        ValueError, match=r"Unknown other 'far'\. Choose from: morph, nearest, memory\."
    ):
        OTHERS.find("far")


def test_the_nearest_and_the_morph():
    model, vae, asked, stored = make_case()
    others = OTHERS["nearest"](model, vae, asked, stored)
    for row in range(6):
        allowed = (stored.labels == asked.classes[row, 1]).nonzero().squeeze(1)
        cosines = torch.cosine_similarity(stored.codes[allowed], asked.codes[row : row + 1])
        assert int(others.places[row]) == int(allowed[cosines.argmax()])
        assert_close(others.codes[row], stored.codes[others.places[row]])
    names = content_hashes(asked.images)
    copies = {name: (int(place), 0) for name, place in zip(names, others.places, strict=True)}
    again = OTHERS["nearest"](model, vae, asked, replace(stored, places=copies))
    assert bool((again.places != others.places).all())
    assert not bool((again.places == 0).any())
    plan = MorphPlan(steps=200)
    made = OTHERS["morph"](model, vae, asked, stored, plan=plan)
    direct = morph_codes(model, vae, asked.codes, asked.classes, stored.norms, plan=plan)
    assert torch.equal(made.codes, direct.codes)
    assert torch.equal(made.steps, direct.steps)
    assert made.reasons == direct.reasons
    assert made.places.tolist() == [-1] * 6


def test_the_memory_chooses_its_counterfactual():
    model, vae, asked, stored = make_case(count=12)
    others = OTHERS["memory"](model, vae, asked, stored)
    explained = whence.explain(model, asked.images, draws=0)
    kinds = set()
    for row, explanation in enumerate(explained):
        item = explanation.counterfactual or explanation.near_miss
        kinds.add(explanation.counterfactual is None)
        assert others.reasons[row] == explanation.counterfactual_reason
        assert int(others.places[row]) == item.index
        assert int(others.classes[row, 1]) == item.predicted
        pixels = model.bank.images[(item.index - 7) // 10][None]
        assert_close(others.codes[row], encode_images(vae, pixels).mean[0])
    assert False in kinds


def test_the_memory_takes_the_class_that_was_named():
    model, vae, asked, stored = make_case(count=12)
    explained = whence.explain(model, asked.images, draws=0)
    seen = set()
    for wanted in range(4):
        rows = [row for row in range(12) if explained[row].predicted != wanted]
        classes = torch.tensor([[explained[row].predicted, wanted] for row in rows])
        part = Asked(asked.images[rows], asked.codes[rows], classes, named=True)
        others = OTHERS["memory"](model, vae, part, stored)
        assert torch.equal(others.classes, classes)
        for place, row in enumerate(rows):
            of_class = [
                item
                for item in explained[row].evidence
                if item.role == "counterfactual" and item.predicted == wanted
            ]
            seen.add(bool(of_class))
            assert bool(others.found[place]) == bool(of_class)
            if of_class:
                assert int(others.places[place]) == of_class[0].index
            elif explained[row].counterfactuals:
                assert int(others.places[place]) == -1
                assert_close(others.codes[place], asked.codes[row])
                assert f"puts in class {CLASSES[wanted]}" in others.reasons[place]
    assert seen == {True, False}


def test_a_model_without_a_memory_has_no_counterfactual():
    model, vae, asked, stored = make_case("standard")
    others = OTHERS["memory"](model, vae, asked, stored)
    assert others.reasons == ("A standard model has no memory.",) * 6
    assert not bool(others.found.any())
    assert_close(others.codes, asked.codes)


def test_questions_that_are_refused():
    model, vae, asked, stored = make_case()
    for name in OTHERS:
        with pytest.raises(ValueError, match=r"images must be \(B, 2, 3, 5\), .* got shape"):
            OTHERS[name](
                model, vae, Asked(asked.images[..., 1:], asked.codes, asked.classes), stored
            )
        with pytest.raises(ValueError, match="must hold at least one image, got none"):
            OTHERS[name](
                model, vae, Asked(asked.images[:0], asked.codes[:0], asked.classes[:0]), stored
            )
        with pytest.raises(ValueError, match=r"codes must be \(B, Z\) with B=6"):
            OTHERS[name](model, vae, Asked(asked.images, asked.codes[1:], asked.classes), stored)
        with pytest.raises(ValueError, match=r"vae must be of images \(2, 3, 5\)"):
            OTHERS[name](model, VAES["residual"]((1, 3, 5), codes=CODES), asked, stored)
        same = Asked(asked.images, asked.codes, asked.classes[:, [0, 0]])
        with pytest.raises(ValueError, match="other class must differ from the answer"):
            OTHERS[name](model, vae, same, stored)
    labels = torch.zeros(40, dtype=torch.int64)
    few = store_codes(
        vae, draw_images(40), labels, classes=4, generator=torch.Generator().manual_seed(0)
    )
    other = Asked(asked.images, asked.codes, torch.tensor([[0, 3]] * 6))
    for name in ("nearest", "morph"):
        with pytest.raises(ValueError, match="Class dog has no stored image to compare with"):
            OTHERS[name](model, vae, other, few)
    model.attach(whence.edit(model, keep=[7, 17]).bank)
    object.__setattr__(model.bank, "images", None)
    with pytest.raises(ValueError, match="memory was kept without its pixels"):
        OTHERS["memory"](model, vae, asked, stored)


# Wrongly classified images, and all together


def test_mistakes_one_by_one():
    model, images = build("memory-wrap"), draw_images(9)
    images[4] = model.bank.images[3]
    labels = torch.arange(9) % 4
    found = find_mistakes(model, images, labels, batch_size=4)
    rows = []
    for row, answer in enumerate(whence.predict(model, images)):
        if answer.predicted != int(labels[row]):
            place = len(rows)
            rows.append(row)
            assert found.classes[place].tolist() == [answer.predicted, int(labels[row])]
            assert_close(found.probabilities[place], answer.probabilities[found.classes[place]])
    assert found.rows.tolist() == rows
    assert 0 < len(found) < 9
    with pytest.raises(ValueError, match=r"labels must be \(9,\), .* got shape \(8,\)"):
        find_mistakes(model, images, labels[1:])
    with pytest.raises(ValueError, match="labels must be in 0 to 3, got 0 to 4"):
        find_mistakes(model, images, labels + (labels == 3))


def test_all_together():
    model, vae, asked, stored = make_case(count=5)
    plans = {"morph_plan": MorphPlan(steps=400), "mask_plan": MaskPlan(steps=200)}

    def ask(**options):
        generator = torch.Generator().manual_seed(0)
        return morph(model, vae, asked.images, stored, generator=generator, steps=6, **options)

    found = ask(**plans)
    assert len(found) == 5
    ways = radial(found.others.codes, found.codes.codes, steps=6)
    assert_close(found.path, decode_path(vae, ways))
    assert_close(found.path[:, 0], found.others.decoded)
    assert_close(found.path[:, -1], found.codes.decoded)
    again = path_masks(model, found.path, asked.classes[:, 0], plan=plans["mask_plan"])
    assert_close(found.masks.masks, again.masks)
    assert_close(found.answers.entropies, measure_path(model, found.path, asked.classes).entropies)
    for row in range(5):
        reasons = found.codes.reasons[row], found.others.reasons[row]
        assert found.reasons[row] == (reasons[0] if reasons[0] is not None else reasons[1])
    straight = ask(path="linear", other="nearest")
    assert_close(straight.path[:, 0], straight.others.decoded)
    assert not torch.equal(straight.path, ask(other="nearest").path)
    expected = nearest_of_class(
        straight.codes.codes, asked.classes[:, 1], stored.codes, stored.labels
    )
    assert torch.equal(straight.others.places, expected.places)


def test_the_way_from_the_right_label():
    model, vae, _, stored = make_case()
    images, labels = draw_images(7, seed=8), torch.arange(7) % 4
    wrong = find_mistakes(model, images, labels)
    assert len(wrong) > 1
    found = morph(
        model,
        vae,
        images[wrong.rows],
        stored,
        generator=torch.Generator().manual_seed(0),
        to=wrong.classes[:, 1],
        other="nearest",
        steps=4,
    )
    assert torch.equal(found.others.classes, wrong.classes)
    assert torch.equal(stored.labels[found.others.places], labels[wrong.rows])


def test_a_named_class_binds_the_memory():
    model, vae, asked, stored = make_case(count=12)
    wanted = (asked.classes[:, 0] + 1) % 4
    generator = torch.Generator().manual_seed(0)
    options = {"other": "memory", "steps": 3, "generator": generator}
    named = morph(model, vae, asked.images, stored, to=wanted, **options)
    assert torch.equal(named.others.classes[:, 1], wanted)
    free = morph(model, vae, asked.images, stored, **options)
    chosen = OTHERS["memory"](model, vae, asked, stored).classes
    assert torch.equal(free.others.classes, chosen)
    assert not torch.equal(chosen[:, 1], wanted)
    assert not torch.equal(chosen, asked.classes)
    assert_close(free.answers.entropies, measure_path(model, free.path, chosen).entropies)


def test_an_image_is_not_its_own_other():
    """Wrongly labelled training images are nearest to themselves."""
    model, vae, asked, _ = make_case()
    images = torch.cat([asked.images, asked.images, draw_images(20, seed=4)])
    labels = torch.cat([asked.classes[:, 1], asked.classes[:, 1], torch.arange(20) % 4])
    generator = torch.Generator().manual_seed(0)
    stored = store_codes(vae, images, labels, classes=4, generator=generator)
    options = {"other": "nearest", "to": asked.classes[:, 1], "steps": 3}
    found = morph(model, vae, asked.images, stored, generator=generator, **options)
    for row, place in enumerate(found.others.places.tolist()):
        assert place % 6 != row or place >= 12


def test_of_several_reasons_the_first(rng):
    model, vae, asked, stored = make_case()
    codes = find_codes(model, vae, asked.images, generator=rng)
    asked = replace(asked, codes=codes.codes)
    options = {"steps": 3, "morph_plan": MorphPlan(steps=20, entropy=1e-9)}
    coded = replace(codes, reasons=(None,) * 6)
    found = follow(model, vae, coded, asked, stored, **options)
    assert not bool(found.others.found.any())
    assert found.reasons == found.others.reasons
    none = replace(codes, reasons=("No code.",) * 6)
    assert follow(model, vae, none, asked, stored, **options).reasons == ("No code.",) * 6


def test_wholes_that_are_refused(rng):
    model, vae, asked, stored = make_case()
    with pytest.raises(
        ValueError, match=r"Unknown other 'far'\. Choose from: morph, nearest, memory\."
    ):
        morph(model, vae, asked.images, stored, generator=rng, other="far")
    with pytest.raises(ValueError, match=r"Unknown path 'long'\. Choose from: radial, linear\."):
        morph(model, vae, asked.images, stored, generator=rng, path="long")
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        morph(model, vae, asked.images, stored, generator=rng, steps=1)
    with pytest.raises(ValueError, match="classes must be in 0 to 3, got 0 to 9"):
        measure_path(model, torch.zeros(1, 2, *SHAPE), torch.tensor([[0, 9]]))
    with pytest.raises(TypeError, match=r"path must be floats in \[0, 1\], got torch.uint8"):
        measure_path(model, torch.zeros(1, 2, *SHAPE).byte(), torch.tensor([[0, 1]]))
    with pytest.raises(ValueError, match="morph_plan must be left out for 'nearest'"):
        morph(
            model, vae, asked.images, stored, generator=rng, other="nearest", morph_plan=MorphPlan()
        )
    with pytest.raises(ValueError, match="must differ from the answer"):
        morph(model, vae, asked.images, stored, generator=rng, to=asked.classes[:, 0])
