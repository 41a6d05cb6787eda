import copy
import dataclasses

import pytest
import torch

import whence
from tests.helpers.explaining import CLASSES, build, build_with_memory, draw_images

IMAGES = draw_images(6)


def remembered(model, places):
    """The slow way: encode a memory of these images anew."""
    other = build(model.variant)
    other.load_state_dict(model.state_dict())
    return other.remember(model.bank.images[places], model.bank.labels[places])


def check_same(edited, model, places):
    assert edited.bank.indices.tolist() == model.bank.indices[places].tolist()
    assert edited.bank.sources == tuple(model.bank.sources[m] for m in places)
    torch.testing.assert_close(edited(IMAGES), remembered(model, places)(IMAGES))


@pytest.fixture
def model():
    return build_with_memory()


@pytest.mark.parametrize(
    "chosen, places",
    [
        (47, [4]),
        ([47, 7], [0, 4]),
        (torch.tensor([47, 7]), [0, 4]),
        ("bee", [1, 4, 7, 10, 13, 16]),
        (["bee", 7], [0, 1, 4, 7, 10, 13, 16]),
        (lambda stored: stored.source == "3.png", [3]),
        (lambda stored: stored.label == 2 and stored.index > 100, [11, 14]),
        ([lambda stored: stored.index < 20, "cow"], [0, 1, 2, 5, 8, 11, 14]),
        ("3.png", [3]),
        (["3.png", "11.png", 7], [0, 3, 11]),
        ("1?.png", [10, 11, 12, 13, 14, 15, 16]),
        (["bee", "[02].png"], [0, 1, 2, 4, 7, 10, 13, 16]),
    ],
)
def test_remove_and_keep_choose_the_same_images(model, chosen, places):
    others = [m for m in range(17) if m not in places]
    check_same(whence.edit(model, keep=chosen), model, places)
    check_same(whence.edit(model, remove=chosen), model, others)


def test_evidence_can_be_removed(model):
    e = whence.explain(model, IMAGES)[0]
    gone = {item.index for item in e.evidence}
    edited = whence.edit(model, remove=e.evidence)
    check_same(edited, model, [m for m in range(17) if 10 * m + 7 not in gone])
    one = whence.edit(model, remove=e.evidence[0])
    change = one(IMAGES[:1]) - model(IMAGES[:1])
    torch.testing.assert_close(change[0], e.without[0])


def test_a_long_list_of_every_kind(model):
    removed = [7, 167, 47, *whence.explain(model, IMAGES)[0].evidence, 27, "cow", "9.png"]
    gone = {item.index for item in removed[3:-3]} | {7, 167, 47, 27, 97}
    edited = whence.edit(model, remove=removed)
    kept = [m for m in range(17) if 10 * m + 7 not in gone and m % 3 != 2]
    assert edited.bank.indices.tolist() == [10 * m + 7 for m in kept]


def test_evidence_is_named_by_the_file_that_it_shows(model):
    first = whence.predict(model, IMAGES)[0].evidence[0]
    named = whence.edit(model, remove=first.source)
    assert named.bank.indices.equal(whence.edit(model, remove=first).bank.indices)


def test_a_file_name_with_brackets_is_itself_before_it_is_a_pattern(model):
    names = ("[ab].png", "a.png", "Ka\u0308se.png", *map(str, range(14)))
    model.attach(dataclasses.replace(model.bank, sources=names))
    check = lambda chosen: whence.edit(model, keep=chosen).bank.indices.tolist()
    assert check("[ab].png") == [7]
    assert check("[a].png") == [17]
    assert check("K\u00e4se.png") == [27]
    model.attach(dataclasses.replace(model.bank, sources=None))
    with pytest.raises(ValueError, match="ant, bee, cow and their files are not known"):
        whence.edit(model, keep="a.png")


def test_predicate_sees_the_models_own_class(model):
    own = model.bank.predicted.tolist()
    edited = whence.edit(model, keep=lambda stored: stored.predicted == own[0])
    check_same(edited, model, [m for m in range(17) if own[m] == own[0]])


def test_swap_brings_back_what_an_earlier_edit_took_out(model):
    small = whence.edit(model, keep=[7, 17, 27])
    swapped = whence.edit(small, swap={17: 97})
    check_same(swapped, model, [0, 2, 9])
    again = whence.edit(swapped, swap={97: 17, 7: [107, 117]})
    check_same(again, model, [2, 1, 10, 11])
    by_class = whence.edit(whence.edit(model, keep="ant"), swap={"ant": "bee"})
    check_same(by_class, model, [1, 4, 7, 10, 13, 16])


def test_a_swapped_in_image_may_be_there_twice(model):
    edited = whence.edit(model, swap={7: 17})
    check_same(edited, model, [*range(1, 17), 1])


def test_an_exchange_is_made_at_once(model):
    small = whence.edit(model, keep=[7, 17, 27])
    check_same(whence.edit(small, swap={7: 17, 17: 7}), model, [2, 1, 0])
    check_same(whence.edit(small, swap={7: 17, 17: 97}), model, [2, 1, 9])


def test_keep_then_remove_then_swap(model):
    edited = whence.edit(model, keep="bee", remove=17, swap={47: 7})
    check_same(edited, model, [7, 10, 13, 16, 0])


def test_roles_stay_and_the_old_model_is_untouched(model):
    before, bank = model(IMAGES), model.bank
    edited = whence.edit(model, remove="bee")
    own = dict(zip(bank.indices.tolist(), bank.predicted.tolist(), strict=True))
    for e in whence.explain(edited, IMAGES):
        assert all(item.predicted == own[item.index] for item in e.evidence)
    assert model.bank is bank
    assert torch.equal(model(IMAGES), before)
    assert edited.encoder is model.encoder
    assert not edited.training


def test_an_edited_model_notices_changed_parameters(model):
    edited = whence.edit(model, remove=7)
    with torch.no_grad():
        model.encoder[1].bias.add_(1)
    with pytest.raises(RuntimeError, match="parameters changed"):
        edited(IMAGES)


def test_remembering_anew_forgets_the_pool(model):
    edited = whence.edit(model, keep=[7, 17])
    edited.remember(model.bank.images[:3], indices=torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="no stored image with index 27; the memory of 3 has 1"):
        whence.edit(edited, swap={1: 27})


def test_an_edited_model_moves_and_saves(model, tmp_path):
    edited = whence.edit(model, keep=["ant", "cow"])
    whence.save(edited, tmp_path / "edited")
    loaded = whence.load(tmp_path / "edited", encoder=copy.deepcopy(model.encoder))
    torch.testing.assert_close(loaded(IMAGES), edited(IMAGES))
    double = whence.edit(model, keep="ant").double()
    assert double.pool.features.dtype == torch.float64


def test_a_memory_of_one(model):
    edited = whence.edit(model, keep=27)
    check_same(edited, model, [2])
    assert [item.index for item in whence.explain(edited, IMAGES)[0].evidence] == [27]


def test_training_mode_is_kept():
    model = build_with_memory().train()
    assert whence.edit(model, remove=7).training


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({}, ValueError, "must be told what to remove, keep, swap, relabel or add"),
        ({"swap": {}}, ValueError, "got nothing"),
        (
            {"remove": [7, 2**63, 8]},
            ValueError,
            "remove names no stored image with index 9223372036",
        ),
        ({"remove": [7, 8, "dog", 1.5]}, ValueError, "remove names no stored image with index 8"),
        (
            {"remove": [7, "dog", 8, 1.5]},
            ValueError,
            "remove names 'dog', which is no class and no",
        ),
        ({"remove": 8}, ValueError, "remove names no stored image with index 8; the memory of 17 "),
        (
            {"keep": "dog.png"},
            ValueError,
            r"keep names 'dog.png', which is no class and no file .* the classes ant, bee, cow and "
            r"the files 0.png, 1.png, ",
        ),
        ({"keep": "dog/*" * 200}, ValueError, "^.{,700}$"),
        ({"keep": []}, ValueError, "keep must choose at least one stored image, got an empty list"),
        ({"remove": lambda s: False}, ValueError, "the predicate holds for none"),
        ({"remove": CLASSES}, ValueError, "must leave at least one stored image, it takes out all"),
        ({"keep": "ant", "remove": "bee"}, ValueError, "none of 6 has label 'bee'"),
        ({"remove": 1.5}, TypeError, "remove must choose by index .* got float"),
        ({"remove": True}, TypeError, "got bool"),
        ({"swap": {7: 8}}, ValueError, "swap names no stored image with index 8"),
    ],
)
def test_bad_choices(model, change, error, message):
    with pytest.raises(error, match=message):
        whence.edit(model, **change)


def test_models_without_a_memory():
    with pytest.raises(ValueError, match="standard model has no memory to edit"):
        whence.edit(build("standard"), remove=7)
    with pytest.raises(RuntimeError, match="no memory yet"):
        whence.edit(build(), remove=7)
